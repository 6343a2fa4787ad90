//! What was closed, and that it is what should have been.

use latchkey_service_kit::broken;
use latchkey_service_kit::invariants::Findings;
use sqlx::PgConnection;

/// Lines, against each other, against the periods, and against what they are of.
pub(super) async fn lines(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.billing_lines",
        "the lines of an enrollment or assignment are counted from 1 on, and booked in that order",
        r#"
        SELECT b.item_id::text AS "id!", format('lines %s', array_agg(b.entry ORDER BY b.booked_at, b.entry)) AS "found!"
        FROM enrollment.billing_lines b GROUP BY b.item_id, b.item_kind
        HAVING count(*) <> max(b.entry)
            OR array_agg(b.entry ORDER BY b.booked_at, b.entry) <> array_agg(b.entry ORDER BY b.entry)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.billing_lines",
        "a line is booked in a closed period of its organization",
        r#"
        SELECT b.item_id::text AS "id!", format('line %s is booked at %s', b.entry, b.booked_at) AS "found!"
        FROM enrollment.billing_lines b
        WHERE NOT EXISTS (
            SELECT FROM enrollment.billing_periods p
            WHERE p.organization_id = b.organization_id AND b.booked_at < p.ends_at
              AND (p.starts_at IS NULL OR b.booked_at >= p.starts_at)
        )
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.billing_lines",
        "a line is of an enrollment or assignment that exists, and of its student",
        r#"
        SELECT b.item_id::text AS "id!", format('line %s, student %s', b.entry, b.student_id) AS "found!"
        FROM enrollment.billing_lines b
        LEFT JOIN enrollment.enrollments e ON b.item_kind = 'enrollment' AND e.enrollment_id = b.item_id
        LEFT JOIN enrollment.assignments a ON b.item_kind = 'assignment' AND a.assignment_id = b.item_id
        WHERE coalesce(e.student_id, a.student_id) IS DISTINCT FROM b.student_id
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Lines, against what the enrollments and assignments are now.
pub(super) async fn charges(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.billing_lines",
        "what happened in closed time, an hour before its end, is charged or taken back as it is now",
        r#"
        SELECT i.item_id::text AS "id!", format('%s since %s, %s lines', i.status, i.since, b.lines) AS "found!"
        FROM (
            SELECT e.enrollment_id AS item_id, 'enrollment' AS item_kind, e.organization_id, e.status, e.status_since AS since,
                e.status = 'enrolled' AS billable
            FROM enrollment.enrollments e
            UNION ALL
            SELECT a.assignment_id, 'assignment', a.organization_id, a.status, coalesce(a.cancelled_at, a.assigned_at),
                a.status <> 'cancelled'
            FROM enrollment.assignments a
        ) i
        JOIN (
            SELECT p.organization_id, max(p.ends_at) AS closed_until FROM enrollment.billing_periods p GROUP BY 1
        ) o ON o.organization_id = i.organization_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS lines FROM enrollment.billing_lines x
            WHERE x.item_id = i.item_id AND x.item_kind = i.item_kind
        ) b
        WHERE i.since < o.closed_until - interval '1 hour'
          AND (b.lines % 2 = 1) <> i.billable
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Closings, against what they closed and against the trail.
pub(super) async fn closings(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.billing_closings",
        "a closing counts the organizations and the lines that it closed",
        r#"
        SELECT c.closing_id::text AS "id!",
            format('%s organizations, %s charges, %s credits; counted %s, %s, %s', c.organization_count, c.charge_count,
                c.credit_count, o.organizations, o.charges, o.credits) AS "found!"
        FROM enrollment.billing_closings c
        CROSS JOIN LATERAL (
            SELECT count(*) AS organizations, coalesce(sum(l.charges), 0) AS charges, coalesce(sum(l.credits), 0) AS credits
            FROM enrollment.billing_periods p
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE b.entry % 2 = 1) AS charges,
                    count(*) FILTER (WHERE b.entry % 2 = 0) AS credits
                FROM enrollment.billing_lines b
                WHERE b.organization_id = p.organization_id AND b.booked_at < p.ends_at
                  AND (p.starts_at IS NULL OR b.booked_at >= p.starts_at)
            ) l
            WHERE p.closing_id = c.closing_id
        ) o
        WHERE (c.organization_count, c.charge_count, c.credit_count) <> (o.organizations, o.charges, o.credits)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.audit_events",
        "each closing of a period has exactly one event",
        r#"
        SELECT coalesce(c.closing_id, e.resource_id)::text AS "id!",
            CASE WHEN c.closing_id IS NULL THEN 'no such closing' ELSE format('%s events', coalesce(e.events, 0)) END AS "found!"
        FROM enrollment.billing_closings c
        FULL JOIN (
            SELECT a.resource_id, count(*) AS events FROM enrollment.audit_events a
            WHERE a.outcome = 'done' AND a.resource_type = 'billing_period' GROUP BY a.resource_id
        ) e ON e.resource_id = c.closing_id
        WHERE c.closing_id IS NULL OR e.events IS DISTINCT FROM 1
        ORDER BY 1
        "#
    );
    Ok(())
}
