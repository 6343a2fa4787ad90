//! The invariants of the schema, each counted afresh from the rows, and what a comparison with the enrollment service's
//! side has to read.

pub mod restores;
pub mod states;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use latchkey_service_kit::broken;
use latchkey_service_kit::database::{begin, read_one_snapshot};
use latchkey_service_kit::invariants::Findings;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::StoreError;
use super::marks::Mark;
use super::training_keys::KeyCount;

/// Every invariant of the schema looked at, and everything that breaks one, at one instant.
pub async fn findings(pool: &PgPool) -> Result<Findings, StoreError> {
    let mut transaction = begin(pool).await?;
    read_one_snapshot(&mut transaction).await?;
    let mut findings = Findings::default();
    of_codes(&mut transaction, &mut findings).await?;
    of_keys(&mut transaction, &mut findings).await?;
    of_pools(&mut transaction, &mut findings).await?;
    of_subscription_keys(&mut transaction, &mut findings).await?;
    of_requests(&mut transaction, &mut findings).await?;
    of_audit(&mut transaction, &mut findings).await?;
    transaction.rollback().await?;
    Ok(findings)
}

async fn of_codes(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    broken!(
        findings,
        connection,
        "keys.codes",
        "a key has one code of each generation up to its own",
        r#"
        SELECT k.key_id::text AS "id!", format('generation %s, codes %s', k.generation, c.generations) AS "found!"
        FROM keys.training_keys k
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(generation ORDER BY generation), '{}') AS generations
            FROM keys.codes WHERE key_id = k.key_id
        ) c
        WHERE c.generations <> ARRAY(SELECT generate_series(1, k.generation))
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.codes",
        "two keys never have the same code at once",
        r#"
        SELECT min(key_id::text) AS "id!", string_agg(key_id || ' generation ' || generation, ', ' ORDER BY key_id, generation) AS "found!"
        FROM keys.codes WHERE retired_at IS NULL
        GROUP BY hash HAVING count(*) > 1
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.codes",
        "a replaced code has an end, the present code of a key that is not revoked has none and is not retired",
        r#"
        SELECT c.key_id || ' generation ' || c.generation AS "id!",
            format('valid until %s, retired at %s, key generation %s', c.valid_until, c.retired_at, k.generation) AS "found!"
        FROM keys.codes c JOIN keys.training_keys k ON k.key_id = c.key_id
        WHERE CASE
            WHEN c.generation < k.generation THEN c.valid_until IS NULL
            WHEN k.revoked_at IS NULL THEN c.valid_until IS NOT NULL OR c.retired_at IS NOT NULL
            ELSE false
        END
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.codes",
        "every code of an event key that is off has ended and is retired",
        r#"
        SELECT c.key_id || ' generation ' || c.generation AS "id!",
            format('valid until %s, retired at %s, off since %s', c.valid_until, c.retired_at, k.revoked_at) AS "found!"
        FROM keys.codes c JOIN keys.training_keys k ON k.key_id = c.key_id
        WHERE k.kind = 'event' AND k.revoked_at IS NOT NULL
          AND (c.retired_at IS NULL OR c.valid_until IS NULL OR c.valid_until > k.revoked_at)
        ORDER BY 1
        "#
    );
    Ok(())
}

