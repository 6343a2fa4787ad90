//! Creating a class, and turning its event key on in the same call.

use std::time::Duration;

use latchkey_service_kit::database::begin;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::delivery::push;
use crate::app::made_before::made_before;
use crate::app::organizations::read_organizations::get_organization;
use crate::app::{Call, Error, FieldProblem, Services};
use crate::clients::keys::KeysError;
use crate::domain::audit::{Action, Deed};
use crate::domain::class::settings::{Settings, described, faults};
use crate::domain::class::{Class, ClassStatus};
use crate::domain::event_key::{EventKey, EventKeyChange};
use crate::domain::fingerprint::Fingerprint;
use crate::domain::grant::Grant;
use crate::domain::organization::ClassDefaults;
use crate::domain::refusal::Refusal;
use crate::domain::warning::Warning;
use crate::store;
use crate::store::notifications::settings;

/// The method's name in the fingerprints of its requests.
const METHOD: &str = "CreateClass";

/// The names of classes made from request ids (UUID version 5) stand in this space, which is ours alone.
const CLASS_IDS: Uuid = Uuid::from_u128(0x6f0b_2f5e_93c4_4d3c_9a51_7e62_c1d0_48aa);

/// The names of the event keys' requests made from those of their classes, likewise.
const EVENT_KEY_REQUESTS: Uuid = Uuid::from_u128(0x2c9d_1e07_5b7a_4f86_8d35_b04f_6a1e_92c3);

/// A wish for a class.
#[derive(Debug, Clone)]
pub struct NewClass {
    /// The caller's id of the request.
    pub request_id: Uuid,
    /// The organization that will own it.
    pub organization_id: Uuid,
    /// Its settings.
    pub settings: Settings,
    /// What to make of its event key; `None`: as the organization lays down.
    pub event_key: Option<EventKeyChange>,
}

/// A class that was created.
#[derive(Debug, Clone)]
pub struct CreatedClass {
    /// The class.
    pub class: Class,
    /// Its event key, if it was turned on.
    pub event_key: Option<EventKey>,
    /// What to know about that.
    pub warnings: Vec<Warning>,
}

/// A class that is to be written.
struct Made {
    class: Class,
    /// Whether its event key was turned on.
    event_key: bool,
    /// Whether its notifications are on; `None` leaves that to the organization.
    notifications: Option<bool>,
}

impl NewClass {
    /// The id that the class has: every repetition of the request means the same class.
    pub fn class_id(&self) -> Uuid {
        Uuid::new_v5(&CLASS_IDS, self.request_id.as_bytes())
    }

    fn event_key_request(&self) -> Uuid {
        Uuid::new_v5(&EVENT_KEY_REQUESTS, self.request_id.as_bytes())
    }
}

/// Creates a class. The order makes every step repeatable: what becomes of the event key, if the request does not say it; what
/// the keys service must know before it can make the event key, the event key, then the class, which is the commit; then its
/// copy. What a call that was given up leaves behind in keys opens nothing. The same request again gives the same class, as it is
/// now.
pub async fn create_class(
    services: &Services,
    call: &Call,
    wish: NewClass,
) -> Result<CreatedClass, Error> {
    let organization = get_organization(services, call, wish.organization_id).await?;
    let defaults = organization.settings.class_defaults;
    let fingerprint = fingerprint(services, &wish);
    if let Some(class) = recorded(services, &wish, &fingerprint).await? {
        let change = event_key_change(services, &wish, &fingerprint, &defaults).await?;
        let (event_key, warnings) = event_key(services, call, &wish, change).await?;
        return Ok(CreatedClass {
            class,
            event_key,
            warnings,
        });
    }
    let now = services.clock.now();
    let (id, organization_id) = (wish.class_id(), wish.organization_id);
    let settings = wish.settings.clone();
    let class = settings.class(id, organization_id, &defaults, now);
    check(&class)?;
    push::organization_first(services, class.organization_id).await?;
    let change = event_key_change(services, &wish, &fingerprint, &defaults).await?;
    if change.is_some() {
        let draft = [Grant::creating(&class)];
        services.keys.put_grants(&draft).await?;
    }
    let (event_key, warnings) = event_key(services, call, &wish, change).await?;
    let made = Made {
        class,
        event_key: event_key.is_some(),
        notifications: defaults.notifications,
    };
    let class = insert(services, call, &wish, made, &fingerprint).await?;
    push::class(services, &class).await;
    Ok(CreatedClass {
        class,
        event_key,
        warnings,
    })
}

