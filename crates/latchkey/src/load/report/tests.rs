//! Table, JSON and page of small runs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use latchkey_proto::errors::v1::ErrorReason;

use super::*;
use crate::load::run::{ActionRun, Window, WrongKind, Wrongs};

/// Two seconds and a half of event keys, one of them for a class that is full.
fn run() -> Run {
    let mut figures = ActionRun::default();
    let mut seconds = vec![Second::default(); 3];
    let full = Outcome::Refused(ErrorReason::ClassFull);
    for (second, outcome) in [(0, Outcome::Enrolled), (1, full), (2, Outcome::Enrolled)] {
        let latency = Duration::from_millis(4 + second as u64);
        figures.latencies.record(latency);
        figures.outcomes.add(outcome);
        seconds[second].latencies.record(latency);
        seconds[second].outcomes.add(outcome);
    }
    figures.granted.record_many(Duration::from_millis(4), 2);
    (figures.answered, figures.granted_in_time) = (3, 2);
    Run {
        began: DateTime::from_timestamp(1_700_000_000, 0).expect("a time"),
        window: Window::default(),
        lasted: Duration::from_millis(2_500),
        ended: Ended::UsedUp(Action::Event),
        actions: vec![(Action::Event, figures)],
        seconds,
        key_uses: Vec::new(),
        seats: Vec::new(),
        full: BTreeSet::new(),
        wrong: Wrongs::default(),
    }
}

fn circumstances() -> Circumstances<'static> {
    static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan {
        mix: "event=9,replay=1".parse().expect("a mix"),
        ..Plan::default()
    });
    Circumstances {
        target: "https://<here>".to_owned(),
        supply: "two classes".to_owned(),
        plan: &PLAN,
        services: vec![ServiceReport {
            name: "keys".to_owned(),
            samples: vec![Sample {
                at_seconds: 1.0,
                cpu: Some(0.5),
                batch_items: BTreeMap::from([("decide".to_owned(), 12.0)]),
            }],
            unread: None,
        }],
    }
}

fn report(verdict: &Verdict) -> Report {
    Report::new(circumstances(), &run(), verdict)
}

#[test]
fn table_json_and_page_tell_the_same() {
    let report = report(&Verdict::default());
    assert_eq!(report.seconds.len(), 2, "whole seconds only");
    assert_eq!(report.seconds[1].refusals["CLASS_FULL"], 1);
    let json: serde_json::Value =
        serde_json::from_str(&report.json().expect("JSON")).expect("JSON");
    assert_eq!(
        (&json["calls"], &json["not_granted"]),
        (&3.into(), &1.into())
    );
    assert_eq!(json["ended"]["used_up"], "event");
    assert_eq!(json["actions"][0]["outcomes"]["enrolled"], 2);
    let (table, page) = (table(&report), html(&report));
    assert_eq!(json["granted_latency_ms"]["count"], 2);
    for row in ["event, granted", "event"] {
        assert!(
            table.contains(row) && page.contains(row),
            "{row} in {table}"
        );
    }
    assert_eq!(json["never_called"], serde_json::json!(["replay"]));
    for part in [
        "CLASS_FULL",
        "No answer was wrong.",
        "was used up. Give more of it by --seats",
        "In the mix, and never called: `replay`.",
    ] {
        assert!(table.contains(part), "{part} in {table}");
        assert!(page.contains(part), "{part} in the page");
    }
    assert!(page.contains("https://&lt;here&gt;"), "text is escaped");
    assert_eq!(page.matches("<svg").count(), 6);
    assert_eq!(page.matches("<details>").count(), 6, "a table beside each");
    assert!(!page.contains("NaN"));
}

