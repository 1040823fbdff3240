//! Answers that every process gives again to the same question, and replies that those get
//! who have waited for the run of another process.
//!
//! They are bounded in number, size and age; the oldest go first, a few with each that comes,
//! so that nobody waits long for it.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Params, Transaction, params};

use super::journal::now_ms;

/// The most that all of them may take, in bytes.
pub const BYTES: i64 = 64 << 20;

/// What one counts for besides its JSON, in bytes.
const OVERHEAD: i64 = 256;

/// How many old ones go at once.
const AT_ONCE: i64 = 64;

/// How many there may be, and how long.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many.
    pub most: u32,
    /// How old they may get.
    pub ttl: Duration,
    /// What they may take together, in bytes: [`BYTES`].
    pub bytes: i64,
}

/// Where things stood when a question was looked up: what is written later is later than
/// this.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Position {
    clears: i64,
    number: i64,
}

/// What there is for a question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// Where things stand.
    pub position: Position,
    /// The latest reply.
    pub latest: Option<Latest>,
}

/// The latest reply to a question, of any age and kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latest {
    number: i64,
    clean: bool,
    kept_ms: i64,
    /// The reply, as JSON.
    pub json: String,
}

impl Latest {
    /// Its age, where it may be given again and is no older than this. One from the future
    /// is of no age: the clock was set back.
    pub fn age(&self, ttl: Duration) -> Option<Duration> {
        let age = u64::try_from(now_ms().saturating_sub(self.kept_ms)).ok()?;
        Some(Duration::from_millis(age)).filter(|age| self.clean && *age <= ttl)
    }

    /// Was it written after this?
    pub fn is_after(&self, position: Position) -> bool {
        self.number > position.number
    }
}

/// A reply that is to be written.
#[derive(Debug, Clone)]
pub struct New {
    /// What tells the question from all others.
    pub key: [u8; 32],
    /// The agent's name.
    pub agent: String,
    /// When it was asked, in milliseconds since 1970.
    pub asked_ms: i64,
    /// Where things stood then.
    pub position: Position,
    /// Whether it may be given again.
    pub clean: bool,
    /// The reply, as JSON.
    pub json: String,
}

/// What there is for a question.
///
/// # Errors
///
/// What `SQLite` says.
pub fn look(connection: &Connection, key: &[u8; 32]) -> rusqlite::Result<Looked> {
    let clears = clears(connection)?;
    let mut latest = connection
        .prepare_cached("SELECT number, clean, kept_ms, json FROM answer WHERE key = ?1")?;
    let latest = latest.query_row([key], |row| {
        let (number, clean, kept_ms) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Latest { number, clean, kept_ms, json: row.get(3)? })
    });
    let latest = latest.optional()?;
    let number = latest.as_ref().map_or(0, |latest| latest.number);
    Ok(Looked { position: Position { clears, number }, latest })
}

/// Writes a reply in the place of an earlier one. Where all were forgotten since it was
/// asked, it is only for those who wait for it; and where another has asked later and was
/// answered sooner, that answer stays.
///
/// # Errors
///
/// What `SQLite` says.
pub fn write(connection: &mut Connection, new: &New, bounds: Bounds) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let now = now_ms();
    let mut later = transaction.prepare_cached(
        "SELECT 1 FROM answer WHERE key = ?1 AND asked_ms > ?2 AND kept_ms <= ?3",
    )?;
    let is_overtaken = later.exists(params![new.key, new.asked_ms, now])?;
    drop(later);
    if is_overtaken {
        return Ok(());
    }
    delete(&transaction, "key = ?1", [new.key])?;
    let bytes = i64::try_from(new.json.len()).unwrap_or(i64::MAX).saturating_add(OVERHEAD);
    if bytes <= bounds.bytes {
        let clean = new.clean && clears(&transaction)? == new.position.clears;
        let mut insert = transaction.prepare_cached(
            "INSERT INTO answer (key, agent, asked_ms, kept_ms, bytes, clean, json)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        insert.execute(params![new.key, new.agent, new.asked_ms, now, bytes, clean, new.json])?;
        add(&transaction, 1, i64::from(clean), bytes)?;
    }
    trim_a_few(&transaction, bounds)?;
    transaction.commit()
}

/// Forgets the reply to one question.
///
/// # Errors
///
/// What `SQLite` says.
pub fn forget(connection: &mut Connection, key: &[u8; 32]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    delete(&transaction, "key = ?1", [key])?;
    transaction.commit()
}

/// Forgets all, and says how many could have been given again.
///
/// # Errors
///
/// What `SQLite` says.
pub fn clear(connection: &mut Connection, ttl: Duration) -> rusqlite::Result<usize> {
    let transaction = connection.transaction()?;
    let cleared = count(&transaction, ttl)?;
    // Without a condition SQLite gives up the pages and looks at no row.
    transaction.execute("DELETE FROM answer", [])?;
    transaction.execute(
        "UPDATE answer_totals SET answers = 0, clean = 0, bytes = 0, clears = clears + 1",
        [],
    )?;
    transaction.commit()?;
    Ok(cleared)
}

