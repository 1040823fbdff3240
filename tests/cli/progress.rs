//! What one who waits sees: lines that change on a terminal, plain lines elsewhere.

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use crate::support::World;

/// Uses a tool on something that would clear the screen, and waits.
const WORKS: &str = r#"out {"type":"assistant","message":{"content":[{"type":"tool_use","id":"t","name":"Bash","input":{"command":"ls \u001b[2J"}}]}}
wait ../go
answer all is well"#;

#[test]
fn elsewhere_than_on_a_terminal_one_line_says_that_an_agent_begins_and_one_that_it_is_over() {
    let world = World::with_agent(WORKS);
    fs::write(world.path("go"), "").expect("a file");
    let said = world.run(&["dispatch", "infra", "look", "--json"]);
    said.json();
    let lines: Vec<&str> = said.stderr.lines().collect();
    let [works, answered] = lines[..] else { panic!("{said:?}") };
    assert_eq!(works, "infra works");
    let time = answered.strip_prefix("infra has answered, ").expect(answered);
    assert!(time.ends_with(" s, $0.25"), "{said:?}");

    world.agent("infra", "exit 3");
    let failed = world.run(&["test", "infra"]);
    assert!(failed.stderr.contains("\ninfra has failed (cli_error), "), "{failed:?}");
    let dry = world.run(&["dispatch", "infra", "look", "--dry-run"]);
    assert_eq!(dry.stderr, "");
}

#[test]
fn of_several_each_line_says_how_many_are_done() {
    let world = World::with_agent("answer one");
    let tasks = "[{agent: infra, task: a}, {agent: infra, task: b}, {agent: infra, task: b}]";
    fs::write(world.path("tasks"), tasks).expect("a file");
    let ran = world.run(&["parallel", "tasks"]);
    let over = ran.stderr.lines().filter(|line| line.contains("has answered"));
    let over: Vec<&str> = over.collect();
    assert_eq!(over.len(), 3, "{ran:?}");
    for (place, line) in over.iter().enumerate() {
        assert!(line.ends_with(&format!(", {} of 3 done", place + 1)), "{ran:?}");
    }
    // Who asks the same as another pays nothing.
    let paid = over.iter().filter(|line| line.contains("$0.25")).count();
    assert_eq!(paid, 2, "{ran:?}");
}

/// A command in a terminal of its own, where there is a program that makes one.
#[expect(clippy::print_stderr, reason = "what is skipped is to be seen")]
fn on_terminal(world: &World, arguments: &str) -> Option<Command> {
    let has_script = Command::new("script").arg("--version").output().is_ok();
    if !has_script {
        eprintln!("SKIPPED: there is no `script` from util-linux to make a terminal with");
        return None;
    }
    let mut command = world.command_of("script");
    let line = format!("{} {arguments}", crate::support::BINARY);
    command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
    Some(command)
}

#[test]
fn on_a_terminal_a_line_tells_what_the_agent_does_and_none_can_take_it_over() {
    let world = World::with_agent(WORKS);
    let Some(mut command) = on_terminal(&world, "dispatch infra look") else { return };
    let mut child = command.stdout(Stdio::piped()).spawn().expect("script runs");
    let mut terminal = child.stdout.take().expect("a terminal");
    let mut shown = String::new();
    let mut byte = [0];
    while !shown.contains("uses Bash: ls") {
        terminal.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error}: {shown}"));
        shown.push(char::from(byte[0]));
    }
    fs::write(world.path("go"), "").expect("a file");
    let mut rest = Vec::new();
    terminal.read_to_end(&mut rest).expect("what is shown");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    shown += &String::from_utf8_lossy(&rest);
    assert!(shown.contains("all is well\r\n"), "{shown}");
    assert!(shown.contains(", $0.25"), "{shown}");
    assert!(shown.contains("ls \\u{1b}[2J") && !shown.contains("\u{1b}[2J"), "{shown}");
    // What changed is taken away before the answer is shown.
    let answer = shown.split("$0.25").nth(1).expect("the answer");
    assert!(!answer.contains("uses Bash"), "{shown}");
}

#[test]
fn who_wants_no_colour_gets_none_and_who_names_no_file_is_told() {
    let world = World::with_agent("answer all is well");
    let Some(mut command) = on_terminal(&world, "dispatch infra look") else { return };
    let output = command.env("NO_COLOR", "1").output().expect("script runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("infra has answered, "), "{shown}");
    let Some(mut command) = on_terminal(&world, "parallel") else { return };
    let output = command.output().expect("script runs");
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("standard input is a terminal"), "{shown}");
    assert_eq!(output.status.code(), Some(1));
}
