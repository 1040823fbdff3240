//! One call of a policy: a fresh instance, limited in all it does, thrown away.
//!
//! Calls run on threads that may block, never on the reactor. A guest that does
//! not come back is ended by its own code, which looks at the engine's epoch; the
//! host never keeps it, as nothing that the host offers can wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::Sender;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{
    Deterministic, HostWallClock, I32Exit, WasiCtx, WasiCtxView, WasiView, async_trait,
};

use super::component::{self, Loaded};
use super::error::Failure;
use super::limits::{self, Limits, mebibytes};
use super::prompt::bindings::agent_dispatch::policy::host;
use super::stderr::Tail;
use super::text;

/// How often a guest that is past its time is reminded.
const REMIND: Duration = Duration::from_millis(10);

/// What a store holds beside the guest.
pub(super) struct State {
    policy: String,
    limits: Limits,
    memory: usize,
    table_entries: usize,
    hit: Option<Failure>,
    instantiated: bool,
    log_left: usize,
    log_dropped: usize,
    wasi: Option<Box<EmptyWasi>>,
}

/// A WASI world with nothing in it: no files, no environment, no network, and
/// clocks and random numbers that are always the same.
struct EmptyWasi {
    context: WasiCtx,
    table: ResourceTable,
    stderr: Tail,
}

/// What the host offers to every policy.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
}

/// The empty WASI world, for guests whose standard library asks for one.
pub(super) fn add_wasi_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // In its place a clock that stands still: what waits for it does not wait.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Runs `body` against a fresh instance. Returns the guest's result or why there
/// is none.
pub(super) async fn call<T, F>(
    loaded: Arc<Loaded>,
    policy: String,
    limits: Limits,
    body: F,
) -> Result<T, Failure>
where
    T: Send + 'static,
    F: FnOnce(&mut Store<State>, &Loaded) -> wasmtime::Result<T> + Send + 'static,
{
    let timeout = Duration::from_millis(limits.timeout_ms);
    let engine = loaded.instance.engine().clone();
    let (sender, mut result) = tokio::sync::oneshot::channel();
    tokio::task::spawn_blocking(move || run(&loaded, policy, limits, timeout, sender, body));
    // A task of its own: the guest is ended in time even if nobody waits any more.
    let watched = tokio::spawn(async move {
        let mut patience = timeout;
        loop {
            if let Ok(result) = tokio::time::timeout(patience, &mut result).await {
                return result;
            }
            patience = REMIND;
            engine.increment_epoch();
        }
    });
    match watched.await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) => Err(Failure::Host("the call was lost: its thread panicked".into())),
        Err(error) => Err(Failure::Host(format!("the call was lost: {error}"))),
    }
}

fn run<T>(
    loaded: &Loaded,
    policy: String,
    limits: Limits,
    timeout: Duration,
    sender: Sender<Result<T, Failure>>,
    body: impl FnOnce(&mut Store<State>, &Loaded) -> wasmtime::Result<T>,
) {
    let mut store = Store::new(loaded.instance.engine(), State::new(policy, limits));
    store.limiter(|state| state);
    store.set_hostcall_fuel(mebibytes(limits.output_mib));
    store.set_max_component_handles(limits::HANDLES);
    let deadline = Instant::now() + timeout;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |_| {
        Ok(if Instant::now() < deadline {
            UpdateDeadline::Continue(1)
        } else {
            UpdateDeadline::Interrupt
        })
    });
    let result = body(&mut store, loaded);
    let state = store.data_mut();
    if state.log_dropped > 0 {
        tracing::warn!(
            policy = state.policy,
            dropped = state.log_dropped,
            "the policy logs too much; its further lines are dropped"
        );
    }
    // Who waits need not wait until the instance is taken apart. Nobody waits where
    // the dispatch was cancelled.
    let _ = sender.send(result.map_err(|error| state.explain(&error)));
}

fn timed_out(limits: Limits) -> Failure {
    Failure::Limit { limit: "timeout_ms", value: limits.timeout_ms }
}

impl State {
    fn new(policy: String, limits: Limits) -> Self {
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
        }
    }

    /// Which limit or trap an error of wasmtime's stands for.
    fn explain(&mut self, error: &wasmtime::Error) -> Failure {
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
            None if !self.instantiated => component::misfit(error),
            _ => {
                let stderr = self.wasi.as_ref().map(|wasi| wasi.stderr.text()).unwrap_or_default();
                Failure::Trap {
                    message: text::shown(&message, text::SAID),
                    stderr: text::shown(stderr.trim(), text::SAID),
                }
            }
        }
    }

    /// From now on an error is the guest's doing, not one of its shape.
    pub(super) fn set_instantiated(&mut self) {
        self.instantiated = true;
    }

    fn refuse(&mut self, failure: Failure) -> wasmtime::Result<bool> {
        let message = failure.to_string();
        self.hit.get_or_insert(failure);
        Err(wasmtime::Error::msg(message))
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
            return self.refuse(Failure::Limit { limit: "memory_mib", value });
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
            return self.refuse(Failure::Bound {
                bound: format!("{} table entries", limits::TABLE_ENTRIES),
            });
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

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(EmptyWasi::new);
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl EmptyWasi {
    fn new() -> Box<Self> {
        let stderr = Tail::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::HANDLES);
        let context = WasiCtx::builder()
            .stderr(stderr.clone())
            .wall_clock(StoppedClock)
            .secure_random(Deterministic::new(vec![4]))
            .insecure_random(Deterministic::new(vec![4]))
            .insecure_random_seed(4)
            .max_random_size(1 << 20)
            .build();
        Box::new(Self { context, table, stderr })
    }
}

/// It is always the beginning of 1970.
struct StoppedClock;

impl HostWallClock for StoppedClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }
    fn now(&self) -> Duration {
        Duration::ZERO
    }
}

/// It is always the beginning of time, and every moment to wait for has come.
impl monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let table = self.ctx().table;
        let now = table.push(Now)?;
        subscribe(table, now)
    }

    fn subscribe_duration(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        self.subscribe_instant(0)
    }
}

struct Now;

#[async_trait]
impl Pollable for Now {
    async fn ready(&mut self) {}
}
