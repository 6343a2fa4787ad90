//! Waiting for something that is to become true, with a bound.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection};
use tokio::time::{Instant, sleep};
use tonic::{Code, Response, Status};

use super::Stack;

/// How long anything that is to happen by itself may take, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);
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

/// Returns once a session of the database of `stack` is as `condition` says of a row of `pg_stat_activity`.
pub(crate) async fn a_session(stack: &Stack, what: &str, condition: &str) {
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND {condition}"
    );
    eventually(what, async || {
        let mut watcher = stack.database().await;
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(sessions.as_str()))
            .fetch_one(&mut watcher)
            .await
            .expect("a number");
        watcher.close().await.expect("closed");
        if found > 0 {
            Ok(())
        } else {
            Err("there is no such session".to_owned())
        }
    })
    .await;
}

/// The answer to a call that is made until there is one, as the contract says: what was refused for the time being is sent
/// again, and so is what the connection ended under (only such a status has a source).
pub(crate) async fn insist<T>(call: impl AsyncFn() -> Result<Response<T>, Status>) -> T {
    eventually("answered", async || {
        let refusal = match call().await {
            Ok(answer) => return Ok(answer.into_inner()),
            Err(refusal) => refusal,
        };
        let again = matches!(
            refusal.code(),
            Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted | Code::Cancelled
        ) || refusal.source().is_some();
        assert!(again, "a good client: {refusal:?}");
        Err(refusal.to_string())
    })
    .await
}
