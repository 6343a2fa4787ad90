//! Codes become places: what is redeemed is recalled, resolved, decided and answered.

pub mod admission;
pub mod check_key;
mod decide;
pub mod desk;
mod give_way;
pub mod guesses;
mod intake;
mod planted;
pub mod read_redemptions;
pub mod redeem;
pub mod register;
