//! The race: all forty at once.

use std::sync::Mutex;

use anyhow::Context;
use futures::future::{join, try_join_all};
use latchkey_proto::enrollment::v1::RedeemKeyRequest;
use latchkey_service_kit::ids::os_random;
use rand::seq::SliceRandom;

use super::attempt::{Attempt, Spelling, redeem, register, registration};
use super::scenario::{Scenario, new_id};
use super::students::{Code, FORTY, Habit, Way};

/// Lets all forty try at once; returns every try in the order in which the answers came.
pub(super) async fn run(scenario: &Scenario<'_>) -> anyhow::Result<Vec<Attempt>> {
    let answered = Mutex::new(Vec::new());
    let mut numbers: Vec<usize> = (0..FORTY.len()).collect();
    // Whoever comes first, comes first by chance.
    numbers.shuffle(&mut os_random());
    let all = numbers
        .into_iter()
        .map(|number| person(scenario, number, &answered));
    try_join_all(all).await?;
    answered.into_inner().ok().context("somebody panicked")
}

/// What one person does, one step after the other.
async fn person(
    scenario: &Scenario<'_>,
    number: usize,
    answered: &Mutex<Vec<Attempt>>,
) -> anyhow::Result<()> {
    let person = &FORTY[number];
    let go = async |spelling: Spelling, redemption_id: String| {
        let attempt = attempt(scenario, number, person.code, spelling, redemption_id).await?;
        if let Ok(mut answered) = answered.lock() {
            answered.push(attempt);
        }
        anyhow::Ok(())
    };
    match person.habit {
        Habit::Plain => go(Spelling::Printed, new_id()).await,
        Habit::Sloppy => go(Spelling::Sloppy, new_id()).await,
        Habit::Mistypes => {
            go(Spelling::Mistyped, new_id()).await?;
            go(Spelling::Printed, new_id()).await
        }
        Habit::PressesTwice => {
            let redemption_id = new_id();
            let both = join(
                go(Spelling::Printed, redemption_id.clone()),
                go(Spelling::Printed, redemption_id),
            );
            let (first, second) = both.await;
            first.and(second)
        }
        Habit::ComesAgain => {
            go(Spelling::Printed, new_id()).await?;
            go(Spelling::Printed, new_id()).await
        }
    }
}

/// One try of the person with this number: redeems with an account, registers without one.
pub(super) async fn attempt(
    scenario: &Scenario<'_>,
    number: usize,
    code: Code,
    spelling: Spelling,
    redemption_id: String,
) -> anyhow::Result<Attempt> {
    let typed = spelling.of(&scenario.handout(code).code);
    let answer = match FORTY[number].way {
        Way::Account => {
            let student_id = scenario.accounts[&number].clone();
            let student = scenario.student(&student_id)?;
            let request = RedeemKeyRequest {
                redemption_id: redemption_id.clone(),
                code: typed,
                student_id,
                ..RedeemKeyRequest::default()
            };
            redeem(&student, &request).await
        }
        Way::Registers => {
            let organization = &scenario.organization_id;
            let request = registration(&FORTY[number], organization, &redemption_id, typed);
            register(&scenario.platform, &request).await
        }
    };
    Ok(Attempt {
        person: number,
        code,
        spelling,
        redemption_id,
        answer,
    })
}
