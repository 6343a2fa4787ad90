//! What kind of failure a database error is.

use sqlx::Error;

/// What a database error means for the work that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Others were there at the same time: a constraint, a deadlock, a serialization failure, a lock not granted in
    /// time. Roll back, read afresh and decide again, a bounded number of times.
    Conflict,
    /// A value that the database cannot take. In a batch, the item that brings it fails; the others need not.
    Data,
    /// The database cannot be reached, or not in time, or is read-only for now. Try again later; the outcome of a
    /// commit is unknown.
    Unavailable,
    /// A mistake of ours.
    Other,
}

/// What kind of failure `error` is, by its SQLSTATE where it has one.
pub fn classify(error: &Error) -> Fault {
    match error {
        Error::Database(database) => database
            .code()
            .as_deref()
            .map_or(Fault::Other, classify_sqlstate),
        // `Protocol`: a connection cut in the middle of a message; or a server that is not Postgres, which will not get better,
        // but then readiness says so too.
        Error::Protocol(_)
        | Error::Io(_)
        | Error::Tls(_)
        | Error::PoolTimedOut
        | Error::PoolClosed
        | Error::WorkerCrashed => Fault::Unavailable,
        Error::Encode(_) | Error::InvalidArgument(_) => Fault::Data,
        _ => Fault::Other,
    }
}

fn classify_sqlstate(code: &str) -> Fault {
    match code {
        // Unique, exclusion, foreign key and check violations: what was read before does not hold any more. Then
        // serialization failure, deadlock, lock not available (that is how `lock_timeout` shows).
        "23505" | "23P01" | "23503" | "23514" | "40001" | "40P01" | "55P03" => Fault::Conflict,
        // Not null; a statement that touches one row twice.
        "23502" | "21000" => Fault::Data,
        // A statement cancelled by its time-out, a transaction ended for standing idle, a server that became a standby, a database
        // that takes no connections for now.
        "57014" | "25P03" | "25P04" | "25006" | "55000" => Fault::Unavailable,
        _ => match code.get(..2) {
            Some("22") => Fault::Data,
            // Connection failures; no resources (connections, memory, disk); shutting down or starting up; I/O errors.
            Some("08" | "53" | "57" | "58") => Fault::Unavailable,
            _ => Fault::Other,
        },
    }
}

/// The name of the constraint that `error` says was violated, without its schema.
pub fn constraint(error: &Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}
