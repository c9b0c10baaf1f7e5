//! One-second windows of many addresses, a few octets each.
//!
//! **A window.** Time is cut into ticks of a thirtieth of a second. What was sent is counted in slices of two ticks, the running
//! one and the fifteen before it; places that are held are counted by the tick. Fifteen whole slices are a second and
//! never less ([`TICK_NANOS`] is rounded up), so what left in the last second, from wherever one looks, lies in what is
//! summed. A held place lapses when its tick is [`HELD_TICKS`] old: after 0.2 to 0.233 s.
//!
//! A counter has few bits, so it may run full. A full counter says "as many or more": the window then has no room until that
//! slice is past. A frame is let in only where the running slice could take it and everything that is held besides, so it is
//! only what nobody foresaw that fills one.
//!
//! **The table.** Open addressing with linear probing. What is searched is an octet of each key's hash, and only where
//! that agrees the window itself is looked at: the octets of a million addresses lie in a core's cache, their windows do not, and
//! each look at one takes as long as a hundred nanoseconds and more. Places are given by the high bits of the hash
//! times the length, which keeps their order when the length changes: growing and clearing go through
//! the arrays from front to back and never jump. When three quarters are taken, what was silent for longer than window and holding
//! time is cleared out. The key of the hash is drawn for each table, so no set of addresses is slow for everybody.

use super::keyed::Keyed;

/// A thirtieth of a second, rounded up: thirty of them are no less than a second.
const TICK_NANOS: u64 = 33_333_334;
/// Slices that are counted: those of a second, and the running one.
const SLICES: usize = 16;
const TICKS_IN_SLICE: u32 = 2;
/// Ticks that a place is held, the running one among them. A SYN-ACK comes within 0.2 s, or its reset is no longer foreseen.
const HELD_TICKS: usize = 7;
/// After so many ticks a window is empty.
const MEMORY: u32 = SLICES as u32 * TICKS_IN_SLICE;

/// Of an instant since the sweep's start.
pub(super) fn tick(nanos: u64) -> u32 {
    u32::try_from(nanos / TICK_NANOS).unwrap_or(u32::MAX - 1)
}

/// The nanoseconds at which a tick begins.
pub(super) fn begin_of(tick: u32) -> u64 {
    u64::from(tick) * TICK_NANOS
}

/// The counters of one window.
pub(super) trait Counts: Copy + Default {
    /// Moves from one tick on to a later one.
    fn advance(&mut self, from: u32, to: u32);
    /// What was sent and what is held. More than any ceiling where a counter is full.
    fn load(&self) -> u32;
    /// Whether the running slice can count so many more, and all that is held.
    fn fits(&self, places: u32) -> bool;
    fn count(&mut self, frames: u32, held: u32);
    /// The oldest held place is taken out: what it was held for is counted beside.
    fn redeem(&mut self);
}

/// More than any ceiling: what a window with a full counter is loaded with.
pub(super) const FULL: u32 = u32::MAX / 4;

/// Counters of four bits, for ceilings up to [`Nibbles::CEILING`]. Twelve octets.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Nibbles {
    /// The running slice in the lowest four bits, the older ones above it. Two halves, so that it need not stand at a multiple of
    /// eight octets.
    sent: [u32; 2],
    /// Likewise, by the tick.
    held: u32,
}

impl Nibbles {
    /// With a higher ceiling the counters would be what limits: into silence, so many SYNs a second hold a quarter of that many
    /// places, which have to fit into a slice with its own.
    pub(super) const CEILING: u32 = 48;
    const MOST: u32 = 14;

    fn sent(&self) -> u64 {
        u64::from(self.sent[0]) | u64::from(self.sent[1]) << 32
    }

    fn set_sent(&mut self, sent: u64) {
        self.sent = [sent as u32, (sent >> 32) as u32];
    }

    fn held_sum(&self) -> u32 {
        sum_of_nibbles(u64::from(self.held))
    }
}

fn sum_of_nibbles(nibbles: u64) -> u32 {
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    // Sixteen times fifteen is less than 256: the highest octet of the product is the sum.
    let octets = (nibbles & LOW) + (nibbles >> 4 & LOW);
    (octets.wrapping_mul(0x0101_0101_0101_0101) >> 56) as u32
}

