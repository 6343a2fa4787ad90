//! What is wished for in a schedule, and a good client that insists on an answer.

use std::time::Duration;

use latchkey_proto::enrollment::v1::{
    CancelEnrollmentRequest, RedeemKeyRequest, RedeemKeyResponse, RedemptionOutcome,
    RegisterWithKeyRequest, RegisterWithKeyResponse,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::reason_of;
use rand::RngExt;
use rand::rngs::StdRng;
use tokio::time::{Instant, sleep};
use tonic::{Request, Response, Status};

use crate::harness::Caller;

/// How long one call may take before it is given up: an answer may still have been decided.
const CALL_WITHIN: Duration = Duration::from_secs(2);

/// How long a client goes on asking.
const PATIENCE: Duration = Duration::from_mins(1);

/// The longest pause between two attempts; each is any part of it.
const PAUSE: Duration = Duration::from_millis(150);

/// What somebody wants.
#[derive(Debug, Clone)]
pub(super) enum Wish {
    Redeem(RedeemKeyRequest),
    Register(RegisterWithKeyRequest),
}

/// A definite answer, as far as it must be the same whenever it is given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Let in, or in already, by this enrollment.
    In {
        outcome: RedemptionOutcome,
        enrollment_id: String,
        student_id: String,
    },
    /// Refused for good.
    Refused(ErrorReason),
}

/// What an attempt came to.
type Attempt = Result<Answer, Status>;

impl Wish {
    pub(super) fn id(&self) -> &str {
        match self {
            Self::Redeem(request) => &request.redemption_id,
            Self::Register(request) => &request.redemption_id,
        }
    }

    /// The same wish under another id, as no good client would have it.
    pub(super) fn renamed(&self, id: &str) -> Self {
        let mut other = self.clone();
        match &mut other {
            Self::Redeem(request) => id.clone_into(&mut request.redemption_id),
            Self::Register(request) => id.clone_into(&mut request.redemption_id),
        }
        other
    }

    /// Asks once. An error is no answer: whether it was decided is not known.
    pub(super) async fn ask(&self, caller: &Caller) -> Attempt {
        let mut client = caller.redemptions();
        match self {
            Self::Redeem(request) => {
                let answer = client.redeem_key(in_time(request.clone())).await;
                definite(answer.map(Response::into_inner).map(Answer::from))
            }
            Self::Register(request) => {
                let answer = client.register_with_key(in_time(request.clone())).await;
                definite(answer.map(Response::into_inner).map(Answer::from))
            }
        }
    }

    /// Asks until there is a definite answer, at any of `callers` each time.
    pub(super) async fn insist(&self, callers: &[Caller], random: &mut StdRng) -> Answer {
        let began = Instant::now();
        loop {
            let caller = &callers[random.random_range(0..callers.len())];
            match self.ask(caller).await {
                Ok(answer) => return answer,
                Err(status) if began.elapsed() > PATIENCE => {
                    panic!("{} has no answer: {status:?}", self.id())
                }
                Err(_) => sleep(PAUSE.mul_f64(random.random_range(0.0..1.0))).await,
            }
        }
    }
}

/// Cancels an enrollment, as its student does, until it is known to be cancelled.
pub(super) async fn cancel(callers: &[Caller], enrollment_id: &str, random: &mut StdRng) {
    let began = Instant::now();
    loop {
        let caller = &callers[random.random_range(0..callers.len())];
        let request = CancelEnrollmentRequest {
            enrollment_id: enrollment_id.to_owned(),
            ..CancelEnrollmentRequest::default()
        };
        let answer = caller
            .enrollments()
            .cancel_enrollment(in_time(request))
            .await;
        match answer {
            Ok(_) => return,
            Err(status) if began.elapsed() > PATIENCE => {
                panic!("{enrollment_id} is not cancelled: {status:?}")
            }
            Err(_) => sleep(PAUSE.mul_f64(random.random_range(0.0..1.0))).await,
        }
    }
}

fn in_time<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(CALL_WITHIN);
    request
}

/// Refusals that will stand; everything else means that it is to be asked again.
fn definite(answer: Attempt) -> Attempt {
    match answer {
        Err(status) => match reason_of(&status) {
            Some(
                reason @ (ErrorReason::ClassFull
                | ErrorReason::KeyAlreadyRedeemed
                | ErrorReason::EmailTaken
                | ErrorReason::WindowClosed
                | ErrorReason::RequestIdReused),
            ) => Ok(Answer::Refused(reason)),
            _ => Err(status),
        },
        answer => answer,
    }
}

impl From<RedeemKeyResponse> for Answer {
    fn from(answer: RedeemKeyResponse) -> Self {
        let outcome = answer.outcome();
        let enrollment = answer.enrollment.expect("an enrollment");
        Self::In {
            outcome,
            enrollment_id: enrollment.enrollment_id,
            student_id: enrollment.student_id,
        }
    }
}

impl From<RegisterWithKeyResponse> for Answer {
    fn from(answer: RegisterWithKeyResponse) -> Self {
        let enrollment = answer.enrollment.expect("an enrollment");
        Self::In {
            outcome: RedemptionOutcome::Enrolled,
            enrollment_id: enrollment.enrollment_id,
            student_id: enrollment.student_id,
        }
    }
}
