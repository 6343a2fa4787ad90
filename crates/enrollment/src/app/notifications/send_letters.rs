//! Sending what is in the outbox: at least once each, by whichever replica takes it.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use latchkey_service_kit::backoff::Backoff;
use latchkey_service_kit::database::begin;
use latchkey_service_kit::faults::crash_point;

use super::compose_letter::{Unwritten, compose};
use crate::app::delivery::sweep::in_time;
use crate::app::{Error, Services};
use crate::clients::smtp::{Mailer, Unsent};
use crate::store::letters::sending::{self, Claimed, Fate};

/// How many letters one replica takes at once, and how many of them it sends at a time.
const TAKEN: i64 = 16;
const AT_A_TIME: usize = 8;

/// How long what fails is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// The longest pause after a first failure.
    pub first: Duration,
    /// The longest pause after any.
    pub longest: Duration,
    /// After how long a letter is given up.
    pub give_up: Duration,
    /// For how long letters are taken: longer than sending two after the other may last. Whoever dies with them has them sent
    /// by another after that.
    pub lease: Duration,
}

impl Patience {
    /// What becomes of a letter that failed once more, for this reason.
    fn after(&self, letter: &Claimed, why: String) -> Fate {
        let pauses = Backoff {
            first: self.first,
            longest: self.longest,
        };
        let failures = u32::try_from(letter.attempts).unwrap_or(u32::MAX);
        if letter.age >= self.give_up {
            Fate::Dead(format!("GAVE_UP {why}"))
        } else {
            // At least half of it: what comes back at once helps nobody.
            let longest = pauses.longest_after(failures);
            Fate::Again(longest / 2 + pauses.pause(failures) / 2, why)
        }
    }
}

/// Sends the letters whose time has come; whether more may be there.
pub async fn send_letters(
    services: &Services,
    mailer: &Mailer,
    patience: &Patience,
) -> Result<bool, Error> {
    let taken = in_time(services, take(services, patience.lease)).await?;
    let more = taken.len() >= usize::try_from(TAKEN).unwrap_or(usize::MAX);
    for some in taken.chunks(AT_A_TIME) {
        let mut sending = FuturesUnordered::new();
        for letter in some {
            sending.push(send(services, mailer, patience, letter));
        }
        // What fails does not keep the others from being sent.
        let mut failed = None;
        while let Some(outcome) = sending.next().await {
            failed = outcome.err().or(failed);
        }
        failed.map_or(Ok(()), Err)?;
    }
    Ok(more)
}

async fn take(services: &Services, lease: Duration) -> Result<Vec<Claimed>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let taken = sending::claim(&mut transaction, lease, TAKEN).await?;
    transaction.commit().await?;
    Ok(taken)
}

async fn send(
    services: &Services,
    mailer: &Mailer,
    patience: &Patience,
    letter: &Claimed,
) -> Result<(), Error> {
    let composing = Box::pin(compose(services, letter));
    let composed = in_time(services, async { Ok(composing.await) }).await;
    let fate = match composed.unwrap_or_else(|error| Err(Unwritten::Failed(error))) {
        Ok(composed) => {
            let sent = mailer.send(&composed.outgoing(letter)).await;
            crash_point("letters::sent");
            match sent {
                Ok(()) => Fate::Sent,
                Err(Unsent::NotNow(why)) => patience.after(letter, why),
                Err(error) => Fate::Dead(error.to_string()),
            }
        }
        Err(Unwritten::Not(why)) => Fate::Dropped(why),
        Err(Unwritten::Never(why)) => Fate::Dead(why.to_owned()),
        Err(Unwritten::NotNow(why)) => patience.after(letter, why.to_owned()),
        Err(Unwritten::Failed(error)) => return Err(error),
    };
    metrics::counter!("latchkey_letters_total", "result" => fate.as_str()).increment(1);
    if let Fate::Dead(why) = &fate {
        tracing::warn!(letter.id = %letter.letter_id, plan.id = %letter.plan_id, problem = %why, "a letter cannot be sent");
    }
    in_time(services, settle(services, letter, &fate)).await
}

async fn settle(services: &Services, letter: &Claimed, fate: &Fate) -> Result<(), Error> {
    let mut transaction = begin(&services.pool).await?;
    sending::settle(&mut transaction, letter.letter_id, fate).await?;
    transaction.commit().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::domain::notification::letter::{Addressee, Matter};

    fn letter(attempts: i32, age: u64) -> Claimed {
        Claimed {
            letter_id: Uuid::nil(),
            plan_id: Uuid::nil(),
            organization_id: Uuid::nil(),
            matter: Matter::Class(Uuid::nil()),
            recipient: Addressee::OperationsManagers,
            attempts,
            age: Duration::from_secs(age),
        }
    }

    #[test]
    fn pauses_grow_until_a_letter_is_given_up() {
        let patience = Patience {
            first: Duration::from_secs(10),
            longest: Duration::from_mins(1),
            give_up: Duration::from_hours(1),
            lease: Duration::from_secs(1),
        };
        for (attempts, least, most) in [(1, 5, 10), (2, 10, 20), (9, 30, 60)] {
            match patience.after(&letter(attempts, 0), "TIMEOUT".into()) {
                Fate::Again(pause, why) => {
                    assert!((least..=most).contains(&pause.as_secs()), "{pause:?}");
                    assert_eq!(why, "TIMEOUT");
                }
                other => panic!("{other:?}"),
            }
        }
        let old = patience.after(&letter(9, 3_600), "TIMEOUT".into());
        assert_eq!(old, Fate::Dead("GAVE_UP TIMEOUT".into()));
    }
}
