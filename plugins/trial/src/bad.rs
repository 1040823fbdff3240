//! What any of the three calls can be told to do.

use std::hint::black_box;

use support::bindings::agent_dispatch::policy::host::{Level, log};
use support::bindings::agent_dispatch::policy::types::PolicyError;

/// Does it. Returns `Ok` after `log`, and nothing at all after most of the others.
pub(crate) fn behave(behaviour: &str) -> Result<(), PolicyError> {
    match behaviour {
        "log" => {
            log(Level::Info, "the first line");
            log(Level::Warn, "a line\nand what looks like another");
            log(Level::Error, "red: \u{1b}[31mred");
            return Ok(());
        }
        "loop" => loop {
            black_box(());
        },
        "loop-log" => loop {
            log(Level::Info, "");
        },
        "memory" => {
            let mut all = Vec::new();
            loop {
                all.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        "recurse" => {
            black_box(recurse(black_box(1)));
        }
        "panic" => panic!("the trial panics, as it was told"),
        "trap" => std::process::abort(),
        #[cfg(target_os = "wasi")]
        "sleep" => crate::wasi::sleep(),
        #[cfg(target_os = "wasi")]
        "stderr" => crate::wasi::stderr(),
        _ => {}
    }
    Err(match behaviour {
        "fail" => PolicyError::Failed("it fails \u{1b}[31mas it was told".to_owned()),
        "unsupported" => PolicyError::Unsupported("not this request".to_owned()),
        "invalid-config" => PolicyError::InvalidConfig("`check` says so".to_owned()),
        _ => crate::unknown(behaviour),
    })
}

/// Deeper than any stack. It takes no address of anything, so that it is the host's
/// stack that ends and not the one in memory.
#[inline(never)]
fn recurse(depth: u64) -> u64 {
    if depth == 0 { 1 } else { recurse(depth.wrapping_add(1)).rotate_left(1) ^ depth }
}
