//! One call of a policy: a fresh instance, limited in all it does, thrown away.
//!
//! Calls run on threads that may block, never on the reactor. A guest that does
//! not come back is ended by its own code, which looks at the engine's epoch. Only
//! where a project lies on a file system that does not answer is it out of reach; then
//! its caller is told so, and the thread is left to itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::Sender;
use wasmtime::{Store, UpdateDeadline};

use super::component::Loaded;
use super::error::Failure;
use super::limits::{self, Limits, mebibytes};
use super::state::{self, State};

/// How often a guest that is past its time is reminded.
const REMIND: Duration = Duration::from_millis(10);

/// How long after its time a guest is waited for.
const GIVE_UP: Duration = Duration::from_secs(2);

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
        let last = Instant::now() + timeout + GIVE_UP;
        while Instant::now() < last {
            if let Ok(result) = tokio::time::timeout(patience, &mut result).await {
                return result;
            }
            patience = REMIND;
            engine.increment_epoch();
        }
        Ok(Err(state::timed_out(limits)))
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
    state.report_dropped_lines();
    // Who waits need not wait until the instance is taken apart. Nobody waits where
    // the dispatch was cancelled.
    let _ = sender.send(result.map_err(|error| state.explain(&error)));
}
