//! Policies as a config's author meets them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::json;

use crate::support::World;
use crate::support::mcp::Client;

fn built(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins/built").join(name)
}

/// A world whose agent uses the policy `house`, whose component is `house.wasm`
/// beside the config.
fn world_with_house(entry: &str) -> World {
    let world = World::with_agent("record\nanswer hello");
    fs::create_dir(world.path("policies")).expect("a folder");
    let yaml = world
        .agents_yaml(&["infra"])
        .replace("settings:", "    policies: {prompt: house}\nsettings:");
    world.config(&format!(
        "{yaml}policies:\n  house: {{component: ./policies/house.wasm{entry}}}\n"
    ));
    world
}

fn put(world: &World, component: &str) {
    // As a build does it: written elsewhere, then renamed into place.
    let next = world.path("policies/next.wasm");
    fs::copy(built(component), &next).expect("a component");
    fs::rename(next, world.path("policies/house.wasm")).expect("in its place");
}

#[test]
fn an_agent_names_another_built_in_policy() {
    let world = World::with_agent("record\nanswer hello");
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&yaml.replace("settings:", "    policies: {prompt: xml}\nsettings:"));
    let ran = world.run(&["dispatch", "infra", "look", "--context", "a log"]);
    assert_eq!(ran.stdout, "hello\n", "{ran:?}");
    let prompt = world.recorded("infra", "prompt");
    assert!(prompt.contains("<task>") && prompt.contains("<context"), "{prompt}");
}

#[test]
fn a_component_by_its_path_is_followed_while_a_server_runs() {
    let world = world_with_house("");
    put(&world, "xml.wasm");
    let mut client = Client::connect(&world);
    let mut prompt = || {
        let task = json!({"agent": "infra", "task": "look", "fresh": true});
        let reply = client.tool("dispatch", task);
        assert_eq!(reply["success"], true, "{reply}");
        world.recorded("infra", "prompt")
    };
    assert!(prompt().contains("<task>"));
    put(&world, "classic.wasm");
    assert_eq!(prompt(), "look");
    put(&world, "xml.wasm");
    assert!(prompt().contains("<task>"));
}

#[test]
fn a_request_that_does_not_fit_is_refused_and_not_cut() {
    let world = World::with_agent("record\nanswer hello");
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!("{yaml}  policy_limits: {{input_mib: 1, timeout_ms: 60000}}\n"));
    let mut client = Client::connect(&world);
    let mut ask = |bytes: usize| {
        let (task, context) = ("t".repeat(bytes / 2), "c".repeat(bytes / 2));
        client.tool("dispatch", json!({"agent": "infra", "task": task, "context": context}))
    };
    let refused = ask((1 << 20) + 2);
    assert_eq!(refused["error_type"], "policy", "{refused}");
    let error = refused["error"].as_str().expect("an error");
    assert!(error.contains("1048578 bytes") && error.contains("input_mib = 1"), "{error}");
    assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("Name files")), "{refused}");
    assert!(!world.path("infra/prompt").exists());
    assert_eq!(ask(1 << 20)["success"], true);
    assert!(world.recorded("infra", "prompt").len() > 1 << 20);
}

#[test]
fn a_component_that_cannot_be_used_stops_the_dispatch_before_it_costs() {
    let world = world_with_house("");
    let house = world.path("policies/house.wasm");
    let component = fs::read(built("xml.wasm")).expect("a component");
    let half = &component[..component.len() / 2];
    let files: [(Option<&[u8]>, &str); 5] = [
        (None, "cannot read its component"),
        (Some(b""), "no WebAssembly component"),
        (Some(b"hello"), "no WebAssembly component"),
        (Some(b"\0asm\x01\0\0\0"), "is a core WebAssembly module"),
        (Some(half), "does not compile"),
    ];
    let refused = |part: &str| {
        let reply = world.run(&["dispatch", "infra", "look", "--json"]).json();
        assert_eq!(reply["error_type"], "policy", "{reply}");
        let error = reply["error"].as_str().expect("error");
        assert!(error.contains("policy 'house'") && error.contains(part), "{part}: {error}");
        assert!(!world.path("infra/prompt").exists(), "{part}: nothing may have run");
    };
    for (content, part) in files {
        if let Some(content) = content {
            fs::write(&house, content).expect("a file");
        }
        refused(part);
    }
    let listed = world.run(&["list"]).stdout;
    assert!(listed.starts_with("infra  ok"), "only using it shows that it is bad: {listed}");
    fs::remove_file(&house).expect("a file");
    fs::create_dir(&house).expect("a folder");
    refused("not a regular file");
}

#[test]
fn list_finds_policies_that_are_not_there() {
    let world = world_with_house("");
    let listed = world.run(&["list"]).stdout;
    assert!(listed.starts_with("infra  unusable"), "{listed}");
    assert!(listed.contains("house.wasm is not there"), "{listed}");
    put(&world, "xml.wasm");
    assert!(world.run(&["list"]).stdout.starts_with("infra  ok"));
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!("{yaml}  policies: {{prompt: hose}}\n"));
    let listed = world.run(&["list", "--json"]).json();
    let error = listed[0]["error"].as_str().expect("error");
    assert!(error.contains("there is no prompt policy 'hose'"), "{error}");
}

#[test]
fn a_policy_of_another_kind_is_told_apart() {
    let world = world_with_house("");
    put(&world, "aggregate-majority.wasm");
    let reply = world.run(&["dispatch", "infra", "look", "--json"]).json();
    let error = reply["error"].as_str().expect("error");
    assert!(error.contains("is no prompt policy, but one for: aggregate"), "{error}");
}