#[test]
fn calls_that_were_due_and_never_sent_are_told() {
    let mut run = run();
    let figures = &mut run.actions[0].1;
    figures.outcomes.add_many(Outcome::NeverSent, 7);
    figures.latencies.record_many(Duration::from_secs(2), 7);
    run.seconds[1].outcomes.add_many(Outcome::NeverSent, 7);
    let report = Report::new(circumstances(), &run, &Verdict::default());
    assert_eq!((report.calls, report.due, report.never_sent), (3, 10, 7));
    assert_eq!(report.actions[0].never_sent, 7);
    assert_eq!(report.seconds[1].calls, 1);
    assert_eq!(report.seconds[1].refusals["never sent"], 7);
    let latency = report.latency_ms.as_ref().expect("latencies");
    assert!(latency.p50 >= 2e3, "they waited two seconds");
    let sentence = "7 of the 10 calls that were due were never sent";
    assert!(table(&report).contains(sentence), "{}", table(&report));
    assert!(html(&report).contains(sentence));
}

#[test]
fn what_was_not_measured_is_no_zero() {
    let mut run = run();
    run.window.from = Duration::from_secs(5);
    let figures = &mut run.actions[0].1;
    (figures.latencies, figures.granted) = (Latencies::new(3), Latencies::new(3));
    (figures.answered, figures.granted_in_time) = (0, 0);
    run.seconds[1].latencies = Latencies::new(2);
    let report = Report::new(circumstances(), &run, &Verdict::default());
    let json: serde_json::Value =
        serde_json::from_str(&report.json().expect("JSON")).expect("JSON");
    for figure in ["calls_per_second", "granted_per_second", "latency_ms"] {
        assert!(
            json[figure].is_null() && json["actions"][0][figure].is_null(),
            "{figure}"
        );
    }
    assert!(json["seconds"][1]["p50_ms"].is_null());
    let (table, page) = (table(&report), html(&report));
    for told in [&table, &page] {
        assert!(told.contains("All calls fell into the ramp: nothing was measured."));
        assert!(told.contains('–') && !told.contains("0.00"), "{told}");
    }
}

#[test]
fn a_service_that_could_not_be_looked_at_is_named() {
    let mut circumstances = circumstances();
    let service = &mut circumstances.services[0];
    service.samples.clear();
    service.unread = Some("metrics of <keys> could not be read".to_owned());
    let report = Report::new(circumstances, &run(), &Verdict::default());
    assert!(table(&report).contains("metrics of <keys> could not be read\n"));
    assert!(html(&report).contains("metrics of &lt;keys&gt; could not be read"));
    let json = report.json().expect("JSON");
    assert!(json.contains("\"unread\""), "{json}");
}

#[test]
fn what_is_wrong_is_said_first() {
    let mut wrong = Wrongs::default();
    wrong.add(WrongKind::KeyUsedTwice, "the key <7> enrolled two");
    let mut verdict = Verdict {
        wrong,
        unread: None,
    };
    let report = report(&verdict);
    assert!(table(&report).contains("WRONG: 1\n  the key <7> enrolled two"));
    let page = html(&report);
    assert!(page.contains("One answer was wrong."), "{page}");
    assert!(page.contains("the key &lt;7&gt; enrolled two"));
    assert!(!page.contains("No answer was wrong"));
    // What was seen in the answers is told even if the rosters could not be read.
    verdict.unread = Some("no connection".to_owned());
    let table = table(&Report::new(circumstances(), &run(), &verdict));
    assert!(table.contains("WRONG: 1\n"), "{table}");
    assert!(table.contains("is not known: no connection"), "{table}");
}

#[test]
fn what_nobody_judged_is_not_called_right() {
    let report = report(&Verdict {
        wrong: Wrongs::default(),
        unread: Some("<nobody> answers".to_owned()),
    });
    let (table, page) = (table(&report), html(&report));
    let sentence = "The rosters could not be read, so whether an answer was wrong is not known:";
    assert!(
        table.contains(&format!("{sentence} <nobody> answers\n")),
        "{table}"
    );
    assert!(
        page.contains(&format!("{sentence} &lt;nobody&gt; answers")),
        "{page}"
    );
    for told in [table, page] {
        assert!(!told.contains("No answer was wrong"), "{told}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&report.json().expect("JSON")).expect("JSON");
    assert_eq!(json["wrong"]["judged"], false);
    assert_eq!(json["wrong"]["why"], "<nobody> answers");
}
