-- The schema of the enrollment service. Names are qualified everywhere and search_path is never set: the schema belongs
-- to this service alone. The schema itself is created by sqlx (`create-schemas` in sqlx.toml).
-- Constraints that rows are looked up by are added after the other indexes of their tables: docs/decisions/0010.

CREATE TABLE enrollment.organizations (
    organization_id   uuid PRIMARY KEY,
    parent_id         uuid REFERENCES enrollment.organizations,
    ancestor_ids      uuid[] NOT NULL,        -- nearest first
    display_name      text NOT NULL,
    self_registration boolean NOT NULL DEFAULT false,
    promotes_waiting  boolean NOT NULL DEFAULT false,   -- a seat that a student gives up goes to the earliest who waits
    late_cancellation_seconds bigint CHECK (late_cancellation_seconds > 0),   -- before a class begins; null: never late
    -- What a new class has where its request is silent; null: what it has anyway.
    default_maximum_students integer,
    default_minimum_students integer,
    default_status    text CHECK (default_status IN ('tentative', 'scheduled', 'guaranteed_to_run')),
    default_event_key boolean NOT NULL DEFAULT false,
    default_post_class_days integer,
    default_notifications boolean,
    request_id        uuid NOT NULL UNIQUE,
    request_fingerprint bytea NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    version           bigint NOT NULL DEFAULT 1,
    versions_lost     bigint NOT NULL DEFAULT 0,  -- of the versions: skipped, because a restore lost what they were
    copied_version    bigint NOT NULL DEFAULT 0   -- the newest version known to have reached keys
);
CREATE INDEX organizations_owed ON enrollment.organizations (organization_id) WHERE copied_version < version;
CREATE INDEX organizations_ancestors ON enrollment.organizations USING gin (ancestor_ids);

CREATE TABLE enrollment.classes (
    class_id           uuid NOT NULL,
    organization_id    uuid NOT NULL REFERENCES enrollment.organizations,
    course_id          text NOT NULL,
    course_name        text NOT NULL,
    name               text NOT NULL,
    instructors        text[] NOT NULL,
    starts_at          timestamptz NOT NULL,
    ends_at            timestamptz NOT NULL,
    time_zone          text NOT NULL,
    minimum_students   integer NOT NULL,
    maximum_students   integer NOT NULL,
    maximum_is_default boolean NOT NULL,
    post_class_days    integer NOT NULL,
    status             text NOT NULL CHECK (status IN ('tentative', 'scheduled', 'guaranteed_to_run', 'cancelled')),
    event_key_window   text NOT NULL CHECK (event_key_window IN ('until_class_ends', 'until_access_expires')),
    seats_taken        integer NOT NULL DEFAULT 0,
    request_id         uuid NOT NULL UNIQUE,
    request_fingerprint bytea NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    version            bigint NOT NULL DEFAULT 1,   -- of the settings; taking a seat does not change it
    versions_lost      bigint NOT NULL DEFAULT 0,   -- of the versions: skipped, because a restore lost what they were
    copied_version     bigint NOT NULL DEFAULT 0,   -- the newest version known to have reached keys
    CHECK (starts_at < ends_at),
    CHECK (minimum_students BETWEEN 0 AND maximum_students),
    CONSTRAINT seats_never_exceed_maximum CHECK (seats_taken BETWEEN 0 AND maximum_students)
);
CREATE INDEX classes_organization ON enrollment.classes (organization_id, starts_at);
CREATE INDEX classes_start ON enrollment.classes (starts_at, class_id);
CREATE INDEX classes_instructors ON enrollment.classes USING gin (instructors);
CREATE INDEX classes_owed ON enrollment.classes (class_id) WHERE copied_version < version;
ALTER TABLE enrollment.classes ADD PRIMARY KEY (class_id);

