-- What the baselines write into: the rows of a redemption as the services store them, column for column and index for
-- index, in one database as one program would have them that does all by hand.
--
-- Run once in an empty database. :classes classes of :keys single-use keys altogether, and one hot class.

CREATE SCHEMA baseline;

CREATE TABLE baseline.classes (
    class_id           uuid PRIMARY KEY,
    organization_id    uuid NOT NULL,
    course_id          text NOT NULL,
    course_name        text NOT NULL,
    name               text NOT NULL,
    starts_at          timestamptz NOT NULL,
    ends_at            timestamptz NOT NULL,
    time_zone          text NOT NULL,
    maximum_students   integer NOT NULL,
    status             text NOT NULL,
    seats_taken        integer NOT NULL DEFAULT 0,
    CHECK (seats_taken BETWEEN 0 AND maximum_students)
);

-- A key and its code in one row: nothing is looked up twice.
CREATE TABLE baseline.keys (
    key_id          uuid PRIMARY KEY,
    class_id        uuid NOT NULL,
    organization_id uuid NOT NULL,
    hash            bytea NOT NULL,
    masked_code     text NOT NULL
);
CREATE UNIQUE INDEX keys_hash ON baseline.keys (hash);

CREATE TABLE baseline.redemptions (
    redemption_id   uuid PRIMARY KEY,
    registration    boolean NOT NULL,
    outcome         text NOT NULL CHECK (outcome IN ('enrolled', 'wait_listed', 'assigned', 'already_in', 'refused')),
    reason          text,
    refusal         jsonb,
    fingerprint     bytea NOT NULL,
    organization_id uuid NOT NULL,
    student_id      uuid,
    key_id          uuid,
    key_kind        text CHECK (key_kind IN ('enrollment', 'event', 'pool', 'subscription')),
    generation      integer,
    class_id        uuid,
    pool_id         uuid,
    profile_id      uuid,
    enrollment_id   uuid,
    assignment_id   uuid,
    caller          text NOT NULL,
    peer            text NOT NULL,
    request_id      text NOT NULL,
    decided_at      timestamptz NOT NULL,
    CHECK ((outcome = 'refused') = (reason IS NOT NULL)),
    CHECK ((outcome = 'refused') = (enrollment_id IS NULL AND assignment_id IS NULL)),
    CHECK (enrollment_id IS NULL OR class_id IS NOT NULL),
    CHECK (assignment_id IS NULL OR pool_id IS NOT NULL OR profile_id IS NOT NULL),
    CHECK (num_nonnulls(class_id, pool_id, profile_id) <= 1),
    CHECK (outcome = 'refused' OR (student_id IS NOT NULL AND key_id IS NOT NULL))
);
CREATE INDEX redemptions_student ON baseline.redemptions (student_id, decided_at);
CREATE INDEX redemptions_key ON baseline.redemptions (key_id);
CREATE INDEX redemptions_organization ON baseline.redemptions (organization_id, decided_at, redemption_id)
    INCLUDE (class_id, outcome);
CREATE INDEX redemptions_assigning ON baseline.redemptions (coalesce(pool_id, profile_id), decided_at, redemption_id)
    WHERE class_id IS NULL;
CREATE INDEX redemptions_not_for_ever ON baseline.redemptions (decided_at) WHERE outcome IN ('already_in', 'refused');

