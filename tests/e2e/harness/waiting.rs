//! Waiting for something that is to become true, with a bound.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything that is to happen by itself may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Returns what `look` finds, once it finds something. Fails when it still says why not after a bound.
pub(crate) async fn eventually<T, F, L>(what: &str, mut look: L) -> T
where
    F: Future<Output = Result<T, String>>,
    L: FnMut() -> F,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(reason) => assert!(Instant::now() < deadline, "never {what}: {reason}"),
        }
        sleep(LOOK_EVERY).await;
    }
}
