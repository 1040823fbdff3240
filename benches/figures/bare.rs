//! What rmcp alone costs: a server with tools that do nothing, with all of wasmtime linked in.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};

use crate::support::World;
use crate::support::mcp::{Client, Streams};

/// The argument that makes this program the bare server.
pub(crate) const NAME: &str = "bare-server";

/// Starts it.
pub(crate) fn start(world: &World, streams: Streams) -> Client {
    let myself = std::env::current_exe().expect("this program");
    let mut command = world.command_of(myself.to_str().expect("UTF-8"));
    Client::spawn(command.arg(NAME).stderr(Stdio::inherit()), streams)
}

struct Bare;

impl ServerHandler for Bare {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let tool = |name| Tool::new(name, "does nothing", serde_json::Map::new());
        Ok(ListToolsResult::with_all_items(vec![tool("one"), tool("two")]))
    }

    /// Does nothing, except that it sends so many notices before as it is asked for.
    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let notices = arguments.get("notices").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if let Some(token) = context.meta.get_progress_token() {
            for number in 1..=u32::try_from(notices).expect("not that many") {
                let progress = ProgressNotificationParam::new(token.clone(), number.into());
                let progress = progress.with_message(format!("infra says: {number} event"));
                let _ = context.peer.notify_progress(progress).await;
            }
        }
        let text = vec![ContentBlock::text("nothing")];
        Ok(CallToolResponse::Complete(CallToolResult::success(text)))
    }
}

/// Serves until the client closes its end: over pipes in rmcp's own way, over sockets with
/// the reactor, which rmcp does not do by itself.
pub(crate) fn serve() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let session = match (socket(&std::io::stdin()), socket(&std::io::stdout())) {
            (Some(input), Some(output)) => Bare.serve((input, output)).await,
            _ => Bare.serve(rmcp::transport::stdio_pipes()).await,
        };
        session.expect("a client").waiting().await.expect("its end");
    });
}

fn socket(stream: &impl AsFd) -> Option<tokio::net::UnixStream> {
    let stream: OwnedFd = stream.as_fd().try_clone_to_owned().ok()?;
    let socket = UnixStream::from(stream);
    socket.local_addr().ok()?;
    socket.set_nonblocking(true).ok()?;
    tokio::net::UnixStream::from_std(socket).ok()
}
