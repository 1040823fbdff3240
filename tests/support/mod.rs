//! What the tests stand on: a world of their own, a fake agent, an MCP client.
#![allow(unreachable_pub, reason = "one binary uses all of it, the benches some")]

pub mod mcp;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_agent-dispatch");

/// A home of its own for one test, gone afterwards.
pub struct World {
    folder: TempDir,
}

impl World {
    /// An empty world: no config yet.
    pub fn new() -> Self {
        let world = Self { folder: TempDir::new().expect("a temporary folder") };
        for folder in ["home", "tmp"] {
            fs::create_dir(world.path(folder)).expect("a folder");
        }
        world
    }

    /// A world with one agent, `infra`, that follows this script.
    pub fn with_agent(script: &str) -> Self {
        let world = Self::new();
        world.agent("infra", script);
        world.config(&world.agents_yaml(&["infra"]));
        world
    }

    /// A path inside this world.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Makes the directory of an agent that follows this script.
    pub fn agent(&self, name: &str, script: &str) -> PathBuf {
        let directory = self.path(name);
        fs::create_dir_all(&directory).expect("the agent's directory");
        fs::write(directory.join("script"), script).expect("the agent's script");
        directory
    }

    /// Makes the directory of an agent that follows another script in each of its runs.
    pub fn agent_with_turns(&self, name: &str, scripts: &[&str]) -> PathBuf {
        let directory = self.agent(name, "turns");
        for (script, turn) in scripts.iter().zip(1..) {
            fs::write(directory.join(format!("script-{turn}")), script).expect("a script");
        }
        directory
    }

    /// How many turns such an agent has had.
    pub fn turns(&self, name: &str) -> usize {
        let had = |turn: usize| self.path(name).join(format!("prompt-{turn}")).exists();
        (1..=1000).take_while(|turn| had(*turn)).count()
    }

    /// How often an agent was run that counts with `count ../runs`.
    pub fn runs(&self) -> usize {
        fs::read_to_string(self.path("runs")).map_or(0, |runs| runs.lines().count())
    }

    /// A config for these agents, run by the fake agent.
    pub fn agents_yaml(&self, names: &[&str]) -> String {
        let entry = |name| format!("  {name}:\n    directory: {}\n", self.path(name).display());
        let agents = names.iter().copied().map(entry).collect::<Vec<_>>().concat();
        format!("agents:\n{agents}settings:\n  command: [{}]\n", fake_agent().display())
    }

    /// Writes the config.
    pub fn config(&self, yaml: &str) {
        fs::write(self.config_file(), yaml).expect("the config");
    }

    pub fn config_file(&self) -> PathBuf {
        self.path("agents.yaml")
    }

    pub fn cache(&self) -> PathBuf {
        self.path("home/.cache/agent-dispatch")
    }

    /// What the fake agent wrote down under this name.
    pub fn recorded(&self, agent: &str, what: &str) -> String {
        fs::read_to_string(self.path(agent).join(what)).expect("what the agent was given")
    }

    /// The binary under test, in this world and with nothing of the user's.
    pub fn command(&self) -> Command {
        self.command_of(BINARY)
    }

    /// Another program in this world.
    pub fn command_of(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.path("tmp"))
            .env("AGENT_DISPATCH_CONFIG", self.config_file())
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Waits until an agent has made this file.
    #[track_caller]
    pub fn wait_for(&self, file: &str) {
        until(|| self.path(file).exists(), || format!("no {file}"));
    }

    /// Waits until no conversation is locked in this world.
    #[track_caller]
    pub fn wait_for_no_session_lock(&self) {
        let folder = self.path("home/.local/state/agent-dispatch/sessions");
        let locks = || fs::read_dir(&folder).expect("the folder of locks").count();
        until(|| locks() == 0, || format!("{} locks", locks()));
    }

