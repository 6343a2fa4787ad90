//! Health of both services: asked without a token, for the server and for each of its services, tied to the database.

use latchkey::stack::Service;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::harness::{Stack, eventually};

const SERVICES: [(Service, &[&str]); 2] = [
    (
        Service::Keys,
        &[
            "",
            "latchkey.keys.v1.TrainingKeyService",
            "latchkey.keys.v1.KeyPoolService",
            "latchkey.keys.v1.SubscriptionKeyService",
            "latchkey.keys.v1.KeyUsageService",
            "latchkey.audit.v1.AuditService",
        ],
    ),
    (
        Service::Enrollment,
        &[
            "",
            "latchkey.enrollment.v1.OrganizationService",
            "latchkey.enrollment.v1.ClassService",
            "latchkey.enrollment.v1.StudentService",
            "latchkey.enrollment.v1.AssignmentService",
            "latchkey.enrollment.v1.SubscriptionProfileService",
            "latchkey.enrollment.v1.RedemptionService",
            "latchkey.enrollment.v1.EnrollmentService",
            "latchkey.enrollment.v1.NotificationService",
            "latchkey.audit.v1.AuditService",
        ],
    ),
];

fn client(stack: &Stack, service: Service) -> HealthClient<Channel> {
    HealthClient::new(stack.channel(service))
}

async fn status(client: &mut HealthClient<Channel>, name: &str) -> Result<ServingStatus, Code> {
    let request = HealthCheckRequest {
        service: name.to_owned(),
    };
    client
        .check(request)
        .await
        .map(|answer| answer.into_inner().status())
        .map_err(|refusal| refusal.code())
}

#[tokio::test]
async fn both_say_that_they_and_each_of_their_services_serve() {
    let stack = Stack::shared().await;
    for (service, names) in SERVICES {
        let mut client = client(&stack, service);
        for name in names {
            assert_eq!(
                status(&mut client, name).await,
                Ok(ServingStatus::Serving),
                "{name}"
            );
        }
        assert_eq!(
            status(&mut client, "latchkey.keys.v1.NoSuchService").await,
            Err(Code::NotFound)
        );
        let request = HealthCheckRequest::default();
        let mut watch = client.watch(request).await.expect("a stream").into_inner();
        let first = watch.message().await.expect("an answer").expect("a status");
        assert_eq!(first.status(), ServingStatus::Serving);
    }
    stack.finish().await;
}

#[tokio::test]
async fn without_its_database_a_service_says_that_it_does_not_serve_and_with_it_that_it_does_again()
{
    let stack = Stack::own().await;
    let name = stack.site().database.name.clone();
    let server = stack.site().database.admin.clone().database("postgres");
    let mut clients = Vec::new();
    for (service, names) in SERVICES {
        clients.push((client(&stack, service), names));
    }

    run(
        &server,
        &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"),
    )
    .await;
    for (client, names) in &mut clients {
        // Anew at each look: who was just being let in when the database was closed is let in still.
        all_are(client, names, ServingStatus::NotServing, async || {
            run(
                &server,
                &format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
            )
            .await;
        })
        .await;
    }
    run(
        &server,
        &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
    )
    .await;
    for (client, names) in &mut clients {
        all_are(client, names, ServingStatus::Serving, async || {}).await;
    }
    stack.finish().await;
}

async fn run(server: &PgConnectOptions, statement: &str) {
    let mut server = PgConnection::connect_with(server)
        .await
        .expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut server)
        .await
        .expect(statement);
}

async fn all_are(
    client: &HealthClient<Channel>,
    names: &[&str],
    expected: ServingStatus,
    before: impl AsyncFn(),
) {
    for name in names {
        eventually("as healthy as the database", async || {
            before().await;
            match status(&mut client.clone(), name).await {
                Ok(found) if found == expected => Ok(()),
                other => Err(format!("{name}: {other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_service_that_goes_away_ends_its_watchers_streams_and_itself() {
    let mut stack = Stack::own().await;
    for (service, _) in [&SERVICES[1], &SERVICES[0]] {
        let mut client = client(&stack, *service);
        let mut watch = client
            .watch(HealthCheckRequest::default())
            .await
            .expect("a stream")
            .into_inner();
        let first = watch.message().await.expect("an answer").expect("a status");
        assert_eq!(first.status(), ServingStatus::Serving);
        let stop = stack.replica(*service, 0).stop();
        let hear = async {
            let mut heard = Vec::new();
            while let Ok(Some(answer)) = watch.message().await {
                heard.push(answer.status());
            }
            heard
        };
        let ((), heard) = tokio::join!(stop, hear);
        assert_eq!(heard, [ServingStatus::NotServing]);
    }
    stack.finish().await;
}
