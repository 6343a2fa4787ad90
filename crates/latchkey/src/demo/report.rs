//! What is shown of the story: tables for people.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table};
use latchkey_proto::enrollment::v1::{CancelledBy, Course, EnrollmentStatus, GetRosterResponse};
use latchkey_proto::keys::v1::{KeyKind, KeyState};
use latchkey_service_kit::status::name;
use prost_types::Timestamp;

use super::attempt::{Answer, Attempt, Spelling};
use super::expectations::{Story, Verdict};
use super::scenario::{Scenario, time};
use super::self_paced::{Deed, SelfPaced};
use super::students::{FORTY, Way};
use super::subscription::Subscription;
use super::telling::Telling;

/// The widest a table gets where no terminal says otherwise, in columns.
const WIDTH: u16 = 118;

/// What was set up.
pub(super) fn opening(scenario: &Scenario<'_>) -> String {
    let class = &scenario.class;
    let accounts = scenario.accounts.len();
    format!(
        "Class      {}: {} to {}, {} seats\n\
         Keys       {} enrollment keys, one of them revoked, and the event key {}\n\
         Students   {}: {accounts} with an account, {} who register with their key\n",
        class.name,
        day(class.start_time.as_ref()),
        day(class.end_time.as_ref()),
        class.maximum_students,
        scenario.enrollment_keys.len(),
        shortened(&scenario.event_key.masked),
        FORTY.len(),
        FORTY.len() - accounts,
    )
}

/// Who used which code, the answer and why, in the order of the answers.
pub(super) fn attempts(scenario: &Scenario<'_>, attempts: &[Attempt]) -> String {
    let mut table = table(["", "student", "way", "code", "typed", "answer", "why"]);
    for (place, attempt) in attempts.iter().enumerate() {
        let person = &FORTY[attempt.person];
        let (answer, why) = answered(&attempt.answer);
        table.add_row([
            (place + 1).to_string(),
            person.name(),
            match person.way {
                Way::Account => "account".to_owned(),
                Way::Registers => "registers".to_owned(),
            },
            shortened(&scenario.handout(attempt.code).masked),
            match attempt.spelling {
                Spelling::Printed => "as printed".to_owned(),
                Spelling::Sloppy => "sloppily".to_owned(),
                Spelling::Mistyped => "with an error".to_owned(),
            },
            answer,
            why,
        ]);
    }
    finished(table)
}

fn answered(answer: &Answer) -> (String, String) {
    match answer {
        Answer::In {
            replayed,
            already_in,
            ..
        } => {
            let why = match (replayed, already_in) {
                (_, true) => "was in already; nothing is spent",
                (true, false) => "the same redemption again",
                (false, false) => "",
            };
            ("in".to_owned(), why.to_owned())
        }
        Answer::Refused { reason, text } => (name(*reason).to_owned(), first_sentence(text)),
        Answer::Unforeseen(text) => ("?".to_owned(), text.clone()),
    }
}

/// What happened between the race and the last tries.
pub(super) fn aftermath(story: &Story) -> String {
    let class = &story.aftermath.class;
    let leaver = FORTY[story.aftermath.leaver].name();
    let successor = story.aftermath.attempts.first();
    let successor = successor.map_or_else(String::new, |attempt| FORTY[attempt.person].name());
    format!(
        "The class moves: now {} to {}; every key and everyone's access move with it.\n\
         {leaver} cancels: a seat is free, and so is the key. {successor} takes it, and {leaver} comes back too late.\n",
        day(class.start_time.as_ref()),
        day(class.end_time.as_ref()),
    )
}

