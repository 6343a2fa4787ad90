//! `RedemptionService`.

mod counted;
mod read;
mod write;

use std::sync::Arc;

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::redemption_service_server::RedemptionService;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::call;
use crate::app::redemption::check_key::check_key;
use crate::app::redemption::desk::Desk;
use crate::app::redemption::read_redemptions::{get_redemption, list_redemptions};
use crate::app::redemption::redeem::redeem;
use crate::app::redemption::register::register;

/// The service.
#[derive(Debug, Clone)]
pub struct Redemptions {
    desk: Arc<Desk>,
}

impl Redemptions {
    /// The service, whose wishes queue at `desk`.
    pub fn new(desk: Arc<Desk>) -> Self {
        Self { desk }
    }
}

#[tonic::async_trait]
impl RedemptionService for Redemptions {
    async fn check_key(
        &self,
        request: Request<proto::CheckKeyRequest>,
    ) -> Result<Response<proto::CheckKeyResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let applicant = read::applicant(&message)?;
        let checked = check_key(&self.desk, &call, applicant, &message.code).await?;
        Ok(Response::new(write::checked_key(checked)))
    }

    async fn redeem_key(
        &self,
        request: Request<proto::RedeemKeyRequest>,
    ) -> Result<Response<proto::RedeemKeyResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let wish = read::redeeming(&message)?;
        let redeemed = redeem(&self.desk, &call, wish).await;
        counted::count(&redeemed);
        let admitted = redeemed?;
        Ok(Response::new(write::redeemed(admitted)))
    }

    async fn register_with_key(
        &self,
        request: Request<proto::RegisterWithKeyRequest>,
    ) -> Result<Response<proto::RegisterWithKeyResponse>, Status> {
        let call = call::of(&request)?;
        let (newcomer, code) = read::newcomer(request.into_inner())?;
        let registered = register(&self.desk, &call, newcomer, &code).await;
        counted::count(&registered);
        let admitted = registered?;
        Ok(Response::new(write::registered(admitted)))
    }

    async fn get_redemption(
        &self,
        request: Request<proto::GetRedemptionRequest>,
    ) -> Result<Response<proto::GetRedemptionResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("redemption_id", &message.redemption_id);
        violations.finish()?;
        let found = get_redemption(self.desk.services(), &call, id).await?;
        Ok(Response::new(proto::GetRedemptionResponse {
            redemption: Some(write::redemption(found)),
        }))
    }

    async fn list_redemptions(
        &self,
        request: Request<proto::ListRedemptionsRequest>,
    ) -> Result<Response<proto::ListRedemptionsResponse>, Status> {
        let call = call::of(&request)?;
        let list = read::list(&request.into_inner())?;
        let services = self.desk.services();
        let found = list_redemptions(services, &call, &list.filter, &list.page)
            .await?
            .map(write::redemption);
        Ok(Response::new(proto::ListRedemptionsResponse {
            redemptions: found.items,
            next_page_token: found.next_page_token,
        }))
    }
}
