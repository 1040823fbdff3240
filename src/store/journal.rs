//! A record of each dispatch.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::Serialize;

use super::owner::Owner;

/// How many records there are at most; the oldest go first.
const MOST: i64 = 200_000;

/// How many old records go at once: others may be waiting to write.
const AT_ONCE: i64 = 2000;

/// How many digits of a run's id are the id of its span.
pub const SPAN: usize = 16;

/// One dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The run's id, 32 hexadecimal digits.
    pub id: String,
    /// The same for all that one call led to, 32 hexadecimal digits.
    pub trace: String,
    /// The span of the dispatch whose agent asked, 16 hexadecimal digits.
    pub parent: Option<String>,
    /// The agent's name.
    pub agent: String,
    /// Who asked, in their own words.
    pub caller: Option<String>,
    /// The form of the call that it was part of.
    pub form: String,
    /// How many dispatches lie above it.
    pub depth: u32,
    /// The policy that wrote its prompt.
    pub policy: Option<String>,
    /// The beginning of the digest of that policy's component.
    pub policy_digest: Option<String>,
    /// The process that completes the record.
    pub owner: Owner,
    /// When the agent was started, or else when it was asked for; milliseconds since 1970.
    pub started_ms: i64,
    /// It got an earlier answer.
    pub cached: bool,
    /// It got the answer of a run that was on already.
    pub shared: bool,
    /// How it ended, once it has.
    pub end: Option<End>,
}

/// How a dispatch ended. What a cached or shared one cost stands with the run that it has
/// its answer from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct End {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Did the agent finish?
    pub success: bool,
    /// How long the agent took, in milliseconds; none where it was not started.
    pub duration_ms: Option<u64>,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// How many turns it took.
    pub turns: Option<u32>,
    /// The tokens that it used.
    pub tokens: Option<Tokens>,
    /// What the prompt policy says of its work.
    pub outcome: Option<String>,
    /// Why it failed, as a stable word.
    pub error_type: Option<String>,
    /// The conversation that can go on.
    pub session_id: Option<String>,
}

/// Tokens by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tokens {
    /// Read, beyond those below.
    pub input: u64,
    /// Written.
    pub output: u64,
    /// Read from the service's cache.
    pub cache_read: u64,
    /// Read and written into that cache.
    pub cache_creation: u64,
}

/// The columns, in the order in which [`Record::read`] takes them.
const COLUMNS: [&str; 26] = [
    "id",
    "trace",
    "parent",
    "agent",
    "caller",
    "form",
    "depth",
    "policy",
    "policy_digest",
    "owner_pid",
    "owner_started",
    "started_ms",
    "cached",
    "shared",
    "ended_ms",
    "success",
    "duration_ms",
    "cost_usd",
    "turns",
    "input_tokens",
    "output_tokens",
    "cache_read_tokens",
    "cache_creation_tokens",
    "outcome",
    "error_type",
    "session_id",
];

/// The first of them that an end brings.
const FIRST_OF_END: usize = 14;

/// The columns as they stand in a query.
pub(super) static SELECTED: LazyLock<String> = LazyLock::new(|| COLUMNS.join(", "));

static WRITE: LazyLock<String> = LazyLock::new(|| {
    let values: Vec<String> = COLUMNS.iter().map(|column| format!(":{column}")).collect();
    let ended = COLUMNS[FIRST_OF_END..].iter();
    let ended: Vec<String> = ended.map(|column| format!("{column} = excluded.{column}")).collect();
    format!(
        "INSERT INTO dispatch ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE SET {}",
        *SELECTED,
        values.join(", "),
        ended.join(", ")
    )
});

