//! What another policy would have decided: it is given again what policies were given, and
//! its decisions are compared. Nothing is spent and no agent started.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use similar::TextDiff;

use super::choice::{self, Chosen};
use super::reply::Refusal;
use super::{Dispatcher, NO_AGENT};
use crate::config::{Config, expand_path};
use crate::lock::lock;
use crate::policy::aggregate::Aggregate;
use crate::policy::dialogue::Dialogue;
use crate::policy::prompt::{self, Reply, Request};
use crate::policy::{
    ComponentSource, Decided, Failure, KINDS, Kind, Metadata, Source, Stepper, Told, Witness,
};
use crate::store::decisions::{self, Decision};

/// How long somebody waits who wants nothing but the decisions.
const READER: Duration = Duration::from_secs(30);

/// Lines around a difference that are shown.
const AROUND: usize = 3;

/// A replay that is wanted.
#[derive(Debug, Clone, Default)]
pub struct ReplayCall {
    /// The policy, by its name or the path of its component.
    pub policy: String,
    /// The policy that is compared with, by its name; absent, it is what was decided then.
    pub against: Option<String>,
    /// So many of the latest decisions.
    pub last: Option<u32>,
    /// Those about this agent only.
    pub agent: Option<String>,
    /// What the policy is configured with; absent, it is what its entry says, or else what
    /// was given then.
    pub config: Option<Map<String, Value>>,
}

/// What came of a replay.
#[derive(Debug, Default, Serialize)]
pub struct Replay {
    /// How many decisions were made again.
    pub replayed: usize,
    /// How many of them are the same.
    pub same: usize,
    /// How many are other ones.
    pub different: usize,
    /// How many are none, where there was one.
    pub failed: usize,
    /// How many were not kept, as what the policy was given was too long.
    pub not_recorded: usize,
    /// The same numbers by kind and function.
    pub by_function: Vec<Count>,
    /// What is not the same, oldest first.
    pub differences: Vec<Difference>,
}

/// What came of one function.
#[derive(Debug, Default, Serialize)]
pub struct Count {
    /// The kind and the function.
    pub function: String,
    /// How many of its decisions are the same.
    pub same: usize,
    /// How many are other ones.
    pub different: usize,
    /// How many are none, where there was one.
    pub failed: usize,
}

/// A decision that is not the same.
#[derive(Debug, Serialize)]
pub struct Difference {
    /// The kind and the function.
    pub function: String,
    /// The policy that decided then.
    pub policy: String,
    /// The digest of its component, in hexadecimal.
    pub digest: String,
    /// The agents that it is about.
    pub agents: Vec<String>,
    /// The run's id, or the trace of a call that is several.
    pub run: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// What differs, as a unified diff.
    pub diff: String,
}

/// All that a policy was given.
#[derive(Deserialize)]
struct Given {
    config: Value,
    request: Option<Request>,
    reply: Option<Reply>,
    #[serde(default)]
    situation: Value,
}

/// One of the two sides.
struct Side {
    /// The name by which it was asked for, or the file.
    named: String,
    /// For each kind, what decides; its config is replaced where that was given then.
    sources: HashMap<&'static str, Source>,
    /// It is configured as the policy was that decided then.
    as_then: bool,
}

impl Dispatcher {
    /// Gives a policy what policies were given, and compares.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when there is no such policy, nothing was kept, or it cannot be read.
    pub async fn replay(self: &Arc<Self>, call: ReplayCall) -> Result<Replay, Refusal> {
        let (this, wanted) = (Arc::clone(self), call.clone());
        let looked = self.look(NO_AGENT, move || {
            let config = this.load()?;
            let new = Side::new(&config, &wanted.policy, wanted.config.as_ref())?;
            let old = wanted.against.as_ref().map(|name| Side::named(&config, name)).transpose()?;
            Ok((new, old))
        });
        let (new, old) = looked.await?;
        let kinds: Vec<String> = new
            .sources
            .keys()
            .filter(|kind| old.as_ref().is_none_or(|old| old.sources.contains_key(*kind)))
            .map(|kind| (*kind).to_owned())
            .collect();
        if kinds.is_empty() {
            return Err(Refusal::new(format!(
                "'{}' and '{}' are policies of different kinds",
                new.named,
                old.map(|old| old.named).unwrap_or_default()
            )));
        }
        let (agent, last) = (call.agent, call.last.unwrap_or(u32::MAX));
        let read = self.journal.store.ask_within(READER, move |connection| {
            decisions::latest(connection, &kinds, agent.as_deref(), last)
        });
        let kept = read
            .await
            .map_err(|error| Refusal::new(format!("the decisions cannot be read: {error}")))?;
        if kept.is_empty() {
            return Err(Refusal::new("no decisions of policies of this kind were kept").with_hint(
                "`settings.record_policies: true` has those kept that are made from then on.",
            ));
        }
        let mut replay = Replay::default();
        for decision in kept {
            self.replay_one(&new, old.as_ref(), decision, &mut replay).await?;
        }
        Ok(replay)
    }

