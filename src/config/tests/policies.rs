use serde_json::json;

use super::{File, config, is_wrong, line, problem};
use crate::config::{LimitOverrides, OnError, ProblemKind};

#[test]
fn every_key_is_read() {
    let file = File::new(
        "policies:
  house:
    component: ./house.wasm
    config: {team: core, size: 3, share: 0.5, on: true, none: ~, list: [a, [1]], 7: seven, big: 18446744073709551615}
    limits: {timeout_ms: 500}
    on_error: fallback
    may_ask: [judge]
settings:
  policy_limits: {timeout_ms: 9, log_kib: 16}
",
    );
    let config = file.load().expect("a good file");
    assert!(!is_wrong(&config), "{:#?}", config.problems);
    let house = config.policy("house").expect("it is there").expect("it is good");
    assert_eq!(house.component, Some(file.folder.path().join("house.wasm")));
    let expected = json!({"team": "core", "size": 3, "share": 0.5, "on": true, "none": null,
        "list": ["a", [1]], "7": "seven", "big": 18_446_744_073_709_551_615_u64});
    assert_eq!(house.config, expected);
    assert_eq!(house.on_error, OnError::Fallback);
    assert_eq!(house.may_ask, ["judge"]);
    let expected =
        LimitOverrides { timeout_ms: Some(500), log_kib: Some(16), ..LimitOverrides::default() };
    assert_eq!(config.limits(house), expected);
    assert!(config.policy("classic").is_none());
}

#[test]
fn a_component_is_enough_and_a_built_in_policy_needs_none() {
    let config = config("policies: {p: {component: ~/p.wasm}, classic: {}}\n");
    let classic = config.policy("classic").expect("it is there").expect("it is good");
    assert_eq!(classic.component, None);
    let policy = config.policy("p").expect("it is there").expect("it is good");
    let home = etcetera::home_dir().expect("a home folder");
    assert_eq!(policy.component, Some(home.join("p.wasm")));
    assert_eq!(policy.config, json!({}));
    assert_eq!(policy.limits, LimitOverrides::default());
    assert_eq!(policy.on_error, OnError::Fail);
    assert!(policy.may_ask.is_empty());
}

#[test]
fn wrong_values_disable_the_policy_and_say_where() {
    let cases = [
        (
            "p: ./p.wasm",
            "2:6 policies.p: must be a mapping of keys to values, but is the text \"./p.wasm\"",
        ),
        ("p: {component: ''}", "2:18 policies.p.component: must not be empty"),
        (
            "p: {component: p, may_ask: judge}",
            "2:30 policies.p.may_ask: must be a list, such as [a, b], but is the text \"judge\"",
        ),
        (
            "p: {component: p, on_error: retry}",
            "2:31 policies.p.on_error: must be fail or fallback, but is the text \"retry\"",
        ),
        (
            "p: {component: p, limits: {timeout_ms: 0}}",
            "2:42 policies.p.limits.timeout_ms: must be a whole number from 1 to 600000, but is 0",
        ),
        (
            "p: {component: p, config: {a: [.nan]}}",
            "2:34 policies.p.config: cannot hold NaN: JSON has no such number",
        ),
        (
            "p: {component: p, config: {a: 1, a: 2}}",
            "2:36 policies.p.config: the same key stands here twice",
        ),
        (
            "p: {component: p, config: {a: !x 1}}",
            "2:33 policies.p.config: cannot hold a value with the tag !x",
        ),
        (
            "p: {component: p, component: q}",
            "2:21 policies.p.component: stands here twice; keep one of the two",
        ),
        (
            "../p: {component: p}",
            "2:3 policies.../p: a name has letters, digits, '-' and '_' only and begins with a letter or digit",
        ),
    ];
    for (written, said) in cases {
        let text = format!("policies:\n  {written}\n  good: {{component: g}}\n");
        let expected = format!("{said}; the policy is disabled until this is corrected");
        assert_eq!(problem(&text), (ProblemKind::DisablesPolicy, expected), "{written}");
        let config = config(&text);
        assert!(matches!(config.policy("good"), Some(Ok(_))));
        let name = written.split(':').next().unwrap_or_default();
        let kept = config.policy(name).expect("it is there").expect_err("it is wrong");
        assert_eq!(line(kept), line(&config.problems[0]));
    }
}

#[test]
fn policies_that_are_no_mapping_leave_the_agents_working() {
    let text = "policies: [a]\nagents: {a: {directory: /a}}\n";
    let (kind, said) = problem(text);
    assert_eq!(kind, ProblemKind::DisablesPolicy);
    assert!(
        said.starts_with("1:11 policies: must be a mapping of names to entries, but is a list"),
        "{said}"
    );
    assert!(config(text).agent("a").is_ok());
}
