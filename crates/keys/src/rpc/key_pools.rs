//! `latchkey.keys.v1.KeyPoolService`.

use latchkey_proto::keys::v1 as proto;
use latchkey_proto::keys::v1::key_pool_service_server::KeyPoolService;
use latchkey_service_kit::etag;
use latchkey_service_kit::paging::{Page, PageRequest};
use latchkey_service_kit::server::{Places, Streamed};
use latchkey_service_kit::update_mask::Mask;
use latchkey_service_kit::validation::Violations;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::call_of;
use super::convert::{span, stamp};
use super::{generate, own_codes};
use crate::app::App;
use crate::app::add_own_keys::add_own_keys;
use crate::app::count_keys::KeyCount;
use crate::app::create_pool::{NewPool, create_pool};
use crate::app::read_pools::{ListPools, get_pool, list_pools};
use crate::app::update_pool::update_pool;
use crate::domain::pool::{KeyPool, MAXIMUM_AVAILABILITY, PoolChange, PoolSettings};

/// The fields of a pool that an update can change.
const FIELDS: &[&str] = &[
    "name",
    "course_id",
    "course_name",
    "start_time",
    "expire_time",
    "availability",
    "open_to_descendants",
];

/// Serves pools of keys to people.
#[derive(Debug, Clone)]
pub struct KeyPools {
    app: App,
    generations: Places,
}

impl KeyPools {
    /// The pools in `app`'s database, whose keys are generated in these places.
    pub fn new(app: App, generations: Places) -> Self {
        Self { app, generations }
    }
}

#[tonic::async_trait]
impl KeyPoolService for KeyPools {
    async fn create_key_pool(
        &self,
        request: Request<proto::CreateKeyPoolRequest>,
    ) -> Result<Response<proto::CreateKeyPoolResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let wish = NewPool {
            request_id: violations.own_id("request_id", &request.request_id),
            organization_id: violations.uuid("organization_id", &request.organization_id),
            settings: settings(&request, &mut violations),
        };
        violations.finish()?;
        let pool = create_pool(&self.app, &call, &wish).await?;
        Ok(Response::new(proto::CreateKeyPoolResponse {
            key_pool: Some(key_pool(pool)),
        }))
    }

    async fn get_key_pool(
        &self,
        request: Request<proto::GetKeyPoolRequest>,
    ) -> Result<Response<proto::GetKeyPoolResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let pool_id = violations.uuid("pool_id", &request.pool_id);
        violations.finish()?;
        let (pool, counted) = get_pool(&self.app, &call, pool_id).await?;
        Ok(Response::new(proto::GetKeyPoolResponse {
            key_pool: Some(key_pool(pool)),
            count: Some(count(counted)),
        }))
    }

    async fn list_key_pools(
        &self,
        request: Request<proto::ListKeyPoolsRequest>,
    ) -> Result<Response<proto::ListKeyPoolsResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let organization_id = violations.optional_uuid("organization_id", &request.organization_id);
        let filter = format!("{organization_id:?}");
        let query = ["ListKeyPools", filter.as_str()];
        let page: PageRequest<Uuid> = PageRequest::read(
            request.page_size,
            &request.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let wanted = ListPools {
            organization_id,
            after: page.after,
            limit: page.limit(),
        };
        let pools = list_pools(&self.app, &call, wanted).await?;
        let page = Page::new(pools, &page, |pool| pool.pool_id).map(key_pool);
        Ok(Response::new(proto::ListKeyPoolsResponse {
            key_pools: page.items,
            next_page_token: page.next_page_token,
        }))
    }

    async fn update_key_pool(
        &self,
        request: Request<proto::UpdateKeyPoolRequest>,
    ) -> Result<Response<proto::UpdateKeyPoolResponse>, Status> {
        let call = call_of(&request)?;
        let request = request.into_inner();
        let mut violations = Violations::of(&request);
        let pool_id = violations.uuid("pool_id", &request.pool_id);
        let change = change(&request, &mut violations);
        violations.finish()?;
        let etag = (!request.etag.is_empty()).then_some(request.etag.as_str());
        let pool = update_pool(&self.app, &call, pool_id, &change, etag).await?;
        Ok(Response::new(proto::UpdateKeyPoolResponse {
            key_pool: Some(key_pool(pool)),
        }))
    }

    type GeneratePoolKeysStream = Streamed<proto::GeneratePoolKeysResponse>;

    async fn generate_pool_keys(
        &self,
        request: Request<proto::GeneratePoolKeysRequest>,
    ) -> Result<Response<Self::GeneratePoolKeysStream>, Status> {
        let call = call_of(&request)?;
        let command = generate::of_pool(request.get_ref())?;
        let progress =
            generate::generated(&self.app, &self.generations, &request, &call, command).await?;
        Ok(Response::new(progress))
    }

    async fn add_own_pool_keys(
        &self,
        request: Request<proto::AddOwnPoolKeysRequest>,
    ) -> Result<Response<proto::AddOwnPoolKeysResponse>, Status> {
        let call = call_of(&request)?;
        let command = own_codes::of_pool(request.into_inner())?;
        let added = add_own_keys(&self.app, &call, &command).await?;
        Ok(Response::new(added.into()))
    }
}

