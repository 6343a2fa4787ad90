//! Very many keys through the keys service: generated, and exported with their codes. The only place that knows by which
//! calls.

use anyhow::{Context, ensure};
use chrono::{DurationRound, TimeDelta};
use latchkey_proto::enrollment::v1::class_service_client::ClassServiceClient;
use latchkey_proto::enrollment::v1::organization_service_client::OrganizationServiceClient;
use latchkey_proto::enrollment::v1::{CreateClassRequest, CreateOrganizationRequest};
use latchkey_proto::keys::v1::training_key_service_client::TrainingKeyServiceClient;
use latchkey_proto::keys::v1::{
    ExportFormat, ExportTrainingKeysRequest, GenerateTrainingKeysRequest,
};
use latchkey_service_kit::clock::{Clock, SystemClock};
use latchkey_service_kit::identity::Role;
use latchkey_service_kit::ids::{Ids, RandomIds};
use latchkey_service_kit::rows::Contents;
use prost_types::Timestamp;
use tonic::Code;
use tonic::transport::Channel;
use uuid::Uuid;

use super::site::Site;
use crate::generation::whole;
use crate::stack::Service;
use crate::stack::sample::authorized;

/// How often a generation that broke off is asked for again.
const TRIES: u32 = 5;

/// An organization, and who makes and exports its keys.
#[derive(Debug)]
pub struct Office {
    enrollment: Channel,
    keys: Channel,
    organization: Uuid,
    administrator: String,
    manager: String,
}

impl Office {
    /// A new organization.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn open(site: &Site) -> anyhow::Result<Self> {
        let enrollment = site.channel(Service::Enrollment)?;
        let operator = site.token(Role::Operator, None)?;
        let request = CreateOrganizationRequest {
            request_id: new_id(),
            parent_id: String::new(),
            display_name: "Bench Academy".to_owned(),
        };
        let made = OrganizationServiceClient::new(enrollment.clone())
            .create_organization(authorized(request, &operator)?)
            .await?
            .into_inner();
        let organization = made.organization.context("no organization")?;
        let organization = organization.organization_id.parse()?;
        Ok(Self {
            enrollment,
            keys: site.channel(Service::Keys)?,
            organization,
            administrator: site.token(Role::Administrator, Some(organization))?,
            manager: site.token(Role::OperationsManager, Some(organization))?,
        })
    }

    /// A new class that may have so many keys.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn class(&self, keys: u64) -> anyhow::Result<Uuid> {
        let begins =
            (SystemClock.now() + TimeDelta::days(7)).duration_trunc(TimeDelta::hours(1))?;
        let request = CreateClassRequest {
            request_id: new_id(),
            organization_id: self.organization.to_string(),
            course_id: "linux-101".to_owned(),
            course_name: "Linux".to_owned(),
            name: "Linux for everybody".to_owned(),
            start_time: Some(timestamp(begins.timestamp())),
            end_time: Some(timestamp(begins.timestamp() + 5 * 86_400)),
            time_zone: "Europe/Berlin".to_owned(),
            maximum_students: Some(i32::try_from(keys)?),
            ..CreateClassRequest::default()
        };
        let made = ClassServiceClient::new(self.enrollment.clone())
            .create_class(authorized(request, &self.administrator)?)
            .await?
            .into_inner();
        let made = made.training_class.context("no class")?;
        Ok(made.class_id.parse()?)
    }
}

/// Generates `keys` keys for `class` by one request; how many there are then.
///
/// # Errors
/// When a call is refused, or breaks off again and again.
pub async fn generate(office: &Office, class: Uuid, keys: u64) -> anyhow::Result<u64> {
    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class.to_string(),
        count: i32::try_from(keys)?,
        omit_keys: true,
    };
    let mut tries = 1;
    loop {
        let request = authorized(request.clone(), &office.administrator)?;
        let mut client = TrainingKeyServiceClient::new(office.keys.clone());
        match whole(client.generate_training_keys(request).await).await {
            Ok(made) => return Ok(u64::try_from(made.into_inner().generated)?),
            Err(status) if tries < TRIES && status.code() == Code::Unavailable => tries += 1,
            Err(status) => return Err(status.into()),
        }
    }
}

/// Exports all keys of the organization with their codes, as CSV; how many came, compared with what was sent.
///
/// # Errors
/// When a call fails, or what came is not what was sent.
pub async fn export(office: &Office) -> anyhow::Result<u64> {
    let request = ExportTrainingKeysRequest {
        organization_id: office.organization.to_string(),
        format: ExportFormat::Csv.into(),
        reason: "a benchmark".to_owned(),
        ..ExportTrainingKeysRequest::default()
    };
    let mut stream = TrainingKeyServiceClient::new(office.keys.clone())
        .export_training_keys(authorized(request, &office.manager)?)
        .await?
        .into_inner();
    let mut contents = Contents::default();
    let mut summary = None;
    while let Some(message) = stream.message().await? {
        if message.summary.is_some() {
            summary = message.summary;
            continue;
        }
        contents.add(&message.rows, 0);
    }
    let summary = summary.context("the export broke off before its end")?;
    ensure!(
        summary.sha256 == contents.sha256(),
        "what was exported is not what came"
    );
    Ok(u64::try_from(summary.row_count)?)
}

fn timestamp(seconds: i64) -> Timestamp {
    Timestamp { seconds, nanos: 0 }
}

fn new_id() -> String {
    RandomIds::default().new_id().to_string()
}
