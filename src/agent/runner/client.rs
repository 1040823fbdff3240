//! The server's side of the runner: starts it with the first dispatch, hands it
//! jobs, and routes what it tells to the runs. When it dies, its runs are ended
//! from here, and the next dispatch starts another.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use super::thread::on_thread;
use super::wire::{self, Notice, PROTOCOL, Request};
use crate::agent::job::Job;
use crate::agent::tree::{self, Tree};
use crate::lock::lock;

/// The handle to the runner. Dropping it ends all runs.
#[derive(Debug)]
pub struct Runner {
    program: PathBuf,
    args: Vec<OsString>,
    link: Mutex<Option<Link>>,
}

/// A run that was handed to the runner. Dropping it while it runs stops it.
#[derive(Debug)]
pub(in crate::agent) struct Run {
    name: String,
    notices: UnboundedReceiver<Notice>,
    outgoing: UnboundedSender<Outgoing>,
    give_up: CancellationToken,
    over: bool,
}

/// The child's ends of its pipes, and what goes with them.
#[derive(Debug)]
pub(in crate::agent) struct Streams {
    pub(in crate::agent) stdin: OwnedFd,
    pub(in crate::agent) stdout: OwnedFd,
    pub(in crate::agent) stderr: OwnedFd,
    /// What the runner keeps open until nothing of the run is left.
    pub(in crate::agent) held: Vec<OwnedFd>,
}

/// The connection to a runner that lives. Messages are written by a task of their
/// own, so that one whose sender is dropped is never left half written.
#[derive(Debug)]
struct Link {
    outgoing: UnboundedSender<Outgoing>,
    routes: Routes,
    /// Cancelled when the runner does not answer.
    give_up: CancellationToken,
}

#[derive(Debug)]
struct Outgoing {
    frame: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// Where each run's notices go; none at all once the runner is lost.
type Routes = Arc<Mutex<Option<HashMap<String, UnboundedSender<Notice>>>>>;

impl Runner {
    /// A runner that starts with the first run: `program` followed by `args` must
    /// end in [`runner_main`](super::runner_main). Costs nothing until then.
    pub fn new(program: &Path, args: &[&str]) -> Self {
        Self {
            program: program.to_owned(),
            args: args.iter().map(OsString::from).collect(),
            link: Mutex::new(None),
        }
    }

    /// Starts a runner where none lives, so that the next run need not wait for that. To be
    /// called within a tokio runtime. What keeps it from starting that run will tell.
    pub fn start_ahead(&self) {
        let mut link = lock(&self.link);
        if !link.as_ref().is_some_and(|link| lock(&link.routes).is_some()) {
            *link = self.connect(HashMap::new()).ok();
        }
    }

    /// Hands a job over. To be called within a tokio runtime.
    pub(in crate::agent) fn start(&self, job: &Job, streams: Streams) -> io::Result<Run> {
        let frame = wire::encode(&Request::Start { job: job.clone() })?;
        let (sender, notices) = unbounded_channel();
        let (outgoing, give_up) = self.enter(&job.run, sender)?;
        let Streams { stdin, stdout, stderr, held } = streams;
        let descriptors = [stdin, stdout, stderr].into_iter().chain(held).collect();
        // When the writer has just ended, so will the notices: the run learns it.
        let _ = outgoing.send(Outgoing { frame, descriptors });
        Ok(Run { name: job.run.clone(), notices, outgoing, give_up, over: false })
    }

    /// Ends all runs at once, as an ending server does: asks them, and kills what is
    /// left of each after `grace`, or sooner where that was said before. Returns
    /// without waiting, and starts no runner where there is none.
    pub fn end_all(&self, grace: Duration) {
        if let Some(link) = lock(&self.link).as_ref() {
            tell(&link.outgoing, &Request::StopAll { grace_ms: milliseconds(grace) });
        }
    }

    /// Enters a run where its notices are routed, after starting a runner if none
    /// lives, and returns the way to it.
    fn enter(
        &self,
        run: &str,
        notices: UnboundedSender<Notice>,
    ) -> io::Result<(UnboundedSender<Outgoing>, CancellationToken)> {
        let mut link = lock(&self.link);
        if let Some(link) = link.as_ref()
            && let Some(routes) = lock(&link.routes).as_mut()
        {
            routes.insert(run.to_owned(), notices);
            return Ok((link.outgoing.clone(), link.give_up.clone()));
        }
        let routes = HashMap::from([(run.to_owned(), notices)]);
        let new = self.connect(routes)?;
        let way = (new.outgoing.clone(), new.give_up.clone());
        *link = Some(new);
        Ok(way)
    }

