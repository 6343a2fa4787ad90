//! Bugs planted for tests in what redemptions are decided on: each makes a fact unseen. Nothing of this is in what is
//! shipped.

use latchkey_service_kit::faults::planted;

use crate::domain::decision::{Ledger, Wish};

/// Falsifies the facts about `wishes` as the planted bugs demand.
pub(super) fn distort(ledger: &mut Ledger, wishes: &[&Wish]) {
    if planted("bug::fingerprint_not_compared") {
        for wish in wishes {
            let recorded = wish
                .redemption_id
                .and_then(|id| ledger.recorded.get_mut(&id));
            if let Some(recorded) = recorded {
                recorded.fingerprint.clone_from(&wish.fingerprint);
            }
        }
    }
    if planted("bug::replay_looks_at_the_code_first") {
        ledger.recorded.clear();
    }
    if planted("bug::unknown_use_overlooked") {
        let uses = wishes.iter().filter_map(|wish| wish.key.as_ref()?.live_use);
        ledger.known_uses.extend(uses.map(|one| one.redemption_id));
    }
}
