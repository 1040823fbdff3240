//! Fifteen servers and the command line share one state, and are killed and stopped at the
//! worst moments, while the clock jumps and, in a long run, the store may not grow. After it
//! no job is lost or was run twice, and whatever was paid for can be fetched.
//!
//! `AGENT_DISPATCH_CHAOS_KILLS=1200 cargo nextest run -E 'test(chaos)' --no-capture` is a long
//! run and prints what happened; without it there are a few dozen kills.

mod peer;
mod processes;

use std::collections::HashMap;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rusqlite::{Connection, OpenFlags};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::mcp::Client;
use crate::support::{BINARY, World, runner_of, until};
use peer::Peer;

const SERVERS: usize = 15;

/// So many kills in a run that is not told how many.
const KILLS: usize = 20;

/// From so many on a run is a long one: then the store meets its limit too.
const LONG: usize = 400;

/// When somebody is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// A job waits for its turn.
    Queued,
    /// It was only just asked for.
    Spawning,
    /// Its agent works.
    Running,
    /// Its agent has said all.
    Storing,
    /// It is being cancelled.
    Cancelling,
}

const MOMENTS: [Moment; 5] =
    [Moment::Queued, Moment::Spawning, Moment::Running, Moment::Storing, Moment::Cancelling];

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Keeper,
    Runner,
}

const VICTIMS: [Victim; 3] = [Victim::Server, Victim::Keeper, Victim::Runner];

/// What all have in common.
struct Scene {
    /// Never given back: threads that wake stopped processes may outlive the test.
    world: &'static World,
    /// Another file with the same program: as after an update.
    other_binary: String,
    is_long: bool,
    ends: AtomicBool,
    next: AtomicU64,
    /// What each job was asked.
    jobs: Mutex<HashMap<String, String>>,
    /// The servers there are.
    servers: Mutex<HashMap<usize, u32>>,
    stops: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panicked")
}

impl Scene {
    fn new(is_long: bool) -> Self {
        let world: &'static World = Box::leak(Box::new(World::with_agent("work ../ledger")));
        world.agent("shared", "work ../ledger");
        let agents = world.agents_yaml(&["infra", "shared"]);
        world.config(&format!("{agents}  max_concurrency: 3\n  cache: {{shared: true}}\n"));
        fs::write(world.path("ledger"), "").expect("the ledger");
        fs::write(world.path("clock"), "0").expect("the clock");
        fs::create_dir(world.path("other")).expect("a folder");
        let other = world.path("other/agent-dispatch");
        fs::hard_link(BINARY, &other).or_else(|_| fs::copy(BINARY, &other).map(drop)).expect("it");
        Self {
            world,
            other_binary: other.display().to_string(),
            is_long,
            ends: AtomicBool::new(false),
            next: AtomicU64::new(0),
            jobs: Mutex::default(),
            servers: Mutex::default(),
            stops: AtomicUsize::new(0),
        }
    }

    /// The binary, or its other file; at times one whose files may not grow.
    fn command(&self, rng: &mut Rng, arguments: &[&str]) -> Command {
        let binary = if rng.bool() { BINARY } else { &self.other_binary };
        let mut command = if self.is_long && rng.u8(..10) == 0 {
            let blocks = rng.u32(1000..6000);
            let mut command = self.world.command_of("sh");
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
            command.args(["-c", &script, binary]);
            command
        } else {
            self.world.command_of(binary)
        };
        command.env("AGENT_DISPATCH_TEST_CLOCK", self.world.path("clock")).args(arguments);
        command
    }

    /// A task that nobody else has.
    fn work(&self, rng: &mut Rng) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        format!("work-{number}-{}", rng.u32(..120))
    }

    fn a_job(&self, rng: &mut Rng) -> Option<String> {
        let jobs = lock(&self.jobs);
        let place = rng.usize(..jobs.len().max(1));
        jobs.keys().nth(place).cloned()
    }

    fn ledger(&self) -> String {
        fs::read_to_string(self.world.path("ledger")).expect("the ledger")
    }

    /// What was written into the ledger from there on.
    fn ledger_since(&self, place: u64) -> String {
        let mut ledger = fs::File::open(self.world.path("ledger")).expect("the ledger");
        ledger.seek(SeekFrom::Start(place)).expect("a place");
        let mut text = String::new();
        ledger.read_to_string(&mut text).expect("text");
        text
    }

    /// The jobs that stand so now, by the store.
    fn jobs_that_are(&self, status: &str) -> Vec<String> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let Ok(store) = Connection::open_with_flags(store(self.world), flags) else {
            return Vec::new();
        };
        let read = || -> rusqlite::Result<Vec<String>> {
            let mut query = store.prepare("SELECT id FROM job WHERE status = ?1")?;
            query.query_map([status], |row| row.get(0))?.collect()
        };
        read().unwrap_or_default()
    }
}

