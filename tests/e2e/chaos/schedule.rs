//! One schedule: a class for everyone by its event key, one by enrollment keys of which some are wanted twice, and those
//! who register; then what is done to the processes meanwhile; then the reckoning.

use std::collections::BTreeSet;
use std::time::Duration;

use latchkey_proto::enrollment::v1::RegisterWithKeyRequest;
use latchkey_service_kit::faults::planted;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::injury::{self, Injury, REPLICAS};
use super::watch::Watch;
use super::wish::{Answer, Wish, cancel};
use crate::harness::world::{enrolled, redemption};
use crate::harness::{Caller, ClassDraft, Organization, Stack, insist, invariants, new_id};
use crate::registration::{registration, with_identity};

/// How many redeem the event key, for so many seats.
const CROWD: usize = 12;
const SEATS: usize = 7;

/// How many enrollment keys there are, each wanted by two.
const KEYS: usize = 4;

/// How many register.
const NEWCOMERS: usize = 4;

/// Where schedules take place: the stack, and what does not change from one to the next.
pub(super) struct Arena {
    pub(super) stack: Stack,
    organization_id: String,
    students: Vec<String>,
}

/// What becomes of a wish besides being asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Its client asks until there is an answer.
    Insists,
    /// Its client asks once and leaves; the answer is asked for in the end.
    Leaves,
    /// Its client insists, and cancels the enrollment after that.
    Cancels,
}

/// A class and what is wished for in it.
struct Room {
    class_id: String,
    wishes: Vec<(Wish, Manner)>,
}

/// A wish after everything: the answer its client had, if it had one.
struct Settled {
    wish: Wish,
    told: Option<Answer>,
    cancelled: bool,
}

impl Arena {
    pub(super) async fn new(stack: Stack) -> Self {
        let (organization_id, students) = {
            let organization = Organization::new(&stack).await;
            organization.let_register(true).await;
            let students = organization.students(CROWD + 2 * KEYS).await;
            (organization.id.clone(), students)
        };
        Self {
            stack,
            organization_id,
            students,
        }
    }

