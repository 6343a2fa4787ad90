//! Passwords: kept only as Argon2id hashes.

use argon2::{Algorithm, Argon2, Params, PasswordHasher as _, PasswordVerifier as _, Version};
use rand::CryptoRng;
use secrecy::{ExposeSecret, SecretString};

/// The fewest and the most characters of a password.
pub const LENGTHS: std::ops::RangeInclusive<usize> = 8..=256;

/// How many random bytes of salt a hash has: what the PHC string format recommends.
const SALT_BYTES: usize = 16;

/// How costly a hash is to make, and to guess against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

/// The first of the parameter sets that OWASP's Password Storage Cheat Sheet recommends for Argon2id.
impl Default for Cost {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
        }
    }
}

impl Cost {
    /// Whether hashes of this cost can be made.
    pub fn check(self) -> Result<(), BadCost> {
        self.params().map(drop)
    }

    fn params(self) -> Result<Params, BadCost> {
        Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(BadCost)
    }
}

/// Why a cost cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Argon2 does not take these parameters: {0}")]
pub struct BadCost(argon2::Error);

/// A password could not be hashed, or a stored hash not read.
#[derive(Debug, thiserror::Error)]
#[error("the password hash failed: {0}")]
pub struct HashFault(argon2::password_hash::Error);

/// Makes and checks hashes. Slow on purpose: never to be called on a thread that serves others.
#[derive(Clone)]
pub struct PasswordHasher {
    argon2: Argon2<'static>,
    /// The hash that a password is checked against when there is none, so that the answer takes as long.
    decoy: String,
}

impl std::fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordHasher")
            .field("params", self.argon2.params())
            .finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// A hasher of this cost. `random` makes the decoy, which no password fits. Takes as long as one hash.
    pub fn new(cost: Cost, random: &mut impl CryptoRng) -> Result<Self, BadCost> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
        let mut nobody_knows = [0; 32];
        random.fill_bytes(&mut nobody_knows);
        let mut salt = [0; SALT_BYTES];
        random.fill_bytes(&mut salt);
        let decoy = argon2
            .hash_password_with_salt(&nobody_knows, &salt)
            .map_err(|_| BadCost(argon2::Error::AlgorithmInvalid))?
            .to_string();
        Ok(Self { argon2, decoy })
    }

    /// The hash of `password`, as a PHC string.
    pub fn hash(
        &self,
        password: &SecretString,
        random: &mut impl CryptoRng,
    ) -> Result<String, HashFault> {
        let mut salt = [0; SALT_BYTES];
        random.fill_bytes(&mut salt);
        let hash = self
            .argon2
            .hash_password_with_salt(password.expose_secret().as_bytes(), &salt)
            .map_err(HashFault)?;
        Ok(hash.to_string())
    }

    /// Whether `password` fits `hash`. Without a hash it does not, which takes as long to say.
    pub fn verify(&self, password: &SecretString, hash: Option<&str>) -> Result<bool, HashFault> {
        let checked = self.argon2.verify_password(
            password.expose_secret().as_bytes(),
            hash.unwrap_or(&self.decoy),
        );
        match checked {
            Ok(()) => Ok(hash.is_some()),
            Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(HashFault(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn hasher() -> PasswordHasher {
        let cheap = Cost {
            memory_kib: 64,
            passes: 1,
            lanes: 1,
        };
        PasswordHasher::new(cheap, &mut StdRng::seed_from_u64(1)).unwrap()
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn only_the_right_password_fits() {
        let hash = hasher()
            .hash(&secret("correct horse"), &mut StdRng::seed_from_u64(2))
            .unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(
            hasher()
                .verify(&secret("correct horse"), Some(&hash))
                .unwrap()
        );
        assert!(
            !hasher()
                .verify(&secret("correct horsf"), Some(&hash))
                .unwrap()
        );
    }

    #[test]
    fn without_a_hash_no_password_fits() {
        assert!(!hasher().verify(&secret(""), None).unwrap());
        assert!(!hasher().verify(&secret("correct horse"), None).unwrap());
    }

    #[test]
    fn a_hash_of_another_cost_is_still_checked() {
        let costlier = Cost {
            memory_kib: 128,
            passes: 2,
            lanes: 1,
        };
        let other = PasswordHasher::new(costlier, &mut StdRng::seed_from_u64(3)).unwrap();
        let hash = other
            .hash(&secret("correct horse"), &mut StdRng::seed_from_u64(4))
            .unwrap();
        assert!(
            hasher()
                .verify(&secret("correct horse"), Some(&hash))
                .unwrap()
        );
    }

    #[test]
    fn a_damaged_hash_is_a_fault() {
        assert!(
            hasher()
                .verify(&secret("correct horse"), Some("$argon2id$nonsense"))
                .is_err()
        );
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        let mut random = StdRng::seed_from_u64(5);
        let one = hasher()
            .hash(&secret("correct horse"), &mut random)
            .unwrap();
        assert_ne!(
            one,
            hasher()
                .hash(&secret("correct horse"), &mut random)
                .unwrap()
        );
    }

    #[test]
    fn an_impossible_cost_is_refused() {
        let cost = Cost {
            memory_kib: 1,
            passes: 0,
            lanes: 0,
        };
        assert!(cost.check().is_err());
        assert!(PasswordHasher::new(cost, &mut StdRng::seed_from_u64(1)).is_err());
    }
}
