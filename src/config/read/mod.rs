//! From the tree to the config: the top level, and what agents and policies have in
//! common. What each key means stands in the files below.

mod agent;
mod policy;
mod settings;

use std::path::{Path, PathBuf};

use crate::config::fields::Fields;
use crate::config::lax::{self, Invalid};
use crate::config::model::Config;
use crate::config::named::Named;
use crate::config::node::{self, Kind, Node, Position};
use crate::config::paths;
use crate::config::problem::{Fault, Problem, ProblemKind, Report};

/// Keys of the top level.
const KEYS: &[&str] = &["agents", "policies", "settings"];

/// Keys of the top level that the Python tool 0.16 reads and this version does not.
const LATER: &[&str] = &["groups"];

const NESTED_TOO_DEEPLY: &str = "the values are nested too deeply";

/// Why a text is no config at all.
pub(super) struct Broken {
    pub(super) position: Option<Position>,
    pub(super) message: String,
}

/// Reads the text of a config file: the tree, and what it means.
pub(super) fn config<'t>(file: &Path, text: &'t str) -> Result<(Node<'t>, Config), Broken> {
    if let Some(index) = too_deep(text) {
        return Err(Broken {
            position: Some(Position::after(&text[..index])),
            message: NESTED_TOO_DEEPLY.to_owned(),
        });
    }
    let root = node::parse(text).map_err(|error| broken_yaml(text, &error))?;
    let broken = |fault: Fault| Broken {
        position: node::locate(text, fault.invalid.at),
        message: match fault.key.as_str() {
            "" => "must be a mapping with keys such as agents and settings".to_owned(),
            key => format!("{key}: {}", fault.invalid.message),
        },
    };
    let top = Fields::new("", &root).map_err(broken)?;
    let null = Node::null();
    let agents = top.get("agents").unwrap_or(&null);
    Fields::new("agents", agents).map_err(broken)?;

    let mut report = Report::new(file, text);
    top.report_repeated(&mut report);
    top.report_unknown(KEYS, LATER, "", &mut report);
    let anchor = Anchor::of(file);
    let agents = entries(
        "agents",
        agents,
        ProblemKind::DisablesAgent,
        &mut report,
        |fields, name, report| agent::read(fields, name, &anchor, report),
    );
    let policies = top.get("policies").unwrap_or(&null);
    let policies = entries(
        "policies",
        policies,
        ProblemKind::DisablesPolicy,
        &mut report,
        |fields, _, report| policy::read(fields, &anchor, report),
    );
    let settings = settings::read(top.get("settings").unwrap_or(&null), &anchor, &mut report);
    let problems = report.finish();
    let config = Config { file: file.to_owned(), agents, policies, settings, problems };
    Ok((root, config))
}

/// The parser's error, with its position said once.
fn broken_yaml(text: &str, error: &serde_yaml::Error) -> Broken {
    let mut position = Position::of(error);
    let mut message = error.to_string();
    if let Some(Position { line, column }) = position {
        message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
    }
    // The reader stops before positions are counted.
    if message.starts_with("control characters are not allowed") {
        position = text.find(is_forbidden).map(|index| Position::after(&text[..index]));
        "a control character is not allowed in YAML".clone_into(&mut message);
    } else if message.contains("cannot start any token") {
        message += "; YAML takes no tabs for indentation";
    } else if message.contains("more than one document") {
        "the file holds more than one YAML document; a line '---' begins another"
            .clone_into(&mut message);
    } else if message.contains("repetition limit exceeded") {
        "the aliases repeat far too much".clone_into(&mut message);
    } else if message.contains("recursion limit exceeded") {
        NESTED_TOO_DEEPLY.clone_into(&mut message);
    }
    Broken { position, message }
}

