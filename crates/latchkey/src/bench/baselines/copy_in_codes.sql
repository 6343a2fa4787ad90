COPY bulk.codes (
    key_id, generation, organization_id, hash, hash_version, sealed_code, seal_version, issued_at
) FROM STDIN
