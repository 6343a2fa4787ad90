//! Cancelling a class.
