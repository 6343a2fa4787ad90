//! A transaction whose commit can be believed.

use std::ops::{Deref, DerefMut};

use sqlx::{Error, PgConnection, PgPool};

#[cfg(feature = "faults")]
use sqlx::Postgres;

use super::standing::Lent;
use super::within::confirm;
use crate::faults::{crash_point, planted};

/// A transaction (READ COMMITTED) on a pooled connection. Used like a connection: `&mut *transaction`.
///
/// Dropped without [`Transaction::commit`], it is rolled back when its connection comes back to the pool. It differs
/// from the library's own transaction in two ways: nothing about it depends on a future being polled to its end, and a
/// commit is an error when the transaction had failed before (Postgres answers COMMIT of a failed transaction with
/// ROLLBACK, which the library takes for success).
#[derive(Debug)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction {
    connection: Held,
}

/// What a transaction runs on.
#[derive(Debug)]
enum Held {
    Connection(Lent),
    /// The library's own transaction, whose beginning must not be dropped half-way: a planted bug.
    #[cfg(feature = "faults")]
    OfTheLibrary(sqlx::Transaction<'static, Postgres>),
}

/// Begins a transaction on a connection of `pool`.
///
/// Not to be put under a time-out or into `select!`: the pool has time-outs of its own.
pub async fn begin(pool: &PgPool) -> Result<Transaction, Error> {
    #[cfg(feature = "faults")]
    if planted("bug::begin_of_the_library") {
        let connection = Held::OfTheLibrary(pool.begin().await?);
        return Ok(Transaction { connection });
    }
    begin_on(Lent::of_pool(pool.acquire().await?)).await
}

/// Begins a transaction on `connection`.
pub(super) async fn begin_on(mut connection: Lent) -> Result<Transaction, Error> {
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await?;
    let connection = Held::Connection(connection);
    Ok(Transaction { connection })
}

impl Transaction {
    /// Commits. `Ok` means that the transaction is committed and flushed as the server's settings promise.
    ///
    /// On an error the transaction was rolled back, unless the connection broke: then the outcome is unknown.
    pub async fn commit(mut self) -> Result<(), Error> {
        crash_point("commit::before");
        // In a failed transaction the first statement is refused (SQLSTATE 25P02), and the second is not run. Both go
        // in one message, so that this costs no round trip.
        let commit = if planted("bug::rollback_taken_for_commit") {
            "COMMIT"
        } else {
            "SELECT 1; COMMIT"
        };
        sqlx::raw_sql(commit).execute(&mut *self).await?;
        crash_point("commit::after");
        self.over();
        Ok(())
    }

    /// Commits a transaction that has written nothing, and whose answer rests on an earlier commit: the answer leaves once that
    /// is as safe as a commit of this transaction's own.
    pub async fn commit_confirmed(mut self) -> Result<(), Error> {
        confirm(&mut self).await?;
        self.commit().await
    }

    /// Rolls back and waits for it, so that locks are gone when this returns.
    pub async fn rollback(mut self) -> Result<(), Error> {
        sqlx::raw_sql("ROLLBACK").execute(&mut *self).await?;
        self.over();
        Ok(())
    }

    fn over(self) {
        match self.connection {
            Held::Connection(connection) => connection.give_back(),
            #[cfg(feature = "faults")]
            Held::OfTheLibrary(_) => {}
        }
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match &self.connection {
            Held::Connection(connection) => connection,
            #[cfg(feature = "faults")]
            Held::OfTheLibrary(transaction) => transaction,
        }
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match &mut self.connection {
            Held::Connection(connection) => connection,
            #[cfg(feature = "faults")]
            Held::OfTheLibrary(transaction) => transaction,
        }
    }
}
