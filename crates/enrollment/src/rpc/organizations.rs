//! `OrganizationService`.
