//! `enrollment.students`: accounts.
