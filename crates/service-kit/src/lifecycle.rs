//! When a process ends.

use std::io::{self, Read};
use std::process;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit status of a process that a second signal ended: 128 + SIGINT, as shells have it.
const ABORTED: i32 = 130;

/// A token that is cancelled by the first SIGINT (Ctrl-C) or SIGTERM. A second signal ends the process at once, for an
/// operator who will not wait for calls to end.
///
/// Needs a tokio runtime. Fails when the operating system refuses a signal handler.
pub fn shutdown_on_signal() -> io::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    tokio::spawn(async move {
        let name = next(&mut interrupt, &mut terminate).await;
        tracing::info!(
            signal = name,
            "shutting down; a second signal ends the process at once"
        );
        token.cancel();
        let name = next(&mut interrupt, &mut terminate).await;
        tracing::warn!(
            signal = name,
            "a second signal: the process ends without waiting for calls in progress"
        );
        process::exit(ABORTED);
    });
    Ok(shutdown)
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

/// Cancels `shutdown` when standard input ends: for a process whose owner holds the other end of the pipe, so that it
/// never outlives its owner, however that one ends.
///
/// The waiting is done by a thread of its own, because a read of standard input cannot be abandoned.
pub fn shutdown_on_stdin_end(shutdown: CancellationToken) -> io::Result<()> {
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            wait_for_end(io::stdin().lock());
            tracing::info!("standard input ended: shutting down");
            shutdown.cancel();
        })?;
    Ok(())
}

fn wait_for_end(mut input: impl Read) {
    let mut ignored = [0; 256];
    loop {
        match input.read(&mut ignored) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_the_input_and_ignores_what_it_says() {
        wait_for_end(io::Cursor::new(vec![b'x'; 10_000]));
        wait_for_end(io::empty());
    }
}
