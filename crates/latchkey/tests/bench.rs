//! Benchmarks as small as they can be, for real: a cluster, pgbench, the services. What is measured so says nothing; that it
//! is measured, and that answers are judged, does.

use std::path::PathBuf;
use std::time::Duration;

use latchkey::bench::baselines::ByHand;
use latchkey::bench::catalogue::Benchmark;
use latchkey::bench::echo::EchoProcess;
use latchkey::bench::ground::Ground;
use latchkey::bench::scale::Scale;
use latchkey::bench::site::Site;
use latchkey::bench::{self, BenchOptions};
use latchkey::load::observe::Look;
use latchkey::progress::Progress;
use serde_json::Value;
use sqlx::postgres::PgConnection;

const TINY: Scale = Scale {
    rounds: 2,
    by_hand: Duration::from_secs(1),
    clients: &[2, 4],
    keys_by_hand: 8_000,
    calls: 200,
    calls_alone: 20,
    bulk: 1_500,
    table: 2_000,
};

#[tokio::test]
async fn both_sides_are_measured_in_turns_and_every_answer_is_judged() {
    let options = BenchOptions {
        executable: PathBuf::from(env!("CARGO_BIN_EXE_latchkey")),
        benchmarks: vec![
            Benchmark::RedeemEnrollment64,
            Benchmark::Check64,
            Benchmark::Generate1m,
        ],
        scale: TINY,
        quick: true,
    };
    let report = bench::run(&options, &Progress::hidden()).await;
    let report = report.expect("a report");
    for (benchmark, measured) in &report.results {
        let name = benchmark.name();
        assert_eq!(measured.wrong, Vec::<String>::new(), "{name}");
        assert!(measured.ratio > 0.0, "{name}: {}", measured.ratio);
        assert!(
            measured.min <= measured.ratio && measured.ratio <= measured.max,
            "{name}"
        );
    }
    let json: Value = serde_json::from_str(&report.for_machines().expect("JSON")).expect("JSON");
    let redeem = &json["redeem_enrollment_64"];
    assert_eq!(redeem["rounds"].as_array().map(Vec::len), Some(2));
    let usage = &redeem["rounds"][0]["ours"]["usage"];
    // A redemption writes three rows, with fifteen entries of indexes: less than a hundred bytes would not be all of it.
    assert!(usage["wal_bytes"].as_f64() > Some(100.0), "{usage}");
    assert!(usage["enrollment_us"].as_f64() > Some(0.0), "{usage}");
    assert!(usage["batch"].as_f64() >= Some(1.0), "{usage}");
    assert_eq!(json["generate_1m"]["must"], 0.2, "half, for so short a run");
    assert_eq!(json["form"], "quick");
    assert_eq!(json["scale"]["calls"], 200);
}

#[tokio::test]
async fn the_echo_counts_and_shows_what_it_counts_as_the_services_do() {
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_latchkey"));
    let ground = Ground::prepare(executable, &Progress::hidden()).await;
    let ground = ground.expect("a cluster");
    let site = Site::start(&ground, "echoed", 1).await.expect("services");
    let echo = EchoProcess::start(&ground, &site, "a class").await;
    let echo = echo.expect("an echo");
    let url = format!("http://{}/metrics", echo.metrics());
    let look = tokio::task::spawn_blocking(move || Look::at(&url)).await;
    look.expect("it looks").expect("a page of metrics");
    drop(echo);
    site.stop(&ground).await.expect("the services stop");
    ground.stop().await.expect("the cluster stops");
}

/// The columns and indexes of a table, whatever the schema and the indexes are called.
async fn shape(connection: &mut PgConnection, table: &str) -> Vec<String> {
    let shape = "
        SELECT format('%s %s %s', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
        FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT regexp_replace(pg_get_indexdef(i.indexrelid), ' INDEX .* USING ', ' INDEX ')
        FROM pg_index i WHERE i.indrelid = $1::regclass
        ORDER BY 1";
    let shape = sqlx::query_scalar(shape).bind(table);
    shape.fetch_all(connection).await.expect("a shape")
}

#[tokio::test]
async fn what_is_written_by_hand_are_the_rows_that_the_services_write() {
    let executable = PathBuf::from(env!("CARGO_BIN_EXE_latchkey"));
    let progress = Progress::hidden();
    let ground = Ground::prepare(executable, &progress).await;
    let ground = ground.expect("a cluster");
    let _by_hand = ByHand::prepare(&ground, 8).await.expect("the baseline");
    let site = Site::start(&ground, "alike", 1).await.expect("services");
    let mut baseline = ground.connect("baseline").await.expect("a connection");
    let mut services = site.owner(&ground).await.expect("a connection");
    for (by_hand, ours) in [
        ("baseline.redemptions", "enrollment.redemptions"),
        ("baseline.enrollments", "enrollment.enrollments"),
        ("baseline.marks", "keys.marks"),
    ] {
        let by_hand = shape(&mut baseline, by_hand).await;
        assert!(by_hand.len() > 8, "{by_hand:?}");
        assert_eq!(by_hand, shape(&mut services, ours).await, "{ours}");
    }
    site.stop(&ground).await.expect("the services stop");
    ground.stop().await.expect("the cluster stops");
}
