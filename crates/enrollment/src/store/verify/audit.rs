//! Each state change has exactly one event in the trail, and each event its state change. A redemption is its own.

use latchkey_service_kit::broken;
use latchkey_service_kit::invariants::Findings;
use sqlx::PgConnection;

/// Organizations and classes: one event for the creation, one for each version after the first.
pub(super) async fn organizations_and_classes(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each change of an organization has exactly one event",
        r#"
        SELECT coalesce(o.organization_id, e.resource_id)::text AS "id!",
            format('version %s, %s creations, %s changes', coalesce(o.version, 0), coalesce(e.created, 0), coalesce(e.changed, 0))
                AS "found!"
        FROM enrollment.organizations o
        FULL JOIN (
            SELECT a.resource_id, count(*) FILTER (WHERE a.action = 'organization.create') AS created,
                count(*) FILTER (WHERE a.action <> 'organization.create') AS changed
            FROM enrollment.audit_events a WHERE a.outcome = 'done' AND a.resource_type = 'organization' GROUP BY a.resource_id
        ) e ON e.resource_id = o.organization_id
        WHERE (e.created, e.changed) IS DISTINCT FROM (1::bigint, o.version - o.versions_lost - 1)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each change of a class has exactly one event",
        r#"
        SELECT coalesce(c.class_id, e.resource_id)::text AS "id!",
            format('%s, version %s, %s creations, %s changes, %s cancellations', coalesce(c.status, 'missing'),
                coalesce(c.version, 0), coalesce(e.created, 0), coalesce(e.changed, 0), coalesce(e.cancelled, 0)) AS "found!"
        FROM enrollment.classes c
        FULL JOIN (
            SELECT a.resource_id, count(*) FILTER (WHERE a.action = 'class.create') AS created,
                count(*) FILTER (WHERE a.action <> 'class.create') AS changed,
                count(*) FILTER (WHERE a.action = 'class.cancel') AS cancelled
            FROM enrollment.audit_events a WHERE a.outcome = 'done' AND a.resource_type = 'class' GROUP BY a.resource_id
        ) e ON e.resource_id = c.class_id
        WHERE (e.created, e.changed, e.cancelled)
            IS DISTINCT FROM (1::bigint, c.version - c.versions_lost - 1, CASE WHEN c.status = 'cancelled' THEN 1 ELSE 0 END::bigint)
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Students: made by a request with an event, or by a registration; one event for each version after the first.
pub(super) async fn students(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each account has exactly one origin, an event or a registration, and each change of it exactly one event",
        r#"
        SELECT coalesce(s.student_id, e.resource_id)::text AS "id!",
            format('version %s, %s creations, %s registrations, %s changes', coalesce(s.version, 0), coalesce(e.created, 0),
                coalesce(s.registered, 0), coalesce(e.changed, 0)) AS "found!"
        FROM (
            SELECT t.student_id, t.version, (
                SELECT count(*) FROM enrollment.redemptions r
                WHERE r.redemption_id = t.request_id AND r.registration AND r.outcome IN ('enrolled', 'assigned')
                  AND r.student_id = t.student_id
            ) AS registered
            FROM enrollment.students t
        ) s
        FULL JOIN (
            SELECT a.resource_id, count(*) FILTER (WHERE a.action = 'student.create') AS created,
                count(*) FILTER (WHERE a.action <> 'student.create') AS changed
            FROM enrollment.audit_events a WHERE a.outcome = 'done' AND a.resource_type = 'student' GROUP BY a.resource_id
        ) e ON e.resource_id = s.student_id
        WHERE s.student_id IS NULL OR coalesce(e.created, 0) + s.registered <> 1 OR coalesce(e.changed, 0) <> s.version - 1
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Enrollments: direct ones have an event, and each change has one.
pub(super) async fn enrollments(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each direct enrollment and each change of an enrollment has exactly one event",
        r#"
        SELECT coalesce(n.enrollment_id, e.resource_id)::text AS "id!",
            CASE WHEN n.enrollment_id IS NULL THEN 'no such enrollment' ELSE
                format('%s, %s direct enrollments for %s, version %s, %s changes, %s cancellations, %s lifts', n.status,
                    coalesce(e.enrolled, 0), n.enrolled, n.version, coalesce(e.changed, 0), coalesce(e.cancelled, 0),
                    coalesce(e.lifted, 0))
            END AS "found!"
        FROM (
            SELECT i.enrollment_id, i.status, i.version, CASE WHEN i.key_id IS NULL THEN 1 ELSE 0 END AS enrolled,
                i.cancelled_by IS NOT DISTINCT FROM 'staff' AND NOT i.blocked AS was_lifted
            FROM enrollment.enrollments i
        ) n
        FULL JOIN (
            SELECT a.resource_id, count(*) FILTER (WHERE a.action = 'enrollment.enroll') AS enrolled,
                count(*) FILTER (WHERE a.action <> 'enrollment.enroll') AS changed,
                count(*) FILTER (WHERE a.action = 'enrollment.cancel') AS cancelled,
                count(*) FILTER (WHERE a.action = 'enrollment.lift_block') AS lifted
            FROM enrollment.audit_events a WHERE a.outcome = 'done' AND a.resource_type = 'enrollment' GROUP BY a.resource_id
        ) e ON e.resource_id = n.enrollment_id
        WHERE n.enrollment_id IS NULL OR coalesce(e.enrolled, 0) <> n.enrolled OR coalesce(e.changed, 0) <> n.version - 1
           OR (n.status = 'cancelled' AND coalesce(e.cancelled, 0) = 0) OR (n.was_lifted AND coalesce(e.lifted, 0) = 0)
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Notification plans: one event for the creation, one for each version after the first; and each version of an
/// organization's notification settings has one.
pub(super) async fn notifications(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each change of a notification plan or of notification settings has exactly one event",
        r#"
        SELECT coalesce(n.id, e.resource_id)::text AS "id!",
            format('version %s, %s events', coalesce(n.version, 0), coalesce(e.events, 0)) AS "found!"
        FROM (
            SELECT p.plan_id AS id, p.version FROM enrollment.notification_plans p
            UNION ALL
            SELECT s.organization_id, s.version FROM enrollment.notification_settings s
        ) n
        FULL JOIN (
            SELECT a.resource_id, count(*) AS events FROM enrollment.audit_events a
            WHERE a.outcome = 'done' AND a.resource_type IN ('notification_plan', 'notification_settings')
            GROUP BY a.resource_id
        ) e ON e.resource_id = n.id
        WHERE e.events IS DISTINCT FROM n.version
        ORDER BY 1
        "#
    );
    Ok(())
}
