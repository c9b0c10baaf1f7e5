//! The ceilings, held against a list of everything that left: random schedules in simulated time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiebei::scope::ceilings::{Ceiling, Cost, Foreseen, Pace, Room};
use jiebei::scope::{Ceilings, UNLIMITED};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);
/// A place for a RST is held so long at least: of the sweep's window, the shorter one.
const FORESEEN: u64 = 185_000;
/// Whoever was asked is remembered for a second, and up to a slice more.
const REMEMBERED: Duration = Duration::from_micros(1_066_700);

struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.roll() >> 16) % bound.max(1)
    }
}

/// Everything that left, and how much of it in the second that ends with the last of it.
#[derive(Default)]
struct Left {
    times: Vec<Duration>,
    first: usize,
}

impl Left {
    fn at(&mut self, now: Duration) -> usize {
        self.times.push(now);
        while self.times[self.first] + SECOND <= now {
            self.first += 1;
        }
        self.times.len() - self.first
    }
}

/// Two prefixes of each family, some addresses in each.
fn address(number: u64) -> IpAddr {
    let (prefix, host) = (number % 2, 1 + number / 4);
    if number % 4 < 2 {
        IpAddr::V4(Ipv4Addr::new(10, 9, prefix as u8, host as u8))
    } else {
        IpAddr::V6(Ipv6Addr::new(0xfd09, 0, 0, prefix as u16, 0, 0, 0, host as u16))
    }
}

fn prefix_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits() >> 8),
        IpAddr::V6(address) => address.to_bits() >> 64,
    }
}

struct Conversation {
    address: IpAddr,
    places: u32,
    end: Duration,
    burst: Duration,
}

/// What a schedule reached: a test that meets nothing of it shows nothing.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Reached {
    sent: u64,
    resets: u64,
    talks: u64,
    by_target: u64,
    by_prefix: u64,
    back: u64,
}

#[derive(Debug, Clone, Copy)]
struct Schedule {
    ceilings: Ceilings,
    addresses: u64,
    /// In microseconds: the longest ordinary step.
    step: u64,
    /// Frames nobody foresaw, one in so many events; none at zero.
    unforeseen: u64,
    talks: bool,
    seed: u64,
}

/// Who sent it: what is ours is within the ceilings, what the kernel sends is unless somebody's places were taken before.
#[derive(Clone, Copy)]
enum Whose {
    Ours,
    Kernels,
    Unforeseen,
}

struct World {
    pace: Pace,
    now: Duration,
    ceilings: Ceilings,
    sweep: Left,
    each: HashMap<IpAddr, Left>,
    newly: HashMap<u128, Left>,
    touched: HashMap<IpAddr, Duration>,
    /// Until when what nobody foresaw may have taken places of others.
    muddied: Duration,
}

impl World {
    /// A frame that left: it is within the ceilings.
    fn left(&mut self, address: IpAddr, whose: Whose) {
        let (now, ceilings) = (self.now, self.ceilings);
        let allowed = match whose {
            Whose::Ours => true,
            Whose::Kernels => now >= self.muddied,
            Whose::Unforeseen => false,
        };
        let all = self.sweep.at(now);
        let own = self.each.entry(address).or_default().at(now);
        if allowed {
            assert!(all <= ceilings.packets_per_second as usize, "{all} at {now:?}: {ceilings:?}");
            assert!(
                own <= ceilings.per_target as usize,
                "{own} to {address} at {now:?}: {ceilings:?}"
            );
        }
    }

    fn asked(&mut self, address: IpAddr, unheard: Option<&IpAddr>) {
        let before = self.touched.insert(address, self.now);
        if unheard.is_some() && before.is_none_or(|before| before + REMEMBERED < self.now) {
            let new = self.newly.entry(prefix_of(address)).or_default().at(self.now);
            let most = self.ceilings.per_prefix as usize;
            assert!(new <= most, "{new} new in the prefix of {address} at {:?}", self.now);
        }
    }
}

