use super::{config, is_wrong, problem, problems};
use crate::config::{
    AggregateSettings, CacheSettings, LimitOverrides, PolicyNames, ProblemKind, Settings,
};

#[test]
fn without_settings_the_defaults_apply() {
    for text in
        ["", "# nothing\n", "settings:\n", "settings: {}\n", "agents:\nsettings: ~\n", "\u{feff}"]
    {
        let config = config(text);
        assert_eq!(config.settings, Settings::default(), "{text:?}");
        assert_eq!(config.problems, [], "{text:?}");
        assert!(config.agents.is_empty());
    }
    let settings = Settings::default();
    assert_eq!(
        (settings.default_timeout, settings.max_dispatch_depth, settings.max_concurrency),
        (300, 3, 5)
    );
    assert_eq!(settings.command, ["claude"]);
}

#[test]
fn every_key_is_read() {
    let config = config(
        "settings:
  default_timeout: '60'
  default_max_budget_usd: 0.25
  default_permission_mode: acceptEdits
  default_allowed_tools: [Read]
  default_disallowed_tools: [Bash]
  max_dispatch_depth: 1
  max_concurrency: 9.0
  max_queued_jobs: 20
  agent_roots: [/srv/./projects, /work]
  aggregate: {max_rounds: 2, max_asks: 0, budget_usd: 0.5}
  command: [npx, claude]
  cache: {enabled: no, ttl: 0, max_size: '7', shared: on}
  job_retention_days: 30
  record_policies: yes
  task_after_seconds: off
  inline_limit: '0'
  policies: {prompt: a, describe: b, aggregate: c, dialogue: d}
  policy_limits: {timeout_ms: 5, memory_mib: 6, input_mib: 7, output_mib: 8, log_kib: 9}
",
    );
    assert!(!is_wrong(&config), "{:#?}", config.problems);
    let expected = Settings {
        default_timeout: 60,
        default_max_budget_usd: Some(0.25),
        default_permission_mode: Some("acceptEdits".to_owned()),
        default_allowed_tools: vec!["Read".to_owned()],
        default_disallowed_tools: vec!["Bash".to_owned()],
        max_dispatch_depth: 1,
        max_concurrency: 9,
        max_queued_jobs: 20,
        agent_roots: Some(vec!["/srv/projects".into(), "/work".into()]),
        aggregate: AggregateSettings { max_rounds: 2, max_asks: 0, budget_usd: Some(0.5) },
        command: vec!["npx".to_owned(), "claude".to_owned()],
        cache: CacheSettings { enabled: false, ttl: 0, max_size: 7, shared: true },
        job_retention_days: 30,
        record_policies: true,
        task_after_seconds: None,
        inline_limit: 0,
        policies: PolicyNames {
            prompt: "a".to_owned(),
            describe: "b".to_owned(),
            aggregate: "c".to_owned(),
            dialogue: "d".to_owned(),
        },
        policy_limits: LimitOverrides {
            timeout_ms: Some(5),
            memory_mib: Some(6),
            input_mib: Some(7),
            output_mib: Some(8),
            log_kib: Some(9),
        },
    };
    assert_eq!(config.settings, expected);
}

