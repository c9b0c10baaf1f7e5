//! Which questions of a pass are closed.

/// One bit for each question of the shard, by its place in the order: set when it is answered or cannot be
/// asked, so that a retry finds the open ones by reading on.
pub(super) struct Closed {
    bits: Vec<u64>,
    count: u64,
}

impl Closed {
    pub(super) fn new(questions: u64) -> Closed {
        Closed { bits: vec![0; questions.div_ceil(64) as usize], count: 0 }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    pub(super) fn contains(&self, place: u64) -> bool {
        self.bits.get((place / 64) as usize).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Whether it is new.
    pub(super) fn insert(&mut self, place: u64) -> bool {
        let Some(word) = self.bits.get_mut((place / 64) as usize) else { return false };
        let bit = 1 << (place % 64);
        let new = *word & bit == 0;
        *word |= bit;
        self.count += u64::from(new);
        new
    }

    /// The first open place from here on; `end` where there is none before it.
    pub(super) fn next_open(&self, from: u64, end: u64) -> u64 {
        let mut place = from;
        while place < end {
            let Some(word) = self.bits.get((place / 64) as usize) else { return end };
            let open = !word >> (place % 64);
            if open != 0 {
                return (place + u64::from(open.trailing_zeros())).min(end);
            }
            place = (place / 64 + 1) * 64;
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_open_place_is_the_first_that_is_not_closed(
            size in 1u64..400,
            closed in proptest::collection::hash_set(0u64..400, 0..400),
            from in 0u64..400,
        ) {
            let mut bits = Closed::new(size);
            for place in closed.iter().filter(|place| **place < size) {
                prop_assert!(bits.insert(*place));
                prop_assert!(!bits.insert(*place));
            }
            let expected = (from..size).find(|place| !closed.contains(place)).unwrap_or(size.max(from));
            prop_assert_eq!(bits.next_open(from, size).max(from), expected);
            prop_assert_eq!(bits.count(), closed.iter().filter(|place| **place < size).count() as u64);
        }
    }
}