    fn organization(&self) -> Organization<'_> {
        Organization {
            stack: &self.stack,
            id: self.organization_id.clone(),
        }
    }

    /// Runs the schedule of `seed`: wishes, with `injuries` of these kinds meanwhile. Fails unless every answer that was
    /// given stands, every other is settled one way, and the data hold together. Returns how many processes had to be
    /// started again.
    pub(super) async fn run(&mut self, seed: u64, injuries: &[Injury]) -> usize {
        let mut random = StdRng::seed_from_u64(seed);
        let rooms = self.rooms(&mut random).await;
        let watch = Watch::begin(&self.stack);
        let platform = everywhere(&self.stack.platform());
        let mut load = JoinSet::new();
        for (wish, manner) in rooms.iter().flat_map(|room| room.wishes.clone()) {
            let student = StdRng::seed_from_u64(random.random());
            load.spawn(pursue(
                wish,
                manner,
                platform.clone(),
                self.staff(),
                student,
            ));
        }
        let mut revived = 0;
        for injury in injuries {
            injury.inflict(&mut self.stack, &mut random).await;
            revived += injury::revive(&mut self.stack).await;
        }
        let mut settled = Vec::new();
        while let Some(done) = {
            // Who waits for a process that has crashed since waits for it to be started again.
            tokio::select! {
                done = load.join_next() => done.map(Some),
                () = sleep(Duration::from_millis(20)) => Some(None),
            }
        } {
            match done {
                Some(done) => settled.push(done.expect("a client")),
                None => revived += injury::revive(&mut self.stack).await,
            }
        }
        injury::heal(&mut self.stack).await;
        self.reckon(&rooms, settled, &platform).await;
        watch.end().await;
        revived
    }

    fn staff(&self) -> Vec<Caller> {
        everywhere(&self.organization().manager())
    }

    async fn rooms(&self, random: &mut StdRng) -> [Room; 2] {
        let organization = self.organization();
        let draft = ClassDraft::new().maximum(i32::try_from(SEATS).expect("a number"));
        let (open, code) = organization.event_class(draft).await;
        let (closed, keys) = organization
            .keyed_class(ClassDraft::new(), i32::try_from(KEYS).expect("a number"))
            .await;
        let (crowd, rivals) = self.students.split_at(CROWD);
        let mut manner = |cancels: bool| match random.random_range(0..10) {
            0..2 => Manner::Leaves,
            2..4 if cancels => Manner::Cancels,
            _ => Manner::Insists,
        };
        let mut wishes: Vec<(Wish, Manner)> = crowd
            .iter()
            .map(|student| {
                let wish = Wish::Redeem(redemption(&new_id(), student, &code));
                (wish, manner(false))
            })
            .collect();
        wishes.extend((0..NEWCOMERS).map(|_| {
            let wish = Wish::Register(RegisterWithKeyRequest {
                credential: Some(with_identity(&new_id())),
                ..registration(&organization.id, &code)
            });
            (wish, manner(false))
        }));
        let rivals = rivals.iter().enumerate().map(|(number, student)| {
            let code = &keys[number % KEYS].code;
            let wish = Wish::Redeem(redemption(&new_id(), student, code));
            (wish, manner(true))
        });
        [
            Room {
                class_id: closed.class_id,
                wishes: rivals.collect(),
            },
            Room {
                class_id: open.class_id,
                wishes,
            },
        ]
    }

    /// Everything that was acknowledged is so still, everything else is settled one way, at every process; and the rosters
    /// are what the answers say.
    async fn reckon(&self, rooms: &[Room; 2], settled: Vec<Settled>, platform: &[Caller]) {
        let mut random = StdRng::seed_from_u64(0);
        let mut seated: BTreeSet<String> = BTreeSet::new();
        for Settled {
            wish,
            told,
            cancelled,
        } in settled
        {
            let mut answers = Vec::new();
            for caller in platform {
                let caller = std::slice::from_ref(caller);
                answers.push(wish.insist(caller, &mut random).await);
            }
            answers.extend(told);
            answers.dedup();
            let [answer] = answers.as_slice() else {
                panic!("{} was answered differently: {answers:?}", wish.id());
            };
            if let Answer::In {
                enrollment_id,
                student_id,
                ..
            } = answer
            {
                assert_eq!(enrollment_id, wish.id(), "an enrollment of another wish");
                if !cancelled {
                    seated.insert(student_id.clone());
                }
            }
        }
        let mut on_rosters = BTreeSet::new();
        for room in rooms {
            // Who meets a connection that was ended meanwhile is asked to come again.
            let roster = insist(async || self.organization().try_roster(&room.class_id).await);
            on_rosters.extend(enrolled(&roster.await));
        }
        assert_eq!(on_rosters, seated, "the rosters are not what was answered");
        invariants::hold(&self.stack).await;
    }
}

/// Whoever calls, at each process.
fn everywhere(caller: &Caller) -> Vec<Caller> {
    (0..REPLICAS).map(|replica| caller.on(replica)).collect()
}

async fn pursue(
    wish: Wish,
    manner: Manner,
    platform: Vec<Caller>,
    staff: Vec<Caller>,
    mut random: StdRng,
) -> Settled {
    sleep(Duration::from_millis(random.random_range(0..400))).await;
    let at_random = random.random_range(0..REPLICAS);
    let first = wish.ask(&platform[at_random]).await.ok();
    if manner == Manner::Leaves {
        return Settled {
            wish,
            told: first,
            cancelled: false,
        };
    }
    let repeated = if planted("bug::retried_under_a_new_id") {
        wish.renamed(&new_id())
    } else {
        wish.clone()
    };
    // Who has an answer asks again all the same, now and then: it must be the same one.
    let told = repeated.insist(&platform, &mut random).await;
    if let Some(first) = first {
        assert_eq!(first, told, "{} was answered differently", wish.id());
    }
    let mut cancelled = false;
    if let (Manner::Cancels, Answer::In { enrollment_id, .. }) = (manner, &told) {
        cancel(&staff, enrollment_id, &mut random).await;
        cancelled = true;
    }
    Settled {
        wish,
        told: Some(told),
        cancelled,
    }
}
