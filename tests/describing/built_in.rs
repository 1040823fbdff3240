//! The built-in describe policies, over projects as people have them and over files that
//! are broken or far too large.

use std::fmt::Write;
use std::fs;

use crate::support::World;

/// The files of a project, and what `classic` and `detailed` say of it.
struct Sample {
    name: &'static str,
    files: &'static [(&'static str, &'static str)],
    classic: &'static str,
    detailed: &'static str,
}

const SAMPLES: &[Sample] = &[
    Sample { name: "empty", files: &[], classic: "Agent in empty", detailed: "Agent in empty" },
    Sample {
        name: "instructed",
        files: &[
            ("CLAUDE.md", "# Shop\n\n-- draft\nSells things.\r\n\r\nOn the web.\r\nNot this.\n"),
            ("README.md", "A sentence that nobody needs to read.\n"),
        ],
        classic: "Sells things. On the web.",
        detailed: "Sells things. On the web.",
    },
    Sample {
        name: "python",
        files: &[
            (
                "README.md",
                "# Shop\n[badge](x) of more than twenty letters\nShort.\nSells things to people all over the world.\n",
            ),
            (
                "pyproject.toml",
                "[tool.x]\ndescription = 'a tool'\n[project]\ndescription = \"The shop\" # new\n",
            ),
            ("alembic.ini", ""),
            (
                "Makefile",
                ".PHONY: test\nCC := gcc\ntest: build/x\n\techo a: b\n%.o: %.c\nlint fmt:\n",
            ),
        ],
        classic: "Sells things to people all over the world. | a tool | Stack: Python | DB: Alembic",
        detailed: "Sells things to people all over the world. | The shop | Make: test, lint, fmt | Stack: Python | DB: Alembic",
    },
    Sample {
        name: "rust",
        files: &[
            (
                "Cargo.toml",
                "[package]\ndescription.workspace = true\n[workspace]\nmembers = ['crates/*', 7, 'tools/gen']\n",
            ),
            (
                "justfile",
                "x := '1'\n@run *ARGS: build\n  echo a: b\nbuild target='a:b':\n  x\n_hidden:\n  x\n[private]\nsecret:\n  x\n",
            ),
        ],
        classic: "Stack: Rust",
        detailed: "Workspace: crates/*, tools/gen | Just: run, build | Stack: Rust",
    },
    Sample {
        name: "node",
        files: &[
            (
                "package.json",
                "{\"description\": \"Old\", \"description\": \"The site\", \"workspaces\": {\"packages\": [\"apps/*\"]}, \"scripts\": {\"test\": \"x\", \"build\": \"y\"}}",
            ),
            (
                ".mcp.json",
                "{\"mcpServers\": {\"postgres\": {}, \"browser\": {\"command\": \"x\"}}}",
            ),
            (".claude/settings.local.json", "{\"mcpServers\": {\"browser\": {}, \"files\": {}}}"),
            ("prisma/schema.prisma", ""),
        ],
        classic: "The site | MCP: postgres, browser, files | Stack: Node.js | DB: Prisma",
        detailed: "The site | Workspace: apps/* | Scripts: test, build | MCP: postgres, browser, files | Stack: Node.js | DB: Prisma",
    },
    Sample {
        name: "services",
        files: &[
            ("Dockerfile", ""),
            ("go.mod", "module example.org/shop // ours\n\ngo 1.25\n"),
            (
                "compose.yaml",
                "services:\n  web: {build: .}\n  db: {image: 'docker.io/library/postgres:16'}\n  cache: {image: redis}\n  odd: {image: [1]}\n",
            ),
            ("migrations/1.sql", ""),
        ],
        classic: "Stack: Docker, Go | DB: migrations",
        detailed: "Module: example.org/shop | Services: web, db, cache, odd | Stack: Docker, Docker Compose, Go | DB: migrations, PostgreSQL, Redis",
    },
    Sample {
        name: "broken",
        files: &[
            ("Cargo.toml", "not toml ["),
            ("pyproject.toml", "[[[\n"),
            ("package.json", "[\"a list\"]"),
            (".mcp.json", "[{\"a\": 1}]"),
            ("docker-compose.yml", "a: ["),
            ("Makefile", "::=\n"),
        ],
        classic: "Stack: Docker Compose, Rust, Python, Node.js",
        detailed: "Stack: Docker Compose, Rust, Python, Node.js",
    },
    Sample {
        name: "hostile-names",
        files: &[(".mcp.json", "{\"mcpServers\": {\"a\\u001b[31m\": 1, \"b\\nc\": 1}}")],
        classic: "MCP: a\\u{1b}[31m, b c",
        detailed: "MCP: a\\u{1b}[31m, b c",
    },
];

