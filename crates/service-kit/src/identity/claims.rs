//! What a token says.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Caller, Role};

/// The claims of a token of ours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    /// Issuer.
    pub iss: String,
    /// Audience. A token that names several is accepted when one of them is right.
    pub aud: Audience,
    /// Who the token is about.
    pub sub: String,
    /// The organization they belong to (a UUID), if they belong to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// What they may be.
    #[serde(default)]
    pub roles: Vec<String>,
    /// When the token was made, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iat: Option<f64>,
    /// When the token begins to be valid, in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nbf: Option<f64>,
    /// When the token ends to be valid, in seconds since 1970.
    pub exp: f64,
}

/// One audience or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// The token is for one.
    One(String),
    /// The token is for several.
    Many(Vec<String>),
}

impl Audience {
    pub(super) fn contains(&self, wanted: &str) -> bool {
        match self {
            Self::One(audience) => audience == wanted,
            Self::Many(audiences) => audiences.iter().any(|audience| audience == wanted),
        }
    }
}

impl Claims {
    /// Claims that hold from `now` on for `lifetime`.
    pub fn new(
        issuer: &str,
        audience: &str,
        subject: &str,
        now: DateTime<Utc>,
        lifetime: TimeDelta,
    ) -> Self {
        Self {
            iss: issuer.to_owned(),
            aud: Audience::One(audience.to_owned()),
            sub: subject.to_owned(),
            org: None,
            roles: Vec::new(),
            iat: Some(seconds(now)),
            nbf: None,
            exp: seconds(now + lifetime),
        }
    }

    /// Adds roles.
    #[must_use]
    pub fn with_roles(mut self, roles: &[Role]) -> Self {
        self.roles.extend(roles.iter().map(ToString::to_string));
        self
    }

    /// Adds the organization.
    #[must_use]
    pub fn with_organization(mut self, organization: Uuid) -> Self {
        self.org = Some(organization.to_string());
        self
    }

    /// The caller that these claims describe; the fault of the first claim that makes no sense otherwise.
    pub(super) fn into_caller(self) -> Result<Caller, &'static str> {
        if self.sub.is_empty() || self.sub.len() > 255 {
            return Err("sub");
        }
        let organization = self
            .org
            .as_deref()
            .map(Uuid::parse_str)
            .transpose()
            .map_err(|_| "org")?;
        let roles = Role::ALL
            .into_iter()
            .filter(|role| self.roles.iter().any(|name| name == role.name()))
            .collect();
        Ok(Caller {
            subject: self.sub,
            issuer: self.iss,
            organization,
            roles,
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds since 1970 stay exact in an f64 for millions of years"
)]
fn seconds(time: DateTime<Utc>) -> f64 {
    time.timestamp() as f64
}
