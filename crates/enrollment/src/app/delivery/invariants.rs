//! Whether this service's own data holds together: no part of what is compared with the keys service, and read by statements
//! that take long.

use latchkey_service_kit::database::begin;
use latchkey_service_kit::invariants::Findings;

use crate::app::{Error, Services};
use crate::store;

/// What a look at all rows found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invariants {
    /// What is broken in this service's own schema.
    pub findings: Findings,
    /// How many classes have more students than their maximum.
    pub classes_over_capacity: i64,
}

/// Looks at all rows. Sound while calls are served.
pub async fn invariants(services: &Services) -> Result<Invariants, Error> {
    let findings = store::verify::findings(&services.pool).await?;
    let mut transaction = begin(&services.pool).await?;
    let classes_over_capacity = store::comparisons::classes_over_capacity(&mut transaction).await?;
    transaction.rollback().await?;
    Ok(Invariants {
        findings,
        classes_over_capacity,
    })
}
