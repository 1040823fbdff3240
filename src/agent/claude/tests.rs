//! What the real CLI wrote in many situations, and what we make of it.

use std::fmt::Write as _;
use std::time::Duration;

use super::stream::Stream;
use crate::agent::cli::{Ending, Reader, Stopped};
use crate::agent::job::RunEvent;
use crate::agent::outcome::{ErrorType, Exit, Outcome, StopReason};

const ASKED: &str = "aaaaaaaa-0000-4000-8000-000000000000";

/// One recorded output.
macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!("../../../tests/samples/", $name))
    };
}

fn read(output: &str, ending: &Ending) -> (Outcome, Vec<RunEvent>) {
    let mut stream = Box::new(Stream::new(ASKED));
    let mut events = Vec::new();
    for line in output.lines() {
        stream.line(line, &mut |event| events.push(event));
    }
    (stream.outcome(ending), events)
}

fn exited(code: i32) -> Ending {
    Ending {
        exit: Some(Exit::Code(code)),
        elapsed: Duration::from_millis(77),
        timeout: Duration::from_mins(5),
        ..Ending::default()
    }
}

fn stopped(reason: StopReason, after_result: bool) -> Ending {
    let stopped = Some(Stopped { reason, after_result });
    Ending { exit: Some(Exit::Code(143)), stopped, ..exited(0) }
}

fn error_type(outcome: &Outcome) -> Option<ErrorType> {
    outcome.failure.as_ref().map(|failure| failure.error_type)
}

/// A result event with these fields over those of a plain success.
fn result(fields: &str) -> String {
    let mut event = serde_json::json!({
        "type": "result", "subtype": "success", "is_error": false, "num_turns": 1,
        "result": "fine", "session_id": "s", "total_cost_usd": 0.25,
    });
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(fields).unwrap();
    event.as_object_mut().unwrap().extend(fields);
    event.to_string()
}

#[test]
fn recorded_successes() {
    let cases = [
        (sample!("bgtask.jsonl"), "done", 0.0024, 1),
        (sample!("fallback-stream.jsonl"), "echo: hi", 0.0002, 1),
        (sample!("json-success.json"), "echo: hello", 0.0008, 1),
        (sample!("json-verbose.json"), "echo: hello", 0.0008, 1),
        (sample!("old-json.json"), "echo: hello", 0.001, 1),
        (sample!("perm-default-bash.json"), "done", 0.0016, 2),
        (sample!("perm-default-write.json"), "done", 0.0016, 2),
        (sample!("resume-ok.json"), "echo: second", 0.0016, 1),
        (sample!("schema-ok-json.json"), "{\"name\":\"bob\",\"n\":3}", 0.0008, 2),
        (sample!("stream-partial.jsonl"), "echo: hello", 0.0008, 1),
        (sample!("stream-verbose.jsonl"), "echo: hello", 0.0008, 1),
        (sample!("unicode.jsonl"), "line1\nline2 \u{2028} sep \u{1f600} end", 0.0008, 1),
    ];
    for (output, text, cost, turns) in cases {
        let (outcome, _) = read(output, &exited(0));
        assert_eq!(outcome.failure, None, "{text}");
        assert_eq!(outcome.text, text);
        assert!((outcome.cost_usd.unwrap() - cost).abs() < 1e-9, "{outcome:?}");
        assert_eq!(outcome.turns, Some(turns));
        assert!(outcome.session_id.is_some_and(|id| id.len() == 36));
        assert!(outcome.duration_ms.is_some_and(|duration| duration != 77));
        assert_eq!(outcome.ended_by_us, None);
    }
}