fn run(schedule: Schedule) -> Reached {
    let Schedule { ceilings, addresses, step, unforeseen, talks, seed } = schedule;
    let mut dice = Dice(seed | 1);
    let mut reached = Reached::default();
    let mut world = World {
        pace: Pace::new(ceilings),
        now: Duration::from_micros(dice.below(3_000_000)),
        ceilings,
        sweep: Left::default(),
        each: HashMap::new(),
        newly: HashMap::new(),
        touched: HashMap::new(),
        muddied: Duration::ZERO,
    };
    // The first that it is told is the latest.
    world.pace.room(world.now, &Cost::of(&[], 0));
    let end = world.now + Duration::from_secs(6);
    let mut resets: Vec<(Duration, IpAddr, bool)> = Vec::new();
    let mut going: Vec<Conversation> = Vec::new();
    while world.now < end {
        let pause = if dice.below(400) == 0 { 1_500_000 } else { step };
        let mut told = world.now;
        match dice.below(8) {
            0 => {}
            1 => {
                // A clock that steps back: it stands still.
                told = told.saturating_sub(Duration::from_micros(dice.below(400_000)));
                reached.back += 1;
            }
            _ => {
                world.now += Duration::from_micros(dice.below(pause));
                told = world.now;
            }
        }
        let now = world.now;
        resets.sort_by_key(|(due, _, _)| std::cmp::Reverse(*due));
        while let Some((due, address, late)) = resets.pop_if(|(due, _, _)| *due <= now) {
            // Seen when it left, or the step was too long to say so.
            let late = late || now > due;
            if late {
                world.muddied = now + 2 * SECOND;
            }
            world.pace.caused(told, address, Foreseen::Held);
            world.touched.insert(address, now);
            world.left(address, Whose::Kernels);
            reached.resets += 1;
        }
        let (ended, on): (Vec<_>, Vec<_>) = going.drain(..).partition(|talk| talk.end <= now);
        going = on;
        for talk in ended {
            // It sends its most when that is worst: at its end.
            if talk.burst + SECOND <= now {
                (0..talk.places).for_each(|_| world.left(talk.address, Whose::Kernels));
            }
            world.pace.end(told, talk.address, talk.places);
        }
        for talk in &mut going {
            if talk.burst + SECOND <= now && dice.below(4) == 0 {
                talk.burst = now;
                (0..talk.places).for_each(|_| world.left(talk.address, Whose::Kernels));
            }
        }
        if unforeseen > 0 && dice.below(unforeseen) == 0 {
            let address = address(dice.below(addresses + 4));
            // What none of ours can have brought about is somebody else's.
            if world.pace.caused(told, address, Foreseen::No) {
                world.touched.insert(address, now);
                world.muddied = now + 2 * SECOND;
                world.left(address, Whose::Unforeseen);
            }
        }
        let to = address(dice.below(addresses));
        if talks && dice.below(6) == 0 {
            let places = 1 + dice.below(12) as u32;
            if world.pace.room_to_talk(told, to, places) == Room::Now {
                world.pace.begin(to, places);
                let life = Duration::from_micros(dice.below(3_000_000));
                going.push(Conversation { address: to, places, end: now + life, burst: now });
                (0..places).for_each(|_| world.left(to, Whose::Kernels));
                reached.talks += 1;
            }
        }
        for _ in 0..1 + dice.below(6) {
            let held = dice.below(2) as u32;
            let unheard = dice.below(3) > 0;
            let both = [to, address(dice.below(addresses))];
            let steered = dice.below(10) == 0 && both[0] != both[1];
            let cost = Cost {
                to: if steered { &both } else { &both[..1] },
                held,
                unheard: (unheard && !steered).then_some(&both[0]),
            };
            match world.pace.room(told, &cost) {
                Room::Now => {}
                Room::Later(wait, ceiling) => {
                    assert!(!wait.is_zero() && wait <= SECOND);
                    reached.by_target += u64::from(ceiling == Ceiling::Target);
                    reached.by_prefix += u64::from(ceiling == Ceiling::Prefix);
                    continue;
                }
                Room::Never(_) => continue,
            }
            world.pace.sent(told, &cost);
            reached.sent += 1;
            world.asked(to, cost.unheard);
            if steered {
                world.touched.insert(both[1], now);
                let own = world.each.entry(both[1]).or_default().at(now);
                assert!(own <= ceilings.per_target as usize);
            }
            // What nobody foresaw was sent before, so even a frame of ours that follows it is within.
            world.left(to, Whose::Ours);
            if held == 1 && !steered {
                match dice.below(4) {
                    0 => {}
                    1 if unforeseen > 0 => {
                        let late = Duration::from_micros(FORESEEN + 60_000 + dice.below(500_000));
                        resets.push((now + late, to, true));
                    }
                    _ => {
                        resets.push((now + Duration::from_micros(dice.below(FORESEEN)), to, false))
                    }
                }
            }
            // One after the other at the same moment, as a batch goes.
            while let Some((_, address, _)) = resets.pop_if(|(due, _, late)| *due <= now && !*late)
            {
                world.pace.caused(told, address, Foreseen::Held);
                world.touched.insert(address, now);
                world.left(address, Whose::Kernels);
            }
        }
    }
    reached
}

