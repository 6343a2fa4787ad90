//! The forty who want to get in, and what each of them does at the keyboard.

/// One of the forty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    /// Given name.
    pub(super) given: &'static str,
    /// Family name.
    pub(super) family: &'static str,
    /// How they come.
    pub(super) way: Way,
    /// Whose code they have.
    pub(super) code: Code,
    /// What they do with it.
    pub(super) habit: Habit,
}

/// How somebody comes to a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Has an account.
    Account,
    /// Registers with the key: account and enrollment in one step.
    Registers,
}

/// Which of the class's codes somebody was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Code {
    /// That of the enrollment key with this number, from 0.
    Enrollment(usize),
    /// That of the event key.
    Event,
}

/// What somebody does with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Types it as printed.
    Plain,
    /// Types it in small letters, without hyphens, and O for 0.
    Sloppy,
    /// Gets one symbol wrong, then types it right.
    Mistypes,
    /// Presses the button twice: the same redemption is sent twice at once.
    PressesTwice,
    /// Has an answer and tries once more.
    ComesAgain,
}

impl Person {
    /// Both names.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.given, self.family)
    }

    /// The e-mail address.
    pub(super) fn email(&self) -> String {
        format!("{}.{}@example.com", self.given, self.family).to_lowercase()
    }
}

/// The enrollment key that is revoked before the race.
pub(super) const REVOKED: usize = 22;

use Code::{Enrollment, Event};
use Habit::{ComesAgain, Mistypes, Plain, PressesTwice, Sloppy};
use Way::{Account, Registers};

const fn person(
    given: &'static str,
    family: &'static str,
    way: Way,
    code: Code,
    habit: Habit,
) -> Person {
    Person {
        given,
        family,
        way,
        code,
        habit,
    }
}

/// All forty: 22 with an enrollment key of their own, one with a revoked key, two and three who share a key, and twelve
/// with the code of the event key. At most 36 of them have a right to a seat, and there are 30.
pub(super) const FORTY: [Person; 40] = [
    person("Ada", "Abel", Account, Enrollment(0), Plain),
    person("Bruno", "Adler", Account, Enrollment(1), Mistypes),
    person("Clara", "Baum", Account, Enrollment(2), Plain),
    person("Dario", "Bianchi", Account, Enrollment(3), PressesTwice),
    person("Edith", "Brand", Account, Enrollment(4), Sloppy),
    person("Felix", "Conrad", Account, Enrollment(5), Plain),
    person("Greta", "Dahl", Account, Enrollment(6), ComesAgain),
    person("Hugo", "Diaz", Account, Enrollment(7), Mistypes),
    person("Ida", "Ebert", Account, Enrollment(8), Plain),
    person("Jonas", "Falk", Account, Enrollment(9), PressesTwice),
    person("Karla", "Fischer", Account, Enrollment(10), Plain),
    person("Leo", "Garcia", Account, Enrollment(11), Sloppy),
    person("Mara", "Haas", Account, Enrollment(12), Plain),
    person("Nils", "Horvat", Account, Enrollment(13), ComesAgain),
    person("Olga", "Ivanova", Registers, Enrollment(14), Plain),
    person("Paul", "Jansen", Registers, Enrollment(15), Mistypes),
    person("Quinn", "Keller", Registers, Enrollment(16), Plain),
    person("Rosa", "Klein", Registers, Enrollment(17), PressesTwice),
    person("Sami", "Koskinen", Registers, Enrollment(18), Sloppy),
    person("Tilda", "Lang", Registers, Enrollment(19), Plain),
    person("Udo", "Lorenz", Registers, Enrollment(20), Plain),
    person("Vera", "Maurer", Registers, Enrollment(21), Plain),
    person("Willi", "Moreau", Account, Enrollment(REVOKED), Plain),
    person("Xenia", "Novak", Account, Enrollment(23), Plain),
    person("Yusuf", "Okafor", Account, Enrollment(23), Plain),
    person("Zora", "Petrov", Account, Enrollment(24), Plain),
    person("Anton", "Quist", Registers, Enrollment(24), Plain),
    person("Berta", "Reyes", Account, Enrollment(24), Sloppy),
    person("Carlo", "Richter", Account, Event, Plain),
    person("Dora", "Rossi", Account, Event, PressesTwice),
    person("Emil", "Sander", Account, Event, Mistypes),
    person("Freya", "Silva", Account, Event, ComesAgain),
    person("Georg", "Simon", Account, Event, Plain),
    person("Hanna", "Sorensen", Account, Event, Sloppy),
    person("Ivan", "Tanaka", Account, Event, Plain),
    person("Julia", "Ude", Registers, Event, Plain),
    person("Kofi", "Vogel", Registers, Event, PressesTwice),
    person("Lena", "Weiss", Registers, Event, Mistypes),
    person("Milo", "Yilmaz", Registers, Event, Plain),
    person("Nora", "Zander", Registers, Event, Plain),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn more_have_a_right_to_a_seat_than_there_are_seats() {
        let keys: HashSet<Code> = FORTY
            .iter()
            .map(|person| person.code)
            .filter(|code| !matches!(code, Event | Enrollment(REVOKED)))
            .collect();
        let by_event = FORTY.iter().filter(|person| person.code == Event).count();
        assert_eq!(keys.len() + by_event, 36);
        let emails: HashSet<String> = FORTY.iter().map(Person::email).collect();
        assert_eq!(emails.len(), FORTY.len(), "no two are the same person");
    }
}
