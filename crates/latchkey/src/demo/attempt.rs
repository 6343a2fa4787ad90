//! One try of somebody to get in, and the answer to it.

use std::time::Duration;

use latchkey_proto::enrollment::v1::{
    Credential, Enrollment, Password, RedeemKeyRequest, RedemptionOutcome, RegisterWithKeyRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::{may_be_repeated, reason_of};
use tonic::Status;

use super::callers::Caller;
use super::students::{Code, Person};

/// How often a call is made whose outcome stays unknown, or that is asked to come back.
const TRIES: u32 = 5;
/// How long to wait before such a call is made again.
const PAUSE: Duration = Duration::from_millis(200);
/// What everybody who registers chooses as a password.
const PASSWORD: &str = "correct horse battery staple";

/// How somebody types a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// As printed.
    Printed,
    /// In small letters, without hyphens, O for 0 and l for 1.
    Sloppy,
    /// With one symbol wrong.
    Mistyped,
}

impl Spelling {
    /// What is typed for `code`.
    pub(super) fn of(self, code: &str) -> String {
        match self {
            Self::Printed => code.to_owned(),
            Self::Sloppy => code
                .chars()
                .filter(|symbol| *symbol != '-')
                .map(|symbol| match symbol {
                    '0' => 'o',
                    '1' => 'l',
                    other => other.to_ascii_lowercase(),
                })
                .collect(),
            Self::Mistyped => {
                // Behind the prefix and its hyphen, where every symbol counts.
                let place = code.find('-').map_or(0, |hyphen| hyphen + 2);
                let wrong = |symbol| if symbol == '7' { '9' } else { '7' };
                let symbols = code.chars().enumerate();
                symbols
                    .map(|(at, symbol)| if at == place { wrong(symbol) } else { symbol })
                    .collect()
            }
        }
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// The student is in.
    In {
        /// By this enrollment.
        enrollment_id: String,
        /// It is of this student.
        student_id: String,
        /// The answer repeats an earlier one.
        replayed: bool,
        /// The student had been in already, by another redemption.
        already_in: bool,
    },
    /// Refused, as the contract says.
    Refused {
        /// Why.
        reason: ErrorReason,
        /// Why, for people.
        text: String,
    },
    /// Something that no rule foresees.
    Unforeseen(String),
}

/// One try, with its answer.
#[derive(Debug, Clone)]
pub(super) struct Attempt {
    /// Whose: the number among the forty.
    pub(super) person: usize,
    /// With which code.
    pub(super) code: Code,
    /// How it was typed.
    pub(super) spelling: Spelling,
    /// The id of the redemption.
    pub(super) redemption_id: String,
    /// What came back.
    pub(super) answer: Answer,
}

impl Attempt {
    /// Whether the answer says that the student is in.
    pub(super) fn is_in(&self) -> bool {
        matches!(self.answer, Answer::In { .. })
    }

    /// The reason, if it was refused.
    pub(super) fn reason(&self) -> Option<ErrorReason> {
        match &self.answer {
            Answer::Refused { reason, .. } => Some(*reason),
            Answer::In { .. } | Answer::Unforeseen(_) => None,
        }
    }
}

/// Redeems as a student with an account. Tries again with the same id while the outcome is unknown.
pub(super) async fn redeem(caller: &Caller, request: &RedeemKeyRequest) -> Answer {
    let mut tries = 1;
    loop {
        match caller.redemptions().redeem_key(request.clone()).await {
            Ok(response) => {
                let response = response.into_inner();
                let already_in = response.outcome() == RedemptionOutcome::AlreadyIn;
                return is_in(response.enrollment, response.replayed, already_in);
            }
            Err(status) if tries < TRIES && may_be_repeated(&status) => tries += 1,
            Err(status) => return refused(&status),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Registers somebody. Tries again with the same id while the outcome is unknown.
pub(super) async fn register(platform: &Caller, request: &RegisterWithKeyRequest) -> Answer {
    let mut tries = 1;
    loop {
        match platform
            .redemptions()
            .register_with_key(request.clone())
            .await
        {
            Ok(response) => {
                let response = response.into_inner();
                return is_in(response.enrollment, response.replayed, false);
            }
            Err(status) if tries < TRIES && may_be_repeated(&status) => tries += 1,
            Err(status) => return refused(&status),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The request by which `person` registers in `organization_id` with `code`.
pub(super) fn registration(
    person: &Person,
    organization_id: &str,
    redemption_id: &str,
    code: String,
) -> RegisterWithKeyRequest {
    RegisterWithKeyRequest {
        redemption_id: redemption_id.to_owned(),
        code,
        organization_id: organization_id.to_owned(),
        email: person.email(),
        given_name: person.given.to_owned(),
        family_name: person.family.to_owned(),
        credential: Some(Credential {
            password: Some(Password {
                text: PASSWORD.to_owned(),
            }),
            external_identity: None,
        }),
    }
}

fn is_in(enrollment: Option<Enrollment>, replayed: bool, already_in: bool) -> Answer {
    match enrollment {
        Some(enrollment) => Answer::In {
            enrollment_id: enrollment.enrollment_id,
            student_id: enrollment.student_id,
            replayed,
            already_in,
        },
        None => Answer::Unforeseen("the answer has no enrollment".to_owned()),
    }
}

fn refused(status: &Status) -> Answer {
    match reason_of(status) {
        Some(reason) => Answer::Refused {
            reason,
            text: status.message().to_owned(),
        },
        None => Answer::Unforeseen(format!("{}: {}", status.code(), status.message())),
    }
}

#[cfg(test)]
mod tests {
    use latchkey_code::{Kind, generate, parse};
    use latchkey_service_kit::ids::os_random;

    use super::*;

    #[test]
    fn a_sloppy_spelling_is_the_same_code_and_a_mistyped_one_is_none() {
        for _ in 0..200 {
            let code = generate(Kind::Enrollment, &mut os_random());
            let printed = code.expose_text();
            let canonical = parse(printed).expect("a generated code");
            let sloppy = Spelling::Sloppy.of(printed);
            assert_ne!(sloppy, printed);
            assert_eq!(parse(&sloppy).expect("the same code"), canonical);
            parse(&Spelling::Mistyped.of(printed)).expect_err("a typing error is seen");
        }
    }
}
