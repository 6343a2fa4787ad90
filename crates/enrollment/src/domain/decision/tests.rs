//! The order of reasons, one by one.
