//! How rows fit each other.

use latchkey_service_kit::broken;
use latchkey_service_kit::invariants::Findings;
use sqlx::PgConnection;

/// The tree of organizations, and the accounts in it.
pub(super) async fn organizations_and_students(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.organizations",
        "the ancestors of an organization are its parent and the ancestors of that",
        r#"
        SELECT o.organization_id::text AS "id!", format('parent %s, ancestors %s', o.parent_id, o.ancestor_ids) AS "found!"
        FROM enrollment.organizations o
        LEFT JOIN enrollment.organizations p ON p.organization_id = o.parent_id
        WHERE o.ancestor_ids <> CASE WHEN p.organization_id IS NULL THEN '{}'::uuid[] ELSE p.organization_id || p.ancestor_ids END
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.organizations",
        "no version is copied to keys before it exists",
        r#"
        SELECT o.organization_id::text AS "id!", format('version %s, copied %s', o.version, o.copied_version) AS "found!"
        FROM enrollment.organizations o WHERE o.copied_version > o.version
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.students",
        "a student belongs to an organization that exists",
        r#"
        SELECT s.student_id::text AS "id!", 'organization ' || s.organization_id AS "found!"
        FROM enrollment.students s
        WHERE NOT EXISTS (SELECT FROM enrollment.organizations o WHERE o.organization_id = s.organization_id)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.students",
        "an e-mail address is unique in an organization, an external identity everywhere",
        r#"
        SELECT min(s.student_id::text) AS "id!", string_agg(s.student_id::text, ', ' ORDER BY s.student_id) AS "found!"
        FROM enrollment.students s WHERE s.email_folded IS NOT NULL
        GROUP BY s.organization_id, s.email_folded HAVING count(*) > 1
        UNION ALL
        SELECT min(s.student_id::text), string_agg(s.student_id::text, ', ' ORDER BY s.student_id)
        FROM enrollment.students s WHERE s.issuer IS NOT NULL GROUP BY s.issuer, s.subject HAVING count(*) > 1
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.students",
        "an erased account keeps nothing personal",
        r#"
        SELECT s.student_id::text AS "id!", format('erased at %s', s.erased_at) AS "found!"
        FROM enrollment.students s
        WHERE s.erased_at IS NOT NULL AND (s.active OR s.email IS NOT NULL OR s.email_folded IS NOT NULL OR s.given_name <> ''
            OR s.family_name <> '' OR s.given_first IS NOT NULL OR s.family_first IS NOT NULL OR s.password_hash IS NOT NULL OR s.issuer IS NOT NULL OR s.subject IS NOT NULL)
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Classes and their seats.
pub(super) async fn seats(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.classes",
        "the seats taken are the students enrolled, never more than the maximum, and none once cancelled",
        r#"
        SELECT c.class_id::text AS "id!",
            format('%s, seats taken %s, enrolled %s, maximum %s', c.status, c.seats_taken, e.enrolled, c.maximum_students)
                AS "found!"
        FROM enrollment.classes c
        CROSS JOIN LATERAL (
            SELECT count(*) AS enrolled FROM enrollment.enrollments i
            WHERE i.class_id = c.class_id AND i.live AND i.status = 'enrolled'
        ) e
        WHERE c.seats_taken <> e.enrolled OR e.enrolled > c.maximum_students OR (c.status = 'cancelled' AND e.enrolled > 0)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.classes",
        "no version is copied to keys before it exists",
        r#"
        SELECT c.class_id::text AS "id!", format('version %s, copied %s', c.version, c.copied_version) AS "found!"
        FROM enrollment.classes c WHERE c.copied_version > c.version
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Enrollments.
pub(super) async fn enrollments(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.enrollments",
        "an enrollment is of a class that exists, of its organization, and of a student of that or one below",
        r#"
        SELECT e.enrollment_id::text AS "id!",
            format('class %s of %s, student %s of %s, organization %s',
                e.class_id, c.organization_id, e.student_id, s.organization_id, e.organization_id) AS "found!"
        FROM enrollment.enrollments e
        LEFT JOIN enrollment.classes c ON c.class_id = e.class_id
        LEFT JOIN enrollment.students s ON s.student_id = e.student_id
        LEFT JOIN enrollment.organizations o ON o.organization_id = s.organization_id
        WHERE c.class_id IS NULL OR o.organization_id IS NULL OR c.organization_id <> e.organization_id
           OR NOT (o.organization_id = c.organization_id OR o.ancestor_ids @> ARRAY[c.organization_id])
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.enrollments",
        "a student is in a class once",
        r#"
        SELECT min(e.enrollment_id::text) AS "id!", string_agg(e.enrollment_id::text, ', ' ORDER BY e.enrollment_id) AS "found!"
        FROM enrollment.enrollments e WHERE e.live
        GROUP BY e.class_id, e.student_id HAVING count(*) > 1
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.enrollments",
        "nobody has a live enrollment in a cancelled class",
        r#"
        SELECT e.enrollment_id::text AS "id!", format('%s in class %s', e.status, e.class_id) AS "found!"
        FROM enrollment.enrollments e
        JOIN enrollment.classes c ON c.class_id = e.class_id
        WHERE e.live AND c.status = 'cancelled'
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.enrollments",
        "only who was removed or denied by staff is blocked",
        r#"
        SELECT e.enrollment_id::text AS "id!", format('%s, cancelled by %s', e.status, coalesce(e.cancelled_by, 'nobody')) AS "found!"
        FROM enrollment.enrollments e WHERE e.blocked AND e.status <> 'denied' AND e.cancelled_by IS DISTINCT FROM 'staff'
        ORDER BY 1
        "#
    );
    Ok(())
}

/// The keys that enrollments hold.
pub(super) async fn held_keys(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.enrollments",
        "an enrollment key is held by one enrollment at most",
        r#"
        SELECT min(e.enrollment_id::text) AS "id!",
            format('key %s held by %s', e.key_id, string_agg(e.enrollment_id::text, ', ' ORDER BY e.enrollment_id)) AS "found!"
        FROM enrollment.enrollments e WHERE e.holds_key AND e.key_kind = 'enrollment'
        GROUP BY e.key_id HAVING count(*) > 1
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.enrollments",
        "who came by a key and is in holds it, unless it was given up, in slot 0 if it is an enrollment key",
        r#"
        SELECT e.enrollment_id::text AS "id!",
            format('%s key %s, %s, slot %s', e.key_kind, e.key_id, CASE WHEN e.holds_key THEN 'held' ELSE 'given up' END,
                coalesce(e.slot::text, 'none')) AS "found!"
        FROM enrollment.enrollments e
        WHERE e.live AND e.key_id IS NOT NULL
          AND ((NOT e.holds_key AND e.key_released_at IS NULL)
            OR e.slot IS DISTINCT FROM CASE WHEN e.key_kind = 'enrollment' THEN 0 END)
        ORDER BY 1
        "#
    );
    Ok(())
}