    /// Forgets all decisions that were kept; says how many there were.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when they cannot be forgotten.
    pub async fn forget_decisions(&self) -> Result<usize, Refusal> {
        let forgotten =
            self.journal.store.ask_within(READER, |connection| decisions::forget(connection));
        forgotten.await.map_err(|error| Refusal::new(format!("they cannot be forgotten: {error}")))
    }

    async fn replay_one(
        self: &Arc<Self>,
        new: &Side,
        old: Option<&Side>,
        then: Decision,
        replay: &mut Replay,
    ) -> Result<(), Refusal> {
        let Some(input) = &then.input else {
            replay.not_recorded += 1;
            return Ok(());
        };
        let given: Given = serde_json::from_str(input).map_err(unreadable)?;
        let before = match old {
            Some(old) => self.decide(old, &then, &given).await?,
            None => then.decision.clone(),
        };
        let after = self.decide(new, &then, &given).await?;
        let function = format!("{} {}", then.kind, then.function);
        let place = replay.by_function.iter().position(|count| count.function == function);
        let place = place.unwrap_or_else(|| {
            replay.by_function.push(Count { function: function.clone(), ..Count::default() });
            replay.by_function.len() - 1
        });
        let count = &mut replay.by_function[place];
        replay.replayed += 1;
        let (before, after) = (value(&before), value(&after));
        if before == after {
            replay.same += 1;
            count.same += 1;
            return Ok(());
        }
        if after.is_err() {
            replay.failed += 1;
            count.failed += 1;
        } else {
            replay.different += 1;
            count.different += 1;
        }
        let (before, after) = (readable(&before), readable(&after));
        let names = (old.map_or(then.policy.as_str(), |old| &old.named), &*new.named);
        let diff = TextDiff::from_lines(&before, &after);
        let diff = diff.unified_diff().context_radius(AROUND).header(names.0, names.1).to_string();
        replay.differences.push(Difference {
            function,
            policy: then.policy,
            digest: then.digest,
            agents: then.agents,
            run: then.run,
            at_ms: then.at_ms,
            diff,
        });
        Ok(())
    }

    /// What this side decides.
    async fn decide(
        self: &Arc<Self>,
        side: &Side,
        then: &Decision,
        given: &Given,
    ) -> Result<Result<String, String>, Refusal> {
        let Some(source) = side.sources.get(then.kind.as_str()) else {
            return Err(Refusal::new(format!("'{}' is no {} policy", side.named, then.kind)));
        };
        let mut source = source.clone();
        if side.as_then {
            source.config = given.config.to_string();
        }
        let heard = Arc::new(Mutex::new(None));
        let listen: Witness = {
            let heard = Arc::clone(&heard);
            Arc::new(move |decided: Decided| *lock(&heard) = Some(decided.decision))
        };
        let missing =
            || Refusal::new("a decision cannot be read: what the policy was given is missing");
        let failed: Option<Failure> = match then.kind.as_str() {
            prompt::KIND => match self.policies.prompt(&source).await {
                Err(error) => Some(error.failure),
                Ok(policy) => {
                    let policy = policy.watched(Some(listen));
                    let request = given.request.as_ref().ok_or_else(missing)?;
                    if then.function == "render" {
                        policy.render(request).await.err().map(|error| error.failure)
                    } else {
                        let reply = given.reply.as_ref().ok_or_else(missing)?;
                        let told = Told { facts: reply.clone(), text: &reply.text };
                        policy.interpret(request, &told).await.err().map(|error| error.failure)
                    }
                }
            },
            Aggregate::NAME => {
                self.step::<Aggregate>(&source, given, listen).await.map_err(unreadable)?
            }
            _ => self.step::<Dialogue>(&source, given, listen).await.map_err(unreadable)?,
        };
        // What it decided, also where that could not be used; else why it was not even asked.
        let decided = lock(&heard).take();
        Ok(decided
            .unwrap_or_else(|| Err(failed.map(|failure| failure.to_string()).unwrap_or_default())))
    }

