//! `latchkey.keys.v1.SubscriptionKeyService`.

use latchkey_proto::keys::v1 as proto;
use latchkey_proto::keys::v1::subscription_key_service_server::SubscriptionKeyService;
use latchkey_service_kit::server::{Places, Streamed};
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};

use super::call_of;
use super::convert::training_key;
use super::{generate, own_codes, terms};
use crate::app::App;
use crate::app::add_own_keys::add_own_keys;
use crate::app::update_subscription_key::update_subscription_key;

/// Serves keys of subscription profiles to people.
#[derive(Debug, Clone)]
pub struct SubscriptionKeys {
    app: App,
    generations: Places,
}

impl SubscriptionKeys {
    /// The keys in `app`'s database, generated in these places.
    pub fn new(app: App, generations: Places) -> Self {
        Self { app, generations }
    }
}

#[tonic::async_trait]
impl SubscriptionKeyService for SubscriptionKeys {
    type GenerateSubscriptionKeysStream = Streamed<proto::GenerateSubscriptionKeysResponse>;

    async fn generate_subscription_keys(
        &self,
        request: Request<proto::GenerateSubscriptionKeysRequest>,
    ) -> Result<Response<Self::GenerateSubscriptionKeysStream>, Status> {
        let call = call_of(&request)?;
        let command = generate::of_profile(request.get_ref())?;
        let progress =
            generate::generated(&self.app, &self.generations, &request, &call, command).await?;
        Ok(Response::new(progress))
    }

    async fn add_own_subscription_keys(
        &self,
        request: Request<proto::AddOwnSubscriptionKeysRequest>,
    ) -> Result<Response<proto::AddOwnSubscriptionKeysResponse>, Status> {
        let call = call_of(&request)?;
        let command = own_codes::of_profile(request.into_inner())?;
        let added = add_own_keys(&self.app, &call, &command).await?;
        Ok(Response::new(added.into()))
    }

    async fn update_subscription_key(
        &self,
        request: Request<proto::UpdateSubscriptionKeyRequest>,
    ) -> Result<Response<proto::UpdateSubscriptionKeyResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let key_id = violations.uuid("key_id", &request.key_id);
        let change = terms::change(&request, &mut violations);
        violations.finish()?;
        let etag = (!request.etag.is_empty()).then_some(request.etag.as_str());
        let key = update_subscription_key(&self.app, &call, key_id, change, etag).await?;
        Ok(Response::new(proto::UpdateSubscriptionKeyResponse {
            key: Some(training_key(key)),
        }))
    }
}
