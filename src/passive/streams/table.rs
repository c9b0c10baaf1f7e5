//! The directions of TCP connections, and the octets at their beginnings.
//!
//! A direction is a mark of sixteen octets in an array of [`SETS`] sets of [`WAYS`], a cache line each: waiting for its first
//! octets, with an open head, or done. A new one takes the place of the longest untouched in its set, of those without a head
//! first. Heads are at most [`MOST_OPEN`], of [`MOST_HEAD`] octets each, and together of [`MOST_OCTETS`]; when there is no place
//! for another a hand goes round and takes those that were idle for [`IDLE`] seconds, then those that were not touched since it
//! came by. What a head held by then is read as it is.
//!
//! A head that gives way is done: the rest of its stream is not read as a beginning.

use super::reader::{Head, Progress, Ran};
use super::{End, Tag};
use crate::observe::{Fact, Role};

/// Directions that are remembered: 262,144 in four MiB.
const SETS: usize = 1 << 16;
const WAYS: usize = 4;
/// Heads at a time. A guess: connections that are opened within a few seconds on a link of ten gigabits.
const MOST_OPEN: usize = 4096;
/// Octets of a direction that are read: a chain of four certificates has five to six thousand (captures of the tests).
pub(super) const MOST_HEAD: usize = 8192;
/// Octets of all heads together.
const MOST_OCTETS: usize = 16 << 20;
/// Segments of one head that wait for one before them.
const MOST_WAITING: usize = 8;
/// Seconds. Longer than a retransmission takes, shorter than anybody waits for a banner.
const IDLE: u32 = 60;

/// What a segment carries, and of which direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub from: End,
    pub to: End,
    /// Of the first octet.
    pub sequence: u32,
    pub payload: &'a [u8],
    /// Nothing will follow it.
    pub is_last: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Zero is nobody's.
    tag: u64,
    /// The second of the last segment, in its upper bits; the kind in the two lowest.
    touched: u32,
    /// The sequence number of the first octet, or the place of the head.
    value: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Done,
    Client,
    Server,
    Open,
}

impl Slot {
    fn kind(self) -> Kind {
        match self.touched & 3 {
            0 => Kind::Done,
            1 => Kind::Client,
            2 => Kind::Server,
            _ => Kind::Open,
        }
    }

    fn set(&mut self, second: u32, kind: Kind, value: u32) {
        let kind = match kind {
            Kind::Done => 0,
            Kind::Client => 1,
            Kind::Server => 2,
            Kind::Open => 3,
        };
        self.touched = second << 2 | kind;
        self.value = value;
    }
}

/// The beginning of one direction.
#[derive(Debug)]
struct Open {
    tag: Tag,
    from: End,
    to: End,
    role: Option<Role>,
    /// The sequence number of the first octet that is held.
    base: u32,
    bytes: Vec<u8>,
    /// Segments that came before their turn, by sequence number.
    waiting: Vec<(u32, Vec<u8>)>,
    progress: Progress,
    touched: u32,
    /// Touched since the hand came by.
    fresh: bool,
}

/// Whether octets may come behind those that are there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum More {
    MayCome,
    Never,
}

impl Open {
    fn octets(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(|(_, bytes)| bytes.len()).sum();
        self.bytes.len().saturating_add(waiting)
    }

    fn run(&mut self, more: More, tell: &mut dyn FnMut(Fact)) -> Ran {
        let head = Head {
            bytes: &self.bytes,
            from: self.from,
            to: self.to,
            role: self.role,
            is_last: more == More::Never,
        };
        let ran = self.progress.run(head, tell);
        if let Ran::Passed(passed) = ran {
            self.base = self.base.wrapping_add(u32::try_from(passed).unwrap_or(u32::MAX));
            self.bytes.drain(..passed.min(self.bytes.len()));
        }
        ran
    }

    /// Puts a segment where it belongs. Whether there are new octets to read.
    fn put(&mut self, sequence: u32, payload: &[u8]) -> bool {
        let held = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        // Distances of half the space or more are backwards. RFC 9293 §3.4.
        let ahead = sequence.wrapping_sub(self.base.wrapping_add(held)).cast_signed();
        let Ok(gap) = usize::try_from(ahead) else {
            let known = usize::try_from(ahead.unsigned_abs()).unwrap_or(usize::MAX);
            return match payload.get(known..) {
                Some(new) if !new.is_empty() => self.append(new),
                _ => false,
            };
        };
        if gap == 0 {
            return self.append(payload);
        }
        let room = MOST_HEAD.saturating_sub(self.octets());
        if gap < MOST_HEAD && self.waiting.len() < MOST_WAITING && room > 0 {
            let payload = payload.get(..room).unwrap_or(payload);
            self.waiting.push((sequence, payload.to_vec()));
        }
        false
    }

