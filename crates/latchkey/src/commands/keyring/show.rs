//! The state of a keyring, for people and for machines.

use std::collections::BTreeSet;

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use latchkey_keys::app::keyring_status::{Holder, KeyringStatus};
use latchkey_keys::{KeyVersion, Keyring, Purpose};
use serde_json::{Value, json};

/// Every version that is in use, in the file, or in a process.
fn versions(status: &KeyringStatus, keyring: &Keyring) -> BTreeSet<KeyVersion> {
    let in_use = Purpose::ALL.into_iter().flat_map(|purpose| {
        let all = status.in_use.of(purpose).all.iter();
        all.map(move |&version| KeyVersion { purpose, version })
    });
    let in_file = keyring.held().into_iter().map(|held| held.key);
    let in_rows = status.rows.iter().map(|rows| rows.key);
    in_use.chain(in_file).chain(in_rows).collect()
}

fn rows_of(status: &KeyringStatus, key: KeyVersion) -> i64 {
    let rows = status.rows.iter().find(|rows| rows.key == key);
    rows.map_or(0, |rows| rows.count)
}

/// What stands of a version.
fn state(status: &KeyringStatus, key: KeyVersion) -> &'static str {
    let in_use = status.in_use.of(key.purpose);
    if in_use.current == key.version {
        if in_use.rotated {
            "current"
        } else {
            "current, rotation under way"
        }
    } else if in_use.all.contains(&key.version) {
        "in use"
    } else if key.version > in_use.current {
        "added"
    } else {
        "out of use"
    }
}

/// The keys of the file that a process does not have.
fn lacking(holder: &Holder, keyring: &Keyring) -> Vec<KeyVersion> {
    let held = keyring.held().into_iter();
    held.filter(|held| !holder.holds.contains(held))
        .map(|held| held.key)
        .collect()
}

/// Two tables.
pub(super) fn for_people(status: &KeyringStatus, keyring: &Keyring) -> String {
    let mut keys = Table::new();
    keys.load_style(UTF8_HORIZONTAL_ONLY);
    keys.set_header(["purpose", "version", "state", "in the file", "rows"]);
    for key in versions(status, keyring) {
        keys.add_row([
            key.purpose.name().to_owned(),
            key.version.to_string(),
            state(status, key).to_owned(),
            if keyring.has(key) { "yes" } else { "no" }.to_owned(),
            rows_of(status, key).to_string(),
        ]);
    }
    let mut processes = Table::new();
    processes.load_style(UTF8_HORIZONTAL_ONLY);
    processes.set_header(["process", "address", "lacks of the file"]);
    for holder in &status.holders {
        let lacks = lacking(holder, keyring);
        let lacks: Vec<String> = lacks.iter().map(KeyVersion::to_string).collect();
        let lacks = if lacks.is_empty() {
            "nothing".to_owned()
        } else {
            lacks.join(", ")
        };
        processes.add_row([holder.replica_id.to_string(), holder.address.clone(), lacks]);
    }
    format!("{keys}\n\n{processes}\n")
}

/// One line of JSON.
pub(super) fn for_machines(
    status: &KeyringStatus,
    keyring: &Keyring,
) -> serde_json::Result<String> {
    let of_key = |key: KeyVersion| {
        json!({
            "purpose": key.purpose.name(),
            "version": key.version,
            "state": state(status, key),
            "in_file": keyring.has(key),
            "rows": rows_of(status, key),
        })
    };
    let of_process = |holder: &Holder| {
        let name =
            |key: KeyVersion| json!({ "purpose": key.purpose.name(), "version": key.version });
        let lacks: Vec<Value> = lacking(holder, keyring).into_iter().map(name).collect();
        json!({ "replica_id": holder.replica_id, "address": holder.address, "lacks": lacks })
    };
    let keys: Vec<Value> = versions(status, keyring).into_iter().map(of_key).collect();
    let processes: Vec<Value> = status.holders.iter().map(of_process).collect();
    serde_json::to_string(&json!({ "keys": keys, "processes": processes }))
}
