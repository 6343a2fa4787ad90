//! Subscription profiles.

pub mod create_profile;
pub mod read_profiles;
pub mod update_profile;
