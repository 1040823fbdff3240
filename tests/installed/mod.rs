//! Policies that were installed: a copy lies beside the config, and changes only by being
//! installed again.

mod killed;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::mcp::Client;
use crate::support::{Ran, World};

fn built(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins/built");
    folder.join(name).with_extension("wasm").display().to_string()
}

fn digest(component: &str) -> String {
    format!("{:x}", Sha256::digest(fs::read(component).expect("a component")))
}

fn world() -> World {
    World::with_agent("record\nanswer hello")
}

#[track_caller]
fn add(world: &World, name: &str, component: &str, more: &[&str]) -> Value {
    let file = built(component);
    let ran = world.run(&[&["policy", "add", name, &file, "--json"], more].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.json()
}

#[track_caller]
fn error(ran: &Ran) -> String {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    ran.json()["error"].as_str().expect("an error").to_owned()
}

#[track_caller]
fn listed(world: &World, name: &str) -> Value {
    let all = world.run(&["policy", "list", "--json"]).json();
    let found = all.as_array().expect("a list").iter().find(|policy| policy["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {all}")).clone()
}

/// Everything beside the config, each file with its content.
fn everything(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let names = ["agents.yaml", "policies.lock"].map(|name| world.path(name));
    let components = fs::read_dir(world.path("policies")).into_iter().flatten().flatten();
    let mut all: Vec<PathBuf> = components.map(|entry| entry.path()).chain(names).collect();
    all.sort();
    let content = |path: PathBuf| fs::read(&path).ok().map(|content| (path, content));
    all.into_iter().filter_map(content).collect()
}

fn mode(path: &str, world: &World) -> u32 {
    world.path(path).metadata().expect("it is there").permissions().mode() & 0o777
}

#[test]
fn a_copy_is_installed_chosen_and_used() {
    let world = world();
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!("# mine\n{}", yaml.replace("settings:", "# all\nsettings: # here\n")));
    let added = add(&world, "house", "xml", &["--agent", "infra", "--default"]);
    assert_eq!(added["digest"], digest(&built("xml")), "{added}");
    assert_eq!((&added["kinds"], added.get("replaced")), (&json!(["prompt"]), None), "{added}");
    let modes = ["policies/house.wasm", "policies.lock", "policies"].map(|path| mode(path, &world));
    assert_eq!(modes, [0o600, 0o600, 0o700]);
    let config = fs::read_to_string(world.config_file()).expect("the config");
    for kept in ["# mine\n", "# all\n", "# here\n"] {
        assert!(config.contains(kept), "{config}");
    }
    let policy = listed(&world, "house");
    assert_eq!((&policy["state"], &policy["version"]), (&json!("installed"), &json!("0.1.0")));
    let used_by = json!([{"agent": "infra", "kind": "prompt"}, {"kind": "prompt"}]);
    assert_eq!(policy["used_by"], used_by, "{policy}");
    assert_eq!(world.run(&["dispatch", "infra", "look"]).stdout, "hello\n");
    assert!(world.recorded("infra", "prompt").contains("<task>"));

    // With a config, which another one replaces.
    add(&world, "plain", "describe-detailed", &["--config", r#"{"max_items": 3}"#]);
    assert_eq!(listed(&world, "plain")["used_by"], json!([]));
    add(&world, "plain", "describe-detailed", &["--config", r#"{"max_chars": 50}"#]);
    let described =
        world.run(&["policy", "add", "plain", &built("describe-detailed"), "--agent", "infra"]);
    assert_eq!(described.code, Some(0), "{described:?}");
    let config = fs::read_to_string(world.config_file()).expect("the config");
    assert!(config.contains("max_chars") && !config.contains("max_items"), "{config}");
    assert_eq!(world.run(&["list"]).code, Some(0));
}

#[test]
fn a_config_in_any_style_is_edited() {
    for before in [
        "",
        "agents: {infra: {directory: DIRECTORY}}\nsettings: {}\npolicies: {}\n",
        "agents:\n  infra: {directory: DIRECTORY, policies: {}}\n",
        "policies: # none yet\nagents:\n  infra:\n    directory: DIRECTORY\n    policies: {prompt: classic} # old\nsettings:\n  policies:\n    prompt: xml # new\n",
        "agents:\r\n  infra:\r\n    directory: DIRECTORY\r\n",
    ] {
        let world = world();
        let directory = world.path("infra").display().to_string();
        world.config(&before.replace("DIRECTORY", &directory));
        let more: &[&str] =
            if before.is_empty() { &["--default"] } else { &["--default", "--agent", "infra"] };
        let added = add(&world, "house", "xml", more);
        let chosen_by = if before.is_empty() { 1 } else { 2 };
        assert_eq!(added["chosen_by"].as_array().map(Vec::len), Some(chosen_by), "{added}");
        let removed = world.run(&["policy", "remove", "house", "--force", "--json"]);
        assert_eq!(removed.code, Some(0), "{before}: {removed:?}");
        let after = fs::read_to_string(world.config_file()).expect("the config");
        assert!(!after.contains("house"), "{after}");
        // The comment on a choice goes with it, and no other.
        assert_eq!(after.contains("# none yet"), before.contains("# none yet"), "{after}");
    }
}

#[test]
fn another_component_takes_its_place_in_every_running_server() {
    let world = world();
    add(&world, "house", "xml", &["--agent", "infra"]);
    let mut clients = [Client::connect(&world), Client::connect(&world)];
    let mut prompts = || {
        clients.each_mut().map(|client| {
            let task = json!({"agent": "infra", "task": "look", "fresh": true});
            let reply = client.tool("dispatch", task);
            assert_eq!(reply["success"], true, "{reply}");
            world.recorded("infra", "prompt").contains("<task>")
        })
    };
    assert_eq!(prompts(), [true, true]);
    let yaml = fs::read(world.config_file()).expect("the config");
    for (component, before, is_xml) in [("classic", "xml", false), ("xml", "classic", true)] {
        let added = add(&world, "house", component, &[]);
        let digests = [component, before].map(|name| json!(digest(&built(name))));
        assert_eq!([&added["digest"], &added["replaced"]], digests.each_ref(), "{added}");
        assert_eq!(prompts(), [is_xml, is_xml]);
    }
    let shown = world.run(&["policy", "add", "house", &built("classic")]).stdout;
    for digest in ["classic", "xml"].map(|name| digest(&built(name))) {
        assert!(shown.contains(&digest), "{shown}");
    }
    assert_eq!(fs::read(world.config_file()).expect("the config"), yaml);
}

#[test]
fn what_other_hands_have_changed_is_refused_with_both_digests() {
    let world = world();
    add(&world, "house", "xml", &["--agent", "infra"]);
    // The same component by another entry is no way around it.
    let yaml = fs::read_to_string(world.config_file()).expect("the config");
    world.config(&yaml.replace(
        "policies:\n  house:",
        "policies:\n  again: {component: policies/house.wasm}\n  house:",
    ));
    let mut client = Client::connect(&world);
    let mut ask = |fresh: bool| {
        client.tool("dispatch", json!({"agent": "infra", "task": "look", "fresh": fresh}))
    };
    assert_eq!(ask(false)["success"], true);
    let house = world.path("policies/house.wasm");
    fs::copy(built("classic"), &house).expect("a component");
    let digests = ["xml", "classic"].map(|name| digest(&built(name)));
    let refused = |error: &str| {
        assert!(digests.iter().all(|digest| error.contains(digest)), "{error}");
        assert!(error.contains("agent-dispatch policy add house FILE"), "{error}");
    };
    let _ = fs::remove_file(world.path("infra/prompt"));
    for fresh in [false, true] {
        let reply = ask(fresh);
        assert_eq!(reply["error_type"], "policy", "{reply}");
        refused(reply["error"].as_str().expect("an error"));
    }
    let reply = world.run(&["dispatch", "infra", "look", "--json"]).json();
    refused(reply["error"].as_str().expect("an error"));
    let policy = listed(&world, "again");
    assert_eq!(policy["state"], "changed", "{policy}");
    refused(policy["problem"].as_str().expect("a problem"));
    assert!(!world.path("infra/prompt").exists(), "nothing may have run");
    // A lock file that nobody understands vouches for nothing.
    let lock = fs::read(world.path("policies.lock")).expect("the lock file");
    for (text, part) in [("nonsense", "cannot be understood"), ("version: 99\n", "the format 99")] {
        fs::write(world.path("policies.lock"), text).expect("a file");
        let reply = ask(true);
        let error = reply["error"].as_str().unwrap_or_else(|| panic!("{reply}"));
        assert!(error.contains("nothing vouches for it") && error.contains(part), "{error}");
        let refused = world.run(&["policy", "add", "house", &built("xml"), "--json"]);
        assert!(self::error(&refused).contains(part), "{refused:?}");
    }
    fs::write(world.path("policies.lock"), lock).expect("a file");
    // The way out, also with what lies there.
    let there = house.display().to_string();
    assert_eq!(world.run(&["policy", "add", "house", &there]).code, Some(0));
    assert_eq!(ask(true)["success"], true);
    assert_eq!(world.recorded("infra", "prompt"), "look");
    fs::remove_file(&house).expect("a file");
    assert_eq!(listed(&world, "house")["state"], "missing");
    assert_eq!(ask(true)["error_type"], "policy");
    add(&world, "house", "xml", &[]);
    assert_eq!(ask(true)["success"], true);
}

#[test]
fn what_cannot_be_installed_changes_nothing() {
    let world = world();
    add(&world, "house", "xml", &["--agent", "infra"]);
    let yaml = fs::read_to_string(world.config_file()).expect("the config");
    world.config(
        &yaml.replace(
            "policies:\n  house:",
            "policies:\n  other: {component: ./other.wasm}\n  house:",
        ),
    );
    let half = fs::read(built("xml")).expect("a component");
    fs::write(world.path("half.wasm"), &half[..half.len() / 2]).expect("a file");
    fs::write(world.path("text.wasm"), "no component").expect("a file");
    let before = everything(&world);
    let [half, text] =
        ["half.wasm", "text.wasm"].map(|name| world.path(name).display().to_string());
    for (arguments, part) in [
        (vec!["house", &*half], "does not compile"),
        (vec!["house", &*text], "no WebAssembly component"),
        (vec!["house", "nowhere.wasm"], "cannot read its component"),
        (
            vec!["house", &*built("classic"), "--config", r#"{"colour": "red"}"#],
            "its config is not usable",
        ),
        (vec!["house", &*built("classic"), "--agent", "nobody"], "Unknown agent: 'nobody'"),
        (
            vec!["vote", &*built("aggregate-majority"), "--agent", "infra"],
            "an agent cannot choose 'vote'",
        ),
        (vec!["classic", &*built("xml")], "the name of a built-in"),
        (vec!["budget", &*built("xml")], "the name of a built-in"),
        (vec!["../house", &*built("xml")], "cannot be the name"),
        (vec!["", &*built("xml")], "cannot be the name"),
        (vec!["other", &*built("xml")], "follows"),
    ] {
        let ran = world.run(&[&["policy", "add"], &arguments[..], &["--json"]].concat());
        assert!(error(&ran).contains(part), "{part}: {ran:?}");
        assert_eq!(everything(&world), before, "{part}");
    }
    let ran = world.run(&["policy", "add", "x", &built("xml"), "--config", "[]"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    // Nor where the config is closed.
    let closed = fs::Permissions::from_mode(0o400);
    fs::set_permissions(world.config_file(), closed).expect("a mode");
    let ran = world.run(&["policy", "add", "new", &built("xml"), "--json"]);
    assert!(error(&ran).contains("nobody may write to it"), "{ran:?}");
    assert_eq!(everything(&world), before);
}

#[test]
fn what_somebody_chooses_stays_unless_the_choices_go_too() {
    let world = world();
    add(&world, "house", "xml", &["--agent", "infra", "--default"]);
    add(&world, "other", "classic", &[]);
    let before = everything(&world);
    let refused = world.run(&["policy", "remove", "house", "--json"]);
    let message = error(&refused);
    assert!(message.contains("agent 'infra' for prompt, settings for prompt"), "{message}");
    assert_eq!(everything(&world), before);
    let removed = world.run(&["policy", "remove", "house", "--force", "--json"]).json();
    assert_eq!(
        (&removed["removed"], &removed["component_removed"]),
        (&json!("house"), &json!(true))
    );
    assert!(!world.path("policies/house.wasm").exists());
    assert_eq!(world.run(&["dispatch", "infra", "look"]).stdout, "hello\n");
    assert_eq!(world.recorded("infra", "prompt"), "look");
    assert_eq!(world.run(&["policy", "remove", "other"]).code, Some(0));
    let lock = fs::read_to_string(world.path("policies.lock")).expect("the lock file");
    assert!(!lock.contains("sha256"), "{lock}");
    for name in ["house", "nobody", "classic"] {
        let message = error(&world.run(&["policy", "remove", name, "--json"]));
        assert!(message.contains("there is no policy"), "{message}");
    }
    // Of one that is followed the file is its owner's.
    fs::copy(built("xml"), world.path("mine.wasm")).expect("a component");
    world.config(&format!(
        "{}policies:\n  mine: {{component: mine.wasm}}\n",
        world.agents_yaml(&["infra"])
    ));
    assert_eq!(listed(&world, "mine")["state"], "followed");
    assert_eq!(world.run(&["policy", "remove", "mine"]).code, Some(0));
    assert!(world.path("mine.wasm").exists());
}

#[test]
fn several_at_once_are_all_installed() {
    let world = world();
    let names: Vec<String> = (0..6).map(|number| format!("house{number}")).collect();
    let started: Vec<_> = names
        .iter()
        .map(|name| {
            let mut command = world.command();
            command
                .args(["policy", "add", name, &built("xml")])
                .stdout(std::process::Stdio::null());
            command.spawn().expect("the binary runs")
        })
        .collect();
    for mut child in started {
        assert!(child.wait().expect("it ends").success());
    }
    for name in &names {
        assert_eq!(listed(&world, name)["state"], "installed");
    }
}
