//! Clocks of TCP timestamps (RFC 7323) that run apart behind one address.
//!
//! A system takes the timestamps of its connections from one clock, with an offset that it draws once, or for each server (Linux
//! since 4.10), or for each connection. So clocks are compared within connections to one server only, and one counts when
//! [`ENOUGH`] connections agree on it: offsets that are drawn for each do not agree by chance (one in a million).
//!
//! **Bounds.** [`MOST_PAIRS`] pairs of address and server, of which the first stay; [`MOST_CLOCKS`] of each pair.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::dissect::Segment;
use crate::observe::{Fact, VantageId};
use crate::wire::Transport;
use crate::wire::tcp;

const MOST_PAIRS: usize = 16_384;
const MOST_CLOCKS: usize = 16;
/// Connections that agree on a clock. A guess, see above.
const ENOUGH: u8 = 3;
/// Ticks in a second: Linux, macOS and Windows; BSD and older Linux; Linux before 4.13 in its usual builds.
const RATES: [i64; 3] = [1000, 100, 250];
/// How far a connection may be from a clock, in milliseconds: what a capture's times and a queue are off by. A guess.
const NEAR: i64 = 40;
/// And how much a clock may drift: two in ten thousand.
const DRIFT: i64 = 5000;
/// Past it a clock of 32 bits has turned, or nobody knows how it ran.
const MOST_AGE: i64 = 24 * 3600 * 1000;

#[derive(Debug, Clone, Copy)]
struct Clock {
    at: i64,
    value: u32,
    /// Of [`RATES`]: those that fit so far.
    fits: [bool; 3],
    connections: u8,
}

type Pair = (VantageId, IpAddr, IpAddr);

#[derive(Debug, Default)]
pub(super) struct Clocks {
    pairs: HashMap<Pair, Vec<Clock>>,
    /// Pairs whose clocks are told again with the next connection that agrees with one.
    untold: HashSet<Pair>,
}

impl Clocks {
    /// Tells again what was told, when it is seen again: a listening for months forgets what is not. More than half full, it is emptied.
    pub(super) fn begin_anew(&mut self) {
        if self.pairs.len() > MOST_PAIRS / 2 {
            self.pairs = HashMap::new();
        }
        let are_several = |clocks: &[Clock]| {
            clocks.iter().filter(|clock| clock.connections >= ENOUGH).count() > 1
        };
        let pairs = self.pairs.iter();
        self.untold =
            pairs.filter(|(_, clocks)| are_several(clocks)).map(|(pair, _)| *pair).collect();
    }

    /// Takes a segment; tells how many clocks there are when it showed one more.
    pub(super) fn take(
        &mut self,
        vantage: VantageId,
        at: Timestamp,
        segment: &Segment<'_>,
    ) -> Option<Fact> {
        let Transport::Tcp(opening) = segment.carried else { return None };
        if segment.encapsulation.is_some() || opening.flags & (tcp::SYN | tcp::ACK) != tcp::SYN {
            return None;
        }
        let value = timestamp(opening.options).filter(|value| *value != 0)?;
        let (ip, server) = (segment.ip.source, segment.ip.destination);
        let key = (vantage, ip, server);
        if self.pairs.len() >= MOST_PAIRS && !self.pairs.contains_key(&key) {
            return None;
        }
        let clocks = self.pairs.entry(key).or_default();
        let at = at.as_millisecond();
        let is_new = match clocks.iter_mut().find_map(|clock| clock.agree(at, value)) {
            Some(connections) => self.untold.remove(&key) || connections == ENOUGH,
            None => {
                if clocks.len() >= MOST_CLOCKS {
                    // Those that nothing agreed with give way.
                    let place = clocks.iter().position(|clock| clock.connections < ENOUGH)?;
                    clocks.remove(place);
                }
                clocks.push(Clock { at, value, fits: [true; 3], connections: 1 });
                false
            }
        };
        let kept = clocks.iter().filter(|clock| clock.connections >= ENOUGH).count();
        let clocks = u8::try_from(kept).unwrap_or(u8::MAX);
        (is_new && clocks > 1).then_some(Fact::SeveralClocks { ip, clocks })
    }
}

