//! Beginnings of names and addresses, by which students are searched for.

use std::fmt;

use super::email::fold;

/// What a text begins with, folded as the texts are that it is compared with. Compared byte by byte, all texts that begin with
/// it are one range.
#[derive(Clone, PartialEq, Eq)]
pub struct Prefix(String);

impl Prefix {
    /// Takes `text` without the space around it; `None` if nothing is left.
    pub fn new(text: &str) -> Option<Self> {
        let folded = fold(text);
        (!folded.is_empty()).then_some(Self(folded))
    }

    /// The first text of the range.
    pub fn first(&self) -> &str {
        &self.0
    }

    /// A text after the whole range: no name has this character.
    pub fn behind(&self) -> String {
        format!("{}{}", self.0, char::MAX)
    }

    /// Whether the folded `text` begins with it.
    pub fn begins(&self, text: &str) -> bool {
        text.starts_with(&self.0)
    }
}

/// Personal data: not for logs.
impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prefix([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_surrounding_space_do_not_count_and_nothing_is_no_prefix() {
        let prefix = Prefix::new(" \u{c4}r").unwrap();
        assert!(prefix.begins(&fold("\u{e4}rger")));
        assert!(!prefix.begins("arger"));
        assert_eq!(Prefix::new(" \u{a0}"), None);
        assert!(!format!("{prefix:?}").contains('\u{e4}'));
    }

    proptest! {
        #[test]
        fn the_range_holds_what_begins_so_and_nothing_else(begin in "[a-zäöü ]{1,4}", text in "[a-zäöü ]{0,8}") {
            if let Some(prefix) = Prefix::new(&begin) {
                let within = prefix.first() <= text.as_str() && text.as_str() < prefix.behind().as_str();
                prop_assert_eq!(within, prefix.begins(&text));
            }
        }
    }
}
