//! What is looked for, file by file. A file that cannot be understood says nothing.

use describing::Project;
use describing::json::{Names, member};
use serde::Deserialize;

/// Images that are databases, by a part of their name.
const DATABASES: [(&str, &str); 13] = [
    ("postgis", "PostgreSQL"),
    ("postgres", "PostgreSQL"),
    ("pgvector", "PostgreSQL"),
    ("timescaledb", "PostgreSQL"),
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("redis", "Redis"),
    ("valkey", "Valkey"),
    ("mongo", "MongoDB"),
    ("elasticsearch", "Elasticsearch"),
    ("opensearch", "OpenSearch"),
    ("clickhouse", "ClickHouse"),
    ("cassandra", "Cassandra"),
];

/// Longest compose file that is taken apart, in bytes, and most brackets in it: the time
/// of the parser grows with both, in `{a: {a: {a:` with their product.
const COMPOSE: usize = 32 << 10;
const BRACKETS: usize = 500;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// What the project says of itself.
    pub(crate) texts: Vec<String>,
    pub(crate) workspace: Vec<String>,
    pub(crate) module: Vec<String>,
    pub(crate) services: Vec<String>,
    pub(crate) make: Vec<String>,
    pub(crate) just: Vec<String>,
    pub(crate) scripts: Vec<String>,
    pub(crate) mcp_servers: Vec<String>,
    pub(crate) stacks: Vec<String>,
    pub(crate) databases: Vec<String>,
}

/// Looks through a project.
pub(crate) fn look(project: &impl Project) -> Found {
    let mut found = Found {
        texts: describing::introduction(project).into_iter().collect(),
        mcp_servers: describing::mcp_servers(project),
        stacks: describing::stacks(project),
        databases: describing::databases(project),
        ..Found::default()
    };
    cargo(project, &mut found);
    pyproject(project, &mut found);
    found.texts.extend(describing::description_in_package_json(project));
    package_json(project, &mut found);
    go_mod(project, &mut found);
    compose(project, &mut found);
    let first = |paths: &[&str]| paths.iter().find_map(|path| project.text(path));
    if let Some(text) = first(&["GNUmakefile", "makefile", "Makefile"]) {
        add_new(&mut found.make, text.lines().flat_map(targets));
    }
    if let Some(text) = first(&["justfile", "Justfile", ".justfile"]) {
        add_new(&mut found.just, recipes(&text).into_iter());
    }
    found
}

/// The text at this place of a TOML file.
fn text_at(file: &toml::Table, table: &[&str], key: &str) -> Option<String> {
    let (first, rest) = table.split_first()?;
    let table = rest.iter().try_fold(file.get(*first)?, |table, name| table.get(name))?;
    // Inherited from a workspace it is a table.
    table.get(key)?.as_str().map(str::to_owned)
}

fn cargo(project: &impl Project, found: &mut Found) {
    let text = project.text("Cargo.toml").unwrap_or_default();
    let Ok(file) = text.parse::<toml::Table>() else { return };
    found.texts.extend(text_at(&file, &["package"], "description"));
    let members = file.get("workspace").and_then(|workspace| workspace.get("members")?.as_array());
    let members = members.into_iter().flatten().filter_map(|member| member.as_str());
    add_new(&mut found.workspace, members.map(str::to_owned));
}

fn pyproject(project: &impl Project, found: &mut Found) {
    let text = project.text("pyproject.toml").unwrap_or_default();
    let Ok(file) = text.parse::<toml::Table>() else { return };
    let own = text_at(&file, &["project"], "description");
    let poetry = || text_at(&file, &["tool", "poetry"], "description");
    found.texts.extend(own.or_else(poetry));
}

fn package_json(project: &impl Project, found: &mut Found) {
    #[derive(Deserialize)]
    struct Workspaces {
        packages: Vec<String>,
    }
    let Some(text) = project.text("package.json") else { return };
    let table = || Some(member::<Workspaces>(&text, "workspaces")?.packages);
    let workspaces = member(&text, "workspaces").or_else(table);
    add_new(&mut found.workspace, workspaces.into_iter().flatten());
    let scripts = member(&text, "scripts").map(|Names(scripts)| scripts);
    add_new(&mut found.scripts, scripts.into_iter().flatten());
}

fn go_mod(project: &impl Project, found: &mut Found) {
    let text = project.text("go.mod").unwrap_or_default();
    let module = text.lines().find_map(|line| line.trim().strip_prefix("module "));
    let module = module.and_then(|rest| rest.split_whitespace().next());
    found.module.extend(module.map(|module| module.trim_matches('"').to_owned()));
}

fn compose(project: &impl Project, found: &mut Found) {
    let files = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
    let Some(text) = files.iter().find_map(|path| project.text(path)) else { return };
    if !found.stacks.iter().any(|stack| stack == "Docker Compose") {
        let after_docker = usize::from(found.stacks.first().is_some_and(|stack| stack == "Docker"));
        found.stacks.insert(after_docker, "Docker Compose".to_owned());
    }
    if text.len() > COMPOSE || text.matches(['[', '{']).count() > BRACKETS {
        return;
    }
    let Ok(file) = serde_yaml::from_str::<serde_yaml::Value>(&text) else { return };
    let Some(services) = file.get("services").and_then(serde_yaml::Value::as_mapping) else {
        return;
    };
    add_new(
        &mut found.services,
        services.keys().filter_map(|name| name.as_str().map(str::to_owned)),
    );
    let images = services.values().filter_map(|service| service.get("image")?.as_str());
    let databases = images.filter_map(|image| {
        // The last part of `registry/name:tag@digest`.
        let name = image.rsplit('/').next()?.split([':', '@']).next()?;
        DATABASES.iter().find(|(part, _)| name.contains(part)).map(|(_, name)| (*name).to_owned())
    });
    add_new(&mut found.databases, databases);
}

/// The targets that a line of a makefile is the rule of: those one would type.
fn targets(line: &str) -> Vec<String> {
    let Some((names, rest)) = line.split_once(':') else { return Vec::new() };
    let is_rule =
        !line.starts_with(['\t', ' ', '#']) && !rest.starts_with('=') && !rest.starts_with(":=");
    if !is_rule || names.contains(['=', '$', '%', '(', '"']) {
        return Vec::new();
    }
    let names =
        names.split_whitespace().filter(|name| !name.starts_with('.') && !name.contains('/'));
    names.map(str::to_owned).collect()
}

/// The recipes of a justfile that are not hidden.
fn recipes(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut private = false;
    for line in text.lines() {
        if line.starts_with('[') {
            private |= line.contains("private");
            continue;
        }
        if line.trim().is_empty() || line.starts_with([' ', '\t', '#']) {
            continue;
        }
        let head = line.trim_start_matches('@');
        let name: String = head
            .chars()
            .take_while(|character| character.is_alphanumeric() || "-_".contains(*character))
            .collect();
        let is_recipe = is_recipe(&head[name.len()..]);
        if is_recipe && !name.is_empty() && !name.starts_with('_') && !private {
            found.push(name);
        }
        private = false;
    }
    found
}

/// What follows a recipe's name: parameters and a colon that begins no `:=`. Defaults of
/// parameters may hold colons in quotes.
fn is_recipe(rest: &str) -> bool {
    let mut quote = None;
    let mut characters = rest.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"' | '`') => quote = Some(character),
            (None, ':') => return characters.peek() != Some(&'='),
            _ => {}
        }
    }
    false
}

/// Adds what is a name and not there yet.
fn add_new(all: &mut Vec<String>, names: impl Iterator<Item = String>) {
    describing::add_new(all, names.filter(|name| !name.trim().is_empty()));
}
