//! Assignments by organization, pool, key, student, state and time, and by what their students' names and addresses begin with.

use chrono::{DateTime, TimeDelta, Utc};
use latchkey_proto::enrollment::v1::{
    Assignment, AssignmentStatus, CourseAssignment, EraseStudentRequest, ListAssignmentsRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::KeyKind;

use super::{student, those};
use crate::harness::time::read;
use crate::harness::{Caller, Organization, PoolDraft, Stack, at, new_id, now, refused};
use crate::self_paced::cancel;

fn id_of(one: Assignment) -> String {
    let of_course = one.course_assignment.map(|one| one.assignment_id);
    let of_profile = one.subscription_assignment.map(|one| one.assignment_id);
    of_course.or(of_profile).expect("one of both")
}

/// The assignments that are listed, page by page.
async fn listed(caller: &Caller, request: ListAssignmentsRequest) -> Vec<String> {
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListAssignmentsRequest {
            page_size: 2,
            page_token,
            ..request.clone()
        };
        let answer = caller.assignments().list_assignments(request).await;
        let answer = answer.expect("a page").into_inner();
        found.extend(answer.assignments.into_iter().map(id_of));
        page_token = answer.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
}

fn within(organization: &Organization<'_>) -> ListAssignmentsRequest {
    ListAssignmentsRequest {
        organization_id: organization.id.clone(),
        ..ListAssignmentsRequest::default()
    }
}

fn by_name(organization: &Organization<'_>, prefix: &str) -> ListAssignmentsRequest {
    ListAssignmentsRequest {
        student_name_prefix: prefix.to_owned(),
        ..within(organization)
    }
}

fn by_address(organization: &Organization<'_>, prefix: &str) -> ListAssignmentsRequest {
    ListAssignmentsRequest {
        student_email_prefix: prefix.to_owned(),
        ..within(organization)
    }
}

/// What two students have of two pools: the first of the first one, the second of both.
struct Made {
    pools: [String; 2],
    students: Vec<String>,
    /// The assignments, in the order in which they were made: the second is of the other pool.
    all: [CourseAssignment; 3],
}

impl Made {
    async fn of(organization: &Organization<'_>) -> Self {
        let pools = [
            organization.pool(PoolDraft::new()).await.pool_id,
            organization.pool(PoolDraft::new()).await.pool_id,
        ];
        let students = organization.students(2).await;
        let all = [
            organization.assign(&students[0], &pools[0]).await,
            organization.assign(&students[1], &pools[1]).await,
            organization.assign(&students[1], &pools[0]).await,
        ];
        Self {
            pools,
            students,
            all,
        }
    }

    fn ids(&self) -> [&String; 3] {
        self.all.each_ref().map(|one| &one.assignment_id)
    }
}

#[tokio::test]
async fn they_are_found_by_their_status_and_when_they_were_made() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let made = Made::of(&organization).await;
    let [first, second, third] = made.ids();
    let admin = organization.admin();
    cancel(&admin, first).await.expect("cancelled");
    let all = those([third, second, first]);
    let of = |change: fn(&mut ListAssignmentsRequest)| {
        let mut request = within(&organization);
        change(&mut request);
        request
    };
    assert_eq!(listed(&admin, of(|_| {})).await, all, "the newest first");
    let cancelled = of(|request| request.set_status(AssignmentStatus::Cancelled));
    assert_eq!(listed(&admin, cancelled).await, all[2..]);
    let assigned = of(|request| request.set_status(AssignmentStatus::Assigned));
    assert_eq!(listed(&admin, assigned).await, all[..2]);
    let between =
        |from: Option<DateTime<Utc>>, until: Option<DateTime<Utc>>| ListAssignmentsRequest {
            assign_from: from.and_then(at),
            assign_until: until.and_then(at),
            ..within(&organization)
        };
    let then = read(made.all[0].assign_time.as_ref());
    let after = then + TimeDelta::microseconds(1);
    assert_eq!(listed(&admin, between(Some(after), None)).await, all[..2]);
    assert_eq!(listed(&admin, between(None, Some(after))).await, all[2..]);
    assert_eq!(listed(&admin, between(Some(then), None)).await, all);
    assert_eq!(listed(&admin, between(None, Some(then))).await, [""; 0]);
    let later = between(Some(now() + TimeDelta::days(1)), None);
    assert_eq!(listed(&admin, later).await, [""; 0]);
    stack.finish().await;
}

