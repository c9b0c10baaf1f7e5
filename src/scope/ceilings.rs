//! Ceilings over any one-second window: for the sweep, for each address, and for what is unheard of in each prefix.
//!
//! Time is cut into slices. A [`Window`] keeps how many frames left in each slice of the last second
//! and one slice more, so every window of one second, wherever it begins, lies inside what is summed;
//! the sum never exceeds the ceiling, so no window does. A pause is not made good by a burst, because
//! [`SPREAD`] slices together take little more than their share.
//!
//! **Addresses** have windows of fifteen slices and one, in twenty octets with their address ([`super::windows`]); the argument is the
//! same. An address that is asked as fast as may be gets `15/16 = 0.94` of its ceiling, and in SYNs into silence
//! `1 / (1 + 1/15 + 7/30) = 0.77` of it.
//!
//! **Prefixes.** The last router before a host keeps a place in its neighbour table, and asks the link, for every address that it
//! is handed a packet for, whether anybody is there or not. So in any second no more than `per_prefix` addresses
//! behind a router, in one /24 or /64, of which nothing was heard, are asked that were not asked in the second before: what asks an address
//! once more finds its place taken already. Their frames are counted in a window of their prefix. Whether an address was asked is
//! what its own window says; where addresses have no ceiling and no windows, every frame counts.
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
//! its end, and sends no more than so many frames in any second. When it ends, they count as sent at that
//! moment in the sweep's window, and stand a second longer at its address, which is the same.
//! `sent + held + standing ≤ ceiling` holds at every moment, so whenever its frames come, the
//! ceiling holds.
//!
//! What was not held for (an answer to ARP or neighbour solicitation of those who resolve us, a RST
//! after the lapse) is counted when it is seen, and makes room by a margin: a fiftieth of the ceiling,
//! and more when the last second showed more. It also takes up that frames do not arrive as evenly as
//! they were sent.
//!
//! Only what our frames can have brought about is counted: [`RESETS_FOR_EACH`] SYN, and of other frames
//! [`OWED_FOR_EACH`] of ours, of the last seconds. Somebody who floods us with forged SYN-ACKs or ARP
//! requests makes our kernel answer, and is not to starve the sweep by it.
//!
//! **Several sweeps on one interface** take an equal part each ([`Pace::share`]). What was sent before counts under the lower
//! ceiling too, so a second after the part became smaller, what left in the last second is within it. When it may become
//! larger again is [`crate::link::Sharing`]'s to say: a second after somebody left.
//!
//! **The clock** is the caller's. One that steps back stands still until it has caught up: what was counted stays counted.
//!
//! **Without ceilings** ([`UNLIMITED`]) nothing of this is kept. It is for a lab, and only where somebody says so.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::windows::{self, Counts, Nibbles, Table, Words};

/// The value of a ceiling that is none.
pub const UNLIMITED: u32 = u32::MAX;

/// The most in any one second: frames of the whole sweep, frames to one address, and addresses of one /24 or /64 behind a
/// router that are newly asked and of which nothing was heard. Each may be [`UNLIMITED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    pub packets_per_second: u32,
    pub per_target: u32,
    pub per_prefix: u32,
}

/// The contract's defaults.
///
/// 256 unheard addresses of a prefix: a /24 in a second. Linux keeps 128 neighbours without a thought (`gc_thresh1`),
/// and never more than 1024 of one family (`gc_thresh3`); one that does not answer is given up after three seconds. So a router with one
/// such prefix is full to three quarters at most (three seconds of 256) and goes on resolving for everybody else.
impl Default for Ceilings {
    fn default() -> Self {
        Ceilings { packets_per_second: 1000, per_target: 40, per_prefix: 256 }
    }
}

/// A SYN and its RST: with less nothing is asked at all.
const LEAST_SHARE: u32 = 2;

