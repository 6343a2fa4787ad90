//! The service, put together.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use latchkey_proto::FILE_DESCRIPTOR_SET;
use latchkey_proto::audit::v1::audit_service_server::AuditServiceServer;
use latchkey_proto::enrollment::v1::assignment_service_server::AssignmentServiceServer;
use latchkey_proto::enrollment::v1::billing_service_server::BillingServiceServer;
use latchkey_proto::enrollment::v1::class_service_server::ClassServiceServer;
use latchkey_proto::enrollment::v1::enrollment_service_server::EnrollmentServiceServer;
use latchkey_proto::enrollment::v1::notification_service_server::NotificationServiceServer;
use latchkey_proto::enrollment::v1::organization_service_server::OrganizationServiceServer;
use latchkey_proto::enrollment::v1::redemption_service_server::RedemptionServiceServer;
use latchkey_proto::enrollment::v1::student_service_server::StudentServiceServer;
use latchkey_proto::enrollment::v1::subscription_profile_service_server::SubscriptionProfileServiceServer;
use latchkey_service_kit::attempts::Limits;
use latchkey_service_kit::client::{ClientError, ServiceChannel};
use latchkey_service_kit::clock::SystemClock;
use latchkey_service_kit::database::{self, DatabaseError, Standing};
use latchkey_service_kit::identity::{
    Caller, IdentityError, KeyPairError, Role, SignerOptions, TokenSigner, TokenVerifier,
};
use latchkey_service_kit::ids::RandomIds;
use latchkey_service_kit::limited;
use latchkey_service_kit::metrics::{describe, watch_pool};
use latchkey_service_kit::refusals::{self, Keeping};
use latchkey_service_kit::server::{self, GrpcServer, ServerOptions};
use latchkey_service_kit::tls::{ServerTls, TlsError};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::app;
use crate::app::audit::keep_refusals::RefusalTrail;
use crate::app::delivery::compare::Comparison;
use crate::app::delivery::compare_in_time;
use crate::app::delivery::sweep;
use crate::app::metrics::METRICS;
use crate::app::notifications::notify;
use crate::app::redemption::desk::Desk;
use crate::app::redemption::guesses::{self, PLACES};
use crate::app::students::learn_costs;
use crate::app::{Passwords, Services, Wake};
use crate::clients::keys::Keys;
use crate::clients::smtp::{Mailer, SmtpError};
use crate::config::{Config, MailFileError};
use crate::domain::password::{BadCost, PasswordHasher};
use crate::private_file::PrivateFileError;
use crate::rpc::access;
use crate::rpc::assignments::Assignments;
use crate::rpc::audit::AuditTrail;
use crate::rpc::billing::{self, Billing};
use crate::rpc::classes::Classes;
use crate::rpc::enrollments::Enrollments;
use crate::rpc::notifications::Notifications;
use crate::rpc::organizations::Organizations;
use crate::rpc::profiles::Profiles;
use crate::rpc::redemptions::Redemptions;
use crate::rpc::students::Students;

/// What the database shows beside this service's connections.
const APPLICATION: &str = "latchkey-enrollment";

/// The `sub` of the tokens with which this service calls others.
const SUBJECT: &str = "enrollment";

/// How long each of these tokens holds; they are renewed well before.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::minutes(5);

