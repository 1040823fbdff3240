use std::path::Path;
use std::time::Duration;

use super::{File, config, is_wrong, problem, problems};
use crate::config::{Agent, AgentCache, Config, LookupError, ProblemKind};

/// The agent `infra` with these lines below its directory.
fn infra(lines: &str) -> Config {
    config(&format!("agents:\n  infra:\n    directory: /srv/infra\n{lines}"))
}

/// The only problem of the agent `infra` with this line; its number is 4.
fn infra_problem(line: &str) -> (ProblemKind, String) {
    problem(&format!("agents:\n  infra:\n    directory: /srv/infra\n    {line}\n"))
}

fn agent(config: &Config) -> &Agent {
    config.agent("infra").expect("a usable agent")
}

#[test]
fn every_key_is_read() {
    let config = infra(
        "    description: Terraform and DNS
    timeout: 90
    max_budget_usd: 1.5
    model: opus
    permission_mode: plan
    allowed_tools: [Read, 'Bash(git *)']
    disallowed_tools: []
    command: [/opt/claude, --verbose, '']
    strict_mcp: true
    setting_sources: [user, local]
    background_tasks: on
    keep_background: Yes
    cache: no
    policies: {prompt: house, describe: plain}
",
    );
    assert!(!is_wrong(&config), "{:#?}", config.problems);
    let agent = agent(&config);
    assert_eq!(agent.directory, Path::new("/srv/infra"));
    assert_eq!(agent.description, "Terraform and DNS");
    assert_eq!(agent.model.as_deref(), Some("opus"));
    assert_eq!(config.timeout(agent), Duration::from_secs(90));
    assert_eq!(config.budget(agent), Some(1.5));
    assert_eq!(config.permission_mode(agent), Some("plan"));
    assert_eq!(config.allowed_tools(agent), ["Read", "Bash(git *)"]);
    assert!(config.disallowed_tools(agent).is_empty());
    assert_eq!(config.command(agent), ["/opt/claude", "--verbose", ""]);
    assert!(agent.strict_mcp && agent.background_tasks && agent.keep_background);
    assert!(!agent.cache.enabled);
    assert_eq!(agent.setting_sources.as_deref(), Some(&["user".into(), "local".into()][..]));
    assert_eq!(config.prompt_policy(agent), "house");
    assert_eq!(config.describe_policy(agent), "plain");
}

#[test]
fn what_is_absent_or_null_is_inherited() {
    let settings = "settings:
  default_timeout: 77
  default_max_budget_usd: 2
  default_permission_mode: plan
  default_allowed_tools: [Read]
  default_disallowed_tools: [Bash]
  command: [/opt/claude]
  policies: {prompt: house, describe: plain}
";
    for lines in [
        "",
        "    timeout:\n    max_budget_usd:\n    model:\n    permission_mode:\n    allowed_tools:\n    disallowed_tools:\n    command:\n    policies:\n",
    ] {
        let config = infra(&format!("{lines}{settings}"));
        assert!(!is_wrong(&config), "{:#?}", config.problems);
        let agent = agent(&config);
        assert_eq!(config.timeout(agent), Duration::from_secs(77));
        assert_eq!(config.budget(agent), Some(2.0));
        assert_eq!(config.permission_mode(agent), Some("plan"));
        assert_eq!(config.allowed_tools(agent), ["Read"]);
        assert_eq!(config.disallowed_tools(agent), ["Bash"]);
        assert_eq!(config.command(agent), ["/opt/claude"]);
        assert_eq!(config.prompt_policy(agent), "house");
        assert_eq!(config.describe_policy(agent), "plain");
        assert_eq!((agent.model.as_ref(), agent.setting_sources.as_ref()), (None, None));
        assert!(!(agent.strict_mcp || agent.background_tasks || agent.keep_background));
        assert_eq!(agent.cache, AgentCache::default());
    }
}

#[test]
fn an_empty_list_of_tools_is_no_tools_and_not_the_default() {
    let config = infra("    allowed_tools: []\nsettings:\n  default_allowed_tools: [Read]\n");
    assert!(config.allowed_tools(agent(&config)).is_empty());
}

#[test]
fn an_agent_says_itself_whether_its_answers_are_shared() {
    let of = |written: &str, settings: &str| {
        let config = infra(&format!("    cache: {written}\nsettings:\n  cache: {settings}\n"));
        assert!(!is_wrong(&config), "{written}: {:#?}", config.problems);
        let cache = config.cache(agent(&config));
        (cache.enabled, cache.shared, config.shares_answers())
    };
    assert_eq!(of("{shared: true}", "{}"), (true, true, true));
    assert_eq!(of("{shared: no}", "{shared: true}"), (true, false, true));
    assert_eq!(of("{enabled: false}", "{shared: true}"), (false, true, true));
    assert_eq!(of("{}", "{shared: true}"), (true, true, true));
    assert_eq!(of("yes", "{enabled: false}"), (false, false, false));
    let said = infra_problem("cache: {share: true}");
    assert!(said.1.contains("did you mean 'shared'?"), "{said:?}");
}

