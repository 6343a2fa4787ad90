//! What is wrong with bills.

use super::{Case, case};

pub(super) const BILLING: [Case; 11] = [
    case(
        "enrollment.billing_lines",
        "the lines of an enrollment or assignment are counted from 1 on, and booked in that order",
        Some(41),
        "UPDATE enrollment.billing_lines SET entry = 3 WHERE item_id = pg_temp.id(41)",
    ),
    case(
        "enrollment.billing_lines",
        "the lines of an enrollment or assignment are counted from 1 on, and booked in that order",
        Some(43),
        "UPDATE enrollment.billing_lines SET booked_at = '2040-01-02 00:00:01Z' WHERE item_id = pg_temp.id(43) AND entry = 1",
    ),
    case(
        "enrollment.billing_lines",
        "a line is booked in a closed period of its organization",
        Some(46),
        "UPDATE enrollment.billing_lines SET booked_at = '2040-01-02 12:00Z' WHERE item_id = pg_temp.id(46) AND entry = 2",
    ),
    case(
        "enrollment.billing_lines",
        "a line is of an enrollment or assignment that exists, and of its student",
        Some(42),
        "UPDATE enrollment.billing_lines SET student_id = pg_temp.id(21) WHERE item_id = pg_temp.id(42)",
    ),
    case(
        "enrollment.billing_lines",
        "what happened in closed time, an hour before its end, is charged or taken back as it is now",
        Some(44),
        "DELETE FROM enrollment.billing_lines WHERE item_id = pg_temp.id(44)",
    ),
    case(
        "enrollment.billing_lines",
        "what happened in closed time, an hour before its end, is charged or taken back as it is now",
        Some(43),
        "DELETE FROM enrollment.billing_lines WHERE item_id = pg_temp.id(43) AND entry = 2",
    ),
    case(
        "enrollment.billing_lines",
        "a line is of an enrollment or assignment that exists, and of its student",
        Some(74),
        "UPDATE enrollment.billing_lines SET student_id = pg_temp.id(22) WHERE item_id = pg_temp.id(74)",
    ),
    case(
        "enrollment.billing_lines",
        "what happened in closed time, an hour before its end, is charged or taken back as it is now",
        Some(74),
        "DELETE FROM enrollment.billing_lines WHERE item_id = pg_temp.id(74)",
    ),
    case(
        "enrollment.billing_lines",
        "what happened in closed time, an hour before its end, is charged or taken back as it is now",
        Some(75),
        "DELETE FROM enrollment.billing_lines WHERE item_id = pg_temp.id(75) AND entry = 2",
    ),
    case(
        "enrollment.billing_closings",
        "a closing counts the organizations and the lines that it closed",
        Some(61),
        "UPDATE enrollment.billing_closings SET charge_count = 5 WHERE closing_id = pg_temp.id(61)",
    ),
    case(
        "enrollment.audit_events",
        "each closing of a period has exactly one event",
        Some(62),
        "DELETE FROM enrollment.audit_events WHERE event_id = pg_temp.id(232)",
    ),
];
