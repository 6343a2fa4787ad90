//! `BillingService`.

mod export;
mod messages;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::billing_service_server::BillingService;
use latchkey_service_kit::config::StreamConfig;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::server::{Places, Streamed, streamed};
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::{call, errors};
use crate::app::Services;
use crate::app::billing::close_period::{ClosePeriod, close_period};
use crate::app::billing::export_billing::export_billing;
use crate::app::billing::read_billing::{list_billing_lines, list_billing_periods};

pub(crate) use export::METHOD as EXPORT_METHOD;

/// The service.
#[derive(Debug, Clone)]
pub struct Billing {
    services: Arc<Services>,
    exports: Places,
}

impl Billing {
    /// The service, working with `services`, with exports within the bounds of `config`.
    pub fn new(services: Arc<Services>, config: &StreamConfig) -> Self {
        Self {
            services,
            exports: Places::new(config),
        }
    }
}

#[tonic::async_trait]
impl BillingService for Billing {
    async fn list_billing_lines(
        &self,
        request: Request<proto::ListBillingLinesRequest>,
    ) -> Result<Response<proto::ListBillingLinesResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let of = (message.from.as_ref(), message.until.as_ref());
        let statement = messages::statement(&mut violations, &message.organization_id, of);
        let bound = format!("{statement:?}");
        let query = ["ListBillingLines", bound.as_str()];
        let page = PageRequest::read(
            message.page_size,
            &message.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let found = list_billing_lines(&self.services, &call, &statement, &page)
            .await?
            .map(messages::line);
        Ok(Response::new(proto::ListBillingLinesResponse {
            lines: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    type ExportBillingLinesStream = Streamed<proto::ExportBillingLinesResponse>;

    async fn export_billing_lines(
        &self,
        request: Request<proto::ExportBillingLinesRequest>,
    ) -> Result<Response<Self::ExportBillingLinesStream>, Status> {
        let call = call::of(&request)?;
        let message = request.get_ref();
        let mut violations = Violations::of(message);
        let of = (message.from.as_ref(), message.until.as_ref());
        let statement = messages::statement(&mut violations, &message.organization_id, of);
        violations.finish()?;
        let place = self.exports.enter()?;
        let exported = export_billing(&self.services, &call, statement).await?;
        let rows = streamed(&request, |outlet| {
            exported.hand_over(outlet, place, export::message, errors::api_error)
        })?;
        Ok(Response::new(rows))
    }

    async fn close_period(
        &self,
        request: Request<proto::ClosePeriodRequest>,
    ) -> Result<Response<proto::ClosePeriodResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let wish = ClosePeriod {
            request_id: violations.own_id("request_id", &message.request_id),
            organization_id: violations.uuid("organization_id", &message.organization_id),
            ends_at: violations.timestamp("end_time", message.end_time.as_ref()),
        };
        violations.finish()?;
        let closed = close_period(&self.services, &call, wish).await?;
        Ok(Response::new(proto::ClosePeriodResponse {
            period: Some(messages::period(&closed.period)),
            organization_count: closed.organization_count,
            charge_count: closed.charge_count,
            credit_count: closed.credit_count,
        }))
    }

    async fn list_billing_periods(
        &self,
        request: Request<proto::ListBillingPeriodsRequest>,
    ) -> Result<Response<proto::ListBillingPeriodsResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("organization_id", &message.organization_id);
        let id_text = id.to_string();
        let query = ["ListBillingPeriods", id_text.as_str()];
        let page: PageRequest<DateTime<Utc>> = PageRequest::read(
            message.page_size,
            &message.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let found = list_billing_periods(&self.services, &call, id, &page)
            .await?
            .map(|one| messages::period(&one));
        Ok(Response::new(proto::ListBillingPeriodsResponse {
            periods: found.items,
            next_page_token: found.next_page_token,
        }))
    }
}
