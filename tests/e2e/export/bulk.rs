//! More keys than anybody generates by calls.

use latchkey_keys::domain::keyring::{CodePlace, InUse, Versions};
use latchkey_service_kit::ids::os_random;
use uuid::Uuid;

use crate::harness::{ClassDraft, Organization, new_id};

/// How many go into the database by one statement.
const AT_ONCE: usize = 5_000;

/// How many keys, of a class with a name that long.
pub(super) struct Bulk {
    pub(super) keys: usize,
    pub(super) class_name: String,
}

impl Bulk {
    /// Some forty megabytes.
    pub(super) fn usual() -> Self {
        Self {
            keys: 40_000,
            class_name: "🗝".repeat(200),
        }
    }
}

/// Puts the keys into the database, past all rules; their class.
pub(super) async fn fill(organization: &Organization<'_>, bulk: &Bulk) -> String {
    let draft = ClassDraft::new().change(|class| bulk.class_name.clone_into(&mut class.name));
    let class = organization.class(draft).await.class_id;
    let stack = organization.stack;
    let config = latchkey_keys::Config::load(Some(stack.site().keys[0].config_file()));
    let keyring = config.expect("a configuration").keyring_file.read();
    let keyring = keyring.expect("a keyring");
    let first = || Versions {
        current: 1,
        all: vec![1],
        rotated: true,
    };
    let in_use = InUse {
        seal: first(),
        look_up: first(),
        fingerprint: first(),
    };
    let keyring = keyring.current(&in_use).expect("it is new");
    let ids: Vec<Uuid> = (0..bulk.keys)
        .map(|_| new_id().parse().expect("an id"))
        .collect();
    let mut database = stack.database().await;
    for ids in ids.chunks(AT_ONCE) {
        let sealed: Vec<Vec<u8>> = ids
            .iter()
            .map(|key_id| {
                let place = CodePlace {
                    key_id: *key_id,
                    generation: 1,
                };
                let code = format!("EK-{}", key_id.simple());
                keyring.seal(place, &code, &mut os_random()).bytes
            })
            .collect();
        let statement = "
            WITH made AS (
                INSERT INTO keys.training_keys (key_id, kind, organization_id, grant_id, batch_id, generation,
                    masked_code, created_at, created_by)
                SELECT n.key_id, 'enrollment', $1, $2, $2, 1, 'EK', now(), 'bulk'
                FROM unnest($3::uuid[]) AS n (key_id)
            )
            INSERT INTO keys.codes (key_id, generation, organization_id, hash, hash_version, sealed_code,
                seal_version, issued_at)
            SELECT n.key_id, 1, $1, sha256(uuid_send(n.key_id)), 1, n.sealed, 1, now()
            FROM unnest($3::uuid[], $4::bytea[]) AS n (key_id, sealed)";
        let parse = |id: &str| id.parse::<Uuid>().expect("an id");
        sqlx::query(statement)
            .bind(parse(&organization.id))
            .bind(parse(&class))
            .bind(ids)
            .bind(sealed)
            .execute(&mut database)
            .await
            .expect("keys");
    }
    class
}