impl Counts for Nibbles {
    fn advance(&mut self, from: u32, to: u32) {
        let slices = to / TICKS_IN_SLICE - from / TICKS_IN_SLICE;
        self.set_sent(self.sent().checked_shl(slices.saturating_mul(4)).unwrap_or(0));
        let held = self.held.checked_shl((to - from).saturating_mul(4)).unwrap_or(0);
        self.held = held & ((1 << (4 * HELD_TICKS)) - 1);
    }

    fn load(&self) -> u32 {
        let sent = self.sent();
        let full = sent & sent >> 1 & sent >> 2 & sent >> 3 & 0x1111_1111_1111_1111;
        if full != 0 { FULL } else { sum_of_nibbles(sent) + self.held_sum() }
    }

    fn fits(&self, places: u32) -> bool {
        (self.sent[0] & 15) + self.held_sum() + places <= Nibbles::MOST
    }

    fn count(&mut self, frames: u32, held: u32) {
        let running = (self.sent[0] & 15).saturating_add(frames).min(15);
        self.sent[0] = self.sent[0] & !15 | running;
        self.held = self.held & !15 | (self.held & 15).saturating_add(held).min(15);
    }

    fn redeem(&mut self) {
        if self.held != 0 {
            let oldest = (31 - self.held.leading_zeros()) / 4;
            self.held -= 1 << (4 * oldest);
        }
    }
}

/// Counters of sixteen bits, for ceilings up to some hundred thousand.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Words {
    /// The running slice first.
    sent: [u16; SLICES],
    held: [u16; HELD_TICKS],
}

impl Words {
    const MOST: u32 = u16::MAX as u32 - 1;

    fn held_sum(&self) -> u32 {
        self.held.iter().map(|count| u32::from(*count)).sum()
    }
}

/// Makes the counters older by so many steps.
fn shift<const N: usize>(counters: &mut [u16; N], steps: u32) {
    let steps = (steps as usize).min(N);
    counters.copy_within(..N - steps, steps);
    counters.iter_mut().take(steps).for_each(|counter| *counter = 0);
}

fn add(counter: &mut u16, count: u32) {
    *counter = u16::try_from(u32::from(*counter).saturating_add(count)).unwrap_or(u16::MAX);
}

impl Counts for Words {
    fn advance(&mut self, from: u32, to: u32) {
        shift(&mut self.sent, to / TICKS_IN_SLICE - from / TICKS_IN_SLICE);
        shift(&mut self.held, to - from);
    }

    fn load(&self) -> u32 {
        let sent: u32 = self.sent.iter().map(|count| u32::from(*count)).sum();
        if self.sent.contains(&u16::MAX) { FULL } else { sent + self.held_sum() }
    }

    fn fits(&self, places: u32) -> bool {
        u32::from(self.sent[0]).saturating_add(self.held_sum()).saturating_add(places)
            <= Words::MOST
    }

    fn count(&mut self, frames: u32, held: u32) {
        add(&mut self.sent[0], frames);
        add(&mut self.held[0], held);
    }

    fn redeem(&mut self) {
        if let Some(oldest) = self.held.iter_mut().rev().find(|count| **count > 0) {
            *oldest -= 1;
        }
    }
}

/// What a window belongs to: an address or a prefix, in as few octets as it has.
pub(super) trait Key: Copy + Eq + Default {
    fn numbers(self) -> (u64, u64);
}

impl Key for u32 {
    fn numbers(self) -> (u64, u64) {
        (u64::from(self), 0)
    }
}

impl Key for [u32; 2] {
    fn numbers(self) -> (u64, u64) {
        (u64::from(self[0]) | u64::from(self[1]) << 32, 0)
    }
}

impl Key for [u32; 4] {
    fn numbers(self) -> (u64, u64) {
        let [a, b, c, d] = self.map(u64::from);
        (a | b << 32, c | d << 32)
    }
}

pub(super) fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

