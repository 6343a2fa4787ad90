//! What calls are made of: classes with their keys and students, and the tickets that say who redeems what, in which order.

use std::sync::atomic::{AtomicUsize, Ordering};

use latchkey_service_kit::ids::{Ids, RandomIds};
use uuid::Uuid;

/// An organization.
#[derive(Debug, Clone, Default)]
pub struct Organization {
    /// Its id; `None` if it is not known, and then nobody registers in it.
    pub id: Option<Uuid>,
    /// Its students, whom tickets number.
    pub students: Vec<Uuid>,
    /// Students who are in no class and hold no ticket: they try keys that are spent.
    pub spares: Vec<Uuid>,
}

/// A key and its code.
#[derive(Clone)]
pub struct Key {
    /// Its id, if it is known.
    pub id: Option<Uuid>,
    /// The text a student types.
    pub code: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Codes are secrets.
        write!(f, "Key({:?})", self.id)
    }
}

/// A class and its keys.
#[derive(Debug, Clone, Default)]
pub struct Class {
    /// Its id.
    pub id: Uuid,
    /// The number of its organization.
    pub organization: usize,
    /// Its enrollment keys, whom tickets number.
    pub keys: Vec<Key>,
    /// Its event key, if it is on.
    pub event_key: Option<Key>,
}

/// Which key of a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyNumber {
    /// The enrollment key with this number.
    Enrollment(u32),
    /// The event key.
    Event,
}

/// Somebody who is going to redeem something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    /// The number of the class.
    pub class: u32,
    /// The key of it.
    pub key: KeyNumber,
    /// The number of the student in the class's organization.
    pub student: u32,
}

/// Who asks what a code would open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Somebody with an account.
    Student {
        /// Who.
        student: Uuid,
    },
    /// Somebody who would register.
    Newcomer {
        /// In this organization.
        organization: Uuid,
    },
}

/// Somebody who asks what a code would open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question {
    /// The ticket with the code.
    pub ticket: Ticket,
    /// Who asks.
    pub asker: Asker,
}

/// All of it. Each ticket is used once, in order; several runs share them.
#[derive(Debug, Default)]
pub struct Supply {
    /// The organizations.
    pub organizations: Vec<Organization>,
    /// The classes.
    pub classes: Vec<Class>,
    /// Students who try codes that do not exist: of an organization of their own, because too many wrong guesses shut out
    /// all students of one.
    pub guessers: Vec<Uuid>,
    /// Whether everything in it was made for this: then nobody else enrolls or cancels in its classes.
    pub is_own: bool,
    pub(super) keyed: Tickets,
    pub(super) event: Tickets,
    pub(super) newcomers: Tickets,
}

/// Tickets, which are used in their order.
#[derive(Debug, Default)]
pub(super) struct Tickets {
    all: Vec<Ticket>,
    used: AtomicUsize,
}

impl Tickets {
    fn next(&self) -> Option<Ticket> {
        let at = self.used.fetch_add(1, Ordering::Relaxed);
        self.all.get(at).copied()
    }

    /// One by the number `lot`, of those that are not used if there are any.
    fn preferably_unused(&self, lot: usize) -> Option<Ticket> {
        let unused = self.all.get(self.used.load(Ordering::Relaxed)..);
        let from = unused
            .filter(|unused| !unused.is_empty())
            .unwrap_or(&self.all);
        from.get(lot.checked_rem(from.len())?).copied()
    }

    fn left(&self) -> usize {
        let used = self.used.load(Ordering::Relaxed);
        self.all.len().saturating_sub(used)
    }
}

impl Supply {
    /// The same with tickets: of students with an enrollment key of their own, of students with an event key, and for those
    /// who register. Of the last, the student is not used.
    pub fn with_tickets(
        mut self,
        keyed: Vec<Ticket>,
        event: Vec<Ticket>,
        newcomers: Vec<Ticket>,
    ) -> Self {
        let fresh = |all| Tickets {
            all,
            used: AtomicUsize::new(0),
        };
        (self.keyed, self.event, self.newcomers) = (fresh(keyed), fresh(event), fresh(newcomers));
        self
    }

    /// The next student with an enrollment key; `None` when all were used.
    pub fn next_keyed(&self) -> Option<Ticket> {
        self.keyed.next()
    }

    /// The next student with an event key; `None` when all were used.
    pub fn next_event(&self) -> Option<Ticket> {
        self.event.next()
    }

    /// A key for the next one who registers; `None` when all were used.
    pub fn next_newcomer(&self) -> Option<Ticket> {
        self.newcomers.next()
    }

