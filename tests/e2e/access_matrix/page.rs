//! `docs/access.md` is the table of both services, for who writes a client.

use std::fmt::Write as _;
use std::path::Path;

use latchkey_service_kit::access::{Reach, Row};
use latchkey_service_kit::identity::Role;

/// Those of people and of the platform's services; the internal methods are for the enrollment service alone.
const ROLES: [Role; 6] = [
    Role::Operator,
    Role::PlatformService,
    Role::Administrator,
    Role::OperationsManager,
    Role::Instructor,
    Role::Student,
];

fn reach(reach: Reach) -> &'static str {
    match reach {
        Reach::Anything => "all",
        Reach::Organization => "org",
        Reach::OwnClasses => "own classes",
        Reach::EnrolledClasses => "classes they are in",
        Reach::Myself => "self",
    }
}

/// The rows of a table, service by service.
fn page(rows: &[Row]) -> String {
    let (mut page, mut last) = (String::new(), "");
    for Row { method, grants } in rows {
        let path = method.trim_start_matches('/');
        let (service, name) = path.split_once('/').expect("a method of a service");
        if service != last {
            let heads = ROLES.map(Role::name).join(" | ");
            let ruler = "---|".repeat(ROLES.len());
            let _ = write!(page, "\n### {service}\n\n| | {heads} |\n|---|{ruler}\n");
            last = service;
        }
        let _ = write!(page, "| `{name}` |");
        for role in ROLES {
            let grant = grants.iter().find(|(one, _)| *one == role);
            let _ = write!(page, " {} |", grant.map_or("–", |(_, far)| reach(*far)));
        }
        page.push('\n');
    }
    page
}

#[test]
fn the_page_about_access_says_what_the_tables_say() {
    let keys = latchkey_keys::rpc::access::TABLE;
    let open: Vec<Row> = keys
        .iter()
        .filter(|row| !row.method.contains("KeyUsageService"))
        .copied()
        .collect();
    let expected = format!(
        "\n## enrollment\n{}\n## keys\n{}",
        page(latchkey_enrollment::rpc::access::TABLE),
        page(&open)
    );
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/access.md");
    let found = std::fs::read_to_string(path).expect("the page");
    let begins = found.find("\n## enrollment\n").expect("the tables");
    assert!(
        found[begins..] == expected,
        "docs/access.md should end with:\n{expected}"
    );
}
