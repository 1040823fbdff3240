//! `policy new`: a project that builds, tests itself and says how it gets to an agent.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use super::super::terminal::{BOLD, FAINT, finish, print};
use super::{Language, NewArgs};
use crate::config::{NAMES, is_name};
use crate::dispatch::Refusal;
use crate::policy::INTERFACE_VERSION;

/// The interface, as it is in this binary.
const WIT: [(&str, &str); 5] = [
    ("aggregate.wit", include_str!("../../../wit/0.1.0/aggregate.wit")),
    ("describe.wit", include_str!("../../../wit/0.1.0/describe.wit")),
    ("dialogue.wit", include_str!("../../../wit/0.1.0/dialogue.wit")),
    ("prompt.wit", include_str!("../../../wit/0.1.0/prompt.wit")),
    ("types.wit", include_str!("../../../wit/0.1.0/types.wit")),
];

/// A file of a template.
macro_rules! template {
    ($file:literal) => {
        include_str!(concat!("templates/", $file))
    };
}

/// What the projects of a kind have in common.
struct Kind {
    /// What such a policy decides.
    what: &'static str,
    /// Where the way through the README ends.
    goal: &'static str,
    /// How it is called once by hand.
    run: &'static str,
    /// How agents meet it.
    r#use: &'static str,
    /// How it is installed, and chosen where agents choose such a policy.
    add: &'static str,
    /// The agents that these two name.
    agents: &'static str,
    cases: &'static str,
    rust: &'static str,
    javascript: &'static str,
    python: &'static str,
}

fn kind(name: &str) -> Kind {
    match name {
        "describe" => Kind {
            what: "how a project describes itself",
            goal: "a project that describes itself with it",
            run: "agent-dispatch policy run {{name}}.wasm --project sample",
            r#use: "agent-dispatch describe infra",
            add: "agent-dispatch policy add {{name}} ./{{name}}.wasm --agent infra",
            agents: "infra",
            cases: template!("cases/describe.yaml"),
            rust: template!("rust/describe.rs"),
            javascript: template!("javascript/describe.js"),
            python: template!("python/describe.py"),
        },
        "aggregate" => Kind {
            what: "how many answers become one",
            goal: "one answer of several agents",
            run: "echo '{items: [{agent: shop, state: {settled: Yes.}}]}' | agent-dispatch policy run {{name}}.wasm --input -",
            r#use: "echo '[{agent: infra, task: Who are you?}]' | agent-dispatch parallel --policy {{name}}",
            add: "agent-dispatch policy add {{name}} ./{{name}}.wasm",
            agents: "infra",
            cases: template!("cases/aggregate.yaml"),
            rust: template!("rust/aggregate.rs"),
            javascript: template!("javascript/aggregate.js"),
            python: template!("python/aggregate.py"),
        },
        "dialogue" => Kind {
            what: "who speaks next, and when a dialogue is over",
            goal: "two agents that talk by it",
            run: "agent-dispatch policy run {{name}}.wasm --topic 'Who repairs the invoices?'",
            r#use: "agent-dispatch dialogue backend infra 'Who repairs the invoices?' --policy {{name}}",
            add: "agent-dispatch policy add {{name}} ./{{name}}.wasm",
            agents: "backend and infra",
            cases: template!("cases/dialogue.yaml"),
            rust: template!("rust/dialogue.rs"),
            javascript: template!("javascript/dialogue.js"),
            python: template!("python/dialogue.py"),
        },
        _ => Kind {
            what: "how a request reads to an agent, and what its reply means",
            goal: "a request that an agent reads in its words",
            run: "agent-dispatch policy run {{name}}.wasm --task 'Which orders failed today?'",
            r#use: "agent-dispatch dispatch infra 'Which services restarted?' --dry-run",
            add: "agent-dispatch policy add {{name}} ./{{name}}.wasm --agent infra",
            agents: "infra",
            cases: template!("cases/prompt.yaml"),
            rust: template!("rust/prompt.rs"),
            javascript: template!("javascript/prompt.js"),
            python: template!("python/prompt.py"),
        },
    }
}