/// How long closing the database connections may take. Whoever still works on one after the server has drained is not
/// waited for.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Why the service did not serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A key of its own is not there.
    #[error("a key of the service cannot be used")]
    PrivateFile(#[from] PrivateFileError),
    /// Its private key signs nothing.
    #[error("the service cannot prove who it is")]
    OwnIdentity(#[from] KeyPairError),
    /// The keys service's address makes no sense.
    #[error("the keys service cannot be called")]
    Keys(#[from] ClientError),
    /// Passwords cannot be hashed.
    #[error("the cost of password hashes cannot be used")]
    Passwords(#[from] BadCost),
    /// The database's address makes no sense.
    #[error("the database cannot be used")]
    Database(#[from] DatabaseError),
    /// It is not known whose tokens to believe.
    #[error("the key sets of the issuers cannot be used")]
    Identity(#[from] IdentityError),
    /// A file that is needed to send mail cannot be used.
    #[error("mail cannot be sent")]
    MailFile(#[from] MailFileError),
    /// The mail server cannot be used.
    #[error("mail cannot be sent")]
    Mail(#[from] SmtpError),
    /// Its certificate cannot be used.
    #[error("the service cannot be called in confidence")]
    Tls(#[from] TlsError),
    /// The server could not listen, or failed.
    #[error("the server ended")]
    Server(#[from] server::ServeError),
}

/// Serves until `shutdown` is cancelled, then ends gracefully.
///
/// Needs a tokio runtime. Neither the database nor the keys service need be there yet: until the database is, the service
/// says that it is not ready.
pub async fn serve(config: Config, shutdown: CancellationToken) -> Result<(), ServeError> {
    let (server, services, keeping) = assemble(&config)?;
    let pool = services.pool.clone();
    let mailer = match config.mail.smtp()? {
        Some(options) => Some((Mailer::new(options)?, config.mail.patience())),
        None => None,
    };
    describe(METRICS);
    tokio::spawn(watch_pool(pool.clone()));
    let listener = server::bind(config.listen.address).await?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, "the enrollment service listens");
    }
    tokio::spawn(learn_costs::learn_costs(Arc::clone(&services)));
    // Ends with the service, not with the signal: what the last calls owe is told as soon as they have ended.
    let sweeping = CancellationToken::new();
    let comparing = compare_in_time::run(Arc::clone(&services), sweeping.clone());
    let sharing = guesses::share(Arc::clone(&services), sweeping.clone());
    let telling = notify::run(Arc::clone(&services), mailer, sweeping.clone());
    let sweeper = sweep::run(services, sweeping.clone());
    let sweeper = tokio::spawn(async { tokio::join!(sweeper, comparing, sharing, telling) });
    let outcome = server.serve(listener, shutdown).await;
    keeping.finish(CLOSE_TIMEOUT).await;
    sweeping.cancel();
    if tokio::time::timeout(CLOSE_TIMEOUT, sweeper).await.is_err() {
        tracing::warn!(
            "the service ends in the middle of a delivery, which another replica repeats"
        );
    }
    if tokio::time::timeout(CLOSE_TIMEOUT, pool.close())
        .await
        .is_err()
    {
        tracing::warn!("the service ends while a database connection is still in use");
    }
    Ok(outcome?)
}

/// The server that [`serve`] runs, what its handlers work with (the pool in it is the caller's to close), and the task that
/// keeps refused calls in the trail. Nothing is swept: that is a task beside the server.
///
/// Needs a tokio runtime.
///
/// # Errors
/// When a file that `config` names cannot be used.
pub fn assemble(config: &Config) -> Result<(GrpcServer, Arc<Services>, Keeping), ServeError> {
    let verifier = TokenVerifier::from_config(&config.identity, Arc::new(SystemClock))?;
    let pool = database::pool(&config.database, APPLICATION)?;
    let services = Arc::new(services(config, pool)?);
    let (left, refused) = refusals::queue();
    let keeping = Keeping::start(refused, RefusalTrail::new(Arc::clone(&services)));
    let options = ServerOptions {
        access: access::table(),
        verifier: Arc::new(verifier),
        ids: Arc::clone(&services.ids),
        refusals: Some(left),
        tls: ServerTls::of(&config.listen)?,
        limits: config.limits.clone(),
        shutdown: config.shutdown.clone(),
    };
    let server = with_routes(GrpcServer::new(options), config, &services);
    Ok((server, services, keeping))
}

/// Why a repair was not made.
#[derive(Debug, thiserror::Error)]
pub enum RepairError {
    /// What it needs of the service's configuration cannot be used.
    #[error("the service's configuration cannot be used")]
    Config(#[source] Box<ServeError>),
    /// The database or the keys service failed.
    #[error("the repair failed")]
    Failed(#[from] app::Error),
}

/// Does once what the service's sweeper does at times, with the service's configuration: delivers what the keys service is
/// owed, compares both as a whole and mends what can be derived. Sound while replicas of the service run, or none.
///
/// `after_restore`: either database was restored from a backup.
pub async fn repair(config: &Config, after_restore: bool) -> Result<Comparison, RepairError> {
    let unusable = |error| RepairError::Config(Box::new(error));
    let pool =
        database::pool(&config.database, APPLICATION).map_err(|error| unusable(error.into()))?;
    let services = services(config, pool.clone()).map_err(unusable)?;
    let done = Box::pin(app::delivery::repair::repair(&services, after_restore)).await;
    pool.close().await;
    Ok(done?)
}

fn services(config: &Config, pool: PgPool) -> Result<Services, ServeError> {
    let clock = Arc::new(SystemClock);
    let own = &config.own_identity;
    let options = SignerOptions {
        issuer: own.issuer.clone(),
        audience: own.audience.clone(),
        subject: SUBJECT.to_owned(),
        roles: vec![Role::EnrollmentService],
        organization: None,
        lifetime: TOKEN_LIFETIME,
    };
    let itself = Caller {
        subject: options.subject.clone(),
        issuer: options.issuer.clone(),
        organization: None,
        roles: options.roles.clone(),
    };
    let private_key = own.private_key_file.private_key()?;
    let signer = TokenSigner::new(&private_key, options, clock.clone())?;
    let channel = ServiceChannel::new("keys", &config.keys, Arc::new(signer))?;
    let hasher = PasswordHasher::new(config.passwords.cost())?;
    Ok(Services {
        standing: Standing::new(pool.clone()),
        pool,
        patience: config.database.patience(),
        pace: config.sweeper.pace(config.guessing.exchange_interval()),
        answers_kept_days: config.retention.answers_days,
        keys: Keys::new(
            channel,
            config.keys.call_timeout(),
            config.limits.max_response_bytes,
        ),
        itself,
        ids: Arc::new(RandomIds::new(clock.clone())),
        clock,
        passwords: Passwords::new(hasher, config.passwords.at_once, config.passwords.waiting),
        wake: Wake::default(),
        login_page: config.mail.login_page.clone(),
        guesses: Limits::new(config.guessing.allowances(), PLACES),
        fingerprint_key: config.fingerprint_key_file.fingerprint_key()?,
    })
}

fn with_routes(server: GrpcServer, config: &Config, services: &Arc<Services>) -> GrpcServer {
    let limits = &config.limits;
    let shared = || Arc::clone(services);
    let readiness = services.pool.clone();
    let desk = Arc::new(Desk::open(shared()));
    tokio::spawn(Desk::watch(Arc::downgrade(&desk)));
    let server = server
        .service(limited!(
            OrganizationServiceServer::new(Organizations::new(shared())),
            limits
        ))
        .service(limited!(
            ClassServiceServer::new(Classes::new(shared())),
            limits
        ))
        .service(limited!(
            StudentServiceServer::new(Students::new(shared())),
            limits
        ))
        .service(limited!(
            EnrollmentServiceServer::new(Enrollments::new(shared())),
            limits
        ))
        .service(limited!(
            NotificationServiceServer::new(Notifications::new(shared())),
            limits
        ))
        .service(limited!(
            SubscriptionProfileServiceServer::new(Profiles::new(shared())),
            limits
        ))
        .service(limited!(
            AssignmentServiceServer::new(Assignments::new(shared())),
            limits
        ))
        .service(limited!(
            RedemptionServiceServer::new(Redemptions::new(desk)),
            limits
        ))
        .service(limited!(
            BillingServiceServer::new(Billing::new(shared(), &config.export)),
            limits
        ))
        .stream(billing::EXPORT_METHOD, config.export.max_duration())
        .service(limited!(
            AuditServiceServer::new(AuditTrail::new(shared())),
            limits
        ))
        .readiness(move || {
            let pool = readiness.clone();
            async move { database::is_alive(&pool).await }
        });
    if config.listen.reflection {
        server.reflection(FILE_DESCRIPTOR_SET)
    } else {
        server
    }
}
