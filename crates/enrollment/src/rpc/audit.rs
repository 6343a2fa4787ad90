//! `AuditService`.
