//! What an edit does to a file, to the byte.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::Duration;

use super::super::{AgentPolicies, Edit, EditError, Editor, NewAgent};
use super::File;

fn shop() -> NewAgent {
    NewAgent {
        name: "shop".to_owned(),
        directory: "/srv/shop".into(),
        description: "Sells: things".to_owned(),
        ..NewAgent::default()
    }
}

/// The lines of that agent.
const SHOP: &str = "  shop:\n    directory: /srv/shop\n    description: 'Sells: things'\n";

fn apply(path: &Path, edit: Edit) -> Result<(), EditError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let mut editor = Editor::new(path);
    editor.patience = Duration::ZERO;
    runtime.expect("a runtime").block_on(editor.apply(edit))
}

fn add(path: &Path, agent: NewAgent) -> Result<(), EditError> {
    apply(path, Edit::AddAgents(vec![agent]))
}

fn remove(path: &Path, name: &str) -> Result<(), EditError> {
    apply(path, Edit::RemoveAgent(name.to_owned()))
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("the config")
}

#[track_caller]
fn added(before: &str) -> String {
    let file = File::new(before);
    add(&file.path(), shop()).unwrap_or_else(|error| panic!("{error} in {before:?}"));
    text(&file.path())
}

#[track_caller]
fn removed(before: &str, name: &str) -> String {
    let file = File::new(before);
    remove(&file.path(), name).unwrap_or_else(|error| panic!("{error} in {before:?}"));
    text(&file.path())
}

#[test]
fn an_agent_is_added_after_the_others() {
    let first = format!("agents:\n{SHOP}");
    for nothing in ["", "agents:\n", "agents: null\n", "agents: ~\n", "agents:", "agents: {}\n"] {
        assert_eq!(added(nothing).trim_end(), first.trim_end(), "{nothing:?}");
    }
    assert_eq!(added("agents: {} # none\n"), format!("agents: # none\n{SHOP}"));
    assert_eq!(added("# mine\n"), format!("# mine\n{first}"));
    assert_eq!(added("settings:\n  x: 1\n"), format!("settings:\n  x: 1\n{first}"));
    let before = "# top\nagents:\n  # one\n  a:   # the first\n    directory: ~/a  # home\n    unknown: 'key'\n\n  # two\n  b: {directory: /b}\n";
    let after = "\n# limits\nsettings:\n  default_timeout: 60\n";
    assert_eq!(added(&format!("{before}{after}")), format!("{before}{SHOP}{after}"));
    assert_eq!(
        added("agents:\n  a:\n    directory: /a\n  # the end of agents\n# the end\n"),
        format!("agents:\n  a:\n    directory: /a\n{SHOP}  # the end of agents\n# the end\n")
    );
    let bom = "\u{feff}agents:\n  a: {directory: /a}\n";
    assert_eq!(added(bom), format!("{bom}{SHOP}"));
    let document = "---\nagents:\n  a:\n    directory: /a\n    description: |\n      # no comment\n      two\n";
    assert_eq!(added(&format!("{document}...\n")), format!("{document}{SHOP}...\n"));
}

#[test]
fn an_agent_is_added_in_the_style_of_the_others() {
    let flow = "shop: {directory: /srv/shop, description: 'Sells: things'}";
    assert_eq!(
        added("agents: {a: {directory: /a}} # here\n"),
        format!("agents: {{a: {{directory: /a}}, {flow}}} # here\n")
    );
    let crlf = "agents:\r\n  a:\r\n    directory: /a\r\n";
    assert_eq!(
        added(&format!("{crlf}\r\nsettings: {{}}\r\n")),
        format!("{crlf}{}\r\nsettings: {{}}\r\n", SHOP.replace('\n', "\r\n"))
    );
    let no_end = "agents:\n  a:\n    directory: /a";
    assert_eq!(added(no_end), format!("{no_end}\n{}", SHOP.trim_end()));
    let wide = "agents:\n    a:\n        directory: /a\n";
    assert!(added(wide).starts_with(&format!("{wide}    shop:\n")), "{}", added(wide));
}

