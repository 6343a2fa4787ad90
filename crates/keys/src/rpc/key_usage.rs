//! `latchkey.keys.v1.KeyUsageService`: for the enrollment service.

mod messages;

use latchkey_proto::keys::v1 as proto;
use latchkey_proto::keys::v1::key_usage_service_server::KeyUsageService;
use latchkey_service_kit::paging::{MAX_PAGE_SIZE, Page, PageRequest};
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::call_of;
use super::convert::warnings;
use super::event_key::{change, event_key};
use super::training_keys::revealed;
use crate::app::App;
use crate::app::count_keys::count_keys;
use crate::app::list_marks::{After, list_marks};
use crate::app::put_grants::{put_grants, put_profiles};
use crate::app::put_organizations::{Held, put_organizations};
use crate::app::record_uses::record_uses;
use crate::app::resolve_codes::resolve_codes;
use crate::app::retire_grants::retire_grants;
use crate::app::reveal_code::{CodeWish, Wanted, reveal_code};
use crate::app::set_event_key::{Seen, SetEventKey, put_event_key};

/// Serves what the enrollment service asks before it decides, and what it tells after.
#[derive(Debug, Clone)]
pub struct KeyUsage {
    app: App,
}

impl KeyUsage {
    /// The keys in `app`'s database.
    pub fn new(app: App) -> Self {
        Self { app }
    }
}

#[tonic::async_trait]
impl KeyUsageService for KeyUsage {
    async fn resolve_codes(
        &self,
        request: Request<proto::ResolveCodesRequest>,
    ) -> Result<Response<proto::ResolveCodesResponse>, Status> {
        let request = request.into_inner();
        Violations::of(&request).finish()?;
        let resolved = resolve_codes(&self.app, &request.codes).await?;
        let results = resolved
            .into_iter()
            .map(|found| proto::ResolvedCode {
                key: found.map(messages::resolved_key),
            })
            .collect();
        Ok(Response::new(proto::ResolveCodesResponse { results }))
    }

