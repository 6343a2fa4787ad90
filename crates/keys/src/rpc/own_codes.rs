//! Lists of codes of one's own as messages.

use latchkey_code::OwnCode;
use latchkey_proto::errors::v1::{Warning, WarningReason};
use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::convert::training_key;
use super::terms::terms;
use crate::app::add_own_keys::{AddOwnKeys, AddedKeys};
use crate::domain::key::TrainingKey;
use crate::domain::own_codes::{Fault, Problem};
use crate::domain::target::Target;

/// What a request for a pool asks for.
pub(super) fn of_pool(request: proto::AddOwnPoolKeysRequest) -> Result<AddOwnKeys, ApiError> {
    let mut violations = Violations::of(&request);
    let request_id = violations.own_id("request_id", &request.request_id);
    let target = Target::Pool(violations.uuid("pool_id", &request.pool_id));
    let command = wish(request_id, target, request.codes, request.only_good);
    violations.finish()?;
    Ok(command)
}

/// What a request for a subscription profile asks for.
pub(super) fn of_profile(
    request: proto::AddOwnSubscriptionKeysRequest,
) -> Result<AddOwnKeys, ApiError> {
    let mut violations = Violations::of(&request);
    let request_id = violations.own_id("request_id", &request.request_id);
    let target = Target::Profile(
        violations.uuid("profile_id", &request.profile_id),
        terms(request.terms.as_ref(), &mut violations),
    );
    let command = wish(request_id, target, request.codes, request.only_good);
    violations.finish()?;
    Ok(command)
}

fn wish(request_id: Uuid, target: Target, codes: Vec<String>, only_good: bool) -> AddOwnKeys {
    let codes: Vec<Zeroizing<String>> = codes.into_iter().map(Zeroizing::new).collect();
    AddOwnKeys {
        request_id,
        target,
        lines: codes.iter().map(|code| OwnCode::parse(code)).collect(),
        texts: joined(&codes),
        only_good,
    }
}

/// All lines in one text, each told from the next.
fn joined(codes: &[Zeroizing<String>]) -> Zeroizing<String> {
    let length = codes.iter().map(|code| code.len() + 8).sum();
    let mut text = Zeroizing::new(String::with_capacity(length));
    for code in codes {
        // With its length: a line may hold whatever could stand between lines.
        text.push_str(&code.len().to_string());
        text.push(':');
        text.push_str(code);
    }
    text
}

impl From<AddedKeys> for proto::AddOwnPoolKeysResponse {
    fn from(added: AddedKeys) -> Self {
        let warnings = warnings(&added);
        Self {
            added: added.keys.into_iter().map(added_key).collect(),
            problems: added.problems.into_iter().map(problem).collect(),
            warnings,
        }
    }
}

impl From<AddedKeys> for proto::AddOwnSubscriptionKeysResponse {
    fn from(added: AddedKeys) -> Self {
        let warnings = warnings(&added);
        Self {
            added: added.keys.into_iter().map(added_key).collect(),
            problems: added.problems.into_iter().map(problem).collect(),
            warnings,
        }
    }
}

fn added_key((line, key): (usize, TrainingKey)) -> proto::AddedKey {
    proto::AddedKey {
        line: number(line),
        key: Some(training_key(key)),
    }
}

fn number(line: usize) -> i32 {
    i32::try_from(line).unwrap_or(i32::MAX)
}

fn problem(problem: Problem) -> proto::OwnCodeProblem {
    let (fault, message, first_line) = match problem.fault {
        Fault::Unusable { rule } => (proto::OwnCodeFault::Unusable, rule, 0),
        Fault::Repeated { first_line } => (
            proto::OwnCodeFault::Repeated,
            format!("the same code as in line {first_line}"),
            number(first_line),
        ),
        Fault::Taken => (
            proto::OwnCodeFault::Taken,
            "this text is the code of another key".to_owned(),
            0,
        ),
    };
    proto::OwnCodeProblem {
        line: number(problem.line),
        fault: fault.into(),
        message,
        first_line,
    }
}

/// One warning at most, for all lines that are easy to guess.
fn warnings(added: &AddedKeys) -> Vec<Warning> {
    if added.guessable.is_empty() {
        return Vec::new();
    }
    let lines: Vec<String> = added.guessable.iter().map(usize::to_string).collect();
    let lines = lines.join(", ");
    vec![Warning {
        reason: WarningReason::CodeGuessable.into(),
        message: format!(
            "These codes are easy to guess: lines {lines}. Longer, less regular ones are better."
        ),
        metadata: [("lines".to_owned(), lines)].into(),
    }]
}
