//! The third act: courses that students take together, by a subscription key for two of them.

use anyhow::{Context, ensure};
use latchkey_proto::enrollment::v1::{
    Course, CreateSubscriptionProfileRequest, GetAccessRequest, RedeemKeyRequest,
    SubscriptionAssignment, SubscriptionProfile, UpdateSubscriptionProfileRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    GenerateSubscriptionKeysRequest, RevealTrainingKeysRequest, SubscriptionKeyTerms, TrainingKey,
};
use latchkey_service_kit::status::name;
use prost_types::{Duration, FieldMask};

use super::expectations::Verdict;
use super::scenario::{Handout, Scenario, new_id};
use super::self_paced::answered;

/// How many may use the key at once.
const USES: usize = 2;
/// How many try.
const TRIES: usize = USES + 1;
/// For how long the courses are open from a redemption on, in seconds.
const OPEN_FOR: i64 = 365 * 24 * 60 * 60;

/// Somebody's redemption, and the answer.
#[derive(Debug, Clone)]
pub(super) struct Try {
    /// Who: the number among the forty.
    pub(super) person: usize,
    /// The assignment, or why not.
    pub(super) answer: Result<SubscriptionAssignment, ErrorReason>,
}

/// All that happened.
#[derive(Debug, Clone)]
pub(super) struct Subscription {
    /// The profile, with the course that was added at the end.
    pub(super) profile: SubscriptionProfile,
    /// Its key.
    pub(super) key: Handout,
    /// Who redeemed it.
    pub(super) tries: Vec<Try>,
    /// Whether each who tried may open the course that was added when all had redeemed.
    may_open_added: Vec<bool>,
}

/// Plays the act with students who have accounts.
pub(super) async fn run(scenario: &Scenario<'_>) -> anyhow::Result<Subscription> {
    let profile = profile(scenario).await.context("cannot make the profile")?;
    let key = key(scenario, &profile.profile_id)
        .await
        .context("cannot make the subscription key")?;
    let people: Vec<(&usize, &String)> = scenario.accounts.iter().take(TRIES).collect();
    ensure!(people.len() == TRIES, "there are not enough accounts");
    let mut tries = Vec::new();
    for (person, student_id) in &people {
        let request = RedeemKeyRequest {
            redemption_id: new_id(),
            code: key.code.clone(),
            student_id: (*student_id).clone(),
            ..RedeemKeyRequest::default()
        };
        let caller = scenario.student(student_id)?;
        let answer = caller.redemptions().redeem_key(request).await;
        tries.push(Try {
            person: **person,
            answer: answered(answer.map(|answer| answer.into_inner().subscription_assignment))?,
        });
    }
    let (profile, added) = add_a_course(scenario, profile)
        .await
        .context("cannot add a course")?;
    let mut may_open_added = Vec::new();
    for (_, student_id) in people {
        let request = GetAccessRequest {
            student_id: student_id.clone(),
            course_id: added.clone(),
            ..GetAccessRequest::default()
        };
        let access = scenario.platform.enrollments().get_access(request).await?;
        may_open_added.push(access.into_inner().allowed);
    }
    Ok(Subscription {
        profile,
        key,
        tries,
        may_open_added,
    })
}

/// Judges each rule of the act.
pub(super) fn judge(act: &Subscription) -> Vec<Verdict> {
    let shown = |one: &Try| {
        one.answer
            .as_ref()
            .err()
            .map_or("granted", |reason| name(*reason))
    };
    let shown: Vec<&str> = act.tries.iter().map(shown).collect();
    let wanted = ["granted", "granted", name(ErrorReason::KeyAlreadyRedeemed)];
    let granted = act.tries.iter().filter_map(|one| one.answer.as_ref().ok());
    let courses: Vec<usize> = granted.map(|one| one.courses.len()).collect();
    let verdict = |rule, holds: bool, problem: String| Verdict {
        rule,
        problems: if holds { Vec::new() } else { vec![problem] },
    };
    vec![
        verdict(
            "a subscription key opens to as many as it has uses, not one more",
            shown == wanted,
            format!("{shown:?} instead of {wanted:?}"),
        ),
        verdict(
            "and each has all courses of its profile",
            courses.iter().all(|number| *number == 2),
            format!("they have {courses:?} courses"),
        ),
        verdict(
            "a course that is added later is open to them at once",
            act.may_open_added == [true, true, false],
            format!("who may open it: {:?}", act.may_open_added),
        ),
    ]
}

