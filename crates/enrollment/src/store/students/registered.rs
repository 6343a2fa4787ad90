//! Students who register with a key: inserted together by the transaction that lets them in.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::student::Student;

/// An account to be inserted.
#[derive(Debug, Clone, Copy)]
pub struct NewStudent<'s> {
    /// The account.
    pub student: &'s Student,
    /// The hash of its password, as a PHC string.
    pub password_hash: Option<&'s str>,
    /// The id of the redemption it comes from.
    pub redemption_id: Uuid,
    /// The fingerprint of that redemption.
    pub fingerprint: &'s [u8],
}

/// Inserts accounts at version 1, created at `now`; how many. Another account with one of their e-mail addresses,
/// external identities or request ids is an error (a unique violation).
pub async fn insert(
    connection: &mut PgConnection,
    new: &[NewStudent<'_>],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let identities = || new.iter().map(|one| one.student.external_identity.as_ref());
    let ids: Vec<Uuid> = new.iter().map(|one| one.student.id).collect();
    let organizations: Vec<Uuid> = new.iter().map(|one| one.student.organization_id).collect();
    let emails: Vec<&str> = new.iter().map(|one| one.student.email.given()).collect();
    let folded: Vec<&str> = new.iter().map(|one| one.student.email.folded()).collect();
    let given: Vec<&str> = new.iter().map(|one| &*one.student.given_name).collect();
    let family: Vec<&str> = new.iter().map(|one| &*one.student.family_name).collect();
    let given_first: Vec<String> = new.iter().map(|one| one.student.given_first()).collect();
    let family_first: Vec<String> = new.iter().map(|one| one.student.family_first()).collect();
    let hashes: Vec<Option<&str>> = new.iter().map(|one| one.password_hash).collect();
    let issuers: Vec<Option<&str>> = identities()
        .map(|one| one.map(|one| &*one.issuer))
        .collect();
    let subjects: Vec<Option<&str>> = identities()
        .map(|one| one.map(|one| &*one.subject))
        .collect();
    let redemptions: Vec<Uuid> = new.iter().map(|one| one.redemption_id).collect();
    let fingerprints: Vec<&[u8]> = new.iter().map(|one| one.fingerprint).collect();
    let done = sqlx::query!(
        r#"
        INSERT INTO enrollment.students (
            student_id, organization_id, email, email_folded, given_name, family_name, password_hash, issuer, subject,
            request_id, request_fingerprint, given_first, family_first, created_at
        )
        SELECT n.*, $14
        FROM unnest(
            $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
            $10::uuid[], $11::bytea[], $12::text[], $13::text[]
        ) AS n
        "#,
        &ids,
        &organizations,
        &emails as _,
        &folded as _,
        &given as _,
        &family as _,
        &hashes as _,
        &issuers as _,
        &subjects as _,
        &redemptions,
        &fingerprints as _,
        &given_first,
        &family_first,
        now,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
