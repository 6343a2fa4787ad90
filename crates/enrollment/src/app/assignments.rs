//! Courses that students take at their own pace.

pub mod cancel_assignment;
pub mod read_assignments;
pub mod record_launch;
