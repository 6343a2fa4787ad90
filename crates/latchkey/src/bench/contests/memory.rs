//! What the services take of memory: idle, and at their peaks under all that is measured.

use super::super::catalogue::Benchmark;
use super::super::drive::{Driver, closed_loop};
use super::super::rounds::{Round, Sample};
use super::super::site::Site;
use super::{Arena, Played, services};
use crate::load::engine::Plan;
use crate::load::mix::Action;
use crate::load::prepare::Wanted;

/// What a service may take when nobody calls it, in MiB.
const IDLE_MIB: f64 = 64.0;
/// What it may take at most, in MiB.
const PEAK_MIB: f64 = 256.0;

/// All kinds of calls at once.
const MIX: &str = "enrollment=40,event=20,register=20,check=10,replay=5,spent=5";
const STREAMS: usize = 256;

/// What was seen of memory so far.
#[derive(Debug, Default)]
pub struct Book {
    idle_mib: f64,
    peaks: Vec<(String, f64)>,
}

impl Book {
    /// Notes what a site took before anybody called it.
    pub fn idle(&mut self, site: &Site) {
        self.idle_mib = self.idle_mib.max(site.idle_mib);
    }

    /// Notes the peaks of all rounds of a benchmark.
    pub fn note(&mut self, benchmark: Benchmark, rounds: &[Round]) {
        let peak = |sample: &Sample| {
            let usage = sample.usage?;
            Some(usage.keys_peak_mib.max(usage.enrollment_peak_mib))
        };
        let peaks: Vec<f64> = rounds
            .iter()
            .filter_map(|round| peak(&round.ours))
            .collect();
        let (Some(first), Some(last)) = (peaks.first(), peaks.last()) else {
            return;
        };
        let most = peaks.iter().copied().fold(0.0, f64::max);
        let name = format!(
            "{}: {first:.0} MiB in the first round, {last:.0} in the last",
            benchmark.name()
        );
        self.peaks.push((name, most));
    }

    /// One round for what is idle, and one for each benchmark.
    fn rounds(&self) -> Vec<Round> {
        let round = |bound: f64, value: f64, note: &str| {
            let sample = |value, note: &str| Sample {
                value,
                usage: None,
                note: note.to_owned(),
            };
            Round::of(sample(bound, ""), sample(value, note))
        };
        let idle = round(IDLE_MIB, self.idle_mib, "idle");
        let peaks = self.peaks.iter();
        std::iter::once(idle)
            .chain(peaks.map(|(note, peak)| round(PEAK_MIB, *peak, note)))
            .collect()
    }
}

/// Puts services of their own under all kinds of calls, round after round, and tells what all sites took up to now.
pub(super) async fn play(arena: &mut Arena<'_>) -> anyhow::Result<Played> {
    let (ground, scale) = (arena.ground, arena.scale);
    let calls = scale.calls / 2;
    let plan = Plan {
        mix: MIX.parse()?,
        ..closed_loop(Action::Enrollment, STREAMS, calls)
    };
    let all = scale.all_calls(calls);
    let wanted = Wanted {
        classes: 50,
        enrollment_keys: all / 2,
        event_seats: all * 3 / 10,
        registrations: all * 3 / 10,
        spares: true,
        ..Wanted::default()
    };
    let site = Site::start(ground, Benchmark::Memory.name(), 1).await?;
    arena.book.idle(&site);
    let mut driver = Driver::prepare(ground, &site, &wanted, arena.progress).await?;
    driver.expect_refusals();
    let mut rounds = Vec::new();
    for _ in 0..scale.rounds {
        let ours = driver.rate(&plan).await?;
        rounds.push(Round::of(ours.clone(), ours));
    }
    arena.book.note(Benchmark::Memory, &rounds);
    let wrong = services::wrong(&mut [&mut driver], &[&site]).await?;
    drop(driver);
    site.stop(ground).await?;
    Ok(Played {
        rounds: arena.book.rounds(),
        wrong,
    })
}