    async fn mark_keys(
        &self,
        request: Request<proto::MarkKeysRequest>,
    ) -> Result<Response<proto::MarkKeysResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let marks = messages::marks(&request.marks, &mut violations);
        violations.finish()?;
        let recorded = record_uses(&self.app, marks).await?;
        Ok(Response::new(proto::MarkKeysResponse {
            unknown_key_ids: texts(&recorded.unknown),
            new_uses: recorded.new,
        }))
    }

    async fn release_keys(
        &self,
        request: Request<proto::ReleaseKeysRequest>,
    ) -> Result<Response<proto::ReleaseKeysResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let releases = messages::releases(&request.releases, &mut violations);
        violations.finish()?;
        let recorded = record_uses(&self.app, releases).await?;
        Ok(Response::new(proto::ReleaseKeysResponse {
            unknown_key_ids: texts(&recorded.unknown),
            new_releases: recorded.new,
        }))
    }

    async fn list_marks(
        &self,
        request: Request<proto::ListMarksRequest>,
    ) -> Result<Response<proto::ListMarksResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let class_id = violations.optional_uuid("class_id", &request.class_id);
        let query = ["ListMarks", &format!("{class_id:?}")];
        let mut page: PageRequest<After> = PageRequest::read(
            request.page_size,
            &request.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        if request.page_size == 0 {
            // All of them are wanted, as a rule: the largest page is the usual one here.
            page.size = MAX_PAGE_SIZE;
        }
        let marks = list_marks(&self.app, class_id, page.after, page.limit()).await?;
        let page = Page::new(marks, &page, |mark| (mark.redemption_id, mark.key_id));
        Ok(Response::new(proto::ListMarksResponse {
            marks: page.items.into_iter().map(messages::mark).collect(),
            next_page_token: page.next_page_token,
        }))
    }

    async fn count_keys(
        &self,
        request: Request<proto::CountKeysRequest>,
    ) -> Result<Response<proto::CountKeysResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let class_ids = ids("class_ids", &request.class_ids, &mut violations);
        violations.finish()?;
        let counts = count_keys(&self.app, &class_ids).await?;
        Ok(Response::new(proto::CountKeysResponse {
            counts: counts.into_iter().map(messages::key_count).collect(),
        }))
    }

    async fn put_organizations(
        &self,
        request: Request<proto::PutOrganizationsRequest>,
    ) -> Result<Response<proto::PutOrganizationsResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let copies = messages::organizations(&request.organizations, &mut violations);
        violations.finish()?;
        let put = put_organizations(&self.app, copies).await?;
        Ok(Response::new(proto::PutOrganizationsResponse {
            stored: i64::try_from(put.stored).unwrap_or(i64::MAX),
            held: put.held.iter().map(held).collect(),
        }))
    }

    async fn put_grants(
        &self,
        request: Request<proto::PutGrantsRequest>,
    ) -> Result<Response<proto::PutGrantsResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let copies = messages::grants(request.grants, &mut violations);
        violations.finish()?;
        let put = put_grants(&self.app, &call, copies).await?;
        Ok(Response::new(proto::PutGrantsResponse {
            stored: i64::try_from(put.stored).unwrap_or(i64::MAX),
            held: put.held.iter().map(held).collect(),
        }))
    }

    async fn put_profiles(
        &self,
        request: Request<proto::PutProfilesRequest>,
    ) -> Result<Response<proto::PutProfilesResponse>, Status> {
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let copies = messages::profiles(request.profiles, &mut violations);
        violations.finish()?;
        let put = put_profiles(&self.app, copies).await?;
        Ok(Response::new(proto::PutProfilesResponse {
            stored: i64::try_from(put.stored).unwrap_or(i64::MAX),
            held: put.held.iter().map(held).collect(),
        }))
    }

    async fn put_event_key(
        &self,
        request: Request<proto::PutEventKeyRequest>,
    ) -> Result<Response<proto::PutEventKeyResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let command = SetEventKey {
            request_id: violations.own_id("request_id", &request.request_id),
            class_id: violations.uuid("class_id", &request.class_id),
            change: change(request.change, &mut violations),
            seen: Seen::Anything,
        };
        let call = messages::on_behalf(call, request.actor, request.peer, &mut violations);
        violations.finish()?;
        let changed = put_event_key(&self.app, &call, &command).await?;
        Ok(Response::new(proto::PutEventKeyResponse {
            event_key: Some(event_key(changed.event_key)),
            warnings: warnings(&changed.warnings),
        }))
    }

    async fn retire_grants(
        &self,
        request: Request<proto::RetireGrantsRequest>,
    ) -> Result<Response<proto::RetireGrantsResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let class_ids = ids("class_ids", &request.class_ids, &mut violations);
        violations.finish()?;
        let stale = retire_grants(&self.app, &call, &class_ids).await?;
        Ok(Response::new(proto::RetireGrantsResponse {
            stale_class_ids: texts(&stale),
        }))
    }

    async fn reveal_code(
        &self,
        request: Request<proto::RevealCodeRequest>,
    ) -> Result<Response<proto::RevealCodeResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let wish = CodeWish {
            wanted: wanted(&request, &mut violations),
            recipient: violations.line("recipient", &request.recipient).to_owned(),
            purpose: violations.line("purpose", &request.purpose).to_owned(),
        };
        let call = messages::on_behalf(call, request.actor, request.peer, &mut violations);
        violations.finish()?;
        let shown = reveal_code(&self.app, &call, &wish).await?;
        Ok(Response::new(proto::RevealCodeResponse {
            code: Some(revealed(&shown.code)),
            organization_id: shown.organization_id.to_string(),
            ..messages::shown(shown.of)
        }))
    }
}

/// Which key's code is wished for.
fn wanted(request: &proto::RevealCodeRequest, violations: &mut Violations) -> Wanted {
    let class_id = violations.optional_uuid("class_id", &request.class_id);
    let key_id = violations.optional_uuid("key_id", &request.key_id);
    if let Some(profile_id) = violations.optional_uuid("profile_id", &request.profile_id) {
        let key_id = violations.uuid("key_id", &request.key_id);
        return Wanted::SubscriptionKey { profile_id, key_id };
    }
    match (class_id, key_id) {
        (Some(class_id), Some(key_id)) => Wanted::EnrollmentKey { class_id, key_id },
        (Some(class_id), None) => Wanted::EventKey { class_id },
        (None, _) => Wanted::PoolKey {
            // Without either the violation is noted already.
            pool_id: violations
                .optional_uuid("pool_id", &request.pool_id)
                .unwrap_or_default(),
            key_id: violations.uuid("key_id", &request.key_id),
            within: violations.uuid("within_organization_id", &request.within_organization_id),
        },
    }
}

fn held(held: &Held) -> proto::HeldCopy {
    proto::HeldCopy {
        id: held.id.to_string(),
        version: held.version,
    }
}

fn ids(field: &str, texts: &[String], violations: &mut Violations) -> Vec<Uuid> {
    let read =
        |(place, text): (usize, &String)| violations.uuid(&format!("{field}[{place}]"), text);
    texts.iter().enumerate().map(read).collect()
}

fn texts(ids: &[Uuid]) -> Vec<String> {
    ids.iter().map(Uuid::to_string).collect()
}
