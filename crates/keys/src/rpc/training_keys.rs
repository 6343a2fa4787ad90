//! `latchkey.keys.v1.TrainingKeyService`.

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1 as proto;
use latchkey_proto::keys::v1::training_key_service_server::TrainingKeyService;
use latchkey_service_kit::faults::planted;
use latchkey_service_kit::paging::{Page, PageRequest};
use latchkey_service_kit::server::{Places, Streamed, streamed};
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::call_of;
use super::convert::{kind_filter, stamp, state_filter, training_key, warnings};
use super::errors::api_error;
use super::event_key::{change, event_key, seen};
use super::{export, generate};
use crate::app::App;
use crate::app::export_keys::export_keys;
use crate::app::get_event_key::get_event_key;
use crate::app::get_key::get_key;
use crate::app::list_keys::{Filter, ListKeys, Times, list_keys};
use crate::app::look_up_key::look_up_key;
use crate::app::reveal_event_key::reveal_event_key;
use crate::app::reveal_keys::{RevealedCode, reveal_keys};
use crate::app::revoke_keys::revoke_keys;
use crate::app::set_event_key::{SetEventKey, set_event_key};
use crate::config::Config;
use crate::domain::grant::GrantKind;

/// Serves training keys to people.
#[derive(Debug, Clone)]
pub struct TrainingKeys {
    app: App,
    exports: Places,
    generations: Places,
}

impl TrainingKeys {
    /// The keys in `app`'s database, exported within the bounds of `config`, and generated in these places.
    pub fn new(app: App, config: &Config, generations: Places) -> Self {
        Self {
            app,
            exports: Places::new(&config.export),
            generations,
        }
    }
}

#[tonic::async_trait]
impl TrainingKeyService for TrainingKeys {
    type GenerateTrainingKeysStream = Streamed<proto::GenerateTrainingKeysResponse>;

    async fn generate_training_keys(
        &self,
        request: Request<proto::GenerateTrainingKeysRequest>,
    ) -> Result<Response<Self::GenerateTrainingKeysStream>, Status> {
        let call = call_of(&request)?;
        let command = generate::of_class(request.get_ref())?;
        let progress =
            generate::generated(&self.app, &self.generations, &request, &call, command).await?;
        Ok(Response::new(progress))
    }

    async fn list_training_keys(
        &self,
        request: Request<proto::ListTrainingKeysRequest>,
    ) -> Result<Response<proto::ListTrainingKeysResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let organization_id = violations.optional_uuid("organization_id", &request.organization_id);
        let filter = Filter {
            organization_ids: Vec::new(),
            grant: grant(&request, &mut violations),
            student_id: violations.optional_uuid("student_id", &request.student_id),
            batch_id: violations.optional_uuid("batch_id", &request.batch_id),
            kind: kind_filter(request.kind()),
            state: state_filter(request.state()),
            generated: Times {
                from: violations.optional_timestamp("create_from", request.create_from.as_ref()),
                until: violations.optional_timestamp("create_until", request.create_until.as_ref()),
            },
            redeemed: Times {
                from: violations.optional_timestamp("redeem_from", request.redeem_from.as_ref()),
                until: violations.optional_timestamp("redeem_until", request.redeem_until.as_ref()),
            },
        };
        few_enough(&filter, &mut violations);
        let filters = format!("{organization_id:?} {filter:?}");
        let query = ["ListTrainingKeys", filters.as_str()];
        let page: PageRequest<Uuid> = PageRequest::read(
            request.page_size,
            &request.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let wanted = ListKeys {
            organization_id,
            filter,
            after: page.after,
            limit: page.limit(),
        };
        let keys = list_keys(&self.app, &call, wanted).await?;
        let page = Page::new(keys, &page, |key| key.key_id).map(training_key);
        Ok(Response::new(proto::ListTrainingKeysResponse {
            keys: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn get_training_key(
        &self,
        request: Request<proto::GetTrainingKeyRequest>,
    ) -> Result<Response<proto::GetTrainingKeyResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let key_id = violations.uuid("key_id", &request.key_id);
        violations.finish()?;
        let key = get_key(&self.app, &call, key_id).await?;
        Ok(Response::new(proto::GetTrainingKeyResponse {
            key: Some(training_key(key)),
        }))
    }

    async fn reveal_training_keys(
        &self,
        request: Request<proto::RevealTrainingKeysRequest>,
    ) -> Result<Response<proto::RevealTrainingKeysResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let key_ids = ids(&request.key_ids, &mut violations);
        let purpose = violations.line("purpose", &request.purpose);
        violations.finish()?;
        let codes = reveal_keys(&self.app, &call, &key_ids, purpose).await?;
        Ok(Response::new(proto::RevealTrainingKeysResponse {
            codes: codes.iter().map(revealed).collect(),
        }))
    }

    type ExportTrainingKeysStream = Streamed<proto::ExportTrainingKeysResponse>;

    async fn export_training_keys(
        &self,
        request: Request<proto::ExportTrainingKeysRequest>,
    ) -> Result<Response<Self::ExportTrainingKeysStream>, Status> {
        let call = call_of(&request)?;
        let wanted = export::wish(request.get_ref())?;
        let place = self.exports.enter()?;
        let exported = export_keys(&self.app, &call, wanted).await?;
        let rows = streamed(&request, |outlet| {
            exported.hand_over(outlet, place, export::message, api_error)
        })?;
        Ok(Response::new(rows))
    }

    async fn look_up_training_key(
        &self,
        request: Request<proto::LookUpTrainingKeyRequest>,
    ) -> Result<Response<proto::LookUpTrainingKeyResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        Violations::of(&request).finish()?;
        let found = look_up_key(&self.app, &call, &request.code).await;
        if found.is_err() && planted("bug::code_answered") {
            let (reason, code) = (ErrorReason::KeyNotFound, &request.code);
            return Err(ApiError::not_found(reason, "training_key", code).into());
        }
        let found = found?;
        Ok(Response::new(proto::LookUpTrainingKeyResponse {
            key: Some(training_key(found.key)),
            generation: found.generation,
            code_valid_until: found.replaced_until.map(stamp),
        }))
    }

    async fn revoke_training_keys(
        &self,
        request: Request<proto::RevokeTrainingKeysRequest>,
    ) -> Result<Response<proto::RevokeTrainingKeysResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let key_ids = ids(&request.key_ids, &mut violations);
        let reason = violations.line("reason", &request.reason);
        violations.finish()?;
        let keys = revoke_keys(&self.app, &call, &key_ids, reason).await?;
        Ok(Response::new(proto::RevokeTrainingKeysResponse {
            keys: keys.into_iter().map(training_key).collect(),
        }))
    }

