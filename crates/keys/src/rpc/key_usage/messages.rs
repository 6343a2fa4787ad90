//! What the enrollment service sends and gets, as types of the domain and back.

use chrono_tz::Tz;
use latchkey_proto::audit::v1 as audit;
use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;

use crate::app::Call;
use crate::app::count_keys::KeyCount;
use crate::app::list_marks::Mark;
use crate::app::resolve_codes::{Resolved, SubscriptionFacts};
use crate::app::reveal_code::Of;
use crate::domain::audit::Actor;
use crate::domain::grant::{Dates, Grant, GrantKind, GrantStatus};
use crate::domain::organization::Organization;
use crate::domain::pool::KeyPool;
use crate::domain::subscription::Profile;
use crate::rpc::convert::{key_use, kind, span, stamp};

/// The facts about a code.
pub(super) fn resolved_key(found: Resolved) -> proto::ResolvedKey {
    proto::ResolvedKey {
        key_id: found.key_id.to_string(),
        kind: kind(found.kind).into(),
        organization_id: found.organization_id.to_string(),
        class_id: match found.kind.opens() {
            GrantKind::Class => found.grant_id.to_string(),
            GrantKind::Pool | GrantKind::Profile => String::new(),
        },
        generation: found.generation,
        code_valid_until: found.replaced_until.map(stamp),
        revoked: found.revoked,
        r#use: found.key_use.map(key_use),
        pool: found.pool.map(pool_terms),
        subscription: found
            .subscription
            .map(|facts| subscription_terms(found.grant_id, &facts)),
    }
}

fn subscription_terms(profile_id: Uuid, facts: &SubscriptionFacts) -> proto::SubscriptionTerms {
    proto::SubscriptionTerms {
        profile_id: profile_id.to_string(),
        max_uses: facts.terms.max_uses,
        expire_time: facts.terms.expires_at.map(stamp),
        content_expire_time: facts.terms.content_expires_at.map(stamp),
        recorded_uses: facts.recorded_uses,
        recorded_live_uses: facts.recorded_live_uses,
    }
}

/// What is told of a key whose code is shown, besides the code and the owner.
pub(super) fn shown(of: Of) -> proto::RevealCodeResponse {
    let mut answer = proto::RevealCodeResponse::default();
    match of {
        Of::Class => {}
        Of::Pool(pool) => answer.pool = Some(pool_terms(pool)),
        Of::Profile { profile_id, terms } => {
            let facts = SubscriptionFacts {
                terms,
                recorded_uses: 0,
                recorded_live_uses: 0,
            };
            answer.subscription = Some(subscription_terms(profile_id, &facts));
        }
    }
    answer
}

/// What a key of the pool grants, and when.
fn pool_terms(pool: KeyPool) -> proto::PoolTerms {
    proto::PoolTerms {
        pool_id: pool.pool_id.to_string(),
        course_id: pool.settings.course_id,
        course_name: pool.settings.course_name,
        start_time: Some(stamp(pool.settings.starts_at)),
        expire_time: Some(stamp(pool.settings.expires_at)),
        availability: Some(span(pool.settings.availability)),
        open_to_descendants: pool.settings.open_to_descendants,
    }
}

/// A recorded use.
pub(super) fn mark(mark: Mark) -> proto::Mark {
    proto::Mark {
        redemption_id: mark.redemption_id.to_string(),
        key_id: mark.key_id.to_string(),
        student_id: mark.student_id.to_string(),
        generation: mark.generation,
        redeem_time: Some(stamp(mark.redeemed_at)),
        release_time: mark.released_at.map(stamp),
    }
}

/// The enrollment keys of a class.
pub(super) fn key_count(count: KeyCount) -> proto::KeyCount {
    proto::KeyCount {
        class_id: count.grant_id.to_string(),
        generated: count.generated,
        redeemed: count.redeemed,
        revoked: count.revoked,
        expired: count.expired,
        available: count.available,
    }
}

/// Uses to record: live ones, whatever they say of a release.
pub(super) fn marks(messages: &[proto::Mark], violations: &mut Violations) -> Vec<Mark> {
    let read = |(place, message)| read_mark(&format!("marks[{place}]"), message, violations);
    messages.iter().enumerate().map(read).collect()
}

