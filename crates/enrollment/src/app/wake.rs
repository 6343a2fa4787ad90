//! A bell for whatever delivers what is owed to the keys service.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes the deliverer after a commit that may owe the keys service something. Rung any number of times while a
/// delivery is in flight, it causes one more.
#[derive(Debug, Clone, Default)]
pub struct Wake(Arc<Notify>);

impl Wake {
    /// Rings.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it was rung since this last returned.
    pub async fn rung(&self) {
        self.0.notified().await;
    }
}
