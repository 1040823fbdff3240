//! Jobs: dispatches that outlive the process that asked for them. A final status stays: each
//! change is made only where the job is not over, so that of several who find it changed one
//! alone does it.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use serde::Serialize;

use super::owner::Owner;
use super::replies::{self, Kept};

/// How a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It waits for its turn.
    Pending,
    /// Its agent works.
    Running,
    /// Its agent has finished.
    Done,
    /// It has failed.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl Status {
    /// All of them, in the order in which they are named.
    pub const ALL: [Self; 5] =
        [Self::Cancelled, Self::Done, Self::Failed, Self::Pending, Self::Running];

    /// The word that stands in the store and in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Does it stay so for ever?
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Cancelled)
    }
}

/// A job, but for the request.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// 32 hexadecimal digits; also the id of its run.
    pub id: String,
    /// The agent's name.
    pub agent: String,
    /// How it stands.
    pub status: Status,
    /// The beginning of the task.
    pub task: String,
    /// When it was asked for, in milliseconds since 1970, as the others.
    pub created_ms: i64,
    /// When its agent was started.
    pub started_ms: Option<i64>,
    /// When it was over.
    pub completed_ms: Option<i64>,
    /// The process that keeps it, once that is known.
    pub keeper: Option<Owner>,
    /// Did the agent finish? Unknown while it works.
    pub success: Option<bool>,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// The conversation that can go on.
    pub session_id: Option<String>,
    /// Why it is over without success.
    pub error: Option<String>,
    /// The same as a stable word.
    pub error_type: Option<String>,
    /// What its agent did last, oldest first.
    pub progress: Vec<String>,
    /// When that was written.
    pub progress_ms: Option<i64>,
}

/// How a job ended.
#[derive(Debug, Clone, Default)]
pub struct End {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Did the agent finish?
    pub success: bool,
    /// What it cost, in US dollars.
    pub cost_usd: Option<f64>,
    /// The conversation that can go on.
    pub session_id: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// The same as a stable word.
    pub error_type: Option<String>,
    /// Was an agent run for it?
    pub was_run: bool,
    /// The reply, as JSON.
    pub reply: String,
}

/// The columns of a [`Job`], in the order in which it is read.
const SELECTED: &str = "id, agent, status, task, created_ms, started_ms, completed_ms, keeper_pid,
    keeper_started, success, cost_usd, session_id, error, error_type, progress, progress_ms";

/// Those that are not over.
const NOT_OVER: &str = "status IN ('pending', 'running')";

/// Adds a job that waits, unless so many do already.
///
/// # Errors
///
/// What SQLite says.
pub fn add(
    connection: &mut Connection,
    job: &Job,
    request: &str,
    most_waiting: u32,
) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let waiting: u32 = transaction
        .prepare_cached("SELECT count(*) FROM job WHERE status = 'pending'")?
        .query_row([], |row| row.get(0))?;
    if waiting >= most_waiting {
        return Ok(false);
    }
    transaction
        .prepare_cached(
            "INSERT INTO job (id, agent, status, task, created_ms, request)
             VALUES (?1, ?2, 'pending', ?3, ?4, ?5)",
        )?
        .execute(params![job.id, job.agent, job.task, job.created_ms, request])?;
    transaction.commit()?;
    Ok(true)
}

/// The job with this id and its request.
///
/// # Errors
///
/// What SQLite says.
pub fn read(connection: &Connection, id: &str) -> rusqlite::Result<Option<(Job, String)>> {
    let mut query =
        connection.prepare_cached(&format!("SELECT {SELECTED}, request FROM job WHERE id = ?1"))?;
    query.query_row([id], |row| Ok((job(row)?, row.get("request")?))).optional()
}

/// The latest jobs, newest first: those with this status and this agent, where they are given.
///
/// # Errors
///
/// What SQLite says.
pub fn list(
    connection: &Connection,
    status: Option<Status>,
    agent: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<Job>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT {SELECTED} FROM job WHERE (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR agent = ?2)
         ORDER BY created_ms DESC, rowid DESC LIMIT ?3"
    ))?;
    let rows = query.query_map(params![status.map(Status::as_str), agent, limit], job)?;
    rows.collect()
}

