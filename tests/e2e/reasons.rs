//! Every reason for which a call can fail is provoked here; its code, words and details are kept in a snapshot.

mod billing;
mod classes;
mod faults;
mod keys;
mod students;

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};

use latchkey_proto::errors::v1::ErrorReason;
use latchkey_service_kit::status::name;
use tonic::{Response, Status};
use tonic_types::StatusExt;

use crate::harness::dynamic::pool;
use crate::harness::reason_of;

/// Refusals, each with how it was provoked.
#[derive(Default)]
struct Provoked(Vec<(&'static str, ErrorReason, Status)>);

impl Provoked {
    /// Keeps a refusal for its reason; fails if the call was answered, or refused for another one.
    #[track_caller]
    fn keep<T: Debug>(
        &mut self,
        how: &'static str,
        expected: ErrorReason,
        answer: Result<Response<T>, Status>,
    ) {
        let refusal = match answer {
            Ok(answer) => panic!(
                "{how}: expected {}, was answered {:?}",
                name(expected),
                answer.into_inner()
            ),
            Err(refusal) => refusal,
        };
        let reason = reason_of(&refusal);
        assert_eq!(name(reason), name(expected), "{how}: {}", refusal.message());
        self.0.push((how, reason, refusal));
    }

    fn text(&self) -> String {
        let mut all: Vec<String> = self
            .0
            .iter()
            .map(|(how, reason, refusal)| section(how, *reason, refusal))
            .collect();
        all.sort();
        all.join("\n")
    }
}

/// A refusal as callers see it.
fn section(how: &str, reason: ErrorReason, refusal: &Status) -> String {
    let mut text = format!(
        "{} ({:?}): {how}\n  {}\n",
        name(reason),
        refusal.code(),
        refusal.message()
    );
    let details = refusal.get_error_details();
    if let Some(info) = details.error_info() {
        assert_eq!(
            (info.domain.as_str(), info.reason.as_str()),
            ("latchkey", name(reason))
        );
        let mut metadata: Vec<_> = info.metadata.iter().collect();
        metadata.sort();
        for (key, value) in metadata {
            writeln!(text, "  metadata {key} = {value}").expect("text");
        }
    }
    for violation in details
        .bad_request()
        .map(|bad| bad.field_violations.as_slice())
        .unwrap_or_default()
    {
        writeln!(
            text,
            "  field {}: {}",
            violation.field, violation.description
        )
        .expect("text");
    }
    for violation in details
        .precondition_failure()
        .map(|failure| failure.violations.as_slice())
        .unwrap_or_default()
    {
        let (kind, subject) = (&violation.r#type, &violation.subject);
        writeln!(
            text,
            "  precondition {kind} on {subject}: {}",
            violation.description
        )
        .expect("text");
    }
    if let Some(resource) = details.resource_info() {
        writeln!(
            text,
            "  resource {} {:?}",
            resource.resource_type, resource.resource_name
        )
        .expect("text");
    }
    if let Some(retry) = details.retry_info() {
        let delay = retry.retry_delay.expect("a delay").as_millis();
        // Each is half of a round figure to one and a half of it, or as long as it takes.
        let about = match delay {
            100..=300 => "200 ms",
            500..=1_500 => "1 s",
            3_500_000..=3_600_000 => "1 h",
            other => panic!("{other} ms"),
        };
        writeln!(text, "  retry after about {about}").expect("text");
    }
    text
}

#[tokio::test]
async fn every_reason_of_the_contract_is_provoked_with_its_code_words_and_details() {
    let mut provoked = Provoked::default();
    faults::provoke(&mut provoked).await;
    faults::provoke_in_a_tight_place(&mut provoked).await;
    faults::provoke_by_guessing(&mut provoked).await;
    billing::provoke(&mut provoked).await;
    classes::provoke(&mut provoked).await;
    keys::provoke(&mut provoked).await;
    students::provoke(&mut provoked).await;

    let reasons = pool()
        .get_enum_by_name("latchkey.errors.v1.ErrorReason")
        .expect("the reasons");
    let contract: BTreeSet<String> = reasons
        .values()
        .filter(|value| value.number() != 0)
        .map(|value| value.name().to_owned())
        .collect();
    let seen: BTreeSet<String> = provoked
        .0
        .iter()
        .map(|(_, reason, _)| reason.as_str_name().to_owned())
        .collect();
    assert_eq!(seen, contract);

    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[id]");
    settings.add_filter(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
        "[time]",
    );
    settings.add_filter(r"\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d", "[local time]");
    settings.bind(|| insta::assert_snapshot!("reasons", provoked.text()));
}
