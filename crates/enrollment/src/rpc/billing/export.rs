//! How a statement is streamed.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::exports::Part;
use latchkey_service_kit::rows::Contents;
use latchkey_service_kit::server::{Outlet, Place};
use latchkey_service_kit::status::ApiError;

use crate::app::export_billing::Export;
use crate::rpc::errors::api_error;

/// The path of the method.
pub(crate) const METHOD: &str = "/latchkey.enrollment.v1.BillingService/ExportBillingLines";

/// Hands over all of an export, or as much as is taken.
pub(super) async fn hand_over(
    mut export: Export,
    outlet: Outlet<proto::ExportBillingLinesResponse>,
    place: Place,
) -> Result<(), ApiError> {
    while let Some(part) = export.next().await.map_err(api_error)? {
        if let Err(not_taken) = outlet.send(message(part)).await {
            export.break_off(not_taken.into()).await;
            return Err(not_taken.into());
        }
    }
    drop(place);
    Ok(())
}

fn message(part: Part) -> proto::ExportBillingLinesResponse {
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
