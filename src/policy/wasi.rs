//! WASI for guests whose standard library asks for it, though they have no use for
//! it: an empty world.

use std::time::Duration;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{Deterministic, HostWallClock, WasiCtx, WasiCtxView, WasiView, async_trait};

use super::limits;
use super::state::State;
use super::stderr::Tail;

/// A WASI world with nothing in it: no files, no environment, no network, and
/// clocks and random numbers that are always the same.
pub(super) struct EmptyWasi {
    context: WasiCtx,
    table: ResourceTable,
    stderr: Tail,
}

/// The empty WASI world, for guests whose standard library asks for one.
pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    // In its place a clock that stands still: what waits for it does not wait.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?;
    linker.allow_shadowing(false);
    Ok(())
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(EmptyWasi::new);
        WasiCtxView { ctx: &mut wasi.context, table: &mut wasi.table }
    }
}

impl EmptyWasi {
    /// The end of what the guest wrote to standard error.
    pub(super) fn stderr(&self) -> String {
        self.stderr.text()
    }

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
