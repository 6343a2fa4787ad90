-- A small world in which everything holds: both schemas as the services would have left them.
--
-- Ids are numbers: pg_temp.id(41) is 00000000-0000-0000-0000-000000000029.
-- 1 an organization, 2 one below it; 11 a class with students, 12 a cancelled one; 21 to 27 students; 31 to 33 enrollment
-- keys (33 is revoked), 34 the event key with its second code; 41 to 46 enrollments and redemptions; 47 and 48 other
-- redemptions; 51 an enrollment that was denied, 52 one that waits, 53 one that was brought back and gave its key up;
-- 61 and 62 closings of billing periods; 71 a pool with the keys 72 and 73; 74 an assignment by the first of them, 75 one by
-- the other that was cancelled; 81 a subscription profile with the keys 82 and 83, of which 82 got other terms;
-- 84 an assignment by that one.

INSERT INTO enrollment.organizations
    (organization_id, parent_id, ancestor_ids, display_name, request_id, request_fingerprint, version, copied_version)
VALUES
    (pg_temp.id(1), NULL, '{}', 'Academy', pg_temp.id(101), '', 2, 2),
    (pg_temp.id(2), pg_temp.id(1), ARRAY[pg_temp.id(1)], 'Branch', pg_temp.id(102), '', 1, 1);

INSERT INTO enrollment.classes
    (class_id, organization_id, course_id, course_name, name, instructors, starts_at, ends_at, time_zone,
     minimum_students, maximum_students, maximum_is_default, post_class_days, status, event_key_window, seats_taken,
     request_id, request_fingerprint, version, copied_version)
SELECT pg_temp.id(n), pg_temp.id(1), 'course', 'Course', 'Class', '{ines}', '2040-03-01 08:00Z', '2040-03-02 16:00Z',
    'Europe/Berlin', 0, 30, false, 180, status, 'until_class_ends', seats, pg_temp.id(100 + n), '', 2, 2
FROM (VALUES (11, 'scheduled', 4), (12, 'cancelled', 0)) AS classes (n, status, seats);

INSERT INTO enrollment.students
    (student_id, organization_id, email, email_folded, given_name, family_name, given_first, family_first, issuer, subject,
     request_id, request_fingerprint)
SELECT pg_temp.id(n), pg_temp.id(organization), n || '@example.com', n || '@example.com', 'Sam', 'Student',
    'sam student', 'student sam',
    'https://issuer.example.com', n::text, pg_temp.id(request), ''
FROM (VALUES (21, 1, 121), (22, 2, 122), (23, 1, 123), (24, 1, 124), (25, 1, 45), (26, 1, 126), (27, 1, 127)) AS students (n, organization, request);

INSERT INTO enrollment.profiles
    (profile_id, organization_id, name, course_ids, course_names, duration_seconds, available_to, enabled, request_id,
     request_fingerprint, created_by, version, copied_version)
VALUES (pg_temp.id(81), pg_temp.id(1), 'Profile', '{course}', '{Course}', 86400, '{}', true, pg_temp.id(181), '', 'ada', 1, 1);

-- In time that nobody has closed.
INSERT INTO enrollment.assignments
    (assignment_id, profile_id, organization_id, student_id, status, key_id, generation, slot, holds_key, assigned_at, expires_at)
VALUES (pg_temp.id(84), pg_temp.id(81), pg_temp.id(1), pg_temp.id(21), 'assigned', pg_temp.id(82), 1, 0, true,
    '2040-01-03 00:00Z', '2040-01-04 00:00Z');

INSERT INTO enrollment.redemptions
    (redemption_id, registration, outcome, fingerprint, organization_id, student_id, key_id, key_kind, generation, profile_id,
     assignment_id, caller, peer, request_id, decided_at)
VALUES (pg_temp.id(84), false, 'assigned', '', pg_temp.id(1), pg_temp.id(21), pg_temp.id(82), 'subscription', 1, pg_temp.id(81),
    pg_temp.id(84), 'platform', '', '', '2040-01-03 00:00Z');

