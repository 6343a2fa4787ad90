//! The processes that one service consists of, and which of them is called next.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tonic::transport::Channel;

/// How long a process is left alone that could not be called: others are there meanwhile, and it may be starting.
const LEAVE_ALONE: Duration = Duration::from_millis(500);

/// Where a service can be called.
#[derive(Debug)]
pub(super) struct Places {
    all: Vec<Place>,
    next: AtomicUsize,
    began: Instant,
}

/// One process, or what stands for several.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) channel: Channel,
    /// Until when it is left alone, in milliseconds since `began`.
    left_alone_until: AtomicU64,
}

impl Places {
    /// Places with these channels, at least one.
    pub(super) fn new(channels: impl IntoIterator<Item = Channel>) -> Self {
        Self {
            all: channels
                .into_iter()
                .map(|channel| Place {
                    channel,
                    left_alone_until: AtomicU64::new(0),
                })
                .collect(),
            next: AtomicUsize::new(0),
            began: Instant::now(),
        }
    }

    /// The place of the next call: in turn, past those that are left alone; if all are, the one whose turn it is.
    pub(super) fn choose(&self) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let now = self.now_ms();
        let count = self.all.len();
        let in_turn = (0..count).map(|step| turn.wrapping_add(step) % count);
        let mut free =
            in_turn.filter(|&at| self.all[at].left_alone_until.load(Ordering::Relaxed) <= now);
        free.next().unwrap_or(turn % count)
    }

    /// The channel of a place.
    pub(super) fn channel(&self, place: usize) -> Channel {
        self.all[place].channel.clone()
    }

    /// Notes that a place could not be called.
    pub(super) fn leave_alone(&self, place: usize) {
        let until = self.now_ms() + u64::try_from(LEAVE_ALONE.as_millis()).unwrap_or(u64::MAX);
        let place = &self.all[place];
        place.left_alone_until.store(until, Ordering::Relaxed);
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use tonic::transport::Endpoint;

    use super::*;

    #[tokio::test]
    async fn places_take_turns_and_those_that_fail_are_passed_over() {
        let nowhere = || Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
        let places = Places::new([nowhere(), nowhere(), nowhere()]);
        let turns: Vec<usize> = (0..6).map(|_| places.choose()).collect();
        assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
        places.leave_alone(1);
        let turns: Vec<usize> = (0..6).map(|_| places.choose()).collect();
        assert!(!turns.contains(&1), "{turns:?}");
        places.leave_alone(0);
        places.leave_alone(2);
        let turns: Vec<usize> = (0..3).map(|_| places.choose()).collect();
        assert_eq!(turns.len(), 3, "somebody is called all the same");
    }
}
