//! The command line of `claude`, and what its environment must not hold.
//!
//! The prompt goes to standard input: an argument is limited to 128 KiB, is
//! visible to every user of the machine, and may be taken for a flag. Each flag
//! carries its value after `=`, because several of them take all words that follow.

use crate::agent::job::{Environment, FORMAT, Job};
use crate::agent::request::{Refusal, RunRequest, Session};

/// The CLI refuses to read more than this from standard input, in bytes.
const PROMPT_BOUND: usize = 10_000_000;

/// Linux takes no argument of 128 KiB or more, its end included, in bytes.
const ARGUMENT_BOUND: usize = 128 * 1024 - 1;

/// Variables by which a Claude Code session tells its own children that they are
/// part of it. A dispatched agent is not; everything else stays, so that every
/// kind of login keeps working.
const PARENT_SESSION: [&str; 12] = [
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CODE_LAUNCHED_BY_SESSION_IDS",
    "CLAUDE_CODE_MESSAGING_SOCKET",
    "CLAUDE_CODE_MESSAGING_TOKEN",
    "CLAUDE_CODE_CHILD_NOTES_DIR",
    "CLAUDE_CODE_CHILD_SESSION",
    "CLAUDE_PROJECT_DIR",
    "CLAUDE_PID",
    "CLAUDE_EFFORT",
    "AI_AGENT",
];

/// Keeps the CLI from moving commands into the background.
const BACKGROUND_TASKS_OFF: &str = "CLAUDE_CODE_DISABLE_BACKGROUND_TASKS";

/// Beginnings of the names of variables that choose an account, a service or a model.
const DECIDING: [&str; 8] =
    ["ANTHROPIC_", "AWS_", "AZURE_", "CLAUDE_", "CLOUDSDK_", "CLOUD_ML_", "GOOGLE_", "VERTEX_"];

/// Does this variable decide who answers?
pub(super) fn decides(variable: &str) -> bool {
    if PARENT_SESSION.contains(&variable) {
        return false;
    }
    let is_proxy = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"]
        .iter()
        .any(|proxy| variable.eq_ignore_ascii_case(proxy));
    variable == "HOME" || is_proxy || DECIDING.iter().any(|start| variable.starts_with(start))
}

/// The process that carries out this request.
pub(super) fn job(request: &RunRequest) -> Result<Job, Refusal> {
    let [program, leading @ ..] = request.command.as_slice() else {
        return Err(Refusal::NoCommand);
    };
    check_prompt(&request.prompt)?;
    let mut args = leading.to_vec();
    args.extend(["-p", "--output-format", "stream-json", "--verbose"].map(String::from));
    if let Some(system) = request.system.as_deref().filter(|system| !system.is_empty()) {
        args.push(flag("--append-system-prompt", "system prompt", system)?);
    }
    let (name, id) = match &request.session {
        Session::New(id) => ("--session-id", id),
        Session::Resume(id) => ("--resume", id),
    };
    args.push(flag(name, "session id", plain("session id", id)?)?);
    if let Some(budget) = request.max_budget_usd {
        args.push(format!("--max-budget-usd={}", dollars(budget)?));
    }
    if let Some(model) = request.model.as_deref().filter(|model| !model.is_empty()) {
        args.push(flag("--model", "model", plain("model", model)?)?);
    }
    if let Some(mode) = request.permission_mode.as_deref().filter(|mode| !mode.is_empty()) {
        let mode = plain("permission mode", mode)?;
        args.push(flag("--permission-mode", "permission mode", mode)?);
    }
    args.extend(tools("--allowedTools", "allowed tool", &request.allowed_tools)?);
    args.extend(tools("--disallowedTools", "disallowed tool", &request.disallowed_tools)?);
    if request.strict_mcp {
        args.push("--strict-mcp-config".to_owned());
    }
    if let Some(sources) = &request.setting_sources {
        // With nothing after `=` it reads none.
        args.push(flag("--setting-sources", "setting sources", &sources.join(","))?);
    }
    let (mut remove, mut set) = (PARENT_SESSION.map(String::from).to_vec(), Vec::new());
    if request.background_tasks {
        // This process may be below an agent that must not use them.
        remove.push(BACKGROUND_TASKS_OFF.to_owned());
    } else {
        // A command that never ends would hold the CLI for ten minutes after its answer.
        set.push((BACKGROUND_TASKS_OFF.to_owned(), "1".to_owned()));
    }
    set.extend(request.environment.iter().chain(&request.ids).cloned());
    Ok(Job {
        version: FORMAT,
        run: request.run.clone(),
        program: program.clone(),
        args,
        directory: request.directory.clone(),
        environment: Environment { remove, set },
        keep_background: request.keep_background,
    })
}

