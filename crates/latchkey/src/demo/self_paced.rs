//! The second act: a course that students take at their own pace, by the one key of a pool.

use anyhow::{Context, anyhow, ensure};
use chrono::{DurationRound, TimeDelta};
use latchkey_proto::enrollment::v1::{
    CancelAssignmentRequest, CourseAssignment, GetAccessRequest, RecordLaunchRequest,
    RedeemKeyRequest,
};
use latchkey_proto::errors::v1::ErrorReason;
use latchkey_proto::keys::v1::{
    CreateKeyPoolRequest, GeneratePoolKeysRequest, KeyPool, RevealTrainingKeysRequest,
};
use latchkey_service_kit::clock::{Clock, SystemClock};
use latchkey_service_kit::status::{name, reason_of};
use prost_types::Duration;
use tonic::Status;

use super::expectations::Verdict;
use super::scenario::{Handout, Scenario, new_id, timestamp};

/// For how long the keys of the pool can be redeemed.
const OPEN_FOR: TimeDelta = TimeDelta::days(30);
/// For how long the course is open from then on, in seconds.
const AVAILABLE_FOR: i64 = 90 * 24 * 60 * 60;

/// What somebody does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Redeems the key.
    Redeem,
    /// Cancels the assignment.
    Cancel,
    /// Launches something of the course, as the platform says.
    Launch,
}

/// One of the two who share a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    First,
    Second,
}

/// Who does what, why it must be refused, if it must be, and the rule behind it.
const SCRIPT: [(Who, Deed, Option<ErrorReason>, &str); 6] = [
    (
        Who::First,
        Deed::Redeem,
        None,
        "a key of a pool assigns its course",
    ),
    (
        Who::Second,
        Deed::Redeem,
        Some(ErrorReason::KeyAlreadyRedeemed),
        "and to one student only",
    ),
    (
        Who::First,
        Deed::Cancel,
        None,
        "a course is given back while nothing of it was launched",
    ),
    (
        Who::Second,
        Deed::Redeem,
        None,
        "and its key is free for another",
    ),
    (
        Who::Second,
        Deed::Launch,
        None,
        "the platform says that something was launched",
    ),
    (
        Who::Second,
        Deed::Cancel,
        Some(ErrorReason::AssignmentLaunched),
        "and then nothing is given back any more",
    ),
];

/// Something that was done, and the answer.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Who: the number among the forty.
    pub(super) person: usize,
    /// What.
    pub(super) deed: Deed,
    /// The assignment then, or why not.
    pub(super) answer: Result<CourseAssignment, ErrorReason>,
}

/// All that happened.
#[derive(Debug, Clone)]
pub(super) struct SelfPaced {
    /// The pool.
    pub(super) pool: KeyPool,
    /// Its key.
    pub(super) key: Handout,
    /// What was done.
    pub(super) steps: Vec<Step>,
    /// Whether the first and the second may open the course in the end.
    may_open: [bool; 2],
}

/// Plays the act with two students who have accounts.
pub(super) async fn run(scenario: &Scenario<'_>) -> anyhow::Result<SelfPaced> {
    let pool = pool(scenario).await.context("cannot make the pool")?;
    let key = key(scenario, &pool.pool_id)
        .await
        .context("cannot make the key of the pool")?;
    let mut accounts = scenario.accounts.iter();
    let (first, second) = accounts
        .next()
        .zip(accounts.next())
        .context("no accounts")?;
    let mut steps: Vec<Step> = Vec::new();
    for (who, deed, _, _) in SCRIPT {
        let (person, student_id) = match who {
            Who::First => first,
            Who::Second => second,
        };
        let held = steps.iter().rev().find_map(|step| {
            let held = step.answer.as_ref().ok()?;
            (step.person == *person).then(|| held.assignment_id.clone())
        });
        let answer = act(scenario, deed, student_id, &key.code, held).await;
        steps.push(Step {
            person: *person,
            deed,
            answer: answered(answer)?,
        });
    }
    let mut may_open = [false; 2];
    for ((_, student_id), may) in [first, second].into_iter().zip(&mut may_open) {
        let request = GetAccessRequest {
            student_id: student_id.clone(),
            course_id: pool.course_id.clone(),
            ..GetAccessRequest::default()
        };
        let access = scenario.platform.enrollments().get_access(request).await?;
        *may = access.into_inner().allowed;
    }
    Ok(SelfPaced {
        pool,
        key,
        steps,
        may_open,
    })
}

/// Judges each rule of the act.
pub(super) fn judge(act: &SelfPaced) -> Vec<Verdict> {
    let of_script = SCRIPT.iter().zip(&act.steps).map(|(line, step)| {
        let (_, _, refused, rule) = *line;
        let is = step.answer.as_ref().err().copied();
        Verdict {
            rule,
            problems: if is == refused {
                Vec::new()
            } else {
                let shown = |reason: Option<ErrorReason>| reason.map_or("granted", name);
                vec![format!("{} instead of {}", shown(is), shown(refused))]
            },
        }
    });
    let access = Verdict {
        rule: "the course is open to who has it, and to nobody else",
        problems: if act.may_open == [false, true] {
            Vec::new()
        } else {
            vec![format!("who may open it: {:?}", act.may_open)]
        },
    };
    of_script.chain([access]).collect()
}

