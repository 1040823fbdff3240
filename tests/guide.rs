//! What the guide for those who write policies says is so. Its limits are looked at in
//! `src/policy/guide.rs`, where they are known.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::World;

const GUIDE: &str = include_str!("../docs/policies.md");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The fenced blocks of one language, each by what the first line says, if that is a comment.
fn blocks(language: &str) -> Vec<(&'static str, &'static str)> {
    let fence = format!("\n```{language}\n");
    let blocks = GUIDE.match_indices(&fence).map(|(at, _)| {
        let rest = &GUIDE[at + fence.len()..];
        rest.split("\n```\n").next().expect("its end")
    });
    let named = |block: &'static str| {
        let first = block.lines().next().unwrap_or_default();
        (first.strip_prefix("# ").unwrap_or_default(), block)
    };
    blocks.map(named).collect()
}

/// What stands outside of blocks and between backticks.
fn spans() -> Vec<&'static str> {
    let prose = GUIDE.split("\n```").step_by(2);
    prose.flat_map(|text| text.split('`').skip(1).step_by(2)).collect()
}

/// A world with all that its configs and commands name.
fn world() -> World {
    let world = World::new();
    for agent in ["infra", "backend"] {
        fs::create_dir_all(world.path("home/projects").join(agent)).expect("a directory");
    }
    for (name, built_in) in [("house", "classic"), ("vote", "aggregate-majority")] {
        let built = repository().join(format!("plugins/built/{built_in}.wasm"));
        fs::copy(built, world.path(&format!("{name}.wasm"))).expect("the component");
    }
    world
}

/// Runs the words after the program's name; what it says.
#[track_caller]
fn run(world: &World, words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ran = world.run(&words);
    assert_eq!(ran.code, Some(0), "{words:?}: {ran:?}");
    ran.stdout
}

/// The command lines of this program in its blocks.
fn commands() -> Vec<Vec<String>> {
    let lines = blocks("sh").into_iter().flat_map(|(_, block)| block.lines());
    let ours = lines.filter_map(|line| {
        line.strip_prefix("AGENT_DISPATCH_LOG=debug ")
            .unwrap_or(line)
            .strip_prefix("agent-dispatch ")
    });
    ours.map(|line| shlex::split(line).expect("a command line")).collect()
}

#[test]
fn it_is_short() {
    assert!(GUIDE.lines().count() < 350, "{}", GUIDE.lines().count());
}

#[test]
fn its_commands_are_understood() {
    let world = World::new();
    let mut all = commands();
    assert!(all.len() > 12, "{all:?}");
    for span in spans() {
        let words = shlex::split(span).unwrap_or_default();
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["agent-dispatch", ..] => all.push(words[1..].to_vec()),
            // As it is called in the text. `help` would take the next word for a command.
            ["policy", _] => all.push(words),
            _ => {}
        }
    }
    for mut command in all {
        // Help is only given for a command line that is understood so far.
        if command[0] != "help" {
            command.push("--help".to_owned());
        }
        run(&world, &command);
    }
}

#[test]
fn its_flags_exist() {
    let world = World::new();
    let commands = ["new", "build", "check", "run", "test", "add", "remove", "list", "replay"];
    let mut helps: Vec<String> =
        commands.iter().map(|command| world.run(&["policy", command, "--help"]).stdout).collect();
    helps.extend(["dispatch", "parallel"].map(|command| world.run(&[command, "--help"]).stdout));
    let spans = spans();
    let flags: Vec<&&str> = spans.iter().filter(|span| span.starts_with("--")).collect();
    assert!(flags.len() > 2, "{flags:?}");
    for flag in flags {
        assert!(helps.iter().any(|help| help.contains(&format!("{flag} "))), "{flag}");
    }
}

#[test]
fn its_configs_have_no_problems() {
    let configs = blocks("yaml").into_iter().filter(|(file, _)| *file == "agents.yaml");
    let mut looked_at = 0;
    for (_, config) in configs {
        let world = world();
        world.config(config);
        let listed = world.run(&["list", "--json"]);
        assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""), "{config}");
        for word in ["\"error\"", "\"warning\"", "problem"] {
            assert!(!listed.stdout.contains(word), "{config}: {listed:?}");
        }
        let policies = world.run(&["policy", "list"]);
        assert_eq!(policies.code, Some(0), "{config}: {policies:?}");
        looked_at += 1;
    }
    assert!(looked_at > 2, "{looked_at}");
}

