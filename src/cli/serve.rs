//! `serve`: the MCP server, until its client or a signal ends it.

use std::process::ExitCode;
use std::sync::Arc;

use super::signals::Signals;
use crate::dispatch::Dispatcher;

pub(super) async fn run(dispatcher: Arc<Dispatcher>) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    // The usual way in which a client ends its server.
    let asked = async {
        signals.next().await;
    };
    let result = crate::server::serve(Arc::clone(&dispatcher), asked).await;
    dispatcher.end().await;
    result?;
    Ok(ExitCode::SUCCESS)
}
