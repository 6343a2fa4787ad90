//! What answers say, and whether that can be true.

use std::fmt;

use latchkey_proto::enrollment::v1::{
    CheckKeyResponse, Enrollment, RedeemKeyResponse, RedemptionOutcome, RegisterWithKeyResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::name;
use prost::Message;
use prost::bytes::Bytes;
use uuid::Uuid;

use super::super::supply::{KeyNumber, Supply, Ticket};
use super::request::Wish;

/// What the answer to a redemption says: what a replay must say again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// The student is in.
    In {
        /// By this enrollment.
        enrollment: Uuid,
        /// Who.
        student: Uuid,
        /// In which class.
        class: Uuid,
        /// The student had been in already.
        already_in: bool,
    },
    /// It was refused.
    Refused(ErrorReason),
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::In {
                enrollment,
                student,
                class,
                already_in,
            } => {
                let how = if *already_in {
                    "already in"
                } else {
                    "enrolled"
                };
                write!(
                    f,
                    "the student {student} was {how} in the class {class} by {enrollment}"
                )
            }
            Self::Refused(reason) => write!(f, "{}", name(*reason)),
        }
    }
}

/// A redemption and the first answer to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct First {
    /// Its id.
    pub(super) id: Uuid,
    /// What was wanted.
    pub(super) wish: Wish,
    /// What was said.
    pub(super) said: Said,
}

/// An answer that was understood.
#[derive(Debug, Clone, Copy)]
pub(super) struct Granted {
    pub(super) said: Said,
    /// It says of itself that it repeats an earlier one.
    pub(super) replayed: bool,
}

/// Whether a refusal for this reason is a decision, which is recorded and repeated for the same id.
pub(super) fn is_decision(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::CodeReplaced
            | ErrorReason::KeyRevoked
            | ErrorReason::ClassCancelled
            | ErrorReason::ClassNotScheduled
            | ErrorReason::WindowClosed
            | ErrorReason::StudentInactive
            | ErrorReason::StudentBlocked
            | ErrorReason::KeyAlreadyRedeemed
            | ErrorReason::ClassFull
    )
}

/// Whether a refusal for this reason comes before a recorded decision is looked at: it speaks of who calls, and how often, and
/// denies nothing that was decided.
pub(super) fn is_of_the_caller(reason: ErrorReason) -> bool {
    matches!(
        reason,
        ErrorReason::TokenMissing
            | ErrorReason::TokenInvalid
            | ErrorReason::CredentialsInvalid
            | ErrorReason::NotAllowed
            | ErrorReason::MethodUnknown
            | ErrorReason::TooManyAttempts
    )
}

/// Reads the answer to `wish`; the text says what in it cannot be true.
pub(super) fn of_redemption(
    supply: &Supply,
    wish: &Wish,
    message: Bytes,
) -> Result<Granted, String> {
    let (enrollment, replayed, already_in) = match wish {
        Wish::Redeem { student, .. } => {
            let answer = RedeemKeyResponse::decode(message).map_err(|error| error.to_string())?;
            let already_in = match answer.outcome() {
                RedemptionOutcome::Enrolled => false,
                RedemptionOutcome::AlreadyIn => true,
                other => return Err(format!("the outcome {}", other.as_str_name())),
            };
            let enrollment = answer.enrollment.ok_or("no enrollment")?;
            let of = uuid(&enrollment.student_id)?;
            if of != *student {
                return Err(format!("an enrollment of the student {of} for {student}"));
            }
            (enrollment, answer.replayed, already_in)
        }
        Wish::Register { .. } => {
            let answer = RegisterWithKeyResponse::decode(message);
            let answer = answer.map_err(|error| error.to_string())?;
            let enrollment = answer.enrollment.ok_or("no enrollment")?;
            let student = answer.student.ok_or("no account")?.student_id;
            if student != enrollment.student_id {
                return Err(format!(
                    "an enrollment of {} with the account of {student}",
                    enrollment.student_id
                ));
            }
            (enrollment, answer.replayed, false)
        }
    };
    let ticket = wish.ticket();
    right_class(supply, ticket, &enrollment.class_id)?;
    if !already_in {
        right_key(supply, ticket, &enrollment)?;
    }
    let said = Said::In {
        enrollment: uuid(&enrollment.enrollment_id)?,
        student: uuid(&enrollment.student_id)?,
        class: uuid(&enrollment.class_id)?,
        already_in,
    };
    Ok(Granted { said, replayed })
}

/// Reads the answer to a question for the code of `ticket`.
pub(super) fn of_check(supply: &Supply, ticket: Ticket, message: Bytes) -> Result<(), String> {
    let answer = CheckKeyResponse::decode(message).map_err(|error| error.to_string())?;
    let class = answer.opened_class.ok_or("no class")?;
    right_class(supply, ticket, &class.class_id)
}

/// What a replay says that the first answer did not say, if it differs.
pub(super) fn difference(first: &Said, again: &Said, replayed: bool) -> Option<String> {
    if first != again {
        return Some(format!("first {first}, then {again}"));
    }
    let silent = matches!(again, Said::In { .. }) && !replayed;
    silent.then(|| "it does not say that it is one".to_owned())
}

fn right_class(supply: &Supply, ticket: Ticket, said: &str) -> Result<(), String> {
    let said = uuid(said)?;
    let class = supply.classes[ticket.class as usize].id;
    if said != class {
        return Err(format!("the class {said} for a key of {class}"));
    }
    Ok(())
}