#[test]
fn zero_is_the_default() {
    let config = infra(
        "    timeout: 0\n    max_budget_usd: 0\nsettings: {default_timeout: 9, default_max_budget_usd: 3}\n",
    );
    let agent = agent(&config);
    assert_eq!(config.timeout(agent), Duration::from_secs(9));
    assert_eq!(config.budget(agent), Some(3.0));
}

#[test]
fn numbers_are_read_as_the_python_tool_does() {
    for written in ["120", "'120'", "120.0", "'120.0'", "\" 120 \"", "+120", "1_20", "0x78"] {
        let config = infra(&format!("    timeout: {written}\n"));
        assert_eq!(agent(&config).timeout_seconds, Some(120), "{written}");
    }
    for written in ["1.5", "'1.5'", "15e-1", "0_1.5"] {
        let config = infra(&format!("    max_budget_usd: {written}\n"));
        assert_eq!(agent(&config).max_budget_usd, Some(1.5), "{written}");
    }
}

#[test]
fn wrong_values_disable_the_agent_and_say_where() {
    let cases = [
        (
            "cache: maybe",
            "4:12 agents.infra.cache: must be true or false, but is the text \"maybe\"",
        ),
        (
            "cache: {shared: maybe}",
            "4:21 agents.infra.cache.shared: must be true or false, but is the text \"maybe\"",
        ),
        ("strict_mcp: 2", "4:17 agents.infra.strict_mcp: must be true or false, but is 2"),
        (
            "setting_sources: [user, home]",
            "4:22 agents.infra.setting_sources: holds 'home'; there are only user, project, local",
        ),
        ("timeout: -1", "4:14 agents.infra.timeout: must be a whole number, at least 0, but is -1"),
        (
            "timeout: 1.5",
            "4:14 agents.infra.timeout: must be a whole number, at least 0, but is 1.5",
        ),
        (
            "timeout: 1:30",
            "4:14 agents.infra.timeout: must be a whole number, at least 0, but is the text \"1:30\"",
        ),
        (
            "timeout: 010",
            "4:14 agents.infra.timeout: must be a whole number, at least 0, but is the text \"010\"",
        ),
        (
            "timeout: .inf",
            "4:14 agents.infra.timeout: must be a whole number, at least 0, but is inf",
        ),
        (
            "timeout: true",
            "4:14 agents.infra.timeout: must be a whole number, at least 0, but is true",
        ),
        (
            "timeout: 99999999999",
            "4:14 agents.infra.timeout: must be a whole number, at least 0, but is 99999999999",
        ),
        (
            "max_budget_usd: .nan",
            "4:21 agents.infra.max_budget_usd: must be an amount in US dollars, at least 0, but is NaN",
        ),
        (
            "max_budget_usd: 'inf'",
            "4:21 agents.infra.max_budget_usd: must be an amount in US dollars, at least 0, but is the text \"inf\"",
        ),
        (
            "max_budget_usd: -0.5",
            "4:21 agents.infra.max_budget_usd: must be an amount in US dollars, at least 0, but is -0.5",
        ),
        (
            "max_budget_usd: true",
            "4:21 agents.infra.max_budget_usd: must be an amount in US dollars, at least 0, but is true",
        ),
        ("model: 4.10", "4:12 agents.infra.model: must be text, but is 4.1; put it in quotes"),
        (
            "allowed_tools: Read",
            "4:20 agents.infra.allowed_tools: must be a list, such as [a, b], but is the text \"Read\"",
        ),
        (
            "allowed_tools: [Read, {}]",
            "4:27 agents.infra.allowed_tools: must be text, but is a mapping",
        ),
        (
            "command: claude",
            "4:14 agents.infra.command: must be a list of a program and its arguments, such as [claude], but is the text \"claude\"",
        ),
        ("command: []", "4:14 agents.infra.command: must name a program, such as [claude]"),
        ("command: ['']", "4:15 agents.infra.command: must not be empty"),
        (
            "policies: house",
            "4:15 agents.infra.policies: must be a mapping of keys to values, but is the text \"house\"",
        ),
        ("policies: {prompt: ''}", "4:24 agents.infra.policies.prompt: must not be empty"),
        (
            "model: !env MODEL",
            "4:12 agents.infra.model: must be text, but is a value with the tag !env",
        ),
        (
            "directory: /srv/other",
            "4:5 agents.infra.directory: stands here twice; keep one of the two",
        ),
    ];
    for (written, said) in cases {
        let expected = format!("{said}; the agent is disabled until this is corrected");
        assert_eq!(infra_problem(written), (ProblemKind::DisablesAgent, expected), "{written}");
    }
}

