//! `serve`: the MCP server, until its client or a signal ends it.

use std::process::ExitCode;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::dispatch::Dispatcher;

pub(super) async fn run(dispatcher: Arc<Dispatcher>) -> anyhow::Result<ExitCode> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let result = tokio::select! {
        result = crate::server::serve(Arc::clone(&dispatcher)) => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    dispatcher.end().await;
    result?;
    Ok(ExitCode::SUCCESS)
}
