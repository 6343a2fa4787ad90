//! How throughput goes with the number of those who redeem at once, both ways.

use std::fmt::Write as _;

use super::super::baselines::{ByHand, Script};
use super::super::drive::{Driver, closed_loop};
use super::super::site::Site;
use super::Arena;
use super::by_hand::{keys, seats};
use crate::load::mix::Action;

/// How many redeem at once: streams of ours, clients of pgbench.
const AT_ONCE: [u32; 6] = [1, 8, 32, 64, 128, 256];
/// The server takes 200 connections.
const MOST_CLIENTS: u32 = 128;

/// Redemptions a second, for each number of those who redeem at once.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// What is redeemed.
    pub title: &'static str,
    /// How many redeem at once, redemptions a second of ours, and by hand, where that many connections can be.
    pub points: Vec<(u32, f64, Option<f64>)>,
}

/// Draws the curves of single-use keys and of one hot class.
///
/// # Errors
/// When something cannot be measured.
pub(super) async fn draw(arena: &mut Arena<'_>) -> anyhow::Result<Vec<Curve>> {
    let mut by_hand = ByHand::prepare(arena.ground, arena.scale.keys_by_hand).await?;
    let calls = arena.scale.calls;
    let all = arena.scale.all_calls(calls) * AT_ONCE.len();
    let mut curves = Vec::new();
    for (title, name, script, action, wanted) in [
        (
            "Single-use keys of 100 classes",
            "curve_of_keys",
            Script::SingleUse,
            Action::Enrollment,
            keys(all),
        ),
        (
            "One event key of one class",
            "curve_of_seats",
            Script::HotClass,
            Action::Event,
            seats(all),
        ),
    ] {
        arena.progress.step(format!("{title}: preparing"));
        let site = Site::start(arena.ground, name, 1).await?;
        let mut driver = Driver::prepare(arena.ground, &site, &wanted, arena.progress).await?;
        let mut points = Vec::new();
        for at_once in AT_ONCE {
            let streams = usize::try_from(at_once)?;
            // Alone, one makes a tenth of the calls in the same time.
            let calls = if at_once == 1 { calls / 10 } else { calls };
            let plan = closed_loop(action, streams, calls);
            if at_once == AT_ONCE[0] {
                driver.warm_up(&plan).await?;
            }
            let ours = driver.rate(&plan).await?.value;
            let theirs = if at_once <= MOST_CLIENTS {
                let clients = [at_once];
                let best = by_hand.best(script, &clients, arena.scale.by_hand);
                Some(best.await?.value)
            } else {
                None
            };
            arena.progress.note(format!(
                "{title}, {at_once} at once: {ours:.0} against {theirs:?}"
            ));
            points.push((at_once, ours, theirs));
        }
        drop(driver);
        site.stop(arena.ground).await?;
        curves.push(Curve { title, points });
    }
    Ok(curves)
}

impl Curve {
    /// A chart in Mermaid's language, with the figures in a table below it.
    pub fn for_page(&self) -> String {
        let list = |figures: &mut dyn Iterator<Item = f64>| {
            let figures: Vec<String> = figures.map(|figure| format!("{figure:.0}")).collect();
            figures.join(", ")
        };
        let at_once: Vec<String> = self
            .points
            .iter()
            .map(|point| point.0.to_string())
            .collect();
        let ours = list(&mut self.points.iter().map(|point| point.1));
        let theirs = list(&mut self.points.iter().filter_map(|point| point.2));
        let mut text = format!(
            "```mermaid\nxychart-beta\n    title \"{}: redemptions a second, by how many redeem at once (upper line: ours)\"\n    \
             x-axis [{}]\n    y-axis \"redemptions a second\"\n    line [{ours}]\n    line [{theirs}]\n```\n\n\
             | at once | ours | pgbench |\n|---|---|---|\n",
            self.title,
            at_once.join(", ")
        );
        for (at_once, ours, theirs) in &self.points {
            let theirs = theirs.map_or_else(String::new, |theirs| format!("{theirs:.0}"));
            let _ = writeln!(text, "| {at_once} | {ours:.0} | {theirs} |");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_a_chart_and_its_figures() {
        let curve = Curve {
            title: "Keys",
            points: vec![(1, 900.4, Some(1_000.0)), (256, 9_000.0, None)],
        };
        let page = curve.for_page();
        for part in [
            "x-axis [1, 256]",
            "line [900, 9000]",
            "line [1000]\n",
            "| 1 | 900 | 1000 |",
            "| 256 | 9000 |  |",
        ] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
    }
}
