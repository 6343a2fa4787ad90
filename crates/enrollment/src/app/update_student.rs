//! Changing, deactivating and activating a student's account.