/// Uses to record as given up.
pub(super) fn releases(messages: &[proto::Release], violations: &mut Violations) -> Vec<Mark> {
    let read = |(place, message): (usize, &proto::Release)| {
        let path = format!("releases[{place}]");
        let none = proto::Mark::default();
        let mark = if let Some(mark) = &message.mark {
            read_mark(&format!("{path}.mark"), mark, violations)
        } else {
            violations.required::<proto::Mark>(&format!("{path}.mark"), None);
            read_mark(&format!("{path}.mark"), &none, &mut Violations::default())
        };
        let released_at = violations.timestamp(
            &format!("{path}.release_time"),
            message.release_time.as_ref(),
        );
        Mark {
            released_at: Some(released_at),
            ..mark
        }
    };
    messages.iter().enumerate().map(read).collect()
}

fn read_mark(path: &str, message: &proto::Mark, violations: &mut Violations) -> Mark {
    // Not looked at, but no time is no time.
    violations.optional_timestamp(
        &format!("{path}.release_time"),
        message.release_time.as_ref(),
    );
    Mark {
        redemption_id: violations.uuid(&format!("{path}.redemption_id"), &message.redemption_id),
        key_id: violations.uuid(&format!("{path}.key_id"), &message.key_id),
        student_id: violations.uuid(&format!("{path}.student_id"), &message.student_id),
        generation: message.generation,
        redeemed_at: violations
            .timestamp(&format!("{path}.redeem_time"), message.redeem_time.as_ref()),
        released_at: None,
    }
}

/// Copies of organizations.
pub(super) fn organizations(
    messages: &[proto::OrganizationCopy],
    violations: &mut Violations,
) -> Vec<Organization> {
    let read = |(place, message): (usize, &proto::OrganizationCopy)| {
        let path = format!("organizations[{place}]");
        let organization_id =
            violations.uuid(&format!("{path}.organization_id"), &message.organization_id);
        let ancestors = message.ancestor_ids.iter().enumerate();
        Organization {
            organization_id,
            ancestor_ids: ancestors
                .map(|(place, id)| violations.uuid(&format!("{path}.ancestor_ids[{place}]"), id))
                .collect(),
            version: message.version,
        }
    };
    messages.iter().enumerate().map(read).collect()
}

/// Copies of classes.
pub(super) fn grants(messages: Vec<proto::Grant>, violations: &mut Violations) -> Vec<Grant> {
    let read = |(place, message)| read_grant(&format!("grants[{place}]"), message, violations);
    messages.into_iter().enumerate().map(read).collect()
}

fn read_grant(path: &str, message: proto::Grant, violations: &mut Violations) -> Grant {
    let at = |field: &str| format!("{path}.{field}");
    let status = read_status(&at("status"), message.status, violations);
    let zone = read_zone(&at("time_zone"), &message.time_zone, violations);
    let starts_at = violations.timestamp(&at("start_time"), message.start_time.as_ref());
    let ends_at = violations.timestamp(&at("end_time"), message.end_time.as_ref());
    let event_key_until =
        violations.timestamp(&at("event_key_until"), message.event_key_until.as_ref());
    violations.line(&at("name"), &message.name);
    for (place, subject) in message.instructors.iter().enumerate() {
        violations.line(&at(&format!("instructors[{place}]")), subject);
    }
    // A draft has no version yet, and only a draft has none.
    let fits =
        status.is_none_or(|status| (status == GrantStatus::Creating) == (message.version == 0));
    violations.check(
        &at("version"),
        fits,
        "must be 0 while the class is being created, and only then",
    );
    Grant {
        grant_id: violations.uuid(&at("class_id"), &message.class_id),
        kind: GrantKind::Class,
        organization_id: violations.uuid(&at("organization_id"), &message.organization_id),
        name: message.name,
        instructors: message.instructors,
        dates: Some(Dates {
            starts_at,
            ends_at,
            event_key_until,
        }),
        zone,
        // Without one the violation is noted already.
        status: status.unwrap_or(GrantStatus::Creating),
        maximum_keys: Some(message.maximum_keys),
        maximum_is_default: message.maximum_is_default,
        version: message.version,
    }
}

/// Copies of subscription profiles.
pub(super) fn profiles(
    messages: Vec<proto::ProfileCopy>,
    violations: &mut Violations,
) -> Vec<Profile> {
    let read = |(place, message): (usize, proto::ProfileCopy)| {
        let at = |field: &str| format!("profiles[{place}].{field}");
        violations.line(&at("name"), &message.name);
        Profile {
            profile_id: violations.uuid(&at("profile_id"), &message.profile_id),
            organization_id: violations.uuid(&at("organization_id"), &message.organization_id),
            name: message.name,
            version: message.version,
        }
    };
    messages.into_iter().enumerate().map(read).collect()
}

