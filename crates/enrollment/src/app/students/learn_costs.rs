//! Finding out what the password hashes that are stored have cost.

use std::sync::Arc;
use std::time::Duration;

use latchkey_service_kit::backoff::Backoff;
use latchkey_service_kit::telemetry::Chain;

use crate::app::Services;
use crate::domain::password::Cost;
use crate::store;

/// How long until it is tried again while the database does not answer.
const BACKOFF: Backoff = Backoff {
    first: Duration::from_millis(500),
    longest: Duration::from_secs(30),
};

/// How often it is tried. Over more accounts than can be read in time, costs are learnt one by one, as they are met.
const TRIES: u32 = 10;

/// Learns all costs that there are hashes of, once, when the process starts: so that who has no account cannot be told by
/// the time it takes to say so.
pub async fn learn_costs(services: Arc<Services>) {
    for failures in 1..=TRIES {
        match store::students::hash_parameters(&services.pool).await {
            Ok(all) => {
                for cost in all.iter().filter_map(|text| Cost::from_text(text)) {
                    services.passwords.learn(cost);
                }
                return;
            }
            Err(error) => {
                tracing::debug!(error = %Chain(&error), "the costs of password hashes are not known yet");
            }
        }
        tokio::time::sleep(BACKOFF.pause(failures)).await;
    }
    tracing::warn!("the costs of password hashes are learnt one by one");
}
