//! What was promised to those who write policies: a version of the interface that was
//! released never changes, and components that were built against it go on working.
//!
//! The components in `frozen/` are what they were on the day of their version's release;
//! nothing rebuilds them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::support::World;
use crate::support::mcp::Client;

/// The released versions, with the digest of what each says.
const VERSIONS: [(&str, &str); 1] =
    [("0.1.0", "18361b5b923b091f04feba8675a1c561033a636cb3b43a7e2f6aafb9cb2e376d")];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A digest of all files of a folder without their comments, which may become clearer.
fn digest(folder: &Path) -> String {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).expect("the folder").flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut digest = Sha256::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("text");
        let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default().trim());
        for line in lines.filter(|line| !line.is_empty()) {
            digest.update(line);
            digest.update("\n");
        }
    }
    format!("{:x}", digest.finalize())
}

#[test]
fn a_released_interface_stays_as_it_is() {
    let wit = repository().join("wit");
    let mut there: Vec<String> = fs::read_dir(&wit)
        .expect("the interfaces")
        .flatten()
        .map(|entry| entry.file_name().into_string().expect("UTF-8"))
        .collect();
    there.sort();
    assert_eq!(there, VERSIONS.map(|(version, _)| version));
    for (version, expected) in VERSIONS {
        let found = digest(&wit.join(version));
        let way_out = "make a new version in a folder of its own instead";
        assert_eq!(found, expected, "wit/{version} was changed: {way_out}");
    }
}

#[test]
fn components_of_every_released_version_work() {
    for (version, _) in VERSIONS {
        let component = |kind: &str| {
            repository().join(format!("tests/frozen/{version}/{kind}.wasm")).display().to_string()
        };
        let world = World::new();
        world.agent("infra", "record\nanswer yes");
        world.agent("web", "record\nanswer yes");
        fs::write(world.path("infra/CLAUDE.md"), "# Infra\n\nRuns things.\n").expect("a file");
        let yaml = world.agents_yaml(&["infra", "web"]);
        let named = ["prompt", "describe", "aggregate", "dialogue", "prompt-wasi"]
            .map(|kind| format!("  old-{kind}: {{component: {}}}\n", component(kind)))
            .concat();
        let chosen = "{prompt: old-prompt, describe: old-describe, aggregate: old-aggregate, dialogue: old-dialogue}";
        let yaml = yaml.replace("  web:", "    policies: {prompt: old-prompt-wasi}\n  web:");
        world.config(&format!("{yaml}  policies: {chosen}\npolicies:\n{named}"));

        let mut client = Client::connect(&world);
        let ask = |agent: &str| json!({"agent": agent, "task": "is it up?"});
        let replies = client.tool(
            "dispatch_parallel",
            json!({"dispatches": [ask("infra"), ask("web")], "aggregate_policy": "old-aggregate"}),
        );
        assert_eq!(replies["aggregated"]["result"], "yes", "{version}: {replies}");
        assert_eq!(replies["aggregated"]["policy"], "old-aggregate", "{version}: {replies}");
        assert_eq!(world.recorded("infra", "prompt").trim(), "is it up?", "the plain one of WASI");
        assert!(world.recorded("web", "prompt").contains("<task>"), "the one with elements");
        let talk = json!({"requester": "infra", "responder": "web", "topic": "why?"});
        let dialogue = client.tool("dispatch_dialogue", talk);
        // Both say the same again and again.
        assert_eq!(dialogue["resolved"], false, "{version}: {dialogue}");
        assert!(
            dialogue["reason"].as_str().is_some_and(|reason| reason.contains("repeat")),
            "{dialogue}"
        );
        let described = world.run(&["describe", "infra", "--json"]).json();
        assert!(
            described["description"].as_str().is_some_and(|text| text.contains("Runs things")),
            "{described}"
        );
        assert!(described.get("policy_fallback").is_none(), "{described}");
    }
}
