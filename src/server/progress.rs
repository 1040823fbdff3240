//! What a client hears while it waits, if it gave a token: how far its dispatch is,
//! and again and again that it is still on. Clients give up on calls that are silent
//! for too long.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dispatch::Phase;

/// The longest silence.
const INTERVAL: Duration = Duration::from_secs(15);

/// Waits for `work` and tells the client meanwhile about the agent's phase.
pub(super) async fn report<T>(
    work: impl Future<Output = T>,
    agent: &str,
    phase: watch::Receiver<Phase>,
    context: &RequestContext<RoleServer>,
) -> T {
    let Some(token) = context.meta.get_progress_token() else { return work.await };
    let notify = |elapsed: Duration, message: String| {
        let progress = ProgressNotificationParam::new(token.clone(), elapsed.as_secs_f64());
        context.peer.notify_progress(progress.with_message(message))
    };
    tell(work, agent, phase, INTERVAL, notify).await
}

async fn tell<T, N: Future>(
    work: impl Future<Output = T>,
    agent: &str,
    mut phase: watch::Receiver<Phase>,
    interval: Duration,
    notify: impl Fn(Duration, String) -> N,
) -> T {
    tokio::pin!(work);
    let since = Instant::now();
    loop {
        tokio::select! {
            done = &mut work => return done,
            // The one who tells the phase is not gone before the work is done.
            _ = tokio::time::timeout(interval, phase.changed()) => {}
        }
        let elapsed = since.elapsed();
        let seconds = elapsed.as_secs();
        let message = match *phase.borrow_and_update() {
            Phase::Waiting => format!("'{agent}' does not run yet: {seconds} s"),
            Phase::Running => format!("'{agent}' works: {seconds} s"),
        };
        // A client that does not listen must not hold up the work: rmcp passes on
        // nothing any more once its input has ended.
        tokio::select! {
            done = &mut work => return done,
            _ = notify(elapsed, message) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_is_told_at_once_and_no_silence_is_long() {
        let hour = Duration::from_hours(1);
        for (interval, then) in [(hour, Phase::Running), (Duration::ZERO, Phase::Waiting)] {
            let phase = watch::Sender::new(Phase::Waiting);
            let told = watch::Sender::new(Vec::new());
            let notify = |_, message: String| {
                told.send_modify(|told| told.push(message));
                std::future::ready(())
            };
            let work = async {
                phase.send_if_modified(|now| std::mem::replace(now, then) != then);
                told.subscribe().wait_for(|told| !told.is_empty()).await.map(|told| told[0].clone())
            };
            let told = tell(work, "a", phase.subscribe(), interval, notify).await;
            let expected = match then {
                Phase::Waiting => "'a' does not run yet: 0 s",
                Phase::Running => "'a' works: 0 s",
            };
            assert_eq!(told.expect("a message"), expected);
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_listen_holds_up_nothing() {
        let phase = watch::Sender::new(Phase::Waiting);
        let told = watch::Sender::new(false);
        let notify = |_, _| {
            told.send_replace(true);
            std::future::pending::<()>()
        };
        let work = async { told.subscribe().wait_for(|told| *told).await.map(|_| "done") };
        let done = tell(work, "a", phase.subscribe(), Duration::ZERO, notify).await;
        assert_eq!(done.expect("the sender is there"), "done");
    }
}
