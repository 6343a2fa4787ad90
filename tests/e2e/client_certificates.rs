//! A keys service that only those may speak to who show a certificate: enrollment shows its own.

use latchkey::stack::process::channel;
use latchkey_proto::keys::v1::ListTrainingKeysRequest;
use latchkey_proto::keys::v1::training_key_service_client::TrainingKeyServiceClient;
use latchkey_service_kit::status::reason_of;
use tonic::transport::Endpoint;

use crate::harness::world::come_in;
use crate::harness::{ClassDraft, Options, Organization, Stack};

#[tokio::test]
async fn enrollment_shows_keys_a_certificate_and_who_shows_none_is_not_heard() {
    let options = Options {
        keys: "[listen.tls]\nclient_certificates = \"required\"",
        certificates_shown: true,
        ..Options::default()
    };
    let stack = Stack::with(options).await;
    let organization = Organization::new(&stack).await;
    let (_, code) = organization.event_class(ClassDraft::new()).await;
    let student = organization.student().await.student_id;
    come_in(&stack, &student, &code).await;

    let keys = &stack.site().keys[0];
    let endpoint = Endpoint::from_shared(format!("https://{}", keys.door())).expect("a URL");
    let nameless = channel(&endpoint, keys.ca_file()).expect("a channel");
    let mut nameless = TrainingKeyServiceClient::new(nameless);
    let answer = nameless.list_training_keys(ListTrainingKeysRequest::default());
    let refusal = answer
        .await
        .expect_err("nobody speaks without a certificate");
    assert_eq!(reason_of(&refusal), None, "{refusal:?}");
    stack.finish().await;
}
