use std::fs;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use tempfile::TempDir;

use super::folder::{Folder, Look};
use super::queue::{Place, Ticket};
use super::waiter::Waiter;
use super::{Class, Slots};
use crate::config::Loader;
use crate::dispatch::bell::{self, Bell};

const UNASKED: bool = true;

fn folder() -> (TempDir, Arc<Folder>) {
    let state = tempfile::tempdir().expect("a folder");
    let folder = Arc::new(Folder::new(state.path().join("slots/0")));
    (state, folder)
}

fn interactive(folder: &Arc<Folder>) -> Waiter {
    Waiter::new(Arc::clone(folder), Class::Interactive)
}

fn background(folder: &Arc<Folder>) -> Waiter {
    Waiter::new(Arc::clone(folder), Class::Background)
}

#[track_caller]
fn taken(waiter: &mut Waiter, limit: usize) -> fs::File {
    match waiter.look(limit, false).expect("a folder") {
        Look::Taken(file) => file,
        Look::Wait(bells) => panic!("it waits for {}", bells.len()),
    }
}

#[track_caller]
fn waits(waiter: &mut Waiter, limit: usize) -> Vec<Bell> {
    match waiter.look(limit, false).expect("a folder") {
        Look::Taken(_) => panic!("it has a slot"),
        Look::Wait(bells) => bells,
    }
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).expect("the folder").flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_limit_holds_grows_and_leaves_no_file_of_one_who_waited() {
    let (_state, folder) = folder();
    let first = taken(&mut interactive(&folder), 1);
    let mut second = interactive(&folder);
    let bells = waits(&mut second, 1);
    assert_eq!((bells.len(), names(&folder).len()), (1, 2));
    let third = taken(&mut second, 2);
    assert_eq!(names(&folder), ["0", "1"]);
    waits(&mut second, 2);
    drop(first);
    bell::any(&bells).await;
    drop(taken(&mut second, 2));
    drop(third);
}

#[tokio::test]
async fn what_was_taken_beyond_a_lowered_limit_counts() {
    let (_state, folder) = folder();
    let [first, second, third] = [(); 3].map(|()| taken(&mut interactive(&folder), 3));
    let mut waiter = interactive(&folder);
    assert_eq!(waits(&mut waiter, 2).len(), 3);
    drop(first);
    assert_eq!(waits(&mut waiter, 2).len(), 2, "two run, two are allowed");
    drop(second);
    let again = taken(&mut waiter, 2);
    waits(&mut waiter, 2);
    drop((again, third));
    drop(taken(&mut waiter, 1));
    assert_eq!(names(&folder), ["0"], "what is beyond the limit is removed once nobody has it");
}

#[tokio::test]
async fn first_come_first_served_and_interactive_before_background() {
    let (_state, folder) = folder();
    let held = taken(&mut interactive(&folder), 1);
    let mut waiters = vec![background(&folder), background(&folder)];
    let mut others = vec![interactive(&folder), interactive(&folder)];
    for waiter in waiters.iter_mut().chain(&mut others) {
        waits(waiter, 1);
    }
    drop(held);
    others.append(&mut waiters);
    while !others.is_empty() {
        for behind in others.iter_mut().skip(1).rev() {
            waits(behind, 1);
        }
        drop(taken(&mut others.remove(0), 1));
    }
    assert_eq!(names(&folder), ["0"]);
}

#[tokio::test]
async fn who_comes_later_does_not_pass_those_who_wait() {
    let (_state, folder) = folder();
    let held = taken(&mut interactive(&folder), 1);
    let (mut first, mut second) = (interactive(&folder), interactive(&folder));
    waits(&mut first, 1);
    drop(held);
    let bells = waits(&mut second, 1);
    assert_eq!(bells.len(), 1, "it waits for the one before it, not for the slots");
    let slot = taken(&mut first, 1);
    bell::any(&bells).await;
    waits(&mut second, 1);
    drop(slot);
    drop(taken(&mut second, 1));
    // Nobody in the background is waited for.
    let held = taken(&mut interactive(&folder), 1);
    waits(&mut background(&folder), 1);
    drop(held);
    drop(taken(&mut interactive(&folder), 1));
}

