-- All that an export tells, by one statement: each key with its sealed code and its class, the newest first.
COPY (
    SELECT k.key_id, k.kind, k.class_id, g.name, k.revoked_at, c.generation, c.sealed_code, c.seal_version
    FROM bulk.training_keys k
    JOIN bulk.codes c ON c.key_id = k.key_id AND c.generation = k.generation
    JOIN bulk.grants g ON g.class_id = k.class_id
) TO STDOUT
