//! `latchkey keys export`: the keys of a class, a pool or a subscription profile with their codes and the names of who uses them,
//! in a file that is whole or not there.
//!
//! The codes come from the keys service, as JSON Lines whatever the form of the file; what came is compared with what the
//! service says it sent. The names come from the enrollment service, piece by piece, so that neither needs memory for all.

mod connect;
mod names;
mod private_file;
mod received;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, ensure};
use latchkey_proto::keys::v1::training_key_service_client::TrainingKeyServiceClient;
use latchkey_proto::keys::v1::{ExportFormat, ExportSummary, ExportTrainingKeysRequest};
use latchkey_service_kit::rows::{Contents, RowFormat, RowWriter};
use latchkey_service_kit::status::{name, reason_of};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

pub use connect::{Place, connect};

use self::private_file::PrivateFile;
use crate::progress::Progress;
use crate::stack::sample::authorized;

/// The columns of the file: those of the service, in its order, and the names of who uses the key.
const COLUMNS: &[&str] = &[
    "code",
    "kind",
    "class_id",
    "class_name",
    "status",
    "redeemed_by",
    "redeemed_at",
    "pool_id",
    "pool_name",
    "profile_id",
    "profile_name",
    "max_uses",
    "use_count",
    "given_name",
    "family_name",
];

/// How often whoever waits is told how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Both services, and who asks them.
#[derive(Debug)]
pub struct Access {
    /// The keys service.
    pub keys: Channel,
    /// The enrollment service.
    pub enrollment: Channel,
    /// The token of an operations manager.
    pub token: SecretString,
}

/// What to export, and to where.
#[derive(Debug, Clone)]
pub struct Wish<'w> {
    /// The class; or else the pool or the profile.
    pub class_id: Option<Uuid>,
    /// The pool.
    pub pool_id: Option<Uuid>,
    /// The subscription profile.
    pub profile_id: Option<Uuid>,
    /// Why, for the audit trail: 1 to 500 characters.
    pub reason: &'w str,
    /// The form of the file.
    pub format: RowFormat,
    /// The file.
    pub output: &'w Path,
    /// Whether it may take the place of another.
    pub overwrite: bool,
}

/// Writes the file that `wish` asks for; how many keys are in it. It is readable by its owner only, and stands under its
/// name once it is whole, compared, and on the disk.
///
/// # Errors
/// When it cannot be made, the services refuse or cannot be reached, or what came is not what was sent. Then, and when
/// this future is dropped, there is no file.
pub async fn export(access: &Access, wish: &Wish<'_>, progress: &Progress) -> anyhow::Result<u64> {
    let mut file = PrivateFile::beside(wish.output, wish.overwrite)?;
    progress.step("Asking for the keys");
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    let request = ExportTrainingKeysRequest {
        class_id: id(wish.class_id),
        pool_id: id(wish.pool_id),
        profile_id: id(wish.profile_id),
        format: ExportFormat::JsonLines.into(),
        reason: wish.reason.to_owned(),
        ..ExportTrainingKeysRequest::default()
    };
    let request = authorized(request, access.token.expose_secret())?;
    let mut client = TrainingKeyServiceClient::new(access.keys.clone());
    let answer = client.export_training_keys(request).await;
    let mut stream = answer.map_err(|status| refusal(&status))?.into_inner();

    let mut writer = RowWriter::new(wish.format, COLUMNS);
    let mut contents = Contents::default();
    let mut summary = None;
    let mut told = Instant::now();
    while let Some(message) = stream.message().await.map_err(|status| refusal(&status))? {
        ensure!(summary.is_none(), "the export goes on after its summary");
        if message.summary.is_some() {
            summary = message.summary;
            continue;
        }
        let rows = received::rows(&message.rows)?;
        contents.add(&message.rows, rows.len() as u64);
        let names = names::of(&rows, access).await?;
        for row in &rows {
            row.write(names.get(row.redeemed_by.as_deref()), &mut writer);
        }
        file.write(&writer.take())?;
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            progress.step(format!("{} keys", contents.rows()));
        }
    }
    let summary = summary.context("the export broke off before its end: nothing was kept")?;
    compare(&contents, &summary)?;
    // Of a CSV without a row, the line of column names.
    file.write(&writer.take())?;
    file.keep()?;
    Ok(contents.rows())
}

/// Whether what came is what was sent.
fn compare(came: &Contents, sent: &ExportSummary) -> anyhow::Result<()> {
    let same = i64::try_from(came.rows()) == Ok(sent.row_count)
        && i64::try_from(came.bytes()) == Ok(sent.byte_count)
        && came.sha256() == sent.sha256;
    ensure!(
        same,
        "what came is not what was sent: {} keys of {}, {} bytes of {}, SHA-256 {} instead of {}",
        came.rows(),
        sent.row_count,
        came.bytes(),
        sent.byte_count,
        came.sha256(),
        sent.sha256
    );
    Ok(())
}

/// A failed call, for people: the reason, which they can look up, and the service's words.
fn refusal(status: &Status) -> anyhow::Error {
    match reason_of(status) {
        Some(reason) => anyhow!("{}: {}", name(reason), status.message()),
        None => anyhow!("{:?}: {}", status.code(), status.message()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_compared_in_every_respect() {
        let mut came = Contents::default();
        came.add(b"{}\n", 1);
        let sent = ExportSummary {
            row_count: 1,
            byte_count: 3,
            sha256: came.sha256(),
        };
        compare(&came, &sent).expect("the same");
        let others = [
            ExportSummary {
                row_count: 2,
                ..sent.clone()
            },
            ExportSummary {
                byte_count: 4,
                ..sent.clone()
            },
            ExportSummary {
                sha256: Contents::default().sha256(),
                ..sent
            },
        ];
        for other in others {
            compare(&came, &other).expect_err("another");
        }
    }
}
