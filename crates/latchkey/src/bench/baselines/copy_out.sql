-- What an export needs of keys, codes and classes, by one statement and in no order: each key with its sealed code and its class.
-- Of uses, which an export tells of too, there is nothing here, and no state is worked out.
COPY (
    SELECT k.key_id, k.kind, k.class_id, g.name, k.revoked_at, c.generation, c.sealed_code, c.seal_version
    FROM bulk.training_keys k
    JOIN bulk.codes c ON c.key_id = k.key_id AND c.generation = k.generation
    JOIN bulk.grants g ON g.class_id = k.class_id
) TO STDOUT
