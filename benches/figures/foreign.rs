//! Policies in languages that bring an engine or an interpreter along: much larger
//! components than those in Rust.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use agent_dispatch::policy::{ComponentSource, Host, KINDS, Limits, Source};
use serde_json::{Map, Value};

use crate::print::row;
use crate::support::{BINARY, World};

/// The paths of built components with the config of each, as a JSON object.
/// `tests/real/example-policies` builds such.
const COMPONENTS: &str = "FOREIGN_POLICIES";
const CALLS: usize = 200;
const LOADS: usize = 30;

/// A call with a fresh instance, of the smallest function there is: it checks a config. And
/// loading what was compiled before into a new host, from the file to the end of such a call.
pub(crate) fn foreign() {
    let Ok(components) = std::env::var(COMPONENTS) else {
        println!("{:58} {:>12}", "policies in other languages", format!("no {COMPONENTS}"));
        return;
    };
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let new_host = || Arc::new(Host::new(BINARY.into(), world.path("components")));
    let components: Map<String, Value> = serde_json::from_str(&components).expect("an object");
    for (path, config) in &components {
        let source = |number: usize| Source {
            name: "foreign".to_owned(),
            component: ComponentSource::File(PathBuf::from(path)),
            // The same config is not checked again: white space makes it another one.
            config: format!("{config}{}", " ".repeat(number)),
            limits: Limits::default(),
        };
        let name = Path::new(path).file_stem().and_then(|name| name.to_str()).expect("a name");
        runtime.block_on(async {
            let host = new_host();
            let mut kind = None;
            for candidate in KINDS {
                if host.loads(&source(0), candidate).await.is_ok() {
                    kind = Some(candidate);
                }
            }
            let kind = kind.expect("a policy of some kind");
            let mut calls = Vec::new();
            for number in 1..=CALLS {
                let begin = Instant::now();
                host.loads(&source(number), kind).await.expect("it loads");
                calls.push(begin.elapsed());
            }
            row(&format!("one call of {name}, ms"), calls, None);
            let mut loads = Vec::new();
            for _ in 0..LOADS {
                let host = new_host();
                let begin = Instant::now();
                host.loads(&source(0), kind).await.expect("it loads");
                loads.push(begin.elapsed());
            }
            row(&format!("loading {name}, compiled before, and a call, ms"), loads, None);
        });
    }
}