CREATE TABLE baseline.enrollments (
    enrollment_id   uuid PRIMARY KEY,
    class_id        uuid NOT NULL,
    organization_id uuid NOT NULL,
    student_id      uuid NOT NULL,
    status          text NOT NULL CHECK (status IN
        ('requested', 'wait_listed', 'approved', 'denied', 'audit', 'enrolled', 'cancelled')),
    live            boolean NOT NULL GENERATED ALWAYS AS (status NOT IN ('denied', 'cancelled')) STORED,
    status_since    timestamptz NOT NULL,
    key_id          uuid,
    key_kind        text CHECK (key_kind IN ('enrollment', 'event')),
    generation      integer,
    slot            integer,
    holds_key       boolean NOT NULL,
    key_released_at timestamptz,
    enrolled_at     timestamptz NOT NULL,
    cancelled_by    text CHECK (cancelled_by IN ('student', 'staff', 'class', 'erasure', 'redemption')),
    late_cancellation boolean NOT NULL DEFAULT false,
    completion      text NOT NULL DEFAULT 'unknown' CHECK (completion IN
        ('unknown', 'attending', 'complete', 'incomplete', 'no_show', 'failed')),
    moved_at        timestamptz,
    blocked         boolean NOT NULL DEFAULT false,
    version         bigint NOT NULL DEFAULT 1,
    changed_xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CHECK ((key_id IS NULL) = (key_kind IS NULL) AND (key_id IS NULL) = (generation IS NULL)),
    CHECK ((status = 'cancelled') = (cancelled_by IS NOT NULL)),
    CHECK (NOT late_cancellation OR status = 'cancelled'),
    CHECK (moved_at IS NULL OR NOT holds_key),
    CHECK (holds_key = (key_id IS NOT NULL AND key_released_at IS NULL)),
    CHECK (NOT holds_key OR status NOT IN ('denied', 'cancelled'))
);
CREATE UNIQUE INDEX enrollments_key_slot ON baseline.enrollments (key_id, slot) WHERE holds_key AND slot IS NOT NULL;
CREATE UNIQUE INDEX enrollments_live ON baseline.enrollments (class_id, student_id) WHERE live;
CREATE INDEX enrollments_student ON baseline.enrollments (student_id, class_id);
CREATE INDEX enrollments_ended ON baseline.enrollments (class_id, student_id) WHERE NOT live;
CREATE INDEX enrollments_blocked ON baseline.enrollments (class_id, student_id) WHERE blocked;
CREATE INDEX enrollments_waiting ON baseline.enrollments (class_id, status, status_since, enrollment_id)
    WHERE status IN ('requested', 'wait_listed');
CREATE INDEX enrollments_changed ON baseline.enrollments (changed_xid);
CREATE INDEX enrollments_organization ON baseline.enrollments (organization_id, status_since, enrollment_id);

CREATE TABLE baseline.marks (
    redemption_id   uuid NOT NULL,
    key_id          uuid NOT NULL,
    organization_id uuid NOT NULL,
    student_id      uuid NOT NULL,
    generation      integer NOT NULL,
    redeemed_at     timestamptz NOT NULL,
    released_at     timestamptz,
    PRIMARY KEY (redemption_id, key_id)
);
CREATE INDEX marks_key ON baseline.marks (key_id, redeemed_at) INCLUDE (released_at);
CREATE INDEX marks_student ON baseline.marks (student_id);

-- Class 0 is the hot one, and key 0 opens it for everybody. Keys 1 … :keys open the classes 1 … :classes in turn.
INSERT INTO baseline.classes (
    class_id, organization_id, course_id, course_name, name, starts_at, ends_at, time_zone, maximum_students, status
)
SELECT md5('class ' || n)::uuid, md5('organization')::uuid, 'linux-101', 'Linux in a week', 'Class ' || n,
    now() + interval '1 day', now() + interval '6 days', 'Europe/Berlin', 1000000000, 'scheduled'
FROM generate_series(0, :classes) n;

INSERT INTO baseline.keys (key_id, class_id, organization_id, hash, masked_code)
SELECT md5('key ' || n)::uuid, md5('class ' || CASE n WHEN 0 THEN 0 ELSE 1 + n % :classes END)::uuid, md5('organization')::uuid,
    sha256(int8send(n)), 'E-••••-' || n
FROM generate_series(0, :keys) n;

VACUUM ANALYZE baseline.classes;
VACUUM ANALYZE baseline.keys;
