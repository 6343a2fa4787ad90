//! A key set behind a URL.

use std::path::Path;
use std::time::Duration;

use http::Uri;
use http_body_util::{BodyExt, Empty, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use tonic::codegen::Bytes;

use crate::tls::{TlsError, web};

/// How long a fetch may take.
const WITHIN: Duration = Duration::from_secs(5);

/// The largest key set, in bytes: an issuer's has a few thousand.
const MAX_BYTES: usize = 256 * 1024;

/// Why a key set was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The URL makes no sense.
    #[error("the URL makes no sense")]
    Url(#[from] http::uri::InvalidUri),
    /// It is not known whom to believe.
    #[error("whom to believe there cannot be told")]
    Tls(#[from] TlsError),
    /// Nobody answers there, or nobody who can be believed.
    #[error("nobody can be reached there")]
    Unreachable(#[from] hyper_util::client::legacy::Error),
    /// The answer is no success. A redirect is none either: whom to believe is not for others to say.
    #[error("the answer is {0}")]
    Refused(http::StatusCode),
    /// The answer breaks off, or is longer than any key set.
    #[error("the answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer is no text.
    #[error("the answer is no text")]
    NoText(#[from] std::string::FromUtf8Error),
    /// There is no answer in time.
    #[error("there is no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
}

/// The document at `url`. Whom to believe there, the authorities in `ca_file` say, or else those of the operating system;
/// both are read each time, so that new ones need no restart.
pub(super) async fn fetch(url: &str, ca_file: Option<&Path>) -> Result<String, FetchError> {
    timeout(WITHIN, get(url, ca_file)).await?
}

async fn get(url: &str, ca_file: Option<&Path>) -> Result<String, FetchError> {
    let url: Uri = url.parse()?;
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(web(ca_file)?)
        .https_or_http()
        .enable_all_versions()
        .build();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let answer = client.get(url).await?;
    if !answer.status().is_success() {
        return Err(FetchError::Refused(answer.status()));
    }
    let body = Limited::new(answer.into_body(), MAX_BYTES).collect().await;
    let bytes = body.map_err(FetchError::Body)?.to_bytes();
    Ok(String::from_utf8(bytes.to_vec())?)
}
