//! The dialogue policy `budget`: as `resolved`, and it ends when the turns have cost so
//! much.
//!
//! Its config: `max_usd`, in US dollars, which must be set. A turn that does not tell
//! what it cost counts as free.

use serde::Deserialize;
use talking::bindings::agent_dispatch::policy::types::PolicyError;
use talking::bindings::exports::agent_dispatch::policy::dialogue::{Decision, Guest, Situation};

struct Budget;
talking::bindings::export!(Budget with_types_in talking::bindings);

/// How much may be spent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    max_usd: f64,
}

fn read(config: &str) -> Result<Config, PolicyError> {
    let config: Config = talking::config(config, "{max_usd: 0.50}")?;
    if config.max_usd <= 0.0 {
        return Err(PolicyError::InvalidConfig(format!(
            "`max_usd` is {}, but has to be more than 0",
            config.max_usd
        )));
    }
    Ok(config)
}

impl Guest for Budget {
    fn check(config: String) -> Result<(), PolicyError> {
        read(&config).map(drop)
    }

    fn step(config: String, situation: Situation) -> Result<Decision, PolicyError> {
        let max_usd = read(&config)?.max_usd;
        Ok(talking::resolved(&situation)
            .or_else(|| used_up(max_usd, &situation))
            .unwrap_or_else(|| talking::next_turn(&situation)))
    }
}

/// Over when the turns have cost as much as they may.
fn used_up(max_usd: f64, situation: &Situation) -> Option<Decision> {
    let cost: f64 = situation.turns.iter().filter_map(|turn| turn.reply.cost_usd).sum();
    (cost >= max_usd).then(|| {
        talking::stop(format!(
            "the turns so far have cost ${cost:.4}, and the policy's `max_usd` is {max_usd}"
        ))
    })
}
