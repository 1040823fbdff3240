//! Files that cannot be understood at all, and files that are too much.

use std::fmt::Write as _;

use super::{File, config, load_error};
use crate::config::{LoadError, Loader};

#[test]
fn broken_yaml_names_line_and_column_once() {
    let said = load_error("agents:\n  a:\n    directory: /a\n   timeout: 3\n");
    assert_eq!(
        said,
        "could not load the config agents.yaml:4:4: did not find expected key, while parsing a block mapping at line 2 column 3"
    );
    let said = load_error("agents:\n  a: {directory: *nowhere}\n");
    assert_eq!(said, "could not load the config agents.yaml:2:18: unknown anchor");
    let said = load_error("agents: [\n");
    assert!(said.starts_with("could not load the config agents.yaml:2:1: "), "{said}");
    let said = load_error("agents:\n\ta: 1\n");
    assert!(said.starts_with("could not load the config agents.yaml:2:1: "), "{said}");
}

#[test]
fn a_control_character_is_found() {
    let said = load_error("agents:\n  a: {directory: /é\u{1}}\n");
    assert_eq!(
        said,
        "could not load the config agents.yaml:2:20: a control character is not allowed in YAML"
    );
    let said = load_error("agents: a\0b\n");
    assert_eq!(
        said,
        "could not load the config agents.yaml:1:10: a control character is not allowed in YAML"
    );
}

#[test]
fn text_that_is_not_utf8_is_found() {
    let said = load_error(b"agents:\n  a: {description: caf\xe9}\n");
    assert_eq!(said, "could not load the config agents.yaml:2:23: the text is not UTF-8");
    let said = load_error(b"\xff\xfea\0g\0");
    assert_eq!(said, "could not load the config agents.yaml:1:1: the text is not UTF-8");
}

#[test]
fn a_byte_order_mark_is_accepted() {
    let text = "\u{feff}agents:\n  a: {directory: /a, timeout: x}\n  b: {directory: /b}\n";
    let config = config(text);
    assert!(config.agent("b").is_ok());
    assert_eq!((config.problems[0].line, config.problems[0].column), (Some(2), Some(31)));
}

#[test]
fn the_top_level_and_the_agents_are_mappings() {
    let said = load_error("- a\n- b\n");
    assert_eq!(
        said,
        "could not load the config agents.yaml:1:1: must be a mapping with keys such as agents and settings"
    );
    let said = load_error("just text\n");
    assert_eq!(
        said,
        "could not load the config agents.yaml:1:1: must be a mapping with keys such as agents and settings"
    );
    let said = load_error("settings: {}\nagents:\n  - a\n");
    assert_eq!(
        said,
        "could not load the config agents.yaml:3:3: agents: must be a mapping of keys to values, but is a list"
    );
}

#[test]
fn one_document_is_a_config() {
    assert!(config("---\nagents: {a: {directory: /a}}\n").agent("a").is_ok());
    let said = load_error("agents: {}\n---\nagents: {}\n");
    assert_eq!(
        said,
        "could not load the config agents.yaml: the file holds more than one YAML document; a line '---' begins another"
    );
}

#[test]
fn aliases_that_multiply_are_stopped() {
    let mut doubling = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let alias = format!("*a{},", level - 1).repeat(10);
        writeln!(doubling, "a{level}: &a{level} [{alias}]").expect("a String takes all");
    }
    let list = format!("a: &a [{}]\nb: [{}]\n", "x,".repeat(1000), "*a,".repeat(1000));
    let said = load_error(doubling);
    assert!(said.ends_with("the aliases repeat far too much"), "{said}");
    let said = load_error(list);
    assert!(said.ends_with("more than 250000 values once aliases are written out"), "{said}");
    let long = "x".repeat(100_000);
    let said = load_error(format!("a: &a '{long}'\nb: [{}]\n", "*a,".repeat(1000)));
    assert!(said.ends_with("more than 16 MiB of text once aliases are written out"), "{said}");
}

#[test]
fn deep_nesting_is_stopped() {
    for depth in [500, 1_000_000] {
        let said = load_error(format!("a: {}{}\n", "[".repeat(depth), "]".repeat(depth)));
        assert!(said.ends_with("the values are nested too deeply"), "{said}");
    }
    let said = load_error("{a: ".repeat(1_000_000));
    assert!(said.ends_with("1:3997: the values are nested too deeply"), "{said}");
    assert!(
        config(&format!("agents: {{a: {{directory: '{}'}}}}\n", "[".repeat(500)))
            .agent("a")
            .is_ok()
    );
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let said = load_error("#".repeat(8 * 1024 * 1024 + 1));
    assert_eq!(
        said,
        "could not load the config agents.yaml: the file is larger than 8 MiB, the most that is read"
    );
    assert!(File::new("#".repeat(8 * 1024 * 1024)).load().is_ok());
}

#[test]
fn a_folder_a_fifo_and_a_device_are_no_config() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let fifo = folder.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.is_ok_and(|status| status.success()));
    let null = std::path::Path::new("/dev/null");
    for (path, what) in [(folder.path(), "a folder"), (&fifo, "a FIFO"), (null, "a device")] {
        let error = Loader::new(path).load().expect_err("not a file");
        let said =
            format!("could not read the config {}: it is {what}, not a file", path.display());
        assert_eq!(error.to_string(), said);
        assert!(error.hint().contains("AGENT_DISPATCH_CONFIG"));
    }
    let beyond = fifo.join("agents.yaml");
    let error = Loader::new(beyond).load().expect_err("below a file");
    assert!(matches!(error, LoadError::Unreadable { .. }), "{error}");
}

#[test]
fn very_many_problems_are_all_reported_though_not_all_with_a_line() {
    let mut text = format!("# {}\nagents:\n", "x".repeat(1024 * 1024));
    for number in 0..20 {
        writeln!(text, "  a{number}: 1").expect("a String takes all");
    }
    let config = config(&text);
    assert_eq!(config.problems.len(), 20);
    assert_eq!(config.problems[0].line, Some(3));
    assert_eq!(config.problems[19].line, None);
    assert!(config.problems[19].to_string().contains("agents.yaml: agents.a19: "));
}
