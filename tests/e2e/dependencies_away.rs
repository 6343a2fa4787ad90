//! What a service needs is cut off, late or silent: calls say so within their deadline, and when to come back; what was
//! decided before is still answered; health is honest; and all goes on by itself when the weather clears.

use std::time::Duration;

use latchkey::stack::Service;
use latchkey_proto::enrollment::v1::{RedeemKeyResponse, RedemptionOutcome};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::RevealEventKeyRequest;
use latchkey_service_kit::status::retry_after_of;
use tonic::{Request, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::proxy::{Link, Weather};
use crate::harness::site::Links;
use crate::harness::world::redemption;
use crate::harness::{
    Caller, ClassDraft, Options, Organization, Stack, eventually, new_id, reason_of, refused,
};

/// What the callers here allow. Every bound of the services below is shorter, so that the reason is never the deadline.
const DEADLINE: Duration = Duration::from_secs(15);

/// A link that is late by this makes every answer later than anybody below waits for it.
const LATE: Duration = Duration::from_secs(4);

/// What the services wait for, as short as it is good for.
const DATABASE: &str = "
[database]
statement_timeout_ms = 500
acquire_timeout_ms = 1000
";
const DATABASE_AND_KEYS: &str = "
[database]
statement_timeout_ms = 500
acquire_timeout_ms = 1000
[keys]
connect_timeout_ms = 500
call_timeout_ms = 3000
";

const FOUL: [Weather; 4] = [
    Weather::Cut,
    Weather::Late(LATE),
    Weather::Hole,
    Weather::HoleBack,
];

async fn linked() -> Stack {
    Stack::with(Options {
        links: true,
        keys: DATABASE,
        enrollment: DATABASE_AND_KEYS,
        ..Options::default()
    })
    .await
}

fn links(stack: &Stack, service: Service) -> &Links {
    let replicas = match service {
        Service::Keys => &stack.site().keys,
        Service::Enrollment => &stack.site().enrollment,
    };
    replicas[0].links.as_ref().expect("links")
}

async fn redeem(
    caller: &Caller,
    id: &str,
    student: &str,
    code: &str,
) -> Result<Response<RedeemKeyResponse>, Status> {
    let mut request = Request::new(redemption(id, student, code));
    request.set_timeout(DEADLINE);
    caller.redemptions().redeem_key(request).await
}

/// Fails unless the call was refused because something is away, with a word on when to come back.
#[track_caller]
fn is_away<T: std::fmt::Debug>(answer: Result<Response<T>, Status>) {
    let refusal = refused(answer, ErrorReason::DependencyUnavailable);
    let pause = retry_after_of(&refusal).expect("when to come back");
    assert!(!pause.is_zero());
}

/// Calls with the same id until it is decided: the student is in.
async fn is_decided(caller: &Caller, id: &str, student: &str, code: &str) {
    let answer = eventually("decided", async || {
        redeem(caller, id, student, code).await.map_err(|status| {
            assert_eq!(reason_of(&status), ErrorReason::DependencyUnavailable);
            status.to_string()
        })
    })
    .await;
    assert_eq!(answer.into_inner().outcome(), RedemptionOutcome::Enrolled);
}

async fn health(stack: &Stack, service: Service) -> ServingStatus {
    let mut client = HealthClient::new(stack.channel(service));
    let answer = client.check(HealthCheckRequest::default()).await;
    answer.expect("it is asked").into_inner().status()
}

async fn becomes(stack: &Stack, service: Service, expected: ServingStatus) {
    eventually("as healthy as its database", async || {
        let found = health(stack, service).await;
        (found == expected)
            .then_some(())
            .ok_or_else(|| format!("{service:?} is {found:?}"))
    })
    .await;
}

/// A student who is in, with the id of the decision, and those who come in foul weather.
struct Cast {
    platform: Caller,
    admin: Caller,
    class_id: String,
    code: String,
    early: (String, String),
    late: Vec<String>,
}

async fn cast(stack: &Stack) -> Cast {
    let organization = Organization::new(stack).await;
    let (class, code) = organization.event_class(ClassDraft::new()).await;
    let mut students = organization.students(FOUL.len() + 1).await;
    let cast = Cast {
        platform: stack.platform(),
        admin: organization.admin(),
        class_id: class.class_id,
        code,
        early: (new_id(), students.pop().expect("a student")),
        late: students,
    };
    let (id, student) = &cast.early;
    redeem(&cast.platform, id, student, &cast.code)
        .await
        .expect("in");
    cast
}

impl Cast {
    /// The recorded decision is answered as it was.
    async fn is_answered_as_before(&self) {
        let (id, student) = &self.early;
        let answer = redeem(&self.platform, id, student, &self.code).await;
        let answer = answer.expect("the answer of before").into_inner();
        assert!(answer.replayed);
        assert_eq!(answer.outcome(), RedemptionOutcome::Enrolled);
    }

    /// Something that keys answers by itself.
    async fn reveals(&self) -> Result<(), Status> {
        let mut request = Request::new(RevealEventKeyRequest {
            class_id: self.class_id.clone(),
        });
        request.set_timeout(DEADLINE);
        let mut keys = self.admin.training_keys();
        keys.reveal_event_key(request).await.map(drop)
    }

    /// A student redeems while `link` is in each foul weather, and again after it.
    async fn goes_through(
        &self,
        link: &Link,
        meanwhile: impl AsyncFn(),
        afterwards: impl AsyncFn(),
    ) {
        for (weather, student) in FOUL.into_iter().zip(&self.late) {
            let id = new_id();
            link.set(weather);
            let answer = redeem(&self.platform, &id, student, &self.code).await;
            if let Ok(answer) = &answer {
                panic!("answered in {weather:?}: {answer:?}");
            }
            is_away(answer);
            meanwhile().await;
            link.set(Weather::Fair);
            is_decided(&self.platform, &id, student, &self.code).await;
            afterwards().await;
        }
    }
}

#[tokio::test]
async fn while_keys_is_away_new_redemptions_are_told_so_and_recorded_ones_are_answered() {
    let stack = linked().await;
    let cast = cast(&stack).await;
    let to_keys = links(&stack, Service::Enrollment).keys.as_ref();
    let meanwhile = async || {
        cast.is_answered_as_before().await;
        let own = health(&stack, Service::Enrollment).await;
        assert_eq!(own, ServingStatus::Serving, "it has its own database");
    };
    let to_keys = to_keys.expect("a link");
    cast.goes_through(to_keys, meanwhile, async || {}).await;
    stack.finish().await;
}

#[tokio::test]
async fn a_service_without_its_database_says_so_to_callers_and_by_its_health_until_it_is_back() {
    let stack = linked().await;
    let cast = cast(&stack).await;
    let meanwhile = async || {
        becomes(&stack, Service::Enrollment, ServingStatus::NotServing).await;
        let keys = health(&stack, Service::Keys).await;
        assert_eq!(keys, ServingStatus::Serving, "the other is well");
        cast.reveals().await.expect("the other is well");
    };
    let afterwards = async || becomes(&stack, Service::Enrollment, ServingStatus::Serving).await;
    let database = &links(&stack, Service::Enrollment).database;
    cast.goes_through(database, meanwhile, afterwards).await;
    stack.finish().await;
}

#[tokio::test]
async fn keys_without_its_database_says_so_and_holds_up_nothing_that_needs_no_key() {
    let stack = linked().await;
    let cast = cast(&stack).await;
    let meanwhile = async || {
        becomes(&stack, Service::Keys, ServingStatus::NotServing).await;
        let own = health(&stack, Service::Enrollment).await;
        assert_eq!(own, ServingStatus::Serving, "it has its own database");
        cast.is_answered_as_before().await;
        let refusal = cast.reveals().await.expect_err("the codes are away");
        // Where nothing comes back, the caller's own deadline may be what ends it.
        assert!(
            matches!(
                reason_of(&refusal),
                ErrorReason::DependencyUnavailable | ErrorReason::DeadlineExceeded
            ),
            "{refusal:?}"
        );
    };
    let afterwards = async || {
        becomes(&stack, Service::Keys, ServingStatus::Serving).await;
        cast.reveals().await.expect("the codes are back");
    };
    let database = &links(&stack, Service::Keys).database;
    cast.goes_through(database, meanwhile, afterwards).await;
    stack.finish().await;
}
