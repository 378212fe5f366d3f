//! The codes of the coupon files in memory: ten million of them in less than 150 MB.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// A set of texts of about the same length. Open addressing over rows of equal width in one block of memory: a look-up
/// is a hash and, nearly always, one or two neighbouring rows.
pub struct CodeSet {
    /// Rows of `width` bytes; an empty place is all zeros, and shorter codes end with zeros.
    rows: Vec<u8>,
    width: usize,
    places: usize,
    codes: usize,
    seed: u64,
}

impl CodeSet {
    /// Room for this many codes; two fifths more places than codes.
    pub fn with_capacity(codes: usize) -> Self {
        Self {
            rows: Vec::new(),
            width: 0,
            places: codes + codes / 5 * 2 + 2,
            codes: 0,
            seed: RandomState::new().hash_one(0),
        }
    }

    /// Adds a code. Codes without a byte, and those with a zero byte, are none and left out.
    pub fn insert(&mut self, code: &str) {
        let code = code.as_bytes();
        if code.is_empty() || code.contains(&0) {
            return;
        }
        if code.len() > self.width || self.codes + 1 >= self.places {
            self.grow(code.len());
        }
        let place = self.place_of(code);
        let row = &mut self.rows[place * self.width..][..self.width];
        if row[0] == 0 {
            row[..code.len()].copy_from_slice(code);
            self.codes += 1;
        }
    }

    /// Whether a code is in it.
    pub fn contains(&self, code: &str) -> bool {
        let code = code.as_bytes();
        if code.is_empty() || code.len() > self.width || code.contains(&0) {
            return false;
        }
        self.rows[self.place_of(code) * self.width] != 0
    }

    /// How many codes are in it.
    pub const fn len(&self) -> usize {
        self.codes
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.codes == 0
    }

    /// Bytes of memory it takes.
    pub const fn memory_bytes(&self) -> usize {
        self.rows.len()
    }

    /// Quick rather than proof against an enemy: the codes in the set are the operator's own. Multiplies the halves of
    /// each sixteen bytes, and folds the product, as wyhash does.
    fn hash(&self, code: &[u8]) -> u64 {
        const SECRETS: [u64; 2] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db];
        let mut hash = self.seed;
        for part in code.chunks(16) {
            let mut halves = [[0; 8]; 2];
            halves.as_flattened_mut()[..part.len()].copy_from_slice(part);
            let [first, second] = halves.map(u64::from_le_bytes);
            hash = folded(first ^ hash ^ SECRETS[0], second ^ SECRETS[1]);
        }
        folded(hash ^ self.seed, SECRETS[1])
    }

    /// Where the code is, or where it would be put.
    fn place_of(&self, code: &[u8]) -> usize {
        let hash = u128::from(self.hash(code));
        #[expect(clippy::cast_possible_truncation, reason = "less than the number of places")]
        let mut place = ((hash * self.places as u128) >> u64::BITS) as usize;
        loop {
            let row = &self.rows[place * self.width..][..self.width];
            let (start, rest) = row.split_at(code.len());
            if row[0] == 0 || (start == code && rest.iter().all(|byte| *byte == 0)) {
                return place;
            }
            place = if place + 1 == self.places { 0 } else { place + 1 };
        }
    }

    /// Makes rows wide enough for `width`, and more of them when they are used up.
    fn grow(&mut self, width: usize) {
        let (old_rows, old_width) = (std::mem::take(&mut self.rows), self.width);
        self.width = width.max(old_width);
        if self.codes + 1 >= self.places {
            self.places *= 2;
        }
        self.rows = vec![0; self.places * self.width];
        for row in old_rows.chunks_exact(old_width.max(1)).filter(|row| row[0] != 0) {
            let length = row.iter().position(|byte| *byte == 0).unwrap_or(old_width);
            let place = self.place_of(&row[..length]);
            self.rows[place * self.width..][..length].copy_from_slice(&row[..length]);
        }
    }
}

/// Both halves of a product.
fn folded(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let lower = product as u64;
    let upper = (product >> u64::BITS) as u64;
    lower ^ upper
}

impl fmt::Debug for CodeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeSet").field("codes", &self.codes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_holds_what_was_put_in(codes in prop::collection::hash_set("[A-Z0-9]{1,12}", 0..400),
                                    others in prop::collection::vec("[A-Z0-9]{0,14}", 0..100),
                                    capacity in 0_usize..500) {
            let mut set = CodeSet::with_capacity(capacity);
            for code in codes.iter().chain(&codes) {
                set.insert(code);
            }
            prop_assert_eq!(set.len(), codes.len());
            for code in codes.iter().chain(&others) {
                prop_assert_eq!(set.contains(code), codes.contains(code), "{}", code);
            }
        }
    }

    #[test]
    fn ten_million_codes_take_less_than_150_megabytes() {
        let mut set = CodeSet::with_capacity(10_000_000);
        set.insert("ABCDEFGHIJ");
        assert!(set.memory_bytes() < 150_000_000, "{}", set.memory_bytes());
    }

    #[test]
    fn what_is_no_code_is_not_in_it() {
        let mut set = CodeSet::with_capacity(2);
        for code in ["", "A\0", "HAPPYHRS"] {
            set.insert(code);
        }
        let contained: HashSet<_> = ["", "A", "A\0", "HAPPYHRS", "HAPPYHR", "HAPPYHRS\0", "HAPPYHRS1"]
            .into_iter()
            .filter(|code| set.contains(code))
            .collect();
        assert_eq!(contained, HashSet::from(["HAPPYHRS"]));
    }
}
