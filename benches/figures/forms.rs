//! Many dispatches at once, one that is watched, one that says very much.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::bare;
use crate::print::{figure, row, time};
use crate::spawn_bare;
use crate::support::World;
use crate::support::mcp::{Client, Streams};

const ROUNDS: usize = 7;
const EVENTS: usize = 10_000;
const PACED: usize = 300;
const LARGE: usize = 50_000_000;

/// The default, in bytes; in its line an answer is JSON in JSON, and may be longer.
const INLINE_LIMIT: usize = 2 * (40 << 10);

/// A call of so many dispatches that have never been asked before.
fn call(client: &mut Client, items: usize, round: usize) {
    let item = |number| json!({"agent": "infra", "task": format!("task {number} of {round}")});
    let dispatches: Vec<Value> = (0..items).map(item).collect();
    let replies = client.tool("dispatch_parallel", json!({"dispatches": dispatches}));
    let replies = replies.as_array().expect("a list");
    assert!(replies.len() == items && replies.iter().all(|reply| reply["success"] == true));
}

/// Spawns the same children bare, so many at once.
fn floor(world: &World, items: usize, at_once: usize) {
    std::thread::scope(|scope| {
        for first in 0..at_once {
            let mine = (first..items).step_by(at_once);
            scope.spawn(move || mine.for_each(|_| drop(spawn_bare(world))));
        }
    });
}

fn compare(name: &str, script: &str, items: usize, limit: usize) {
    let world = World::with_agent(script);
    world.config(&format!("{}  max_concurrency: {limit}\n", world.agents_yaml(&["infra"])));
    let mut client = Client::connect(&world);
    call(&mut client, items, ROUNDS);
    let (mut measured, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        measured.push(time(|| call(&mut client, items, round)));
        bare.push(time(|| floor(&world, items, limit)));
    }
    row(name, measured, Some(bare));
}

/// Dispatches that take 100 ms each, all at once. Floor: the same children bare.
pub(crate) fn parallel_at_once() {
    compare("50 dispatches of 100 ms at once, ms", "pause 100\nanswer ok", 50, 50);
}

/// Dispatches that take no time. Floor: the same children bare, as many at once.
pub(crate) fn parallel_in_turns() {
    compare("320 dispatches of no time, 16 at once, ms", "answer ok", 320, 16);
}

/// Waits for the answer of a call and hands over each notice before it.
fn listen(client: &mut Client, id: &str, mut notice: impl FnMut(&str)) {
    loop {
        let message = client.receive();
        if message["id"] == id {
            return;
        }
        notice(message["params"]["message"].as_str().expect("a notice"));
    }
}

/// What an agent does, as notices. Floor: as many notices of a bare server.
pub(crate) fn stream() {
    let world = World::with_agent(&format!("says {EVENTS} event\nanswer ok"));
    let mut client = Client::start(&world, Streams::Sockets);
    client.initialize();
    let mut bare = bare::start(&world, Streams::Sockets);
    bare.initialize();
    let question = json!({"agent": "infra", "task": "look"});
    let (mut measured, mut floor) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let id = format!("stream-{round}");
        measured.push(time(|| {
            client.begin(&id, "dispatch_stream", question.clone());
            let mut next = 0;
            listen(&mut client, &id, |notice| {
                if notice.ends_with(" event") {
                    next += 1;
                    assert_eq!(notice, format!("infra says: {next} event"));
                }
            });
            assert_eq!(next, EVENTS);
        }));
        floor.push(time(|| {
            bare.begin(&id, "one", json!({"notices": EVENTS}));
            listen(&mut bare, &id, |_| {});
        }));
    }
    row(&format!("{EVENTS} events as notices, ms"), measured, Some(floor));

    let world = World::with_agent(&format!("says-times {PACED} 5\nanswer ok"));
    let mut client = Client::start(&world, Streams::Sockets);
    client.initialize();
    client.begin("paced", "dispatch_stream", question);
    let mut delays = Vec::new();
    listen(&mut client, "paced", |notice| {
        if let Some(sent) = notice.strip_prefix("infra says: at ") {
            let sent = Duration::from_nanos(sent.parse().expect("a time"));
            let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
            delays.push(now.saturating_sub(sent));
        }
    });
    assert_eq!(delays.len(), PACED);
    delays.sort();
    let at = |percent: usize| delays[delays.len() * percent / 100].as_secs_f64() * 1000.0;
    figure("from a paced event to its notice, p50, ms", at(50));
    figure("… p99, ms", at(99));
}

/// A result of 50 MB, whole and as a preview, and what the server takes for it at most.
/// Floor: the child bare, and for the preview, whose whole is kept, so much written to a file.
pub(crate) fn large_result() {
    let script = format!("repeat {LARGE} x");
    let [whole, preview] = [World::with_agent(&script), World::with_agent(&script)];
    whole.config(&format!("{}  inline_limit: 0\n", whole.agents_yaml(&["infra"])));
    let (mut wholes, mut previews) = (Vec::new(), Vec::new());
    let (mut bare, mut written) = (Vec::new(), Vec::new());
    let (mut peak, mut peak_of_preview) = (0.0_f64, 0.0_f64);
    let mut came_whole = 0.0;
    let kept = vec![b'x'; LARGE];
    for _ in 0..ROUNDS {
        let (took, line) = say_much(&whole, &mut peak);
        assert!(line > LARGE, "a line of {line} bytes");
        wholes.push(took);
        let child = time(|| spawn_bare(&whole));
        bare.push(child);
        let (took, line) = say_much(&preview, &mut peak_of_preview);
        previews.push(took);
        // Where keeping it takes too long nothing is cut.
        came_whole += if line < INLINE_LIMIT { 0.0 } else { 1.0 };
        let file = preview.path("kept");
        written.push(child + time(|| std::fs::write(&file, &kept).expect("a file")));
    }
    row("a result of 50 MB, whole (inline_limit 0), ms", wholes, Some(bare));
    figure("… peak resident memory of the server, MiB", peak);
    #[expect(clippy::cast_precision_loss, reason = "it is not that large")]
    let json = LARGE as f64 / f64::from(1 << 20);
    figure("… goal: 3.5 times the result and 40 MiB", 3.5 * json + 40.0);
    row("a result of 50 MB, as a preview and kept, ms", previews, Some(written));
    figure("… rounds in which it was kept too slowly and came whole", came_whole);
    figure("… peak resident memory of the server, MiB", peak_of_preview);
}

/// How long a new server takes for a long answer, and how long the line is that it sends.
fn say_much(world: &World, peak: &mut f64) -> (Duration, usize) {
    let mut client = Client::start(world, Streams::Sockets);
    client.initialize();
    client.tool("list_agents", json!({}));
    let begin = Instant::now();
    let line = client.line("dispatch", json!({"agent": "infra", "task": "look"}));
    let elapsed = begin.elapsed();
    *peak = peak.max(peak_resident(client.pid()));
    (elapsed, line.len())
}

fn peak_resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}
