//! The options of `latchkey load`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{bail, ensure};
use latchkey::export::Place;
use latchkey::load::engine::{Pace, Plan, Until};
use latchkey::load::mix::{Action, Mix};
use latchkey::load::prepare::{MOST_OF_A_CLASS, Skew, Wanted};
use latchkey::load::target::{Target, Tokens};
use latchkey::stack::data_dir::default_path;
use latchkey::stack::description::Description;
use latchkey_service_kit::config::ClientTlsConfig;
use uuid::Uuid;

/// How many calls a second a closed loop is taken to make, where nobody says how much it shall be given: more than a small
/// machine makes, because a run that has used up everything ends before its time.
const ASSUMED_RATE: f64 = 15_000.0;

/// How many classes are made unless told otherwise; more, where each would have more than so many seats.
const CLASSES: usize = 100;
const SEATS_OF_A_CLASS: usize = MOST_OF_A_CLASS / 2;

/// How many enrollment keys are made to be asked about, where nobody redeems anything.
const ASKED_ABOUT: usize = 1_000;

/// What is prepared beyond what is expected to be used.
const SPARE: f64 = 1.05;

/// What to call, how often, and where.
#[derive(Debug, clap::Args)]
pub(crate) struct Load {
    /// The description of a development stack: `dev.json`, or the directory it is in [default: that of `latchkey dev`].
    #[arg(long, value_name = "FILE", conflicts_with_all = ["url", "keys_url", "ca_file", "tokens"])]
    target: Option<PathBuf>,
    /// Where the enrollment service of a deployment is; several processes with commas between them.
    #[arg(long, value_name = "URL", requires = "tokens")]
    url: Option<String>,
    /// Where its keys service is: needed unless keys are given.
    #[arg(long, value_name = "URL", requires = "url")]
    keys_url: Option<String>,
    /// The authority whose certificates the services of a deployment show (PEM).
    #[arg(long, value_name = "FILE", requires = "url")]
    ca_file: Option<PathBuf>,
    /// A certificate to show them, if they ask for one (PEM).
    #[arg(long, value_name = "FILE", requires_all = ["ca_file", "private_key_file"])]
    certificate_file: Option<PathBuf>,
    /// The private key of that.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    private_key_file: Option<PathBuf>,
    /// A directory with tokens for a deployment, each named for its role: `platform_service.jwt`; and, to make classes, those of
    /// `operator`, `administrator` and `operations_manager`.
    #[arg(long, value_name = "DIRECTORY", requires = "url")]
    tokens: Option<PathBuf>,
    /// Where a service shows its metrics, for its processor time and batches: NAME=URL. May be given several times.
    #[arg(long, value_name = "NAME=URL", value_parser = named_url)]
    metrics: Vec<(String, String)>,
    /// Write into a deployment that is no development stack.
    #[arg(long)]
    yes: bool,

    /// What is called, with weights: enrollment, event, register, check, replay, wrong, spent. The last two need students made
    /// for them, and wrong an organization too: they would shut out others.
    #[arg(long, default_value = "enrollment=70,event=20,check=10")]
    mix: Mix,
    /// Calls on their way at once: exactly in a closed loop, at most with --rate.
    #[arg(long, default_value_t = 64)]
    streams: usize,
    /// Connections they share [default: 4, or as many as there are streams].
    #[arg(long)]
    connections: Option<usize>,
    /// Threads that make the calls.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// An open loop: so many calls a second, whether or not answers come [default: a closed loop].
    #[arg(long, value_name = "CALLS")]
    rate: Option<f64>,
    /// How long it takes to get to full load; its latencies are not measured.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "0s")]
    ramp: Duration,
    /// How long it lasts, with the ramp: 500ms, 30s, 5m, 1h.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "30s")]
    duration: Duration,
    /// End after so many calls instead.
    #[arg(long, value_name = "CALLS", conflicts_with = "duration")]
    count: Option<u64>,
    /// How long a call may take.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    timeout: Duration,
    /// The same seed gives the same calls.
    #[arg(long, default_value_t = 0)]
    seed: u64,

