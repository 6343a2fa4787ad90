//! Whether what is stored holds together: the invariants of this service, and what a comparison with the keys service's
//! side has to read.
//!
//! Everything here only reads, and is sound while calls are served.

use futures::stream::BoxStream;
use latchkey_service_kit::invariants::Finding;
use sqlx::PgPool;
use uuid::Uuid;

pub use crate::domain::grant::{Grant, GrantStatus};
pub use crate::domain::organization::Organization;
pub use crate::domain::profile::Profile;
pub use crate::store::verify::LiveUse;
pub use crate::store::verify::restores::SeenKey;

use crate::store::{
    classes, organizations as organization_rows, profiles as profile_rows, verify as rows,
};

/// Everything that breaks an invariant, at one instant. Empty when all is well.
pub async fn findings(pool: &PgPool) -> sqlx::Result<Vec<Finding>> {
    Ok(rows::findings(pool).await?.into_vec())
}

/// The organizations, by id.
pub async fn organizations(pool: &PgPool) -> sqlx::Result<Vec<Organization>> {
    organization_rows::every(pool).await
}

/// What the copy of each class in keys must be, by class id.
pub async fn grants(pool: &PgPool) -> sqlx::Result<Vec<Grant>> {
    Ok(classes::every(pool).await?.iter().map(Grant::of).collect())
}

/// The subscription profiles, by id.
pub async fn profiles(pool: &PgPool) -> sqlx::Result<Vec<Profile>> {
    profile_rows::every(pool).await
}

/// Every live use of a key, by redemption and key, as of the stream's beginning.
pub fn live_uses(pool: &PgPool) -> BoxStream<'_, sqlx::Result<LiveUse>> {
    rows::live_uses(pool)
}

/// What recorded decisions say of keys: every key that one was made of, by id.
pub fn seen_keys(pool: &PgPool) -> BoxStream<'_, sqlx::Result<SeenKey>> {
    rows::restores::seen_keys(pool)
}

/// The ids of all students, in order.
pub fn students(pool: &PgPool) -> BoxStream<'_, sqlx::Result<Uuid>> {
    rows::restores::students(pool)
}

/// A mark in the order of commits: above everything that has committed so far.
pub async fn mark(pool: &PgPool) -> sqlx::Result<String> {
    rows::mark(pool).await
}

/// How many changes below a [`mark`] the keys service is not known to have been told.
pub async fn owed_below(pool: &PgPool, mark: &str) -> sqlx::Result<i64> {
    rows::owed_below(pool, mark).await
}
