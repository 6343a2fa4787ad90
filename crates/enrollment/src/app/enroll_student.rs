//! Enrolling a student directly.