#[test]
fn a_wrong_value_has_its_default_and_leaves_the_rest() {
    let cases = [
        (
            "default_timeout: 0",
            "2:20 settings.default_timeout: must be a whole number, at least 1, but is 0; the default 300 applies",
        ),
        (
            "default_allowed_tools: Read",
            "2:26 settings.default_allowed_tools: must be a list, such as [a, b], but is the text \"Read\"; the default [] applies",
        ),
        (
            "cache: {max_size: 0}",
            "2:21 settings.cache.max_size: must be a whole number, at least 1, but is 0; the default 1000 applies",
        ),
        (
            "cache: {shared: maybe}",
            "2:19 settings.cache.shared: must be true or false, but is the text \"maybe\"; the default false applies",
        ),
        (
            "task_after_seconds: soon",
            "2:23 settings.task_after_seconds: must be a whole number, at least 0, or off, but is the text \"soon\"; the default 20 applies",
        ),
        (
            "inline_limit: -1",
            "2:17 settings.inline_limit: must be a whole number, at least 0, but is -1; the default 40960 applies",
        ),
        (
            "policies: []",
            "2:13 settings.policies: must be a mapping of keys to values, but is a list; the defaults apply",
        ),
        (
            "policies: {prompt: 1}",
            "2:22 settings.policies.prompt: must be text, but is 1; put it in quotes; the default \"classic\" applies",
        ),
        (
            "policy_limits: {memory_mib: 5000}",
            "2:31 settings.policy_limits.memory_mib: must be a whole number from 1 to 4096, but is 5000; it is as if the key were not there",
        ),
    ];
    for (written, said) in cases {
        let text = format!("settings:\n  {written}\n  max_concurrency: 7\n");
        assert_eq!(problem(&text), (ProblemKind::DefaultApplies, said.to_owned()), "{written}");
        let config = config(&text);
        let expected = Settings { max_concurrency: 7, ..Settings::default() };
        assert_eq!(config.settings, expected, "{written}");
        assert!(config.dispatching_blocked().is_none());
    }
}

#[test]
fn a_wrong_bound_on_what_agents_may_spend_or_do_stops_dispatching() {
    let cases = [
        (
            "default_permission_mode: 1",
            "2:28 settings.default_permission_mode: must be text, but is 1; put it in quotes",
        ),
        (
            "default_disallowed_tools: Bash",
            "2:29 settings.default_disallowed_tools: must be a list, such as [a, b], but is the text \"Bash\"",
        ),
        (
            "command: {}",
            "2:12 settings.command: must be a list of a program and its arguments, such as [claude], but is a mapping",
        ),
        (
            "max_dispatch_depth: 0",
            "2:23 settings.max_dispatch_depth: must be a whole number, at least 1, but is 0",
        ),
        (
            "max_concurrency: many",
            "2:20 settings.max_concurrency: must be a whole number, at least 1, but is the text \"many\"",
        ),
        (
            "max_queued_jobs: 0",
            "2:20 settings.max_queued_jobs: must be a whole number, at least 1, but is 0",
        ),
        (
            "default_max_budget_usd: -1",
            "2:27 settings.default_max_budget_usd: must be an amount in US dollars, at least 0, but is -1",
        ),
        (
            "default_max_budget_usd: .inf",
            "2:27 settings.default_max_budget_usd: must be an amount in US dollars, at least 0, but is inf",
        ),
    ];
    for (written, said) in cases {
        let text = format!("settings:\n  {written}\nagents: {{a: {{directory: /a}}}}\n");
        let expected = format!("{said}; nothing is dispatched until this is corrected");
        assert_eq!(problem(&text), (ProblemKind::StopsDispatching, expected), "{written}");
        let config = config(&text);
        assert_eq!(config.dispatching_blocked(), config.problems.first());
        assert!(config.agent("a").is_ok(), "the agent itself is good");
    }
    let (kind, said) = problem("settings: [max_concurrency]\n");
    assert_eq!(kind, ProblemKind::StopsDispatching, "{said}");
}

#[test]
fn where_it_is_unknown_what_clients_may_add_they_may_add_nothing() {
    for written in ["agent_roots: /srv", "agent_roots: {a: b}", "agent_roots: [/srv, 7]"] {
        let config = config(&format!("settings: {{{written}}}\n"));
        assert_eq!(config.settings.agent_roots, Some(Vec::new()), "{written}");
        let problem = &config.problems[0];
        assert_eq!(problem.kind, ProblemKind::DefaultApplies);
        assert!(problem.message.ends_with("; no client can add agents"), "{problem}");
    }
    assert_eq!(config("settings: [agent_roots]\n").settings.agent_roots, Some(Vec::new()));
    assert_eq!(config("settings: {agent_roots: []}\n").settings.agent_roots, Some(Vec::new()));
    assert_eq!(config("settings: {agent_roots: null}\n").settings.agent_roots, None);
}

