//! Lists of codes of one's own as messages.

use latchkey_code::OwnCode;
use latchkey_proto::errors::v1::{Warning, WarningReason};
use latchkey_proto::keys::v1 as proto;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use zeroize::Zeroizing;

use super::convert::training_key;
use crate::app::add_own_keys::{AddOwnKeys, AddedKeys};
use crate::domain::own_codes::{Fault, Problem};

/// What a request asks for.
pub(super) fn wish(request: proto::AddOwnPoolKeysRequest) -> Result<AddOwnKeys, ApiError> {
    let mut violations = Violations::of(&request);
    let codes: Vec<Zeroizing<String>> = request.codes.into_iter().map(Zeroizing::new).collect();
    let command = AddOwnKeys {
        request_id: violations.uuid("request_id", &request.request_id),
        pool_id: violations.uuid("pool_id", &request.pool_id),
        lines: codes.iter().map(|code| OwnCode::parse(code)).collect(),
        texts: joined(&codes),
        only_good: request.only_good,
    };
    violations.finish()?;
    Ok(command)
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

/// What became of the lines.
pub(super) fn answer(added: AddedKeys) -> proto::AddOwnPoolKeysResponse {
    let keys = added
        .keys
        .into_iter()
        .map(|(line, key)| proto::AddedPoolKey {
            line: number(line),
            key: Some(training_key(key)),
        });
    proto::AddOwnPoolKeysResponse {
        added: keys.collect(),
        problems: added.problems.into_iter().map(problem).collect(),
        warnings: warning(&added.guessable).into_iter().collect(),
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

fn warning(guessable: &[usize]) -> Option<Warning> {
    if guessable.is_empty() {
        return None;
    }
    let lines: Vec<String> = guessable.iter().map(usize::to_string).collect();
    let lines = lines.join(", ");
    Some(Warning {
        reason: WarningReason::CodeGuessable.into(),
        message: format!(
            "These codes are easy to guess: lines {lines}. Longer, less regular ones are better."
        ),
        metadata: [("lines".to_owned(), lines)].into(),
    })
}
