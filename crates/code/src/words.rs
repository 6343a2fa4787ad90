//! Words that people put into codes for training.

/// In upper case, four letters or more: shorter ones turn up in random codes too often.
const WORDS: &[&str] = &[
    "ACADEMY",
    "ACCESS",
    "ADMIN",
    "ADVANCED",
    "AGILE",
    "ANSIBLE",
    "APRIL",
    "ATTEND",
    "AUGUST",
    "AUTUMN",
    "AZURE",
    "BASIC",
    "BEGIN",
    "BERLIN",
    "BOOTCAMP",
    "CAMP",
    "CERTIFIED",
    "CHANGEME",
    "CLASS",
    "CLOUD",
    "CODE",
    "COMPANY",
    "CONFERENCE",
    "COURSE",
    "CYBER",
    "DATA",
    "DECEMBER",
    "DEFAULT",
    "DEMO",
    "DEVELOPER",
    "DEVOPS",
    "DOCKER",
    "DRAGON",
    "ENGINEER",
    "ENROLL",
    "ENROLLMENT",
    "EVENT",
    "EXAM",
    "FALL",
    "FEBRUARY",
    "FOOTBALL",
    "FREE",
    "FRIDAY",
    "GUEST",
    "HELLO",
    "IDENTITY",
    "INTRO",
    "ITALY",
    "JANUARY",
    "JAVA",
    "JOIN",
    "JULY",
    "JUNE",
    "KUBERNETES",
    "LABS",
    "LEARN",
    "LEARNING",
    "LESSON",
    "LETMEIN",
    "LINUX",
    "LOGIN",
    "LONDON",
    "LOVE",
    "MACHINE",
    "MADRID",
    "MARCH",
    "MASTER",
    "MEETING",
    "MONDAY",
    "MONKEY",
    "NETWORK",
    "NOVEMBER",
    "OCTOBER",
    "OFFICE",
    "ONLINE",
    "OPEN",
    "OPERATOR",
    "PARIS",
    "PASS",
    "PASSWORD",
    "PILOT",
    "PRINCESS",
    "PRIVATE",
    "PUBLIC",
    "PYTHON",
    "QWERTY",
    "REDEEM",
    "REGISTER",
    "RUST",
    "SALES",
    "SATURDAY",
    "SCHOOL",
    "SEAT",
    "SECRET",
    "SECURITY",
    "SEMINAR",
    "SEPTEMBER",
    "SERVER",
    "SESSION",
    "SPRING",
    "START",
    "STUDENT",
    "STUDY",
    "SUMMER",
    "SUMMIT",
    "SUNDAY",
    "SUNSHINE",
    "TEACH",
    "TEACHER",
    "TEAM",
    "TEMP",
    "TERRAFORM",
    "TEST",
    "THURSDAY",
    "TICKET",
    "TODAY",
    "TRAIN",
    "TRAINER",
    "TRAINING",
    "TUESDAY",
    "TUTORIAL",
    "UNIVERSITY",
    "USER",
    "VIRTUAL",
    "WEBINAR",
    "WEDNESDAY",
    "WEEK",
    "WELCOME",
    "WINDOWS",
    "WINTER",
    "WORKSHOP",
    "WORLD",
    "YEAR",
];

/// The length of the longest known word that `text` (upper case) begins with, or 0. Digits count
/// as the letters they are commonly written for: `P455W0RD`.
pub(crate) fn known(text: &[u8]) -> usize {
    let begins_with = |word: &&&str| {
        word.len() <= text.len()
            && word
                .bytes()
                .zip(text)
                .all(|(expected, &found)| skeleton(expected) == skeleton(found))
    };
    WORDS
        .iter()
        .filter(begins_with)
        .map(|word| word.len())
        .max()
        .unwrap_or(0)
}

/// One character for all that are written in each other's place.
fn skeleton(character: u8) -> u8 {
    match character {
        b'O' => b'0',
        b'I' | b'L' => b'1',
        b'E' => b'3',
        b'A' => b'4',
        b'S' => b'5',
        b'T' => b'7',
        b'B' => b'8',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_word_counts_in_any_common_spelling() {
        assert_eq!(known(b"TRAINING7"), 8);
        assert_eq!(known(b"TRAINXNG"), 5);
        assert_eq!(known(b"7R41N1N6"), 5);
        assert_eq!(known(b"XTRAIN"), 0);
        assert_eq!(known(b""), 0);
    }

    #[test]
    fn words_are_upper_case_and_not_too_short() {
        for word in WORDS {
            assert!(word.bytes().all(|byte| byte.is_ascii_uppercase()), "{word}");
            assert!(word.len() >= 4, "{word}");
        }
    }
}
