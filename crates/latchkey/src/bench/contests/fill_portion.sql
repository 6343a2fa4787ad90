INSERT INTO keys.training_keys (
    key_id, kind, organization_id, grant_id, batch_id, generation, masked_code, created_at, created_by
)
SELECT ('0190a' || lpad(to_hex(n >> 12), 3, '0') || '-' || lpad(to_hex(n & 4095), 4, '0') || '-7000-8000-'
        || substr(md5('key ' || n), 1, 12))::uuid, 'enrollment', g.organization_id, g.grant_id,
    '0190a000-0000-7000-8000-000000000000', 1, 'LE-****-****-****-****-****-****-' || n % 10, now(), 'bench'
FROM generate_series(:from, :to) n, (SELECT * FROM keys.grants ORDER BY grant_id LIMIT 1) g;

INSERT INTO keys.codes (
    key_id, generation, organization_id, hash, hash_version, sealed_code, seal_version, issued_at
)
SELECT ('0190a' || lpad(to_hex(n >> 12), 3, '0') || '-' || lpad(to_hex(n & 4095), 4, '0') || '-7000-8000-'
        || substr(md5('key ' || n), 1, 12))::uuid, 1, g.organization_id, sha256(int8send(n)), 1,
    sha256('a' || int8send(n)) || sha256('b' || int8send(n)) || substring(sha256(int8send(n)), 1, 9), 1, now()
FROM generate_series(:from, :to) n, (SELECT * FROM keys.grants ORDER BY grant_id LIMIT 1) g;
