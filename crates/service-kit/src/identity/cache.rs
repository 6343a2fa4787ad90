//! Verified tokens, remembered by digest: checking a signature costs about as much as the rest of a call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::Caller;

/// How many tokens are remembered at most, in two generations of half as many. An entry takes about 300 bytes.
pub(super) const CAPACITY: usize = 16_384;

type Key = [u8; 32];

#[derive(Debug, Clone)]
struct Entry {
    caller: Arc<Caller>,
    not_after: DateTime<Utc>,
}

/// A bounded memory of two generations: when the young one is full it becomes the old one, and what nobody asked for
/// since the last time is forgotten. So a flood of tokens costs bounded memory and constant time.
#[derive(Debug, Default)]
pub(super) struct TokenCache {
    generations: Mutex<Generations>,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

/// Where a token is kept: its SHA-256 digest, so that the cache holds no token that could be used.
pub(super) fn key(token: &str) -> Key {
    Sha256::digest(token.as_bytes()).into()
}

impl TokenCache {
    /// The caller of the token with this digest, if it was verified before and has not expired at `now`.
    pub(super) fn get(&self, key: &Key, now: DateTime<Utc>) -> Option<Arc<Caller>> {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = generations.young.get(key) {
            return (now < entry.not_after).then(|| Arc::clone(&entry.caller));
        }
        let entry = generations.old.remove(key)?;
        if now >= entry.not_after {
            return None;
        }
        let caller = Arc::clone(&entry.caller);
        generations.insert(*key, entry);
        Some(caller)
    }

    /// Remembers a verified token until `not_after`.
    pub(super) fn put(&self, key: Key, caller: Arc<Caller>, not_after: DateTime<Utc>) {
        let mut generations = self
            .generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        generations.insert(key, Entry { caller, not_after });
    }
}

impl Generations {
    fn insert(&mut self, key: Key, entry: Entry) {
        if self.young.len() >= CAPACITY / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller() -> Arc<Caller> {
        Arc::new(Caller {
            subject: "s".into(),
            issuer: "i".into(),
            organization: None,
            roles: vec![],
        })
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_token_is_forgotten_when_it_expires() {
        let cache = TokenCache::default();
        cache.put(key("a"), caller(), at(10));
        assert!(cache.get(&key("a"), at(9)).is_some());
        assert!(cache.get(&key("a"), at(10)).is_none());
        assert!(cache.get(&key("b"), at(0)).is_none());
    }

    #[test]
    fn a_flood_of_tokens_keeps_those_in_use_and_stays_bounded() {
        let cache = TokenCache::default();
        cache.put(key("kept"), caller(), at(10));
        for number in 0..3 * CAPACITY {
            cache.put(key(&number.to_string()), caller(), at(10));
            if number % 1_000 == 0 {
                assert!(cache.get(&key("kept"), at(0)).is_some(), "after {number}");
            }
        }
        let generations = cache.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= CAPACITY);
        assert!(
            !generations.young.contains_key(&key("0")) && !generations.old.contains_key(&key("0"))
        );
    }
}
