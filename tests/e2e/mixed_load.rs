//! Both kinds of keys on several classes of two organizations, through two processes of each service, by students and by
//! newcomers, while staff revoke keys, rotate event keys, move dates, raise maximums, enroll and remove students, and
//! cancel a class.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures::future::{join, join_all};
use futures::stream::{self, StreamExt};
use latchkey_proto::enrollment::v1::{
    EnrollStudentRequest, Enrollment, EnrollmentStatus, RedeemKeyRequest, RegisterWithKeyRequest,
    TrainingClass, UpdateClassRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::RevealedCode;

use crate::harness::world::{enrolled, generated, generated_with_grace, redemption};
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, at, new_id, now, reason_of,
};
use crate::registration::{registration, with_identity};

/// Seats of each class, fewer than those who want them.
const SEATS: i32 = 16;
const ROUNDS: usize = 4;
/// Of those who come in a round: students with a key of their own, students with the event key, and newcomers with it.
const BY_KEY: usize = 3;
const BY_EVENT: usize = 3;
const NEWCOMERS: usize = 2;
/// The class that is cancelled, and the round in which it is.
const DOOMED: usize = 3;
const LAST_ROUND: usize = 1;
/// How many ask at the same time while staff are at work, so that a round lasts as long as what they do.
const A_FEW: usize = 5;

#[derive(Debug, Clone)]
enum Wish {
    Redeem(RedeemKeyRequest),
    Register(RegisterWithKeyRequest),
}

impl Wish {
    fn code(&self) -> &str {
        match self {
            Self::Redeem(request) => &request.code,
            Self::Register(request) => &request.code,
        }
    }
}

/// The enrollment, or why there is none.
type Answer = Result<Enrollment, ErrorReason>;

async fn ask(caller: Caller, wish: Wish) -> Answer {
    let mut redemptions = caller.redemptions();
    let answer = match wish {
        Wish::Redeem(request) => {
            let answer = redemptions.redeem_key(request).await;
            answer.map(|answer| answer.into_inner().enrollment)
        }
        Wish::Register(request) => {
            let answer = redemptions.register_with_key(request).await;
            answer.map(|answer| answer.into_inner().enrollment)
        }
    };
    match answer {
        Ok(enrollment) => Ok(enrollment.expect("an enrollment")),
        Err(refusal) => Err(reason_of(&refusal)),
    }
}

/// What an answer says of itself, whatever became of the enrollment.
fn said(answer: &Answer) -> Result<&str, ErrorReason> {
    let enrollment = answer.as_ref().map_err(|reason| *reason)?;
    Ok(&enrollment.enrollment_id)
}

/// A wish, where and when it was asked, and what was answered.
struct Asked {
    scene: usize,
    round: usize,
    wish: Wish,
    answer: Answer,
}

/// A class and its enrollment keys.
struct Scene<'s> {
    organization: &'s Organization<'s>,
    class: TrainingClass,
    codes: Vec<RevealedCode>,
}

impl<'s> Scene<'s> {
    async fn new(organization: &'s Organization<'s>) -> Self {
        let draft = ClassDraft::new().maximum(SEATS).with_event_key();
        let keys = i32::try_from(ROUNDS * BY_KEY).expect("few");
        let (class, codes) = organization.keyed_class(draft, keys).await;
        Self {
            organization,
            class,
            codes,
        }
    }

    /// Those who come in a round, with the event code as it is then.
    async fn wishes(&self, round: usize) -> Vec<Wish> {
        let event_code = self.organization.event_code(&self.class.class_id).await;
        let students = self.organization.students(BY_KEY + BY_EVENT).await;
        let own = self.codes[round * BY_KEY..].iter().take(BY_KEY);
        let codes = own.map(|code| &code.code);
        let codes = codes.chain(std::iter::repeat(&event_code));
        let redeem = |(student, code): (&String, &String)| {
            Wish::Redeem(redemption(&new_id(), student, code))
        };
        let mut wishes: Vec<Wish> = students.iter().zip(codes).map(redeem).collect();
        for _ in 0..NEWCOMERS {
            wishes.push(Wish::Register(RegisterWithKeyRequest {
                credential: Some(with_identity(&new_id())),
                ..registration(&self.organization.id, &event_code)
            }));
        }
        wishes
    }

    /// What staff do in a round, one of it to `removed`, who came in the round before. Never more students are in than
    /// the maximum, whenever one looks. Returns whom they enrolled themselves.
    async fn unrest(&self, round: usize, removed: Option<&Enrollment>) -> Option<String> {
        let (organization, class_id) = (self.organization, &self.class.class_id);
        self.look().await;
        // While somebody comes with it.
        let contested = &self.codes[round * BY_KEY + 1];
        organization.revoke(&[&contested.key_id]).await;
        if let Some(enrollment) = removed {
            organization
                .cancel(&enrollment.enrollment_id, "asked to")
                .await;
        }
        if round == 2 {
            self.change(now() - TimeDelta::days(3), round).await;
        }
        let change = match round % 2 {
            0 => generated_with_grace(60),
            _ => generated(),
        };
        organization.set_event_key(class_id, change).await;
        self.change(now() + TimeDelta::days(2), round).await;
        let direct = self.enroll().await;
        // Before somebody comes with it.
        if let Some(next) = self.codes.get((round + 1) * BY_KEY) {
            organization.revoke(&[&next.key_id]).await;
        }
        self.look().await;
        direct
    }

    /// Moves the class, for a day, and raises its maximum.
    async fn change(&self, start: chrono::DateTime<chrono::Utc>, round: usize) {
        let moved = UpdateClassRequest {
            start_time: at(start),
            end_time: at(start + TimeDelta::days(1)),
            maximum_students: SEATS + i32::try_from(round).expect("small"),
            ..UpdateClassRequest::default()
        };
        let fields = &["start_time", "end_time", "maximum_students"];
        let class_id = &self.class.class_id;
        self.organization
            .update_class(class_id, fields, moved)
            .await;
    }

