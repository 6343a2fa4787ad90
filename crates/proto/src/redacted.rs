//! Messages that carry a code or a password print nothing of what is in them, so that no log line, error or panic
//! can leak one. `build.rs` lists them too: it keeps the derived `Debug` away.

use crate::{enrollment::v1 as enrollment, keys::v1 as keys};
use std::fmt;

macro_rules! redacted {
    ($($message:ty),+ $(,)?) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($message), " { [redacted] }"))
            }
        }
    )+};
}

redacted!(
    enrollment::RedeemKeyRequest,
    enrollment::CheckKeyRequest,
    enrollment::RegisterWithKeyRequest,
    enrollment::AuthenticateRequest,
    enrollment::Password,
    enrollment::RenderInvitationResponse,
    keys::ResolveCodesRequest,
    keys::LookUpTrainingKeyRequest,
    keys::RevealedCode,
    keys::ExportTrainingKeysResponse,
    keys::EventKeyOwnCode,
    keys::AddOwnPoolKeysRequest,
    keys::AddOwnSubscriptionKeysRequest,
);
