//! Whether a key lets a student into its class.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    Admission, Applicant, Decision, Facts, Home, IfFull, ONLY_SLOT, Wish, admitted, judge_account,
    judge_key, judge_student, judge_use,
};
use crate::domain::class::{Class, ClassStatus};
use crate::domain::enrollment::{Completion, Enrollment, Origin, Status};
use crate::domain::key::{KeyKind, ResolvedKey};
use crate::domain::organization::is_or_is_below;
use crate::domain::refusal::{Closed, Refusal};

/// As much of the decision about `wish` as comes once its key is known to be one of a class, and of which `kind`.
pub(super) fn admit(
    wish: &Wish,
    key: &ResolvedKey,
    kind: KeyKind,
    facts: &Facts<'_>,
    home: Home<'_>,
) -> Result<Decision, Refusal> {
    let class = facts.class.ok_or(Refusal::KeyNotFound)?;
    if !is_or_is_below(home.organization_id, home.ancestors, key.organization_id) {
        return Err(Refusal::OrganizationMismatch);
    }
    if let Some(live) = facts.live.filter(|live| !live.waiting) {
        return Ok(Decision::AlreadyIn(live.enrollment_id));
    }
    judge_key(key, facts.now)?;
    judge_class(class, kind, facts.now)?;
    judge_student(&wish.applicant, home)?;
    judge_place(wish, key, kind, class, facts)?;
    if let Some(live) = facts.live.filter(|_| class.seats_left() == 0) {
        return Ok(Decision::AlreadyIn(live.enrollment_id));
    }
    judge_account(&wish.applicant, facts)?;
    Ok(admitted(wish).map_or(Decision::HashFirst, |student_id| {
        place(wish, key, kind, class, student_id, facts)
    }))
}

fn judge_class(class: &Class, kind: KeyKind, now: DateTime<Utc>) -> Result<(), Refusal> {
    let class_id = class.id;
    if class.status == ClassStatus::Cancelled {
        return Err(Refusal::ClassCancelled { class_id });
    }
    if !class.status.opens_to_keys() {
        return Err(Refusal::ClassNotScheduled { class_id });
    }
    let windows = class.windows();
    if !windows.is_open(kind, now) {
        return Err(Refusal::WindowClosed {
            of: Closed::Class(class_id),
            closed_at: windows.until(kind),
            time_zone: class.time_zone,
        });
    }
    Ok(())
}

fn judge_place(
    wish: &Wish,
    key: &ResolvedKey,
    kind: KeyKind,
    class: &Class,
    facts: &Facts<'_>,
) -> Result<(), Refusal> {
    if let Applicant::Student(student_id) = wish.applicant
        && facts.blocked
        && kind == KeyKind::Event
    {
        return Err(Refusal::StudentBlocked {
            class_id: class.id,
            student_id,
        });
    }
    judge_use(key, facts)?;
    if class.seats_left() == 0 && wish.if_full == IfFull::Refuse {
        return Err(Refusal::ClassFull {
            class_id: class.id,
            maximum_students: class.maximum_students,
        });
    }
    Ok(())
}

fn place(
    wish: &Wish,
    key: &ResolvedKey,
    kind: KeyKind,
    class: &Class,
    student_id: Uuid,
    facts: &Facts<'_>,
) -> Decision {
    let now = facts.now;
    let status = if class.seats_left() == 0 {
        Status::WaitListed
    } else {
        Status::Enrolled
    };
    Decision::Enroll(Admission {
        enrollment: Enrollment {
            // Of a question, nothing is kept: its id is never seen.
            id: wish.redemption_id.unwrap_or_default(),
            class_id: class.id,
            organization_id: class.organization_id,
            student_id,
            status,
            status_since: now,
            cancelled_by: None,
            late_cancellation: false,
            completion: Completion::Unknown,
            origin: Origin::Key {
                key_id: key.key_id,
                kind,
                generation: key.generation,
            },
            enrolled_at: now,
            version: 1,
        },
        slot: match kind {
            KeyKind::Enrollment => Some(ONLY_SLOT),
            KeyKind::Event => None,
        },
        holds_key: status != Status::WaitListed || wish.if_full == IfFull::WaitWithKey,
        instead_of: facts.live.map(|live| live.enrollment_id),
    })
}
