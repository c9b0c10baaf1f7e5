//! What the heads of streams say: the first few KiB of each direction of a TCP connection, and QUIC's first packets.
//!
//! A dissector sees one frame; a hello or a banner may come in several, in any order. So a [`table`] keeps, for each
//! direction, the octets from its beginning on until a member of [`reader::ALL`] is satisfied, or none fits. From then on the
//! direction is a mark in the table and its frames cost one probe.
//!
//! **Beginnings.** Where the SYN was seen the head starts behind it. Where it was not (a capture that began later), the first
//! segment that is seen stands for the beginning: readers know their protocols by the first octets, so most of what is no
//! beginning fits none.
//!
//! **Bounds**, stated where they are kept: [`table`] for TCP, [`quic`] for QUIC, [`syn`] for what connections are opened with.
//! When something is full the oldest gives way, so a flood shortens memory and costs none. How many facts there may be the
//! listener decides.
//!
//! **Repeats.** How a host opens connections and who takes them is told once a minute for each such thing and not with every
//! SYN: counts of these facts are minutes.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::arithmetic_side_effects
    )
)]

mod quic;
pub mod reader;
mod syn;
mod table;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use super::dissect::Segment;
use crate::observe::{Fact, VantageId};
use crate::wire::Transport;
use crate::wire::tcp::{self, TcpSegment};

/// One end of a stream.
type End = (IpAddr, u16);

/// A direction of a stream by its ends, and where it was seen, as a number.
///
/// The seed is drawn for each run, so nobody can choose ends that meet. If two do by chance (one in 2^32 with a hundred
/// thousand directions at a time) a head is read wrong or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Tag(u64);

/// Turns ends into tags.
#[derive(Debug)]
struct Tagger {
    seeds: [u64; 4],
}

impl Default for Tagger {
    fn default() -> Tagger {
        let state = RandomState::new();
        Tagger { seeds: [0u8, 1, 2, 3].map(|place| state.hash_one(place)) }
    }
}

/// Both halves of a product: every bit of it depends on every bit of the factors' middle. As wyhash does.
const fn mix(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ (product >> 64) as u64
}

impl Tagger {
    #[inline]
    fn tag(&self, place: u64, from: End, to: End) -> Tag {
        let [a, b, c, d] = self.seeds;
        let ports = u64::from(from.1) << 16 | u64::from(to.1);
        let mut tag = mix(ports ^ a, place ^ b);
        match (from.0, to.0) {
            (IpAddr::V4(from), IpAddr::V4(to)) => {
                let addresses = u64::from(from.to_bits()) << 32 | u64::from(to.to_bits());
                tag = mix(tag ^ addresses ^ c, d);
            }
            (from, to) => {
                for address in [from, to] {
                    let bits = match address {
                        IpAddr::V4(address) => u128::from(address.to_bits()),
                        IpAddr::V6(address) => address.to_bits(),
                    };
                    tag = mix(tag ^ bits as u64 ^ c, (bits >> 64) as u64 ^ d);
                }
            }
        }
        Tag(tag)
    }
}

/// Everything that is remembered of streams.
#[derive(Debug, Default)]
pub(super) struct Streams {
    tagger: Tagger,
    table: table::Table,
    syns: syn::Syns,
    quic: quic::Quic,
}

impl Streams {
    /// Takes a segment or datagram, and tells what is now known. `second` is the capture's clock.
    pub(super) fn take(
        &mut self,
        vantage: VantageId,
        second: u32,
        segment: &Segment<'_>,
        tell: &mut dyn FnMut(Fact),
    ) {
        let encapsulation = segment.encapsulation;
        let mut tell = |fact: Fact| match encapsulation {
            Some(encapsulation) => tell(Fact::Encapsulated {
                encapsulation: encapsulation.to_owned(),
                inner: Box::new(fact),
            }),
            None => tell(fact),
        };
        // Where it was seen: tunnels are told apart by the length of their words, which is enough
        // for streams not to mix by accident.
        let place = u64::from(vantage.0) << 8
            | encapsulation.map_or(0, |word| word.len() as u64 & 0x7f | 0x80);
        let ip = &segment.ip;
        match &segment.carried {
            Transport::Tcp(tcp) => {
                let (from, to) = ((ip.source, tcp.source), (ip.destination, tcp.destination));
                let tag = self.tagger.tag(place, from, to);
                if tcp.has(tcp::SYN) {
                    let Some(role) = role_of(tcp) else { return };
                    self.syns.take(place, second, ip, tcp, role, &mut tell);
                    self.table.open(tag, second, tcp.sequence.wrapping_add(1), role);
                }
                if !tcp.payload.is_empty() {
                    // A SYN stands before the first octet. RFC 9293 §3.4.
                    let syn = u32::from(tcp.has(tcp::SYN));
                    let piece = table::Piece {
                        from,
                        to,
                        sequence: tcp.sequence.wrapping_add(syn),
                        payload: tcp.payload,
                        // What a capture's limit cut off does not come again.
                        is_last: ip.cut || tcp.has(tcp::FIN),
                    };
                    self.table.take(tag, second, piece, &mut tell);
                }
            }
            Transport::Udp(udp) => {
                let (from, to) = ((ip.source, udp.source), (ip.destination, udp.destination));
                let there = self.tagger.tag(place, from, to);
                let back = self.tagger.tag(place, to, from);
                self.quic.take((there, back), (from, to), udp.payload, &mut tell);
            }
            _ => {}
        }
    }
}

/// What a segment with SYN makes of its sender; `None` for what no stack sends.
fn role_of(segment: &TcpSegment<'_>) -> Option<crate::observe::Role> {
    use crate::observe::Role;
    match segment.flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) {
        // With FIN no stack opens anything, but tools ask like that who answers what.
        flags if flags & !tcp::FIN == tcp::SYN => Some(Role::Client),
        flags if flags == tcp::SYN | tcp::ACK => Some(Role::Server),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
