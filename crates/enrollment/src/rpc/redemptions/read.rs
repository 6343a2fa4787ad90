//! Wishes about redemptions, read from messages with all their violations at once.

use chrono::{DateTime, Utc};
use latchkey_proto::enrollment::v1 as proto;
use latchkey_service_kit::paging::PageRequest;
use latchkey_service_kit::status::ApiError;
use latchkey_service_kit::validation::Violations;
use zeroize::Zeroizing;

use crate::app::redemption::read_redemptions::RedemptionPlace;
use crate::app::redemption::redeem::Redeeming;
use crate::app::redemption::register::Newcomer;
use crate::domain::decision::{Applicant, IfFull};
use crate::domain::redemption::RedemptionFilter;
use crate::rpc::assignments::assigning;
use crate::rpc::messages::{name, optional_id};
use crate::rpc::students::read::{credential, email};

/// A list that is wanted.
pub(super) struct List {
    pub(super) filter: RedemptionFilter,
    pub(super) page: PageRequest<RedemptionPlace>,
}

/// For whom it is asked what a code would open. That it is for exactly one is a rule of the contract.
pub(super) fn applicant(message: &proto::CheckKeyRequest) -> Result<Applicant, ApiError> {
    let mut violations = Violations::of(message);
    let student = violations.optional_uuid("student_id", &message.student_id);
    let organization = violations.optional_uuid("organization_id", &message.organization_id);
    violations.finish()?;
    Ok(match (student, organization) {
        (Some(student), _) => Applicant::Student(student),
        (None, organization) => Applicant::Newcomer {
            organization_id: organization.unwrap_or_default(),
            account: None,
        },
    })
}

/// Somebody who wants to be registered, and the code as typed.
pub(super) fn newcomer(
    message: proto::RegisterWithKeyRequest,
) -> Result<(Newcomer, Zeroizing<String>), ApiError> {
    let mut violations = Violations::of(&message);
    let v = &mut violations;
    let redemption_id = v.own_id("redemption_id", &message.redemption_id);
    let organization_id = v.uuid("organization_id", &message.organization_id);
    let email = email(v, "email", &message.email);
    let given_name = name(v, "given_name", &message.given_name);
    let family_name = name(v, "family_name", &message.family_name);
    let credential = message
        .credential
        .and_then(|message| credential(v, "credential", message));
    if credential.is_none() && v.is_empty() {
        v.add("credential", "must be set");
    }
    violations.finish()?;
    let credential = credential.ok_or_else(|| ApiError::bug("a credential got lost"))?;
    let newcomer = Newcomer {
        redemption_id,
        organization_id,
        email,
        given_name,
        family_name,
        credential,
    };
    Ok((newcomer, Zeroizing::new(message.code)))
}

pub(super) fn list(message: &proto::ListRedemptionsRequest) -> Result<List, ApiError> {
    let mut violations = Violations::of(message);
    let v = &mut violations;
    let filter = RedemptionFilter {
        student_id: v.optional_uuid("student_id", &message.student_id),
        key_id: v.optional_uuid("key_id", &message.key_id),
        class_id: v.optional_uuid("class_id", &message.class_id),
        assigning: assigning(v, &message.pool_id, &message.profile_id),
        organization_id: v.optional_uuid("organization_id", &message.organization_id),
        outcome: outcome(message.outcome()),
        from: v.optional_timestamp("from", message.from.as_ref()),
        until: v.optional_timestamp("until", message.until.as_ref()),
    };
    let assigns = !message.pool_id.is_empty() || !message.profile_id.is_empty();
    if assigns && !message.class_id.is_empty() {
        v.add(
            "class_id",
            "nothing is of a class and of a pool or profile: set one of them",
        );
    }
    let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339()).unwrap_or_default();
    let query = vec![
        "ListRedemptions".to_owned(),
        optional_id(filter.student_id),
        optional_id(filter.key_id),
        optional_id(filter.class_id),
        optional_id(filter.organization_id),
        filter.outcome.unwrap_or_default().to_owned(),
        time(filter.from),
        time(filter.until),
        format!("{:?}", filter.assigning),
    ];
    let page = PageRequest::read(
        message.page_size,
        &message.page_token,
        &query,
        &mut violations,
    );
    violations.finish()?;
    Ok(List { filter, page })
}

