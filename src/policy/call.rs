//! One call of a policy: a fresh instance, limited in all it does, thrown away.
//!
//! Calls run on threads that may block, never on the reactor. A guest that does
//! not come back is ended in two ways at once: the engine's epoch is advanced
//! until its code notices, and its future is dropped if it waits in the host.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{ResourceLimiter, Store, Trap, UpdateDeadline};
use wasmtime_wasi::{
    Deterministic, HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView,
};

use super::component::Loaded;
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

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    host::add_to_linker::<_, HasSelf<State>>(linker, |state| state)
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
    F: AsyncFnOnce(&mut Store<State>, &Loaded) -> wasmtime::Result<T> + Send + 'static,
{
    let timeout = Duration::from_millis(limits.timeout_ms);
    let engine = loaded.instance.engine().clone();
    let cut_off = Arc::new(Notify::new());
    let cut_off_here = Arc::clone(&cut_off);
    let runtime = tokio::runtime::Handle::current();
    let mut thread = tokio::task::spawn_blocking(move || {
        runtime.block_on(run(&loaded, policy, limits, timeout, &cut_off_here, body))
    });
    // A task of its own: the guest is ended in time even if nobody waits any more.
    let watched = tokio::spawn(async move {
        if let Ok(result) = tokio::time::timeout(timeout, &mut thread).await {
            return result;
        }
        loop {
            cut_off.notify_one();
            engine.increment_epoch();
            if let Ok(result) = tokio::time::timeout(REMIND, &mut thread).await {
                return result;
            }
        }
    });
    match watched.await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) | Err(error) => Err(Failure::Host(format!("the call was lost: {error}"))),
    }
}

async fn run<T>(
    loaded: &Loaded,
    policy: String,
    limits: Limits,
    timeout: Duration,
    cut_off: &Notify,
    body: impl AsyncFnOnce(&mut Store<State>, &Loaded) -> wasmtime::Result<T>,
) -> Result<T, Failure> {
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
    let result = tokio::select! {
        biased;
        result = body(&mut store, loaded) => Some(result),
        () = cut_off.notified() => None,
    };
    let state = store.data_mut();
    if state.log_dropped > 0 {
        tracing::warn!(
            policy = state.policy,
            dropped = state.log_dropped,
            "the policy logs too much; its further lines are dropped"
        );
    }
    match result {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(state.explain(&error)),
        None => Err(timed_out(limits)),
    }
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
        match error.downcast_ref::<Trap>() {
            Some(Trap::Interrupt) => return timed_out(self.limits),
            Some(Trap::StackOverflow) => {
                return Failure::Bound {
                    bound: format!("{} MiB of stack", limits::STACK_BYTES >> 20),
                };
            }
            _ => {}
        }
        let message = error.root_cause().to_string();
        // wasmtime keeps this error's type to itself.
        if message.contains("fuel allocated for hostcalls has been exhausted") {
            return Failure::Limit { limit: "output_mib", value: self.limits.output_mib };
        }
        let stderr = self.wasi.as_ref().map(|wasi| wasi.stderr.text()).unwrap_or_default();
        Failure::Trap { message, stderr: text::shown(stderr.trim(), text::SAID) }
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
            .monotonic_clock(StoppedClock)
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

impl HostMonotonicClock for StoppedClock {
    fn resolution(&self) -> u64 {
        1
    }
    fn now(&self) -> u64 {
        0
    }
}
