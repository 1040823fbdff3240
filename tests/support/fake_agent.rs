//! An agent CLI for the tests: a real executable that does what the script in its
//! working directory says, one step a line of the file `script`.
//!
//! It has no dependencies, so that the tests can build it with the compiler alone,
//! and no `unsafe`: what it cannot do itself, a shell does for it.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio, exit, id};
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Where the script goes on in a process that replaced itself.
const NEXT_STEP: &str = "FAKE_AGENT_NEXT_STEP";

/// Runs its arguments with TERM ignored, which an `exec` does not change.
const DEAF: &str = r#"trap "" TERM; exec "$0" "$@""#;

/// Makes a file at TERM and goes on; a second file tells that it is ready for that.
const TOUCHES_AT_TERM: &str =
    r#"trap ': > "$0"' TERM; : > "$0.ready"; while :; do sleep 1000 & wait; done"#;

/// Leaves another of itself behind for every TERM, in a session of its own.
const FORKS_ON_TERM: &str = r#"
    trap 'setsid sh -c "$0" "$0" "$1" & exit' TERM
    echo $$ >> "$1"
    while test -e "$1"; do sleep 0.05 & wait $!; done"#;

/// Starts another of itself and ends, over and over. All of them hold FILE.held open.
const RELAY: &str = r#"
    test "$2" = first && exec 9> "$1.held" && echo $$ > "$1"
    test -e "$1" || exit
    setsid sh -c "$0" "$0" "$1" again &"#;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["be-daemon", file] => be_daemon(file),
        ["be-stopped-daemon", file] => {
            shell(r#"kill -STOP $PPID; echo $PPID > "$0""#, &[file]).status().expect("a shell");
            be_daemon(file);
        }
        ["fork", program, arguments @ ..] => {
            Command::new(program).args(arguments).spawn().expect(program);
        }
        _ => follow_script(),
    }
}