#[tokio::test]
async fn they_are_found_by_their_key_pool_student_and_organization_within_reach() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let made = Made::of(&organization).await;
    let of_below = Made::of(&below).await;
    let [first, second, third] = made.ids();
    let admin = organization.admin();
    let myself = stack.student(&made.students[1]);
    let by_key = ListAssignmentsRequest {
        key_id: made.all[0].key_id.clone(),
        ..ListAssignmentsRequest::default()
    };
    assert_eq!(listed(&admin, by_key.clone()).await, those([first]));
    for other in [&below.admin(), &myself] {
        assert_eq!(listed(other, by_key.clone()).await, [""; 0]);
    }
    let of_pool = ListAssignmentsRequest {
        pool_id: made.pools[0].clone(),
        ..ListAssignmentsRequest::default()
    };
    let expected = those([third, first]);
    assert_eq!(listed(&admin, of_pool.clone()).await, expected);
    assert_eq!(listed(&myself, of_pool.clone()).await, those([third]));
    let of_student = ListAssignmentsRequest {
        student_id: made.students[1].clone(),
        ..ListAssignmentsRequest::default()
    };
    let expected = those([third, second]);
    assert_eq!(listed(&myself, of_student.clone()).await, expected);
    let of_all = ListAssignmentsRequest {
        student_id: made.students[1].clone(),
        organization_id: organization.id.clone(),
        ..of_pool
    };
    assert_eq!(listed(&admin, of_all).await, those([third]));
    // What one below owns is not the organization's own.
    let [low, middle, high] = of_below.ids();
    let expected = those([high, middle, low]);
    assert_eq!(listed(&admin, within(&below)).await, expected);
    let expected = those([third, second, first]);
    assert_eq!(listed(&admin, within(&organization)).await, expected);
    // Whoever does not reach the organization as a whole lists by student.
    for caller in [&below.admin(), &myself] {
        let answer = caller
            .assignments()
            .list_assignments(within(&organization))
            .await;
        refused(answer, ErrorReason::OrganizationNotFound);
    }
    stack.finish().await;
}