fn check_prompt(prompt: &str) -> Result<(), Refusal> {
    if prompt.trim().is_empty() {
        return Err(Refusal::EmptyPrompt);
    }
    within("prompt", prompt, PROMPT_BOUND)
}

/// A flag and its value as one argument.
fn flag(name: &str, field: &'static str, value: &str) -> Result<String, Refusal> {
    let argument = format!("{name}={value}");
    if argument.contains('\0') {
        return Err(Refusal::Nul { field });
    }
    within(field, &argument, ARGUMENT_BOUND)?;
    Ok(argument)
}

/// A value that cannot be taken for a flag.
fn plain<'a>(field: &'static str, value: &'a str) -> Result<&'a str, Refusal> {
    if value.starts_with('-') {
        return Err(Refusal::Flag { field, value: value.to_owned() });
    }
    Ok(value)
}

fn within(field: &'static str, value: &str, bound: usize) -> Result<(), Refusal> {
    let size = value.len();
    if size > bound {
        return Err(Refusal::TooLong { field, size, bound });
    }
    Ok(())
}

/// No tools: no flag.
fn tools(name: &str, field: &'static str, tools: &[String]) -> Result<Option<String>, Refusal> {
    for tool in tools {
        plain(field, tool)?;
    }
    if tools.is_empty() {
        return Ok(None);
    }
    flag(name, field, &tools.join(",")).map(Some)
}

