//! What must be true of a stack's data whatever happened before, read from both schemas by SQL of the tests' own.

use std::fmt::Write as _;

use latchkey::verify::{Databases, Drain, verify};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{Stack, eventually};

/// Each query returns what breaks one invariant, as text.
const BROKEN: [(&str, &str); 14] = [
    (
        "seats taken are the enrolled students",
        "SELECT c.class_id || ' has ' || c.seats_taken || ' seats taken and ' || count(e.*) || ' students' AS broken
         FROM enrollment.classes c
         LEFT JOIN enrollment.enrollments e ON e.class_id = c.class_id AND e.status = 'enrolled'
         GROUP BY c.class_id HAVING c.seats_taken <> count(e.*)",
    ),
    (
        "a class never has more students than its maximum",
        "SELECT class_id || '' AS broken FROM enrollment.classes WHERE seats_taken > maximum_students",
    ),
    (
        "a student is in a class once",
        "SELECT class_id || ' ' || student_id AS broken FROM enrollment.enrollments
         WHERE status NOT IN ('denied', 'cancelled') GROUP BY class_id, student_id HAVING count(*) > 1",
    ),
    (
        "an enrollment key has one live use",
        "SELECT key_id || '' AS broken FROM enrollment.enrollments WHERE holds_key AND key_kind = 'enrollment'
         GROUP BY key_id HAVING count(*) > 1",
    ),
    (
        "a key that assigns courses has each of its uses once, and the key of a pool only one",
        "SELECT key_id || '' AS broken FROM enrollment.assignments WHERE holds_key
         GROUP BY key_id HAVING count(slot) <> count(DISTINCT slot) OR (count(*) > 1 AND bool_or(pool_id IS NOT NULL))",
    ),
    (
        "every redemption that assigned a course has its assignment, and the other way round",
        "SELECT coalesce(r.redemption_id, a.assignment_id) || '' AS broken
         FROM (SELECT * FROM enrollment.redemptions WHERE outcome = 'assigned') r
         FULL JOIN enrollment.assignments a ON a.assignment_id = r.redemption_id
         WHERE r.redemption_id IS NULL OR a.assignment_id IS NULL OR a.student_id <> r.student_id OR a.key_id <> r.key_id
            OR a.pool_id IS DISTINCT FROM r.pool_id OR a.profile_id IS DISTINCT FROM r.profile_id",
    ),
    (
        "nobody is in a cancelled class",
        "SELECT e.enrollment_id || '' AS broken FROM enrollment.enrollments e JOIN enrollment.classes c USING (class_id)
         WHERE c.status = 'cancelled' AND e.status NOT IN ('denied', 'cancelled')",
    ),
    (
        "every redemption that enrolled has its enrollment",
        "SELECT r.redemption_id || '' AS broken FROM enrollment.redemptions r
         LEFT JOIN enrollment.enrollments e ON e.enrollment_id = r.redemption_id
         WHERE r.outcome IN ('enrolled', 'wait_listed') AND (e.enrollment_id IS NULL OR e.student_id <> r.student_id
            OR e.key_id <> r.key_id OR (e.class_id <> r.class_id AND e.moved_at IS NULL) OR r.enrollment_id <> r.redemption_id)",
    ),
    (
        "every enrollment by a key has its redemption, every other its request",
        "SELECT e.enrollment_id || '' AS broken FROM enrollment.enrollments e
         LEFT JOIN enrollment.redemptions r ON r.redemption_id = e.enrollment_id
            AND r.outcome IN ('enrolled', 'wait_listed')
         LEFT JOIN enrollment.requests q ON q.request_id = e.enrollment_id
         WHERE (e.key_id IS NOT NULL AND r.redemption_id IS NULL) OR (e.key_id IS NULL AND q.request_id IS NULL)",
    ),
    (
        "an enrollment is of the organization of its class",
        "SELECT e.enrollment_id || '' AS broken FROM enrollment.enrollments e JOIN enrollment.classes c USING (class_id)
         WHERE e.organization_id <> c.organization_id",
    ),
    (
        "live enrollment keys do not exceed what was allowed when they were generated, one code each",
        "SELECT k.key_id || '' AS broken FROM keys.training_keys k
         WHERE (SELECT count(*) FROM keys.codes c WHERE c.key_id = k.key_id) <> k.generation",
    ),
    (
        "a class has one event key at most",
        "SELECT grant_id || '' AS broken FROM keys.training_keys WHERE kind = 'event' GROUP BY grant_id HAVING count(*) > 1",
    ),
    (
        "what is shown of a code does not give it away",
        "SELECT key_id || ' ' || masked_code AS broken FROM keys.training_keys WHERE masked_code NOT LIKE '%••••%'",
    ),
    (
        "nothing is audited without an actor",
        "SELECT event_id || '' AS broken FROM keys.audit_events WHERE actor_subject = ''
         UNION ALL SELECT event_id || '' FROM enrollment.audit_events WHERE actor_subject = ''",
    ),
];