#[test]
fn an_agent_is_removed_and_nothing_else() {
    let file = "# top\nagents:\n  # about a\n  a:\n    directory: /a # here\n    # within a\n    model: x\n\n  # about b\n  b:\n    directory: /b\n# end\n";
    assert_eq!(
        removed(file, "a"),
        "# top\nagents:\n  # about a\n\n  # about b\n  b:\n    directory: /b\n# end\n"
    );
    assert_eq!(
        removed(file, "b"),
        "# top\nagents:\n  # about a\n  a:\n    directory: /a # here\n    # within a\n    model: x\n\n  # about b\n# end\n"
    );
    assert_eq!(removed("agents: {a: {directory: /a}} # c\nx: 1\n", "a"), "agents: {} # c\nx: 1\n");
    assert_eq!(
        removed("agents: {a: {directory: /a}, b: {directory: /b}}\n", "a"),
        "agents: {b: {directory: /b}}\n"
    );
    let twice = "agents:\n  a: {directory: /a}\n  b: {directory: /b}\n  a: {directory: /c}\n";
    assert_eq!(removed(twice, "a"), "agents:\n  b: {directory: /b}\n");
    assert_eq!(
        removed("agents:\n  a: 7\n  b: {directory: /b}\n", "a"),
        "agents:\n  b: {directory: /b}\n"
    );
    // The Python tool refuses `agents:` with nothing in it.
    assert_eq!(removed("agents:\n  a:\n    directory: /a\n", "a"), "agents: {}\n");
}

#[test]
fn what_others_share_with_an_agent_stays_theirs() {
    let merged = "agents:\n  a: &base\n    directory: /a\n    model: x\n  b:\n    <<: *base\n    directory: /b\n";
    let file = File::new(merged);
    remove(&file.path(), "a").expect("an edit");
    let config = file.load().expect("a config");
    let agent = config.agent("b").expect("it is there");
    assert_eq!((agent.model.as_deref(), agent.directory.as_path()), (Some("x"), Path::new("/b")));
    let file = File::new(merged);
    add(&file.path(), shop()).expect("an edit");
    assert_eq!(text(&file.path()), format!("{merged}{SHOP}"));
}

#[test]
fn everything_that_an_agent_can_have_is_written() {
    let agent = NewAgent {
        timeout: Some(60),
        model: Some("opus".to_owned()),
        max_budget_usd: Some(2.5),
        permission_mode: Some("plan".to_owned()),
        allowed_tools: Some(Vec::new()),
        disallowed_tools: Some(vec!["Bash(rm:*)".to_owned(), "Write".to_owned()]),
        policies: AgentPolicies { prompt: Some("xml".to_owned()), describe: None },
        ..shop()
    };
    // Read again and compared by the editor itself.
    let file = File::new("");
    add(&file.path(), agent).expect("an edit");
    let written = text(&file.path());
    assert!(written.contains("    timeout: 60\n"), "{written}");
    assert!(written.contains("    max_budget_usd: 2.5\n"), "{written}");
}

