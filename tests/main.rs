//! The tests see what a user sees: the real binary, a real MCP client, real child
//! processes, real files.

mod agents;
mod aggregates;
#[cfg(target_os = "linux")]
mod chaos;
mod child;
mod cli;
mod config;
mod describing;
mod dialogues;
mod frozen;
mod guide;
mod hints;
mod hostile;
mod installed;
mod interface;
#[cfg(target_os = "linux")]
mod jobs;
mod journal;
mod kit;
mod large;
#[cfg(target_os = "linux")]
mod leaving;
#[cfg(target_os = "linux")]
mod limit;
mod mcp;
mod parallel;
mod policies;
#[cfg(target_os = "linux")]
mod processes;
mod prompts;
mod readme;
mod reload;
mod replay;
mod sandbox;
mod sessions;
mod setup;
#[cfg(target_os = "linux")]
mod shared_cache;
mod sharing;
mod streaming;
mod support;
#[cfg(target_os = "linux")]
mod tasks;
