//! Wishes about classes, read from messages with all their violations at once.

use chrono_tz::Tz;
use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::keys::v1 as keys;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::app::classes::create_class::NewClass;
use crate::app::classes::read_classes::ClassPlace;
use crate::domain::class::settings::{Change, Settings, faults};
use crate::domain::class::{ClassFilter, ClassStatus, EventKeyWindow};
use crate::domain::event_key::EventKeyChange;
use crate::domain::organization::ClassDefaults;
use crate::rpc::messages::{mask, name, optional_id};

/// The fields of a class that an update can change.
const FIELDS: &[&str] = &[
    "course_id",
    "course_name",
    "name",
    "instructors",
    "start_time",
    "end_time",
    "time_zone",
    "minimum_students",
    "maximum_students",
    "post_class_days",
    "status",
    "event_key_window",
];

/// A list that is wanted.
pub(super) struct List {
    pub(super) filter: ClassFilter,
    pub(super) page: PageRequest<ClassPlace>,
}

pub(super) fn new_class(message: proto::CreateClassRequest) -> Result<NewClass, ApiError> {
    let mut violations = Violations::of(&message);
    let request_id = violations.own_id("request_id", &message.request_id);
    let organization_id = violations.uuid("organization_id", &message.organization_id);
    let settings = Settings {
        course_id: name(&mut violations, "course_id", &message.course_id),
        course_name: name(&mut violations, "course_name", &message.course_name),
        name: name(&mut violations, "name", &message.name),
        instructors: instructors(&mut violations, &message.instructors),
        starts_at: violations.timestamp("start_time", message.start_time.as_ref()),
        ends_at: violations.timestamp("end_time", message.end_time.as_ref()),
        time_zone: time_zone(&mut violations, &message.time_zone),
        minimum_students: message.minimum_students,
        maximum_students: message.maximum_students,
        post_class_days: message.post_class_days,
        status: status(message.status),
        event_key_window: event_key_window(message.event_key_window)
            .unwrap_or(EventKeyWindow::UntilClassEnds),
    };
    let event_key = message
        .event_key
        .map(|change| event_key_change(&mut violations, change));
    // How the settings fit each other, as far as the organization has no say in it; a field that is wrong by itself is not
    // named twice.
    let any = ClassDefaults {
        maximum_students: Some(i32::MAX),
        ..ClassDefaults::default()
    };
    let now = settings.starts_at;
    for fault in faults(
        &settings
            .clone()
            .class(request_id, organization_id, &any, now),
    ) {
        if !violations.has(fault.field) {
            violations.add(fault.field, fault.description);
        }
    }
    violations.finish()?;
    Ok(NewClass {
        request_id,
        organization_id,
        settings,
        event_key,
    })
}

pub(super) fn change(message: &proto::UpdateClassRequest) -> Result<(Uuid, Change), ApiError> {
    let mut violations = Violations::of(message);
    let id = violations.uuid("class_id", &message.class_id);
    let mask = mask(&mut violations, message.update_mask.as_ref(), FIELDS);
    let v = &mut violations;
    let change = Change {
        course_id: mask
            .has("course_id")
            .then(|| name(v, "course_id", &message.course_id)),
        course_name: mask
            .has("course_name")
            .then(|| name(v, "course_name", &message.course_name)),
        name: mask.has("name").then(|| name(v, "name", &message.name)),
        instructors: mask
            .has("instructors")
            .then(|| instructors(v, &message.instructors)),
        starts_at: mask
            .has("start_time")
            .then(|| v.timestamp("start_time", message.start_time.as_ref())),
        ends_at: mask
            .has("end_time")
            .then(|| v.timestamp("end_time", message.end_time.as_ref())),
        time_zone: mask
            .has("time_zone")
            .then(|| time_zone(v, &message.time_zone)),
        minimum_students: mask
            .has("minimum_students")
            .then_some(message.minimum_students),
        maximum_students: mask.has("maximum_students").then(|| {
            let maximum = message.maximum_students;
            if !v.has("maximum_students") {
                v.check("maximum_students", maximum >= 1, "must be at least 1");
            }
            maximum
        }),
        post_class_days: mask
            .has("post_class_days")
            .then_some(message.post_class_days),
        status: named(v, mask.has("status"), "status", status(message.status)),
        event_key_window: named(
            v,
            mask.has("event_key_window"),
            "event_key_window",
            event_key_window(message.event_key_window),
        ),
    };
    violations.finish()?;
    Ok((id, change))
}

