//! A keyed permutation of `0..size`, computed place by place.
//!
//! **The permutation.** Let `2^b` be the least power of two that is not below `size`, and cut a number
//! of `b` bits into a left part of `⌈b/2⌉` and a right part of `⌊b/2⌋` bits. One Feistel round replaces
//! one part by `part ⊕ F(other part, round key)`, in turn left and right. A round is its own inverse
//! whatever `F` is, so the composition is a bijection of `0..2^b`: call it `π`. To stay inside
//! `0..size`, *walk the cycle*: apply `π` until the result is below `size`. The cycle of `π` through a
//! number below `size` leads back to that number, so the walk ends; and it maps each number below
//! `size` to the next such number on its cycle, which is again a bijection. As `2^b < 2·size`, less
//! than one extra step is taken on average.
//!
//! `F` is the finaliser of MurmurHash3 on `part ⊕ key`. This spreads targets and hides the order from
//! who does not know the key; it is no cipher, and nothing rests on it being one: answers are
//! told by tokens. A cyclic group, as zmap walks, needs a prime above `size` and visits in an order
//! whose n-th member costs an exponentiation; here it costs the same as any other, which is what makes
//! resuming and sharding one number each.

use crate::scan::token::Keys;

const ROUNDS: usize = 6;

/// A keyed permutation of `0..size`, for any size up to 2^64.
#[derive(Debug, Clone)]
pub struct Order {
    size: u128,
    left_bits: u32,
    right_bits: u32,
    keys: [u64; ROUNDS],
}

impl Order {
    /// `pass` tells the orders of a sweep's passes apart. A size above 2^64 is cut to it.
    pub fn new(keys: &Keys, pass: u64, size: u128) -> Order {
        let size = size.min(1 << 64);
        let bits = 128 - size.saturating_sub(1).leading_zeros();
        Order {
            size,
            left_bits: bits.div_ceil(2),
            right_bits: bits / 2,
            keys: std::array::from_fn(|round| keys.order(pass, round as u64)),
        }
    }

    pub fn size(&self) -> u128 {
        self.size
    }

    /// The number at a place. Places at or past the size have none.
    pub fn at(&self, place: u64) -> Option<u64> {
        if u128::from(place) >= self.size {
            return None;
        }
        let mut number = place;
        loop {
            number = self.permute(number);
            if u128::from(number) < self.size {
                return Some(number);
            }
        }
    }

    /// The place at which [`Order::at`] gives this number: the same walk, backwards.
    pub fn place_of(&self, number: u64) -> Option<u64> {
        if u128::from(number) >= self.size {
            return None;
        }
        let mut place = number;
        loop {
            place = self.undo(place);
            if u128::from(place) < self.size {
                return Some(place);
            }
        }
    }

    fn undo(&self, number: u64) -> u64 {
        let left_mask = mask(self.left_bits);
        let right_mask = mask(self.right_bits);
        let mut left = (number >> self.right_bits) & left_mask;
        let mut right = number & right_mask;
        for pair in self.keys.as_chunks::<2>().0.iter().rev() {
            right ^= mix(left ^ pair[1]) & right_mask;
            left ^= mix(right ^ pair[0]) & left_mask;
        }
        left << self.right_bits | right
    }

    fn permute(&self, number: u64) -> u64 {
        let left_mask = mask(self.left_bits);
        let right_mask = mask(self.right_bits);
        let mut left = (number >> self.right_bits) & left_mask;
        let mut right = number & right_mask;
        for pair in self.keys.as_chunks::<2>().0 {
            left ^= mix(right ^ pair[0]) & left_mask;
            right ^= mix(left ^ pair[1]) & right_mask;
        }
        left << self.right_bits | right
    }
}

/// Which part of a pass this run asks: every `count`-th place, from `index` on. Shards of one order are
/// disjoint and make up the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    pub const WHOLE: Shard = Shard { index: 0, count: 1 };

    /// `None` unless `index < count`.
    pub const fn new(index: u32, count: u32) -> Option<Shard> {
        if index < count { Some(Shard { index, count }) } else { None }
    }

    /// How many of `size` places are this shard's.
    pub fn length(self, size: u128) -> u128 {
        let (index, count) = (u128::from(self.index), u128::from(self.count));
        size.saturating_sub(index).div_ceil(count)
    }

    /// The place in the whole that this shard's n-th is; saturating.
    pub fn place(self, n: u64) -> u64 {
        u64::from(self.index).saturating_add(n.saturating_mul(u64::from(self.count)))
    }

    /// Which of this shard's a place in the whole is, if it is this shard's.
    pub fn position(self, place: u64) -> Option<u64> {
        let beyond = place.checked_sub(u64::from(self.index))?;
        beyond.is_multiple_of(u64::from(self.count)).then(|| beyond / u64::from(self.count))
    }

    pub fn index(self) -> u32 {
        self.index
    }

    pub fn count(self) -> u32 {
        self.count
    }
}

