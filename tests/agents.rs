//! Agents are added and removed, over MCP and on the command line.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::{Ran, World, fake_agent};

/// A world with projects and no agent.
fn world_with(projects: &[&str]) -> World {
    let world = World::new();
    world.config(&settings(""));
    for project in projects {
        world.agent(project, "answer hello");
    }
    world
}

fn settings(more: &str) -> String {
    format!("settings:\n  command: [{}]\n{more}", fake_agent().display())
}

fn config(world: &World) -> String {
    fs::read_to_string(world.config_file()).expect("the config")
}

#[track_caller]
fn names(world: &World) -> Vec<String> {
    let listed = world.run(&["list", "--json"]).json();
    let agents = listed.as_array().expect("agents");
    agents.iter().map(|agent| agent["name"].as_str().expect("a name").to_owned()).collect()
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("it is there").permissions().mode() & 0o7777
}

fn error(ran: &Ran) -> String {
    assert_eq!(ran.code, Some(1), "{ran:?}");
    ran.json()["error"].as_str().expect("an error").to_owned()
}

#[test]
fn from_nothing_to_a_dispatch() {
    let world = World::new();
    world.agent("shop", "answer hello");
    let config_file = world.path("home/new/agents.yaml");
    let run = |arguments: &[&str]| {
        let mut command = world.command();
        command.env("AGENT_DISPATCH_CONFIG", &config_file).args(arguments);
        let output = command.output().expect("the binary runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let added = run(&["add", "shop", "shop", "-d", "The shop: 50 % off #1", "--timeout", "60"]);
    assert!(added.contains("agent-dispatch test shop"), "{added}");
    assert_eq!((mode(&config_file), mode(&world.path("home/new"))), (0o600, 0o700));
    let listed: Value = serde_json::from_str(&run(&["list", "--json"])).expect("JSON");
    let directory = world.path("shop").canonicalize().expect("a directory");
    assert_eq!(listed[0]["name"], "shop");
    assert_eq!(listed[0]["directory"], json!(directory));
    assert_eq!(listed[0]["description"], "The shop: 50 % off #1");
    let mut text = fs::read_to_string(&config_file).expect("the config");
    text.push_str(&settings(""));
    fs::write(&config_file, text).expect("the config");
    assert_eq!(run(&["dispatch", "shop", "look"]), "hello\n");
    run(&["remove", "shop"]);
    assert_eq!(run(&["list", "--json"]), "[]\n");
}

#[test]
fn over_mcp_and_for_all_servers() {
    let world = world_with(&["shop"]);
    let mut client = Client::connect(&world);
    let mut other = Client::connect(&world);
    let directory = world.path("shop");
    let wanted = json!({"name": "shop", "directory": directory, "description": "Sells things"});
    let added = client.tool("add_agent", wanted.clone());
    let canonical = directory.canonicalize().expect("a directory");
    let expected = json!({"added": "shop", "directory": canonical, "description": "Sells things"});
    assert_eq!(added, expected);
    for client in [&mut client, &mut other] {
        let reply = client.tool("dispatch", json!({"agent": "shop", "task": "look"}));
        assert_eq!(reply["result"], "hello", "{reply}");
    }
    let again = client.tool("add_agent", wanted);
    assert_eq!(again["error"], "there is an agent 'shop' already");
    assert_eq!(client.tool("remove_agent", json!({"name": "shop"})), json!({"removed": "shop"}));
    let gone = other.tool("dispatch", json!({"agent": "shop", "task": "look"}));
    assert_eq!(gone["error"], "Unknown agent: 'shop'. Available: (none configured)");
    let gone = client.tool("remove_agent", json!({"name": "shop"}));
    assert!(gone["error"].as_str().is_some_and(|error| error.contains("'shop'")), "{gone}");
}

#[test]
fn what_nobody_described_describes_itself() {
    let world = world_with(&["shop", "bare"]);
    fs::write(world.path("shop/CLAUDE.md"), "# Shop\n\nSells: \"things\"\n").expect("a file");
    fs::write(world.path("shop/Cargo.toml"), "[package]\n").expect("a file");
    let added = world.run(&["add", "shop", "./shop", "--json"]).json();
    assert_eq!(added["description"], "Sells: \"things\" | Stack: Rust", "{added}");
    let mut client = Client::connect(&world);
    let bare = json!({"name": "bare", "directory": world.path("bare")});
    assert_eq!(client.tool("add_agent", bare)["description"], "Agent in bare");
    let listed = world.run(&["list", "--json"]).json();
    assert_eq!(listed[0]["description"], "Sells: \"things\" | Stack: Rust");
    let described = world.run(&["describe", "shop", "--json"]).json();
    assert_eq!(described["stacks"], json!(["Rust"]), "{described}");
}

#[test]
fn a_describe_policy_that_fails_adds_nothing_and_says_how_to_go_on() {
    let world = world_with(&["shop"]);
    let viewer = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policies/viewer.wasm");
    let policies = |more: &str| {
        let text = settings("  policies: {describe: view}\n");
        let viewer = viewer.display();
        world.config(&format!(
            "{text}policies:\n  view: {{component: {viewer}, config: {{trap: true}}{more}}}\n"
        ));
        config(&world)
    };
    let before = policies("");
    let refused = world.run(&["add", "shop", "shop", "--json"]);
    assert!(error(&refused).starts_with("'shop' was not described: policy 'view'"), "{refused:?}");
    let hint = refused.json()["hint"].as_str().expect("a hint").to_owned();
    assert!(hint.ends_with("Or say yourself what it is for."), "{hint}");
    assert_eq!(config(&world), before);
    // Nobody asks a policy about what is described.
    assert_eq!(world.run(&["add", "shop", "shop", "-d", "Sells"]).code, Some(0));
    assert_eq!(world.run(&["remove", "shop"]).code, Some(0));

    policies(", on_error: fallback");
    let added = world.run(&["add", "shop", "shop", "--json"]).json();
    assert_eq!(added["description"], "Agent in shop", "{added}");
    assert!(added["policy_fallback"].as_str().is_some_and(|said| said.contains("'view'")));
}

#[test]
fn bad_input_is_refused_and_changes_nothing() {
    let world = world_with(&["shop"]);
    fs::write(world.path("file"), "x").expect("a file");
    let before = config(&world);
    let shop = world.path("shop");
    let shop = shop.to_str().expect("UTF-8");
    let file = world.path("file");
    let file = file.to_str().expect("UTF-8");
    let mut client = Client::connect(&world);
    for (name, directory, part) in [
        ("a b", shop, "\"a b\" cannot be the name of an agent"),
        ("-x", shop, "cannot be the name of an agent"),
        ("ümlaut", shop, "cannot be the name of an agent"),
        ("../x", shop, "cannot be the name of an agent"),
        ("a:\n  b", shop, "cannot be the name of an agent"),
        ("shop", "/nowhere/at/all", "the directory /nowhere/at/all does not exist"),
        ("shop", "~nobody/x", "does not exist"),
        ("shop", file, "is not a directory"),
        ("shop", "a\0b", "cannot be looked at"),
    ] {
        let wanted = json!({"name": name, "directory": directory, "description": "x"});
        let refused = client.tool("add_agent", wanted);
        let error = refused["error"].as_str().unwrap_or_else(|| panic!("{refused}"));
        assert!(error.contains(part), "{error}");
        if !directory.contains('\0') {
            let refused = world.run(&["add", "--json", "-d", "x", "--", name, directory]);
            assert!(self::error(&refused).contains(part), "{refused:?}");
        }
    }
    for arguments in [
        json!({}),
        json!({"name": "x"}),
        json!({"name": "  ", "directory": shop}),
        json!({"name": "x", "directory": 7}),
        json!({"name": "x", "directory": shop, "description": ["x"]}),
    ] {
        let answer = client.call("add_agent", arguments);
        assert_eq!(answer["isError"], true, "{answer}");
    }
    let long = json!({"name": "shop", "directory": shop, "description": "x".repeat(9000)});
    let refused = client.tool("add_agent", long);
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("9000 bytes")));
    for usage in [
        &["add"][..],
        &["add", "shop"],
        &["add", "shop", shop, "--timeout", "0"],
        &["add", "shop", shop, "--scan", shop],
        &["add", "shop", shop, "--dry-run"],
        &["remove"],
        &["describe"],
    ] {
        assert_eq!(world.run(usage).code, Some(2), "{usage:?}");
    }
    assert_eq!(config(&world), before);
}

