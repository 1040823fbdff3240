//! The describe policy `detailed`: what `classic` finds, and workspaces, services,
//! targets and scripts.
//!
//! Its config: `max_items` names of a kind are told (12 unless set), and `max_chars`
//! characters in all (600).

mod rules;

use describing::bindings::agent_dispatch::policy::project_view::Project;
use describing::bindings::agent_dispatch::policy::types::PolicyError;
use describing::bindings::exports::agent_dispatch::policy::describe::{Description, Guest};
use serde::Deserialize;

struct Detailed;
describing::bindings::export!(Detailed with_types_in describing::bindings);

/// How much is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Config {
    max_items: usize,
    max_chars: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_items: 12, max_chars: 600 }
    }
}

impl Guest for Detailed {
    fn check(config: String) -> Result<(), PolicyError> {
        read(&config).map(drop)
    }

    fn describe(config: String, project: &Project) -> Result<Description, PolicyError> {
        let config = read(&config)?;
        let found = rules::look(project);
        Ok(Description {
            text: sentence(&found, &config, &project.name()),
            mcp_servers: found.mcp_servers,
            stacks: found.stacks,
            databases: found.databases,
        })
    }
}

fn read(config: &str) -> Result<Config, PolicyError> {
    let config = if config.trim().is_empty() { "{}" } else { config };
    let read: Config = serde_json::from_str(config)
        .map_err(|error| PolicyError::InvalidConfig(error.to_string()))?;
    if read.max_items == 0 || read.max_chars < 40 {
        let least = "`max_items` has to be at least 1 and `max_chars` at least 40";
        return Err(PolicyError::InvalidConfig(least.to_owned()));
    }
    Ok(read)
}

/// All parts, joined as in `classic`.
fn sentence(found: &rules::Found, config: &Config, name: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for text in &found.texts {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        // However much a project says of itself, there is room for what it has.
        let text = shortened(&text, config.max_chars / 2);
        if !text.is_empty() && !parts.contains(&text) {
            parts.push(text);
        }
    }
    for (word, names) in [
        ("Workspace", &found.workspace),
        ("Module", &found.module),
        ("Services", &found.services),
        ("Make", &found.make),
        ("Just", &found.just),
        ("Scripts", &found.scripts),
        ("MCP", &found.mcp_servers),
        ("Stack", &found.stacks),
        ("DB", &found.databases),
    ] {
        if !names.is_empty() {
            parts.push(format!("{word}: {}", listed(names, config.max_items)));
        }
    }
    if parts.is_empty() {
        return format!("Agent in {name}");
    }
    shortened(&parts.join(" | "), config.max_chars)
}

fn listed(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// At most so many characters, cut between words where that loses little.
fn shortened(text: &str, most: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(most) else { return text.to_owned() };
    let Some((last, _)) = text[..end].char_indices().next_back() else { return String::new() };
    let kept = &text[..last];
    let kept = match kept.rfind(' ') {
        Some(space) if space > last / 2 => &kept[..space],
        _ => kept,
    };
    format!("{}…", kept.trim_end_matches([' ', ',', '|']))
}

#[cfg(test)]
mod tests {
    use describing::InMemory;

    use super::*;

    fn said(files: &[(&'static str, &'static str)], config: &str) -> String {
        let config = read(config).expect("a config");
        sentence(&rules::look(&InMemory::of(files)), &config, "demo")
    }

    #[test]
    fn each_file_has_its_part() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "Agent in demo"),
            (
                &[
                    ("CLAUDE.md", "# x\nThe shop.\n"),
                    (
                        "Cargo.toml",
                        "[package]\nname = 'x'\ndescription = 'The shop.'\n[workspace]\nmembers = ['crates/*', 'tools/gen']\n",
                    ),
                ],
                "The shop. | Workspace: crates/*, tools/gen | Stack: Rust",
            ),
            (
                &[
                    (
                        "pyproject.toml",
                        "[tool.x]\ndescription = 'no'\n[project]\ndescription = 'yes'\n",
                    ),
                    (
                        "package.json",
                        "{\"description\": \"web\", \"workspaces\": [\"a\"], \"scripts\": {\"test\": \"x\", \"build\": \"y\"}}",
                    ),
                ],
                "yes | web | Workspace: a | Scripts: test, build | Stack: Python, Node.js",
            ),
            (
                &[("package.json", "{\"workspaces\": {\"packages\": [\"p/*\"]}}")],
                "Workspace: p/* | Stack: Node.js",
            ),
            (
                &[("pyproject.toml", "[tool.poetry]\ndescription = 'poem'\n")],
                "poem | Stack: Python",
            ),
            (
                &[("go.mod", "// x\nmodule example.org/shop // y\n\ngo 1.25\n")],
                "Module: example.org/shop | Stack: Go",
            ),
            (
                &[(
                    "compose.yaml",
                    "services:\n  web: {build: .}\n  db: {image: 'docker.io/library/postgres:16'}\n  cache: {image: redis}\n  q: {image: [1]}\n",
                )],
                "Services: web, db, cache, q | Stack: Docker Compose | DB: PostgreSQL, Redis",
            ),
            (
                &[(
                    "Makefile",
                    ".PHONY: all\nCC := gcc\nall: a.o\n%.o: %.c\nclean test:\n\techo x: y\n$(X): y\nall: b\nbuild/out: x\ninstall::\n",
                )],
                "Make: all, clean, test, install",
            ),
            (
                &[(
                    "justfile",
                    "set shell := ['sh']\nx := '1'\n# run\n@run *ARGS: build\n  echo a: b\nbuild target='all':\n  x\n_hidden:\n  x\nalias b := build\n[private]\nsecret:\n  x\n",
                )],
                "Just: run, build",
            ),
            (
                &[("Cargo.toml", "not toml ["), ("compose.yml", "a: ["), ("package.json", "{")],
                "Stack: Docker Compose, Rust, Node.js",
            ),
            (&[("compose.yaml", "services: [a]\n")], "Stack: Docker Compose"),
        ];
        for (files, expected) in cases {
            assert_eq!(said(files, "{}"), *expected, "{files:?}");
        }
    }

    #[test]
    fn it_is_bounded_as_its_config_says() {
        let make = [("Makefile", "a:\nb:\nc:\nd:\n")];
        assert_eq!(said(&make, r#"{"max_items": 2}"#), "Make: a, b and 2 more");
        let long = [
            ("CLAUDE.md", "one two three four five six seven eight nine ten eleven"),
            ("Makefile", "all:\ntest:\nclean:\ninstall:\n"),
        ];
        let short = said(&long, r#"{"max_chars": 40}"#);
        assert_eq!(short, "one two three four… | Make: all, test…");
        assert!(read(r#"{"max_chars": 39}"#).is_err());
        assert!(read(r#"{"colour": 1}"#).is_err());
    }
}
