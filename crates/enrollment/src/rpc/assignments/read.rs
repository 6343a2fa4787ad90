//! Lists of assignments that are wanted, read from messages with all their violations at once.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::keys::v1 as keys;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;

use crate::app::assignments::read_assignments::{AssignmentFilter, AssignmentPlace};
use crate::domain::prefix::Prefix;
use crate::rpc::assignments::assigning;
use crate::rpc::messages::{optional_id, prefix};

/// A list that is wanted.
#[derive(Debug)]
pub(super) struct List {
    pub(super) filter: AssignmentFilter,
    pub(super) page: PageRequest<AssignmentPlace>,
}

pub(super) fn list(message: &proto::ListAssignmentsRequest) -> Result<List, ApiError> {
    let mut violations = Violations::of(message);
    let filter = filter(&mut violations, message);
    let text = |prefix: Option<&Prefix>| prefix.map_or("", Prefix::first).to_owned();
    let query = vec![
        "ListAssignments".to_owned(),
        format!("{:?}", filter.assigning),
        optional_id(filter.student_id),
        optional_id(filter.key_id),
        optional_id(filter.organization_id),
        filter.status.unwrap_or_default().to_owned(),
        filter.key_kind.unwrap_or_default().to_owned(),
        format!("{:?} {:?}", filter.from, filter.until),
        text(filter.name.as_ref()),
        text(filter.email.as_ref()),
    ];
    let page = PageRequest::read(
        message.page_size,
        &message.page_token,
        &query,
        &mut violations,
    );
    violations.finish()?;
    Ok(List { filter, page })
}

fn filter(
    violations: &mut Violations,
    message: &proto::ListAssignmentsRequest,
) -> AssignmentFilter {
    let ids = [
        ("student_id", &message.student_id),
        ("key_id", &message.key_id),
        ("organization_id", &message.organization_id),
    ];
    let assigning_ids = [
        ("pool_id", &message.pool_id),
        ("profile_id", &message.profile_id),
    ];
    let ways = || assigning_ids.into_iter().chain(ids);
    if ways().all(|(_, id)| id.is_empty()) {
        for (field, _) in ways() {
            violations.add(
                field,
                "one of `pool_id`, `profile_id`, `student_id`, `key_id` and `organization_id` must be set",
            );
        }
    }
    let searchable = !message.organization_id.is_empty() || !message.student_id.is_empty();
    let prefixes = [
        ("student_name_prefix", &message.student_name_prefix),
        ("student_email_prefix", &message.student_email_prefix),
    ];
    let [name, email] = prefixes.map(|(field, text)| {
        violations.check(
            field,
            searchable || text.is_empty(),
            "needs `organization_id` or `student_id`",
        );
        prefix(violations, field, text)
    });
    let assigning = assigning(violations, &message.pool_id, &message.profile_id);
    let [student_id, key_id, organization_id] =
        ids.map(|(field, id)| violations.optional_uuid(field, id));
    AssignmentFilter {
        assigning,
        student_id,
        key_id,
        organization_id,
        status: status(message.status()),
        key_kind: key_kind(message.key_kind()),
        from: violations.optional_timestamp("assign_from", message.assign_from.as_ref()),
        until: violations.optional_timestamp("assign_until", message.assign_until.as_ref()),
        name,
        email,
    }
}

/// The stored name of a status; `None` for any.
fn status(status: proto::AssignmentStatus) -> Option<&'static str> {
    match status {
        proto::AssignmentStatus::Unspecified => None,
        proto::AssignmentStatus::Assigned => Some("assigned"),
        proto::AssignmentStatus::Cancelled => Some("cancelled"),
    }
}

