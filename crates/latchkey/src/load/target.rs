//! Where to call, and in whose name.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use chrono::TimeDelta;
use latchkey_service_kit::config::ClientTlsConfig;
use latchkey_service_kit::identity::Role;
use tonic::transport::Channel;
use uuid::Uuid;

use crate::export::{Place, connect};
use crate::stack::Stack;
use crate::stack::description::Description;
use crate::stack::tokens::{Issuer, TokenRequest};

/// How long the tokens hold that are made here: longer than anybody loads anything.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(24);

/// A deployment.
#[derive(Debug)]
pub struct Target {
    /// The processes of the enrollment service, which connections go to in turn: at least one.
    pub enrollment: Vec<Place>,
    /// The keys service; needed only where keys are made.
    pub keys: Option<Place>,
    /// In whose name calls are made.
    pub tokens: Tokens,
    /// Where services show their metrics: a name to show, and the URL. May be empty.
    pub metrics: Vec<(String, String)>,
}

/// Tokens of the roles that a load needs: `platform_service` for the calls themselves; `operator`, `administrator` and
/// `operations_manager` where classes are made.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it in a program")]
pub enum Tokens {
    /// Made here, for any organization: those of a development stack.
    Minted(Issuer),
    /// Given.
    Given(BTreeMap<Role, String>),
}

impl Tokens {
    /// The tokens in `directory`, each in a file named for its role: `platform_service.jwt`.
    ///
    /// # Errors
    /// When none is there, or one cannot be read.
    pub fn in_directory(directory: &Path) -> anyhow::Result<Self> {
        let mut given = BTreeMap::new();
        for role in Role::ALL {
            let path = crate::stack::tokens::token_file(directory, role);
            if path.exists() {
                let text = std::fs::read_to_string(&path);
                let text = text.with_context(|| format!("cannot read {}", path.display()))?;
                given.insert(role, text.trim().to_owned());
            }
        }
        if !given.contains_key(&Role::PlatformService) {
            bail!(
                "there is no platform_service.jwt in {}: redemptions are sent in the name of a platform service",
                directory.display()
            );
        }
        Ok(Self::Given(given))
    }

    /// A token of `role`; `organization` is where its bearer belongs, if to any.
    ///
    /// # Errors
    /// When there is none and none can be made.
    pub fn of(&self, role: Role, organization: Option<Uuid>) -> anyhow::Result<String> {
        match self {
            Self::Minted(issuer) => issuer.mint(&TokenRequest {
                roles: vec![role],
                organization,
                subject: format!("load-{}", role.name().replace('_', "-")),
                lifetime: TOKEN_LIFETIME,
            }),
            Self::Given(tokens) => tokens.get(&role).cloned().with_context(|| {
                format!(
                    "the token of a role is missing: give {}.jwt too",
                    role.name()
                )
            }),
        }
    }
}

impl Target {
    /// The stack that `description` is of.
    ///
    /// # Errors
    /// When the key of its issuer cannot be read.
    pub fn of_description(description: &Description) -> anyhow::Result<Self> {
        let place = |url: &String| Place {
            url: url.clone(),
            tls: Some(ClientTlsConfig::of_authorities(&description.ca_file)),
        };
        Ok(Self {
            enrollment: vec![place(&description.enrollment.url)],
            keys: Some(place(&description.keys.url)),
            tokens: Tokens::Minted(Issuer::from_file(&description.issuer.private_key_file)?),
            metrics: [
                ("keys", &description.keys),
                ("enrollment", &description.enrollment),
            ]
            .into_iter()
            .filter_map(|(name, endpoint)| Some((name.to_owned(), endpoint.metrics_url.clone()?)))
            .collect(),
        })
    }

    /// A stack that runs.
    ///
    /// # Errors
    /// When it cannot be described.
    pub fn of_stack(stack: &Stack) -> anyhow::Result<Self> {
        let (_, description) = stack.describe()?;
        Self::of_description(&description)
    }

    /// What it is called in reports: where it is.
    pub fn name(&self) -> String {
        let urls = self.enrollment.iter().map(|place| place.url.as_str());
        urls.collect::<Vec<&str>>().join(", ")
    }

    /// A channel to the first enrollment process, for calls that are not measured.
    ///
    /// # Errors
    /// When nobody answers there who can be believed.
    pub async fn enrollment_channel(&self) -> anyhow::Result<Channel> {
        let place = self.enrollment.first().context("no enrollment service")?;
        connect(place).await
    }

    /// A channel to the keys service.
    ///
    /// # Errors
    /// When it is not known where that is, or nobody answers there who can be believed.
    pub async fn keys_channel(&self) -> anyhow::Result<Channel> {
        let place = self.keys.as_ref();
        connect(place.context("where is the keys service? It makes the keys")?).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_found_by_the_names_of_their_roles() {
        let directory = tempfile::tempdir().expect("a directory");
        let error = Tokens::in_directory(directory.path()).expect_err("none");
        assert!(
            error.to_string().contains("platform_service.jwt"),
            "{error}"
        );
        std::fs::write(directory.path().join("platform_service.jwt"), "abc\n").expect("written");
        let tokens = Tokens::in_directory(directory.path()).expect("tokens");
        assert_eq!(tokens.of(Role::PlatformService, None).expect("one"), "abc");
        let error = tokens.of(Role::Operator, None).expect_err("no other");
        assert!(error.to_string().contains("operator.jwt"), "{error}");
    }
}
