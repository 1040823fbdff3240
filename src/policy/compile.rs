//! Bytes to machine code: in a child process, once per machine, kept on disk.
//!
//! A Python component takes seconds and hundreds of MiB to compile, and the
//! compiler is the part of wasmtime that chews on untrusted bytes the longest.
//! So the server never compiles: a child of the same binary does (component on
//! standard input, machine code on standard output) under its own limits, and
//! the result is renamed into place under a name that says for which component
//! and which engine it is. Servers that need the same component at the same time
//! wait for the first.

use std::collections::HashMap;
use std::fs::{File, Metadata, TryLockError};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Signal;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use super::error::Failure;
use super::{engine, limits, text};
use crate::lock::lock;
use crate::private_file;

/// CPU seconds of one compilation. A 18 MB component takes 7.
const COMPILE_CPU_SECONDS: u64 = 60;
/// How long one compilation may take by the clock.
const COMPILE_TIME: Duration = Duration::from_secs(80);
/// Address space of one compilation, in bytes.
const COMPILE_ADDRESS_SPACE: u64 = 2 << 30;
/// How long one server waits for another that compiles the same component.
const WAIT_FOR_OTHER: Duration = Duration::from_secs(90);
/// Size of a SHA-256, in bytes.
const DIGEST_BYTES: u64 = 32;
/// How many components that do not compile are remembered.
const REMEMBERED: usize = 64;
/// How long a compiled file is kept.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// Where compiled components come from and go to.
#[derive(Debug)]
pub(super) struct Compiler {
    /// This binary, which is its own compile child.
    executable: PathBuf,
    /// Holds the compiled files; created on first use.
    folder: PathBuf,
    /// Digests that do not compile, and why. Held while compiling: a server has one
    /// compile child at a time.
    failed: Mutex<HashMap<String, Failure>>,
}

impl Compiler {
    pub(super) fn new(executable: PathBuf, folder: PathBuf) -> Self {
        Self { executable, folder, failed: Mutex::default() }
    }

    /// The component with this digest, compiled. Where the folder cannot be used
    /// the machine code stays in memory.
    pub(super) fn load(
        &self,
        engine: &Engine,
        bytes: &[u8],
        digest: &str,
    ) -> Result<Component, Failure> {
        let name = format!("{digest}-{}", engine::compatibility(engine));
        let compiled = self.folder.join(format!("{name}.cwasm"));
        if let Some(component) = read_compiled(engine, &compiled) {
            return Ok(component);
        }
        let mut failed = lock(&self.failed);
        if let Some(failure) = failed.get(digest) {
            return Err(failure.clone());
        }
        let partial = self.folder.join(format!("{name}.partial"));
        let claim = self.claim(&partial).inspect_err(|error| self.complain(error)).ok();
        // Another server may have been at it while this one waited.
        if let Some(component) = read_compiled(engine, &compiled) {
            give_up(claim.as_ref(), &partial);
            return Ok(component);
        }
        let code = self.compile(bytes).inspect_err(|failure| {
            give_up(claim.as_ref(), &partial);
            if matches!(failure, Failure::Compile(_)) {
                // A bound, not a cache policy: nobody has that many bad components.
                if failed.len() >= REMEMBERED {
                    failed.clear();
                }
                failed.insert(digest.to_owned(), failure.clone());
            }
        })?;
        if let Some(file) = &claim {
            let kept = keep(file, &code, &partial, &compiled).inspect_err(|error| {
                self.complain(error);
                give_up(claim.as_ref(), &partial);
            });
            self.remove_old();
            if kept.is_ok()
                && let Some(component) = read_compiled(engine, &compiled)
            {
                return Ok(component);
            }
        }
        // SAFETY: the bytes come from our own compile child over a pipe of ours.
        #[expect(unsafe_code, reason = "machine code cannot be loaded any other way")]
        let component = unsafe { Component::deserialize(engine, code) };
        component.map_err(|error| Failure::Compile(error.to_string()))
    }

    /// The file under which no other server compiles the component meanwhile.
    fn claim(&self, partial: &Path) -> io::Result<File> {
        private_file::create_folder(&self.folder)?;
        if !is_ours(&self.folder.metadata()?) {
            return Err(io::Error::other("others may write to it"));
        }
        loop {
            let file = private_file::open(partial)?;
            wait_for(&file)?;
            if private_file::is_at(&file, partial) {
                // What a killed server left in it goes now: nobody may find it whole.
                file.set_len(0)?;
                return Ok(file);
            }
        }
    }

    fn complain(&self, error: &io::Error) {
        tracing::warn!(folder = %self.folder.display(), %error,
            "this compiled policy cannot be kept on disk; every server compiles its own");
    }

