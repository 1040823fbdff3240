//! What a client hears while it waits, if it gave a token: what happens, and again and
//! again that the work is still on. Clients give up on calls that are silent for too long.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use rmcp::RoleServer;
use rmcp::model::ProgressNotificationParam;
use rmcp::service::RequestContext;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::wording::Wording;
use crate::dispatch::Listener;
use crate::lock::lock;

/// The longest silence.
const INTERVAL: Duration = Duration::from_secs(15);

/// How long a client may take for a notice once the work is done. After that it gets the
/// result without the rest.
const PATIENCE: Duration = Duration::from_millis(500);

/// What may wait for a client that listens slowly, in bytes.
const WAITING_BYTES: usize = 4 << 20;

/// How many notices are handed over at once. They go out in this order: rmcp sends in the
/// order in which it is asked.
const AT_ONCE: usize = 32;

/// What a notice takes besides its text, in bytes.
const NOTICE_BYTES: usize = 64;

/// Does the work, which is given somebody to tell, and tells the client meanwhile, in these
/// words.
pub(super) async fn report<T, W: Future<Output = T>>(
    context: &RequestContext<RoleServer>,
    wording: Wording,
    work: impl FnOnce(Listener) -> W,
) -> T {
    let Some(token) = context.meta.get_progress_token() else {
        return work(Listener::nobody()).await;
    };
    let notices = Arc::new(Notices::new(wording));
    let hears = Arc::clone(&notices);
    let work = work(Listener::new(move |heard| hears.hear(heard)));
    let notify = |number: u32, message: String| {
        let progress = ProgressNotificationParam::new(token.clone(), number.into());
        context.peer.notify_progress(progress.with_message(message))
    };
    tell(work, &notices, INTERVAL, notify).await
}

/// What is to be told to one client, oldest first.
struct Notices {
    waiting: Mutex<Waiting>,
    changed: Notify,
    since: Instant,
}

struct Waiting {
    wording: Wording,
    lines: VecDeque<String>,
    bytes: usize,
    /// How many of the oldest had to make room.
    folded: usize,
    /// What is told again after a long silence.
    status: String,
}

/// What a client is told at once.
pub(super) enum Notice {
    /// How the call stands, which is also told again in a long silence.
    Status(String),
    /// What an agent did.
    Event(String),
}

impl Notices {
    fn new(wording: Wording) -> Self {
        let status = wording.beginning().to_owned();
        let waiting = Waiting { wording, lines: VecDeque::new(), bytes: 0, folded: 0, status };
        Self { waiting: Mutex::new(waiting), changed: Notify::new(), since: Instant::now() }
    }

