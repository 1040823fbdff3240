//! The rules of the default policy. Their words are a promise: callers have chosen agents
//! by them for years.

use std::fmt;

use serde::Deserialize;
use serde::de::{IgnoredAny, MapAccess, Visitor};

use crate::project::{Project, lines};

/// What a project says of itself at the beginning of its `CLAUDE.md`, else of its
/// `README.md`.
pub fn introduction(project: &impl Project) -> Option<String> {
    let instructions = project.beginning("CLAUDE.md").unwrap_or_default();
    let said = lines(instructions.trim()).take(40).map(str::trim);
    let said =
        said.filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("--"));
    let said: Vec<&str> = said.take(2).collect();
    if !said.is_empty() {
        return Some(said.join(" "));
    }
    let readme = project.beginning("README.md")?;
    let mut said = lines(readme.trim()).take(20).map(str::trim);
    let is_sentence = |line: &&str| !line.starts_with(['#', '[', '!']) && line.chars().count() > 20;
    said.find(is_sentence).map(str::to_owned)
}

/// The first `description = …` of `pyproject.toml`, in whichever table it stands.
fn description_in_pyproject(project: &impl Project) -> Option<String> {
    let text = project.text("pyproject.toml")?;
    let mut descriptions = lines(&text).filter(|line| line.trim_start().starts_with("description"));
    let (_, value) = descriptions.find_map(|line| line.split_once('='))?;
    let value = value.trim().trim_matches('"').trim_matches('\'');
    (!value.is_empty()).then(|| value.to_owned())
}

/// The `description` of `package.json`.
pub fn description_in_package_json(project: &impl Project) -> Option<String> {
    #[derive(Deserialize)]
    struct Package {
        #[serde(default)]
        description: serde_json::Value,
    }
    let package: Package = serde_json::from_str(&project.text("package.json")?).ok()?;
    let description = package.description.as_str()?;
    (!description.trim().is_empty()).then(|| description.to_owned())
}

/// The MCP servers that the project configures.
pub fn mcp_servers(project: &impl Project) -> Vec<String> {
    #[derive(Deserialize)]
    struct Config {
        #[serde(default, rename = "mcpServers")]
        servers: Keys,
    }
    let mut names: Vec<String> = Vec::new();
    for path in [".mcp.json", ".claude/settings.local.json"] {
        let config = project.text(path).and_then(|text| serde_json::from_str(&text).ok());
        let Some(Config { servers: Keys(found) }) = config else { continue };
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

/// The keys of an object in their order.
#[derive(Debug, Default)]
pub struct Keys(pub Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = Keys;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                Ok(Keys(names))
            }
        }
        deserializer.deserialize_map(Names)
    }
}

/// What it is built with.
pub fn stacks(project: &impl Project) -> Vec<String> {
    let signs: [(&str, &[&str]); 6] = [
        ("Docker", &["Dockerfile"]),
        ("Docker Compose", &["docker-compose.yaml", "docker-compose.yml"]),
        ("Rust", &["Cargo.toml"]),
        ("Go", &["go.mod"]),
        ("Python", &["requirements.txt", "pyproject.toml"]),
        ("Node.js", &["package.json"]),
    ];
    let found = signs.iter().filter(|(_, files)| files.iter().any(|file| project.has(file)));
    found.map(|(name, _)| (*name).to_owned()).collect()
}

/// What it keeps its data with.
pub fn databases(project: &impl Project) -> Vec<String> {
    let signs = [
        ("Prisma", "prisma", Some("schema.prisma")),
        ("Alembic", "alembic", Some("alembic.ini")),
        ("migrations", "migrations", None),
    ];
    let found = signs.iter().filter(|(_, directory, file)| {
        project.has_directory(directory) || file.is_some_and(|file| project.has(file))
    });
    found.map(|(name, ..)| (*name).to_owned()).collect()
}

/// Everything that is said of a project, as one sentence.
pub fn sentence(project: &impl Project) -> String {
    let listed = |word: &str, names: Vec<String>| {
        (!names.is_empty()).then(|| format!("{word}: {}", names.join(", ")))
    };
    let parts = [
        introduction(project),
        description_in_pyproject(project),
        description_in_package_json(project),
        listed("MCP", mcp_servers(project)),
        listed("Stack", stacks(project)),
        listed("DB", databases(project)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { format!("Agent in {}", project.name()) } else { parts.join(" | ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project::InMemory;

    #[test]
    fn a_project_is_described_as_the_python_tool_did() {
        let cases: &[(&[(&str, &str)], &str)] = &[
            (&[], "Agent in demo"),
            (
                &[(
                    "CLAUDE.md",
                    "# Shop\n\n-- x\nSells things.\n\n## More\nOn the web.\nNot this.\n",
                )],
                "Sells things. On the web.",
            ),
            (
                &[
                    ("CLAUDE.md", "\n\n# Only headings\n"),
                    (
                        "README.md",
                        "# Shop\n[badge](x) is no sentence at all\n![image] is none either, long or not\nToo short.\nA sentence of more than twenty letters.\n",
                    ),
                ],
                "A sentence of more than twenty letters.",
            ),
            (
                &[
                    ("CLAUDE.md", "Here.\u{2028}There.\r\nNot.\n"),
                    ("README.md", "A sentence of more than twenty letters."),
                ],
                "Here. There.",
            ),
            (
                &[(
                    "pyproject.toml",
                    "[project]\ndescription-file\n  description = \"It's here\" \n",
                )],
                "It's here | Stack: Python",
            ),
            (&[("pyproject.toml", "description = ''\ndescription = 'x'\n")], "Stack: Python"),
            (
                &[("package.json", "{\"description\": \" a shop \", \"x\": [1]}")],
                " a shop  | Stack: Node.js",
            ),
            (&[("package.json", "{\"description\": 7}")], "Stack: Node.js"),
            (&[("package.json", "not json")], "Stack: Node.js"),
            (
                &[
                    (".mcp.json", "{\"mcpServers\": {\"z\": {}, \"a\": {\"x\": 1}}}"),
                    (".claude/settings.local.json", "{\"mcpServers\": {\"a\": 1, \"m\": null}}"),
                ],
                "MCP: z, a, m",
            ),
            (&[(".mcp.json", "{\"mcpServers\": [\"a\"]}")], "Agent in demo"),
            (&[(".mcp.json", "[]")], "Agent in demo"),
            (
                &[
                    ("Dockerfile", ""),
                    ("docker-compose.yml", ""),
                    ("Cargo.toml", ""),
                    ("go.mod", ""),
                    ("requirements.txt", ""),
                    ("package.json", "{}"),
                ],
                "Stack: Docker, Docker Compose, Rust, Go, Python, Node.js",
            ),
            (
                &[("prisma/x", ""), ("alembic.ini", ""), ("migrations/1.sql", "")],
                "DB: Prisma, Alembic, migrations",
            ),
            (&[("migrations", "a file")], "Agent in demo"),
        ];
        for (files, expected) in cases {
            assert_eq!(sentence(&InMemory::of(files)), *expected, "{files:?}");
        }
    }
}
