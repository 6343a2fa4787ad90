-- The schema of the keys service. Names are qualified everywhere and search_path is never set: the schema belongs to
-- this service alone. The schema itself is created by sqlx (`create-schemas` in sqlx.toml).

-- Constraints that rows are looked up by are added after the other indexes of their tables: docs/decisions/0010.

-- Small versioned copies of what enrollment owns, for visibility and the generation limit; never for admission.
CREATE TABLE keys.organizations (
    organization_id uuid NOT NULL,
    ancestor_ids    uuid[] NOT NULL,          -- nearest first
    version         bigint NOT NULL CHECK (version >= 1)
);
CREATE INDEX organizations_ancestors ON keys.organizations USING gin (ancestor_ids);
ALTER TABLE keys.organizations ADD PRIMARY KEY (organization_id);

-- What keys open. A class and a subscription profile are copies of enrollment's; a pool is kept here alone, with its course in
-- keys.pools.
CREATE TABLE keys.grants (
    grant_id           uuid NOT NULL,
    kind               text NOT NULL CHECK (kind IN ('class', 'pool', 'profile')),
    organization_id    uuid NOT NULL,
    name               text NOT NULL,
    instructors        text[] NOT NULL,
    starts_at          timestamptz,           -- a profile has no dates: each of its keys has its own
    ends_at            timestamptz,           -- of a pool: when its keys expire
    event_key_until    timestamptz,
    time_zone          text NOT NULL,
    status             text NOT NULL CHECK (status IN ('creating', 'open', 'cancelled')),
    maximum_keys       integer CHECK (maximum_keys >= 1), -- null: no limit
    maximum_is_default boolean NOT NULL,
    version            bigint NOT NULL CHECK (version >= 0),
    put_at             timestamptz NOT NULL DEFAULT clock_timestamp(),
    CHECK (num_nulls(starts_at, ends_at, event_key_until) = CASE kind WHEN 'profile' THEN 3 ELSE 0 END),
    CHECK ((kind = 'class') = (maximum_keys IS NOT NULL)),
    CHECK (kind = 'class' OR status = 'open'),
    CHECK (kind <> 'pool' OR starts_at < ends_at)
);
CREATE INDEX grants_creating ON keys.grants (put_at) WHERE status = 'creating';
ALTER TABLE keys.grants ADD PRIMARY KEY (grant_id);

-- What only a pool has. Written under the lock of its grant.
CREATE TABLE keys.pools (
    pool_id              uuid NOT NULL REFERENCES keys.grants, -- UUIDv7: creation order
    organization_id      uuid NOT NULL,
    course_id            text NOT NULL,
    course_name          text NOT NULL,
    availability_seconds integer NOT NULL CHECK (availability_seconds BETWEEN 1 AND 15552000), -- 180 days at most
    open_to_descendants  boolean NOT NULL,
    created_at           timestamptz NOT NULL,
    created_by           text NOT NULL
);
CREATE INDEX pools_organization ON keys.pools (organization_id, pool_id);
ALTER TABLE keys.pools ADD PRIMARY KEY (pool_id);

