use chrono::TimeDelta;

use super::*;

/// A class of 30 in Berlin on 1 and 2 June 2026, scheduled.
pub(crate) fn class() -> Class {
    Class {
        id: Uuid::from_u128(1),
        organization_id: Uuid::from_u128(2),
        course_id: "K8S-1".into(),
        course_name: "Clusters".into(),
        name: "Clusters in June".into(),
        instructors: vec!["ann".into()],
        starts_at: "2026-06-01T07:00:00Z".parse().unwrap(),
        ends_at: "2026-06-02T15:00:00Z".parse().unwrap(),
        time_zone: Tz::Europe__Berlin,
        minimum_students: 5,
        maximum_students: 30,
        maximum_is_default: false,
        post_class_days: 180,
        status: ClassStatus::Scheduled,
        event_key_window: EventKeyWindow::UntilClassEnds,
        seats_taken: 0,
        created_at: "2026-05-01T00:00:00Z".parse().unwrap(),
        version: 1,
    }
}

#[test]
fn windows_are_half_open() {
    let class = class();
    let windows = class.windows();
    let microsecond = TimeDelta::microseconds(1);
    for kind in [KeyKind::Enrollment, KeyKind::Event] {
        assert!(windows.is_open(kind, class.ends_at - microsecond));
        assert!(!windows.is_open(kind, class.ends_at));
    }
    assert!(class.has_begun(class.starts_at));
    assert!(!class.has_begun(class.starts_at - microsecond));
}

#[test]
fn the_event_key_outlives_the_class_only_by_its_setting() {
    let mut class = class();
    // 17:00 in Berlin, 180 days later: in winter time.
    let expiry: DateTime<Utc> = "2026-11-29T16:00:00Z".parse().unwrap();
    assert_eq!(class.access_until(), expiry);
    assert_eq!(class.windows().event_key_until, class.ends_at);
    class.event_key_window = EventKeyWindow::UntilAccessExpires;
    assert_eq!(class.windows().event_key_until, expiry);
    assert_eq!(class.windows().enrollment_key_until, class.ends_at);
}

#[test]
fn moving_the_dates_moves_every_window() {
    let mut class = class();
    class.ends_at += TimeDelta::days(7);
    assert_eq!(class.windows().until(KeyKind::Enrollment), class.ends_at);
    assert_eq!(class.windows().until(KeyKind::Event), class.ends_at);
}

#[test]
fn only_a_scheduled_or_guaranteed_class_opens_to_keys() {
    let open: Vec<_> = ClassStatus::ALL
        .into_iter()
        .filter(|status| status.opens_to_keys())
        .collect();
    assert_eq!(open, [ClassStatus::Scheduled, ClassStatus::GuaranteedToRun]);
}

#[test]
fn stored_names_come_back() {
    for status in ClassStatus::ALL {
        assert_eq!(ClassStatus::parse(status.as_str()), Some(status));
    }
    for window in EventKeyWindow::ALL {
        assert_eq!(EventKeyWindow::parse(window.as_str()), Some(window));
    }
    for kind in [KeyKind::Enrollment, KeyKind::Event] {
        assert_eq!(KeyKind::parse(kind.as_str()), Some(kind));
    }
}

#[test]
fn a_cancellation_is_late_from_the_window_before_the_start_on() {
    let class = class();
    let window = TimeDelta::days(2);
    let from = class.starts_at - window;
    assert!(!class.is_late(Some(window), from - TimeDelta::microseconds(1)));
    for late in [from, class.starts_at, class.ends_at] {
        assert!(class.is_late(Some(window), late), "{late}");
        assert!(!class.is_late(None, late), "{late}");
    }
}
