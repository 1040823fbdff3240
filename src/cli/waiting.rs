//! Waiting for agents: what every command does that asks some.

use std::process::ExitCode;

use super::progress::{Form, Progress};
use super::signals::Signals;
use crate::dispatch::{Dispatcher, Listener};

/// Does the work, says meanwhile on standard error how far it is, and shows what came of
/// it, which also says how the command ends.
///
/// A first signal cancels all runs; what they have said by then is still shown. A second
/// one does not wait for it.
pub(super) async fn wait<T, W: Future<Output = T>>(
    dispatcher: &Dispatcher,
    form: Form,
    work: impl FnOnce(Listener) -> W,
    show: impl FnOnce(T) -> anyhow::Result<ExitCode>,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let progress = Progress::start(form);
    let work = work(progress.listener());
    tokio::pin!(work);
    let (done, signal) = tokio::select! {
        done = &mut work => (Some(done), None),
        signal = signals.next() => {
            dispatcher.cancel();
            tokio::select! {
                done = &mut work => (Some(done), Some(signal)),
                again = signals.next() => (None, Some(again)),
            }
        }
    };
    if done.is_some() {
        dispatcher.end().await;
    }
    progress.finish();
    let code = done.map(show).transpose()?;
    Ok(signal.or(code).unwrap_or(ExitCode::FAILURE))
}
