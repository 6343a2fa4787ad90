//! The `latchkey` command as a library: Postgres for those who have none, and the development stack.
//!
//! - [`postgres`] finds or downloads Postgres and runs a private cluster of it.
//! - [`stack`] makes secrets, databases and configuration, and runs both services on them.
//! - [`verify`] tells whether what both services store holds together.
//! - [`export`] writes the keys of a class into a file.
//! - [`generation`] puts a streamed generation of keys together.
//! - [`load`] calls the redemption endpoint as often as asked, and measures and judges the answers.
//! - [`mail_server`] takes letters, and shows them.
//! - [`demo`] plays the main job on a stack and checks that it went as the rules say.
//!
//! End-to-end tests stand on the first three.

pub mod bench;
pub mod demo;
pub mod export;
pub mod generation;
pub mod load;
pub mod mail_server;
pub mod postgres;
pub mod progress;
pub mod stack;
pub mod tail;
pub mod verify;
