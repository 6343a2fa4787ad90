//! E-mail addresses, unique in an organization without regard to case.

use std::fmt;

/// An e-mail address: as it was given, and folded for comparison.
#[derive(Clone, PartialEq, Eq)]
pub struct EmailAddress {
    given: String,
    folded: String,
}

impl EmailAddress {
    /// Takes `text` without the space around it.
    pub fn new(text: &str) -> Self {
        let given = text.trim().to_owned();
        Self {
            folded: fold(&given),
            given,
        }
    }

    /// As it was given.
    pub fn given(&self) -> &str {
        &self.given
    }

    /// As it is compared.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

/// `text` as e-mail addresses are compared: without the space around it, in lower case by Unicode's rules.
pub fn fold(text: &str) -> String {
    text.trim().to_lowercase()
}

/// Personal data: not for logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn case_and_surrounding_space_do_not_count() {
        let address = EmailAddress::new(" Ann.Ärger@Example.COM ");
        assert_eq!(address.given(), "Ann.Ärger@Example.COM");
        assert_eq!(address.folded(), "ann.ärger@example.com");
        assert_eq!(fold("ANN.ÄRGER@EXAMPLE.COM"), address.folded());
    }

    #[test]
    fn nothing_is_shown_in_logs() {
        assert!(!format!("{:?}", EmailAddress::new("ann@example.com")).contains("ann"));
    }

    proptest! {
        #[test]
        fn what_differs_only_in_ascii_case_folds_alike(text in "[ -~]{0,40}") {
            prop_assert_eq!(fold(&text), fold(&text.to_ascii_uppercase()));
            prop_assert_eq!(fold(&text), fold(&text.to_ascii_lowercase()));
        }
    }
}
