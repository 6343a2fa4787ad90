//! Calls to the keys service: `KeyUsageService`. Its messages come and go as types of the domain.

mod convert;
mod error;

use std::time::Duration;

use latchkey_proto::audit::v1 as audit;
use latchkey_proto::keys::v1 as proto;
use latchkey_proto::keys::v1::key_usage_service_client::KeyUsageServiceClient;
use latchkey_service_kit::client::ServiceChannel;
use latchkey_service_kit::identity::Caller;
use tonic::Request;
use uuid::Uuid;

pub use error::KeysError;

use crate::domain::event_key::{EventKey, EventKeyChange};
use crate::domain::grant::Grant;
use crate::domain::key::{KeyCount, Mark, ResolvedKey};
use crate::domain::organization::Organization;
use crate::domain::warning::Warning;

/// The most codes, marks, organizations or grants in one call, as the contract says.
pub const MAX_ITEMS: usize = 1_000;

/// The keys service. Clones share one connection.
#[derive(Debug, Clone)]
pub struct Keys {
    client: KeyUsageServiceClient<ServiceChannel>,
    timeout: Option<Duration>,
}

/// A page of recorded uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarksPage {
    /// The uses, released ones included, by redemption id and key id.
    pub marks: Vec<Mark>,
    /// Token of the next page; empty when this was the last.
    pub next_page_token: String,
}

impl Keys {
    /// The keys service at the other end of `channel`.
    pub fn new(channel: ServiceChannel, max_response_bytes: usize) -> Self {
        let client =
            KeyUsageServiceClient::new(channel).max_decoding_message_size(max_response_bytes);
        Self {
            client,
            timeout: None,
        }
    }

    /// The same service, with calls that may take no longer than `timeout`.
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Self {
        Self {
            client: self.client.clone(),
            timeout: Some(timeout),
        }
    }

    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(timeout) = self.timeout {
            request.set_timeout(timeout);
        }
        request
    }

    /// What `codes` are, in the order asked; `None` for a code that no key has. At most [`MAX_ITEMS`].
    pub async fn resolve_codes(
        &self,
        codes: Vec<String>,
    ) -> Result<Vec<Option<ResolvedKey>>, KeysError> {
        let asked = codes.len();
        let request = self.request(proto::ResolveCodesRequest { codes });
        let answer = self
            .client
            .clone()
            .resolve_codes(request)
            .await?
            .into_inner();
        if answer.results.len() != asked {
            return Err(KeysError::senseless("ResolveCodes", "results"));
        }
        answer
            .results
            .into_iter()
            .map(|result| result.key.as_ref().map(convert::resolved_key).transpose())
            .collect()
    }

    /// Records uses (`released_at` is not looked at). Returns the ids of keys that are not known there. At most
    /// [`MAX_ITEMS`].
    pub async fn mark(&self, marks: &[Mark]) -> Result<Vec<Uuid>, KeysError> {
        let marks = marks.iter().map(convert::mark).collect();
        let request = self.request(proto::MarkKeysRequest { marks });
        let answer = self.client.clone().mark_keys(request).await?.into_inner();
        convert::ids("MarkKeys", "unknown_key_ids", &answer.unknown_key_ids)
    }

    /// Records that uses were given up; those without `released_at` are left out. Returns the ids of keys that are not
    /// known there. At most [`MAX_ITEMS`].
    pub async fn release(&self, marks: &[Mark]) -> Result<Vec<Uuid>, KeysError> {
        let releases = marks.iter().filter_map(convert::release).collect();
        let request = self.request(proto::ReleaseKeysRequest { releases });
        let answer = self
            .client
            .clone()
            .release_keys(request)
            .await?
            .into_inner();
        convert::ids("ReleaseKeys", "unknown_key_ids", &answer.unknown_key_ids)
    }

    /// A page of all recorded uses; `page_token` is empty for the first.
    pub async fn list_marks(&self, page_token: String) -> Result<MarksPage, KeysError> {
        let request = self.request(proto::ListMarksRequest {
            page_token,
            ..Default::default()
        });
        let answer = self.client.clone().list_marks(request).await?.into_inner();
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
        let request = self.request(proto::CountKeysRequest { class_ids });
        let answer = self.client.clone().count_keys(request).await?.into_inner();
        if answer.counts.len() != classes.len() {
            return Err(KeysError::senseless("CountKeys", "counts"));
        }
        answer.counts.iter().map(convert::key_count).collect()
    }

    /// Copies organizations; older versions than the stored ones change nothing. At most [`MAX_ITEMS`].
    pub async fn put_organizations(&self, organizations: &[Organization]) -> Result<(), KeysError> {
        let organizations = organizations.iter().map(convert::organization).collect();
        let request = self.request(proto::PutOrganizationsRequest { organizations });
        self.client.clone().put_organizations(request).await?;
        Ok(())
    }

    /// Copies grants; older versions than the stored ones change nothing. At most [`MAX_ITEMS`].
    pub async fn put_grants(&self, grants: &[Grant]) -> Result<(), KeysError> {
        let grants = grants.iter().map(convert::grant).collect();
        let request = self.request(proto::PutGrantsRequest { grants });
        self.client.clone().put_grants(request).await?;
        Ok(())
    }

    /// Changes a class's event key for `caller`, whom this service has admitted. The same `request_id` again gives the
    /// same answer. The class's grant must have been put before.
    pub async fn put_event_key(
        &self,
        request_id: Uuid,
        class_id: Uuid,
        change: &EventKeyChange,
        caller: &Caller,
    ) -> Result<(EventKey, Vec<Warning>), KeysError> {
        let request = self.request(proto::PutEventKeyRequest {
            request_id: request_id.to_string(),
            class_id: class_id.to_string(),
            change: Some(convert::event_key_change(change)),
            actor: Some(audit::Actor {
                subject: caller.subject.clone(),
                issuer: caller.issuer.clone(),
                roles: caller.role_names(),
                organization_id: caller
                    .organization
                    .map(|id| id.to_string())
                    .unwrap_or_default(),
            }),
        });
        let answer = self
            .client
            .clone()
            .put_event_key(request)
            .await?
            .into_inner();
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

    /// Retires what abandoned creations of these classes left behind. Returns the classes whose grants have been
    /// waiting for their creation for long: to be retired too, or put, whichever is true. At most [`MAX_ITEMS`].
    pub async fn retire_grants(&self, classes: &[Uuid]) -> Result<Vec<Uuid>, KeysError> {
        let class_ids = classes.iter().map(Uuid::to_string).collect();
        let request = self.request(proto::RetireGrantsRequest { class_ids });
        let answer = self
            .client
            .clone()
            .retire_grants(request)
            .await?
            .into_inner();
        convert::ids("RetireGrants", "stale_class_ids", &answer.stale_class_ids)
    }
}
