//! Who may see whom inside the services: `rpc → app → {domain, store}`, `store → domain`; and what the crates below
//! them may know.

use crate::source::{Finding, Source};
use crate::tokens::{self, Used};

/// A directory or file, what must not be seen from it, and why.
struct Room {
    /// Where it is, below `crates/<crate>/src/`.
    name: &'static str,
    /// Paths that must not be used in it, as prefixes.
    closed: &'static [&'static str],
    /// The rule in words.
    rule: &'static str,
}

const ROOMS: [Room; 5] = [
    Room {
        name: "domain",
        closed: &[
            "crate::store",
            "crate::app",
            "crate::rpc",
            "crate::clients",
            "tonic",
            "tonic_prost",
            "tonic_types",
            "prost",
            "prost_types",
            "latchkey_proto",
            "latchkey_group_commit",
            "sqlx",
            "tokio",
            "tokio_stream",
            "tokio_util",
            "futures",
            "std::fs",
            "std::net",
            "std::process",
            "std::env",
            "std::thread",
            "std::time::SystemTime",
            "std::time::Instant",
        ],
        rule: "the domain is pure: no other room, no transport, no SQL, no I/O",
    },
    Room {
        name: "store",
        closed: &[
            "crate::app",
            "crate::rpc",
            "crate::clients",
            "tonic",
            "tonic_prost",
            "tonic_types",
            "prost",
            "prost_types",
            "latchkey_proto",
            "latchkey_group_commit",
        ],
        rule: "the store sees the domain and SQL, nothing else",
    },
    Room {
        name: "app",
        closed: &[
            "crate::rpc",
            "tonic",
            "tonic_prost",
            "tonic_types",
            "prost",
            "prost_types",
            "latchkey_proto",
        ],
        rule: "use cases know neither the transport nor generated types",
    },
    Room {
        name: "clients",
        closed: &["crate::rpc", "crate::store", "sqlx"],
        rule: "clients translate calls, nothing else",
    },
    Room {
        name: "rpc",
        closed: &["crate::store", "sqlx"],
        rule: "handlers go through use cases",
    },
];

/// What only `rpc`, `clients` and the files that put the rooms together see.
const TRANSPORT: [&str; 5] = [
    "tonic",
    "tonic_prost",
    "prost",
    "prost_types",
    "latchkey_proto",
];
/// What runs SQL.
const QUERIES: [&str; 4] = [
    "sqlx::query",
    "sqlx::query_as",
    "sqlx::query_scalar",
    "sqlx::raw_sql",
];
/// The files at a service's root that put the rooms together.
const ASSEMBLY: [&str; 3] = ["lib", "serve", "main"];

/// What the crates that know nothing of keys and classes must not use.
const STRANGERS: [(&str, &[&str]); 2] = [
    (
        "crates/service-kit/",
        &[
            "latchkey_proto::keys",
            "latchkey_proto::enrollment",
            "latchkey_code",
        ],
    ),
    ("crates/group-commit/", &["latchkey_proto", "tonic", "sqlx"]),
];

pub(crate) fn trespasses(sources: &[Source]) -> Vec<Finding> {
    sources.iter().flat_map(of_file).collect()
}

fn of_file(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (prefix, closed) in STRANGERS {
        if source.path.starts_with(prefix) {
            closed_paths(
                source,
                closed,
                "it knows nothing of keys and classes",
                &mut findings,
            );
        }
    }
    for (service, other) in [
        ("keys", "latchkey_enrollment"),
        ("enrollment", "latchkey_keys"),
    ] {
        if let Some(inside) = source.path.strip_prefix(&format!("crates/{service}/src/")) {
            let place = inside
                .split('/')
                .next()
                .unwrap_or(inside)
                .trim_end_matches(".rs");
            in_service(source, place, &mut findings);
            let rule = "the services know each other by the contract alone";
            closed_paths(source, &[other], rule, &mut findings);
        }
    }
    findings
}

/// What a file of a service breaks that stands in the room or root module `place`.
fn in_service(source: &Source, place: &str, findings: &mut Vec<Finding>) {
    if let Some(room) = ROOMS.iter().find(|room| room.name == place) {
        closed_paths(source, room.closed, room.rule, findings);
    } else if !ASSEMBLY.contains(&place) {
        closed_paths(
            source,
            &TRANSPORT,
            "only rpc and clients see the transport",
            findings,
        );
    }
    if place == "domain" {
        for line in tokens::lines_with(tokens::lex(&source.path, &source.text), "async") {
            let what = "`async` in the domain: the domain is pure";
            findings.push(Finding::new(&source.path, line, what));
        }
    }
    if place != "store" {
        closed_paths(source, &QUERIES, "SQL stands in the store", findings);
    }
}