#[tokio::test]
async fn they_are_found_by_the_beginning_of_a_students_name_or_address() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let below = organization.child().await;
    let draft = || PoolDraft::new().change(|pool| pool.open_to_descendants = true);
    let pool = organization.pool(draft()).await.pool_id;
    let other_pool = organization.pool(draft()).await.pool_id;
    let (mark, admin) = (new_id(), organization.admin());
    let address = |name: &str| format!("{name}.{mark}@example.com");
    let ann = student(&organization, "Ann", "Smith", &address("ann")).await;
    let bob = student(&below, "Bob", "Smithson", &address("bob")).await;
    let eve = student(&organization, "Smilla", "Evans", &address("eve")).await;
    student(&organization, "Sam", "Smith", &address("sam")).await;
    let assign =
        async |student: &str, pool: &str| organization.assign(student, pool).await.assignment_id;
    let of_ann = assign(&ann, &pool).await;
    let of_bob = assign(&bob, &pool).await;
    let of_eve = assign(&eve, &pool).await;
    let later = assign(&ann, &other_pool).await;

    let by_name = |prefix: &str| by_name(&organization, prefix);
    let by_address = |prefix: &str| by_address(&organization, prefix);
    // In the order of the texts that were found; of one student the newest first.
    let expected = those([&of_eve, &later, &of_ann, &of_bob]);
    assert_eq!(listed(&admin, by_name("SMI")).await, expected);
    assert_eq!(listed(&admin, by_address("eve.")).await, those([&of_eve]));
    assert_eq!(listed(&admin, by_address("sam.")).await, [""; 0]);
    let in_pool = |request| ListAssignmentsRequest {
        pool_id: pool.clone(),
        ..request
    };
    let expected = those([&of_eve, &of_ann, &of_bob]);
    assert_eq!(listed(&admin, in_pool(by_name("smi"))).await, expected);
    let of_bob_alone = ListAssignmentsRequest {
        student_id: bob.clone(),
        organization_id: String::new(),
        ..by_name("smi")
    };
    assert_eq!(listed(&admin, of_bob_alone.clone()).await, those([&of_bob]));
    let of_nobody = ListAssignmentsRequest {
        student_name_prefix: "ann".to_owned(),
        ..of_bob_alone
    };
    assert_eq!(listed(&admin, of_nobody).await, [""; 0]);
    cancel(&admin, &of_ann).await.expect("cancelled");
    let mut assigned = by_name("smith");
    assigned.set_status(AssignmentStatus::Assigned);
    assert_eq!(listed(&admin, assigned).await, those([&later, &of_bob]));

    let request = EraseStudentRequest {
        student_id: ann,
        reason: "asked to".to_owned(),
        ..EraseStudentRequest::default()
    };
    let erased = admin.students().erase_student(request).await;
    erased.expect("erased");
    assert_eq!(listed(&admin, by_name("smith")).await, those([&of_bob]));
    assert_eq!(listed(&admin, by_address("ann")).await, [""; 0]);
    // Without an organization or a student, all of a pool would have to be looked at.
    let everywhere = ListAssignmentsRequest {
        organization_id: String::new(),
        ..in_pool(by_name("smi"))
    };
    let answer = admin.assignments().list_assignments(everywhere).await;
    refused(answer, ErrorReason::FieldInvalid);
    stack.finish().await;
}

#[tokio::test]
async fn those_by_subscription_keys_are_found_by_their_profile_and_their_kind() {
    let stack = Stack::shared().await;
    let organization = Organization::new(&stack).await;
    let pool = organization.pool(PoolDraft::new()).await.pool_id;
    let profile = organization.profile().await.profile_id;
    let other_profile = organization.profile().await.profile_id;
    let mark = new_id();
    let ann = student(
        &organization,
        "Ann",
        "Smith",
        &format!("ann.{mark}@example.com"),
    )
    .await;
    let bob = organization.student().await.student_id;
    let of_pool = organization.assign(&ann, &pool).await.assignment_id;
    let first = organization.subscribe(&ann, &profile).await.assignment_id;
    let second = organization.subscribe(&bob, &profile).await.assignment_id;
    let third = organization
        .subscribe(&ann, &other_profile)
        .await
        .assignment_id;
    let admin = organization.admin();
    let of_profile = ListAssignmentsRequest {
        profile_id: profile.clone(),
        ..ListAssignmentsRequest::default()
    };
    let expected = those([&second, &first]);
    assert_eq!(listed(&admin, of_profile.clone()).await, expected);
    let of_kind = |kind: KeyKind| ListAssignmentsRequest {
        key_kind: kind.into(),
        ..within(&organization)
    };
    let expected = those([&third, &second, &first]);
    assert_eq!(
        listed(&admin, of_kind(KeyKind::Subscription)).await,
        expected
    );
    assert_eq!(
        listed(&admin, of_kind(KeyKind::Pool)).await,
        those([&of_pool])
    );
    let searched = ListAssignmentsRequest {
        student_name_prefix: "smi".to_owned(),
        organization_id: organization.id.clone(),
        ..of_profile.clone()
    };
    assert_eq!(listed(&admin, searched).await, those([&first]));
    // Nothing is of a pool and of a profile.
    let of_both = ListAssignmentsRequest {
        pool_id: pool,
        ..of_profile
    };
    let answer = admin.assignments().list_assignments(of_both).await;
    refused(answer, ErrorReason::FieldInvalid);
    stack.finish().await;
}