    fn connect(&self, routes: HashMap<String, UnboundedSender<Notice>>) -> io::Result<Link> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let (reading, writing) = UnixStream::from_std(ours)?.into_split();
        let process = Command::new(&self.program)
            .args(&self.args)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()?;
        let routes = Arc::new(Mutex::new(Some(routes)));
        let (outgoing, frames) = unbounded_channel();
        tell(&outgoing, &Request::Hello { protocol: PROTOCOL });
        tokio::spawn(write(writing, frames));
        let give_up = CancellationToken::new();
        tokio::spawn(read(reading, Arc::clone(&routes), process, give_up.clone()));
        Ok(Link { outgoing, routes, give_up })
    }
}

impl Run {
    /// What the runner tells next about this run; none when the runner is lost.
    pub(in crate::agent) async fn notice(&mut self) -> Option<Notice> {
        let notice = self.notices.recv().await;
        self.over |= !matches!(notice, Some(Notice::Started { .. }));
        notice
    }

    /// Says that the runner does not do what it is told: it is killed, and what it had is
    /// ended from here.
    pub(in crate::agent) fn give_up_runner(&self) {
        self.give_up.cancel();
    }

    /// Ends it: asks it, and kills what is left after `grace`.
    pub(in crate::agent) fn stop(&self, grace: Duration) {
        let grace_ms = milliseconds(grace);
        tell(&self.outgoing, &Request::Stop { run: self.name.clone(), grace_ms });
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.over {
            self.stop(tree::GRACE);
        }
    }
}

/// Sends a short message without descriptors. A runner that is gone has nothing
/// left to do.
fn tell(outgoing: &UnboundedSender<Outgoing>, request: &Request) {
    if let Ok(frame) = wire::encode(request) {
        let _ = outgoing.send(Outgoing { frame, descriptors: Vec::new() });
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Writes what is sent, until nobody can send any more; then closes our side, and
/// the runner ends what it has.
async fn write(socket: OwnedWriteHalf, mut frames: UnboundedReceiver<Outgoing>) {
    while let Some(Outgoing { frame, mut descriptors }) = frames.recv().await {
        let stream: &UnixStream = socket.as_ref();
        let mut rest = frame.as_slice();
        while !rest.is_empty() {
            let sent = stream
                .async_io(Interest::WRITABLE, || wire::send_with(stream, rest, &descriptors))
                .await;
            // An error means that the runner is gone, which the reader sees too.
            let Ok(sent) = sent else { return };
            rest = &rest[sent..];
            descriptors.clear();
        }
    }
}

/// Routes what the runner tells, until it is gone.
async fn read(socket: OwnedReadHalf, routes: Routes, process: Child, give_up: CancellationToken) {
    match give_up.run_until_cancelled(route(socket, &routes)).await {
        Some(Ok(())) => {}
        Some(Err(error)) => {
            tracing::warn!("the runner cannot be understood and is given up: {error}");
        }
        None => tracing::warn!("the runner does not answer and is given up with all its runs"),
    }
    // From here on the next run starts another runner.
    let lost = lock(&routes).take().unwrap_or_default();
    // It reads files and waits: nothing for the reactor's thread.
    on_thread(move || bury(process, lost));
}

async fn route(mut socket: OwnedReadHalf, routes: &Routes) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(4096);
    loop {
        while let Some(notice) = wire::take::<Notice>(&mut buffer)? {
            let mut routes = lock(routes);
            let Some(routes) = routes.as_mut() else { return Ok(()) };
            let run = notice.run().to_owned();
            if let Notice::Gone { survivors: left @ 1.., .. } = notice {
                tracing::warn!("{left} processes of the run {run} do not end when killed");
            }
            let is_last = matches!(notice, Notice::Gone { .. } | Notice::Failed { .. });
            if let Some(sender) = routes.get(&run) {
                // Nobody may be interested any more.
                let _ = sender.send(notice);
            }
            if is_last {
                routes.remove(&run);
            }
        }
        if socket.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

/// How long a process that was just spawned may take to become the job's program.
const EXEC_PATIENCE: Duration = Duration::from_millis(50);

/// Ends what a lost runner leaves behind. With its sender gone, a run learns that it is
/// lost; so it learns it when it is over.
fn bury(mut process: Child, lost: HashMap<String, UnboundedSender<Notice>>) {
    // Its socket is closed, so it can be of no more use, even where it still runs.
    // Already dead is no error.
    let _ = process.kill();
    let _ = process.wait();
    // It may have died while spawning, and a process bears no mark before its exec;
    // its tag it bears from the start, where tags can be set.
    thread::sleep(EXEC_PATIENCE);
    let deadline = Instant::now() + tree::ORPHAN_GRACE;
    for (run, notices) in lost {
        on_thread(move || {
            if tree::end(&mut Tree::new(&run, None), || deadline, || false) > 0 {
                tracing::warn!("some processes of a lost run do not end when killed");
            }
            drop(notices);
        });
    }
}
