//! The transport: standard input and output, whatever they are.
//!
//! Claude Code and every Node client hand a server sockets, others pipes, a
//! person a terminal. Sockets and pipes are driven by the reactor; tokio's own
//! handles for standard input and output would send every message through a
//! thread.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;

use rmcp::model::{ClientRequest, GetMeta, JsonRpcMessage, ProtocolVersion};
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Longest message that is read, in bytes; rmcp passes over longer ones without an
/// answer. Far above what an agent CLI accepts, so that too long a prompt is told.
const LINE_BYTES: usize = 64 << 20;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The transport over this process's standard input and output. `closed` is
/// cancelled when the client has closed its end.
pub(super) fn transport(
    closed: CancellationToken,
) -> FromOpening<AsyncRwTransport<RoleServer, Reader, Writer>> {
    let (reader, writer) = streams();
    let inner = AsyncRwTransport::new(reader, writer).with_max_line_length(LINE_BYTES);
    FromOpening { inner, open: false, closed }
}

fn streams() -> (Reader, Writer) {
    if let (Ok(input), Ok(output)) = (socket(&io::stdin()), socket(&io::stdout())) {
        return (Box::new(input), Box::new(output));
    }
    let (input, output) = rmcp::transport::stdio_pipes();
    (Box::new(input), Box::new(output))
}

fn socket(stream: &impl AsFd) -> io::Result<tokio::net::UnixStream> {
    let descriptor: OwnedFd = stream.as_fd().try_clone_to_owned()?;
    let file = File::from(descriptor);
    if !file.metadata()?.file_type().is_socket() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let socket = UnixStream::from(OwnedFd::from(file));
    socket.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(socket)
}

/// Passes over notifications and responses that come before a session is open.
/// rmcp ends the server on them, and clients send them: after a probe that they
/// gave up, say.
pub(super) struct FromOpening<T> {
    inner: T,
    open: bool,
    closed: CancellationToken,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for FromOpening<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(item)
    }

    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        loop {
            let Some(message) = self.inner.receive().await else {
                self.closed.cancel();
                return None;
            };
            match &message {
                JsonRpcMessage::Request(request) => self.open |= opens_session(&request.request),
                _ if !self.open => {
                    tracing::debug!("passed over a message before the session was opened");
                    continue;
                }
                _ => {}
            }
            return Some(message);
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

/// The requests after which rmcp takes a session for open: `initialize`, or any but
/// a probe that carries all that 2026-07-28 wants of each request.
fn opens_session(request: &ClientRequest) -> bool {
    match request {
        ClientRequest::InitializeRequest(_) => true,
        ClientRequest::PingRequest(_) | ClientRequest::DiscoverRequest(_) => false,
        request => {
            let meta = request.get_meta();
            meta.missing_required_keys(&ProtocolVersion::V_2026_07_28).is_empty()
                && meta
                    .protocol_version()
                    .is_some_and(|version| ProtocolVersion::KNOWN_VERSIONS.contains(&version))
        }
    }
}
