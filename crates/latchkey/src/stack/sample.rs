//! An organization and a student to try things with: tokens of most roles are of no use without.

use anyhow::Context;
use latchkey_proto::enrollment::v1::organization_service_client::OrganizationServiceClient;
use latchkey_proto::enrollment::v1::student_service_client::StudentServiceClient;
use latchkey_proto::enrollment::v1::{
    CreateOrganizationRequest, CreateStudentRequest, SetSelfRegistrationRequest,
};
use tonic::Request;
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use uuid::Uuid;

use super::description::Sample;

/// Creates the sample, or finds the one that was created before under the same `seed`.
///
/// `operator` and `platform` are tokens of these roles.
///
/// # Errors
/// When the enrollment service refuses or cannot be reached.
pub async fn sample(
    channel: Channel,
    seed: &str,
    operator: &str,
    platform: &str,
) -> anyhow::Result<Sample> {
    let organization_id = organization(channel.clone(), seed, operator)
        .await
        .context("cannot create the sample organization")?;
    let student_id = student(channel, seed, platform, organization_id)
        .await
        .context("cannot create the sample student")?;
    Ok(Sample {
        organization_id,
        student_id,
    })
}

/// A request id that is the same at each start, so that each start finds what the first one made.
fn request_id(seed: &str, what: &str) -> String {
    Uuid::new_v5(
        &Uuid::NAMESPACE_URL,
        format!("latchkey:dev:{seed}:{what}").as_bytes(),
    )
    .to_string()
}

async fn organization(channel: Channel, seed: &str, token: &str) -> anyhow::Result<Uuid> {
    let mut client = OrganizationServiceClient::new(channel);
    let request = CreateOrganizationRequest {
        request_id: request_id(seed, "organization"),
        parent_id: String::new(),
        display_name: "Sample Academy".to_owned(),
    };
    let created = client
        .create_organization(authorized(request, token)?)
        .await?
        .into_inner();
    let organization_id = created
        .organization
        .context("the answer has no organization")?
        .organization_id;
    let request = SetSelfRegistrationRequest {
        organization_id: organization_id.clone(),
        enabled: true,
    };
    client
        .set_self_registration(authorized(request, token)?)
        .await?;
    Ok(organization_id.parse()?)
}

async fn student(
    channel: Channel,
    seed: &str,
    token: &str,
    organization_id: Uuid,
) -> anyhow::Result<Uuid> {
    let request = CreateStudentRequest {
        request_id: request_id(seed, "student"),
        organization_id: organization_id.to_string(),
        email: "sam.sample@example.com".to_owned(),
        given_name: "Sam".to_owned(),
        family_name: "Sample".to_owned(),
        credential: None,
    };
    let created = StudentServiceClient::new(channel)
        .create_student(authorized(request, token)?)
        .await?
        .into_inner();
    Ok(created
        .student
        .context("the answer has no student")?
        .student_id
        .parse()?)
}

/// A request with a bearer token.
///
/// # Errors
/// When the token cannot stand in a header.
pub fn authorized<T>(message: T, token: &str) -> anyhow::Result<Request<T>> {
    let mut request = Request::new(message);
    let value: MetadataValue<_> = format!("Bearer {token}")
        .parse()
        .context("the token cannot stand in a header")?;
    request.metadata_mut().insert("authorization", value);
    Ok(request)
}