/// `0/4` is the first of four.
impl std::str::FromStr for Shard {
    type Err = BadShard;

    fn from_str(text: &str) -> Result<Shard, BadShard> {
        let bad = || BadShard(text.chars().take(64).collect());
        let (index, count) = text.split_once('/').ok_or_else(bad)?;
        let (index, count) = (index.parse().map_err(|_| bad())?, count.parse().map_err(|_| bad())?);
        Shard::new(index, count).ok_or_else(bad)
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a shard: {0:?}; the first of four is 0/4, the last 3/4")]
pub struct BadShard(pub String);

const fn mask(bits: u32) -> u64 {
    if bits >= 64 { u64::MAX } else { (1 << bits) - 1 }
}

/// The 64-bit finaliser of MurmurHash3.
pub(super) const fn mix(mut x: u64) -> u64 {
    x ^= x >> 33;
    x = x.wrapping_mul(0xff51_afd7_ed55_8ccd);
    x ^= x >> 33;
    x = x.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    x ^ (x >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::token::SweepKey;
    use proptest::prelude::*;

    fn order(seed: u8, size: u128) -> Order {
        Order::new(&Keys::of(&SweepKey::from_bytes([seed; 32])), 1, size)
    }

    proptest! {
        #[test]
        fn every_number_once(size in 0u128..5000, seed: u8) {
            let order = order(seed, size);
            let mut seen = vec![false; size as usize];
            for place in 0..size as u64 {
                let number = order.at(place).unwrap() as usize;
                prop_assert!(!std::mem::replace(&mut seen[number], true));
                prop_assert_eq!(order.place_of(number as u64), Some(place));
            }
            prop_assert_eq!(order.at(size as u64), None);
            prop_assert_eq!(order.place_of(size as u64), None);
        }

        #[test]
        fn large_spaces_have_no_two_places_for_one_number(
            size in (1u128 << 40)..=(1 << 64),
            places in proptest::collection::hash_set(any::<u64>(), 200),
            seed: u8,
        ) {
            let order = order(seed, size);
            let mut seen = std::collections::HashSet::new();
            for place in places {
                match order.at(place) {
                    Some(number) => {
                        prop_assert!(u128::from(number) < size);
                        prop_assert!(seen.insert(number));
                        prop_assert_eq!(order.place_of(number), Some(place));
                    }
                    None => prop_assert!(u128::from(place) >= size),
                }
            }
        }

        #[test]
        fn shards_are_disjoint_and_make_up_the_whole(size in 0u128..3000, count in 1u32..20) {
            let mut seen = vec![0u8; size as usize];
            for index in 0..count {
                let shard = Shard::new(index, count).unwrap();
                for n in 0..shard.length(size) as u64 {
                    let place = shard.place(n);
                    seen[place as usize] += 1;
                    prop_assert_eq!(shard.position(place), Some(n));
                    let others = (0..count).filter_map(|other| Shard::new(other, count));
                    let claims = others.filter(|other| other.position(place).is_some()).count();
                    prop_assert_eq!(claims, 1);
                }
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
        }
    }

    #[test]
    fn the_largest_space_is_whole() {
        let order = order(7, 1 << 64);
        assert!(order.at(u64::MAX).is_some());
        assert_ne!(order.at(0), order.at(1));
    }

    #[test]
    fn another_key_and_another_pass_give_another_order() {
        let keys = Keys::of(&SweepKey::from_bytes([1; 32]));
        let of = |keys: &Keys, pass| -> Vec<_> {
            let order = Order::new(keys, pass, 1000);
            (0..20).filter_map(|place| order.at(place)).collect()
        };
        assert_ne!(of(&keys, 1), of(&keys, 2));
        assert_ne!(of(&keys, 1), of(&Keys::of(&SweepKey::from_bytes([2; 32])), 1));
    }
}
