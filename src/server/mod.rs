//! The MCP server: every tool is one call into `dispatch/`.
//!
//! - `tools`: what clients see; `arguments`, `requests` and `answer`: in and out
//! - `progress`: what a waiting client hears, and `wording`: in which words
//! - `jobs`: the tools about jobs; `tasks`: the same as a client's tasks
//! - `stdio`: the transport
//!
//! Handlers hold no run: rmcp drops the answer of a cancelled request, so a run
//! lives in the core and the handler only waits for it.

mod answer;
mod arguments;
mod jobs;
mod progress;
mod requests;
mod stdio;
mod tasks;
mod tools;
mod wording;

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, CancelTaskParams, CustomRequest,
    CustomResult, ErrorCode, GetTaskParams, GetTaskResult, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, UpdateTaskParams,
};
use rmcp::service::{QuitReason, RequestContext};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};
use serde::Serialize;
use serde_json::json;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::dispatch::{By, Dispatcher, GivenAs, Refusal, Request};
use arguments::Arguments;
use wording::Wording;

/// How long a client may take to read the last replies of a server that was asked to end.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a client that has closed the input may take to read what is still said to it.
const FAREWELL: Duration = Duration::from_secs(6);

/// Why the server ended other than by its client's wish.
#[derive(Debug, thiserror::Error)]
#[error("the MCP session failed: {0}")]
pub struct ServeError(String);

