//! Setting up: `init`, `doctor`, and what shells and readers are given.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::{BINARY, Ran, World};

/// Stands in for `claude mcp add-json`, `claude mcp remove` and `claude --version`, which
/// keep what they know where the real one does.
const CLAUDE: &str = r#"#!/bin/sh
set -eu
file="${CLAUDE_CONFIG_DIR:-$HOME}/.claude.json"
echo "$*" >>"$HOME/calls"
case "$1 ${2-}" in
"--version ") echo "9.9.9 (Claude Code)" ;;
"mcp add-json")
    [ "$5" = user ] && [ "$3" = agent-dispatch ]
    if [ -e "$HOME/refuse" ]; then rm "$HOME/refuse"; echo "no room for it" >&2; exit 1; fi
    printf '{"mcpServers": {"agent-dispatch": %s}}' "$4" >"$file" ;;
"mcp remove") [ "$5" = user ]; printf '{"mcpServers": {}}' >"$file" ;;
*) exit 2 ;;
esac
"#;

/// A world in which that program is all of Claude Code there is.
fn world() -> World {
    let world = World::new();
    let bin = world.path("bin");
    fs::create_dir(&bin).expect("a folder");
    script(&bin.join("claude"), CLAUDE);
    world
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).expect("a script");
    fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a mode");
}

/// The binary under test, with `claude` from that world and nothing else on `PATH` that
/// tests bring along.
fn command(world: &World) -> Command {
    let mut command = world.command();
    command.env("PATH", format!("{}:/usr/bin:/bin", world.path("bin").display()));
    command
}

fn run(world: &World, arguments: &[&str]) -> Ran {
    ran(command(world).args(arguments))
}

fn ran(command: &mut Command) -> Ran {
    let output = command.output().expect("the binary runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn registered(world: &World) -> Value {
    let text = fs::read_to_string(world.path("home/.claude.json")).unwrap_or("{}".to_owned());
    let all: Value = serde_json::from_str(&text).expect("JSON");
    all["mcpServers"]["agent-dispatch"].clone()
}

fn calls(world: &World) -> usize {
    fs::read_to_string(world.path("home/calls")).unwrap_or_default().lines().count()
}

fn register(world: &World, value: &Value) {
    let all = json!({"mcpServers": {"agent-dispatch": value, "other": {"command": "x"}}});
    fs::write(world.path("home/.claude.json"), all.to_string()).expect("a file");
}

#[test]
fn init_makes_a_config_and_registers_the_server_once() {
    let world = world();
    let mut usual = command(&world);
    let done = ran(usual.env_remove("AGENT_DISPATCH_CONFIG").arg("init"));
    assert_eq!(done.code, Some(0), "{done:?}");
    let config = world.path("home/.config/agent-dispatch/agents.yaml");
    assert!(done.stdout.contains(&config.display().to_string()), "{done:?}");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&config), mode(config.parent().expect("a folder"))), (0o600, 0o700));
    assert!(fs::read_to_string(&config).expect("text").ends_with("agents: {}\n"));
    let expected = json!({"type": "stdio", "command": BINARY, "args": ["serve"]});
    assert_eq!(registered(&world), expected);

    fs::write(&config, "agents: {} # mine\n").expect("a file");
    let again = ran(command(&world).env_remove("AGENT_DISPATCH_CONFIG").arg("init"));
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.contains("registered already"), "{again:?}");
    assert_eq!(fs::read_to_string(&config).expect("text"), "agents: {} # mine\n");
    assert_eq!(calls(&world), 1);
    // The next steps work as they are printed.
    world.agent("shop", "answer hello");
    let mut add = command(&world);
    let added = ran(add.env_remove("AGENT_DISPATCH_CONFIG").args(["add", "shop", "shop"]));
    assert_eq!(added.code, Some(0), "{added:?}");
}

#[test]
fn init_passes_the_config_on_and_odd_paths_survive() {
    let world = world();
    let odd = world.path("home/it's \"odd\" ünd/a b.yaml");
    let done = ran(command(&world).env("AGENT_DISPATCH_CONFIG", &odd).args(["init", "--json"]));
    assert_eq!(done.code, Some(0), "{done:?}");
    let said = done.json();
    assert_eq!(said["config_created"], true);
    assert_eq!(said["registration"], "added");
    assert_eq!(registered(&world)["env"], json!({"AGENT_DISPATCH_CONFIG": odd}));
    assert!(odd.is_file());
    // With another config it is another registration.
    let other = run(&world, &["init", "--json"]);
    assert_eq!(other.code, Some(1), "{other:?}");
    let error = other.json()["error"].as_str().expect("an error").to_owned();
    assert!(error.contains("a b.yaml") && error.contains("agents.yaml"), "{error}");
    // The program is the same: the two differ in nothing but what is shown of the config.
    let warned = run(&world, &["doctor"]).stdout;
    assert!(warned.contains("a b.yaml") && warned.contains("; this one is "), "{warned}");
    let replaced = run(&world, &["init", "--force"]).stdout;
    let (this, instead) = replaced.split_once(", instead of ").expect("both");
    assert!(this.ends_with(&world.config_file().display().to_string()), "{replaced}");
    assert!(instead.contains("a b.yaml"), "{replaced}");
}

