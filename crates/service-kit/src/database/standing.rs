//! Connections that stand ready for the next batch.
//!
//! The pool makes sure of each connection that comes back to it: a ROLLBACK and a ping, two round trips. Work that comes
//! batch after batch, and has ended its transaction itself, hands its connection on without.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{Error, PgConnection, PgPool, Postgres};
use tokio::time::Instant;

use super::silence;
use super::transaction::{Transaction, begin_on};

/// How long a connection stands ready before the pool has it back: longer than the pause between two batches, and shorter
/// than the pool lets one wait for a connection.
const STANDS_FOR: Duration = Duration::from_secs(1);

/// How often it is looked for those that have stood long enough.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Connections of a pool that are handed from batch to batch. Clones share them.
///
/// They are the pool's all the same: counted by it, closed with it, and back in it when they were not used for a second, or
/// when others may be waiting for one.
#[derive(Debug, Clone)]
pub struct Standing(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    pool: PgPool,
    ready: Mutex<Ready>,
}

#[derive(Debug, Default)]
struct Ready {
    /// Each with the time since when it stands; the last one is used next.
    connections: Vec<(Instant, PoolConnection<Postgres>)>,
    /// Whether somebody looks after them.
    watched: bool,
}

/// A connection for one piece of work. Used like a connection: `&mut *lent`.
///
/// Dropped, it goes back to the pool, which makes sure of it.
#[derive(Debug)]
pub struct Lent {
    connection: PoolConnection<Postgres>,
    standing: Option<Standing>,
}

impl Standing {
    /// None yet: those of `pool` stand ready once they were used.
    pub fn new(pool: PgPool) -> Self {
        let ready = Mutex::default();
        Self(Arc::new(Inner { pool, ready }))
    }

    /// A connection that stands ready, else one from the pool.
    pub async fn connection(&self) -> Result<Lent, Error> {
        let connection = match self.take() {
            Some(connection) => connection,
            None => self.0.pool.acquire().await?,
        };
        Ok(Lent {
            connection,
            standing: Some(self.clone()),
        })
    }

    /// Begins a transaction on such a connection, which stands ready again when the transaction has ended.
    ///
    /// Not to be put under a time-out or into `select!`: the pool has time-outs of its own.
    pub async fn begin(&self) -> Result<Transaction, Error> {
        begin_on(self.connection().await?).await
    }

    fn take(&self) -> Option<PoolConnection<Postgres>> {
        let (since, connection) = self.0.ready().connections.pop()?;
        // Where one connection has gone silent others have: the pool asks before it is used.
        (!silence::since(since.elapsed())).then_some(connection)
    }

    /// Lets `connection` stand ready, if nobody else may be waiting for it.
    fn keep(&self, connection: PoolConnection<Postgres>) {
        let pool = &self.0.pool;
        let used_up = pool.num_idle() == 0 && pool.size() >= pool.options().get_max_connections();
        if used_up || pool.is_closed() {
            return;
        }
        let mut ready = self.0.ready();
        ready.connections.push((Instant::now(), connection));
        if !ready.watched {
            ready.watched = true;
            tokio::spawn(watch(Arc::clone(&self.0)));
        }
    }
}

impl Inner {
    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives back to the pool what has stood long enough, and everything when the pool is closed, until nothing is left.
async fn watch(inner: Arc<Inner>) {
    let mut closed = std::pin::pin!(inner.pool.close_event());
    loop {
        let close = tokio::select! {
            () = &mut closed => true,
            () = tokio::time::sleep(LOOK_EVERY) => false,
        };
        let mut ready = inner.ready();
        ready
            .connections
            .retain(|(since, _)| !close && since.elapsed() < STANDS_FOR);
        if ready.connections.is_empty() {
            ready.watched = false;
            return;
        }
    }
}

impl Lent {
    /// One from a pool, which does not stand ready afterwards.
    pub(super) fn of_pool(connection: PoolConnection<Postgres>) -> Self {
        Self {
            connection,
            standing: None,
        }
    }

    /// Ends the work. No transaction is open and no answer is outstanding: the connection may stand ready for others.
    pub fn give_back(self) {
        if let Some(standing) = self.standing {
            standing.keep(self.connection);
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
