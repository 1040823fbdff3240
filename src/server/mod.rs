//! The MCP server: every tool is one call into `dispatch/`.
//!
//! - `tools`: what clients see; `arguments` and `answer`: in and out
//! - `stdio`: the transport
//!
//! Handlers hold no run: rmcp drops the answer of a cancelled request, so a run
//! lives in the core and the handler only waits for it.

mod answer;
mod arguments;
mod stdio;
mod tools;

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use tokio_util::sync::CancellationToken;

use crate::dispatch::{Dispatcher, Request};
use arguments::Arguments;

/// Why the server ended other than by its client's wish.
#[derive(Debug, thiserror::Error)]
#[error("the MCP session failed: {0}")]
pub struct ServeError(String);

/// Serves MCP on standard input and output until the client closes it.
///
/// # Errors
///
/// [`ServeError`] when the session broke; a client that went away is no error.
pub async fn serve(dispatcher: Arc<Dispatcher>) -> Result<(), ServeError> {
    use rmcp::service::ServerInitializeError::ConnectionClosed;

    let closed = CancellationToken::new();
    let server = Server { dispatcher: Arc::clone(&dispatcher) };
    let session = match server.serve(stdio::transport(closed.clone())).await {
        Ok(session) => session,
        Err(ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(ServeError(error.to_string())),
    };
    let waiting = session.waiting();
    tokio::pin!(waiting);
    let ended = tokio::select! {
        ended = &mut waiting => ended,
        () = closed.cancelled() => {
            // rmcp gives handlers five more seconds; nobody is there to read a
            // reply that takes longer than ending its run does.
            dispatcher.end().await;
            waiting.await
        }
    };
    ended.map(drop).map_err(|error| ServeError(error.to_string()))
}

struct Server {
    dispatcher: Arc<Dispatcher>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        info.server_info = Implementation::new("agent-dispatch", env!("CARGO_PKG_VERSION"));
        info.instructions = Some(tools::INSTRUCTIONS.to_owned());
        info
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Arguments(request.arguments.unwrap_or_default());
        let answer = async {
            match &*request.name {
                "list_agents" => Ok(self.list_agents().await),
                "dispatch" => self.dispatch(&arguments).await,
                name => Err(format!("there is no tool '{name}'; tools/list names them")),
            }
        };
        // Dropping the call is how the core learns that nobody waits any more.
        let answer = tokio::select! {
            answer = answer => answer,
            () = context.ct.cancelled() => Err("the call was cancelled".to_owned()),
        };
        let result = answer.unwrap_or_else(|message| answer::bad_arguments(&message));
        Ok(CallToolResponse::Complete(result))
    }
}

impl Server {
    async fn list_agents(&self) -> CallToolResult {
        match self.dispatcher.list().await {
            Ok(listing) if listing.agents.is_empty() => {
                answer::refusal(&listing.nothing_configured())
            }
            Ok(listing) => answer::answer(&listing.agents),
            Err(refusal) => answer::refusal(&refusal),
        }
    }

    async fn dispatch(&self, arguments: &Arguments) -> Result<CallToolResult, String> {
        let request = Request {
            agent: arguments.required("agent")?,
            task: arguments.required("task")?,
            context: arguments.text("context")?,
            caller: arguments.text("caller")?,
            goal: arguments.text("goal")?,
        };
        Ok(match self.dispatcher.dispatch(request).await {
            Ok(reply) => answer::answer(&reply),
            Err(refusal) => answer::refusal(&refusal),
        })
    }
}
