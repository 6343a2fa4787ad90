//! Looks at the data again and again while processes crash: no snapshot shows a seat too many.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::harness::Stack;

/// What must be empty in every snapshot.
const TOO_MANY: &str = "
    SELECT 'class ' || c.class_id AS what FROM enrollment.classes c
    WHERE (SELECT count(*) FROM enrollment.enrollments e WHERE e.class_id = c.class_id AND e.status = 'enrolled')
        > c.maximum_students
    UNION ALL
    SELECT 'key ' || e.key_id FROM enrollment.enrollments e
    WHERE e.holds_key AND e.key_kind = 'enrollment' GROUP BY e.key_id HAVING count(*) > 1";

const LOOK_EVERY: Duration = Duration::from_millis(25);

pub(super) struct Watch {
    enough: CancellationToken,
    looking: JoinHandle<usize>,
}

impl Watch {
    pub(super) fn begin(stack: &Stack) -> Self {
        let enough = CancellationToken::new();
        let options = stack.site().database.admin.clone();
        let looking = tokio::spawn(look(options, enough.clone()));
        Self { enough, looking }
    }

    /// Fails if there ever was too much of anything.
    pub(super) async fn end(self) {
        self.enough.cancel();
        let looked = self.looking.await.expect("never too many");
        assert!(looked > 0, "nobody looked");
    }
}

async fn look(options: PgConnectOptions, enough: CancellationToken) -> usize {
    let mut connection: Option<PgConnection> = None;
    let mut looked = 0;
    while looked == 0 || !enough.is_cancelled() {
        sleep(LOOK_EVERY).await;
        // Postgres itself may be away.
        let Some(mut open) = (match connection.take() {
            Some(open) => Some(open),
            None => options.connect().await.ok(),
        }) else {
            continue;
        };
        let seen = sqlx::query_scalar(TOO_MANY).fetch_all(&mut open).await;
        if let Ok(seen) = seen {
            let seen: Vec<String> = seen;
            assert!(seen.is_empty(), "too many: {seen:?}");
            looked += 1;
            connection = Some(open);
        } else {
            let _closed = open.close_hard().await;
        }
    }
    looked
}
