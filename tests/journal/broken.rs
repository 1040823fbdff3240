//! Without a working store a dispatch works all the same, and says once what is wrong.

use std::fs;
use std::process::Command;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::{all_over, ask, roots, state, store};
use crate::support::mcp::{Client, Streams};
use crate::support::{World, until};

/// Dispatches twice within this server; what the first reply says of the store.
#[track_caller]
fn said_once(client: &mut Client) -> String {
    let first = ask(client, "one");
    assert_eq!((&first["success"], &first["result"]), (&json!(true), &json!("hello")), "{first}");
    let again = ask(client, "two");
    assert_eq!((&again["success"], again.get("store_error")), (&json!(true), None), "{again}");
    assert_eq!(client.tool("list_agents", json!({}))[0]["healthy"], true);
    let said = first["store_error"].as_str();
    said.unwrap_or_else(|| panic!("nothing is said: {first}")).to_owned()
}

/// Those who want nothing but the journal are told the same, with exit code 1.
#[track_caller]
fn readers_are_told(world: &World, what: &str) {
    for command in ["stats", "tree"] {
        let ran = world.run(&[command, "--json"]);
        assert_eq!(ran.code, Some(1), "{ran:?}");
        let error = ran.json()["error"].as_str().expect("an error").to_owned();
        assert!(error.contains(what), "{command}: {error}");
    }
}

#[test]
fn a_damaged_store_is_left_as_it_is() {
    let world = World::with_agent("answer hello");
    fs::create_dir_all(state(&world)).expect("a folder");
    let garbage = "this is no database\n".repeat(1000);
    fs::write(store(&world), &garbage).expect("a file");
    let mut client = Client::connect(&world);
    let said = said_once(&mut client);
    assert!(said.contains("is damaged or no database") && said.contains("move it away"), "{said}");
    assert!(said.contains(store(&world).to_str().expect("UTF-8")), "{said}");
    readers_are_told(&world, "is damaged or no database");
    let ran = world.run(&["dispatch", "infra", "x"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "hello\n"), "{ran:?}");
    assert!(ran.stderr.contains("is damaged or no database"), "{ran:?}");
    assert_eq!(fs::read_to_string(store(&world)).expect("the file"), garbage);
    assert!(!world.path("home/.local/state/agent-dispatch/store.sqlite-wal").exists());

    // What the message says helps.
    fs::rename(store(&world), state(&world).join("old")).expect("it is moved");
    assert_eq!(world.run(&["dispatch", "infra", "x"]).code, Some(0));
    assert_eq!(roots(&world).len(), 1);
}

#[test]
fn whoever_asks_at_the_command_line_is_told() {
    let world = World::with_agent("answer hello [RESOLVED]");
    fs::create_dir_all(state(&world)).expect("a folder");
    fs::write(store(&world), "this is no database\n".repeat(1000)).expect("a file");
    fs::write(world.path("tasks"), "[{agent: infra, task: look}]").expect("a file");
    for arguments in [
        &["dispatch", "infra", "x"][..],
        &["parallel", "tasks"],
        &["dialogue", "infra", "infra", "x"],
    ] {
        let ran = world.run(arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert_eq!(ran.stderr.matches("The journal has gaps").count(), 1, "{ran:?}");
    }
}

#[test]
fn a_page_that_is_damaged_is_found_and_left() {
    let world = World::with_agent("answer hello");
    for task in ["one", "two", "three"] {
        assert_eq!(world.run(&["dispatch", "infra", task]).code, Some(0));
    }
    let database = Connection::open(store(&world)).expect("the store");
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).expect("it is written");
    drop(database);
    let mut bytes = fs::read(store(&world)).expect("the store");
    // All but the first page, which says that it is a database.
    bytes[4096..].fill(0x5a);
    fs::write(store(&world), &bytes).expect("the store");
    let mut client = Client::connect(&world);
    // It is found when a record is written, and that may be after a reply has gone out.
    let mut said = Value::Null;
    until(
        || {
            let reply = ask(&mut client, "look");
            assert_eq!((&reply["success"], &reply["result"]), (&json!(true), &json!("hello")));
            said = reply["store_error"].clone();
            said.is_string()
        },
        || "nothing is said".to_owned(),
    );
    assert!(said.to_string().contains("is damaged or no database"), "{said}");
    assert_eq!(ask(&mut client, "again").get("store_error"), None);
    drop(client);
    assert_eq!(fs::read(store(&world)).expect("the store"), bytes);
}

#[test]
fn a_store_of_a_newer_version_is_left_to_it() {
    let world = World::with_agent("answer hello");
    assert_eq!(world.run(&["dispatch", "infra", "x"]).code, Some(0));
    let database = Connection::open(store(&world)).expect("the store");
    let ours: i64 =
        database.pragma_query_value(None, "user_version", |row| row.get(0)).expect("one");
    database.pragma_update(None, "user_version", 99).expect("a newer one");
    let said = said_once(&mut Client::connect(&world));
    assert!(said.contains("newer agent-dispatch"), "{said}");
    readers_are_told(&world, "newer agent-dispatch");
    let count: i64 =
        database.query_row("SELECT count(*) FROM dispatch", [], |row| row.get(0)).expect("a count");
    assert_eq!(count, 1);
    database.pragma_update(None, "user_version", ours).expect("ours again");
    assert_eq!(world.run(&["dispatch", "infra", "y"]).code, Some(0));
    all_over(&world, 2);
}

#[test]
fn something_else_in_its_place_is_left_there() {
    let world = World::with_agent("answer hello");
    fs::create_dir_all(store(&world)).expect("a folder in its place");
    let said = said_once(&mut Client::connect(&world));
    assert!(said.contains("cannot be used"), "{said}");
    readers_are_told(&world, "cannot be used");
    assert!(store(&world).is_dir());

    // The folder for state is a file.
    let world = World::with_agent("answer hello");
    fs::create_dir_all(state(&world).parent().expect("a folder")).expect("a folder");
    fs::write(state(&world), "in the way").expect("a file");
    let said = said_once(&mut Client::connect(&world));
    assert!(said.contains("cannot be used"), "{said}");
}

/// A server in this world, started by way of a shell.
#[cfg(target_os = "linux")]
fn serve(world: &World, before: &str) -> Client {
    let mut command: Command = world.command_of("sh");
    let script = format!(r#"{before}; exec "$0" serve"#);
    command.arg("-c").arg(script).arg(crate::support::BINARY);
    let mut client = Client::spawn(&mut command, Streams::Sockets);
    client.initialize();
    client
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_where_nothing_can_be_made_is_told() {
    let world = World::with_agent("answer hello");
    let said = said_once(&mut serve(&world, "export XDG_STATE_HOME=/proc/self"));
    assert!(said.contains("cannot be used"), "{said}");
}

/// No file of the server's may become larger than it is: for SQLite the disk is full.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_what_is_there_is_kept() {
    let world = World::with_agent("answer hello");
    assert_eq!(world.run(&["dispatch", "infra", "x"]).code, Some(0));
    let before: Vec<Value> = all_over(&world, 1);
    let mut client = serve(&world, r#"trap "" XFSZ; ulimit -f 0"#);
    let said = said_once(&mut client);
    assert!(said.contains("cannot be used"), "{said}");
    drop(client);
    assert_eq!(roots(&world), before);
    // There is room again.
    assert_eq!(world.run(&["dispatch", "infra", "y"]).code, Some(0));
    all_over(&world, 2);
}
