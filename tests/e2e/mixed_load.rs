//! Both kinds of keys on several classes of two organizations, through two processes of each service, while staff revoke
//! keys, rotate event keys, move dates, change maximums and cancel a class.

use futures::future::{join, join_all};
use latchkey_proto::enrollment::v1::{
    EnrollmentStatus, RedeemKeyResponse, RedemptionOutcome, TrainingClass, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::RevealedCode;
use tonic::{Response, Status};

use crate::harness::world::{enrolled, generated_with_grace, redemption};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, at, new_id, now, reason_of,
};

/// Seats of each class, fewer than those who want them.
const SEATS: i32 = 12;
/// Those who want to be in a class: half by a key of their own, half by the event key.
const STUDENTS: usize = 24;

type Answer = Result<Response<RedeemKeyResponse>, Status>;

/// A class, its codes and its students.
struct Scene<'s> {
    organization: &'s Organization<'s>,
    class: TrainingClass,
    codes: Vec<RevealedCode>,
    event_code: String,
    students: Vec<String>,
}

impl<'s> Scene<'s> {
    async fn new(organization: &'s Organization<'s>) -> Self {
        let draft = ClassDraft::new().maximum(SEATS).with_event_key();
        let (class, codes) = organization.keyed_class(draft, SEATS).await;
        let event_code = organization.event_code(&class.class_id).await;
        Self {
            organization,
            codes,
            event_code,
            students: organization.students(STUDENTS).await,
            class,
        }
    }

    /// Everybody's redemption: its id, its student, the code.
    fn wishes(&self) -> Vec<(String, String, String)> {
        let own = self.codes.iter().map(|code| code.code.clone());
        let codes = own.chain(std::iter::repeat(self.event_code.clone()));
        self.students
            .iter()
            .zip(codes)
            .map(|(student, code)| (new_id(), student.clone(), code))
            .collect()
    }

    /// What staff do meanwhile. Never more students are in than the maximum, whenever one looks.
    async fn unrest(&self) {
        let (organization, class_id) = (self.organization, &self.class.class_id);
        for round in 0..4 {
            self.look().await;
            organization.revoke(&[&self.codes[round].key_id]).await;
            organization
                .set_event_key(class_id, generated_with_grace(60))
                .await;
            let moved = UpdateClassRequest {
                start_time: at(now() + chrono::TimeDelta::days(2)),
                end_time: at(now() + chrono::TimeDelta::days(3)),
                maximum_students: SEATS + i32::try_from(round).expect("small"),
                ..UpdateClassRequest::default()
            };
            let fields = &["start_time", "end_time", "maximum_students"];
            organization.update_class(class_id, fields, moved).await;
        }
        self.look().await;
    }

    async fn look(&self) {
        let roster = self.organization.roster(&self.class.class_id).await;
        let seated = i32::try_from(enrolled(&roster).len()).expect("few");
        assert_eq!(roster.seats_taken, seated, "one snapshot");
        assert!(seated <= roster.maximum_students, "{roster:?}");
    }
}

async fn send(platform: &Caller, wishes: &[(String, String, String)]) -> Vec<Answer> {
    let call = |(number, (id, student, code)): (usize, &(String, String, String))| {
        let caller = platform.on(number % 2);
        let request = redemption(id, student, code);
        async move { caller.redemptions().redeem_key(request).await }
    };
    join_all(wishes.iter().enumerate().map(call)).await
}

/// What an answer comes to: let in, or why not.
fn outcome(answer: &Answer) -> Result<RedemptionOutcome, ErrorReason> {
    match answer {
        Ok(answer) => Ok(answer.get_ref().outcome()),
        Err(refusal) => Err(reason_of(refusal)),
    }
}

#[tokio::test]
async fn whatever_staff_do_meanwhile_seats_keys_and_answers_stay_true() {
    let stack = Stack::with(Options {
        replicas: 2,
        ..Options::default()
    })
    .await;
    let organizations = [
        Organization::new(&stack).await,
        Organization::new(&stack).await,
    ];
    let mut scenes = Vec::new();
    for number in 0..4 {
        scenes.push(Scene::new(&organizations[number % 2]).await);
    }
    let wishes: Vec<_> = scenes.iter().flat_map(Scene::wishes).collect();
    let platform = stack.platform();
    let doomed = scenes.last().expect("a class");

    let unrest = join_all(scenes[..3].iter().map(Scene::unrest));
    let end = doomed.organization.cancel_class(&doomed.class.class_id);
    let (answers, _) = join(send(&platform, &wishes), join(unrest, end)).await;

    let again = send(&platform, &wishes).await;
    for (first, second) in answers.iter().zip(&again) {
        let (first, second) = (outcome(first), outcome(second));
        // Nothing was decided by these: the second call was the first to decide.
        if !matches!(first, Err(ErrorReason::Conflict | ErrorReason::Overloaded)) {
            assert_eq!(first, second);
        }
    }
    for scene in &scenes[..3] {
        scene.look().await;
        let roster = scene.organization.roster(&scene.class.class_id).await;
        let seated = enrolled(&roster);
        for (answer, (_, student, _)) in again.iter().zip(&wishes) {
            if scene.students.contains(student) {
                assert_eq!(
                    outcome(answer).is_ok(),
                    seated.contains(student),
                    "{student}"
                );
            }
        }
    }
    let roster = doomed.organization.roster(&doomed.class.class_id).await;
    assert_eq!(roster.seats_taken, 0);
    let cancelled = |status: i32| status == i32::from(EnrollmentStatus::Cancelled);
    let statuses = roster.entries.iter().flat_map(|entry| &entry.enrollment);
    assert!(statuses.map(|one| one.status).all(cancelled));
    stack.finish().await;
}
