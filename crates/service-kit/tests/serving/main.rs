//! The server as its callers meet it: over a real socket, with a small service behind the gate.

mod calls;
mod connections;
mod outbound;
mod shutdown;
mod world;