    /// Classes to make [default: 100, or as many as have room for all].
    #[arg(long, value_name = "COUNT")]
    classes: Option<usize>,
    /// Organizations to make.
    #[arg(long, default_value_t = 1)]
    organizations: usize,
    /// Use this organization (a UUID) instead of making some: that of the tokens given.
    #[arg(long, value_name = "ID")]
    organization: Option<Uuid>,
    /// How load is spread over classes and organizations: uniform, zipf, zipf:EXPONENT, or hot (one class after the other).
    #[arg(long, default_value = "uniform")]
    skew: Skew,
    /// Enrollment keys to make, each for one student [default: as many as will be used].
    #[arg(long, value_name = "COUNT")]
    keys: Option<usize>,
    /// Seats to make for event keys [default: as many as will be used].
    #[arg(long, value_name = "COUNT")]
    seats: Option<usize>,
    /// Enrollment keys to make for registrations [default: as many as will be used].
    #[arg(long, value_name = "COUNT")]
    registrations: Option<usize>,
    /// Students who want each seat of an event key, 1 to 100: with 1.5, a third of them are told that the class is full.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    crowd: f64,
    /// Use the keys in this file instead of making classes: CSV, as `latchkey keys export` writes it.
    #[arg(long, value_name = "FILE", requires = "students_csv")]
    keys_csv: Option<PathBuf>,
    /// The students for them: CSV with a column `student_id`, and `organization_id` for registrations.
    #[arg(long, value_name = "FILE", requires = "keys_csv")]
    students_csv: Option<PathBuf>,

    /// Write the figures as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the figures as a page with plots, which needs nothing but a browser.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

/// Where keys and students come from.
#[derive(Debug)]
pub(super) enum Source {
    /// They are made.
    New(Wanted),
    /// They are in files.
    Files {
        /// The keys.
        keys: PathBuf,
        /// The students.
        students: PathBuf,
    },
}

impl Load {
    /// How calls are made.
    pub(super) fn plan(&self) -> anyhow::Result<Plan> {
        let plan = Plan {
            mix: self.mix.clone(),
            streams: self.streams,
            connections: self.connections.unwrap_or(self.streams.clamp(1, 4)),
            threads: self.threads,
            pace: self
                .rate
                .map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
            ramp: self.ramp,
            until: self.count.map_or(Until::After(self.duration), Until::Count),
            call_within: self.timeout,
            seed: self.seed,
        };
        plan.check()?;
        ensure!(self.timeout > Duration::ZERO, "--timeout must not be 0");
        Ok(plan)
    }

    /// Where calls go.
    pub(super) fn target(&self) -> anyhow::Result<Target> {
        let mut target = match (&self.url, &self.tokens) {
            (Some(url), Some(tokens)) => self.deployment(url, tokens)?,
            _ => Target::of_description(&self.description()?)?,
        };
        target.metrics.extend(self.metrics.iter().cloned());
        Ok(target)
    }

    fn description(&self) -> anyhow::Result<Description> {
        let path = self.target.clone().unwrap_or_else(default_path);
        // The file itself, or the directory that it is in.
        let directory = if path.is_file() {
            path.parent().unwrap_or(Path::new(".")).to_owned()
        } else {
            path
        };
        Description::read(&directory)
    }

    fn deployment(&self, url: &str, tokens: &Path) -> anyhow::Result<Target> {
        if !self.yes {
            bail!(
                "this enrolls students in {url}{}: say --yes if you want that",
                if self.keys_csv.is_none() {
                    ", in classes that it makes there and leaves there"
                } else {
                    ""
                }
            );
        }
        let tls = self.ca_file.clone().map(|ca_file| ClientTlsConfig {
            ca_file,
            certificate_file: self.certificate_file.clone(),
            private_key_file: self.private_key_file.clone(),
        });
        let place = |url: &str| Place {
            url: url.trim().to_owned(),
            tls: tls.clone(),
        };
        Ok(Target {
            enrollment: url.split(',').map(place).collect(),
            keys: self.keys_url.as_deref().map(place),
            tokens: Tokens::in_directory(tokens)?,
            metrics: Vec::new(),
        })
    }

