//! Replies that are fetched later, by the id of their run or job.

use rusqlite::{Connection, OptionalExtension, params};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_stays_as_it_was() {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(include_str!("replies.sql")).expect("the table");
        let kept = |json: &str| Kept { agent: "a".to_owned(), kept_ms: 1, json: json.to_owned() };
        assert_eq!(read(&connection, "1").expect("a table"), None);
        keep(&connection, "1", &kept("{}")).expect("written");
        keep(&connection, "1", &kept("[]")).expect("not written");
        assert_eq!(read(&connection, "1").expect("a table"), Some(kept("{}")));
    }
}