/// How many can be given again.
///
/// # Errors
///
/// What `SQLite` says.
pub fn count(connection: &Connection, ttl: Duration) -> rusqlite::Result<usize> {
    // Those that cannot are few: they go with the next that is written.
    let sql = "SELECT (SELECT clean FROM answer_totals)
               - (SELECT count(*) FROM answer WHERE kept_ms < ?1 AND clean)
               - (SELECT count(*) FROM answer WHERE kept_ms > ?2 AND clean)";
    let (first, now) = young(ttl);
    let count: i64 = connection.query_row(sql, [first, now], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or_default())
}

/// Forgets a few of those that are too old or too many; says whether there are more.
///
/// # Errors
///
/// What `SQLite` says.
pub fn trim(connection: &mut Connection, bounds: Bounds) -> rusqlite::Result<bool> {
    let transaction = connection.transaction()?;
    let deleted = trim_a_few(&transaction, bounds)?;
    transaction.commit()?;
    Ok(deleted >= AT_ONCE)
}

/// Says how many were deleted.
fn trim_a_few(transaction: &Transaction<'_>, bounds: Bounds) -> rusqlite::Result<i64> {
    let (first, now) = young(bounds.ttl);
    let old = delete(
        transaction,
        "number IN (SELECT number FROM answer WHERE kept_ms < ?1 ORDER BY kept_ms LIMIT ?3)
         OR number IN (SELECT number FROM answer WHERE kept_ms > ?2 LIMIT ?3)",
        [first, now, AT_ONCE],
    )?;
    let (answers, bytes): (i64, i64) = transaction
        .prepare_cached("SELECT answers, bytes FROM answer_totals")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (mut too_many, mut too_large) = (answers - i64::from(bounds.most), bytes - bounds.bytes);
    let mut last = None;
    if too_many > 0 || too_large > 0 {
        let mut oldest = transaction
            .prepare_cached("SELECT number, bytes FROM answer ORDER BY number LIMIT ?1")?;
        let mut rows = oldest.query([AT_ONCE])?;
        while (too_many > 0 || too_large > 0)
            && let Some(row) = rows.next()?
        {
            last = Some(row.get::<_, i64>(0)?);
            too_many -= 1;
            too_large -= row.get::<_, i64>(1)?;
        }
    }
    let Some(last) = last else { return Ok(old) };
    Ok(old + delete(transaction, "number <= ?1", [last])?)
}

/// Deletes some and takes them off the totals; says how many there were.
fn delete(
    transaction: &Transaction<'_>,
    which: &str,
    parameters: impl Params,
) -> rusqlite::Result<i64> {
    let sql = format!("DELETE FROM answer WHERE {which} RETURNING clean, bytes");
    let mut delete = transaction.prepare_cached(&sql)?;
    let mut rows = delete.query(parameters)?;
    let (mut answers, mut clean, mut bytes) = (0, 0, 0);
    while let Some(row) = rows.next()? {
        answers += 1;
        clean += row.get::<_, i64>(0)?;
        bytes += row.get::<_, i64>(1)?;
    }
    if answers > 0 {
        add(transaction, -answers, -clean, -bytes)?;
    }
    Ok(answers)
}

fn add(
    transaction: &Transaction<'_>,
    answers: i64,
    clean: i64,
    bytes: i64,
) -> rusqlite::Result<()> {
    let mut add = transaction.prepare_cached(
        "UPDATE answer_totals SET answers = answers + ?1, clean = clean + ?2, bytes = bytes + ?3",
    )?;
    add.execute([answers, clean, bytes]).map(drop)
}

fn clears(connection: &Connection) -> rusqlite::Result<i64> {
    connection.prepare_cached("SELECT clears FROM answer_totals")?.query_row([], |row| row.get(0))
}

