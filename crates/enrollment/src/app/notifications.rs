//! People are told: plans, settings, and letters from their first line to the mail server.

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
