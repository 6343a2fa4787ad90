//! End-to-end tests: real service processes, real sockets, real Postgres.
//!
//! Each file is named for what it promises. Every test ends with `finish`, which recounts the data and reads the logs.

mod abandoned_creations;
mod access_matrix;
mod accounts;
mod audit_trail;
mod bad_input;
mod cancellation;
mod cancelling;
mod chaos;
mod classes;
mod comparisons;
mod crash_points;
mod crashes;
mod deliveries;
mod dependencies_away;
mod direct_enrollment;
mod enrollment_keys;
mod erasing;
mod event_keys;
mod harness;
mod health;
mod held_classes;
mod lists_and_pages;
mod masked_codes;
mod metrics;
mod mixed_load;
mod organizations;
mod outages;
mod overload;
mod planted_bugs;
mod races;
mod readme_session;
mod reasons;
mod reflection;
mod registration;
mod replays;
mod restores;
mod retention;
mod rolling_restart;
mod rosters_and_access;
mod secrets_stay_secret;
mod silence;
mod traces;
mod tripwires;
mod windows;
