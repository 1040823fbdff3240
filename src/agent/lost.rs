//! A run that nobody looks after any more: its server and its runner were both killed. What
//! is left of it is ended from elsewhere, and what it had said is in its spool.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use super::cli::{Cli, Ending, Stopped};
use super::outcome::{Outcome, StopReason};
use super::pipes::Lines;
use super::run::STDOUT_BOUND;
use super::tree::{self, Tree};

/// How much of a spool is read at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// Ends what is left of the run with this id, and returns when it is gone: that takes two
/// seconds at most, except where the kernel holds a process up.
pub fn end_leftovers(run: &str) {
    let deadline = Instant::now() + tree::ORPHAN_GRACE;
    let survivors = tree::end(&mut Tree::left_behind(run), || deadline, || false);
    if survivors > 0 {
        tracing::warn!("{survivors} processes of the run {run} do not end when killed");
    }
}

/// Kills the processes that hold this file open to be written, be they stopped or hanging:
/// those of this program whose first argument is one of these. Where nobody tells which they
/// are it is the one with the number `keeper`.
pub fn kill_holders(file: &Path, arguments: &[&str], keeper: Option<u32>) {
    tree::kill_holders(file, arguments, keeper);
}

/// What came of a run that was lost, as far as its spool tells. Without a result it failed
/// as `lost`. `elapsed` is how long it may have taken.
///
/// # Errors
///
/// When the spool cannot be read; it is not there where no agent was started.
pub fn read_spool(
    cli: &dyn Cli,
    session: &str,
    spool: &Path,
    elapsed: Duration,
) -> io::Result<Outcome> {
    let mut file = File::open(spool)?;
    let (mut reader, mut lines) = (cli.reader(session), Lines::default());
    let mut chunk = vec![0; CHUNK];
    while lines.total() <= STDOUT_BOUND {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        lines.push(&chunk[..read], |line| reader.line(line, &mut |_| {}));
    }
    lines.finish(|line| reader.line(line, &mut |_| {}));
    let stopped = Stopped { reason: StopReason::RunnerLost, after_result: reader.has_result() };
    Ok(reader.outcome(&Ending { stopped: Some(stopped), elapsed, ..Ending::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::{Claude, ErrorType};

    fn read(text: &str) -> Outcome {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("spool");
        std::fs::write(&spool, text).unwrap();
        read_spool(&Claude, "s", &spool, Duration::from_secs(7)).unwrap()
    }

    #[test]
    fn a_result_counts_though_nobody_saw_the_end() {
        let outcome = read(
            "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"yes\",\"session_id\":\"t\",\"num_turns\":1,\"total_cost_usd\":0.5}",
        );
        assert!(outcome.success(), "{outcome:?}");
        assert_eq!((outcome.text.as_str(), outcome.cost_usd), ("yes", Some(0.5)));
        assert_eq!(outcome.session_id.as_deref(), Some("t"));
    }

    #[test]
    fn without_a_result_it_is_lost_and_can_go_on() {
        let said =
            r#"{"type":"assistant","message":{"content":[{"type":"text","text":"so far"}]}}"#;
        for text in ["", "{\"type\":\"system\"", &format!("{said}\n{{\"type\":\"res")] {
            let outcome = read(text);
            assert_eq!(outcome.session_id.as_deref(), Some("s"), "{text}");
            assert_eq!(outcome.duration_ms, Some(7000));
            let failure = outcome.failure.unwrap();
            assert_eq!(failure.error_type, ErrorType::Lost);
            assert_eq!(outcome.text, if text.contains("so far") { "so far" } else { "" });
        }
    }
}
