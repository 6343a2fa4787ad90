//! The development stack: secrets, a database, configuration, and both services as processes of their own.

pub mod certificates;
pub mod config_files;
pub mod data_dir;
pub mod databases;
pub mod description;
pub mod process;
mod running;
pub mod sample;
pub mod secrets;
mod server;
pub mod tokens;

use sqlx::migrate::Migrator;

pub use running::{Stack, StackOptions, token_request};
pub use server::{DatabaseChoice, Place, Server, private_cluster};

/// The two services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Service {
    /// Key management.
    Keys,
    /// Redemption and enrollment.
    Enrollment,
}

impl Service {
    /// Both, in the order in which they are started: enrollment calls keys.
    pub const ALL: [Self; 2] = [Self::Keys, Self::Enrollment];

    /// Its name, which is that of its schema too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Enrollment => "enrollment",
        }
    }

    /// The Postgres schema it owns.
    pub fn schema(self) -> &'static str {
        self.name()
    }

    /// The Postgres role it logs in as, which is never named like the schema: `search_path` begins with `"$user"`.
    pub fn role(self) -> &'static str {
        match self {
            Self::Keys => "latchkey_keys",
            Self::Enrollment => "latchkey_enrollment",
        }
    }

    /// Its migrations.
    pub fn migrator(self) -> &'static Migrator {
        match self {
            Self::Keys => &latchkey_keys::MIGRATOR,
            Self::Enrollment => &latchkey_enrollment::MIGRATOR,
        }
    }
}