fn store(world: &World) -> std::path::PathBuf {
    world.path("home/.local/state/agent-dispatch/store.sqlite")
}

/// One who uses a server, and starts another when it is gone.
fn use_servers(scene: &Scene, place: usize, mut rng: Rng, tells: &Sender<(Moment, String)>) {
    let mut server = None;
    while !scene.ends.load(Ordering::Relaxed) {
        if server.is_none() {
            server = Peer::start(scene.command(&mut rng, &["serve"]));
            if let Some(server) = &server {
                lock(&scene.servers).insert(place, server.pid());
            }
        }
        let Some(peer) = &mut server else { continue };
        thread::sleep(Duration::from_millis(rng.u64(..60)));
        if act(scene, peer, &mut rng, tells).is_none() {
            lock(&scene.servers).remove(&place);
            server = None;
        }
    }
    lock(&scene.servers).remove(&place);
}

/// Does one thing; none where the server was killed meanwhile.
fn act(
    scene: &Scene,
    peer: &mut Peer,
    rng: &mut Rng,
    tells: &Sender<(Moment, String)>,
) -> Option<()> {
    match rng.u8(..10) {
        0..=4 => {
            let task = scene.work(rng);
            let started = peer.tool("dispatch_async", &json!({"agent": "infra", "task": task}))?;
            // Refused where too many wait, or the store cannot be written.
            if let Some(id) = started["job_id"].as_str() {
                lock(&scene.jobs).insert(id.to_owned(), task);
                let _ = tells.send((Moment::Spawning, id.to_owned()));
            }
        }
        5 => {
            if let Some(id) = scene.a_job(rng) {
                peer.tool("dispatch_wait", &json!({"job_id": id, "timeout_seconds": 1}))?;
            }
        }
        6 => {
            if let Some(id) = scene.a_job(rng) {
                let _ = tells.send((Moment::Cancelling, id.clone()));
                peer.tool("dispatch_cancel", &json!({"job_id": id}))?;
            }
        }
        7 => drop(peer.tool("dispatch_jobs", &json!({}))?),
        8 => {
            // The same for all, so that they share it.
            let task = format!("work-shared{}-20", rng.u8(..4));
            peer.tool("dispatch", &json!({"agent": "shared", "task": task}))?;
        }
        _ => {
            let task = scene.work(rng);
            peer.tool("dispatch", &json!({"agent": "infra", "task": task, "fresh": true}))?;
        }
    }
    Some(())
}

/// One who uses the command line.
fn use_commands(scene: &Scene, mut rng: Rng) {
    while !scene.ends.load(Ordering::Relaxed) {
        let job = scene.a_job(&mut rng).unwrap_or_else(|| "0".repeat(32));
        let arguments: &[&str] = match rng.u8(..4) {
            0 => &["jobs", "--json"],
            1 => &["job", &job, "--json"],
            2 => &["cancel", &job],
            _ => &["stats"],
        };
        let output = scene.command(&mut rng, arguments).output().expect("it runs");
        assert!(output.status.code().is_none_or(|code| code < 2), "{arguments:?}: {output:?}");
    }
}