/// Serves MCP on standard input and output until the client closes it, or until `asked` to
/// end: then all runs are ended, and whoever waits for one still gets what there is.
///
/// # Errors
///
/// [`ServeError`] when the session broke; a client that went away is no error.
pub async fn serve(
    dispatcher: Arc<Dispatcher>,
    asked: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    use rmcp::service::ServerInitializeError::ConnectionClosed;

    let closed = CancellationToken::new();
    let server = Server { dispatcher: Arc::clone(&dispatcher) };
    tokio::pin!(asked);
    // Boxed: rmcp keeps all of its handshake in one future.
    let opening = Box::pin(server.serve(stdio::transport(closed.clone())));
    let session = tokio::select! {
        session = opening => match session {
            Ok(session) => session,
            Err(ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(ServeError(error.to_string())),
        },
        () = &mut asked => return Ok(()),
    };
    let end = session.cancellation_token();
    let waiting = session.waiting();
    tokio::pin!(waiting);
    let ended = tokio::select! {
        ended = &mut waiting => ended,
        () = closed.cancelled() => {
            // rmcp gives handlers five more seconds; nobody is there to read a
            // reply that takes longer than ending its run does.
            dispatcher.end().await;
            // It waits for ever for one who reads nothing and keeps the output open.
            tokio::select! {
                ended = timeout(FAREWELL, &mut waiting) => ended.unwrap_or(Ok(QuitReason::Closed)),
                () = asked => Ok(QuitReason::Cancelled),
            }
        }
        () = &mut asked => {
            dispatcher.end().await;
            // rmcp still sends what its handlers have by now, for as long as we wait.
            end.cancel();
            timeout(LAST_WORDS, waiting).await.unwrap_or(Ok(QuitReason::Cancelled))
        }
    };
    ended.map(drop).map_err(|error| ServeError(error.to_string()))
}

struct Server {
    dispatcher: Arc<Dispatcher>,
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut info =
            ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_tasks().build());
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
        let dispatcher = Arc::clone(&self.dispatcher);
        let arguments = Arguments::new(request.arguments.unwrap_or_default());
        let has_tasks = context.client_capabilities().is_some_and(|client| client.supports_tasks());
        let answer = async {
            let answer = match &*request.name {
                "list_agents" => Ok(self.list_agents().await),
                "dispatch" => {
                    let request = requests::dispatch(&arguments)?;
                    let wanted = requests::wanted(&arguments)?;
                    if has_tasks && wanted == GivenAs::Reply {
                        return Ok(self.dispatch_or_task(request, &context).await);
                    }
                    Ok(self.dispatch(request, wanted, Wording::Dispatch, &context).await)
                }
                "dispatch_session" => {
                    let request = requests::session(&arguments)?;
                    Ok(self.dispatch(request, GivenAs::Reply, Wording::Dispatch, &context).await)
                }
                "dispatch_stream" => {
                    let request = requests::stream(&arguments)?;
                    Ok(self.dispatch(request, GivenAs::Reply, Wording::Stream, &context).await)
                }
                "dispatch_parallel" => {
                    let (call, wanted) = requests::parallel(&arguments)?;
                    let wording = Wording::parallel(call.dispatches.len());
                    let work = |listener| async move {
                        let reply = dispatcher.parallel(call, &listener).await?;
                        Ok(dispatcher.deliver_all(reply, &wanted).await)
                    };
                    Ok(outcome(progress::report(&context, wording, work).await))
                }
                "dispatch_dialogue" => {
                    let call = requests::dialogue(&arguments)?;
                    let work = |listener| async move {
                        let reply = dispatcher.dialogue(call, &listener).await?;
                        Ok(dispatcher.deliver_dialogue(reply).await)
                    };
                    // Boxed: a dialogue keeps much, and every call would have room for it.
                    let report = Box::pin(progress::report(&context, Wording::Dialogue, work));
                    Ok(outcome(report.await))
                }
                "fetch_result" => {
                    let wanted = requests::fetch(&arguments)?;
                    Ok(outcome(self.dispatcher.fetch(wanted).await))
                }
                "dispatch_async" => self.dispatch_async(&arguments).await,
                "dispatch_status" => self.dispatch_status(&arguments).await,
                "dispatch_wait" => self.dispatch_wait(&arguments, &context).await,
                "dispatch_cancel" => self.dispatch_cancel(&arguments).await,
                "dispatch_jobs" => self.dispatch_jobs(&arguments).await,
                "dispatch_gc" => self.dispatch_gc(&arguments).await,
                "add_agent" => {
                    let newcomer = requests::newcomer(&arguments)?;
                    Ok(outcome(self.dispatcher.add(newcomer, By::Client).await))
                }
                "remove_agent" => {
                    let name = arguments.required("name")?;
                    let removed = self.dispatcher.remove(&name).await;
                    Ok(outcome(removed.map(|()| json!({"removed": name}))))
                }
                "cache_stats" => Ok(self.cache_stats().await),
                "cache_clear" => Ok(self.cache_clear().await),
                name => Err(format!("there is no tool '{name}'; tools/list names them")),
            };
            answer.map(CallToolResponse::Complete)
        };
        // Dropping the call is how the core learns that nobody waits any more. What is there
        // is given also where the server is about to end.
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = context.ct.cancelled() => Err("the call was cancelled".to_owned()),
        };
        Ok(answer.unwrap_or_else(|message| answer::bad_arguments(&message).into()))
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        self.task(&request.task_id).await
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.cancel_job_of_task(&request.task_id).await
    }

    /// No task asks its client anything, so that there is nothing to answer.
    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.task(&request.task_id).await.map(drop)
    }

    /// What rmcp could not read as a request that it knows: also a call whose parameters are
    /// unusable, which its own answer takes for an unknown method.
    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(match &*request.method {
            "tools/call" => ErrorData::invalid_params(
                "tools/call takes a tool's name and, as an object, its arguments",
                None,
            ),
            _ => ErrorData::new(ErrorCode::METHOD_NOT_FOUND, request.method, None),
        })
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

    async fn dispatch(
        &self,
        request: Request,
        wanted: GivenAs,
        wording: Wording,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        let dispatcher = Arc::clone(&self.dispatcher);
        let work = |listener| async move {
            let reply = dispatcher.dispatch(request, &listener).await?;
            Ok(dispatcher.deliver(reply, wanted).await)
        };
        outcome(progress::report(context, wording, work).await)
    }

    async fn cache_stats(&self) -> CallToolResult {
        cache_answer(self.dispatcher.cache_stats().await)
    }

    async fn cache_clear(&self) -> CallToolResult {
        let cleared = self.dispatcher.cache_clear().await;
        cache_answer(cleared.map(|cleared| cleared.map(|cleared| json!({"cleared": cleared}))))
    }
}

fn outcome(outcome: Result<impl Serialize, Refusal>) -> CallToolResult {
    match outcome {
        Ok(value) => answer::answer(&value),
        Err(refusal) => answer::refusal(&refusal),
    }
}

fn cache_answer(answer: Result<Option<impl Serialize>, Refusal>) -> CallToolResult {
    match answer.transpose() {
        Some(answer) => outcome(answer),
        None => answer::answer(&json!({
            "enabled": false,
            "message": "Nothing is kept: settings.cache in agents.yaml switches the cache off.",
        })),
    }
}
