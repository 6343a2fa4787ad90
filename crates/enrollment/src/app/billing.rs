//! Who is billable, and what was closed.

pub mod close_period;
pub mod export_billing;
pub mod read_billing;
