//! Answers that are given again to the same question, in memory; and what there is to say
//! of these and of those in the store, which `shared` looks up.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lru::LruCache;
use serde::Serialize;

use super::key::Key;
use super::reply::{Refusal, Reply};
use super::{Dispatcher, NO_AGENT};
use crate::config::CacheSettings;
use crate::store::answers;

/// The most that all kept answers may take, in bytes.
const BYTES: usize = 64 << 20;

/// How long somebody waits who wants all answers forgotten.
const CLEARING: Duration = Duration::from_secs(10);

/// Answers by question. Those asked for least recently go first.
pub(super) struct Cache {
    entries: LruCache<Key, Entry>,
    bytes: usize,
    counters: Counters,
}

struct Entry {
    reply: Arc<Reply>,
    /// By the clock on the wall: the others may stand still while the machine sleeps.
    since: SystemTime,
}

impl Entry {
    /// None where the clock was set back meanwhile.
    fn age(&self) -> Option<Duration> {
        self.since.elapsed().ok()
    }
}

#[derive(Default)]
struct Counters {
    hits: u64,
    misses: u64,
    evictions: u64,
}

/// What `cache_stats` tells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CacheStats {
    /// How many answers there are.
    pub size: usize,
    /// How many there may be.
    pub max_size: u32,
    /// How often an answer was given again.
    pub hits: u64,
    /// How often there was none.
    pub misses: u64,
    /// How many answers had to make room before their time was over.
    pub evictions: u64,
    /// Hits among all look-ups, from 0 to 1.
    pub hit_rate: f64,
    /// How long an answer is kept, in seconds.
    pub ttl: u32,
    /// Where answers are shared with other servers: are theirs counted in `size`? They are
    /// not where the store does not work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<bool>,
}

impl Dispatcher {
    /// What is kept of earlier answers; none where the config switches that off.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config cannot be read.
    pub async fn cache_stats(self: &Arc<Self>) -> Result<Option<CacheStats>, Refusal> {
        let Some((settings, shared)) = self.cache().await? else { return Ok(None) };
        let mut stats = self.flights.stats(settings);
        if shared {
            let counting = move |connection: &mut _| answers::count(connection, ttl(settings));
            let counted = self.journal.store.ask(counting).await;
            stats.shared = Some(counted.is_ok());
            stats.size += counted.unwrap_or_default();
        }
        Ok(Some(stats))
    }

    /// Forgets all earlier answers and says how many there were; none where the config
    /// switches them off.
    ///
    /// # Errors
    ///
    /// [`Refusal`] when the config cannot be read, or when answers are shared with other
    /// servers and these cannot be forgotten.
    pub async fn cache_clear(self: &Arc<Self>) -> Result<Option<usize>, Refusal> {
        let Some((settings, shared)) = self.cache().await? else { return Ok(None) };
        let mut cleared = self.flights.clear(settings);
        if shared {
            let clearing = move |connection: &mut _| answers::clear(connection, ttl(settings));
            cleared +=
                self.journal.store.ask_within(CLEARING, clearing).await.map_err(|error| {
                    Refusal::new(format!(
                        "the answers that servers share cannot be forgotten: {error}"
                    ))
                })?;
        }
        Ok(Some(cleared))
    }

    /// What the config says, and whether any answers are shared; none where it switches the
    /// cache off.
    async fn cache(self: &Arc<Self>) -> Result<Option<(CacheSettings, bool)>, Refusal> {
        let this = Arc::clone(self);
        let looking = move || {
            let config = this.load()?;
            Ok((config.settings.cache, config.shares_answers()))
        };
        let found = self.look(NO_AGENT, looking).await?;
        Ok(Some(found).filter(|(settings, _)| settings.is_on()))
    }
}

impl Cache {
    pub(super) fn new() -> Self {
        Self { entries: LruCache::unbounded(), bytes: 0, counters: Counters::default() }
    }

    /// The answer to a question and its age, if there is one that is young enough.
    pub(super) fn get(
        &mut self,
        key: &Key,
        settings: CacheSettings,
    ) -> Option<(Arc<Reply>, Duration)> {
        let entry = self.entries.get(key);
        let found = entry.and_then(|entry| Some((Arc::clone(&entry.reply), entry.age()?)));
        let young = found.filter(|(_, age)| *age <= ttl(settings));
        self.count(young.is_some());
        young
    }

    /// Counts one who has looked for an answer.
    pub(super) fn count(&mut self, hit: bool) {
        let counter = if hit { &mut self.counters.hits } else { &mut self.counters.misses };
        *counter += 1;
    }

    /// Keeps an answer, if it fits.
    pub(super) fn put(&mut self, key: Key, reply: &Arc<Reply>, settings: CacheSettings) {
        let bytes = reply.bytes();
        if bytes > BYTES {
            return;
        }
        self.remove_old(settings);
        self.remove(&key);
        self.entries.put(key, Entry { reply: Arc::clone(reply), since: SystemTime::now() });
        self.bytes += bytes;
        self.make_room(settings);
    }

    /// Forgets the answer to a question.
    pub(super) fn remove(&mut self, key: &Key) {
        if let Some(entry) = self.entries.pop(key) {
            self.bytes -= entry.reply.bytes();
        }
    }

