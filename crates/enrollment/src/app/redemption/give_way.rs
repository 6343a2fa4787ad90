//! What becomes of the enrollments by which students were waiting, when redemptions let these in.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::desk::Item;
use crate::app::{Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::decision::{Admission, Decision};
use crate::domain::enrollment::CancelledBy;
use crate::store;

/// A waiting enrollment was to give way, and had ended, although its class is locked.
#[derive(Debug, thiserror::Error)]
#[error("enrollment.enrollments: of {wanted:?}, by which students wait, not all are live")]
struct EndedBefore {
    wanted: Vec<Uuid>,
}

/// Ends what gives way to the admissions among `decisions`: before these are written, for a student has one live
/// enrollment in a class, and a key one use.
pub(super) async fn end(
    connection: &mut PgConnection,
    services: &Services,
    items: &[&Item],
    decisions: &[Decision],
    now: DateTime<Utc>,
) -> Result<(), Error> {
    let ending: HashMap<Uuid, (&Item, &Admission)> = items
        .iter()
        .zip(decisions)
        .filter_map(|(item, decision)| match decision {
            Decision::Enroll(admission) => Some((admission.instead_of?, (*item, admission))),
            _ => None,
        })
        .collect();
    if ending.is_empty() {
        return Ok(());
    }
    let wanted: Vec<Uuid> = ending.keys().copied().collect();
    let ended = store::enrollments::write::give_way(connection, &wanted, now).await?;
    if ended.len() != wanted.len() {
        return Err(Error::internal(EndedBefore { wanted }));
    }
    for one in ended {
        let Some((item, admission)) = ending.get(&one.enrollment_id) else {
            continue;
        };
        let enrollment = &admission.enrollment;
        let deed = Deed {
            action: Action::CancelEnrollment,
            organization_id: enrollment.organization_id,
            resource_id: one.enrollment_id,
            student_id: Some(enrollment.student_id),
            details: json!({
                "class_id": enrollment.class_id,
                "cancelled_by": CancelledBy::Redemption,
                "redemption_id": enrollment.id,
                "key_id": one.key_id,
            }),
        };
        let deeds = [(services.ids.new_id(), deed)];
        store::audit::insert(connection, item.call.author(), &deeds).await?;
    }
    Ok(())
}
