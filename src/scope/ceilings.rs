//! Ceilings over any one-second window, for the sweep and for each address.
//!
//! Time is cut into slices. A [`Window`] keeps how many frames left in each slice of the last second
//! and one slice more, so every window of one second, wherever it begins, lies inside what is summed;
//! the sum never exceeds the ceiling, so no window does. A pause is not made good by a burst, because
//! [`SPREAD`] slices together take little more than their share.
//!
//! **What the kernel sends because of us.** A SYN-ACK is answered by our kernel with a RST that no
//! program can hold back. So a SYN takes two places: its own, and one *held* for the RST. The held one
//! becomes a sent one when the RST is seen, and lapses when [`HELD_SLICES`] slices pass without a
//! SYN-ACK. At every moment `sent in the last second + held ≤ ceiling`; a RST moves one from held to
//! sent and changes nothing in the sum, a lapse lowers it: so the ceiling holds whenever the answers
//! come, all at once too. Into silence a sweep of SYNs still goes at
//! `1 / (1 + 1/256 + 49/256) × 49/50 = 0.82` of the ceiling, because what is held lapses after 0.19 s.
//! Which SYN a RST belongs to is not remembered: the oldest held place is taken, which can only make
//! others lapse later than they might.
//!
//! **Conversations.** A conversation of our kernel's own sockets sends when it likes, for seconds. So it
//! takes a number of *standing* places, of the sweep's ceiling and of its address's, from its leave to
//! its end, and sends no more than so many frames in any second; when it ends, they count as sent at that
//! moment. `sent + held + standing ≤ ceiling` holds at every moment, so whenever its frames come, the
//! ceiling holds.
//!
//! What was not held for (an answer to ARP or neighbour solicitation of those who resolve us, a RST
//! after the lapse) is counted when it is seen, and makes room by a margin: a fiftieth of the ceiling,
//! and more when the last second showed more. It also takes up that frames do not arrive as evenly as
//! they were sent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// The most frames in any one second: of the whole sweep, and to one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    pub packets_per_second: u32,
    pub per_target: u32,
}

/// The contract's defaults.
impl Default for Ceilings {
    fn default() -> Self {
        Ceilings { packets_per_second: 1000, per_target: 40 }
    }
}

/// Which ceiling a frame has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    Sweep,
    Target,
}

/// What the ceilings say to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Now,
    /// Not before this much time has passed; ask again then.
    Later(Duration, Ceiling),
    /// The ceiling is so low that this frame and its consequence never fit.
    Never(Ceiling),
}

/// Slices of the sweep's window in a second, and how many of them a place is held.
const SWEEP_SLICES: usize = 256;
const HELD_SLICES: usize = 48;
/// How long frames leave room for a conversation that was told to wait.
const PATIENCE: Duration = Duration::from_millis(50);
/// Over so many slices (31 ms) frames are spread evenly: short enough to be no burst, long enough that
/// a late wake-up of the sender costs nothing.
const SPREAD: usize = 8;
/// The same for one address: coarser, because there are many.
const TARGET_SLICES: usize = 32;
const TARGET_HELD_SLICES: usize = 6;
/// An address that was silent for longer than window and holding time is forgotten.
const GENERATION: Duration = Duration::from_millis(1300);

/// Frames in the slices of the last second and one more, and places held in the last few.
///
/// `SENT` is the slices of a second and one; `HELD` the slices that a place is held, and one.
#[derive(Debug, Clone)]
pub struct Window<const SENT: usize, const HELD: usize> {
    sent: [u32; SENT],
    held: [u32; HELD],
    sent_sum: u32,
    held_sum: u32,
    slice: u64,
}

impl<const SENT: usize, const HELD: usize> Default for Window<SENT, HELD> {
    fn default() -> Self {
        Window { sent: [0; SENT], held: [0; HELD], sent_sum: 0, held_sum: 0, slice: 0 }
    }
}

impl<const SENT: usize, const HELD: usize> Window<SENT, HELD> {
    const SLICE_NANOS: u64 = 1_000_000_000 / (SENT as u64 - 1);

