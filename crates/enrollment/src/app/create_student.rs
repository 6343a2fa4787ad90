//! Creating a student's account.