#[test]
fn recorded_failures() {
    use ErrorType::{Budget, CliError};
    let cases = [
        (sample!("budget.json"), 1, Budget, "Reached maximum budget ($0.5)", 0.84),
        (sample!("old-budget.json"), 1, Budget, "Reached maximum budget ($0.5)", 0.525),
        (sample!("error-400.json"), 1, CliError, "API Error: 400 invalid_request_error", 0.0),
        (
            sample!("error-400-stream.jsonl"),
            1,
            CliError,
            "API Error: 400 invalid_request_error",
            0.0,
        ),
        (sample!("max-turns.json"), 1, CliError, "Reached maximum number of turns (2)", 0.0016),
        (sample!("noauth.json"), 1, CliError, "Not logged in \u{b7} Please run /login", 0.0),
        (
            sample!("resume-unknown-stream.jsonl"),
            1,
            CliError,
            "No conversation found with session ID: 99999999-2222-4333-8444-555555555501",
            0.0,
        ),
        (
            sample!("sig-int-json-new.jsonl"),
            0,
            CliError,
            "[ede_diagnostic] result_type=user last_content_type=n/a stop_reason=null",
            0.0,
        ),
    ];
    for (output, code, error, message, cost) in cases {
        let (outcome, _) = read(output, &exited(code));
        let failure = outcome.failure.unwrap();
        assert_eq!((failure.error_type, failure.message.as_str()), (error, message));
        assert_eq!(outcome.text, "", "what an API error says is no answer");
        assert!((outcome.cost_usd.unwrap() - cost).abs() < 1e-9);
    }
}

#[test]
fn a_command_that_the_cli_ran_itself_is_no_answer() {
    let (outcome, _) = read(sample!("slash-cost.json"), &exited(0));
    assert_eq!(error_type(&outcome), Some(ErrorType::CliError));
    assert_eq!(outcome.session_id, None);
}

#[test]
fn no_result_quotes_what_was_said_instead() {
    let said = "No conversation found with session ID: x";
    let ending = Ending { stderr: format!("{said}\n"), ..exited(1) };
    let (outcome, _) = read("", &ending);
    let failure = outcome.failure.unwrap();
    assert_eq!(failure.error_type, ErrorType::CliError);
    assert_eq!(
        failure.message,
        format!("the agent CLI ended with exit code 1 and gave no result: {said}")
    );
    assert_eq!(outcome.session_id, None);

    let (outcome, _) = read("npm warn something\n", &exited(0));
    assert!(outcome.failure.unwrap().message.ends_with("no result: npm warn something"));
    let killed = Ending { exit: Some(Exit::Signal(9)), ..exited(0) };
    let (outcome, _) = read("", &killed);
    assert!(outcome.failure.unwrap().message.contains("signal 9"));
}

#[test]
fn every_kind_of_event_is_survived_and_the_known_ones_are_told() {
    let (_, events) = read(sample!("event-types.jsonl"), &exited(0));
    let any = |wanted: fn(&RunEvent) -> bool| events.iter().any(wanted);
    assert!(any(|event| matches!(event, RunEvent::Session { .. })));
    assert!(any(|event| matches!(event, RunEvent::Text { text } if text == "echo: hi")));
    assert!(any(|event| matches!(
        event,
        RunEvent::ToolUse { name, input } if name == "Bash" && input == "echo hi"
    )));
    assert!(any(|event| matches!(
        event,
        RunEvent::ToolResult { name: Some(name), success: true, text } if name == "Bash" && text == "hi"
    )));
    assert!(any(|event| matches!(event, RunEvent::Denied { name } if name == "mcp__lg__echo_it")));
    assert!(any(|event| matches!(
        event,
        RunEvent::ApiRetry { attempt: Some(1), status: Some(401) }
    )));
    assert!(!any(|event| matches!(event, RunEvent::Text { text } if text.contains("API Error"))));
}

#[test]
fn denied_tools_are_told_once_each_and_leave_the_success() {
    let (outcome, _) = read(sample!("perm-default-bash.json"), &exited(0));
    assert_eq!(outcome.denied_tools, ["Bash"]);
    assert!(outcome.success());
    assert!(outcome.hint.unwrap().contains("allowed_tools"));

    let denials: Vec<_> = (0..40)
        .map(|number| serde_json::json!({"tool_name": format!("{}{}", "x".repeat(200), number % 20)}))
        .collect();
    let fields = serde_json::json!({ "permission_denials": denials }).to_string();
    let (outcome, _) = read(&result(&fields), &exited(0));
    assert_eq!(outcome.denied_tools, ["x".repeat(100)]);
}