#[test]
fn what_the_python_tool_writes_out_is_accepted_and_named() {
    let said = problems(
        "agents: {}
groups: {}
settings:
  default_timeout: 300
  default_max_budget_usd: null
  default_permission_mode: null
  default_allowed_tools: []
  default_disallowed_tools: []
  max_dispatch_depth: 3
  max_concurrency: 5
  cache:
    enabled: true
    ttl: 300
    max_size: 1000
  job_retention_days: 0
  dispatch_protocol: true
  usage_log: true
",
    );
    let keys: Vec<_> = said.iter().map(|(kind, said)| (*kind, said.split(": ").next())).collect();
    let expected = ["16:3 settings.dispatch_protocol", "17:3 settings.usage_log"];
    assert_eq!(keys, expected.map(|key| (ProblemKind::NotBuiltYet, Some(key))));
}

#[test]
fn misspelt_and_repeated_keys_are_named() {
    let said = problems(
        "setings: {}\nagent: {}\n7: x\nsettings:\n  default_timeout: 1\n  max_concurency: 2\n  default_timeout: 2\nsettings:\n  max_concurrency: 4\n",
    );
    let unknown = |said: &str| (ProblemKind::UnknownKey, said.to_owned());
    assert_eq!(
        said,
        [
            unknown(
                "1:1 setings: is not a key of agents.yaml and is ignored; did you mean 'settings'?"
            ),
            unknown(
                "2:1 agent: is not a key of agents.yaml and is ignored; did you mean 'agents'?"
            ),
            unknown("3:1 7: is not a key of agents.yaml and is ignored"),
            (
                ProblemKind::Duplicate,
                "8:1 settings: stands more than once; the last one counts".to_owned()
            ),
        ]
    );
    let said =
        problems("settings:\n  max_concurency: 2\n  default_timeout: x\n  default_timeout: 2\n");
    assert_eq!(
        said,
        [
            unknown(
                "2:3 settings.max_concurency: is not a key of agents.yaml and is ignored; did you mean 'max_concurrency'?"
            ),
            (
                ProblemKind::Duplicate,
                "4:3 settings.default_timeout: stands more than once; the last one counts"
                    .to_owned()
            ),
        ]
    );
}

#[test]
fn a_cache_is_off_where_it_cannot_be_read_whether_it_is_on() {
    let cases = [
        (
            "cache: maybe",
            "2:10 settings.cache: must be a mapping of keys to values, but is the text \"maybe\"; it is off",
        ),
        (
            "cache: {enabled: maybe}",
            "2:20 settings.cache.enabled: must be true or false, but is the text \"maybe\"; the cache is off",
        ),
    ];
    for (line, expected) in cases {
        let text = format!("settings:\n  {line}\n");
        assert_eq!(problem(&text), (ProblemKind::DefaultApplies, expected.to_owned()));
        assert!(!config(&text).settings.cache.is_on(), "{line}");
    }
    for (line, on) in [("cache: no", false), ("cache: true", true), ("cache:", true)] {
        assert_eq!(config(&format!("settings:\n  {line}\n")).settings.cache.is_on(), on, "{line}");
    }
}

#[test]
fn an_aggregation_whose_bounds_cannot_be_read_stops_dispatching() {
    let cases = [
        ("aggregate: 3", "2:14 settings.aggregate: must be a mapping of keys to values, but is 3"),
        (
            "aggregate: {max_asks: many}",
            "2:25 settings.aggregate.max_asks: must be a whole number from 0 to 1000, but is the text \"many\"",
        ),
        (
            "aggregate: {budget_usd: -1}",
            "2:27 settings.aggregate.budget_usd: must be an amount in US dollars, at least 0, but is -1",
        ),
    ];
    for (line, said) in cases {
        let expected = format!("{said}; nothing is dispatched until this is corrected");
        let text = format!("settings:\n  {line}\n");
        assert_eq!(problem(&text), (ProblemKind::StopsDispatching, expected));
    }
}
