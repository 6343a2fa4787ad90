//! Lists: every page once and in order, tokens that fit only their own query, filters that are joined with AND.

mod filters;
mod uses;

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use latchkey_proto::enrollment::v1::{
    AssignmentStatus, ClassStatus, EnrollmentStatus, NotificationPlanSettings, RedemptionOutcome,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::KeyKind;
use prost_reflect::{
    DynamicMessage, FieldDescriptor, MethodDescriptor, ReflectMessage as _, Value,
};
use tonic::Status;
use tonic_types::StatusExt;

use crate::harness::dynamic::{call, methods, pool};
use crate::harness::subscriptions::uses;
use crate::harness::world::come_in;
use crate::harness::world::telling::plan_settings;
use crate::harness::{
    Caller, ClassDraft, Organization, PoolDraft, Stack, at, eventually, invariants, new_id, now,
    reason_of,
};

/// How many things every list of the scene shows at least.
const ITEMS: usize = 5;

/// A list of one service, asked for with filters that leave only things of the test's own.
struct List {
    caller: Caller,
    of_keys: bool,
    method: MethodDescriptor,
    filters: Vec<(&'static str, Value)>,
}

impl List {
    fn of_keys(name: &str, caller: Caller, filters: &[(&'static str, Value)]) -> Self {
        Self::of(true, name, caller, filters)
    }

    fn of_enrollment(name: &str, caller: Caller, filters: &[(&'static str, Value)]) -> Self {
        Self::of(false, name, caller, filters)
    }

    fn of(of_keys: bool, name: &str, caller: Caller, filters: &[(&'static str, Value)]) -> Self {
        let method = methods().into_iter().find(|method| method.name() == name);
        let (method, filters) = (method.expect(name), filters.to_vec());
        Self {
            caller,
            of_keys,
            method,
            filters,
        }
    }

    /// Asks with further filters.
    async fn ask(&self, more: &[(&str, Value)]) -> Result<DynamicMessage, Status> {
        let mut request = DynamicMessage::new(self.method.input());
        for (field, value) in self.filters.iter().chain(more) {
            request.set_field_by_name(field, value.clone());
        }
        let connection = if self.of_keys {
            self.caller.to_keys()
        } else {
            self.caller.to_enrollment()
        };
        call(connection, &self.method, request).await
    }

    /// The ids that further filters leave; every kind of thing has its id first.
    async fn show<const N: usize>(&self, more: [(&str, Value); N]) -> Vec<String> {
        fields(&self.ask(&more).await.expect("a list"), 1)
    }

    async fn page(&self, size: i32, token: &str) -> Result<(Vec<String>, String), Status> {
        let answer = self
            .ask(&[("page_size", Value::I32(size)), ("page_token", text(token))])
            .await?;
        let token = answer.get_field_by_name("next_page_token");
        let Value::String(token) = token.expect("a token").into_owned() else {
            panic!("a token is text")
        };
        Ok((fields(&answer, 1), token))
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

/// A text in each of a list's items, by the number of its field.
fn fields(answer: &DynamicMessage, number: u32) -> Vec<String> {
    let list = answer.descriptor().fields().find(FieldDescriptor::is_list);
    let Value::List(items) = answer.get_field(&list.expect("a list")).into_owned() else {
        panic!("a list")
    };
    let read = |item: &Value| {
        let Value::Message(item) = item else {
            panic!("a list of messages")
        };
        let mut value = item
            .get_field_by_number(number)
            .expect("a field")
            .into_owned();
        // Of a list of several kinds of things: that of the thing.
        if let Value::Message(thing) = &value {
            let inner = thing.get_field_by_number(number).expect("a field");
            value = inner.into_owned();
        }
        let Value::String(text) = value else {
            panic!("a text")
        };
        text
    };
    items.iter().map(read).collect()
}

fn text(value: &str) -> Value {
    Value::String(value.to_owned())
}

fn choice(number: impl Into<i32>) -> Value {
    Value::EnumNumber(number.into())
}

fn moment(time: DateTime<Utc>) -> Value {
    let described = pool().get_message_by_name("google.protobuf.Timestamp");
    let mut message = DynamicMessage::new(described.expect("a time"));
    message
        .transcode_from(&at(time).expect("a time"))
        .expect("a time");
    Value::Message(message)
}

/// An organization that has some of everything: with the ids of its class, its pool and its profile.
async fn furnished(stack: &Stack) -> (Organization<'_>, [String; 3]) {
    let organization = Organization::new(stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    organization.write_to_people().await;
    organization.plan(plan_settings()).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    for student in organization.students(ITEMS).await {
        organization.child().await;
        organization.class(ClassDraft::new()).await;
        organization.pool(PoolDraft::new()).await;
        organization.assign(&student, &pool).await;
        come_in(stack, &student, &code).await;
    }
    organization.generate(&class.class_id, 5).await;
    let profile = organization.profile().await.profile_id;
    organization.subscription_keys(&profile, 5, uses(1)).await;
    for _ in 0..ITEMS {
        organization.close_period(now()).await;
        organization.plan(plan_settings()).await;
        organization.profile().await;
    }
    invariants::hold(stack).await;
    (organization, [class.class_id, pool, profile])
}

/// Every list there is, with something in it, and another filter for which its tokens are not.
async fn lists(stack: &Stack) -> Vec<(List, (&'static str, Value))> {
    let (organization, [class_id, pool, profile]) = furnished(stack).await;
    let below = [("parent_id", text(&organization.id))];
    let within = [("organization_id", text(&organization.id))];
    let in_class = [("class_id", text(&class_id))];
    let own = |name: &str, filters: &[(&'static str, Value)]| {
        List::of_enrollment(name, organization.manager(), filters)
    };
    let mut lists = vec![
        (
            own("ListOrganizations", &below),
            ("parent_id", text(&new_id())),
        ),
        (
            own("ListClasses", &within),
            ("status", choice(ClassStatus::Scheduled)),
        ),
        (
            own("ListStudents", &within),
            ("email", text("sam@example.com")),
        ),
        (
            own("ListEnrollments", &in_class),
            ("status", choice(EnrollmentStatus::Enrolled)),
        ),
        (
            own("ListRedemptions", &within),
            ("outcome", choice(RedemptionOutcome::Enrolled)),
        ),
        (
            own("ListAuditEvents", &within),
            ("action", text("class.create")),
        ),
    ];
    lists.extend(of_courses(&organization, &within, &pool));
    lists.extend(of_keys(&organization, &within, &class_id, &profile));
    lists.extend(of_letters_and_bills(&organization, &within));
    all_are_known(&lists);
    letters_are_written(&lists).await;
    lists
}

fn of_courses(
    organization: &Organization<'_>,
    within: &[(&'static str, Value)],
    pool_id: &str,
) -> [(List, (&'static str, Value)); 3] {
    let own = |name: &str, filters: &[(&'static str, Value)]| {
        List::of_enrollment(name, organization.manager(), filters)
    };
    [
        (
            own("ListAssignments", &[("pool_id", text(pool_id))]),
            ("student_id", text(&new_id())),
        ),
        (
            own("ListAssignments", within),
            ("status", choice(AssignmentStatus::Assigned)),
        ),
        (
            own("ListSubscriptionProfiles", within),
            ("organization_id", text(&new_id())),
        ),
    ]
}

fn of_keys(
    organization: &Organization<'_>,
    within: &[(&'static str, Value)],
    class_id: &str,
    profile_id: &str,
) -> [(List, (&'static str, Value)); 5] {
    let in_class = [("class_id", text(class_id))];
    let of_profile = [("profile_id", text(profile_id))];
    let own = |name: &str, filters: &[(&'static str, Value)]| {
        List::of_keys(name, organization.manager(), filters)
    };
    let service = organization.stack.enrollment_service();
    let marks = List::of_keys("ListMarks", service, &in_class);
    [
        (
            own("ListTrainingKeys", &in_class),
            ("kind", choice(KeyKind::Enrollment)),
        ),
        (
            own("ListTrainingKeys", &of_profile),
            ("profile_id", text(&new_id())),
        ),
        (
            own("ListKeyPools", within),
            ("organization_id", text(&new_id())),
        ),
        (
            own("ListAuditEvents", within),
            ("action", text("training_key.reveal")),
        ),
        (marks, ("class_id", text(&new_id()))),
    ]
}

fn of_letters_and_bills(
    organization: &Organization<'_>,
    within: &[(&'static str, Value)],
) -> [(List, (&'static str, Value)); 4] {
    let own = |name: &str| List::of_enrollment(name, organization.manager(), within);
    [
        (own("ListNotifications"), ("plan_id", text(&new_id()))),
        (
            own("ListNotificationPlans"),
            ("organization_id", text(&new_id())),
        ),
        (own("ListBillingLines"), ("until", moment(now()))),
        (
            own("ListBillingPeriods"),
            ("organization_id", text(&new_id())),
        ),
    ]
}

/// Letters are written a moment after what they are about.
async fn letters_are_written(lists: &[(List, (&'static str, Value))]) {
    let is_of_letters = |(list, _): &&(List, _)| list.name() == "ListNotifications";
    let (of_letters, _) = lists
        .iter()
        .find(is_of_letters)
        .expect("the list of letters");
    eventually("letters for all", async || {
        let (letters, _) = of_letters.page(1000, "").await.expect("letters");
        if letters.len() >= ITEMS {
            Ok(())
        } else {
            Err(format!("{} letters", letters.len()))
        }
    })
    .await;
}

fn all_are_known(lists: &[(List, (&'static str, Value))]) {
    for method in methods()
        .iter()
        .filter(|method| method.name().starts_with("List"))
    {
        let known = lists.iter().any(|(list, _)| list.name() == method.name());
        assert!(known, "{} is missing here", method.name());
    }
}

#[tokio::test]
async fn pages_show_everything_once_and_in_the_order_of_the_whole() {
    let stack = Stack::own().await;
    for (list, _) in lists(&stack).await {
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
    for (list, (field, value)) in &lists {
        let (_, token) = list.page(1, "").await.expect("a page");
        assert!(!token.is_empty(), "{}", list.name());
        let other = [(*field, value.clone()), ("page_token", text(&token))];
        not_its_token(list, list.ask(&other).await.map(|_| ()));
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
    let filters = [("class_id", text(&class.class_id))];
    let list = List::of_keys("ListTrainingKeys", organization.admin(), &filters);
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

#[tokio::test]
async fn a_page_of_large_things_ends_before_it_is_too_large_to_be_sent() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    organization.write_to_people().await;
    for _ in 0..70 {
        let settings = NotificationPlanSettings {
            text: "\u{1d11e}".repeat(8_000),
            html: "\u{1d11e}".repeat(10_000),
            ..plan_settings()
        };
        organization.plan(settings).await;
    }
    for _ in 0..90 {
        let names = (0..50).map(|at| format!("{}{at:02}", "\u{1d11e}".repeat(253)));
        let draft = ClassDraft::new().change(|request| request.instructors = names.collect());
        organization.class(draft).await;
    }

    let within = [("organization_id", text(&organization.id))];
    for (name, wanted) in [
        ("ListNotificationPlans", 70),
        ("ListClasses", 90),
        ("ListAuditEvents", 160),
    ] {
        let list = List::of_enrollment(name, organization.manager(), &within);
        let pages = list.pages(1_000).await;
        let shown: BTreeSet<&String> = pages.iter().flatten().collect();
        assert!(shown.len() >= wanted, "{name}: {}", shown.len());
        assert_eq!(pages.iter().flatten().count(), shown.len(), "{name}");
    }
    stack.finish().await;
}