#[test]
fn clients_add_only_what_lies_in_the_roots() {
    let world = World::new();
    for project in ["roots/shop", "roots-2", "elsewhere"] {
        world.agent(project, "answer hello");
    }
    symlink(world.path("elsewhere"), world.path("roots/link")).expect("a link");
    symlink(world.path("roots"), world.path("way-in")).expect("a link");
    let mut client = Client::connect(&world);
    let mut add = |name: &str, directory: &str| {
        let directory = world.path(directory);
        client.tool("add_agent", json!({"name": name, "directory": directory, "description": "x"}))
    };
    world.config(&settings("  agent_roots: [./roots, /nowhere]\n"));
    for directory in ["elsewhere", "roots-2", "roots/../elsewhere", "roots/link", ""] {
        let refused = add("x", directory);
        let error = refused["error"].as_str().unwrap_or_else(|| panic!("{refused}"));
        assert!(error.contains("is in none of the directories"), "{error}");
        assert!(error.ends_with("roots, /nowhere"), "{error}");
        assert!(refused["hint"].as_str().is_some_and(|hint| hint.contains("`agent_roots`")));
    }
    assert_eq!(add("a", "roots/shop")["added"], "a");
    assert_eq!(add("b", "way-in/shop")["added"], "b");
    assert_eq!(add("c", "roots")["added"], "c");
    for roots in ["[]", "7", "[./roots, 7]"] {
        world.config(&settings(&format!("  agent_roots: {roots}\n")));
        let refused = add("d", "roots/shop");
        assert!(
            refused["error"].as_str().is_some_and(|error| error.ends_with(": none")),
            "{roots}"
        );
    }
    // Who owns the config adds what they want.
    assert_eq!(world.run(&["add", "e", "elsewhere", "-d", "x"]).code, Some(0));
    assert_eq!(names(&world), ["e"]);
}