-- Courses that a student may take together. What changes here holds for all who have them by it.
CREATE TABLE enrollment.profiles (
    profile_id       uuid NOT NULL,           -- UUIDv7: creation order
    organization_id  uuid NOT NULL REFERENCES enrollment.organizations,
    name             text NOT NULL,
    course_ids       text[] NOT NULL,
    course_names     text[] NOT NULL,         -- one for each id
    duration_seconds integer NOT NULL CHECK (duration_seconds BETWEEN 1 AND 315360000),    -- 3650 days at most
    available_to     uuid[] NOT NULL,         -- organizations, with all below them; empty: the owner
    enabled          boolean NOT NULL,
    request_id       uuid NOT NULL UNIQUE,
    request_fingerprint bytea NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by       text NOT NULL,
    version          bigint NOT NULL DEFAULT 1,
    versions_lost    bigint NOT NULL DEFAULT 0,  -- of the versions: skipped, because a restore lost what they were
    copied_version   bigint NOT NULL DEFAULT 0,  -- the newest version known to have reached keys
    CHECK (cardinality(course_ids) = cardinality(course_names) AND cardinality(course_ids) BETWEEN 1 AND 200)
);
CREATE INDEX profiles_organization ON enrollment.profiles (organization_id, profile_id);
CREATE INDEX profiles_owed ON enrollment.profiles (profile_id) WHERE copied_version < version;
ALTER TABLE enrollment.profiles ADD PRIMARY KEY (profile_id);

CREATE TABLE enrollment.students (
    student_id      uuid NOT NULL,         -- registered with a key: derived from the redemption id
    organization_id uuid NOT NULL,
    email           text,                     -- null once erased
    email_folded    text COLLATE "C",         -- compared byte by byte, so that a beginning of it is a range of its index
    given_name      text NOT NULL,            -- empty once erased, like the family name
    family_name     text NOT NULL,
    given_first     text COLLATE "C",         -- both names, folded, in either order; null once erased
    family_first    text COLLATE "C",
    password_hash   text,                     -- PHC string, Argon2id
    issuer          text,
    subject         text,
    active          boolean NOT NULL DEFAULT true,
    request_id      uuid NOT NULL UNIQUE,     -- a creating request's, or the redemption's
    request_fingerprint bytea NOT NULL,       -- empty once erased: it was made of personal data, too
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    version         bigint NOT NULL DEFAULT 1,
    erased_at       timestamptz,
    CHECK ((issuer IS NULL) = (subject IS NULL)),
    CHECK ((email IS NULL) = (email_folded IS NULL)),
    CHECK (erased_at IS NOT NULL OR (given_first IS NOT NULL AND family_first IS NOT NULL)),
    CHECK ((erased_at IS NULL) = (email IS NOT NULL)),
    CONSTRAINT students_erased_keep_nothing CHECK (erased_at IS NULL OR (given_name = '' AND family_name = ''
        AND given_first IS NULL AND family_first IS NULL
        AND password_hash IS NULL AND issuer IS NULL AND request_fingerprint = '' AND NOT active))
);
CREATE INDEX students_organization ON enrollment.students (organization_id, student_id);
CREATE INDEX students_given_first ON enrollment.students (organization_id, given_first, student_id);
CREATE INDEX students_family_first ON enrollment.students (organization_id, family_first, student_id);
CREATE INDEX students_erased ON enrollment.students (erased_at) WHERE erased_at IS NOT NULL;
ALTER TABLE enrollment.students
    ADD CONSTRAINT students_email UNIQUE (organization_id, email_folded),
    ADD CONSTRAINT students_identity UNIQUE (issuer, subject),
    ADD PRIMARY KEY (student_id);

