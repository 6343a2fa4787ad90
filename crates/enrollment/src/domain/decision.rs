//! Whether a code lets somebody into a class or assigns courses, and if not, why: one pure function of the facts.
//!
//! [`decide`] judges one wish; a [`Ledger`] judges a batch of them in order of arrival, each with what those before it
//! were given.

mod class;
mod course;
mod ledger;
#[cfg(test)]
mod properties;
mod subscription;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use ledger::{Account, Holder, Home, KeyUses, Ledger};

use super::assignment::Assignment;
use super::class::Class;
use super::enrollment::Enrollment;
use super::key::{Opens, ResolvedKey};
use super::profile::Profile;
use super::redemption::Outcome;
use super::refusal::Refusal;
use super::student::ExternalIdentity;

/// The slot of a key's use that a key for a single student has.
const ONLY_SLOT: i32 = 0;

/// What is wished for when every seat of the class is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IfFull {
    /// To be told so.
    #[default]
    Refuse,
    /// To wait for a seat, and to keep the key meanwhile.
    WaitWithKey,
    /// To wait for a seat, and to give the key back for somebody else.
    WaitWithoutKey,
}

/// Somebody's wish to be let in by a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The caller's id of the redemption; `None` if it is only asked what would be decided.
    pub redemption_id: Option<Uuid>,
    /// The keyed digest of what was asked.
    pub fingerprint: Vec<u8>,
    /// Whether what was typed can be a code at all.
    pub well_formed: bool,
    /// Who is to be let in.
    pub applicant: Applicant,
    /// What the code is, if a key has it.
    pub key: Option<ResolvedKey>,
    /// What is wished for when the class is full.
    pub if_full: IfFull,
}

/// Who is to be let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applicant {
    /// A student who has an account.
    Student(Uuid),
    /// Somebody who would register in an organization.
    Newcomer {
        /// The organization.
        organization_id: Uuid,
        /// The account to be made; `None` if it is only asked what would be decided.
        account: Option<NewAccount>,
    },
}

/// What is decided about of an account to be made.
#[derive(Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// The id it will have: derived from the redemption's.
    pub student_id: Uuid,
    /// Its e-mail address, folded.
    pub email_folded: String,
    /// Its external identity.
    pub identity: Option<ExternalIdentity>,
    /// Whether it comes with a password that was not hashed yet.
    pub hash_missing: bool,
}

/// Personal data stays out of logs.
impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewAccount")
            .field("student_id", &self.student_id)
            .field("hash_missing", &self.hash_missing)
            .finish_non_exhaustive()
    }
}

/// A decision that was made before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The keyed digest of what was asked.
    pub fingerprint: Vec<u8>,
    /// What was decided.
    pub outcome: Outcome,
}

/// Everything that one decision rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; they exclude nothing of each other"
)]
pub struct Facts<'f> {
    /// The instant to judge by: the database's clock, read under the class's lock.
    pub now: DateTime<Utc>,
    /// Whether the applicant exists for the caller.
    pub within_reach: bool,
    /// The decision recorded under the redemption's id.
    pub recorded: Option<&'f Recorded>,
    /// Whether the redemption's id is that of another kind of request.
    pub id_taken: bool,
    /// Where the applicant belongs, or would; `None` if there is no such student, or no such organization.
    pub home: Option<Home<'f>>,
    /// The class that the key opens.
    pub class: Option<&'f Class>,
    /// The student's live enrollment in the class.
    pub live: Option<Live>,
    /// The subscription profile that the key opens.
    pub profile: Option<&'f Profile>,
    /// The assignment by which the student has used the key already.
    pub assigned: Option<Uuid>,
    /// Of a subscription key with a limit: the uses of it.
    pub uses: Option<&'f KeyUses>,
    /// Whether staff removed the student from the class and did not let them in again.
    pub blocked: bool,
    /// Whether a key for a single student is in use by another enrollment than the student's own.
    pub key_in_use: bool,
    /// Whether another account of the organization has the newcomer's e-mail address.
    pub email_taken: bool,
    /// Whether another account has the newcomer's external identity.
    pub identity_taken: bool,
}

/// What is to be done about a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It was decided before: the same answer again.
    Repeat(Outcome),
    /// Let the student in, or let them wait for a seat.
    Enroll(Admission),
    /// The student is in already, or waits already where there is no seat, by the enrollment with this id; nothing is spent.
    AlreadyIn(Uuid),
    /// Assign the student the course, or the courses.
    Assign {
        /// The assignment. Its id is the redemption's.
        assignment: Assignment,
        /// Which use of the key it is; `None` if the key has any number of them.
        slot: Option<i32>,
    },
    /// The student has used the key already, by the assignment with this id; nothing is spent.
    AlreadyAssigned(Uuid),
    /// Let the student in as soon as the password is hashed. Nothing else stands against it.
    HashFirst,
    /// No, and why.
    Refuse(Refusal),
}

/// A student's live enrollment in a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Live {
    /// The enrollment.
    pub enrollment_id: Uuid,
    /// Whether the student is not in the class yet ([`Status::is_waiting`]): a key lets them in like anybody.
    pub waiting: bool,
}

/// A place in a class that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// The enrollment. Its id is the redemption's.
    pub enrollment: Enrollment,
    /// Which use of the key it is; `None` if the key has any number of them.
    pub slot: Option<i32>,
    /// Whether it holds the key: not when the student waits without it.
    pub holds_key: bool,
    /// The enrollment by which the student was waiting: it ends, and gives its key up, before this one begins.
    pub instead_of: Option<Uuid>,
}

