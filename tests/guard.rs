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
        let own_bits = own_first | ((1 + u128::from(dice.below(6))) & low_mask(w - length));
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
            collector: None,
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

mod frames {
    use super::*;
    use std::sync::{Arc, Mutex};

    use jiebei::link::{LinkError, Transmit};
    use jiebei::net::special;
    use jiebei::scope::ceilings::Ceiling;
    use jiebei::scope::{Ceilings, Fence, Leave, Submission, To, Transport, Wanted};
    use jiebei::wire::tcp::TcpSegment;
    use jiebei::wire::{Protocol, build, icmp, tcp};

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 7]);
    const V: VantageId = VantageId(0);

    /// A link that keeps what it is given.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Transmit for Kept {
        fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
            self.0.lock().unwrap().push(frame.to_vec());
            Ok(())
        }

        fn flush(&mut self) -> Result<usize, LinkError> {
            Ok(0)
        }

        fn interface(&self) -> &str {
            "kept"
        }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn v4(text: &str) -> Ipv4Addr {
        text.parse().unwrap()
    }

    fn v6(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn set(prefixes: &[&str]) -> AddressSet {
        prefixes.iter().map(|text| text.parse::<Prefix>().unwrap()).collect()
    }

    fn rules(risk: Risk) -> Rules {
        Rules {
            scope: set(&["10.20.0.0/16", "fd20::/48"]),
            exclude: set(&["10.20.1.66/32", "fd20::66/128"]),
            observe_only: set(&["10.20.1.80/29"]),
            risk,
            window: None,
            canaries: vec![ip("198.51.100.10")],
            collector: None,
            vantages: vec![Vantage {
                id: V,
                mac: OURS,
                addresses: vec![
                    (ip("10.20.1.5"), "10.20.1.0/24".parse().unwrap()),
                    (ip("fd20::5"), "fd20::/64".parse().unwrap()),
                    (ip("fe80::5"), "fe80::/64".parse().unwrap()),
                ],
            }],
        }
    }

    fn fence(risk: Risk, ceilings: Ceilings) -> (Fence, Kept) {
        let mut fence = Fence::new(Guard::new(rules(risk), Timestamp::UNIX_EPOCH), ceilings);
        let kept = Kept::default();
        fence.add_link(V, Box::new(kept.clone()));
        (fence, kept)
    }

    fn to(destination: Mac) -> build::Macs {
        build::Macs { source: OURS, destination }
    }

    fn echo(macs: build::Macs, source: &str, destination: &str, hop_limit: u8) -> Vec<u8> {
        let echo = icmp::Echo { identifier: 1, sequence: 1, data: &[0; 16] };
        build::echo_request(macs, v4(source), v4(destination), hop_limit, echo)
    }

    fn segment(destination: &str, flags: u8) -> Vec<u8> {
        let segment = TcpSegment {
            source: 30000,
            destination: 443,
            sequence: 1,
            acknowledgement: 0,
            flags,
            window: 1024,
            options: &[],
            payload: &[],
        };
        build::tcp_segment(to(THEIRS), ip("10.20.1.5"), ip(destination), 64, &segment).unwrap()
    }

    fn outcome(submission: Submission) -> Result<(), Refusal> {
        match submission {
            Submission::Sent => Ok(()),
            Submission::Refused(refusal) => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_frame_goes_only_if_it_is_what_its_permit_says() {
        let (mut fence, kept) = fence(Risk::LINK_WIDE, Ceilings::default());
        let target = fence.guard().admit(ip("10.20.1.7"), V, Class::Ordinary).unwrap();
        let gentle = fence.guard().admit(ip("10.20.1.7"), V, Class::Gentle).unwrap();
        let target6 = fence.guard().admit(ip("fd20::7"), V, Class::Ordinary).unwrap();
        let (own, its) = (v4("10.20.1.5"), v4("10.20.1.7"));
        let mut vlan = echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64);
        vlan.splice(12..12, [0x81, 0, 0, 5]);
        let mut routed = echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64);
        routed[14] = 0x46;
        let mut cut = echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64);
        cut.truncate(40);
        let advertisement =
            build::packet(to(THEIRS), ip("fd20::5"), ip("fd20::7"), Protocol::ICMPV6, 255, &{
                let mut message = vec![136, 0, 0, 0, 0x60, 0, 0, 0];
                message.extend_from_slice(&v6("fd20::7").octets());
                message
            })
            .unwrap();
        let mut answer = build::arp_request(to(Mac::BROADCAST), own, its);
        answer[21] = 2;
        let tunnel =
            build::packet(to(THEIRS), ip("10.20.1.5"), ip("10.20.1.7"), Protocol(41), 64, &[0; 40])
                .unwrap();
        let solicited = special::solicited_node(v6("fd20::7"));
        type Case<'a> = (&'a str, &'a jiebei::scope::Target, Vec<u8>, Result<(), Refusal>);
        let cases: Vec<Case<'_>> = vec![
            ("echo", &target, echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64), Ok(())),
            ("gentle echo", &gentle, echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64), Ok(())),
            (
                "somebody else's address",
                &target,
                echo(to(THEIRS), "10.20.1.5", "10.20.1.8", 64),
                Err(Refusal::OtherDestination),
            ),
            (
                "spoofed address",
                &target,
                echo(to(THEIRS), "10.20.1.6", "10.20.1.7", 64),
                Err(Refusal::ForeignSource),
            ),
            (
                "spoofed MAC",
                &target,
                echo(
                    build::Macs { source: THEIRS, destination: THEIRS },
                    "10.20.1.5",
                    "10.20.1.7",
                    64,
                ),
                Err(Refusal::ForeignSource),
            ),
            (
                "unicast packet in a broadcast frame",
                &target,
                echo(to(Mac::BROADCAST), "10.20.1.5", "10.20.1.7", 64),
                Err(Refusal::LinkWide),
            ),
            ("tagged", &target, vlan, Err(Refusal::Forbidden)),
            ("IP options", &target, routed, Err(Refusal::Forbidden)),
            ("cut", &target, cut, Err(Refusal::Forbidden)),
            ("tunnel", &target, tunnel, Err(Refusal::Forbidden)),
            ("nothing", &target, vec![], Err(Refusal::Forbidden)),
            ("advertisement", &target6, advertisement, Err(Refusal::Forbidden)),
            ("ARP answer", &target, answer, Err(Refusal::Forbidden)),
            ("SYN", &target, segment("10.20.1.7", tcp::SYN), Ok(())),
            (
                "SYN to a gentle target",
                &gentle,
                segment("10.20.1.7", tcp::SYN),
                Err(Refusal::ObserveOnly),
            ),
            ("FIN", &target, segment("10.20.1.7", tcp::FIN), Err(Refusal::Forbidden)),
            ("RST", &target, segment("10.20.1.7", tcp::RST), Ok(())),
            (
                "hop ladder to a gentle target",
                &gentle,
                echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 3),
                Err(Refusal::ObserveOnly),
            ),
            ("who-has", &gentle, build::arp_request(to(Mac::BROADCAST), own, its), Ok(())),
            ("ARP probe", &gentle, build::arp_probe(OURS, its), Ok(())),
            (
                "who-has in somebody's name",
                &gentle,
                build::arp_request(to(Mac::BROADCAST), v4("10.20.1.9"), its),
                Err(Refusal::ForeignSource),
            ),
            (
                "who-has for another",
                &gentle,
                build::arp_probe(OURS, v4("10.20.1.8")),
                Err(Refusal::OtherDestination),
            ),
            (
                "solicitation",
                &target6,
                build::neighbour_solicitation(OURS, v6("fd20::5"), v6("fd20::7")),
                Ok(()),
            ),
            (
                "solicitation for another",
                &target6,
                build::neighbour_solicitation_to(
                    to(Mac::of_ipv6_group(solicited)),
                    v6("fd20::5"),
                    solicited,
                    v6("fd20::8"),
                ),
                Err(Refusal::OtherDestination),
            ),
            (
                "router solicitation by a target's permit",
                &target6,
                build::router_solicitation(OURS, v6("fe80::5")),
                Err(Refusal::OtherDestination),
            ),
        ];
        for (name, target, frame, expected) in cases {
            let before = kept.0.lock().unwrap().len();
            // Each at its own second: this is not about the pace.
            let now = Duration::from_secs(2 * before as u64);
            assert_eq!(outcome(fence.submit(target, &frame, now)), expected, "{name}");
            let went = kept.0.lock().unwrap().len() - before;
            assert_eq!(went, usize::from(expected.is_ok()), "{name}");
        }
    }

    /// Who a frame is from and for, read at fixed places: shares nothing with the fence's reader.
    fn plainly_read(frame: &[u8]) -> Option<(Mac, Mac, IpAddr, IpAddr)> {
        let mac = |at: usize| frame.get(at..at + 6).map(|octets| Mac(octets.try_into().unwrap()));
        let four =
            |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(frame.get(at..at + 4)?).ok()?));
        let six =
            |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(frame.get(at..at + 16)?).ok()?));
        let (from, to) = match frame.get(12..14)? {
            [8, 0] if *frame.get(14)? == 0x45 => (four(26)?, four(30)?),
            [8, 6] => (four(28)?, four(38)?),
            [0x86, 0xdd] => match (frame.get(20)?, frame.get(54)?) {
                // A neighbour solicitation is for whom it names.
                (58, 135) => (six(22)?, six(62)?),
                _ => (six(22)?, six(38)?),
            },
            _ => return None,
        };
        Some((mac(0)?, mac(6)?, from, to))
    }

    /// Good frames with some octets replaced, under every permit: what leaves is what the permit says.
    #[test]
    fn a_spoilt_frame_leaves_only_as_its_permit_says() {
        let mut dice = Dice(0xfe2ce);
        let (mut left, mut stayed) = (0, 0);
        for round in 0..4_000u64 {
            let unlimited = Ceilings::unlimited();
            let (mut fence, kept) = fence(Risk::UNICAST, unlimited);
            // Excluded and fragile stations were heard.
            let (excluded, fragile) = (Mac([2, 0, 0, 0, 0, 0x66]), Mac([2, 0, 0, 0, 0, 0x81]));
            fence.know(ip("10.20.1.66"), excluded);
            fence.know(ip("10.20.1.81"), fragile);
            let (own, its) = if dice.below(2) == 0 {
                (ip("10.20.1.5"), ip(dice.one_of(&["10.20.1.7", "10.20.9.7"]).unwrap()))
            } else {
                (ip("fd20::5"), ip(dice.one_of(&["fd20::7", "fd20:0:0:9::7"]).unwrap()))
            };
            let permit = fence.guard().admit(its, V, Class::Ordinary).unwrap();
            for _ in 0..16 {
                let good = match (dice.below(4), its) {
                    (0, IpAddr::V4(its)) => {
                        build::arp_request(to(Mac::BROADCAST), v4("10.20.1.5"), its)
                    }
                    _ => any_packet(&mut dice, own, its).unwrap(),
                };
                let mut frame = good;
                for _ in 0..dice.below(4) {
                    let at = dice.below(frame.len().min(70) as u64) as usize;
                    frame[at] = match dice.below(4) {
                        0 => frame[at] ^ 1 << dice.below(8),
                        1 => dice.below(256) as u8,
                        2 => [0x66, 0x81, 0x05, 0x07, 0xff, 0x45, 0x60][dice.below(7) as usize],
                        _ => frame[at].wrapping_add(1),
                    };
                }
                if dice.below(10) == 0 {
                    frame.truncate(dice.below(frame.len() as u64) as usize);
                }
                match fence.submit(&permit, &frame, Duration::from_millis(round)) {
                    Submission::Sent => left += 1,
                    Submission::Refused(_) => stayed += 1,
                    other => panic!("{other:?}"),
                }
            }
            for frame in kept.0.lock().unwrap().iter() {
                let (destination, source, from, for_whom) = plainly_read(frame).unwrap();
                let unspecified = from.is_unspecified() && frame[12..14] == [8, 6];
                assert_eq!((source, for_whom), (OURS, its), "{frame:02x?}");
                assert!(from == own || unspecified, "{frame:02x?}");
                assert!(destination != excluded && destination != OURS, "{frame:02x?}");
                // A fragile router still forwards; on the link its MAC is itself.
                let on_link = [ip("10.20.1.7"), ip("fd20::7")].contains(&its);
                assert!(!on_link || destination != fragile, "{frame:02x?}");
                let ipv4 = frame[12..14] == [8, 0];
                if ipv4 {
                    assert_eq!(
                        u16::from_be_bytes([frame[20], frame[21]]) & 0x3fff,
                        0,
                        "a fragment"
                    );
                }
            }
        }
        assert!(left > 5_000 && stayed > 20_000, "{left} {stayed}");
    }

    /// Nothing leaves outside the window, by whatever permit.
    #[test]
    fn outside_the_window_no_permit_lets_a_frame_through() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut rules = rules(Risk::SPOOFED);
        rules.window = Some((at(10), at(20)));
        let mut fence = Fence::new(Guard::new(rules, at(0)), Ceilings::default());
        let kept = Kept::default();
        fence.add_link(V, Box::new(kept.clone()));
        let guard = fence.guard();
        let target = guard.admit(ip("10.20.1.7"), V, Class::Ordinary).unwrap();
        let steered = guard.admit_steered(ip("10.20.1.7"), THEIRS, ip("10.20.9.7"), V).unwrap();
        let link_wide = guard.admit_link_wide(V).unwrap();
        let direct = echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64);
        let by_another = echo(to(THEIRS), "10.20.1.5", "10.20.9.7", 2);
        let group = Mac([1, 0, 0x5e, 0, 0, 0xfb]);
        let ends = ((ip("10.20.1.5"), 5353), (ip("224.0.0.251"), 5353));
        let to_all = build::udp_datagram(to(group), ends.0, ends.1, 1, b"question").unwrap();
        for (second, open) in
            [(0, false), (9, false), (10, true), (19, true), (20, true), (21, false)]
        {
            let now = Duration::from_secs(second);
            let told = [
                outcome(fence.submit(&target, &direct, now)),
                outcome(fence.submit(&steered, &by_another, now)),
                outcome(fence.submit(&link_wide, &to_all, now)),
            ];
            let expected = if open { Ok(()) } else { Err(Refusal::Window) };
            assert_eq!(told, [expected; 3], "{second}");
        }
        assert_eq!(kept.0.lock().unwrap().len(), 9);
    }

    #[test]
    fn link_wide_frames_need_risk_two_and_stay_on_the_link() {
        let (quiet, _) = fence(Risk::UNICAST, Ceilings::default());
        assert_eq!(quiet.guard().admit_link_wide(V), Err(Refusal::Risk));
        let (passive, _) = fence(Risk::PASSIVE, Ceilings::default());
        assert_eq!(passive.guard().admit(ip("10.20.1.7"), V, Class::Gentle), Err(Refusal::Risk));

        let (mut fence, _) = fence(Risk::LINK_WIDE, Ceilings::default());
        let permit = fence.guard().admit_link_wide(V).unwrap();
        let all = v6("ff02::1");
        let group = |group: &str, hop_limit| {
            let udp = (ip("10.20.1.5"), 40000);
            let mac = Mac([1, 0, 0x5e, 0, 0, 1]);
            build::udp_datagram(to(mac), udp, (ip(group), 5000), hop_limit, b"?").unwrap()
        };
        let site = v6("ff05::1");
        let echo6 = |group: Ipv6Addr| {
            let echo = icmp::Echo { identifier: 1, sequence: 1, data: &[] };
            build::echo_request_v6(to(Mac::of_ipv6_group(group)), v6("fe80::5"), group, 1, echo)
        };
        let mut mld1 = build::mld_general_query(OURS, v6("fe80::5"), 1000);
        mld1.truncate(mld1.len() - 4);
        mld1[19] -= 4;
        let cases = [
            ("echo to all nodes", echo6(all), Ok(())),
            ("DHCP", build::dhcp_discover(OURS, 7), Ok(())),
            ("router solicitation", build::router_solicitation(OURS, v6("fe80::5")), Ok(())),
            ("MLDv2 query", build::mld_general_query(OURS, v6("fe80::5"), 1000), Ok(())),
            ("MLDv1 query", mld1, Err(Refusal::Forbidden)),
            ("site-wide group", echo6(site), Err(Refusal::OtherDestination)),
            ("link-local group", group("224.0.0.251", 255), Ok(())),
            ("wider group, one hop", group("239.255.255.250", 1), Ok(())),
            ("wider group", group("239.255.255.250", 4), Err(Refusal::OtherDestination)),
            (
                "unicast",
                echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64),
                Err(Refusal::OtherDestination),
            ),
            (
                "ARP by a link-wide permit",
                build::arp_probe(OURS, v4("10.20.1.66")),
                Err(Refusal::Forbidden),
            ),
        ];
        for (place, (name, frame, expected)) in cases.into_iter().enumerate() {
            let now = Duration::from_secs(2 * place as u64);
            assert_eq!(outcome(fence.submit(&permit, &frame, now)), expected, "{name}");
        }
    }

    #[test]
    fn a_fragile_address_gets_one_question_whoever_asks() {
        let (mut fence, kept) = fence(Risk::LINK_WIDE, Ceilings::default());
        let fragile = fence.guard().admit(ip("10.20.1.81"), V, Class::Gentle).unwrap();
        assert!(fragile.is_fragile());
        let question = build::arp_probe(OURS, v4("10.20.1.81"));
        let second = Duration::from_secs;
        assert_eq!(outcome(fence.submit(&fragile, &question, second(1))), Ok(()));
        let ping = echo(to(THEIRS), "10.20.1.5", "10.20.1.81", 64);
        for (frame, now) in [(&question, 3), (&ping, 5)] {
            let told = outcome(fence.submit(&fragile, frame, second(now)));
            assert_eq!(told, Err(Refusal::AlreadyAsked));
        }
        assert_eq!(kept.0.lock().unwrap().len(), 1);
        // A resumed sweep remembers.
        let asked: Vec<_> = fence.asked_fragile().collect();
        let (mut resumed, _) = super::frames::fence(Risk::LINK_WIDE, Ceilings::default());
        resumed.resume(asked);
        let told = outcome(resumed.submit(&fragile, &question, second(0)));
        assert_eq!(told, Err(Refusal::AlreadyAsked));
    }

    #[test]
    fn an_excluded_station_is_no_ethernet_destination_under_any_address() {
        let (mut fence, _) = fence(Risk::LINK_WIDE, Ceilings::default());
        let target = fence.guard().admit(ip("10.20.1.7"), V, Class::Ordinary).unwrap();
        let steered =
            fence.guard().admit_steered(ip("10.20.1.7"), THEIRS, ip("10.20.9.9"), V).unwrap();
        let ping = echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64);
        let steer = echo(to(THEIRS), "10.20.1.5", "10.20.9.9", 1);
        assert_eq!(outcome(fence.submit(&target, &ping, Duration::ZERO)), Ok(()));
        // The excluded address is heard with the MAC of an admitted one.
        let macs = build::Macs { source: THEIRS, destination: Mac::BROADCAST };
        fence.hear(&build::arp_request(macs, v4("10.20.1.66"), v4("10.20.1.1")));
        let later = Duration::from_secs(5);
        assert_eq!(outcome(fence.submit(&target, &ping, later)), Err(Refusal::ExcludedMac));
        assert_eq!(outcome(fence.submit(&steered, &steer, later)), Err(Refusal::ExcludedMac));
        let again = fence.guard().admit_steered(ip("10.20.1.7"), THEIRS, ip("10.20.9.9"), V);
        assert_eq!(again, Err(Refusal::ExcludedMac));
    }

    #[test]
    fn steering_needs_a_neighbour_that_may_be_used_and_an_admitted_destination() {
        let (mut fence, _) = fence(Risk::UNICAST, Ceilings::default());
        let steer = |neighbour: &str, destination: &str| {
            fence.guard().admit_steered(ip(neighbour), THEIRS, ip(destination), V).map(|_| ())
        };
        assert_eq!(steer("10.20.1.7", "10.20.9.9"), Ok(()));
        assert_eq!(steer("10.20.1.7", "198.51.100.10"), Ok(()));
        assert_eq!(steer("10.20.1.66", "10.20.9.9"), Err(Refusal::Excluded));
        assert_eq!(steer("10.20.1.81", "10.20.9.9"), Err(Refusal::ObserveOnly));
        assert_eq!(steer("192.0.2.1", "10.20.9.9"), Err(Refusal::OutsideScope));
        assert_eq!(steer("10.20.1.7", "10.20.1.9"), Err(Refusal::OnLink));
        assert_eq!(steer("10.20.1.7", "192.0.2.9"), Err(Refusal::OutsideScope));
        assert_eq!(steer("198.51.100.10", "10.20.9.9"), Err(Refusal::Canary));
        let inside =
            fence.guard().admit_steered(ip("10.20.1.7"), THEIRS, ip("10.20.9.9"), V).unwrap();
        let second = Duration::from_secs;
        for (destination, mac, hop_limit, expected) in [
            ("10.20.9.9", THEIRS, 1, Ok(())),
            ("10.20.9.9", THEIRS, 2, Ok(())),
            ("10.20.9.9", THEIRS, 3, Err(Refusal::Forbidden)),
            ("10.20.9.8", THEIRS, 1, Err(Refusal::OtherDestination)),
            ("10.20.9.9", Mac([2, 0, 0, 0, 0, 8]), 1, Err(Refusal::OtherDestination)),
        ] {
            let frame = echo(to(mac), "10.20.1.5", destination, hop_limit);
            assert_eq!(outcome(fence.submit(&inside, &frame, second(1))), expected);
        }
    }

    /// Every event's second holds no more events than the ceiling.
    fn most_in_a_second(times: &[Duration]) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (place, at) in times.iter().enumerate() {
            while times[first] + Duration::from_secs(1) <= *at {
                first += 1;
            }
            most = most.max(place + 1 - first);
        }
        most
    }

    /// What the other side does with SYNs.
    #[derive(Debug, Clone, Copy)]
    enum Peer {
        Silent,
        /// Answers each within this many milliseconds.
        Prompt(u64),
        /// Answers all of a while at once.
        Bunched(u64),
        /// Answers one in so many.
        Some(u64),
    }

    /// Submits as fast as the fence lets, for six seconds; the times of all frames, ours and the
    /// kernel's resets, and how many SYNs there were.
    fn paced(ceilings: Ceilings, peer: Peer, hosts: u64, seed: u64) -> (Vec<(Duration, u64)>, u64) {
        let (mut fence, _) = fence(Risk::UNICAST, ceilings);
        let mut dice = Dice(seed | 1);
        let mut events = Vec::new();
        let mut resets: std::collections::BTreeMap<(Duration, u64), u64> = Default::default();
        let mut now = Duration::from_millis(dice.below(5_000));
        let began = now;
        let mut next = 0;
        let mut serial = 0;
        while now < began + Duration::from_secs(6) {
            while let Some(entry) = resets.first_entry().filter(|entry| entry.key().0 <= now) {
                let at = entry.key().0;
                let host = entry.remove();
                let mut reset =
                    segment(&format!("10.20.{}.{}", 2 + host / 200, 1 + host % 200), tcp::RST);
                reset[0] = 2;
                fence.account_foreign(at, &reset);
                events.push((at, host));
            }
            let host = next % hosts;
            let address = format!("10.20.{}.{}", 2 + host / 200, 1 + host % 200);
            let target = fence.guard().admit(ip(&address), V, Class::Ordinary).unwrap();
            match fence.submit(&target, &segment(&address, tcp::SYN), now) {
                Submission::Sent => {
                    events.push((now, host));
                    next += 1;
                    serial += 1;
                    let millis = Duration::from_millis;
                    let due = match peer {
                        Peer::Silent => None,
                        Peer::Prompt(within) => Some(now + millis(dice.below(within))),
                        Peer::Bunched(every) => {
                            let every = every.max(1);
                            Some(millis((now.as_millis() as u64 / every + 1) * every))
                        }
                        Peer::Some(one_in) => {
                            (dice.below(one_in) == 0).then(|| now + millis(dice.below(100)))
                        }
                    };
                    if let Some(due) = due {
                        resets.insert((due, serial), host);
                    }
                }
                Submission::Later(wait, Ceiling::Sweep) => {
                    // Woken late, as processes are.
                    now += wait + Duration::from_micros(dice.below(2_000));
                }
                Submission::Later(_, Ceiling::Target) => {
                    next += 1;
                    now += Duration::from_micros(200);
                }
                other => panic!("{other:?}"),
            }
        }
        events.sort();
        (events, next)
    }

    #[test]
    fn no_second_holds_more_frames_than_the_ceilings() {
        let peers = [
            Peer::Silent,
            Peer::Prompt(2),
            Peer::Prompt(180),
            Peer::Bunched(150),
            Peer::Bunched(40),
            Peer::Some(5),
        ];
        let mut seed = 1;
        for packets_per_second in [2, 7, 50, 333, 1000, 4000] {
            for (per_target, hosts) in [(2, 300), (40, 3), (40, 1200)] {
                for peer in peers {
                    seed += 1;
                    let ceilings =
                        Ceilings { packets_per_second, per_target, ..Ceilings::default() };
                    let (events, _) = paced(ceilings, peer, hosts, seed);
                    let times: Vec<_> = events.iter().map(|(at, _)| *at).collect();
                    let most = most_in_a_second(&times);
                    assert!(most <= packets_per_second as usize, "{ceilings:?} {peer:?}: {most}");
                    for host in 0..hosts.min(20) {
                        let own = events.iter().filter(|(_, of)| *of == host);
                        let most = most_in_a_second(&own.map(|(at, _)| *at).collect::<Vec<_>>());
                        assert!(most <= per_target as usize, "{ceilings:?} {peer:?}: {most}");
                    }
                }
            }
        }
    }

    fn wanted(to: &str, frames: u32) -> Wanted {
        Wanted {
            to: to.parse().unwrap(),
            whom: To::Target,
            transport: Transport::Tcp,
            vantage: V,
            mac: Mac::ZERO,
            frames,
        }
    }

    #[test]
    fn a_conversation_needs_the_leave_that_a_frame_needs() {
        let collector: std::net::SocketAddr = "203.0.113.10:8443".parse().unwrap();
        let made = |risk, window| {
            let rules = Rules { collector: Some(collector), window, ..rules(risk) };
            Fence::new(Guard::new(rules, Timestamp::UNIX_EPOCH), Ceilings::default())
        };
        let mut now = Duration::ZERO;
        let mut asked = |fence: &mut Fence, wanted: &Wanted| {
            now += Duration::from_secs(2);
            match fence.converse(wanted, now) {
                Leave::Now(permit) => Ok(permit.source()),
                Leave::Later(_) => panic!("nothing was sent for two seconds"),
                Leave::Refused(refusal) => Err(refusal),
            }
        };
        let mut fence = made(Risk::UNICAST, None);
        for (to, expected) in [
            ("10.20.1.7:3128", Ok(ip("10.20.1.5"))),
            ("10.20.9.7:3128", Ok(ip("10.20.1.5"))),
            ("[fd20::7]:3128", Ok(ip("fd20::5"))),
            ("[fe80::7]:3128", Ok(ip("fe80::5"))),
            ("10.20.1.66:3128", Err(Refusal::Excluded)),
            ("[fd20::66]:3128", Err(Refusal::Excluded)),
            ("10.20.1.81:3128", Err(Refusal::ObserveOnly)),
            ("192.0.2.1:3128", Err(Refusal::OutsideScope)),
            ("198.51.100.10:443", Err(Refusal::Canary)),
            ("203.0.113.10:8443", Err(Refusal::OutsideScope)),
            ("10.20.1.5:3128", Err(Refusal::Own)),
            ("10.20.1.255:3128", Err(Refusal::NotAHost)),
        ] {
            assert_eq!(asked(&mut fence, &wanted(to, 12)), expected, "{to}");
        }
        // The collector's address for receipts, and no other port and no other address.
        for (to, expected) in [
            ("203.0.113.10:8443", Ok(ip("10.20.1.5"))),
            ("203.0.113.10:443", Err(Refusal::NotTheCollector)),
            ("198.51.100.10:8443", Err(Refusal::NotTheCollector)),
            ("10.20.1.7:8443", Err(Refusal::NotTheCollector)),
        ] {
            let wanted = Wanted { whom: To::Collector, ..wanted(to, 12) };
            assert_eq!(asked(&mut fence, &wanted), expected, "{to}");
        }
        // Under a station's other address.
        let macs = build::Macs { source: THEIRS, destination: Mac::BROADCAST };
        fence.hear(&build::arp_request(macs, v4("10.20.1.66"), v4("10.20.1.1")));
        let twin = Wanted { mac: THEIRS, ..wanted("10.20.1.7:3128", 12) };
        assert_eq!(asked(&mut fence, &twin), Err(Refusal::ExcludedMac));
        assert_eq!(fence.counts().refused[&Refusal::NotTheCollector], 3);

        let mut passive = made(Risk::PASSIVE, None);
        let target = wanted("10.20.1.7:3128", 12);
        assert_eq!(asked(&mut passive, &target), Err(Refusal::Risk));
        let second = |second| Timestamp::from_second(second).unwrap();
        let mut closed = made(Risk::UNICAST, Some((second(1000), second(2000))));
        assert_eq!(asked(&mut closed, &target), Err(Refusal::Window));
        let mut low = made(Risk::UNICAST, None);
        assert_eq!(asked(&mut low, &wanted("10.20.1.7:80", 41)), Err(Refusal::Ceiling));
    }

    /// Conversations that send when it is worst, among frames as fast as the fence lets them go.
    #[test]
    fn no_second_holds_more_than_the_ceilings_with_conversations_either() {
        const FRAMES: u32 = 12;
        for (packets_per_second, per_target, hosts, seed) in
            [(100, 40, 3, 1), (1000, 40, 5, 2), (1000, 24, 40, 3), (60, 60, 1, 4), (400, 12, 9, 5)]
        {
            let ceilings = Ceilings { packets_per_second, per_target, ..Ceilings::default() };
            let (mut fence, _) = fence(Risk::UNICAST, ceilings);
            let mut dice = Dice(seed);
            let mut events: Vec<(Duration, u64)> = Vec::new();
            // Each with its end, its host, and the permit that holds its places.
            let mut going = Vec::new();
            let mut had = 0;
            for millis in 0..8_000 {
                let now = Duration::from_millis(millis);
                going.retain(|(end, _, _)| *end > now);
                let host = 1 + dice.below(hosts);
                let host_name = format!("10.20.1.{}", 100 + host);
                let wanted = wanted(&format!("{host_name}:3128"), FRAMES);
                if let Leave::Now(permit) = fence.converse(&wanted, now) {
                    had += 1;
                    let life = 1 + dice.below(3_000);
                    let mut at = millis + dice.below(life);
                    while at < millis + life {
                        let burst = (Duration::from_millis(at), host);
                        events.extend(std::iter::repeat_n(burst, FRAMES as usize));
                        at += 1_000 + dice.below(300);
                    }
                    going.push((Duration::from_millis(millis + life), host, permit));
                }
                // Every other while there are frames too, as many as are let through.
                if millis / 500 % 2 == 1 {
                    let target = fence.guard().admit(ip(&host_name), V, Class::Ordinary).unwrap();
                    let ping = echo(to(THEIRS), "10.20.1.5", &host_name, 64);
                    while let Submission::Sent = fence.submit(&target, &ping, now) {
                        events.push((now, host));
                    }
                }
            }
            events.sort_unstable();
            let times: Vec<_> = events.iter().map(|(at, _)| *at).collect();
            let most = most_in_a_second(&times);
            assert!(most <= packets_per_second as usize, "{ceilings:?}: {most}");
            for host in 1..=hosts {
                let times: Vec<_> =
                    events.iter().filter(|(_, of)| *of == host).map(|(at, _)| *at).collect();
                let most = most_in_a_second(&times);
                assert!(most <= per_target as usize, "{ceilings:?} host {host}: {most}");
            }
            assert!(had > 8 && events.len() > 150, "{ceilings:?}: {had} of {}", events.len());
        }
    }

    #[test]
    fn a_conversation_gets_its_turn_among_frames_that_never_pause() {
        let ceilings = Ceilings { packets_per_second: 1000, per_target: 40, ..Ceilings::default() };
        let (mut fence, _) = fence(Risk::UNICAST, ceilings);
        let (mut begun, mut sent) = (Vec::new(), 0);
        for millis in 0..4_000u64 {
            let now = Duration::from_millis(millis);
            for last in 1..=250 {
                let host = format!("10.20.2.{last}");
                let target = fence.guard().admit(ip(&host), V, Class::Ordinary).unwrap();
                let ping = echo(to(THEIRS), "10.20.1.5", &host, 64);
                match fence.submit(&target, &ping, now) {
                    Submission::Sent => sent += 1,
                    Submission::Later(_, Ceiling::Target) => {}
                    _ => break,
                }
            }
            // One after the other, once the second is full.
            if millis > 1_500 && millis % 5 == 0 && begun.len() < 10 {
                let wanted = wanted(&format!("10.20.1.{}:3128", 100 + begun.len()), 20);
                if let Leave::Now(permit) = fence.converse(&wanted, now) {
                    begun.push(permit);
                }
            }
        }
        assert_eq!(begun.len(), 10);
        assert!(sent > 3_000, "{sent} frames");
    }

    #[test]
    fn into_silence_a_sweep_of_syns_keeps_four_fifths_of_the_ceiling() {
        for packets_per_second in [1000, 4000, 20_000] {
            let ceilings = Ceilings {
                packets_per_second,
                per_target: packets_per_second,
                ..Ceilings::default()
            };
            let (events, _) = paced(ceilings, Peer::Silent, 1000, 5);
            let rate = events.len() as f64 / 6.0 / f64::from(packets_per_second);
            assert!(rate >= 0.8, "{rate} of {packets_per_second}");
        }
    }

    #[test]
    fn a_pause_is_not_made_good_by_a_burst() {
        let (mut fence, _) = fence(
            Risk::UNICAST,
            Ceilings { packets_per_second: 1000, per_target: 1000, ..Ceilings::default() },
        );
        let target = fence.guard().admit(ip("10.20.1.7"), V, Class::Ordinary).unwrap();
        let ping = echo(to(THEIRS), "10.20.1.5", "10.20.1.7", 64);
        let mut burst = 0;
        while let Submission::Sent = fence.submit(&target, &ping, Duration::from_secs(60)) {
            burst += 1;
        }
        assert!(burst <= 40, "{burst}");
    }

    #[test]
    fn unheard_addresses_behind_a_router_are_asked_few_at_a_time() {
        let ceilings = Ceilings { packets_per_second: 100_000, per_target: 40, per_prefix: 5 };
        let (mut fence, _) = fence(Risk::UNICAST, ceilings);
        let ask = |fence: &mut Fence, address: &str, millis: u64| {
            let target = fence.guard().admit(ip(address), V, Class::Ordinary).unwrap();
            let now = Duration::from_millis(millis);
            match fence.submit(&target, &segment(address, tcp::SYN), now) {
                Submission::Sent => true,
                Submission::Later(_, Ceiling::Prefix) => false,
                other => panic!("{other:?}"),
            }
        };
        let all = |fence: &mut Fence, prefix: &str, millis| {
            (1..=20).filter(|last| ask(fence, &format!("{prefix}.{last}"), millis)).count()
        };
        assert_eq!(all(&mut fence, "10.20.9", 0), 5);
        assert_eq!(all(&mut fence, "10.20.8", 0), 5, "another /24 has its own");
        // We resolve these ourselves.
        assert_eq!((101..=120).filter(|h| ask(&mut fence, &format!("10.20.1.{h}"), 0)).count(), 20);
        // Once more: a router knows them by now, in one way or the other.
        assert_eq!(all(&mut fence, "10.20.9", 500), 5);
        assert!(!ask(&mut fence, "10.20.9.77", 500));
        // It was heard: it is there.
        let macs = build::Macs { source: THEIRS, destination: OURS };
        let alive = icmp::Echo { identifier: 1, sequence: 1, data: &[0; 16] };
        fence.hear(&build::echo_request(macs, v4("10.20.9.77"), v4("10.20.1.5"), 63, alive));
        assert!(ask(&mut fence, "10.20.9.77", 500));
        // Outside the scope nobody is remembered, and nobody is asked.
        fence.hear(&build::echo_request(macs, v4("192.0.2.77"), v4("10.20.1.5"), 63, alive));
        assert!((6..=10).all(|last| ask(&mut fence, &format!("10.20.9.{last}"), 1_700)));
        assert!(!ask(&mut fence, "10.20.9.11", 1_700));
        // A canary is nobody's neighbour: at most one of it is there.
        let canary = "198.51.100.10";
        let steered = fence.guard().admit_steered(ip("10.20.1.7"), THEIRS, ip(canary), V).unwrap();
        let ping = echo(to(THEIRS), "10.20.1.5", canary, 64);
        let now = Duration::from_millis(1_700);
        assert_eq!(
            (0..8).filter(|_| outcome(fence.submit(&steered, &ping, now)).is_ok()).count(),
            8
        );
    }

    /// Datagrams, echoes and segments of both families, from any source to any destination.
    fn any_packet(dice: &mut Dice, source: IpAddr, destination: IpAddr) -> Option<Vec<u8>> {
        let macs = to(THEIRS);
        match dice.below(4) {
            0 => build::udp_datagram(macs, (source, 40_000), (destination, 123), 64, b"question"),
            1 => {
                let echo = icmp::Echo { identifier: 1, sequence: 1, data: &[7; 16] };
                match (source, destination) {
                    (IpAddr::V4(source), IpAddr::V4(destination)) => {
                        Some(build::echo_request(macs, source, destination, 64, echo))
                    }
                    (IpAddr::V6(source), IpAddr::V6(destination)) => {
                        Some(build::echo_request_v6(macs, source, destination, 64, echo))
                    }
                    _ => None,
                }
            }
            _ => {
                let flags = [tcp::SYN, tcp::RST, tcp::ACK, tcp::SYN | tcp::ACK];
                let segment = TcpSegment {
                    source: 40_000,
                    destination: 9,
                    sequence: 1,
                    acknowledgement: 0,
                    flags: flags[dice.below(4) as usize],
                    window: 1024,
                    options: &[],
                    payload: &[],
                };
                build::tcp_segment(macs, source, destination, 64, &segment)
            }
        }
    }

    #[test]
    fn a_foreign_source_leaves_at_risk_3_alone_and_is_a_canary() {
        let mut dice = Dice(77);
        let addresses: Vec<IpAddr> = [
            "10.20.1.5",
            "10.20.1.7",
            "10.20.1.66",
            "10.20.1.81",
            "10.99.0.1",
            "198.51.100.10",
            "198.51.100.11",
            "2001:db8:ffff::10",
            "fd20::5",
            "fd20::7",
            "fd20::66",
        ]
        .map(ip)
        .to_vec();
        let (mut foreign, mut refused) = (0, 0);
        for round in 0..40_000u64 {
            let risk = [Risk::UNICAST, Risk::LINK_WIDE, Risk::SPOOFED][dice.below(3) as usize];
            let mut rules = rules(risk);
            rules.canaries.push(ip("2001:db8:ffff::10"));
            let canaries = rules.canaries.clone();
            let mut fence = Fence::new(
                Guard::new(rules, Timestamp::UNIX_EPOCH),
                Ceilings { packets_per_second: 1000, per_target: 40, ..Ceilings::default() },
            );
            let kept = Kept::default();
            fence.add_link(V, Box::new(kept.clone()));
            let pick = |dice: &mut Dice| addresses[dice.below(addresses.len() as u64) as usize];
            let (source, destination) = (pick(&mut dice), pick(&mut dice));
            // Mostly what its source says, or little would pass.
            let other = pick(&mut dice);
            let canary = if dice.below(4) > 0 { source } else { pick(&mut dice) };
            let Some(frame) = any_packet(&mut dice, source, destination) else { continue };
            let now = Duration::from_millis(round);
            // By every permit that the guard gives for what may be meant.
            if let Ok(permit) = fence.guard().admit(destination, V, Class::Ordinary) {
                fence.submit(&permit, &frame, now);
            }
            if let Ok(permit) = fence.guard().admit_steered(other, THEIRS, destination, V) {
                fence.submit(&permit, &frame, now);
            }
            if let Ok(permit) = fence.guard().admit_link_wide(V) {
                fence.submit(&permit, &frame, now);
            }
            match fence.guard().admit_spoofed(destination, canary, V) {
                Ok(permit) => {
                    assert_eq!(risk, Risk::SPOOFED);
                    fence.submit(&permit, &frame, now);
                }
                Err(_) => refused += 1,
            }
            let own = [ip("10.20.1.5"), ip("fd20::5")];
            let sent = kept.0.lock().unwrap();
            if !sent.is_empty() && !own.contains(&source) {
                foreign += 1;
                assert_eq!(risk, Risk::SPOOFED, "{source} to {destination}");
                assert!(canaries.contains(&source), "{source} to {destination}");
                let asked = [ip("10.20.1.7"), ip("fd20::7")];
                assert!(asked.contains(&destination), "{destination}");
            }
        }
        assert!(foreign > 100 && refused > 1_000, "{foreign} {refused}");
    }
}
