//! `latchkey demo`: the main job in one sitting.

use std::io;
use std::process::ExitCode;

use anyhow::Context;
use latchkey::demo;
use latchkey::mail_server::MailServer;
use latchkey::progress::Progress;
use latchkey::stack::data_dir::DataDir;
use latchkey::stack::process::ANY_PORT;
use latchkey::stack::{DatabaseChoice, Stack, StackOptions};
use latchkey_service_kit::lifecycle;

/// Plays the demo on a stack of its own, of which nothing is kept.
pub(crate) async fn run() -> anyhow::Result<ExitCode> {
    let shutdown = lifecycle::shutdown_on_signal()?;
    let progress = Progress::on_stderr();
    let mail_server = MailServer::start().await.context("no free port")?;
    let options = StackOptions {
        executable: std::env::current_exe().context("cannot tell which program this is")?,
        data_dir: DataDir::ephemeral()?,
        keys_address: ANY_PORT,
        enrollment_address: ANY_PORT,
        database: DatabaseChoice::from_environment(),
        mail_server: Some(mail_server.address()),
        progress: progress.clone(),
    };
    let mut stack = tokio::select! {
        stack = Stack::start(options) => stack?,
        () = shutdown.cancelled() => return Ok(ExitCode::FAILURE),
    };
    let mut out = io::stdout();
    let played = tokio::select! {
        played = demo::play(&stack, &mail_server, &progress, &mut out) => Some(played),
        () = shutdown.cancelled() => None,
    };
    let played = match played {
        // Why a call failed may be that a part of the stack is gone, which says more.
        Some(Err(error)) => Some(Err(stack.has_failed().unwrap_or(error))),
        other => other,
    };
    progress.step("Stopping");
    let stopped = stack.stop().await;
    progress.finish();
    let good = match played {
        Some(played) => played?,
        None => false,
    };
    stopped?;
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
