//! Registering a student with a key.
