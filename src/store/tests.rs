use rusqlite::Connection;
use tempfile::TempDir;

use super::family::{self, Named, State};
use super::journal::{End, Record, Tokens, now_ms};
use super::usage::{p90, percentile, typical, usage};
use super::{Owner, Store, StoreError};

fn database() -> Connection {
    let connection = Connection::open_in_memory().expect("memory");
    connection.execute_batch(include_str!("journal.sql")).expect("the table");
    connection
}

/// A dispatch of `infra` that took so long and cost a quarter.
fn record(number: u32, seconds: u64) -> Record {
    Record {
        id: format!("{number:032x}"),
        trace: "a".repeat(32),
        parent: None,
        agent: "infra".to_owned(),
        caller: Some("backend".to_owned()),
        form: "dispatch".to_owned(),
        depth: 0,
        policy: Some("classic".to_owned()),
        policy_digest: Some("0123456789ab".to_owned()),
        owner: Owner::this(),
        started_ms: now_ms() + i64::from(number),
        cached: false,
        shared: false,
        end: Some(End {
            at_ms: now_ms(),
            success: true,
            duration_ms: Some(seconds * 1000),
            cost_usd: Some(0.25),
            turns: Some(2),
            tokens: Some(Tokens { input: 1, output: 2, cache_read: 3, cache_creation: 4 }),
            outcome: Some("done".to_owned()),
            error_type: None,
            session_id: Some("s".to_owned()),
        }),
    }
}

fn failed(number: u32, seconds: u64, error_type: &str) -> Record {
    let record = record(number, seconds);
    let error_type = Some(error_type.to_owned());
    let end = record.end.map(|end| End { success: false, error_type, ..end });
    Record { end, ..record }
}

#[test]
fn percentiles_are_the_python_tools() {
    let of = |count: u64, percent| percentile(&(0..count).collect::<Vec<_>>(), percent);
    // round_half_even(p / 100 * n + 0.5) - 1
    for (count, median, p90) in [
        (1, 0, 0),
        (2, 1, 1),
        (3, 1, 2),
        (4, 1, 3),
        (5, 2, 4),
        (6, 3, 5),
        (10, 5, 9),
        (100, 49, 89),
    ] {
        assert_eq!((of(count, 50.0), of(count, 90.0)), (Some(median), Some(p90)), "{count}");
    }
    assert_eq!(of(0, 50.0), None);
}

#[test]
fn what_is_written_is_read() {
    let database = database();
    let whole = record(1, 12);
    let running = Record { end: None, ..record(2, 0) };
    let bare = Record { caller: None, policy: None, policy_digest: None, ..running.clone() };
    for (number, record) in [whole, running, bare].into_iter().enumerate() {
        let record = Record { id: format!("{number:032x}"), ..record };
        record.write(&database).expect("it is written");
        let Named::These(found) = family::named(&database, &record.id).expect("it is read") else {
            panic!("it is not there");
        };
        assert_eq!(found[0].record, record);
    }
}

#[test]
fn a_record_is_completed_and_one_without_a_beginning_is_whole_at_its_end() {
    let database = database();
    let ended = record(1, 12);
    Record { end: None, ..ended.clone() }.write(&database).expect("a beginning");
    for record in [ended, record(2, 3)] {
        record.write(&database).expect("an end");
    }
    let usage = usage(&database, None, None).expect("figures");
    assert_eq!((usage.total.dispatches, usage.total.ok, usage.total.running), (2, 2, 0));
}

