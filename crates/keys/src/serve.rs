//! The service, put together.

use std::sync::Arc;
use std::time::Duration;

use latchkey_proto::FILE_DESCRIPTOR_SET;
use latchkey_proto::audit::v1::audit_service_server::AuditServiceServer;
use latchkey_proto::keys::v1::key_pool_service_server::KeyPoolServiceServer;
use latchkey_proto::keys::v1::key_usage_service_server::KeyUsageServiceServer;
use latchkey_proto::keys::v1::subscription_key_service_server::SubscriptionKeyServiceServer;
use latchkey_proto::keys::v1::training_key_service_server::TrainingKeyServiceServer;
use latchkey_service_kit::attempts::Limits;
use latchkey_service_kit::clock::SystemClock;
use latchkey_service_kit::database::{self, DatabaseError, Standing};
use latchkey_service_kit::identity::{IdentityError, TokenVerifier};
use latchkey_service_kit::ids::RandomIds;
use latchkey_service_kit::limited;
use latchkey_service_kit::metrics::{describe, watch_pool};
use latchkey_service_kit::refusals::{self, Keeping};
use latchkey_service_kit::server::{self, GrpcServer, Places, ServerOptions};
use latchkey_service_kit::tls::{ServerTls, TlsError};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app::guesses::{self, METRICS, PLACES};
use crate::app::keep_refusals::RefusalTrail;
use crate::app::watch_keyring::watch_keyring;
use crate::app::{App, HeldKeyring};
use crate::config::Config;
use crate::keyring_file::KeyringFileError;
use crate::rpc::{
    AuditTrail, EXPORT_METHOD, GENERATE_METHODS, KeyPools, KeyUsage, SubscriptionKeys,
    TrainingKeys, access,
};

/// What the database shows beside this service's connections.
const APPLICATION: &str = "latchkey-keys";

/// How long closing the database connections may take. Whoever still works on one after the server has drained is not
/// waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the service did not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no keyring to protect codes with.
    #[error("the keyring cannot be used")]
    Keyring(#[from] KeyringFileError),
    /// The database's address makes no sense.
    #[error("the database cannot be used")]
    Database(#[from] DatabaseError),
    /// It is not known whose tokens to believe.
    #[error("the key sets of the issuers cannot be used")]
    Identity(#[from] IdentityError),
    /// Its certificate cannot be used.
    #[error("the service cannot be called in confidence")]
    Tls(#[from] TlsError),
    /// The server could not listen, or failed.
    #[error("the server ended")]
    Server(#[from] server::ServeError),
}

/// Serves until `shutdown` is cancelled, then ends gracefully.
///
/// Needs a tokio runtime. The database need not be there yet: until it is, the service says that it is not ready.
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), ServeError> {
    let (server, app, keeping) = assembled(&config)?;
    let pool = app.pool.clone();
    describe(METRICS);
    let listener = server::bind(config.listen.address).await?;
    let address = listener.local_addr().unwrap_or(config.listen.address);
    tracing::info!(%address, "the keys service listens");
    tokio::spawn(watch_pool(pool.clone()));
    let ended = CancellationToken::new();
    let patience = config.database.patience();
    let sharing = tokio::spawn({
        let (app, stop) = (app.clone(), ended.clone());
        let every = config.guessing.exchange_interval();
        async move { guesses::share(&app.guesses, &app.pool, every, patience, stop).await }
    });
    let watching = tokio::spawn(watch_keyring(
        app,
        config.keyring_file.clone(),
        address.to_string(),
        patience,
        ended.clone(),
    ));
    let outcome = server.serve(listener, shutdown).await;
    keeping.finish(CLOSE_TIMEOUT).await;
    ended.cancel();
    if tokio::time::timeout(CLOSE_TIMEOUT, sharing).await.is_err() {
        tracing::warn!("the service ends before other replicas heard of its last wrong guesses");
    }
    // Whether or not the others hear that this process has ended: it counts as running for a while longer at most.
    let _ = tokio::time::timeout(CLOSE_TIMEOUT, watching).await;
    if tokio::time::timeout(CLOSE_TIMEOUT, pool.close())
        .await
        .is_err()
    {
        tracing::warn!("the service ends while a database connection is still in use");
    }
    Ok(outcome?)
}

/// The server that [`serve`] runs, what its handlers work with (the pool in it is the caller's to close), and the task that
/// keeps refused calls in the trail.
///
/// Needs a tokio runtime.
///
/// # Errors
/// When a file that `config` names cannot be used.
pub fn assemble(config: &Config) -> Result<(GrpcServer, PgPool, Keeping), ServeError> {
    let (server, app, keeping) = assembled(config)?;
    Ok((server, app.pool, keeping))
}

fn assembled(config: &Config) -> Result<(GrpcServer, App, Keeping), ServeError> {
    let keyring = config.keyring_file.read()?;
    let verifier = TokenVerifier::from_config(&config.identity, Arc::new(SystemClock))?;
    let pool = database::pool(&config.database, APPLICATION)?;
    let ids = Arc::new(RandomIds::default());
    let app = App {
        pool: pool.clone(),
        standing: Standing::new(pool.clone()),
        keyring: Arc::new(HeldKeyring::new(keyring)),
        ids: ids.clone(),
        guesses: Arc::new(Limits::new(config.guessing.allowances(), PLACES)),
    };
    let limits = &config.limits;
    let (left, refused) = refusals::queue();
    let trail = RefusalTrail::new(app.clone(), config.database.patience());
    let keeping = Keeping::start(refused, trail);
    let options = ServerOptions {
        access: access::table(),
        verifier: Arc::new(verifier),
        ids,
        refusals: Some(left),
        tls: ServerTls::of(&config.listen)?,
        limits: limits.clone(),
        shutdown: config.shutdown.clone(),
    };
    let readiness = app.clone();
    // One bound for all generations, whatever they are for.
    let generations = Places::new(&config.generation);
    let training_keys = TrainingKeys::new(app.clone(), config, generations.clone());
    let mut server = GrpcServer::new(options)
        .service(limited!(
            TrainingKeyServiceServer::new(training_keys),
            limits
        ))
        .service(limited!(
            KeyPoolServiceServer::new(KeyPools::new(app.clone(), generations.clone())),
            limits
        ))
        .service(limited!(
            SubscriptionKeyServiceServer::new(SubscriptionKeys::new(app.clone(), generations)),
            limits
        ))
        .stream(EXPORT_METHOD, config.export.max_duration())
        .service(limited!(
            KeyUsageServiceServer::new(KeyUsage::new(app.clone())),
            limits
        ))
        .service(limited!(
            AuditServiceServer::new(AuditTrail::new(app.clone())),
            limits
        ))
        .readiness(move || {
            let app = readiness.clone();
            async move { app.keyring.is_complete() && database::is_alive(&app.pool).await }
        });
    for method in GENERATE_METHODS {
        server = server.stream(method, config.generation.max_duration());
    }
    if config.listen.reflection {
        server = server.reflection(FILE_DESCRIPTOR_SET);
    }
    Ok((server, app, keeping))
}
