//! Writing an invitation.

use chrono_tz::Tz;
use latchkey_service_kit::identity::Role;
use uuid::Uuid;

use crate::app::classes::read_classes::placed_class;
use crate::app::profiles::read_profiles::get_profile;
use crate::app::students::read_students::get_student;
use crate::app::{Call, Error, Services};
use crate::clients::keys::KeysError;
use crate::domain::invitation::{Invitation, Invited, Offer, judge_class, judge_student};
use crate::domain::key::KeyKind;
use crate::domain::organization::Organization;
use crate::domain::refusal::{Closed, Refusal};
use crate::domain::student::Student;
use crate::store;
use crate::store::classes::PlacedClass;

/// Who reads a code that goes to nobody in particular: whoever asked for it passes it on.
const CALLER: &str = "caller";

/// What the code is revealed for.
const PURPOSE: &str = "invitation";

/// A wish for an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationWish {
    /// By which key.
    pub key: InvitingKey,
    /// Whom it is for, if they have an account.
    pub student_id: Option<Uuid>,
}

/// The key that an invitation holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvitingKey {
    /// One of a class.
    OfClass {
        /// The class.
        class_id: Uuid,
        /// An enrollment key of it; `None` for its event key.
        key_id: Option<Uuid>,
    },
    /// One of a pool.
    OfPool {
        /// The pool.
        pool_id: Uuid,
        /// The key.
        key_id: Uuid,
    },
    /// One of a subscription profile.
    OfProfile {
        /// The profile.
        profile_id: Uuid,
        /// The key.
        key_id: Uuid,
    },
}

/// The text to send to somebody who is to redeem a key. Changes nothing but the audit trail of keys, in which the reveal of
/// the code stands.
pub async fn render_invitation(
    services: &Services,
    call: &Call,
    wish: InvitationWish,
) -> Result<Invitation, Error> {
    let student_id = wish.student_id;
    match wish.key {
        InvitingKey::OfClass { class_id, key_id } => {
            to_class(services, call, class_id, key_id, student_id).await
        }
        InvitingKey::OfPool { pool_id, key_id } => {
            to_course(services, call, (pool_id, key_id), student_id).await
        }
        InvitingKey::OfProfile { profile_id, key_id } => {
            to_subscription(services, call, (profile_id, key_id), student_id).await
        }
    }
}

async fn to_class(
    services: &Services,
    call: &Call,
    class_id: Uuid,
    key_id: Option<Uuid>,
    student_id: Option<Uuid>,
) -> Result<Invitation, Error> {
    let placed = placed_class(services, call, class_id).await?;
    if key_id.is_some() && !may_reveal_enrollment_keys(call, &placed) {
        return Err(Error::NotAllowed);
    }
    let student = student(services, call, student_id).await?;
    let (class, now) = (placed.class, placed.now);
    let kind = key_id.map_or(KeyKind::Event, |_| KeyKind::Enrollment);
    judge_class(&class, kind, now)?;
    judge_student(student.as_ref())?;
    let organization = owner(services, class.organization_id).await?;
    let recipient = recipient(student_id);
    let revealed = services
        .keys
        .reveal_code(class_id, key_id, &recipient, PURPOSE, call.asker());
    let code = revealed.await.map_err(|error| refused(error, key_id))?;
    let invited = Invited {
        to: Offer::Class(&class, kind),
        organization: &organization,
        student: student.as_ref(),
        login_page: services.login_page.as_deref(),
    };
    Ok(invited.write(code))
}