/// From when to when those are that are young enough, in milliseconds since 1970.
fn young(ttl: Duration) -> (i64, i64) {
    let now = now_ms();
    (now.saturating_sub(i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX)), now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);
    const BOUNDS: Bounds = Bounds { most: 100, ttl: HOUR, bytes: BYTES };

    fn database() -> Connection {
        let connection = Connection::open_in_memory().expect("memory");
        connection.execute_batch(include_str!("answers.sql")).expect("the tables");
        connection
    }

    fn key(number: u8) -> [u8; 32] {
        [number; 32]
    }

    fn new(number: u8, json: &str, position: Position) -> New {
        let json = json.to_owned();
        let agent = "a".to_owned();
        New { key: key(number), agent, asked_ms: now_ms(), position, clean: true, json }
    }

    fn put(connection: &mut Connection, number: u8, bounds: Bounds) {
        let position = look(connection, &key(number)).expect("a look").position;
        write(connection, &new(number, "{}", position), bounds).expect("it is written");
    }

    fn hit(connection: &Connection, number: u8) -> Option<String> {
        let latest = look(connection, &key(number)).expect("a look").latest?;
        latest.age(HOUR).map(|_| latest.json)
    }

    /// What the totals say is what there is.
    fn check(connection: &Connection) {
        let of = |sql: &str| -> (i64, i64, i64) {
            let read =
                connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
            read.expect("numbers")
        };
        assert_eq!(
            of("SELECT answers, clean, bytes FROM answer_totals"),
            of("SELECT count(*), coalesce(sum(clean), 0), coalesce(sum(bytes), 0) FROM answer"),
        );
    }

    #[test]
    fn what_was_written_is_there_until_it_is_forgotten() {
        let mut database = database();
        assert_eq!(look(&database, &key(1)).expect("a look"), Looked::default());
        put(&mut database, 1, BOUNDS);
        put(&mut database, 1, BOUNDS);
        assert_eq!(hit(&database, 1).as_deref(), Some("{}"));
        assert_eq!(count(&database, HOUR).expect("a count"), 1);
        check(&database);
        forget(&mut database, &key(1)).expect("it is forgotten");
        assert_eq!(hit(&database, 1), None);
        check(&database);
    }

    #[test]
    fn who_waited_gets_what_nobody_gets_later() {
        let mut database = database();
        let before = look(&database, &key(1)).expect("a look").position;
        let failed = New { clean: false, ..new(1, "no", before) };
        write(&mut database, &failed, BOUNDS).expect("it is written");
        let looked = look(&database, &key(1)).expect("a look");
        let latest = looked.latest.expect("a reply");
        assert!(latest.is_after(before) && !latest.is_after(looked.position));
        assert_eq!((latest.age(HOUR), count(&database, HOUR).expect("a count")), (None, 0));
        check(&database);
        // One that is forgotten makes none that comes then look old.
        forget(&mut database, &key(1)).expect("it is forgotten");
        put(&mut database, 1, BOUNDS);
        let latest = look(&database, &key(1)).expect("a look").latest.expect("a reply");
        assert!(latest.is_after(looked.position));
    }

    #[test]
    fn old_ones_and_those_of_the_future_are_none_and_go() {
        let mut database = database();
        for number in 1..=3 {
            put(&mut database, number, BOUNDS);
        }
        for (number, sign) in [(1, '-'), (2, '+')] {
            let sql = format!("UPDATE answer SET kept_ms = kept_ms {sign} 7200000 WHERE key = ?1");
            database.execute(&sql, [key(number)]).expect("another time");
        }
        assert_eq!((hit(&database, 1), hit(&database, 2)), (None, None));
        assert_eq!(count(&database, HOUR).expect("a count"), 1);
        put(&mut database, 4, BOUNDS);
        let left: i64 =
            database.query_row("SELECT count(*) FROM answer", [], |row| row.get(0)).expect("one");
        assert_eq!(left, 2);
        check(&database);
    }

    #[test]
    fn the_oldest_make_room_a_few_at_once() {
        let mut database = database();
        for number in 1..=200 {
            put(&mut database, number, Bounds { most: 1000, ..BOUNDS });
        }
        // Another config allows fewer.
        let few = Bounds { most: 10, ..BOUNDS };
        assert!(trim(&mut database, few).expect("a step"));
        assert_eq!((hit(&database, 64), hit(&database, 65)), (None, Some("{}".to_owned())));
        while trim(&mut database, few).expect("a step") {}
        assert_eq!((hit(&database, 190), hit(&database, 191)), (None, Some("{}".to_owned())));
        put(&mut database, 201, few);
        assert_eq!(count(&database, HOUR).expect("a count"), 10);
        check(&database);

        let small = Bounds { bytes: 3 * (OVERHEAD + 2), ..BOUNDS };
        while trim(&mut database, small).expect("a step") {}
        assert_eq!(count(&database, HOUR).expect("a count"), 3);
        let position = look(&database, &key(1)).expect("a look").position;
        let large = new(1, &"x".repeat(1000), position);
        write(&mut database, &large, small).expect("nothing is written");
        assert_eq!((hit(&database, 1), count(&database, HOUR).expect("a count")), (None, 3));
        check(&database);
    }

    #[test]
    fn what_was_asked_before_a_clear_is_only_for_those_who_wait() {
        let mut database = database();
        put(&mut database, 1, BOUNDS);
        let before = look(&database, &key(2)).expect("a look").position;
        assert_eq!(clear(&mut database, HOUR).expect("a clear"), 1);
        write(&mut database, &new(2, "{}", before), BOUNDS).expect("it is written");
        assert_eq!((hit(&database, 1), hit(&database, 2)), (None, None));
        assert!(look(&database, &key(2)).expect("a look").latest.expect("one").is_after(before));
        check(&database);
    }

    #[test]
    fn who_asked_first_and_is_answered_last_has_the_older_answer() {
        let mut database = database();
        let position = look(&database, &key(1)).expect("a look").position;
        let first = New { asked_ms: now_ms() - 1000, ..new(1, "first", position) };
        write(&mut database, &new(1, "fresh", position), BOUNDS).expect("it is written");
        write(&mut database, &first, BOUNDS).expect("nothing is written");
        assert_eq!(hit(&database, 1).as_deref(), Some("fresh"));
    }
}
