use chrono::{Datelike, NaiveDate, TimeDelta};
use proptest::prelude::*;

use super::*;

fn utc(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn later(start: &str, days: u32, zone: Tz) -> DateTime<Utc> {
    days_later(utc(start), days, zone)
}

#[test]
fn summer_time_moves_the_instant_and_not_the_wall_clock() {
    // 17:00 in Berlin: UTC+1 in winter, UTC+2 in summer.
    assert_eq!(
        later("2026-01-15T16:00:00Z", 180, Tz::Europe__Berlin),
        utc("2026-07-14T15:00:00Z")
    );
    // 17:00 in New York: UTC-4 in summer, UTC-5 in winter.
    assert_eq!(
        later("2026-07-01T21:00:00Z", 180, Tz::America__New_York),
        utc("2026-12-28T22:00:00Z")
    );
}

#[test]
fn no_days_later_is_the_end_itself() {
    assert_eq!(
        later("2026-06-01T12:34:56.789Z", 0, Tz::Europe__Berlin),
        utc("2026-06-01T12:34:56.789Z")
    );
}

#[test]
fn in_a_gap_it_is_the_first_instant_after() {
    // Berlin, 29 March 2026: 02:00 to 03:00 does not exist. 02:30 the day before is 01:30 UTC.
    assert_eq!(
        later("2026-03-28T01:30:00Z", 1, Tz::Europe__Berlin),
        utc("2026-03-29T01:00:00Z")
    );
    assert_eq!(
        later("2026-03-28T01:00:00Z", 1, Tz::Europe__Berlin),
        utc("2026-03-29T01:00:00Z")
    );
    assert_eq!(
        later("2026-03-28T00:59:59Z", 1, Tz::Europe__Berlin),
        utc("2026-03-29T00:59:59Z")
    );
    assert_eq!(
        later("2026-03-28T02:00:00Z", 1, Tz::Europe__Berlin),
        utc("2026-03-29T01:00:00Z")
    );
    // New York, 8 March 2026: 02:00 to 03:00 does not exist.
    assert_eq!(
        later("2026-03-07T07:15:00Z", 1, Tz::America__New_York),
        utc("2026-03-08T07:00:00Z")
    );
    // Lord Howe, 4 October 2026: 02:00 to 02:30 does not exist (half an hour).
    assert_eq!(
        later("2026-10-02T15:45:00Z", 1, Tz::Australia__Lord_Howe),
        utc("2026-10-03T15:30:00Z")
    );
    assert_eq!(
        later("2026-10-02T16:00:00Z", 1, Tz::Australia__Lord_Howe),
        utc("2026-10-03T15:30:00Z")
    );
}

#[test]
fn in_an_overlap_it_is_the_later_instant() {
    // Berlin, 25 October 2026: 02:00 to 03:00 happens twice.
    assert_eq!(
        later("2026-10-24T00:30:00Z", 1, Tz::Europe__Berlin),
        utc("2026-10-25T01:30:00Z")
    );
    // New York, 1 November 2026: 01:00 to 02:00 happens twice.
    assert_eq!(
        later("2026-10-31T05:30:00Z", 1, Tz::America__New_York),
        utc("2026-11-01T06:30:00Z")
    );
    // Lord Howe, 5 April 2026: 01:30 to 02:00 happens twice.
    assert_eq!(
        later("2026-04-03T14:45:00Z", 1, Tz::Australia__Lord_Howe),
        utc("2026-04-04T15:15:00Z")
    );
}

#[test]
fn a_day_that_a_place_skipped_counts_and_ends_at_the_next_midnight() {
    // Samoa went from 29 December 2011 straight to 31 December. 10:00 on the 29th is 20:00 UTC.
    let start = "2011-12-29T20:00:00Z";
    assert_eq!(
        later(start, 1, Tz::Pacific__Apia),
        utc("2011-12-30T10:00:00Z"),
        "midnight of the 31st"
    );
    assert_eq!(
        later(start, 2, Tz::Pacific__Apia),
        utc("2011-12-30T20:00:00Z"),
        "10:00 on the 31st"
    );
}

#[test]
fn leap_days_count() {
    assert_eq!(
        later("2028-02-28T12:00:00Z", 1, Tz::UTC),
        utc("2028-02-29T12:00:00Z")
    );
    assert_eq!(
        later("2027-02-28T12:00:00Z", 1, Tz::UTC),
        utc("2027-03-01T12:00:00Z")
    );
}

fn zone() -> impl Strategy<Value = Tz> {
    (0..chrono_tz::TZ_VARIANTS.len()).prop_map(|index| chrono_tz::TZ_VARIANTS[index])
}

proptest! {
    /// Outside gaps the wall clock shows the same time on the right day; in a gap it shows the first time after it.
    #[test]
    fn the_wall_clock_shows_the_same_time(seconds in 0_i64..4_000_000_000, days in 0_u32..3_650, zone in zone()) {
        let start = DateTime::from_timestamp(seconds, 0).unwrap();
        let end = days_later(start, days, zone);
        let wall = start.with_timezone(&zone).naive_local() + TimeDelta::days(days.into());
        let shown = end.with_timezone(&zone).naive_local();
        if zone.from_local_datetime(&wall) == LocalResult::None {
            prop_assert!(shown > wall);
            let before = (end - TimeDelta::seconds(1)).with_timezone(&zone).naive_local();
            prop_assert!(before < wall, "no earlier instant is after the gap");
        } else {
            prop_assert_eq!(shown, wall);
            // No later instant of the next two days shows that time again.
            for hour in 1..48 {
                prop_assert_ne!((end + TimeDelta::minutes(30 * hour)).with_timezone(&zone).naive_local(), wall);
            }
        }
    }

    /// More days never end earlier.
    #[test]
    fn it_grows_with_the_days(seconds in 0_i64..4_000_000_000, days in 0_u32..3_650, zone in zone()) {
        let start = DateTime::from_timestamp(seconds, 0).unwrap();
        prop_assert!(days_later(start, days, zone) <= days_later(start, days + 1, zone));
        prop_assert!(start <= days_later(start, days, zone));
    }
}

#[test]
fn far_ends_fit() {
    let end = NaiveDate::from_ymd_opt(9_000, 12, 31)
        .unwrap()
        .and_hms_opt(23, 59, 59)
        .unwrap()
        .and_utc();
    assert_eq!(
        days_later(end, 3_650, Tz::Pacific__Kiritimati).year(),
        9_010
    );
}