fn course(id: &str, name: &str) -> Course {
    Course {
        course_id: id.to_owned(),
        course_name: name.to_owned(),
    }
}

async fn profile(scenario: &Scenario<'_>) -> anyhow::Result<SubscriptionProfile> {
    let request = CreateSubscriptionProfileRequest {
        request_id: new_id(),
        organization_id: scenario.organization_id.clone(),
        name: "All about Networks".to_owned(),
        courses: vec![
            course("net-101", "Networks"),
            course("net-201", "Firewalls"),
        ],
        duration: Some(Duration {
            seconds: OPEN_FOR,
            nanos: 0,
        }),
        available_organization_ids: Vec::new(),
        disabled: false,
    };
    let mut profiles = scenario.administrator.profiles();
    let made = profiles.create_subscription_profile(request).await?;
    made.into_inner().profile.context("no profile")
}

async fn key(scenario: &Scenario<'_>, profile_id: &str) -> anyhow::Result<Handout> {
    let request = GenerateSubscriptionKeysRequest {
        request_id: new_id(),
        profile_id: profile_id.to_owned(),
        count: 1,
        terms: Some(SubscriptionKeyTerms {
            max_uses: Some(i32::try_from(USES)?),
            ..SubscriptionKeyTerms::default()
        }),
        omit_keys: false,
    };
    let mut keys = scenario.administrator.subscription_keys();
    let mut stream = keys.generate_subscription_keys(request).await?.into_inner();
    let mut made: Vec<TrainingKey> = Vec::new();
    while let Some(progress) = stream.message().await? {
        made.extend(progress.keys);
    }
    let key = made.pop().context("no key")?;
    let request = RevealTrainingKeysRequest {
        key_ids: vec![key.key_id.clone()],
        purpose: "to hand it out".to_owned(),
    };
    let mut keys = scenario.manager.training_keys();
    let revealed = keys.reveal_training_keys(request).await?;
    let code = revealed.into_inner().codes.pop().context("no code")?;
    Ok(Handout {
        key_id: key.key_id,
        code: code.code,
        masked: key.masked_code,
    })
}

/// The profile with a course more, and the id of that.
async fn add_a_course(
    scenario: &Scenario<'_>,
    profile: SubscriptionProfile,
) -> anyhow::Result<(SubscriptionProfile, String)> {
    let added = course("net-301", "Routing");
    let mut courses = profile.courses;
    courses.push(added.clone());
    let request = UpdateSubscriptionProfileRequest {
        profile_id: profile.profile_id,
        etag: profile.etag,
        update_mask: Some(FieldMask {
            paths: vec!["courses".to_owned()],
        }),
        courses,
        ..UpdateSubscriptionProfileRequest::default()
    };
    let mut profiles = scenario.administrator.profiles();
    let changed = profiles.update_subscription_profile(request).await?;
    let profile = changed.into_inner().profile.context("no profile")?;
    Ok((profile, added.course_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::expectations::broken_of;

    fn as_it_must_be() -> Subscription {
        let granted = SubscriptionAssignment {
            courses: vec![Course::default(), Course::default()],
            ..SubscriptionAssignment::default()
        };
        let answers = [
            Ok(granted.clone()),
            Ok(granted),
            Err(ErrorReason::KeyAlreadyRedeemed),
        ];
        Subscription {
            profile: SubscriptionProfile::default(),
            key: Handout {
                key_id: String::new(),
                code: String::new(),
                masked: String::new(),
            },
            tries: answers.map(|answer| Try { person: 0, answer }).into(),
            may_open_added: vec![true, true, false],
        }
    }

    fn broken(act: &Subscription) -> Vec<usize> {
        broken_of(&judge(act))
    }

    #[test]
    fn each_rule_is_judged_by_itself() {
        assert!(broken(&as_it_must_be()).is_empty());
        let mut act = as_it_must_be();
        act.tries[2].answer = Err(ErrorReason::Overloaded);
        assert_eq!(broken(&act), [0]);
        let mut act = as_it_must_be();
        act.tries[0].answer.as_mut().unwrap().courses.pop();
        assert_eq!(broken(&act), [1]);
        let mut act = as_it_must_be();
        act.may_open_added = vec![true, false, false];
        assert_eq!(broken(&act), [2]);
    }
}
