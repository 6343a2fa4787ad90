-- What is written to people: by which plans, and of which organizations and classes at all.

CREATE TABLE enrollment.notification_plans (
    plan_id         uuid NOT NULL,
    organization_id uuid NOT NULL REFERENCES enrollment.organizations,
    trigger         text NOT NULL CHECK (trigger IN ('enrolled', 'wait_listed', 'promoted', 'cancelled',
        'before_start', 'after_start', 'before_end', 'after_end')),
    timed           boolean NOT NULL,         -- whether the trigger is a time around a class
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
