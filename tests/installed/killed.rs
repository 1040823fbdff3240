//! Whoever installs a policy may be killed at any moment: what is there can be used.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use super::{add, built, digest, listed, world};
use crate::support::World;

/// The policy `house` is used as it is there, by a new process.
#[track_caller]
fn is_usable(world: &World, after: &str) {
    let ran = world.run(&["dispatch", "infra", "look", "--dry-run"]);
    assert_eq!(ran.code, Some(0), "{after}: {ran:?}");
}

#[test]
fn every_state_on_the_way_can_be_used_and_is_left_by_adding_again() {
    let world = world();
    add(&world, "house", "xml", &["--agent", "infra"]);
    let config = fs::read_to_string(world.config_file()).expect("the config");
    let [old, new] = ["xml", "classic"].map(|name| digest(&built(name)));
    let lock = format!("version: 1\ncomponents:\n  house:\n    sha256: {new}\n    was: {old}\n");
    // The new one is known and does not lie there yet; it does, and nobody has tidied up.
    for component in ["xml", "classic"] {
        fs::write(world.path("policies.lock"), &lock).expect("a file");
        fs::copy(built(component), world.path("policies/house.wasm")).expect("a component");
        is_usable(&world, component);
        assert_eq!(listed(&world, "house")["state"], "installed");
        add(&world, "house", "classic", &[]);
        let settled = fs::read_to_string(world.path("policies.lock")).expect("the lock file");
        assert!(settled.contains(&new) && !settled.contains("was:"), "{settled}");
        is_usable(&world, "again");
    }
    // The first time: nothing names what is there so far, or half of it.
    world.config(&world.agents_yaml(&["infra"]));
    is_usable(&world, "no entry");
    assert_eq!(listed(&world, "house")["state"], "left-over");
    fs::remove_file(world.path("policies/house.wasm")).expect("a file");
    assert_eq!(listed(&world, "house")["state"], "left-over");
    add(&world, "house", "xml", &["--agent", "infra"]);
    assert_eq!(listed(&world, "house")["state"], "installed");
    is_usable(&world, "added again");
    // Removing goes the other way.
    world.config(&world.agents_yaml(&["infra"]));
    assert_eq!(world.run(&["policy", "remove", "house"]).code, Some(0));
    assert!(!world.path("policies/house.wasm").exists());
    world.config(&config);
    add(&world, "house", "classic", &[]);
    is_usable(&world, "with the entry that was there");
}

#[test]
fn a_kill_at_any_moment_leaves_what_can_be_used() {
    let world = world();
    add(&world, "house", "xml", &["--agent", "infra"]);
    for round in 0..12_u64 {
        let component = built(if round % 2 == 0 { "classic" } else { "xml" });
        let mut command = world.command();
        command.args(["policy", "add", "house", &component]);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary runs");
        // Not an event but a moment: each round another one.
        std::thread::sleep(Duration::from_millis(4 * round));
        let _ = child.kill();
        child.wait().expect("it ends");
        is_usable(&world, &format!("round {round}"));
    }
    add(&world, "house", "xml", &[]);
    let policy = listed(&world, "house");
    assert_eq!(policy["digest"], digest(&built("xml")), "{policy}");
}