#[test]
fn the_last_result_counts_and_costs_add_up() {
    let usage = |cost: f64| {
        format!(
            r#"{{"model_usage_since_last_result":{{"m":{{"costUSD":{cost}}}}},"total_cost_usd":9}}"#
        )
    };
    let two = format!("{}\n{}", result(&usage(0.5)), result(&usage(0.25)));
    assert_eq!(read(&two, &exited(0)).0.cost_usd, Some(0.75));
    let mixed = format!("{}\n{}", result(r#"{"is_error":true}"#), result("{}"));
    let (outcome, _) = read(&mixed, &exited(0));
    assert!(outcome.success());
    assert_eq!(outcome.cost_usd, Some(0.25));
}

#[test]
fn tokens_are_those_of_this_run() {
    // Two results in one run, and a session's second run: each tells its own tokens.
    for (output, input, written) in [
        (sample!("bgtask.jsonl"), 300, 60),
        (sample!("resume-ok.json"), 100, 20),
        (sample!("stream-verbose.jsonl"), 100, 20),
    ] {
        let (outcome, _) = read(output, &exited(0));
        let tokens = outcome.tokens.expect("they are told");
        assert_eq!((tokens.input, tokens.output), (input, written), "{tokens:?}");
    }
}

#[test]
fn a_result_beats_our_own_end_and_an_error_that_follows_from_it_does_not() {
    let (outcome, _) = read(&result("{}"), &stopped(StopReason::Timeout, true));
    assert_eq!((outcome.failure, outcome.text.as_str()), (None, "fine"));
    assert_eq!(outcome.ended_by_us, Some(StopReason::Timeout));

    let interrupted = sample!("sig-int-json-new.jsonl");
    let (outcome, _) = read(interrupted, &stopped(StopReason::Cancelled, false));
    assert_eq!(error_type(&outcome), Some(ErrorType::Cancelled));
    let (outcome, _) = read(interrupted, &stopped(StopReason::Cancelled, true));
    assert_eq!(error_type(&outcome), Some(ErrorType::CliError));

    let (outcome, _) = read("", &stopped(StopReason::Timeout, false));
    assert_eq!(error_type(&outcome), Some(ErrorType::Timeout));
    assert!(outcome.failure.unwrap().message.contains("300 s"));
    assert_eq!(outcome.session_id.as_deref(), Some(ASKED), "the work can be resumed");
}

#[test]
fn a_success_needs_every_sign() {
    for fields in [
        r#"{"is_error":true}"#,
        r#"{"is_error":null}"#,
        r#"{"subtype":"error_during_execution"}"#,
        r#"{"num_turns":0}"#,
    ] {
        assert!(!read(&result(fields), &exited(0)).0.success(), "{fields}");
    }
    let (outcome, _) = read(&result("{}"), &exited(1));
    assert!(outcome.failure.unwrap().message.contains("exit code 1"));
    assert_eq!(outcome.text, "fine", "paid work is kept");
}

#[test]
fn fields_of_the_wrong_type_cost_no_result() {
    let odd = r#"{"num_turns":"3","duration_ms":-1,"session_id":7,"total_cost_usd":"x",
        "permission_denials":{"a":1},"errors":"no","modelUsage":[],"api_error_status":"none"}"#;
    let (outcome, _) = read(&result(&odd.replace('\n', "")), &exited(0));
    assert_eq!((outcome.failure, outcome.text.as_str()), (None, "fine"));
    assert_eq!((outcome.turns, outcome.cost_usd, outcome.session_id), (None, None, None));
    let (outcome, _) = read(&result(r#"{"result":{"a":1}}"#), &exited(0));
    assert_eq!(outcome.text, r#"{"a":1}"#);
}

#[test]
fn a_usage_limit_is_told_by_fields_and_not_by_the_talk_of_limits() {
    let of = |fields: &str| error_type(&read(&result(fields), &exited(1)).0);
    let limit = Some(ErrorType::UsageLimit);
    assert_eq!(of(r#"{"is_error":true,"api_error_status":429,"result":"API Error: 429"}"#), limit);
    assert_eq!(of(r#"{"is_error":true,"api_error_type":"rate_limit_error"}"#), limit);
    assert_eq!(
        of(r#"{"is_error":true,"result":"You've hit your session limit, resets 3pm"}"#),
        limit
    );
    for text in ["nginx rate limit config invalid", "usage limit", "the limit was reached"] {
        let fields = format!(r#"{{"is_error":true,"result":"{text}"}}"#);
        assert_eq!(of(&fields), Some(ErrorType::CliError), "{text}");
    }
    let other = r#"{"is_error":true,"api_error_status":400,"result":"usage limit reached"}"#;
    assert_eq!(of(other), Some(ErrorType::CliError));
    assert_eq!(
        of(r#"{"result":"The usage limit was reached, says the log"}"#),
        Some(ErrorType::CliError)
    );
}

#[test]
fn an_error_after_a_denial_is_one_of_permission() {
    let fields =
        r#"{"is_error":true,"permission_denials":[{"tool_name":"Bash"}],"result":"stuck"}"#;
    let (outcome, _) = read(&result(fields), &exited(1));
    assert_eq!(error_type(&outcome), Some(ErrorType::Permission));
}

#[test]
fn after_a_budget_stop_the_last_words_come_back() {
    let said =
        r#"{"type":"assistant","message":{"model":"m","content":[{"type":"text","text":"half"}]}}"#;
    let subagent = said
        .replace("half", "inner")
        .replace("\"message\"", "\"parent_tool_use_id\":\"t\",\"message\"");
    let mut output = format!("{said}\n{subagent}\n");
    output.push_str(sample!("budget.json"));
    let (outcome, _) = read(&output, &exited(1));
    assert_eq!(error_type(&outcome), Some(ErrorType::Budget));
    assert_eq!(outcome.text, "half");
}

#[test]
fn one_object_over_many_lines_is_understood() {
    let value: serde_json::Value = serde_json::from_str(&result("{}")).unwrap();
    let pretty = serde_json::to_string_pretty(&value).unwrap();
    assert_eq!(read(&pretty, &exited(0)).0.text, "fine");
    let (outcome, _) = read(&serde_json::to_string_pretty(&[value]).unwrap(), &exited(0));
    assert!(outcome.success());
}

#[test]
fn stray_output_is_kept_within_bounds() {
    let mut output = String::new();
    for number in 0..300_000 {
        writeln!(output, "stray {number}").unwrap();
    }
    let (outcome, _) = read(&output, &exited(1));
    assert!(outcome.failure.unwrap().message.len() < 2200);
}

#[test]
fn one_bad_character_loses_no_result() {
    let result = |text: &str| {
        format!(
            r#"{{"type":"result","subtype":"success","is_error":false,"num_turns":1,"total_cost_usd":0.5,"result":"{text}"}}"#
        )
    };
    let event = r#"{"type":"system","subtype":"init","session_id":"s"}"#;
    let cases = [
        (result("cut \\ud83d off"), "cut \u{fffd} off"),
        (result("a \u{1b} b"), "a \u{1b} b"),
        (format!("warning: {}", result("ok")), "ok"),
        (format!("{event}{}", result("ok")), "ok"),
        (format!("{}{event}", result("ok")), "ok"),
    ];
    for (line, text) in cases {
        let (outcome, _) = read(&line, &exited(0));
        assert!(outcome.success(), "{line}: {outcome:?}");
        assert_eq!((outcome.text.as_str(), outcome.cost_usd), (text, Some(0.5)), "{line}");
    }
    // What is quoted is no event.
    let (outcome, _) = read("it printed {\"type\": \"result\" and stopped", &exited(0));
    assert!(!outcome.success());
}
