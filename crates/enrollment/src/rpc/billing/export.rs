//! The messages of a statement that is streamed.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::exports::Part;
use latchkey_service_kit::rows::Contents;

/// The path of the method.
pub(crate) const METHOD: &str = "/latchkey.enrollment.v1.BillingService/ExportBillingLines";

/// A part of an export.
pub(super) fn message(part: Part) -> proto::ExportBillingLinesResponse {
    match part {
        Part::Rows(rows) => proto::ExportBillingLinesResponse {
            rows: rows.into(),
            summary: None,
        },
        Part::Summary(contents) => proto::ExportBillingLinesResponse {
            rows: Vec::new().into(),
            summary: Some(summary(&contents)),
        },
    }
}

fn summary(contents: &Contents) -> proto::BillingExportSummary {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    proto::BillingExportSummary {
        row_count: number(contents.rows()),
        byte_count: number(contents.bytes()),
        sha256: contents.sha256(),
    }
}
