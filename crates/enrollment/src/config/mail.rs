//! How people are told.

use latchkey_service_kit::config::{Check, Problems};
use serde::{Deserialize, Serialize};

/// What is written to students, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MailConfig {
    /// The page on which students sign in and type their keys: an `https` address.
    pub login_page: Option<String>,
}

impl Check for MailConfig {
    fn check(&self, path: &str, problems: &mut Problems) {
        if let Some(page) = &self.login_page {
            problems.check(
                &format!("{path}login_page"),
                is_page(page),
                "must be an address that begins with `https://` (or `http://localhost`)",
            );
        }
    }
}

/// Whether `text` is the address of a page, as it may stand in a letter.
fn is_page(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| {
        text.strip_prefix("http://")
            .filter(|rest| rest.starts_with("localhost"))
    });
    let plain = |letter: char| letter.is_ascii_graphic() && !"<>\"".contains(letter);
    rest.is_some_and(|rest| !rest.is_empty() && rest.len() <= 500 && rest.chars().all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_one_that_can_be_trusted_and_stands_on_one_line() {
        for good in [
            "https://learn.example.com/keys?from=mail",
            "http://localhost:8080/",
        ] {
            assert!(is_page(good), "{good}");
        }
        for bad in [
            "",
            "https://",
            "http://learn.example.com",
            "https://a b",
            "https://a\nb",
            "javascript:x",
        ] {
            assert!(!is_page(bad), "{bad}");
        }
    }
}