    /// Forgets everything and says how many answers that were.
    pub(super) fn clear(&mut self, settings: CacheSettings) -> usize {
        self.remove_old(settings);
        let cleared = self.entries.len();
        *self = Self::new();
        cleared
    }

    pub(super) fn stats(&mut self, settings: CacheSettings) -> CacheStats {
        self.remove_old(settings);
        self.make_room(settings);
        let Counters { hits, misses, evictions } = self.counters;
        CacheStats {
            size: self.entries.len(),
            max_size: settings.max_size,
            hits,
            misses,
            evictions,
            hit_rate: rate(hits, misses),
            ttl: settings.ttl,
            shared: None,
        }
    }

    fn make_room(&mut self, settings: CacheSettings) {
        let most = NonZeroUsize::new(settings.max_size as usize).unwrap_or(NonZeroUsize::MIN);
        while self.entries.len() > most.get() || self.bytes > BYTES {
            let Some((_, entry)) = self.entries.pop_lru() else { return };
            self.bytes -= entry.reply.bytes();
            self.counters.evictions += 1;
        }
    }

    fn remove_old(&mut self, settings: CacheSettings) {
        let is_old = |entry: &Entry| entry.age().is_none_or(|age| age > ttl(settings));
        let old = self.entries.iter().filter(|(_, entry)| is_old(entry));
        let old: Vec<Key> = old.map(|(key, _)| *key).collect();
        for key in &old {
            self.remove(key);
        }
    }
}

pub(super) fn ttl(settings: CacheSettings) -> Duration {
    Duration::from_secs(settings.ttl.into())
}

/// To three decimals, as the Python tool gives it.
#[expect(clippy::cast_precision_loss, reason = "nobody counts that far")]
fn rate(hits: u64, misses: u64) -> f64 {
    let all = (hits + misses).max(1) as f64;
    (hits as f64 / all * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::Outcome;

    const ONE_HOUR: CacheSettings =
        CacheSettings { enabled: true, ttl: 3600, max_size: 3, shared: false };

    fn reply(text: &str) -> Arc<Reply> {
        let outcome = Outcome { text: text.to_owned(), ..Outcome::default() };
        Arc::new(Reply::of("a", outcome, None))
    }

    fn key(number: u8) -> Key {
        Key::from([number; 32])
    }

    #[test]
    fn an_answer_is_given_again_until_it_is_too_old() {
        let mut cache = Cache::new();
        assert!(cache.get(&key(1), ONE_HOUR).is_none());
        cache.put(key(1), &reply("yes"), ONE_HOUR);
        let (again, age) = cache.get(&key(1), ONE_HOUR).expect("an answer");
        assert_eq!((again.result.as_str(), age.as_secs()), ("yes", 0));
        let no_time = CacheSettings { ttl: 0, ..ONE_HOUR };
        assert!(cache.get(&key(1), no_time).is_none());
        let stats = cache.stats(no_time);
        assert_eq!((stats.size, stats.hits, stats.misses, stats.evictions), (0, 1, 2, 0));
        assert!((stats.hit_rate - 0.333).abs() < 1e-9, "{stats:?}");
    }

    #[test]
    fn what_was_not_asked_for_makes_room() {
        let mut cache = Cache::new();
        for number in 1..=3 {
            cache.put(key(number), &reply("x"), ONE_HOUR);
        }
        cache.get(&key(1), ONE_HOUR);
        cache.put(key(4), &reply("x"), ONE_HOUR);
        assert!(cache.get(&key(2), ONE_HOUR).is_none());
        assert!(cache.get(&key(1), ONE_HOUR).is_some());
        assert_eq!(cache.stats(ONE_HOUR).evictions, 1);
        let smaller = CacheSettings { max_size: 1, ..ONE_HOUR };
        assert_eq!(cache.stats(smaller).size, 1);
    }

    #[test]
    fn large_answers_have_a_bound_of_their_own() {
        let mut cache = Cache::new();
        let large = reply(&"x".repeat(BYTES / 2));
        for number in 1..=3 {
            cache.put(key(number), &large, ONE_HOUR);
        }
        assert_eq!(cache.stats(ONE_HOUR).size, 1, "two together are too much");
        cache.put(key(4), &reply(&"x".repeat(BYTES + 1)), ONE_HOUR);
        assert!(cache.get(&key(4), ONE_HOUR).is_none());
        assert!(cache.get(&key(3), ONE_HOUR).is_some(), "and nothing made room for it");
        // The same question again counts once.
        cache.put(key(3), &reply("small"), ONE_HOUR);
        cache.put(key(5), &reply(&"x".repeat(BYTES * 3 / 4)), ONE_HOUR);
        assert_eq!(cache.stats(ONE_HOUR).size, 2);
    }

    #[test]
    fn clearing_forgets_answers_and_counts() {
        let mut cache = Cache::new();
        cache.put(key(1), &reply("x"), ONE_HOUR);
        cache.get(&key(1), ONE_HOUR);
        assert_eq!(cache.clear(ONE_HOUR), 1);
        let stats = cache.stats(ONE_HOUR);
        assert_eq!((stats.size, stats.hits, stats.misses), (0, 0, 0));
    }
}
