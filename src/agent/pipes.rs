//! The server's ends of a child's three pipes. Each step can be dropped between
//! two bytes without losing any.

use std::borrow::Cow;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};

use tokio::net::unix::pipe::{Receiver, Sender};

use super::spool::Spool;

/// How much is read at once, in bytes: what a pipe holds.
const CHUNK: usize = 64 * 1024;

/// The same of a child that writes much: each time the pipe is full or empty it is the
/// other process's turn.
const LARGE_CHUNK: usize = 4 * CHUNK;

/// Writes a text into a pipe and closes it.
#[derive(Debug)]
pub(super) struct Input {
    pipe: Option<Sender>,
    text: Vec<u8>,
    written: usize,
}

impl Input {
    pub(super) fn new(pipe: PipeWriter, text: &str) -> io::Result<Self> {
        let pipe = Some(Sender::from_owned_fd(OwnedFd::from(pipe))?);
        Ok(Self { pipe, text: text.as_bytes().to_vec(), written: 0 })
    }

    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// Writes as much as the pipe takes.
    pub(super) async fn step(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        let rest = &self.text[self.written..];
        if rest.is_empty() {
            self.close();
            return;
        }
        let written = match pipe.writable().await {
            Ok(()) => pipe.try_write(rest),
            Err(error) => Err(error),
        };
        match written {
            Ok(written) => self.written += written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // A child that reads no more may still answer; its end tells.
            Err(_) => self.close(),
        }
    }

    fn close(&mut self) {
        self.pipe = None;
        self.text = Vec::new();
    }
}

/// Reads what a child writes: from a pipe, or from the file that it writes to.
#[derive(Debug)]
pub(super) struct Output {
    source: Option<Source>,
    chunk: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Pipe(Receiver),
    Spool(Spool),
}

impl Output {
    pub(super) fn new(pipe: PipeReader) -> io::Result<Self> {
        let pipe = Receiver::from_owned_fd(OwnedFd::from(pipe))?;
        Ok(Self { source: Some(Source::Pipe(pipe)), chunk: Vec::new() })
    }

    pub(super) fn spooled(spool: Spool) -> Self {
        Self { source: Some(Source::Spool(spool)), chunk: Vec::new() }
    }

    pub(super) fn is_open(&self) -> bool {
        self.source.is_some()
    }

    /// Is it a file?
    pub(super) fn is_spooled(&self) -> bool {
        matches!(self.source, Some(Source::Spool(_)))
    }

    pub(super) fn close(&mut self) {
        self.source = None;
        self.chunk = Vec::new();
    }

    /// Waits for bytes and returns them; none at the end, which closes it. A file has no
    /// end that one could wait for.
    pub(super) async fn step(&mut self) -> &[u8] {
        let Some(source) = &mut self.source else { return &[] };
        if self.chunk.is_empty() {
            self.chunk.resize(CHUNK, 0);
        }
        let read = match source {
            Source::Pipe(pipe) => loop {
                if pipe.readable().await.is_err() {
                    break 0;
                }
                match pipe.try_read(&mut self.chunk) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => break read.unwrap_or(0),
                }
            },
            Source::Spool(spool) => spool.read(&mut self.chunk).await.unwrap_or(0),
        };
        if read == CHUNK && self.chunk.len() == CHUNK {
            // Where the system does not give that much the pipe stays as it is.
            #[cfg(target_os = "linux")]
            if let Source::Pipe(pipe) = source {
                let _ = rustix::pipe::fcntl_setpipe_size(pipe, LARGE_CHUNK);
            }
            self.chunk.resize(LARGE_CHUNK, 0);
        }
        if read == 0 {
            self.close();
        }
        &self.chunk[..read]
    }

    /// What can be read without waiting, or none. It asks the kernel and not the
    /// reactor, which may not have heard of the last bytes yet.
    pub(super) fn rest(&mut self) -> &[u8] {
        let Some(source) = &self.source else { return &[] };
        self.chunk.resize(self.chunk.len().max(CHUNK), 0);
        let descriptor = match source {
            Source::Pipe(pipe) => pipe.as_fd(),
            Source::Spool(spool) => spool.as_fd(),
        };
        let read = rustix::io::retry_on_intr(|| rustix::io::read(descriptor, &mut self.chunk[..]))
            .unwrap_or(0);
        if read == 0 {
            self.close();
        }
        &self.chunk[..read]
    }
}

/// Cuts bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
    total: usize,
}

impl Lines {
    /// Takes bytes and passes on the lines they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&str)) {
        self.total = self.total.saturating_add(bytes.len());
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.partial.extend_from_slice(&bytes[..end]);
            line(&text(&self.partial));
            self.partial.clear();
            bytes = &bytes[end + 1..];
        }
        self.partial.extend_from_slice(bytes);
    }

    /// Passes on a last line that has no end.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            line(&text(&std::mem::take(&mut self.partial)));
        }
    }

    /// How many bytes there were.
    pub(super) fn total(&self) -> usize {
        self.total
    }
}

/// Bytes as text. Nearly all are text already, which is seen much faster than repaired.
fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(bytes),
    }
}

/// Keeps the end of what is written to it.
#[derive(Debug)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    bound: usize,
}

impl Tail {
    pub(super) fn new(bound: usize) -> Self {
        Self { bytes: Vec::new(), bound }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        // Twice the bound, so that not every byte moves all others.
        if self.bytes.len() > 2 * self.bound {
            self.bytes.drain(..self.bytes.len() - self.bound);
        }
    }

    pub(super) fn text(&self) -> String {
        let start = self.bytes.len().saturating_sub(self.bound);
        String::from_utf8_lossy(&self.bytes[start..]).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let bytes = "one\n\ntwo \u{2028} \u{1f600}\nrest".as_bytes();
        for step in 1..bytes.len() {
            let (mut lines, mut seen) = (Lines::default(), Vec::new());
            for chunk in bytes.chunks(step) {
                lines.push(chunk, |line| seen.push(line.to_owned()));
            }
            lines.finish(|line| seen.push(line.to_owned()));
            assert_eq!(seen, ["one", "", "two \u{2028} \u{1f600}", "rest"]);
            assert_eq!(lines.total(), bytes.len());
        }
    }

    #[test]
    fn a_byte_that_is_no_text_costs_only_itself() {
        let mut seen = Vec::new();
        Lines::default().push(b"a\xffb\n", |line| seen.push(line.to_owned()));
        assert_eq!(seen, ["a\u{fffd}b"]);
    }

    #[test]
    fn a_tail_keeps_the_end() {
        let mut tail = Tail::new(4);
        for chunk in ["ab", "cdefgh", "", "ijk"] {
            tail.push(chunk.as_bytes());
        }
        assert_eq!(tail.text(), "hijk");
    }
}
