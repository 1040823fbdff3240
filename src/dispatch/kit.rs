//! What those need who write a policy: a component looked at, and tried one call at a time.
//! Nothing is dispatched.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

use super::choice::Chosen;
use super::reply::Refusal;
use super::{Dispatcher, NO_AGENT};
use crate::policy::{self, ComponentSource, Host, Inspection, KINDS, Limits, Source, Trial, Tried};

/// A policy that is looked at or tried.
#[derive(Debug, Clone)]
pub struct Subject {
    source: Source,
    config_is_given: bool,
}

impl Subject {
    /// The same with another config.
    #[must_use]
    pub fn with_config(mut self, config: Option<&Value>) -> Self {
        if let Some(config) = config {
            self.source.config = config.to_string();
            self.config_is_given = true;
        }
        self
    }

    /// The only kind that it can serve as; where it can as several, the one that is wanted.
    /// Blocks on reading its file.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where that does not tell a kind.
    pub fn kind(&self, wanted: Option<&str>) -> Result<&'static str, Refusal> {
        let name = &self.source.name;
        let kinds = Host::kinds(&self.source.component).map_err(|problem| {
            Refusal::new(format!("policy '{name}': {problem}"))
                .with_hint("'agent-dispatch policy check NAME' says all that is wrong with it.")
        })?;
        let list = || kinds.join(", ");
        match (wanted, &kinds[..]) {
            (_, []) => Err(Refusal::new(format!(
                "'{name}' serves as no kind of policy that this agent-dispatch offers"
            ))
            .with_hint("'agent-dispatch policy check NAME' says all that is wrong with it.")),
            (Some(wanted), kinds) => {
                kinds.iter().copied().find(|kind| *kind == wanted).ok_or_else(|| {
                    Refusal::new(format!("'{name}' is no {wanted} policy, but one for: {}", list()))
                })
            }
            (None, [kind]) => Ok(kind),
            (None, _) => Err(Refusal::new(format!("'{name}' serves as several kinds: {}", list()))
                .with_hint("Say which one with --kind.")),
        }
    }
}

impl Dispatcher {
    /// The policy in this file, or that of this name in the config or among the built-in
    /// ones. What is written like a path is one.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where there is no such policy.
    pub async fn subject(self: &Arc<Self>, which: &Path) -> Result<Subject, Refusal> {
        let (this, which) = (Arc::clone(self), which.to_owned());
        self.look(NO_AGENT, move || this.find_subject(&which)).await
    }

    fn find_subject(&self, which: &Path) -> Result<Subject, Refusal> {
        let name = which.to_str().filter(|name| crate::config::is_name(name));
        let Some(name) = name.filter(|_| !which.is_file()) else {
            let source = Source {
                name: which.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                component: ComponentSource::File(
                    std::path::absolute(which).unwrap_or(PathBuf::from(which)),
                ),
                config: "{}".to_owned(),
                limits: Limits::default(),
            };
            return Ok(Subject { source, config_is_given: false });
        };
        let config = self.load()?;
        let is_entry = config.policy(name).is_some();
        // Whatever it is made for: an entry with a component serves as any kind.
        let kind = policy::built_in_kinds(name).next().unwrap_or(KINDS[0]);
        let chosen = Chosen::of(&config, kind, name).map_err(|problem| {
            Refusal::new(problem).with_hint(
                "Give the path of a component, or the name of a policy in agents.yaml or of a built-in one.",
            )
        })?;
        Ok(Subject { source: chosen.source, config_is_given: is_entry })
    }

    /// Looks at a policy, and says everything at once that is wrong with it. It has to serve
    /// as `kind`, one of [`KINDS`], where there is one.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where there are several built-in policies of that name and no kind.
    pub async fn inspect(
        &self,
        subject: &Subject,
        kind: Option<&str>,
    ) -> Result<Inspection, Refusal> {
        let kind = match subject.source.component {
            ComponentSource::BuiltIn(_) => Some(subject.kind(kind)?),
            ComponentSource::File(_) | ComponentSource::Kept { .. } => {
                KINDS.into_iter().find(|known| Some(*known) == kind)
            }
        };
        Ok(self.policies.inspect(&subject.source, kind, subject.config_is_given).await)
    }

    /// Calls a policy once.
    ///
    /// # Errors
    ///
    /// [`Refusal`] where the input is not one of that kind.
    pub async fn try_policy(&self, subject: &Subject, trial: Trial) -> Result<Tried, Refusal> {
        self.policies.try_out(&subject.source, trial).await.map_err(|problem| {
            Refusal::new(format!("the input cannot be used: {problem}"))
                .with_hint("'agent-dispatch help policy run' shows an input for each kind.")
        })
    }
}