    async fn step<K: Kind>(
        self: &Arc<Self>,
        source: &Source,
        given: &Given,
        listen: Witness,
    ) -> Result<Option<Failure>, serde_json::Error> {
        let seen: K::Seen = serde_json::from_value(given.situation.clone())?;
        let policy = match Stepper::<K>::load(&self.policies, source).await {
            Ok(policy) => policy.watched(Some(listen)),
            Err(error) => return Ok(Some(error.failure)),
        };
        Ok(policy.step_seen(seen).await.err().map(|error| error.failure))
    }
}

impl Side {
    /// The policy of this name, or else in this file.
    fn new(
        config: &Config,
        policy: &str,
        configured: Option<&Map<String, Value>>,
    ) -> Result<Self, Refusal> {
        let is_name = |kind: &&str| choice::problem(config, kind, policy).is_none();
        let is_known = config.policy(policy).is_some() || KINDS.iter().any(is_name);
        let mut side =
            if is_known { Self::named(config, policy)? } else { Self::in_file(config, policy)? };
        if let Some(configured) = configured {
            side.as_then = false;
            let text = Value::Object(configured.clone()).to_string();
            side.sources.values_mut().for_each(|source| source.config.clone_from(&text));
        }
        Ok(side)
    }

    fn named(config: &Config, name: &str) -> Result<Self, Refusal> {
        let mut sources = HashMap::new();
        let mut problem = None;
        let own = match config.policy(name).and_then(Result::ok) {
            Some(entry) => entry.component.clone(),
            None => None,
        };
        let exported = own.map(|path| Metadata::read(&path)).transpose();
        let exported =
            exported.map_err(|failure| Refusal::new(format!("policy '{name}': {failure}")))?;
        for kind in KINDS {
            if exported.as_ref().is_some_and(|(metadata, _)| !metadata.kinds.contains(&kind)) {
                continue;
            }
            match Chosen::of(config, kind, name) {
                Ok(chosen) => drop(sources.insert(kind, chosen.source)),
                Err(said) => drop(problem.get_or_insert(said)),
            }
        }
        if sources.is_empty() {
            let said = problem.unwrap_or_else(|| format!("'{name}' exports no policy"));
            return Err(Refusal::new(said));
        }
        Ok(Self { named: name.to_owned(), sources, as_then: false })
    }

    fn in_file(config: &Config, file: &str) -> Result<Self, Refusal> {
        let path = expand_path(&PathBuf::from(file));
        let (metadata, _) = Metadata::read(&path).map_err(|failure| {
            Refusal::new(format!(
                "'{file}' is no policy of the config, and no component: {failure}"
            ))
        })?;
        let of_kind = |kind: &'static str| {
            let source = Source {
                name: file.to_owned(),
                component: ComponentSource::File(path.clone()),
                config: "{}".to_owned(),
                limits: choice::limits_of(config, file),
            };
            (kind, source)
        };
        // What exports nothing is asked all the same: the error says what it is.
        let kinds = if metadata.kinds.is_empty() { &KINDS[..1] } else { &metadata.kinds[..] };
        let sources = kinds.iter().copied().map(of_kind).collect();
        Ok(Self { named: file.to_owned(), sources, as_then: true })
    }
}

/// What was kept is not what this version keeps.
fn unreadable(error: serde_json::Error) -> Refusal {
    Refusal::new(format!("a decision cannot be read, as another version kept it: {error}"))
}

fn value(decision: &Result<String, String>) -> Result<Value, String> {
    match decision {
        Ok(json) => serde_json::from_str(json).map_err(|error| error.to_string()),
        Err(error) => Err(error.clone()),
    }
}

/// A decision as people read it: long texts with their lines.
fn readable(decision: &Result<Value, String>) -> String {
    match decision {
        Ok(decision) => serde_yaml::to_string(decision).unwrap_or_default(),
        Err(error) => format!("error: {error}\n"),
    }
}
