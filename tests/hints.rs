//! Every message names only commands, flags and keys that exist. The messages are the
//! string literals of the sources; what they name is run.

use std::fs;
use std::path::Path;

use crate::support::World;

/// The string literals under `src/`, tests and comments aside, each with its file.
fn literals() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() && path.file_name() != Some("tests".as_ref()) {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) {
                let text = fs::read_to_string(&path).expect("a source");
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
                let path = path.display().to_string();
                found.extend(strings(code).into_iter().map(|literal| (path.clone(), literal)));
            }
        }
    }
    found
}

/// The string literals of a source; raw ones without their marks.
fn strings(code: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = code.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '/' if rest.peek() == Some(&'/') => {
                rest.by_ref().find(|character| *character == '\n');
            }
            // A character or a lifetime: `'"'` and `'\''` hold no string.
            '\'' => {
                let next = rest.next();
                if next == Some('\\') {
                    rest.next();
                }
                rest.next_if_eq(&'\'');
            }
            '"' => {
                let mut literal = String::new();
                while let Some(character) = rest.next().filter(|character| *character != '"') {
                    match character {
                        '\\' => match rest.next() {
                            Some('n') => literal.push('\n'),
                            Some('\n') => {
                                while rest.next_if(|next| next.is_whitespace()).is_some() {}
                            }
                            Some(other) => literal.push(other),
                            None => {}
                        },
                        _ => literal.push(character),
                    }
                }
                found.push(literal);
            }
            _ => {}
        }
    }
    found
}

/// What is named between backticks or in single quotes, and a command line that ends a
/// message.
fn named(literal: &str) -> Vec<&str> {
    let quoted = ['`', '\''].into_iter().flat_map(|quote| literal.split(quote).skip(1).step_by(2));
    let last =
        literal.lines().filter_map(|line| Some(&line[line.find(": agent-dispatch ")? + 2..]));
    quoted.chain(last).collect()
}

#[test]
fn every_command_that_a_message_names_is_understood() {
    let world = World::with_agent("answer hello");
    let mut ran = Vec::new();
    for (file, literal) in literals() {
        for command in named(&literal) {
            let Some(arguments) = command.strip_prefix("agent-dispatch ") else { continue };
            // `{name}` and `NAME` stand for what is there when the message is shown.
            let arguments = shlex::split(arguments).expect("a command line");
            let arguments: Vec<&str> = arguments
                .iter()
                .map(|word| match word.trim_matches(['{', '}']) {
                    "NAME" | "name" | "DIRECTORY" | "folder" => "infra",
                    _ => word.as_str(),
                })
                .collect();
            let outcome = world.run(&arguments);
            assert!(matches!(outcome.code, Some(0 | 1)), "{file}: '{command}': {outcome:?}");
            ran.push(command.to_owned());
        }
    }
    assert!(ran.len() >= 4, "{ran:?}");
}

#[test]
fn every_flag_that_a_message_names_exists() {
    let world = World::new();
    let all = help_of(&world, &[]);
    let mut found = 0;
    for (file, literal) in literals() {
        // There it is the flags of the agent CLI, and of the tools that build policies.
        if ["/agent/", "/practice_agent/", "/policy/build.rs"]
            .iter()
            .any(|part| file.contains(part))
        {
            continue;
        }
        for flag in
            literal.split(|character: char| !(character.is_alphanumeric() || character == '-'))
        {
            if flag.strip_prefix("--").is_some_and(|flag| flag.starts_with(char::is_alphabetic)) {
                assert!(
                    all.contains(&format!("{flag} ")) || all.contains(&format!("{flag}\n")),
                    "{file}: {flag}"
                );
                found += 1;
            }
        }
    }
    assert!(found > 0);
}

/// The help of a command and of all below it.
fn help_of(world: &World, command: &[&str]) -> String {
    let mut help = world.run(&[command, &["--help"]].concat()).stdout;
    let below = help.split("Commands:\n").nth(1).and_then(|below| below.split("\n\n").next());
    let below = below.unwrap_or_default().to_owned();
    let words = below.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for word in words.filter(|word| !word.is_empty() && *word != "help") {
        help += &help_of(world, &[command, &[word]].concat());
    }
    help
}

#[test]
fn every_key_that_a_message_names_is_one() {
    let world = World::new();
    // Words in backticks that are no keys of the config.
    let others = ["claude", "timeout_seconds", "wasm-tools component new"];
    let mut found = 0;
    for (file, literal) in literals() {
        let ticked = literal.split('`').skip(1).step_by(2).map(str::to_owned);
        let dotted = literal
            .split(|character: char| !(character.is_alphanumeric() || "_.".contains(character)));
        let dotted = dotted.filter(|word| word.starts_with("settings.") && !word.ends_with("json"));
        for named in ticked.chain(dotted.map(|word| word.trim_end_matches('.').to_owned())) {
            let plain =
                |character: char| character.is_ascii_lowercase() || "_.".contains(character);
            let key = named.split(':').next().unwrap_or_default();
            if key.len() < 2 || !key.chars().all(plain) || others.contains(&named.as_str()) {
                continue;
            }
            let key = key.strip_prefix("settings.").unwrap_or(key);
            assert!(is_key(&world, key), "{file}: `{named}`");
            found += 1;
        }
    }
    assert!(found > 10, "{found}");
}

/// Does the config know this key somewhere?
fn is_key(world: &World, key: &str) -> bool {
    let places = [
        format!("{key}: null\n"),
        format!("agents: {{a: {{directory: /, {key}: null}}}}\n"),
        format!("settings: {{{key}: null}}\n"),
        format!("settings: {{policies: {{{key}: null}}}}\n"),
        format!("settings: {{cache: {{{key}: null}}}}\n"),
        format!("settings: {{policy_limits: {{{key}: null}}}}\n"),
        format!("policies: {{p: {{component: /p, {key}: null}}}}\n"),
    ];
    places.iter().any(|place| {
        world.config(place);
        let listed = world.run(&["list"]);
        assert!(!listed.stderr.contains("could not load"), "{place}: {listed:?}");
        !listed.stderr.contains("is not a key") && !listed.stderr.contains("without effect")
    })
}

#[test]
fn the_reader_of_literals_reads_them() {
    let code =
        "a(\"one\", '\"', \"t\\\"wo\"); // \"no\"\nfn f<'a>(x: &'a str) { \"three \\\n   four\" }";
    assert_eq!(strings(code), ["one", "t\"wo", "three four"]);
}