    fn append(&mut self, payload: &[u8]) -> bool {
        let room = MOST_HEAD.saturating_sub(self.bytes.len());
        self.bytes.extend_from_slice(payload.get(..room).unwrap_or(payload));
        // Each turn takes one out, so this ends.
        while let Some(place) = self.waiting.iter().position(|(sequence, _)| {
            let held = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
            sequence.wrapping_sub(self.base.wrapping_add(held)).cast_signed() <= 0
        }) {
            let (sequence, payload) = self.waiting.swap_remove(place);
            self.put(sequence, &payload);
        }
        true
    }

    /// No more octets of it will be taken.
    fn is_full(&self) -> bool {
        self.bytes.len() >= MOST_HEAD || self.progress.passed() >= MOST_HEAD
    }
}

#[derive(Debug)]
pub(super) struct Table {
    slots: Vec<Slot>,
    heads: Vec<Option<Box<Open>>>,
    free: Vec<u32>,
    octets: usize,
    hand: usize,
}

impl Default for Table {
    fn default() -> Table {
        Table {
            slots: vec![Slot::default(); SETS.saturating_mul(WAYS)],
            heads: Vec::new(),
            free: Vec::new(),
            octets: 0,
            hand: 0,
        }
    }
}

impl Table {
    /// A direction that begins: its sequence number and whose it is are known.
    pub(super) fn open(&mut self, tag: Tag, second: u32, base: u32, role: Role) {
        let place = self.place(tag, second);
        let slot = self.slots.get(place).copied().unwrap_or_default();
        if slot.kind() == Kind::Open {
            let known = self.head(slot.value).is_some_and(|head| head.base == base);
            // Sent once more, or the ports are used again.
            if known {
                return;
            }
            self.close(slot.value);
        }
        let kind = if role == Role::Client { Kind::Client } else { Kind::Server };
        if let Some(slot) = self.slots.get_mut(place) {
            slot.set(second, kind, base);
        }
    }

    pub(super) fn take(
        &mut self,
        tag: Tag,
        second: u32,
        piece: Piece<'_>,
        tell: &mut dyn FnMut(Fact),
    ) {
        let Piece { from, to, sequence, payload, is_last } = piece;
        let place = self.place(tag, second);
        let Some(slot) = self.slots.get(place).copied() else { return };
        let (base, role) = match slot.kind() {
            Kind::Done if slot.value != NEW => {
                if let Some(slot) = self.slots.get_mut(place) {
                    slot.set(second, Kind::Done, 0);
                }
                return;
            }
            Kind::Done => (sequence, None),
            Kind::Client => (slot.value, Some(Role::Client)),
            Kind::Server => (slot.value, Some(Role::Server)),
            Kind::Open => return self.more(place, slot.value, second, piece, tell),
        };
        let ahead = sequence.wrapping_sub(base).cast_signed();
        if ahead < 0 {
            return;
        }
        let mut progress = Progress::default();
        let mut head = Open {
            tag,
            from,
            to,
            role,
            base,
            bytes: Vec::new(),
            waiting: Vec::new(),
            progress: Progress::default(),
            touched: second,
            fresh: true,
        };
        if ahead == 0 {
            // Most heads are one segment: read where it lies.
            let bytes = payload.get(..MOST_HEAD).unwrap_or(payload);
            let ran = progress.run(
                Head { bytes, from, to, role, is_last: is_last || bytes.len() >= MOST_HEAD },
                tell,
            );
            let Ran::Passed(passed) = ran else { return self.done(place, second) };
            head.base = base.wrapping_add(u32::try_from(passed).unwrap_or(u32::MAX));
            head.bytes = bytes.get(passed..).unwrap_or_default().to_vec();
            head.progress = progress;
        } else if usize::try_from(ahead).is_ok_and(|gap| gap < MOST_HEAD) {
            head.put(sequence, payload);
        } else {
            return self.done(place, second);
        }
        let value = self.keep(head, second, tell);
        // Room was made: that may have been taken from this set.
        let place = self.place(tag, second);
        if let Some(slot) = self.slots.get_mut(place) {
            slot.set(second, Kind::Open, value);
        }
    }

    /// More of a head that is open.
    fn more(
        &mut self,
        place: usize,
        value: u32,
        second: u32,
        piece: Piece<'_>,
        tell: &mut dyn FnMut(Fact),
    ) {
        if let Some(slot) = self.slots.get_mut(place) {
            slot.set(second, Kind::Open, value);
        }
        let Some(Some(head)) = self.heads.get_mut(value as usize) else {
            return self.done(place, second);
        };
        head.touched = second;
        head.fresh = true;
        let before = head.octets();
        let is_new = head.put(piece.sequence, piece.payload);
        let is_full = head.is_full() || (is_new && piece.is_last);
        let ran = if is_new {
            head.run(if is_full { More::Never } else { More::MayCome }, tell)
        } else {
            Ran::Passed(0)
        };
        let after = head.octets();
        self.octets = self.octets.saturating_sub(before).saturating_add(after);
        if ran == Ran::Done || is_full {
            self.close(value);
            self.done(place, second);
        }
    }

