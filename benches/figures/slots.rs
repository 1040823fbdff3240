//! From a slot that is given back in one server to the run that another begins with it.

use std::fs;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::print::{figure, row};
use crate::support::mcp::{Client, Told};
use crate::support::{World, runner_of, until};

const ROUNDS: usize = 60;

/// Who has the slot and how it is lost.
const LOSSES: [(&str, bool); 2] =
    [("its agent ends", false), ("its server and its runner are killed", true)];

/// From the end of whoever has the only slot to the notice that the next run works. Floor:
/// the same from a call while the slot is free.
pub(crate) fn freed_slot() {
    for (loss, with_server) in LOSSES {
        let world = World::with_agent("meet 1 here\nwait ../end");
        world.agent("next", "answer ok");
        let yaml = world.agents_yaml(&["infra", "next"]);
        world.config(&format!("{yaml}  max_concurrency: 1\n"));
        let mut waits = Client::connect(&world);
        let (mut measured, mut floor) = (Vec::new(), Vec::new());
        let begin = |waits: &mut Client, id: &str| {
            waits.begin(id, "dispatch", json!({"agent": "next", "task": id}));
        };
        let works = |waits: &mut Client| {
            let Told::Notice(..) = waits.next_told() else { panic!("it begins with a notice") };
            Instant::now()
        };
        for round in 0..ROUNDS {
            let here = world.path("infra/here");
            let _ = fs::remove_dir_all(&here);
            let mut client = Client::connect(&world);
            client.begin("has it", "dispatch", json!({"agent": "infra", "task": "x"}));
            let agent = || fs::read_dir(&here).ok()?.next()?.ok()?.file_name().into_string().ok();
            until(|| agent().is_some(), || "no agent".to_owned());
            begin(&mut waits, &format!("after {round}"));
            until(|| is_waiting(&world), || "nobody waits".to_owned());
            let agent = agent().and_then(|pid| pid.parse().ok()).expect("a process");
            let server = [client.pid(), runner_of(client.pid()).expect("a runner"), agent];
            let lost = Instant::now();
            for pid in if with_server { &server[..] } else { &server[2..] } {
                let pid = Pid::from_raw(pid.cast_signed()).expect("a process");
                kill_process(pid, Signal::KILL).expect("it lives");
            }
            measured.push(works(&mut waits) - lost);
            waits.finish(1);
            drop(client);
            let asked = Instant::now();
            begin(&mut waits, &format!("free {round}"));
            floor.push(works(&mut waits) - asked);
            waits.finish(1);
        }
        let longest = measured.iter().max().expect("there are rounds").as_secs_f64() * 1000.0;
        row(&format!("{loss} → the next run works, ms"), measured, Some(floor));
        figure("… the longest", longest);
    }
}

fn is_waiting(world: &World) -> bool {
    let folder = world.path("home/.local/state/agent-dispatch/slots/0");
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    names.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with("interactive-"))
}
