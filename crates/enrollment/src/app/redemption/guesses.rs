//! Wrong guesses, and who has made too many.
//!
//! A wrong guess is a code that no key has, or that is for another organization; of accounts, a password that does not
//! fit. It counts for the student or the account, for the organization and for the caller. Once there is room for no more,
//! nothing is looked at, right or wrong; what was decided before is answered all the same, because that comes first.

use std::sync::Arc;

use latchkey_service_kit::attempts::{Counted, Limits, Method, Owed, Subject, TooMany, Turn};
use latchkey_service_kit::database::{Silence, answered, reached};
use latchkey_service_kit::identity::Role;
use metrics::counter;
use tokio::time::timeout_at;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{Call, Error, Services};
use crate::domain::decision::Applicant;
use crate::domain::refusal::Refusal;
use crate::store;

/// The limit of one student.
pub const STUDENT: &str = "student";
/// The limit of one e-mail address that would register in an organization.
pub const NEWCOMER: &str = "newcomer";
/// The limit of all students of an organization.
pub const ORGANIZATION: &str = "organization";
/// The limit of all who would register in an organization. Apart from that of its students: whoever guesses at a public
/// registration form shuts that, and not the way of those who have an account.
pub const NEWCOMERS: &str = "newcomers";
/// The limit of one caller who is no platform service.
pub const CALLER: &str = "caller";
/// The limit of a platform service, which calls for very many students.
pub const PLATFORM: &str = "platform";
/// The limit of one account, for passwords.
pub const ACCOUNT: &str = "account";

/// The most subjects of each limit that are remembered: less than a hundred bytes each.
pub const PLACES: usize = 50_000;

/// A method that codes are tried with.
pub(super) const fn of_redemption(name: &'static str) -> Method {
    Method {
        service: "RedemptionService",
        name,
    }
}

/// The method that passwords are tried with.
const AUTHENTICATE: Method = Method {
    service: "StudentService",
    name: "Authenticate",
};

/// A guess that was let in.
#[derive(Debug)]
pub(in crate::app) struct Guess<'l> {
    limits: &'l Limits,
    method: Method,
    counted: Vec<Counted>,
    /// Held until the outcome is counted.
    _turn: Option<Turn<'l>>,
}

impl<'l> Guess<'l> {
    /// Lets a guess in that counts for `first` and for `others`; of `first`, guesses at the same time are worth no more than
    /// one after the other. (Of the others they may be worth more, by as many as are in progress; that is owed.)
    async fn begin(
        limits: &'l Limits,
        call: &Call,
        method: Method,
        first: Option<Counted>,
        mut others: Vec<Counted>,
    ) -> Result<Self, Error> {
        limits.check(method, &others)?;
        let turn = match first {
            Some(first) => timeout_at(call.deadline, limits.enter(method, first))
                .await
                .map_err(|_| Error::DeadlineExceeded)??,
            None => None,
        };
        others.extend(first);
        Ok(Self {
            limits,
            method,
            counted: others,
            _turn: turn,
        })
    }

    /// A guess at a code by or for `applicant`, who belongs to `organization`.
    pub(super) async fn at_code(
        services: &'l Services,
        call: &Call,
        method: Method,
        applicant: &Applicant,
        organization: Option<Uuid>,
    ) -> Result<Self, Error> {
        let (first, of_all) = match applicant {
            Applicant::Student(id) => (Some((STUDENT, Subject::id(*id))), ORGANIZATION),
            Applicant::Newcomer {
                organization_id,
                account,
            } => {
                let newcomer = account.as_ref().map(|account| {
                    let begun = services.fingerprint_key.begin(NEWCOMER);
                    let digest = begun
                        .bytes(organization_id.as_bytes())
                        .text(&account.email_folded)
                        .finish();
                    (NEWCOMER, Subject::digest(&digest))
                });
                (newcomer, NEWCOMERS)
            }
        };
        let mut others = vec![caller(call)];
        others.extend(organization.map(|id| (of_all, Subject::id(id))));
        Self::begin(&services.guesses, call, method, first, others).await
    }

    /// A guess at the password of an account, whether or not there is one. Callers with different reach do not shut each
    /// other out.
    pub(in crate::app) async fn at_password(
        services: &'l Services,
        call: &Call,
        organization_id: Uuid,
        email_folded: &str,
    ) -> Result<Self, Error> {
        let from = (!call.scope.everything).then_some(call.caller.organization);
        let from = from.map(|home| home.unwrap_or_default().to_string());
        let digest = services
            .fingerprint_key
            .begin(ACCOUNT)
            .bytes(organization_id.as_bytes())
            .text(email_folded)
            .optional(from.as_deref())
            .finish();
        let first = Some((ACCOUNT, Subject::digest(&digest)));
        Self::begin(&services.guesses, call, AUTHENTICATE, first, Vec::new()).await
    }

    /// What became of it.
    pub(in crate::app) fn settle<T>(self, outcome: &Result<T, Error>) {
        let Err(Error::Refused(refusal)) = outcome else {
            return;
        };
        match refusal {
            Refusal::KeyNotFound | Refusal::OrganizationMismatch => {
                counter!(
                    "latchkey_wrong_codes_total",
                    "service" => self.method.service,
                    "method" => self.method.name,
                    "reason" => refusal.reason(),
                )
                .increment(1);
            }
            Refusal::CredentialsInvalid => {}
            _ => return,
        }
        self.limits.failed(&self.counted);
    }
}

fn caller(call: &Call) -> Counted {
    let limit = if call.caller.has(Role::PlatformService) {
        PLATFORM
    } else {
        CALLER
    };
    let subject = Subject::caller(&call.caller.issuer, &call.caller.subject);
    (limit, subject)
}

impl From<TooMany> for Error {
    fn from(too_many: TooMany) -> Self {
        Self::TooManyAttempts {
            retry_after: too_many.retry_after,
        }
    }
}

impl From<Silence> for Error {
    fn from(silence: Silence) -> Self {
        Self::unavailable(silence)
    }
}

/// Tells other replicas of wrong guesses and hears of theirs, until `stop` and once after it.
pub async fn share(services: Arc<Services>, stop: CancellationToken) {
    let exchange = |owed: Vec<Owed>, unheard| {
        let services = Arc::clone(&services);
        async move {
            let exchange = store::attempts::exchange(&services.pool, &owed, unheard);
            answered(services.patience, exchange)
                .await?
                .map_err(Error::from)
        }
    };
    tokio::select! {
        () = reached(&services.pool) => {}
        () = stop.cancelled() => {}
    }
    services
        .guesses
        .share(services.pace.exchange, stop, exchange)
        .await;
}
