//! The workers of one thread. They share its connections, and what they count, without a lock: nothing leaves the thread.

use std::cell::RefCell;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::reason_of;
use prost::bytes::Bytes;
use tokio::time::{sleep, timeout};
use tonic::Status;
use uuid::Uuid;

use super::super::mix::Action;
use super::super::outcome::Outcome;
use super::super::run::{KeyUse, Seat, WrongKind};
use super::super::supply::{KeyNumber, Supply};
use super::Plan;
use super::answer::{self, First, Granted, Said};
use super::choice::{Choice, Job};
use super::request::{Method, Wish, Writer};
use super::schedule::{LOOK, Pace, Schedule};
use super::tally::Tally;
use super::wire::{Failure, Head, Hold, Line};

/// How many looks for the end there are in a second.
const LOOKS: usize = 10;

/// How long a worker waits before it tries again to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// A connection, with what calls on it begin with.
pub(super) struct Lane {
    line: Line,
    heads: [Head; Method::ALL.len()],
}

impl Lane {
    /// Calls on `line` with `token`, each of which may take `within`.
    pub(super) fn new(line: Line, token: &str, within: Duration) -> anyhow::Result<Self> {
        let head = |method: Method| Head::new(line.url(), method.path(), token, within);
        let heads = [
            head(Method::Redeem)?,
            head(Method::Register)?,
            head(Method::Check)?,
        ];
        Ok(Self { line, heads })
    }

    fn head(&self, method: Method) -> &Head {
        &self.heads[method as usize]
    }
}

/// What the workers of a thread share.
pub(super) struct Crew<'r> {
    pub(super) plan: &'r Plan,
    pub(super) supply: &'r Supply,
    pub(super) schedule: &'r Schedule<'r>,
    /// The action for which nothing was left; of all threads.
    pub(super) used_up: &'r Mutex<Option<Action>>,
    pub(super) lanes: Vec<Lane>,
    pub(super) began: Instant,
    /// Borrowed between two waits, never across one.
    pub(super) state: RefCell<State<'r>>,
}

/// What the workers of a thread change.
pub(super) struct State<'r> {
    pub(super) choice: Choice<'r>,
    pub(super) writer: Writer,
    pub(super) tally: Tally,
}

impl Crew<'_> {
    /// Lets the workers with these numbers work until it is enough. Calls `each_second` each second.
    pub(super) async fn work(
        &self,
        numbers: impl Iterator<Item = usize>,
        each_second: impl Fn(&Tally, usize),
    ) {
        let mut workers: FuturesUnordered<_> = numbers
            .enumerate()
            .map(|(place, number)| self.worker(place, number))
            .collect();
        let mut looks = tokio::time::interval_at((self.began + LOOK).into(), LOOK);
        let mut looked = 0;
        loop {
            tokio::select! {
                biased;
                _ = looks.tick() => {
                    self.schedule.look(self.began.elapsed());
                    looked += 1;
                    if looked % LOOKS == 0 {
                        each_second(&self.state.borrow().tally, looked / LOOKS - 1);
                    }
                }
                ended = workers.next() => if ended.is_none() { return },
            }
        }
    }

    async fn worker(&self, place: usize, number: usize) {
        let lane = &self.lanes[place % self.lanes.len()];
        let mut hold = Hold::default();
        let entrance = self.began + self.schedule.entrance(number);
        if self.schedule.wait_until(entrance).await.is_none() {
            return;
        }
        while let Some(at) = self.schedule.next(self.began.elapsed()) {
            let due = match self.plan.pace {
                Pace::Closed => Instant::now(),
                Pace::Open { .. } => match self.schedule.wait_until(self.began + at).await {
                    Some(due) => due,
                    None => return,
                },
            };
            let drawn = self.state.borrow_mut().choice.next();
            let job = match drawn {
                Ok(job) => job,
                Err(action) => return self.ran_out(action),
            };
            let (method, message) = self.write(&job);
            let call = lane.line.call(&mut hold, lane.head(method), message);
            let answer = timeout(self.plan.call_within, call).await;
            let outcome = self.note(&job, due, answer.ok());
            if outcome == Outcome::Disconnected {
                sleep(PAUSE).await;
            }
        }
    }

    /// Nothing is left for `action`: the mix would be another one without it, so that this is the end.
    fn ran_out(&self, action: Action) {
        self.schedule.end();
        if let Ok(mut used_up) = self.used_up.lock() {
            used_up.get_or_insert(action);
        }
    }

    fn write(&self, job: &Job) -> (Method, Bytes) {
        let mut state = self.state.borrow_mut();
        let State { choice, writer, .. } = &mut *state;
        match job {
            Job::Redemption { id, wish, .. } | Job::Replay(First { id, wish, .. }) => {
                (wish.method(), writer.redemption(self.supply, *id, wish))
            }
            Job::Check(question) => (Method::Check, writer.check(self.supply, *question)),
            Job::Wrong { student, code } => {
                let message = writer.redeem(choice.id(), code.clone(), *student);
                (Method::Redeem, message)
            }
        }
    }

    /// Counts an answer, or that there was none, and looks whether it can be true.
    fn note(&self, job: &Job, due: Instant, answer: Option<Result<Bytes, Failure>>) -> Outcome {
        let now = Instant::now();
        let mut state = self.state.borrow_mut();
        let outcome = match answer {
            None => Outcome::Unheard,
            Some(Err(Failure::Disconnected)) => Outcome::Disconnected,
            Some(Err(Failure::Said(status))) => state.refused(job, &status),
            Some(Ok(message)) => state.granted(self.supply, job, message),
        };
        state.tally.count(
            job.action(),
            outcome,
            now.duration_since(due),
            now.duration_since(self.began),
        );
        outcome
    }
}

