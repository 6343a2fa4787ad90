//! How assignments fit their redemptions, their students, their subscription profiles and the trail.

use latchkey_service_kit::broken;
use latchkey_service_kit::invariants::Findings;
use sqlx::PgConnection;

/// Assignments: each of a student and by a redemption, and the other way round.
pub(super) async fn assignments(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.assignments",
        "every assignment is of a student that exists, and the redemption with its id made it",
        r#"
        SELECT a.assignment_id::text AS "id!",
            format('student %s, redemption %s of %s by key %s', coalesce(s.student_id::text, 'unknown'),
                coalesce(r.outcome, 'unknown'), r.student_id, r.key_id) AS "found!"
        FROM enrollment.assignments a
        LEFT JOIN enrollment.students s ON s.student_id = a.student_id
        LEFT JOIN enrollment.redemptions r ON r.redemption_id = a.assignment_id
        WHERE s.student_id IS NULL OR r.outcome IS DISTINCT FROM 'assigned'
           OR (r.student_id, r.key_id, r.generation, r.pool_id, r.profile_id, r.organization_id, r.assignment_id)
              IS DISTINCT FROM (a.student_id, a.key_id, a.generation, a.pool_id, a.profile_id, a.organization_id, a.assignment_id)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.assignments",
        "each use of a key is held by one assignment at most, and by none that is cancelled",
        r#"
        SELECT min(a.assignment_id::text) AS "id!",
            format('key %s held by %s', a.key_id, string_agg(a.assignment_id::text, ', ' ORDER BY a.assignment_id)) AS "found!"
        FROM enrollment.assignments a WHERE a.holds_key
        GROUP BY a.key_id, a.slot HAVING (a.slot IS NOT NULL AND count(*) > 1) OR bool_or(a.status = 'cancelled')
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.redemptions",
        "a redemption that was not refused has its assignment: its own, or the one by which the student had used the key already",
        r#"
        SELECT r.redemption_id::text AS "id!", format('%s, assignment %s', r.outcome, r.assignment_id) AS "found!"
        FROM enrollment.redemptions r
        LEFT JOIN enrollment.assignments a ON a.assignment_id = r.assignment_id
        WHERE (r.pool_id IS NOT NULL OR r.profile_id IS NOT NULL) AND r.outcome <> 'refused' AND (
            a.assignment_id IS NULL OR a.key_id <> r.key_id OR a.student_id <> r.student_id
            OR (r.outcome = 'assigned') <> (a.assignment_id = r.redemption_id)
        )
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Subscription profiles: each assignment of one has it, with the same owner; versions, and their events.
pub(super) async fn profiles(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.assignments",
        "an assignment by a subscription key has its profile, of the same organization",
        r#"
        SELECT a.assignment_id::text AS "id!",
            format('profile %s of %s, assignment of %s', a.profile_id, coalesce(p.organization_id::text, 'unknown'), a.organization_id)
                AS "found!"
        FROM enrollment.assignments a
        LEFT JOIN enrollment.profiles p ON p.profile_id = a.profile_id
        WHERE a.profile_id IS NOT NULL AND p.organization_id IS DISTINCT FROM a.organization_id
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.profiles",
        "no copy of a profile is newer than it, and it is available to its owner and organizations below it only",
        r#"
        SELECT p.profile_id::text AS "id!",
            format('version %s, copied %s, available to %s', p.version, p.copied_version, p.available_to) AS "found!"
        FROM enrollment.profiles p
        WHERE p.copied_version > p.version OR EXISTS (
            SELECT FROM unnest(p.available_to) AS n (organization_id)
            LEFT JOIN enrollment.organizations o ON o.organization_id = n.organization_id
            WHERE n.organization_id <> p.organization_id AND (p.organization_id = ANY (o.ancestor_ids)) IS NOT TRUE
        )
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each change of a subscription profile has exactly one event",
        r#"
        SELECT coalesce(p.profile_id, e.resource_id)::text AS "id!",
            format('version %s, %s creations, %s changes', coalesce(p.version, 0), coalesce(e.created, 0), coalesce(e.changed, 0))
                AS "found!"
        FROM enrollment.profiles p
        FULL JOIN (
            SELECT a.resource_id, count(*) FILTER (WHERE a.action = 'subscription_profile.create') AS created,
                count(*) FILTER (WHERE a.action <> 'subscription_profile.create') AS changed
            FROM enrollment.audit_events a WHERE a.outcome = 'done' AND a.resource_type = 'subscription_profile'
            GROUP BY a.resource_id
        ) e ON e.resource_id = p.profile_id
        WHERE (e.created, e.changed) IS DISTINCT FROM (1::bigint, p.version - p.versions_lost - 1)
        ORDER BY 1
        "#
    );
    Ok(())
}

/// The events of what became of assignments.
pub(super) async fn events(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each cancellation and each first launch of an assignment has exactly one event",
        r#"
        SELECT coalesce(n.assignment_id, e.resource_id)::text AS "id!",
            format('%s cancellations for %s, %s launches for %s', coalesce(e.cancelled, 0), coalesce(n.cancelled, 0),
                coalesce(e.launched, 0), coalesce(n.launched, 0)) AS "found!"
        FROM (
            SELECT a.assignment_id, CASE WHEN a.status = 'cancelled' THEN 1 ELSE 0 END AS cancelled,
                CASE WHEN a.launched_at IS NOT NULL THEN 1 ELSE 0 END AS launched
            FROM enrollment.assignments a
        ) n
        FULL JOIN (
            SELECT a.resource_id, count(*) FILTER (WHERE a.action = 'assignment.cancel') AS cancelled,
                count(*) FILTER (WHERE a.action = 'assignment.launch') AS launched
            FROM enrollment.audit_events a WHERE a.outcome = 'done' AND a.resource_type = 'assignment' GROUP BY a.resource_id
        ) e ON e.resource_id = n.assignment_id
        WHERE n.assignment_id IS NULL OR coalesce(e.cancelled, 0) <> n.cancelled OR coalesce(e.launched, 0) <> n.launched
        ORDER BY 1
        "#
    );
    Ok(())
}
