//! The server as its callers meet it: over a real socket, with a small service behind the gate.

#![expect(
    clippy::unwrap_used,
    reason = "all of this is test code, which the lint only knows by its attributes"
)]

mod calls;
mod connections;
mod loud;
mod open_calls;
mod outbound;
mod shutdown;
mod tls;
mod world;
