//! The fence, held against an oracle that shares nothing with it but the rules' meaning.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::time::Duration;

use jiebei::net::{AddressSet, Mac, Prefix};
use jiebei::observe::VantageId;
use jiebei::scope::{Class, Guard, Refusal, Risk, Rules, Vantage};
use jiff::Timestamp;

const RULE_SETS: usize = 2_600;
const TARGETS: usize = 4_000;

/// An address as the oracle sees it: its width in bits, and the bits.
type Bits = (u32, u128);
/// A prefix likewise: width, first address, length.
type Cut = (u32, u128, u32);

/// xorshift64*: the cases are many and need only be spread.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.roll() >> 16) % bound
    }

    fn bits(&mut self) -> u128 {
        u128::from(self.roll()) << 64 | u128::from(self.roll())
    }

    fn one_of<T: Copy>(&mut self, list: &[T]) -> Option<T> {
        (!list.is_empty()).then(|| list[self.below(list.len() as u64) as usize])
    }
}

fn all(width: u32) -> u128 {
    if width == 128 { u128::MAX } else { (1 << width) - 1 }
}

fn low_mask(bits: u32) -> u128 {
    if bits >= 128 { u128::MAX } else { (1 << bits) - 1 }
}

fn address((width, bits): Bits) -> IpAddr {
    match width {
        32 => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        _ => IpAddr::V6(Ipv6Addr::from_bits(bits)),
    }
}

fn prefix((width, first, length): Cut) -> Prefix {
    Prefix::of(address((width, first)), length as u8)
}

/// The bits above the cut are equal: the oracle's one idea of a prefix.
fn inside((width, bits): Bits, (of, first, length): Cut) -> bool {
    width == of && (length == 0 || (bits ^ first) >> (width - length) == 0)
}

fn inside_any(bits: Bits, cuts: &[Cut]) -> bool {
    cuts.iter().any(|cut| inside(bits, *cut))
}

/// The rules as the oracle keeps them.
#[derive(Debug, Default)]
struct Plain {
    scope: Vec<Cut>,
    exclude: Vec<Cut>,
    observe_only: Vec<Cut>,
    canaries: Vec<Bits>,
    own: Vec<(Bits, Cut)>,
    risk: u8,
}

impl Plain {
    fn roll(dice: &mut Dice) -> Plain {
        let mut plain = Plain { risk: dice.below(8).clamp(1, 3) as u8, ..Plain::default() };
        if dice.below(40) == 0 {
            plain.risk = 0;
        }
        for _ in 0..1 + dice.below(4) {
            let cut = base(dice);
            plain.scope.push(cut);
        }
        for list in 0..2 {
            for _ in 0..dice.below(4) {
                // Mostly inside the scope, where it matters; sometimes around it or elsewhere.
                let cut = match dice.below(6) {
                    0 => base(dice),
                    1 => dice.one_of(&plain.scope).map_or((32, 0, 0), |(w, first, length)| {
                        let shorter = length.saturating_sub(dice.below(3) as u32);
                        (w, first & !low_mask(w - shorter), shorter)
                    }),
                    _ => {
                        let (w, first, length) = dice.one_of(&plain.scope).unwrap_or((32, 0, 8));
                        let longer = (length + dice.below(u64::from(w - length) + 1) as u32).min(w);
                        let bits = first | dice.bits() & low_mask(w - length);
                        (w, bits & !low_mask(w - longer), longer)
                    }
                };
                if list == 0 { &mut plain.exclude } else { &mut plain.observe_only }.push(cut);
            }
        }
        for _ in 0..dice.below(3) {
            plain.canaries.push(if dice.below(2) == 0 {
                (32, 0xc633_6400 | u128::from(dice.below(256)))
            } else {
                (128, 0x2001_0db8_ffff << 80 | u128::from(dice.below(256)))
            });
        }
        let own = dice.one_of(&plain.scope).unwrap_or((32, 0x0a00_0000, 8));
        let (w, first, length) = own;
        let length = length.max(if w == 32 { 20 } else { 64 });
        let own_first = first & !low_mask(w - length);
        let own_bits = own_first | 1 + u128::from(dice.below(6)) & low_mask(w - length);
        plain.own.push(((w, own_bits), (w, own_first, length)));
        plain.own.push(((128, 0xfe80 << 112 | 5), (128, 0xfe80 << 112, 64)));
        plain
    }

    fn rules(&self) -> Rules {
        let set = |cuts: &[Cut]| -> AddressSet { cuts.iter().copied().map(prefix).collect() };
        Rules {
            scope: set(&self.scope),
            exclude: set(&self.exclude),
            observe_only: set(&self.observe_only),
            risk: Risk::new(self.risk).unwrap(),
            window: None,
            canaries: self.canaries.iter().copied().map(address).collect(),
            vantages: vec![Vantage {
                id: VantageId(0),
                mac: Mac([2, 0, 0, 0, 0, 1]),
                addresses: self.own.iter().map(|(a, p)| (address(*a), prefix(*p))).collect(),
            }],
        }
    }

