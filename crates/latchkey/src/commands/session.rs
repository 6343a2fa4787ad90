//! A session with grpcurl, from a class to its roster, to paste into a shell.

use std::fmt::Write as _;
use std::path::Path;

use latchkey::stack::description::Description;
use latchkey_service_kit::identity::Role;

/// What the steps use: a token's header, ids of the caller's making, a field of an answer, and dates that lie ahead
/// whenever it is pasted.
const PREAMBLE: &str = r#"bearer() { echo "authorization: Bearer $(cat "$tokens/$1.jwt")"; }
new_id() { cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen | tr A-Z a-z; }
field() { tee /dev/stderr | sed -n "s/.*\"$1\": \"\(.*\)\".*/\1/p" | head -n 1; }
in_days() { date -u -d "+$1 days" +%Y-%m-%dT%H:%M:%SZ 2>/dev/null || date -u -v "+$1d" +%Y-%m-%dT%H:%M:%SZ; }
"#;

/// One step: what it does, who does it, which method is called with what; and a shell variable for a field of the
/// answer, if later steps need it.
struct Step {
    title: &'static str,
    role: Role,
    method: &'static str,
    /// The request as JSON, between double quotes in a shell: `$name` is replaced there.
    body: &'static str,
    keep: Option<(&'static str, &'static str)>,
}

/// From a class to its roster.
const STEPS: [Step; 10] = [
    Step {
        title: "A class with its event key",
        role: Role::Administrator,
        method: "latchkey.enrollment.v1.ClassService/CreateClass",
        body: r#"{"request_id": "$(new_id)", "organization_id": "$organization_id", "course_id": "linux-101", "course_name": "Linux", "name": "Linux in a week", "instructors": ["dev-instructor"], "start_time": "$(in_days 1)", "end_time": "$(in_days 6)", "time_zone": "Europe/Berlin", "maximum_students": 30, "event_key": {"generated": {}}}"#,
        keep: Some(("class_id", "classId")),
    },
    Step {
        title: "Enrollment keys for it",
        role: Role::Administrator,
        method: "latchkey.keys.v1.TrainingKeyService/GenerateTrainingKeys",
        body: r#"{"request_id": "$(new_id)", "class_id": "$class_id", "count": 3}"#,
        keep: Some(("key_id", "keyId")),
    },
    Step {
        title: "The code of the first one",
        role: Role::OperationsManager,
        method: "latchkey.keys.v1.TrainingKeyService/RevealTrainingKeys",
        body: r#"{"key_ids": ["$key_id"], "purpose": "to hand it out"}"#,
        keep: Some(("code", "code")),
    },
    Step {
        title: "What would it open?",
        role: Role::PlatformService,
        method: "latchkey.enrollment.v1.RedemptionService/CheckKey",
        body: r#"{"code": "$code", "student_id": "$student_id"}"#,
        keep: None,
    },
    Step {
        title: "A student redeems it",
        role: Role::Student,
        method: "latchkey.enrollment.v1.RedemptionService/RedeemKey",
        body: r#"{"redemption_id": "$(new_id)", "code": "$code", "student_id": "$student_id"}"#,
        keep: None,
    },
    Step {
        title: "The code of the event key",
        role: Role::Instructor,
        method: "latchkey.keys.v1.TrainingKeyService/RevealEventKey",
        body: r#"{"class_id": "$class_id"}"#,
        keep: Some(("event_code", "code")),
    },
    Step {
        title: "Somebody without an account registers with it",
        role: Role::PlatformService,
        method: "latchkey.enrollment.v1.RedemptionService/RegisterWithKey",
        body: r#"{"redemption_id": "$(new_id)", "code": "$event_code", "organization_id": "$organization_id", "email": "$(new_id)@example.com", "given_name": "Nora", "family_name": "New", "credential": {"password": {"text": "correct horse battery"}}}"#,
        keep: None,
    },
    Step {
        title: "Who is in",
        role: Role::Instructor,
        method: "latchkey.enrollment.v1.EnrollmentService/GetRoster",
        body: r#"{"class_id": "$class_id"}"#,
        keep: None,
    },
    Step {
        title: "Which keys are used, by whom and when",
        role: Role::Administrator,
        method: "latchkey.keys.v1.TrainingKeyService/ListTrainingKeys",
        body: r#"{"class_id": "$class_id"}"#,
        keep: None,
    },
    Step {
        title: "May the student open the class?",
        role: Role::Student,
        method: "latchkey.enrollment.v1.EnrollmentService/GetAccess",
        body: r#"{"student_id": "$student_id", "class_id": "$class_id"}"#,
        keep: None,
    },
];

/// The session against the stack that `description` describes.
pub(crate) fn text(description: &Description) -> String {
    let mut text = String::from("A session to paste (needs grpcurl):\n\n");
    let tokens = description.tokens.values().next();
    let tokens = tokens
        .and_then(|path| path.parent())
        .unwrap_or(Path::new("."));
    let _ = writeln!(text, "keys={}", description.keys.address);
    let _ = writeln!(text, "enrollment={}", description.enrollment.address);
    let _ = writeln!(text, "ca='{}'", description.ca_file.display());
    let _ = writeln!(text, "tokens='{}'", tokens.display());
    if let Some(sample) = description.sample {
        let _ = writeln!(text, "organization_id={}", sample.organization_id);
        let _ = writeln!(text, "student_id={}", sample.student_id);
    }
    text.push_str(PREAMBLE);
    for step in &STEPS {
        let _ = writeln!(text, "\n# {} ({})", step.title, step.role.name());
        let body = step.body.replace('"', "\\\"");
        let call = format!(
            "grpcurl -cacert \"$ca\" -H \"$(bearer {})\" -d \"{body}\" ${} {}",
            step.role.name(),
            service(step.method),
            step.method
        );
        let _ = match step.keep {
            Some((variable, field)) => writeln!(text, "{variable}=$({call} | field {field})"),
            None => writeln!(text, "{call}"),
        };
    }
    text
}

/// The shell variable with the address of the service that a method is of.
fn service(method: &str) -> &'static str {
    if method.starts_with("latchkey.keys.") {
        "keys"
    } else {
        "enrollment"
    }
}
