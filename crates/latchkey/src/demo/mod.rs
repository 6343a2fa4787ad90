//! `latchkey demo`: the main job in one sitting. Forty students race for thirty seats; then the class moves, one of them
//! cancels and another takes the freed key. In a second act, two share the key of a self-paced course; in a third a subscription
//! opens several; in a fourth, somebody waits for a seat, and is told by mail. Every rule that this must follow is checked.

mod aftermath;
mod attempt;
mod callers;
mod expectations;
mod race;
mod records;
mod report;
mod scenario;
mod self_paced;
mod students;
mod subscription;
mod telling;

use std::io::{self, Write};

use anyhow::Context;

use crate::mail_server::MailServer;
use crate::progress::Progress;
use crate::stack::{Service, Stack};
use crate::tail::tail;
use crate::verify::{self, Databases, Drain};
use callers::Lobby;
use expectations::{Story, judge};
use records::Records;
use scenario::Scenario;

/// How much of each service's log is shown when something went wrong.
const LOG_LINES: usize = 15;

/// Plays the demo on a running stack, which writes to people by `server`, and writes what happens to `out`; whether everything
/// went as the rules say.
///
/// # Errors
/// When a step that must succeed does not, or `out` cannot be written.
pub async fn play(
    stack: &Stack,
    server: &MailServer,
    progress: &Progress,
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    progress.step("Setting up a class, its keys and its students");
    let lobby = Lobby::open(stack)?;
    let scenario = Scenario::prepare(&lobby).await?;
    progress.finish();
    writeln!(out, "{}", report::opening(&scenario))?;

    progress.step("Forty students race");
    let race = race::run(&scenario).await?;
    progress.finish();
    writeln!(out, "The race, in the order of the answers")?;
    writeln!(out, "{}\n", report::attempts(&scenario, &race))?;

    let aftermath = aftermath::run(&scenario, &race).await?;
    progress.step("Two share a course");
    let second_act = self_paced::run(&scenario).await?;
    progress.step("Two subscribe, and a third tries to");
    let third_act = subscription::run(&scenario).await?;
    progress.step("Waiting for letters");
    let fourth_act = telling::run(&scenario, server).await?;
    progress.step("Waiting until the keys show who uses them");
    let databases = databases(stack).await?;
    let verified = verify::verify(&databases, &Drain::default()).await?;
    let story = Story {
        key_ids: key_ids(&scenario),
        event_key_id: scenario.event_key.key_id.clone(),
        race,
        aftermath,
        records: Records::read(&scenario).await?,
    };
    progress.finish();
    write!(out, "{}", report::aftermath(&story))?;
    let tries = &story.aftermath.attempts;
    writeln!(out, "{}\n", report::attempts(&scenario, tries))?;
    writeln!(out, "The roster: {}", report::roster(&scenario, &story))?;
    writeln!(out, "{}", report::self_paced(&second_act))?;
    writeln!(out, "{}", report::subscription(&third_act))?;
    writeln!(out, "{}", report::telling(&fourth_act))?;

    let mut verdicts = judge(&story);
    verdicts.extend(self_paced::judge(&second_act));
    verdicts.extend(subscription::judge(&third_act));
    verdicts.extend(telling::judge(&fourth_act));
    writeln!(out, "The rules")?;
    writeln!(out, "{}", report::verdicts(&verdicts))?;
    write!(out, "{}", verified.for_people())?;
    let good = verified.is_ok() && verdicts.iter().all(|verdict| verdict.problems.is_empty());
    if !good {
        write_logs(stack, out)?;
    }
    out.flush()?;
    Ok(good)
}

fn key_ids(scenario: &Scenario<'_>) -> Vec<String> {
    let keys = scenario.enrollment_keys.iter();
    keys.map(|key| key.key_id.clone()).collect()
}

async fn databases(stack: &Stack) -> anyhow::Result<Databases> {
    let urls = stack.database();
    Databases::connect(&urls.keys_url, &urls.enrollment_url)
        .await
        .context("cannot look into the databases")
}

fn write_logs(stack: &Stack, out: &mut impl Write) -> io::Result<()> {
    for service in Service::ALL {
        let log = tail(&stack.log(service), 0, LOG_LINES);
        writeln!(
            out,
            "\nThe log of the {} service ends:\n{log}",
            service.name()
        )?;
    }
    Ok(())
}
