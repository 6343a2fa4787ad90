//! Cancelling an enrollment.
