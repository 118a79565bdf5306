//! Shards: into which part of a store an entity falls.
//!
//! All tasks of an entity fall into one shard, and one node owns a shard at a time; so the order of an entity's tasks is in one hand.
//! The function is part of what is stored: it must never change, and SQL can repeat it (`sha256` is built into PostgreSQL). How many
//! shards a store has is fixed when it is made. Leaves to others: who owns a shard (`hence::ownership`).

use std::fmt;

use sha2::{Digest, Sha256};

use crate::name::EntityKey;

/// The most shards of a store.
pub const SHARDS_MAX: u16 = 4096;

/// One part of a store, 0 up to, not including, the number of its shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(pub u16);

impl Shard {
    /// The shard of an entity in a store of that many: the first four bytes of the SHA-256 of its written form, as a big-endian
    /// number, modulo `shards`; always shard 0 where there is one or none.
    ///
    /// ```
    /// # use hence_core::shard::Shard;
    /// assert_eq!(Shard::of(&"account/42".parse()?, 1), Shard(0));
    /// # Ok::<(), hence_core::name::NameError>(())
    /// ```
    pub fn of(entity: &EntityKey, shards: u16) -> Self {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(entity.to_string()));
        let shard = u32::from_be_bytes([a, b, c, d]) % u32::from(shards.max(1));
        Self(u16::try_from(shard).expect("the rest is smaller than a u16 divisor"))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    //! Goal: an entity stays in its shard for ever, and entities spread evenly. Method: pinned values; many entities counted.
    use super::*;

    fn check(entity: &str, shards: u16, expected: u16) {
        assert_eq!(Shard::of(&entity.parse().unwrap(), shards), Shard(expected), "{entity} of {shards}");
    }

    #[test]
    fn an_entity_never_changes_its_shard() {
        check("account/42", 0, 0);
        check("account/42", 1, 0);
        // select ('x' || left(encode(sha256('account/42'), 'hex'), 8))::bit(32)::bigint % 64;
        check("account/42", 64, 19);
        check("account/43", 64, 38);
        check("order/2026-1", SHARDS_MAX, 3030);
    }

    #[test]
    fn entities_spread_evenly() {
        let mut counts = [0_u32; 64];
        for number in 0..64_000 {
            counts[usize::from(Shard::of(&format!("account/{number}").parse().unwrap(), 64).0)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