    /// Takes news. Never waits: whoever tells them has other things to do.
    fn hear(&self, heard: crate::dispatch::Heard<'_>) {
        let mut waiting = lock(&self.waiting);
        match waiting.wording.notice(heard) {
            None => return,
            Some(Notice::Status(status)) => {
                waiting.status = status;
                let line = self.status(&waiting);
                waiting.push(line);
            }
            Some(Notice::Event(line)) => waiting.push(line),
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Says again how the call stands.
    fn remind(&self) {
        let mut waiting = lock(&self.waiting);
        let line = self.status(&waiting);
        waiting.push(line);
    }

    fn status(&self, waiting: &Waiting) -> String {
        format!("{}: {} s", waiting.status, self.since.elapsed().as_secs())
    }

    /// The oldest of what is to be told.
    fn next(&self) -> Vec<String> {
        let mut waiting = lock(&self.waiting);
        let folded = std::mem::take(&mut waiting.folded);
        let folded = (folded > 0).then(|| format!("({folded} earlier notices are left out)"));
        folded.into_iter().chain(std::iter::from_fn(|| waiting.pop())).take(AT_ONCE).collect()
    }
}

impl Waiting {
    fn push(&mut self, line: String) {
        self.bytes += line.len() + NOTICE_BYTES;
        self.lines.push_back(line);
        while self.bytes > WAITING_BYTES && self.pop().is_some() {
            self.folded += 1;
        }
    }

    fn pop(&mut self) -> Option<String> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len() + NOTICE_BYTES;
        Some(line)
    }
}

async fn tell<T, N: Future>(
    work: impl Future<Output = T>,
    notices: &Notices,
    interval: Duration,
    notify: impl Fn(u32, String) -> N,
) -> T {
    tokio::pin!(work);
    let mut number = 0;
    let mut result = None;
    loop {
        let lines = notices.next();
        if lines.is_empty() {
            if let Some(result) = result {
                return result;
            }
            tokio::select! {
                done = &mut work => result = Some(done),
                news = tokio::time::timeout(interval, notices.changed.notified()) => {
                    if news.is_err() {
                        notices.remind();
                    }
                }
            }
            continue;
        }
        let notified = lines.into_iter().map(|line| {
            number += 1;
            notify(number, line)
        });
        let notified = join_all(notified);
        tokio::pin!(notified);
        // A client that does not listen must not hold up the work: rmcp passes on
        // nothing any more once its input has ended.
        if result.is_none() {
            tokio::select! {
                biased;
                _ = &mut notified => continue,
                done = &mut work => result = Some(done),
            }
        }
        // What has happened is told before the result, to a client that listens.
        let told = tokio::time::timeout(PATIENCE, notified).await;
        if told.is_err()
            && let Some(result) = result.take()
        {
            return result;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;
    use crate::agent::RunEvent;
    use crate::dispatch::{Heard, News};

    const HOUR: Duration = Duration::from_hours(1);

    fn heard(news: News<'_>) -> Heard<'_> {
        Heard { number: 0, agent: "a", news }
    }

    /// Collects what a client is told while `work` is done.
    async fn told<T>(
        notices: &Notices,
        interval: Duration,
        work: impl Future<Output = T>,
    ) -> Vec<String> {
        let told = Mutex::new(Vec::new());
        let notify = |number: u32, message: String| {
            let mut told = lock(&told);
            assert_eq!(number as usize, told.len() + 1, "the numbers rise");
            told.push(message);
            ready(())
        };
        tell(work, notices, interval, notify).await;
        told.into_inner().expect("nobody panicked")
    }

    #[tokio::test]
    async fn a_change_is_told_at_once_and_no_silence_is_long() {
        let notices = Notices::new(Wording::Dispatch);
        notices.hear(heard(News::Running));
        assert_eq!(told(&notices, HOUR, ready(())).await, ["'a' works: 0 s"]);

        let (told, heard) = (tokio::sync::Notify::new(), Mutex::new(String::new()));
        let notify = |_, message| {
            *lock(&heard) = message;
            told.notify_one();
            ready(())
        };
        tell(told.notified(), &notices, Duration::ZERO, notify).await;
        assert_eq!(*lock(&heard), "'a' works: 0 s");
    }

    #[tokio::test]
    async fn what_happened_is_told_before_the_result_and_in_order() {
        let notices = Notices::new(Wording::Stream);
        for number in 0..10_000 {
            let event = RunEvent::Text { text: number.to_string() };
            notices.hear(heard(News::Event(&event)));
        }
        let expected: Vec<_> = (0..10_000).map(|number| format!("a says: {number}")).collect();
        assert_eq!(told(&notices, HOUR, ready(())).await, expected);
    }

    #[tokio::test]
    async fn for_a_slow_client_the_oldest_make_room_and_are_counted() {
        let notices = Notices::new(Wording::Stream);
        let event = RunEvent::Text { text: "x".repeat(1000) };
        for _ in 0..20_000 {
            notices.hear(heard(News::Event(&event)));
        }
        assert!(lock(&notices.waiting).bytes <= WAITING_BYTES);
        let told = told(&notices, HOUR, ready(())).await;
        let left_out = 20_000 - (told.len() - 1);
        assert_eq!(told[0], format!("({left_out} earlier notices are left out)"));
        assert!(told[1].starts_with("a says: xxx"), "{}", told[1]);
    }

    #[tokio::test]
    async fn a_client_that_does_not_listen_holds_up_nothing() {
        let notices = Notices::new(Wording::Dispatch);
        let told = Notify::new();
        let notify = |_, _| {
            told.notify_one();
            std::future::pending::<()>()
        };
        let work = async {
            told.notified().await;
            "done"
        };
        assert_eq!(tell(work, &notices, Duration::ZERO, notify).await, "done");
    }
}
