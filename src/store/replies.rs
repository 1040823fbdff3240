//! Replies that are fetched later, by the id of their run or job.

use rusqlite::{Connection, Error, OptionalExtension, params};
use serde::Serialize;

use super::journal::{days_ago, now_ms};

/// How much all that is kept may take, in bytes; the oldest go first.
const BYTES: i64 = 256 << 20;

/// How many there may be.
const COUNT: i64 = 10_000;

/// How long a reply stays however many there are, in milliseconds: somebody has just been told
/// of it.
const YOUNG: i64 = 60 * 60 * 1000;

/// How many go at once for each that comes: others may be waiting to write.
const AT_ONCE: usize = 16;

/// Which of them may go, as a condition on a row. A reply that belongs to something else goes
/// with that.
const FREE: &str = "id NOT IN (SELECT id FROM job)";

/// A reply that was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The agent's name.
    pub agent: String,
    /// When it was kept, in milliseconds since 1970.
    pub kept_ms: i64,
    /// The reply, as JSON.
    pub json: String,
}

/// Keeps a reply. One that is there already under this id stays.
///
/// # Errors
///
/// What `SQLite` says.
pub fn keep(connection: &Connection, id: &str, kept: &Kept) -> rusqlite::Result<()> {
    let sql = "INSERT INTO reply (id, agent, kept_ms, json) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (id) DO NOTHING";
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(params![id, kept.agent, kept.kept_ms, kept.json])?;
    Ok(())
}

/// Keeps several, each with its id and its agent: all or none. Somebody waits for that, so
/// moving them from the log into the file is left to a later write.
///
/// # Errors
///
/// What `SQLite` says, or that a reply cannot be written as JSON.
pub fn keep_all<T: Serialize>(
    connection: &mut Connection,
    replies: impl Iterator<Item = (String, String, T)>,
) -> rusqlite::Result<()> {
    let moves_at: i64 =
        connection.pragma_query_value(None, "wal_autocheckpoint", |row| row.get(0))?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    let kept = in_one(connection, replies);
    connection.pragma_update(None, "wal_autocheckpoint", moves_at)?;
    kept
}

fn in_one<T: Serialize>(
    connection: &mut Connection,
    replies: impl Iterator<Item = (String, String, T)>,
) -> rusqlite::Result<()> {
    let (transaction, kept_ms) = (connection.transaction()?, now_ms());
    for (id, agent, reply) in replies {
        let json = serde_json::to_string(&reply);
        let json = json.map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))?;
        keep(&transaction, &id, &Kept { agent, kept_ms, json })?;
    }
    transaction.commit()
}

/// The reply with this id, if there is one.
///
/// # Errors
///
/// What `SQLite` says.
pub fn read(connection: &Connection, id: &str) -> rusqlite::Result<Option<Kept>> {
    let mut statement =
        connection.prepare_cached("SELECT agent, kept_ms, json FROM reply WHERE id = ?1")?;
    statement
        .query_row([id], |row| {
            Ok(Kept { agent: row.get(0)?, kept_ms: row.get(1)?, json: row.get(2)? })
        })
        .optional()
}

/// Forgets replies that are older than so many days, where that is bounded, and the oldest
/// where they are too many or too large together. `came` is how many came since the last time.
///
/// # Errors
///
/// What `SQLite` says.
pub fn forget_old(connection: &Connection, days: Option<u32>, came: usize) -> rusqlite::Result<()> {
    forget(connection, days, came, (BYTES, COUNT, YOUNG))
}

fn forget(
    connection: &Connection,
    days: Option<u32>,
    came: usize,
    (bytes, count, young): (i64, i64, i64),
) -> rusqlite::Result<()> {
    // All that is older than the first, from the newest on, with which one of the bounds is
    // passed.
    let sql = format!(
        "DELETE FROM reply WHERE id IN (
             SELECT id FROM (
                 SELECT id, kept_ms,
                     sum(octet_length(json)) OVER newer AS bytes,
                     row_number() OVER newer AS number
                 FROM reply WHERE {FREE}
                 WINDOW newer AS (ORDER BY kept_ms DESC, id ROWS UNBOUNDED PRECEDING)
             )
             WHERE kept_ms < ?1 OR ((bytes > ?2 OR number > ?3) AND kept_ms < ?4)
             ORDER BY kept_ms LIMIT {AT_ONCE}
         )"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let too_old = days.map_or(i64::MIN, days_ago);
    for _ in 0..came {
        if statement.execute([too_old, bytes, count, now_ms() - young])? < AT_ONCE {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(include_str!("replies.sql")).expect("the table");
        connection.execute_batch(include_str!("jobs.sql")).expect("that of jobs");
        connection
    }

    fn kept(kept_ms: i64, json: &str) -> Kept {
        Kept { agent: "a".to_owned(), kept_ms, json: json.to_owned() }
    }

    fn ids(connection: &Connection) -> Vec<String> {
        let mut statement = connection.prepare("SELECT id FROM reply ORDER BY id").expect("SQL");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.collect::<Result<_, _>>().expect("ids")
    }

    #[test]
    fn what_was_kept_stays_as_it_was() {
        let connection = table();
        assert_eq!(read(&connection, "1").expect("a table"), None);
        keep(&connection, "1", &kept(1, "{}")).expect("written");
        keep(&connection, "1", &kept(1, "[]")).expect("not written");
        assert_eq!(read(&connection, "1").expect("a table"), Some(kept(1, "{}")));
    }

    #[test]
    fn several_are_kept_together_or_not_at_all() {
        let mut connection = table();
        // JSON has no keys that are lists.
        let bad = || Some(std::collections::BTreeMap::from([(vec![1], 1)]));
        let one = |id: &str, value| (id.to_owned(), "a".to_owned(), value);
        keep_all(&mut connection, [one("1", None), one("2", None)].into_iter()).expect("written");
        let refused = [one("3", None), one("4", bad())].into_iter();
        keep_all(&mut connection, refused).expect_err("not written");
        assert_eq!(ids(&connection), ["1", "2"]);
        assert_eq!(read(&connection, "1").expect("a table").expect("it is there").json, "null");
    }

    #[test]
    fn the_oldest_go_where_they_are_too_large_or_too_many_or_too_old() {
        let now = now_ms();
        let filled = || {
            let connection = table();
            for age in 0..6 {
                // Ten bytes each, a day apart; the newest has the lowest id.
                let kept = kept(now - age * 86_400_000 - 1000, "0123456789");
                keep(&connection, &age.to_string(), &kept).expect("written");
            }
            connection
        };
        let (much, none) = (i64::MAX, 0);
        let left = |days, came, bounds| {
            let connection = filled();
            forget(&connection, days, came, bounds).expect("it forgets");
            ids(&connection).len()
        };
        assert_eq!(left(None, 1, (much, much, none)), 6);
        assert_eq!(left(None, 1, (35, much, none)), 3);
        assert_eq!(left(None, 1, (much, 2, none)), 2);
        assert_eq!(left(None, 0, (much, 2, none)), 6);
        assert_eq!(left(Some(4), 1, (much, much, none)), 4);
        // What is young stays.
        assert_eq!(left(None, 1, (0, 0, 86_400_000)), 1);
        assert_eq!(left(None, 1, (0, 0, none)), 0);
    }
}