#[test]
fn any_text_survives() {
    let texts = [
        "yes",
        "NO",
        "null",
        "~",
        "1:30",
        "0x1f",
        "010",
        "1_000",
        "1e3",
        ".inf",
        "2026-11-24",
        "=",
        "<<",
        "- a",
        "a: b",
        "a #b",
        "#a",
        "*a",
        "&a",
        "!a",
        "|",
        ">",
        "%a",
        "@a",
        "`a`",
        "'",
        "\"",
        "it's \"so\"",
        "[a",
        "{a}",
        "a,b",
        ": ",
        "?",
        "? a",
        "-",
        "---",
        "...",
        " leading",
        "trailing ",
        "two\nlines\n",
        "a\tb",
        "back\\slash",
        "größer 日本 🦀",
        "\u{1}\u{7f}",
        "\u{85}\u{2028}\u{feff}",
        "",
        " ",
        "\r\n",
        "x: |\n  y",
    ];
    for style in ["agents:\n  a:\n    directory: /a\n", "agents: {a: {directory: /a}}\n"] {
        for text in texts {
            let file = File::new(style);
            let agent = NewAgent {
                description: text.to_owned(),
                directory: format!("/srv/{}", text.replace(['\0', '/'], "")).trim_end().into(),
                model: Some(format!("m{text}")),
                ..shop()
            };
            let edited = add(&file.path(), agent);
            let config = file.load().expect("a config");
            match edited {
                // The editor compares what it reads with what was meant.
                Ok(()) => assert_eq!(config.agent("shop").expect("an agent").description, text),
                Err(error) => panic!("{text:?}: {error}"),
            }
        }
    }
    // What YAML 1.1 reads as something else than text, as the Python tool does, is quoted.
    for text in ["yes", "1:30", "1_000", "2026-11-24", "=", "0o17", "~", ".5"] {
        let file = File::new("");
        add(&file.path(), NewAgent { description: text.to_owned(), ..shop() }).expect(text);
        let written = super::edits::text(&file.path());
        assert!(written.contains(&format!("description: '{text}'\n")), "{written}");
    }
    for name in ["no", "123", "1e3", "0x1f", "null", "a-b_c", "2026-11-24"] {
        let file = File::new("# c\nagents:\n  b: {directory: /b}\n");
        let before = text(&file.path());
        add(&file.path(), NewAgent { name: name.to_owned(), ..shop() }).expect(name);
        assert!(file.load().expect("a config").agent(name).is_ok(), "{name}");
        remove(&file.path(), name).expect(name);
        assert_eq!(text(&file.path()), before);
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let before = "agents:\n  shop: {directory: /a}\n  7: {directory: /b}\n";
    let file = File::new(before);
    let error = add(&file.path(), shop()).expect_err("it is there");
    assert_eq!(error.to_string(), "there is an agent 'shop' already");
    assert!(error.hint().contains("agent-dispatch remove shop"), "{}", error.hint());
    let error = remove(&file.path(), "sho").expect_err("it is not there");
    assert_eq!(error.to_string(), "Unknown agent: 'sho'. Available: shop");
    for broken in ["agents: [\n", "- a\n", "agents: 7\n", "a\tb: c: d\n", "a: 1\n---\nb: 2\n"] {
        let file = File::new(broken);
        let error = add(&file.path(), shop()).expect_err("a broken file");
        assert!(matches!(error, EditError::Unloadable(_)), "{error}");
        assert!(error.to_string().ends_with("; it was not changed"), "{error}");
        assert_eq!(text(&file.path()), broken);
    }
    assert_eq!(text(&file.path()), before);
    // Alone in its folder but for the lock: no temporary file is left.
    let beside = fs::read_dir(file.folder.path()).expect("the folder").count();
    assert_eq!(beside, 2);
}

#[test]
fn what_cannot_be_edited_safely_is_left_to_a_person() {
    let aliased = "x: &x\n  a: {directory: /a}\nagents: *x\n";
    let file = File::new(aliased);
    let error = add(&file.path(), shop()).expect_err("not safely");
    assert!(error.to_string().contains("cannot be edited safely"), "{error}");
    assert_eq!(error.hint(), format!("Write this into it by hand:\nagents:\n{}", SHOP.trim_end()));
    let error = remove(&file.path(), "a").expect_err("not safely");
    assert_eq!(error.hint(), "Take the entry 'a' under `agents` out of it by hand.");
    assert_eq!(text(&file.path()), aliased);
}

#[test]
fn a_held_lock_is_not_passed_by() {
    let file = File::new("agents: {}\n");
    let lock = file.folder.path().join("agents.yaml.lock");
    let held = fs::File::create(&lock).expect("the lock's file");
    held.lock().expect("a lock");
    let error = add(&file.path(), shop()).expect_err("it is held");
    assert!(matches!(&error, EditError::Locked { lock: named, .. } if *named == lock), "{error}");
    assert_eq!(text(&file.path()), "agents: {}\n");
    held.unlock().expect("unlocked");
    add(&file.path(), shop()).expect("an edit");
}

#[test]
fn one_who_waits_goes_on_when_the_lock_is_free() {
    let file = File::new("agents: {}\n");
    let lock = file.folder.path().join("agents.yaml.lock");
    let held = fs::File::create(&lock).expect("the lock's file");
    held.lock().expect("a lock");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(async {
        let editor = Editor::new(&file.path());
        let adding = editor.apply(Edit::AddAgents(vec![shop()]));
        // Whoever waits does not hold up this thread, which is the only one.
        let freeing = async { held.unlock().expect("unlocked") };
        let (added, ()) = tokio::join!(adding, freeing);
        added.expect("an edit");
    });
    assert!(file.load().expect("a config").agent("shop").is_ok());
}

#[test]
fn a_file_under_two_names_is_one_file() {
    let file = File::new("agents: {}\n");
    let other = tempfile::tempdir().expect("a folder");
    let link = other.path().join("link.yaml");
    symlink(file.path(), &link).expect("a link");
    let held =
        fs::File::create(file.folder.path().join("agents.yaml.lock")).expect("a lock's file");
    held.lock().expect("a lock");
    let error = add(&link, shop()).expect_err("it is held under the other name");
    assert!(matches!(error, EditError::Locked { .. }), "{error}");
    held.unlock().expect("unlocked");
    add(&link, shop()).expect("an edit");
    assert!(link.is_symlink());
    assert!(file.load().expect("a config").agent("shop").is_ok());
}

#[test]
fn modes_links_and_folders_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o7777;
    // What is new is for its owner alone; what was there is not touched.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("a mode");
    let file = folder.path().join("new/deep/agents.yaml");
    add(&file, shop()).expect("an edit");
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(&folder.path().join("new")), 0o700);
    assert_eq!(mode(folder.path()), 0o755);
    for kept in [0o644, 0o660, 0o400 | 0o200] {
        fs::set_permissions(&file, Permissions::from_mode(kept)).expect("a mode");
        remove(&file, "shop").expect("an edit");
        add(&file, shop()).expect("an edit");
        assert_eq!(mode(&file), kept);
    }
    // A chain of links, one of them to nothing yet.
    let (one, two, three) =
        (folder.path().join("1"), folder.path().join("2"), folder.path().join("3"));
    symlink("2", &one).expect("a link");
    symlink(&three, &two).expect("a link");
    add(&one, shop()).expect("an edit");
    assert!(one.is_symlink() && two.is_symlink() && three.is_file());
    assert_eq!(text(&three), text(&file));
    symlink("5", folder.path().join("4")).expect("a link");
    symlink("4", folder.path().join("5")).expect("a link");
    let error = add(&folder.path().join("4"), shop()).expect_err("a circle");
    assert!(error.to_string().contains("circle"), "{error}");

    fs::set_permissions(&file, Permissions::from_mode(0o444)).expect("a mode");
    let before = text(&file);
    let error = remove(&file, "shop").expect_err("read only");
    assert!(matches!(error, EditError::ReadOnly { .. }), "{error}");
    assert_eq!(text(&file), before);
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("small")
    }

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.below(from.len())]
    }
}

