-- One redemption by hand, at its best: one statement, which is one round trip and one transaction. The key is found by the
-- hash of its code; the redemption, the enrollment and the use of the key are rows of their own, and the seat of the class
-- is taken last, so that its row is locked for little more than the flush.
--
-- `i` begins at 0; each client has :span keys of its own, and uses each of them once.
\set i :i + 1
\set n :client_id * :span + :i
WITH wish AS MATERIALIZED (
    SELECT gen_random_uuid() AS redemption_id, gen_random_uuid() AS student_id, k.key_id, k.class_id, k.organization_id,
        clock_timestamp() AS now
    FROM baseline.keys k WHERE k.hash = sha256(int8send(:n))
), recorded AS (
    INSERT INTO baseline.redemptions (
        redemption_id, registration, outcome, fingerprint, organization_id, student_id, key_id, key_kind, generation,
        class_id, enrollment_id, caller, peer, request_id, decided_at
    )
    SELECT redemption_id, false, 'enrolled', sha256(uuid_send(redemption_id)), organization_id, student_id, key_id,
        'enrollment', 1, class_id, redemption_id, 'bench-platform-service', '127.0.0.1:40000', redemption_id::text, now
    FROM wish RETURNING 1
), used AS (
    INSERT INTO baseline.marks (redemption_id, key_id, organization_id, student_id, generation, redeemed_at)
    SELECT redemption_id, key_id, organization_id, student_id, 1, now FROM wish RETURNING 1
), enrolled AS (
    INSERT INTO baseline.enrollments (
        enrollment_id, class_id, organization_id, student_id, status, status_since, key_id, key_kind, generation, slot,
        holds_key, enrolled_at
    )
    SELECT redemption_id, class_id, organization_id, student_id, 'enrolled', now, key_id, 'enrollment', 1, 0, true, now
    FROM wish RETURNING class_id
)
UPDATE baseline.classes c SET seats_taken = seats_taken + 1
FROM recorded, used, enrolled
WHERE c.class_id = enrolled.class_id;