#[test]
fn init_replaces_another_server_only_when_forced() {
    let world = world();
    let python = json!({"type": "stdio", "command": "/opt/python/agent-dispatch", "args": ["serve"], "env": {}});
    register(&world, &python);
    let refused = run(&world, &["init"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for part in ["/opt/python/agent-dispatch serve", BINARY, "agent-dispatch init --force"] {
        assert!(refused.stderr.contains(part), "{part}: {refused:?}");
    }
    assert_eq!((registered(&world), calls(&world)), (python.clone(), 0));

    // Where it cannot be registered the other one is again.
    fs::write(world.path("home/refuse"), "").expect("a file");
    let failed = run(&world, &["init", "--force", "--json"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let error = failed.json()["error"].as_str().expect("an error").to_owned();
    assert!(error.contains("no room for it"), "{error}");
    assert!(error.ends_with("what was registered before is registered again"), "{error}");
    assert_eq!(registered(&world), python);

    let done = run(&world, &["init", "--force"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(registered(&world)["command"], BINARY);
}

#[test]
fn init_that_fails_says_what_to_do_by_hand() {
    let world = world();
    fs::write(world.path("home/refuse"), "").expect("a file");
    let failed = run(&world, &["init", "--json"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    let said = failed.json();
    assert!(
        said["error"].as_str().is_some_and(|error| error.ends_with("no room for it")),
        "{said}"
    );
    let hint = said["hint"].as_str().expect("a hint");
    let (_, by_hand) = hint.split_once(": ").expect("a command");
    // What is printed works when it is pasted.
    let mut shell = Command::new("/bin/sh");
    let path = format!("{}:/usr/bin:/bin", world.path("bin").display());
    let pasted = shell.args(["-c", by_hand]).env("HOME", world.path("home")).env("PATH", path);
    assert!(pasted.stdout(Stdio::null()).status().expect("a shell").success());
    assert_eq!(run(&world, &["init", "--json"]).json()["registration"], "present");

    fs::write(world.path("home/.claude.json"), "{broken").expect("a file");
    let failed = run(&world, &["init", "--json"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stdout.contains("is no JSON"), "{failed:?}");
    assert_eq!(fs::read_to_string(world.path("home/.claude.json")).expect("text"), "{broken");

    fs::remove_file(world.path("bin/claude")).expect("it is there");
    fs::remove_file(world.path("home/.claude.json")).expect("it is there");
    let failed = run(&world, &["init", "--json"]);
    assert_eq!(failed.code, Some(1), "{failed:?}");
    assert!(failed.stdout.contains("'claude' is not on PATH"), "{failed:?}");
}

/// The checks of `doctor --json` that are not well, as `section: status: message`.
fn ills(said: &Value) -> Vec<String> {
    let checks = said["checks"].as_array().unwrap_or_else(|| panic!("{said}"));
    let ill = checks.iter().filter(|check| check["status"] != "ok");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    ill.map(|check| {
        format!(
            "{}: {}: {}",
            text(&check["section"]),
            text(&check["status"]),
            text(&check["message"])
        )
    })
    .collect()
}

#[test]
fn doctor_finds_nothing_where_all_is_well() {
    let world = world();
    world.agent("shop", "answer hello");
    world.config("agents: {shop: {directory: ./shop}}\n");
    assert_eq!(run(&world, &["init"]).code, Some(0));
    let well = run(&world, &["doctor", "--json"]);
    let said = well.json();
    assert_eq!(ills(&said), [""; 0]);
    assert_eq!(
        (well.code, &said["schema_version"], &said["status"]),
        (Some(0), &json!(1), &json!("ok"))
    );
    let all = said.to_string();
    for part in
        ["claude: 9.9.9 (Claude Code)", "prompt: classic (", "1 can be asked: shop", "starts "]
    {
        assert!(all.contains(part), "{part}: {said}");
    }
    let shown = run(&world, &["doctor"]);
    assert_eq!(shown.code, Some(0));
    assert!(shown.stdout.ends_with("Everything is as it should be.\n"), "{shown:?}");
}

#[test]
fn doctor_names_all_that_is_amiss() {
    let world = world();
    let nothing = run(&world, &["doctor", "--json"]);
    assert_eq!(nothing.code, Some(0), "{nothing:?}");
    let said = nothing.json();
    assert_eq!((&said["status"], &said["issues"]), (&json!("warn"), &json!(0)));
    assert_eq!(ills(&said).len(), 3, "{said}");

    fs::write(world.path("broken.wasm"), "no component").expect("a file");
    let vote =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("plugins/built/aggregate-majority.wasm");
    script(&world.path("bin/sick"), "#!/bin/sh\necho no licence\nexit 3\n");
    world.agent("shop", "answer hello");
    world.config(&format!(
        "agents:
  shop: {{directory: ./shop, policies: {{prompt: broken, describe: nobody}}}}
  gone: {{directory: ./gone, command: [missing-cli, x]}}
  sick: {{directory: ./shop, command: [sick]}}
  bad: {{directory: 7}}
policies:
  broken: {{component: ./broken.wasm}}
  spare: {{component: ./nowhere.wasm}}
  vote: {{component: {}, may_ask: [stranger]}}
settings: {{default_timeout: soon, colour: red}}
",
        vote.display()
    ));
    register(&world, &json!({"command": "/nowhere/agent-dispatch", "args": ["serve"]}));
    let ill = run(&world, &["doctor", "--json"]);
    let said = ill.json();
    assert_eq!((ill.code, &said["status"]), (Some(1), &json!("fail")), "{said}");
    let found = ills(&said);
    for (section, status, part) in [
        ("Config", "fail", "agents.bad.directory"),
        ("Config", "warn", "settings.default_timeout"),
        ("Config", "warn", "settings.colour"),
        ("Agent CLI", "fail", "missing-cli x: it is not there"),
        ("Agent CLI", "fail", "sick: `--version` failed: no licence"),
        ("Policies", "fail", "policy 'broken'"),
        ("Policies", "fail", "there is no describe policy 'nobody'"),
        ("Policies", "warn", "policy 'spare'"),
        ("Policies", "warn", "'vote' may ask 'stranger'"),
        ("Agents", "fail", "gone: "),
        ("Claude Code", "warn", "/nowhere/agent-dispatch serve"),
    ] {
        let beginning = format!("{section}: {status}: ");
        let found = found.iter().any(|ill| ill.starts_with(&beginning) && ill.contains(part));
        assert!(found, "{section} {status} {part}: {said:#}");
    }
    let counted = |key: &str| said[key].as_u64().expect("a number");
    assert_eq!(usize::try_from(counted("issues") + counted("warnings")), Ok(found.len()));

    world.config("agents: [\n");
    let broken = run(&world, &["doctor", "--json"]);
    assert_eq!(broken.code, Some(1), "{broken:?}");
    assert!(ills(&broken.json())[0].starts_with("Config: fail: could not load"), "{broken:?}");
}

#[test]
fn shells_and_readers_are_served() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.run(&["completions", shell]);
        assert_eq!(script.code, Some(0), "{script:?}");
        assert!(script.stdout.contains("dispatch") && script.stdout.contains("doctor"), "{shell}");
        for internal in ["practice-agent", "compile-policy", "runner"] {
            assert!(!script.stdout.contains(internal), "{shell}: {internal}");
        }
    }
    assert_eq!(world.run(&["completions", "tcsh"]).code, Some(2));
    // What a shell makes of it.
    let script = world.path("completions.bash");
    fs::write(&script, world.run(&["completions", "bash"]).stdout).expect("a file");
    let mut bash = world.command_of("bash");
    let complete = "source \"$0\"; COMP_WORDS=(agent-dispatch rem); COMP_CWORD=1
        function=$(complete -p agent-dispatch | sed 's/.* -F \\([^ ]*\\) .*/\\1/')
        $function agent-dispatch rem agent-dispatch; echo \"${COMPREPLY[*]}\"";
    if let Ok(output) = bash.args(["-c", complete]).arg(&script).output() {
        assert_eq!(String::from_utf8_lossy(&output.stdout), "remove\n", "{output:?}");
    }
    let page = world.run(&["man"]);
    assert!(page.stdout.contains(".TH agent-dispatch 1"), "{page:?}");
    assert_eq!(world.run(&["man", "--dir", "pages"]).code, Some(0));
    let pages = fs::read_dir(world.path("pages")).expect("a folder").flatten();
    let pages: Vec<String> =
        pages.map(|page| page.file_name().into_string().expect("UTF-8")).collect();
    assert!(pages.contains(&"agent-dispatch-add.1".to_owned()), "{pages:?}");
    assert!(!pages.iter().any(|page| page.contains("runner")), "{pages:?}");
}

#[test]
fn a_dispatch_says_how_to_go_on_by_hand() {
    let world = World::new();
    let directory = world.agent("it's odd", "record\nanswer hello");
    world.config(&world.agents_yaml(&["it's odd"]).replace("  it's odd:\n", "  odd:\n"));
    let ran = world.run(&["dispatch", "odd", "look"]);
    assert_eq!(ran.stdout, "hello\n", "{ran:?}");
    let (_, command) = ran.stderr.split_once("by hand: ").unwrap_or_else(|| panic!("{ran:?}"));
    // It runs as printed: the agent CLI, in the directory of the conversation.
    fs::remove_file(directory.join("arguments")).expect("the agent has run");
    let output = world.command_of("/bin/sh").args(["-c", command]).output().expect("a shell");
    assert!(output.status.success(), "{output:?}");
    let arguments = world.recorded("it's odd", "arguments");
    let session = arguments.strip_prefix("--resume\n").unwrap_or_else(|| panic!("{arguments}"));
    assert_eq!(session.trim().len(), 36, "{arguments}");
    let json = world.run(&["dispatch", "odd", "look", "--json"]);
    assert!(!json.stderr.contains("by hand"), "{json:?}");
    let never = world.run(&["dispatch", "odd", "look", "--session", &"x".repeat(10_000)]);
    assert!(!never.stderr.contains("by hand"), "{never:?}");
}
