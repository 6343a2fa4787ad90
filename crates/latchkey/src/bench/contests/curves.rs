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
    /// The figures, by how many redeem at once.
    pub points: Vec<Point>,
}

/// Redemptions a second, of so many who redeem at once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// How many.
    pub at_once: u32,
    /// Ours.
    pub ours: f64,
    /// By hand, where that many connections can be.
    pub by_hand: Option<ByHandPoint>,
}

/// Redemptions a second by hand.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ByHandPoint {
    /// Each by one statement: what benchmarks are held to.
    pub one_statement: f64,
    /// Each by a transaction of several statements.
    pub statements: f64,
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
    for (title, name, scripts, action, wanted) in [
        (
            "Single-use keys of 100 classes",
            "curve_of_keys",
            [Script::SingleUse, Script::SingleUseByStatements],
            Action::Enrollment,
            keys(all),
        ),
        (
            "One event key of one class",
            "curve_of_seats",
            [Script::HotClass, Script::HotClassByStatements],
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
            let hand = if at_once <= MOST_CLIENTS {
                let duration = arena.scale.by_hand;
                let [one, several] = scripts;
                let one = by_hand.best(one, &[at_once], duration).await?;
                let several = by_hand.best(several, &[at_once], duration).await?;
                Some(ByHandPoint {
                    one_statement: one.value,
                    statements: several.value,
                })
            } else {
                None
            };
            let point = Point {
                at_once,
                ours,
                by_hand: hand,
            };
            arena.progress.note(format!("{title}: {point:?}"));
            points.push(point);
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
        let line = |figure: fn(&Point) -> Option<f64>| {
            let figures: Vec<String> = self
                .points
                .iter()
                .filter_map(figure)
                .map(|figure| format!("{figure:.0}"))
                .collect();
            format!("    line [{}]\n", figures.join(", "))
        };
        let at_once: Vec<String> = self
            .points
            .iter()
            .map(|point| point.at_once.to_string())
            .collect();
        let mut text = format!(
            "```mermaid\nxychart-beta\n    title \"{}: redemptions a second, by how many redeem at once\"\n    \
             x-axis [{}]\n    y-axis \"redemptions a second\"\n{}{}{}```\n\n\
             | at once | ours | by hand, one statement | by hand, a transaction of statements |\n|---|---|---|---|\n",
            self.title,
            at_once.join(", "),
            line(|point| Some(point.ours)),
            line(|point| Some(point.by_hand?.one_statement)),
            line(|point| Some(point.by_hand?.statements)),
        );
        for point in &self.points {
            let [one, several] = point.by_hand.map_or_else(Default::default, |by_hand| {
                [by_hand.one_statement, by_hand.statements].map(|figure| format!("{figure:.0}"))
            });
            let (at_once, ours) = (point.at_once, point.ours);
            let _ = writeln!(text, "| {at_once} | {ours:.0} | {one} | {several} |");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_a_chart_and_its_figures() {
        let point = |at_once, ours, by_hand: Option<[f64; 2]>| Point {
            at_once,
            ours,
            by_hand: by_hand.map(|[one_statement, statements]| ByHandPoint {
                one_statement,
                statements,
            }),
        };
        let curve = Curve {
            title: "Keys",
            points: vec![
                point(1, 900.4, Some([1_000.0, 400.0])),
                point(256, 9_000.0, None),
            ],
        };
        let page = curve.for_page();
        for part in [
            "x-axis [1, 256]",
            "line [900, 9000]",
            "line [1000]\n",
            "line [400]\n",
            "| 1 | 900 | 1000 | 400 |",
            "| 256 | 9000 |  |  |",
        ] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
    }
}