    /// Staff enroll a student, if there is a seat.
    async fn enroll(&self) -> Option<String> {
        let student_id = self.organization.student().await.student_id;
        let request = EnrollStudentRequest {
            request_id: new_id(),
            class_id: self.class.class_id.clone(),
            student_id: student_id.clone(),
            ..EnrollStudentRequest::default()
        };
        let mut enrollments = self.organization.admin().enrollments();
        match enrollments.enroll_student(request).await {
            Ok(_) => Some(student_id),
            Err(refusal) => {
                assert_eq!(reason_of(&refusal), ErrorReason::ClassFull);
                None
            }
        }
    }

    async fn look(&self) {
        let roster = self.organization.roster(&self.class.class_id).await;
        let seated = i32::try_from(enrolled(&roster).len()).expect("few");
        assert_eq!(roster.seats_taken, seated, "one snapshot");
        assert!(seated <= roster.maximum_students, "{roster:?}");
    }
}

/// Sends wishes, so many at the same time, spread over the processes.
async fn send(
    platform: &Caller,
    wishes: impl Iterator<Item = Wish>,
    at_once: usize,
) -> Vec<Answer> {
    let call = |(number, wish)| ask(platform.on(number % 2), wish);
    let calls = wishes.enumerate().map(call);
    stream::iter(calls).buffered(at_once).collect().await
}

/// One round on every class. Adds what was asked, and whom staff enrolled.
async fn play(
    platform: &Caller,
    scenes: &[Scene<'_>],
    round: usize,
    asked: &mut Vec<Asked>,
    direct: &mut BTreeSet<String>,
) {
    let waves = join_all(scenes.iter().map(|scene| scene.wishes(round))).await;
    // All classes in turn.
    let mut wishes = Vec::new();
    for place in 0..waves[0].len() {
        for (scene, wave) in waves.iter().enumerate() {
            wishes.push((scene, wave[place].clone()));
        }
    }
    let staff = join_all(scenes.iter().enumerate().map(|(number, scene)| {
        let came = |asked: &&Asked| asked.scene == number && asked.round + 1 == round;
        let mut came = asked.iter().filter(came);
        let removed = came.find_map(|asked| asked.answer.as_ref().ok());
        async move {
            if number != DOOMED {
                return scene.unrest(round, removed).await;
            }
            if round == LAST_ROUND {
                let class_id = &scene.class.class_id;
                scene.organization.cancel_class(class_id).await;
            }
            None
        }
    }));
    let sent = send(platform, wishes.iter().map(|(_, wish)| wish.clone()), A_FEW);
    let (answers, enrolled) = join(sent, staff).await;
    direct.extend(enrolled.into_iter().flatten());
    let pairs = wishes.into_iter().zip(answers);
    asked.extend(pairs.map(|((scene, wish), answer)| Asked {
        scene,
        round,
        wish,
        answer,
    }));
}

/// What has to be so of an answer, now that all is quiet.
fn hold(scenes: &[Scene<'_>], asked: &Asked, now: &Answer) {
    // By a conflict nothing was decided: the second call was the first to decide.
    if asked.answer != Err(ErrorReason::Conflict) {
        assert_eq!(said(&asked.answer), said(now), "{:?}", asked.wish);
    }
    if asked.scene == DOOMED {
        if asked.round > LAST_ROUND {
            assert_eq!(said(now), Err(ErrorReason::ClassCancelled));
        }
        let ended = |enrollment: &Enrollment| enrollment.status() == EnrollmentStatus::Cancelled;
        assert!(now.as_ref().is_ok_and(ended) || now.is_err());
    } else if asked.round > 0 {
        let revoked = &scenes[asked.scene].codes[asked.round * BY_KEY].code;
        if asked.wish.code() == revoked {
            assert_eq!(said(now), Err(ErrorReason::KeyRevoked), "revoked before");
        }
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
    for number in 0..=DOOMED {
        let organization = &organizations[number % 2];
        organization.let_register(true).await;
        scenes.push(Scene::new(organization).await);
    }
    let platform = stack.platform();
    let (mut asked, mut direct) = (Vec::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        play(&platform, &scenes, round, &mut asked, &mut direct).await;
    }

    let again = send(
        &platform,
        asked.iter().map(|asked| asked.wish.clone()),
        asked.len(),
    )
    .await;
    for (asked, now) in asked.iter().zip(&again) {
        hold(&scenes, asked, now);
    }
    let answers: Vec<(usize, &Answer)> = asked.iter().map(|one| one.scene).zip(&again).collect();
    for (number, scene) in scenes.iter().enumerate() {
        scene.look().await;
        let roster = scene.organization.roster(&scene.class.class_id).await;
        let is_in = |enrollment: &&Enrollment| enrollment.status() == EnrollmentStatus::Enrolled;
        let of_scene = answers.iter().filter(|(scene, _)| *scene == number);
        let told = of_scene.filter_map(|(_, answer)| answer.as_ref().ok().filter(is_in));
        let told: BTreeSet<String> = told.map(|one| one.student_id.clone()).collect();
        let seated: BTreeSet<String> = enrolled(&roster).into_iter().collect();
        assert!(told.is_subset(&seated), "{told:?} {seated:?}");
        let untold: BTreeSet<&String> = seated.difference(&told).collect();
        assert!(
            untold.iter().all(|student| direct.contains(*student)),
            "{untold:?}"
        );
        assert_eq!(seated.is_empty(), number == DOOMED);
    }
    stack.finish().await;
}
