//! The deciding transaction, batched.
