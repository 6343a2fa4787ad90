//! A stack as a test sees it: of its own, or shared with the tests that leave no trace beyond their own organizations.

use std::sync::{Arc, OnceLock};

use chrono::TimeDelta;
use latchkey::stack::Service;
use latchkey::stack::tokens::TokenRequest;
use latchkey_service_kit::identity::Role;
use sqlx::postgres::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit};
use tonic::transport::Channel;

use super::callers::{Caller, Channels};
use super::cluster::cluster;
use super::site::{Options, Replica, Site};
use super::{invariants, logs};

/// How many stacks of their own run at once: each is at least two processes.
const AT_ONCE: usize = 3;

static OWN_STACKS: Semaphore = Semaphore::const_new(AT_ONCE);
static SHARED: OnceLock<Site> = OnceLock::new();

enum Owner {
    Own(Box<Site>, Option<SemaphorePermit<'static>>),
    Shared(&'static Site),
}

/// See the module.
pub(crate) struct Stack {
    owner: Owner,
    channels: Arc<Channels>,
}

impl Stack {
    /// A stack of the test's own.
    pub(crate) async fn own() -> Self {
        Self::with(Options::default()).await
    }

    /// A stack of the test's own that differs from the usual.
    pub(crate) async fn with(options: Options) -> Self {
        let permit = OWN_STACKS.acquire().await.expect("never closed");
        let site = Box::new(Site::start(&options).await);
        let channels = Arc::new(channels_to(&site));
        Self {
            owner: Owner::Own(site, Some(permit)),
            channels,
        }
    }

    /// The stack that tests share which do not disturb each other: each makes organizations of its own.
    pub(crate) async fn shared() -> Self {
        let site = tokio::task::spawn_blocking(|| {
            SHARED.get_or_init(|| {
                let start = || {
                    cluster()
                        .runtime()
                        .block_on(Site::start(&Options::default()))
                };
                std::thread::spawn(start).join().expect("the shared stack")
            })
        });
        let site = site.await.expect("the shared stack");
        Self {
            channels: Arc::new(channels_to(site)),
            owner: Owner::Shared(site),
        }
    }

    pub(crate) fn site(&self) -> &Site {
        match &self.owner {
            Owner::Own(site, _) => site,
            Owner::Shared(site) => site,
        }
    }

    /// A process of the test's own stack, to be stopped, killed or started again.
    pub(crate) fn replica(&mut self, service: Service, number: usize) -> &mut Replica {
        self.own_site().replica(service, number)
    }

    /// Takes a process out of the test's own stack: to be handled while others use the stack, and given back.
    pub(crate) fn take(&mut self, service: Service, number: usize) -> Replica {
        self.own_site().take(service, number)
    }

    /// Takes a process back.
    pub(crate) fn give_back(&mut self, replica: Replica) {
        self.own_site().give_back(replica);
    }

    fn own_site(&mut self) -> &mut Site {
        match &mut self.owner {
            Owner::Own(site, _) => site,
            Owner::Shared(_) => panic!("a shared stack is left alone"),
        }
    }

    /// A connection to the stack's database with all rights.
    pub(crate) async fn database(&self) -> PgConnection {
        self.site().database.connect().await
    }

    /// A connection to a service, for calls that carry no token.
    pub(crate) fn channel(&self, service: Service) -> Channel {
        let channels = match service {
            Service::Keys => &self.channels.keys,
            Service::Enrollment => &self.channels.enrollment,
        };
        channels[0].clone()
    }

    /// A token of one role.
    pub(crate) fn token(&self, role: Role, subject: &str, organization: Option<&str>) -> String {
        self.token_with(&[role], subject, organization)
    }

    /// A token of several roles.
    pub(crate) fn token_with(
        &self,
        roles: &[Role],
        subject: &str,
        organization: Option<&str>,
    ) -> String {
        let request = TokenRequest {
            roles: roles.to_vec(),
            organization: organization.map(|id| id.parse().expect("an organization's id")),
            subject: subject.to_owned(),
            lifetime: TimeDelta::hours(1),
        };
        self.site().issuer.mint(&request).expect("a token")
    }

    /// Someone who calls with a token of one role.
    pub(crate) fn caller(&self, role: Role, subject: &str, organization: Option<&str>) -> Caller {
        Caller::new(
            Arc::clone(&self.channels),
            Some(&self.token(role, subject, organization)),
        )
    }

    /// Someone who calls with this text as a token, or with none.
    pub(crate) fn bearer(&self, token: Option<&str>) -> Caller {
        Caller::new(Arc::clone(&self.channels), token)
    }

    pub(crate) fn operator(&self) -> Caller {
        self.caller(Role::Operator, "olga-operator", None)
    }

    pub(crate) fn platform(&self) -> Caller {
        self.caller(Role::PlatformService, "platform", None)
    }

    /// The enrollment service itself, as it calls the keys service.
    pub(crate) fn enrollment_service(&self) -> Caller {
        self.bearer(Some(&self.site().service_token))
    }

    /// Someone with several roles.
    pub(crate) fn caller_with(
        &self,
        roles: &[Role],
        subject: &str,
        organization: Option<&str>,
    ) -> Caller {
        self.bearer(Some(&self.token_with(roles, subject, organization)))
    }

    pub(crate) fn student(&self, student_id: &str) -> Caller {
        self.caller(Role::Student, student_id, None)
    }

    /// Ends the test: the invariants hold, no process had an inner fault, and all of them stop as they should.
    pub(crate) async fn finish(self) {
        self.end(0).await;
    }

    /// Like [`Stack::finish`], for a test that brings about `faults` inner faults on purpose.
    pub(crate) async fn finish_after_faults(self, faults: usize) {
        self.end(faults).await;
    }

    /// Like [`Stack::finish`], for a test whose processes crash and go by wrong clocks: what that has led to inside them is
    /// not held against them.
    pub(crate) async fn finish_after_crashes(mut self) {
        invariants::hold(&self).await;
        self.own_site().stop().await;
        logs::show_no_panics(self.site());
    }

    /// Like [`Stack::finish`], for a test that told keys what never was: its copies are not those of the originals.
    pub(crate) async fn finish_after_untruths(self) {
        self.stop(0).await;
    }

    async fn end(self, faults: usize) {
        invariants::hold(&self).await;
        self.stop(faults).await;
    }

    async fn stop(mut self, faults: usize) {
        if let Owner::Own(site, permit) = &mut self.owner {
            site.stop().await;
            site.cluster.drop_database(&site.database.name).await;
            drop(permit.take());
        }
        logs::show_no_faults(self.site(), faults);
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for replica in self.site().replicas() {
                eprintln!("{}", logs::last_words(replica));
            }
        }
    }
}

fn channels_to(site: &Site) -> Channels {
    Channels {
        keys: site.keys.iter().map(Replica::channel).collect(),
        enrollment: site.enrollment.iter().map(Replica::channel).collect(),
    }
}
