//! The rows of decisions that are written together, column by column.

use serde_json::Value;
use uuid::Uuid;

use crate::domain::redemption::Redemption;
use crate::domain::refusal::Refusal;

/// What every row has, whatever the key opens.
#[derive(Default)]
pub(in crate::store) struct Decisions<'r> {
    pub(in crate::store) ids: Vec<Uuid>,
    pub(in crate::store) registrations: Vec<bool>,
    pub(in crate::store) outcomes: Vec<&'static str>,
    pub(in crate::store) reasons: Vec<Option<&'static str>>,
    pub(in crate::store) refusals: Vec<Option<Value>>,
    pub(in crate::store) fingerprints: Vec<&'r [u8]>,
    pub(in crate::store) organization_ids: Vec<Uuid>,
    pub(in crate::store) student_ids: Vec<Option<Uuid>>,
    pub(in crate::store) key_ids: Vec<Option<Uuid>>,
    pub(in crate::store) generations: Vec<Option<i32>>,
    pub(in crate::store) callers: Vec<&'r str>,
    pub(in crate::store) peers: Vec<&'r str>,
    pub(in crate::store) request_ids: Vec<&'r str>,
}

impl<'r> Decisions<'r> {
    /// Those columns of `redemptions`, in their order.
    pub(in crate::store) fn of(
        redemptions: impl Iterator<Item = &'r Redemption>,
    ) -> sqlx::Result<Self> {
        let mut columns = Self::default();
        for redemption in redemptions {
            let refusal = redemption.outcome.refusal();
            let stored = refusal
                .map(serde_json::to_value)
                .transpose()
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            let key = redemption.key;
            columns.ids.push(redemption.id);
            columns.registrations.push(redemption.registration);
            columns.outcomes.push(redemption.outcome.as_str());
            columns.reasons.push(refusal.map(Refusal::reason));
            columns.refusals.push(stored);
            columns.fingerprints.push(&redemption.fingerprint);
            columns.organization_ids.push(redemption.organization_id);
            columns.student_ids.push(redemption.student_id);
            columns.key_ids.push(key.map(|key| key.key_id));
            columns.generations.push(key.map(|key| key.generation));
            columns.callers.push(&redemption.caller);
            columns.peers.push(&redemption.peer);
            columns.request_ids.push(&redemption.request_id);
        }
        Ok(columns)
    }
}
