//! What is set up before anybody redeems: an organization, a class with its keys, and the accounts that there are.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use futures::future::try_join_all;
use latchkey_proto::enrollment::v1::{
    CreateClassRequest, CreateOrganizationRequest, CreateStudentRequest,
    SetSelfRegistrationRequest, TrainingClass,
};
use latchkey_proto::keys::v1::{
    EventKey, EventKeyChange, EventKeyGenerated, GenerateTrainingKeysRequest,
    RevealEventKeyRequest, RevealTrainingKeysRequest, RevokeTrainingKeysRequest,
};
use latchkey_service_kit::clock::{Clock, SystemClock};
use latchkey_service_kit::identity::Role;
use latchkey_service_kit::ids::{Ids, RandomIds};
use prost_types::Timestamp;

use super::callers::{Caller, Lobby};
use super::students::{Code, FORTY, Person, REVOKED, Way};
use crate::generation::whole;

/// The seats of the class, and its enrollment keys.
pub(super) const SEATS: i32 = 30;
/// How far ahead the class begins.
const BEGINS_IN: TimeDelta = TimeDelta::days(14);
/// How long it lasts.
const LASTS: TimeDelta = TimeDelta::days(5);

/// One code of the class.
#[derive(Debug, Clone)]
pub(super) struct Handout {
    /// The key it belongs to.
    pub(super) key_id: String,
    /// The text a student types.
    pub(super) code: String,
    /// What may be shown of it.
    pub(super) masked: String,
}

/// All that was set up, and who acts in it.
pub(super) struct Scenario<'s> {
    pub(super) lobby: &'s Lobby<'s>,
    pub(super) administrator: Caller,
    pub(super) manager: Caller,
    pub(super) platform: Caller,
    pub(super) organization_id: String,
    pub(super) class: TrainingClass,
    pub(super) enrollment_keys: Vec<Handout>,
    pub(super) event_key: Handout,
    /// The student ids of those among the forty who have an account.
    pub(super) accounts: BTreeMap<usize, String>,
}

impl<'s> Scenario<'s> {
    /// Sets everything up. One enrollment key is revoked already when this returns.
    pub(super) async fn prepare(lobby: &'s Lobby<'s>) -> anyhow::Result<Self> {
        let operator = lobby.caller(Role::Operator, "olga-operator", None)?;
        let platform = lobby.caller(Role::PlatformService, "platform", None)?;
        let organization_id = organization(&operator)
            .await
            .context("cannot create the organization")?;
        let organization = Some(organization_id.parse()?);
        let administrator = lobby.caller(Role::Administrator, "ada-admin", organization)?;
        let manager = lobby.caller(Role::OperationsManager, "mona-manager", organization)?;
        let (class, event_key) = class(&administrator, &organization_id)
            .await
            .context("cannot create the class")?;
        let enrollment_keys = enrollment_keys(&administrator, &manager, &class.class_id)
            .await
            .context("cannot make the enrollment keys")?;
        let event_key = reveal_event_key(&administrator, event_key)
            .await
            .context("cannot reveal the event key")?;
        let accounts = accounts(&platform, &organization_id)
            .await
            .context("cannot make the students' accounts")?;
        revoke(&manager, &enrollment_keys[REVOKED].key_id)
            .await
            .context("cannot revoke a key")?;
        Ok(Self {
            lobby,
            administrator,
            manager,
            platform,
            organization_id,
            class,
            enrollment_keys,
            event_key,
            accounts,
        })
    }

    /// The code that somebody was given.
    pub(super) fn handout(&self, code: Code) -> &Handout {
        match code {
            Code::Enrollment(number) => &self.enrollment_keys[number],
            Code::Event => &self.event_key,
        }
    }

    /// Somebody who has an account, as the caller of the services.
    pub(super) fn student(&self, student_id: &str) -> anyhow::Result<Caller> {
        let organization = Some(self.organization_id.parse()?);
        self.lobby.caller(Role::Student, student_id, organization)
    }
}

/// A new identifier, as callers make them for their requests.
pub(super) fn new_id() -> String {
    RandomIds::default().new_id().to_string()
}

/// A time as messages have it.
pub(super) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or(0),
    }
}

/// The time that a message has.
pub(super) fn time(timestamp: Option<&Timestamp>) -> anyhow::Result<DateTime<Utc>> {
    let timestamp = timestamp.context("a time is missing")?;
    let nanos = u32::try_from(timestamp.nanos)?;
    DateTime::from_timestamp(timestamp.seconds, nanos).context("a time is none")
}

