//! What README says is so.

use crate::support::World;

fn readme() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    std::fs::read_to_string(path).expect("README.md")
}

/// The fenced blocks of one language.
fn blocks(language: &str) -> Vec<String> {
    let readme = readme();
    let fence = format!("```{language}\n");
    let blocks = readme.split(&fence).skip(1);
    blocks.map(|rest| rest.split("```").next().expect("a block").to_owned()).collect()
}

#[test]
fn its_configs_have_no_problems() {
    let mut configs = blocks("yaml");
    assert_eq!(configs.len(), 1);
    configs.push(include_str!("../examples/agents.yaml").to_owned());
    for config in configs {
        let world = World::new();
        world.config(&config);
        let listed = world.run(&["list"]);
        assert_eq!((listed.code, listed.stderr.as_str()), (Some(0), ""), "{config}");
        assert!(listed.stdout.contains("projects/infra"), "{listed:?}");
    }
}

#[test]
fn its_commands_exist() {
    let world = World::new();
    let commands: Vec<Vec<String>> = blocks("sh")
        .iter()
        .flat_map(|block| block.lines())
        .filter_map(|line| line.strip_prefix("agent-dispatch "))
        .map(|line| shlex::split(line).expect("a command line"))
        .collect();
    assert!(commands.len() >= 3, "{commands:?}");
    for mut command in commands {
        // Help is only given for a command line that is understood so far.
        command.push("--help".to_owned());
        let arguments: Vec<&str> = command.iter().map(String::as_str).collect();
        let ran = world.run(&arguments);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
}

#[test]
fn it_names_every_error_type_and_every_key_of_a_reply() {
    let readme = readme();
    let reply = include_str!("../src/dispatch/reply.rs");
    let keys = reply.split("pub struct Reply {").nth(1).and_then(|rest| rest.split("\n}\n").next());
    let keys = keys
        .expect("the reply")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split(':').next().map(str::to_owned));
    let words = agent_dispatch::agent::ErrorType::ALL.map(|word| word.to_string());
    let all: Vec<String> = keys.chain(words).collect();
    assert!(all.len() > 20, "{all:?}");
    for word in all {
        assert!(readme.contains(&format!("`{word}`")), "{word}");
    }
}
