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
/// How many times what it took in the first round it may take in the last one: what it needs does not grow with what it did.
const GROWTH: f64 = 1.25;
/// By how many MiB small figures may differ all the same: a process that was started for a benchmark comes to its 80 to 100 MiB
/// within a few rounds, and stays there.
const NOISE_MIB: f64 = 32.0;

/// All kinds of calls at once.
const MIX: &str = "enrollment=40,event=20,register=20,check=10,replay=5,spent=5";
const STREAMS: usize = 256;

/// What was seen of memory so far.
#[derive(Debug, Default)]
pub struct Book {
    idle_mib: f64,
    sides: Vec<Peaks>,
}

/// What the services of one side of a benchmark took at most, round after round.
#[derive(Debug, Clone, PartialEq)]
struct Peaks {
    name: String,
    first: f64,
    last: f64,
    most: f64,
}

impl Peaks {
    /// Those of `samples`, in MiB; nothing, if no service took part.
    fn of<'s>(name: String, samples: impl Iterator<Item = &'s Sample>) -> Option<Self> {
        let peaks: Vec<f64> = samples
            .filter_map(|sample| sample.usage)
            .map(|usage| usage.keys_peak_mib.max(usage.enrollment_peak_mib))
            .collect();
        let most = peaks.iter().copied().fold(0.0, f64::max);
        let (first, last) = (*peaks.first()?, *peaks.last()?);
        (most > 0.0).then_some(Self {
            name,
            first,
            last,
            most,
        })
    }

    /// What the last round may take.
    fn flat(&self) -> f64 {
        (self.first * GROWTH).max(self.first + NOISE_MIB)
    }
}

impl Book {
    /// Notes what a site took before anybody called it.
    pub fn idle(&mut self, site: &Site) {
        self.idle_mib = self.idle_mib.max(site.idle_mib);
    }

    /// Notes the peaks of all rounds of a benchmark, on both sides: on that of the baseline there may be services too.
    pub fn note(&mut self, benchmark: Benchmark, rounds: &[Round]) {
        self.note_ours(benchmark, rounds.iter().map(|round| &round.ours));
        let name = benchmark.name();
        let baseline = rounds.iter().map(|round| &round.baseline);
        self.sides
            .extend(Peaks::of(format!("{name}, the baseline"), baseline));
    }

    /// Notes the peaks of the services that are measured.
    fn note_ours<'s>(&mut self, benchmark: Benchmark, samples: impl Iterator<Item = &'s Sample>) {
        let name = benchmark.name().to_owned();
        self.sides.extend(Peaks::of(name, samples));
    }

    /// One round for what is idle, and two for each side of a benchmark: its peak, and whether it grew.
    fn rounds(&self) -> Vec<Round> {
        let round = |bound: f64, value: f64, note: String| {
            let sample = |value, note| Sample {
                value,
                usage: None,
                note,
            };
            Round::of(sample(bound, String::new()), sample(value, note))
        };
        let mut rounds = vec![round(IDLE_MIB, self.idle_mib, "idle".to_owned())];
        for side in &self.sides {
            let Peaks {
                name, first, last, ..
            } = side;
            rounds.push(round(PEAK_MIB, side.most, format!("{name}: the most")));
            let grown = format!("{name}: the last round, after {first:.0} MiB in the first");
            rounds.push(round(side.flat(), *last, grown));
        }
        rounds
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
    // The first round is not that of a process which has just started.
    driver.warm_up(&plan).await?;
    let mut samples = Vec::new();
    for _ in 0..scale.rounds {
        samples.push(driver.rate(&plan).await?);
    }
    arena.book.note_ours(Benchmark::Memory, samples.iter());
    let wrong = services::wrong(&mut [&mut driver], &[&site]).await?;
    drop(driver);
    site.stop(ground).await?;
    Ok(Played {
        rounds: arena.book.rounds(),
        wrong,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::meter::Usage;
    use super::*;

    fn sample(peak: f64) -> Sample {
        Sample {
            value: 1.0,
            usage: Some(Usage {
                cores_busy: 1.0,
                keys_us: 1.0,
                enrollment_us: 1.0,
                postgres_us: 1.0,
                client_us: 1.0,
                wal_bytes: 1.0,
                wal_flushes: None,
                batch: None,
                keys_peak_mib: peak / 2.0,
                enrollment_peak_mib: peak,
            }),
            note: String::new(),
        }
    }

    /// The greatest ratio of peaks of both sides, and what it is of.
    fn worst(baseline: &[f64], ours: &[f64]) -> (f64, String) {
        let sides = baseline.iter().zip(ours);
        let rounds: Vec<Round> = sides
            .map(|(baseline, ours)| Round::of(sample(*baseline), sample(*ours)))
            .collect();
        let mut book = Book::default();
        book.note(Benchmark::RedeemReplicas, &rounds);
        let rounds = book.rounds();
        let worst = rounds
            .iter()
            .max_by(|one, other| one.ratio.total_cmp(&other.ratio));
        let worst = worst.expect("what is idle");
        (worst.ratio, worst.ours.note.clone())
    }

    #[test]
    fn memory_that_grows_with_what_was_done_is_too_much() {
        let (ratio, what) = worst(&[100.0; 3], &[200.0, 220.0, 248.0]);
        assert!(ratio < 1.0, "{ratio} {what}");
        let (ratio, what) = worst(&[100.0; 3], &[200.0, 226.0, 252.0]);
        assert!(ratio > 1.0, "{ratio} {what}");
        assert_eq!(
            what,
            "redeem_replicas: the last round, after 200 MiB in the first"
        );
        // Of small figures a few MiB are noise.
        assert!(worst(&[40.0; 2], &[40.0, 71.0]).0 < 1.0);
        assert!(worst(&[40.0; 2], &[40.0, 73.0]).0 > 1.0);
    }

    #[test]
    fn services_of_the_baseline_count_too_and_pgbench_does_not() {
        let (ratio, what) = worst(&[300.0, 200.0], &[100.0, 100.0]);
        assert!(ratio > 1.0);
        assert_eq!(what, "redeem_replicas, the baseline: the most");
        assert!(Peaks::of(String::new(), [sample(0.0)].iter()).is_none());
    }
}
