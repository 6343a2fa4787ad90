//! Classes of more students than calls could bring in.

use crate::harness::Stack;

/// Has so many students in a class by its event key, by one transaction. Nothing else is there of them.
pub(crate) async fn come_in_at_once(stack: &Stack, class_id: &str, count: i32) {
    let statement = "INSERT INTO enrollment.enrollments (enrollment_id, class_id, organization_id, student_id, status,
            status_since, key_id, key_kind, generation, holds_key, enrolled_at)
        SELECT gen_random_uuid(), c.class_id, c.organization_id, gen_random_uuid(), 'enrolled', now(), k.key_id, 'event', 1,
            true, now()
        FROM enrollment.classes c
        JOIN keys.training_keys k ON k.grant_id = c.class_id, generate_series(1, $2)
        WHERE c.class_id = $1::uuid";
    let came = sqlx::query(statement).bind(class_id).bind(count);
    let came = came.execute(&mut stack.database().await).await;
    let came = came.expect("in").rows_affected();
    assert_eq!(came, u64::from(count.unsigned_abs()));
}
