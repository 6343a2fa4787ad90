//! Messages of an export.

use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::exports::Part;
use latchkey_service_kit::rows::{Contents, RowFormat};
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;

use super::convert::{kind_filter, state_filter};
use crate::app::export_keys::{ExportKeys, Extent};
use crate::app::list_keys::Filter;
use crate::domain::grant::GrantKind;

/// The path of the method.
pub(crate) const METHOD: &str = "/latchkey.keys.v1.TrainingKeyService/ExportTrainingKeys";

/// What a request asks for.
pub(super) fn wish(request: &proto::ExportTrainingKeysRequest) -> Result<ExportKeys, ApiError> {
    let mut violations = Violations::of(request);
    let organization_id = violations.optional_uuid("organization_id", &request.organization_id);
    let class_id = violations.optional_uuid("class_id", &request.class_id);
    let pool_id = violations.optional_uuid("pool_id", &request.pool_id);
    let profile_id = violations.optional_uuid("profile_id", &request.profile_id);
    let extent = match (organization_id, class_id, pool_id, profile_id) {
        (None, Some(id), None, None) => Some(Extent::Grant(GrantKind::Class, id)),
        (None, None, Some(id), None) => Some(Extent::Grant(GrantKind::Pool, id)),
        (None, None, None, Some(id)) => Some(Extent::Grant(GrantKind::Profile, id)),
        (Some(id), None, None, None) => Some(Extent::Organization(id)),
        _ => None,
    };
    if extent.is_none() {
        for field in ["organization_id", "class_id", "pool_id", "profile_id"] {
            let only =
                "exactly one of organization_id, class_id, pool_id and profile_id must be set";
            if !violations.has(field) {
                violations.add(field, only);
            }
        }
    }
    let filter = Filter {
        organization_ids: Vec::new(),
        grant: None,
        student_id: violations.optional_uuid("student_id", &request.student_id),
        batch_id: violations.optional_uuid("batch_id", &request.batch_id),
        kind: kind_filter(request.kind()),
        state: state_filter(request.state()),
        ..Filter::default()
    };
    let reason = violations.line("reason", &request.reason).to_owned();
    violations.check(
        "reason",
        request.reason.is_empty() || !reason.trim().is_empty(),
        "must say why",
    );
    violations.finish()?;
    let (Some(extent), Some(format)) = (extent, row_format(request.format())) else {
        return Err(ApiError::bug("the rules of the contract were not applied"));
    };
    Ok(ExportKeys {
        extent,
        filter,
        format,
        reason,
    })
}

/// The format of the rows; the contract's rules refuse the unspecified one.
fn row_format(format: proto::ExportFormat) -> Option<RowFormat> {
    match format {
        proto::ExportFormat::Unspecified => None,
        proto::ExportFormat::Csv => Some(RowFormat::Csv),
        proto::ExportFormat::JsonLines => Some(RowFormat::JsonLines),
    }
}

/// A part of an export.
pub(super) fn message(part: Part) -> proto::ExportTrainingKeysResponse {
    match part {
        Part::Rows(rows) => proto::ExportTrainingKeysResponse {
            rows: rows.into(),
            summary: None,
        },
        Part::Summary(contents) => proto::ExportTrainingKeysResponse {
            rows: Vec::new().into(),
            summary: Some(summary(&contents)),
        },
    }
}

fn summary(contents: &Contents) -> proto::ExportSummary {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    proto::ExportSummary {
        row_count: number(contents.rows()),
        byte_count: number(contents.bytes()),
        sha256: contents.sha256(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190a0b0-c0d0-7000-8000-000000000001";

    fn request() -> proto::ExportTrainingKeysRequest {
        proto::ExportTrainingKeysRequest {
            class_id: ID.to_owned(),
            format: proto::ExportFormat::Csv.into(),
            reason: "printing".to_owned(),
            ..proto::ExportTrainingKeysRequest::default()
        }
    }

    #[track_caller]
    fn at_fault(request: &proto::ExportTrainingKeysRequest, fields: &[&str]) {
        let refused = wish(request).unwrap_err();
        let mut named: Vec<&str> = refused
            .violations()
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        named.sort_unstable();
        named.dedup();
        assert_eq!(named, fields);
    }

    #[test]
    fn a_good_request_is_understood() {
        let wanted = wish(&request()).unwrap();
        assert_eq!(
            wanted.extent,
            Extent::Grant(GrantKind::Class, ID.parse().unwrap())
        );
        assert_eq!(wanted.format, RowFormat::Csv);
        let of_organization = proto::ExportTrainingKeysRequest {
            class_id: String::new(),
            organization_id: ID.to_owned(),
            format: proto::ExportFormat::JsonLines.into(),
            ..request()
        };
        let wanted = wish(&of_organization).unwrap();
        assert_eq!(wanted.extent, Extent::Organization(ID.parse().unwrap()));
        assert_eq!(wanted.format, RowFormat::JsonLines);
        let of_pool = proto::ExportTrainingKeysRequest {
            class_id: String::new(),
            pool_id: ID.to_owned(),
            ..request()
        };
        assert_eq!(
            wish(&of_pool).unwrap().extent,
            Extent::Grant(GrantKind::Pool, ID.parse().unwrap())
        );
        let of_profile = proto::ExportTrainingKeysRequest {
            class_id: String::new(),
            profile_id: ID.to_owned(),
            ..request()
        };
        assert_eq!(
            wish(&of_profile).unwrap().extent,
            Extent::Grant(GrantKind::Profile, ID.parse().unwrap())
        );
    }

    #[test]
    fn all_that_is_wrong_is_named_at_once() {
        at_fault(
            &proto::ExportTrainingKeysRequest::default(),
            &[
                "class_id",
                "format",
                "organization_id",
                "pool_id",
                "profile_id",
                "reason",
            ],
        );
        let both = proto::ExportTrainingKeysRequest {
            organization_id: ID.to_owned(),
            ..request()
        };
        let extents = ["class_id", "organization_id", "pool_id", "profile_id"];
        at_fault(&both, &extents);
        for reason in ["  ", "a\nb", &"x".repeat(501)] {
            let request = proto::ExportTrainingKeysRequest {
                reason: reason.to_owned(),
                ..request()
            };
            at_fault(&request, &["reason"]);
        }
    }
}
