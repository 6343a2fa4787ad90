-- Keys as the keys service stores them: ids in the order of creation; here of 1000 a request and 10000 a class.
COPY (
    SELECT ('0190a000-' || lpad(to_hex(n >> 12), 4, '0') || '-7' || lpad(to_hex(n & 4095), 3, '0') || '-8000-'
            || substr(md5('key ' || n), 1, 12))::uuid, 'enrollment', md5('organization')::uuid,
        md5('class ' || n / 10000)::uuid, md5('batch ' || n / 1000)::uuid, 1, 'LE-****-****-****-****-****-****-' || n % 10, now(),
        'bench-administrator'
    FROM generate_series(0, :keys - 1) n
) TO STDOUT
