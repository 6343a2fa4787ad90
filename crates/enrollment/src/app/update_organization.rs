//! Changing an organization.
