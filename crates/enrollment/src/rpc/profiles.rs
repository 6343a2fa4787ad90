//! `SubscriptionProfileService`.

use std::sync::Arc;

use chrono::TimeDelta;
use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::enrollment::v1::subscription_profile_service_server::SubscriptionProfileService;
use latchkey_service_kit::etag;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::validation::Violations;
use prost_types::Duration;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::messages::{mask, name, optional_id, optional_text, stamp};
use super::{assignments, call};
use crate::app::Services;
use crate::app::profiles::create_profile::{NewProfile, create_profile};
use crate::app::profiles::read_profiles::{get_profile, list_profiles};
use crate::app::profiles::update_profile::update_profile;
use crate::domain::profile::{Course, Profile, ProfileChange, ProfileSettings};

/// The fields of a profile that an update can change.
const FIELDS: &[&str] = &[
    "name",
    "courses",
    "duration",
    "available_organization_ids",
    "enabled",
];

/// The service.
#[derive(Debug, Clone)]
pub struct Profiles {
    services: Arc<Services>,
}

impl Profiles {
    /// The service, working with `services`.
    pub fn new(services: Arc<Services>) -> Self {
        Self { services }
    }
}

#[tonic::async_trait]
impl SubscriptionProfileService for Profiles {
    async fn create_subscription_profile(
        &self,
        request: Request<proto::CreateSubscriptionProfileRequest>,
    ) -> Result<Response<proto::CreateSubscriptionProfileResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let v = &mut violations;
        let wish = NewProfile {
            request_id: v.own_id("request_id", &message.request_id),
            organization_id: v.uuid("organization_id", &message.organization_id),
            settings: ProfileSettings {
                name: name(v, "name", &message.name),
                courses: courses(v, &message.courses),
                duration: v
                    .optional_duration("duration", message.duration.as_ref())
                    .unwrap_or_default(),
                available_to: organizations(v, &message.available_organization_ids),
                enabled: !message.disabled,
            },
        };
        violations.finish()?;
        let made = create_profile(&self.services, &call, wish).await?;
        Ok(Response::new(proto::CreateSubscriptionProfileResponse {
            profile: Some(profile(made)),
        }))
    }

    async fn get_subscription_profile(
        &self,
        request: Request<proto::GetSubscriptionProfileRequest>,
    ) -> Result<Response<proto::GetSubscriptionProfileResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("profile_id", &message.profile_id);
        violations.finish()?;
        let found = get_profile(&self.services, &call, id).await?;
        Ok(Response::new(proto::GetSubscriptionProfileResponse {
            profile: Some(profile(found)),
        }))
    }

    async fn list_subscription_profiles(
        &self,
        request: Request<proto::ListSubscriptionProfilesRequest>,
    ) -> Result<Response<proto::ListSubscriptionProfilesResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let organization = violations.optional_uuid("organization_id", &message.organization_id);
        let of = optional_id(organization);
        let query = ["ListSubscriptionProfiles", &of];
        let page: PageRequest<Uuid> = PageRequest::read(
            message.page_size,
            &message.page_token,
            &query,
            &mut violations,
        );
        violations.finish()?;
        let found = list_profiles(&self.services, &call, organization, &page)
            .await?
            .map(profile);
        Ok(Response::new(proto::ListSubscriptionProfilesResponse {
            profiles: found.items,
            next_page_token: found.next_page_token,
        }))
    }

    async fn update_subscription_profile(
        &self,
        request: Request<proto::UpdateSubscriptionProfileRequest>,
    ) -> Result<Response<proto::UpdateSubscriptionProfileResponse>, Status> {
        let call = call::of(&request)?;
        let message = request.into_inner();
        let mut violations = Violations::of(&message);
        let id = violations.uuid("profile_id", &message.profile_id);
        let change = change(&message, &mut violations);
        violations.finish()?;
        let etag = optional_text(&message.etag);
        let changed = update_profile(&self.services, &call, id, &change, etag).await?;
        Ok(Response::new(proto::UpdateSubscriptionProfileResponse {
            profile: Some(profile(changed)),
        }))
    }
}

fn change(
    message: &proto::UpdateSubscriptionProfileRequest,
    violations: &mut Violations,
) -> ProfileChange {
    let mask = mask(violations, message.update_mask.as_ref(), FIELDS);
    let new_name = mask
        .has("name")
        .then(|| name(violations, "name", &message.name));
    // What is not in the mask must be no nonsense all the same.
    let courses = courses(violations, &message.courses);
    let available_to = organizations(violations, &message.available_organization_ids);
    let duration = violations.optional_duration("duration", message.duration.as_ref());
    if mask.has("duration") && duration.is_none() && !violations.has("duration") {
        violations.add("duration", "must be set, because it is in `update_mask`");
    }
    ProfileChange {
        name: new_name,
        courses: mask.has("courses").then_some(courses),
        duration: duration.filter(|_| mask.has("duration")),
        available_to: mask
            .has("available_organization_ids")
            .then_some(available_to),
        enabled: mask.has("enabled").then_some(message.enabled),
    }
}

fn courses(violations: &mut Violations, courses: &[proto::Course]) -> Vec<Course> {
    let course = |(place, one): (usize, &proto::Course)| Course {
        course_id: name(
            violations,
            &format!("courses[{place}].course_id"),
            &one.course_id,
        ),
        course_name: name(
            violations,
            &format!("courses[{place}].course_name"),
            &one.course_name,
        ),
    };
    courses.iter().enumerate().map(course).collect()
}

fn organizations(violations: &mut Violations, ids: &[String]) -> Vec<Uuid> {
    let id = |(place, id): (usize, &String)| {
        violations.uuid(&format!("available_organization_ids[{place}]"), id)
    };
    ids.iter().enumerate().map(id).collect()
}

/// A profile.
fn profile(one: Profile) -> proto::SubscriptionProfile {
    let ids = one.settings.available_to.iter();
    proto::SubscriptionProfile {
        profile_id: one.id.to_string(),
        organization_id: one.organization_id.to_string(),
        courses: assignments::courses(&one.settings.courses),
        duration: Some(span(one.settings.duration)),
        available_organization_ids: ids.map(Uuid::to_string).collect(),
        name: one.settings.name,
        enabled: one.settings.enabled,
        create_time: Some(stamp(one.created_at)),
        created_by: one.created_by,
        etag: etag::format(one.id, one.version),
    }
}

/// A duration of whole seconds.
fn span(duration: TimeDelta) -> Duration {
    Duration {
        seconds: duration.num_seconds(),
        nanos: 0,
    }
}
