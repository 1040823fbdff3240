//! Many processes write into one journal, and any of them can be killed.

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::json;

use super::{all, all_over, ask, roots, store};
use crate::support::mcp::Client;
use crate::support::{World, until};

const SERVERS: usize = 5;
const EACH: usize = 20;

#[test]
fn many_servers_and_commands_write_at_once() {
    let world = World::with_agent("answer hello");
    // All meet the moment when there is no file yet.
    let mut clients: Vec<Client> = (0..SERVERS).map(|_| Client::connect(&world)).collect();
    let question = json!({"agent": "infra", "task": "look", "fresh": true});
    for client in &mut clients {
        for number in 0..EACH {
            client.begin(&number.to_string(), "dispatch", question.clone());
        }
    }
    let mut command = world.command();
    let mut command = command.args(["dispatch", "infra", "x"]).spawn().expect("the binary runs");
    for client in &mut clients {
        for (_, reply) in client.finish(EACH) {
            assert!(reply["success"] == true && reply.get("store_error").is_none(), "{reply}");
        }
    }
    assert!(command.wait().expect("it ends").success());
    let records = all_over(&world, SERVERS * EACH + 1);
    assert!(all(&records, "success").iter().all(|success| *success == true));
    let stats = world.run(&["stats", "--json"]).json();
    assert_eq!(stats["total"]["ok"], SERVERS * EACH + 1);
    let database = Connection::open(store(&world)).expect("the store");
    let check: String =
        database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(check, "ok");
}

#[test]
fn what_a_killed_server_had_is_running_before_and_lost_after() {
    let world = World::with_agent("touch ../began\nhang");
    let mut client = Client::connect(&world);
    client.begin("lost", "dispatch", json!({"agent": "infra", "task": "x"}));
    world.wait_for("began");
    until(|| roots(&world).len() == 1, || "no record".to_owned());
    let figures = |key: &str| world.run(&["stats", "--json"]).json()["total"][key].clone();
    assert_eq!(all(&roots(&world), "state"), ["running"]);
    assert_eq!((figures("running"), figures("failed")), (json!(1), json!(0)));
    client.signal(Signal::KILL);
    assert!(!client.close().success());
    assert_eq!(all(&roots(&world), "state"), ["lost"]);
    assert_eq!((figures("failed"), figures("errors")), (json!(1), json!({"lost": 1})));
    assert!(world.run(&["tree"]).stdout.contains("infra  lost"));
}

#[test]
fn a_server_that_ends_completes_what_it_had() {
    let world = World::with_agent("touch ../began\nhang");
    let mut client = Client::connect(&world);
    client.begin("ended", "dispatch", json!({"agent": "infra", "task": "x"}));
    world.wait_for("began");
    assert!(client.close().success());
    assert_eq!(all(&roots(&world), "error_type"), ["cancelled"]);
}

#[test]
fn a_locked_store_keeps_no_reply_back_and_its_records_follow() {
    let world = World::with_agent("answer hello");
    let mut client = Client::connect(&world);
    ask(&mut client, "one");
    all_over(&world, 1);
    let other = Connection::open(store(&world)).expect("the store");
    other.execute_batch("BEGIN IMMEDIATE").expect("its lock");
    let reply = ask(&mut client, "two");
    assert!(reply["success"] == true && reply.get("store_error").is_none(), "{reply}");
    // A command ends without its record.
    let ran = world.run(&["dispatch", "infra", "three"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hello\n"), "{ran:?}");
    other.execute_batch("COMMIT").expect("its lock");
    let records = all_over(&world, 2);
    assert_eq!(all(&records, "form"), ["dispatch", "dispatch"]);
}

#[test]
fn old_records_go_where_that_is_wanted() {
    let world = World::with_agent("answer hello");
    for task in ["one", "two"] {
        assert_eq!(world.run(&["dispatch", "infra", task]).code, Some(0));
    }
    let database = Connection::open(store(&world)).expect("the store");
    let three_days = 3 * 24 * 3_600_000_i64;
    database
        .execute("UPDATE dispatch SET started_ms = started_ms - ?1", [three_days])
        .expect("they are older");
    let yaml = world.agents_yaml(&["infra"]);
    for (days, left) in [(0, 3), (7, 4), (2, 3)] {
        world.config(&format!("{yaml}  job_retention_days: {days}\n"));
        assert_eq!(world.run(&["dispatch", "infra", "more"]).code, Some(0));
        all_over(&world, left);
    }
    let stats = |days: &str| world.run(&["stats", "--json", "--days", days]).json();
    assert_eq!(stats("1")["total"]["dispatches"], 3);
}
