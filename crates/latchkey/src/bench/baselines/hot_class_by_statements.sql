-- The same redemption as hot_class.sql as a service would be written that reads, decides and writes: a transaction of prepared
-- statements, each a round trip of its own, and the seat of the class last.
BEGIN;
SELECT k.key_id, k.class_id, k.organization_id, gen_random_uuid() AS redemption_id, gen_random_uuid() AS student_id
FROM baseline.keys k WHERE k.hash = sha256(int8send(0)) \gset
INSERT INTO baseline.redemptions (
    redemption_id, registration, outcome, fingerprint, organization_id, student_id, key_id, key_kind, generation,
    class_id, enrollment_id, caller, peer, request_id, decided_at
)
VALUES (:redemption_id::uuid, false, 'enrolled', sha256(uuid_send(:redemption_id::uuid)), :organization_id::uuid,
    :student_id::uuid, :key_id::uuid, 'event', 1, :class_id::uuid, :redemption_id::uuid, 'bench-platform-service',
    '127.0.0.1:40000', :redemption_id::uuid::text, clock_timestamp());
INSERT INTO baseline.enrollments (
    enrollment_id, class_id, organization_id, student_id, status, status_since, key_id, key_kind, generation, slot,
    holds_key, enrolled_at
)
VALUES (:redemption_id::uuid, :class_id::uuid, :organization_id::uuid, :student_id::uuid, 'enrolled', clock_timestamp(),
    :key_id::uuid, 'event', 1, NULL, true, clock_timestamp());
INSERT INTO baseline.marks (redemption_id, key_id, organization_id, student_id, generation, redeemed_at)
VALUES (:redemption_id::uuid, :key_id::uuid, :organization_id::uuid, :student_id::uuid, 1, clock_timestamp());
UPDATE baseline.classes SET seats_taken = seats_taken + 1 WHERE class_id = :class_id::uuid;
COMMIT;
