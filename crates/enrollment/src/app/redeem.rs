//! Redeeming a key for a student.
