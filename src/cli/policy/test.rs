//! `policy test`: each case is one call, and what comes of it is what was expected.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::super::terminal::{
    BAD, BOLD, FAINT, GOOD, NOTE, note, print, print_json, refuse, shown,
};
use super::cases::{self, Case, Cases};
use super::project::Project;
use super::{TestArgs, golden, lines};
use crate::dispatch::{Dispatcher, Refusal, Subject, Trial};

/// How many lines around a difference are shown.
const AROUND: usize = 3;

/// What came of a case.
struct Outcome {
    name: String,
    kind: &'static str,
    got: Value,
    expected: Option<Value>,
    took: Option<Duration>,
}

impl Outcome {
    fn is_as_expected(&self) -> bool {
        self.expected.as_ref() == Some(&self.got)
    }
}

pub(super) async fn run(
    dispatcher: &Arc<Dispatcher>,
    arguments: TestArgs,
) -> anyhow::Result<ExitCode> {
    let (json, update) = (arguments.json, arguments.update);
    let tested = async {
        let (subject, cases) = find(dispatcher, &arguments).await?;
        let outcomes = all(dispatcher, &subject, &cases).await?;
        let updated = if update { self::update(&cases, &outcomes)? } else { 0 };
        Ok::<_, Refusal>((outcomes, updated))
    };
    let (outcomes, updated) = match tested.await {
        Ok(tested) => tested,
        Err(refusal) => {
            refuse(&refusal, json);
            return Ok(ExitCode::FAILURE);
        }
    };
    let others = outcomes.iter().filter(|outcome| !outcome.is_as_expected()).count();
    if json {
        let cases: Vec<Value> = outcomes.iter().map(as_json).collect();
        print_json(&json!({
            "cases": cases,
            "as_expected": outcomes.len() - others,
            "otherwise": others,
            "updated": updated,
        }))?;
    } else {
        for outcome in &outcomes {
            show(outcome, update);
        }
        summary(outcomes.len(), others, update);
    }
    Ok(if others == 0 || update { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The policy and its cases.
async fn find(
    dispatcher: &Arc<Dispatcher>,
    arguments: &TestArgs,
) -> Result<(Subject, Cases), Refusal> {
    let TestArgs { policy, cases, .. } = arguments;
    let beside = |folder: Option<&Path>| folder.unwrap_or(Path::new("")).join(cases::FILE);
    if policy.is_dir() {
        let project = Project::read(policy)?;
        let component = project.component();
        if !component.is_file() {
            let problem =
                format!("{} is not there: the policy is not built yet", component.display());
            return Err(Refusal::new(problem).with_hint("'agent-dispatch policy build' builds it."));
        }
        if let Some(changed) = project.changed() {
            note(&format!(
                "{} was changed after the policy was built; 'agent-dispatch policy build' builds it again",
                changed.display()
            ));
        }
        let cases = cases.clone().unwrap_or_else(|| beside(Some(policy)));
        return Ok((dispatcher.subject(&component).await?, Cases::read(cases)?));
    }
    let cases = cases.clone().unwrap_or_else(|| beside(policy.parent()));
    Ok((dispatcher.subject(policy).await?, Cases::read(cases)?))
}

/// All cases, several at a time, in their order.
async fn all(
    dispatcher: &Arc<Dispatcher>,
    subject: &Subject,
    cases: &Cases,
) -> Result<Vec<Outcome>, Refusal> {
    let folder = cases.folder();
    let at_once = std::thread::available_parallelism().map_or(1, usize::from);
    let calls = cases.all.iter().map(|case| one(dispatcher, subject, case, &folder));
    // Collected first: the stream would borrow from what makes it otherwise.
    let calls: Vec<_> = calls.collect();
    let outcomes: Vec<Result<Outcome, Refusal>> =
        futures::stream::iter(calls).buffered(at_once).collect().await;
    outcomes.into_iter().collect()
}

async fn one(
    dispatcher: &Arc<Dispatcher>,
    subject: &Subject,
    case: &Case,
    folder: &Path,
) -> Result<Outcome, Refusal> {
    let about = |refusal: Refusal| Refusal {
        message: format!("case '{}': {}", case.name, refusal.message),
        ..refusal
    };
    let kind = subject.kind(case.kind.as_deref()).map_err(about)?;
    let subject = subject.clone().with_config(case.config.as_ref());
    let trial = Trial { kind, input: case.input.clone(), folder: folder.to_owned() };
    let tried = dispatcher.try_policy(&subject, trial).await.map_err(about)?;
    Ok(Outcome {
        name: case.name.clone(),
        kind,
        got: tidy(tried.outcome),
        expected: case.expect.clone().map(tidy),
        took: tried.took,
    })
}

/// A value without keys that hold nothing, which mean the same as absent ones.
fn tidy(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let present = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(present.map(|(key, value)| (key, tidy(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(tidy).collect()),
        other => other,
    }
}

/// Has the cases expect what came of them. Returns how many are changed.
fn update(cases: &Cases, outcomes: &[Outcome]) -> Result<usize, Refusal> {
    let changed = outcomes.iter().enumerate().filter(|(_, outcome)| !outcome.is_as_expected());
    let wanted: Vec<(usize, Value)> =
        changed.map(|(number, outcome)| (number, outcome.got.clone())).collect();
    let text = golden::rewrite(&cases.text, &cases.file, &wanted).map_err(|problem| {
        Refusal::new(format!("{} was left as it is: {problem}", cases.file.display()))
    })?;
    if text != cases.text {
        std::fs::write(&cases.file, text).map_err(|error| {
            Refusal::new(format!("{} cannot be written: {error}", cases.file.display()))
        })?;
    }
    Ok(wanted.len())
}

fn as_json(outcome: &Outcome) -> Value {
    json!({
        "name": outcome.name,
        "kind": outcome.kind,
        "as_expected": outcome.is_as_expected(),
        "expected": outcome.expected,
        "got": outcome.got,
        "ms": outcome.took.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3),
    })
}

fn show(outcome: &Outcome, update: bool) {
    let took = outcome.took.map_or_else(
        || "not called".to_owned(),
        |took| format!("{:.1} ms", took.as_secs_f64() * 1000.0),
    );
    let (style, word) = match (outcome.is_as_expected(), &outcome.expected) {
        (true, _) => (GOOD, "ok"),
        (false, _) if update => (NOTE, "new"),
        (false, None) => (NOTE, "new"),
        (false, Some(_)) => (BAD, "other"),
    };
    let name = shown(&outcome.name);
    print(&format!("{style}{word:5}{style:#}  {name}  {FAINT}{took}{FAINT:#}"));
    if outcome.is_as_expected() {
        return;
    }
    let before = outcome.expected.as_ref().map(lines).unwrap_or_default();
    let now = lines(&outcome.got);
    let diff = TextDiff::from_lines(&before, &now);
    for group in diff.grouped_ops(AROUND) {
        for change in group.iter().flat_map(|part| diff.iter_changes(part)) {
            let (sign, style) = match change.tag() {
                ChangeTag::Delete => ('-', BAD),
                ChangeTag::Insert => ('+', GOOD),
                ChangeTag::Equal => (' ', FAINT),
            };
            let line = change.value();
            let line = shown(line.trim_end_matches('\n'));
            print(&format!("       {style}{sign} {line}{style:#}"));
        }
    }
}

fn summary(all: usize, others: usize, update: bool) {
    print(&match (others, update) {
        (0, _) => format!("{BOLD}all {all} are as expected{BOLD:#}"),
        (_, true) => format!("{BOLD}{others} of {all} expect something else from now on{BOLD:#}"),
        (_, false) => format!(
            "{BOLD}{others} of {all} are not as expected{BOLD:#} (- expected, + what it is); --update has them expect what it is"
        ),
    });
}