#[test]
fn one_wrong_agent_leaves_the_others_working() {
    let config = config(
        "agents:\n  one: {directory: /1}\n  two: {directory: 2}\n  three: nothing\n  four: {directory: /4}\n",
    );
    let usable: Vec<_> = config.usable_agents().map(|agent| agent.name.as_str()).collect();
    assert_eq!(usable, ["one", "four"]);
    let Err(LookupError::Disabled { name, problem }) = config.agent("two") else {
        panic!("two has a number for a directory");
    };
    assert_eq!((name.as_str(), problem.line, problem.column), ("two", Some(3), Some(20)));
    let said = format!(
        "{}:3:20: agents.two.directory: must be text, but is 2; put it in quotes",
        config.file.display()
    );
    assert!(problem.to_string().starts_with(&said), "{problem}");
    assert!(config.agent("three").is_err());
    assert_eq!(config.problems.len(), 2);
    assert!(config.dispatching_blocked().is_none());
}

#[test]
fn directories_are_seen_from_the_config_files_folder_and_from_home() {
    let file = File::new(
        "agents:\n  a: {directory: sub/./dir/}\n  b: {directory: ../b}\n  c: {directory: ~/c}\n  d: {directory: '~'}\n  e: {directory: ~bob/e}\n",
    );
    let config = file.load().expect("a good file");
    let directory = |name| config.agent(name).map(|agent| agent.directory.clone()).ok();
    let home = etcetera::home_dir().expect("a home folder");
    assert_eq!(directory("a"), Some(file.folder.path().join("sub/dir")));
    assert_eq!(directory("b"), Some(file.folder.path().join("../b")));
    assert_eq!(directory("c"), Some(home.join("c")));
    assert_eq!(directory("d"), Some(home));
    assert_eq!(directory("e"), None);
    assert!(config.problems[0].message.starts_with("'~' stands for your own home folder only"));
}

#[test]
fn a_program_may_lie_in_the_home_folder() {
    let config = infra("    command: [~/bin/claude, ~/kept]\n");
    let home = etcetera::home_dir().expect("a home folder");
    let program = home.join("bin/claude").display().to_string();
    assert_eq!(config.command(agent(&config)), [program.as_str(), "~/kept"]);
}

#[test]
fn names_are_plain_words() {
    for name in ["a", "A-1_b", "9lives", "no", "on"] {
        let config = config(&format!("agents:\n  {name}: {{directory: /x}}\n"));
        assert!(config.agent(name).is_ok(), "{name}");
    }
    for name in ["-rf", "_a", "a.b", "a b", "é", "a/b"] {
        let text = format!("agents:\n  {name}: {{directory: /x}}\n");
        assert!(config(&text).agent(name).is_err(), "{name}");
        let expected = format!(
            "2:3 agents.{name}: a name has letters, digits, '-' and '_' only and begins with a letter or digit; the agent is disabled until this is corrected"
        );
        assert_eq!(problem(&text), (ProblemKind::DisablesAgent, expected));
    }
    assert!(config("agents:\n  \"a\\n\": {directory: /x}\n").agent("a\n").is_err());
}

#[test]
fn a_name_that_is_not_text_wants_quotes() {
    for (written, name) in [("123", "123"), ("true", "true"), ("1.5", "1.5")] {
        let text = format!("agents:\n  {written}: {{directory: /x}}\n  ok: {{directory: /y}}\n");
        let expected = format!(
            "2:3 agents.{name}: a name must be text; put it in quotes: \"{name}\"; the agent is disabled until this is corrected"
        );
        assert_eq!(problem(&text), (ProblemKind::DisablesAgent, expected));
        assert!(config(&text).agent("ok").is_ok());
    }
    assert!(config("agents:\n  '123': {directory: /x}\n").agent("123").is_ok());
}

#[test]
fn of_two_agents_with_one_name_the_last_counts() {
    let text = "agents:\n  a: {directory: /first}\n  b: {directory: /b}\n  a: {directory: /last}\n";
    let config = config(text);
    let names: Vec<_> = config.agents.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["a", "b"]);
    let agent = config.agent("a").expect("the last one is good");
    assert_eq!(agent.directory, Path::new("/last"));
    let expected = "4:3 agents.a: this name stands more than once; the last one counts".to_owned();
    assert_eq!(problem(text), (ProblemKind::Duplicate, expected));
}

