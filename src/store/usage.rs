//! What records add up to.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rusqlite::{Connection, Row};
use serde::{Serialize, Serializer};

use super::journal::days_ago;
use super::owner::Owner;

/// How many of the latest records say what is typical: they are read whenever agents are
/// listed.
const LATEST: i64 = 5000;

/// How many of an agent's latest runs say how long one may take.
const LATEST_OF_AGENT: i64 = 200;

/// How many runs it takes to call something typical.
const FEWEST: usize = 3;

/// What stands where a record's process died before its end.
const LOST: &str = "lost";

/// What all dispatches add up to, and those of each agent.
#[derive(Debug, Default, Serialize)]
pub struct Usage {
    /// All of them.
    pub total: Figures,
    /// By agent; those that cost most come first.
    #[serde(serialize_with = "as_map")]
    pub agents: Vec<(String, Figures)>,
}

/// What some dispatches add up to. Those that were neither cached nor shared and are over
/// are either `ok` or `failed`.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// How many there were.
    pub dispatches: u64,
    /// How many got an earlier answer.
    pub cached_hits: u64,
    /// How many got the answer of a run that was on already.
    #[serde(skip_serializing_if = "is_zero")]
    pub shared: u64,
    /// How many are not over.
    #[serde(skip_serializing_if = "is_zero")]
    pub running: u64,
    /// How many ended well.
    pub ok: u64,
    /// How many did not.
    pub failed: u64,
    /// What they cost, in US dollars.
    pub cost_usd: f64,
    /// How long one in two took at most, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_ms: Option<u64>,
    /// How long nine in ten took at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p90_ms: Option<u64>,
    /// How long the longest took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<u64>,
    /// What one in two cost at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_cost_usd: Option<f64>,
    /// What the dearest cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_cost_usd: Option<f64>,
    /// How often prompt policies called the work done, partial, and so on.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, u64>,
    /// How often they failed in which way.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub errors: BTreeMap<String, u64>,
}

/// What is to be expected of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Typical {
    /// How long one run in two took at most.
    pub median_seconds: f64,
    /// How long nine in ten took at most.
    pub p90_seconds: f64,
    /// What one in two cost at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_cost_usd: Option<f64>,
}

/// What the records of the last days add up to, or all where there is no bound; those of
/// one agent where one is named.
///
/// # Errors
///
/// What SQLite says.
pub fn usage(
    connection: &Connection,
    days: Option<u32>,
    agent: Option<&str>,
) -> rusqlite::Result<Usage> {
    let mut query = connection.prepare(
        "SELECT agent, cached, shared, ended_ms, success, duration_ms, cost_usd, outcome,
                error_type, owner_pid, owner_started
         FROM dispatch WHERE started_ms >= ?1 AND (?2 IS NULL OR agent = ?2)",
    )?;
    let mut rows = query.query((days.map_or(i64::MIN, days_ago), agent))?;
    let mut total = Tally::default();
    let mut agents: HashMap<String, Tally> = HashMap::new();
    let mut owners = HashMap::new();
    while let Some(row) = rows.next()? {
        let agent = row.get_ref(0)?.as_str()?;
        // Only for the first of each is a name kept.
        if !agents.contains_key(agent) {
            agents.insert(agent.to_owned(), Tally::default());
        }
        for tally in [Some(&mut total), agents.get_mut(agent)].into_iter().flatten() {
            tally.add(row, &mut owners)?;
        }
    }
    let agents = agents.into_iter().map(|(agent, tally)| (agent, tally.figures()));
    let mut agents: Vec<(String, Figures)> = agents.collect();
    agents.sort_by(|(left_name, left), (right_name, right)| {
        let by_cost = right.cost_usd.total_cmp(&left.cost_usd);
        let by_count = || right.dispatches.cmp(&left.dispatches);
        by_cost.then_with(by_count).then_with(|| left_name.cmp(right_name))
    });
    Ok(Usage { total: total.figures(), agents })
}

/// What is typical of each agent that has run often enough of late. Runs count that ended
/// well or took too long: the others say nothing of how long one takes.
///
/// # Errors
///
/// What SQLite says.
pub fn typical(connection: &Connection) -> rusqlite::Result<HashMap<String, Typical>> {
    // From the index alone. It is bounded before it is filtered, or it might be read whole.
    let mut query = connection.prepare(
        "SELECT agent, duration_ms, cost_usd FROM
         (SELECT agent, duration_ms, cost_usd, success, error_type FROM dispatch
          ORDER BY started_ms DESC LIMIT ?1)
         WHERE duration_ms IS NOT NULL AND (success OR error_type = 'timeout')",
    )?;
    let mut rows = query.query([LATEST])?;
    let mut samples: HashMap<String, (Vec<u64>, Vec<f64>)> = HashMap::new();
    while let Some(row) = rows.next()? {
        let agent = row.get_ref(0)?.as_str()?;
        if !samples.contains_key(agent) {
            samples.insert(agent.to_owned(), Default::default());
        }
        if let Some((durations, costs)) = samples.get_mut(agent) {
            durations.push(row.get::<_, i64>(1)?.unsigned_abs());
            costs.extend(row.get::<_, Option<f64>>(2)?);
        }
    }
    let enough = samples.into_iter().filter(|(_, (durations, _))| durations.len() >= FEWEST);
    let typical = enough.filter_map(|(agent, (mut durations, mut costs))| {
        durations.sort_unstable();
        costs.sort_unstable_by(f64::total_cmp);
        let typical = Typical {
            median_seconds: seconds(percentile(&durations, 50.0)?),
            p90_seconds: seconds(percentile(&durations, 90.0)?),
            median_cost_usd: percentile(&costs, 50.0).map(shown),
        };
        Some((agent, typical))
    });
    Ok(typical.collect())
}