    /// Removes what was compiled long ago; what is still in use is compiled again.
    fn remove_old(&self) {
        for entry in self.folder.read_dir().into_iter().flatten().flatten() {
            let age = entry.metadata().and_then(|data| data.modified()).map(|time| time.elapsed());
            if matches!(age, Ok(Ok(age)) if age > KEPT) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Has the child compile.
    fn compile(&self, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let failed = |what: &str, error: io::Error| {
            Failure::Host(format!("the compiler cannot be {what}: {error}"))
        };
        tracing::debug!("compiling a policy");
        let mut child = Command::new(&self.executable)
            .arg("compile-policy")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| failed("started", error))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let deadline = Instant::now() + COMPILE_TIME;
        let code = std::thread::scope(|scope| {
            // Where the child dies early, it says why; the writer ends with it.
            scope.spawn(|| input.map(|mut input| input.write_all(bytes)));
            let code = output.map_or(Ok(Vec::new()), |output| read_until(output, deadline));
            if code.is_err() {
                let _ = child.kill();
            }
            code
        });
        let ended = child.wait_with_output().map_err(|error| failed("waited for", error))?;
        let code = code.map_err(|error| failed("read from", error))?;
        if ended.status.success() {
            return Ok(code);
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        let reason = match said.trim() {
            "" => format!(
                "the compiler ended with {}; it may use {COMPILE_CPU_SECONDS} s of CPU and {} GiB",
                ended.status,
                COMPILE_ADDRESS_SPACE >> 30
            ),
            said => text::shown(said, text::SAID),
        };
        // A compiler that somebody ended says nothing about the component.
        let outside = [Signal::KILL, Signal::TERM, Signal::INT, Signal::HUP];
        let signal = ended.status.signal();
        if outside.iter().any(|outside| signal == Some(outside.as_raw())) {
            return Err(Failure::Host(reason));
        }
        Err(Failure::Compile(reason))
    }
}

/// Reads to the end, but no longer than this.
fn read_until(mut output: ChildStdout, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut code = Vec::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let ready = poll(
            &mut [PollFd::new(&output, PollFlags::IN)],
            Some(&left.try_into().unwrap_or_default()),
        );
        match ready {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => match output.read(&mut chunk)? {
                0 => return Ok(code),
                read => code.extend_from_slice(&chunk[..read]),
            },
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Writes the machine code and what it should be, and gives it its name.
fn keep(mut claim: &File, code: &[u8], partial: &Path, compiled: &Path) -> io::Result<()> {
    claim.write_all(code)?;
    claim.write_all(&Sha256::digest(code))?;
    claim.sync_all()?;
    if !private_file::is_at(claim, partial) {
        return Err(io::Error::other("the file was removed while it was written"));
    }
    std::fs::rename(partial, compiled)
}

/// Removes the file of a claim that comes to nothing; never that of another server.
fn give_up(claim: Option<&File>, partial: &Path) {
    if claim.is_some_and(|file| private_file::is_at(file, partial)) {
        let _ = std::fs::remove_file(partial);
    }
}

/// The compiled file, if it is there, ours alone, whole, and fits this engine.
fn read_compiled(engine: &Engine, path: &Path) -> Option<Component> {
    let ours = is_ours(&path.parent()?.metadata().ok()?)
        && path.symlink_metadata().is_ok_and(|file| file.is_file() && is_ours(&file));
    // Machine code that a disk has changed would end the process.
    if !ours || !is_whole(path).unwrap_or(false) {
        return None;
    }
    // SAFETY: only this user can have written the file, and its bytes are those
    // that our own compile child gave.
    #[expect(unsafe_code, reason = "machine code cannot be loaded any other way")]
    let component = unsafe { Component::deserialize_file(engine, path) };
    component
        .inspect_err(|error| {
            tracing::debug!(path = %path.display(), %error, "compiled policy does not fit; compiling again");
        })
        .ok()
}

/// May nobody else write to it?
fn is_ours(metadata: &Metadata) -> bool {
    metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.permissions().mode() & 0o022 == 0
}

/// Does the file end in the digest of what comes before?
fn is_whole(path: &Path) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let Some(code) = file.metadata()?.len().checked_sub(DIGEST_BYTES) else { return Ok(false) };
    let mut digest = Sha256::new();
    // In large pieces: a component with an engine of its own has tens of megabytes.
    io::copy(&mut BufReader::with_capacity(1 << 20, (&mut file).take(code)), &mut digest)?;
    let mut expected = Vec::new();
    file.read_to_end(&mut expected)?;
    Ok(expected == digest.finalize().as_slice())
}

/// Takes the lock, or gives up when its holder seems stuck: compiling twice is only
/// slow. Sleeping is fine on a policy thread.
fn wait_for(file: &File) -> io::Result<()> {
    let give_up = Instant::now() + WAIT_FOR_OTHER;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(io::Error::other("another server has been compiling for too long"));
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The compile child: component on standard input, machine code on standard
/// output.
///
/// # Errors
///
/// Why the component does not compile, as text for the server to pass on.
pub fn compile_main() -> Result<(), String> {
    compile_input().map_err(|reason| text::shown(&reason, text::SAID))
}

fn compile_input() -> Result<(), String> {
    limit_myself();
    std::thread::spawn(end_with_reader);
    let mut bytes = Vec::new();
    io::stdin()
        .take(limits::COMPONENT_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("cannot read the component: {error}"))?;
    let engine = engine::compiler().map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&bytes).map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).map_err(|error| format!("cannot write: {error}"))
}

/// Ends this process when nobody is left to read what it compiles.
fn end_with_reader() {
    let output = io::stdout();
    // An output that is polled for nothing reports only that its reader is gone.
    if poll(&mut [PollFd::new(&output, PollFlags::empty())], None).is_ok() {
        std::process::exit(1);
    }
}

fn limit_myself() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limits = [
        (Resource::Cpu, COMPILE_CPU_SECONDS),
        (Resource::As, COMPILE_ADDRESS_SPACE),
        (Resource::Core, 0),
    ];
    for (resource, limit) in limits {
        // A stricter hard limit from outside stays as it is.
        // The hard limit lies above: at the soft one the signal tells which it was.
        let _ = setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit + 5) });
    }
}