/// The name of a kind of key that assigns something; `None` for any.
fn key_kind(kind: keys::KeyKind) -> Option<&'static str> {
    match kind {
        keys::KeyKind::Pool => Some("pool"),
        keys::KeyKind::Subscription => Some("subscription"),
        // The contract's rules refuse those of classes.
        keys::KeyKind::Unspecified | keys::KeyKind::Enrollment | keys::KeyKind::Event => None,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::redemption::Assigning;

    fn id(id: u128) -> String {
        match id {
            0 => String::new(),
            id => Uuid::from_u128(id).to_string(),
        }
    }

    fn message(
        pool: u128,
        student: u128,
        key: u128,
        organization: u128,
    ) -> proto::ListAssignmentsRequest {
        proto::ListAssignmentsRequest {
            pool_id: id(pool),
            student_id: id(student),
            key_id: id(key),
            organization_id: id(organization),
            ..Default::default()
        }
    }

    fn at_fault(message: &proto::ListAssignmentsRequest) -> Vec<String> {
        let error = list(message).unwrap_err();
        let violations = error.violations().iter();
        violations
            .map(|violation| violation.field.clone())
            .collect()
    }

    #[test]
    fn by_pool_student_key_or_organization_but_not_by_nothing() {
        for ways in [
            [1, 0, 0, 0],
            [0, 2, 0, 0],
            [0, 0, 3, 0],
            [0, 0, 0, 4],
            [1, 2, 3, 4],
        ] {
            let [pool, student, key, organization] = ways;
            let filter = list(&message(pool, student, key, organization))
                .unwrap()
                .filter;
            let read = [
                filter.assigning.and_then(Assigning::pool_id),
                filter.student_id,
                filter.key_id,
                filter.organization_id,
            ];
            assert_eq!(read.map(optional_id), ways.map(id));
        }
        assert_eq!(
            at_fault(&message(0, 0, 0, 0)),
            [
                "pool_id",
                "profile_id",
                "student_id",
                "key_id",
                "organization_id"
            ]
        );
    }

    #[test]
    fn a_beginning_is_folded_not_blank_and_needs_somewhere_to_be_searched_for() {
        for (student, organization) in [(0, 1), (1, 0)] {
            let mut message = message(0, student, 0, organization);
            message.student_name_prefix = " \u{c4}r".to_owned();
            let filter = list(&message).unwrap().filter;
            assert_eq!(filter.name.unwrap().first(), "\u{e4}r");
            message.student_email_prefix = " ".to_owned();
            assert_eq!(at_fault(&message), ["student_email_prefix"]);
        }
        let mut message = message(1, 0, 1, 0);
        message.student_email_prefix = "ann".to_owned();
        assert_eq!(at_fault(&message), ["student_email_prefix"]);
    }

    #[test]
    fn keys_of_classes_assign_nothing() {
        let mut message = message(1, 0, 0, 0);
        message.set_key_kind(keys::KeyKind::Pool);
        assert_eq!(list(&message).unwrap().filter.key_kind, Some("pool"));
        message.set_key_kind(keys::KeyKind::Event);
        assert_eq!(at_fault(&message), ["key_kind"]);
    }

    #[test]
    fn every_filter_binds_the_pages() {
        let one = message(1, 0, 0, 0);
        let of = |change: fn(&mut proto::ListAssignmentsRequest)| {
            let mut message = message(0, 0, 0, 1);
            change(&mut message);
            message
        };
        let messages = [
            one,
            message(0, 1, 0, 0),
            message(0, 0, 1, 0),
            of(|message| message.profile_id = id(1)),
            of(|_| {}),
            of(|message| message.set_status(proto::AssignmentStatus::Assigned)),
            of(|message| message.set_status(proto::AssignmentStatus::Cancelled)),
            of(|message| message.set_key_kind(keys::KeyKind::Pool)),
            of(|message| message.set_key_kind(keys::KeyKind::Subscription)),
            of(|message| message.assign_from = Some(prost_types::Timestamp::default())),
            of(|message| message.assign_until = Some(prost_types::Timestamp::default())),
            of(|message| "ann".clone_into(&mut message.student_name_prefix)),
            of(|message| "ann".clone_into(&mut message.student_email_prefix)),
        ];
        let pages: Vec<_> = messages
            .iter()
            .map(|message| list(message).unwrap().page)
            .collect();
        for (index, one) in pages.iter().enumerate() {
            assert!(!pages[index + 1..].contains(one), "{one:?}");
        }
    }
}
