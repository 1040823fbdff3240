//! Claude Code's MCP servers at user scope.
//!
//! What is registered is read from its own file: `claude mcp get` starts the server and
//! takes seconds. What is changed goes through `claude mcp`, which knows how to write that
//! file while sessions run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::ask::ask;

/// How long `claude mcp` may take; it takes half a second.
const PATIENCE: Duration = Duration::from_mins(1);

/// The name under which this server is registered.
const NAME: &str = "agent-dispatch";

/// The variable that passes the config on.
const CONFIG_VARIABLE: &str = "AGENT_DISPATCH_CONFIG";

/// How Claude Code starts this server.
#[derive(Debug, Clone)]
pub struct Registration {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// The config file, where it is not the usual one.
    pub config_file: Option<PathBuf>,
}

/// The MCP servers of this user.
#[derive(Debug)]
pub struct McpServers {
    /// Claude Code's own program; none where it is not on `PATH`.
    program: Option<PathBuf>,
    /// Where it keeps them.
    file: PathBuf,
}

impl Registration {
    fn value(&self) -> Value {
        let mut value = json!({"type": "stdio", "command": self.program, "args": ["serve"]});
        if let Some(file) = &self.config_file {
            value["env"] = json!({CONFIG_VARIABLE: file});
        }
        value
    }

    /// Its command line, for people.
    pub fn shown(&self) -> String {
        shown(&self.value())
    }

    /// Does what is registered start the same program with the same config?
    pub fn is(&self, registered: &Value) -> bool {
        let program = registered["command"].as_str().and_then(|command| which::which(command).ok());
        let same = |path: &Path| path.canonicalize().ok() == self.program.canonicalize().ok();
        let config = registered["env"][CONFIG_VARIABLE].as_str().map(Path::new);
        program.is_some_and(|program| same(&program))
            && registered["args"] == json!(["serve"])
            && config == self.config_file.as_deref()
    }

    /// The command line that registers it, to be pasted into a shell.
    pub fn by_hand(&self) -> String {
        let value = self.value().to_string();
        let words = ["claude", "mcp", "add-json", NAME, &value, "--scope", "user"];
        // Only NUL cannot be quoted, which no path has.
        shlex::try_join(words).unwrap_or_default()
    }
}

/// A registered server's command line, for people.
pub fn shown(registered: &Value) -> String {
    let words = registered["command"].as_str().into_iter();
    let arguments = registered["args"].as_array().into_iter().flatten();
    let words = words.chain(arguments.filter_map(Value::as_str));
    let line = shlex::try_join(words).unwrap_or_default();
    match registered["env"][CONFIG_VARIABLE].as_str() {
        _ if line.is_empty() => registered.to_string(),
        Some(file) => format!("{line} with {CONFIG_VARIABLE}={file}"),
        None => line,
    }
}

impl McpServers {
    /// Those of the user whose environment this is; `home` is their home folder.
    pub fn of_user(home: &Path) -> Self {
        let folder = std::env::var_os("CLAUDE_CONFIG_DIR").filter(|folder| !folder.is_empty());
        let folder = folder.map_or_else(|| home.to_owned(), PathBuf::from);
        Self { program: which::which("claude").ok(), file: folder.join(".claude.json") }
    }

    /// How this server is registered, if it is. Blocks.
    ///
    /// # Errors
    ///
    /// Why Claude Code's file cannot be read.
    pub fn registered(&self) -> Result<Option<Value>, String> {
        let text = match std::fs::read(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{} cannot be read: {error}", self.file.display())),
        };
        let mut all: Value = serde_json::from_slice(&text)
            .map_err(|error| format!("{} is no JSON: {error}", self.file.display()))?;
        let found = all.pointer_mut(&format!("/mcpServers/{NAME}")).map(Value::take);
        Ok(found)
    }

    /// Registers this server, which must not be registered yet. Blocks.
    ///
    /// # Errors
    ///
    /// What kept it from being registered.
    pub fn add(&self, registration: &Registration) -> Result<(), String> {
        self.add_value(&registration.value())
    }

    /// Registers this server instead of what is registered; where that fails, what was
    /// registered is again. Blocks.
    ///
    /// # Errors
    ///
    /// What kept it from being registered, and whether the other one is back.
    pub fn replace(&self, present: &Value, registration: &Registration) -> Result<(), String> {
        self.run(&["remove", NAME, "--scope", "user"])?;
        self.add(registration).map_err(|problem| match self.add_value(present) {
            Ok(()) => format!("{problem}; what was registered before is registered again"),
            Err(again) => format!(
                "{problem}; what was registered before ({}) could not be registered again: {again}",
                shown(present)
            ),
        })
    }

    fn add_value(&self, value: &Value) -> Result<(), String> {
        self.run(&["add-json", NAME, &value.to_string(), "--scope", "user"])
    }

    fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let Some(program) = &self.program else {
            return Err("'claude' is not on PATH".to_owned());
        };
        let what = format!("'claude mcp {}'", arguments[0]);
        let mut command = Command::new(program);
        // It is to register a server, not to become another version.
        command.arg("mcp").args(arguments).env("DISABLE_AUTOUPDATER", "1");
        match ask(&mut command, PATIENCE) {
            Ok(said) if said.success => Ok(()),
            Ok(said) if said.text.is_empty() => Err(format!("{what} failed and said nothing")),
            Ok(said) => Err(format!("{what} failed: {}", said.text)),
            Err(error) => Err(format!("{what} failed: {error}")),
        }
    }
}