#[test]
fn a_scan_shows_what_it_adds() {
    let world = World::new();
    let project = |name: &str, sign: &str| {
        let directory = world.path("work").join(name);
        fs::create_dir_all(&directory).expect("a folder");
        fs::write(directory.join(sign), format!("About {name}\n")).expect("a file");
    };
    for (name, sign) in [
        ("shop", "CLAUDE.md"),
        ("my site.org", "CLAUDE.md"),
        ("my-site-org", "CLAUDE.md"),
        ("infra", ".git"),
        ("taken", "CLAUDE.md"),
        ("known", "CLAUDE.md"),
        ("日本", "CLAUDE.md"),
        ("plain", "README.md"),
    ] {
        project(name, sign);
    }
    fs::write(world.path("work/CLAUDE.md"), "x").expect("a file");
    symlink(world.path("work/shop"), world.path("work/zz-shop")).expect("a link");
    let known = world.path("work/known");
    world.agent("other", "answer hello");
    world.config(&format!(
        "# mine\nagents:\n  taken: {{directory: ./other}}   # another\n  here: {{directory: {}}}\n",
        known.display()
    ));
    let before = config(&world);
    let dry = world.run(&["add", "--scan", "work", "--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry:?}");
    assert_eq!(config(&world), before);
    let shown: Vec<&str> = dry.stdout.lines().filter(|line| !line.starts_with(' ')).collect();
    let shown: Vec<&str> =
        shown.iter().map(|line| line.split(' ').next().expect("a name")).collect();
    assert_eq!(shown, ["infra", "my-site-org", "shop"], "{dry:?}");
    assert!(dry.stdout.contains("  About shop\n"), "{dry:?}");
    for (name, reason) in [
        ("my-site-org", "the name 'my-site-org' is taken"),
        ("taken", "the name 'taken' is taken"),
        ("known", "it is the agent 'here' already"),
        ("日本", "has no letter or digit"),
        ("zz-shop", "it is the agent 'shop' already"),
    ] {
        let line = dry.stderr.lines().find(|line| line.contains(&format!("/{name} is left out")));
        assert!(line.is_some_and(|line| line.contains(reason)), "{name}: {dry:?}");
    }
    let added = world.run(&["add", "--scan", "work", "--json"]).json();
    assert_eq!(added.as_array().map(Vec::len), Some(3), "{added}");
    assert_eq!(names(&world), ["taken", "here", "infra", "my-site-org", "shop"]);
    assert!(config(&world).starts_with(before.trim_end()), "{}", config(&world));
    let again = world.run(&["add", "--scan", "work"]);
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), ""), "{again:?}");
    let refused = world.run(&["add", "--scan", "nowhere", "--json"]);
    assert!(error(&refused).starts_with("cannot look through nowhere"), "{refused:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_scan_leaves_out_what_no_config_can_hold_and_adds_the_rest() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let world = world_with(&["work/shop"]);
    for name in [OsStr::from_bytes(b"caf\xe9"), OsStr::new("two\nlines"), OsStr::new("shop")] {
        let directory = world.path("work").join(name);
        fs::create_dir_all(&directory).expect("a folder");
        fs::write(directory.join("CLAUDE.md"), "A project.\n").expect("a file");
    }
    let added = world.run(&["add", "--scan", "work", "--json"]);
    assert_eq!(added.json().as_array().map(Vec::len), Some(1), "{added:?}");
    let left_out = "is left out: its path cannot stand in the config: it is not UTF-8";
    assert_eq!(added.stderr.matches(left_out).count(), 2, "{added:?}");
    assert_eq!(names(&world), ["shop"]);
}

