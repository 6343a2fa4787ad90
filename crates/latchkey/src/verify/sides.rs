//! What is read of both services, and in which order.

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream};
use latchkey_enrollment::verify as enrollment;
use latchkey_keys::verify as keys;
use latchkey_service_kit::invariants::Finding;

use super::Databases;
use super::compare::{Difference, Item, Kind, differences};

/// A comparison of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Comparison {
    Organizations,
    Classes,
    Profiles,
    Uses,
}

/// A difference that was seen, and may still be on its way.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    comparison: Comparison,
    difference: Difference,
}

impl Seen {
    /// All differences there are at the moment. Keys is read before enrollment each time.
    pub(super) async fn look(databases: &Databases) -> Result<Vec<Self>> {
        let mut seen = Vec::new();
        for (comparison, found) in [
            (Comparison::Organizations, organizations(databases).await?),
            (Comparison::Classes, classes(databases).await?),
            (Comparison::Profiles, profiles(databases).await?),
            (Comparison::Uses, uses(databases).await?),
        ] {
            seen.extend(found.into_iter().map(|difference| Self {
                comparison,
                difference,
            }));
        }
        Ok(seen)
    }

    /// What it is when it turns out to stay.
    pub(super) fn into_finding(self) -> Finding {
        let (original, copy, invariant) = match self.comparison {
            Comparison::Organizations => (
                "enrollment.organizations",
                "keys.organizations",
                "keys has a true copy of every organization",
            ),
            Comparison::Classes => (
                "enrollment.classes",
                "keys.grants",
                "keys has a true copy of every class",
            ),
            Comparison::Profiles => (
                "enrollment.profiles",
                "keys.grants",
                "keys has a true copy of every subscription profile",
            ),
            Comparison::Uses => (
                "enrollment.uses",
                "keys.marks",
                "the marks in keys are the live uses in enrollment",
            ),
        };
        let (one, other) = self.difference.id;
        Finding {
            table: copy,
            id: match other {
                Some(other) => format!("{one} of {other}"),
                None => one.to_string(),
            },
            invariant,
            found: match self.difference.kind {
                Kind::Missing => format!("it stands in {original} and not here"),
                Kind::Stray => format!("it does not stand in {original}"),
                Kind::Differs(how) => how,
            },
        }
    }
}

/// What each service finds in its own schema.
pub(super) async fn findings(databases: &Databases) -> Result<Vec<Finding>> {
    let mut findings = keys::findings(&databases.keys)
        .await
        .context("cannot read the schema of the keys service")?;
    let of_enrollment = enrollment::findings(&databases.enrollment)
        .await
        .context("cannot read the schema of the enrollment service")?;
    findings.extend(of_enrollment);
    Ok(findings)
}

/// A mark in the order of commits: everything committed before now is below it, or will be once the oldest transaction
/// in progress has ended.
pub(super) async fn mark(databases: &Databases) -> Result<String> {
    Ok(enrollment::mark(&databases.enrollment).await?)
}

/// How many changes below the mark keys has not been told yet.
pub(super) async fn owed_below(databases: &Databases, mark: &str) -> Result<i64> {
    Ok(enrollment::owed_below(&databases.enrollment, mark).await?)
}

async fn organizations(databases: &Databases) -> Result<Vec<Difference>> {
    let copies = keys::organizations(&databases.keys).await?;
    let originals = enrollment::organizations(&databases.enrollment).await?;
    let originals = originals.into_iter().map(|organization| Item {
        id: (organization.id, None),
        content: vec![
            ("ancestors", format!("{:?}", organization.ancestor_ids)),
            ("version", organization.version.to_string()),
        ],
    });
    let copies = copies.into_iter().map(|organization| Item {
        id: (organization.organization_id, None),
        content: vec![
            ("ancestors", format!("{:?}", organization.ancestor_ids)),
            ("version", organization.version.to_string()),
        ],
    });
    differences(whole(originals), whole(copies)).await
}

