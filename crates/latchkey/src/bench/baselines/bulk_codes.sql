-- Their codes: a hash, and as many bytes of sealed text as nonce, code and tag have together.
COPY (
    SELECT ('0190a000-' || lpad(to_hex(n >> 12), 4, '0') || '-7' || lpad(to_hex(n & 4095), 3, '0') || '-8000-'
            || substr(md5('key ' || n), 1, 12))::uuid, 1, md5('organization')::uuid, sha256(int8send(n)), 1,
        sha256('a' || int8send(n)) || sha256('b' || int8send(n)) || substring(sha256(int8send(n)), 1, 9), 1, now()
    FROM generate_series(0, :keys - 1) n
) TO STDOUT