pub(super) fn quarters(number: u128) -> [u32; 4] {
    [number as u32, (number >> 32) as u32, (number >> 64) as u32, (number >> 96) as u32]
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot<K, C> {
    key: K,
    /// The tick to which the counts are advanced.
    seen: u32,
    counts: C,
}

impl<K, C> Slot<K, C> {
    fn is_past(&self, tick: u32) -> bool {
        tick.saturating_sub(self.seen) >= MEMORY
    }
}

/// The windows of all keys that were touched lately.
#[derive(Debug)]
pub(super) struct Table<K, C> {
    seed: Keyed,
    /// Eight bits of each key's hash, or [`NOBODY`].
    tags: Vec<u8>,
    /// Places that the hash gives, and [`SPILL`] more for what is pushed beyond the last.
    slots: Vec<Slot<K, C>>,
    /// Slots in which somebody is.
    used: usize,
    /// Where the last key was found, as long as nothing was put anywhere.
    last_key: K,
    last: Remembered,
    /// When what is past was last cleared out.
    cleared: u32,
}

const NOBODY: u8 = 0;
/// The first length.
const LEAST: usize = 64;
/// With three quarters full, runs of neighbours are a dozen or two long; a longer one at the end makes the table grow.
const SPILL: usize = 64;

impl<K: Key, C: Counts> Table<K, C> {
    pub(super) fn new() -> Table<K, C> {
        let mut table = Table {
            seed: Keyed::drawn(),
            tags: Vec::new(),
            slots: Vec::new(),
            used: 0,
            last_key: K::default(),
            last: Remembered::NOTHING,
            cleared: 0,
        };
        table.reserve(LEAST);
        table
    }

    fn reserve(&mut self, length: usize) {
        self.tags = vec![NOBODY; length + SPILL];
        self.slots = vec![Slot::default(); length + SPILL];
    }

    pub(super) fn octets(&self) -> usize {
        self.slots.capacity() * size_of::<Slot<K, C>>() + self.tags.capacity()
    }

    fn length(&self) -> usize {
        self.slots.len().saturating_sub(SPILL)
    }

    /// Where a key would stand, and its tag.
    fn home(&self, key: K) -> (usize, u8) {
        let (low, high) = key.numbers();
        let hash = self.seed.of(low, high);
        // Its upper half as a fraction of the length: below 2^32 places the product fits.
        let home = (((hash >> 32) * self.length() as u64) >> 32) as usize;
        (home, (hash as u8).max(NOBODY + 1))
    }

    /// What is counted for a key, as of `tick`. Nothing where it has no window.
    pub(super) fn look(&mut self, key: K, tick: u32) -> C {
        match self.found(key) {
            Found::At(place) => self.slots.get(place).map_or_else(C::default, |slot| {
                let mut counts = slot.counts;
                counts.advance(slot.seen, tick.max(slot.seen));
                counts
            }),
            Found::Free { .. } | Found::Crowded => C::default(),
        }
    }

    /// Counts something for a key, which gets a window where it had none.
    ///
    /// That is written as a whole and not read: who read what it has just written to a place far away would wait for it.
    pub(super) fn count<R>(
        &mut self,
        key: K,
        tick: u32,
        change: impl FnOnce(&mut C) -> R,
    ) -> Option<R> {
        // Once it has grown there is room, unless a crowd at the end makes it grow once more.
        for _ in 0..8 {
            match self.found(key) {
                Found::At(place) => {
                    let slot = self.slots.get_mut(place)?;
                    // A clock that steps back stands still.
                    let now = tick.max(slot.seen);
                    slot.counts.advance(slot.seen, now);
                    slot.seen = now;
                    return Some(change(&mut slot.counts));
                }
                Found::Free { .. } if (self.used + 1) * 4 > self.length() * 3 => {
                    self.make_room(tick, Crowd::Even);
                }
                Found::Free { place, tag } => {
                    let mut counts = C::default();
                    let result = change(&mut counts);
                    *self.tags.get_mut(place)? = tag;
                    *self.slots.get_mut(place)? = Slot { key, seen: tick, counts };
                    self.used += 1;
                    self.last = Remembered::of(&Found::At(place));
                    return Some(result);
                }
                Found::Crowded => self.make_room(tick, Crowd::Local),
            }
        }
        None
    }

    /// Likewise; but no key gets a window where there are `most` already.
    pub(super) fn count_few(
        &mut self,
        key: K,
        tick: u32,
        most: usize,
        change: impl FnOnce(&mut C),
    ) {
        // Not more often than once in a window's time: it goes through them all.
        if self.used >= most && tick.saturating_sub(self.cleared) >= MEMORY {
            self.make_room(tick, Crowd::Even);
        }
        if self.used < most || matches!(self.found(key), Found::At(_)) {
            self.count(key, tick, change);
        }
    }

    /// A frame looks its key up twice, before it goes and after: the second time it is known.
    fn found(&mut self, key: K) -> Found {
        if self.last.is_something() && self.last_key == key {
            return self.last.found();
        }
        let found = self.find(key);
        self.last_key = key;
        self.last = Remembered::of(&found);
        found
    }

    fn find(&self, key: K) -> Found {
        let (home, tag) = self.home(key);
        for (place, of) in self.tags.iter().enumerate().skip(home) {
            if *of == NOBODY {
                return Found::Free { place, tag };
            }
            if *of == tag && self.slots.get(place).is_some_and(|slot| slot.key == key) {
                return Found::At(place);
            }
        }
        Found::Crowded
    }

    /// Clears out what is past: in place, or into a table longer by a third where that leaves more than 0.6 of it.
    fn make_room(&mut self, tick: u32, crowd: Crowd) {
        let length = self.length();
        let all = self.slots.iter().zip(&self.tags);
        let staying = all.filter(|(slot, tag)| **tag != NOBODY && !slot.is_past(tick)).count();
        self.used = 0;
        self.last = Remembered::NOTHING;
        self.cleared = tick;
        if staying * 5 <= length * 3 && crowd == Crowd::Even {
            for place in 0..self.slots.len() {
                let slot = self.slots.get(place).copied();
                let (Some(slot), Some(tag)) = (slot, self.tags.get_mut(place)) else { break };
                if std::mem::replace(tag, NOBODY) != NOBODY && !slot.is_past(tick) {
                    // Not behind where it stood: that is free now.
                    self.put(slot);
                }
            }
            return;
        }
        let slots = std::mem::take(&mut self.slots);
        let tags = std::mem::take(&mut self.tags);
        self.reserve(length + length / 3);
        // In the order of the hash, as they stood: from front to back here too. Nobody is pushed further than before.
        for (slot, tag) in slots.into_iter().zip(tags) {
            if tag != NOBODY && !slot.is_past(tick) {
                self.put(slot);
            }
        }
    }

    /// Into the first free slot from where its hash says.
    fn put(&mut self, slot: Slot<K, C>) {
        let (home, tag) = self.home(slot.key);
        let free = self.tags.iter_mut().enumerate().skip(home).find(|(_, of)| **of == NOBODY);
        if let Some((place, of)) = free
            && let Some(free) = self.slots.get_mut(place)
        {
            *of = tag;
            *free = slot;
            self.used += 1;
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crowd {
    /// As many as the table is made for.
    Even,
    /// A run of neighbours that reaches past the end.
    Local,
}

enum Found {
    At(usize),
    /// Nowhere: here it may be put.
    Free {
        place: usize,
        tag: u8,
    },
    Crowded,
}

/// What was found, in one word: written and read again at every frame, while windows that lie far away are still being
/// written. A processor that finds the halves of a value in two stores waits until both have gone all the way (measured: 150 ns).
#[derive(Debug, Clone, Copy)]
struct Remembered(u64);

impl Remembered {
    const NOTHING: Remembered = Remembered(u64::MAX);
    /// Above any place: [`NOBODY`] as the tag of who has a place.
    const TAG: u32 = 48;

    fn of(found: &Found) -> Remembered {
        match *found {
            Found::At(place) => Remembered(place as u64),
            Found::Free { place, tag } => Remembered(place as u64 | u64::from(tag) << Self::TAG),
            Found::Crowded => Remembered::NOTHING,
        }
    }

    fn found(self) -> Found {
        let place = (self.0 & ((1 << Self::TAG) - 1)) as usize;
        match (self.0 >> Self::TAG) as u8 {
            NOBODY => Found::At(place),
            tag => Found::Free { place, tag },
        }
    }

    fn is_something(self) -> bool {
        self.0 != u64::MAX
    }
}
