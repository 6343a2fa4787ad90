//! Lists: every page once and in order, tokens that fit only their own query, filters that are joined with AND.

mod filters;
mod uses;

use prost_reflect::{
    DynamicMessage, FieldDescriptor, MethodDescriptor, ReflectMessage as _, Value,
};
use tonic::Status;
use tonic_types::StatusExt;

use latchkey_proto::errors::v1::ErrorReason;

use crate::harness::dynamic::{call, methods};
use crate::harness::world::redeem;
use crate::harness::{Caller, ClassDraft, Organization, Stack, new_id, reason_of};

/// How many things every list of the scene shows at least.
const ITEMS: usize = 5;

/// A list of one service, asked for with filters that leave only things of the test's own.
struct List {
    caller: Caller,
    of_keys: bool,
    method: MethodDescriptor,
    filters: Vec<(&'static str, String)>,
    /// Another filter, for which the tokens of this list are not.
    other: (&'static str, Value),
}

impl List {
    fn request(&self) -> DynamicMessage {
        let mut request = DynamicMessage::new(self.method.input());
        for (field, value) in &self.filters {
            request.set_field_by_name(field, Value::String(value.clone()));
        }
        request
    }

    async fn page(&self, size: i32, token: &str) -> Result<(Vec<String>, String), Status> {
        let mut request = self.request();
        request.set_field_by_name("page_size", Value::I32(size));
        request.set_field_by_name("page_token", Value::String(token.to_owned()));
        let answer = self.ask(request).await?;
        let token = answer
            .get_field_by_name("next_page_token")
            .expect("a token")
            .into_owned();
        let Value::String(token) = token else {
            panic!("a token is text")
        };
        Ok((ids(&answer), token))
    }

    async fn ask(&self, request: DynamicMessage) -> Result<DynamicMessage, Status> {
        let connection = if self.of_keys {
            self.caller.to_keys()
        } else {
            self.caller.to_enrollment()
        };
        call(connection, &self.method, request).await
    }

    /// All pages of this size, one after the other.
    async fn pages(&self, size: i32) -> Vec<Vec<String>> {
        let (mut pages, mut token) = (Vec::new(), String::new());
        loop {
            let (items, next) = self.page(size, &token).await.expect("a page");
            pages.push(items);
            if next.is_empty() {
                return pages;
            }
            assert_ne!(next, token);
            token = next;
        }
    }

    fn name(&self) -> &str {
        self.method.name()
    }
}

/// The ids of a list's items: every kind of thing has its id first.
fn ids(answer: &DynamicMessage) -> Vec<String> {
    let list = answer
        .descriptor()
        .fields()
        .find(FieldDescriptor::is_list)
        .expect("a list");
    let Value::List(items) = answer.get_field(&list).into_owned() else {
        panic!("a list")
    };
    let id = |item: &Value| {
        let Value::Message(item) = item else {
            panic!("a list of messages")
        };
        let Value::String(id) = item.get_field_by_number(1).expect("an id").into_owned() else {
            panic!("an id")
        };
        id
    };
    items.iter().map(id).collect()
}

/// Every list there is, with something in it.
async fn lists(stack: &Stack) -> Vec<List> {
    let organization = Organization::new(stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    for student in organization.students(ITEMS).await {
        organization.child().await;
        organization.class(ClassDraft::new()).await;
        redeem(stack, &student, &code).await.expect("in");
    }
    organization.generate(&class.class_id, 5).await;
    crate::harness::invariants::hold(stack).await;

    let all = methods()
        .into_iter()
        .filter(|method| method.name().starts_with("List"))
        .collect::<Vec<_>>();
    let within = vec![("organization_id", organization.id.clone())];
    let in_class = vec![("class_id", class.class_id.clone())];
    let no_one = Value::String(new_id());
    let list = |name: &str,
                of_keys: bool,
                filters: &[(&'static str, String)],
                other: (&'static str, Value)| {
        let method = all
            .iter()
            .find(|method| method.name() == name)
            .expect(name)
            .clone();
        let caller = if name == "ListMarks" {
            stack.enrollment_service()
        } else {
            organization.manager()
        };
        List {
            caller,
            of_keys,
            method,
            filters: filters.to_vec(),
            other,
        }
    };
    let below = [("parent_id", organization.id.clone())];
    let lists = vec![
        list(
            "ListOrganizations",
            false,
            &below,
            ("parent_id", no_one.clone()),
        ),
        list(
            "ListClasses",
            false,
            &within,
            ("status", Value::EnumNumber(2)),
        ),
        list(
            "ListStudents",
            false,
            &within,
            ("email", Value::String("sam@example.com".to_owned())),
        ),
        list(
            "ListEnrollments",
            false,
            &in_class,
            ("status", Value::EnumNumber(1)),
        ),
        list(
            "ListRedemptions",
            false,
            &within,
            ("outcome", Value::EnumNumber(1)),
        ),
        list(
            "ListTrainingKeys",
            true,
            &in_class,
            ("kind", Value::EnumNumber(1)),
        ),
        list("ListMarks", true, &in_class, ("class_id", no_one)),
        list(
            "ListAuditEvents",
            true,
            &within,
            ("action", Value::String("training_key.reveal".to_owned())),
        ),
        list(
            "ListAuditEvents",
            false,
            &within,
            ("action", Value::String("class.create".to_owned())),
        ),
    ];
    let covered = |method: &MethodDescriptor| lists.iter().any(|list| list.name() == method.name());
    assert!(all.iter().all(covered), "a list is missing here");
    lists
}

#[tokio::test]
async fn pages_show_everything_once_and_in_the_order_of_the_whole() {
    let stack = Stack::own().await;
    for list in lists(&stack).await {
        let (whole, token) = list.page(1000, "").await.expect("all");
        assert_eq!(token, "", "{}", list.name());
        assert!(
            whole.len() >= ITEMS,
            "{} shows {}",
            list.name(),
            whole.len()
        );
        for size in [1, 2, 3] {
            let pages = list.pages(size).await;
            let full = usize::try_from(size).expect("a size");
            let (last, others) = pages.split_last().expect("a page");
            assert!(
                others.iter().all(|page| page.len() == full),
                "{} {pages:?}",
                list.name()
            );
            assert!(
                !last.is_empty() && last.len() <= full,
                "{} {pages:?}",
                list.name()
            );
            assert_eq!(pages.concat(), whole, "{} by {size}", list.name());
        }
        let (usual, _) = list.page(0, "").await.expect("a page");
        assert_eq!(usual, whole[..whole.len().min(50)], "{}", list.name());
    }
    stack.finish().await;
}

#[tokio::test]
async fn a_token_fits_only_the_query_it_came_from() {
    let stack = Stack::own().await;
    let lists = lists(&stack).await;
    let mut foreign = None;
    for list in &lists {
        let (_, token) = list.page(1, "").await.expect("a page");
        assert!(!token.is_empty(), "{}", list.name());
        let mut other = list.request();
        other.set_field_by_name(list.other.0, list.other.1.clone());
        other.set_field_by_name("page_token", Value::String(token.clone()));
        not_its_token(list, list.ask(other).await.map(|_| ()));
        let damaged = format!("{}A", &token[..token.len() - 1]);
        let damaged = if damaged == token {
            format!("{}B", &token[..token.len() - 1])
        } else {
            damaged
        };
        let wrong = [
            damaged,
            "nonsense".to_owned(),
            "AQ".to_owned(),
            token[..token.len() / 2].to_owned(),
        ];
        for wrong in wrong.into_iter().chain(foreign.replace(token.clone())) {
            not_its_token(list, list.page(1, &wrong).await.map(|_| ()));
        }
        // The size of a page may change on the way.
        list.page(2, &token).await.expect("the rest");
    }
    stack.finish().await;
}

fn not_its_token(list: &List, answer: Result<(), Status>) {
    let refusal = answer.expect_err(list.name());
    assert_eq!(
        reason_of(&refusal),
        ErrorReason::FieldInvalid,
        "{}",
        list.name()
    );
    let named = refusal
        .get_details_bad_request()
        .expect("violations")
        .field_violations;
    assert!(
        named
            .iter()
            .any(|violation| violation.field == "page_token"),
        "{} {named:?}",
        list.name()
    );
}

#[tokio::test]
async fn what_is_added_on_the_way_neither_repeats_nor_hides_what_was_there() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let class = organization.class(ClassDraft::new()).await;
    let there = organization.generate(&class.class_id, 4).await;
    let method = methods()
        .into_iter()
        .find(|method| method.name() == "ListTrainingKeys")
        .expect("a method");
    let list = List {
        caller: organization.admin(),
        of_keys: true,
        method,
        filters: vec![("class_id", class.class_id.clone())],
        other: ("kind", Value::EnumNumber(1)),
    };
    let (mut seen, mut token) = list.page(1, "").await.expect("a page");
    while !token.is_empty() {
        organization.generate(&class.class_id, 1).await;
        let (items, next) = list.page(1, &token).await.expect("a page");
        seen.extend(items);
        token = next;
    }
    let mut expected: Vec<String> = there.into_iter().map(|code| code.key_id).collect();
    expected.sort_unstable_by(|one, other| other.cmp(one));
    assert_eq!(seen, expected);
    stack.finish().await;
}