#[test]
fn figures_add_up() {
    let database = database();
    let of = |agent: &str, record: Record| Record { agent: agent.to_owned(), ..record };
    let gone = Owner { pid: u32::MAX, started: 1 };
    let answered = |record: Record| {
        let end = record.end.map(|end| End { duration_ms: None, cost_usd: None, ..end });
        Record { end, ..record }
    };
    let records = [
        record(1, 10),
        record(2, 30),
        failed(3, 60, "timeout"),
        Record { cached: true, ..answered(record(4, 0)) },
        Record { shared: true, ..answered(record(5, 0)) },
        Record { end: None, ..record(6, 0) },
        Record { end: None, owner: gone, ..record(7, 0) },
        of("cheap", Record { cached: true, ..answered(record(8, 0)) }),
    ];
    for record in &records {
        record.write(&database).expect("a record");
    }
    let all = usage(&database, None, None).expect("figures");
    let expected = serde_json::json!({
        "dispatches": 7, "cached_hits": 1, "shared": 1, "running": 1, "ok": 2, "failed": 2,
        "cost_usd": 0.75, "median_ms": 30_000, "p90_ms": 60_000, "max_ms": 60_000,
        "median_cost_usd": 0.25, "max_cost_usd": 0.25,
        "outcomes": {"done": 3}, "errors": {"lost": 1, "timeout": 1},
    });
    let shown = serde_json::to_value(&all).expect("JSON");
    assert_eq!(shown["agents"]["infra"], expected);
    assert_eq!(shown["total"]["dispatches"], 8);
    let names: Vec<_> = all.agents.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["infra", "cheap"], "who cost most comes first");
    let one = usage(&database, None, Some("cheap")).expect("figures");
    assert_eq!((one.total.dispatches, one.agents.len()), (1, 1));
}

#[test]
fn only_the_last_days_count_where_that_is_wanted() {
    let database = database();
    let two_days_ago = now_ms() - 2 * 24 * 3_600_000;
    Record { started_ms: two_days_ago, ..record(1, 1) }.write(&database).expect("a record");
    record(2, 1).write(&database).expect("a record");
    for (days, expected) in [(Some(1), 1), (Some(3), 2), (Some(u32::MAX), 2), (None, 2)] {
        let usage = usage(&database, days, None).expect("figures");
        assert_eq!(usage.total.dispatches, expected, "{days:?}");
    }
}

#[test]
fn typical_are_three_runs_that_say_how_long_it_takes() {
    let database = database();
    for (number, record) in [
        record(1, 10),
        record(2, 20),
        failed(3, 1, "cancelled"),
        failed(4, 1, "cli_error"),
        Record {
            cached: true,
            end: record(5, 0).end.map(|end| End { duration_ms: None, ..end }),
            ..record(5, 0)
        },
    ]
    .iter()
    .zip(1..)
    .map(|(record, number)| (number, record))
    {
        record.write(&database).expect("a record");
        assert!(typical(&database).expect("figures").is_empty(), "{number}");
        assert_eq!(p90(&database, "infra").expect("figures"), None);
    }
    failed(6, 90, "timeout").write(&database).expect("a record");
    let found = typical(&database).expect("figures")["infra"];
    let shown = serde_json::to_value(found).expect("JSON");
    let expected = serde_json::json!({
        "median_seconds": 20.0, "p90_seconds": 90.0, "median_cost_usd": 0.25,
    });
    assert_eq!(shown, expected);
    assert_eq!(p90(&database, "infra").expect("figures").expect("enough").as_secs(), 90);
}

#[test]
fn a_family_is_those_who_asked_and_those_who_were_asked() {
    let database = database();
    let root = record(0xaaaa, 1);
    let id = |first: &str| format!("{first}{}", "0".repeat(32 - first.len()));
    let below = |first: &str, parent: &Record| Record {
        id: id(first),
        parent: Some(parent.span().to_owned()),
        ..record(1, 1)
    };
    let root = Record { id: id("aaaa1"), ..root };
    let child = below("bbbb", &root);
    let grandchild = below("cccc", &child);
    let gone = Owner { pid: u32::MAX, started: 1 };
    let lost = Record { owner: gone, end: None, ..below("dddd", &child) };
    let foreign = Record {
        id: id("aaaa2"),
        trace: "b".repeat(32),
        parent: Some("f".repeat(16)),
        started_ms: root.started_ms + 1,
        ..record(1, 1)
    };
    for record in [&root, &child, &grandchild, &lost, &foreign] {
        record.write(&database).expect("a record");
    }
    let roots = family::latest(&database, 10).expect("families");
    let ids: Vec<_> = roots.iter().map(|family| family.record.id.as_str()).collect();
    assert_eq!(ids, [foreign.id.as_str(), root.id.as_str()], "newest first");
    assert_eq!(roots[1].children[0].children.len(), 2);
    assert_eq!(roots[1].children[0].children[1].state, State::Lost);
    assert_eq!(family::latest(&database, 1).expect("families").len(), 1);

    let named = |id: &str| family::named(&database, id).expect("an answer");
    let Named::These(found) = named("bbbb") else { panic!("not found") };
    assert_eq!((found[0].record.id.as_str(), found[0].children.len()), (child.id.as_str(), 2));
    let Named::These(found) = named(&root.trace) else { panic!("not found") };
    assert_eq!(found[0].record.id, root.id);
    assert_eq!(named("aaaa"), Named::Several);
    for nothing in ["eeee", "aaa", "", "%", "g000", "AAAA"] {
        assert_eq!(named(nothing), Named::Nothing, "{nothing}");
    }
}

