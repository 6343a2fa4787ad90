//! Passwords: kept only as Argon2id hashes.

use argon2::password_hash::phc::PasswordHash;
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

    /// The cost in the parameters of a PHC string, such as `m=19456,t=2,p=1`; `None` if that is no cost.
    pub fn from_text(parameters: &str) -> Option<Self> {
        parameters.parse().ok().as_ref().map(Self::of)
    }

    /// The cost at which a hash was made.
    fn of_hash(hash: &PasswordHash) -> Result<Self, HashFault> {
        let params = Params::try_from(hash).map_err(HashFault)?;
        Ok(Self::of(&params))
    }

    fn of(params: &Params) -> Self {
        Self {
            memory_kib: params.m_cost(),
            passes: params.t_cost(),
            lanes: params.p_cost(),
        }
    }

    fn params(self) -> Result<Params, BadCost> {
        Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(BadCost)
    }
}

/// What a check of a password found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Whether the password fits.
    pub fits: bool,
    /// What the hash had cost to make, if there is one.
    pub cost: Option<Cost>,
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
    cost: Cost,
}

impl std::fmt::Debug for PasswordHasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PasswordHasher")
            .field("params", self.argon2.params())
            .finish_non_exhaustive()
    }
}

impl PasswordHasher {
    /// A hasher of this cost.
    pub fn new(cost: Cost) -> Result<Self, BadCost> {
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, cost.params()?);
        Ok(Self { argon2, cost })
    }

    /// What its hashes cost.
    pub fn cost(&self) -> Cost {
        self.cost
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

    /// Whether `password` fits `hash`.
    ///
    /// A password that does not fit, whether there is a hash or not, costs as much as one hash at each of `costs`, which are
    /// all that hashes have: so what it takes does not tell whether there is one, nor when it was made.
    pub fn verify(
        &self,
        password: &SecretString,
        hash: Option<&str>,
        costs: &[Cost],
    ) -> Result<Checked, HashFault> {
        let password = password.expose_secret().as_bytes();
        let mut checked = Checked {
            fits: false,
            cost: None,
        };
        if let Some(hash) = hash {
            let hash = PasswordHash::new(hash).map_err(|error| HashFault(error.into()))?;
            checked.cost = Some(Cost::of_hash(&hash)?);
            match self.argon2.verify_password(password, &hash) {
                Ok(()) => checked.fits = true,
                Err(argon2::password_hash::Error::PasswordInvalid) => {}
                Err(error) => return Err(HashFault(error)),
            }
        }
        if !checked.fits {
            left_to_spend(checked.cost, costs).for_each(|cost| spend(cost, password));
        }
        Ok(checked)
    }
}

/// What a check that cost `spent` has still to cost, so that it has cost all of `costs`.
fn left_to_spend(spent: Option<Cost>, costs: &[Cost]) -> impl Iterator<Item = Cost> {
    costs
        .iter()
        .copied()
        .filter(move |cost| spent != Some(*cost))
}

/// Does the work of a hash at this cost.
fn spend(cost: Cost, password: &[u8]) {
    let Ok(params) = cost.params() else { return };
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    // Nobody looks at what comes out.
    let _ = argon2.hash_password_into(password, &[0; SALT_BYTES], &mut out);
    std::hint::black_box(out);
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    const CHEAP: Cost = Cost {
        memory_kib: 64,
        passes: 1,
        lanes: 1,
    };
    const DEARER: Cost = Cost {
        memory_kib: 128,
        passes: 2,
        lanes: 1,
    };

    fn hasher(cost: Cost) -> PasswordHasher {
        PasswordHasher::new(cost).unwrap()
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    fn hash_of(cost: Cost, password: &str, seed: u64) -> String {
        hasher(cost)
            .hash(&secret(password), &mut StdRng::seed_from_u64(seed))
            .unwrap()
    }

    fn checked(password: &str, hash: Option<&str>) -> Checked {
        hasher(CHEAP)
            .verify(&secret(password), hash, &[CHEAP])
            .unwrap()
    }

    #[test]
    fn only_the_right_password_fits() {
        let hash = hash_of(CHEAP, "correct horse", 2);
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert!(checked("correct horse", Some(&hash)).fits);
        assert!(!checked("correct horsf", Some(&hash)).fits);
        assert!(!checked("correct horse", None).fits);
        assert!(!checked("", None).fits);
    }

    #[test]
    fn a_hash_made_at_another_cost_is_still_checked_and_tells_it() {
        let hash = hash_of(DEARER, "correct horse", 4);
        let right = Checked {
            fits: true,
            cost: Some(DEARER),
        };
        assert_eq!(checked("correct horse", Some(&hash)), right);
        let parameters = hash.split('$').nth(3).unwrap();
        assert_eq!(Cost::from_text(parameters), Some(DEARER));
        assert_eq!(Cost::from_text("m=nonsense"), None);
    }

    #[test]
    fn who_has_no_account_costs_as_much_as_who_has_one_whenever_its_hash_was_made() {
        let costs = [CHEAP, DEARER];
        for spent in [None, Some(CHEAP), Some(DEARER)] {
            let mut all: Vec<Cost> = left_to_spend(spent, &costs).chain(spent).collect();
            all.sort_by_key(|cost| cost.memory_kib);
            assert_eq!(all, costs, "{spent:?}");
        }
    }

    #[test]
    fn a_damaged_hash_is_a_fault() {
        let damaged = Some("$argon2id$nonsense");
        let verified = hasher(CHEAP).verify(&secret("correct horse"), damaged, &[CHEAP]);
        assert!(verified.is_err());
    }

    #[test]
    fn two_hashes_of_one_password_differ() {
        assert_ne!(
            hash_of(CHEAP, "correct horse", 5),
            hash_of(CHEAP, "correct horse", 6)
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
        assert!(PasswordHasher::new(cost).is_err());
    }
}
