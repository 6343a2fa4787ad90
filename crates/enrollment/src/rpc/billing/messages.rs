//! Statements, lines and periods as messages carry them.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::keys::v1 as keys;
use latchkey_service_kit::validation::Violations;
use prost_types::Timestamp;
use uuid::Uuid;

use crate::app::billing::read_billing::{ClosedPeriod, EVER, Statement};
use crate::domain::billing::{Got, Line, Reason};
use crate::rpc::enrollments::write::origin;
use crate::rpc::messages::stamp;

/// The statement that a request names: `from` may be unset, and so may `until`.
pub(super) fn statement(
    violations: &mut Violations,
    organization_id: &str,
    (from, until): (Option<&Timestamp>, Option<&Timestamp>),
) -> Statement {
    let organization_id = violations.uuid("organization_id", organization_id);
    let from = violations.optional_timestamp("from", from);
    let until = violations.optional_timestamp("until", until);
    if let (Some(from), Some(until)) = (from, until) {
        violations.check("until", from < until, "must be after `from`");
    }
    Statement {
        organization_id,
        period: (from.unwrap_or(EVER.0), until.unwrap_or(EVER.1)),
    }
}

/// A line.
pub(super) fn line(line: Line) -> proto::BillingLine {
    let kind = if line.reason.charges() {
        proto::BillingKind::Charge
    } else {
        proto::BillingKind::Credit
    };
    let item = line.item;
    let of = proto::BillingLine {
        organization_id: item.organization_id.to_string(),
        kind: kind.into(),
        reason: reason(line.reason).into(),
        book_time: Some(stamp(line.booked_at)),
        occur_time: Some(stamp(line.occurred_at)),
        student_id: item.student_id.to_string(),
        closed: line.closed,
        ..proto::BillingLine::default()
    };
    match item.got {
        Got::InClass {
            class_id,
            class_name,
            course,
            origin: by,
        } => proto::BillingLine {
            enrollment_id: item.id.to_string(),
            class_id: class_id.to_string(),
            class_name,
            course_id: course.course_id,
            course_name: course.course_name,
            origin: Some(origin(by)),
            ..of
        },
        Got::Course {
            pool_id,
            course,
            key_id,
            generation,
        } => proto::BillingLine {
            assignment_id: item.id.to_string(),
            pool_id: pool_id.to_string(),
            course_id: course.course_id,
            course_name: course.course_name,
            origin: Some(by_key(keys::KeyKind::Pool, key_id, generation)),
            ..of
        },
        Got::Subscription {
            profile_id,
            profile_name,
            key_id,
            generation,
        } => proto::BillingLine {
            assignment_id: item.id.to_string(),
            profile_id: profile_id.to_string(),
            profile_name,
            origin: Some(by_key(keys::KeyKind::Subscription, key_id, generation)),
            ..of
        },
    }
}

fn by_key(kind: keys::KeyKind, key_id: Uuid, generation: i32) -> proto::EnrollmentOrigin {
    proto::EnrollmentOrigin {
        key_kind: kind.into(),
        key_id: key_id.to_string(),
        generation,
    }
}

fn reason(reason: Reason) -> proto::BillingReason {
    match reason {
        Reason::Enrolled => proto::BillingReason::Enrolled,
        Reason::Assigned => proto::BillingReason::Assigned,
        Reason::CancelledByStudent => proto::BillingReason::CancelledByStudent,
        Reason::CancelledByStaff => proto::BillingReason::CancelledByStaff,
        Reason::ClassCancelled => proto::BillingReason::ClassCancelled,
        Reason::StudentErased => proto::BillingReason::StudentErased,
        Reason::MadeAudit => proto::BillingReason::MadeAudit,
        Reason::PutBack => proto::BillingReason::PutBack,
        Reason::Denied => proto::BillingReason::Denied,
        Reason::Replaced => proto::BillingReason::Replaced,
    }
}

/// A closed period.
pub(super) fn period(period: &ClosedPeriod) -> proto::BillingPeriod {
    proto::BillingPeriod {
        closing_id: period.closing_id.to_string(),
        organization_id: period.organization_id.to_string(),
        start_time: period.starts_at.map(stamp),
        end_time: Some(stamp(period.ends_at)),
        close_time: Some(stamp(period.closed_at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(from: Option<i64>, until: Option<i64>) -> (Statement, Violations) {
        let time = |seconds| Timestamp { seconds, nanos: 0 };
        let (from, until) = (from.map(time), until.map(time));
        let mut violations = Violations::default();
        let id = "0190a0b0-c0d0-7000-8000-000000000001";
        let statement = statement(&mut violations, id, (from.as_ref(), until.as_ref()));
        (statement, violations)
    }

    #[test]
    fn a_period_may_be_open_at_either_end_and_ends_after_it_begins() {
        for (from, until) in [
            (None, None),
            (Some(5), None),
            (None, Some(5)),
            (Some(5), Some(6)),
        ] {
            let (statement, violations) = read(from, until);
            assert!(violations.is_empty(), "{from:?} {until:?}");
            assert!(statement.period.0 < statement.period.1);
        }
        for until in [5, 4] {
            assert!(read(Some(5), Some(until)).1.has("until"));
        }
    }

    #[test]
    fn the_columns_name_reasons_as_the_contract_does() {
        for one in Reason::ALL {
            let name = format!("BILLING_REASON_{}", one.as_str().to_uppercase());
            assert_eq!(reason(one).as_str_name(), name);
        }
    }
}