/// Stops somebody now and then, and moves the clock.
fn disturb(scene: &Scene, mut rng: Rng) {
    while !scene.ends.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(rng.u64(20..120)));
        let jump = rng.i64(-3..=3) * 3_600_000;
        fs::write(scene.world.path("clock"), jump.to_string()).expect("the clock");
        let running = scene.jobs_that_are("running");
        let keeper =
            running.get(rng.usize(..running.len().max(1))).and_then(|job| processes::keeper(job));
        let servers: Vec<u32> = lock(&scene.servers).values().copied().collect();
        let server = servers.get(rng.usize(..servers.len().max(1))).copied();
        let victim = if rng.bool() { keeper } else { server };
        let time = Duration::from_millis(rng.u64(5..200));
        if victim.is_some_and(|pid| processes::stop_for(scene.world, pid, time)) {
            scene.stops.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Kills somebody at each moment in turn, until there were so many.
fn kill(
    scene: &Scene,
    kills: usize,
    mut rng: Rng,
    told: &Receiver<(Moment, String)>,
) -> HashMap<(usize, usize), usize> {
    let mut counts = HashMap::new();
    let of = |counts: &HashMap<(usize, usize), usize>, moment: usize| {
        VICTIMS
            .iter()
            .enumerate()
            .filter(|(_, victim)| **victim != Victim::Runner)
            .filter_map(|(victim, _)| counts.get(&(moment, victim)))
            .sum::<usize>()
    };
    while (0..MOMENTS.len()).map(|moment| of(&counts, moment)).sum::<usize>() < kills {
        // The one with the fewest so far.
        let place = (0..MOMENTS.len()).min_by_key(|moment| of(&counts, *moment)).expect("some");
        let moment = MOMENTS[place];
        let Some(job) = wait_for(scene, moment, &mut rng, told) else { continue };
        let victim = match rng.u8(..10) {
            0..=5 => Victim::Keeper,
            6..=7 => Victim::Server,
            _ => Victim::Runner,
        };
        let pid = match victim {
            Victim::Server => {
                let servers = lock(&scene.servers);
                let place = rng.usize(..servers.len().max(1));
                servers.values().nth(place).copied()
            }
            Victim::Keeper => processes::keeper(&job),
            Victim::Runner => processes::keeper(&job).and_then(runner_of),
        };
        if pid.is_some_and(|pid| processes::send(scene.world, pid, Signal::KILL)) {
            let who = VICTIMS.iter().position(|known| *known == victim).expect("it is one");
            *counts.entry((place, who)).or_insert(0) += 1;
        }
    }
    counts
}

/// Waits for such a moment of a job; none where it does not come.
fn wait_for(
    scene: &Scene,
    moment: Moment,
    rng: &mut Rng,
    told: &Receiver<(Moment, String)>,
) -> Option<String> {
    let a_moment = |rng: &mut Rng| thread::sleep(Duration::from_micros(rng.u64(..4000)));
    match moment {
        Moment::Queued | Moment::Running => {
            thread::sleep(Duration::from_millis(2));
            let status = if moment == Moment::Queued { "pending" } else { "running" };
            let jobs = scene.jobs_that_are(status);
            let place = rng.usize(..jobs.len().max(1));
            jobs.into_iter().nth(place)
        }
        Moment::Spawning | Moment::Cancelling => {
            // What was told before is over.
            while told.try_recv().is_ok() {}
            let deadline = Instant::now() + Duration::from_secs(2);
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let (what, job) = told.recv_timeout(left).ok()?;
                if what == moment {
                    a_moment(rng);
                    return Some(job);
                }
            }
        }
        Moment::Storing => {
            let deadline = Instant::now() + Duration::from_secs(2);
            let ledger = scene.world.path("ledger");
            let place = || ledger.metadata().expect("the ledger").len();
            let mut read = place();
            while Instant::now() < deadline {
                let new = scene.ledger_since(read);
                read += u64::try_from(new.len()).expect("a size");
                if let Some(token) = new.lines().find_map(|line| line.strip_prefix("end ")) {
                    let jobs = lock(&scene.jobs);
                    let is_it = |(_, task): &(&String, &String)| *task == token;
                    let job = jobs.iter().find(is_it).map(|(id, _)| id.clone());
                    drop(jobs);
                    if job.is_some() {
                        a_moment(rng);
                        return job;
                    }
                }
                thread::sleep(Duration::from_micros(300));
            }
            None
        }
    }
}

/// Dropped, all come to their end.
struct Ends<'s>(&'s Scene);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.ends.store(true, Ordering::Relaxed);
    }
}

#[test]
fn nothing_is_lost_whoever_is_killed() {
    let asked = std::env::var("AGENT_DISPATCH_CHAOS_KILLS").ok();
    let kills = asked.as_ref().and_then(|kills| kills.parse().ok()).unwrap_or(KILLS);
    let seed = fastrand::u64(..);
    let mut rng = Rng::with_seed(seed);
    let scene = Scene::new(kills >= LONG);
    let (tells, told) = channel();
    let counts = thread::scope(|scope| {
        for place in 0..SERVERS {
            let (scene, tells, rng) = (&scene, tells.clone(), rng.fork());
            scope.spawn(move || use_servers(scene, place, rng, &tells));
        }
        let (commands, disturbs) = (rng.fork(), rng.fork());
        scope.spawn(|| use_commands(&scene, commands));
        scope.spawn(|| disturb(&scene, disturbs));
        // Also where this panics.
        let _ends = Ends(&scene);
        kill(&scene, kills, rng.fork(), &told)
    });
    // Longer than anybody is stopped.
    thread::sleep(Duration::from_millis(400));
    fs::write(scene.world.path("clock"), "0").expect("the clock");
    let ends = all_is_well(&scene, seed);
    if asked.is_some() {
        report(&scene, &counts, &ends);
    }
    fs::remove_dir_all(scene.world.path("")).expect("the world");
}