/// The ids of those that are not over.
///
/// # Errors
///
/// What SQLite says.
pub fn not_over(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare_cached(&format!("SELECT id FROM job WHERE {NOT_OVER}"))?;
    let rows = query.query_map([], |row| row.get(0))?;
    rows.collect()
}

/// Notes which process keeps it.
///
/// # Errors
///
/// What SQLite says.
pub fn kept_by(connection: &Connection, id: &str, keeper: Owner) -> rusqlite::Result<()> {
    let started = i64::try_from(keeper.started).unwrap_or(i64::MAX);
    connection
        .prepare_cached("UPDATE job SET keeper_pid = ?2, keeper_started = ?3 WHERE id = ?1")?
        .execute(params![id, keeper.pid, started])
        .map(drop)
}

/// Its agent was started; says whether it was still wanted.
///
/// # Errors
///
/// What SQLite says.
pub fn begin(connection: &Connection, id: &str, at_ms: i64) -> rusqlite::Result<bool> {
    let sql =
        format!("UPDATE job SET status = 'running', started_ms = ?2 WHERE id = ?1 AND {NOT_OVER}");
    connection.prepare_cached(&sql)?.execute(params![id, at_ms]).map(|changed| changed > 0)
}

/// What its agent did last; says whether it is still wanted.
///
/// # Errors
///
/// What SQLite says.
pub fn tell(
    connection: &Connection,
    id: &str,
    lines: &[String],
    at_ms: i64,
) -> rusqlite::Result<bool> {
    let lines = serde_json::to_string(lines).unwrap_or_default();
    let sql =
        format!("UPDATE job SET progress = ?2, progress_ms = ?3 WHERE id = ?1 AND {NOT_OVER}");
    let changed = connection.prepare_cached(&sql)?.execute(params![id, lines, at_ms])?;
    Ok(changed > 0)
}

/// Cancels it; says how it stood before, or that there is nothing to cancel.
///
/// # Errors
///
/// What SQLite says.
pub fn cancel(
    connection: &mut Connection,
    id: &str,
    at_ms: i64,
    why: impl FnOnce(Status) -> String,
) -> rusqlite::Result<Option<Status>> {
    let transaction = connection.transaction()?;
    let status = transaction
        .prepare_cached("SELECT status FROM job WHERE id = ?1")?
        .query_row([id], |row| row.get::<_, String>(0))
        .optional()?;
    let status = status.and_then(|word| Status::parse(&word)).filter(|status| !status.is_final());
    let Some(status) = status else { return Ok(None) };
    transaction
        .prepare_cached(
            "UPDATE job SET status = 'cancelled', completed_ms = ?2, success = 0, error = ?3,
                    error_type = 'cancelled' WHERE id = ?1",
        )?
        .execute(params![id, at_ms, why(status)])?;
    transaction.commit()?;
    Ok(Some(status))
}

