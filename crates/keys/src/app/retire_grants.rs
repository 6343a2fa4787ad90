//! Removing what abandoned creations of classes left behind.

use chrono::TimeDelta;
use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{App, Call, Error, settled};
use crate::domain::audit::{Action, Deed};
use crate::store::{audit, grants};

/// How long a creation may take before somebody should ask whether it was given up: far longer than any call lives.
const STALE_AFTER: TimeDelta = TimeDelta::minutes(10);

/// The most stale drafts that are named at once: as many as can be retired at once.
const MAX_STALE: i64 = 1_000;

/// Removes the drafts among the grants of these classes, which do not exist, each with its event key: what was never
/// open leaves nothing behind but its audit trail. Grants that are no drafts stay. Returns the classes whose grants have
/// been drafts for long.
pub async fn retire_grants(app: &App, call: &Call, class_ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    settled(|| attempt(app, call, class_ids)).await
}

async fn attempt(app: &App, call: &Call, class_ids: &[Uuid]) -> Result<Vec<Uuid>, Error> {
    let mut transaction = begin(&app.pool).await?;
    let drafts = grants::lock_drafts(&mut transaction, class_ids, STALE_AFTER).await?;
    if !drafts.is_empty() {
        remove(app, call, &mut transaction, &drafts).await?;
    }
    let stale = grants::stale_drafts(&mut transaction, STALE_AFTER, MAX_STALE).await?;
    transaction.commit().await?;
    Ok(stale)
}

/// Removes locked drafts with their keys, codes and requests.
pub(super) async fn remove(
    app: &App,
    call: &Call,
    connection: &mut PgConnection,
    drafts: &[Uuid],
) -> Result<(), Error> {
    let removed = grants::remove_drafts(connection, drafts).await?;
    let deeds = removed.iter().map(|key| Deed {
        action: Action::RetireEventKey,
        organization_id: key.organization_id,
        resource_id: key.key_id,
        details: json!({ "class_id": key.grant_id }),
    });
    audit::insert(connection, call.author(), &app.numbered(deeds)).await?;
    Ok(())
}