fn ceilings() -> impl Strategy<Value = Ceilings> {
    let of = |values: &'static [u32]| prop::sample::select(values);
    (of(&[2, 9, 60, 300, 1000, 5000]), of(&[2, 3, 15, 40, 48, 49, 120, 1000]), of(&[1, 3, 20, 256]))
        .prop_map(|(packets_per_second, per_target, per_prefix)| Ceilings {
            packets_per_second,
            per_target,
            per_prefix,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn no_second_holds_more_than_the_ceilings(
        ceilings in ceilings(),
        addresses in prop::sample::select(&[1u64, 3, 12, 200][..]),
        step in prop::sample::select(&[20u64, 500, 6_000, 40_000][..]),
        unforeseen in prop::sample::select(&[0u64, 0, 30][..]),
        talks: bool,
        seed: u64,
    ) {
        run(Schedule { ceilings, addresses, step, unforeseen, talks, seed });
    }
}

#[test]
fn the_schedules_meet_every_ceiling() {
    let tight = Ceilings { packets_per_second: 2000, per_target: 40, per_prefix: 20 };
    let schedule = Schedule {
        ceilings: tight,
        addresses: 200,
        step: 2_000,
        unforeseen: 0,
        talks: true,
        seed: 3,
    };
    let many = run(schedule);
    let few = run(Schedule { addresses: 3, talks: false, ..schedule });
    assert!(many.by_prefix > 20 && few.by_target > 100, "{many:?} {few:?}");
    assert!(many.talks > 50 && many.back > 100 && many.resets > 100, "{many:?}");
    assert!(few.sent > 200, "{few:?}");
}

/// As fast as one address may be asked: frames in ten seconds, of what its ceiling allows.
fn share_of_one(per_target: u32, held: u32, reset: Option<Duration>) -> f64 {
    let ceilings = Ceilings { packets_per_second: 100_000, per_target, per_prefix: UNLIMITED };
    let mut pace = Pace::new(ceilings);
    let to = [address(0)];
    let mut resets: Vec<Duration> = Vec::new();
    let mut frames = 0;
    for micros in (0..10_000_000).step_by(500) {
        let now = Duration::from_micros(micros);
        let due = resets.iter().filter(|due| **due <= now).count();
        resets.retain(|due| *due > now);
        for _ in 0..due {
            pace.caused(now, to[0], Foreseen::Held);
            frames += 1;
        }
        if pace.room(now, &Cost::of(&to, held)) == Room::Now {
            pace.sent(now, &Cost::of(&to, held));
            frames += 1;
            resets.extend(reset.map(|after| now + after));
        }
    }
    f64::from(frames) / 10.0 / f64::from(per_target)
}

#[test]
fn an_address_is_asked_nearly_as_often_as_it_may_be() {
    for per_target in [40, 48, 100, 1000] {
        let echoes = share_of_one(per_target, 0, None);
        assert!((0.9..=1.01).contains(&echoes), "{per_target}: {echoes}");
        // Each answered, and the answer reset: two frames a question.
        for millis in [0, 1, 20, 100] {
            let resets = share_of_one(per_target, 1, Some(Duration::from_millis(millis)));
            assert!((0.8..=1.01).contains(&resets), "{per_target}, after {millis} ms: {resets}");
        }
        let silence = share_of_one(per_target, 1, None);
        assert!((0.75..=1.0).contains(&silence), "{per_target}: {silence}");
    }
}

#[test]
fn a_clock_that_steps_back_stands_still() {
    let ceilings = Ceilings { packets_per_second: 1000, per_target: 10, per_prefix: 256 };
    let mut pace = Pace::new(ceilings);
    let to = [address(0)];
    let cost = Cost::of(&to, 0);
    let mut sent = 0;
    // To the full at ten seconds, then an hour's worth of seconds before.
    for millis in (0..=10_000).rev() {
        if pace.room(Duration::from_millis(millis), &cost) == Room::Now {
            pace.sent(Duration::from_millis(millis), &cost);
            sent += 1;
        }
    }
    assert_eq!(sent, 10);
    assert!(pace.room(Duration::from_millis(10_990), &cost) != Room::Now);
    assert_eq!(pace.room(Duration::from_millis(11_070), &cost), Room::Now);
}

#[test]
fn without_ceilings_everything_goes_at_once_and_nothing_is_kept() {
    let mut pace = Pace::new(Ceilings::unlimited());
    for number in 0..100_000u32 {
        let to = [IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number % 7))];
        let cost = Cost { to: &to, held: 1, unheard: Some(&to[0]) };
        assert_eq!(pace.room(Duration::ZERO, &cost), Room::Now);
        pace.sent(Duration::ZERO, &cost);
        pace.caused(Duration::ZERO, to[0], Foreseen::Held);
    }
    assert_eq!(pace.room_to_talk(Duration::ZERO, address(0), 20), Room::Now);
    pace.begin(address(0), 20);
    pace.end(Duration::ZERO, address(0), 20);
    assert_eq!(pace.octets(), 0);
    pace.share(4);
    assert_eq!(pace.ceilings(), Ceilings::unlimited());
}

