//! Smoothing of peaks: a delay that is the same each time for the same seed.
//!
//! Owns the hash, which is part of what users see (a task must not jump on an upgrade), so it is written out here and
//! pinned by tests. Leaves to others: what the seed is made of and how a delay meets open hours (`due`).

use jiff::SignedDuration;

/// The seed of a text such as `account/42 remind`: FNV-1a, 64 bits.
pub fn seed_of(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A delay from zero up to, not including, `spread`, in whole milliseconds; evenly distributed over seeds.
///
/// A spread of zero or below gives zero.
pub fn delay(seed: u64, spread: SignedDuration) -> SignedDuration {
    let millis = spread.as_millis().max(0).unsigned_abs();
    let millis = u64::try_from(millis).unwrap_or(u64::MAX);
    // The high half of the product maps 64 random bits to 0..millis without bias that matters.
    let chosen = (u128::from(mixed(seed)) * u128::from(millis)) >> 64;
    SignedDuration::from_millis(i64::try_from(chosen).unwrap_or(i64::MAX))
}

/// The finaliser of SplitMix64: neighbouring seeds give unrelated numbers.
fn mixed(seed: u64) -> u64 {
    let mut bits = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}
