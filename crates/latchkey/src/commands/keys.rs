//! `latchkey keys`: work on training keys from the command line.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use latchkey::export::{Access, Place, Wish, connect, export};
use latchkey::progress::Progress;
use latchkey::stack::data_dir::default_path;
use latchkey::stack::description::Description;
use latchkey::stack::token_request;
use latchkey::stack::tokens::Issuer;
use latchkey_service_kit::config::ClientTlsConfig;
use latchkey_service_kit::identity::Role;
use latchkey_service_kit::lifecycle::shutdown_on_signal;
use latchkey_service_kit::rows::RowFormat;
use secrecy::SecretString;
use uuid::Uuid;

/// Exit status of a command that Ctrl-C ended: 128 + SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;

/// What to do.
#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Write the keys of a class, a pool or a subscription profile, with their codes and the names of who uses them, into a file.
    ///
    /// The file is readable by its owner only, and there only if it is whole. It is as secret as the codes are. The audit
    /// trail tells who exported what, and why.
    Export(Export),
}

/// What to export, from where, and to where.
#[derive(Debug, clap::Args)]
struct Export {
    /// The class (a UUID).
    #[arg(long, value_name = "ID", required_unless_present_any = ["pool", "profile"])]
    class: Option<Uuid>,
    /// The pool (a UUID), instead of a class.
    #[arg(long, value_name = "ID", conflicts_with_all = ["class", "profile"])]
    pool: Option<Uuid>,
    /// The subscription profile (a UUID), instead of a class.
    #[arg(long, value_name = "ID", conflicts_with = "class")]
    profile: Option<Uuid>,
    /// The form of the file.
    #[arg(long)]
    format: Format,
    /// The file.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
    /// Why, for the audit trail: what only you know.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Let the file take the place of another one.
    #[arg(long)]
    force: bool,
    /// The data directory of a development stack that runs [default: that of `latchkey dev`].
    #[arg(long, value_name = "DIRECTORY", conflicts_with_all = ["keys_url", "enrollment_url", "token_file"])]
    data_dir: Option<PathBuf>,
    /// The organization (a UUID) for which it is exported from a development stack [default: the sample's].
    #[arg(long, value_name = "ID", conflicts_with_all = ["keys_url", "enrollment_url", "token_file"])]
    org: Option<Uuid>,
    /// Where the keys service of a deployment is.
    #[arg(long, value_name = "URL", requires = "enrollment_url")]
    keys_url: Option<String>,
    /// Where the enrollment service of a deployment is.
    #[arg(long, value_name = "URL", requires = "keys_url")]
    enrollment_url: Option<String>,
    /// The authority whose certificates the services of a deployment show (PEM).
    #[arg(long, value_name = "FILE", requires = "keys_url")]
    ca_file: Option<PathBuf>,
    /// A certificate to show them, if they ask for one (PEM).
    #[arg(long, value_name = "FILE", requires_all = ["ca_file", "private_key_file"])]
    certificate_file: Option<PathBuf>,
    /// The private key of that.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    private_key_file: Option<PathBuf>,
    /// A file with the token of an operations manager [default: the token in `LATCHKEY_TOKEN`].
    #[arg(long, value_name = "FILE", requires = "keys_url")]
    token_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// For spreadsheets: what they could take for a formula is preceded by an apostrophe.
    Csv,
    /// For programs: an object on each line.
    Jsonl,
}

/// Does it. Whatever ends it early, Ctrl-C too, leaves no file.
pub(crate) async fn run(keys: &Keys) -> anyhow::Result<ExitCode> {
    let Command::Export(wanted) = &keys.command;
    let shutdown = shutdown_on_signal().context("cannot listen for Ctrl-C")?;
    let progress = Progress::on_stderr();
    let done = tokio::select! {
        done = exported(wanted, &progress) => Some(done),
        () = shutdown.cancelled() => None,
    };
    progress.finish();
    let Some(done) = done else {
        eprintln!("interrupted: nothing was written");
        return Ok(ExitCode::from(INTERRUPTED));
    };
    eprintln!("{} keys are in {}", done?, wanted.output.display());
    Ok(ExitCode::SUCCESS)
}

async fn exported(wanted: &Export, progress: &Progress) -> anyhow::Result<u64> {
    let wish = Wish {
        class_id: wanted.class,
        pool_id: wanted.pool,
        profile_id: wanted.profile,
        reason: &wanted.reason,
        format: match wanted.format {
            Format::Csv => RowFormat::Csv,
            Format::Jsonl => RowFormat::JsonLines,
        },
        output: &wanted.output,
        overwrite: wanted.force,
    };
    export(&access(wanted).await?, &wish, progress).await
}

async fn access(wanted: &Export) -> anyhow::Result<Access> {
    let (keys, enrollment, token) = match (&wanted.keys_url, &wanted.enrollment_url) {
        (Some(keys), Some(enrollment)) => {
            let tls = wanted.ca_file.clone().map(|ca_file| ClientTlsConfig {
                ca_file,
                certificate_file: wanted.certificate_file.clone(),
                private_key_file: wanted.private_key_file.clone(),
            });
            let place = |url: &String| Place {
                url: url.clone(),
                tls: tls.clone(),
            };
            let token = given_token(wanted.token_file.as_deref())?;
            (place(keys), place(enrollment), token)
        }
        _ => of_development_stack(wanted)?,
    };
    Ok(Access {
        keys: connect(&keys).await?,
        enrollment: connect(&enrollment).await?,
        token,
    })
}

/// The token of an operations manager, who brought it: never on the command line, which everybody on the machine can read.
fn given_token(file: Option<&Path>) -> anyhow::Result<SecretString> {
    let text = match file {
        Some(file) => std::fs::read_to_string(file)
            .with_context(|| format!("cannot read {}", file.display()))?,
        None => match std::env::var("LATCHKEY_TOKEN") {
            Ok(text) => text,
            Err(_) => bail!("whose keys? Give --token-file, or put the token into LATCHKEY_TOKEN"),
        },
    };
    Ok(SecretString::from(text.trim()))
}

fn of_development_stack(wanted: &Export) -> anyhow::Result<(Place, Place, SecretString)> {
    let data_dir = wanted.data_dir.clone().unwrap_or_else(default_path);
    let description = Description::read(&data_dir)?;
    let issuer = Issuer::from_file(&description.issuer.private_key_file)?;
    let mut request = token_request(Role::OperationsManager, description.sample);
    if wanted.org.is_some() {
        request.organization = wanted.org;
    }
    let token = SecretString::from(issuer.mint(&request)?);
    let place = |url: &String| Place {
        url: url.clone(),
        tls: Some(ClientTlsConfig::of_authorities(&description.ca_file)),
    };
    let keys = place(&description.keys.url);
    Ok((keys, place(&description.enrollment.url), token))
}
