//! What the rules say must have happened. Each rule is judged by itself, so that a failed one is named.

mod afterwards;
mod race;

use std::collections::BTreeMap;

use super::aftermath::Aftermath;
use super::attempt::{Answer, Attempt};
use super::records::Records;
use super::students::{Code, FORTY};

/// Everything that happened, and what the services say of it.
#[derive(Debug, Clone)]
pub(super) struct Story {
    /// The id of each enrollment key, by number.
    pub(super) key_ids: Vec<String>,
    /// The id of the event key.
    pub(super) event_key_id: String,
    /// Every try of the race, in the order of the answers.
    pub(super) race: Vec<Attempt>,
    /// What came after.
    pub(super) aftermath: Aftermath,
    /// What the services say at the end.
    pub(super) records: Records,
}

/// One rule, judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The rule, for people.
    pub(super) rule: &'static str,
    /// Where it was broken; empty if it held.
    pub(super) problems: Vec<String>,
}

type Rule = fn(&Story) -> Vec<String>;

/// All rules, in the order of the story.
const RULES: [(&str, Rule); 18] = [
    (
        "a typing error is KEY_MALFORMED, and leaves no trace",
        race::typing_errors,
    ),
    ("spelling does not matter", race::spelling),
    ("a revoked key opens nothing", race::revoked_key),
    (
        "a key of one's own opens the class until it is full",
        race::own_keys,
    ),
    ("an enrollment key lets in one student", race::shared_keys),
    ("exactly 30 are in, not one more", race::seats),
    (
        "nobody is told CLASS_FULL while a seat is free",
        race::full_when_full,
    ),
    (
        "the same redemption sent twice is decided once",
        race::sent_twice,
    ),
    (
        "whoever comes again is not enrolled twice",
        race::come_again,
    ),
    (
        "every decision is recorded as it was answered",
        race::recorded,
    ),
    (
        "account and enrollment appear together, or neither does",
        afterwards::registrations,
    ),
    (
        "moving the class moves the window of every key",
        afterwards::windows,
    ),
    ("and everyone's access with it", afterwards::access),
    (
        "a cancellation frees the seat and the key",
        afterwards::freed_key,
    ),
    (
        "who gave a key up cannot take it back from another",
        afterwards::given_up,
    ),
    (
        "the roster shows who is in, and how they came",
        afterwards::roster,
    ),
    ("the keys show who uses them", afterwards::uses),
    (
        "30 keys = redeemed + revoked + expired + available",
        afterwards::key_states,
    ),
];

/// Judges every rule.
pub(super) fn judge(story: &Story) -> Vec<Verdict> {
    RULES
        .iter()
        .map(|(rule, broken)| Verdict {
            rule,
            problems: broken(story),
        })
        .collect()
}

/// Which of the rules were broken, by their place.
#[cfg(test)]
pub(super) fn broken_of(verdicts: &[Verdict]) -> Vec<usize> {
    let numbered = verdicts.iter().enumerate();
    numbered
        .filter(|(_, verdict)| !verdict.problems.is_empty())
        .map(|(number, _)| number)
        .collect()
}

impl Story {
    /// The id of the key that a code belongs to.
    fn key_id(&self, code: Code) -> &str {
        match code {
            Code::Enrollment(number) => &self.key_ids[number],
            Code::Event => &self.event_key_id,
        }
    }

    /// Who must be in at the end: each student with the code that let them in.
    fn members(&self) -> BTreeMap<&str, Code> {
        let mut members = BTreeMap::new();
        let all = self.race.iter().chain(&self.aftermath.attempts);
        for attempt in all {
            if let Answer::In {
                student_id,
                enrollment_id,
                ..
            } = &attempt.answer
                && *enrollment_id != self.aftermath.left
            {
                members.insert(student_id.as_str(), attempt.code);
            }
        }
        members
    }
}

/// A try in a few words.
fn described(attempt: &Attempt) -> String {
    format!(
        "{} was answered {}",
        FORTY[attempt.person].name(),
        match &attempt.answer {
            Answer::In { replayed: true, .. } => "in (a replay)".to_owned(),
            Answer::In { .. } => "in".to_owned(),
            Answer::Refused { reason, .. } =>
                latchkey_service_kit::status::name(*reason).to_owned(),
            Answer::Unforeseen(text) => text.clone(),
        }
    )
}

/// Describes the tries that are not as they should be.
fn unless<'a>(
    attempts: impl IntoIterator<Item = &'a Attempt>,
    right: impl Fn(&Attempt) -> bool,
) -> Vec<String> {
    attempts
        .into_iter()
        .filter(|attempt| !right(attempt))
        .map(described)
        .collect()
}

#[cfg(test)]
mod tests;