/// The roster, and what the keys show.
pub(super) fn roster(scenario: &Scenario<'_>, story: &Story) -> String {
    let roster = &story.records.roster;
    let mut table = table(["", "student", "came by", "code", "when (UTC)", "status"]);
    let codes = scenario.enrollment_keys.iter().chain([&scenario.event_key]);
    let codes: Vec<(&str, String)> = codes
        .map(|handout| (handout.key_id.as_str(), shortened(&handout.masked)))
        .collect();
    for (place, entry) in roster.entries.iter().enumerate() {
        let student = entry.student.clone().unwrap_or_default();
        let enrollment = entry.enrollment.clone().unwrap_or_default();
        let status = match (enrollment.status(), enrollment.cancelled_by()) {
            (EnrollmentStatus::Enrolled, _) => "enrolled",
            (_, CancelledBy::Student) => "cancelled by the student",
            _ => "cancelled",
        };
        let origin = enrollment.origin.unwrap_or_default();
        let code = codes.iter().find(|(key_id, _)| *key_id == origin.key_id);
        table.add_row([
            (place + 1).to_string(),
            format!("{} {}", student.given_name, student.family_name),
            match origin.key_kind() {
                KeyKind::Event => "event key".to_owned(),
                KeyKind::Enrollment => "enrollment key".to_owned(),
                KeyKind::Pool | KeyKind::Subscription | KeyKind::Unspecified => "staff".to_owned(),
            },
            code.map(|(_, code)| code.clone()).unwrap_or_default(),
            clock(enrollment.enroll_time.as_ref()),
            status.to_owned(),
        ]);
    }
    format!("{}\n{}\n{}", counts(roster), finished(table), keys(story))
}

/// What the two did who share the key of a pool.
pub(super) fn self_paced(act: &SelfPaced) -> String {
    let mut table = table(["", "student", "what", "answer"]);
    for (place, step) in act.steps.iter().enumerate() {
        table.add_row([
            (place + 1).to_string(),
            FORTY[step.person].name(),
            match step.deed {
                Deed::Redeem => "redeems the key".to_owned(),
                Deed::Cancel => "gives the course back".to_owned(),
                Deed::Launch => "launches a lab".to_owned(),
            },
            match (&step.answer, step.deed) {
                (Ok(assignment), Deed::Redeem) => {
                    format!("until {}", day(assignment.expire_time.as_ref()))
                }
                (Ok(_), Deed::Cancel | Deed::Launch) => "done".to_owned(),
                (Err(reason), _) => name(*reason).to_owned(),
            },
        ]);
    }
    format!(
        "{}: two share the key {} of a pool, which can be redeemed until {}\n{}\n",
        act.pool.course_name,
        shortened(&act.key.masked),
        day(act.pool.expire_time.as_ref()),
        finished(table),
    )
}

/// The third act: who redeemed the subscription key, and what they have.
pub(super) fn subscription(act: &Subscription) -> String {
    let mut table = table(["", "student", "answer", "courses"]);
    for (place, one) in act.tries.iter().enumerate() {
        let (answer, courses) = match &one.answer {
            Ok(granted) => {
                let until = format!("until {}", day(granted.expire_time.as_ref()));
                (until, names(&granted.courses))
            }
            Err(reason) => (name(*reason).to_owned(), String::new()),
        };
        let number = (place + 1).to_string();
        table.add_row([number, FORTY[one.person].name(), answer, courses]);
    }
    format!(
        "{}: three try the subscription key {}, which is for two; then it has {}\n{}\n",
        act.profile.name,
        shortened(&act.key.masked),
        names(&act.profile.courses),
        finished(table),
    )
}

fn names(courses: &[Course]) -> String {
    let names: Vec<&str> = courses.iter().map(|one| &*one.course_name).collect();
    names.join(", ")
}