async fn organization(operator: &Caller) -> anyhow::Result<String> {
    let request = CreateOrganizationRequest {
        request_id: new_id(),
        parent_id: String::new(),
        display_name: "Demo Academy".to_owned(),
    };
    let created = operator
        .organizations()
        .create_organization(request)
        .await?;
    let organization = created.into_inner().organization;
    let organization_id = organization.context("no organization")?.organization_id;
    let request = SetSelfRegistrationRequest {
        organization_id: organization_id.clone(),
        enabled: true,
    };
    operator
        .organizations()
        .set_self_registration(request)
        .await?;
    Ok(organization_id)
}

async fn class(
    administrator: &Caller,
    organization_id: &str,
) -> anyhow::Result<(TrainingClass, EventKey)> {
    let begins = (SystemClock.now() + BEGINS_IN).duration_trunc(TimeDelta::hours(1))?;
    let request = CreateClassRequest {
        request_id: new_id(),
        organization_id: organization_id.to_owned(),
        course_id: "linux-101".to_owned(),
        course_name: "Linux".to_owned(),
        name: "Linux in a week".to_owned(),
        instructors: vec!["ines-instructor".to_owned()],
        start_time: Some(timestamp(begins)),
        end_time: Some(timestamp(begins + LASTS)),
        time_zone: "Europe/Berlin".to_owned(),
        maximum_students: Some(SEATS),
        event_key: Some(EventKeyChange {
            generated: Some(EventKeyGenerated { grace: None }),
            ..EventKeyChange::default()
        }),
        ..CreateClassRequest::default()
    };
    let created = administrator.classes().create_class(request).await?;
    let created = created.into_inner();
    Ok((
        created.training_class.context("no class")?,
        created.event_key.context("no event key")?,
    ))
}

async fn enrollment_keys(
    administrator: &Caller,
    manager: &Caller,
    class_id: &str,
) -> anyhow::Result<Vec<Handout>> {
    let request = GenerateTrainingKeysRequest {
        request_id: new_id(),
        class_id: class_id.to_owned(),
        count: SEATS,
        omit_keys: false,
    };
    let made = administrator
        .training_keys()
        .generate_training_keys(request)
        .await;
    let keys = whole(made).await?.into_inner().keys;
    let request = RevealTrainingKeysRequest {
        key_ids: keys.iter().map(|key| key.key_id.clone()).collect(),
        purpose: "to hand them out".to_owned(),
    };
    let revealed = manager
        .training_keys()
        .reveal_training_keys(request)
        .await?;
    let codes = revealed.into_inner().codes;
    ensure!(codes.len() == keys.len(), "not every key was revealed");
    Ok(keys
        .into_iter()
        .zip(codes)
        .map(|(key, revealed)| Handout {
            key_id: key.key_id,
            code: revealed.code,
            masked: key.masked_code,
        })
        .collect())
}

/// The event key with its code, as the administrator sees it.
pub(super) async fn reveal_event_key(
    administrator: &Caller,
    key: EventKey,
) -> anyhow::Result<Handout> {
    let request = RevealEventKeyRequest {
        class_id: key.class_id,
    };
    let revealed = administrator
        .training_keys()
        .reveal_event_key(request)
        .await?;
    let code = revealed.into_inner().code.context("no code")?;
    Ok(Handout {
        key_id: key.key_id,
        code: code.code,
        masked: key.masked_code,
    })
}

async fn accounts(
    platform: &Caller,
    organization_id: &str,
) -> anyhow::Result<BTreeMap<usize, String>> {
    let with_account = FORTY
        .iter()
        .enumerate()
        .filter(|(_, person)| person.way == Way::Account);
    let made = try_join_all(with_account.map(async |(number, person)| {
        let student_id = account(platform, organization_id, person).await?;
        anyhow::Ok((number, student_id))
    }));
    Ok(made.await?.into_iter().collect())
}

async fn account(
    platform: &Caller,
    organization_id: &str,
    person: &Person,
) -> anyhow::Result<String> {
    let request = CreateStudentRequest {
        request_id: new_id(),
        organization_id: organization_id.to_owned(),
        email: person.email(),
        given_name: person.given.to_owned(),
        family_name: person.family.to_owned(),
        credential: None,
    };
    let created = platform.students().create_student(request).await?;
    let student = created.into_inner().student.context("no student")?;
    Ok(student.student_id)
}

async fn revoke(manager: &Caller, key_id: &str) -> anyhow::Result<()> {
    let request = RevokeTrainingKeysRequest {
        key_ids: vec![key_id.to_owned()],
        reason: "printed by mistake".to_owned(),
    };
    manager
        .training_keys()
        .revoke_training_keys(request)
        .await?;
    Ok(())
}
