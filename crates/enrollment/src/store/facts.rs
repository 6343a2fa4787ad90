//! What redemptions are decided on, read for a whole batch by few statements.
//!
//! Each look-up of each wish is a lateral subquery that finds at most one row by an index, whatever the tables' sizes:
//! plans are generic.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use latchkey_service_kit::faults::{clock_offset, crash_point, planted};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use super::redemptions::{Granted, read_outcome};
use super::{BadRow, assignments, classes};
use crate::domain::class::Class;
use crate::domain::decision::{
    Account, Applicant, Holder, Ledger, Live, NewAccount, Recorded, Wish,
};
use crate::domain::enrollment::Status;

/// How much is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Who asks, and what was decided before.
    BeforeKey,
    /// The use of their keys and the places that they open.
    OfKeys,
    /// Both.
    All,
}

/// What is known about `wishes` before their keys are: who asks, and what was decided before.
pub async fn read_before_key(
    connection: &mut PgConnection,
    wishes: &[&Wish],
) -> sqlx::Result<Ledger> {
    read_as(Reading::BeforeKey, connection, wishes).await
}

/// What is known about the keys of `wishes` and the places that they open, to students who are known already, and what stands
/// against accounts of newcomers.
pub async fn read_of_keys(connection: &mut PgConnection, wishes: &[&Wish]) -> sqlx::Result<Ledger> {
    read_as(Reading::OfKeys, connection, wishes).await
}

/// Everything that is known about `wishes`, but their classes. For deciding: after those are locked, and the clock with it.
pub async fn read(connection: &mut PgConnection, wishes: &[&Wish]) -> sqlx::Result<Ledger> {
    read_as(Reading::All, connection, wishes).await
}

async fn read_as(
    reading: Reading,
    connection: &mut PgConnection,
    wishes: &[&Wish],
) -> sqlx::Result<Ledger> {
    let mut ledger = Ledger::default();
    if planted("bug::facts_read_in_the_other_order") {
        read_wishes(connection, wishes, reading, &mut ledger).await?;
        crash_point("facts::between");
        read_newcomers(connection, wishes, &mut ledger).await?;
    } else {
        // Each statement has a snapshot of its own, and what was decided is read by the later one: whoever sees the account
        // that a registration has made, but not the registration, would take its id for another's.
        read_newcomers(connection, wishes, &mut ledger).await?;
        crash_point("facts::between");
        read_wishes(connection, wishes, reading, &mut ledger).await?;
    }
    Ok(ledger)
}

/// The classes of `wishes`, whether or not they are locked.
pub async fn read_classes(
    connection: &mut PgConnection,
    wishes: &[&Wish],
) -> sqlx::Result<HashMap<Uuid, Class>> {
    let mut ids: Vec<Uuid> = wishes
        .iter()
        .filter_map(|wish| wish.key.as_ref()?.class_id())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let found = classes::find_all(connection, &ids).await?;
    Ok(found.into_iter().map(|class| (class.id, class)).collect())
}

pub(super) fn student(wish: &Wish) -> Option<Uuid> {
    match &wish.applicant {
        Applicant::Student(id) => Some(*id),
        Applicant::Newcomer { account, .. } => Some(account.as_ref()?.student_id),
    }
}

/// The item of `items` at a place that is counted from one.
pub(super) fn at<T>(items: &[T], place: i64) -> Option<&T> {
    items.get(usize::try_from(place - 1).ok()?)
}

/// What was found about one wish.
struct WishRow {
    /// Which wish, counted from one.
    place: i64,
    fingerprint: Option<Vec<u8>>,
    outcome: Option<String>,
    refusal: Option<Value>,
    enrollment_id: Option<Uuid>,
    assignment_id: Option<Uuid>,
    id_taken: bool,
    organization_id: Option<Uuid>,
    active: Option<bool>,
    ancestors: Option<Vec<Uuid>>,
    /// The database's clock; with what follows, if keys are looked at.
    now: Option<DateTime<Utc>>,
    live: Option<Uuid>,
    live_status: Option<String>,
    blocked: bool,
    /// The enrollment that holds the key.
    holder: Option<Uuid>,
    known: bool,
}

