//! `jobs --follow`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{go, look, start_and_leave, wait_for_no_job, wait_for_status};
use crate::support::{World, until};

fn follow(world: &World, more: &[&str]) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut command = world.command();
    command.args(["jobs", "--follow"]).args(more).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
    (child, lines.map(|line| line.expect("a line")))
}

#[test]
fn lines_are_kept_fresh_until_ctrl_c_which_leaves_the_jobs_alone() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer x");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let (mut plain, mut lines) = follow(&world, &[]);
    let (mut json, mut lists) = follow(&world, &["--json", "--limit", "1"]);
    assert!(lines.any(|line| line.starts_with(&format!("{id}  infra  running"))));
    let status = |list: String| {
        let list: Value = serde_json::from_str(&list).expect("a list a line");
        list[0]["status"].as_str().expect("a status").to_owned()
    };
    assert!(lists.by_ref().any(|list| status(list) == "running"));
    go(&world);
    assert!(lines.any(|line| line.starts_with(&format!("{id}  infra  done"))));
    assert!(lists.any(|list| status(list) == "done"));
    for child in [&mut plain, &mut json] {
        kill_process(Pid::from_child(child), Signal::INT).expect("it goes on");
        assert_eq!(child.wait().expect("it ends").code(), Some(130));
    }
    assert_eq!(look(&world, &id)["status"], "done");
    wait_for_no_job(&world);
}

#[test]
fn who_stops_following_leaves_a_job_that_runs() {
    let world = World::with_agent("touch ../there\nwait ../go\nanswer x");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let (mut follows, mut lines) = follow(&world, &[]);
    assert!(lines.next().is_some());
    kill_process(Pid::from_child(&follows), Signal::INT).expect("it goes on");
    assert_eq!(follows.wait().expect("it ends").code(), Some(130));
    assert_eq!(look(&world, &id)["status"], "running");
    go(&world);
    wait_for_status(&world, &id, "done");
    wait_for_no_job(&world);
}

#[test]
fn who_reads_no_more_is_not_followed_for_ever() {
    let world =
        World::with_agent("says 1 hello\ntouch ../there\nwait ../go\nsays 9 more\nanswer x");
    let id = start_and_leave(&world, "infra");
    world.wait_for("there");
    wait_for_status(&world, &id, "running");
    let (mut follows, mut lines) = follow(&world, &[]);
    assert!(lines.next().is_some());
    let (mut quiet, mut list) = follow(&world, &["--json", "--status", "failed"]);
    assert_eq!(list.next().as_deref(), Some("[]"));
    drop((lines, list));
    // One has something to say and finds nobody, the other has not.
    go(&world);
    for child in [&mut follows, &mut quiet] {
        let mut ended = None;
        let is_over = || {
            ended = child.try_wait().expect("it can be waited for");
            ended.is_some()
        };
        until(is_over, || "it goes on".to_owned());
        assert_eq!(ended.and_then(|ended| ended.code()), Some(0));
    }
    wait_for_status(&world, &id, "done");
    wait_for_no_job(&world);
}
