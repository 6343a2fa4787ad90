//! How people are told.

use latchkey_service_kit::config::{Check, Problems};
use serde::{Deserialize, Serialize};

use crate::domain::notification::is_page;

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