/// What keys must have been told, against what it was told. Empty once nothing is owed.
const OWED: [(&str, &str); 4] = [
    (
        "marks equal live uses",
        "SELECT coalesce(e.id, m.redemption_id) || CASE WHEN m.redemption_id IS NULL THEN ' has no mark'
             WHEN e.id IS NULL THEN ' is marked and holds no key' ELSE ' differs' END AS broken
         FROM (SELECT enrollment_id AS id, key_id, student_id, generation, enrolled_at AS at
               FROM enrollment.enrollments WHERE holds_key
               UNION ALL SELECT assignment_id, key_id, student_id, generation, assigned_at
               FROM enrollment.assignments WHERE holds_key) e
         FULL JOIN (SELECT * FROM keys.marks WHERE released_at IS NULL) m
             ON m.redemption_id = e.id AND m.key_id = e.key_id
         WHERE e.id IS NULL OR m.redemption_id IS NULL OR e.student_id <> m.student_id
             OR e.generation <> m.generation OR e.at <> m.redeemed_at",
    ),
    (
        "organizations are copied",
        "SELECT o.organization_id || '' AS broken FROM enrollment.organizations o
         LEFT JOIN keys.organizations k USING (organization_id)
         WHERE k.organization_id IS NULL OR k.ancestor_ids <> o.ancestor_ids",
    ),
    (
        "subscription profiles are copied",
        "SELECT p.profile_id || '' AS broken FROM enrollment.profiles p
         LEFT JOIN keys.grants g ON g.grant_id = p.profile_id AND g.kind = 'profile'
         WHERE g.grant_id IS NULL OR g.organization_id <> p.organization_id OR g.name <> p.name",
    ),
    (
        "classes are copied",
        "SELECT c.class_id || '' AS broken FROM enrollment.classes c LEFT JOIN keys.grants g ON g.grant_id = c.class_id
         WHERE g.grant_id IS NULL OR g.organization_id <> c.organization_id OR g.name <> c.name
            OR g.instructors <> c.instructors OR g.starts_at <> c.starts_at OR g.ends_at <> c.ends_at
            OR g.maximum_keys <> c.maximum_students OR g.maximum_is_default <> c.maximum_is_default
            OR (g.status = 'cancelled') <> (c.status = 'cancelled') OR g.status = 'creating'",
    ),
];

/// Fails unless everything holds, by the tests' own queries and by `latchkey verify`; what is owed to keys is given time
/// to arrive.
pub(crate) async fn hold(stack: &Stack) {
    let mut connection = stack.database().await;
    let broken = findings(&mut connection, &BROKEN).await;
    assert!(broken.is_empty(), "{broken}");
    eventually("all told to keys", async || told(stack).await).await;
    let services = &stack.site().database.services;
    let databases = Databases::connect(&services.keys_url, &services.enrollment_url);
    let databases = databases.await.expect("connections");
    let report = verify(&databases, &Drain::default())
        .await
        .expect("a report");
    databases.close().await;
    assert!(report.is_ok(), "{}", report.for_people());
}

/// Whether keys was told all that it is owed; what not.
pub(crate) async fn told(stack: &Stack) -> Result<(), String> {
    let mut connection = stack.database().await;
    let owed = findings(&mut connection, &OWED).await;
    if owed.is_empty() { Ok(()) } else { Err(owed) }
}

async fn findings(connection: &mut PgConnection, queries: &[(&str, &'static str)]) -> String {
    let mut text = String::new();
    for (invariant, query) in queries {
        let rows = sqlx::query(*query)
            .fetch_all(&mut *connection)
            .await
            .unwrap_or_else(|error| panic!("{invariant}: {error}"));
        for row in rows {
            let broken: String = row.get("broken");
            writeln!(text, "{invariant}: {broken}").expect("text");
        }
    }
    text
}
