//! Calls to the keys service: `KeyUsageService`. Its messages come and go as types of the domain.

mod convert;
mod error;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use latchkey_proto::audit::v1 as audit;
use latchkey_proto::keys::v1 as proto;
use latchkey_proto::keys::v1::key_usage_service_client::KeyUsageServiceClient;
use latchkey_service_kit::client::{Repeated, Retries, ServiceChannel};
use latchkey_service_kit::identity::Caller;
use secrecy::SecretString;
use tonic::{Request, Response, Status};
use uuid::Uuid;

pub use error::KeysError;

use crate::domain::event_key::{EventKey, EventKeyChange};
use crate::domain::grant::Grant;
use crate::domain::key::{KeyCount, Mark, PoolTerms, ResolvedKey, SubscriptionTerms};
use crate::domain::organization::Organization;
use crate::domain::profile::Profile;
use crate::domain::warning::Warning;

/// The most codes, marks, organizations or grants in one call, as the contract says.
pub const MAX_ITEMS: usize = 1_000;

/// The method that shows codes.
const REVEAL: &str = "RevealCode";

/// The keys service. Clones share one connection.
#[derive(Debug, Clone)]
pub struct Keys {
    client: KeyUsageServiceClient<ServiceChannel>,
    timeout: Duration,
    retries: Arc<Retries>,
}

/// For whom this service asks, for the trail of keys.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Who asked this service; or this service itself.
    pub caller: &'a Caller,
    /// The address they called from; empty if it is not known, and of this service itself.
    pub peer: &'a str,
}

/// What telling of uses came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// The ids of keys that are not known there: nothing was recorded for them.
    pub unknown_keys: Vec<Uuid>,
    /// How many of the uses were news.
    pub new: usize,
}

/// What putting copies came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Put {
    /// How many were stored.
    pub stored: usize,
    /// Those that are held there instead, each with the version that is held: a newer one, or the same one with other
    /// content.
    pub held: Vec<(Uuid, i64)>,
}

/// A page of recorded uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarksPage {
    /// The uses, released ones included, by redemption id and key id.
    pub marks: Vec<Mark>,
    /// Token of the next page; empty when this was the last.
    pub next_page_token: String,
}

/// The code of a key of a pool, and what it grants. Kept nowhere.
#[derive(Debug)]
pub struct PoolCode {
    /// The code.
    pub code: SecretString,
    /// The organization that owns the pool.
    pub organization_id: Uuid,
    /// What it grants, and when.
    pub terms: PoolTerms,
}

impl Keys {
    /// The keys service at the other end of `channel`, whose calls may take no longer than `timeout`, repetitions
    /// included: every method of it can be repeated.
    pub fn new(channel: ServiceChannel, timeout: Duration, max_response_bytes: usize) -> Self {
        let client =
            KeyUsageServiceClient::new(channel).max_decoding_message_size(max_response_bytes);
        Self {
            client,
            timeout,
            retries: Arc::default(),
        }
    }

