//! What the next call is.

use std::collections::VecDeque;

use latchkey_code::{Kind, generate};
use latchkey_service_kit::ids::{Ids, RandomIds};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::super::mix::{Action, Mix};
use super::super::supply::{KeyNumber, Question, Supply};
use super::answer::{First, Said};
use super::request::Wish;

/// How many redemptions are remembered for replays and for keys that are spent: the last ones.
const REMEMBERED: usize = 4_096;

/// One call.
#[derive(Debug, Clone)]
pub(super) enum Job {
    /// A redemption.
    Redemption {
        action: Action,
        id: Uuid,
        wish: Wish,
    },
    /// The same redemption again.
    Replay(First),
    /// What would it open?
    Check(Question),
    /// A code that does not exist.
    Wrong { student: Uuid, code: String },
}

impl Job {
    /// What it is counted as.
    pub(super) fn action(&self) -> Action {
        match self {
            Self::Redemption { action, .. } => *action,
            Self::Replay(_) => Action::Replay,
            Self::Check(_) => Action::Check,
            Self::Wrong { .. } => Action::Wrong,
        }
    }
}

/// Draws calls, and remembers what was answered.
pub(super) struct Choice<'s> {
    supply: &'s Supply,
    mix: Mix,
    random: StdRng,
    ids: RandomIds,
    answered: VecDeque<First>,
    guesses: u64,
}

impl<'s> Choice<'s> {
    /// Draws from `mix`; the same seed draws the same.
    pub(super) fn new(supply: &'s Supply, mix: &Mix, seed: u64) -> Self {
        Self {
            supply,
            mix: mix.clone(),
            random: StdRng::seed_from_u64(seed),
            ids: RandomIds::default(),
            answered: VecDeque::with_capacity(REMEMBERED),
            guesses: 0,
        }
    }

    /// A new id.
    pub(super) fn id(&self) -> Uuid {
        self.ids.new_id()
    }

    /// Remembers an answer to a redemption.
    pub(super) fn remember(&mut self, first: First) {
        if self.answered.len() == REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back(first);
    }

    /// The next call; the action for which nothing is left, if there is none.
    pub(super) fn next(&mut self) -> Result<Job, Action> {
        let lot = self.random.random_range(0..self.mix.total());
        let action = self.mix.drawn_by(lot);
        let drawn = match action {
            Action::Check => self.check(),
            Action::Wrong => self.wrong(),
            Action::Replay => self.replay(),
            Action::Spent => self.spent(),
            Action::Enrollment | Action::Event | Action::Register => {
                return self.redemption(action);
            }
        };
        match drawn {
            Some(job) => Ok(job),
            // Nothing was redeemed yet that could be repeated.
            None => match Action::ALL
                .into_iter()
                .find(|&action| action.consumes() && self.mix.has(action))
            {
                Some(instead) => self.redemption(instead),
                None => Err(action),
            },
        }
    }

    fn redemption(&mut self, action: Action) -> Result<Job, Action> {
        let ticket = match action {
            Action::Enrollment => self.supply.next_keyed(),
            Action::Event => self.supply.next_event(),
            _ => self.supply.next_newcomer(),
        };
        let ticket = ticket.ok_or(action)?;
        let wish = if action == Action::Register {
            Wish::Register { ticket }
        } else {
            let student = self.supply.student(ticket);
            Wish::Redeem { ticket, student }
        };
        let id = self.id();
        Ok(Job::Redemption { action, id, wish })
    }

    fn check(&mut self) -> Option<Job> {
        let lot = self.random.random_range(0..usize::MAX);
        self.supply.question(lot).map(Job::Check)
    }

    fn replay(&mut self) -> Option<Job> {
        let at = self.any_answered()?;
        Some(Job::Replay(self.answered[at]))
    }

    fn any_answered(&mut self) -> Option<usize> {
        let count = self.answered.len();
        (count > 0).then(|| self.random.random_range(0..count))
    }

    /// Another student with an enrollment key that enrolled somebody.
    fn spent(&mut self) -> Option<Job> {
        let at = self.any_answered()?;
        let is_spent = |first: &&First| {
            let by_key = matches!(first.wish.ticket().key, KeyNumber::Enrollment(_));
            let enrolled = matches!(
                first.said,
                Said::In {
                    already_in: false,
                    ..
                }
            );
            by_key && enrolled
        };
        let around = self.answered.range(at..).chain(self.answered.range(..at));
        let ticket = around.into_iter().find(is_spent)?.wish.ticket();
        let spares = &self.supply.organization(ticket).spares;
        if spares.is_empty() {
            return None;
        }
        let student = spares[self.random.random_range(0..spares.len())];
        Some(Job::Redemption {
            action: Action::Spent,
            id: self.id(),
            wish: Wish::Redeem { ticket, student },
        })
    }

