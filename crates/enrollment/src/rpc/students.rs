//! `StudentService`.
