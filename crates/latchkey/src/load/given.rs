//! Keys and students out of files, instead of new ones.
//!
//! Keys as `latchkey keys export --format csv` writes them: of the columns, `code` and `class_id` must be there; `kind`
//! (`enrollment` or `event`), `status` (only `available` ones are used) and `key_id` may be. Students: `student_id`, and
//! `organization_id` for registrations.

mod cells;

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use uuid::Uuid;

use self::cells::{Line, lines};
use super::mix::{Action, Mix};
use super::supply::{Class, Key, KeyNumber, Organization, Supply, Ticket};

/// A key that is available.
struct KeyRow {
    code: String,
    class_id: Uuid,
    is_event: bool,
    key_id: Option<Uuid>,
}

struct StudentRow {
    student_id: Uuid,
    organization_id: Option<Uuid>,
}

impl KeyRow {
    /// The key of a line; nothing, if it is not available.
    fn of(line: &Line<'_>) -> anyhow::Result<Option<Self>> {
        if line.text("status").is_some_and(|is| is != "available") {
            return Ok(None);
        }
        // Before the class, which keys of other kinds do not have.
        let is_event = match line.text("kind") {
            None | Some("enrollment") => false,
            Some("event") => true,
            Some("pool" | "subscription") => bail!(
                "{}: a key of a pool or a subscription opens no class, and there is nothing else to redeem here",
                line.place("kind")
            ),
            Some(_) => bail!("{}: neither enrollment nor event", line.place("kind")),
        };
        Ok(Some(Self {
            code: line.needed("code")?.to_owned(),
            class_id: line.needed_id("class_id")?,
            is_event,
            key_id: line.id("key_id")?,
        }))
    }
}

impl StudentRow {
    fn of(line: &Line<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            student_id: line.needed_id("student_id")?,
            organization_id: line.id("organization_id")?,
        })
    }
}

/// The keys and students of two files, for calls of `mix`: the first students have the enrollment keys, one each; the others
/// redeem event keys, in every class. A part of the enrollment keys is kept for registrations, as large as their part of the
/// mix. The same `seed` gives the same order.
///
/// # Errors
/// When a file cannot be read, there is nothing in it for an action of the mix, or the mix has an action that needs students
/// made for it. No message holds a code.
pub fn read(keys: &Path, students: &Path, mix: &Mix, seed: u64) -> anyhow::Result<Supply> {
    let key_rows = std::fs::File::open(keys);
    let key_rows = key_rows.with_context(|| format!("cannot read {}", keys.display()))?;
    let student_rows = std::fs::File::open(students);
    let student_rows =
        student_rows.with_context(|| format!("cannot read {}", students.display()))?;
    let key_rows = keys_of(key_rows).with_context(|| format!("in {}", keys.display()))?;
    let student_rows = students_of(student_rows);
    let student_rows = student_rows.with_context(|| format!("in {}", students.display()))?;
    supply(key_rows, &student_rows, mix, seed)
}

fn keys_of(from: impl Read) -> anyhow::Result<Vec<KeyRow>> {
    let rows = lines(from, &["code", "class_id"], KeyRow::of)?;
    Ok(rows.into_iter().flatten().collect())
}

fn students_of(from: impl Read) -> anyhow::Result<Vec<StudentRow>> {
    lines(from, &["student_id"], StudentRow::of)
}

fn supply(
    keys: Vec<KeyRow>,
    students: &[StudentRow],
    mix: &Mix,
    seed: u64,
) -> anyhow::Result<Supply> {
    ensure!(!students.is_empty(), "there is no student in the file");
    ensure!(
        !mix.has(Action::Spent),
        "`spent` needs students who hold no key: it is for prepared classes only"
    );
    ensure!(!mix.has(Action::Wrong), "{}", Action::WRONG_SHUTS_OUT);
    let classes = classes(keys)?;
    let organization = Organization {
        id: students.iter().find_map(|row| row.organization_id),
        students: students.iter().map(|row| row.student_id).collect(),
        spares: Vec::new(),
    };
    ensure!(
        organization.id.is_some() || !mix.has(Action::Register),
        "registrations need an `organization_id` in the file of students"
    );
    let (mut keyed, mut event, mut newcomers) = tickets(&classes, &organization, mix);
    for (action, tickets) in [
        (Action::Enrollment, &mut keyed),
        (Action::Event, &mut event),
        (Action::Register, &mut newcomers),
    ] {
        ensure!(
            !mix.has(action) || !tickets.is_empty(),
            "there is nothing in the files for `{action}`"
        );
        tickets.shuffle(&mut StdRng::seed_from_u64(seed));
    }
    let supply = Supply {
        organizations: vec![organization],
        classes,
        is_own: false,
        ..Supply::default()
    };
    Ok(supply.with_tickets(keyed, event, newcomers))
}

fn classes(rows: Vec<KeyRow>) -> anyhow::Result<Vec<Class>> {
    let mut classes: Vec<Class> = Vec::new();
    let mut places = HashMap::new();
    for row in rows {
        let place = *places.entry(row.class_id).or_insert_with(|| {
            classes.push(Class {
                id: row.class_id,
                ..Class::default()
            });
            classes.len() - 1
        });
        let key = Key {
            id: row.key_id,
            code: row.code,
        };
        if row.is_event {
            classes[place].event_key = Some(key);
        } else {
            classes[place].keys.push(key);
        }
    }
    ensure!(!classes.is_empty(), "there is no available key in the file");
    Ok(classes)
}

