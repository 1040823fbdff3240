//! A config with mistakes in it: what still works, and what the user is told.

use serde_json::json;

use crate::support::World;
use crate::support::mcp::Client;

#[test]
fn broken_yaml_is_told_with_line_and_column_and_read_again_when_repaired() {
    let world = World::with_agent("answer hello");
    let good = world.agents_yaml(&["infra"]);
    let mut client = Client::connect(&world);
    world.config("agents:\n  infra: {directory: \"/tmp\n");
    for (tool, arguments) in
        [("list_agents", json!({})), ("dispatch", json!({"agent": "infra", "task": "x"}))]
    {
        let answer = client.tool(tool, arguments);
        let error = answer["error"].as_str().expect("error");
        let place = format!("{}:", world.config_file().display());
        let after = error.split_once(&place).expect("the file and where").1;
        let numbers: Vec<&str> = after.split(':').take(2).collect();
        assert!(numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{error}");
        assert!(answer["hint"].is_string(), "{answer}");
    }
    world.config(&good);
    assert_eq!(client.tool("dispatch", json!({"agent": "infra", "task": "x"}))["result"], "hello");
    assert_eq!(world.run(&["list"]).code, Some(0));
}

#[test]
fn one_bad_entry_disables_that_agent_only() {
    let world = World::with_agent("answer hello");
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&yaml.replace("settings:", "  broken:\n    directory: [1, 2]\nsettings:"));
    let listed = world.run(&["list", "--json"]).json();
    let error = listed[1]["error"].as_str().expect("error");
    assert!(
        error.contains("agents.yaml:5:") && error.contains("agents.broken.directory"),
        "{error}"
    );
    assert_eq!(world.run(&["dispatch", "infra", "x"]).stdout, "hello\n");
    let refused = world.run(&["dispatch", "broken", "x"]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("agents.broken.directory"), "{refused:?}");
}

#[test]
fn a_bad_limit_on_money_depth_or_concurrency_stops_dispatching() {
    for setting in
        ["max_dispatch_depth: many", "max_concurrency: 0", "default_max_budget_usd: .nan"]
    {
        let world = World::with_agent("record\nanswer hello");
        world.config(&format!("{}  {setting}\n", world.agents_yaml(&["infra"])));
        let ran = world.run(&["dispatch", "infra", "x"]);
        let key = setting.split(':').next().expect("a key");
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.stderr.contains(&format!("settings.{key}")), "{ran:?}");
        assert!(!world.path("infra/prompt").exists());
    }
}

#[test]
fn another_bad_setting_has_its_default_and_list_says_so() {
    let world = World::with_agent("answer hello");
    world.config(&format!("{}  default_timeout: soon\n", world.agents_yaml(&["infra"])));
    assert_eq!(world.run(&["dispatch", "infra", "x"]).stdout, "hello\n");
    let listed = world.run(&["list"]);
    assert!(listed.stderr.contains("settings.default_timeout"), "{listed:?}");
}

#[test]
fn the_default_timeout_applies_to_an_agent_that_has_none() {
    let world = World::with_agent("hang");
    world.config(&format!("{}  default_timeout: 1\n", world.agents_yaml(&["infra"])));
    let reply = world.run(&["dispatch", "infra", "x", "--json"]).json();
    assert_eq!(reply["error_type"], "timeout", "{reply}");
    assert!(reply["error"].as_str().is_some_and(|error| error.contains("1 s")), "{reply}");
}

#[test]
fn settings_reach_the_command_line() {
    let world = World::with_agent("record\nanswer hello");
    let yaml = world.agents_yaml(&["infra"]).replace(
        "settings:\n",
        "    model: opus\n    max_budget_usd: 2\n    disallowed_tools: []\nsettings:\n  \
         default_permission_mode: plan\n  default_allowed_tools: [Read, Grep]\n  \
         default_disallowed_tools: [Write]\n",
    );
    world.config(&yaml);
    assert_eq!(world.run(&["dispatch", "infra", "x"]).code, Some(0));
    let arguments = world.recorded("infra", "arguments");
    let session =
        arguments.lines().find(|line| line.starts_with("--session-id=")).expect("a session");
    let expected = format!(
        "-p\n--output-format\nstream-json\n--verbose\n{session}\n--max-budget-usd=2.0\n\
         --model=opus\n--permission-mode=plan\n--allowedTools=Read,Grep"
    );
    assert_eq!(arguments, expected);
}

#[test]
fn a_byte_order_mark_and_the_python_tools_other_keys_are_fine() {
    let world = World::with_agent("answer hello");
    let yaml = world.agents_yaml(&["infra"]);
    world.config(&format!(
        "\u{feff}{yaml}  usage_log: false\n  dispatch_protocol: true\ngroups: {{ops: {{members: []}}}}\n"
    ));
    assert_eq!(world.run(&["dispatch", "infra", "x"]).stdout, "hello\n");
    let listed = world.run(&["list"]);
    for key in ["settings.usage_log", "settings.dispatch_protocol", "groups"] {
        assert!(listed.stderr.contains(key), "{key}: {listed:?}");
    }
}