impl Clock {
    /// How many connections agree, with this one; `None` where it does not.
    fn agree(&mut self, at: i64, value: u32) -> Option<u8> {
        let age = at.saturating_sub(self.at);
        if !(0..MOST_AGE).contains(&age) {
            return None;
        }
        // Modulo 2^32, as the field counts.
        let ticks = i64::from(value.wrapping_sub(self.value) as i32);
        let near = NEAR.saturating_add(age / DRIFT);
        let mut fits = self.fits;
        for (fits, rate) in fits.iter_mut().zip(RATES) {
            let expected = age.saturating_mul(rate) / 1000;
            let off = ticks.saturating_sub(expected).saturating_abs();
            *fits &= off.saturating_mul(1000) <= near.saturating_mul(rate).saturating_add(1000);
        }
        if fits == [false; 3] {
            return None;
        }
        *self = Clock { at, value, fits, connections: self.connections.saturating_add(1) };
        Some(self.connections)
    }
}

/// The sender's own timestamp among the options.
fn timestamp(mut options: &[u8]) -> Option<u32> {
    // Each round takes an octet at least, and there are forty.
    for _ in 0..40 {
        options = match *options {
            [8, 10, a, b, c, d, ..] => return Some(u32::from_be_bytes([a, b, c, d])),
            [1, ref rest @ ..] => rest,
            [0, ..] | [] => return None,
            [_, length, ..] if length >= 2 => options.get(usize::from(length)..)?,
            _ => return None,
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn syns(clocks: &mut Clocks, of: &[(i64, u32)]) -> Vec<u8> {
        let mut told = Vec::new();
        for &(at, value) in of {
            let mut options = vec![2, 4, 5, 0xb4, 4, 2, 8, 10];
            options.extend(value.to_be_bytes());
            options.extend([0; 4]);
            let opening = tcp::TcpSegment {
                source: 40_000,
                destination: 443,
                sequence: 1,
                acknowledgement: 0,
                flags: tcp::SYN,
                window: 64_240,
                options: &options,
                payload: &[],
            };
            let header = [0x45, 0, 0, 20, 0, 1, 0x40, 0, 63, 6, 0, 0, 10, 20, 1, 5, 10, 20, 1, 7];
            let segment = Segment {
                source: crate::net::Mac([2, 0, 0, 0, 0, 5]),
                destination: crate::net::Mac([2, 0, 0, 0, 0, 1]),
                ip: crate::wire::Ip::read(&header).unwrap(),
                encapsulation: None,
                carried: Transport::Tcp(opening),
            };
            let at = Timestamp::from_millisecond(at).unwrap();
            if let Some(Fact::SeveralClocks { clocks, .. }) =
                clocks.take(VantageId(0), at, &segment)
            {
                told.push(clocks);
            }
        }
        told
    }

    #[test]
    fn one_clock_of_any_rate_is_one() {
        for rate in RATES {
            let of: Vec<_> = (1..20)
                .map(|n| (n * 700, (u32::MAX - 3000).wrapping_add((n * 700 * rate / 1000) as u32)))
                .collect();
            assert!(syns(&mut Clocks::default(), &of).is_empty(), "{rate}");
        }
    }

    #[test]
    fn two_are_two_when_three_connections_agree_on_each() {
        let mut of = Vec::new();
        for n in 1..4 {
            of.push((n * 1000, 5_000_000 + n as u32 * 1000));
            of.push((n * 1000 + 300, 900_000 + n as u32 * 1000));
        }
        assert_eq!(syns(&mut Clocks::default(), &of), [2]);
    }

    #[test]
    fn what_was_told_is_told_again_once_when_it_is_seen_anew() {
        let clock = |n: i64| (n * 1000, 5_000_000 + n as u32 * 1000);
        let other = |n: i64| (n * 1000 + 300, 900_000 + n as u32 * 1000);
        let mut clocks = Clocks::default();
        let of: Vec<_> = (1..4).flat_map(|n| [clock(n), other(n)]).collect();
        assert_eq!(syns(&mut clocks, &of), [2]);
        clocks.begin_anew();
        assert_eq!(syns(&mut clocks, &[clock(10), other(10), clock(11)]), [2]);
    }

    #[test]
    fn offsets_of_each_connection_are_no_clocks() {
        let of: Vec<_> =
            (1..200u32).map(|n| (i64::from(n) * 500, n.wrapping_mul(2_654_435_761))).collect();
        let mut clocks = Clocks::default();
        assert!(syns(&mut clocks, &of).is_empty());
        assert!(clocks.pairs.values().all(|clocks| clocks.len() <= MOST_CLOCKS));
    }
}