/// Where more brackets are open than any config has. The parser refuses far fewer, but
/// only after a time that grows with their square. Brackets in text count as well, so
/// the bound is generous.
fn too_deep(text: &str) -> Option<usize> {
    let mut open = 0_u32;
    text.bytes().position(|byte| {
        match byte {
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open == 1000
    })
}

/// Characters that no YAML text may hold.
fn is_forbidden(character: char) -> bool {
    let allowed = matches!(character, '\t' | '\n' | '\r' | '\u{85}');
    (character.is_control() && !allowed) || matches!(character, '\u{fffe}' | '\u{ffff}')
}

/// Reads a mapping of names to entries. One that is wrong is disabled and harms no other.
fn entries<T>(
    section: &str,
    node: &Node<'_>,
    disables: ProblemKind,
    report: &mut Report<'_>,
    mut read: impl FnMut(&Fields<'_>, &str, &mut Report<'_>) -> Result<T, Fault>,
) -> Named<Result<T, Problem>> {
    let written: &[_] = match &node.kind {
        Kind::Mapping(entries) => entries,
        Kind::Null => &[],
        _ => {
            let message = format!("must be a mapping of names to entries, but is {node}");
            let invalid = Invalid::new(node, message);
            let key = section.to_owned();
            report.fault(disables, Fault { key, invalid });
            &[]
        }
    };
    let mut named = Named::default();
    for (key, value) in written {
        let name = match &key.kind {
            Kind::Text(name) => name.clone().into_owned(),
            _ => key.to_string(),
        };
        if named.insert(name.clone(), (key, value)).is_some() {
            let path = format!("{section}.{name}");
            let message = "this name stands more than once; the last one counts";
            report.add(ProblemKind::Duplicate, path, key.id, message);
        }
    }
    let mut entries = Named::default();
    for (name, (key, value)) in named.into_entries() {
        let path = format!("{section}.{name}");
        let entry = check_name(key, &path).and_then(|()| {
            let fields = Fields::new(path, value)?;
            read(&fields, &name, report)
        });
        entries.insert(name, entry.map_err(|fault| report.fault(disables, fault)));
    }
    entries
}

/// Names go into command lines, prompts and messages: they are plain words.
fn check_name(key: &Node<'_>, path: &str) -> Result<(), Fault> {
    let message = match &key.kind {
        Kind::Text(name) if is_name(name) => return Ok(()),
        Kind::Text(_) => {
            "a name has letters, digits, '-' and '_' only and begins with a letter or digit"
                .to_owned()
        }
        Kind::Bool(_) | Kind::Integer(_) | Kind::Float(_) => {
            format!("a name must be text; put it in quotes: \"{key}\"")
        }
        _ => format!("a name must be text, but this is {key}"),
    };
    let key_path = path.to_owned();
    let invalid = Invalid::new(key, message);
    Err(Fault { key: key_path, invalid })
}

/// What [`is_name`] asks for, as a hint.
pub const NAMES: &str =
    "A name has letters, digits, '-' and '_' only and begins with a letter or digit.";

/// Can this be the name of an agent or a policy?
pub fn is_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.starts_with(|first: char| first.is_ascii_alphanumeric()) && text.bytes().all(is_word)
}

/// What the paths in the file are seen from.
struct Anchor {
    folder: PathBuf,
    home: Option<PathBuf>,
}

impl Anchor {
    fn of(file: &Path) -> Self {
        Self { folder: file.parent().map(Path::to_owned).unwrap_or_default(), home: paths::home() }
    }

    /// Reads an absolute path: relative ones begin at the config file's folder.
    fn path(&self, node: &Node<'_>) -> Result<PathBuf, Invalid> {
        let written = lax::word(node)?;
        let path = self.expand(&written, node)?;
        Ok(paths::tidy(&self.folder.join(path)))
    }

    /// Reads a command. A program without a `/` is looked up on PATH; any other is a
    /// path as all paths here are.
    fn command(&self, node: &Node<'_>) -> Result<Vec<String>, Invalid> {
        let mut command = lax::command(node)?;
        if let Some(program) = command.first_mut()
            && (program.contains('/') || program.starts_with('~'))
        {
            let path = paths::tidy(&self.folder.join(self.expand(program, node)?));
            let path = path.into_os_string().into_string();
            *program = path.map_err(|_| Invalid::new(node, "its full path is not UTF-8"))?;
        }
        Ok(command)
    }

    fn expand(&self, written: &str, node: &Node<'_>) -> Result<PathBuf, Invalid> {
        if written.contains('\0') {
            return Err(Invalid::new(node, "holds a NUL character, which no path can"));
        }
        let path = paths::expand_home(Path::new(written), self.home.as_deref());
        if !written.starts_with('~') || path.is_absolute() {
            return Ok(path);
        }
        let message = match self.home {
            Some(_) => "'~' stands for your own home folder only; write the other path in full",
            None => "the home folder is unknown; set HOME or write the path in full",
        };
        Err(Invalid::new(node, message))
    }
}
