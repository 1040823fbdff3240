//! The log on standard error, which never makes anyone wait.
//!
//! Who started us may not read our standard error. Lines go through a bounded
//! queue to a thread that may block; when the queue is full they are counted
//! instead.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

const LOG_VARIABLE: &str = "AGENT_DISPATCH_LOG";

/// Lines that may wait to be written.
const QUEUED: usize = 1024;

/// How long an ending process waits for its last lines to be written.
const FAREWELL: Duration = Duration::from_millis(100);

/// Starts the log: what `AGENT_DISPATCH_LOG` says, else our own lines of this
/// level and up.
pub(super) fn start(level: Level) {
    let wanted = std::env::var(LOG_VARIABLE).ok();
    let filter = wanted.as_deref().and_then(|wanted| wanted.parse::<Targets>().ok());
    let filter = filter.unwrap_or_else(|| {
        Targets::new().with_default(Level::ERROR).with_target("agent_dispatch", level)
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(|| Queue).with_ansi(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Waits a moment for what is queued.
pub(super) fn finish() {
    let Some(sender) = SENDER.get() else { return };
    let (done, written) = sync_channel(1);
    if sender.try_send(Entry::End(done)).is_ok() {
        let _ = written.recv_timeout(FAREWELL);
    }
}

/// The thread starts with the first line: most processes have nothing to say.
static SENDER: OnceLock<SyncSender<Entry>> = OnceLock::new();
static DROPPED: AtomicUsize = AtomicUsize::new(0);

enum Entry {
    Line(Vec<u8>),
    End(SyncSender<()>),
}

struct Queue;

impl Write for Queue {
    /// Takes a whole line, as the formatter writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let sender = SENDER.get_or_init(|| {
            let (sender, entries) = sync_channel(QUEUED);
            // Without a thread there is no log, and nothing else is lost.
            let _ = std::thread::Builder::new().name("log".into()).spawn(|| write_all(entries));
            sender
        });
        if let Err(TrySendError::Full(_)) = sender.try_send(Entry::Line(line.to_vec())) {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(entries: Receiver<Entry>) {
    let mut stderr = io::stderr();
    for entry in entries {
        match entry {
            Entry::Line(line) => {
                let dropped = DROPPED.swap(0, Ordering::Relaxed);
                let _ = super::progress::beside(|| {
                    if dropped > 0 {
                        writeln!(stderr, "({dropped} lines of the log were dropped here)")?;
                    }
                    stderr.write_all(&line)
                });
            }
            Entry::End(done) => drop(done.send(())),
        }
    }
}