#[test]
fn a_scan_adds_the_rest_where_one_project_is_not_described() {
    let world = world_with(&[]);
    for (name, size) in [("huge", 1 << 20), ("small", 1)] {
        let directory = world.path("work").join(name);
        fs::create_dir_all(&directory).expect("a folder");
        fs::write(directory.join("CLAUDE.md"), "x".repeat(size)).expect("a file");
    }
    let viewer = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/policies/viewer.wasm");
    // Room for the small file, and not for the huge one.
    world.config(&format!(
        "{}policies:\n  view: {{component: {}, config: {{steps: [read 9999999 CLAUDE.md]}}, limits: {{memory_mib: 2}}}}\n",
        settings("  policies: {describe: view}\n"),
        viewer.display()
    ));
    let added = world.run(&["add", "--scan", "work"]);
    assert_eq!(added.code, Some(0), "{added:?}");
    let left_out = "work/huge is left out: 'huge' was not described: policy 'view'";
    assert!(added.stderr.contains(left_out), "{added:?}");
    assert_eq!(names(&world), ["small"]);
    let again = world.run(&["add", "--scan", "work"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(again.stderr.contains("'huge' was not described"), "{again:?}");
}

#[test]
fn an_edit_leaves_the_rest_of_the_file_as_it_was() {
    let world = world_with(&["shop", "infra"]);
    let before = format!(
        "# Our projects\nagents:\n  infra:   # logs\n    directory: ~/../infra\n    colour: blue # unknown\n\n# limits\n{}",
        settings("  default_timeout: '60'   # seconds\n")
    );
    world.config(&before);
    fs::set_permissions(world.config_file(), Permissions::from_mode(0o640)).expect("a mode");
    let folder = mode(&world.path(""));
    fs::rename(world.config_file(), world.path("real.yaml")).expect("moved");
    symlink("real.yaml", world.config_file()).expect("a link");
    assert_eq!(world.run(&["add", "shop", "shop", "-d", "Sells"]).code, Some(0));
    assert!(world.config_file().is_symlink());
    assert_eq!((mode(&world.path("real.yaml")), mode(&world.path(""))), (0o640, folder));
    let with = config(&world);
    for line in before.lines() {
        assert!(with.contains(line), "{line} in {with}");
    }
    assert_eq!(names(&world), ["infra", "shop"]);
    assert_eq!(world.run(&["remove", "shop"]).code, Some(0));
    assert_eq!(config(&world), before);
}

#[test]
fn twelve_edits_at_once_lose_nothing() {
    let projects: Vec<String> = (0..12).map(|number| format!("project-{number}")).collect();
    let projects: Vec<&str> = projects.iter().map(String::as_str).collect();
    let world = world_with(&projects);
    std::thread::scope(|scope| {
        for (number, project) in projects.iter().enumerate() {
            let world = &world;
            scope.spawn(move || {
                if number % 2 == 0 {
                    let ran = world.run(&["add", project, project]);
                    assert_eq!(ran.code, Some(0), "{ran:?}");
                    return;
                }
                let wanted = json!({"name": project, "directory": world.path(project)});
                let added = Client::connect(world).tool("add_agent", wanted);
                assert_eq!(added["added"], *project, "{added}");
            });
        }
    });
    let mut found = names(&world);
    found.sort();
    let mut projects = projects;
    projects.sort_unstable();
    assert_eq!(found, projects);
    // Removed at once as well, and nothing else is left beside the config.
    std::thread::scope(|scope| {
        for project in &projects {
            let world = &world;
            scope.spawn(move || assert_eq!(world.run(&["remove", project]).code, Some(0)));
        }
    });
    assert_eq!(names(&world), [""; 0]);
    let beside = fs::read_dir(world.path("")).expect("the folder").flatten();
    let beside = beside.map(|entry| entry.file_name().into_string().expect("UTF-8"));
    let beside: Vec<String> = beside.filter(|name| name.contains("agents.yaml")).collect();
    assert!(beside.iter().all(|name| ["agents.yaml", "agents.yaml.lock"].contains(&&**name)));
}

#[test]
fn a_broken_config_is_never_written_to() {
    let world = world_with(&["shop"]);
    for broken in ["agents: {a: {directory: \"/tmp\n", "- a\n- b\n", "agents: [\n", "a: b: c\n"] {
        world.config(broken);
        let mut client = Client::connect(&world);
        let wanted = json!({"name": "shop", "directory": world.path("shop"), "description": "x"});
        for refused in [
            client.tool("add_agent", wanted),
            client.tool("remove_agent", json!({"name": "shop"})),
            world.run(&["add", "shop", "shop", "-d", "x", "--json"]).json(),
            world.run(&["remove", "shop", "--json"]).json(),
        ] {
            let error = refused["error"].as_str().unwrap_or_else(|| panic!("{refused}"));
            assert!(error.contains("agents.yaml"), "{error}");
            assert!(refused["hint"].is_string(), "{refused}");
        }
        assert_eq!(config(&world), broken);
    }
}

#[test]
fn a_removed_agent_finishes_what_it_does() {
    let world = World::with_agent("touch started\nwait go\nanswer done");
    let mut client = Client::connect(&world);
    client.begin("1", "dispatch", json!({"agent": "infra", "task": "look"}));
    world.wait_for("infra/started");
    let mut other = Client::connect(&world);
    assert_eq!(other.tool("remove_agent", json!({"name": "infra"}))["removed"], "infra");
    fs::write(world.path("infra/go"), "").expect("a file");
    assert_eq!(client.finish(1)["1"]["result"], "done");
}

#[test]
fn a_list_says_what_agents_set_themselves_and_what_is_amiss() {
    let world = world_with(&["plain", "own"]);
    let yaml = settings("  default_permission_mode: plan\n");
    world.config(&format!(
        "{yaml}agents:
  plain: {{directory: ./plain}}
  own: {{directory: ./own, permission_mode: acceptEdits, allowed_tools: [], disallowed_tools: [Write], policies: {{prompt: xml, describe: gone}}}}
policies:
  gone: {{component: ./gone.wasm}}
"
    ));
    let mut client = Client::connect(&world);
    let listed = client.tool("list_agents", json!({}));
    let keys: Vec<&String> = listed[0].as_object().expect("an agent").keys().collect();
    assert_eq!(
        keys,
        ["name", "directory", "description", "healthy", "has_claude_md", "has_mcp_config"]
    );
    let own = &listed[1];
    assert_eq!(own["permission_mode"], "acceptEdits");
    assert_eq!((&own["allowed_tools"], &own["disallowed_tools"]), (&json!([]), &json!(["Write"])));
    assert_eq!(own["prompt_policy"], "xml");
    let warning = own["warning"].as_str().expect("a warning");
    assert!(warning.contains("describe policy 'gone'") && warning.contains("gone.wasm"), "{own}");
    // It can be asked all the same, and a list asks no policy.
    assert!(own.get("error").is_none(), "{own}");
    let reply = client.tool("dispatch", json!({"agent": "own", "task": "look"}));
    assert_eq!(reply["result"], "hello", "{reply}");
    let shown = world.run(&["list"]);
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("describe policy 'gone'"), "{shown:?}");
}
