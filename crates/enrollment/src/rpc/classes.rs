//! `ClassService`.