INSERT INTO enrollment.enrollments
    (enrollment_id, class_id, organization_id, student_id, status, status_since, key_id, key_kind, generation, slot, holds_key,
     key_released_at, enrolled_at, cancelled_by, blocked, version)
SELECT pg_temp.id(n), pg_temp.id(11), pg_temp.id(1), pg_temp.id(student), status, '2040-01-02 00:00Z', pg_temp.id(key), kind,
    generation, slot, holds, CASE WHEN key IS NOT NULL AND NOT holds THEN timestamptz '2040-01-02 00:00Z' END,
    '2040-01-01 00:00Z', by, status = 'denied' OR by IS NOT DISTINCT FROM 'staff', version
FROM (VALUES
    (41, 21, 'enrolled', 31, 'enrollment', 1, 0, true, NULL, 1),
    (42, 22, 'enrolled', 34, 'event', 2, NULL, true, NULL, 1),
    (43, 23, 'cancelled', 32, 'enrollment', 1, 0, false, 'student', 2),
    (44, 24, 'enrolled', NULL, NULL, NULL, NULL, false, NULL, 1),
    (45, 25, 'enrolled', 34, 'event', 1, NULL, true, NULL, 1),
    (46, 23, 'cancelled', 34, 'event', 2, NULL, false, 'staff', 2),
    (51, 23, 'denied', NULL, NULL, NULL, NULL, false, NULL, 2),
    (52, 26, 'wait_listed', NULL, NULL, NULL, NULL, false, NULL, 1),
    (53, 27, 'audit', 32, 'enrollment', 1, 0, false, NULL, 3)
) AS enrollments (n, student, status, key, kind, generation, slot, holds, by, version);

INSERT INTO enrollment.requests (request_id, method, fingerprint, result)
SELECT pg_temp.id(n), 'EnrollStudent', '', jsonb_build_object('enrollment_id', pg_temp.id(n), 'already_in', false)
FROM (VALUES (44), (51), (52)) AS requests (n);

INSERT INTO enrollment.redemptions
    (redemption_id, registration, outcome, reason, refusal, fingerprint, organization_id, student_id, key_id, key_kind,
     generation, class_id, enrollment_id, caller, peer, request_id, decided_at)
SELECT pg_temp.id(n), n = 45, outcome, reason, CASE WHEN reason IS NOT NULL THEN jsonb_build_object('reason', reason) END, '',
    pg_temp.id(1), pg_temp.id(student), pg_temp.id(key), kind, generation, pg_temp.id(11), pg_temp.id(enrollment), 'platform',
    '', '', '2040-01-01 00:00Z'
FROM (VALUES
    (41, 'enrolled', NULL, 21, 31, 'enrollment', 1, 41),
    (42, 'enrolled', NULL, 22, 34, 'event', 2, 42),
    (43, 'enrolled', NULL, 23, 32, 'enrollment', 1, 43),
    (45, 'enrolled', NULL, 25, 34, 'event', 1, 45),
    (46, 'enrolled', NULL, 23, 34, 'event', 2, 46),
    (53, 'enrolled', NULL, 27, 32, 'enrollment', 1, 53),
    (47, 'already_in', NULL, 21, 34, 'event', 2, 41),
    (48, 'refused', 'KEY_REVOKED', 24, 33, 'enrollment', 1, NULL)
) AS redemptions (n, outcome, reason, student, key, kind, generation, enrollment);

INSERT INTO enrollment.assignments
    (assignment_id, pool_id, organization_id, student_id, course_id, course_name, status, key_id, generation, slot, holds_key,
     assigned_at, expires_at, launched_at, cancelled_at, cancelled_by)