#[test]
fn an_unknown_name_is_answered_as_the_python_tool_answers() {
    let text = "agents:\n  b: {directory: /b}\n  broken: {}\n  a: {directory: /a}\n";
    let said = |text: &str, name: &str| match config(text).agent(name) {
        Ok(agent) => panic!("{name} is {agent:?}"),
        Err(error) => error.to_string(),
    };
    assert_eq!(said(text, "x"), "Unknown agent: 'x'. Available: b, a");
    assert_eq!(said("", "x"), "Unknown agent: 'x'. Available: (none configured)");
    let quoted = |name| said("", name).replace(". Available: (none configured)", "");
    assert_eq!(quoted("it's"), "Unknown agent: \"it's\"");
    assert_eq!(quoted("'\""), "Unknown agent: '\\'\"'");
    assert_eq!(quoted("a\\b\n\t\r"), "Unknown agent: 'a\\\\b\\n\\t\\r'");
    assert_eq!(
        quoted("\0\u{7f}\u{a0}\u{200b}\u{e0001}"),
        "Unknown agent: '\\x00\\x7f\\xa0\\u200b\\U000e0001'"
    );
    assert_eq!(quoted("naïve \u{301}日本 🦀"), "Unknown agent: 'naïve \u{301}日本 🦀'");
    assert_eq!(quoted(""), "Unknown agent: ''");
}

#[test]
fn a_misspelt_key_is_named_and_the_agent_stays_usable() {
    let (kind, said) = infra_problem("time_out: 5");
    assert_eq!(kind, ProblemKind::UnknownKey);
    assert_eq!(
        said,
        "4:5 agents.infra.time_out: is not a key of agents.yaml and is ignored; did you mean 'timeout'?"
    );
    let (_, said) = infra_problem("colour: red");
    assert_eq!(said, "4:5 agents.infra.colour: is not a key of agents.yaml and is ignored");
    let (_, said) = infra_problem("policies: {promt: house}");
    assert!(said.ends_with("did you mean 'prompt'?"), "{said}");
    assert!(infra("    time_out: 5\n").agent("infra").is_ok());
}

#[test]
fn a_missing_directory_is_missed_and_the_likely_spelling_named() {
    let said = problems("agents:\n  infra:\n    direcotry: /srv\n");
    assert_eq!(
        said,
        [
            (ProblemKind::UnknownKey, "3:5 agents.infra.direcotry: is not a key of agents.yaml and is ignored; did you mean 'directory'?".to_owned()),
            (ProblemKind::DisablesAgent, "3:5 agents.infra.directory: is missing; the agent is disabled until this is corrected".to_owned()),
        ]
    );
}

#[test]
fn keys_to_come_are_named_once_each_and_only_where_they_say_something() {
    let said = problems(
        "agents:
  a: {directory: /a, capabilities: [x], risky_capabilities: [], instructions: ''}
  b: {directory: /b, capabilities: [y], instructions: Be brief}
groups:
  g: {members: [{agent: a}]}
",
    );
    let kept = "kept, but without effect: this version does not read it yet";
    let expected = [
        format!("2:22 agents.*.capabilities: {kept}"),
        format!("3:41 agents.*.instructions: {kept}"),
        format!("4:1 groups: {kept}"),
    ];
    assert_eq!(said, expected.map(|line| (ProblemKind::NotBuiltYet, line)));
}

#[test]
fn anchors_and_merge_keys_work() {
    let config = config(
        "agents:
  a: &base
    directory: /a
    timeout: 11
    tools: &tools [Read]
  b:
    <<: *base
    directory: /b
    allowed_tools: *tools
  c:
    <<: [{timeout: 1}, *base]
",
    );
    let get = |name| config.agent(name).expect("a usable agent");
    assert_eq!(
        (get("b").directory.as_path(), get("b").timeout_seconds),
        (Path::new("/b"), Some(11))
    );
    assert_eq!(get("b").allowed_tools.as_deref(), Some(&["Read".to_owned()][..]));
    assert_eq!(
        (get("c").directory.as_path(), get("c").timeout_seconds),
        (Path::new("/a"), Some(1))
    );
}

#[test]
fn a_wrong_value_that_came_by_an_alias_is_shown_where_it_is_written() {
    let (_, said) = problem(
        "settings: {default_permission_mode: &m default}\nagents:\n  a: {directory: /a, command: *m, model: opus}\n",
    );
    assert!(said.starts_with("1:37 agents.a.command: "), "{said}");
}