async fn of_keys(connection: &mut PgConnection, findings: &mut Findings) -> Result<(), StoreError> {
    broken!(
        findings,
        connection,
        "keys.training_keys",
        "a class has one event key at most",
        r#"
        SELECT grant_id::text AS "id!", string_agg(key_id::text, ', ' ORDER BY key_id) AS "found!"
        FROM keys.training_keys WHERE kind = 'event'
        GROUP BY grant_id HAVING count(*) > 1
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.training_keys",
        "a key belongs to the organization of what it opens, and so do its codes, its terms, its uses and the requests about it",
        r#"
        SELECT b.id AS "id!", format('%s of %s belongs to %s, what it opens to %s', b.what, b.id, b.own, g.organization_id) AS "found!"
        FROM (
            SELECT 'the key' AS what, k.key_id::text AS id, k.organization_id AS own, k.grant_id FROM keys.training_keys k
            UNION ALL
            SELECT 'a code', k.key_id::text, c.organization_id, k.grant_id
            FROM keys.codes c JOIN keys.training_keys k ON k.key_id = c.key_id
            UNION ALL
            SELECT 'a use', k.key_id::text, m.organization_id, k.grant_id
            FROM keys.marks m JOIN keys.training_keys k ON k.key_id = m.key_id
            UNION ALL
            SELECT 'a batch', b.batch_id::text, b.organization_id, b.grant_id FROM keys.batches b
            UNION ALL
            SELECT 'a request', r.request_id::text, r.organization_id, r.grant_id FROM keys.requests r
            UNION ALL
            SELECT 'a pool', p.pool_id::text, p.organization_id, p.pool_id FROM keys.pools p
            UNION ALL
            SELECT 'the terms', k.key_id::text, s.organization_id, k.grant_id
            FROM keys.subscription_keys s JOIN keys.training_keys k ON k.key_id = s.key_id
        ) b JOIN keys.grants g ON g.grant_id = b.grant_id
        WHERE b.own <> g.organization_id
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.marks",
        "a use is of a key that exists and of a code that it has had",
        r#"
        SELECT m.redemption_id || ' of ' || m.key_id AS "id!",
            format('generation %s, key generation %s', m.generation, coalesce(k.generation::text, 'unknown')) AS "found!"
        FROM keys.marks m LEFT JOIN keys.training_keys k ON k.key_id = m.key_id
        WHERE k.key_id IS NULL OR m.generation NOT BETWEEN 1 AND k.generation
        ORDER BY 1
        "#
    );
    Ok(())
}

async fn of_pools(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    broken!(
        findings,
        connection,
        "keys.training_keys",
        "a key is of a kind that opens its class, pool or profile",
        r#"
        SELECT k.key_id::text AS "id!", format('%s key of a %s', k.kind, g.kind) AS "found!"
        FROM keys.training_keys k JOIN keys.grants g ON g.grant_id = k.grant_id
        WHERE g.kind <> CASE k.kind WHEN 'pool' THEN 'pool' WHEN 'subscription' THEN 'profile' ELSE 'class' END
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.grants",
        "each grant of a pool has its pool, and no other grant has one",
        r#"
        SELECT g.grant_id::text AS "id!", format('%s, %s', g.kind, CASE WHEN p.pool_id IS NULL THEN 'no pool' ELSE 'a pool' END)
            AS "found!"
        FROM keys.grants g LEFT JOIN keys.pools p ON p.pool_id = g.grant_id
        WHERE (g.kind = 'pool') <> (p.pool_id IS NOT NULL)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.audit_events",
        "each change of a pool has exactly one audit event",
        r#"
        SELECT coalesce(g.grant_id, e.pool_id)::text AS "id!",
            format('version %s, %s events', coalesce(g.version, 0), coalesce(e.events, 0)) AS "found!"
        FROM (SELECT grant_id, version FROM keys.grants WHERE kind = 'pool') g
        FULL JOIN (
            SELECT resource_id AS pool_id, count(*) AS events
            FROM keys.audit_events WHERE outcome = 'done' AND action IN ('key_pool.create', 'key_pool.update') GROUP BY resource_id
        ) e ON e.pool_id = g.grant_id
        WHERE g.version IS DISTINCT FROM e.events
        ORDER BY 1
        "#
    );
    Ok(())
}