fn read_status(field: &str, number: i32, violations: &mut Violations) -> Option<GrantStatus> {
    match violations.enumeration(field, number)? {
        proto::GrantStatus::Unspecified => None,
        proto::GrantStatus::Creating => Some(GrantStatus::Creating),
        proto::GrantStatus::Open => Some(GrantStatus::Open),
        proto::GrantStatus::Cancelled => Some(GrantStatus::Cancelled),
    }
}

fn read_zone(field: &str, name: &str, violations: &mut Violations) -> Tz {
    name.parse().unwrap_or_else(|_| {
        if !violations.has(field) {
            violations.add(field, "must be the name of an IANA time zone");
        }
        Tz::UTC
    })
}

/// The call as that of whoever asked the enrollment service, from where they did.
pub(super) fn on_behalf(
    call: Call,
    asker: Option<audit::Actor>,
    peer: String,
    violations: &mut Violations,
) -> Call {
    let asker = violations.required("actor", asker);
    violations.line("peer", &peer);
    Call {
        actor: actor(asker, violations),
        peer: if peer.is_empty() { call.peer } else { peer },
        ..call
    }
}

fn actor(message: audit::Actor, violations: &mut Violations) -> Actor {
    violations.line("actor.subject", &message.subject);
    violations.line("actor.issuer", &message.issuer);
    for (place, role) in message.roles.iter().enumerate() {
        violations.line(&format!("actor.roles[{place}]"), role);
    }
    Actor {
        organization_id: violations
            .optional_uuid("actor.organization_id", &message.organization_id),
        subject: message.subject,
        issuer: message.issuer,
        roles: message.roles,
    }
}

#[cfg(test)]
mod tests {
    use latchkey_service_kit::status::ApiError;
    use prost_types::Timestamp;

    use super::*;

    fn grant() -> proto::Grant {
        proto::Grant {
            class_id: Uuid::from_u128(1).to_string(),
            organization_id: Uuid::from_u128(2).to_string(),
            name: "Rust in a day".to_owned(),
            instructors: vec!["ann".to_owned()],
            start_time: Some(Timestamp::default()),
            end_time: Some(Timestamp::default()),
            event_key_until: Some(Timestamp::default()),
            time_zone: "Europe/Berlin".to_owned(),
            status: proto::GrantStatus::Open.into(),
            maximum_keys: 30,
            maximum_is_default: false,
            version: 1,
        }
    }

    fn fields(error: &ApiError) -> Vec<&str> {
        let mut fields: Vec<&str> = error
            .violations()
            .iter()
            .map(|violation| violation.field.as_str())
            .collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    fn refused(grant: proto::Grant) -> ApiError {
        let request = proto::PutGrantsRequest {
            grants: vec![grant],
        };
        let mut violations = Violations::of(&request);
        grants(request.grants, &mut violations);
        violations.finish().unwrap_err()
    }

    #[test]
    fn a_grant_is_read_whole() {
        let mut violations = Violations::default();
        let read = grants(vec![grant()], &mut violations);
        violations.finish().unwrap();
        assert_eq!(read[0].zone, Tz::Europe__Berlin);
        assert_eq!(read[0].status, GrantStatus::Open);
        assert_eq!(read[0].instructors, ["ann"]);
    }

    #[test]
    fn every_field_at_fault_is_named() {
        let bad = proto::Grant {
            class_id: "x".to_owned(),
            name: "a\0b".to_owned(),
            instructors: vec!["ann".to_owned(), "b\nob".to_owned()],
            end_time: None,
            time_zone: "Europe/Atlantis".to_owned(),
            ..grant()
        };
        assert_eq!(
            fields(&refused(bad)),
            [
                "grants[0].class_id",
                "grants[0].end_time",
                "grants[0].instructors[1]",
                "grants[0].name",
                "grants[0].time_zone",
            ]
        );
        assert_eq!(
            fields(&refused(proto::Grant {
                status: 0,
                ..grant()
            })),
            ["grants[0].status"]
        );
    }

    #[test]
    fn only_a_draft_has_no_version() {
        let creating = proto::GrantStatus::Creating.into();
        for (status, version) in [(creating, 1), (proto::GrantStatus::Open.into(), 0)] {
            let error = refused(proto::Grant {
                status,
                version,
                ..grant()
            });
            assert_eq!(fields(&error), ["grants[0].version"]);
        }
    }

    #[test]
    fn a_release_needs_its_mark_and_its_time() {
        let request = proto::ReleaseKeysRequest {
            releases: vec![proto::Release::default()],
        };
        let mut violations = Violations::of(&request);
        releases(&request.releases, &mut violations);
        assert_eq!(
            fields(&violations.finish().unwrap_err()),
            ["releases[0].mark", "releases[0].release_time"]
        );
    }
}
