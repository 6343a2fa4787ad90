//! Closing a period: what is due of it is booked, for good.

use chrono::{DateTime, Utc};
use latchkey_service_kit::database::begin;
use serde_json::json;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, Services};
use crate::domain::audit::{Action, Deed};
use crate::domain::billing::ItemKind;
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::billing::periods::{self, ClosedPeriod, Closing};

/// The method's name in the fingerprints of its requests.
const METHOD: &str = "ClosePeriod";

/// How many lines are booked by one statement: some megabytes of memory, and far within the time a statement may take.
const CHUNK: i64 = 2_000;

/// A wish to close a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClosePeriod {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The organization; those below it are closed with it.
    pub organization_id: Uuid,
    /// Up to where, not included.
    pub ends_at: DateTime<Utc>,
}

/// What was closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The period of the organization itself.
    pub period: ClosedPeriod,
    /// How many organizations were closed.
    pub organization_count: i32,
    /// How many charges they have in what was closed.
    pub charge_count: i64,
    /// How many of earlier charges were taken back there.
    pub credit_count: i64,
}

/// Closes the time of an organization and of those below it, in one transaction. The same request again gives the same
/// answer.
///
/// Nobody else waits for it: it locks organizations, and neither classes nor enrollments nor assignments. What commits meanwhile is seen by it
/// or by the next closing, whichever it is.
pub async fn close_period(
    services: &Services,
    call: &Call,
    wish: ClosePeriod,
) -> Result<Closed, Error> {
    let organization_id = wish.organization_id;
    get_organization(services, call, organization_id).await?;
    let fingerprint = services
        .fingerprint_key
        .begin(METHOD)
        .text(&organization_id.to_string())
        .text(&wish.ends_at.to_rfc3339())
        .finish();
    let mut transaction = begin(&services.pool).await?;
    let locked = periods::lock(&mut transaction, organization_id).await?;
    if let Some((closing, recorded)) = periods::find(&mut transaction, wish.request_id).await? {
        if recorded != fingerprint {
            return Err(reused(&wish));
        }
        let closed = answer(&mut transaction, closing).await?;
        transaction.commit_confirmed().await?;
        return Ok(closed);
    }
    let (now, closed_until) = periods::standing(&mut transaction, organization_id).await?;
    if wish.ends_at > now {
        return Err(Error::invalid("end_time", "must not lie ahead"));
    }
    if let Some(closed_until) = closed_until.filter(|closed| *closed >= wish.ends_at) {
        let refusal = Refusal::PeriodClosed {
            organization_id,
            closed_until,
        };
        return Err(refusal.into());
    }
    let open = periods::open_before(&mut transaction, &locked, wish.ends_at).await?;
    let booked = book(&mut transaction, &open, wish.ends_at).await?;
    let closing = Closing {
        closing_id: services.ids.new_id(),
        organization_id,
        ends_at: wish.ends_at,
        closed_at: now,
        organization_count: i32::try_from(open.len()).unwrap_or(i32::MAX),
        charge_count: booked.charges,
        credit_count: booked.credits,
    };
    let first = periods::insert(&mut transaction, &closing, wish.request_id, &fingerprint).await?;
    if !first {
        // Another call with the same id, for another organization, was first, and has committed: the insert waited for it.
        transaction.rollback().await?;
        return Err(reused(&wish));
    }
    periods::close(&mut transaction, &open, &closing).await?;
    let deeds = [(services.ids.new_id(), deed(&closing, closed_until))];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    let closed = answer(&mut transaction, closing).await?;
    transaction.commit().await?;
    Ok(closed)
}

fn reused(wish: &ClosePeriod) -> Error {
    let id = wish.request_id;
    Refusal::RequestIdReused { id }.into()
}

/// The answer that tells of a closing.
async fn answer(connection: &mut PgConnection, closing: Closing) -> Result<Closed, Error> {
    let period = periods::of_closing(connection, &closing).await?;
    Ok(Closed {
        period,
        organization_count: closing.organization_count,
        charge_count: closing.charge_count,
        credit_count: closing.credit_count,
    })
}

/// How many lines were booked.
#[derive(Debug, Default)]
struct Booked {
    charges: i64,
    credits: i64,
}

/// Books what is due of `organizations` before `ends_at`.
async fn book(
    connection: &mut PgConnection,
    organizations: &[Uuid],
    ends_at: DateTime<Utc>,
) -> Result<Booked, Error> {
    let mut booked = Booked::default();
    for kind in ItemKind::ALL {
        book_all(connection, kind, organizations, ends_at, &mut booked).await?;
    }
    Ok(booked)
}

/// Books what is due of one kind of item, chunk by chunk, and counts it.
async fn book_all(
    connection: &mut PgConnection,
    kind: ItemKind,
    organizations: &[Uuid],
    ends_at: DateTime<Utc>,
    booked: &mut Booked,
) -> Result<(), Error> {
    let period = (store::billing::EVER.0, ends_at);
    let mut after = None;
    loop {
        let due =
            store::billing::due::of_kind(connection, kind, organizations, period, after, CHUNK)
                .await?;
        let Some(last) = due.last() else {
            return Ok(());
        };
        after = Some(last.place());
        store::billing::book(connection, &due).await?;
        let charges = due.iter().filter(|line| line.reason.charges()).count();
        booked.charges += i64::try_from(charges).unwrap_or(i64::MAX);
        booked.credits += i64::try_from(due.len() - charges).unwrap_or(i64::MAX);
    }
}

fn deed(closing: &Closing, from: Option<DateTime<Utc>>) -> Deed {
    Deed {
        action: Action::ClosePeriod,
        organization_id: closing.organization_id,
        resource_id: closing.closing_id,
        student_id: None,
        details: json!({
            "from": from,
            "until": closing.ends_at,
            "organizations": closing.organization_count,
            "charges": closing.charge_count,
            "credits": closing.credit_count,
        }),
    }
}
