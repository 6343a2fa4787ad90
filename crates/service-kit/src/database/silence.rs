//! A database that does not answer any more and does not hang up either: a cable was pulled, a host has gone, a firewall
//! has forgotten the connection. The operating system would wait for a quarter of an hour and longer.
//!
//! Work is given a bound ([`answered`]). When it is dropped there, its connection is closed on its way back to the pool,
//! because it does not answer the ROLLBACK either; and every connection that was used before is asked whether it is alive
//! before it is used again.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, timeout};

/// When the process last met with silence, in milliseconds since [`epoch`]; 0 if never. For all pools of the process:
/// where one connection has gone, others have.
static LAST_SILENCE: AtomicU64 = AtomicU64::new(0);

/// No answer came in time. Whether what was asked for was done is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the database was silent for {} ms", .0.as_millis())]
pub struct Silence(Duration);

/// What `work` comes to, if it does within `patience`. Else it is dropped, wherever it stands.
///
/// # Errors
/// When it does not.
pub async fn answered<T>(patience: Duration, work: impl Future<Output = T>) -> Result<T, Silence> {
    timeout(patience, work).await.map_err(|_| {
        LAST_SILENCE.store(now_ms().max(1), Ordering::Relaxed);
        Silence(patience)
    })
}

/// Whether there was silence since a connection was used last, which was `idle` ago.
pub(super) fn since(idle: Duration) -> bool {
    let last = LAST_SILENCE.load(Ordering::Relaxed);
    let used = now_ms().saturating_sub(u64::try_from(idle.as_millis()).unwrap_or(u64::MAX));
    last > 0 && used <= last
}

fn now_ms() -> u64 {
    u64::try_from(epoch().elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Some instant, the same for the life of the process.
fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    *EPOCH.get_or_init(Instant::now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_ends_work_and_is_remembered_of_connections_used_before() {
        assert_eq!(answered(Duration::from_secs(1), async { 7 }).await, Ok(7));
        assert!(!since(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(5)).await;
        let never = answered(Duration::from_secs(1), std::future::pending::<()>());
        assert_eq!(never.await, Err(Silence(Duration::from_secs(1))));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(since(Duration::from_secs(3)), "used before");
        assert!(!since(Duration::from_secs(1)), "used since");
    }
}