pub(super) fn run(arguments: &NewArgs) -> anyhow::Result<ExitCode> {
    finish(make(arguments), false, |()| {
        let NewArgs { name, kind: wanted, lang } = arguments;
        let Kind { run, .. } = kind(wanted);
        print(&format!(
            "{BOLD}{name}/{BOLD:#} has a policy of the kind {wanted}, in {}.",
            lang.word()
        ));
        print(&format!(
            "{FAINT}{name}/README.md leads from here to an agent. It begins with:{FAINT:#}"
        ));
        let run = run.replace("{{name}}", name);
        print(&format!("  cd {name}\n  {}", lang.tools()));
        print(&format!("  agent-dispatch policy build\n  agent-dispatch policy test\n  {run}"));
        Ok(())
    })
}

fn make(arguments: &NewArgs) -> Result<(), Refusal> {
    let NewArgs { name, kind: wanted, lang } = arguments;
    if !is_name(name) {
        return Err(
            Refusal::new(format!("{name:?} cannot be the name of a policy")).with_hint(NAMES)
        );
    }
    let folder = Path::new(name);
    // Made by this call or not at all: whatever is there stays as it is.
    fs::create_dir(folder).map_err(|error| {
        let refusal = Refusal::new(format!("the folder {name} cannot be made: {error}"));
        match error.kind() {
            io::ErrorKind::AlreadyExists => refusal.with_hint(
                "Nothing in it was touched. Choose another name, or another folder to begin in.",
            ),
            _ => refusal,
        }
    })?;
    let files = files(name, wanted, *lang);
    write(folder, &files).map_err(|error| {
        // Half a project is worse than none; all that is in it was written here.
        let _ = fs::remove_dir_all(folder);
        Refusal::new(format!("the project cannot be written to {name}: {error}"))
    })
}

fn write(folder: &Path, files: &[(String, String)]) -> io::Result<()> {
    for (path, text) in files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// The project's files, by their paths in it.
fn files(name: &str, wanted: &str, lang: Language) -> Vec<(String, String)> {
    let kind = kind(wanted);
    let fill = |text: &str| {
        let mut text = text.to_owned();
        for (hole, value) in [
            ("what", kind.what),
            ("goal", kind.goal),
            ("tools", lang.tools()),
            ("run", kind.run),
            ("use", kind.r#use),
            ("add", kind.add),
            ("agents", kind.agents),
            ("source", lang.source()),
            ("version", INTERFACE_VERSION),
            ("kind", wanted),
            ("name", name),
        ] {
            text = text.replace(&format!("{{{{{hole}}}}}"), value);
        }
        text
    };
    let (source, ignored, others): (_, _, &[(&str, &str)]) = match lang {
        Language::Rust => {
            (kind.rust, "target/\n", &[("Cargo.toml", template!("rust/Cargo.template.toml"))])
        }
        Language::Javascript => (
            kind.javascript,
            "node_modules/\n",
            &[
                ("package.json", template!("javascript/package.template.json")),
                ("build.mjs", template!("javascript/build.mjs")),
            ],
        ),
        Language::Python => (
            kind.python,
            ".venv/\n__pycache__/\n",
            &[("requirements.txt", template!("python/requirements.txt"))],
        ),
    };
    let manifest = format!(
        "# What agent-dispatch has to know to build and test this policy.\nname: {name}\nlanguage: {}\nworld: {wanted}-policy    # one of wit/\n",
        lang.word()
    );
    let mut files = vec![
        ("README.md".to_owned(), fill(template!("README.md"))),
        (".gitignore".to_owned(), ignored.to_owned()),
        ("policy.yaml".to_owned(), manifest),
        ("cases.yaml".to_owned(), kind.cases.to_owned()),
        (lang.source().to_owned(), source.to_owned()),
    ];
    files.extend(others.iter().map(|(path, text)| ((*path).to_owned(), fill(text))));
    files.extend(WIT.iter().map(|(file, text)| (format!("wit/{file}"), (*text).to_owned())));
    if wanted == "describe" {
        files.push(("sample/README.md".to_owned(), template!("cases/sample.md").to_owned()));
        files.push(("sample/package.json".to_owned(), "{\"name\": \"shop\"}\n".to_owned()));
    }
    files
}
