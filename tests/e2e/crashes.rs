//! A process that dies in the middle of a rush: whoever asks again with the same id gets one answer, and what was
//! acknowledged before holds.

use futures::future::join_all;
use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{
    GetRosterRequest, GetRosterResponse, RedeemKeyRequest, RedeemKeyResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::{faults, status};
use tonic::{Response, Status};

use crate::harness::world::{enrolled, redemption};
use crate::harness::{Caller, ClassDraft, Options, Organization, Stack, eventually, new_id};

type Answer = Result<Response<RedeemKeyResponse>, Status>;

/// A full class's worth of students and many more, each with a redemption id of their own.
struct Rush {
    admin: Caller,
    class_id: String,
    requests: Vec<RedeemKeyRequest>,
}

impl Rush {
    async fn of_200_for_30_seats(stack: &Stack) -> Self {
        let organization = Organization::new(stack).await;
        let (class, code) = organization
            .event_class(ClassDraft::new().maximum(30))
            .await;
        let students = organization.students(200).await;
        Self {
            admin: organization.admin(),
            class_id: class.class_id,
            requests: students
                .iter()
                .map(|student| redemption(&new_id(), student, &code))
                .collect(),
        }
    }

    async fn all_at_once(&self, caller: &Caller) -> Vec<Answer> {
        join_all(self.requests.iter().map(|request| {
            let mut redemptions = caller.redemptions();
            async move { redemptions.redeem_key(request.clone()).await }
        }))
        .await
    }

    async fn roster(&self) -> GetRosterResponse {
        let class_id = self.class_id.clone();
        let mut enrollments = self.admin.enrollments();
        let answer = enrollments.get_roster(GetRosterRequest { class_id }).await;
        answer.expect("the roster").into_inner()
    }
}

/// What was acknowledged is answered again; what was left open may have any answer by now.
fn holds(before: &Answer, now: &Answer) {
    match (before, now) {
        (Ok(before), Ok(now)) => {
            assert!(now.get_ref().replayed, "it was forgotten");
            assert_eq!(before.get_ref().outcome(), now.get_ref().outcome());
            assert_eq!(before.get_ref().enrollment, now.get_ref().enrollment);
        }
        (Ok(_), Err(refusal)) => panic!("an acknowledged answer does not hold: {refusal:?}"),
        (Err(before), now) => match status::reason_of(before) {
            // Cut off with its connection.
            None => {}
            Some(reason) => {
                assert_eq!(reason, ErrorReason::ClassFull);
                let now = now.as_ref().expect_err("refused for good");
                assert_eq!(before.message(), now.message());
            }
        },
    }
}

#[tokio::test]
async fn what_a_killed_process_left_open_is_settled_by_another_and_what_it_said_holds() {
    let mut stack = Stack::with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await;
    let mut rush = Rush::of_200_for_30_seats(&stack).await;
    let (survivor, dying) = (stack.platform().on(0), stack.platform().on(1));

    let process = stack.replica(Service::Enrollment, 1);
    let killed = async {
        eventually("somebody is in", async || match rush.roster().await {
            roster if roster.seats_taken > 0 => Ok(()),
            _ => Err("nobody is".to_owned()),
        })
        .await;
        process.kill().await;
    };
    let (first, ()) = futures::join!(rush.all_at_once(&dying), killed);
    if faults::planted("bug::retried_under_a_new_id") {
        for request in &mut rush.requests {
            request.redemption_id = new_id();
        }
    }
    let second = rush.all_at_once(&survivor).await;

    for (before, now) in first.iter().zip(&second) {
        holds(before, now);
    }
    assert_eq!(second.iter().filter(|answer| answer.is_ok()).count(), 30);
    assert_eq!(enrolled(&rush.roster().await).len(), 30);
    stack.finish().await;
}