/// Redemptions, and where enrollments come from.
pub(super) async fn redemptions(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> sqlx::Result<()> {
    broken!(
        findings,
        connection,
        "enrollment.redemptions",
        "a redemption that was not refused has its enrollment: its own, or the one by which the student was in already",
        r#"
        SELECT r.redemption_id::text AS "id!",
            format('%s, enrollment %s, %s', r.outcome, r.enrollment_id,
                CASE WHEN e.enrollment_id IS NULL THEN 'which does not exist'
                ELSE format('class %s, student %s, key %s, generation %s', e.class_id, e.student_id, e.key_id, e.generation) END)
                AS "found!"
        FROM enrollment.redemptions r
        LEFT JOIN enrollment.enrollments e ON e.enrollment_id = r.enrollment_id
        WHERE r.outcome <> 'refused' AND r.pool_id IS NULL AND r.profile_id IS NULL AND (
            e.enrollment_id IS NULL OR (e.class_id <> r.class_id AND e.moved_at IS NULL) OR e.student_id <> r.student_id
            OR (r.outcome IN ('enrolled', 'wait_listed') AND (
                e.enrollment_id <> r.redemption_id OR e.organization_id <> r.organization_id
                OR (e.key_id, e.key_kind, e.generation) IS DISTINCT FROM (r.key_id, r.key_kind, r.generation)
            ))
            OR (r.outcome = 'already_in' AND e.enrollment_id = r.redemption_id)
        )
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.enrollments",
        "every enrollment has its origin: the redemption with its id, or the direct request with its id",
        r#"
        SELECT e.enrollment_id::text AS "id!",
            CASE WHEN e.key_id IS NULL THEN 'no direct request' ELSE 'no redemption that made it' END AS "found!"
        FROM enrollment.enrollments e
        LEFT JOIN enrollment.redemptions r ON r.redemption_id = e.enrollment_id AND r.outcome IN ('enrolled', 'wait_listed')
        LEFT JOIN enrollment.requests q ON q.request_id = e.enrollment_id AND q.method = 'EnrollStudent'
            AND q.result ->> 'enrollment_id' = e.enrollment_id::text AND q.result ->> 'already_in' = 'false'
        WHERE CASE WHEN e.key_id IS NULL THEN q.request_id IS NULL OR r.redemption_id IS NOT NULL
            ELSE r.redemption_id IS NULL OR q.request_id IS NOT NULL END
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.redemptions",
        "a recorded refusal is of the reason that stands beside it",
        r#"
        SELECT r.redemption_id::text AS "id!", format('%s, recorded %s', r.reason, coalesce(r.refusal ->> 'reason', 'nothing')) AS "found!"
        FROM enrollment.redemptions r WHERE r.reason IS DISTINCT FROM r.refusal ->> 'reason'
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "enrollment.deliveries",
        "there is one place up to which keys was told",
        r#"
        SELECT 'only_row' AS "id!", format('%s rows', count(*)) AS "found!" FROM enrollment.deliveries HAVING count(*) <> 1
        "#
    );
    Ok(())
}
