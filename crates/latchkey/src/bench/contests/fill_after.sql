SET maintenance_work_mem = '256MB';
CREATE INDEX training_keys_class ON keys.training_keys (class_id, key_id);
CREATE INDEX training_keys_organization ON keys.training_keys (organization_id, key_id);
CREATE INDEX training_keys_batch ON keys.training_keys (batch_id, key_id);
CREATE UNIQUE INDEX codes_unretired_hash ON keys.codes (hash) WHERE retired_at IS NULL;
RESET maintenance_work_mem;
RESET synchronous_commit;
RESET session_replication_role;