fn follow_script() {
    let mut script = fs::read_to_string("script").expect("a script in the working directory");
    let next = std::env::var(NEXT_STEP).ok().and_then(|step| step.parse().ok());
    let mut prompt = Vec::new();
    if next.is_none() && !script.starts_with("ignore-stdin") {
        std::io::stdin().read_to_end(&mut prompt).expect("standard input");
    }
    if script == "turns" {
        script = begin_turn(&prompt);
    }
    let mut one = String::new();
    for (number, line) in script.lines().enumerate().skip(next.unwrap_or(0)) {
        let (step, rest) = line.split_once(' ').unwrap_or((line, ""));
        match step {
            // The last one has had its effect before the first step.
            "" | "#" | "ignore-stdin" => {}
            // Writes down what it was given, for the test to look at.
            "record" => record(&prompt),
            // A whole run that ends well and says this.
            "answer" => print!("{}", answer(rest)),
            // The same in an encoding that is not UTF-8.
            "answer-in-latin-1" => write_bytes(&latin_1(&answer(rest))),
            "out" => println!("{}", rest.replace("SESSION", &session())),
            "repeat" => {
                let (count, text) = rest.split_once(' ').expect("repeat COUNT TEXT");
                print!("{}", answer(&text.repeat(count.parse().expect("a number"))));
            }
            // So many texts, each with its number before it.
            "says" => {
                let (count, text) = rest.split_once(' ').expect("says COUNT TEXT");
                let count: usize = count.parse().expect("a number");
                let texts = (1..=count).map(|number| said(&format!("{number} {text}")) + "\n");
                write_bytes(texts.collect::<String>().as_bytes());
            }
            "err" => eprintln!("{rest}"),
            // So many kilobytes of standard error.
            "err-flood" => {
                let kilobyte = format!("{}\n", "e".repeat(1023));
                for _ in 0..rest.parse().expect("a number") {
                    eprint!("{kilobyte}");
                }
            }
            // Lines of output without end, or one line without end.
            "out-for-ever" => out_for_ever(&format!("{}\n", "o".repeat(65535))),
            "out-one-line-for-ever" => out_for_ever(&"o".repeat(65536)),
            // For its reader standard output is closed; the rest goes nowhere.
            "close-stdout" => {
                go_on(Command::new(myself()).stdout(Stdio::null()), number + 1);
            }
            // Says what time it is, in nanoseconds, so many milliseconds apart.
            "says-times" => {
                let (count, pause) = rest.split_once(' ').expect("says-times COUNT MS");
                for _ in 0..count.parse().expect("a number") {
                    sleep(Duration::from_millis(pause.parse().expect("a number")));
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                    println!("{}", said(&format!("at {}", now.as_nanos())));
                }
            }
            "pause" => sleep(Duration::from_millis(rest.parse().expect("pause MS"))),
            "touch" => fs::write(rest, "").expect("touch"),
            "wait" => wait_for(rest),
            // Adds a line to a file: how often did it come here?
            "count" => {
                let file = OpenOptions::new().append(true).create(true).open(rest);
                file.and_then(|mut file| file.write_all(b"1\n")).expect("count");
            }
            // work FILE: does what the word in its prompt that begins with `work-` asks for,
            // `work-NUMBER-MS`, and writes down when it begins and when it has said all.
            "work" => work(rest, &prompt),
            // Takes what nobody else may have at the same time, and gives it back.
            "take" => drop(File::create_new(rest).expect("nobody else has it")),
            "give-back" => fs::remove_file(rest).expect("it was taken"),
            // take-one-of COUNT FILE: the same where so many may have one.
            "take-one-of" => {
                let (count, file) = rest.split_once(' ').expect("take-one-of COUNT FILE");
                let mut files =
                    (0..count.parse().expect("a number")).map(|n: u32| format!("{file}-{n}"));
                one = files
                    .find(|file| File::create_new(file).is_ok())
                    .expect("one that nobody else has");
            }
            "give-back-one" => fs::remove_file(&one).expect("it was taken"),
            // Waits until so many of its kind have come to this folder.
            "meet" => {
                let (count, folder) = rest.split_once(' ').expect("meet COUNT FOLDER");
                let count = count.parse().expect("a number");
                fs::create_dir_all(folder).expect("a folder");
                fs::write(Path::new(folder).join(id().to_string()), "").expect("a seat");
                while fs::read_dir(folder).expect("the folder").count() < count {
                    sleep(Duration::from_millis(2));
                }
            }
            // Leaves a process behind that holds the output open.
            "leave-child" => {
                Command::new("sleep").arg("1000").spawn().expect("sleep");
            }
            // leave FILE WAY…: leaves a process behind that is gone in these ways,
            // and waits until it is there. It writes its id into the file and ends
            // when the file is gone, so that no test leaves it behind for ever.
            "leave" => {
                let mut words = rest.split(' ');
                leave(words.next().expect("leave FILE WAY…"), &words.collect::<Vec<_>>());
            }
            // Runs a program to its end.
            "run" => {
                let mut words = rest.split(' ');
                let mut command = Command::new(words.next().expect("run PROGRAM ARGUMENT…"));
                command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
                command.status().expect("the program runs");
            }
            "ignore-term" => go_on(shell(DEAF, &[&myself()]).args(arguments()), number + 1),
            // Hangs, deaf to TERM, and leaves word that it came.
            "touch-at-term" => go_on(&mut shell(TOUCHES_AT_TERM, &[rest]), number + 1),
            // Sends itself this signal.
            "signal" => {
                shell(r#"kill -"$0" $PPID"#, &[rest]).status().expect("a shell");
            }
            // Stops the process that started it.
            "stop-parent" => {
                let parent = std::os::unix::process::parent_id().to_string();
                shell(r#"kill -STOP "$0""#, &[&parent]).status().expect("a shell");
            }
            "hang" => loop {
                sleep(Duration::from_secs(3600));
            },
            "exit" => exit(rest.parse().expect("exit CODE")),
            other => panic!("no such step: {other}"),
        }
        std::io::stdout().flush().expect("standard output");
    }
}

/// Replaces this process by the command, which continues the script.
fn go_on(command: &mut Command, next: usize) -> ! {
    let error = command.env(NEXT_STEP, next.to_string()).exec();
    panic!("exec: {error}");
}

fn leave(file: &str, ways: &[&str]) {
    let file = std::env::current_dir().expect("a working directory").join(file);
    let file = file.to_str().expect("UTF-8");
    let myself = myself();
    let has = |way: &str| ways.contains(&way);
    // From the outside to the inside: each runs what follows it.
    let mut words = Vec::new();
    if has("double-fork") {
        words.extend([myself.as_str(), "fork"]);
    }
    if has("new-session") {
        words.push("setsid");
    }
    if has("ignores-term") {
        words.extend(["sh", "-c", DEAF]);
    }
    if has("no-limits") {
        words.extend(["prlimit", "--rttime=unlimited", "--locks=unlimited"]);
    }
    if has("no-environment") {
        words.extend(["env", "-i"]);
    }
    if has("forks-on-term") {
        words.extend(["sh", "-c", FORKS_ON_TERM, FORKS_ON_TERM, file]);
    } else if has("relay") {
        words.extend(["sh", "-c", RELAY, RELAY, file, "first"]);
    } else if has("stopped") {
        words.extend([myself.as_str(), "be-stopped-daemon", file]);
    } else {
        words.extend([myself.as_str(), "be-daemon", file]);
    }
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    if has("no-descriptors") {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut child = command.spawn().expect(words[0]);
    if has("double-fork") {
        child.wait().expect("the process in between");
    }
    wait_for(file);
}

fn work(ledger: &str, prompt: &[u8]) {
    let prompt = String::from_utf8_lossy(prompt);
    let token = prompt.split_whitespace().find(|word| word.starts_with("work-")).expect("work");
    let note = |line: &str| {
        let ledger = OpenOptions::new().append(true).create(true).open(ledger);
        ledger.and_then(|mut file| file.write_all(line.as_bytes())).expect("the ledger");
    };
    note(&format!("start {token}\n"));
    let pause = token.rsplit('-').next().and_then(|pause| pause.parse().ok());
    sleep(Duration::from_millis(pause.expect("work-NUMBER-MS")));
    write_bytes(answer(&format!("did {token}")).as_bytes());
    std::io::stdout().flush().expect("standard output");
    note(&format!("end {token}\n"));
}

fn be_daemon(file: &str) {
    fs::write(file, id().to_string()).expect("the daemon's file");
    while Path::new(file).exists() {
        sleep(Duration::from_millis(20));
    }
}

fn wait_for(file: &str) {
    while !Path::new(file).exists() {
        sleep(Duration::from_millis(2));
    }
}

fn shell(script: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).args(arguments);
    command
}

/// As it was started: the file may have been replaced by a newer one since.
fn myself() -> String {
    std::env::args().next().expect("a name")
}

fn arguments() -> Vec<String> {
    std::env::args().skip(1).collect()
}

/// Takes the next of the agent's turns, writes down what it was given for it, and goes on
/// with that turn's own script.
fn begin_turn(prompt: &[u8]) -> String {
    let take =
        |turn: &usize| File::create_new(format!("prompt-{turn}")).ok().map(|file| (*turn, file));
    let (turn, mut file) = (1..).find_map(|turn| take(&turn)).expect("there are always more");
    fs::write(format!("arguments-{turn}"), arguments().join("\n")).expect("arguments");
    file.write_all(prompt).expect("prompt");
    let script = format!("script-{turn}");
    fs::read_to_string(&script).unwrap_or_else(|_| panic!("there is no {script}"))
}

fn record(prompt: &[u8]) {
    fs::write("prompt", prompt).expect("prompt");
    fs::write("arguments", arguments().join("\n")).expect("arguments");
    let environment: Vec<String> =
        std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    fs::write("environment", environment.join("\n")).expect("environment");
    let directory = std::env::current_dir().expect("a working directory");
    fs::write("directory", directory.to_str().expect("UTF-8")).expect("directory");
}

fn answer(text: &str) -> String {
    let session = session();
    let init = format!(r#"{{"type":"system","subtype":"init","session_id":"{session}"}}"#);
    let said = said(text);
    let result = format!(
        r#"{{"type":"result","subtype":"success","is_error":false,"result":"{text}","session_id":"{session}","num_turns":2,"total_cost_usd":0.25,"duration_ms":1234,"permission_denials":[]}}"#
    );
    format!("{init}\n{said}\n{result}\n")
}

/// The event of something that the agent says.
fn said(text: &str) -> String {
    format!(
        r#"{{"type":"assistant","message":{{"role":"assistant","content":[{{"type":"text","text":"{text}"}}]}}}}"#
    )
}

fn latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(u32::from(character)).expect("Latin-1")).collect()
}

fn write_bytes(bytes: &[u8]) {
    std::io::stdout().write_all(bytes).expect("standard output");
}

/// It goes on even when nobody reads any more.
fn out_for_ever(text: &str) -> ! {
    loop {
        if std::io::stdout().write_all(text.as_bytes()).is_err() {
            sleep(Duration::from_millis(20));
        }
    }
}

fn session() -> String {
    let named = |argument: String| {
        ["--session-id=", "--resume="]
            .iter()
            .find_map(|flag| argument.strip_prefix(flag).map(str::to_owned))
    };
    std::env::args().find_map(named).unwrap_or_default()
}