    /// Moves on to the slice of `now`. A clock that steps back stands still.
    pub fn advance(&mut self, now: Duration) {
        let slice = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX) / Self::SLICE_NANOS;
        let steps = slice.saturating_sub(self.slice);
        for step in 1..=steps.min(SENT as u64 + HELD as u64) {
            let place = (self.slice + step) as usize;
            self.sent_sum -= std::mem::take(&mut self.sent[place % SENT]);
            self.held_sum -= std::mem::take(&mut self.held[place % HELD]);
        }
        if steps > SENT as u64 + HELD as u64 {
            // Every slice is long past: all counts were taken out above.
            self.sent = [0; SENT];
            self.held = [0; HELD];
        }
        self.slice = self.slice.max(slice);
    }

    /// Frames of the last second, and those that may still come of them.
    pub fn load(&self) -> u32 {
        self.sent_sum + self.held_sum
    }

    /// Frames of the running slice and those just before it.
    fn in_last(&self, slices: usize) -> u32 {
        let ages = 0..slices.min(SENT) as u64;
        ages.filter_map(|age| self.slice.checked_sub(age))
            .map(|slice| self.sent[slice as usize % SENT])
            .sum()
    }

    pub fn count(&mut self, frames: u32, held: u32) {
        self.sent[self.slice as usize % SENT] += frames;
        self.sent_sum += frames;
        self.held[self.slice as usize % HELD] += held;
        self.held_sum += held;
    }

    /// A frame that a place was held for: the oldest place turns into it. False if none was held.
    pub fn redeem(&mut self) -> bool {
        for age in (0..HELD).rev() {
            let Some(slice) = self.slice.checked_sub(age as u64) else { continue };
            let held = &mut self.held[slice as usize % HELD];
            if *held > 0 {
                *held -= 1;
                self.held_sum -= 1;
                return true;
            }
        }
        false
    }

    /// The time from `now` to the next slice.
    fn next_slice(&self, now: Duration) -> Duration {
        let next = (self.slice + 1).saturating_mul(Self::SLICE_NANOS);
        Duration::from_nanos(next).saturating_sub(now).max(Duration::from_micros(1))
    }
}

type SweepWindow = Window<{ SWEEP_SLICES + 1 }, { HELD_SLICES + 1 }>;
type TargetWindow = Window<{ TARGET_SLICES + 1 }, { TARGET_HELD_SLICES + 1 }>;

/// The pace of a sweep: pure, told the time by the caller.
///
/// Addresses live in two generations: the younger takes every address that is touched, the elder is
/// dropped when a new generation begins. The sweep's own ceiling bounds how many there can be.
#[derive(Debug)]
pub struct Pace {
    ceilings: Ceilings,
    sweep: SweepWindow,
    unforeseen: TargetWindow,
    /// Places of conversations that go on: of all together, and of each address.
    standing: u32,
    standing_at: HashMap<IpAddr, u32>,
    /// Places that a conversation waits for, and until when frames leave them free.
    wished: u32,
    wished_until: Duration,
    young: HashMap<IpAddr, TargetWindow>,
    old: HashMap<IpAddr, TargetWindow>,
    generation: Duration,
}

impl Pace {
    pub fn new(ceilings: Ceilings) -> Pace {
        Pace {
            ceilings,
            sweep: Window::default(),
            unforeseen: Window::default(),
            standing: 0,
            standing_at: HashMap::new(),
            wished: 0,
            wished_until: Duration::ZERO,
            young: HashMap::new(),
            old: HashMap::new(),
            generation: Duration::ZERO,
        }
    }

    pub fn ceilings(&self) -> Ceilings {
        self.ceilings
    }

    /// Whether a frame may go now that makes our kernel send up to `held` more. Counts nothing.
    pub fn room(&mut self, now: Duration, addresses: &[IpAddr], held: u32) -> Room {
        let wished = if now < self.wished_until { self.wished } else { 0 };
        self.room_beside(now, addresses, 1 + held, wished)
    }