/// What is set has to fit what the organization lays down, too.
fn check(class: &Class) -> Result<(), Error> {
    let problems: Vec<FieldProblem> = faults(class)
        .into_iter()
        .map(|fault| FieldProblem {
            field: fault.field.to_owned(),
            description: fault.description,
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Error::Invalid(problems))
    }
}

/// What to make of the event key of a class that is made; `None` for off, which it is anyway.
async fn event_key_change(
    services: &Services,
    wish: &NewClass,
    fingerprint: &[u8],
    defaults: &ClassDefaults,
) -> Result<Option<EventKeyChange>, Error> {
    match &wish.event_key {
        None => {
            let on = on_by_default(services, wish, fingerprint, defaults.event_key).await?;
            Ok(on.then_some(EventKeyChange::Generated {
                grace: Duration::ZERO,
            }))
        }
        Some(EventKeyChange::Off) => Ok(None),
        Some(change) => Ok(Some(change.clone())),
    }
}

/// Whether the organization lays down that the event key is on. As the first call with this id found it: what that one told the
/// keys service, whatever became of it then, is what every repetition tells, and what the organization lays down may be different
/// by now.
async fn on_by_default(
    services: &Services,
    wish: &NewClass,
    fingerprint: &[u8],
    laid_down: bool,
) -> Result<bool, Error> {
    let (id, result) = (wish.request_id, json!(laid_down));
    let mut transaction = begin(&services.pool).await?;
    if store::requests::insert(&mut transaction, id, METHOD, fingerprint, &result).await? {
        transaction.commit().await?;
        return Ok(laid_down);
    }
    // Another call with the same id was first, and has committed: the insert waited for it.
    let found = store::requests::find(&mut transaction, id).await?;
    transaction.rollback().await?;
    found
        .filter(|found| found.method == METHOD && found.fingerprint == fingerprint)
        .and_then(|found| found.result.as_bool())
        .ok_or_else(|| reused(wish))
}

/// The class that an earlier call with the same id made, if one did.
async fn recorded(
    services: &Services,
    wish: &NewClass,
    fingerprint: &[u8],
) -> Result<Option<Class>, Error> {
    let mut transaction = begin(&services.pool).await?;
    let found = store::classes::find_by_request(&mut transaction, wish.request_id).await?;
    made_before(transaction, found, wish.request_id, fingerprint).await
}

fn reused(wish: &NewClass) -> Error {
    let id = wish.request_id;
    Refusal::RequestIdReused { id }.into()
}

async fn event_key(
    services: &Services,
    call: &Call,
    wish: &NewClass,
    change: Option<EventKeyChange>,
) -> Result<(Option<EventKey>, Vec<Warning>), Error> {
    let Some(change) = &change else {
        return Ok((None, Vec::new()));
    };
    let made = services
        .keys
        .put_event_key(
            wish.event_key_request(),
            wish.class_id(),
            change,
            call.asker(),
        )
        .await;
    match made {
        Ok((key, warnings)) => Ok((Some(key), warnings)),
        // An earlier call with this id and another event key was given up half-way.
        Err(KeysError::RequestIdReused) => Err(reused(wish)),
        Err(KeysError::Invalid(fields)) => Err(Error::Invalid(fields_here(fields))),
        Err(error) => Err(error.into()),
    }
}

