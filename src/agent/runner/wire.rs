//! What the server and the runner say to each other: a length of four bytes, then
//! that many bytes of JSON. A job's descriptors ride on the first byte.

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::agent::job::Job;
use crate::agent::outcome::Exit;

/// The version of this protocol. The two sides are one program, except when it
/// was replaced between the start of the server and that of its runner.
pub(super) const PROTOCOL: u32 = 2;

/// The longest message, in bytes. An argument has at most 128 KiB.
pub(super) const FRAME_BOUND: usize = 8 * 1024 * 1024;

/// The most descriptors a job comes with: its standard input, output and error, and those
/// that are to stay open as long as the run: its session's lock, its slot, and the lock of a
/// job that outlives its server.
pub(super) const JOB_DESCRIPTORS: usize = 6;

/// From the server to the runner.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub(super) enum Request {
    /// The first message.
    Hello { protocol: u32 },
    /// Start this, with the descriptors that come along.
    Start { job: Job },
    /// End this run, and kill what is left of it after so many milliseconds.
    Stop { run: String, grace_ms: u64 },
    /// The same for all runs there are.
    StopAll { grace_ms: u64 },
}

/// From the runner to the server, about one run.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub(in crate::agent) enum Notice {
    /// It runs.
    Started { run: String, pid: u32 },
    /// It could not be started; nothing more follows.
    Failed { run: String, error: StartError },
    /// Its first process has ended.
    Exited { run: String, exit: Exit },
    /// Nothing is left of it, or `survivors` that no signal ends.
    Gone { run: String, survivors: usize },
}

/// Why a job could not be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "error", rename_all = "snake_case")]
pub(in crate::agent) enum StartError {
    #[error("the directory {directory} {problem}")]
    Directory { directory: String, problem: String },
    #[error("the program `{program}` was not found{}", if program.contains('/') { "" } else { " on PATH" })]
    ProgramMissing { program: String },
    #[error("`{program}` may not be executed: {problem}")]
    ProgramDenied { program: String, problem: String },
    #[error("`{program}` could not be started: {problem}")]
    Other { program: String, problem: String },
}

impl Notice {
    /// Which run it is about.
    pub(super) fn run(&self) -> &str {
        match self {
            Self::Started { run, .. }
            | Self::Failed { run, .. }
            | Self::Exited { run, .. }
            | Self::Gone { run, .. } => run,
        }
    }
}

/// A message as it crosses the socket.
pub(super) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message)?;
    let length = frame.len() - 4;
    let prefix = u32::try_from(length).ok().filter(|_| length <= FRAME_BOUND);
    frame[..4].copy_from_slice(&prefix.ok_or_else(|| too_long(length))?.to_be_bytes());
    Ok(frame)
}

/// The first message in `buffer`, which then no longer holds it.
pub(super) fn take<M: DeserializeOwned>(buffer: &mut Vec<u8>) -> io::Result<Option<M>> {
    let Some((prefix, rest)) = buffer.split_first_chunk() else { return Ok(None) };
    let length = body_length(*prefix)?;
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let message = serde_json::from_slice(body)?;
    buffer.drain(..4 + length);
    Ok(Some(message))
}

fn body_length(prefix: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(prefix) as usize;
    if length > FRAME_BOUND { Err(too_long(length)) } else { Ok(length) }
}

fn too_long(length: usize) -> io::Error {
    let message = format!("a message of {length} bytes; the bound is {FRAME_BOUND}");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// Sends the beginning of `bytes`, with the descriptors, and says how much it was.
pub(super) fn send_with(
    socket: impl AsFd,
    bytes: &[u8],
    descriptors: &[OwnedFd],
) -> io::Result<usize> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(JOB_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many descriptors"));
    }
    Ok(sendmsg(socket, &[io::IoSlice::new(bytes)], &mut ancillary, SendFlags::empty())?)
}

/// Sends a message without descriptors and waits until it is out.
pub(super) fn send(mut socket: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    socket.write_all(&encode(message)?)
}

/// Waits for the next message and the descriptors that come with it; none at the
/// end of the stream.
pub(super) fn receive<M: DeserializeOwned>(
    mut socket: &UnixStream,
) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
    let mut prefix = [0; 4];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(JOB_DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    // Only the prefix is asked for: what comes with its first byte belongs to
    // this message and not to the next.
    let received = rustix::io::retry_on_intr(|| {
        recvmsg(socket, &mut [io::IoSliceMut::new(&mut prefix)], &mut ancillary, RECEIVE_FLAGS)
    })?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    keep_from_children(&descriptors)?;
    socket.read_exact(&mut prefix[received.bytes..])?;
    let mut body = vec![0; body_length(prefix)?];
    socket.read_exact(&mut body)?;
    Ok(Some((serde_json::from_slice(&body)?, descriptors)))
}

#[cfg(target_os = "linux")]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();

/// Where the flag above does not exist: the runner spawns on the thread that
/// receives, so nothing starts in between.
fn keep_from_children(descriptors: &[OwnedFd]) -> io::Result<()> {
    if cfg!(not(target_os = "linux")) {
        for descriptor in descriptors {
            rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_and_its_descriptors_cross_a_socket() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let frame = encode(&Request::Stop { run: "a".into(), grace_ms: 7 }).unwrap();
        let sent = send_with(&ours, &frame, &[writer.into()]).unwrap();
        assert_eq!(sent, frame.len());
        send(&ours, &Request::Hello { protocol: PROTOCOL }).unwrap();

        let (request, mut descriptors) = receive::<Request>(&theirs).unwrap().unwrap();
        assert!(matches!(request, Request::Stop { run, grace_ms: 7 } if run == "a"));
        let mut writer = io::PipeWriter::from(descriptors.remove(0));
        writer.write_all(b"hello").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");

        let (request, descriptors) = receive::<Request>(&theirs).unwrap().unwrap();
        assert!(matches!(request, Request::Hello { protocol: PROTOCOL }));
        assert!(descriptors.is_empty());
        drop(ours);
        assert!(receive::<Request>(&theirs).unwrap().is_none());
    }

    #[test]
    fn messages_are_taken_as_they_become_complete() {
        let one = encode(&Notice::Gone { run: "a".into(), survivors: 0 }).unwrap();
        let mut buffer = Vec::new();
        for byte in &one {
            assert!(take::<Notice>(&mut buffer).unwrap().is_none());
            buffer.push(*byte);
        }
        buffer.push(0);
        assert_eq!(take::<Notice>(&mut buffer).unwrap().unwrap().run(), "a");
        assert_eq!(buffer, [0]);
    }

    #[test]
    fn a_length_beyond_the_bound_is_an_error() {
        let mut buffer = vec![255; 8];
        assert!(take::<Notice>(&mut buffer).is_err());
    }
}