    /// How many tickets are left: with enrollment keys, with event keys, for registrations.
    pub fn left(&self) -> (usize, usize, usize) {
        (self.keyed.left(), self.event.left(), self.newcomers.left())
    }

    /// A code that somebody asks about, by the number `lot`: that of any ticket of a student, used or not. Where there are
    /// only newcomers, that of one of theirs, and if possible of one that is not used. `None` when there is no ticket at all.
    pub fn question(&self, lot: usize) -> Option<Question> {
        let (keyed, event) = (&self.keyed.all, &self.event.all);
        let of_students = keyed.len() + event.len();
        if of_students == 0 {
            let ticket = self.newcomers.preferably_unused(lot)?;
            let organization = self.organization(ticket).id?;
            let asker = Asker::Newcomer { organization };
            return Some(Question { ticket, asker });
        }
        let at = lot % of_students;
        let ticket = match keyed.get(at) {
            Some(ticket) => *ticket,
            None => event[at - keyed.len()],
        };
        let student = self.student(ticket);
        let asker = Asker::Student { student };
        Some(Question { ticket, asker })
    }

    /// The key of a ticket.
    pub fn key(&self, ticket: Ticket) -> &Key {
        let class = &self.classes[ticket.class as usize];
        match (ticket.key, &class.event_key) {
            (KeyNumber::Enrollment(number), _) => &class.keys[number as usize],
            (KeyNumber::Event, Some(key)) => key,
            (KeyNumber::Event, None) => unreachable!("tickets are made of keys that are there"),
        }
    }

    /// The student of a ticket.
    pub fn student(&self, ticket: Ticket) -> Uuid {
        self.organization(ticket).students[ticket.student as usize]
    }

    /// The organization of a ticket's class.
    pub fn organization(&self, ticket: Ticket) -> &Organization {
        &self.organizations[self.classes[ticket.class as usize].organization]
    }
}

/// A new id.
pub(super) fn new_id() -> Uuid {
    RandomIds::default().new_id()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(class: u32, key: KeyNumber) -> Ticket {
        Ticket {
            class,
            key,
            student: 0,
        }
    }

    /// A class of an organization with a student.
    fn school() -> Supply {
        Supply {
            organizations: vec![Organization {
                id: Some(Uuid::from_u128(1)),
                students: vec![Uuid::from_u128(2)],
                spares: Vec::new(),
            }],
            classes: vec![Class::default()],
            ..Supply::default()
        }
    }

    #[test]
    fn each_ticket_is_used_once() {
        let keyed: Vec<Ticket> = (0..3)
            .map(|number| ticket(0, KeyNumber::Enrollment(number)))
            .collect();
        let event = vec![ticket(0, KeyNumber::Event)];
        let supply = school().with_tickets(keyed.clone(), event.clone(), Vec::new());
        assert_eq!(supply.left(), (3, 1, 0));
        let used: Vec<Ticket> = std::iter::from_fn(|| supply.next_keyed()).collect();
        assert_eq!(used, keyed);
        assert_eq!(supply.next_keyed(), None);
        assert_eq!(supply.left(), (0, 1, 0));
        assert_eq!(supply.next_newcomer(), None);
        // What is only asked about may have been used.
        let asked = |lot| supply.question(lot).map(|question| question.ticket);
        assert_eq!(asked(1), Some(keyed[1]));
        assert_eq!(asked(3), Some(event[0]));
        assert_eq!(asked(4), Some(keyed[0]));
        assert_eq!(Supply::default().question(0), None);
    }

    #[test]
    fn newcomers_ask_about_codes_that_are_not_used_yet() {
        let newcomers: Vec<Ticket> = (0..3)
            .map(|number| ticket(0, KeyNumber::Enrollment(number)))
            .collect();
        let supply = school().with_tickets(Vec::new(), Vec::new(), newcomers.clone());
        let asked = |lot| supply.question(lot).map(|question| question.ticket);
        assert_eq!(asked(3), Some(newcomers[0]));
        supply.next_newcomer().expect("one");
        assert_eq!(asked(0), Some(newcomers[1]));
        assert_eq!(asked(2), Some(newcomers[1]));
        while supply.next_newcomer().is_some() {}
        assert_eq!(asked(1), Some(newcomers[1]));
        let organization = Uuid::from_u128(1);
        let question = supply.question(0).expect("one");
        assert_eq!(question.asker, Asker::Newcomer { organization });
    }

    #[test]
    fn codes_do_not_show() {
        let key = Key {
            id: None,
            code: "hunter2".to_owned(),
        };
        assert!(!format!("{key:?}").contains("hunter"));
    }
}