/// Ends it and keeps its reply; says how it stands then, if it is still there. What was
/// cancelled stays so; what its agent had said and cost by then was paid for, and is kept.
///
/// # Errors
///
/// What SQLite says.
pub fn end(connection: &mut Connection, id: &str, end: &End) -> rusqlite::Result<Option<Status>> {
    let transaction = connection.transaction()?;
    let status = if end.success { Status::Done } else { Status::Failed };
    let sql = format!(
        "UPDATE job SET status = :status, completed_ms = :at, success = :success, cost_usd = :cost,
                session_id = :session, error = :error, error_type = :error_type
         WHERE id = :id AND {NOT_OVER}"
    );
    let changed = transaction.prepare_cached(&sql)?.execute(named_params! {
        ":id": id,
        ":status": status.as_str(),
        ":at": end.at_ms,
        ":success": end.success,
        ":cost": end.cost_usd,
        ":session": end.session_id,
        ":error": end.error,
        ":error_type": end.error_type,
    })?;
    let cancelled = changed == 0
        && end.was_run
        && transaction
            .prepare_cached(
                "UPDATE job SET cost_usd = coalesce(cost_usd, ?2),
                        session_id = coalesce(session_id, ?3)
                 WHERE id = ?1 AND status = 'cancelled'",
            )?
            .execute(params![id, end.cost_usd, end.session_id])?
            > 0;
    let stands: Option<(String, String)> = transaction
        .prepare_cached("SELECT status, agent FROM job WHERE id = ?1")?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((status, agent)) = stands else { return Ok(None) };
    if changed > 0 || cancelled {
        let kept = Kept { agent, kept_ms: end.at_ms, json: end.reply.clone() };
        replies::keep(&transaction, id, &kept)?;
    }
    transaction.commit()?;
    Ok(Status::parse(&status))
}

/// The ids of those that were over before this time, in milliseconds since 1970.
///
/// # Errors
///
/// What SQLite says.
pub fn over_before(connection: &Connection, at_ms: i64) -> rusqlite::Result<Vec<String>> {
    let mut query = connection.prepare_cached(&format!(
        "SELECT id FROM job WHERE NOT {NOT_OVER} AND coalesce(completed_ms, created_ms) < ?1
         ORDER BY created_ms"
    ))?;
    let rows = query.query_map([at_ms], |row| row.get(0))?;
    rows.collect()
}

/// Forgets these jobs, as far as they are over, with their replies; says how many there were.
///
/// # Errors
///
/// What SQLite says.
pub fn forget(connection: &mut Connection, ids: &[String]) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    let mut forgotten = 0;
    for id in ids {
        let sql = format!("DELETE FROM job WHERE id = ?1 AND NOT {NOT_OVER}");
        if transaction.prepare_cached(&sql)?.execute([id])? > 0 {
            transaction.prepare_cached("DELETE FROM reply WHERE id = ?1")?.execute([id])?;
            forgotten += 1;
        }
    }
    transaction.commit()?;
    Ok(forgotten)
}

/// Takes a job back that was never begun.
///
/// # Errors
///
/// What SQLite says.
pub fn take_back(connection: &Connection, id: &str) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM job WHERE id = ?1 AND status = 'pending'", [id]).map(drop)
}

