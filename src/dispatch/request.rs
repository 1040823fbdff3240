//! What a caller asks for.

/// One request to one agent, as the caller gave it. Empty texts are absent ones.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The agent's name in the config.
    pub agent: String,
    /// What it should do.
    pub task: String,
    /// Material to work with.
    pub context: String,
    /// Who asks.
    pub caller: String,
    /// What the caller is trying to reach.
    pub goal: String,
}