fn closed_paths(source: &Source, closed: &[&str], rule: &str, findings: &mut Vec<Finding>) {
    let module = tokens::module_of(&source.path);
    for used in tokens::paths(tokens::lex(&source.path, &source.text), &module) {
        if let Some(prefix) = closed.iter().find(|prefix| used.is_below(prefix)) {
            findings.push(Finding::new(
                &source.path,
                used.line,
                format!("uses `{}`: {rule}", shown(&used, prefix)),
            ));
        }
    }
}

fn shown(used: &Used, prefix: &str) -> String {
    if used.segments.is_empty() {
        prefix.to_owned()
    } else {
        used.segments.join("::")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        trespasses(&[Source::sample(path, text)]).len()
    }

    #[test]
    fn each_direction_that_is_closed_is_found() {
        for (path, text) in [
            ("crates/keys/src/domain/key.rs", "use crate::store::codes;"),
            (
                "crates/keys/src/domain/key.rs",
                "use super::super::app::Error;",
            ),
            ("crates/keys/src/domain/key.rs", "use sqlx::PgPool;"),
            (
                "crates/keys/src/domain/mod.rs",
                "fn f() { tokio::spawn(g()) }",
            ),
            ("crates/keys/src/domain/key.rs", "async fn f() {}"),
            ("crates/keys/src/domain/key.rs", "use std::{fs, fmt};"),
            (
                "crates/enrollment/src/domain/class.rs",
                "use latchkey_proto::enrollment::v1 as proto;",
            ),
            (
                "crates/enrollment/src/store/classes.rs",
                "use crate::app::Error;",
            ),
            (
                "crates/enrollment/src/store/classes.rs",
                "use tonic::Status;",
            ),
            (
                "crates/enrollment/src/store.rs",
                "use crate::{domain::Class, rpc::errors};",
            ),
            (
                "crates/enrollment/src/app/redeem.rs",
                "use crate::rpc::errors;",
            ),
            (
                "crates/enrollment/src/app/redeem.rs",
                "fn f() -> tonic::Status { g() }",
            ),
            (
                "crates/enrollment/src/app/redeem.rs",
                "use latchkey_proto::keys::v1::KeyKind;",
            ),
            (
                "crates/enrollment/src/app/redeem.rs",
                "fn f() { sqlx::query!(\"SELECT 1\") }",
            ),
            (
                "crates/enrollment/src/rpc/classes.rs",
                "use crate::store::classes;",
            ),
            ("crates/enrollment/src/verify.rs", "use tonic::Status;"),
            ("crates/enrollment/src/lib.rs", "use latchkey_keys::Config;"),
            (
                "crates/keys/src/app/set.rs",
                "use latchkey_enrollment::Config;",
            ),
            (
                "crates/service-kit/src/server/mod.rs",
                "use latchkey_proto::keys::v1::KeyKind;",
            ),
            ("crates/group-commit/src/lib.rs", "use sqlx::PgPool;"),
        ] {
            assert_eq!(found(path, text), 1, "{path}: {text}");
        }
    }

    #[test]
    fn each_direction_that_is_open_is_not() {
        for (path, text) in [
            (
                "crates/keys/src/domain/key.rs",
                "use super::state; use std::fmt; use chrono::DateTime;",
            ),
            (
                "crates/keys/src/store/codes.rs",
                "use crate::domain::Key; fn f() { sqlx::query!(\"SELECT 1\") }",
            ),
            (
                "crates/keys/src/app/generate.rs",
                "use crate::{domain, store::codes}; use sqlx::PgPool;",
            ),
            (
                "crates/keys/src/rpc/keys.rs",
                "use crate::{app, domain}; use tonic::Status; use latchkey_proto::keys;",
            ),
            (
                "crates/keys/src/lib.rs",
                "mod rpc; use tonic::service::Routes;",
            ),
            (
                "crates/service-kit/src/status.rs",
                "use latchkey_proto::errors::v1::ErrorReason; use tonic::Code;",
            ),
            (
                "crates/latchkey/src/stack.rs",
                "use latchkey_keys::MIGRATOR; use latchkey_enrollment::Config;",
            ),
            (
                "crates/keys/src/domain/key.rs",
                "/// Not `tonic::Status`, said in text: \nconst A: &str = \"sqlx::query\";",
            ),
        ] {
            assert_eq!(found(path, text), 0, "{path}: {text}");
        }
    }
}
