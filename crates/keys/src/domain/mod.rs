//! Types and rules of training keys. Pure: time, randomness and ids are arguments; nothing here waits or asks anybody.

pub mod audit;
pub mod event_key;
pub mod generation;
pub mod grant;
pub mod key;
pub mod keyring;
pub mod organization;
pub mod own_codes;
pub mod pool;
pub mod refusal;
pub mod subscription;
pub mod target;
pub mod warning;