fn tickets(
    classes: &[Class],
    organization: &Organization,
    mix: &Mix,
) -> (Vec<Ticket>, Vec<Ticket>, Vec<Ticket>) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let (students, registers) = if mix.consumes() {
        (mix.weight(Action::Enrollment), mix.weight(Action::Register))
    } else {
        // Nobody redeems anything: all keys are there to be asked about.
        (1, 0)
    };
    let (mut keyed, mut event, mut newcomers) = (Vec::new(), Vec::new(), Vec::new());
    for (at, class) in classes.iter().enumerate() {
        let ticket = |key, student| Ticket {
            class: number(at),
            key,
            student: number(student),
        };
        let keys = class.keys.len();
        let for_students = match u64::from(students) + u64::from(registers) {
            0 => 0,
            all => keys * students as usize / usize::try_from(all).unwrap_or(usize::MAX),
        };
        let for_students = for_students.min(organization.students.len());
        let own = |key: usize| KeyNumber::Enrollment(number(key));
        keyed.extend((0..for_students).map(|key| ticket(own(key), key)));
        if registers > 0 {
            newcomers.extend((for_students..keys).map(|key| ticket(own(key), 0)));
        }
        if class.event_key.is_some() {
            let others = for_students..organization.students.len();
            event.extend(others.map(|student| ticket(KeyNumber::Event, student)));
        }
    }
    (keyed, event, newcomers)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;

    const CLASS: &str = "00000000-0000-0000-0000-000000000005";

    fn of(keys: &str, students: usize, mix: &str) -> anyhow::Result<Supply> {
        let mut rows_of_students = "student_id,organization_id\n".to_owned();
        for number in 0..students {
            let _ = writeln!(
                rows_of_students,
                "{},{CLASS}",
                Uuid::from_u128(number as u128)
            );
        }
        let mix = mix.parse().expect("a mix");
        supply(
            keys_of(keys.as_bytes())?,
            &students_of(rows_of_students.as_bytes())?,
            &mix,
            1,
        )
    }

    fn keys(count: usize) -> String {
        let mut text = "code,kind,class_id,status\n".to_owned();
        for number in 0..count {
            let _ = writeln!(text, "EK-{number},enrollment,{CLASS},available");
        }
        text + &format!("EK-X,enrollment,{CLASS},redeemed\nEV-1,event,{CLASS},available\n")
    }

    #[test]
    fn each_student_has_a_key_or_the_event_key() {
        let supply = of(&keys(3), 5, "enrollment=1,event=1").expect("a supply");
        assert_eq!(supply.left(), (3, 2, 0));
        assert!(!supply.is_own);
        let mut codes: Vec<&str> = std::iter::from_fn(|| supply.next_keyed())
            .map(|ticket| supply.key(ticket).code.as_str())
            .collect();
        codes.sort_unstable();
        assert_eq!(
            codes,
            ["EK-0", "EK-1", "EK-2"],
            "what is redeemed is not used"
        );
        let shared = of(&keys(4), 5, "enrollment=3,register=1").expect("a supply");
        assert_eq!(shared.left(), (3, 2, 1));
        let only_asked = of(&keys(3), 5, "check=1").expect("a supply");
        assert!(only_asked.question(0).is_some());
        assert_eq!(only_asked.left(), (3, 2, 0));
    }

    #[test]
    fn what_is_missing_is_said_without_a_code() {
        let error = |keys: &str, students, mix| {
            let error = of(keys, students, mix).expect_err("an error");
            let text = format!("{error:#}");
            assert!(!text.contains("EK-"), "{text}");
            text
        };
        assert!(error("code\nEK-1\n", 1, "enrollment=1").contains("no column `class_id`"));
        for (keys, place) in [
            (
                format!("code,class_id\nEK-1,{CLASS}\nEK-2,EK-3\n"),
                "line 3, column `class_id`: this is no UUID",
            ),
            (
                format!("code,class_id\n,{CLASS}\n"),
                "line 2, column `code`: empty",
            ),
            (
                "code,class_id\nEK-1,\n".to_owned(),
                "line 2, column `class_id`: empty",
            ),
            (
                format!("code,class_id\nEK-1,{CLASS},EK-2\n"),
                "line 2: not CSV",
            ),
            (
                format!("code,class_id,kind\nEK-1,{CLASS},EK-2\n"),
                "line 2, column `kind`",
            ),
        ] {
            let told = error(&keys, 1, "enrollment=1");
            assert!(told.contains(place), "{place} in {told}");
        }
        assert!(error(&keys(0), 1, "enrollment=1").contains("`enrollment`"));
        assert!(error(&keys(1), 0, "enrollment=1").contains("no student"));
        assert!(error(&keys(1), 1, "enrollment=1,spent=1").contains("spent"));
        assert!(error(&keys(1), 1, "enrollment=1,wrong=1").contains("shut out"));
        let pool = "code,class_id,kind\nEK-1,,pool\n";
        assert!(error(pool, 1, "enrollment=1").contains("of a pool"));
        let none = format!("code,class_id,status\nEK-1,{CLASS},expired\n");
        assert!(error(&none, 1, "enrollment=1").contains("no available key"));
    }
}