    /// Whether a conversation may begin that takes so many places. Where the sweep's frames take them all, they leave
    /// it some from now on, if it asks again soon.
    pub fn room_to_talk(&mut self, now: Duration, address: IpAddr, places: u32) -> Room {
        let room = self.room_beside(now, &[address], places, 0);
        match room {
            Room::Later(_, Ceiling::Sweep) => {
                (self.wished, self.wished_until) = (places, now + PATIENCE);
            }
            Room::Now => self.wished = 0,
            _ => {}
        }
        room
    }

    /// With `beside` places left free for somebody else.
    fn room_beside(
        &mut self,
        now: Duration,
        addresses: &[IpAddr],
        places: u32,
        beside: u32,
    ) -> Room {
        self.advance(now);
        let ceiling = self.ceilings.packets_per_second;
        if places > ceiling {
            return Room::Never(Ceiling::Sweep);
        }
        // Two frames always fit in the end, or a low ceiling would wait for ever.
        let most = (ceiling - self.margin()).saturating_sub(beside).max(places);
        let share = ceiling / (SWEEP_SLICES / SPREAD) as u32 + 1;
        let taken = self.sweep.load() + self.standing;
        if taken + places > most || self.sweep.in_last(SPREAD) >= share {
            return Room::Later(self.sweep.next_slice(now), Ceiling::Sweep);
        }
        for &address in addresses {
            if places > self.ceilings.per_target {
                return Room::Never(Ceiling::Target);
            }
            let per_target = self.ceilings.per_target;
            let standing = self.standing_at(address);
            let window = self.target(now, address);
            if window.load() + standing + places > per_target {
                return Room::Later(window.next_slice(now), Ceiling::Target);
            }
        }
        Room::Now
    }

    /// Counts a frame that went, with what is held for its consequences.
    pub fn sent(&mut self, now: Duration, addresses: &[IpAddr], held: u32) {
        self.advance(now);
        self.sweep.count(1, held);
        for &address in addresses {
            self.target(now, address).count(1, held);
        }
    }

    /// Takes standing places for a conversation, after [`Pace::room_to_talk`] found room for as many.
    pub fn begin(&mut self, address: IpAddr, places: u32) {
        self.standing += places;
        *self.standing_at.entry(address).or_default() += places;
    }

    /// A conversation ended: its standing places count as sent now.
    pub fn end(&mut self, now: Duration, address: IpAddr, places: u32) {
        self.advance(now);
        self.standing = self.standing.saturating_sub(places);
        if let Some(standing) = self.standing_at.get_mut(&address) {
            *standing = standing.saturating_sub(places);
            if *standing == 0 {
                self.standing_at.remove(&address);
            }
        }
        self.sweep.count(places, 0);
        self.target(now, address).count(places, 0);
    }

    fn standing_at(&self, address: IpAddr) -> u32 {
        if self.standing == 0 {
            return 0;
        }
        self.standing_at.get(&address).copied().unwrap_or_default()
    }

    /// Counts a frame that our kernel sent because of us.
    pub fn caused(&mut self, now: Duration, address: IpAddr, foreseen: Foreseen) {
        self.advance(now);
        let held = foreseen == Foreseen::Held && self.sweep.redeem();
        self.sweep.count(1, 0);
        if !held {
            self.unforeseen.count(1, 0);
        }
        let full = self.young.len() > 4 * self.ceilings.packets_per_second as usize + 1024;
        if !full || self.young.contains_key(&address) {
            let window = self.target(now, address);
            if foreseen == Foreseen::Held {
                window.redeem();
            }
            window.count(1, 0);
        }
    }

    fn margin(&self) -> u32 {
        let ceiling = self.ceilings.packets_per_second;
        (ceiling / 50).max(2 * self.unforeseen.load()).min(ceiling / 2)
    }

    fn advance(&mut self, now: Duration) {
        self.sweep.advance(now);
        self.unforeseen.advance(now);
        if now.saturating_sub(self.generation) > GENERATION {
            self.generation = now;
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
    }

    fn target(&mut self, now: Duration, address: IpAddr) -> &mut TargetWindow {
        let old = &mut self.old;
        let window =
            self.young.entry(address).or_insert_with(|| old.remove(&address).unwrap_or_default());
        window.advance(now);
        window
    }
}

/// Whether a place was held for a frame of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreseen {
    Held,
    No,
}