    fn wrong(&mut self) -> Option<Job> {
        let students = &self.supply.guessers;
        if students.is_empty() {
            return None;
        }
        let student = students[self.random.random_range(0..students.len())];
        let code = generate(Kind::Enrollment, &mut self.random);
        let code = code.expose_text();
        self.guesses += 1;
        let code = if self.guesses.is_multiple_of(2) {
            code.to_owned()
        } else {
            mistyped(code)
        };
        Some(Job::Wrong { student, code })
    }
}

/// A generated code with one symbol wrong, which its check symbols tell.
fn mistyped(code: &str) -> String {
    // The first symbol behind the prefix and its hyphen.
    const PLACE: usize = 3;
    let symbols = code.chars().enumerate();
    symbols
        .map(|(at, symbol)| match (at, symbol) {
            (PLACE, '7') => '9',
            (PLACE, _) => '7',
            (_, symbol) => symbol,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::supply::{Class, Key, Organization, Ticket};
    use super::*;

    fn supply() -> Supply {
        let ticket = |key: u32, student| Ticket {
            class: 0,
            key: KeyNumber::Enrollment(key),
            student,
        };
        let key = |number: u128| Key {
            id: Some(Uuid::from_u128(number)),
            code: format!("EK-{number}"),
        };
        Supply {
            organizations: vec![Organization {
                id: None,
                students: vec![Uuid::from_u128(1), Uuid::from_u128(2)],
                spares: vec![Uuid::from_u128(77)],
            }],
            classes: vec![Class {
                keys: vec![key(10), key(11)],
                ..Class::default()
            }],
            guessers: vec![Uuid::from_u128(99)],
            ..Supply::default()
        }
        .with_tickets(vec![ticket(0, 0), ticket(1, 1)], Vec::new(), Vec::new())
    }

    fn mix(text: &str) -> Mix {
        text.parse().expect("a mix")
    }

    #[test]
    fn what_is_used_up_ends_it() {
        let supply = supply();
        let mut choice = Choice::new(&supply, &mix("enrollment=1"), 1);
        let students: Vec<Uuid> = (0..2)
            .map(|_| match choice.next() {
                Ok(Job::Redemption {
                    wish: Wish::Redeem { student, .. },
                    ..
                }) => student,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(students, supply.organizations[0].students);
        assert_eq!(choice.next().expect_err("used up"), Action::Enrollment);
    }

    #[test]
    fn replays_and_spent_keys_come_after_what_they_repeat() {
        let supply = supply();
        let mut choice = Choice::new(&supply, &mix("enrollment=1,spent=1000"), 1);
        let Ok(Job::Redemption { action, id, wish }) = choice.next() else {
            panic!("a redemption comes first");
        };
        assert_eq!(action, Action::Enrollment);
        let student = supply.organizations[0].students[0];
        choice.remember(First {
            id,
            wish,
            said: Said::In {
                enrollment: id,
                student,
                class: id,
                already_in: false,
            },
        });
        let Ok(Job::Redemption { action, wish, .. }) = choice.next() else {
            panic!("a spent key");
        };
        assert_eq!(action, Action::Spent);
        let Wish::Redeem { ticket, student } = wish else {
            panic!("{wish:?}");
        };
        assert_eq!(ticket.key, KeyNumber::Enrollment(0));
        assert_eq!(student, supply.organizations[0].spares[0]);
        let mut choice = Choice::new(&supply, &mix("enrollment=1,replay=1000"), 1);
        choice.remember(First {
            id,
            wish,
            said: Said::Refused(latchkey_proto::errors::v1::ErrorReason::ClassFull),
        });
        let Ok(Job::Replay(first)) = choice.next() else {
            panic!("a replay");
        };
        assert_eq!(first.id, id);
    }

    #[test]
    fn wrong_codes_are_malformed_and_well_formed_in_turn() {
        let supply = supply();
        let mut choice = Choice::new(&supply, &Mix::only(Action::Wrong), 1);
        let mut malformed = Vec::new();
        for _ in 0..4 {
            let Ok(Job::Wrong { student, code }) = choice.next() else {
                panic!("a wrong code");
            };
            assert_eq!(student, supply.guessers[0]);
            malformed.push(latchkey_code::parse(&code).is_err());
        }
        assert_eq!(malformed, [true, false, true, false]);
    }
}
