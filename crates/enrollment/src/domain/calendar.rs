//! Days on the calendar of a place.

use chrono::{DateTime, Days, LocalResult, NaiveDateTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};

/// The instant `days` calendar days after `start`, at the same wall-clock time in `zone`.
///
/// Where the clock skips that time (a gap), the first instant after the gap; where it shows it twice (an overlap), the
/// later of the two. So the answer is never earlier than a person with that clock on the wall would read it.
///
/// # Panics
///
/// If the date does not fit a calendar of 262 000 years; classes are kept within the years 1970 to 9000.
pub fn days_later(start: DateTime<Utc>, days: u32, zone: Tz) -> DateTime<Utc> {
    let wall = start.with_timezone(&zone).naive_local();
    let wanted = wall
        .checked_add_days(Days::new(days.into()))
        .expect("a class ends thousands of years before the end of the calendar");
    last_instant_showing(wanted, zone)
}

/// An instant as people read it where the class takes place: `2 June 2026, 17:00 (Europe/Berlin)`.
pub fn in_words(instant: DateTime<Utc>, zone: Tz) -> String {
    let there = instant.with_timezone(&zone).format("%-d %B %Y, %H:%M");
    format!("{there} ({})", zone.name())
}

fn last_instant_showing(wall: NaiveDateTime, zone: Tz) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(instant) => instant.to_utc(),
        LocalResult::Ambiguous(_, later) => later.to_utc(),
        LocalResult::None => GapInfo::new(&wall, &zone)
            .and_then(|gap| gap.end)
            .map_or_else(|| wall.and_utc(), |end| end.to_utc()),
    }
}

#[cfg(test)]
mod tests;
