//! Organizations, and what they lay down for their classes.

pub mod create_organization;
pub mod read_organizations;
pub mod update_organization;