/// A redemption that is wanted.
pub(super) fn redeeming(message: &proto::RedeemKeyRequest) -> Result<Redeeming<'_>, ApiError> {
    let mut violations = Violations::of(message);
    let wish = Redeeming {
        redemption_id: violations.own_id("redemption_id", &message.redemption_id),
        student_id: violations.uuid("student_id", &message.student_id),
        typed: &message.code,
        // Numbers that the contract does not name are found by its rules.
        if_full: match message.if_full() {
            proto::IfFull::Unspecified => IfFull::Refuse,
            proto::IfFull::WaitKeepingKey => IfFull::WaitWithKey,
            proto::IfFull::WaitReturningKey => IfFull::WaitWithoutKey,
        },
    };
    violations.finish()?;
    Ok(wish)
}

fn outcome(outcome: proto::RedemptionOutcome) -> Option<&'static str> {
    match outcome {
        proto::RedemptionOutcome::Unspecified => None,
        proto::RedemptionOutcome::Enrolled => Some("enrolled"),
        proto::RedemptionOutcome::WaitListed => Some("wait_listed"),
        proto::RedemptionOutcome::Assigned => Some("assigned"),
        proto::RedemptionOutcome::AlreadyIn => Some("already_in"),
        proto::RedemptionOutcome::Refused => Some("refused"),
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn it_is_asked_for_exactly_one() {
        let id = Uuid::from_u128(7).to_string();
        let ask = |student: &str, organization: &str| {
            applicant(&proto::CheckKeyRequest {
                code: "SESAME".into(),
                student_id: student.into(),
                organization_id: organization.into(),
            })
        };
        assert_eq!(
            ask(&id, "").unwrap(),
            Applicant::Student(Uuid::from_u128(7))
        );
        assert_eq!(
            ask("", &id).unwrap(),
            Applicant::Newcomer {
                organization_id: Uuid::from_u128(7),
                account: None
            }
        );
        for (student, organization) in [("", ""), (&*id, &*id), ("x", "")] {
            assert!(
                ask(student, organization).is_err(),
                "{student} {organization}"
            );
        }
    }

    #[test]
    fn a_newcomer_without_a_credential_is_told_so() {
        let refused = newcomer(proto::RegisterWithKeyRequest {
            redemption_id: "no".into(),
            code: "SESAME".into(),
            organization_id: Uuid::from_u128(7).to_string(),
            email: "ann@example.com".into(),
            given_name: " ".into(),
            family_name: "Ärger".into(),
            credential: None,
        })
        .unwrap_err();
        let mut fields: Vec<&str> = refused
            .violations()
            .iter()
            .map(|violation| &*violation.field)
            .collect();
        fields.sort_unstable();
        assert_eq!(fields, ["credential", "given_name", "redemption_id"]);
    }

    #[test]
    fn the_stored_names_of_outcomes_are_the_domains() {
        use crate::domain::redemption::Outcome;
        use crate::domain::refusal::Refusal;
        let enrollment_id = Uuid::nil();
        for (asked, stored) in [
            (proto::RedemptionOutcome::Enrolled, Outcome::Enrolled),
            (proto::RedemptionOutcome::WaitListed, Outcome::WaitListed),
            (proto::RedemptionOutcome::Assigned, Outcome::Assigned),
            (
                proto::RedemptionOutcome::AlreadyIn,
                Outcome::AlreadyIn { enrollment_id },
            ),
            (
                proto::RedemptionOutcome::Refused,
                Outcome::Refused(Refusal::OrganizationMismatch),
            ),
        ] {
            assert_eq!(outcome(asked), Some(stored.as_str()));
        }
    }
}