    /// Everything that speaks against asking, and whether the address is fragile.
    fn against(&self, target: Bits, class: Class) -> (Vec<Refusal>, bool) {
        let (width, bits) = target;
        let mut against = Vec::new();
        if self.risk == 0 {
            against.push(Refusal::Risk);
        }
        let never_a_host = if width == 32 {
            let first = bits >> 24;
            first == 0 || first == 127 || first >= 224
        } else {
            bits <= 1 || bits >> 120 == 0xff || bits >> 32 == 0xffff
        };
        let edge = self.own.iter().any(|(_, cut)| {
            let (w, first, length) = *cut;
            w == 32
                && length < 31
                && inside(target, *cut)
                && (bits == first || bits == first | low_mask(32 - length))
        });
        if never_a_host || edge {
            against.push(Refusal::NotAHost);
        }
        // 64:ff9b::/96 and 2002::/16 stand for IPv4 addresses.
        let ipv4 = if width == 128 && bits >> 32 == 0x0064_ff9b << 64 {
            Some((32, bits & 0xffff_ffff))
        } else if width == 128 && bits >> 112 == 0x2002 {
            Some((32, bits >> 80 & 0xffff_ffff))
        } else {
            None
        };
        let listed = |cuts: &[Cut]| {
            inside_any(target, cuts) || ipv4.is_some_and(|ipv4| inside_any(ipv4, cuts))
        };
        if listed(&self.exclude) {
            against.push(Refusal::Excluded);
        }
        if self.own.iter().any(|(own, _)| *own == target) {
            against.push(Refusal::Own);
        }
        if self.canaries.contains(&target) {
            against.push(Refusal::Canary);
        }
        let link_local = if width == 32 { bits >> 16 == 0xa9fe } else { bits >> 118 == 0x3fa };
        if !inside_any(target, &self.scope) && !link_local {
            against.push(Refusal::OutsideScope);
        }
        let fragile = listed(&self.observe_only);
        if fragile && class != Class::Gentle {
            against.push(Refusal::ObserveOnly);
        }
        (against, fragile)
    }

    /// A target where the rules change their mind, or anywhere.
    fn target(&self, dice: &mut Dice) -> Bits {
        let lists = [&self.scope, &self.exclude, &self.observe_only];
        match dice.below(16) {
            0..=5 => {
                // An edge of a prefix, or one beside it.
                let list = lists[dice.below(3) as usize];
                let (w, first, length) = dice.one_of(list).unwrap_or((32, 0, 0));
                let edge = if dice.below(2) == 0 { first } else { first | low_mask(w - length) };
                let moved = match dice.below(4) {
                    0 => edge.wrapping_sub(1),
                    1 => edge.wrapping_add(1),
                    _ => edge,
                };
                (w, moved & all(w))
            }
            6..=9 => {
                let list = lists[dice.below(3) as usize];
                let (w, first, length) = dice.one_of(list).unwrap_or((32, 0, 0));
                (w, first | dice.bits() & low_mask(w - length))
            }
            10 => dice.one_of(&self.canaries).unwrap_or((32, 0xc633_6401)),
            11 => {
                let ((w, own), (_, first, length)) = self.own[dice.below(2) as usize];
                match dice.below(4) {
                    0 => (w, own),
                    1 => (w, first),
                    2 => (w, first | low_mask(w - length)),
                    _ => (w, first | dice.bits() & low_mask(w - length)),
                }
            }
            12 => match dice.below(2) {
                0 => (32, 0xa9fe_0000 | u128::from(dice.below(65536))),
                _ => (128, 0xfe80 << 112 | u128::from(dice.roll())),
            },
            13 => match dice.below(4) {
                0 => (32, 0xe000_0000 | u128::from(dice.below(1 << 28))),
                1 => (32, [0, 0x7f00_0001, 0xffff_ffff, 0xf000_0001][dice.below(4) as usize]),
                2 => (128, 0xff02 << 112 | u128::from(dice.below(3))),
                _ => (128, u128::from(dice.below(3))),
            },
            14 => {
                let (_, bits) = self.target_of_width(dice, 32);
                match dice.below(3) {
                    0 => (128, 0x0064_ff9b << 96 | bits),
                    1 => (128, 0x2002 << 112 | bits << 80 | dice.bits() & low_mask(80)),
                    _ => (128, 0xffff << 32 | bits),
                }
            }
            _ => {
                let w = if dice.below(2) == 0 { 32 } else { 128 };
                (w, dice.bits() & all(w))
            }
        }
    }

    fn target_of_width(&self, dice: &mut Dice, width: u32) -> Bits {
        let lists = [&self.scope, &self.exclude, &self.observe_only];
        let list = lists[dice.below(3) as usize];
        match list.iter().find(|(w, ..)| *w == width) {
            Some(&(w, first, length)) => (w, first | dice.bits() & low_mask(w - length)),
            None => (width, dice.bits() & all(width)),
        }
    }
}

