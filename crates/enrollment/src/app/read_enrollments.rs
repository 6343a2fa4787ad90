//! Reading enrollments.
