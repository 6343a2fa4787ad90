//! Exporting keys with their codes: all keys of a class, a pool, a profile or an organization as the content of one file, in
//! pieces.
//!
//! The rows are read page by page, each page by a short statement of its own, so that a slow reader holds no
//! transaction, and one page ahead of what is written. The audit trail hears of it twice: before the first code leaves, and
//! when it is over.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use chrono::SecondsFormat;
use latchkey_service_kit::database::{answered, begin};
use latchkey_service_kit::exports::{self, Source};
use latchkey_service_kit::rows::{RowFormat, RowWriter};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tracing::Instrument;
use uuid::Uuid;

use super::list_keys::Filter;
use super::reveal_keys::RevealedCode;
use super::{App, Call, Error};
use crate::domain::audit::{Action, Deed};
use crate::domain::grant::GrantKind;
use crate::domain::key::{KeyKind, KeyState};
use crate::domain::keyring::Keyring;
use crate::domain::refusal::Refusal;
use crate::store::listing::exported::{self, Exported};
use crate::store::{audit, grants, organizations};

/// The columns of the file, as the contract states them.
const COLUMNS: &[&str] = &[
    "code",
    "kind",
    "class_id",
    "class_name",
    "status",
    "redeemed_by",
    "redeemed_at",
    "pool_id",
    "pool_name",
    "profile_id",
    "profile_name",
    "max_uses",
    "use_count",
];

/// How many keys are read at once: an export of no more is of one instant, and the contract says so. Some megabytes of
/// memory, and far within the time a statement may take.
const PAGE: usize = 2_000;

/// How long reading a page may take before the database is taken for gone: its own bounds on statements are shorter.
const PAGE_WITHIN: Duration = Duration::from_secs(15);

/// Of what the keys are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Of this class, pool or profile.
    Grant(GrantKind, Uuid),
    /// Of this organization, not of its descendants.
    Organization(Uuid),
}

/// Asks for an export.
#[derive(Debug, Clone)]
pub struct ExportKeys {
    /// Of what.
    pub extent: Extent,
    /// Further filters. Its organizations and its class, pool or profile are put in by the use case.
    pub filter: Filter,
    /// The form of the file.
    pub format: RowFormat,
    /// Why.
    pub reason: String,
}

/// An export of keys.
pub type Export = exports::Export<Keys>;

/// Keys with their codes, read page by page.
#[derive(Debug)]
pub struct Keys {
    app: App,
    call: Call,
    filter: Filter,
    /// The class, the pool, the profile or the organization.
    resource_id: Uuid,
    /// Keys that were read and not yet written.
    ahead: VecDeque<Exported>,
    /// The keyring of the moment when they were read: a slow reader's codes open with it even if they were sealed anew
    /// meanwhile, and the key they had been sealed with was taken out of use.
    keyring: Arc<Keyring>,
    /// The page after those, on its way from the database while they are written; `None` when there are no more.
    coming: Option<JoinHandle<Result<Page, Error>>>,
}

/// Begins an export of keys with their codes. Its audit row, `training_key.export`, is committed when this returns.
///
/// Refused with `ClassNotFound`, `PoolNotFound`, `ProfileNotFound` or `OrganizationNotFound`.
pub async fn export_keys(app: &App, call: &Call, wanted: ExportKeys) -> Result<Export, Error> {
    let (organization_id, resource_id, grant) = match wanted.extent {
        Extent::Grant(kind, id) => {
            let owner = grants::owner(&app.pool, kind, id, &call.scope).await?;
            (
                owner.ok_or(Refusal::not_found(kind, id))?,
                id,
                Some((kind, id)),
            )
        }
        Extent::Organization(organization_id) => {
            let within = organizations::within(&app.pool, &call.scope).await?;
            if within.is_some_and(|ids| !ids.contains(&organization_id)) {
                return Err(Refusal::OrganizationNotFound { organization_id }.into());
            }
            (organization_id, organization_id, None)
        }
    };
    let filter = Filter {
        organization_ids: vec![organization_id],
        grant,
        ..wanted.filter
    };
    let first = page(app, &filter, None).await?;
    let mut keys = Keys {
        app: app.clone(),
        call: call.clone(),
        filter,
        resource_id,
        ahead: VecDeque::new(),
        keyring: Arc::clone(&first.keyring),
        coming: None,
    };
    let (format, id) = (wanted.format, app.ids.new_id());
    let details = beginning(&keys.filter, format, &wanted.reason, first.keys.len());
    keys.record(Action::Export(keys.of()), id, details).await?;
    keys.take_in(first);
    Ok(Export::new(id, RowWriter::new(format, COLUMNS), keys))
}

