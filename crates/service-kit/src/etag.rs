//! Versions of mutable resources as callers see them: `"v7-..."`.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The etag of `version` of the resource `id`: `v<version>-<8 hexadecimal digits>`.
///
/// The digits depend on the id, so that an etag of one resource is never accepted for another with the same version.
pub fn format(id: Uuid, version: i64) -> String {
    format!("v{version}-{:08x}", check(id, version))
}

/// The version that `etag` of the resource `id` stands for, or `None` when it is no etag of that resource.
pub fn parse(id: Uuid, etag: &str) -> Option<i64> {
    let (version, _) = etag.strip_prefix('v')?.split_once('-')?;
    let version = version.parse().ok()?;
    (format(id, version) == etag).then_some(version)
}

fn check(id: Uuid, version: i64) -> u32 {
    let digest = Sha256::new()
        .chain_update(id.as_bytes())
        .chain_update(version.to_be_bytes())
        .finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_etag_comes_back_as_its_version(id: u128, version in 0_i64..) {
            let id = Uuid::from_u128(id);
            prop_assert_eq!(parse(id, &format(id, version)), Some(version));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(Uuid::nil(), &text);
        }
    }

    #[test]
    fn an_etag_of_another_resource_or_version_is_none() {
        let (one, two) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert_eq!(parse(one, &format(two, 7)), None);
        assert_eq!(parse(one, "v7-00000000"), None);
        assert_eq!(parse(one, &format(one, 7).replace("v7", "v8")), None);
        assert_eq!(parse(one, &format(one, 7).replace("v7", "v+7")), None);
    }
}