/// Reads a row of [`SELECTED`].
fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let started: Option<i64> = row.get(8)?;
    let keeper = row.get::<_, Option<u32>>(7)?.zip(started);
    let progress: Option<String> = row.get(14)?;
    Ok(Job {
        id: row.get(0)?,
        agent: row.get(1)?,
        // A word that a later version wrote: over, as far as this one can tell.
        status: Status::parse(row.get_ref(2)?.as_str()?).unwrap_or(Status::Failed),
        task: row.get(3)?,
        created_ms: row.get(4)?,
        started_ms: row.get(5)?,
        completed_ms: row.get(6)?,
        keeper: keeper.map(|(pid, started)| Owner { pid, started: started.unsigned_abs() }),
        success: row.get(9)?,
        cost_usd: row.get(10)?,
        session_id: row.get(11)?,
        error: row.get(12)?,
        error_type: row.get(13)?,
        progress: progress.and_then(|lines| serde_json::from_str(&lines).ok()).unwrap_or_default(),
        progress_ms: row.get(15)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        for step in [include_str!("replies.sql"), include_str!("jobs.sql")] {
            connection.execute_batch(step).expect("the tables");
        }
        connection
    }

    fn waiting(id: &str, created_ms: i64) -> Job {
        Job {
            id: id.to_owned(),
            agent: "a".to_owned(),
            status: Status::Pending,
            task: "look".to_owned(),
            created_ms,
            started_ms: None,
            completed_ms: None,
            keeper: None,
            success: None,
            cost_usd: None,
            session_id: None,
            error: None,
            error_type: None,
            progress: Vec::new(),
            progress_ms: None,
        }
    }

    fn ended(success: bool, reply: &str) -> End {
        let reply = reply.to_owned();
        End { at_ms: 9, success, cost_usd: Some(0.5), was_run: true, reply, ..End::default() }
    }

    fn reply(store: &Connection, id: &str) -> Option<String> {
        replies::read(store, id).expect("a table").map(|kept| kept.json)
    }

    #[test]
    fn a_final_status_stays_and_so_does_its_result() {
        let mut store = store();
        assert!(add(&mut store, &waiting("1", 1), "{}", 9).expect("written"));
        assert!(begin(&store, "1", 2).expect("written"));
        assert_eq!(end(&mut store, "1", &ended(true, "1")).expect("written"), Some(Status::Done));
        let (done, request) = read(&store, "1").expect("a table").expect("a job");
        assert_eq!((done.status, done.cost_usd, request.as_str()), (Status::Done, Some(0.5), "{}"));
        assert!(!begin(&store, "1", 3).expect("nothing written"));
        assert!(!tell(&store, "1", &["x".to_owned()], 3).expect("nothing written"));
        let why = |_| "unwanted".to_owned();
        assert_eq!(cancel(&mut store, "1", 3, why).expect("nothing written"), None);
        let again = end(&mut store, "1", &ended(false, "2")).expect("nothing written");
        assert_eq!(again, Some(Status::Done));
        assert_eq!(read(&store, "1").expect("a table").expect("a job").0, done);
        assert_eq!(reply(&store, "1").as_deref(), Some("1"));
    }

    #[test]
    fn what_a_cancelled_one_had_cost_is_kept_beside_that_it_is_cancelled() {
        let mut store = store();
        assert!(add(&mut store, &waiting("1", 1), "{}", 9).expect("written"));
        assert!(begin(&store, "1", 2).expect("written"));
        let before = cancel(&mut store, "1", 3, |status| status.as_str().to_owned());
        assert_eq!(before.expect("written"), Some(Status::Running));
        let status = end(&mut store, "1", &ended(true, "paid")).expect("written");
        assert_eq!(status, Some(Status::Cancelled));
        let (job, _) = read(&store, "1").expect("a table").expect("a job");
        assert_eq!((job.status, job.cost_usd), (Status::Cancelled, Some(0.5)));
        assert_eq!((job.completed_ms, job.error.as_deref()), (Some(3), Some("running")));
        assert_eq!(reply(&store, "1").as_deref(), Some("paid"));
    }

    #[test]
    fn no_more_wait_than_may_and_the_old_ones_go() {
        let mut store = store();
        for (id, room) in [("1", true), ("2", true), ("3", false)] {
            assert_eq!(add(&mut store, &waiting(id, 1), "{}", 2).expect("a table"), room);
        }
        assert_eq!(not_over(&store).expect("a table"), ["1", "2"]);
        end(&mut store, "1", &ended(true, "1")).expect("written");
        assert!(add(&mut store, &waiting("3", 5), "{}", 2).expect("written"));
        let listed = |status, agent| {
            let jobs = list(&store, status, agent, 9).expect("a table").into_iter();
            jobs.map(|job| job.id).collect::<Vec<_>>()
        };
        assert_eq!(listed(None, None), ["3", "2", "1"]);
        assert_eq!(listed(Some(Status::Pending), Some("a")), ["3", "2"]);
        assert!(listed(None, Some("b")).is_empty());
        assert!(over_before(&store, 9).expect("a table").is_empty());
        let old = over_before(&store, 10).expect("a table");
        assert_eq!(old, ["1"]);
        let all = ["1", "2"].map(str::to_owned);
        assert_eq!(forget(&mut store, &all).expect("written"), 1);
        assert_eq!((reply(&store, "1"), read(&store, "1").expect("a table")), (None, None));
        assert!(read(&store, "2").expect("a table").is_some(), "it is not over");
    }
}