pub(super) fn list(message: &proto::ListClassesRequest) -> Result<List, ApiError> {
    let mut violations = Violations::of(message);
    let filter = ClassFilter {
        organization_id: violations.optional_uuid("organization_id", &message.organization_id),
        status: status(message.status),
        ends_after: violations.optional_timestamp("ends_after", message.ends_after.as_ref()),
        starts_before: violations
            .optional_timestamp("starts_before", message.starts_before.as_ref()),
    };
    let query = vec![
        "ListClasses".to_owned(),
        optional_id(filter.organization_id),
        filter
            .status
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        format!("{:?}", filter.ends_after),
        format!("{:?}", filter.starts_before),
    ];
    let page = PageRequest::read(
        message.page_size,
        &message.page_token,
        &query,
        &mut violations,
    );
    violations.finish()?;
    Ok(List { filter, page })
}

/// A value that must be there if its field is in the mask.
fn named<T>(violations: &mut Violations, wanted: bool, field: &str, value: Option<T>) -> Option<T> {
    if wanted && value.is_none() && !violations.has(field) {
        violations.add(field, "must be set, because it is in `update_mask`");
    }
    value.filter(|_| wanted)
}

fn instructors(violations: &mut Violations, subjects: &[String]) -> Vec<String> {
    for (index, subject) in subjects.iter().enumerate() {
        violations.line(&format!("instructors[{index}]"), subject);
    }
    subjects.to_vec()
}

fn time_zone(violations: &mut Violations, text: &str) -> Tz {
    text.parse().unwrap_or_else(|_| {
        if !violations.has("time_zone") {
            let description = "must be an IANA time zone, for example `Europe/Berlin`";
            violations.add("time_zone", description);
        }
        Tz::UTC
    })
}

/// The status, unless it is unspecified. Numbers that the contract does not name are found by its rules.
pub(in crate::rpc) fn status(number: i32) -> Option<ClassStatus> {
    match proto::ClassStatus::try_from(number).ok()? {
        proto::ClassStatus::Unspecified => None,
        proto::ClassStatus::Tentative => Some(ClassStatus::Tentative),
        proto::ClassStatus::Scheduled => Some(ClassStatus::Scheduled),
        proto::ClassStatus::GuaranteedToRun => Some(ClassStatus::GuaranteedToRun),
        proto::ClassStatus::Cancelled => Some(ClassStatus::Cancelled),
    }
}

fn event_key_window(number: i32) -> Option<EventKeyWindow> {
    match proto::EventKeyWindow::try_from(number).ok()? {
        proto::EventKeyWindow::Unspecified => None,
        proto::EventKeyWindow::UntilClassEnds => Some(EventKeyWindow::UntilClassEnds),
        proto::EventKeyWindow::UntilAccessExpires => Some(EventKeyWindow::UntilAccessExpires),
    }
}

/// What to make of a new class's event key.
fn event_key_change(violations: &mut Violations, change: keys::EventKeyChange) -> EventKeyChange {
    let mut grace = |field: &str, grace: Option<&prost_types::Duration>| {
        violations
            .optional_duration(field, grace)
            .and_then(|grace| grace.to_std().ok())
            .unwrap_or_default()
    };
    if let Some(generated) = change.generated {
        let grace = grace("event_key.generated.grace", generated.grace.as_ref());
        return EventKeyChange::Generated { grace };
    }
    let Some(own) = change.own_code else {
        return EventKeyChange::Off;
    };
    let grace = grace("event_key.own_code.grace", own.grace.as_ref());
    EventKeyChange::OwnCode {
        text: Zeroizing::new(own.text),
        grace,
    }
}

#[cfg(test)]
mod tests;
