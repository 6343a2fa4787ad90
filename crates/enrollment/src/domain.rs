//! Types, state machines and rules. Pure: no async, no I/O, no generated types, no SQL; the time, randomness and ids
//! are arguments.

pub mod assignment;
pub mod audit;
pub mod billing;
pub mod calendar;
pub mod class;
pub mod class_access;
pub mod decision;
pub mod direct;
pub mod email;
pub mod enrollment;
pub mod event_key;
pub mod fingerprint;
pub mod grant;
pub mod invitation;
pub mod key;
pub mod notification;
pub mod organization;
pub mod password;
pub mod prefix;
pub mod promotion;
pub mod redemption;
pub mod refusal;
pub mod student;
pub mod transitions;
pub mod warning;
