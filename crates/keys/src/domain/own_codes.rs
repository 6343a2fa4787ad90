//! Many codes of one's own at once: which of them can be had.

use std::collections::HashMap;

use latchkey_code::{OwnCode, OwnCodeError};
use serde::{Deserialize, Serialize};

/// A line of a list of codes.
pub type Line = Result<OwnCode, OwnCodeError>;

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "fault")]
pub enum Fault {
    /// It cannot be a code.
    Unusable {
        /// Which rule it breaks, for people; never the text.
        rule: String,
    },
    /// An earlier line has the same code.
    Repeated {
        /// That line, counted from 1.
        first_line: usize,
    },
    /// Another key has this code.
    Taken,
}

/// A line that cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[serde(flatten)]
    pub fault: Fault,
}

/// A code that can be had, as far as the list itself tells.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'l> {
    /// Its line, counted from 1.
    pub line: usize,
    /// The code.
    pub code: &'l OwnCode,
}

/// The codes of `lines` that each stand there once and can be codes, and what is wrong with the other lines.
pub fn sift(lines: &[Line]) -> (Vec<Candidate<'_>>, Vec<Problem>) {
    let (mut candidates, mut problems) = (Vec::new(), Vec::new());
    let mut first: HashMap<&str, usize> = HashMap::new();
    for (line, text) in (1..).zip(lines) {
        let fault = match text {
            Ok(code) => {
                let earlier = *first.entry(code.canonical().expose()).or_insert(line);
                if earlier == line {
                    candidates.push(Candidate { line, code });
                    continue;
                }
                Fault::Repeated {
                    first_line: earlier,
                }
            }
            Err(error) => Fault::Unusable {
                rule: error.to_string(),
            },
        };
        problems.push(Problem { line, fault });
    }
    (candidates, problems)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_that_cannot_be_had_is_named_and_the_others_are_left() {
        let texts = ["Linux-2030", "abc", "lInUx2o3O", "Rust-2030", "Rust-2030"];
        let lines: Vec<Line> = texts.into_iter().map(OwnCode::parse).collect();
        let (candidates, problems) = sift(&lines);
        let left: Vec<usize> = candidates.iter().map(|one| one.line).collect();
        assert_eq!(left, [1, 4]);
        let faults: Vec<(usize, &Fault)> =
            problems.iter().map(|one| (one.line, &one.fault)).collect();
        assert!(matches!(faults[0], (2, Fault::Unusable { .. })));
        assert_eq!(faults[1], (3, &Fault::Repeated { first_line: 1 }));
        assert_eq!(faults[2], (5, &Fault::Repeated { first_line: 4 }));
    }

    #[test]
    fn no_text_is_repeated_in_what_is_wrong_with_it() {
        let (_, problems) = sift(&[OwnCode::parse("hush hush!")]);
        assert!(!format!("{problems:?}").contains("hush"));
    }
}
