//! Listing the recorded uses, for comparing both sides.

use uuid::Uuid;

use super::{App, Error};
use crate::store::marks;

pub use crate::store::marks::{After, Mark};

/// Uses in the order of redemption and key, behind `after`, at most `limit`; of one class only if it is given.
pub async fn list_marks(
    app: &App,
    class_id: Option<Uuid>,
    after: Option<After>,
    limit: i64,
) -> Result<Vec<Mark>, Error> {
    Ok(marks::page(&app.pool, class_id, after, limit).await?)
}
