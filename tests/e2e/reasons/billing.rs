//! Reasons of closing a period.

use latchkey_proto::enrollment::v1::ClosePeriodRequest;
use latchkey_proto::errors::v1::ErrorReason;

use super::Provoked;
use crate::harness::{Organization, Stack, at, new_id, now};

pub(super) async fn provoke(provoked: &mut Provoked) {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let manager = organization.manager();
    let end = now();
    organization.close_period(end).await;
    let request = ClosePeriodRequest {
        request_id: new_id(),
        organization_id: organization.id.clone(),
        end_time: at(end),
    };
    let answer = manager.billing().close_period(request).await;
    provoked.keep("close what is closed", ErrorReason::PeriodClosed, answer);
    stack.finish().await;
}
