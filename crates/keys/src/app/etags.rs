//! Whether a caller has seen what they change as it is.

use latchkey_service_kit::etag;
use uuid::Uuid;

use crate::domain::refusal::Refusal;

/// Refused with `EtagMismatch` if `etag` is given, and not that of the present `version` of the resource `id`.
pub(super) fn check_etag(
    etag: Option<&str>,
    resource_type: &'static str,
    id: Uuid,
    version: i64,
) -> Result<(), Refusal> {
    if etag.is_some_and(|etag| etag::parse(id, etag) != Some(version)) {
        return Err(Refusal::EtagMismatch { resource_type, id });
    }
    Ok(())
}
