//! The benchmarks: their names, against what each is measured, and what it must reach.

/// One benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Benchmark {
    /// 64 streams redeem single-use keys of 100 classes.
    #[value(name = "redeem_enrollment_64")]
    RedeemEnrollment64,
    /// 64 streams redeem the event key of one class.
    #[value(name = "redeem_event_64")]
    RedeemEvent64,
    /// 256 streams redeem single-use keys of 100 classes.
    #[value(name = "redeem_enrollment_256")]
    RedeemEnrollment256,
    /// 256 streams redeem the event key of one class.
    #[value(name = "redeem_event_256")]
    RedeemEvent256,
    /// One stream redeems single-use keys: the median latency.
    #[value(name = "redeem_single_p50")]
    RedeemSingleP50,
    /// As the first, with ten million keys in the table.
    #[value(name = "redeem_10m")]
    Redeem10m,
    /// Two processes of each service under mixed load.
    #[value(name = "redeem_replicas")]
    RedeemReplicas,
    /// 64 streams register newcomers with an external identity.
    #[value(name = "register_64")]
    Register64,
    /// 64 streams ask what a code would open.
    #[value(name = "check_64")]
    Check64,
    /// A million keys are generated.
    #[value(name = "generate_1m")]
    Generate1m,
    /// A million keys are exported with their codes.
    #[value(name = "export_1m")]
    Export1m,
    /// What the services take of memory, idle and under each of the others.
    #[value(name = "memory")]
    Memory,
}

/// Which side of a bound is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Ratios of throughput: the more the better.
    AtLeast,
    /// Ratios of latency or memory: the less the better.
    AtMost,
}

/// What a benchmark is held to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// Which side of the bounds is good.
    pub side: Side,
    /// What the median of the ratios must reach.
    pub must: f64,
    /// What it should reach.
    pub aim: f64,
}

/// How a benchmark is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// What is measured.
    pub ours: &'static str,
    /// Against what.
    pub baseline: &'static str,
    /// In what both are measured.
    pub unit: &'static str,
}

impl Benchmark {
    /// All of them, in the order in which they are run: what needs little room comes first.
    pub const ALL: [Self; 12] = [
        Self::RedeemEnrollment64,
        Self::RedeemEvent64,
        Self::RedeemEnrollment256,
        Self::RedeemEvent256,
        Self::RedeemSingleP50,
        Self::RedeemReplicas,
        Self::Register64,
        Self::Check64,
        Self::Generate1m,
        Self::Export1m,
        Self::Redeem10m,
        // The last: it tells what all others took.
        Self::Memory,
    ];

    /// Those that say something when they are short, for a bound that only a gross regression misses.
    pub const QUICK: [Self; 8] = [
        Self::RedeemEnrollment64,
        Self::RedeemEvent64,
        Self::RedeemSingleP50,
        Self::Register64,
        Self::Check64,
        Self::Generate1m,
        Self::Export1m,
        Self::Memory,
    ];