#[test]
fn classic_describes_the_samples() {
    describes("classic", |sample| sample.classic);
}

#[test]
fn detailed_describes_the_samples() {
    describes("detailed", |sample| sample.detailed);
}

#[track_caller]
fn describes(policy: &str, expected: impl Fn(&Sample) -> &'static str) {
    let world = World::new();
    for sample in SAMPLES {
        for (path, text) in sample.files {
            write(&world, sample.name, path, text);
        }
        fs::create_dir_all(world.path(sample.name)).expect("a folder");
    }
    let names: Vec<&str> = SAMPLES.iter().map(|sample| sample.name).collect();
    configure(&world, &names, policy);
    for sample in SAMPLES {
        assert_eq!(described(&world, sample.name), expected(sample), "{}", sample.name);
    }
}

/// Each of these files alone has made a call run out of time or memory: names without end,
/// and what parsers are slow at.
#[test]
fn no_file_uses_up_a_call() {
    let names = |prefix: &str, suffix: &str, bytes: usize| {
        let mut text = String::new();
        for number in 0.. {
            if text.len() > bytes {
                break;
            }
            write!(text, "{prefix}{number:x}{suffix}").expect("a string takes all");
        }
        text
    };
    let projects: Vec<(String, &str, String)> = [1 << 20, 200 << 10, 30 << 10]
        .into_iter()
        .flat_map(|bytes| {
            let object =
                |before: &str| format!("{before}{}\"z\":1}}}}", names("\"", "\":1,", bytes));
            let list = |before: &str, after: &str| {
                format!("{before}{}\"z\"{after}", names("\"", "\",", bytes))
            };
            [
                (".mcp.json", object("{\"mcpServers\":{")),
                ("package.json", object("{\"scripts\":{")),
                ("package.json", list("{\"workspaces\":[", "]}")),
                ("Cargo.toml", list("[workspace]\nmembers=[", "]")),
                ("Makefile", names("", ":\n", bytes)),
                ("Makefile", names(" ", "", bytes) + ":\n"),
                ("justfile", names("a", ":\n", bytes)),
                ("compose.yaml", "services:\n".to_owned() + &names(" ", ": {image: a}\n", bytes)),
                ("compose.yaml", "[".repeat(bytes)),
                ("compose.yaml", "{a: ".repeat(bytes / 4)),
                ("compose.yaml", format!("[{}]", "[],".repeat(bytes / 3))),
            ]
            .into_iter()
            .enumerate()
            .map(move |(number, (path, text))| (format!("of-{bytes}-{number}"), path, text))
            .collect::<Vec<_>>()
        })
        .collect();
    let world = World::new();
    for (name, path, text) in &projects {
        write(&world, name, path, text);
    }
    let agents: Vec<&str> = projects.iter().map(|(name, ..)| name.as_str()).collect();
    for policy in ["classic", "detailed"] {
        configure(&world, &agents, policy);
        for (name, path, _) in &projects {
            let said = described(&world, name);
            assert!(!said.is_empty(), "{policy}, {path} of {name}");
        }
    }
}

#[test]
fn the_settings_of_a_built_in_policy_are_checked() {
    let world = World::new();
    write(&world, "shop", "Makefile", "a:\nb:\nc:\n");
    for (policy, config, expected) in [
        ("detailed", "{max_items: 2}", "Make: a, b and 1 more"),
        ("detailed", "{max_items: 0}", "`max_items` has to be at least 1"),
        ("detailed", "{colour: red}", "unknown field `colour`"),
        ("classic", "{colour: red}", "has no settings"),
    ] {
        let built = concat!(env!("CARGO_MANIFEST_DIR"), "/plugins/built/describe");
        world.config(&format!(
            "{}  policies: {{describe: own}}\npolicies:\n  own: {{component: {built}-{policy}.wasm, config: {config}}}\n",
            world.agents_yaml(&["shop"])
        ));
        let said = world.run(&["describe", "shop", "--json"]).json().to_string();
        assert!(said.contains(expected), "{policy} {config}: {said}");
    }
}

fn write(world: &World, project: &str, path: &str, text: &str) {
    let file = world.path(project).join(path);
    fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    fs::write(file, text).expect("a file");
}

fn configure(world: &World, agents: &[&str], policy: &str) {
    let yaml = world.agents_yaml(agents);
    // So that a busy machine is not taken for a slow policy.
    world.config(&format!(
        "{yaml}  policies: {{describe: {policy}}}\n  policy_limits: {{timeout_ms: 5000}}\n"
    ));
}

#[track_caller]
fn described(world: &World, agent: &str) -> String {
    let value = world.run(&["describe", agent, "--json"]).json();
    value["description"].as_str().unwrap_or_else(|| panic!("{agent}: {value}")).to_owned()
}
