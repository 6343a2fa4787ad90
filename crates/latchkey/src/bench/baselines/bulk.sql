-- What the bulk baselines write and read: keys and their codes as the keys service stores them, with the same indexes,
-- checks and references.

CREATE SCHEMA bulk;

CREATE TABLE bulk.grants (
    class_id        uuid NOT NULL,
    organization_id uuid NOT NULL,
    name            text NOT NULL
);
ALTER TABLE bulk.grants ADD PRIMARY KEY (class_id);

CREATE TABLE bulk.training_keys (
    key_id          uuid NOT NULL,
    kind            text NOT NULL CHECK (kind IN ('enrollment', 'event')),
    organization_id uuid NOT NULL,
    class_id        uuid NOT NULL REFERENCES bulk.grants,
    batch_id        uuid NOT NULL,
    generation      integer NOT NULL CHECK (generation >= 1),
    masked_code     text NOT NULL,
    own_code        boolean NOT NULL DEFAULT false,
    created_at      timestamptz NOT NULL,
    created_by      text NOT NULL,
    revoked_at      timestamptz,
    revoked_by      text,
    revoke_reason   text,
    version         bigint NOT NULL DEFAULT 1 CHECK (version >= 1),
    CHECK (kind = 'event' OR (generation = 1 AND NOT own_code)),
    CHECK ((revoked_at IS NULL) = (revoked_by IS NULL))
);
CREATE UNIQUE INDEX training_keys_event ON bulk.training_keys (class_id) WHERE kind = 'event';
CREATE INDEX training_keys_class ON bulk.training_keys (class_id, key_id);
CREATE INDEX training_keys_organization ON bulk.training_keys (organization_id, key_id);
CREATE INDEX training_keys_batch ON bulk.training_keys (batch_id, key_id);
-- After the others, as in the services: on an empty table the last index is taken, and references are looked up by that plan.
ALTER TABLE bulk.training_keys ADD PRIMARY KEY (key_id);

CREATE TABLE bulk.codes (
    key_id          uuid NOT NULL REFERENCES bulk.training_keys,
    generation      integer NOT NULL,
    organization_id uuid NOT NULL,
    hash            bytea NOT NULL CHECK (octet_length(hash) = 32),
    hash_version    smallint NOT NULL,
    sealed_code     bytea NOT NULL,
    seal_version    smallint NOT NULL,
    issued_at       timestamptz NOT NULL,
    valid_until     timestamptz,
    retired_at      timestamptz
);
CREATE UNIQUE INDEX codes_unretired_hash ON bulk.codes (hash) WHERE retired_at IS NULL;
CREATE INDEX codes_retired_hash ON bulk.codes (hash, issued_at) WHERE retired_at IS NOT NULL;
ALTER TABLE bulk.codes ADD PRIMARY KEY (key_id, generation);

-- 10000 keys of each class: the services are measured with all keys in one, by one request, and what is written differs by no row.
INSERT INTO bulk.grants (class_id, organization_id, name)
SELECT md5('class ' || n)::uuid, md5('organization')::uuid, 'Class ' || n FROM generate_series(0, :keys / 10000) n;