/// The fields that the keys service found at fault, by their paths in the request to this service.
fn fields_here(fields: Vec<(String, String)>) -> Vec<FieldProblem> {
    fields
        .into_iter()
        .map(|(field, description)| {
            let field = match field.strip_prefix("change") {
                Some(rest) => format!("event_key{rest}"),
                None => field,
            };
            FieldProblem { field, description }
        })
        .collect()
}

async fn insert(
    services: &Services,
    call: &Call,
    wish: &NewClass,
    made: Made,
    fingerprint: &[u8],
) -> Result<Class, Error> {
    let Made {
        class,
        event_key,
        notifications,
    } = made;
    let mut transaction = begin(&services.pool).await?;
    let new = store::classes::NewClass {
        class: &class,
        request_id: wish.request_id,
        fingerprint,
    };
    let made = store::classes::insert(&mut transaction, new).await?;
    let Some(created_at) = made else {
        transaction.rollback().await?;
        // Another call with the same id was first, and has committed: the insert waited for it.
        return recorded(services, wish, fingerprint)
            .await?
            .ok_or(Error::Conflict);
    };
    if let Some(on) = notifications {
        let since = on.then_some(created_at);
        settings::put_of_class(&mut transaction, class.id, Some(since)).await?;
    }
    let mut details = described(&class);
    details.insert("event_key".to_owned(), json!(event_key));
    details.insert("notifications".to_owned(), json!(notifications));
    let deed = Deed {
        action: Action::CreateClass,
        organization_id: class.organization_id,
        resource_id: class.id,
        student_id: None,
        details: Value::Object(details),
    };
    let deeds = [(services.ids.new_id(), deed)];
    store::audit::insert(&mut transaction, call.author(), &deeds).await?;
    transaction.commit().await?;
    Ok(Class {
        created_at,
        ..class
    })
}

fn fingerprint(services: &Services, wish: &NewClass) -> Vec<u8> {
    // As it was asked for, not as it became: the same request is the same whatever the organization lays down.
    let number = |set: Option<i32>| set.map_or(-1, i64::from);
    let settings = &wish.settings;
    let mut begun = services
        .fingerprint_key
        .begin(METHOD)
        .text(&wish.organization_id.to_string())
        .text(&settings.course_id)
        .text(&settings.course_name)
        .text(&settings.name)
        .number(i64::try_from(settings.instructors.len()).unwrap_or(i64::MAX));
    for instructor in &settings.instructors {
        begun = begun.text(instructor);
    }
    let begun = begun
        .number(settings.starts_at.timestamp_micros())
        .number(settings.ends_at.timestamp_micros())
        .text(settings.time_zone.name())
        .number(number(settings.minimum_students))
        .number(number(settings.maximum_students))
        .number(number(settings.post_class_days))
        .optional(settings.status.map(ClassStatus::as_str))
        .text(settings.event_key_window.as_str());
    event_key_fingerprint(begun, wish.event_key.as_ref()).finish()
}

fn event_key_fingerprint(begun: Fingerprint, change: Option<&EventKeyChange>) -> Fingerprint {
    let millis = |grace: &Duration| i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    match change {
        None => begun.text("default"),
        Some(EventKeyChange::Off) => begun.text("off"),
        Some(EventKeyChange::Generated { grace }) => begun.text("generated").number(millis(grace)),
        Some(EventKeyChange::OwnCode { text, grace }) => {
            begun.text("own_code").text(text).number(millis(grace))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_found_by_keys_are_named_as_the_caller_knows_the_fields() {
        let found = vec![
            (
                "change.own_code.text".to_owned(),
                "looks generated".to_owned(),
            ),
            ("class_id".to_owned(), "must be a UUID".to_owned()),
        ];
        let fields: Vec<String> = fields_here(found)
            .into_iter()
            .map(|one| one.field)
            .collect();
        assert_eq!(fields, ["event_key.own_code.text", "class_id"]);
    }
}
