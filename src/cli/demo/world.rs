//! What the demo stands on: the sample projects of `examples/projects` and a config, in a
//! folder that is gone afterwards.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::config::Paths;

const PROJECTS: &[(&str, &str)] = &[
    ("infra/CLAUDE.md", include_str!("../../../examples/projects/infra/CLAUDE.md")),
    ("infra/services.md", include_str!("../../../examples/projects/infra/services.md")),
    (
        "infra/logs/scheduler.log",
        include_str!("../../../examples/projects/infra/logs/scheduler.log"),
    ),
    ("shop/CLAUDE.md", include_str!("../../../examples/projects/shop/CLAUDE.md")),
    ("shop/jobs.sql", include_str!("../../../examples/projects/shop/jobs.sql")),
    ("shop/orders.md", include_str!("../../../examples/projects/shop/orders.md")),
];

/// Where everything of the demo lies, and its config as it stands there.
pub(super) struct World {
    pub(super) paths: Paths,
    pub(super) config: String,
}

impl World {
    /// Writes it all into this folder.
    pub(super) fn write(folder: &Path) -> anyhow::Result<Self> {
        for (name, text) in PROJECTS {
            let path = folder.join(name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, text)?;
        }
        let config = config(folder)?;
        let config_file = folder.join("agents.yaml");
        fs::write(&config_file, &config)?;
        let paths = Paths {
            home: folder.to_owned(),
            is_config_named: true,
            config_file,
            cache_folder: folder.join("cache"),
            state_folder: folder.join("state"),
        };
        Ok(Self { paths, config })
    }
}

/// The paths are written as JSON strings, which are YAML too, so that any path will do.
fn config(folder: &Path) -> anyhow::Result<String> {
    let program = json!(std::env::current_exe()?.to_string_lossy());
    let project = |name: &str| json!(folder.join(name).to_string_lossy());
    let (infra, shop) = (project("infra"), project("shop"));
    Ok(format!(
        "\
agents:
  infra:
    directory: {infra}
    description: Runs the shop; logs and deployments of all services
  infra-xml:
    directory: {infra}
    description: The same, with another prompt policy
    policies: {{prompt: xml}}
  shop:
    directory: {shop}
    description: Orders, payments and invoices
settings:
  command: [{program}, practice-agent]
"
    ))
}