/// Looks at all that must hold, and says how the jobs ended.
fn all_is_well(scene: &Scene, seed: u64) -> HashMap<String, usize> {
    let world = scene.world;
    let mut client = Client::connect(world);
    let mut ends = HashMap::new();
    let jobs = lock(&scene.jobs).clone();
    let over: Vec<(&String, &String, Value)> =
        jobs.iter().map(|(id, task)| (id, task, settled(&mut client, id))).collect();
    let ledger = scene.ledger();
    let mut counts = HashMap::new();
    for line in ledger.lines() {
        *counts.entry(line.to_owned()).or_insert(0) += 1;
    }
    let count =
        |what: &str, task: &str| counts.get(&format!("{what} {task}")).copied().unwrap_or(0);
    for (id, task, job) in over {
        let starts = count("start", task);
        assert!(starts <= 1, "seed {seed}: {task} was run {starts} times: {job}");
        let status = job["status"].as_str().expect("a status");
        *ends.entry(status.to_owned()).or_insert(0) += 1;
        // What it has said all of was paid for.
        if count("end", task) == 1 {
            assert!(["done", "cancelled"].contains(&status), "seed {seed}: paid for {task}: {job}");
            let kept = client.tool("fetch_result", json!({"ref": id}));
            assert_eq!(kept["result"], format!("did {task}"), "seed {seed}: {job}");
        } else if status == "done" {
            assert_eq!(starts, 1, "seed {seed}: {job}");
        }
    }
    let listed = client.tool("dispatch_jobs", json!({"limit": 1000}));
    let all_over =
        |job: &Value| !["pending", "running"].contains(&job["status"].as_str().unwrap_or(""));
    assert!(listed.as_array().expect("a list").iter().all(all_over), "seed {seed}: {listed}");
    // No question was run twice, but those that all ask.
    let ledger = scene.ledger();
    let mut begun = std::collections::HashSet::new();
    let starts =
        ledger.lines().filter(|line| line.starts_with("start ") && !line.contains("shared"));
    let twice: Vec<&str> = starts.filter(|line| !begun.insert(*line)).collect();
    assert!(twice.is_empty(), "seed {seed}: {twice:?}");
    // No slot is stuck: all three are taken at once.
    fs::write(world.path("infra/script"), "meet 3 ../meeting\nanswer together").expect("a script");
    for number in 0..3 {
        let task = format!("meet {number}");
        client.begin(&number.to_string(), "dispatch", json!({"agent": "infra", "task": task}));
    }
    for reply in client.finish(3).values() {
        assert_eq!(reply["result"], "together", "seed {seed}: {reply}");
    }
    client.close();
    until(
        || processes::all(world).is_empty(),
        || format!("seed {seed}: {:#?}", processes::all(world)),
    );
    let store = Connection::open(store(world)).expect("the store");
    let whole: String =
        store.pragma_query_value(None, "integrity_check", |row| row.get(0)).expect("it");
    assert_eq!(whole, "ok", "seed {seed}");
    let folders = world.path("home/.local/state/agent-dispatch/jobs");
    let left = fs::read_dir(folders).expect("the folder").flatten();
    let left = left.map(|entry| entry.file_name().into_string().expect("UTF-8"));
    // One that nobody was told of may wait for the next sweep.
    let known: Vec<String> = left.filter(|id| lock(&scene.jobs).contains_key(id)).collect();
    assert!(known.is_empty(), "seed {seed}: {known:?}");
    ends
}

/// Waits until a job is over. One whose end cannot be written is tried for two minutes.
fn settled(client: &mut Client, id: &str) -> Value {
    for _ in 0..20 {
        let wait = json!({"job_id": id, "timeout_seconds": 30});
        let job = client.tool("dispatch_wait", wait);
        if job.get("timed_out_waiting").is_none() {
            return job;
        }
    }
    panic!("the job {id} does not end");
}

#[expect(clippy::print_stdout, reason = "a long run is for its figures")]
fn report(scene: &Scene, counts: &HashMap<(usize, usize), usize>, ends: &HashMap<String, usize>) {
    println!("{:12} {:>8} {:>8} {:>8}", "killed", "server", "keeper", "runner");
    for (place, moment) in MOMENTS.iter().enumerate() {
        let of = |victim| counts.get(&(place, victim)).copied().unwrap_or(0);
        println!("{:12} {:8} {:8} {:8}", format!("{moment:?}"), of(0), of(1), of(2));
    }
    println!("stopped and woken: {}", scene.stops.load(Ordering::Relaxed));
    println!("jobs: {} {ends:?}", lock(&scene.jobs).len());
}