impl Ceilings {
    /// As fast as the link takes it: for a lab.
    pub const fn unlimited() -> Ceilings {
        Ceilings { packets_per_second: UNLIMITED, per_target: UNLIMITED, per_prefix: UNLIMITED }
    }

    /// The part of each of so many sweeps.
    pub fn shared_by(self, sweeps: u32) -> Ceilings {
        let part = |ceiling: u32| match ceiling {
            UNLIMITED => UNLIMITED,
            ceiling => (ceiling / sweeps.max(1)).max(LEAST_SHARE.min(ceiling)),
        };
        Ceilings {
            packets_per_second: part(self.packets_per_second),
            per_target: part(self.per_target),
            per_prefix: part(self.per_prefix),
        }
    }
}

/// Which ceiling a frame has to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    Sweep,
    Target,
    /// Of addresses in its /24 or /64 of which nothing was heard.
    Prefix,
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

/// What a frame costs. Addresses are borrowed all the way: an [`IpAddr`] is copied in odd pieces, and a processor that copies
/// it again from these waits for its stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost<'a> {
    /// The addresses under whose ceilings it counts.
    pub to: &'a [IpAddr],
    /// How many more frames it may make our kernel send.
    pub held: u32,
    /// An address behind a router of which nothing was heard: it counts in its prefix.
    pub unheard: Option<&'a IpAddr>,
}