-- One insert-only row per decision: idempotence record, audit row of the redemption, and the operator's history.
-- No foreign keys here and on enrollments: each would cost a look-up and a share lock per row on the hot path, and the
-- deciding transaction holds the class lock and has just read the rows they would guard.
CREATE TABLE enrollment.redemptions (
    redemption_id   uuid NOT NULL,
    registration    boolean NOT NULL,
    outcome         text NOT NULL CHECK (outcome IN ('enrolled', 'wait_listed', 'assigned', 'already_in', 'refused')),
    reason          text,                     -- of a refusal: an error reason's name
    refusal         jsonb,                    -- of a refusal: the facts its text and details were made of
    fingerprint     bytea NOT NULL,           -- keyed digest of what was asked
    organization_id uuid NOT NULL,            -- of the key; without one: of the would-be student
    student_id      uuid,                     -- null for a refused registration
    key_id          uuid,                     -- null if refused before the key was looked at (self-registration off)
    key_kind        text CHECK (key_kind IN ('enrollment', 'event', 'pool', 'subscription')),
    generation      integer,
    class_id        uuid,                     -- what the key opens: a class
    pool_id         uuid,                     -- or the course of a pool
    profile_id      uuid,                     -- or the courses of a subscription profile
    enrollment_id   uuid,                     -- what it granted: an enrollment
    assignment_id   uuid,                     -- or an assignment; both null if refused
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
CREATE INDEX redemptions_student ON enrollment.redemptions (student_id, decided_at);
CREATE INDEX redemptions_key ON enrollment.redemptions (key_id);
-- The history of an organization, the newest first. It has what is filtered by, so that a walk along it reads no rows.
CREATE INDEX redemptions_organization ON enrollment.redemptions (organization_id, decided_at, redemption_id)
    INCLUDE (class_id, outcome);

-- Those of one pool or subscription profile.
CREATE INDEX redemptions_assigning ON enrollment.redemptions (coalesce(pool_id, profile_id), decided_at, redemption_id)
    WHERE class_id IS NULL;

-- Those that are deleted in time.
CREATE INDEX redemptions_not_for_ever ON enrollment.redemptions (decided_at) WHERE outcome IN ('already_in', 'refused');
ALTER TABLE enrollment.redemptions ADD PRIMARY KEY (redemption_id);

-- A student's place in a class. Its id is the id of the redemption (or direct request) that made it.
CREATE TABLE enrollment.enrollments (
    enrollment_id   uuid NOT NULL,
    class_id        uuid NOT NULL,
    organization_id uuid NOT NULL,            -- of the class
    student_id      uuid NOT NULL,
    status          text NOT NULL CHECK (status IN
        ('requested', 'wait_listed', 'approved', 'denied', 'audit', 'enrolled', 'cancelled')),
    live            boolean NOT NULL GENERATED ALWAYS AS (status NOT IN ('denied', 'cancelled')) STORED,
    status_since    timestamptz NOT NULL,
    key_id          uuid,                     -- null: enrolled directly
    key_kind        text CHECK (key_kind IN ('enrollment', 'event')),
    generation      integer,
    slot            integer,                  -- of a limited key: which of its uses; a single-use key has slot 0
    holds_key       boolean NOT NULL,         -- given up for good when it is no longer live, also if it is again later
    key_released_at timestamptz,
    enrolled_at     timestamptz NOT NULL,     -- when the student came, in whatever status
    cancelled_by    text CHECK (cancelled_by IN ('student', 'staff', 'class', 'erasure', 'redemption')),
    late_cancellation boolean NOT NULL DEFAULT false,
    completion      text NOT NULL DEFAULT 'unknown' CHECK (completion IN
        ('unknown', 'attending', 'complete', 'incomplete', 'no_show', 'failed')),
    moved_at        timestamptz,              -- to another class than the student came into; its key is given up
    blocked         boolean NOT NULL DEFAULT false,   -- removed or denied by staff: no way back by the event key
    version         bigint NOT NULL DEFAULT 1,
    -- The transaction that changed the row last: what keys are owed is found by it, in commit order, without a second
    -- write per redemption.
    changed_xid     xid8 NOT NULL DEFAULT pg_current_xact_id(),
    CHECK ((key_id IS NULL) = (key_kind IS NULL) AND (key_id IS NULL) = (generation IS NULL)),
    CHECK ((status = 'cancelled') = (cancelled_by IS NOT NULL)),
    CHECK (NOT late_cancellation OR status = 'cancelled'),
    CHECK (moved_at IS NULL OR NOT holds_key),
    CHECK (holds_key = (key_id IS NOT NULL AND key_released_at IS NULL)),
    CHECK (NOT holds_key OR status NOT IN ('denied', 'cancelled'))
);
-- With the class, although a student is in few: whatever the plan of the day is, a place in a class is found by both.
CREATE INDEX enrollments_student ON enrollment.enrollments (student_id, class_id);
CREATE INDEX enrollments_ended ON enrollment.enrollments (class_id, student_id) WHERE NOT live;
-- Of those who left and came back a thousand times, whom staff keep out.
CREATE INDEX enrollments_blocked ON enrollment.enrollments (class_id, student_id) WHERE blocked;
-- Who may get a seat that comes free, the earliest first.
CREATE INDEX enrollments_waiting ON enrollment.enrollments (class_id, status, status_since, enrollment_id)
    WHERE status IN ('requested', 'wait_listed');
CREATE INDEX enrollments_changed ON enrollment.enrollments (changed_xid);
-- Those of an organization by their last change: what it is billed for.
CREATE INDEX enrollments_organization ON enrollment.enrollments (organization_id, status_since, enrollment_id);
CREATE UNIQUE INDEX enrollments_key_slot ON enrollment.enrollments (key_id, slot) WHERE holds_key AND slot IS NOT NULL;
CREATE UNIQUE INDEX enrollments_live ON enrollment.enrollments (class_id, student_id) WHERE live;
ALTER TABLE enrollment.enrollments ADD PRIMARY KEY (enrollment_id);

-- What a student takes at their own pace: the course of a pool, or the courses of a subscription profile. Its id is the id of
-- the redemption that made it.
CREATE TABLE enrollment.assignments (
    assignment_id   uuid NOT NULL,
    pool_id         uuid,
    profile_id      uuid,                     -- one of both
    organization_id uuid NOT NULL,            -- of the pool or profile
    student_id      uuid NOT NULL,
    course_id       text,                     -- as the pool had it when its key was redeemed; the profile has its own
    course_name     text,
    status          text NOT NULL CHECK (status IN ('assigned', 'cancelled')),
    key_id          uuid NOT NULL,
    generation      integer NOT NULL,
    slot            integer,                  -- which use of the key it is; null: of a key without a limit
    holds_key       boolean NOT NULL,         -- given up for good when cancelled
    assigned_at     timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    launched_at     timestamptz,              -- the first time
    cancelled_at    timestamptz,
    cancelled_by    text CHECK (cancelled_by IN ('student', 'staff')),
    changed_xid     xid8 NOT NULL DEFAULT pg_current_xact_id(), -- as that of an enrollment
    CHECK ((pool_id IS NULL) <> (profile_id IS NULL)),
    CHECK ((pool_id IS NULL) = (course_id IS NULL) AND (pool_id IS NULL) = (course_name IS NULL)),
    CHECK (slot IS NOT NULL OR profile_id IS NOT NULL),
    CHECK (expires_at > assigned_at AND (profile_id IS NOT NULL OR expires_at <= assigned_at + interval '180 days')),
    CHECK ((status = 'cancelled') = (cancelled_at IS NOT NULL)),
    CHECK ((status = 'cancelled') = (cancelled_by IS NOT NULL)),
    CHECK (status <> 'cancelled' OR launched_at IS NULL),
    CHECK (cancelled_at <= assigned_at + interval '24 hours'), -- bills look for later ones no further
    CHECK (holds_key = (status <> 'cancelled'))
);
CREATE INDEX assignments_key ON enrollment.assignments (key_id, assigned_at, assignment_id);
-- Those of an organization: what it is billed for, as they come and as they are cancelled.
CREATE INDEX assignments_organization ON enrollment.assignments (organization_id, assigned_at, assignment_id);
CREATE INDEX assignments_cancelled ON enrollment.assignments (organization_id, cancelled_at, assignment_id)
    WHERE status = 'cancelled';
CREATE INDEX assignments_student ON enrollment.assignments (student_id, assigned_at, assignment_id);
CREATE INDEX assignments_pool ON enrollment.assignments (pool_id, assigned_at, assignment_id) WHERE pool_id IS NOT NULL;
CREATE INDEX assignments_profile ON enrollment.assignments (profile_id, assigned_at, assignment_id) WHERE profile_id IS NOT NULL;
CREATE UNIQUE INDEX assignments_key_slot ON enrollment.assignments (key_id, slot) WHERE holds_key;
CREATE UNIQUE INDEX assignments_live ON enrollment.assignments (key_id, student_id) WHERE status <> 'cancelled';
-- All uses of a subscription key, live or given up: they are counted.
CREATE INDEX assignments_subscription_key ON enrollment.assignments (key_id) INCLUDE (holds_key, slot) WHERE profile_id IS NOT NULL;
CREATE INDEX assignments_changed ON enrollment.assignments (changed_xid);
ALTER TABLE enrollment.assignments ADD PRIMARY KEY (assignment_id);

-- Every use of a key, live or given up, whatever it granted: what keys has a copy of. The condition stands outside: with one
-- of its own, a table would not be read in the order of an index, and each page of uses would cost a sort of all of them.
CREATE VIEW enrollment.uses AS
    SELECT * FROM (
        SELECT enrollment_id AS redemption_id, key_id, student_id, generation, class_id AS opens_id, enrolled_at AS redeemed_at,
            holds_key, key_released_at AS released_at, status_since AS changed_at, changed_xid
        FROM enrollment.enrollments
        UNION ALL
        SELECT assignment_id, key_id, student_id, generation, coalesce(pool_id, profile_id), assigned_at, holds_key,
            cancelled_at, coalesce(cancelled_at, assigned_at), changed_xid
        FROM enrollment.assignments
    ) u WHERE key_id IS NOT NULL;

-- How far marks and releases have been delivered to keys: every change below this transaction id, and of those of the
-- transaction itself the redemptions up to this one. A transaction may have changed a million.
CREATE TABLE enrollment.deliveries (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    delivered_below xid8 NOT NULL,
    delivered_to uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
INSERT INTO enrollment.deliveries (delivered_below) VALUES ('0');

-- When the two services were last compared as a whole: one replica at a time does it.
CREATE TABLE enrollment.comparisons (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    began_at   timestamptz,               -- of the one in progress, whose process may have died
    ended_at   timestamptz
);
INSERT INTO enrollment.comparisons DEFAULT VALUES;

-- Direct enrollments answer the same request id the same way; and of a class whose creation does not say whether its event key
-- is on, what the organization laid down when it was first asked for.
CREATE TABLE enrollment.requests (
    request_id  uuid PRIMARY KEY,
    method      text NOT NULL,
    fingerprint bytea NOT NULL,
    result      jsonb NOT NULL,
    decided_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- By when those have paid who guessed wrong: what all replicas together hold against a student, an organization, a caller
-- (docs/decisions/0015). Written after wrong guesses only. The subject is an id, or a digest of what identifies somebody.
CREATE TABLE enrollment.attempts (
    limit_name text NOT NULL,
    subject    uuid NOT NULL,
    cost       interval NOT NULL,         -- of the failures that were added last
    paid_at    timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX attempts_changed ON enrollment.attempts (changed_at);
CREATE INDEX attempts_paid ON enrollment.attempts (paid_at);
ALTER TABLE enrollment.attempts ADD PRIMARY KEY (limit_name, subject);

-- Inserted, never changed. A deed is written in its own transaction; a refused call a moment after its answer, and calls
-- that repeat within a minute as one row.
CREATE TABLE enrollment.audit_events (
    event_id        uuid PRIMARY KEY,         -- UUIDv7; before the others: events are listed, never looked up
    occurred_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor_subject   text NOT NULL,
    actor_issuer    text NOT NULL,
    actor_roles     text[] NOT NULL,
    actor_organization_id uuid,
    -- Whose row it is: of a deed, and of a call that went beyond the caller's reach, the owner of the resource; of other
    -- refused calls the actor's, and null (operators see it) when the token carried none.
    organization_id uuid,
    action          text NOT NULL,            -- of a refused call: the method
    resource_type   text,
    resource_id     uuid,
    student_id      uuid,
    peer            text NOT NULL,
    request_id      text NOT NULL,
    outcome         text NOT NULL DEFAULT 'done' CHECK (outcome IN ('done', 'refused', 'beyond_reach', 'limited')),
    reason          text,                     -- of a refused call: an error reason's name
    details         jsonb NOT NULL DEFAULT '{}',
    CHECK ((outcome = 'done') = (reason IS NULL)),
    CHECK ((resource_type IS NULL) = (resource_id IS NULL)),
    CHECK (outcome <> 'done' OR (organization_id IS NOT NULL AND resource_id IS NOT NULL))
);
-- One for each way into the trail, each in the order in which it is listed.
CREATE INDEX audit_events_organization ON enrollment.audit_events (organization_id, event_id);
CREATE INDEX audit_events_resource ON enrollment.audit_events (resource_id, event_id);
CREATE INDEX audit_events_student ON enrollment.audit_events (student_id, event_id);
CREATE INDEX audit_events_request ON enrollment.audit_events (request_id, event_id);
CREATE INDEX audit_events_actor ON enrollment.audit_events (actor_subject, event_id);
CREATE INDEX audit_events_action ON enrollment.audit_events (action, event_id);
CREATE INDEX audit_events_type ON enrollment.audit_events (resource_type, event_id);
CREATE INDEX audit_events_outcome ON enrollment.audit_events (outcome, event_id);