    fn done(&mut self, place: usize, second: u32) {
        if let Some(slot) = self.slots.get_mut(place) {
            slot.set(second, Kind::Done, 0);
        }
    }

    fn head(&self, value: u32) -> Option<&Open> {
        self.heads.get(value as usize).and_then(Option::as_deref)
    }

    fn find(&self, tag: Tag) -> Option<usize> {
        let first = set(tag);
        let ways = self.slots.get(first..first.saturating_add(WAYS))?;
        let way = ways.iter().position(|slot| slot.tag == tag.0.max(1))?;
        Some(first.saturating_add(way))
    }

    /// The slot of a tag; where there is none, one that is now its own and [`NEW`].
    #[inline]
    fn place(&mut self, tag: Tag, second: u32) -> usize {
        let mark = tag.0.max(1);
        let first = set(tag);
        let ways = self.slots.get_mut(first..first.saturating_add(WAYS)).unwrap_or_default();
        let mut victim = (0usize, u64::MAX);
        for (way, slot) in ways.iter().enumerate() {
            if slot.tag == mark {
                return first.saturating_add(way);
            }
            let has_head = u64::from(slot.tag != 0 && slot.kind() == Kind::Open);
            let touched = match slot.tag {
                0 => 0,
                _ => u64::from(slot.touched >> 2).saturating_add(1),
            };
            let rank = has_head << 32 | touched;
            if rank < victim.1 {
                victim = (way, rank);
            }
        }
        let mut given_up = None;
        if let Some(slot) = ways.get_mut(victim.0) {
            if slot.tag != 0 && slot.kind() == Kind::Open {
                given_up = Some(slot.value);
            }
            slot.tag = mark;
            slot.set(second, Kind::Done, NEW);
        }
        if let Some(value) = given_up {
            self.close(value);
        }
        first.saturating_add(victim.0)
    }

    /// Forgets a head.
    fn close(&mut self, value: u32) {
        if let Some(head) = self.heads.get_mut(value as usize).and_then(Option::take) {
            self.octets = self.octets.saturating_sub(head.octets());
            self.free.push(value);
        }
    }

    fn keep(&mut self, head: Open, second: u32, tell: &mut dyn FnMut(Fact)) -> u32 {
        let octets = head.octets();
        // Each turn frees one head, so this ends.
        while self.octets.saturating_add(octets) > MOST_OCTETS
            || (self.free.is_empty() && self.heads.len() >= MOST_OPEN)
        {
            if !self.give_way(second, tell) {
                break;
            }
        }
        self.octets = self.octets.saturating_add(octets);
        let head = Some(Box::new(head));
        if let Some(value) = self.free.pop() {
            if let Some(place) = self.heads.get_mut(value as usize) {
                *place = head;
            }
            return value;
        }
        self.heads.push(head);
        u32::try_from(self.heads.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Ends the next head that the hand may take, and says whether there was one.
    fn give_way(&mut self, second: u32, tell: &mut dyn FnMut(Fact)) -> bool {
        // Once round takes the freshness, the second round finds one.
        for _ in 0..self.heads.len().saturating_mul(2) {
            let here = self.hand;
            self.hand =
                if here.saturating_add(1) >= self.heads.len() { 0 } else { here.saturating_add(1) };
            let Some(Some(head)) = self.heads.get_mut(here) else { continue };
            if head.fresh && second.saturating_sub(head.touched) < IDLE {
                head.fresh = false;
                continue;
            }
            let Some(mut head) = self.heads.get_mut(here).and_then(Option::take) else { continue };
            self.octets = self.octets.saturating_sub(head.octets());
            self.free.push(u32::try_from(here).unwrap_or(u32::MAX));
            head.run(More::Never, tell);
            if let Some(place) = self.find(head.tag) {
                self.done(place, head.touched);
            }
            return true;
        }
        false
    }
}

/// The first slot of a tag's set.
const fn set(tag: Tag) -> usize {
    ((tag.0 >> 48) as usize & SETS.saturating_sub(1)).saturating_mul(WAYS)
}

/// A slot whose direction was not known before.
const NEW: u32 = u32::MAX;

#[cfg(test)]
impl Table {
    pub(super) fn held(&self) -> (usize, usize) {
        let open: Vec<_> = self.heads.iter().flatten().collect();
        let octets = open.iter().map(|head| head.octets()).sum();
        assert_eq!(self.octets, octets);
        assert!(open.len() <= MOST_OPEN && octets <= MOST_OCTETS);
        (open.len(), octets)
    }
}
