//! Who calls: proven by a bearer token (a signed JWT).

mod cache;
mod claims;
mod keypair;
mod keyset;
mod published;
mod sign;
mod sources;
mod trusts;
mod verify;

use std::fmt;

use uuid::Uuid;

pub use claims::Claims;
pub use keypair::{KeyPair, KeyPairError, jwks_document};
pub use keyset::JwksError;
pub use published::FetchError;
pub use sign::{SignerOptions, SigningError, TokenSigner};
pub use sources::IdentityError;
pub use trusts::Trusts;
pub use verify::{TokenError, TokenVerifier};

/// What a caller may be. A token carries any number of them; names that are not known here are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Runs the installation: creates organizations, reads everything but codes.
    Operator,
    /// Another service of the training platform, acting for its students.
    PlatformService,
    /// Administers an organization and its descendants.
    Administrator,
    /// Manages an organization's operations: an administrator who may also see and revoke codes.
    OperationsManager,
    /// Teaches classes.
    Instructor,
    /// Takes classes. The token's subject is the student's id.
    Student,
    /// The enrollment service itself, towards the keys service.
    EnrollmentService,
}

impl Role {
    /// All roles, in the order of the access matrix.
    pub const ALL: [Self; 7] = [
        Self::Operator,
        Self::PlatformService,
        Self::Administrator,
        Self::OperationsManager,
        Self::Instructor,
        Self::Student,
        Self::EnrollmentService,
    ];

    /// The name as it stands in a token's `roles`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::PlatformService => "platform_service",
            Self::Administrator => "administrator",
            Self::OperationsManager => "operations_manager",
            Self::Instructor => "instructor",
            Self::Student => "student",
            Self::EnrollmentService => "enrollment_service",
        }
    }

    /// The role with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A caller whose token was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's `sub`.
    pub subject: String,
    /// The token's `iss`.
    pub issuer: String,
    /// The token's `org`: the organization the caller belongs to.
    pub organization: Option<Uuid>,
    /// The known roles of the token, each once, in the order of [`Role::ALL`].
    pub roles: Vec<Role>,
}

impl Caller {
    /// Whether the caller has `role`.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// The student that the caller is, when the caller is one.
    pub fn student(&self) -> Option<Uuid> {
        if self.has(Role::Student) {
            Uuid::parse_str(&self.subject).ok()
        } else {
            None
        }
    }

    /// The names of the roles, for audit rows.
    pub fn role_names(&self) -> Vec<String> {
        self.roles.iter().map(ToString::to_string).collect()
    }
}

#[cfg(test)]
mod fresh_tests;
#[cfg(test)]
mod rsa_tests;
#[cfg(test)]
mod tests;