fn settings(request: &proto::CreateKeyPoolRequest, violations: &mut Violations) -> PoolSettings {
    let availability = violations.optional_duration("availability", request.availability.as_ref());
    PoolSettings {
        name: violations.name("name", &request.name),
        course_id: violations.name("course_id", &request.course_id),
        course_name: violations.name("course_name", &request.course_name),
        starts_at: violations.timestamp("start_time", request.start_time.as_ref()),
        expires_at: violations.timestamp("expire_time", request.expire_time.as_ref()),
        availability: availability.unwrap_or(MAXIMUM_AVAILABILITY),
        open_to_descendants: request.open_to_descendants,
    }
}

fn change(request: &proto::UpdateKeyPoolRequest, violations: &mut Violations) -> PoolChange {
    let mask = Mask::read(violations, request.update_mask.as_ref(), FIELDS);
    let mut name = |field: &str, text: &str| mask.has(field).then(|| violations.name(field, text));
    let (title, course_id, course_name) = (
        name("name", &request.name),
        name("course_id", &request.course_id),
        name("course_name", &request.course_name),
    );
    // What is not in the mask must be no nonsense all the same.
    let start = violations.optional_timestamp("start_time", request.start_time.as_ref());
    let expiry = violations.optional_timestamp("expire_time", request.expire_time.as_ref());
    let span = violations.optional_duration("availability", request.availability.as_ref());
    for (field, is_there) in [
        ("start_time", start.is_some()),
        ("expire_time", expiry.is_some()),
        ("availability", span.is_some()),
    ] {
        if mask.has(field) && !is_there && !violations.has(field) {
            violations.add(field, "must be set, because it is in `update_mask`");
        }
    }
    PoolChange {
        name: title,
        course_id,
        course_name,
        starts_at: start.filter(|_| mask.has("start_time")),
        expires_at: expiry.filter(|_| mask.has("expire_time")),
        availability: span.filter(|_| mask.has("availability")),
        open_to_descendants: mask
            .has("open_to_descendants")
            .then_some(request.open_to_descendants),
    }
}

fn key_pool(pool: KeyPool) -> proto::KeyPool {
    proto::KeyPool {
        pool_id: pool.pool_id.to_string(),
        organization_id: pool.organization_id.to_string(),
        name: pool.settings.name,
        course_id: pool.settings.course_id,
        course_name: pool.settings.course_name,
        start_time: Some(stamp(pool.settings.starts_at)),
        expire_time: Some(stamp(pool.settings.expires_at)),
        availability: Some(span(pool.settings.availability)),
        open_to_descendants: pool.settings.open_to_descendants,
        create_time: Some(stamp(pool.created_at)),
        created_by: pool.created_by,
        etag: etag::format(pool.pool_id, pool.version),
    }
}

fn count(count: KeyCount) -> proto::KeyPoolCount {
    proto::KeyPoolCount {
        generated: count.generated,
        redeemed: count.redeemed,
        revoked: count.revoked,
        expired: count.expired,
        available: count.available,
    }
}