async fn of_subscription_keys(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    broken!(
        findings,
        connection,
        "keys.subscription_keys",
        "each subscription key has its terms, and no other key has any",
        r#"
        SELECT k.key_id::text AS "id!",
            format('%s key, %s', k.kind, CASE WHEN s.key_id IS NULL THEN 'no terms' ELSE 'terms' END) AS "found!"
        FROM keys.training_keys k LEFT JOIN keys.subscription_keys s ON s.key_id = k.key_id
        WHERE (k.kind = 'subscription') <> (s.key_id IS NOT NULL)
        ORDER BY 1
        "#
    );
    // The first terms came with the key, and are told by its generation.
    broken!(
        findings,
        connection,
        "keys.audit_events",
        "each change of the terms of a subscription key has exactly one audit event",
        r#"
        SELECT coalesce(s.key_id, e.key_id)::text AS "id!",
            format('version %s, %s events', coalesce(s.version, 0), coalesce(e.events, 0)) AS "found!"
        FROM keys.subscription_keys s
        FULL JOIN (
            SELECT resource_id AS key_id, count(*) AS events
            FROM keys.audit_events WHERE outcome = 'done' AND action = 'subscription_key.update' GROUP BY resource_id
        ) e ON e.key_id = s.key_id
        WHERE s.version - 1 IS DISTINCT FROM coalesce(e.events, 0)
        ORDER BY 1
        "#
    );
    Ok(())
}

async fn of_requests(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    broken!(
        findings,
        connection,
        "keys.requests",
        "a request is about a class, pool or profile that exists",
        r#"
        SELECT r.request_id::text AS "id!", 'about ' || r.grant_id AS "found!"
        FROM keys.requests r
        WHERE NOT EXISTS (SELECT FROM keys.grants g WHERE g.grant_id = r.grant_id)
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.batches",
        "a generation has as many keys as it says, for what it says and up to its last one, and one request",
        r#"
        SELECT coalesce(b.batch_id, k.batch_id)::text AS "id!",
            format('%s of %s made, %s keys, %s of its own up to the last one, request %s', coalesce(b.made, 0),
                coalesce(b.wanted, 0), coalesce(k.keys, 0), coalesce(k.right_ones, 0), coalesce(r.method, 'unknown')) AS "found!"
        FROM keys.batches b
        FULL JOIN (
            SELECT k.batch_id, count(*) AS keys,
                count(*) FILTER (WHERE k.grant_id = o.grant_id AND k.key_id <= o.last_key_id) AS right_ones
            FROM keys.training_keys k LEFT JOIN keys.batches o ON o.batch_id = k.batch_id
            WHERE k.kind <> 'event' GROUP BY k.batch_id
        ) k ON k.batch_id = b.batch_id
        LEFT JOIN keys.requests r ON r.request_id = b.batch_id
        WHERE b.made IS DISTINCT FROM k.keys OR b.made IS DISTINCT FROM k.right_ones OR b.made > b.wanted
          OR coalesce(r.method, '') NOT IN ('GenerateTrainingKeys', 'GeneratePoolKeys', 'AddOwnPoolKeys',
            'GenerateSubscriptionKeys', 'AddOwnSubscriptionKeys')
        ORDER BY 1
        "#
    );
    Ok(())
}