#[test]
fn its_cases_are_as_expected() {
    let cases = blocks("yaml").into_iter().find(|(file, _)| *file == "cases.yaml");
    let world = world();
    fs::write(world.path("cases.yaml"), cases.expect("the cases").1).expect("a file");
    let tested = world.run(&["policy", "test", "house.wasm", "--cases", "cases.yaml"]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
}

#[test]
fn its_way_leads_to_a_dispatch() {
    let world = world();
    world.agent("infra", "answer yes");
    world.config(&world.agents_yaml(&["infra"]));
    let way = blocks("sh").first().expect("a block").1;
    let lines: Vec<&str> = way.lines().collect();
    assert_eq!(lines[1..3], ["cd house", "rustup target add wasm32-wasip2"]);
    let mut folder = world.path("");
    for line in lines {
        let mut words = shlex::split(line).expect("a command line");
        let program = words.remove(0);
        if program != "agent-dispatch" {
            folder = world.path("house");
            continue;
        }
        let command: Vec<&str> = words.iter().map(String::as_str).take(2).collect();
        // What the language's tools make is for tests/real: here one was built before.
        if command == ["policy", "build"] {
            fs::copy(world.path("house.wasm"), folder.join("house.wasm")).expect("the component");
        }
        if [["policy", "build"], ["policy", "test"]].iter().any(|needs| command == needs) {
            continue;
        }
        let ran = world.command().args(&words).current_dir(&folder).output().expect("the binary");
        assert!(ran.status.success(), "{line}: {ran:?}");
        if command == ["dispatch", "infra"] {
            let shown = String::from_utf8_lossy(&ran.stdout);
            assert!(shown.contains("Which orders failed today?"), "{shown}");
        }
    }
    let config = fs::read_to_string(world.config_file()).expect("the config");
    assert!(config.contains("prompt: house"), "{config}");
}

#[test]
fn its_vote_has_one_answer() {
    let tasks = blocks("yaml").into_iter().find(|(file, _)| *file == "tasks.yaml");
    let world = World::with_agent("answer yes");
    fs::write(world.path("tasks.yaml"), tasks.expect("the tasks").1).expect("a file");
    let vote = commands().into_iter().find(|words| words[0] == "parallel").expect("the command");
    let said = run(&world, &vote);
    assert!(said.contains("yes"), "{said}");
}

#[test]
fn its_limits_may_be_as_it_says() {
    let rows = GUIDE.split("| limit | default | from, to | |").nth(1).expect("the table");
    let rows = rows.lines().skip(2).take_while(|row| row.starts_with('|'));
    let bounds: BTreeMap<&str, (u32, u32)> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let (from, to) = cells[3].split_once(", ").expect("two numbers");
            let number = |text: &str| text.parse::<u32>().expect("a number");
            (cells[1].trim_matches('`'), (number(from), number(to)))
        })
        .collect();
    assert_eq!(bounds.len(), 5);
    let world = world();
    for (limit, (from, to)) in bounds {
        for (value, is_one) in [(from, true), (to, true), (from - 1, false), (to + 1, false)] {
            let entry = format!(
                "policies:\n  house: {{component: ./house.wasm, limits: {{{limit}: {value}}}}}\n"
            );
            world.config(&format!("{entry}agents:\n  infra: {{directory: ~/projects/infra}}\n"));
            let listed = world.run(&["list"]);
            let is_fine = !format!("{}{}", listed.stdout, listed.stderr).contains(limit);
            assert_eq!(is_fine, is_one, "{limit}: {value}: {listed:?}");
        }
    }
}

#[test]
fn its_links_lead_somewhere() {
    let links: Vec<&str> =
        GUIDE.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    assert!(links.len() > 4, "{links:?}");
    for link in links {
        assert!(repository().join("docs").join(link).exists(), "{link}");
    }
    let readme = fs::read_to_string(repository().join("README.md")).expect("README.md");
    assert!(readme.contains("(docs/policies.md)"));
}

#[test]
fn its_recipes_are_short() {
    let recipes = GUIDE.split("## Recipes").nth(1).expect("the recipes");
    let recipes: Vec<&str> = recipes.split("\n```").skip(1).step_by(2).collect();
    assert!(recipes.len() >= 5, "{}", recipes.len());
    for recipe in recipes {
        assert!(recipe.lines().count() <= 16, "{recipe}");
    }
}
