//! Reading the audit trail.