SELECT pg_temp.id(n), pg_temp.id(71), pg_temp.id(1), pg_temp.id(student), 'course', 'Course', status, pg_temp.id(key), 1, 0,
    status = 'assigned', '2040-01-01 00:00Z', '2040-01-02 00:00Z',
    CASE WHEN status = 'assigned' THEN timestamptz '2040-01-01 01:00Z' END,
    CASE WHEN status = 'cancelled' THEN timestamptz '2040-01-02 00:00Z' END, CASE WHEN status = 'cancelled' THEN 'student' END
FROM (VALUES (74, 21, 72, 'assigned'), (75, 22, 73, 'cancelled')) AS assignments (n, student, key, status);

INSERT INTO enrollment.redemptions
    (redemption_id, registration, outcome, fingerprint, organization_id, student_id, key_id, key_kind, generation, pool_id,
     assignment_id, caller, peer, request_id, decided_at)
SELECT pg_temp.id(n), false, outcome, '', pg_temp.id(1), pg_temp.id(student), pg_temp.id(key), 'pool', 1, pg_temp.id(71),
    pg_temp.id(assignment), 'platform', '', '', '2040-01-01 00:00Z'
FROM (VALUES (74, 'assigned', 21, 72, 74), (75, 'assigned', 22, 73, 75), (76, 'already_in', 21, 72, 74))
    AS redemptions (n, outcome, student, key, assignment);

-- 61 closed the organization and the one below it while 43 and 46 were enrolled, and 75 was assigned; 62 the day after.
INSERT INTO enrollment.billing_closings
    (closing_id, request_id, request_fingerprint, organization_id, ends_at, closed_at, organization_count, charge_count, credit_count)
VALUES
    (pg_temp.id(61), pg_temp.id(161), '', pg_temp.id(1), '2040-01-01 12:00Z', '2040-01-01 12:01Z', 2, 4, 0),
    (pg_temp.id(62), pg_temp.id(162), '', pg_temp.id(1), '2040-01-02 12:00Z', '2040-01-02 12:01Z', 1, 4, 3);

INSERT INTO enrollment.billing_periods (organization_id, starts_at, ends_at, closing_id)
VALUES
    (pg_temp.id(1), NULL, '2040-01-01 12:00Z', pg_temp.id(61)), (pg_temp.id(2), NULL, '2040-01-01 12:00Z', pg_temp.id(61)),
    (pg_temp.id(1), '2040-01-01 12:00Z', '2040-01-02 12:00Z', pg_temp.id(62));

INSERT INTO enrollment.billing_lines
    (item_id, item_kind, entry, organization_id, reason, booked_at, occurred_at, student_id, class_id, class_name, course_id,
     course_name, key_id, key_kind, generation)
SELECT e.enrollment_id, 'enrollment', n.entry, e.organization_id, n.reason, n.at, n.at, e.student_id, e.class_id, 'Class', 'course', 'Course',
    e.key_id, e.key_kind, e.generation
FROM enrollment.enrollments e
CROSS JOIN LATERAL (VALUES
    (1, 'enrolled', CASE WHEN e.status = 'enrolled' THEN e.status_since ELSE e.enrolled_at END),
    (2, 'cancelled_by_' || e.cancelled_by, e.status_since)
) AS n (entry, reason, at)
WHERE e.status IN ('enrolled', 'cancelled') AND n.reason IS NOT NULL;

INSERT INTO enrollment.billing_lines
    (item_id, item_kind, entry, organization_id, reason, booked_at, occurred_at, student_id, pool_id, course_id, course_name,
     key_id, key_kind, generation)
SELECT a.assignment_id, 'assignment', n.entry, a.organization_id, n.reason, n.at, n.at, a.student_id, a.pool_id, a.course_id,
    a.course_name, a.key_id, 'pool', a.generation
FROM enrollment.assignments a
CROSS JOIN LATERAL (VALUES (1, 'assigned', a.assigned_at), (2, 'cancelled_by_' || a.cancelled_by, a.cancelled_at))
    AS n (entry, reason, at)
