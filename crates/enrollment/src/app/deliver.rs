//! Delivering marks and releases to the keys service.
