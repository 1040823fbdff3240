//! The one engine: how guests are run, and which compiled code fits.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};
use wasmtime::{Config, Engine};

use super::limits;

/// Written into the name of every compiled file: changes when this room changes
/// what it compiles or how it stores it.
const FORMAT: u32 = 1;

/// What the server runs guests with. It has no compiler: machine code comes from
/// the compile child or from disk.
pub(super) fn runtime() -> wasmtime::Result<Engine> {
    let mut config = shared();
    config.enable_compiler(false);
    Engine::new(&config)
}

/// What the compile child compiles with.
pub(super) fn compiler() -> wasmtime::Result<Engine> {
    let mut config = shared();
    // The same component gives the same code, and decisions do not depend on
    // the machine.
    config.cranelift_nan_canonicalization(true);
    Engine::new(&config)
}

/// All that decides whether code from one engine runs in another.
fn shared() -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(true)
        .max_wasm_stack(limits::STACK_BYTES)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        .concurrency_support(false)
        // A guest's memory is small and used once: copying it costs less than the
        // page faults of a shared mapping (measured, a quarter of a call).
        .memory_init_cow(false)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(16));
    config
}

/// The part of a compiled file's name that says for which engine it was made:
/// wasmtime's version and settings, this room's format, and the platform.
pub(super) fn compatibility(engine: &Engine) -> String {
    struct Digester(Sha256);
    impl Hasher for Digester {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            0
        }
    }
    let mut digester = Digester(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut digester);
    FORMAT.hash(&mut digester);
    std::env::consts::ARCH.hash(&mut digester);
    std::env::consts::OS.hash(&mut digester);
    hex(&digester.0.finalize())[..16].to_owned()
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
