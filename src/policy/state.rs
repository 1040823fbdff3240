//! What a store holds beside the guest: what it has used up, and what it hit.

use wasmtime::{ResourceLimiter, Trap};
use wasmtime_wasi::I32Exit;

use super::bindings::agent_dispatch::policy::host;
use super::error::Failure;
use super::limits::{self, Limits, mebibytes};
use super::project::View;
use super::text;
use super::wasi::EmptyWasi;

/// The host's side of one call.
pub(crate) struct State {
    policy: String,
    limits: Limits,
    memory: usize,
    table_entries: usize,
    hit: Option<Failure>,
    instantiated: bool,
    log_left: usize,
    log_dropped: usize,
    pub(super) wasi: Option<Box<EmptyWasi>>,
    /// What a describe policy may look at.
    pub(super) project: Option<View>,
}

/// The failure of a call that takes too long.
pub(super) fn timed_out(limits: Limits) -> Failure {
    Failure::Limit { limit: "timeout_ms", value: limits.timeout_ms }
}

impl State {
    pub(super) fn new(policy: String, limits: Limits) -> Self {
        Self {
            policy,
            limits,
            memory: 0,
            table_entries: 0,
            hit: None,
            instantiated: false,
            log_left: usize::try_from(limits.log_kib << 10).unwrap_or(usize::MAX),
            log_dropped: 0,
            wasi: None,
            project: None,
        }
    }

    /// Which limit or trap an error of wasmtime's stands for.
    pub(super) fn explain(&mut self, error: &wasmtime::Error) -> Failure {
        if let Some(hit) = self.hit.take() {
            return hit;
        }
        // wasmtime keeps the types of the other errors to itself.
        let message = error.root_cause().to_string();
        if let Some(exit) = error.downcast_ref::<I32Exit>() {
            return Failure::Failed(format!("it ended itself with exit code {}", exit.0));
        }
        if message.contains("fuel allocated for hostcalls has been exhausted") {
            return Failure::Limit { limit: "output_mib", value: self.limits.output_mib };
        }
        if message.starts_with("resource limit exceeded") {
            let bound = format!("{} memories, tables or instances", limits::INSTANCES);
            return Failure::Bound { bound };
        }
        if message.contains("resource table has no free keys") {
            return Failure::Bound { bound: format!("{} handles", limits::HANDLES) };
        }
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => timed_out(self.limits),
            Some(Trap::StackOverflow) => {
                let bound = format!("{} MiB of stack", limits::STACK_BYTES >> 20);
                Failure::Bound { bound }
            }
            None if !self.instantiated => Failure::misfit(error),
            _ => {
                let stderr = self.wasi.as_ref().map(|wasi| wasi.stderr()).unwrap_or_default();
                Failure::Trap {
                    message: text::shown(&message, text::SAID),
                    stderr: text::shown(stderr.trim(), text::SAID),
                }
            }
        }
    }

    /// Says in the log how much of the guest's own log was dropped.
    pub(super) fn report_dropped_lines(&self) {
        if self.log_dropped > 0 {
            tracing::warn!(
                policy = self.policy,
                dropped = self.log_dropped,
                "the policy logs too much; its further lines were dropped"
            );
        }
    }

    /// From now on an error is the guest's doing, not one of its shape.
    pub(super) fn set_instantiated(&mut self) {
        self.instantiated = true;
    }

    /// An error that ends the call with this failure.
    pub(super) fn fail(&mut self, failure: Failure) -> wasmtime::Error {
        let message = failure.to_string();
        self.hit.get_or_insert(failure);
        wasmtime::Error::msg(message)
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > mebibytes(self.limits.memory_mib) {
            let value = self.limits.memory_mib;
            return Err(self.fail(Failure::Limit { limit: "memory_mib", value }));
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.table_entries.saturating_add(desired.saturating_sub(current));
        if total > limits::TABLE_ENTRIES {
            let bound = format!("{} table entries", limits::TABLE_ENTRIES);
            return Err(self.fail(Failure::Bound { bound }));
        }
        self.table_entries = total;
        Ok(true)
    }

    fn instances(&self) -> usize {
        limits::INSTANCES
    }

    fn tables(&self) -> usize {
        limits::INSTANCES
    }

    fn memories(&self) -> usize {
        limits::INSTANCES
    }
}

impl host::Host for State {
    fn log(&mut self, level: host::Level, message: String) {
        let cost = message.len() + limits::LOG_LINE_BYTES;
        if cost > self.log_left {
            self.log_dropped += 1;
            return;
        }
        self.log_left -= cost;
        let message = text::shown(&message, message.len());
        let policy = &self.policy;
        match level {
            host::Level::Error => tracing::error!(policy, "{message}"),
            host::Level::Warn => tracing::warn!(policy, "{message}"),
            host::Level::Info => tracing::info!(policy, "{message}"),
            host::Level::Debug => tracing::debug!(policy, "{message}"),
        }
    }
}