impl Record {
    /// Writes it, or completes the one that is there: one whose beginning could not be
    /// written is there once it has ended.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub fn write(&self, connection: &Connection) -> rusqlite::Result<()> {
        let end = self.end.as_ref();
        let tokens = end.and_then(|end| end.tokens);
        let count = |kind: fn(&Tokens) -> u64| tokens.as_ref().map(kind).map(whole);
        connection
            .execute(
                &WRITE,
                named_params! {
                    ":id": self.id,
                    ":trace": self.trace,
                    ":parent": self.parent,
                    ":agent": self.agent,
                    ":caller": self.caller,
                    ":form": self.form,
                    ":depth": self.depth,
                    ":policy": self.policy,
                    ":policy_digest": self.policy_digest,
                    ":owner_pid": self.owner.pid,
                    ":owner_started": whole(self.owner.started),
                    ":started_ms": self.started_ms,
                    ":cached": self.cached,
                    ":shared": self.shared,
                    ":ended_ms": end.map(|end| end.at_ms),
                    ":success": end.map(|end| end.success),
                    ":duration_ms": end.and_then(|end| end.duration_ms).map(whole),
                    ":cost_usd": end.and_then(|end| end.cost_usd),
                    ":turns": end.and_then(|end| end.turns),
                    ":input_tokens": count(|tokens| tokens.input),
                    ":output_tokens": count(|tokens| tokens.output),
                    ":cache_read_tokens": count(|tokens| tokens.cache_read),
                    ":cache_creation_tokens": count(|tokens| tokens.cache_creation),
                    ":outcome": end.and_then(|end| end.outcome.as_ref()),
                    ":error_type": end.and_then(|end| end.error_type.as_ref()),
                    ":session_id": end.and_then(|end| end.session_id.as_ref()),
                },
            )
            .map(drop)
    }

    /// Completes the record with this id, if it is there and nobody has.
    ///
    /// # Errors
    ///
    /// What SQLite says.
    pub fn complete(connection: &Connection, id: &str, end: End) -> rusqlite::Result<()> {
        let sql = format!("SELECT {} FROM dispatch WHERE id = ?1 AND ended_ms IS NULL", *SELECTED);
        match connection.query_row(&sql, [id], Self::read).optional()? {
            Some(record) => Self { end: Some(end), ..record }.write(connection),
            None => Ok(()),
        }
    }

    /// Reads a row of [`SELECTED`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        let count = |column: usize| -> rusqlite::Result<Option<u64>> {
            Ok(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs))
        };
        let end = match row.get(14)? {
            None => None,
            Some(at_ms) => Some(End {
                at_ms,
                success: row.get(15)?,
                duration_ms: count(16)?,
                cost_usd: row.get(17)?,
                turns: row.get(18)?,
                tokens: match [count(19)?, count(20)?, count(21)?, count(22)?] {
                    [Some(input), Some(output), Some(cache_read), Some(cache_creation)] => {
                        Some(Tokens { input, output, cache_read, cache_creation })
                    }
                    _ => None,
                },
                outcome: row.get(23)?,
                error_type: row.get(24)?,
                session_id: row.get(25)?,
            }),
        };
        Ok(Self {
            id: row.get(0)?,
            trace: row.get(1)?,
            parent: row.get(2)?,
            agent: row.get(3)?,
            caller: row.get(4)?,
            form: row.get(5)?,
            depth: row.get(6)?,
            policy: row.get(7)?,
            policy_digest: row.get(8)?,
            owner: Owner { pid: row.get(9)?, started: count(10)?.unwrap_or_default() },
            started_ms: row.get(11)?,
            cached: row.get(12)?,
            shared: row.get(13)?,
            end,
        })
    }

    /// The id of its span, by which those below it name it.
    pub fn span(&self) -> &str {
        self.id.get(..SPAN).unwrap_or(&self.id)
    }
}

/// Forgets some of the records that are older than so many days, where that is bounded, and
/// some of those that are too many.
///
/// # Errors
///
/// What SQLite says.
pub fn forget_old(connection: &Connection, days: Option<u32>) -> rusqlite::Result<()> {
    forget(connection, days, MOST)
}

pub(super) fn forget(
    connection: &Connection,
    days: Option<u32>,
    most: i64,
) -> rusqlite::Result<()> {
    if let Some(days) = days {
        connection.execute(
            "DELETE FROM dispatch WHERE rowid IN
             (SELECT rowid FROM dispatch WHERE started_ms < ?1 ORDER BY started_ms LIMIT ?2)",
            [days_ago(days), AT_ONCE],
        )?;
    }
    connection.execute(
        "DELETE FROM dispatch WHERE rowid IN
         (SELECT rowid FROM dispatch WHERE rowid <= (SELECT max(rowid) FROM dispatch) - ?1
          ORDER BY rowid LIMIT ?2)",
        [most, AT_ONCE],
    )?;
    Ok(())
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX).saturating_add(jump_ms())
}

/// How far a test wants this clock to be off, in milliseconds: what stands in the file that
/// `AGENT_DISPATCH_TEST_CLOCK` names.
#[cfg(debug_assertions)]
fn jump_ms() -> i64 {
    let file = std::env::var_os("AGENT_DISPATCH_TEST_CLOCK");
    let text = file.and_then(|file| std::fs::read_to_string(file).ok());
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// What is released has no such thing.
#[cfg(not(debug_assertions))]
const fn jump_ms() -> i64 {
    0
}

/// So many days ago, in milliseconds since 1970.
pub(super) fn days_ago(days: u32) -> i64 {
    let age = Duration::from_hours(24 * u64::from(days));
    now_ms().saturating_sub(i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

/// SQLite's whole numbers have a sign.
fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
