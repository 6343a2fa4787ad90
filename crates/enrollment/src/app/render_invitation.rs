//! Writing an invitation.

use latchkey_service_kit::identity::Role;
use uuid::Uuid;

use super::read_classes::placed_class;
use super::read_students::placed_student;
use super::{Call, Error, Services};
use crate::clients::keys::KeysError;
use crate::domain::invitation::{Invitation, Invited};
use crate::domain::key::KeyKind;
use crate::domain::refusal::Refusal;
use crate::store;
use crate::store::classes::PlacedClass;

/// Who reads a code that goes to nobody in particular: whoever asked for it passes it on.
const CALLER: &str = "caller";

/// A wish for an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvitationWish {
    /// The class.
    pub class_id: Uuid,
    /// An enrollment key of it; `None` for its event key.
    pub key_id: Option<Uuid>,
    /// Whom it is for, if they have an account.
    pub student_id: Option<Uuid>,
}

/// The text to send to somebody who is to redeem a key. Changes nothing but the audit trail of keys, in which the reveal of
/// the code stands.
pub async fn render_invitation(
    services: &Services,
    call: &Call,
    wish: InvitationWish,
) -> Result<Invitation, Error> {
    let placed = placed_class(services, call, wish.class_id).await?;
    if wish.key_id.is_some() && !may_reveal_enrollment_keys(call, &placed) {
        return Err(Error::NotAllowed);
    }
    let student = match wish.student_id {
        Some(id) => Some(placed_student(services, call, id).await?.student),
        None => None,
    };
    let organization_id = placed.class.organization_id;
    let organization = store::organizations::find(&services.pool, organization_id)
        .await?
        .ok_or(Refusal::OrganizationNotFound { organization_id })?;
    let invited = Invited {
        class: &placed.class,
        organization: &organization,
        student: student.as_ref(),
        kind: wish.key_id.map_or(KeyKind::Event, |_| KeyKind::Enrollment),
        login_page: services.login_page.as_deref(),
    };
    invited.judge(placed.now)?;
    let recipient = match wish.student_id {
        Some(id) => format!("student/{id}"),
        None => CALLER.to_owned(),
    };
    let revealed = services.keys.reveal_code(
        wish.class_id,
        wish.key_id,
        &recipient,
        "invitation",
        &call.caller,
    );
    let code = revealed
        .await
        .map_err(|error| refused(error, wish.key_id))?;
    Ok(invited.write(code))
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
            Refusal::KeyAlreadyRedeemed { key_id }.into()
        }
        (error, _) => error.into(),
    }
}