/// Of pools this service knows nothing: keys says whether the caller reaches it, and until when it can be redeemed.
async fn to_course(
    services: &Services,
    call: &Call,
    (pool_id, key_id): (Uuid, Uuid),
    student_id: Option<Uuid>,
) -> Result<Invitation, Error> {
    if !call.caller.has(Role::OperationsManager) {
        return Err(Error::NotAllowed);
    }
    let missing = Refusal::KeyPoolNotFound { pool_id };
    let within = call.scope.organization.ok_or(missing)?;
    let student = student(services, call, student_id).await?;
    judge_student(student.as_ref())?;
    let (key, recipient) = ((pool_id, key_id), recipient(student_id));
    let revealed = services
        .keys
        .reveal_pool_code(key, within, &recipient, PURPOSE, call.asker());
    let revealed = revealed.await.map_err(|error| match error {
        KeysError::KeyPoolNotFound => Refusal::KeyPoolNotFound { pool_id }.into(),
        KeysError::WindowClosed { closed_at } => Refusal::WindowClosed {
            of: Closed::Pool(pool_id),
            closed_at,
            time_zone: Tz::UTC,
        }
        .into(),
        other => refused(other, Some(key_id)),
    })?;
    let organization = owner(services, revealed.organization_id).await?;
    let invited = Invited {
        to: Offer::Course(&revealed.terms),
        organization: &organization,
        student: student.as_ref(),
        login_page: services.login_page.as_deref(),
    };
    Ok(invited.write(revealed.code))
}

async fn to_subscription(
    services: &Services,
    call: &Call,
    (profile_id, key_id): (Uuid, Uuid),
    student_id: Option<Uuid>,
) -> Result<Invitation, Error> {
    if !call.caller.has(Role::OperationsManager) {
        return Err(Error::NotAllowed);
    }
    let profile = get_profile(services, call, profile_id).await?;
    if !profile.settings.enabled {
        return Err(Refusal::SubscriptionProfileDisabled { profile_id }.into());
    }
    let student = student(services, call, student_id).await?;
    judge_student(student.as_ref())?;
    let (key, recipient) = ((profile_id, key_id), recipient(student_id));
    let revealed = services
        .keys
        .reveal_subscription_code(key, &recipient, PURPOSE, call.asker());
    let (code, terms) = revealed.await.map_err(|error| match error {
        KeysError::WindowClosed { closed_at } => Refusal::WindowClosed {
            of: Closed::SubscriptionKey(key_id),
            closed_at,
            time_zone: Tz::UTC,
        }
        .into(),
        other => refused(other, Some(key_id)),
    })?;
    let organization = owner(services, profile.organization_id).await?;
    let invited = Invited {
        to: Offer::Subscription(&profile, &terms),
        organization: &organization,
        student: student.as_ref(),
        login_page: services.login_page.as_deref(),
    };
    Ok(invited.write(code))
}

/// Whom it is for, if that is known.
async fn student(
    services: &Services,
    call: &Call,
    id: Option<Uuid>,
) -> Result<Option<Student>, Error> {
    Ok(match id {
        Some(id) => Some(get_student(services, call, id).await?),
        None => None,
    })
}

/// The organization that owns what the key opens.
async fn owner(services: &Services, organization_id: Uuid) -> Result<Organization, Error> {
    let found = store::organizations::find(&services.pool, organization_id).await?;
    Ok(found.ok_or(Refusal::OrganizationNotFound { organization_id })?)
}

/// Who reads the code, as the audit trail of keys has it.
fn recipient(student_id: Option<Uuid>) -> String {
    match student_id {
        Some(id) => format!("student/{id}"),
        None => CALLER.to_owned(),
    }
}

/// Whether the caller is an operations manager of the class's organization: who reaches it as an instructor only is not.
fn may_reveal_enrollment_keys(call: &Call, placed: &PlacedClass) -> bool {
    call.caller.has(Role::OperationsManager)
        && call
            .scope
            .covers_organization(placed.class.organization_id, &placed.ancestors)
}

/// Why there is no code. An event key that is off is none, for who writes to people.
fn refused(error: KeysError, key_id: Option<Uuid>) -> Error {
    match (error, key_id) {
        (KeysError::KeyRevoked, Some(key_id)) => Refusal::KeyRevoked { key_id }.into(),
        (KeysError::KeyRevoked, None) => Refusal::KeyNotFound.into(),
        (KeysError::KeyAlreadyRedeemed, Some(key_id)) => {
            let max_uses = None;
            Refusal::KeyAlreadyRedeemed { key_id, max_uses }.into()
        }
        (error, _) => error.into(),
    }
}