    /// Its key in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::RedeemEnrollment64 => "redeem_enrollment_64",
            Self::RedeemEvent64 => "redeem_event_64",
            Self::RedeemEnrollment256 => "redeem_enrollment_256",
            Self::RedeemEvent256 => "redeem_event_256",
            Self::RedeemSingleP50 => "redeem_single_p50",
            Self::Redeem10m => "redeem_10m",
            Self::RedeemReplicas => "redeem_replicas",
            Self::Register64 => "register_64",
            Self::Check64 => "check_64",
            Self::Generate1m => "generate_1m",
            Self::Export1m => "export_1m",
            Self::Memory => "memory",
        }
    }

    /// What it is held to.
    pub fn goal(self) -> Goal {
        let (must, aim) = match self {
            Self::RedeemEnrollment64 => (3.0, 4.5),
            Self::RedeemEvent64 => (10.0, 15.0),
            Self::RedeemEnrollment256 => (4.0, 5.5),
            Self::RedeemEvent256 => (13.0, 18.0),
            Self::RedeemSingleP50 => (1.5, 1.2),
            Self::Redeem10m => (0.75, 0.9),
            Self::RedeemReplicas => (0.8, 1.0),
            Self::Register64 => (0.6, 0.8),
            Self::Check64 => (0.3, 0.5),
            Self::Generate1m => (0.4, 0.7),
            Self::Export1m => (0.3, 0.6),
            Self::Memory => (1.0, 1.0),
        };
        let side = match self {
            Self::RedeemSingleP50 | Self::Memory => Side::AtMost,
            _ => Side::AtLeast,
        };
        Goal { side, must, aim }
    }

    /// What a short run on a busy machine is held to: half as good will do. Memory is no matter of speed.
    pub fn quick_goal(self) -> Goal {
        match self {
            Self::Memory => self.goal(),
            _ => self.goal().halved(),
        }
    }

    /// How it is to be read.
    pub fn text(self) -> Text {
        let (ours, baseline, unit) = match self {
            Self::RedeemEnrollment64 => (
                "single-use keys of 100 classes, 64 streams",
                "pgbench single_use",
                "redemptions/s",
            ),
            Self::RedeemEvent64 => (
                "one event key, 64 streams",
                "pgbench hot_class",
                "redemptions/s",
            ),
            Self::RedeemEnrollment256 => (
                "single-use keys of 100 classes, 256 streams",
                "pgbench single_use",
                "redemptions/s",
            ),
            Self::RedeemEvent256 => (
                "one event key, 256 streams",
                "pgbench hot_class",
                "redemptions/s",
            ),
            Self::RedeemSingleP50 => (
                "single-use keys, one stream",
                "pgbench single_use, one client",
                "ms (p50)",
            ),
            Self::Redeem10m => (
                "ten million keys in the table",
                "a hundred thousand",
                "redemptions/s",
            ),
            Self::RedeemReplicas => (
                "two processes of each service, mixed load",
                "one of each",
                "calls/s",
            ),
            Self::Register64 => (
                "registrations, 64 streams",
                "redemptions, 64 streams",
                "calls/s",
            ),
            Self::Check64 => (
                "CheckKey, 64 streams",
                "an echo in the same set-up",
                "calls/s",
            ),
            Self::Generate1m => ("keys generated", "COPY of the same rows", "keys/s"),
            Self::Export1m => (
                "keys exported over the wire",
                "COPY TO of the same rows",
                "keys/s",
            ),
            Self::Memory => (
                "memory of the larger service: idle, its peaks, and whether they grow",
                "what it may take",
                "MiB",
            ),
        };
        Text {
            ours,
            baseline,
            unit,
        }
    }
}

impl Goal {
    /// Whether `ratio` reaches `bound`.
    fn reaches(self, ratio: f64, bound: f64) -> bool {
        match self.side {
            Side::AtLeast => ratio >= bound,
            Side::AtMost => ratio <= bound,
        }
    }

    /// Which ratios are better, in a word.
    pub fn better(self) -> &'static str {
        match self.side {
            Side::AtLeast => "more",
            Side::AtMost => "less",
        }
    }

    /// Whether a ratio is as good as it must be.
    pub fn met(self, ratio: f64) -> bool {
        self.reaches(ratio, self.must)
    }

    /// Whether a ratio is as good as it should be.
    pub fn aimed(self, ratio: f64) -> bool {
        self.reaches(ratio, self.aim)
    }

    fn halved(self) -> Self {
        let half = |bound: f64| match self.side {
            Side::AtLeast => bound / 2.0,
            Side::AtMost => bound * 2.0,
        };
        Self {
            must: half(self.must),
            aim: half(self.aim),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn each_is_called_on_the_command_line_as_in_the_report() {
        let mut all = Benchmark::ALL.to_vec();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), Benchmark::value_variants().len());
        for benchmark in Benchmark::ALL {
            let value = benchmark.to_possible_value().expect("a name");
            assert_eq!(value.get_name(), benchmark.name());
        }
    }

    #[test]
    fn a_bound_is_held_from_its_good_side() {
        let throughput = Benchmark::RedeemEnrollment64.goal();
        assert!(throughput.met(3.0) && !throughput.met(2.9) && !throughput.aimed(3.0));
        let latency = Benchmark::RedeemSingleP50.goal();
        assert!(latency.met(1.5) && !latency.met(1.6) && !latency.aimed(1.5));
        let memory = Benchmark::Memory.quick_goal();
        assert!(memory.met(1.0) && !memory.met(1.01));
        assert!(throughput.halved().met(1.5) && !throughput.halved().met(1.4));
        assert!(latency.halved().met(3.0) && !latency.halved().met(3.1));
    }
}