/// A prefix as scopes have them, here and there at the ends of the families.
fn base(dice: &mut Dice) -> Cut {
    let (w, bits, length) = match dice.below(8) {
        0 => (32, 0x0a00_0000 | dice.bits() & 0xff_ffff, 8 + dice.below(25) as u32),
        1 => (32, dice.bits() & all(32), dice.below(33) as u32),
        2 => (32, 0x0a14_0000 | dice.bits() & 0xffff, 16 + dice.below(17) as u32),
        3 => (32, all(32), 1 + dice.below(32) as u32),
        4 => (128, 0xfd00 << 112 | dice.bits() >> 16, 8 + dice.below(121) as u32),
        5 => (128, dice.bits(), dice.below(129) as u32),
        6 => (128, 0x0064_ff9b << 96 | dice.bits() & 0xffff_ffff, 96 + dice.below(33) as u32),
        _ => (128, 0x2002 << 112 | dice.bits() >> 16, 16 + dice.below(113) as u32),
    };
    (w, bits & !low_mask(w - length) & all(w), length)
}

/// How often each kind of case was met.
#[derive(Debug, Default)]
struct Met {
    cases: u64,
    admitted: [u64; 2],
    fragile: u64,
    refused: std::collections::BTreeMap<Refusal, u64>,
    excluded_inside_scope: u64,
    link_local: u64,
    translated_excluded: u64,
    edges: u64,
}

#[test]
fn ten_million_cases_agree_with_the_oracle() {
    let met = Mutex::new(Met::default());
    std::thread::scope(|threads| {
        for thread in 0..2 {
            let met = &met;
            threads.spawn(move || {
                let mut own = Met::default();
                for set in 0..RULE_SETS / 2 {
                    let seed = (set * 2 + thread) as u64;
                    one_rule_set(seed, &mut own);
                }
                let mut met = met.lock().unwrap();
                met.cases += own.cases;
                met.fragile += own.fragile;
                met.excluded_inside_scope += own.excluded_inside_scope;
                met.link_local += own.link_local;
                met.translated_excluded += own.translated_excluded;
                met.edges += own.edges;
                for family in 0..2 {
                    met.admitted[family] += own.admitted[family];
                }
                for (refusal, times) in own.refused {
                    *met.refused.entry(refusal).or_default() += times;
                }
            });
        }
    });
    let met = met.into_inner().unwrap();
    assert!(met.cases >= 10_000_000, "{met:?}");
    for rare in [
        met.admitted[0],
        met.admitted[1],
        met.fragile,
        met.excluded_inside_scope,
        met.link_local,
        met.translated_excluded,
        met.edges,
    ] {
        assert!(rare > 1_000, "{met:?}");
    }
    for refusal in [
        Refusal::OutsideScope,
        Refusal::Excluded,
        Refusal::ObserveOnly,
        Refusal::Risk,
        Refusal::NotAHost,
        Refusal::Canary,
        Refusal::Own,
    ] {
        assert!(met.refused.get(&refusal).copied() > Some(1_000), "{refusal:?}: {met:?}");
    }
}

fn one_rule_set(seed: u64, met: &mut Met) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let plain = Plain::roll(&mut dice);
    let guard = Guard::new(plain.rules(), Timestamp::UNIX_EPOCH);
    for _ in 0..TARGETS {
        let target = plain.target(&mut dice);
        let class = [Class::Gentle, Class::Ordinary, Class::Steered][dice.below(3) as usize];
        let (against, fragile) = plain.against(target, class);
        let told = guard.admit(address(target), VantageId(0), class);
        met.cases += 1;
        match told {
            Ok(admitted) => {
                assert!(against.is_empty(), "{} {against:?} {plain:?}", address(target));
                assert_eq!(admitted.address(), address(target));
                assert_eq!(admitted.is_fragile(), fragile, "{} {plain:?}", address(target));
                met.admitted[usize::from(target.0 == 128)] += 1;
                met.fragile += u64::from(fragile);
                met.link_local += u64::from(!inside_any(target, &plain.scope));
            }
            Err(refusal) => {
                assert!(
                    against.contains(&refusal),
                    "{} {refusal:?} {against:?} {plain:?}",
                    address(target)
                );
                *met.refused.entry(refusal).or_default() += 1;
                if refusal == Refusal::Excluded {
                    met.excluded_inside_scope += u64::from(inside_any(target, &plain.scope));
                    met.translated_excluded += u64::from(!inside_any(target, &plain.exclude));
                }
                met.edges += u64::from(
                    refusal == Refusal::NotAHost
                        && plain.own.iter().any(|(_, cut)| inside(target, *cut)),
                );
            }
        }
    }
}

#[test]
fn the_window_is_open_between_its_ends_and_never_else() {
    let at = |second| Timestamp::from_second(second).unwrap();
    let rules = |window| Rules { window, ..Plain::roll(&mut Dice(3)).rules() };
    let started = at(1_000);
    let second = Duration::from_secs;
    let open = |window, now| Guard::new(rules(window), started).open_at(now).is_ok();
    assert!(open(None, second(1 << 40)));
    let window = Some((at(1_010), at(1_020)));
    assert_eq!(
        [0, 9, 10, 20, 21].map(|now| open(window, second(now))),
        [false, false, true, true, false]
    );
    assert!(open(Some((at(0), at(1_020))), second(0)));
    assert!(!open(Some((at(0), at(999))), second(0)));
}
