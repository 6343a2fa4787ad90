//! `latchkey describe`: a development stack, for scripts.

use std::path::PathBuf;
use std::process::ExitCode;

use latchkey::stack::data_dir::default_path;
use latchkey::stack::description::Description;

/// Which stack.
#[derive(Debug, clap::Args)]
pub(crate) struct Describe {
    /// The data directory of the stack [default: that of `latchkey dev`].
    #[arg(long, value_name = "DIRECTORY")]
    data_dir: Option<PathBuf>,
}

/// Prints what a client must know of the stack, as JSON.
pub(crate) fn run(describe: &Describe) -> anyhow::Result<ExitCode> {
    let data_dir = describe.data_dir.clone().unwrap_or_else(default_path);
    let description = Description::read(&data_dir)?;
    println!("{}", serde_json::to_string_pretty(&description)?);
    Ok(ExitCode::SUCCESS)
}