#[test]
fn an_address_costs_twenty_one_octets_and_its_share_of_what_is_free() {
    let ceilings = Ceilings { packets_per_second: 4_000_000, ..Ceilings::default() };
    let mut pace = Pace::new(ceilings);
    let mut most = 0.0f64;
    // Three million addresses in three seconds: what is remembered is a second's worth and a little.
    for number in 0..3_000_000u32 {
        let now = Duration::from_micros(u64::from(number) / 64 * 64);
        let to = [IpAddr::V4(Ipv4Addr::from_bits(
            0x0a00_0000 + number.wrapping_mul(0x9e37_79b1) % 0x00ff_ffff,
        ))];
        assert_eq!(pace.room(now, &Cost::of(&to, 1)), Room::Now, "{number}");
        pace.sent(now, &Cost::of(&to, 1));
        if number > 500_000 {
            let remembered = f64::from(number.min(1_066_000));
            most = most.max(pace.octets() as f64 / remembered);
        }
    }
    assert!(most <= 48.0, "{most} octets an address");
    assert!(pace.octets() < 56_000_000, "{}", pace.octets());
}

#[test]
fn sweeps_that_share_stay_within_the_larger_ceiling_together() {
    let larger = Ceilings { packets_per_second: 1000, per_target: 40, per_prefix: 256 };
    let smaller = Ceilings { packets_per_second: 400, per_target: 20, per_prefix: 100 };
    // The second comes after three seconds, is seen by the first half a second later, and waits.
    let seconds = |seconds: f64| Duration::from_secs_f64(seconds);
    let mut first = Pace::new(larger);
    let mut second = Pace::new(smaller);
    second.share(2);
    let (mut all, mut to_one) = (Left::default(), Left::default());
    let (mut most, mut most_to_one) = (0, 0);
    let mut of_second = 0;
    for micros in (0..9_000_000).step_by(250) {
        let now = Duration::from_micros(micros);
        if now == seconds(3.5) {
            first.share(2);
        }
        for (pace, begins) in [(&mut first, 0.0), (&mut second, 4.7)] {
            if now < seconds(begins) {
                continue;
            }
            for number in [0, 4 * (1 + micros / 250 % 50)] {
                let to = [address(number)];
                let cost = Cost::of(&to, 0);
                if pace.room(now, &cost) == Room::Now {
                    pace.sent(now, &cost);
                    of_second += usize::from(begins > 0.0);
                    most = most.max(all.at(now));
                    if number == 0 {
                        most_to_one = most_to_one.max(to_one.at(now));
                    }
                }
            }
        }
    }
    assert!(most <= 1000 && most_to_one <= 40, "{most} {most_to_one}");
    assert!(most > 800 && of_second > 500, "{most} {of_second}");
    assert_eq!(smaller.shared_by(1000).per_target, 2);
    assert_eq!(Ceilings { per_target: 1, ..larger }.shared_by(2).per_target, 1);
}