#[test]
fn a_circle_of_parents_has_an_end() {
    let database = database();
    let (one, two) = (record(1, 1), record(2, 1));
    let ring = |record: &Record, id: &str, above: &str| Record {
        id: id.repeat(2),
        parent: Some(above.to_owned()),
        ..record.clone()
    };
    let (a, b) = ("c".repeat(16), "d".repeat(16));
    ring(&one, &a, &b).write(&database).expect("a record");
    ring(&two, &b, &a).write(&database).expect("a record");
    let Named::These(found) = family::named(&database, &a.repeat(2)).expect("an answer") else {
        panic!("not found");
    };
    assert_eq!(found[0].children.len(), 1);
    assert!(found[0].children[0].children.len() <= 1);
}

#[test]
fn old_records_go() {
    let database = database();
    let two_days_ago = now_ms() - 2 * 24 * 3_600_000;
    Record { started_ms: two_days_ago, ..record(1, 1) }.write(&database).expect("a record");
    record(2, 1).write(&database).expect("a record");
    let count = || usage(&database, None, None).expect("figures").total.dispatches;
    for (days, left) in [(None, 2), (Some(3), 2), (Some(1), 1)] {
        super::journal::forget_old(&database, days).expect("it forgets");
        assert_eq!(count(), left, "{days:?}");
    }
    for number in 3..=6 {
        record(number, 1).write(&database).expect("a record");
    }
    super::journal::forget(&database, None, 3).expect("it forgets");
    assert_eq!(count(), 3);
    let newest = family::latest(&database, 1).expect("a record").remove(0);
    assert_eq!(newest.record.id, record(6, 1).id);
}

#[test]
fn a_process_is_told_from_one_that_had_its_number() {
    let this = Owner::this();
    assert!(this.is_alive());
    assert!(!Owner { pid: u32::MAX, ..this }.is_alive());
    if cfg!(target_os = "linux") {
        assert!(!Owner { started: this.started + 1, ..this }.is_alive());
    }
}

#[tokio::test]
async fn reading_makes_no_file_and_writing_makes_one_for_its_user_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = TempDir::new().expect("a folder");
    let state = folder.path().join("state");
    let store = Store::new(&state);
    let count = |connection: &mut Connection| usage(connection, None, None);
    assert_eq!(store.ask(count).await.expect("nothing").total.dispatches, 0);
    assert!(!state.exists());
    assert_eq!(store.trouble().await, None);
    store.post(|connection| record(1, 1).write(connection));
    assert_eq!(store.ask(count).await.expect("one").total.dispatches, 1);
    let mode = |name: &str| {
        let data = state.join(name).metadata().expect("it is there");
        data.permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    for file in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        assert_eq!(mode(file), 0o600, "{file}");
    }
}

#[tokio::test]
async fn one_that_was_moved_away_is_made_anew() {
    let folder = TempDir::new().expect("a folder");
    let store = Store::new(folder.path());
    let count = |connection: &mut Connection| usage(connection, None, None);
    for _ in 0..2 {
        store.post(|connection| record(1, 1).write(connection));
        assert_eq!(store.ask(count).await.expect("one").total.dispatches, 1);
        for file in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
            let file = folder.path().join(file);
            std::fs::rename(&file, file.with_extension("old")).expect("it is moved");
        }
    }
}

#[tokio::test]
async fn one_that_is_damaged_while_it_is_open_is_not_written_on() {
    let folder = TempDir::new().expect("a folder");
    let store = Store::new(folder.path());
    store.post(|_| Err(corrupt()));
    let asked = store.ask(|connection| usage(connection, None, None)).await;
    assert!(matches!(asked, Err(StoreError::Damaged { .. })), "{asked:?}");
    assert!(matches!(store.trouble().await, Some(StoreError::Damaged { .. })));
}

fn corrupt() -> rusqlite::Error {
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(code, None)
}
