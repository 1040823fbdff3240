//! What policies were given and decided, where the config wants that kept.

use rusqlite::{Connection, params};

/// How many decisions there are at most, and of how many bytes; the oldest go first.
const MOST: i64 = 500;
const MOST_BYTES: i64 = 64 << 20;

/// A decision of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The kind of the policy.
    pub kind: String,
    /// Which of its functions was called.
    pub function: String,
    /// The policy's name.
    pub policy: String,
    /// The digest of its component, in hexadecimal.
    pub digest: String,
    /// The agents that it is about.
    pub agents: Vec<String>,
    /// The run's id, or the trace of a call that is several.
    pub run: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// All that it was given, as JSON; absent where that was too long to be kept.
    pub input: Option<String>,
    /// What it decided, as JSON, or why it did not.
    pub decision: Result<String, String>,
}

/// Keeps a decision, and forgets those that are too many or too large.
///
/// # Errors
///
/// What `SQLite` says.
pub fn keep(connection: &mut Connection, kept: &Decision) -> rusqlite::Result<()> {
    keep_within(connection, kept, MOST, MOST_BYTES)
}

fn keep_within(
    connection: &mut Connection,
    kept: &Decision,
    most: i64,
    most_bytes: i64,
) -> rusqlite::Result<()> {
    let (decision, error) = (kept.decision.as_ref().ok(), kept.decision.as_ref().err());
    let texts = [kept.input.as_ref(), decision, error];
    let bytes: usize = texts.into_iter().flatten().map(String::len).sum();
    let transaction = connection.transaction()?;
    transaction.execute(
        "INSERT INTO decision (kind, function, policy, digest, agents, run, at_ms, bytes, input, decision, error)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        params![
            kept.kind,
            kept.function,
            kept.policy,
            kept.digest,
            format!(" {} ", kept.agents.join("  ")),
            kept.run,
            kept.at_ms,
            i64::try_from(bytes).unwrap_or(i64::MAX),
            kept.input,
            decision,
            error,
        ],
    )?;
    transaction.execute(
        "DELETE FROM decision WHERE rowid <= (SELECT max(rowid) FROM decision) - ?1",
        [most],
    )?;
    transaction.execute(
        "DELETE FROM decision WHERE rowid <= (SELECT max(id) FROM
         (SELECT rowid AS id, sum(bytes) OVER (ORDER BY rowid DESC) AS total FROM decision)
         WHERE total > ?1)",
        [most_bytes],
    )?;
    transaction.commit()
}

/// The latest decisions of these kinds, oldest first, so many, about this agent where it is
/// named.
///
/// # Errors
///
/// What `SQLite` says.
pub fn latest(
    connection: &Connection,
    kinds: &[String],
    agent: Option<&str>,
    limit: u32,
) -> rusqlite::Result<Vec<Decision>> {
    let mut query = connection.prepare(
        "SELECT kind, function, policy, digest, agents, run, at_ms, input, decision, error
         FROM decision WHERE instr(?1, ' ' || kind || ' ') AND (?2 IS NULL OR instr(agents, ' ' || ?2 || ' '))
         ORDER BY rowid DESC LIMIT ?3",
    )?;
    let rows =
        query.query_map(params![format!(" {} ", kinds.join("  ")), agent, limit], |row| {
            let agents: String = row.get(4)?;
            Ok(Decision {
                kind: row.get(0)?,
                function: row.get(1)?,
                policy: row.get(2)?,
                digest: row.get(3)?,
                agents: agents.split_whitespace().map(str::to_owned).collect(),
                run: row.get(5)?,
                at_ms: row.get(6)?,
                input: row.get(7)?,
                decision: match row.get::<_, Option<String>>(8)? {
                    Some(decision) => Ok(decision),
                    None => Err(row.get::<_, Option<String>>(9)?.unwrap_or_default()),
                },
            })
        })?;
    let mut decisions = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    decisions.reverse();
    Ok(decisions)
}

/// Forgets all decisions, so that nothing of them is left in the file; says how many.
///
/// # Errors
///
/// What `SQLite` says.
pub fn forget(connection: &Connection) -> rusqlite::Result<usize> {
    connection.pragma_update(None, "secure_delete", true)?;
    let forgotten = connection.execute("DELETE FROM decision", [])?;
    // The log beside the file holds them too. Where others are reading it goes later.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(forgotten)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_where_they_are_too_many_or_too_large() {
        let mut connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(include_str!("decisions.sql")).expect("the table");
        let one = |at_ms: i64, input: &str| Decision {
            kind: "prompt".to_owned(),
            agents: vec!["infra".to_owned(), "web".to_owned()],
            at_ms,
            input: Some(input.to_owned()),
            decision: if at_ms % 2 == 0 { Ok("{}".to_owned()) } else { Err("no".to_owned()) },
            function: "render".to_owned(),
            policy: "house".to_owned(),
            digest: "d".to_owned(),
            run: "r".to_owned(),
        };
        let kept = |connection: &Connection, agent: Option<&str>| {
            let latest = latest(connection, &["prompt".to_owned()], agent, 99).expect("rows");
            latest.iter().map(|decision| decision.at_ms).collect::<Vec<_>>()
        };
        for at_ms in 0..5 {
            keep_within(&mut connection, &one(at_ms, "x"), 3, 1000).expect("written");
        }
        assert_eq!(kept(&connection, Some("web")), [2, 3, 4]);
        assert!(kept(&connection, Some("inf")).is_empty());
        keep_within(&mut connection, &one(5, &"x".repeat(900)), 3, 905).expect("written");
        assert_eq!(kept(&connection, None), [4, 5]);
        assert_eq!(
            latest(&connection, &["prompt".to_owned()], None, 1).expect("rows")[0],
            one(5, &"x".repeat(900))
        );
        assert!(latest(&connection, &["describe".to_owned()], None, 9).expect("rows").is_empty());
        assert_eq!(forget(&connection).expect("forgotten"), 2);
    }
}