impl<'a> Cost<'a> {
    /// Of a frame that counts in no prefix.
    pub fn of(to: &'a [IpAddr], held: u32) -> Cost<'a> {
        Cost { to, held, unheard: None }
    }
}

/// Slices of the sweep's window in a second, and how many of them a place is held.
const SWEEP_SLICES: usize = 256;
const HELD_SLICES: usize = 48;
/// How long frames leave room for a conversation that was told to wait.
const PATIENCE: Duration = Duration::from_millis(50);
/// The most addresses that are remembered because our kernel spoke to them: those of four sweeps of a million a second.
const MOST_CAUSED: usize = 1 << 22;
/// Over so many slices (31 ms) frames are spread evenly: short enough to be no burst, long enough that
/// a late wake-up of the sender costs nothing.
const SPREAD: usize = 8;
/// What was not foreseen is counted more coarsely: it only makes the margin.
const UNFORESEEN_SLICES: usize = 32;
/// Any window of one second.
const SECOND: Duration = Duration::from_secs(1);

fn nanos(now: Duration) -> u64 {
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Frames in the slices of the last second and one more, and places held in the last few.
///
/// `SENT` is the slices of a second and one; `HELD` the slices that a place is held, and one.
#[derive(Debug, Clone)]
pub struct Window<const SENT: usize, const HELD: usize> {
    sent: [u32; SENT],
    held: [u32; HELD],
    sent_sum: u32,
    held_sum: u32,
    /// Frames of the running slice and those just before it, [`SPREAD`] together.
    recent: u32,
    slice: u64,
}

impl<const SENT: usize, const HELD: usize> Default for Window<SENT, HELD> {
    fn default() -> Self {
        Window { sent: [0; SENT], held: [0; HELD], sent_sum: 0, held_sum: 0, recent: 0, slice: 0 }
    }
}

impl<const SENT: usize, const HELD: usize> Window<SENT, HELD> {
    const SLICE_NANOS: u64 = 1_000_000_000 / (SENT as u64 - 1);

    /// Moves on to the slice of `now`. A clock that steps back stands still.
    pub fn advance(&mut self, now: Duration) {
        let slice = nanos(now) / Self::SLICE_NANOS;
        let steps = slice.saturating_sub(self.slice);
        if steps == 0 {
            return;
        }
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
        self.slice = slice;
        self.recent = self.in_last(SPREAD);
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
        self.recent += frames;
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

/// Whether an address was asked in the second before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Anew,
    Again,
}

/// The windows of addresses in both families.
#[derive(Debug)]
struct Addresses<C> {
    ipv4: Table<u32, C>,
    ipv6: Table<[u32; 4], C>,
}

impl<C: Counts> Addresses<C> {
    fn new() -> Addresses<C> {
        Addresses { ipv4: Table::new(), ipv6: Table::new() }
    }

    fn load(&mut self, address: &IpAddr, tick: u32, places: u32) -> u32 {
        let window = match address {
            IpAddr::V4(address) => self.ipv4.look(address.to_bits(), tick),
            IpAddr::V6(address) => self.ipv6.look(windows::quarters(address.to_bits()), tick),
        };
        if window.fits(places) { window.load() } else { windows::FULL }
    }

    fn count(&mut self, address: &IpAddr, tick: u32, held: u32) -> Asked {
        let count = |window: &mut C| {
            let asked = if window.load() == 0 { Asked::Anew } else { Asked::Again };
            window.count(1, held);
            asked
        };
        let asked = match address {
            IpAddr::V4(address) => self.ipv4.count(address.to_bits(), tick, count),
            IpAddr::V6(address) => {
                self.ipv6.count(windows::quarters(address.to_bits()), tick, count)
            }
        };
        asked.unwrap_or(Asked::Anew)
    }

    fn caused(&mut self, address: IpAddr, tick: u32, foreseen: Foreseen, most: usize) {
        let count = |window: &mut C| {
            if foreseen == Foreseen::Held {
                window.redeem();
            }
            window.count(1, 0);
        };
        match address {
            IpAddr::V4(address) => self.ipv4.count_few(address.to_bits(), tick, most, count),
            IpAddr::V6(address) => {
                self.ipv6.count_few(windows::quarters(address.to_bits()), tick, most, count);
            }
        }
    }

    fn octets(&self) -> usize {
        self.ipv4.octets() + self.ipv6.octets()
    }
}

/// The windows of addresses, as wide as their ceiling needs.
#[derive(Debug)]
enum Targets {
    Unlimited,
    Narrow(Addresses<Nibbles>),
    Wide(Addresses<Words>),
}

impl Targets {
    fn under(ceiling: u32) -> Targets {
        match ceiling {
            UNLIMITED => Targets::Unlimited,
            ceiling if ceiling <= Nibbles::CEILING => Targets::Narrow(Addresses::new()),
            _ => Targets::Wide(Addresses::new()),
        }
    }

    /// What was sent to an address in the last second, and is held; [`windows::FULL`] where the running slice cannot count
    /// so many places more.
    fn load(&mut self, address: &IpAddr, tick: u32, places: u32) -> u32 {
        match self {
            Targets::Unlimited => 0,
            Targets::Narrow(windows) => windows.load(address, tick, places),
            Targets::Wide(windows) => windows.load(address, tick, places),
        }
    }

    fn count(&mut self, address: &IpAddr, tick: u32, held: u32) -> Asked {
        match self {
            Targets::Unlimited => Asked::Anew,
            Targets::Narrow(windows) => windows.count(address, tick, held),
            Targets::Wide(windows) => windows.count(address, tick, held),
        }
    }

    fn caused(&mut self, address: IpAddr, tick: u32, foreseen: Foreseen, most: usize) {
        match self {
            Targets::Unlimited => {}
            Targets::Narrow(windows) => windows.caused(address, tick, foreseen, most),
            Targets::Wide(windows) => windows.caused(address, tick, foreseen, most),
        }
    }

    fn octets(&self) -> usize {
        match self {
            Targets::Unlimited => 0,
            Targets::Narrow(windows) => windows.octets(),
            Targets::Wide(windows) => windows.octets(),
        }
    }
}

/// The windows of prefixes: a /24 or a /64 each.
#[derive(Debug)]
struct Prefixes {
    ipv4: Table<u32, Words>,
    ipv6: Table<[u32; 2], Words>,
}

impl Prefixes {
    fn load(&mut self, address: &IpAddr, tick: u32) -> u32 {
        let window = match address {
            IpAddr::V4(address) => self.ipv4.look(address.to_bits() >> 8, tick),
            IpAddr::V6(address) => self.ipv6.look(upper_half(address), tick),
        };
        if window.fits(1) { window.load() } else { windows::FULL }
    }

    fn count(&mut self, address: &IpAddr, tick: u32) {
        let count = |window: &mut Words| window.count(1, 0);
        match address {
            IpAddr::V4(address) => self.ipv4.count(address.to_bits() >> 8, tick, count),
            IpAddr::V6(address) => self.ipv6.count(upper_half(address), tick, count),
        };
    }
}

fn upper_half(address: &Ipv6Addr) -> [u32; 2] {
    windows::halves((address.to_bits() >> 64) as u64)
}

/// What keeps a frame back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocked {
    For(Ceiling),
    Ever(Ceiling),
}

/// What is owed is that of so many seconds at the ceiling: longer than an answer takes to come.
const OWED_SECONDS: u64 = 4;
/// A tarpit repeats its SYN-ACK as if our reset had not come: five times, as Linux does without it.
const RESETS_FOR_EACH: u64 = 6;
/// Frames that one of ours can make our kernel send, resets apart: three tries to resolve who answers, and an answer to
/// who resolves us.
const OWED_FOR_EACH: u64 = 4;

/// The pace of a sweep: pure, told the time by the caller.
///
/// An address or a prefix that was silent for longer than its window is forgotten; the sweep's own ceiling bounds how many
/// there can be.
#[derive(Debug)]
pub struct Pace {
    /// Of this sweep, if it were alone.
    whole: Ceilings,
    /// Its part of them.
    ceilings: Ceilings,
    /// The latest that it was told.
    now: Duration,
    tick: u32,
    sweep: SweepWindow,
    unforeseen: Window<{ UNFORESEEN_SLICES + 1 }, 1>,
    /// Places of conversations that go on: of all together, and of each address.
    standing: u32,
    /// Resets, and other frames of our kernel's, that our own can have brought about and have not been seen.
    owed_resets: u64,
    owed: u64,
    standing_at: HashMap<IpAddr, u32>,
    /// When the places of conversations that ended stand no longer at their address.
    standing_until: VecDeque<(Duration, IpAddr, u32)>,
    /// Places that a conversation waits for, and until when frames leave them free.
    wished: u32,
    wished_until: Duration,
    targets: Targets,
    /// None where they are unlimited.
    prefixes: Option<Prefixes>,
}

impl Pace {
    pub fn new(ceilings: Ceilings) -> Pace {
        let prefixes = || Prefixes { ipv4: Table::new(), ipv6: Table::new() };
        Pace {
            whole: ceilings,
            ceilings,
            now: Duration::ZERO,
            tick: 0,
            sweep: Window::default(),
            unforeseen: Window::default(),
            standing: 0,
            owed_resets: 0,
            owed: 0,
            standing_at: HashMap::new(),
            standing_until: VecDeque::new(),
            wished: 0,
            wished_until: Duration::ZERO,
            targets: Targets::under(ceilings.per_target),
            prefixes: (ceilings.per_prefix != UNLIMITED).then(prefixes),
        }
    }

    /// This sweep's part, where it shares them.
    pub fn ceilings(&self) -> Ceilings {
        self.ceilings
    }

    /// So many sweeps go by one interface, this one among them: each takes its part.
    pub fn share(&mut self, sweeps: u32) {
        self.ceilings = self.whole.shared_by(sweeps);
    }

    /// Octets that the windows of addresses take.
    pub fn octets(&self) -> usize {
        self.targets.octets()
    }

    /// Whether a frame may go now. Counts nothing.
    pub fn room(&mut self, now: Duration, cost: &Cost<'_>) -> Room {
        self.advance(now);
        let places = 1 + cost.held;
        let wished = if self.now < self.wished_until { self.wished } else { 0 };
        if let Some(blocked) = self.blocked_in_sweep(places, wished) {
            return self.room_after(blocked);
        }
        for address in cost.to {
            if let Some(blocked) = self.blocked_at(address, places, cost.unheard) {
                return self.room_after(blocked);
            }
        }
        Room::Now
    }

    /// Whether a conversation may begin that takes so many places. Where the sweep's frames take them all, they leave
    /// it some from now on, if it asks again soon.
    pub fn room_to_talk(&mut self, now: Duration, address: IpAddr, places: u32) -> Room {
        self.advance(now);
        if let Some(blocked) = self.blocked_in_sweep(places, 0) {
            if blocked == Blocked::For(Ceiling::Sweep) {
                (self.wished, self.wished_until) = (places, self.now + PATIENCE);
            }
            return self.room_after(blocked);
        }
        let per_target = self.ceilings.per_target;
        if places > per_target {
            return Room::Never(Ceiling::Target);
        }
        let standing = self.standing_at(&address) + places;
        // Nothing of it is counted in a slice: it stands.
        if self.targets.load(&address, self.tick, 0).saturating_add(standing) > per_target {
            return self.room_after(Blocked::For(Ceiling::Target));
        }
        self.wished = 0;
        Room::Now
    }

    fn room_after(&self, blocked: Blocked) -> Room {
        match blocked {
            Blocked::For(Ceiling::Sweep) => {
                Room::Later(self.sweep.next_slice(self.now), Ceiling::Sweep)
            }
            Blocked::For(ceiling) => Room::Later(self.next_tick(), ceiling),
            Blocked::Ever(ceiling) => Room::Never(ceiling),
        }
    }

    /// With `beside` places left free for somebody else.
    fn blocked_in_sweep(&self, places: u32, beside: u32) -> Option<Blocked> {
        let ceiling = self.ceilings.packets_per_second;
        if ceiling == UNLIMITED {
            return None;
        }
        if places > ceiling {
            return Some(Blocked::Ever(Ceiling::Sweep));
        }
        // Two frames always fit in the end, or a low ceiling would wait for ever.
        let most = (ceiling - self.margin()).saturating_sub(beside).max(places);
        let share = ceiling / (SWEEP_SLICES / SPREAD) as u32 + 1;
        let taken = self.sweep.load() + self.standing;
        let blocked = taken + places > most || self.sweep.recent >= share;
        blocked.then_some(Blocked::For(Ceiling::Sweep))
    }

    fn blocked_at(
        &mut self,
        address: &IpAddr,
        places: u32,
        unheard: Option<&IpAddr>,
    ) -> Option<Blocked> {
        let per_target = self.ceilings.per_target;
        if places > per_target {
            return Some(Blocked::Ever(Ceiling::Target));
        }
        let load = self.targets.load(address, self.tick, places);
        let taken = load.saturating_add(self.standing_at(address));
        if taken.saturating_add(places) > per_target {
            return Some(Blocked::For(Ceiling::Target));
        }
        if load == 0 && unheard == Some(address) { self.blocked_in_prefix(address) } else { None }
    }

    fn blocked_in_prefix(&mut self, unheard: &IpAddr) -> Option<Blocked> {
        let most = self.ceilings.per_prefix;
        let prefixes = self.prefixes.as_mut()?;
        if most == 0 {
            return Some(Blocked::Ever(Ceiling::Prefix));
        }
        (prefixes.load(unheard, self.tick) >= most).then_some(Blocked::For(Ceiling::Prefix))
    }

    /// Counts a frame that went, with what is held for its consequences.
    pub fn sent(&mut self, now: Duration, cost: &Cost<'_>) {
        self.advance(now);
        self.owe(1, cost.held);
        if self.ceilings.packets_per_second != UNLIMITED {
            self.sweep.count(1, cost.held);
        }
        for address in cost.to {
            if self.targets.count(address, self.tick, cost.held) == Asked::Anew
                && cost.unheard == Some(address)
                && let Some(prefixes) = &mut self.prefixes
            {
                prefixes.count(address, self.tick);
            }
        }
    }

    /// So many frames of ours, and so many SYNs, may bring about frames of our kernel's.
    fn owe(&mut self, frames: u32, syns: u32) {
        let most = u64::from(self.ceilings.packets_per_second) * OWED_SECONDS;
        let resets = u64::from(syns) * RESETS_FOR_EACH;
        self.owed_resets = (self.owed_resets + resets).min(most * RESETS_FOR_EACH);
        self.owed = (self.owed + u64::from(frames) * OWED_FOR_EACH).min(most * OWED_FOR_EACH);
    }

    /// Takes standing places for a conversation, after [`Pace::room_to_talk`] found room for as many.
    pub fn begin(&mut self, address: IpAddr, places: u32) {
        self.owe(places, places);
        if self.ceilings.packets_per_second != UNLIMITED {
            self.standing += places;
        }
        if self.ceilings.per_target != UNLIMITED {
            *self.standing_at.entry(address).or_default() += places;
        }
    }

    /// A conversation ended: its standing places count as sent now.
    pub fn end(&mut self, now: Duration, address: IpAddr, places: u32) {
        self.advance(now);
        if self.ceilings.packets_per_second != UNLIMITED {
            self.standing = self.standing.saturating_sub(places);
            self.sweep.count(places, 0);
        }
        if self.ceilings.per_target != UNLIMITED {
            self.standing_until.push_back((self.now + SECOND, address, places));
        }
    }

    fn standing_at(&self, address: &IpAddr) -> u32 {
        if self.standing_at.is_empty() {
            return 0;
        }
        self.standing_at.get(address).copied().unwrap_or_default()
    }

    /// Counts a frame that our kernel sent because of us. False where it cannot be because of us: then it is
    /// not counted.
    pub fn caused(&mut self, now: Duration, address: IpAddr, foreseen: Foreseen) -> bool {
        self.advance(now);
        let ceiling = self.ceilings.packets_per_second;
        let owed = match foreseen {
            Foreseen::Held => &mut self.owed_resets,
            Foreseen::No => &mut self.owed,
        };
        let Some(left) = owed.checked_sub(1) else { return false };
        *owed = left;
        if ceiling != UNLIMITED {
            let held = foreseen == Foreseen::Held && self.sweep.redeem();
            self.sweep.count(1, 0);
            if !held {
                self.unforeseen.count(1, 0);
            }
        }
        // Whom our kernel speaks to is not always our choice: others cannot make us remember more.
        let most = (ceiling as usize).saturating_mul(4).min(MOST_CAUSED) + 1024;
        self.targets.caused(address, self.tick, foreseen, most);
        true
    }

    fn margin(&self) -> u32 {
        let ceiling = self.ceilings.packets_per_second;
        (ceiling / 50).max(2 * self.unforeseen.load()).min(ceiling / 2)
    }

    /// A clock that steps back stands still.
    fn advance(&mut self, now: Duration) {
        if now <= self.now {
            return;
        }
        self.now = now;
        self.tick = windows::tick(nanos(now));
        self.sweep.advance(now);
        self.unforeseen.advance(now);
        while let Some((_, address, places)) =
            self.standing_until.pop_front_if(|(until, _, _)| *until <= now)
        {
            if let Some(standing) = self.standing_at.get_mut(&address) {
                *standing = standing.saturating_sub(places);
                if *standing == 0 {
                    self.standing_at.remove(&address);
                }
            }
        }
    }

    /// The time to the next tick.
    fn next_tick(&self) -> Duration {
        let next = Duration::from_nanos(windows::begin_of(self.tick + 1));
        next.saturating_sub(self.now).max(Duration::from_micros(1))
    }
}

/// Whether a place was held for a frame of the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreseen {
    Held,
    No,
}
