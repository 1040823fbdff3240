//! `agent-dispatch policy`: what those meet who write one. What the languages' own tools
//! make of the projects is for `tests/real/run`.

mod build;
mod check;
mod run;
mod test;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::World;

const KINDS: [&str; 4] = ["prompt", "describe", "aggregate", "dialogue"];

/// Each language, the file that its policies are written in, and what gets its tools.
const LANGUAGES: [(&str, &str, &str); 3] = [
    ("rust", "src/lib.rs", "rustup target add wasm32-wasip2"),
    ("javascript", "policy.js", "npm install"),
    ("python", "policy.py", "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt"),
];

/// A component in this repository.
fn component(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn make(world: &World, name: &str, kind: &str, language: &str) {
    let made = world.run(&["policy", "new", name, "--kind", kind, "--lang", language]);
    assert_eq!(made.code, Some(0), "{made:?}");
}

/// The text of each file below a folder.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if entry.path().is_dir() {
            let below = files(&entry.path()).into_iter();
            found.extend(below.map(|(path, text)| (format!("{name}/{path}"), text)));
        } else {
            found.insert(name, fs::read_to_string(entry.path()).expect("text"));
        }
    }
    found
}

#[test]
fn new_makes_a_whole_project_of_each_kind_in_each_language() {
    let wit = files(&component("wit/0.1.0"));
    for kind in KINDS {
        for (language, source, tools) in LANGUAGES {
            let world = World::new();
            let arguments = ["policy", "new", "house", "--kind", kind, "--lang", language];
            let made = world.run(&arguments);
            assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""), "{made:?}");
            for part in ["cd house", tools, "policy build", "policy test", "house/README.md"] {
                assert!(made.stdout.contains(part), "{part}: {made:?}");
            }

            let files = files(&world.path("house"));
            let manifest = &files["policy.yaml"];
            for part in ["name: house", language, &format!("world: {kind}-policy")] {
                assert!(manifest.contains(part), "{part}: {manifest}");
            }
            assert!(files[source].contains("wit/types.wit"), "{language} {kind}");
            assert!(files["cases.yaml"].contains("expect:"), "{language} {kind}");
            for (file, text) in &wit {
                assert_eq!(files.get(&format!("wit/{file}")), Some(text), "{file}");
            }
            for (file, text) in &files {
                assert!(!text.contains("{{"), "a hole is left in {file}: {text}");
            }
            readme_leads_to_an_agent(&world, &files["README.md"], tools, kind);
        }
    }
}

/// Its commands are there in their order, and the component gets to where they say.
fn readme_leads_to_an_agent(world: &World, readme: &str, tools: &str, kind: &str) {
    let rest = readme.split("```sh\n").nth(1).expect("a block");
    let commands: Vec<&str> = rest.split("```").next().expect("its end").lines().collect();
    assert_eq!(commands.len(), 6, "{commands:?}");
    assert_eq!(commands[..3], [tools, "agent-dispatch policy build", "agent-dispatch policy test"]);
    let words = |command: &str| {
        let ours = command.rsplit(" | ").next().expect("a command");
        let mut words = shlex::split(ours).expect("a command line");
        assert_eq!(words.remove(0), "agent-dispatch");
        words
    };
    for command in &commands[1..] {
        let mut words = words(command);
        // Help is only given for a command line that is understood so far.
        words.push("--help".to_owned());
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        assert_eq!(world.run(&words).code, Some(0), "{command}");
    }

    for agent in ["infra", "backend"] {
        world.agent(agent, "answer yes");
    }
    world.config(&world.agents_yaml(&["infra", "backend"]));
    // One of this kind that was built before.
    let built = component(&format!("tests/frozen/0.1.0/{kind}.wasm"));
    fs::copy(built, world.path("house/house.wasm")).expect("the component");
    let mut add = world.command();
    let added = add.args(words(commands[4])).current_dir(world.path("house")).output();
    let added = added.expect("the binary");
    assert!(added.status.success(), "{added:?}");
    let listed = world.run(&["policy", "list", "--json"]).json().to_string();
    assert!(listed.contains("house") && listed.contains("installed"), "{listed}");
    let chooses = fs::read_to_string(world.config_file()).expect("the config");
    let is_chosen = chooses.contains(&format!("{kind}: house"));
    assert_eq!(is_chosen, ["prompt", "describe"].contains(&kind), "{chooses}");
}

#[test]
fn new_leaves_alone_what_is_there() {
    let world = World::new();
    fs::create_dir(world.path("house")).expect("a folder");
    fs::write(world.path("house/notes"), "mine").expect("a file");
    let refused = world.run(&["policy", "new", "house", "--kind", "prompt", "--lang", "rust"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("Nothing in it was touched"), "{refused:?}");
    let left = files(&world.path("house"));
    assert_eq!(left, BTreeMap::from([("notes".to_owned(), "mine".to_owned())]));
}

#[test]
fn new_says_which_names_kinds_and_languages_there_are() {
    let world = World::new();
    for name in ["../house", "a house", "-x", ""] {
        let refused = world.run(&["policy", "new", "--kind=prompt", "--lang=rust", "--", name]);
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        assert!(refused.stderr.contains("cannot be the name of a policy"), "{refused:?}");
        assert!(refused.stderr.contains("A name has letters"), "{refused:?}");
    }
    for (kind, language, named) in [
        ("vote", "rust", "prompt, describe, aggregate, dialogue"),
        ("prompt", "perl", "rust, javascript, python"),
    ] {
        let refused = world.run(&["policy", "new", "house", "--kind", kind, "--lang", language]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(named), "{refused:?}");
    }
    assert!(!world.path("house").exists());
}
