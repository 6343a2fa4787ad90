//! `enrollment.enrollments`: students in classes.
