-- What organizations are billed for (docs/decisions/0021): closed time only; of open time it follows from the enrollments and the
-- assignments. All of it is inserted and never changed.

-- One row per call that closed something.
CREATE TABLE enrollment.billing_closings (
    closing_id          uuid NOT NULL,        -- UUIDv7
    request_id          uuid NOT NULL,
    request_fingerprint bytea NOT NULL,
    organization_id     uuid NOT NULL,        -- the one that was asked for; those below it were closed with it
    ends_at             timestamptz NOT NULL,
    closed_at           timestamptz NOT NULL,
    organization_count  integer NOT NULL,
    charge_count        bigint NOT NULL,
    credit_count        bigint NOT NULL
);
ALTER TABLE enrollment.billing_closings
    ADD CONSTRAINT billing_closings_request UNIQUE (request_id),
    ADD PRIMARY KEY (closing_id);

-- The closed periods of an organization: one chain, each link where the one before ends.
CREATE TABLE enrollment.billing_periods (
    organization_id uuid NOT NULL REFERENCES enrollment.organizations,
    starts_at       timestamptz,              -- null: the first, which has no beginning
    ends_at         timestamptz NOT NULL,
    closing_id      uuid NOT NULL REFERENCES enrollment.billing_closings,
    CHECK (starts_at < ends_at)
);
CREATE UNIQUE INDEX billing_periods_first ON enrollment.billing_periods (organization_id) WHERE starts_at IS NULL;
ALTER TABLE enrollment.billing_periods
    ADD CONSTRAINT billing_periods_one_after_the_other UNIQUE (organization_id, starts_at),
    ADD PRIMARY KEY (organization_id, ends_at);
ALTER TABLE enrollment.billing_periods
    ADD CONSTRAINT billing_periods_without_a_gap FOREIGN KEY (organization_id, starts_at)
        REFERENCES enrollment.billing_periods (organization_id, ends_at);

-- The lines of closed time. They hold whatever is told of them, so that nothing that is changed later shows in them, and
-- nothing that is erased had to be in them.
CREATE TABLE enrollment.billing_lines (
    item_id         uuid NOT NULL,            -- an enrollment or an assignment: ids of the one may be ids of the other
    item_kind       text COLLATE "C" NOT NULL CHECK (item_kind IN ('assignment', 'enrollment')),
    entry           integer NOT NULL CHECK (entry >= 1), -- of an item: odd ones charge it, even ones take that back
    organization_id uuid NOT NULL,
    reason          text NOT NULL CHECK (reason IN (
        'enrolled', 'assigned', 'cancelled_by_student', 'cancelled_by_staff', 'class_cancelled', 'student_erased', 'made_audit',
        'put_back', 'denied', 'replaced')),
    booked_at       timestamptz NOT NULL,
    occurred_at     timestamptz NOT NULL,
    student_id      uuid NOT NULL,
    class_id        uuid,                     -- of an enrollment
    class_name      text,
    pool_id         uuid,                     -- of an assignment by the key of a pool
    profile_id      uuid,                     -- of an assignment by a subscription key
    profile_name    text,
    course_id       text,                     -- of the class or of the pool; a profile has several
    course_name     text,
    key_id          uuid,                     -- null: enrolled directly
    key_kind        text CHECK (key_kind IN ('enrollment', 'event', 'pool', 'subscription')),
    generation      integer,
    CHECK ((entry % 2 = 1) = (reason IN ('enrolled', 'assigned'))),
    CHECK (occurred_at <= booked_at),
    CHECK ((item_kind = 'enrollment') = (class_id IS NOT NULL)),
    CHECK (num_nonnulls(class_id, pool_id, profile_id) = 1),
    CHECK ((class_id IS NULL) = (class_name IS NULL) AND (course_id IS NULL) = (course_name IS NULL)),
    CHECK ((profile_id IS NULL) = (profile_name IS NULL) AND (profile_id IS NULL) = (course_id IS NOT NULL)),
    CHECK ((key_id IS NULL) = (key_kind IS NULL) AND (key_id IS NULL) = (generation IS NULL)),
    CHECK ((pool_id IS NOT NULL) = (key_kind IS NOT DISTINCT FROM 'pool')),
    CHECK ((profile_id IS NOT NULL) = (key_kind IS NOT DISTINCT FROM 'subscription'))
);
CREATE INDEX billing_lines_organization
    ON enrollment.billing_lines (organization_id, occurred_at, item_id, item_kind, entry);
ALTER TABLE enrollment.billing_lines ADD PRIMARY KEY (item_id, item_kind, entry);