    /// The same service, with calls that may take no longer than `timeout`.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            timeout: timeout.min(self.timeout),
            ..self.clone()
        }
    }

    /// Calls `method` with `message`, and again where that is worth it.
    async fn call<M, A, F>(
        &self,
        message: M,
        method: impl Fn(KeyUsageServiceClient<ServiceChannel>, Request<M>) -> F,
    ) -> Result<A, KeysError>
    where
        M: Clone,
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let made = AtomicBool::new(false);
        let attempt = |left| {
            let mut request = Request::new(message.clone());
            if made.swap(true, Ordering::Relaxed) {
                request.extensions_mut().insert(Repeated);
            }
            request.set_timeout(left);
            method(self.client.clone(), request)
        };
        let answer = self.retries.call(self.timeout, attempt).await?;
        Ok(answer.into_inner())
    }

    /// What `codes` are, in the order asked; `None` for a code that no key has. At most [`MAX_ITEMS`].
    pub async fn resolve_codes(
        &self,
        codes: Vec<String>,
    ) -> Result<Vec<Option<ResolvedKey>>, KeysError> {
        let asked = codes.len();
        let request = proto::ResolveCodesRequest { codes };
        let answer = self
            .call(request, |mut client, request| async move {
                client.resolve_codes(request).await
            })
            .await?;
        if answer.results.len() != asked {
            return Err(KeysError::senseless("ResolveCodes", "results"));
        }
        answer
            .results
            .into_iter()
            .map(|result| result.key.map(convert::resolved_key).transpose())
            .collect()
    }

    /// Records uses (`released_at` is not looked at). At most [`MAX_ITEMS`].
    pub async fn mark(&self, marks: &[Mark]) -> Result<Told, KeysError> {
        let marks = marks.iter().map(convert::mark).collect();
        let request = proto::MarkKeysRequest { marks };
        let answer = self
            .call(request, |mut client, request| async move {
                client.mark_keys(request).await
            })
            .await?;
        Ok(Told {
            unknown_keys: convert::ids("MarkKeys", "unknown_key_ids", &answer.unknown_key_ids)?,
            new: convert::count(answer.new_uses),
        })
    }

    /// Records that uses were given up; those without `released_at` are left out. At most [`MAX_ITEMS`].
    pub async fn release(&self, marks: &[Mark]) -> Result<Told, KeysError> {
        let releases = marks.iter().filter_map(convert::release).collect();
        let request = proto::ReleaseKeysRequest { releases };
        let answer = self
            .call(request, |mut client, request| async move {
                client.release_keys(request).await
            })
            .await?;
        Ok(Told {
            unknown_keys: convert::ids("ReleaseKeys", "unknown_key_ids", &answer.unknown_key_ids)?,
            new: convert::count(answer.new_releases),
        })
    }

    /// A page of all recorded uses; `page_token` is empty for the first.
    pub async fn list_marks(&self, page_token: String) -> Result<MarksPage, KeysError> {
        let request = proto::ListMarksRequest {
            page_token,
            ..Default::default()
        };
        let answer = self
            .call(request, |mut client, request| async move {
                client.list_marks(request).await
            })
            .await?;
        let marks = answer
            .marks
            .iter()
            .map(convert::read_mark)
            .collect::<Result<_, _>>()?;
        Ok(MarksPage {
            marks,
            next_page_token: answer.next_page_token,
        })
    }

    /// The enrollment keys of `classes` by state, at one instant, in the order asked. At most [`MAX_ITEMS`].
    pub async fn count_keys(&self, classes: &[Uuid]) -> Result<Vec<KeyCount>, KeysError> {
        let class_ids = classes.iter().map(Uuid::to_string).collect();
        let request = proto::CountKeysRequest { class_ids };
        let answer = self
            .call(request, |mut client, request| async move {
                client.count_keys(request).await
            })
            .await?;
        if answer.counts.len() != classes.len() {
            return Err(KeysError::senseless("CountKeys", "counts"));
        }
        answer.counts.iter().map(convert::key_count).collect()
    }

    /// Copies organizations; older versions than the stored ones change nothing. At most [`MAX_ITEMS`].
    pub async fn put_organizations(
        &self,
        organizations: &[Organization],
    ) -> Result<Put, KeysError> {
        let organizations = organizations.iter().map(convert::organization).collect();
        let request = proto::PutOrganizationsRequest { organizations };
        let answer = self
            .call(request, |mut client, request| async move {
                client.put_organizations(request).await
            })
            .await?;
        Ok(Put {
            stored: convert::count(answer.stored),
            held: convert::held("PutOrganizations", &answer.held)?,
        })
    }

    /// Copies grants; older versions than the stored ones change nothing. At most [`MAX_ITEMS`].
    pub async fn put_grants(&self, grants: &[Grant]) -> Result<Put, KeysError> {
        let grants = grants.iter().map(convert::grant).collect();
        let request = proto::PutGrantsRequest { grants };
        let answer = self
            .call(request, |mut client, request| async move {
                client.put_grants(request).await
            })
            .await?;
        Ok(Put {
            stored: convert::count(answer.stored),
            held: convert::held("PutGrants", &answer.held)?,
        })
    }

    /// Copies subscription profiles, at most [`MAX_ITEMS`].
    pub async fn put_profiles(&self, profiles: &[Profile]) -> Result<Put, KeysError> {
        let profiles = profiles.iter().map(convert::profile).collect();
        let request = proto::PutProfilesRequest { profiles };
        let answer = self
            .call(request, |mut client, request| async move {
                client.put_profiles(request).await
            })
            .await?;
        Ok(Put {
            stored: convert::count(answer.stored),
            held: convert::held("PutProfiles", &answer.held)?,
        })
    }

    /// Changes a class's event key for `asker`, whom this service has admitted. The same `request_id` again gives the
    /// same answer. The class's grant must have been put before.
    pub async fn put_event_key(
        &self,
        request_id: Uuid,
        class_id: Uuid,
        change: &EventKeyChange,
        asker: Asker<'_>,
    ) -> Result<(EventKey, Vec<Warning>), KeysError> {
        let request = proto::PutEventKeyRequest {
            request_id: request_id.to_string(),
            class_id: class_id.to_string(),
            change: Some(convert::event_key_change(change)),
            actor: Some(actor(asker.caller)),
            peer: asker.peer.to_owned(),
        };
        let answer = self
            .call(request, |mut client, request| async move {
                client.put_event_key(request).await
            })
            .await?;
        let event_key = answer
            .event_key
            .ok_or_else(|| KeysError::senseless("PutEventKey", "event_key"))?;
        Ok((
            convert::event_key(event_key)?,
            answer
                .warnings
                .iter()
                .filter_map(convert::warning)
                .collect(),
        ))
    }

    /// The present code of a key of the class `class_id`: of the enrollment key `key_id`, or of the event key. `asker`, whom
    /// this service has admitted, or this service itself, writes it to `recipient` for `purpose`; both are audited, so
    /// neither holds a name or an address. The code is kept nowhere.
    pub async fn reveal_code(
        &self,
        class_id: Uuid,
        key_id: Option<Uuid>,
        recipient: &str,
        purpose: &str,
        asker: Asker<'_>,
    ) -> Result<SecretString, KeysError> {
        let request = proto::RevealCodeRequest {
            class_id: class_id.to_string(),
            key_id: key_id.map(|id| id.to_string()).unwrap_or_default(),
            recipient: recipient.to_owned(),
            purpose: purpose.to_owned(),
            actor: Some(actor(asker.caller)),
            peer: asker.peer.to_owned(),
            ..proto::RevealCodeRequest::default()
        };
        let (code, _) = self.reveal(request).await?;
        Ok(code)
    }

    /// Likewise of the key `key_id` of the pool `pool_id`, which must belong to the organization `within` or to one below it;
    /// with what it grants.
    pub async fn reveal_pool_code(
        &self,
        (pool_id, key_id): (Uuid, Uuid),
        within: Uuid,
        recipient: &str,
        purpose: &str,
        asker: Asker<'_>,
    ) -> Result<PoolCode, KeysError> {
        let request = proto::RevealCodeRequest {
            pool_id: pool_id.to_string(),
            key_id: key_id.to_string(),
            within_organization_id: within.to_string(),
            recipient: recipient.to_owned(),
            purpose: purpose.to_owned(),
            actor: Some(actor(asker.caller)),
            peer: asker.peer.to_owned(),
            ..proto::RevealCodeRequest::default()
        };
        let (code, answer) = self.reveal(request).await?;
        Ok(PoolCode {
            code,
            organization_id: convert::id(REVEAL, "organization_id", &answer.organization_id)?,
            terms: convert::pool_terms(REVEAL, answer.pool)?,
        })
    }

    /// Likewise of the subscription key `key_id` of the profile `profile_id`, with its terms.
    pub async fn reveal_subscription_code(
        &self,
        (profile_id, key_id): (Uuid, Uuid),
        recipient: &str,
        purpose: &str,
        asker: Asker<'_>,
    ) -> Result<(SecretString, SubscriptionTerms), KeysError> {
        let request = proto::RevealCodeRequest {
            profile_id: profile_id.to_string(),
            key_id: key_id.to_string(),
            recipient: recipient.to_owned(),
            purpose: purpose.to_owned(),
            actor: Some(actor(asker.caller)),
            peer: asker.peer.to_owned(),
            ..proto::RevealCodeRequest::default()
        };
        let (code, answer) = self.reveal(request).await?;
        let terms = convert::subscription_terms(REVEAL, answer.subscription)?;
        Ok((code, terms))
    }

    /// The code, and what else is said of its key.
    async fn reveal(
        &self,
        request: proto::RevealCodeRequest,
    ) -> Result<(SecretString, proto::RevealCodeResponse), KeysError> {
        let mut answer = self
            .call(request, |mut client, request| async move {
                client.reveal_code(request).await
            })
            .await?;
        let code = answer.code.take();
        let code = code.ok_or_else(|| KeysError::senseless(REVEAL, "code"))?;
        Ok((SecretString::from(code.code), answer))
    }

    /// Retires what abandoned creations of these classes left behind. Returns the classes whose grants have been
    /// waiting for their creation for long: to be retired too, or put, whichever is true. At most [`MAX_ITEMS`].
    pub async fn retire_grants(&self, classes: &[Uuid]) -> Result<Vec<Uuid>, KeysError> {
        let class_ids = classes.iter().map(Uuid::to_string).collect();
        let request = proto::RetireGrantsRequest { class_ids };
        let answer = self
            .call(request, |mut client, request| async move {
                client.retire_grants(request).await
            })
            .await?;
        convert::ids("RetireGrants", "stale_class_ids", &answer.stale_class_ids)
    }
}

/// Who asked this service.
fn actor(caller: &Caller) -> audit::Actor {
    audit::Actor {
        subject: caller.subject.clone(),
        issuer: caller.issuer.clone(),
        roles: caller.role_names(),
        organization_id: caller
            .organization
            .map(|id| id.to_string())
            .unwrap_or_default(),
    }
}