/// A config as people write them, odd and good.
fn some_config(numbers: &mut Numbers) -> String {
    let comments = [
        "",
        "",
        "",
        "# a comment\n",
        "  # indented\n",
        "\n",
        "\t# tab\n",
        "#\n",
        "# key: value\n\n",
    ];
    let ends = ["", "", " # here", "   #", " # it's {odd}"];
    let entries = [
        "  NAME:\n    directory: /srv/NAMEEND\n    # within\n    model: 'x'\nCOMMENT",
        "  NAME:END\n    directory: ~/NAME\nCOMMENT    description: |\n      # no comment\n\n      text\n",
        "  NAME: {directory: /srv/NAME, x: [1, 'a # b']}END\n",
        "  \"NAME\":\n    directory: \"/srv/NAME\"END\n    description: >-\n      folded\n      text\n",
        "  NAME:\n    directory: /a b\n    allowed_tools:\n    - ReadEND\nCOMMENT    - \"Bash(x:*)\"\n    unknown:\n      deep: {a: b}\n",
        "  NAME: &NAME\n    directory: /srv/NAMEEND\n",
        "  NAME:\n    <<: *base\n    description: \"two\\\n      lines\"\nCOMMENT",
        "  NAME: 7END\n",
        "  NAME: *base\n",
        "  ? NAME\n  : directory: /srv/NAME\n",
    ];
    let others = [
        "settings:END\n  default_timeout: 60END\nCOMMENT  unknown: *base\n",
        "settings: {cache: {ttl: 5}}END\n",
        "groups:\n  g:\n    members: []\nCOMMENT",
        "policies:\n  p: {component: ./p.wasm} END\n",
    ];
    let mut text = String::new();
    let mut write = |numbers: &mut Numbers, part: &str, name: usize| {
        let part = part.replace("NAME", &format!("agent-{name}"));
        let mut pieces = part.split("COMMENT").map(|piece| {
            let mut piece = piece.to_owned();
            while let Some(at) = piece.find("END") {
                piece.replace_range(at..at + 3, numbers.pick(&ends));
            }
            piece
        });
        text += &pieces.next().unwrap_or_default();
        let pieces: Vec<String> = pieces.collect();
        for piece in pieces {
            text += numbers.pick(&comments);
            text += &piece;
        }
    };
    write(numbers, "COMMENTCOMMENTbase: &base {directory: /base}END\nCOMMENT", 0);
    if numbers.below(3) == 0 {
        let other = numbers.pick(&others);
        write(numbers, other, 0);
    }
    match numbers.below(8) {
        0 => {}
        1 => write(numbers, "agents:END\n", 0),
        2 => write(numbers, "agents: nullEND\n", 0),
        3 => write(numbers, "agents: {}END\n", 0),
        4 => write(numbers, "agents: {agent-0: {directory: /a}, agent-1: {directory: /b}}END\n", 0),
        5 => write(
            numbers,
            "agents: {END\n  agent-0: {directory: /a},END\n  agent-1: {directory: /b}END\n}\n",
            0,
        ),
        _ => {
            write(numbers, "agents:END\nCOMMENT", 0);
            for name in 0..=numbers.below(4) {
                let entry = numbers.pick(&entries);
                write(numbers, entry, name);
                write(numbers, "COMMENT", 0);
            }
        }
    }
    write(numbers, "COMMENT", 0);
    if numbers.below(2) == 0 {
        write(numbers, "policies: {}END\nCOMMENT", 0);
    }
    match numbers.below(6) {
        0 => text = text.replace('\n', "\r\n"),
        1 => text = format!("---\n{text}...\n"),
        2 => text = format!("\u{feff}{text}"),
        3 => text.truncate(text.trim_end().len()),
        _ => {}
    }
    text
}