fn right_key(supply: &Supply, ticket: Ticket, enrollment: &Enrollment) -> Result<(), String> {
    let Some(key) = supply.key(ticket).id else {
        return Ok(());
    };
    let origin = enrollment.origin.as_ref().ok_or("no origin")?;
    let said = uuid(&origin.key_id)?;
    if said != key {
        let kind = match ticket.key {
            KeyNumber::Enrollment(_) => "enrollment",
            KeyNumber::Event => "event",
        };
        return Err(format!("came by the key {said} with the {kind} key {key}"));
    }
    Ok(())
}

fn uuid(text: &str) -> Result<Uuid, String> {
    text.parse().map_err(|_| format!("the id {text:?}"))
}

#[cfg(test)]
mod tests {
    use latchkey_proto::enrollment::v1::{EnrollmentOrigin, OpenedClass, Student};

    use super::super::super::supply::{Class, Key, Organization};
    use super::*;

    const STUDENT: Uuid = Uuid::from_u128(2);
    const CLASS: Uuid = Uuid::from_u128(5);
    const TICKET: Ticket = Ticket {
        class: 0,
        key: KeyNumber::Enrollment(0),
        student: 0,
    };
    const WISH: Wish = Wish::Redeem {
        ticket: TICKET,
        student: STUDENT,
    };

    fn supply() -> Supply {
        Supply {
            organizations: vec![Organization::default()],
            classes: vec![Class {
                id: CLASS,
                keys: vec![Key {
                    id: Some(Uuid::from_u128(3)),
                    code: "EK-3".to_owned(),
                }],
                ..Class::default()
            }],
            ..Supply::default()
        }
    }

    fn enrolled(change: impl FnOnce(&mut Enrollment)) -> RedeemKeyResponse {
        let mut enrollment = Enrollment {
            enrollment_id: Uuid::from_u128(7).to_string(),
            class_id: CLASS.to_string(),
            student_id: STUDENT.to_string(),
            origin: Some(EnrollmentOrigin {
                key_id: Uuid::from_u128(3).to_string(),
                ..EnrollmentOrigin::default()
            }),
            ..Enrollment::default()
        };
        change(&mut enrollment);
        RedeemKeyResponse {
            enrollment: Some(enrollment),
            outcome: RedemptionOutcome::Enrolled.into(),
            ..RedeemKeyResponse::default()
        }
    }

    fn read(answer: &RedeemKeyResponse) -> Result<Granted, String> {
        of_redemption(&supply(), &WISH, answer.encode_to_vec().into())
    }

    #[test]
    fn an_answer_is_about_what_was_asked() {
        let good = read(&enrolled(|_| ())).expect("good");
        assert!(matches!(
            good.said,
            Said::In {
                already_in: false,
                ..
            }
        ));
        let other = Uuid::from_u128(99).to_string();
        for (bad, word) in [
            (enrolled(|e| e.student_id.clone_from(&other)), "student"),
            (enrolled(|e| e.class_id.clone_from(&other)), "class"),
            (
                enrolled(|e| e.origin.as_mut().expect("one").key_id.clone_from(&other)),
                "key",
            ),
            (enrolled(|e| e.origin = None), "origin"),
            (enrolled(|e| e.enrollment_id.clear()), "id"),
            (RedeemKeyResponse::default(), "outcome"),
        ] {
            let error = read(&bad).expect_err(word);
            assert!(error.contains(word), "{error}");
        }
        // Who was in already may have come by another key.
        let mut already = enrolled(|e| e.origin.as_mut().expect("one").key_id.clone_from(&other));
        already.set_outcome(RedemptionOutcome::AlreadyIn);
        read(&already).expect("good");
    }

    #[test]
    fn a_registration_makes_the_account_that_is_enrolled() {
        let answer = |student: Uuid| RegisterWithKeyResponse {
            student: Some(Student {
                student_id: student.to_string(),
                ..Student::default()
            }),
            enrollment: enrolled(|_| ()).enrollment,
            ..RegisterWithKeyResponse::default()
        };
        let wish = Wish::Register { ticket: TICKET };
        let read =
            |student| of_redemption(&supply(), &wish, answer(student).encode_to_vec().into());
        read(STUDENT).expect("good");
        read(Uuid::from_u128(99)).expect_err("another account");
    }

    #[test]
    fn a_check_names_the_class_of_the_key() {
        let answer = |class: Uuid| CheckKeyResponse {
            opened_class: Some(OpenedClass {
                class_id: class.to_string(),
                ..OpenedClass::default()
            }),
            ..CheckKeyResponse::default()
        };
        let read = |class| of_check(&supply(), TICKET, answer(class).encode_to_vec().into());
        read(CLASS).expect("good");
        read(STUDENT).expect_err("another class");
    }

    #[test]
    fn a_replay_that_differs_is_seen() {
        let first = read(&enrolled(|_| ())).expect("good").said;
        assert_eq!(difference(&first, &first, true), None);
        assert!(difference(&first, &first, false).is_some(), "it says so");
        let other = Uuid::from_u128(99).to_string();
        let changed = read(&enrolled(|e| e.enrollment_id.clone_from(&other))).expect("read");
        assert!(difference(&first, &changed.said, true).is_some());
        let full = Said::Refused(ErrorReason::ClassFull);
        assert!(difference(&first, &full, false).is_some());
        assert!(difference(&full, &first, true).is_some());
        assert_eq!(difference(&full, &full, false), None);
        let spent = Said::Refused(ErrorReason::KeyAlreadyRedeemed);
        let told = difference(&full, &spent, false).expect("another reason");
        assert_eq!(told, "first CLASS_FULL, then KEY_ALREADY_REDEEMED");
        let told = difference(&first, &full, false).expect("something else");
        assert!(told.contains(" was enrolled in the class "), "{told}");
    }
}