WHERE n.reason IS NOT NULL AND a.pool_id IS NOT NULL;

INSERT INTO enrollment.audit_events
    (event_id, actor_subject, actor_issuer, actor_roles, organization_id, action, resource_type, resource_id, peer, request_id)
SELECT pg_temp.id(n), 'ada', 'https://issuer.example.com', '{administrator}', pg_temp.id(1), type || '.' || action, type,
    pg_temp.id(resource), '', ''
FROM (VALUES
    (201, 'organization', 'create', 1), (202, 'organization', 'set_self_registration', 1), (203, 'organization', 'create', 2),
    (204, 'class', 'create', 11), (205, 'class', 'update', 11), (206, 'class', 'create', 12), (207, 'class', 'cancel', 12),
    (208, 'student', 'create', 21), (209, 'student', 'create', 22), (210, 'student', 'create', 23), (211, 'student', 'create', 24),
    (212, 'enrollment', 'enroll', 44), (213, 'enrollment', 'cancel', 43), (214, 'enrollment', 'cancel', 46),
    (215, 'enrollment', 'enroll', 51), (216, 'enrollment', 'enroll', 52), (217, 'enrollment', 'change_status', 51),
    (218, 'enrollment', 'cancel', 53), (219, 'enrollment', 'change_status', 53), (220, 'student', 'create', 26),
    (221, 'student', 'create', 27), (222, 'assignment', 'launch', 74), (223, 'assignment', 'cancel', 75),
    (241, 'subscription_profile', 'create', 81), (231, 'billing_period', 'close', 61), (232, 'billing_period', 'close', 62)
) AS events (n, type, action, resource);

INSERT INTO keys.organizations (organization_id, ancestor_ids, version)
SELECT organization_id, ancestor_ids, version FROM enrollment.organizations;

-- 13 was left behind by a create that nobody finished: it opens nothing and breaks nothing.
INSERT INTO keys.grants
    (grant_id, kind, organization_id, name, instructors, starts_at, ends_at, event_key_until, time_zone, status, maximum_keys,
     maximum_is_default, version)
SELECT pg_temp.id(n), 'class', pg_temp.id(1), 'Class', '{ines}', '2040-03-01 08:00Z', '2040-03-02 16:00Z', '2040-03-02 16:00Z',
    'Europe/Berlin', status, 30, false, version
FROM (VALUES (11, 'open', 2), (12, 'cancelled', 2), (13, 'creating', 0)) AS grants (n, status, version);

INSERT INTO keys.grants
    (grant_id, kind, organization_id, name, instructors, starts_at, ends_at, event_key_until, time_zone, status,
     maximum_is_default, version)
VALUES (pg_temp.id(71), 'pool', pg_temp.id(1), 'Pool', '{}', '2040-01-01 00:00Z', '2041-01-01 00:00Z', '2041-01-01 00:00Z',
    'UTC', 'open', false, 2);

INSERT INTO keys.grants
    (grant_id, kind, organization_id, name, instructors, time_zone, status, maximum_is_default, version)
VALUES (pg_temp.id(81), 'profile', pg_temp.id(1), 'Profile', '{}', 'UTC', 'open', false, 1);

INSERT INTO keys.pools
    (pool_id, organization_id, course_id, course_name, availability_seconds, open_to_descendants, created_at, created_by)
VALUES (pg_temp.id(71), pg_temp.id(1), 'course', 'Course', 86400, true, '2040-01-01 00:00Z', 'ada');

INSERT INTO keys.training_keys
    (key_id, kind, organization_id, grant_id, batch_id, generation, masked_code, created_at, created_by, revoked_at, revoked_by,
     version)
SELECT pg_temp.id(n), kind, pg_temp.id(1), pg_temp.id(CASE kind WHEN 'pool' THEN 71 WHEN 'subscription' THEN 81 ELSE 11 END),
    pg_temp.id(batch), generation, '••••', '2040-01-01 00:00Z', 'ada', CASE WHEN n = 33 THEN timestamptz '2040-01-01 00:00Z' END, CASE WHEN n = 33 THEN 'mona' END, generation
