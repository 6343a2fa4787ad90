//! Whether what is stored holds together: the invariants of this service, and what a comparison with the enrollment
//! service's side has to read.
//!
//! Everything here only reads, and is sound while calls are served. A live use that follows a decision by milliseconds
//! may be missing for that long: whoever compares both sides reads again what differs.

use futures::stream::BoxStream;
use latchkey_service_kit::invariants::Finding;
use sqlx::PgPool;
use uuid::Uuid;

pub use crate::domain::grant::{Dates, Grant, GrantStatus};
pub use crate::domain::organization::Organization;
pub use crate::store::StoreError;
pub use crate::store::marks::Mark;
pub use crate::store::training_keys::KeyCount;
pub use crate::store::verify::LiveUse;
pub use crate::store::verify::restores::PresentKey;

use crate::domain::grant::GrantKind;
use crate::domain::key::{KeyKind, Standing};
use crate::domain::subscription::Terms;
use crate::store::verify::states::{StateRow, state_table};
use crate::store::{grants as grant_rows, organizations as organization_rows, verify as rows};

/// Everything that breaks an invariant. Empty when all is well.
pub async fn findings(pool: &PgPool) -> Result<Vec<Finding>, StoreError> {
    let mut findings = rows::findings(pool).await?.into_vec();
    findings.extend(state_table(pool).await?.iter().filter_map(misjudged));
    findings.extend(key_counts(pool).await?.iter().filter_map(miscounted));
    Ok(findings)
}

/// The copies of organizations, by id.
pub async fn organizations(pool: &PgPool) -> Result<Vec<Organization>, StoreError> {
    organization_rows::all(pool).await
}

/// The copies of classes, by id.
pub async fn grants(pool: &PgPool) -> Result<Vec<Grant>, StoreError> {
    grant_rows::all(pool, GrantKind::Class).await
}

/// The copies of subscription profiles, by id.
pub async fn profiles(pool: &PgPool) -> Result<Vec<Grant>, StoreError> {
    grant_rows::all(pool, GrantKind::Profile).await
}

/// The keys, without event keys, of every class, pool and profile that has any, by state, by what they open.
pub async fn key_counts(pool: &PgPool) -> Result<Vec<KeyCount>, StoreError> {
    rows::counts(pool).await
}

/// Every live use of a key, by redemption and key, as of the stream's beginning.
pub fn live_uses(pool: &PgPool) -> BoxStream<'_, Result<LiveUse, StoreError>> {
    rows::live_uses(pool)
}

/// Every key, by id, as far as decisions show what it was.
pub fn present_keys(pool: &PgPool) -> BoxStream<'_, Result<PresentKey, StoreError>> {
    rows::restores::present_keys(pool)
}

/// The ids of all students who ever used a key, in order.
pub fn students(pool: &PgPool) -> BoxStream<'_, Result<Uuid, StoreError>> {
    rows::restores::students(pool)
}

/// Whether the database and the domain disagree about where such a key stands.
fn misjudged(row: &StateRow) -> Option<Finding> {
    let kind = KeyKind::from_text(&row.kind)?;
    let terms = Terms {
        max_uses: row.max_uses,
        expires_at: row.expires_at,
        content_expires_at: row.content_expires_at,
    };
    let standing = Standing {
        kind,
        uses: row.uses,
        revoked: row.revoked,
        grant: GrantStatus::from_text(&row.grant_status)?,
        ends_at: row.ends_at,
        event_key_until: row.event_key_until,
        terms: (kind == KeyKind::Subscription).then_some(terms),
    };
    let expected = standing.state(row.now).as_text();
    (expected != row.state).then(|| Finding {
        invariant: "the database and the service agree about where a key stands",
        table: "keys.key_state",
        id: format!("{standing:?} at {}", row.now),
        found: format!("{} instead of {expected}", row.state),
    })
}

fn miscounted(count: &KeyCount) -> Option<Finding> {
    let sum = count.redeemed + count.revoked + count.expired + count.available;
    (sum != count.generated).then(|| Finding {
        invariant: "keys generated = redeemed + revoked + expired + available",
        table: "keys.training_keys",
        id: count.grant_id.to_string(),
        found: format!(
            "{} generated, {} redeemed, {} revoked, {} expired, {} available",
            count.generated, count.redeemed, count.revoked, count.expired, count.available
        ),
    })
}