impl Decision {
    /// What is recorded under the redemption's id; `None` if this is not a decision to be kept: slips of the hand, what
    /// does not exist, and what may be different by the next try.
    pub fn outcome(&self) -> Option<Outcome> {
        match self {
            Self::Enroll(admission) if admission.enrollment.status.is_waiting() => {
                Some(Outcome::WaitListed)
            }
            Self::Enroll(_) => Some(Outcome::Enrolled),
            Self::AlreadyIn(id) => Some(Outcome::AlreadyIn { enrollment_id: *id }),
            Self::Assign { .. } => Some(Outcome::Assigned),
            Self::AlreadyAssigned(id) => Some(Outcome::AlreadyAssigned { assignment_id: *id }),
            Self::Refuse(refusal) if is_kept(refusal) => Some(Outcome::Refused(refusal.clone())),
            Self::Repeat(_) | Self::HashFirst | Self::Refuse(_) => None,
        }
    }
}

fn is_kept(refusal: &Refusal) -> bool {
    !matches!(
        refusal,
        Refusal::KeyMalformed
            | Refusal::KeyNotFound
            | Refusal::StudentNotFound { .. }
            | Refusal::OrganizationNotFound { .. }
            | Refusal::RequestIdReused { .. }
            | Refusal::EmailTaken
            | Refusal::IdentityTaken
    )
}

/// Decides about `wish`. The order of the reasons is part of the contract: the first that holds wins.
pub fn decide(wish: &Wish, facts: &Facts<'_>) -> Decision {
    if let Some(decision) = decide_before_key(wish, facts) {
        return decision;
    }
    match admit(wish, facts) {
        Ok(decision) => decision,
        Err(refusal) => Decision::Refuse(refusal),
    }
}

/// As much of [`decide`] as comes before the key is looked at and can be said without it: who asks for whom, what was
/// decided before, and slips of the hand. `None` if the key has to be known.
pub fn decide_before_key(wish: &Wish, facts: &Facts<'_>) -> Option<Decision> {
    if !facts.within_reach {
        return Some(Decision::Refuse(not_found(&wish.applicant)));
    }
    if let Some(recorded) = facts.recorded
        && recorded.fingerprint == wish.fingerprint
    {
        return Some(Decision::Repeat(recorded.outcome.clone()));
    }
    if let Some(id) = wish.redemption_id
        && (facts.recorded.is_some() || facts.id_taken)
    {
        return Some(Decision::Refuse(Refusal::RequestIdReused { id }));
    }
    (!wish.well_formed).then_some(Decision::Refuse(Refusal::KeyMalformed))
}

fn not_found(applicant: &Applicant) -> Refusal {
    match *applicant {
        Applicant::Student(student_id) => Refusal::StudentNotFound { student_id },
        Applicant::Newcomer {
            organization_id, ..
        } => Refusal::OrganizationNotFound { organization_id },
    }
}

fn admit(wish: &Wish, facts: &Facts<'_>) -> Result<Decision, Refusal> {
    let home = facts.home.ok_or_else(|| not_found(&wish.applicant))?;
    if let Applicant::Newcomer {
        organization_id, ..
    } = wish.applicant
        && !home.self_registration
    {
        return Err(Refusal::SelfRegistrationDisabled { organization_id });
    }
    let Some(key) = &wish.key else {
        return Err(Refusal::KeyNotFound);
    };
    match &key.opens {
        Opens::Class { kind, .. } => class::admit(wish, key, *kind, facts, home),
        Opens::Pool(terms) => course::admit(wish, key, terms, facts, home),
        Opens::Subscription(terms) => subscription::admit(wish, key, terms, facts, home),
    }
}

fn judge_key(key: &ResolvedKey, now: DateTime<Utc>) -> Result<(), Refusal> {
    let key_id = key.key_id;
    if key.code_valid_until.is_some_and(|until| until <= now) {
        return Err(Refusal::CodeReplaced { key_id });
    }
    if key.revoked {
        return Err(Refusal::KeyRevoked { key_id });
    }
    Ok(())
}

fn judge_student(applicant: &Applicant, home: Home<'_>) -> Result<(), Refusal> {
    match *applicant {
        Applicant::Student(student_id) if !home.active => {
            Err(Refusal::StudentInactive { student_id })
        }
        _ => Ok(()),
    }
}

fn judge_use(key: &ResolvedKey, facts: &Facts<'_>) -> Result<(), Refusal> {
    if facts.key_in_use && key.is_single_use() {
        return Err(Refusal::KeyAlreadyRedeemed {
            key_id: key.key_id,
            max_uses: None,
        });
    }
    Ok(())
}

fn judge_account(applicant: &Applicant, facts: &Facts<'_>) -> Result<(), Refusal> {
    match applicant {
        Applicant::Newcomer { .. } if facts.email_taken => Err(Refusal::EmailTaken),
        Applicant::Newcomer { .. } if facts.identity_taken => Err(Refusal::IdentityTaken),
        _ => Ok(()),
    }
}

/// Who is let in; `None` if the password has to be hashed first. Of a question, a newcomer is nobody.
fn admitted(wish: &Wish) -> Option<Uuid> {
    match &wish.applicant {
        Applicant::Student(student_id) => Some(*student_id),
        Applicant::Newcomer { account: None, .. } => Some(Uuid::nil()),
        Applicant::Newcomer {
            account: Some(account),
            ..
        } => (!account.hash_missing).then_some(account.student_id),
    }
}