#[test]
fn adding_and_removing_gives_back_what_was_there() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let (mut edited, mut refused) = (0, 0);
    for _ in 0..1000 {
        let before = some_config(&mut numbers);
        let file = File::new(&before);
        // Tabs and dangling aliases make some of them none.
        let Ok(config) = file.load() else { continue };
        let path = file.path();
        match add(&path, shop()) {
            Ok(()) => {
                let with = text(&path);
                let comments = |text: &str| text.matches('#').count();
                assert_eq!(comments(&with), comments(&before), "{before}\n=>\n{with}");
                if let Err(error) = remove(&path, "shop") {
                    panic!("{error}\n{with}");
                }
                edited += 1;
            }
            Err(EditError::Uneditable { .. }) => refused += 1,
            Err(error) => panic!("{error}\n{before}"),
        }
        let after = file.load().expect("a config");
        let names = |config: &super::Config| -> Vec<String> {
            config.agents.iter().map(|(name, _)| name.to_owned()).collect()
        };
        assert_eq!(names(&after), names(&config), "{before}");
        assert_eq!(after.settings, config.settings);
        for name in names(&config) {
            match remove(&path, &name) {
                Ok(()) => edited += 1,
                Err(EditError::Uneditable { .. }) => refused += 1,
                Err(error) => panic!("{error}\n{before}"),
            }
        }
    }
    assert!(edited > 900, "{edited}");
    assert!(refused * 50 < edited, "{refused} refused, {edited} edited");
}
