//! The signals that ask a command to end.

use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Waits for Ctrl-C and for the request to terminate.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From now on these signals no longer end the process by themselves.
    pub(super) fn new() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one and gives the exit code that shells know it by.
    pub(super) async fn next(&mut self) -> ExitCode {
        let signal = tokio::select! {
            _ = self.interrupt.recv() => SignalKind::interrupt(),
            _ = self.terminate.recv() => SignalKind::terminate(),
        };
        ExitCode::from(u8::try_from(128 + signal.as_raw_value()).unwrap_or(u8::MAX))
    }
}
