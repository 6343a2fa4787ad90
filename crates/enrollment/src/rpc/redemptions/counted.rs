//! Answers to redemptions as metrics. This is where they are given, so each is counted once.

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::name;
use metrics::counter;

use crate::app::Error;
use crate::app::redemption::admission::{Admitted, Granted};
use crate::rpc::errors;

/// Counts an answer to a redemption or a registration. An outage, an overload and the like answer nothing, and are
/// counted with the calls.
pub(super) fn count(result: &Result<Admitted, Error>) {
    let (outcome, reason, replayed) = match result {
        Ok(admitted) => {
            let outcome = match admitted.outcome {
                Granted::Enrolled => "enrolled",
                Granted::WaitListed => "wait_listed",
                Granted::Assigned => "assigned",
                Granted::AlreadyIn => "already_in",
            };
            (outcome, "", admitted.replayed)
        }
        Err(Error::Refused(refusal)) => {
            let reason = errors::reason(refusal);
            if reason == ErrorReason::ClassFull {
                counter!("latchkey_seats_refused_total").increment(1);
            }
            ("refused", name(reason), false)
        }
        Err(_) => return,
    };
    counter!(
        "latchkey_redemptions_total",
        "outcome" => outcome,
        "reason" => reason,
        "replayed" => if replayed { "true" } else { "false" },
    )
    .increment(1);
}
