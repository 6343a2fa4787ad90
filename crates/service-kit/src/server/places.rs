//! Places for calls that may go on for minutes.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::StreamConfig;
use crate::status::ApiError;

/// The calls of one kind that may be at work at once.
#[derive(Debug, Clone)]
pub struct Places(Arc<Semaphore>);

/// The place of one call among them.
pub type Place = OwnedSemaphorePermit;

impl Places {
    /// As many places as `config` says.
    pub fn new(config: &StreamConfig) -> Self {
        Self(Arc::new(Semaphore::new(
            config.max_at_once.min(Semaphore::MAX_PERMITS),
        )))
    }

    /// A place, or OVERLOADED.
    pub fn enter(&self) -> Result<Place, ApiError> {
        let permit = Arc::clone(&self.0).try_acquire_owned();
        permit.map_err(|_| ApiError::overloaded())
    }
}

#[cfg(test)]
mod tests {
    use crate::status::ErrorReason;

    use super::*;

    #[test]
    fn so_many_are_at_work_and_no_more() {
        let config = StreamConfig {
            max_at_once: 2,
            ..StreamConfig::default()
        };
        let places = Places::new(&config);
        let (first, _second) = (places.enter().unwrap(), places.enter().unwrap());
        let refused = places.clone().enter().unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::Overloaded);
        drop(first);
        let _third = places.enter().unwrap();
    }
}
