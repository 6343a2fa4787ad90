//! Certificates for a stack or a new deployment, from an authority of its own.

use std::path::PathBuf;

use anyhow::Context;
use chrono::{DateTime, Datelike, TimeDelta, Utc};
use latchkey_service_kit::clock::{Clock, SystemClock};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use secrecy::{ExposeSecret, SecretString};

use super::Service;
use super::secrets::Secrets;

/// The authority's certificate among the secrets.
pub const AUTHORITY: &str = "ca.pem";
/// Its private key.
const AUTHORITY_KEY: &str = "ca.key";

/// How long the authority lives: it is replaced by hand, with all that trusts it.
const AUTHORITY_DAYS: i64 = 3_650;

/// How long a certificate lives. Each start of a stack makes new ones; a deployment calls `latchkey secrets` again, which
/// the services need no restart for.
const DAYS: i64 = 397;

/// Names under which both services are called from their own machine.
const OWN_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Where a certificate and its private key stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub private_key: PathBuf,
}

/// The certificates of a stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// The authority's certificate, for clients.
    pub authority: PathBuf,
    /// What the keys service shows.
    pub keys: CertificateFiles,
    /// What the enrollment service shows to its clients.
    pub enrollment: CertificateFiles,
    /// What the enrollment service shows to the keys service.
    pub enrollment_client: CertificateFiles,
}

impl Certificates {
    /// Makes the authority if it is missing, and all other certificates anew. Servers are called by `names` besides those of
    /// their own machine.
    ///
    /// # Errors
    /// When a file can be neither read nor written, or a name makes no sense.
    pub fn make(secrets: &Secrets, names: &[String]) -> anyhow::Result<Self> {
        let now = SystemClock.now();
        let authority = Authority::get_or_make(secrets, now)?;
        let own = OWN_NAMES.into_iter().map(str::to_owned);
        let names: Vec<String> = own.chain(names.iter().cloned()).collect();
        let server = |service: Service| {
            let usage = ExtendedKeyUsagePurpose::ServerAuth;
            authority.sign(secrets, service.name(), "tls", &names, usage, now)
        };
        Ok(Self {
            authority: secrets.path(AUTHORITY),
            keys: server(Service::Keys)?,
            enrollment: server(Service::Enrollment)?,
            enrollment_client: authority.sign(
                secrets,
                Service::Enrollment.name(),
                "client",
                &[],
                ExtendedKeyUsagePurpose::ClientAuth,
                now,
            )?,
        })
    }
}

/// What a database shows the services at `host`, among the secrets: `postgres-tls.pem` and `postgres-tls.key`, of the same
/// authority.
///
/// # Errors
/// When a file can be neither read nor written, or the name makes no sense.
pub fn of_database(secrets: &Secrets, host: &str) -> anyhow::Result<CertificateFiles> {
    let now = SystemClock.now();
    let authority = Authority::get_or_make(secrets, now)?;
    let usage = ExtendedKeyUsagePurpose::ServerAuth;
    authority.sign(secrets, "postgres", "tls", &[host.to_owned()], usage, now)
}

/// Who signs the certificates.
struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    fn get_or_make(secrets: &Secrets, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let key = secrets.get_or_make(AUTHORITY_KEY, || Ok(pem(&KeyPair::generate()?)))?;
        let key = KeyPair::from_pem(key.expose_secret())
            .with_context(|| format!("cannot use {}", secrets.path(AUTHORITY_KEY).display()))?;
        let mut params = params("Latchkey authority", now, AUTHORITY_DAYS, &[])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        secrets.get_or_make(AUTHORITY, || {
            let certificate = params.self_signed(&key)?;
            Ok(SecretString::from(certificate.pem()))
        })?;
        // Name and key are all that a signature takes from it, and those are always the same.
        Ok(Self(Issuer::new(params, key)))
    }

    /// A new certificate of `who` for one `usage`, in the files `WHO-WHAT.pem` and `WHO-WHAT.key`.
    fn sign(
        &self,
        secrets: &Secrets,
        who: &str,
        what: &str,
        names: &[String],
        usage: ExtendedKeyUsagePurpose,
        now: DateTime<Utc>,
    ) -> anyhow::Result<CertificateFiles> {
        let key = KeyPair::generate()?;
        let mut params = params(&format!("latchkey-{who}"), now, DAYS, names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let certificate: Certificate = params.signed_by(&key, &self.0)?;
        // The key first: a service that looks in between keeps what it has, because the two do not fit.
        let private_key = secrets.put(&format!("{who}-{what}.key"), &pem(&key))?;
        let text = SecretString::from(certificate.pem());
        Ok(CertificateFiles {
            certificate: secrets.put(&format!("{who}-{what}.pem"), &text)?,
            private_key,
        })
    }
}

/// What is common to all: a name, other names, and a life that began yesterday, because clocks differ.
fn params(
    name: &str,
    now: DateTime<Utc>,
    days: i64,
    names: &[String],
) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new(names.to_vec())?;
    params.distinguished_name.push(DnType::CommonName, name);
    let (from, until) = (now - TimeDelta::days(1), now + TimeDelta::days(days));
    params.not_before = date_time_ymd(from.year(), month(from)?, day(from)?);
    params.not_after = date_time_ymd(until.year(), month(until)?, day(until)?);
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn month(at: DateTime<Utc>) -> anyhow::Result<u8> {
    Ok(u8::try_from(at.month())?)
}

fn day(at: DateTime<Utc>) -> anyhow::Result<u8> {
    Ok(u8::try_from(at.day())?)
}

fn pem(key: &KeyPair) -> SecretString {
    SecretString::from(key.serialize_pem())
}
