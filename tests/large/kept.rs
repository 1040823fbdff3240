//! What is kept, and what happens where it cannot be.

use std::fs;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{lines, question, says_lines, store, text, with_limit};
use crate::support::mcp::Client;
use crate::support::{World, until};

#[test]
fn where_nothing_can_be_kept_replies_are_whole_and_the_first_says_why() {
    let world = World::with_agent(&says_lines(5000));
    fs::create_dir_all(store(&world).parent().expect("a folder")).expect("a folder");
    fs::write(store(&world), "this is no database\n".repeat(1000)).expect("a file");
    let mut client = Client::connect(&world);
    let by_reference = json!({"agent": "infra", "task": "again", "return_ref": true});
    let all = json!({"dispatches": [question("look"), by_reference]});
    let replies = [
        client.tool("dispatch", by_reference.clone()),
        client.tool("dispatch", question("look")),
        client.tool("dispatch_parallel", all)[1].clone(),
    ];
    for (number, reply) in replies.iter().enumerate() {
        assert_eq!((text(reply, "result"), reply.get("ref")), (&*lines(5000), None));
        assert_eq!(reply.get("store_error").is_some(), number == 0, "{number}");
    }
    assert!(text(&replies[0], "store_error").contains("damaged"));
    let reference = "0123456789abcdef0123456789abcdef";
    let refused = client.tool("fetch_result", json!({"ref": reference}));
    assert!(text(&refused, "error").contains("damaged"), "{refused}");
}

#[test]
fn a_store_that_others_keep_locked_is_not_waited_for() {
    let world = World::with_agent(&says_lines(5000));
    let mut client = Client::connect(&world);
    let first = client.tool("dispatch", question("look"));
    assert!(first.get("ref").is_some());
    let other = Connection::open(store(&world)).expect("the store");
    other.busy_timeout(std::time::Duration::from_mins(1)).expect("patience");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let reply = client.tool("dispatch", question("look again"));
    assert_eq!((text(&reply, "result"), reply.get("ref")), (&*lines(5000), None));
    assert!(text(&reply, "store_error").contains("keep it locked"), "{}", reply["store_error"]);
    other.execute_batch("COMMIT").expect("it is given back");
    // What is given again can be kept by now.
    let mut again = Value::Null;
    until(
        || {
            again = client.tool("dispatch", question("look again"));
            again.get("ref").is_some()
        },
        || "it is never kept".to_owned(),
    );
    assert_eq!(super::fetch_all(&mut client, text(&again, "ref"), 0), lines(5000));
}

#[test]
fn a_store_that_was_moved_away_is_made_anew() {
    let world = World::with_agent(&says_lines(5000));
    let mut client = Client::connect(&world);
    let first = client.tool("dispatch", question("look"));
    let folder = store(&world).parent().expect("a folder").to_owned();
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        fs::rename(folder.join(name), world.path(name)).expect("it is moved");
    }
    let reference = json!({"ref": text(&first, "ref")});
    assert!(client.tool("fetch_result", reference.clone())["error"].is_string());
    let again = client.tool("dispatch", question("look"));
    assert_eq!((&again["cached"], &again["ref"]), (&json!(true), &first["ref"]));
    assert!(client.tool("fetch_result", reference)["result"].is_string());
}

#[test]
fn replies_older_than_the_config_says_go() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    let mut kept = |task: &str| {
        let call = json!({"agent": "infra", "task": task, "return_ref": true});
        text(&client.tool("dispatch", call), "ref").to_owned()
    };
    let (old, young) = (kept("old"), kept("young"));
    let database = Connection::open(store(&world)).expect("the store");
    let days_ago = 3 * 24 * 60 * 60 * 1000;
    let changed =
        database.execute("UPDATE reply SET kept_ms = kept_ms - ?1 WHERE id = ?2", (days_ago, &old));
    assert_eq!(changed, Ok(1));
    kept("more");
    world.config(&format!("{}  job_retention_days: 2\n", world.agents_yaml(&["infra"])));
    let last = kept("last");
    let ids = || {
        let mut statement = database.prepare("SELECT id FROM reply").expect("SQL");
        let ids = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
        ids.collect::<Result<Vec<_>, _>>().expect("ids")
    };
    until(|| !ids().contains(&old), || "it stays".to_owned());
    let ids = ids();
    assert!(ids.len() == 3 && ids.contains(&young) && ids.contains(&last), "{ids:?}");
}

#[test]
fn short_replies_are_not_kept_unless_that_is_wanted() {
    let world = World::with_agent("answer SECRET");
    let mut client = Client::connect(&world);
    let holds = || {
        let file = fs::read(store(&world)).expect("the store");
        let log = fs::read(store(&world).with_extension("sqlite-wal")).unwrap_or_default();
        [file, log].iter().any(|bytes| memchr::memmem::find(bytes, b"SECRET").is_some())
    };
    client.tool("dispatch", question("look"));
    with_limit(&world, &["infra"], "1");
    client.tool("dispatch", question("look again"));
    assert!(!holds());
    client.tool("dispatch", json!({"agent": "infra", "task": "look", "return_ref": true}));
    assert!(holds());
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_that_is_to_end_gives_what_there_is_whole() {
    use rustix::process::Signal;

    let said = json!({"type": "assistant", "message": {"role": "assistant",
        "content": [{"type": "text", "text": "x".repeat(200_000)}]}});
    let world = World::with_agent(&format!("out {said}\ntouch ../said\nhang"));
    let mut client = Client::connect(&world);
    client.begin("1", "dispatch", question("look"));
    world.wait_for("said");
    client.signal(Signal::TERM);
    let reply = client.finish(1).remove("1").expect("a reply");
    assert_eq!(reply["error_type"], "cancelled", "{}", reply["error"]);
    assert_eq!((text(&reply, "result").len(), reply.get("ref")), (200_000, None));
}
