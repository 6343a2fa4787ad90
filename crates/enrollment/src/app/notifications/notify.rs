//! Telling people, in every replica: what is to be written is found at each look, and what is due is sent.

use std::sync::Arc;

use latchkey_service_kit::backoff::any_part_of;
use latchkey_service_kit::telemetry::Chain;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::send_letters::{Patience, send_letters};
use super::write_letters;
use crate::app::delivery::sweep::in_time;
use crate::app::{Error, Services};
use crate::clients::smtp::Mailer;
use crate::store;

/// Runs until `shutdown` is cancelled. Without a way to a mail server letters are written and wait. Failures are logged and
/// tried again at the next look.
pub async fn run(
    services: Arc<Services>,
    mail: Option<(Mailer, Patience)>,
    shutdown: CancellationToken,
) {
    let mut next_times = Instant::now();
    loop {
        let look = Instant::now() + any_part_of(2 * services.pace.look);
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = sleep_until(look) => {}
        }
        let times = next_times <= Instant::now();
        if times {
            next_times = Instant::now() + any_part_of(2 * services.pace.sweep);
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            done = once(&services, mail.as_ref(), times) => if let Err(error) = done {
                tracing::warn!(error = %Chain(&error), "people are told late");
            }
        }
    }
}

/// Does all there is to do, once; what is timed only if `times`.
async fn once(
    services: &Services,
    mail: Option<&(Mailer, Patience)>,
    times: bool,
) -> Result<(), Error> {
    let (changes, clock) = in_time(services, async {
        Ok(store::notifications::changes::are_planned(&services.pool).await?)
    })
    .await?;
    if changes {
        while in_time(services, write_letters::about_changes(services)).await? {}
    }
    if clock && times {
        write_letters::about_times(services).await?;
    }
    let Some((mailer, patience)) = mail else {
        return Ok(());
    };
    if changes || clock {
        while send_letters(services, mailer, patience).await? {}
        let age = in_time(services, async {
            Ok(store::letters::sending::oldest_due_seconds(&services.pool).await?)
        })
        .await?;
        metrics::gauge!("latchkey_letters_oldest_due_seconds").set(age);
    }
    Ok(())
}
