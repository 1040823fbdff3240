//! The describe policy `classic`: what the Python tool finds in a project, in its words.

use describing::bindings::agent_dispatch::policy::project_view::Project;
use describing::bindings::agent_dispatch::policy::types::PolicyError;
use describing::bindings::exports::agent_dispatch::policy::describe::{Description, Guest};

struct Classic;
describing::bindings::export!(Classic with_types_in describing::bindings);

impl Guest for Classic {
    fn check(config: String) -> Result<(), PolicyError> {
        describing::no_config("classic", &config)
    }

    fn describe(_config: String, project: &Project) -> Result<Description, PolicyError> {
        Ok(Description {
            text: describing::sentence(project),
            mcp_servers: describing::mcp_servers(project),
            stacks: describing::stacks(project),
            databases: describing::databases(project),
        })
    }
}
