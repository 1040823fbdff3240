//! The file: where it lies, how it is opened, and the steps to its present format.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use rusqlite_migration::{Error, M, Migrations};

use super::error::StoreError;
use crate::private_file;

/// The file's name in the folder for state.
pub(super) const NAME: &str = "store.sqlite";

/// How long a write waits for those of other processes. Nobody waits for it.
const BUSY: Duration = Duration::from_secs(5);

/// How large its log stays after a large write, in bytes.
const LOG: i64 = 16 << 20;

/// How often a file is looked at that another process is just making.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The steps to the present format; their number is its version. What was released is never
/// changed, only followed by another step, and a step fails where it was taken before: of
/// two processes that begin it at once the second must not undo what a newer one did after.
const STEPS: &[M<'_>] = &[
    M::up(include_str!("journal.sql")),
    M::up(include_str!("replies.sql")),
    M::up(include_str!("answers.sql")),
    M::up(include_str!("decisions.sql")),
    M::up(include_str!("jobs.sql")),
];

/// An open file.
pub(super) struct Opened {
    pub(super) connection: Connection,
    identity: (u64, u64),
}

impl Opened {
    /// Opens the file, and makes it where it is not there.
    pub(super) fn new(file: &Path) -> Result<Self, StoreError> {
        make(file)?;
        let identity = file
            .metadata()
            .map(|data| identity(&data))
            .map_err(|error| StoreError::io(file, &error))?;
        let connection = connect(file).map_err(|error| StoreError::of(file, &error))?;
        let mut opened = Self { connection, identity };
        opened.bring_up_to_date(file)?;
        Ok(opened)
    }

    /// Is it still the file with this name? Somebody may have moved it away.
    pub(super) fn is_at(&self, file: &Path) -> bool {
        file.metadata().is_ok_and(|data| identity(&data) == self.identity)
    }

    fn bring_up_to_date(&mut self, file: &Path) -> Result<(), StoreError> {
        let steps = Migrations::from_slice(STEPS);
        let Err(error) = steps.to_latest(&mut self.connection) else { return Ok(()) };
        match steps.pending_migrations(&self.connection) {
            // Another process took the steps meanwhile.
            Ok(0) => Ok(()),
            Ok(pending) if pending < 0 => Err(StoreError::Newer { file: file.to_owned() }),
            _ => Err(match &error {
                Error::RusqliteError { err, .. } => StoreError::of(file, err),
                other => StoreError::Damaged { file: file.to_owned(), reason: other.to_string() },
            }),
        }
    }
}

/// Makes the folder and an empty file, for this user alone. SQLite gives the files beside
/// it the same mode.
fn make(file: &Path) -> Result<(), StoreError> {
    // Not opened where it is there: closing it again would give up SQLite's locks on it.
    if file.exists() {
        return Ok(());
    }
    let folder = file.parent().unwrap_or(file);
    let made = private_file::create_folder(folder).and_then(|()| private_file::open(file));
    made.map(drop).map_err(|error| StoreError::io(file, &error))
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_transaction_behavior(TransactionBehavior::Immediate);
    // A process that ends does not wait for the disk; whoever writes much does so later.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    let deadline = Instant::now() + BUSY;
    loop {
        // SQLite does not wait for another process that is just doing the same.
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if is_busy(&error) && Instant::now() < deadline => sleep(LOOK_AGAIN),
            changed => break changed?,
        }
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    Ok(connection)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked};
    matches!(error.sqlite_error_code(), Some(DatabaseBusy | DatabaseLocked))
}

fn identity(data: &Metadata) -> (u64, u64) {
    (data.dev(), data.ino())
}
