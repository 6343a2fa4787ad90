//! The facts of a batch, kept true while it is decided.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{
    Admission, Applicant, Decision, Facts, Live, NewAccount, Recorded, Wish, decide,
    decide_before_key,
};
use crate::domain::assignment::Assignment;
use crate::domain::class::Class;
use crate::domain::enrollment::Origin;
use crate::domain::key::{Opens, RecordedUses, ResolvedKey};
use crate::domain::profile::Profile;
use crate::domain::student::ExternalIdentity;

/// Where an applicant belongs, or would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Home<'f> {
    /// The organization.
    pub organization_id: Uuid,
    /// The organizations above it.
    pub ancestors: &'f [Uuid],
    /// False if the student's account is deactivated.
    pub active: bool,
    /// Whether students of the organization may register themselves; asked of newcomers only.
    pub self_registration: bool,
}

/// A student's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The organization it belongs to.
    pub organization_id: Uuid,
    /// The organizations above that, nearest first.
    pub ancestors: Vec<Uuid>,
    /// False once deactivated.
    pub active: bool,
}

/// An organization in which somebody wants to register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The organizations above it, nearest first.
    pub ancestors: Vec<Uuid>,
    /// Whether students may register themselves.
    pub self_registration: bool,
}

/// The uses of a subscription key with a limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyUses {
    /// Those that are live.
    pub live: i64,
    /// All that ever were when they were read, those included that were given up.
    pub ever: i64,
    /// Slots within the limit that no live use has, the lowest first: at least as many as there are wishes in the batch, if there
    /// are so many.
    pub free_slots: VecDeque<i32>,
}

impl KeyUses {
    /// How many uses are left of `max_uses`. A use that only the keys service has `recorded` was decided here and then lost with
    /// the database's newest part: it counts until somebody has looked into it, unless it was given up.
    pub fn left(&self, max_uses: i32, recorded: RecordedUses) -> i64 {
        let lost = (recorded.ever - self.ever).clamp(0, recorded.live.max(0));
        (i64::from(max_uses) - self.live - lost).max(0)
    }

    /// The slot of the next use, if one is left. Always the lowest, so that of two decisions at once one meets the constraint,
    /// also when the limit was lowered under slots that are in use.
    pub fn next_slot(&self, max_uses: i32, recorded: RecordedUses) -> Option<i32> {
        let slot = self.free_slots.front().copied();
        slot.filter(|_| self.left(max_uses, recorded) > 0)
    }

    fn take(&mut self, slot: i32) {
        // Not one more that ever was: what keys has recorded is as old as the reading, too.
        self.live += 1;
        self.free_slots.retain(|free| *free != slot);
    }
}

/// The facts that a batch of wishes is decided on. Filled from one reading of the database, then kept true: each
/// decision sees what those before it gave away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The instant to judge by.
    pub now: DateTime<Utc>,
    /// Decisions, by the redemption's id.
    pub recorded: HashMap<Uuid, Recorded>,
    /// Ids of redemptions that are those of other kinds of requests.
    pub taken_ids: HashSet<Uuid>,
    /// Students.
    pub students: HashMap<Uuid, Account>,
    /// Organizations in which somebody wants to register.
    pub organizations: HashMap<Uuid, Holder>,
    /// Classes.
    pub classes: HashMap<Uuid, Class>,
    /// Live enrollments, by class and student.
    pub live: HashMap<(Uuid, Uuid), Live>,
    /// Subscription profiles.
    pub profiles: HashMap<Uuid, Arc<Profile>>,
    /// Uses of subscription keys with a limit, by key.
    pub uses: HashMap<Uuid, KeyUses>,
    /// Live assignments, by key and student.
    pub assigned: HashMap<(Uuid, Uuid), Uuid>,
    /// Class and student of removals by staff that still hold.
    pub blocked: HashSet<(Uuid, Uuid)>,
    /// Keys for a single student that are in use, by which enrollment.
    pub keys_in_use: HashMap<Uuid, Uuid>,
    /// Of the uses that the keys service has recorded: those that this service knows, by redemption.
    pub known_uses: HashSet<Uuid>,
    /// E-mail addresses that are taken, by organization.
    pub emails: HashSet<(Uuid, String)>,
    /// External identities that are taken.
    pub identities: HashSet<ExternalIdentity>,
    /// How many were put on wait lists.
    pub lined_up: i64,
}