#[tokio::test]
async fn the_place_of_one_who_was_killed_is_nobodys() {
    let (_state, folder) = folder();
    drop(taken(&mut interactive(&folder), 1));
    let left = folder.path().join(Place::now(Class::Interactive).to_string());
    drop(bell::claim(&left).expect("a folder").expect("it is new"));
    fs::write(folder.path().join("from a newer program"), "").expect("a file");
    fs::write(folder.path().join("007"), "").expect("a file");
    drop(taken(&mut interactive(&folder), 1));
    assert_eq!(names(&folder), ["0", "007", "from a newer program"]);
}

#[tokio::test]
async fn a_slot_that_those_before_leave_free_is_taken_the_second_time() {
    let (_state, folder) = folder();
    let held = taken(&mut interactive(&folder), 1);
    let stopped = Ticket::take(folder.path(), Class::Interactive).expect("a folder");
    let mut waiter = interactive(&folder);
    waits(&mut waiter, 1);
    let mut look = || matches!(waiter.look(1, UNASKED).expect("a folder"), Look::Taken(_));
    assert!(!look(), "there is none");
    drop(held);
    assert!(!look(), "the one before may be about to take it");
    assert!(look());
    stopped.give_up();
}

#[tokio::test]
async fn when_it_rings_the_lock_is_gone() {
    let (_state, folder) = folder();
    let mut waiter = interactive(&folder);
    for _ in 0..500 {
        let held = taken(&mut waiter, 1);
        let bells = waits(&mut waiter, 1);
        let letting_go = std::thread::spawn(move || drop(held));
        bell::any(&bells).await;
        drop(taken(&mut waiter, 1));
        letting_go.join().expect("it lets go");
    }
}

/// Only guards against hanging.
async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it comes")
}

fn slots(state: &TempDir, limit: usize) -> Slots {
    let slots = Slots::new(state.path(), 0, Arc::new(Loader::new(state.path().join("none"))));
    slots.resize(limit);
    slots
}

/// Lets it run until it waits.
async fn until_queued(folder: &Folder, waiting: usize, acquiring: impl Future) {
    let queued = async {
        while folder.list().map_or(0, |listed| listed.waiting.len()) < waiting {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = acquiring => panic!("it has a slot"),
        () = in_time(queued) => {}
    }
}

#[tokio::test]
async fn who_waits_no_longer_leaves_nothing_and_holds_up_nobody() {
    let (state, folder) = folder();
    let (one, other) = (slots(&state, 1), slots(&state, 1));
    let held = in_time(one.acquire(Class::Interactive)).await;
    let mut next = Box::pin(other.acquire(Class::Interactive));
    {
        let mut given_up = Box::pin(one.acquire(Class::Interactive));
        until_queued(&folder, 1, &mut given_up).await;
        until_queued(&folder, 2, &mut next).await;
    }
    drop(held);
    drop(in_time(next).await);
    let gone = async {
        while names(&folder) != ["0"] {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    in_time(gone).await;
}

#[tokio::test]
async fn a_limit_reaches_those_who_wait() {
    let (state, folder) = folder();
    let slots = slots(&state, 1);
    let held = in_time(slots.acquire(Class::Interactive)).await;
    let mut next = Box::pin(slots.acquire(Class::Interactive));
    until_queued(&folder, 1, &mut next).await;
    slots.resize(2);
    drop(in_time(next).await);
    drop(held);
}

#[tokio::test]
async fn without_the_folder_the_limit_is_the_process_own() {
    let state = tempfile::tempdir().expect("a folder");
    fs::write(state.path().join("slots"), "in the way").expect("a file");
    let slots = slots(&state, 1);
    let held = in_time(slots.acquire(Class::Interactive)).await;
    assert!(held.descriptor().is_none());
    assert!(slots.local.acquire().now_or_never().is_none(), "the limit is 1");
    drop(held);
    drop(in_time(slots.acquire(Class::Interactive)).await);
}