-- The record of a key: all that can change about it, and never its secret.
CREATE TABLE keys.training_keys (
    key_id          uuid NOT NULL,         -- UUIDv7: creation order
    kind            text NOT NULL CHECK (kind IN ('enrollment', 'event', 'pool', 'subscription')),
    organization_id uuid NOT NULL,
    grant_id        uuid NOT NULL REFERENCES keys.grants, -- what it opens
    batch_id        uuid NOT NULL,            -- request id of the call that made it
    generation      integer NOT NULL CHECK (generation >= 1),
    masked_code     text NOT NULL,
    own_code        boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    created_by      text NOT NULL,
    revoked_at      timestamptz,              -- for an event key: turned off
    revoked_by      text,
    revoke_reason   text,
    version         bigint NOT NULL DEFAULT 1 CHECK (version >= 1), -- of an event key: one more with each change
    CHECK (kind = 'event' OR generation = 1),
    CHECK (kind <> 'enrollment' OR NOT own_code),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE UNIQUE INDEX training_keys_event ON keys.training_keys (grant_id) WHERE kind = 'event';
CREATE INDEX training_keys_grant ON keys.training_keys (grant_id, key_id);
CREATE INDEX training_keys_organization ON keys.training_keys (organization_id, key_id);
CREATE INDEX training_keys_batch ON keys.training_keys (batch_id, key_id);
ALTER TABLE keys.training_keys ADD PRIMARY KEY (key_id);

-- What only a subscription key has: how many may use it, and until when. A change locks its row.
CREATE TABLE keys.subscription_keys (
    key_id             uuid NOT NULL REFERENCES keys.training_keys,
    organization_id    uuid NOT NULL,
    max_uses           integer CHECK (max_uses BETWEEN 1 AND 100000), -- null: any number
    expires_at         timestamptz,           -- null: never
    content_expires_at timestamptz,           -- null: as long after each redemption as the profile says
    version            bigint NOT NULL DEFAULT 1 CHECK (version >= 1) -- one more with each change
);
ALTER TABLE keys.subscription_keys ADD PRIMARY KEY (key_id);

-- Every code ever issued, one row each. Only reveal and export read `sealed_code`.
CREATE TABLE keys.codes (
    key_id          uuid NOT NULL REFERENCES keys.training_keys,
    generation      integer NOT NULL,
    organization_id uuid NOT NULL,
    hash            bytea NOT NULL CHECK (octet_length(hash) = 32),
    hash_version    smallint NOT NULL,
    sealed_code     bytea NOT NULL,
    seal_version    smallint NOT NULL,
    issued_at       timestamptz NOT NULL,
    valid_until     timestamptz,              -- set when replaced or turned off: the end of the grace period
    retired_at      timestamptz               -- the hash may be issued again
);
-- Two indexes instead of one over everything: the second stays small, and each code stands in one of them only.
CREATE UNIQUE INDEX codes_unretired_hash ON keys.codes (hash) WHERE retired_at IS NULL;
CREATE INDEX codes_retired_hash ON keys.codes (hash, issued_at) WHERE retired_at IS NOT NULL;
ALTER TABLE keys.codes ADD PRIMARY KEY (key_id, generation);

-- A copy of each use that enrollment decided. Inserted, never moved: a released pair is never live again.
CREATE TABLE keys.marks (
    redemption_id   uuid NOT NULL,
    key_id          uuid NOT NULL,
    organization_id uuid NOT NULL,
    student_id      uuid NOT NULL,
    generation      integer NOT NULL,
    redeemed_at     timestamptz NOT NULL,
    released_at     timestamptz
);
-- Of live and released ones: were it partial, a generic plan made on an empty table could scan all of it for each look-up
-- of a key's live use.
CREATE INDEX marks_student ON keys.marks (student_id);
ALTER TABLE keys.marks ADD PRIMARY KEY (redemption_id, key_id);
-- The last of them: by a key is how marks are looked up (a pair is found by its constraint), the newest first.
CREATE INDEX marks_key ON keys.marks (key_id, redeemed_at) INCLUDE (released_at);

-- One row per creating or changing request: the same id again is answered from it.
CREATE TABLE keys.requests (
    request_id          uuid NOT NULL,
    organization_id     uuid NOT NULL,
    grant_id            uuid NOT NULL,        -- the class, pool or profile it was about
    method              text NOT NULL,
    fingerprint         bytea NOT NULL,       -- keyed digest of what was asked
    fingerprint_version smallint NOT NULL,
    result              jsonb NOT NULL,       -- what is needed to answer again; never a code
    decided_at          timestamptz NOT NULL
);
CREATE INDEX requests_grant ON keys.requests (grant_id);
ALTER TABLE keys.requests ADD PRIMARY KEY (request_id);

-- How far each generation of keys has come, written with every chunk of its keys. What is not made yet is reserved
-- until `reserved_until` (docs/decisions/0019).
CREATE TABLE keys.batches (
    batch_id        uuid NOT NULL,            -- the request id
    organization_id uuid NOT NULL,
    grant_id        uuid NOT NULL REFERENCES keys.grants,
    wanted          integer NOT NULL,
    made            integer NOT NULL,
    last_key_id     uuid NOT NULL,            -- the next ones are greater: keys are told in the order of their ids
    grant_version   bigint NOT NULL,          -- of the grant when what is missing was admitted
    reserved_until  timestamptz NOT NULL,
    told            jsonb NOT NULL,           -- what is told at the end
    CHECK (made BETWEEN 1 AND wanted)
);
CREATE INDEX batches_unfinished ON keys.batches (grant_id) WHERE made < wanted;
ALTER TABLE keys.batches ADD PRIMARY KEY (batch_id);

-- Which versions of the keyring's keys are in use: `current_version` makes everything new, and whatever is stored was made
-- by one of `versions`. Whoever stores a code or a request holds a share lock on these rows until the commit: so once
-- `current_version` has changed, nothing is stored by the one before.
CREATE TABLE keys.keyring_versions (
    purpose         text PRIMARY KEY CHECK (purpose IN ('seal', 'look_up', 'fingerprint')),
    current_version smallint NOT NULL,
    versions        smallint[] NOT NULL,
    rotated         boolean NOT NULL DEFAULT true, -- all that can be made anew was, since the current one is current
    CHECK (current_version = ANY (versions))
);
-- A new keyring has version 1 of each.
INSERT INTO keys.keyring_versions (purpose, current_version, versions)
VALUES ('seal', 1, '{1}'), ('look_up', 1, '{1}'), ('fingerprint', 1, '{1}');

-- Which keys each running process has in memory, told by itself every few seconds.
CREATE TABLE keys.keyring_holders (
    replica_id uuid PRIMARY KEY,
    address    text NOT NULL,                 -- where it listens
    holds      jsonb NOT NULL,                -- purpose, version and digest of each key; never a key
    seen_at    timestamptz NOT NULL
);

-- By when those have paid who guessed wrong: what all replicas together hold against a student, an organization, a caller
-- (docs/decisions/0015). Written after wrong guesses only. The subject is an id, or a digest of what identifies somebody.
CREATE TABLE keys.attempts (
    limit_name text NOT NULL,
    subject    uuid NOT NULL,
    cost       interval NOT NULL,         -- of the failures that were added last
    paid_at    timestamptz NOT NULL,
    changed_at timestamptz NOT NULL
);
CREATE INDEX attempts_changed ON keys.attempts (changed_at);
CREATE INDEX attempts_paid ON keys.attempts (paid_at);
ALTER TABLE keys.attempts ADD PRIMARY KEY (limit_name, subject);

-- Inserted, never changed. A deed is written in its own transaction; a refused call a moment after its answer, and calls
-- that repeat within a minute as one row.
CREATE TABLE keys.audit_events (
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
CREATE INDEX audit_events_organization ON keys.audit_events (organization_id, event_id);
CREATE INDEX audit_events_resource ON keys.audit_events (resource_id, event_id);
CREATE INDEX audit_events_student ON keys.audit_events (student_id, event_id);
CREATE INDEX audit_events_request ON keys.audit_events (request_id, event_id);
CREATE INDEX audit_events_actor ON keys.audit_events (actor_subject, event_id);
CREATE INDEX audit_events_action ON keys.audit_events (action, event_id);
CREATE INDEX audit_events_type ON keys.audit_events (resource_type, event_id);
CREATE INDEX audit_events_outcome ON keys.audit_events (outcome, event_id);

-- Where a key stands at `at_time`: the first that applies of redeemed, revoked, expired, available. The one statement of
-- this rule in SQL; `domain::key::Standing` states it in Rust, and `verify` compares both over every combination.
-- `uses`: how many live marks it has. The dates are those of what it opens, the terms its own if it is a subscription key.
CREATE FUNCTION keys.key_state(
    kind text, uses bigint, revoked_at timestamptz, grant_status text, ends_at timestamptz, event_key_until timestamptz,
    max_uses integer, expires_at timestamptz, content_expires_at timestamptz, at_time timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN uses >= CASE kind WHEN 'event' THEN NULL WHEN 'subscription' THEN max_uses ELSE 1 END THEN 'redeemed'
        WHEN revoked_at IS NOT NULL THEN 'revoked'
        WHEN grant_status = 'cancelled' THEN 'expired'
        WHEN at_time >= CASE kind
            WHEN 'event' THEN event_key_until
            WHEN 'subscription' THEN least(expires_at, content_expires_at)
            ELSE ends_at
        END THEN 'expired'
        ELSE 'available'
    END
$$;
