use std::sync::Arc;

use super::File;
use crate::config::Loader;

const ONE: &str = "agents: {one: {directory: /1}}\n";
const TWO: &str = "agents: {two: {directory: /2}}\n";

#[test]
fn the_same_content_is_parsed_once() {
    let file = File::new(ONE);
    let loader = Loader::new(file.path());
    let first = loader.load().expect("a good file");
    assert!(Arc::ptr_eq(&first, &loader.load().expect("a good file")));
    file.write(ONE);
    assert!(Arc::ptr_eq(&first, &loader.load().expect("a good file")));
}

#[test]
fn every_change_is_seen_however_quick() {
    let file = File::new(ONE);
    let loader = Loader::new(file.path());
    for round in 0..100 {
        // Same size, and often within one tick of the file system's clock.
        let (text, name) = if round % 2 == 0 { (TWO, "two") } else { (ONE, "one") };
        file.write(text);
        assert!(loader.load().expect("a good file").agent(name).is_ok(), "round {round}");
    }
}

#[test]
fn a_replaced_a_broken_and_a_removed_file_are_seen() {
    let file = File::new(ONE);
    let loader = Loader::new(file.path());
    assert!(loader.load().expect("a good file").agent("one").is_ok());
    let other = file.folder.path().join("other.yaml");
    std::fs::write(&other, TWO).expect("a writable folder");
    std::fs::rename(&other, file.path()).expect("a writable folder");
    assert!(loader.load().expect("a good file").agent("two").is_ok());
    file.write("agents: [");
    assert!(loader.load().is_err());
    assert!(loader.load().is_err());
    file.write(TWO);
    assert!(loader.load().expect("a good file").agent("two").is_ok());
    std::fs::remove_file(file.path()).expect("a writable folder");
    let empty = loader.load().expect("no file is an empty config");
    assert!(empty.agents.is_empty() && empty.problems.is_empty());
    assert_eq!(empty.file, file.path());
}

#[test]
fn a_symlink_is_followed() {
    let file = File::new(ONE);
    let link = file.folder.path().join("link.yaml");
    std::os::unix::fs::symlink(file.path(), &link).expect("a writable folder");
    let loader = Loader::new(&link);
    assert!(loader.load().expect("a good file").agent("one").is_ok());
    file.write(TWO);
    assert!(loader.load().expect("a good file").agent("two").is_ok());
}

#[test]
fn one_loader_serves_many_threads() {
    let file = File::new(ONE);
    let loader = Loader::new(file.path());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    assert!(loader.load().expect("a good file").agent("one").is_ok());
                }
            });
        }
    });
}