/// The look-ups of wishes: of who asks and what was decided before (`before_key`), of keys and the places that they open
/// (`of_keys`), or of both (`all`).
macro_rules! wishes {
    ($reading:ident, $wishes:literal, $($parameter:expr),*) => {
        wishes!(@$reading $wishes,
            "r.fingerprint AS \"fingerprint?\", r.outcome AS \"outcome?\", r.refusal AS \"refusal?\",
                r.enrollment_id AS \"enrollment_id?\", r.assignment_id AS \"assignment_id?\",
                own.found IS NOT NULL AS \"id_taken!\",
                s.organization_id AS \"organization_id?\", s.active AS \"active?\", s.ancestor_ids AS \"ancestors?\", ",
            "(SELECT clock_timestamp()) AS \"now?\", live.enrollment_id AS \"live?\", live.status AS \"live_status?\",
                blocked.found IS NOT NULL AS \"blocked!\", held.enrollment_id AS \"holder?\",
                known.found IS NOT NULL AS \"known!\" ",
            " LEFT JOIN LATERAL (
                SELECT x.fingerprint, x.outcome, x.refusal, x.enrollment_id, x.assignment_id FROM enrollment.redemptions x
                WHERE x.redemption_id = n.redemption_id LIMIT 1
            ) r ON true
            LEFT JOIN LATERAL (
                SELECT true AS found FROM enrollment.enrollments x WHERE x.enrollment_id = n.redemption_id LIMIT 1
            ) own ON true
            LEFT JOIN LATERAL (
                SELECT x.organization_id, x.active, o.ancestor_ids FROM enrollment.students x
                JOIN enrollment.organizations o ON o.organization_id = x.organization_id
                WHERE x.student_id = n.student_id LIMIT 1
            ) s ON true ",
            " LEFT JOIN LATERAL (
                SELECT x.enrollment_id, x.status FROM enrollment.enrollments x
                WHERE x.class_id = n.class_id AND x.student_id = n.student_id AND x.live LIMIT 1
            ) live ON true
            LEFT JOIN LATERAL (
                SELECT true AS found FROM enrollment.enrollments x
                WHERE x.class_id = n.class_id AND x.student_id = n.student_id AND NOT x.live AND x.blocked
                LIMIT 1
            ) blocked ON true
            LEFT JOIN LATERAL (
                SELECT x.enrollment_id FROM enrollment.enrollments x
                WHERE x.key_id = n.key_id AND x.holds_key AND x.slot IS NOT NULL LIMIT 1
            ) held ON true
            LEFT JOIN LATERAL (
                SELECT true AS found FROM enrollment.enrollments x WHERE x.enrollment_id = n.used_by LIMIT 1
            ) known ON true",
            $($parameter),*
        )
    };
    (@before_key $wishes:literal, $who:literal, $keys:literal, $of_who:literal, $of_keys:literal, $($parameter:expr),*) => {
        wishes!(@@ $who, "NULL::timestamptz AS \"now?\", NULL::uuid AS \"live?\", NULL::text AS \"live_status?\",
            false AS \"blocked!\", NULL::uuid AS \"holder?\", false AS \"known!\"", $wishes, $of_who, "", $($parameter),*)
    };
    (@of_keys $wishes:literal, $who:literal, $keys:literal, $of_who:literal, $of_keys:literal, $($parameter:expr),*) => {
        wishes!(@@ "NULL::bytea AS \"fingerprint?\", NULL::text AS \"outcome?\", NULL::jsonb AS \"refusal?\",
            NULL::uuid AS \"enrollment_id?\", NULL::uuid AS \"assignment_id?\", false AS \"id_taken!\",
            NULL::uuid AS \"organization_id?\", NULL::bool AS \"active?\", NULL::uuid[] AS \"ancestors?\", ",
            $keys, $wishes, "", $of_keys, $($parameter),*)
    };
    (@all $wishes:literal, $who:literal, $keys:literal, $of_who:literal, $of_keys:literal, $($parameter:expr),*) => {
        wishes!(@@ $who, $keys, $wishes, $of_who, $of_keys, $($parameter),*)
    };
    (@@ $who:literal, $keys:literal, $wishes:literal, $of_who:literal, $of_keys:literal, $($parameter:expr),*) => {
        sqlx::query_as!(
            WishRow,
            "SELECT n.place AS \"place!\", " + $who + $keys + " FROM " + $wishes + $of_who + $of_keys,
            $($parameter),*
        )
    };
}

async fn read_wishes(
    connection: &mut PgConnection,
    wishes: &[&Wish],
    reading: Reading,
    ledger: &mut Ledger,
) -> sqlx::Result<()> {
    let rows = match reading {
        Reading::BeforeKey => rows_before_key(connection, wishes).await?,
        Reading::OfKeys => rows_of_keys(connection, wishes).await?,
        Reading::All => rows(connection, wishes).await?,
    };
    for row in rows {
        if let Some(wish) = at(wishes, row.place) {
            note_use(ledger, wish, &row)?;
            note_applicant(ledger, wish, row)?;
        }
    }
    if reading != Reading::BeforeKey {
        assignments::read_facts(connection, wishes, ledger).await?;
        ledger.now += clock_offset("clock::database");
    }
    Ok(())
}