    async fn set_event_key(
        &self,
        request: Request<proto::SetEventKeyRequest>,
    ) -> Result<Response<proto::SetEventKeyResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let class_id = violations.uuid("class_id", &request.class_id);
        let command = SetEventKey {
            request_id: violations.own_id("request_id", &request.request_id),
            class_id,
            change: change(request.change, &mut violations),
            seen: seen(class_id, &request.etag),
        };
        violations.finish()?;
        let set = set_event_key(&self.app, &call, &command).await?;
        Ok(Response::new(proto::SetEventKeyResponse {
            event_key: Some(event_key(set.event_key)),
            warnings: warnings(&set.warnings),
        }))
    }

    async fn get_event_key(
        &self,
        request: Request<proto::GetEventKeyRequest>,
    ) -> Result<Response<proto::GetEventKeyResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let class_id = violations.uuid("class_id", &request.class_id);
        violations.finish()?;
        let key = get_event_key(&self.app, &call, class_id).await?;
        Ok(Response::new(proto::GetEventKeyResponse {
            event_key: Some(event_key(key)),
        }))
    }

    async fn reveal_event_key(
        &self,
        request: Request<proto::RevealEventKeyRequest>,
    ) -> Result<Response<proto::RevealEventKeyResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let class_id = violations.uuid("class_id", &request.class_id);
        violations.finish()?;
        let code = reveal_event_key(&self.app, &call, class_id).await?;
        Ok(Response::new(proto::RevealEventKeyResponse {
            code: Some(revealed(&code)),
        }))
    }
}

/// Nobody reads all keys of an organization for those that were redeemed at some time.
fn few_enough(filter: &Filter, violations: &mut Violations) {
    let few = filter.grant.is_some() || filter.batch_id.is_some() || filter.student_id.is_some();
    for (field, time) in [
        ("redeem_from", filter.redeemed.from),
        ("redeem_until", filter.redeemed.until),
    ] {
        let only = "goes with one of class_id, pool_id, profile_id, batch_id and student_id";
        violations.check(field, few || time.is_none(), only);
    }
}

/// The class, the pool or the profile whose keys are wanted.
fn grant(
    request: &proto::ListTrainingKeysRequest,
    violations: &mut Violations,
) -> Option<(GrantKind, Uuid)> {
    let mut wanted = None;
    for (kind, id) in [
        (GrantKind::Class, &request.class_id),
        (GrantKind::Pool, &request.pool_id),
        (GrantKind::Profile, &request.profile_id),
    ] {
        let field = kind.id_field();
        let Some(id) = violations.optional_uuid(field, id) else {
            continue;
        };
        match wanted {
            None => wanted = Some((kind, id)),
            Some((other, _)) => {
                let other = other.id_field();
                violations.add(field, format!("must not be set together with {other}"));
            }
        }
    }
    wanted
}

fn ids(texts: &[String], violations: &mut Violations) -> Vec<Uuid> {
    texts
        .iter()
        .enumerate()
        .map(|(place, text)| violations.uuid(&format!("key_ids[{place}]"), text))
        .collect()
}

/// A code in clear.
pub(super) fn revealed(code: &RevealedCode) -> proto::RevealedCode {
    proto::RevealedCode {
        key_id: code.place.key_id.to_string(),
        code: code.text.to_string(),
        generation: code.place.generation,
    }
}
