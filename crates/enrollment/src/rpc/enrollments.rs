//! `EnrollmentService`.
