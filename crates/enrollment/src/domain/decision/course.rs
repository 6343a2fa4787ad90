//! Whether the key of a pool assigns its course.

use chrono::{DateTime, Utc};

use super::{
    Decision, Facts, Home, ONLY_SLOT, Wish, admitted, judge_account, judge_key, judge_student,
    judge_use,
};
use crate::domain::assignment::{Assigned, Assignment, Status, expiry};
use crate::domain::key::{PoolTerms, ResolvedKey};
use crate::domain::organization::is_or_is_below;
use crate::domain::refusal::{Closed, Refusal};

/// As much of the decision about `wish` as comes once its key is known to be one of a pool with these `terms`.
pub(super) fn admit(
    wish: &Wish,
    key: &ResolvedKey,
    terms: &PoolTerms,
    facts: &Facts<'_>,
    home: Home<'_>,
) -> Result<Decision, Refusal> {
    let own = home.organization_id == key.organization_id;
    let below = || is_or_is_below(home.organization_id, home.ancestors, key.organization_id);
    if !(own || terms.open_to_descendants && below()) {
        return Err(Refusal::OrganizationMismatch);
    }
    if let Some(assignment_id) = facts.assigned {
        return Ok(Decision::AlreadyAssigned(assignment_id));
    }
    judge_key(key, facts.now)?;
    judge_pool(terms, facts.now)?;
    judge_student(&wish.applicant, home)?;
    judge_use(key, facts)?;
    judge_account(&wish.applicant, facts)?;
    Ok(admitted(wish).map_or(Decision::HashFirst, |student_id| {
        let assignment = Assignment {
            id: wish.redemption_id.unwrap_or_default(),
            assigned: Assigned::Course {
                pool_id: terms.pool_id,
                course: terms.course(),
            },
            organization_id: key.organization_id,
            student_id,
            key_id: key.key_id,
            generation: key.generation,
            status: Status::Assigned,
            assigned_at: facts.now,
            expires_at: expiry(terms, facts.now),
            launched_at: None,
        };
        Decision::Assign {
            assignment,
            slot: Some(ONLY_SLOT),
        }
    }))
}

fn judge_pool(terms: &PoolTerms, now: DateTime<Utc>) -> Result<(), Refusal> {
    let pool_id = terms.pool_id;
    if now < terms.starts_at {
        return Err(Refusal::WindowNotOpen {
            pool_id,
            opens_at: terms.starts_at,
        });
    }
    if terms.expires_at <= now {
        return Err(Refusal::WindowClosed {
            of: Closed::Pool(pool_id),
            closed_at: terms.expires_at,
            time_zone: chrono_tz::UTC,
        });
    }
    Ok(())
}
