//! Messages that carry a code or a password print nothing of what is in them, so that no log line, error or panic
//! can leak one. `build.rs` finds them by the names of their fields, and keeps the derived `Debug` away.

use std::fmt;

macro_rules! redacted {
    ($($name:literal => $message:ty),+ $(,)?) => {
        $(
            impl fmt::Debug for $message {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str(concat!($name, " { [redacted] }"))
                }
            }
        )+

        #[cfg(test)]
        const REDACTED: &[(&str, fn() -> String)] =
            &[$(($name, || format!("{:?}", <$message>::default()))),+];
    };
}

include!(concat!(env!("OUT_DIR"), "/redacted.rs"));

#[cfg(test)]
mod tests {
    use prost_reflect::{DescriptorPool, FieldDescriptor, Kind};

    use super::*;
    use crate::{enrollment::v1 as enrollment, keys::v1 as keys};

    const SECRET: &str = "hush-hush-4711";

    /// Messages that give secrets away if they are printed, whatever their fields are called.
    #[test]
    fn what_carries_a_secret_prints_nothing_of_it() {
        let text = || SECRET.to_owned();
        let printed = [
            format!("{:?}", enrollment::Password { text: text() }),
            format!(
                "{:?}",
                enrollment::CreateStudentRequest {
                    credential: Some(enrollment::Credential {
                        password: Some(enrollment::Password { text: text() }),
                        ..Default::default()
                    }),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                enrollment::RedeemKeyRequest {
                    code: text(),
                    ..Default::default()
                }
            ),
            format!(
                "{:?}",
                keys::ResolveCodesRequest {
                    codes: vec![text()]
                }
            ),
            format!(
                "{:?}",
                keys::RevealTrainingKeysResponse {
                    codes: vec![keys::RevealedCode {
                        code: text(),
                        ..Default::default()
                    }],
                }
            ),
        ];
        for printed in printed {
            assert!(!printed.contains(SECRET), "{printed}");
            assert!(printed.contains("[redacted]"), "{printed}");
        }
    }

    fn may_be_secret(field: &FieldDescriptor) -> bool {
        let name = field.name();
        let words = ["password", "secret", "credential", "rows"];
        let ends = ["code", "codes", "text", "html"];
        let named = words.iter().any(|word| name.contains(word))
            || ends.iter().any(|end| name.ends_with(end));
        named && matches!(field.kind(), Kind::String | Kind::Bytes)
    }

    /// Every field of the contract with a name that sounds like a secret is in a message that prints nothing, but for these.
    #[test]
    fn no_message_with_a_field_that_sounds_secret_is_forgotten() {
        const SHOWN: [&str; 2] = [
            "latchkey.keys.v1.TrainingKey.masked_code",
            "latchkey.keys.v1.EventKey.masked_code",
        ];
        let pool = DescriptorPool::decode(crate::FILE_DESCRIPTOR_SET).expect("the contract");
        let messages = pool.all_messages().collect::<Vec<_>>();
        let contract =
            (messages.iter()).filter(|message| message.package_name().starts_with("latchkey."));
        let (mut found, mut forgotten) = (0, Vec::new());
        for field in
            contract.flat_map(|message| message.fields().filter(may_be_secret).collect::<Vec<_>>())
        {
            found += 1;
            let message = field.parent_message().full_name().to_owned();
            let redacted = REDACTED.iter().any(|(name, _)| *name == message);
            if !redacted && !SHOWN.contains(&field.full_name()) {
                forgotten.push(field.full_name().to_owned());
            }
        }
        assert!(forgotten.is_empty(), "{forgotten:?}");
        assert!(found > 12, "{found} fields");
        for (name, printed) in REDACTED {
            assert_eq!(printed(), format!("{name} {{ [redacted] }}"));
        }
    }
}