FROM (VALUES (31, 'enrollment', 131, 1), (32, 'enrollment', 131, 1), (33, 'enrollment', 133, 1), (34, 'event', 134, 2),
    (72, 'pool', 172, 1), (73, 'pool', 172, 1), (82, 'subscription', 182, 1), (83, 'subscription', 182, 1)) AS training_keys (n, kind, batch, generation);

INSERT INTO keys.subscription_keys (key_id, organization_id, max_uses, expires_at, version)
VALUES (pg_temp.id(82), pg_temp.id(1), 5, '2041-01-01 00:00Z', 2), (pg_temp.id(83), pg_temp.id(1), NULL, NULL, 1);

INSERT INTO keys.codes
    (key_id, generation, organization_id, hash, hash_version, sealed_code, seal_version, issued_at, valid_until)
SELECT pg_temp.id(n), generation, pg_temp.id(1), sha256(format('%s %s', n, generation)::bytea), 1, '', 1, '2040-01-01 00:00Z',
    CASE WHEN n = 34 AND generation = 1 THEN timestamptz '2040-01-01 01:00Z' END
FROM (VALUES (31, 1), (32, 1), (33, 1), (34, 1), (34, 2), (72, 1), (73, 1), (82, 1), (83, 1)) AS codes (n, generation);

INSERT INTO keys.marks (redemption_id, key_id, organization_id, student_id, generation, redeemed_at, released_at)
SELECT enrollment_id, key_id, organization_id, student_id, generation, enrolled_at, key_released_at
FROM enrollment.enrollments WHERE key_id IS NOT NULL
UNION ALL
SELECT assignment_id, key_id, organization_id, student_id, generation, assigned_at, cancelled_at FROM enrollment.assignments;

INSERT INTO keys.requests
    (request_id, organization_id, grant_id, method, fingerprint, fingerprint_version, result, decided_at)
SELECT pg_temp.id(n), pg_temp.id(1), pg_temp.id(opens), method, '', 1, '{}', '2040-01-01 00:00Z'
FROM (VALUES (131, 11, 'GenerateTrainingKeys'), (133, 11, 'GenerateTrainingKeys'), (171, 71, 'CreateKeyPool'),
    (172, 71, 'GeneratePoolKeys'), (182, 81, 'GenerateSubscriptionKeys')) AS requests (n, opens, method);

-- 133 was cut off after one of its three.
INSERT INTO keys.batches
    (batch_id, organization_id, grant_id, wanted, made, last_key_id, grant_version, reserved_until, told)
SELECT pg_temp.id(n), pg_temp.id(1), pg_temp.id(opens), wanted, made, pg_temp.id(last), 1, '2040-01-02 00:00Z', '{}'
FROM (VALUES (131, 11, 2, 2, 32), (133, 11, 3, 1, 33), (172, 71, 2, 2, 73), (182, 81, 2, 2, 83)) AS batches (n, opens, wanted, made, last);

INSERT INTO keys.audit_events
    (event_id, actor_subject, actor_issuer, actor_roles, organization_id, action, resource_type, resource_id, peer, request_id)
SELECT pg_temp.id(n), 'ada', 'https://issuer.example.com', '{administrator}', pg_temp.id(1), action, 'any', pg_temp.id(resource),
    '', ''
FROM (VALUES
    (301, 'training_key.generate', 11), (302, 'training_key.generate', 11), (303, 'training_key.revoke', 33),
    (304, 'event_key.set', 34), (305, 'event_key.set', 34), (306, 'training_key.reveal', 31), (351, 'key_pool.create', 71),
    (352, 'training_key.generate', 71), (353, 'key_pool.update', 71), (354, 'training_key.generate', 81),
    (355, 'subscription_key.update', 82)
) AS events (n, action, resource);