/// Within what time nine in ten of an agent's latest runs were over, where there were
/// enough.
///
/// # Errors
///
/// What SQLite says.
pub fn p90(connection: &Connection, agent: &str) -> rusqlite::Result<Option<Duration>> {
    let mut query = connection.prepare(
        "SELECT duration_ms FROM dispatch
         WHERE agent = ?1 AND duration_ms IS NOT NULL AND (success OR error_type = 'timeout')
         ORDER BY started_ms DESC LIMIT ?2",
    )?;
    let durations = query.query_map((agent, LATEST_OF_AGENT), |row| row.get::<_, i64>(0))?;
    let mut durations =
        durations.map(|one| one.map(i64::unsigned_abs)).collect::<rusqlite::Result<Vec<_>>>()?;
    durations.sort_unstable();
    let enough = durations.len() >= FEWEST;
    Ok(percentile(&durations, 90.0).filter(|_| enough).map(Duration::from_millis))
}

/// Figures that are being made.
#[derive(Default)]
struct Tally {
    figures: Figures,
    durations: Vec<u64>,
    costs: Vec<f64>,
}

impl Tally {
    fn add(&mut self, row: &Row<'_>, owners: &mut HashMap<Owner, bool>) -> rusqlite::Result<()> {
        let figures = &mut self.figures;
        figures.dispatches += 1;
        let ended = row.get_ref(3)? != rusqlite::types::ValueRef::Null;
        if row.get(1)? {
            figures.cached_hits += 1;
        } else if !ended {
            let owner = Owner { pid: row.get(9)?, started: row.get::<_, i64>(10)?.unsigned_abs() };
            if *owners.entry(owner).or_insert_with(|| owner.is_alive()) {
                figures.running += 1;
            } else {
                figures.failed += 1;
                count(&mut figures.errors, LOST);
            }
        } else if row.get(2)? {
            figures.shared += 1;
        } else {
            if row.get(4)? {
                figures.ok += 1;
            } else {
                figures.failed += 1;
                count(&mut figures.errors, row.get_ref(8)?.as_str_or_null()?.unwrap_or("unknown"));
            }
            if let Some(outcome) = row.get_ref(7)?.as_str_or_null()? {
                count(&mut figures.outcomes, outcome);
            }
            self.durations.extend(row.get::<_, Option<i64>>(5)?.map(i64::unsigned_abs));
            self.costs.extend(row.get::<_, Option<f64>>(6)?);
        }
        Ok(())
    }

    fn figures(mut self) -> Figures {
        self.durations.sort_unstable();
        self.costs.sort_unstable_by(f64::total_cmp);
        let figures = self.figures;
        Figures {
            cost_usd: shown(self.costs.iter().sum()),
            median_ms: percentile(&self.durations, 50.0),
            p90_ms: percentile(&self.durations, 90.0),
            max_ms: self.durations.last().copied(),
            median_cost_usd: percentile(&self.costs, 50.0).map(shown),
            max_cost_usd: self.costs.last().copied().map(shown),
            ..figures
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, word: &str) {
    match counts.get_mut(word) {
        Some(count) => *count += 1,
        None => drop(counts.insert(word.to_owned(), 1)),
    }
}

/// What so many percent of the sorted values do not exceed, as the Python tool has it.
pub(super) fn percentile<T: Copy>(sorted: &[T], percent: f64) -> Option<T> {
    #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
    let place = (percent / 100.0 * sorted.len() as f64 + 0.5).round_ties_even();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is in range")]
    let place = place as usize;
    sorted.get(place.saturating_sub(1).min(sorted.len().saturating_sub(1))).copied()
}

/// Milliseconds as seconds, to one decimal.
#[expect(clippy::cast_precision_loss, reason = "nothing takes that long")]
fn seconds(milliseconds: u64) -> f64 {
    (milliseconds as f64 / 100.0).round() / 10.0
}

/// An amount of money to six decimals.
fn shown(amount: f64) -> f64 {
    (amount * 1e6).round() / 1e6
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn as_map<S: Serializer>(agents: &[(String, Figures)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(agents.iter().map(|(agent, figures)| (agent, figures)))
}
