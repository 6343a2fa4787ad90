//! The gRPC side: messages to commands, results to messages. With `serve`, the only room that sees the transport.

pub mod access;
mod audit;
mod call;
mod convert;
pub mod errors;
mod event_key;
mod export;
mod generate;
mod key_pools;
mod key_usage;
mod own_codes;
mod subscription_keys;
mod terms;
mod training_keys;

pub use audit::AuditTrail;
pub use key_pools::KeyPools;
pub use key_usage::KeyUsage;
pub use subscription_keys::SubscriptionKeys;
pub use training_keys::TrainingKeys;

pub(crate) use call::call_of;
pub(crate) use export::METHOD as EXPORT_METHOD;
pub(crate) use generate::METHODS as GENERATE_METHODS;