    /// Where keys and students come from.
    pub(super) fn source(&self, plan: &Plan) -> anyhow::Result<Source> {
        if let (Some(keys), Some(students)) = (self.keys_csv.clone(), self.students_csv.clone()) {
            return Ok(Source::Files { keys, students });
        }
        if self.url.is_some() {
            ensure!(
                self.keys_url.is_some(),
                "where is the keys service, to make keys there? Give --keys-url, or keys by --keys-csv"
            );
            ensure!(
                self.organization.is_some(),
                "the tokens given are those of one organization: name it by --organization"
            );
        }
        let calls = match (plan.until, plan.pace) {
            (Until::Count(count), _) => f64::from(u32::try_from(count).unwrap_or(u32::MAX)),
            (Until::After(end), Pace::Open { per_second }) => end.as_secs_f64() * per_second,
            (Until::After(end), Pace::Closed) => end.as_secs_f64() * ASSUMED_RATE,
        };
        let of = |given: Option<usize>, action| match given {
            Some(given) => given,
            None if plan.mix.has(action) => enough(calls * plan.mix.share(action), plan.streams),
            None => 0,
        };
        // A replay or a spent key for which there is nothing yet takes the place of another call.
        let keys = match self.keys {
            None if plan.mix.has(Action::Check) && !plan.mix.consumes() => ASKED_ABOUT,
            given => of(given, Action::Enrollment),
        };
        let seats = of(self.seats, Action::Event);
        let registrations = of(self.registrations, Action::Register);
        let all = [keys, seats, registrations]
            .into_iter()
            .fold(0, usize::saturating_add);
        let enough = all.div_ceil(SEATS_OF_A_CLASS).max(CLASSES);
        Ok(Source::New(Wanted {
            organizations: self.organizations,
            classes: self.classes.unwrap_or(enough),
            enrollment_keys: keys,
            event_seats: seats,
            crowd: self.crowd,
            registrations,
            skew: self.skew,
            guessers: plan.mix.has(Action::Wrong),
            spares: plan.mix.has(Action::Spent),
            seed: self.seed,
            organization: self.organization,
        }))
    }
}

/// What is prepared for as many calls, which chance makes a few more or less.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates"
)]
fn enough(calls: f64, streams: usize) -> usize {
    (calls * SPARE).ceil() as usize + streams + 100
}

/// A time: `500ms`, `30s`, `5m`, `1h`.
fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time such as 500ms, 30s, 5m or 1h");
    let digits = text
        .find(|symbol: char| !symbol.is_ascii_digit() && symbol != '.')
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let seconds = match unit {
        "ms" => number / 1e3,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(wrong()),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

fn named_url(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, url)) if !name.is_empty() && url.starts_with("http://") => {
            Ok((name.to_owned(), url.to_owned()))
        }
        _ => Err(format!(
            "`{text}` is not NAME=URL, such as enrollment=http://127.0.0.1:9402/metrics"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(time("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(time("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(time("1h"), Ok(Duration::from_hours(1)));
        for bad in ["", "5", "s", "-1s", "1d", "1.2.3s", "1 s"] {
            let error = time(bad).expect_err(bad);
            assert!(error.contains("500ms"), "{error}");
        }
    }

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        load: Load,
    }

    fn wanted(arguments: &[&str]) -> Wanted {
        let all = std::iter::once("load").chain(arguments.iter().copied());
        let load = <Cli as clap::Parser>::parse_from(all).load;
        let plan = load.plan().expect("a plan");
        match load.source(&plan).expect("a source") {
            Source::New(wanted) => wanted,
            Source::Files { .. } => panic!("no files were named"),
        }
    }

    #[test]
    fn who_only_asks_has_something_to_ask_about() {
        assert_eq!(wanted(&["--mix=check=1"]).enrollment_keys, ASKED_ABOUT);
        assert_eq!(wanted(&["--mix=check=1", "--keys=7"]).enrollment_keys, 7);
        assert_eq!(wanted(&["--mix=event=1,check=1"]).enrollment_keys, 0);
        assert_eq!(wanted(&["--mix=wrong=1"]).enrollment_keys, 0);
    }

    #[test]
    fn a_fast_service_is_given_enough_and_its_classes_have_room_for_it() {
        let of_half_a_minute = wanted(&["--mix=enrollment=1"]);
        assert!(of_half_a_minute.enrollment_keys > 450_000);
        assert_eq!(of_half_a_minute.classes, CLASSES);
        let long = wanted(&["--mix=enrollment=1", "--duration=10m"]);
        assert!(long.enrollment_keys / long.classes <= SEATS_OF_A_CLASS);
        let few = wanted(&["--mix=enrollment=1", "--duration=10m", "--classes=3"]);
        assert_eq!(few.classes, 3);
    }

    #[test]
    fn metrics_have_a_name() {
        let read = named_url("keys=http://127.0.0.1:9401/metrics").expect("one");
        assert_eq!(read.0, "keys");
        named_url("http://127.0.0.1:9401/metrics").expect_err("no name");
        named_url("keys=https://x").expect_err("no plain page");
    }
}
