//! Good requests for the methods about who is billed.

use latchkey_proto::enrollment::v1 as enrollment;
use prost::Message;

use super::Scene;
use crate::harness::{at, new_id, now};

impl Scene<'_> {
    pub(super) fn of_billing(&self, method: &str) -> Vec<u8> {
        let organization_id = self.organization.id.clone();
        match method {
            "ListBillingLines" => enrollment::ListBillingLinesRequest {
                organization_id,
                ..enrollment::ListBillingLinesRequest::default()
            }
            .encode_to_vec(),
            "ExportBillingLines" => enrollment::ExportBillingLinesRequest {
                organization_id,
                ..enrollment::ExportBillingLinesRequest::default()
            }
            .encode_to_vec(),
            "ClosePeriod" => enrollment::ClosePeriodRequest {
                request_id: new_id(),
                organization_id,
                end_time: at(now()),
            }
            .encode_to_vec(),
            "ListBillingPeriods" => enrollment::ListBillingPeriodsRequest {
                organization_id,
                ..enrollment::ListBillingPeriodsRequest::default()
            }
            .encode_to_vec(),
            other => panic!("no scene knows {other}"),
        }
    }
}
