//! Does a host of policies grow? Memory after 100,000 calls beside that after 10,000, for
//! calls that end well, calls that end in a trap and calls that look at a project.
//!
//! `cargo bench --bench soak` prints it, and fails where there are more than 2 MiB between
//! the two.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use agent_dispatch::policy::prompt::{Agent, Request};
use agent_dispatch::policy::{ComponentSource, Host, Limits, Source};

const EARLY: usize = 10_000;
const LATE: usize = 100_000;
const MOST_GROWTH: f64 = 2.0;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("CLAUDE.md"), "A project.\n").expect("a file");
    let executable = env!("CARGO_BIN_EXE_agent-dispatch").into();
    let host = Arc::new(Host::new(executable, folder.path().join("components")));
    println!(
        "{:40} {:>12} {:>12} {:>9}",
        "resident memory, MiB", "after 10,000", "100,000", "growth"
    );
    let grows = runtime.expect("a runtime").block_on(async {
        let trial = ComponentSource::File(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/trial.wasm"),
        );
        let prompt = |config: &str| Source {
            name: "soak".to_owned(),
            component: trial.clone(),
            config: config.to_owned(),
            limits: Limits::default(),
        };
        let mut grows = false;
        for (name, config) in
            [("prompts that render", "{}"), ("prompts that trap", r#"{"render": "trap"}"#)]
        {
            let policy = host.prompt(&prompt(config)).await.expect("the policy loads");
            let ends_well = config == "{}";
            let call = async || {
                assert_eq!(policy.render(&request()).await.is_ok(), ends_well);
            };
            grows |= soak(name, call).await;
        }
        let classic = Source {
            name: "classic".to_owned(),
            component: ComponentSource::BuiltIn("classic".to_owned()),
            config: "{}".to_owned(),
            limits: Limits::default(),
        };
        let policy = host.describe(&classic).await.expect("the policy loads");
        let call = async || {
            policy.describe(folder.path().to_owned(), ()).await.expect("a description");
        };
        grows | soak("projects that are described", call).await
    });
    if grows { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Calls so often, and tells whether memory grew.
async fn soak(name: &str, call: impl AsyncFn()) -> bool {
    for _ in 0..EARLY {
        call().await;
    }
    let early = resident();
    for _ in EARLY..LATE {
        call().await;
    }
    let late = resident();
    println!("{name:40} {early:12.2} {late:12.2} {:9.2}", late - early);
    late - early > MOST_GROWTH
}

/// Resident memory of this process, in MiB.
fn resident() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

fn request() -> Request {
    let text = |text: &str| Some(text.to_owned());
    Request {
        agent: Agent {
            name: "infra".to_owned(),
            directory: "/infra".to_owned(),
            description: None,
            capabilities: Vec::new(),
            instructions: None,
            facts: Vec::new(),
        },
        task: "Check container logs for recent errors".to_owned(),
        context: text("Error: TypeError at scheduler.py:42"),
        caller: text("backend"),
        goal: text("debug production crash"),
        shared_context: None,
        answer_format: "text".to_owned(),
        timeout_seconds: 300,
        spend_cap_usd: None,
        depth: 0,
        resumed: false,
        facts: Vec::new(),
    }
}
