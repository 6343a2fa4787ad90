//! A process dies in the middle of work. Whoever got no answer asks again with the same id, and is decided once.

use std::collections::HashMap;

use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{GetRosterRequest, RedeemKeyResponse, RedemptionOutcome};
use latchkey_proto::errors::v1::ErrorReason;
use tokio::task::JoinSet;
use tonic::{Response, Status};

use crate::harness::world::{enrolled, redemption};
use crate::harness::{Caller, ClassDraft, Organization, Stack, ids, reason_of};

/// How many redeem while the process dies, and for how many seats.
const STUDENTS: usize = 80;
const SEATS: i32 = 50;

type Answer = Result<Response<RedeemKeyResponse>, Status>;

/// A class and those who want to be in it, each with the id of their redemption.
struct Cast {
    admin: Caller,
    class_id: String,
    code: String,
    wishes: Vec<(String, String)>,
}

async fn cast(stack: &Stack) -> Cast {
    let organization = Organization::new(stack).await;
    let draft = ClassDraft::new().maximum(SEATS);
    let (class, code) = organization.event_class(draft).await;
    let students = organization.students(STUDENTS).await;
    Cast {
        admin: organization.admin(),
        class_id: class.class_id,
        code,
        wishes: ids(STUDENTS).into_iter().zip(students).collect(),
    }
}

/// All redeem at once.
fn rush(platform: &Caller, cast: &Cast) -> JoinSet<(String, Answer)> {
    let mut calls = JoinSet::new();
    for (id, student) in &cast.wishes {
        let (caller, id) = (platform.clone(), id.clone());
        let request = redemption(&id, student, &cast.code);
        calls.spawn(async move { (id, caller.redemptions().redeem_key(request).await) });
    }
    calls
}

/// What was decided, of the answers that say so.
fn decided(answers: impl IntoIterator<Item = (String, Answer)>) -> HashMap<String, bool> {
    let decision = |answer: Answer| match answer {
        Ok(answer) => {
            assert_eq!(answer.into_inner().outcome(), RedemptionOutcome::Enrolled);
            Some(true)
        }
        // A connection that was cut gives no reason: the outcome is unknown.
        Err(refusal) if latchkey_service_kit::status::reason_of(&refusal).is_none() => None,
        Err(refusal) => {
            assert_eq!(reason_of(&refusal), ErrorReason::ClassFull);
            Some(false)
        }
    };
    answers
        .into_iter()
        .filter_map(|(id, answer)| Some((id, decision(answer)?)))
        .collect()
}

#[tokio::test]
async fn who_got_no_answer_from_a_killed_process_asks_again_and_is_decided_once() {
    let mut stack = Stack::own().await;
    let cast = cast(&stack).await;
    let platform = stack.platform();
    let mut calls = rush(&platform, &cast);
    // It dies with the first answer out, and the others under way or decided and not told.
    let first = calls.join_next().await.expect("a call").expect("an end");
    stack.replica(Service::Enrollment, 0).kill().await;
    let told = decided(calls.join_all().await.into_iter().chain([first]));
    assert!(!told.is_empty());

    stack.replica(Service::Enrollment, 0).run().await;
    let now = decided(rush(&platform, &cast).join_all().await);
    assert_eq!(now.len(), STUDENTS, "everybody has an answer");
    for (id, was_in) in &told {
        assert_eq!(now[id], *was_in, "{id} was told otherwise before");
    }
    let again = decided(rush(&platform, &cast).join_all().await);
    assert_eq!(again, now);

    let request = GetRosterRequest {
        class_id: cast.class_id,
    };
    let roster = cast.admin.enrollments().get_roster(request).await;
    let roster = roster.expect("the roster").into_inner();
    let mut seated = enrolled(&roster);
    let mut expected: Vec<String> = cast
        .wishes
        .into_iter()
        .filter_map(|(id, student)| now[&id].then_some(student))
        .collect();
    seated.sort_unstable();
    expected.sort_unstable();
    assert_eq!(seated, expected);
    assert_eq!(i32::try_from(seated.len()), Ok(SEATS));
    stack.finish().await;
}
