SET maintenance_work_mem = '256MB';
CREATE INDEX training_keys_grant ON keys.training_keys (grant_id, key_id);
CREATE INDEX training_keys_organization ON keys.training_keys (organization_id, key_id);
CREATE INDEX training_keys_batch ON keys.training_keys (batch_id, key_id);
CREATE UNIQUE INDEX codes_unretired_hash ON keys.codes (hash) WHERE retired_at IS NULL;
RESET maintenance_work_mem;
RESET synchronous_commit;
RESET session_replication_role;
-- The request that made all of them.
INSERT INTO keys.requests (
    request_id, organization_id, grant_id, method, fingerprint, fingerprint_version, result, decided_at
)
SELECT '0190a000-0000-7000-8000-000000000000', organization_id, grant_id, 'GenerateTrainingKeys', '', 1, '{}', now()
FROM keys.grants ORDER BY grant_id LIMIT 1;
INSERT INTO keys.batches (
    batch_id, organization_id, grant_id, wanted, made, last_key_id, grant_version, reserved_until, told
)
SELECT r.request_id, r.organization_id, r.grant_id, k.keys, k.keys, l.key_id, 1, now(), '{}'
FROM keys.requests r
CROSS JOIN LATERAL (SELECT count(*)::int AS keys FROM keys.training_keys WHERE batch_id = r.request_id) k
CROSS JOIN LATERAL (
    SELECT key_id FROM keys.training_keys WHERE batch_id = r.request_id ORDER BY batch_id DESC, key_id DESC LIMIT 1
) l
WHERE r.request_id = '0190a000-0000-7000-8000-000000000000';
