//! The rules of the default policy. Their words are a promise: callers have chosen agents
//! by them for years.

use std::collections::BTreeSet;

use crate::json::{self, Names};
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
    let description: String = json::member(&project.text("package.json")?, "description")?;
    (!description.trim().is_empty()).then_some(description)
}

/// The MCP servers that the project configures.
pub fn mcp_servers(project: &impl Project) -> Vec<String> {
    let configured = [".mcp.json", ".claude/settings.local.json"].into_iter().filter_map(|path| {
        let Names(names) = json::member(&project.text(path)?, "mcpServers")?;
        Some(names)
    });
    let mut names = Vec::new();
    add_new(&mut names, configured.flatten());
    names
}

/// Adds what is not there yet.
pub fn add_new(all: &mut Vec<String>, names: impl Iterator<Item = String>) {
    // A file may hold so many that comparing each with all would take too long.
    let mut known: BTreeSet<String> = all.iter().cloned().collect();
    all.extend(names.filter(|name| known.insert(name.clone())));
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
            (&[("package.json", "[\"a list\"]")], "Stack: Node.js"),
            (
                &[("package.json", "{\"description\": \"a\", \"description\": \"b\"}")],
                "b | Stack: Node.js",
            ),
            (
                &[
                    (".mcp.json", "{\"mcpServers\": {\"z\": {}, \"a\": {\"x\": 1}}}"),
                    (".claude/settings.local.json", "{\"mcpServers\": {\"a\": 1, \"m\": null}}"),
                ],
                "MCP: z, a, m",
            ),
            (&[(".mcp.json", "{\"mcpServers\": [\"a\"]}")], "Agent in demo"),
            (&[(".mcp.json", "[{\"a\": 1}]")], "Agent in demo"),
            (
                &[(".mcp.json", "{\"mcpServers\": {\"a\": 1}, \"mcpServers\": {\"b\": 1}}")],
                "MCP: b",
            ),
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
