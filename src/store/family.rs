//! Who asked whom: records as trees.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, Params, params};

use super::journal::{Record, SELECTED};

/// How many records of one trace are looked at.
const MOST_OF_TRACE: i64 = 10_000;

/// The shortest beginning of an id that is looked for, in digits.
const LEAST_DIGITS: usize = 4;

/// A dispatch and those that its agent asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// The dispatch.
    pub record: Record,
    /// How it stands.
    pub state: State,
    /// Those below it, oldest first.
    pub children: Vec<Self>,
}

/// How a dispatch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is not over.
    Running,
    /// It never will be: the process that had it is gone.
    Lost,
    /// It has ended.
    Over,
}

/// What an id, or the beginning of one, names.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Named {
    /// Nothing.
    #[default]
    Nothing,
    /// More than one dispatch.
    Several,
    /// This.
    These(Vec<Family>),
}

/// The latest dispatches that no other is known to have asked for, newest first, so many.
///
/// # Errors
///
/// What SQLite says.
pub fn latest(connection: &Connection, limit: u32) -> rusqlite::Result<Vec<Family>> {
    let roots = records(
        connection,
        "WHERE parent IS NULL OR NOT EXISTS
         (SELECT 1 FROM dispatch above
          WHERE above.id >= dispatch.parent AND above.id < dispatch.parent || 'g')
         ORDER BY started_ms DESC, rowid DESC LIMIT ?1",
        params![limit],
    )?;
    with_descendants(connection, roots)
}

/// What this id of a dispatch or a trace names, or the beginning of a dispatch's id.
///
/// # Errors
///
/// What SQLite says.
pub fn named(connection: &Connection, id: &str) -> rusqlite::Result<Named> {
    let of_trace = records(
        connection,
        "WHERE trace = ?1 ORDER BY started_ms, rowid LIMIT ?2",
        params![id, MOST_OF_TRACE],
    )?;
    if !of_trace.is_empty() {
        let spans: HashSet<String> =
            of_trace.iter().map(|record| record.span().to_owned()).collect();
        let is_root = |record: &Record| match &record.parent {
            Some(parent) => !spans.contains(parent),
            None => true,
        };
        let roots = of_trace.into_iter().filter(is_root).collect();
        return Ok(Named::These(with_descendants(connection, roots)?));
    }
    let is_digit = |character: char| matches!(character, '0'..='9' | 'a'..='f');
    if id.len() < LEAST_DIGITS || !id.chars().all(is_digit) {
        return Ok(Named::Nothing);
    }
    let found = records(connection, "WHERE id >= ?1 AND id < ?1 || 'g' LIMIT 2", params![id])?;
    Ok(match found.len() {
        0 => Named::Nothing,
        1 => Named::These(with_descendants(connection, found)?),
        _ => Named::Several,
    })
}

fn with_descendants(connection: &Connection, roots: Vec<Record>) -> rusqlite::Result<Vec<Family>> {
    let traces: HashSet<String> = roots.iter().map(|root| root.trace.clone()).collect();
    let mut below: HashMap<String, Vec<Record>> = HashMap::new();
    for trace in traces {
        let descendants = records(
            connection,
            "WHERE trace = ?1 AND parent IS NOT NULL ORDER BY started_ms, rowid LIMIT ?2",
            params![trace, MOST_OF_TRACE],
        )?;
        for record in descendants {
            below.entry(record.parent.clone().unwrap_or_default()).or_default().push(record);
        }
    }
    Ok(roots.into_iter().map(|root| family(root, &mut below)).collect())
}

/// Each record is taken once, so that there is an end also where ids make a circle.
fn family(record: Record, below: &mut HashMap<String, Vec<Record>>) -> Family {
    let children = below.remove(record.span()).unwrap_or_default();
    let children = children.into_iter().map(|child| family(child, below)).collect();
    let state = match &record.end {
        Some(_) => State::Over,
        None if record.owner.is_alive() => State::Running,
        None => State::Lost,
    };
    Family { record, state, children }
}

fn records(
    connection: &Connection,
    condition: &str,
    values: impl Params,
) -> rusqlite::Result<Vec<Record>> {
    let query = format!("SELECT {} FROM dispatch {condition}", *SELECTED);
    let mut query = connection.prepare(&query)?;
    let records = query.query_map(values, Record::read)?;
    records.collect()
}
