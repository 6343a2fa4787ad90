//! Whether a subscription key assigns the courses of its profile.

use chrono::{DateTime, Utc};

use super::{Decision, Facts, Home, Wish, admitted, judge_account, judge_key, judge_student};
use crate::domain::assignment::{Assigned, Assignment, Status, subscription_expiry};
use crate::domain::key::{ResolvedKey, SubscriptionTerms};
use crate::domain::profile::Profile;
use crate::domain::refusal::{Closed, Refusal};

/// As much of the decision about `wish` as comes once its key is known to be a subscription key with these `terms`.
pub(super) fn admit(
    wish: &Wish,
    key: &ResolvedKey,
    terms: &SubscriptionTerms,
    facts: &Facts<'_>,
    home: Home<'_>,
) -> Result<Decision, Refusal> {
    let profile = facts.profile.ok_or(Refusal::KeyNotFound)?;
    if !profile.is_available_to(home.organization_id, home.ancestors) {
        return Err(Refusal::OrganizationMismatch);
    }
    if let Some(assignment_id) = facts.assigned {
        return Ok(Decision::AlreadyAssigned(assignment_id));
    }
    judge_key(key, facts.now)?;
    judge_profile(key, terms, profile, facts.now)?;
    judge_student(&wish.applicant, home)?;
    let slot = free_slot(key, terms, facts)?;
    judge_account(&wish.applicant, facts)?;
    Ok(admitted(wish).map_or(Decision::HashFirst, |student_id| {
        let assignment = Assignment {
            id: wish.redemption_id.unwrap_or_default(),
            assigned: Assigned::Subscription {
                profile_id: profile.id,
                profile_name: profile.settings.name.clone(),
                courses: profile.settings.courses.clone(),
            },
            organization_id: profile.organization_id,
            student_id,
            key_id: key.key_id,
            generation: key.generation,
            status: Status::Assigned,
            assigned_at: facts.now,
            expires_at: subscription_expiry(terms, profile, facts.now),
            launched_at: None,
        };
        Decision::Assign { assignment, slot }
    }))
}

fn judge_profile(
    key: &ResolvedKey,
    terms: &SubscriptionTerms,
    profile: &Profile,
    now: DateTime<Utc>,
) -> Result<(), Refusal> {
    if !profile.settings.enabled {
        let profile_id = profile.id;
        return Err(Refusal::SubscriptionProfileDisabled { profile_id });
    }
    match terms.redeemable_until() {
        Some(closed_at) if closed_at <= now => Err(Refusal::WindowClosed {
            of: Closed::SubscriptionKey(key.key_id),
            closed_at,
            time_zone: chrono_tz::UTC,
        }),
        _ => Ok(()),
    }
}

/// Which use of the key the next one is; `None` if the key has any number of them.
fn free_slot(
    key: &ResolvedKey,
    terms: &SubscriptionTerms,
    facts: &Facts<'_>,
) -> Result<Option<i32>, Refusal> {
    let Some(max_uses) = terms.max_uses else {
        return Ok(None);
    };
    facts
        .uses
        .and_then(|uses| uses.next_slot(max_uses, terms.recorded))
        .map(Some)
        .ok_or(Refusal::KeyAlreadyRedeemed {
            key_id: key.key_id,
            max_uses: (max_uses > 1).then_some(max_uses),
        })
}
