use prost_types::{FieldMask, Timestamp};

use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn create() -> proto::CreateClassRequest {
    proto::CreateClassRequest {
        request_id: Uuid::from_u128(1).to_string(),
        organization_id: Uuid::from_u128(2).to_string(),
        course_id: "K8S-1".into(),
        course_name: "Clusters".into(),
        name: "Clusters in June".into(),
        start_time: Some(at(1_780_000_000)),
        end_time: Some(at(1_780_100_000)),
        time_zone: "Europe/Berlin".into(),
        ..Default::default()
    }
}

fn fields<T>(read: Result<T, ApiError>) -> Vec<String> {
    let error = read.err().expect("a refusal");
    let violations = error.violations().iter();
    violations
        .map(|violation| violation.field.clone())
        .collect()
}

#[test]
fn what_is_left_out_of_a_create_is_left_to_the_defaults() {
    let wish = new_class(create()).unwrap();
    assert_eq!(wish.settings.maximum_students, None);
    assert_eq!(wish.settings.minimum_students, None);
    assert_eq!(wish.settings.post_class_days, None);
    assert_eq!(wish.settings.status, None);
    assert_eq!(
        wish.settings.event_key_window,
        EventKeyWindow::UntilClassEnds
    );
    assert_eq!(wish.event_key, None);
}

#[test]
fn all_faults_of_a_create_are_named_at_once_and_each_field_once() {
    let wrong = proto::CreateClassRequest {
        request_id: "1".into(),
        name: String::new(),
        start_time: Some(at(1_780_000_000)),
        end_time: Some(at(1_780_000_000)),
        time_zone: "Europe/Atlantis".into(),
        minimum_students: Some(31),
        maximum_students: Some(30),
        status: proto::ClassStatus::Cancelled.into(),
        instructors: vec!["ann".into(), "a\nn".into()],
        ..create()
    };
    let mut found = fields(new_class(wrong));
    found.sort();
    assert_eq!(
        found,
        [
            "end_time",
            "instructors[1]",
            "minimum_students",
            "name",
            "request_id",
            "status",
            "time_zone"
        ]
    );
}

#[test]
fn an_event_key_is_exactly_one_of_its_fields() {
    let with = |change| proto::CreateClassRequest {
        event_key: Some(change),
        ..create()
    };
    let both = keys::EventKeyChange {
        generated: Some(keys::EventKeyGenerated::default()),
        own_code: Some(keys::EventKeyOwnCode {
            text: "SESAME-1".into(),
            grace: None,
        }),
        ..Default::default()
    };
    assert!(!fields(new_class(with(both))).is_empty());
    assert!(!fields(new_class(with(keys::EventKeyChange::default()))).is_empty());
    let short = keys::EventKeyChange {
        own_code: Some(keys::EventKeyOwnCode {
            text: "abc".into(),
            grace: None,
        }),
        ..Default::default()
    };
    assert_eq!(fields(new_class(with(short))), ["event_key.own_code.text"]);
    let off = keys::EventKeyChange {
        off: Some(keys::EventKeyOff {}),
        ..Default::default()
    };
    let off = new_class(with(off)).unwrap().event_key;
    assert_eq!(off, Some(EventKeyChange::Off));
}

fn update(paths: &[&str]) -> proto::UpdateClassRequest {
    proto::UpdateClassRequest {
        class_id: Uuid::from_u128(1).to_string(),
        update_mask: Some(FieldMask {
            paths: paths.iter().map(ToString::to_string).collect(),
        }),
        ..Default::default()
    }
}

#[test]
fn only_masked_fields_are_read() {
    let message = proto::UpdateClassRequest {
        name: "New".into(),
        maximum_students: 5,
        ..update(&["name", "instructors"])
    };
    let (_, found) = change(&message).unwrap();
    let wanted = Change {
        name: Some("New".into()),
        instructors: Some(vec![]),
        ..Change::default()
    };
    assert_eq!(found, wanted);
}

#[test]
fn masked_fields_that_are_missing_are_named() {
    assert_eq!(fields(change(&update(FIELDS))).len(), 9);
    for field in [
        "course_id",
        "course_name",
        "name",
        "start_time",
        "end_time",
        "time_zone",
        "maximum_students",
        "status",
        "event_key_window",
    ] {
        assert_eq!(fields(change(&update(&[field]))), [field]);
    }
    assert_eq!(fields(change(&update(&["seats_taken"]))), ["update_mask"]);
    assert_eq!(fields(change(&update(&[]))), ["update_mask"]);
}
