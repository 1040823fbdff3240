//! What one call of a policy may use.

/// The limits of one call. Every field has a default that suits a policy which
/// only works on text; the config can change them in settings and per policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Limits {
    /// Milliseconds of wall time, calls into the host included, compiling not.
    pub timeout_ms: u64,
    /// MiB of linear memory, all memories of the component together.
    pub memory_mib: u64,
    /// MiB of text that goes in; longer text is cut in its middle.
    pub input_mib: u64,
    /// MiB of data that comes out.
    pub output_mib: u64,
    /// KiB of log, 64 bytes a line included; what is more is dropped and counted.
    pub log_kib: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout_ms: 1000, memory_mib: 128, input_mib: 8, output_mib: 10, log_kib: 64 }
    }
}

/// Largest config of a policy, in bytes of JSON.
pub(super) const CONFIG_BYTES: usize = 256 << 10;
/// Largest component file, in bytes.
pub(super) const COMPONENT_BYTES: u64 = 64 << 20;
/// Stack of the guest, in bytes. It belongs to the engine, so no policy can
/// change it.
pub(super) const STACK_BYTES: usize = 1 << 20;
/// Entries of all tables of a component together. A table entry costs the host
/// 8 to 16 bytes.
pub(super) const TABLE_ENTRIES: usize = 1 << 20;
/// Handles a component may hold.
pub(super) const HANDLES: usize = 1024;
/// Memories, tables and core instances a component may have, of each.
pub(super) const INSTANCES: usize = 64;
/// What a describe policy may read of one file, and of all files in a call, in bytes.
pub(super) const PROJECT_FILE_BYTES: usize = 1 << 20;
pub(super) const PROJECT_BYTES: usize = 8 << 20;
/// How many entries of directories it is shown in a call.
pub(super) const PROJECT_ENTRIES: usize = 2000;
/// What a log line costs beside its text, in bytes.
pub(super) const LOG_LINE_BYTES: usize = 64;

/// `mib` MiB in bytes, as far as this machine can count.
pub(super) fn mebibytes(mib: u64) -> usize {
    usize::try_from(mib.saturating_mul(1 << 20)).unwrap_or(usize::MAX)
}
