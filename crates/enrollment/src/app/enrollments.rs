//! Places in classes, without a code: by staff, and by what students do with those they have.

pub mod cancel_enrollment;
pub mod change_status;
pub mod enroll_student;
pub mod enroll_students;
pub mod get_access;
pub mod move_enrollment;
mod promote;
pub mod read_enrollments;
pub mod read_roster;
pub mod set_completion;
mod under_lock;