    /// Waits until no process of a run of this world is left.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn wait_for_no_process(&self) {
        until(|| self.processes().is_empty(), || format!("{:?}", self.processes()));
    }

    /// Waits until no process of this agent's runs is left.
    #[cfg(target_os = "linux")]
    #[track_caller]
    pub fn wait_for_no_process_of(&self, agent: &str) {
        until(|| !self.has_process_of(agent), || format!("{:?}", self.processes()));
    }

    /// Is a process of this agent alive, be it its leader or what it left behind?
    #[cfg(target_os = "linux")]
    pub fn has_process_of(&self, agent: &str) -> bool {
        let directory = self.path(agent);
        let directory = directory.to_str().expect("UTF-8");
        self.processes().iter().any(|process| {
            process.split(' ').any(|word| {
                word.strip_prefix(directory)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        })
    }

    /// Every process of a run of this world: those with a run's mark, and those that
    /// hid it but are still in this world's folder or name it. Each with its working
    /// directory and its command line.
    #[cfg(target_os = "linux")]
    pub fn processes(&self) -> Vec<String> {
        let folder = self.folder.path().to_str().expect("UTF-8").to_owned();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let read = |name: &str| {
                let text = fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&text).replace('\0', " ")
            };
            let link = |name: &str| fs::read_link(entry.path().join(name)).unwrap_or_default();
            let (directory, command) = (link("cwd").display().to_string(), read("cmdline"));
            let environment = read("environ");
            let ours =
                [&directory, &command, &environment].iter().any(|text| text.contains(&folder));
            // The server and its runner are no processes of a run, unless an agent
            // has started them.
            let of_run =
                environment.contains("AGENT_DISPATCH_RUN=") || link("exe") != Path::new(BINARY);
            if ours && of_run {
                found.push(format!("{directory} {command}"));
            }
        }
        found
    }

    /// Runs the binary under test to its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&self.command().args(arguments).output().expect("the binary runs"))
    }
}

/// How a command ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The fake agent, built once with the compiler that built the tests.
pub fn fake_agent() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/fake_agent.rs");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let program = folder.join("fake-agent");
        let newer = |path: &Path| path.metadata().and_then(|data| data.modified());
        if matches!((newer(&program), newer(&source)), (Ok(built), Ok(written)) if built > written)
        {
            return program;
        }
        // Tests are processes of their own under some runners: build under a name
        // of one's own, then rename.
        let building = tempfile::Builder::new().prefix("fake-agent-").tempdir_in(folder);
        let building = building.expect("a folder to build in");
        let output = building.path().join("fake-agent");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let status = Command::new(rustc)
            .args(["--edition", "2024", "-C", "opt-level=1", "-o"])
            .arg(&output)
            .arg(&source)
            .status()
            .expect("rustc runs");
        assert!(status.success(), "the fake agent does not build");
        fs::rename(&output, &program).expect("the fake agent in its place");
        program
    })
}

/// Looks again and again until it is so. There is no event for what other processes
/// do; the deadline only guards against hanging.
#[track_caller]
pub fn until(mut is_so: impl FnMut() -> bool, otherwise: impl FnOnce() -> String) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "{}", otherwise());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes that carry a run's mark and belong to this world.
#[cfg(target_os = "linux")]
pub fn marked_processes(world: &World) -> Vec<String> {
    let home = format!("HOME={}", world.path("home").display());
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let marked = environment.split('\0').any(|line| line.starts_with("AGENT_DISPATCH_RUN="));
        if marked && environment.split('\0').any(|line| line == home) {
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

/// The runner of this server, if it has one by now.
#[cfg(target_os = "linux")]
pub fn runner_of(server: u32) -> Option<u32> {
    let threads = fs::read_dir(format!("/proc/{server}/task")).ok()?;
    let lists = threads.flatten().map(|thread| thread.path().join("children"));
    let children = lists.flat_map(|list| {
        let list = fs::read_to_string(list).unwrap_or_default();
        list.split_whitespace().map(|pid| pid.parse().expect("a pid")).collect::<Vec<u32>>()
    });
    let is_runner = |pid: &u32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.ends_with(b"\0runner\0"))
    };
    children.into_iter().find(is_runner)
}