/// `2.0`, `1.5`: always with a point.
fn dollars(amount: f64) -> Result<String, Refusal> {
    if amount.is_finite() && amount > 0.0 {
        Ok(format!("{amount:?}"))
    } else {
        Err(Refusal::Budget(amount.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request() -> RunRequest {
        RunRequest {
            spool: None,
            run: "r1".into(),
            directory: "/project".into(),
            prompt: "-p do it".into(),
            system: None,
            session: Session::New("11111111-2222-4333-8444-555555555555".into()),
            model: None,
            permission_mode: None,
            allowed_tools: Vec::new(),
            disallowed_tools: Vec::new(),
            strict_mcp: false,
            setting_sources: None,
            background_tasks: false,
            max_budget_usd: None,
            timeout: Duration::from_mins(5),
            command: vec!["claude".into()],
            environment: Vec::new(),
            ids: Vec::new(),
            keep_background: false,
        }
    }

    #[test]
    fn the_least_command_line() {
        let job = job(&request()).unwrap();
        assert_eq!(job.program, "claude");
        assert_eq!(
            job.args,
            [
                "-p",
                "--output-format",
                "stream-json",
                "--verbose",
                "--session-id=11111111-2222-4333-8444-555555555555",
            ]
        );
    }

    #[test]
    fn everything_at_once_keeps_its_order() {
        let job = job(&RunRequest {
            system: Some("- a list\n- of rules".into()),
            session: Session::Resume("abc".into()),
            model: Some("opus".into()),
            permission_mode: Some("default".into()),
            allowed_tools: vec!["Bash(git log:*)".into(), "Read".into()],
            disallowed_tools: vec!["WebFetch".into()],
            strict_mcp: true,
            setting_sources: Some(vec!["user".into(), "local".into()]),
            max_budget_usd: Some(2.0),
            command: vec!["/opt/agent".into(), "--profile".into(), "x".into()],
            ..request()
        })
        .unwrap();
        assert_eq!(job.program, "/opt/agent");
        assert_eq!(
            job.args,
            [
                "--profile",
                "x",
                "-p",
                "--output-format",
                "stream-json",
                "--verbose",
                "--append-system-prompt=- a list\n- of rules",
                "--resume=abc",
                "--max-budget-usd=2.0",
                "--model=opus",
                "--permission-mode=default",
                "--allowedTools=Bash(git log:*),Read",
                "--disallowedTools=WebFetch",
                "--strict-mcp-config",
                "--setting-sources=user,local",
            ]
        );
    }

    #[test]
    fn values_that_look_like_flags_are_refused_by_name() {
        let dash = || "--dangerous".to_owned();
        let cases: [(&str, RunRequest); 5] = [
            ("session id", RunRequest { session: Session::Resume(dash()), ..request() }),
            ("model", RunRequest { model: Some(dash()), ..request() }),
            ("permission mode", RunRequest { permission_mode: Some(dash()), ..request() }),
            ("allowed tool", RunRequest { allowed_tools: vec!["A".into(), dash()], ..request() }),
            ("disallowed tool", RunRequest { disallowed_tools: vec![dash()], ..request() }),
        ];
        for (name, request) in cases {
            let refusal = job(&request).unwrap_err();
            assert_eq!(refusal, Refusal::Flag { field: name, value: dash() });
            assert!(refusal.to_string().contains(name) && refusal.to_string().contains(&dash()));
        }
    }

    #[test]
    fn what_cannot_be_carried_is_refused_before_anything_starts() {
        let refused = |request: &RunRequest| job(request).unwrap_err();
        let prompt = |size| RunRequest { prompt: "a".repeat(size), ..request() };
        assert!(job(&prompt(PROMPT_BOUND)).is_ok());
        assert_eq!(
            refused(&prompt(PROMPT_BOUND + 1)).to_string(),
            "prompt has 10000001 bytes, and the bound is 10000000"
        );
        let system = |text: String| RunRequest { system: Some(text), ..request() };
        assert!(job(&system("a".repeat(64 * 1024))).is_ok());
        assert!(matches!(
            refused(&system("a".repeat(128 * 1024))),
            Refusal::TooLong { field: "system prompt", .. }
        ));
        assert_eq!(refused(&system("a\0b".into())), Refusal::Nul { field: "system prompt" });
        assert_eq!(
            refused(&RunRequest { prompt: " \n".into(), ..request() }),
            Refusal::EmptyPrompt
        );
        assert_eq!(refused(&RunRequest { command: Vec::new(), ..request() }), Refusal::NoCommand);
        for budget in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let request = RunRequest { max_budget_usd: Some(budget), ..request() };
            assert!(matches!(refused(&request), Refusal::Budget(_)));
        }
    }

    #[test]
    fn the_parent_session_goes_and_every_kind_of_login_stays() {
        let environment = job(&RunRequest {
            environment: vec![("AGENT_DISPATCH_DEPTH".into(), "1".into())],
            ..request()
        })
        .unwrap()
        .environment;
        for name in ["CLAUDECODE", "CLAUDE_CODE_MESSAGING_TOKEN", "CLAUDE_PID", "AI_AGENT"] {
            assert!(environment.remove.iter().any(|removed| removed == name), "{name}");
        }
        for name in [
            "HOME",
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_BASE_URL",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CONFIG_DIR",
            "AWS_PROFILE",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "HTTPS_PROXY",
        ] {
            assert!(!environment.remove.iter().any(|removed| removed == name), "{name}");
            assert!(decides(name), "{name}");
        }
        assert!(!decides("CLAUDE_CODE_SESSION_ID") && !decides("PATH"));
        assert_eq!(environment.remove.len(), 12);
        let set = |name: &str, value: &str| {
            environment.set.contains(&(name.to_owned(), value.to_owned()))
        };
        assert!(set("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"));
        assert!(set("AGENT_DISPATCH_DEPTH", "1"));

        let asked_for = job(&RunRequest { background_tasks: true, ..request() }).unwrap();
        assert_eq!(asked_for.environment.set, []);
        assert!(asked_for.environment.remove.iter().any(|name| name == BACKGROUND_TASKS_OFF));
    }
}
