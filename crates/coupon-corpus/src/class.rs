//! Codes of one length: which partition a code falls into, and what is left to store of it there.
//!
//! A number is mixed by a bijection chosen at random for each run, so that whatever the codes look like, and whoever chose
//! them, different ones spread evenly over the partitions; and no two ever become the same.

use std::hash::{BuildHasher, RandomState};

use crate::code::numbers;

/// The codes of one length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Class {
    /// Their length in bytes.
    pub length: u8,
    /// Bytes of a stored remainder.
    pub width: u32,
    /// Partitions there are.
    pub partitions: usize,
    mask: u64,
    shift: u32,
    remainder_bits: u32,
    odd: [u64; 2],
    inverse: [u64; 2],
}

impl Class {
    /// Codes of this length in at most `2^partition_bits` partitions.
    pub(crate) fn new(length: u8, partition_bits: u32) -> Self {
        let bits = u64::BITS - (numbers(length) - 1).leading_zeros();
        // At least one byte is left to store.
        let partition_bits = partition_bits.min(bits.saturating_sub(u8::BITS));
        let remainder_bits = bits - partition_bits;
        let random = RandomState::new();
        let odd = [0, 1].map(|which| random.hash_one(which) | 1);
        Self {
            length,
            width: remainder_bits.div_ceil(u8::BITS),
            partitions: 1 << partition_bits,
            mask: (1 << bits) - 1,
            shift: bits.div_ceil(2),
            remainder_bits,
            odd,
            inverse: odd.map(inverse),
        }
    }

    /// The partition of a number and what is left of it.
    #[inline]
    pub(crate) fn split(&self, number: u64) -> (usize, u64) {
        let mixed = number.wrapping_mul(self.odd[0]) & self.mask;
        let mixed = mixed ^ (mixed >> self.shift);
        let mixed = mixed.wrapping_mul(self.odd[1]) & self.mask;
        #[expect(clippy::cast_possible_truncation, reason = "at most as many as there are partitions")]
        let partition = (mixed >> self.remainder_bits) as usize;
        (partition, mixed & ((1 << self.remainder_bits) - 1))
    }

    /// The number that was split.
    pub(crate) fn join(&self, partition: usize, remainder: u64) -> u64 {
        let mixed = (partition as u64) << self.remainder_bits | remainder;
        let mixed = mixed.wrapping_mul(self.inverse[1]) & self.mask;
        // A shift by at least half the bits undoes itself.
        let mixed = mixed ^ (mixed >> self.shift);
        mixed.wrapping_mul(self.inverse[0]) & self.mask
    }
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration: each step doubles the bits that are right.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn splitting_loses_nothing(length in 1u8..=10, partition_bits in 0u32..=10, number: u64) {
            let class = Class::new(length, partition_bits);
            let number = number % numbers(length);
            let (partition, remainder) = class.split(number);
            prop_assert!(partition < class.partitions);
            prop_assert!(class.width == 8 || remainder < 1 << (8 * class.width));
            prop_assert_eq!(class.join(partition, remainder), number);
        }
    }

    #[test]
    fn neighbours_are_spread_evenly() {
        for step in [1, 36, 1296, 60_466_176] {
            let class = Class::new(8, 8);
            let mut counts = vec![0_u32; class.partitions];
            for number in 0..25_600 {
                counts[class.split(number * step).0] += 1;
            }
            // 100 each; a fair spread stays within 10 standard deviations.
            assert!(counts.iter().all(|count| (1..=300).contains(count)), "{step}: {counts:?}");
        }
    }
}