/// A grant without a class is left behind by a create that nobody finished; it opens nothing and is retired in time.
async fn classes(databases: &Databases) -> Result<Vec<Difference>> {
    let copies = keys::grants(&databases.keys).await?;
    let originals = enrollment::grants(&databases.enrollment).await?;
    let originals = originals.into_iter().map(|grant| Item {
        id: (grant.class_id, None),
        content: vec![
            ("organization", grant.organization_id.to_string()),
            ("name", grant.name),
            ("instructors", format!("{:?}", grant.instructors)),
            ("start", grant.starts_at.to_rfc3339()),
            ("end", grant.ends_at.to_rfc3339()),
            ("end of the event key", grant.event_key_until.to_rfc3339()),
            ("time zone", grant.time_zone.name().to_owned()),
            ("status", format!("{:?}", grant.status)),
            ("maximum", grant.maximum_keys.to_string()),
            ("default maximum", grant.maximum_is_default.to_string()),
            ("version", grant.version.to_string()),
        ],
    });
    let finished = copies
        .into_iter()
        .filter(|grant| grant.status != keys::GrantStatus::Creating);
    let copies = finished.map(|grant| {
        let dates = grant.dates;
        let date = |of: fn(keys::Dates) -> DateTime<Utc>| {
            or_none(dates.map(|dates| of(dates).to_rfc3339()))
        };
        Item {
            id: (grant.grant_id, None),
            content: vec![
                ("organization", grant.organization_id.to_string()),
                ("name", grant.name),
                ("instructors", format!("{:?}", grant.instructors)),
                ("start", date(|dates| dates.starts_at)),
                ("end", date(|dates| dates.ends_at)),
                ("end of the event key", date(|dates| dates.event_key_until)),
                ("time zone", grant.zone.name().to_owned()),
                ("status", format!("{:?}", grant.status)),
                (
                    "maximum",
                    or_none(grant.maximum_keys.map(|maximum| maximum.to_string())),
                ),
                ("default maximum", grant.maximum_is_default.to_string()),
                ("version", grant.version.to_string()),
            ],
        }
    });
    differences(whole(originals), whole(copies)).await
}

async fn profiles(databases: &Databases) -> Result<Vec<Difference>> {
    let copies = keys::profiles(&databases.keys).await?;
    let originals = enrollment::profiles(&databases.enrollment).await?;
    let originals = originals.into_iter().map(|profile| Item {
        id: (profile.id, None),
        content: vec![
            ("organization", profile.organization_id.to_string()),
            ("name", profile.settings.name),
            ("version", profile.version.to_string()),
        ],
    });
    let copies = copies.into_iter().map(|grant| Item {
        id: (grant.grant_id, None),
        content: vec![
            ("organization", grant.organization_id.to_string()),
            ("name", grant.name),
            ("version", grant.version.to_string()),
        ],
    });
    differences(whole(originals), whole(copies)).await
}

fn or_none(text: Option<String>) -> String {
    text.unwrap_or_else(|| "none".to_owned())
}

/// There may be millions: both sides are streamed, and the first row of keys is waited for before enrollment is asked,
/// because that fixes what the stream will show.
async fn uses(databases: &Databases) -> Result<Vec<Difference>> {
    let mut copies = keys::live_uses(&databases.keys).map(|found| {
        let found = found?;
        Ok(Item {
            id: (found.mark.redemption_id, Some(found.mark.key_id)),
            content: vec![
                ("student", found.mark.student_id.to_string()),
                (
                    "what it opens",
                    or_none(found.grant_id.map(|id| id.to_string())),
                ),
                ("generation", found.mark.generation.to_string()),
                ("time", found.mark.redeemed_at.to_rfc3339()),
            ],
        })
    });
    let first = copies.next().await;
    let copies = stream::iter(first).chain(copies);
    let originals = enrollment::live_uses(&databases.enrollment).map(|found| {
        let found = found?;
        Ok(Item {
            id: (found.redemption_id, Some(found.key_id)),
            content: vec![
                ("student", found.student_id.to_string()),
                ("what it opens", found.opens_id.to_string()),
                ("generation", found.generation.to_string()),
                ("time", found.redeemed_at.to_rfc3339()),
            ],
        })
    });
    differences(originals, copies).await
}

fn whole(items: impl Iterator<Item = Item>) -> impl Stream<Item = Result<Item>> {
    stream::iter(items.map(Ok))
}
