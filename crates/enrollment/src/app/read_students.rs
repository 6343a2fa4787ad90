//! Reading students.
