COPY bulk.training_keys (
    key_id, kind, organization_id, class_id, batch_id, generation, masked_code, created_at, created_by
) FROM STDIN
