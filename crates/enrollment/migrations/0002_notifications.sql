-- What is written to people: by which plans, and of which organizations and classes at all.

CREATE TABLE enrollment.notification_plans (
    plan_id         uuid NOT NULL,
    organization_id uuid NOT NULL REFERENCES enrollment.organizations,
    trigger         text NOT NULL CHECK (trigger IN ('enrolled', 'wait_listed', 'promoted', 'cancelled',
        'before_start', 'after_start', 'before_end', 'after_end', 'assignment_expiring')),
    timed           boolean NOT NULL,         -- whether the trigger is a time, around a class or before an expiry
    settings        jsonb NOT NULL,
    request_id      uuid NOT NULL UNIQUE,
    request_fingerprint bytea NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    version         bigint NOT NULL DEFAULT 1,
    deleted_at      timestamptz               -- for good: what was sent by it stays told of
);
CREATE INDEX notification_plans_organization ON enrollment.notification_plans (organization_id, plan_id);
ALTER TABLE enrollment.notification_plans ADD PRIMARY KEY (plan_id);

-- Of organizations that have set something: the others are off.
CREATE TABLE enrollment.notification_settings (
    organization_id uuid PRIMARY KEY REFERENCES enrollment.organizations,
    enabled_since   timestamptz,              -- null: off
    settings        jsonb NOT NULL,
    version         bigint NOT NULL
);

-- Of classes that differ from their organization.
CREATE TABLE enrollment.class_notifications (
    class_id        uuid PRIMARY KEY REFERENCES enrollment.classes,
    enabled_since   timestamptz               -- null: off
);

-- How far the changes of enrollments were looked at for letters that follow from them: every change below this
-- transaction id, and of those of the transaction itself the enrollments up to this one. Created at the end, not at the beginning: what was before the first plan is nothing to write about.
CREATE TABLE enrollment.notification_progress (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    looked_below xid8 NOT NULL DEFAULT pg_current_xact_id(),
    looked_to    uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000'
);
INSERT INTO enrollment.notification_progress DEFAULT VALUES;

-- The times around classes about which letters were written, so that they are once.
CREATE TABLE enrollment.notification_times (
    plan_id  uuid NOT NULL REFERENCES enrollment.notification_plans ON DELETE CASCADE,
    class_id uuid NOT NULL,
    due_at   timestamptz NOT NULL,
    PRIMARY KEY (plan_id, class_id, due_at)
);

-- The assignments of whose expiry letters were written, so that they are once: while they have not expired.
CREATE TABLE enrollment.notification_expiries (
    plan_id       uuid NOT NULL REFERENCES enrollment.notification_plans ON DELETE CASCADE,
    assignment_id uuid NOT NULL,
    expires_at    timestamptz NOT NULL
);
CREATE INDEX notification_expiries_over ON enrollment.notification_expiries (expires_at);
ALTER TABLE enrollment.notification_expiries ADD PRIMARY KEY (plan_id, assignment_id, expires_at);
CREATE INDEX assignments_expiring ON enrollment.assignments (organization_id, expires_at, assignment_id)
    WHERE status <> 'cancelled';

-- Who does not want to be written to.
CREATE TABLE enrollment.notification_opt_outs (
    student_id   uuid PRIMARY KEY,
    opted_out_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- The outbox: a letter for each plan, occurrence and recipient. It holds ids alone: names, addresses and codes are looked
-- up when a letter is sent, and kept nowhere.
CREATE TABLE enrollment.letters (
    letter_id       uuid NOT NULL,
    plan_id         uuid NOT NULL REFERENCES enrollment.notification_plans ON DELETE CASCADE,
    organization_id uuid NOT NULL,            -- of the class, or of the assignment's pool or subscription profile
    class_id        uuid,                     -- null: about an assignment
    enrollment_id   uuid,                     -- null: about the class as a whole, or about an assignment
    assignment_id   uuid,
    occurred_at     timestamptz NOT NULL,
    recipient       text NOT NULL,            -- what they are and an id
    state           text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'dropped', 'dead')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz DEFAULT clock_timestamp(),
    problem         text,                     -- why it was not sent, or not yet
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at     timestamptz,
    CHECK ((state = 'waiting') = (next_attempt_at IS NOT NULL)),
    CHECK ((state = 'waiting') = (finished_at IS NULL)),
    CHECK (state NOT IN ('dropped', 'dead') OR problem IS NOT NULL),
    CHECK ((class_id IS NULL) = (assignment_id IS NOT NULL)),
    CHECK (enrollment_id IS NULL OR class_id IS NOT NULL)
);
CREATE INDEX letters_waiting ON enrollment.letters (next_attempt_at) WHERE state = 'waiting';
CREATE INDEX letters_finished ON enrollment.letters (finished_at) WHERE state <> 'waiting';
CREATE INDEX letters_organization ON enrollment.letters (organization_id, letter_id);
CREATE UNIQUE INDEX letters_once ON enrollment.letters
    (plan_id, (coalesce(enrollment_id, class_id, assignment_id)), occurred_at, recipient);
ALTER TABLE enrollment.letters ADD PRIMARY KEY (letter_id);
