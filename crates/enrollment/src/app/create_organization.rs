//! Creating an organization.