/// What the audit row of the beginning says: what was asked for and why, and how many keys that is, exactly when they
/// are few.
fn beginning(filter: &Filter, format: RowFormat, reason: &str, first: usize) -> Value {
    let count = if first < PAGE {
        "keys"
    } else {
        "keys_at_least"
    };
    let all = json!({
        "reason": reason,
        "format": format.name(),
        "student_id": filter.student_id,
        "batch_id": filter.batch_id,
        "kind": filter.kind.map(KeyKind::as_text),
        "state": filter.state.map(KeyState::as_text),
        count: first,
    });
    let Value::Object(mut fields) = all else {
        return all;
    };
    fields.retain(|_, value| !value.is_null());
    Value::Object(fields)
}

/// Keys that were read together.
#[derive(Debug)]
struct Page {
    /// They, with their sealed codes.
    keys: Vec<Exported>,
    /// What opens those.
    keyring: Arc<Keyring>,
}

/// The next keys with their codes, newest first, older than the key `after`.
async fn page(app: &App, filter: &Filter, after: Option<Uuid>) -> Result<Page, Error> {
    let read = async {
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        Ok(Page {
            keys: exported::page(&app.pool, filter, after, limit).await?,
            keyring: app.keyring.present(),
        })
    };
    let read = answered(PAGE_WITHIN, read).await;
    read.map_err(|silence| Error::DependencyUnavailable(Arc::new(silence)))?
}

impl Source for Keys {
    const ROWS: &'static str = "keys";
    type Error = Error;

    async fn write_next(&mut self, writer: &mut RowWriter) -> Result<bool, Error> {
        if self.ahead.is_empty()
            && let Some(coming) = self.coming.take()
        {
            let next = coming.await.map_err(Error::internal)??;
            self.take_in(next);
        }
        let next = self.ahead.pop_front();
        if let Some(key) = &next {
            self.write(writer, key)?;
        }
        Ok(next.is_some())
    }

    async fn record_end(&mut self, details: Value) -> Result<(), Error> {
        let id = self.app.ids.new_id();
        self.record(Action::ExportEnd(self.of()), id, details).await
    }
}

impl Keys {
    /// Takes in a page, and has the next one read, if there may be one: the database works on it meanwhile.
    fn take_in(&mut self, read: Page) {
        let Page { keys, keyring } = read;
        let last = keys.last().filter(|_| keys.len() == PAGE);
        self.coming = last.map(|last| {
            let (app, filter, after) = (self.app.clone(), self.filter.clone(), last.place.key_id);
            tokio::spawn(async move { page(&app, &filter, Some(after)).await }.in_current_span())
        });
        self.ahead.extend(keys);
        self.keyring = keyring;
    }

    fn write(&self, writer: &mut RowWriter, key: &Exported) -> Result<(), Error> {
        let code = RevealedCode::open(key.place, &key.code, &self.keyring)?;
        let id = key.grant_id.to_string();
        let opens =
            |kind| (key.kind.opens() == kind).then_some((id.as_str(), key.grant_name.as_str()));
        let [class, pool, profile] =
            [GrantKind::Class, GrantKind::Pool, GrantKind::Profile].map(opens);
        let by = key.used.map(|(student, _)| student.to_string());
        let at = key
            .used
            .map(|(_, at)| at.to_rfc3339_opts(SecondsFormat::Micros, true));
        let max_uses = key.max_uses.map(|most| most.to_string());
        writer.write(&[
            Some(code.text.as_str()),
            Some(key.kind.as_text()),
            class.map(|(id, _)| id),
            class.map(|(_, name)| name),
            Some(key.state.as_text()),
            by.as_deref(),
            at.as_deref(),
            pool.map(|(id, _)| id),
            pool.map(|(_, name)| name),
            profile.map(|(id, _)| id),
            profile.map(|(_, name)| name),
            max_uses.as_deref(),
            Some(key.use_count.to_string().as_str()),
        ]);
        Ok(())
    }

    /// Of what kind of grant the keys are; `None` for an organization.
    fn of(&self) -> Option<GrantKind> {
        self.filter.grant.map(|(kind, _)| kind)
    }

    async fn record(&self, action: Action, event_id: Uuid, details: Value) -> Result<(), Error> {
        let deed = Deed {
            action,
            organization_id: self.filter.organization_ids[0],
            resource_id: self.resource_id,
            details,
        };
        let mut transaction = begin(&self.app.pool).await?;
        audit::insert(&mut transaction, self.call.author(), &[(event_id, deed)]).await?;
        transaction.commit().await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trail_is_told_what_was_asked_for_and_nothing_that_was_not() {
        let filter = Filter {
            state: Some(KeyState::Available),
            batch_id: Some(Uuid::from_u128(7)),
            ..Filter::default()
        };
        assert_eq!(
            beginning(&filter, RowFormat::Csv, "printing", 3),
            json!({
                "reason": "printing",
                "format": "csv",
                "state": "available",
                "batch_id": Uuid::from_u128(7),
                "keys": 3,
            })
        );
        let many = beginning(&Filter::default(), RowFormat::JsonLines, "audit", PAGE);
        assert_eq!(
            many,
            json!({ "reason": "audit", "format": "jsonl", "keys_at_least": PAGE })
        );
    }
}