fn note_applicant(ledger: &mut Ledger, wish: &Wish, row: WishRow) -> sqlx::Result<()> {
    if let (Some(id), Some(fingerprint), Some(outcome)) =
        (wish.redemption_id, row.fingerprint, row.outcome)
    {
        let granted = Granted {
            enrollment_id: row.enrollment_id,
            assignment_id: row.assignment_id,
        };
        let outcome = read_outcome(id, &outcome, granted, row.refusal)?;
        ledger.recorded.insert(
            id,
            Recorded {
                fingerprint,
                outcome,
            },
        );
    } else if row.id_taken {
        ledger.taken_ids.extend(wish.redemption_id);
    }
    let account = row.organization_id.zip(row.active).zip(row.ancestors);
    if let (Some(id), Some(((organization_id, active), ancestors))) = (student(wish), account) {
        ledger.students.insert(
            id,
            Account {
                organization_id,
                ancestors,
                active,
            },
        );
    }
    Ok(())
}

fn note_use(ledger: &mut Ledger, wish: &Wish, row: &WishRow) -> sqlx::Result<()> {
    let Some(now) = row.now else { return Ok(()) };
    ledger.now = now;
    let Some(key) = &wish.key else { return Ok(()) };
    if let Some((class_id, student)) = key.class_id().zip(student(wish)) {
        let place = (class_id, student);
        if let (Some(id), Some(status)) = (row.live, &row.live_status) {
            ledger.live.insert(place, live(id, status)?);
        }
        if row.blocked {
            ledger.blocked.insert(place);
        }
    }
    if let Some(holder) = row.holder {
        ledger.keys_in_use.insert(key.key_id, holder);
    }
    if let Some(live_use) = key.live_use.filter(|_| row.known) {
        ledger.known_uses.insert(live_use.redemption_id);
    }
    Ok(())
}

fn live(enrollment_id: Uuid, status: &str) -> Result<Live, BadRow> {
    let bad = || BadRow::new("enrollment.enrollments", "status", enrollment_id, status);
    let waiting = Status::parse(status).ok_or_else(bad)?.is_waiting();
    Ok(Live {
        enrollment_id,
        waiting,
    })
}

async fn rows_before_key(
    connection: &mut PgConnection,
    wishes: &[&Wish],
) -> sqlx::Result<Vec<WishRow>> {
    wishes!(
        before_key,
        "unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY AS n (redemption_id, student_id, place)",
        &redemption_ids(wishes) as _,
        &student_ids(wishes) as _
    )
    .fetch_all(connection)
    .await
}

async fn rows_of_keys(
    connection: &mut PgConnection,
    wishes: &[&Wish],
) -> sqlx::Result<Vec<WishRow>> {
    let keys = KeyColumns::of(wishes);
    wishes!(
        of_keys,
        "unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[]) WITH ORDINALITY
            AS n (student_id, class_id, key_id, used_by, place)",
        &student_ids(wishes) as _,
        &keys.class_ids as _,
        &keys.key_ids as _,
        &keys.uses as _
    )
    .fetch_all(connection)
    .await
}

async fn rows(connection: &mut PgConnection, wishes: &[&Wish]) -> sqlx::Result<Vec<WishRow>> {
    let keys = KeyColumns::of(wishes);
    wishes!(
        all,
        "unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[]) WITH ORDINALITY
            AS n (redemption_id, student_id, class_id, key_id, used_by, place)",
        &redemption_ids(wishes) as _,
        &student_ids(wishes) as _,
        &keys.class_ids as _,
        &keys.key_ids as _,
        &keys.uses as _
    )
    .fetch_all(connection)
    .await
}

fn redemption_ids(wishes: &[&Wish]) -> Vec<Option<Uuid>> {
    wishes.iter().map(|wish| wish.redemption_id).collect()
}

fn student_ids(wishes: &[&Wish]) -> Vec<Option<Uuid>> {
    wishes.iter().map(|wish| student(wish)).collect()
}

/// What is looked up by the keys of wishes, wish by wish.
struct KeyColumns {
    class_ids: Vec<Option<Uuid>>,
    /// Of keys for one student. Those of which any number of uses is live are not looked up: one could have thousands. Those of
    /// pools are by themselves.
    key_ids: Vec<Option<Uuid>>,
    /// The uses that the keys service knows.
    uses: Vec<Option<Uuid>>,
}

