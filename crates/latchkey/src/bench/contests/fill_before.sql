-- A fixed id for everything that is filled in: one request of one class.
SET session_replication_role = replica;
SET synchronous_commit = off;
DROP INDEX keys.training_keys_grant, keys.training_keys_organization, keys.training_keys_batch, keys.codes_unretired_hash;
-- Every batch of keys has its event in the trail.
INSERT INTO keys.audit_events (
    event_id, actor_subject, actor_issuer, actor_roles, organization_id, action, resource_type, resource_id, peer, request_id
)
SELECT '0190a000-0000-7000-8000-000000000000', 'bench', 'bench', '{administrator}', organization_id, 'training_key.generate',
    'class', grant_id, '127.0.0.1', 'bench'
FROM keys.grants ORDER BY grant_id LIMIT 1;
