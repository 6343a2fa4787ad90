//! What the services say once everything has happened.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use futures::future::try_join_all;
use latchkey_proto::enrollment::v1::{
    GetAccessRequest, GetAccessResponse, GetRosterRequest, GetRosterResponse,
    ListRedemptionsRequest, ListStudentsRequest, Redemption,
};
use latchkey_proto::keys::v1::{
    EventKey, GetEventKeyRequest, KeyKind, ListTrainingKeysRequest, TrainingKey,
};

use super::scenario::Scenario;
use super::students::FORTY;

/// More than any list of the demo has.
const PAGE: i32 = 1000;

/// What the services say.
#[derive(Debug, Clone)]
pub(super) struct Records {
    /// Who is in, and who was.
    pub(super) roster: GetRosterResponse,
    /// The enrollment keys, by id.
    pub(super) keys: BTreeMap<String, TrainingKey>,
    /// The event key.
    pub(super) event_key: EventKey,
    /// Every recorded decision of the class, by redemption id.
    pub(super) redemptions: BTreeMap<String, Redemption>,
    /// Which of the forty have an account: number and student id.
    pub(super) accounts: BTreeMap<usize, String>,
    /// What each student on the roster may open, by student id.
    pub(super) access: BTreeMap<String, GetAccessResponse>,
}

impl Records {
    /// Asks for all of it. Nothing may be going on meanwhile.
    pub(super) async fn read(scenario: &Scenario<'_>) -> anyhow::Result<Self> {
        let roster = roster(scenario).await.context("cannot read the roster")?;
        let access = access(scenario, &roster)
            .await
            .context("cannot ask for access")?;
        let keys = keys(scenario).await.context("cannot list the keys")?;
        let event_key = event_key(scenario)
            .await
            .context("cannot read the event key")?;
        let redemptions = redemptions(scenario)
            .await
            .context("cannot list the redemptions")?;
        let accounts = accounts(scenario)
            .await
            .context("cannot look for accounts")?;
        Ok(Self {
            roster,
            keys,
            event_key,
            redemptions,
            accounts,
            access,
        })
    }
}

async fn roster(scenario: &Scenario<'_>) -> anyhow::Result<GetRosterResponse> {
    let request = GetRosterRequest {
        class_id: scenario.class.class_id.clone(),
    };
    let roster = scenario
        .administrator
        .enrollments()
        .get_roster(request)
        .await?;
    Ok(roster.into_inner())
}

async fn access(
    scenario: &Scenario<'_>,
    roster: &GetRosterResponse,
) -> anyhow::Result<BTreeMap<String, GetAccessResponse>> {
    let students: BTreeSet<&str> = roster
        .entries
        .iter()
        .filter_map(|entry| Some(entry.student.as_ref()?.student_id.as_str()))
        .collect();
    let asked = students.into_iter().map(async |student_id| {
        let request = GetAccessRequest {
            student_id: student_id.to_owned(),
            class_id: scenario.class.class_id.clone(),
            course_id: String::new(),
        };
        let access = scenario.platform.enrollments().get_access(request).await?;
        anyhow::Ok((student_id.to_owned(), access.into_inner()))
    });
    Ok(try_join_all(asked).await?.into_iter().collect())
}

async fn keys(scenario: &Scenario<'_>) -> anyhow::Result<BTreeMap<String, TrainingKey>> {
    let request = ListTrainingKeysRequest {
        class_id: scenario.class.class_id.clone(),
        kind: KeyKind::Enrollment.into(),
        page_size: PAGE,
        ..ListTrainingKeysRequest::default()
    };
    let listed = scenario
        .administrator
        .training_keys()
        .list_training_keys(request)
        .await?;
    let keys = listed.into_inner().keys;
    Ok(keys
        .into_iter()
        .map(|key| (key.key_id.clone(), key))
        .collect())
}

async fn event_key(scenario: &Scenario<'_>) -> anyhow::Result<EventKey> {
    let request = GetEventKeyRequest {
        class_id: scenario.class.class_id.clone(),
    };
    let got = scenario
        .administrator
        .training_keys()
        .get_event_key(request)
        .await?;
    got.into_inner().event_key.context("no event key")
}

async fn redemptions(scenario: &Scenario<'_>) -> anyhow::Result<BTreeMap<String, Redemption>> {
    let request = ListRedemptionsRequest {
        class_id: scenario.class.class_id.clone(),
        page_size: PAGE,
        ..ListRedemptionsRequest::default()
    };
    let listed = scenario
        .manager
        .redemptions()
        .list_redemptions(request)
        .await?;
    let redemptions = listed.into_inner().redemptions;
    let by_id = |redemption: Redemption| (redemption.redemption_id.clone(), redemption);
    Ok(redemptions.into_iter().map(by_id).collect())
}

/// By e-mail address: an account that a refused registration left behind would be found too.
async fn accounts(scenario: &Scenario<'_>) -> anyhow::Result<BTreeMap<usize, String>> {
    let request = ListStudentsRequest {
        organization_id: scenario.organization_id.clone(),
        page_size: PAGE,
        ..ListStudentsRequest::default()
    };
    let listed = scenario.platform.students().list_students(request).await?;
    let students = listed.into_inner().students;
    let numbers: BTreeMap<String, usize> = FORTY
        .iter()
        .enumerate()
        .map(|(number, person)| (person.email(), number))
        .collect();
    students
        .into_iter()
        .map(|student| {
            let number = numbers.get(&student.email);
            let number = number.with_context(|| format!("{} is a stranger", student.email))?;
            Ok((*number, student.student_id))
        })
        .collect()
}
