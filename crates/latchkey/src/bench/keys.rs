//! Very many keys through the keys service: generated, and exported with their codes. The only place that knows by which
//! calls.

use anyhow::{Context, ensure};
use chrono::{DurationRound, TimeDelta};
use futures::{StreamExt, TryStreamExt, stream};
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
use tonic::transport::Channel;
use uuid::Uuid;

use super::site::Site;
use crate::load::prepare::MOST_OF_A_CLASS;
use crate::stack::Service;
use crate::stack::sample::authorized;

/// The most keys that one call makes, as the contract has it.
const KEYS_OF_A_CALL: u64 = 1_000;
/// How many calls are made at once: one is drawn and sealed while another is stored.
const CALLS_AT_ONCE: usize = 4;

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

    /// New classes, enough for so many keys.
    ///
    /// # Errors
    /// When a call fails.
    pub async fn classes(&self, keys: u64) -> anyhow::Result<Vec<Uuid>> {
        let begins =
            (SystemClock.now() + TimeDelta::days(7)).duration_trunc(TimeDelta::hours(1))?;
        let mut classes = Vec::new();
        for number in 0..keys.div_ceil(MOST_OF_A_CLASS as u64) {
            let request = CreateClassRequest {
                request_id: new_id(),
                organization_id: self.organization.to_string(),
                course_id: "linux-101".to_owned(),
                course_name: "Linux".to_owned(),
                name: format!("Class {number}"),
                start_time: Some(timestamp(begins.timestamp())),
                end_time: Some(timestamp(begins.timestamp() + 5 * 86_400)),
                time_zone: "Europe/Berlin".to_owned(),
                maximum_students: Some(i32::try_from(MOST_OF_A_CLASS)?),
                ..CreateClassRequest::default()
            };
            let made = ClassServiceClient::new(self.enrollment.clone())
                .create_class(authorized(request, &self.administrator)?)
                .await?
                .into_inner();
            let made = made.training_class.context("no class")?;
            classes.push(made.class_id.parse()?);
        }
        Ok(classes)
    }

    async fn generate_some(&self, class: Uuid, count: u64) -> anyhow::Result<u64> {
        let request = GenerateTrainingKeysRequest {
            request_id: new_id(),
            class_id: class.to_string(),
            count: i32::try_from(count)?,
        };
        let made = TrainingKeyServiceClient::new(self.keys.clone())
            .generate_training_keys(authorized(request, &self.administrator)?)
            .await?;
        Ok(made.into_inner().keys.len() as u64)
    }
}

/// Generates `keys` keys for `classes`, as many for each as it may have; how many were made.
///
/// # Errors
/// When a call fails.
pub async fn generate(office: &Office, classes: &[Uuid], keys: u64) -> anyhow::Result<u64> {
    let classes_at = |call: u64| -> anyhow::Result<Uuid> {
        // Calls that are made at once are of different classes: each locks its own.
        let class = usize::try_from(call)? % classes.len();
        classes.get(class).copied().context("no class")
    };
    let calls = keys.div_ceil(KEYS_OF_A_CALL);
    let made = stream::iter(0..calls).map(|call| async move {
        let left = keys - call * KEYS_OF_A_CALL;
        office
            .generate_some(classes_at(call)?, left.min(KEYS_OF_A_CALL))
            .await
    });
    made.buffer_unordered(CALLS_AT_ONCE)
        .try_fold(0, async |sum, made| Ok(sum + made))
        .await
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