/// Who waited for a seat, and what the mail server got: its headers, and its text with the code masked.
pub(super) fn telling(act: &Telling) -> String {
    let (leaver, waiter) = (FORTY[act.leaver].name(), FORTY[act.waiter].name());
    let mut text = format!(
        "{}: {waiter} waits for the one seat, and has it when {leaver} cancels. Then the class is brought forward.\n\
         What the mail server got\n",
        act.class.name
    );
    for (place, letter) in act.letters.iter().enumerate() {
        if place > 0 {
            text.push('\n');
        }
        for name in ["From", "To", "Subject", "Message-ID"] {
            let _ = writeln!(text, "  {name}: {}", letter.header(name));
        }
        let masked = shortened(&act.event_key.masked);
        let body = letter.body().replace(&act.event_key.code, &masked);
        for line in body.trim().lines().filter(|line| !line.is_empty()) {
            let _ = writeln!(text, "    {line}");
        }
    }
    text
}

fn counts(roster: &GetRosterResponse) -> String {
    format!(
        "{} of {} seats taken, {} left",
        roster.seats_taken, roster.maximum_students, roster.seats_left
    )
}

fn keys(story: &Story) -> String {
    let in_state = |state: KeyState| {
        let keys = story.records.keys.values();
        keys.filter(|key| key.state() == state).count()
    };
    format!(
        "{} enrollment keys: {} redeemed, {} revoked, {} expired, {} available; the event key let in {}\n",
        story.records.keys.len(),
        in_state(KeyState::Redeemed),
        in_state(KeyState::Revoked),
        in_state(KeyState::Expired),
        in_state(KeyState::Available),
        story.records.event_key.use_count,
    )
}

/// Each rule and whether it held; a broken one with where.
pub(super) fn verdicts(verdicts: &[Verdict]) -> String {
    let mut text = String::new();
    for verdict in verdicts {
        let mark = if verdict.problems.is_empty() {
            "ok    "
        } else {
            "BROKEN"
        };
        let _ = writeln!(text, "{mark}  {}", verdict.rule);
        for problem in &verdict.problems {
            let _ = writeln!(text, "          {problem}");
        }
    }
    text
}

fn table<const COLUMNS: usize>(header: [&str; COLUMNS]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none()))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if table.width().is_none() {
        table.set_width(WIDTH);
    }
    table
}

/// The text of a table whose first column counts its rows. Narrow, so that a row stays on its line.
fn finished(mut table: Table) -> String {
    for column in table.column_iter_mut() {
        column.set_padding((0, 1));
    }
    if let Some(numbers) = table.column_mut(0) {
        numbers.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// A masked code without most of its dots: `EK-••••-••••-4M` is `EK-…4M`.
fn shortened(masked: &str) -> String {
    let shown = |symbol: char| !matches!(symbol, '•' | '-');
    let prefix: String = masked.chars().take_while(|symbol| shown(*symbol)).collect();
    let end: Vec<char> = masked
        .chars()
        .rev()
        .take_while(|symbol| shown(*symbol))
        .collect();
    let end: String = end.into_iter().rev().collect();
    format!("{prefix}-…{end}")
}

/// The first sentence; what to do about it would be too much for a table.
fn first_sentence(text: &str) -> String {
    let end = text.find(". ").or_else(|| text.find(": "));
    end.map_or(text, |end| &text[..end])
        .trim_end_matches('.')
        .to_owned()
}

fn day(timestamp: Option<&Timestamp>) -> String {
    formatted(timestamp, "%-d %B %Y")
}

fn clock(timestamp: Option<&Timestamp>) -> String {
    formatted(timestamp, "%H:%M:%S%.3f")
}

fn formatted(timestamp: Option<&Timestamp>, format: &str) -> String {
    let formatted = |time: DateTime<Utc>| time.format(format).to_string();
    time(timestamp).map_or_else(|_| "?".to_owned(), formatted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_code_is_shown_short() {
        assert_eq!(shortened("EK-••••-••••-••••-••••-••••-••4M"), "EK-…4M");
        assert_eq!(shortened("ab••••••"), "ab-…");
    }

    #[test]
    fn the_reason_is_shown_and_not_the_advice() {
        assert_eq!(
            first_sentence("All seats are taken. Free one."),
            "All seats are taken"
        );
        assert_eq!(first_sentence("This is over."), "This is over");
    }
}