async fn pool(scenario: &Scenario<'_>) -> anyhow::Result<KeyPool> {
    let begins = SystemClock.now().duration_trunc(TimeDelta::hours(1))?;
    let request = CreateKeyPoolRequest {
        request_id: new_id(),
        organization_id: scenario.organization_id.clone(),
        name: "At your own pace".to_owned(),
        course_id: "linux-201".to_owned(),
        course_name: "Linux for the Curious".to_owned(),
        start_time: Some(timestamp(begins)),
        expire_time: Some(timestamp(begins + OPEN_FOR)),
        availability: Some(Duration {
            seconds: AVAILABLE_FOR,
            nanos: 0,
        }),
        open_to_descendants: false,
    };
    let made = scenario
        .administrator
        .key_pools()
        .create_key_pool(request)
        .await?;
    made.into_inner().key_pool.context("no pool")
}

async fn key(scenario: &Scenario<'_>, pool_id: &str) -> anyhow::Result<Handout> {
    let request = GeneratePoolKeysRequest {
        request_id: new_id(),
        pool_id: pool_id.to_owned(),
        count: 1,
        omit_keys: false,
    };
    let made = scenario
        .administrator
        .key_pools()
        .generate_pool_keys(request)
        .await?;
    let mut stream = made.into_inner();
    let mut keys = Vec::new();
    while let Some(progress) = stream.message().await? {
        keys.extend(progress.keys);
    }
    ensure!(keys.len() == 1, "{} keys instead of one", keys.len());
    let key = keys.remove(0);
    let request = RevealTrainingKeysRequest {
        key_ids: vec![key.key_id.clone()],
        purpose: "to hand it out".to_owned(),
    };
    let revealed = scenario
        .manager
        .training_keys()
        .reveal_training_keys(request)
        .await?;
    let code = revealed.into_inner().codes.pop().context("no code")?;
    Ok(Handout {
        key_id: key.key_id,
        code: code.code,
        masked: key.masked_code,
    })
}

async fn act(
    scenario: &Scenario<'_>,
    deed: Deed,
    student_id: &str,
    code: &str,
    held: Option<String>,
) -> Result<Option<CourseAssignment>, Status> {
    let assignment_id = held.unwrap_or_default();
    let student = scenario
        .student(student_id)
        .map_err(|error| Status::internal(error.to_string()))?;
    match deed {
        Deed::Redeem => {
            let request = RedeemKeyRequest {
                redemption_id: new_id(),
                code: code.to_owned(),
                student_id: student_id.to_owned(),
                ..RedeemKeyRequest::default()
            };
            let redeemed = student.redemptions().redeem_key(request).await?;
            Ok(redeemed.into_inner().course_assignment)
        }
        Deed::Cancel => {
            let request = CancelAssignmentRequest {
                assignment_id,
                reason: "another time".to_owned(),
            };
            let cancelled = student.assignments().cancel_assignment(request).await?;
            let assignment = cancelled.into_inner().assignment;
            Ok(assignment.and_then(|one| one.course_assignment))
        }
        Deed::Launch => {
            let request = RecordLaunchRequest { assignment_id };
            let launched = scenario
                .platform
                .assignments()
                .record_launch(request)
                .await?;
            let assignment = launched.into_inner().assignment;
            Ok(assignment.and_then(|one| one.course_assignment))
        }
    }
}

/// What was granted, or the reason why not; fails if there is neither.
pub(super) fn answered<A>(
    answer: Result<Option<A>, Status>,
) -> anyhow::Result<Result<A, ErrorReason>> {
    match answer {
        Ok(assignment) => Ok(Ok(assignment.context("the answer has no assignment")?)),
        Err(status) => match reason_of(&status) {
            Some(reason) => Ok(Err(reason)),
            None => Err(anyhow!("{}: {}", status.code(), status.message())),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::expectations::broken_of;

    fn as_it_must_be() -> SelfPaced {
        let step = |(_, deed, refused, _): &(_, Deed, Option<ErrorReason>, &str)| Step {
            person: 0,
            deed: *deed,
            answer: refused.map_or_else(|| Ok(CourseAssignment::default()), Err),
        };
        SelfPaced {
            pool: KeyPool::default(),
            key: Handout {
                key_id: String::new(),
                code: String::new(),
                masked: String::new(),
            },
            steps: SCRIPT.iter().map(step).collect(),
            may_open: [false, true],
        }
    }

    fn broken(act: &SelfPaced) -> Vec<usize> {
        broken_of(&judge(act))
    }

    #[test]
    fn each_rule_is_judged_by_itself() {
        assert!(broken(&as_it_must_be()).is_empty());
        for number in 0..SCRIPT.len() {
            let mut act = as_it_must_be();
            act.steps[number].answer = Err(ErrorReason::Overloaded);
            assert_eq!(broken(&act), [number]);
        }
        let mut act = as_it_must_be();
        act.may_open = [true, true];
        assert_eq!(broken(&act), [SCRIPT.len()]);
    }
}
