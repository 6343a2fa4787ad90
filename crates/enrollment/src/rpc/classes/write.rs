//! Classes as messages.

use latchkey_proto::enrollment::v1 as proto;
use latchkey_proto::keys::v1 as keys;
use latchkey_service_kit::etag;

use crate::domain::class::{Class, ClassStatus, EventKeyWindow};
use crate::domain::event_key::EventKey;
use crate::rpc::messages::stamp;

pub(super) fn class(class: Class) -> proto::TrainingClass {
    let access_until = class.access_until();
    proto::TrainingClass {
        class_id: class.id.to_string(),
        organization_id: class.organization_id.to_string(),
        course_id: class.course_id,
        course_name: class.course_name,
        name: class.name,
        instructors: class.instructors,
        start_time: Some(stamp(class.starts_at)),
        end_time: Some(stamp(class.ends_at)),
        time_zone: class.time_zone.name().to_owned(),
        minimum_students: class.minimum_students,
        maximum_students: class.maximum_students,
        maximum_is_default: class.maximum_is_default,
        post_class_days: class.post_class_days,
        status: status(class.status).into(),
        event_key_window: event_key_window(class.event_key_window).into(),
        seats_taken: class.seats_taken,
        access_until: Some(stamp(access_until)),
        create_time: Some(stamp(class.created_at)),
        etag: etag::format(class.id, class.version),
    }
}

/// The status of a class.
pub(in crate::rpc) fn status(status: ClassStatus) -> proto::ClassStatus {
    match status {
        ClassStatus::Tentative => proto::ClassStatus::Tentative,
        ClassStatus::Scheduled => proto::ClassStatus::Scheduled,
        ClassStatus::GuaranteedToRun => proto::ClassStatus::GuaranteedToRun,
        ClassStatus::Cancelled => proto::ClassStatus::Cancelled,
    }
}

fn event_key_window(window: EventKeyWindow) -> proto::EventKeyWindow {
    match window {
        EventKeyWindow::UntilClassEnds => proto::EventKeyWindow::UntilClassEnds,
        EventKeyWindow::UntilAccessExpires => proto::EventKeyWindow::UntilAccessExpires,
    }
}

pub(super) fn event_key(key: EventKey) -> keys::EventKey {
    keys::EventKey {
        class_id: key.class_id.to_string(),
        key_id: key.key_id.to_string(),
        enabled: key.enabled,
        generation: key.generation,
        masked_code: key.masked_code,
        own_code: key.own_code,
        previous_code_valid_until: key.previous_code_valid_until.map(stamp),
        redeemable_until: key.redeemable_until.map(stamp),
        use_count: key.use_count,
        etag: key.etag,
    }
}
