//! Use cases, one a file: load, decide, store.

// What they share.
mod call;
mod error;
mod etags;
mod made_before;
mod passwords;
mod planted;
mod promote;
mod reached;
mod services;
mod under_lock;
mod wake;

// Organizations and classes.
pub mod cancel_class;
pub mod create_class;
pub mod create_organization;
pub mod push;
pub mod read_classes;
pub mod read_organizations;
pub mod update_class;
pub mod update_organization;

// Subscription profiles.
pub mod create_profile;
pub mod read_profiles;
pub mod update_profile;

// Students, enrollments, assignments, audit.
pub mod authenticate;
pub mod cancel_assignment;
pub mod cancel_enrollment;
pub mod change_status;
pub mod create_student;
pub mod enroll_student;
pub mod enroll_students;
pub mod erase_student;
pub mod get_access;
pub mod keep_refusals;
pub mod learn_costs;
pub mod list_audit_events;
pub mod metrics;
pub mod move_enrollment;
pub mod read_assignments;
pub mod read_enrollments;
pub mod read_roster;
pub mod read_students;
pub mod record_launch;
pub mod set_completion;
pub mod update_student;

// Telling people.
pub mod change_notification_plan;
mod compose_letter;
pub mod create_notification_plan;
pub mod notify;
pub mod opt_out;
pub mod read_letters;
pub mod read_notification_plans;
pub mod render_invitation;
pub mod send_letters;
pub mod set_notification_settings;
mod write_letters;

// Billing.
pub mod close_period;
pub mod export_billing;
pub mod read_billing;

// Redemption, and what keys are owed.
pub mod admission;
pub mod check_key;
pub mod compare;
pub mod compare_in_time;
mod decide;
pub mod deliver;
pub mod desk;
mod give_way;
pub mod guesses;
mod intake;
pub mod invariants;
mod purge;
pub mod read_redemptions;
pub mod redeem;
pub mod register;
pub mod repair;
pub mod sweep;

pub use call::Call;
pub use error::{Error, FieldProblem, Source};
pub use passwords::Passwords;
pub use services::{Pace, Services};
pub use wake::Wake;
