//! The settings. A wrong value has its default, except where that could cost money
//! or allow what was forbidden.

use std::convert::Infallible;
use std::fmt::Debug;
use std::path::PathBuf;

use super::{Anchor, policy};
use crate::config::fields::Fields;
use crate::config::lax::{self, Invalid};
use crate::config::model::{
    AggregateSettings, CacheSettings, LimitOverrides, PolicyNames, Settings,
};
use crate::config::node::Node;
use crate::config::problem::{Fault, ProblemKind, Report};

/// The keys of the settings.
const KEYS: &[&str] = &[
    "default_timeout",
    "default_max_budget_usd",
    "default_permission_mode",
    "default_allowed_tools",
    "default_disallowed_tools",
    "max_dispatch_depth",
    "max_concurrency",
    "max_queued_jobs",
    "agent_roots",
    "aggregate",
    "command",
    "cache",
    "job_retention_days",
    "record_policies",
    "task_after_seconds",
    "inline_limit",
    "policies",
    "policy_limits",
];

/// Keys that the Python tool 0.16 reads and this version does not.
const LATER: &[&str] = &["dispatch_protocol", "usage_log"];

/// Reads the settings; whatever is wrong goes into the report.
pub(super) fn read(node: &Node<'_>, anchor: &Anchor, report: &mut Report<'_>) -> Settings {
    let fields = match Fields::new("settings", node) {
        Ok(fields) => fields,
        Err(fault) => {
            // Limits may stand in there.
            report.fault(ProblemKind::StopsDispatching, fault);
            return Settings { agent_roots: Some(Vec::new()), ..Settings::default() };
        }
    };
    fields.report_unknown(KEYS, LATER, "settings", report);
    fields.report_repeated(report);
    let default = Settings::default();
    let mut lenient = Lenient { fields: &fields, report };
    let permission_mode = lenient.bound("default_permission_mode", lax::text);
    let budget = lenient.bound("default_max_budget_usd", lax::dollars);
    Settings {
        default_timeout: lenient.or(
            "default_timeout",
            lax::whole(1..=u32::MAX),
            default.default_timeout,
        ),
        // In the Python tool zero means the same as no key.
        default_max_budget_usd: budget.filter(|dollars| *dollars > 0.0),
        default_permission_mode: permission_mode.filter(|mode| !mode.is_empty()),
        default_allowed_tools: lenient.or(
            "default_allowed_tools",
            lax::words,
            default.default_allowed_tools,
        ),
        default_disallowed_tools: lenient
            .bound("default_disallowed_tools", lax::words)
            .unwrap_or(default.default_disallowed_tools),
        max_dispatch_depth: lenient
            .bound("max_dispatch_depth", lax::whole(1..=u32::MAX))
            .unwrap_or(default.max_dispatch_depth),
        max_concurrency: lenient
            .bound("max_concurrency", lax::whole(1..=u32::MAX))
            .unwrap_or(default.max_concurrency),
        max_queued_jobs: lenient
            .bound("max_queued_jobs", lax::whole(1..=u32::MAX))
            .unwrap_or(default.max_queued_jobs),
        job_retention_days: lenient.or(
            "job_retention_days",
            lax::whole(0..=u32::MAX),
            default.job_retention_days,
        ),
        record_policies: lenient.or("record_policies", lax::truth, default.record_policies),
        task_after_seconds: lenient.or_shown(
            "task_after_seconds",
            lax::whole_or_off,
            default.task_after_seconds,
            "20",
        ),
        inline_limit: lenient.or("inline_limit", lax::whole(0..=u32::MAX), default.inline_limit),
        agent_roots: lenient.agent_roots(anchor),
        aggregate: aggregate(&fields, lenient.report),
        command: lenient.bound("command", |node| anchor.command(node)).unwrap_or(default.command),
        cache: cache(&fields, report),
        policies: policies(&fields, report),
        policy_limits: policy_limits(&fields, report),
    }
}

/// Where it cannot be read whether there is to be a cache there is none: an answer that
/// nobody wants to see again costs more than one that is fetched again.
fn cache(settings: &Fields<'_>, report: &mut Report<'_>) -> CacheSettings {
    let default = CacheSettings::default();
    let off = CacheSettings { enabled: false, ..default };
    // As with an agent, `cache: false` is understood.
    if let Some(enabled) = settings.get("cache").and_then(|node| lax::truth(node).ok()) {
        return CacheSettings { enabled, ..default };
    }
    if settings.get("cache").is_none() {
        return default;
    }
    let known = ["enabled", "ttl", "max_size", "shared"];
    let Some(fields) = section(settings, "cache", &known, &[], "it is off", report) else {
        return off;
    };
    let enabled = fields.optional("enabled", lax::truth).unwrap_or_else(|fault| {
        default_applies(report, fault, "the cache is off");
        Some(false)
    });
    let mut lenient = Lenient { fields: &fields, report };
    CacheSettings {
        enabled: enabled.unwrap_or(default.enabled),
        ttl: lenient.or("ttl", lax::whole(0..=u32::MAX), default.ttl),
        max_size: lenient.or("max_size", lax::whole(1..=u32::MAX), default.max_size),
        shared: lenient.or("shared", lax::truth, default.shared),
    }
}