impl KeyColumns {
    fn of(wishes: &[&Wish]) -> Self {
        let keys = || wishes.iter().map(|wish| wish.key.as_ref());
        let of_class = || keys().map(|key| key.filter(|key| key.class_id().is_some()));
        Self {
            class_ids: keys().map(|key| key?.class_id()).collect(),
            key_ids: of_class()
                .map(|key| key.filter(|key| key.is_single_use()))
                .map(|key| Some(key?.key_id))
                .collect(),
            uses: of_class()
                .map(|key| Some(key?.live_use?.redemption_id))
                .collect(),
        }
    }
}

/// A wish to register: the redemption, the organization, the account.
type Newcomer<'w> = (Option<Uuid>, Uuid, Option<&'w NewAccount>);

/// What was found about one wish to register.
struct NewcomerRow {
    /// Which wish, counted from one.
    place: i64,
    ancestors: Option<Vec<Uuid>>,
    self_registration: Option<bool>,
    email_taken: bool,
    identity_taken: bool,
    id_taken: bool,
}

async fn read_newcomers(
    connection: &mut PgConnection,
    wishes: &[&Wish],
    ledger: &mut Ledger,
) -> sqlx::Result<()> {
    let newcomers: Vec<Newcomer<'_>> = wishes
        .iter()
        .filter_map(|wish| match &wish.applicant {
            Applicant::Student(_) => None,
            Applicant::Newcomer {
                organization_id,
                account,
            } => Some((wish.redemption_id, *organization_id, account.as_ref())),
        })
        .collect();
    if newcomers.is_empty() {
        return Ok(());
    }
    for row in newcomer_rows(connection, &newcomers).await? {
        let Some((redemption_id, organization_id, account)) = at(&newcomers, row.place) else {
            continue;
        };
        if let (Some(ancestors), Some(self_registration)) = (row.ancestors, row.self_registration) {
            ledger.organizations.insert(
                *organization_id,
                Holder {
                    ancestors,
                    self_registration,
                },
            );
        }
        if let Some(account) = account {
            if row.email_taken {
                let email = account.email_folded.clone();
                ledger.emails.insert((*organization_id, email));
            }
            if row.identity_taken {
                ledger.identities.extend(account.identity.clone());
            }
        }
        if row.id_taken {
            ledger.taken_ids.extend(*redemption_id);
        }
    }
    Ok(())
}

async fn newcomer_rows(
    connection: &mut PgConnection,
    newcomers: &[Newcomer<'_>],
) -> sqlx::Result<Vec<NewcomerRow>> {
    let accounts = || newcomers.iter().map(|one| one.2);
    let identities = || accounts().map(|one| one.and_then(|account| account.identity.as_ref()));
    let redemptions: Vec<Option<Uuid>> = newcomers.iter().map(|one| one.0).collect();
    let organizations: Vec<Uuid> = newcomers.iter().map(|one| one.1).collect();
    let emails: Vec<Option<&str>> = accounts()
        .map(|one| one.map(|account| &*account.email_folded))
        .collect();
    let issuers: Vec<Option<&str>> = identities()
        .map(|one| one.map(|one| &*one.issuer))
        .collect();
    let subjects: Vec<Option<&str>> = identities()
        .map(|one| one.map(|one| &*one.subject))
        .collect();
    sqlx::query_as!(
        NewcomerRow,
        r#"
        SELECT n.place AS "place!", o.ancestor_ids AS "ancestors?", o.self_registration AS "self_registration?",
            email.found IS NOT NULL AS "email_taken!",
            identity.found IS NOT NULL AS "identity_taken!",
            own.found IS NOT NULL AS "id_taken!"
        FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
            AS n (redemption_id, organization_id, email_folded, issuer, subject, place)
        LEFT JOIN LATERAL (
            SELECT x.ancestor_ids, x.self_registration FROM enrollment.organizations x
            WHERE x.organization_id = n.organization_id LIMIT 1
        ) o ON true
        LEFT JOIN LATERAL (
            SELECT true AS found FROM enrollment.students x
            WHERE x.organization_id = n.organization_id AND x.email_folded = n.email_folded LIMIT 1
        ) email ON true
        LEFT JOIN LATERAL (
            SELECT true AS found FROM enrollment.students x
            WHERE x.issuer = n.issuer AND x.subject = n.subject LIMIT 1
        ) identity ON true
        LEFT JOIN LATERAL (
            SELECT true AS found FROM enrollment.students x WHERE x.request_id = n.redemption_id LIMIT 1
        ) own ON true
        "#,
        &redemptions as _,
        &organizations,
        &emails as _,
        &issuers as _,
        &subjects as _,
    )
    .fetch_all(connection)
    .await
}