async fn of_audit(
    connection: &mut PgConnection,
    findings: &mut Findings,
) -> Result<(), StoreError> {
    broken!(
        findings,
        connection,
        "keys.audit_events",
        "each generation of keys has exactly one audit event",
        r#"
        SELECT coalesce(b.grant_id, e.grant_id)::text AS "id!",
            format('%s generations, %s events', coalesce(b.batches, 0), coalesce(e.events, 0)) AS "found!"
        FROM (
            SELECT grant_id, count(*) AS batches FROM keys.batches GROUP BY grant_id
        ) b
        FULL JOIN (
            SELECT resource_id AS grant_id, count(*) AS events
            FROM keys.audit_events WHERE outcome = 'done' AND action = 'training_key.generate' GROUP BY resource_id
        ) e ON e.grant_id = b.grant_id
        WHERE b.batches IS DISTINCT FROM e.events
        ORDER BY 1
        "#
    );
    broken!(
        findings,
        connection,
        "keys.audit_events",
        "each revocation has exactly one audit event",
        r#"
        SELECT coalesce(k.key_id, e.key_id)::text AS "id!",
            format('%s, %s events', CASE WHEN k.key_id IS NULL THEN 'not revoked' ELSE 'revoked' END, coalesce(e.events, 0))
                AS "found!"
        FROM (SELECT key_id FROM keys.training_keys WHERE kind <> 'event' AND revoked_at IS NOT NULL) k
        FULL JOIN (
            SELECT resource_id AS key_id, count(*) AS events
            FROM keys.audit_events WHERE outcome = 'done' AND action = 'training_key.revoke' GROUP BY resource_id
        ) e ON e.key_id = k.key_id
        WHERE k.key_id IS NULL OR e.events IS DISTINCT FROM 1
        ORDER BY 1
        "#
    );
    // A key that was removed with its draft has no version any more, but an event that says so.
    broken!(
        findings,
        connection,
        "keys.audit_events",
        "each change of an event key has exactly one audit event",
        r#"
        SELECT coalesce(k.key_id, e.key_id)::text AS "id!",
            format('version %s, %s changes, %s removals', coalesce(k.version, 0), coalesce(e.changes, 0), coalesce(e.removals, 0))
                AS "found!"
        FROM (SELECT key_id, version FROM keys.training_keys WHERE kind = 'event') k
        FULL JOIN (
            SELECT resource_id AS key_id, count(*) FILTER (WHERE action = 'event_key.set') AS changes,
                count(*) FILTER (WHERE action = 'event_key.retire') AS removals
            FROM keys.audit_events WHERE outcome = 'done' AND action IN ('event_key.set', 'event_key.retire') GROUP BY resource_id
        ) e ON e.key_id = k.key_id
        WHERE CASE WHEN k.key_id IS NULL THEN e.removals <> 1 ELSE e.changes IS DISTINCT FROM k.version OR e.removals <> 0 END
        ORDER BY 1
        "#
    );
    Ok(())
}

/// The keys, without event keys, of every class, pool and profile that has any, by state, at one instant, by what they open.
pub async fn counts(pool: &PgPool) -> Result<Vec<KeyCount>, StoreError> {
    let counts = sqlx::query_as!(
        KeyCount,
        r#"
        SELECT s.grant_id AS "grant_id!",
            count(*) AS "generated!",
            count(*) FILTER (WHERE s.state = 'redeemed') AS "redeemed!",
            count(*) FILTER (WHERE s.state = 'revoked') AS "revoked!",
            count(*) FILTER (WHERE s.state = 'expired') AS "expired!",
            count(*) FILTER (WHERE s.state = 'available') AS "available!"
        FROM (
            SELECT k.grant_id, keys.key_state(
                k.kind, (SELECT count(*) FROM keys.marks m WHERE m.key_id = k.key_id AND m.released_at IS NULL),
                k.revoked_at, g.status, g.ends_at, g.event_key_until, s.max_uses, s.expires_at, s.content_expires_at,
                statement_timestamp()) AS state
            FROM keys.training_keys k
            LEFT JOIN keys.grants g ON g.grant_id = k.grant_id
            LEFT JOIN keys.subscription_keys s ON s.key_id = k.key_id
            WHERE k.kind <> 'event'
        ) s
        GROUP BY s.grant_id
        ORDER BY s.grant_id
        "#
    )
    .fetch_all(pool)
    .await?;
    Ok(counts)
}

/// A live use, and what its key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveUse {
    /// The use.
    pub mark: Mark,
    /// The class, pool or profile; `None` if there is no such key.
    pub grant_id: Option<Uuid>,
}

/// Every live use, by redemption and key, as a stream over one snapshot.
pub fn live_uses(pool: &PgPool) -> BoxStream<'_, Result<LiveUse, StoreError>> {
    sqlx::query!(
        r#"
        SELECT m.redemption_id, m.key_id, m.student_id, m.generation, m.redeemed_at, k.grant_id AS "grant_id?"
        FROM keys.marks m LEFT JOIN keys.training_keys k ON k.key_id = m.key_id
        WHERE m.released_at IS NULL
        ORDER BY m.redemption_id, m.key_id
        "#
    )
    .fetch(pool)
    .map_ok(|row| LiveUse {
        mark: Mark {
            redemption_id: row.redemption_id,
            key_id: row.key_id,
            student_id: row.student_id,
            generation: row.generation,
            redeemed_at: row.redeemed_at,
            released_at: None,
        },
        grant_id: row.grant_id,
    })
    .map_err(StoreError::from)
    .boxed()
}