/// What bounds an aggregation cannot be guessed: nothing is dispatched without it.
fn aggregate(settings: &Fields<'_>, report: &mut Report<'_>) -> AggregateSettings {
    let default = AggregateSettings::default();
    let Some(node) = settings.get("aggregate") else { return default };
    let fields = match Fields::new(settings.path_of("aggregate"), node) {
        Ok(fields) => fields,
        Err(fault) => {
            report.fault(ProblemKind::StopsDispatching, fault);
            return default;
        }
    };
    let known = ["max_rounds", "max_asks", "budget_usd"];
    fields.report_unknown(&known, &[], "settings.aggregate", report);
    fields.report_repeated(report);
    let mut lenient = Lenient { fields: &fields, report };
    AggregateSettings {
        max_rounds: lenient.bound("max_rounds", lax::whole(0..=1000)).unwrap_or(default.max_rounds),
        max_asks: lenient.bound("max_asks", lax::whole(0..=1000)).unwrap_or(default.max_asks),
        budget_usd: lenient.bound("budget_usd", lax::dollars).filter(|dollars| *dollars > 0.0),
    }
}

fn policies(settings: &Fields<'_>, report: &mut Report<'_>) -> PolicyNames {
    let default = PolicyNames::default();
    let known = ["prompt", "describe", "aggregate", "dialogue"];
    let Some(fields) = section(settings, "policies", &known, &[], DEFAULTS, report) else {
        return default;
    };
    let mut lenient = Lenient { fields: &fields, report };
    PolicyNames {
        prompt: lenient.or("prompt", lax::word, default.prompt),
        describe: lenient.or("describe", lax::word, default.describe),
        aggregate: lenient.or("aggregate", lax::word, default.aggregate),
        dialogue: lenient.or("dialogue", lax::word, default.dialogue),
    }
}

fn policy_limits(settings: &Fields<'_>, report: &mut Report<'_>) -> LimitOverrides {
    let Some(fields) = section(settings, "policy_limits", policy::LIMITS, &[], DEFAULTS, report)
    else {
        return LimitOverrides::default();
    };
    let mut lenient = Lenient { fields: &fields, report };
    let limits =
        policy::limits(|key, range| Ok::<_, Infallible>(lenient.optional(key, lax::whole(range))));
    limits.unwrap_or_else(|never| match never {})
}

const DEFAULTS: &str = "the defaults apply";

/// A mapping within the settings, if it is there and is one.
fn section<'n>(
    settings: &Fields<'n>,
    key: &str,
    known: &[&str],
    later: &[&str],
    otherwise: &str,
    report: &mut Report<'_>,
) -> Option<Fields<'n>> {
    let node = settings.get(key)?;
    match Fields::new(settings.path_of(key), node) {
        Ok(fields) => {
            fields.report_unknown(known, later, &settings.path_of(key), report);
            fields.report_repeated(report);
            Some(fields)
        }
        Err(fault) => {
            default_applies(report, fault, otherwise);
            None
        }
    }
}

fn default_applies(report: &mut Report<'_>, mut fault: Fault, consequence: &str) {
    fault.invalid.message += "; ";
    fault.invalid.message += consequence;
    report.fault(ProblemKind::DefaultApplies, fault);
}

/// Reads settings and reports the wrong ones.
struct Lenient<'f, 'n, 'r, 't> {
    fields: &'f Fields<'n>,
    report: &'r mut Report<'t>,
}

impl Lenient<'_, '_, '_, '_> {
    /// A setting that has a default.
    fn or<T: Debug>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Node<'_>) -> Result<T, Invalid>,
        default: T,
    ) -> T {
        let shown = format!("{default:?}");
        self.or_shown(key, read, default, &shown)
    }

    /// The same with a default that reads in the config as it is shown here.
    fn or_shown<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Node<'_>) -> Result<T, Invalid>,
        default: T,
        shown: &str,
    ) -> T {
        match self.fields.optional(key, read) {
            Ok(value) => value.unwrap_or(default),
            Err(fault) => {
                default_applies(self.report, fault, &format!("the default {shown} applies"));
                default
            }
        }
    }

    /// A setting that need not have a value.
    fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Node<'_>) -> Result<T, Invalid>,
    ) -> Option<T> {
        self.fields.optional(key, read).unwrap_or_else(|fault| {
            default_applies(self.report, fault, "it is as if the key were not there");
            None
        })
    }

    /// What it bounds is known to be bounded: where nobody knows how, nothing is allowed.
    fn agent_roots(&mut self, anchor: &Anchor) -> Option<Vec<PathBuf>> {
        let read = |node: &Node<'_>| lax::list(node, |root| anchor.path(root));
        self.fields.optional("agent_roots", read).unwrap_or_else(|fault| {
            default_applies(self.report, fault, "no client can add agents");
            Some(Vec::new())
        })
    }

    /// A bound on money, depth or concurrency, on what agents may do or on what is
    /// run: without it nothing is dispatched, as its default would allow more.
    fn bound<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&Node<'_>) -> Result<T, Invalid>,
    ) -> Option<T> {
        self.fields.optional(key, read).unwrap_or_else(|fault| {
            self.report.fault(ProblemKind::StopsDispatching, fault);
            None
        })
    }
}