impl State<'_> {
    fn refused(&mut self, job: &Job, status: &Status) -> Outcome {
        let outcome = Outcome::of_failure(status);
        let Some(reason) = reason_of(status) else {
            return outcome;
        };
        let said = Said::Refused(reason);
        match job {
            Job::Redemption { id, wish, .. } if answer::is_decision(reason) => {
                if reason == ErrorReason::ClassFull {
                    self.tally.full.insert(wish.ticket().class);
                }
                let (id, wish) = (*id, *wish);
                self.choice.remember(First { id, wish, said });
            }
            // Only what was decided is repeated. An outage is no decision, and neither is a token that ran out meanwhile; but
            // to be told that there is no such key, or that the id is another one's, is to be told something else.
            Job::Replay(first) if !outcome.is_failure() && !answer::is_of_the_caller(reason) => {
                self.compare(
                    first,
                    &Granted {
                        said,
                        replayed: false,
                    },
                );
            }
            _ => {}
        }
        outcome
    }

    fn granted(&mut self, supply: &Supply, job: &Job, message: Bytes) -> Outcome {
        match job {
            Job::Check(question) => {
                if let Err(what) = answer::of_check(supply, question.ticket, message) {
                    let wrong = &mut self.tally.wrong;
                    wrong.add(WrongKind::BesideTheQuestion, format!("CheckKey: {what}"));
                }
                Outcome::Opens
            }
            Job::Wrong { student, .. } => {
                let what = format!("the student {student} got in by a code that does not exist");
                self.tally.wrong.add(WrongKind::WrongCodeOpens, what);
                Outcome::Enrolled
            }
            Job::Redemption { id, wish, .. } => {
                match answer::of_redemption(supply, wish, message) {
                    Ok(granted) => self.came_in(*id, wish, granted),
                    Err(what) => self.beside(*id, &what),
                }
            }
            Job::Replay(first) => {
                match answer::of_redemption(supply, &first.wish, message) {
                    Ok(granted) => self.compare(first, &granted),
                    Err(what) => {
                        self.beside(first.id, &what);
                    }
                }
                Outcome::Replayed
            }
        }
    }

    fn beside(&mut self, id: Uuid, what: &str) -> Outcome {
        let what = format!("redemption {id}: {what}");
        self.tally.wrong.add(WrongKind::BesideTheQuestion, what);
        Outcome::Enrolled
    }

    fn came_in(&mut self, id: Uuid, wish: &Wish, granted: Granted) -> Outcome {
        let said = granted.said;
        self.choice.remember(First {
            id,
            wish: *wish,
            said,
        });
        let Said::In {
            enrollment,
            student,
            already_in,
            ..
        } = said
        else {
            return Outcome::Enrolled;
        };
        let class = wish.ticket().class;
        self.tally.seats.push(Seat {
            class,
            enrollment,
            student,
        });
        if already_in {
            return Outcome::AlreadyIn;
        }
        if let KeyNumber::Enrollment(key) = wish.ticket().key {
            self.tally.key_uses.push(KeyUse {
                class,
                key,
                student,
            });
        }
        Outcome::Enrolled
    }

    fn compare(&mut self, first: &First, again: &Granted) {
        if let Some(what) = answer::difference(&first.said, &again.said, again.replayed) {
            let what = format!("redemption {}: {what}", first.id);
            self.tally.wrong.add(WrongKind::ReplayDiffers, what);
        }
    }
}

#[cfg(test)]
mod tests {
    use latchkey_service_kit::status::ApiError;

    use super::super::super::supply::Ticket;
    use super::*;

    #[test]
    fn a_replay_differs_where_it_denies_what_was_decided_and_not_where_nobody_looked() {
        let supply = Supply::default();
        let plan = Plan::default();
        let mut state = State {
            choice: Choice::new(&supply, &plan.mix, 1),
            writer: Writer::default(),
            tally: Tally::new(plan.window()),
        };
        let ticket = Ticket {
            class: 0,
            key: KeyNumber::Event,
            student: 0,
        };
        let first = First {
            id: Uuid::from_u128(1),
            wish: Wish::Register { ticket },
            said: Said::Refused(ErrorReason::ClassFull),
        };
        let mut wrong_after = |reason| {
            let status = Status::from(ApiError::new(reason, "no"));
            state.refused(&Job::Replay(first), &status);
            state.tally.wrong.count()
        };
        for unlooked in [
            ErrorReason::TokenInvalid,
            ErrorReason::NotAllowed,
            ErrorReason::TooManyAttempts,
            ErrorReason::Overloaded,
        ] {
            assert_eq!(wrong_after(unlooked), 0, "{unlooked:?}");
        }
        assert_eq!(wrong_after(ErrorReason::ClassFull), 0, "the same");
        assert_eq!(wrong_after(ErrorReason::KeyNotFound), 1);
        assert_eq!(wrong_after(ErrorReason::RequestIdReused), 2);
    }
}
