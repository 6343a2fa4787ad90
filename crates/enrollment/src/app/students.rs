//! Students' accounts, from the first password to erasure.

pub mod authenticate;
pub mod create_student;
pub mod erase_student;
pub mod learn_costs;
pub mod passwords;
pub mod read_students;
pub mod update_student;
