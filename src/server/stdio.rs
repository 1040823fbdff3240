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

use rmcp::model::JsonRpcMessage;
use rmcp::service::{RoleServer, RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

type Reader = Box<dyn AsyncRead + Send + Unpin>;
type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// The transport over this process's standard input and output. `closed` is
/// cancelled when the client has closed its end.
pub(super) fn transport(
    closed: CancellationToken,
) -> FromFirstRequest<AsyncRwTransport<RoleServer, Reader, Writer>> {
    let (reader, writer) = streams();
    FromFirstRequest { inner: AsyncRwTransport::new(reader, writer), started: false, closed }
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

/// Passes over what a client sends before its first request. rmcp ends the
/// server when a notification or a response comes first.
pub(super) struct FromFirstRequest<T> {
    inner: T,
    started: bool,
    closed: CancellationToken,
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for FromFirstRequest<T> {
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
            self.started |= matches!(message, JsonRpcMessage::Request(_));
            if self.started {
                return Some(message);
            }
            tracing::debug!("passed over a message before the first request");
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}