#[test]
fn a_config_that_the_policy_refuses_costs_nothing() {
    let world = world_with_house(", config: {colour: red}");
    put(&world, "classic.wasm");
    let reply = world.run(&["dispatch", "infra", "look", "--json"]).json();
    assert_eq!(reply["error_type"], "policy", "{reply}");
    let error = reply["error"].as_str().expect("error");
    assert!(error.contains("its config is not usable"), "{error}");
    assert!(!world.path("infra/prompt").exists());
}

#[test]
fn a_fallback_stands_in_and_is_visible() {
    let world = world_with_house(", on_error: fallback");
    fs::write(world.path("policies/house.wasm"), "no component").expect("a file");
    let ran = world.run(&["dispatch", "infra", "look", "--json"]);
    let reply = ran.json();
    assert_eq!(reply["success"], true, "{ran:?}");
    assert_eq!(world.recorded("infra", "prompt"), "look");
    let fallback = reply["policy_fallback"].as_str().expect("policy_fallback");
    assert!(fallback.contains("policy 'house'") && fallback.contains("'classic'"), "{fallback}");
}

#[test]
fn a_limit_that_is_too_small_is_named_with_its_value() {
    let world = world_with_house(", limits: {memory_mib: 1}");
    put(&world, "xml.wasm");
    let reply = world.run(&["dispatch", "infra", "look", "--json"]).json();
    let error = reply["error"].as_str().expect("error");
    assert!(error.contains("memory_mib = 1"), "{error}");
    assert!(error.contains("xml 0.1.0"), "the component names itself: {error}");
}

#[test]
fn a_name_that_nobody_knows_lists_those_there_are() {
    let world = World::with_agent("record\nanswer hello");
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!(
        "{yaml}  policies: {{prompt: fancy}}\npolicies: {{house: {{component: ./house.wasm}}}}\n"
    ));
    let reply = world.run(&["dispatch", "infra", "look", "--json"]).json();
    let error = reply["error"].as_str().expect("error");
    assert!(
        error.contains("'fancy'") && error.contains("classic, xml") && error.contains("house"),
        "{error}"
    );
}

#[test]
fn a_component_is_compiled_once_and_never_stale() {
    let world = world_with_house("");
    put(&world, "xml.wasm");
    let compiled = || {
        let mut files: Vec<_> = fs::read_dir(world.cache().join("components"))
            .expect("the compiled components")
            .map(|entry| entry.expect("an entry"))
            .filter(|entry| entry.path().extension().is_some_and(|end| end == "cwasm"))
            .map(|entry| (entry.file_name(), entry.metadata().expect("metadata").modified().ok()))
            .collect();
        files.sort();
        files
    };
    world.run(&["dispatch", "infra", "look"]);
    let first = compiled();
    assert_eq!(first.len(), 1);
    world.run(&["dispatch", "infra", "look"]);
    assert_eq!(compiled(), first, "the second process uses what the first compiled");
    put(&world, "classic.wasm");
    world.run(&["dispatch", "infra", "look"]);
    assert_eq!(world.recorded("infra", "prompt"), "look");
    assert_eq!(compiled().len(), 2);
}

#[test]
fn a_compiled_file_that_others_could_have_written_is_not_run() {
    let world = World::with_agent("answer hello");
    world.run(&["dispatch", "infra", "look"]);
    let compiled = fs::read_dir(world.cache().join("components")).expect("the folder").next();
    let compiled = compiled.expect("a compiled component").expect("an entry").path();
    fs::set_permissions(&compiled, fs::Permissions::from_mode(0o666)).expect("a mode");
    assert_eq!(world.run(&["dispatch", "infra", "look"]).stdout, "hello\n");
    let mode = compiled.metadata().expect("compiled again").permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it was made anew");
    fs::write(&compiled, "not machine code").expect("a file");
    assert_eq!(world.run(&["dispatch", "infra", "look"]).stdout, "hello\n");
}

#[test]
fn a_full_disk_does_not_stop_a_dispatch() {
    // A folder that takes new files but no content, as a full disk does: a limit on
    // the size of files that this process and its children write.
    let world = World::with_agent("answer hello");
    let script =
        format!("trap '' XFSZ; ulimit -f 8; exec {} dispatch infra look", crate::support::BINARY);
    let output = world.command_of("sh").args(["-c", &script]).output().expect("sh runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{output:?}");
}

#[test]
fn without_a_folder_for_compiled_components_a_dispatch_works_all_the_same() {
    let world = World::with_agent("answer hello");
    fs::create_dir_all(world.cache().parent().expect("a parent")).expect("a folder");
    fs::write(world.cache(), "a file where the folder should be").expect("a file");
    let ran = world.run(&["dispatch", "infra", "look"]);
    assert_eq!(ran.stdout, "hello\n", "{ran:?}");
    assert!(ran.stderr.contains("cannot be kept on disk"), "{ran:?}");
}

#[test]
fn servers_that_start_together_share_one_compilation() {
    let world = World::with_agent("answer hello");
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(&world)).collect();
    for client in &mut clients {
        let call = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call",
            "params": {"name": "dispatch", "arguments": {"agent": "infra", "task": "look"}}});
        client.send(&call.to_string());
    }
    for client in &mut clients {
        let answer = client.receive();
        assert_eq!(answer["result"]["structuredContent"]["result"], "hello", "{answer}");
    }
    let left: Vec<PathBuf> = fs::read_dir(world.cache().join("components"))
        .expect("the compiled components")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].extension(), Some("cwasm".as_ref()));
}
