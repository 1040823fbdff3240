//! An agent CLI for the tests: a real executable that does what the script in its
//! working directory says, one step a line of the file `script`.
//!
//! It has no dependencies, so that the tests can build it with the compiler alone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::process::{Command, Stdio, exit};
use std::time::Duration;

fn main() {
    let mut prompt = Vec::new();
    std::io::stdin().read_to_end(&mut prompt).expect("standard input");
    let script = std::fs::read_to_string("script").expect("a script in the working directory");
    for line in script.lines() {
        let (step, rest) = line.split_once(' ').unwrap_or((line, ""));
        match step {
            "" | "#" => {}
            // Writes down what it was given, for the test to look at.
            "record" => record(&prompt),
            // A whole run that ends well and says this.
            "answer" => answer(rest),
            "out" => println!("{}", rest.replace("SESSION", &session())),
            "repeat" => {
                let (count, text) = rest.split_once(' ').expect("repeat COUNT TEXT");
                answer(&text.repeat(count.parse().expect("a number")));
            }
            "err" => eprintln!("{rest}"),
            "touch" => std::fs::write(rest, "").expect("touch"),
            "wait" => {
                while !std::path::Path::new(rest).exists() {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            // Runs a program to its end.
            "run" => {
                let mut words = rest.split(' ');
                let mut command = Command::new(words.next().expect("run PROGRAM ARGUMENT…"));
                command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
                command.status().expect("the program runs");
            }
            // Adds a line to a file: how often did it come here?
            "count" => {
                let mut file = OpenOptions::new().append(true).create(true).open(rest).expect("count");
                file.write_all(b"1\n").expect("count");
            }
            // Takes what nobody else may have at the same time, and gives it back.
            "take" => drop(File::create_new(rest).expect("nobody else has it")),
            "give-back" => std::fs::remove_file(rest).expect("it was taken"),
            // Waits until so many of its kind have come to this folder.
            "meet" => {
                let (count, folder) = rest.split_once(' ').expect("meet COUNT FOLDER");
                let count = count.parse().expect("a number");
                std::fs::create_dir_all(folder).expect("a folder");
                let seat = std::path::Path::new(folder).join(std::process::id().to_string());
                std::fs::write(seat, "").expect("a seat");
                while std::fs::read_dir(folder).expect("the folder").count() < count {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            // Leaves a process behind that holds the output open.
            "leave-child" => {
                std::process::Command::new("sleep").arg("1000").spawn().expect("sleep");
            }
            "hang" => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            "exit" => exit(rest.parse().expect("exit CODE")),
            other => panic!("no such step: {other}"),
        }
        std::io::stdout().flush().expect("standard output");
    }
}

fn record(prompt: &[u8]) {
    std::fs::write("prompt", prompt).expect("prompt");
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::fs::write("arguments", arguments.join("\n")).expect("arguments");
    let environment: Vec<String> =
        std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    std::fs::write("environment", environment.join("\n")).expect("environment");
    let directory = std::env::current_dir().expect("a working directory");
    std::fs::write("directory", directory.to_str().expect("UTF-8")).expect("directory");
}

fn answer(text: &str) {
    let session = session();
    println!(r#"{{"type":"system","subtype":"init","session_id":"{session}"}}"#);
    println!(
        r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{text}"}}]}}}}"#
    );
    println!(
        r#"{{"type":"result","subtype":"success","is_error":false,"result":"{text}","session_id":"{session}","num_turns":2,"total_cost_usd":0.25,"duration_ms":1234,"permission_denials":[]}}"#
    );
}

fn session() -> String {
    let named = |argument: String| {
        ["--session-id=", "--resume="]
            .iter()
            .find_map(|flag| argument.strip_prefix(flag).map(str::to_owned))
    };
    std::env::args().find_map(named).unwrap_or_default()
}