impl Ledger {
    /// The account of `applicant`, if that is a student who has one.
    pub fn account(&self, applicant: &Applicant) -> Option<&Account> {
        match applicant {
            Applicant::Student(id) => self.students.get(id),
            Applicant::Newcomer { .. } => None,
        }
    }

    /// Where `applicant` belongs, or would, if there is such a student or organization.
    pub fn home(&self, applicant: &Applicant) -> Option<Home<'_>> {
        match applicant {
            Applicant::Student(_) => self.account(applicant).map(|account| Home {
                organization_id: account.organization_id,
                ancestors: &account.ancestors,
                active: account.active,
                self_registration: false,
            }),
            Applicant::Newcomer {
                organization_id, ..
            } => self.organizations.get(organization_id).map(|holder| Home {
                organization_id: *organization_id,
                ancestors: &holder.ancestors,
                active: true,
                self_registration: holder.self_registration,
            }),
        }
    }

    /// Decides about `wish`, and remembers it for those after it. `within_reach` says whether the applicant exists for
    /// the caller.
    pub fn decide(&mut self, wish: &Wish, within_reach: bool) -> Decision {
        let mut decision = decide(wish, &self.facts(wish, within_reach));
        self.line_up(&mut decision);
        self.remember(wish, &decision);
        decision
    }

    /// Who comes first waits first, also of those who come at one instant: each begins to wait one step of the database's
    /// clock after the one before.
    fn line_up(&mut self, decision: &mut Decision) {
        if let Decision::Enroll(admission) = decision
            && admission.enrollment.status.is_waiting()
        {
            admission.enrollment.status_since += TimeDelta::microseconds(self.lined_up);
            self.lined_up += 1;
        }
    }

    /// What can be said about `wish` before its key is known ([`decide_before_key`]).
    pub fn decide_before_key(&self, wish: &Wish, within_reach: bool) -> Option<Decision> {
        decide_before_key(wish, &self.facts(wish, within_reach))
    }

    /// What the decision about `wish` rests on.
    pub fn facts(&self, wish: &Wish, within_reach: bool) -> Facts<'_> {
        let key = wish.key.as_ref();
        let class = key.and_then(|key| self.classes.get(&key.class_id()?));
        let student = match &wish.applicant {
            Applicant::Student(id) => Some(*id),
            Applicant::Newcomer { account, .. } => {
                account.as_ref().map(|account| account.student_id)
            }
        };
        let place = class.map(|class| class.id).zip(student);
        let live = place.and_then(|place| self.live.get(&place).copied());
        let use_of_key = key.map(|key| key.key_id).zip(student);
        let account = new_account(&wish.applicant);
        Facts {
            now: self.now,
            within_reach,
            recorded: wish.redemption_id.and_then(|id| self.recorded.get(&id)),
            id_taken: wish
                .redemption_id
                .is_some_and(|id| self.taken_ids.contains(&id)),
            home: self.home(&wish.applicant),
            class,
            live,
            profile: key.and_then(|key| self.profile(key)).map(|one| &**one),
            uses: key.and_then(|key| self.uses.get(&key.key_id)),
            assigned: use_of_key.and_then(|one| self.assigned.get(&one).copied()),
            blocked: place.is_some_and(|place| self.blocked.contains(&place)),
            key_in_use: key.is_some_and(|key| self.is_in_use(key, live)),
            email_taken: account.is_some_and(|(organization_id, account)| {
                self.emails
                    .contains(&(organization_id, account.email_folded.clone()))
            }),
            identity_taken: account
                .and_then(|(_, account)| account.identity.as_ref())
                .is_some_and(|identity| self.identities.contains(identity)),
        }
    }

    /// The subscription profile that `key` opens, if it opens one.
    pub fn profile(&self, key: &ResolvedKey) -> Option<&Arc<Profile>> {
        match key.opens {
            Opens::Subscription(terms) => self.profiles.get(&terms.profile_id),
            Opens::Class { .. } | Opens::Pool(_) => None,
        }
    }

    /// How many uses are left of `key`, if it is a subscription key with a limit.
    pub fn uses_left(&self, key: &ResolvedKey) -> Option<i64> {
        let Opens::Subscription(terms) = key.opens else {
            return None;
        };
        let uses = self.uses.get(&key.key_id)?;
        Some(uses.left(terms.max_uses?, terms.recorded))
    }

    /// A use that only the keys service knows was decided here and then lost with the database's newest part: it counts
    /// until somebody has looked into it. One that is known here counts as what it is by now, which the copy may lag.
    fn is_in_use(&self, key: &ResolvedKey, live: Option<Live>) -> bool {
        let own = live.map(|live| live.enrollment_id);
        let holder = self.keys_in_use.get(&key.key_id);
        holder.is_some_and(|holder| Some(*holder) != own)
            || key
                .live_use
                .is_some_and(|found| !self.known_uses.contains(&found.redemption_id))
    }

    fn remember(&mut self, wish: &Wish, decision: &Decision) {
        let (Some(id), Some(outcome)) = (wish.redemption_id, decision.outcome()) else {
            return;
        };
        let fingerprint = wish.fingerprint.clone();
        self.recorded.insert(
            id,
            Recorded {
                fingerprint,
                outcome,
            },
        );
        match decision {
            Decision::Enroll(admission) => self.give(wish, admission),
            Decision::Assign { assignment, slot } => self.assign(wish, assignment, *slot),
            _ => {}
        }
    }

    fn assign(&mut self, wish: &Wish, assignment: &Assignment, slot: Option<i32>) {
        let place = (assignment.key_id, assignment.student_id);
        self.assigned.insert(place, assignment.id);
        self.known_uses.insert(assignment.id);
        if let Some(slot) = slot {
            match self.uses.get_mut(&assignment.key_id) {
                Some(uses) => uses.take(slot),
                None => {
                    self.keys_in_use.insert(assignment.key_id, assignment.id);
                }
            }
        }
        self.register(wish);
    }

    fn give(&mut self, wish: &Wish, admission: &Admission) {
        let enrollment = &admission.enrollment;
        if let Some(class) = self.classes.get_mut(&enrollment.class_id) {
            class.seats_taken += i32::from(enrollment.status.takes_seat());
        }
        if let Some(ended) = admission.instead_of {
            self.keys_in_use.retain(|_, holder| *holder != ended);
        }
        let place = (enrollment.class_id, enrollment.student_id);
        let live = Live {
            enrollment_id: enrollment.id,
            waiting: enrollment.status.is_waiting(),
        };
        self.live.insert(place, live);
        self.known_uses.insert(enrollment.id);
        if let (Some(_), true, Origin::Key { key_id, .. }) =
            (admission.slot, admission.holds_key, enrollment.origin)
        {
            self.keys_in_use.insert(key_id, enrollment.id);
        }
        self.register(wish);
    }

    /// Notes the account that comes with what is granted.
    fn register(&mut self, wish: &Wish) {
        if let Some((organization_id, account)) = new_account(&wish.applicant) {
            self.emails
                .insert((organization_id, account.email_folded.clone()));
            self.identities.extend(account.identity.clone());
            let ancestors = self
                .organizations
                .get(&organization_id)
                .map(|holder| holder.ancestors.clone())
                .unwrap_or_default();
            self.students.insert(
                account.student_id,
                Account {
                    organization_id,
                    ancestors,
                    active: true,
                },
            );
        }
    }
}

fn new_account(applicant: &Applicant) -> Option<(Uuid, &NewAccount)> {
    match applicant {
        Applicant::Newcomer {
            organization_id,
            account: Some(account),
        } => Some((*organization_id, account)),
        _ => None,
    }
}
