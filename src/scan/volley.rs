//! Frames that are sent one by one, each with an expectation of its own: what comes back is known by the fields
//! that the frame itself held, which stand here in clear. The engine's probes need no such list, for they
//! are millions; these are some thousands at most.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::probe::{Context, read_quote};
use super::recogniser::{Place, Recognised, Settles};
use crate::net::Mac;
use crate::observe::{Fact, Forwarding, Source};
use crate::scope::frame::{Frame, ICMP, ICMPV6, Packet, TCP, UDP};
use crate::wire::icmp::{ECHO_REPLY, V6_ECHO_REPLY};

/// The name under which answers are recognised.
pub const NAME: &str = "volley";
/// More than a link's neighbours with every canary, carrier, hop and round.
pub const MOST: usize = 1 << 16;

/// A packet that was given to a neighbour's MAC, and what answers to it hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outstanding {
    /// The number of its egress probe.
    pub number: u32,
    /// The Ethernet destination.
    pub mac: Mac,
    pub destination: IpAddr,
    pub hop_limit: u8,
    pub round: u8,
    pub marks: Marks,
}

/// The fields that come back: in an answer from the destination, or quoted in an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "protocol", rename_all = "kebab-case")]
pub enum Marks {
    Icmp { identifier: u16, sequence: u16, data: u64 },
    Tcp { source_port: u16, port: u16, sequence: u32 },
    Udp { source_port: u16, port: u16, checksum: u16 },
}

/// Protocol, two fields of 16 bits, destination.
type Key = (u8, u16, u16, IpAddr);

/// All of a vantage's.
#[derive(Debug, Clone, Default)]
pub struct Volley {
    outstanding: HashMap<Key, Outstanding>,
}

impl Outstanding {
    fn key(&self) -> Key {
        let (protocol, a, b) = match self.marks {
            Marks::Icmp { identifier, sequence, .. } => (ICMP, identifier, sequence),
            Marks::Tcp { source_port, port, .. } => (TCP, source_port, port),
            Marks::Udp { source_port, port, .. } => (UDP, source_port, port),
        };
        (protocol, a, b, self.destination)
    }
}

impl Volley {
    pub fn of(outstanding: impl IntoIterator<Item = Outstanding>) -> Volley {
        let mut volley = Volley::default();
        for one in outstanding {
            volley.expect(one);
        }
        volley
    }

    /// Whether there is room, and no other frame whose answers would look the same.
    pub fn has_room_for(&self, one: &Outstanding) -> bool {
        self.outstanding.len() < MOST && !self.outstanding.contains_key(&one.key())
    }

    pub fn expect(&mut self, one: Outstanding) {
        if self.outstanding.len() < MOST {
            self.outstanding.insert(one.key(), one);
        }
    }

    /// In the order of their numbers.
    pub fn list(&self) -> Vec<Outstanding> {
        let mut list: Vec<_> = self.outstanding.values().cloned().collect();
        list.sort_by_key(|one| one.number);
        list
    }

    /// What a packet from a destination answers.
    fn answered(&self, packet: &Packet<'_>) -> Option<&Outstanding> {
        match packet.icmp() {
            Some((ECHO_REPLY, 0)) if packet.protocol == ICMP => self.echoed(packet, packet.source),
            Some((V6_ECHO_REPLY, 0)) if packet.protocol == ICMPV6 => {
                self.echoed(packet, packet.source)
            }
            _ if packet.protocol == TCP => {
                let (theirs, ours) = packet.ports()?;
                let one = self.outstanding.get(&(TCP, ours, theirs, packet.source))?;
                let acknowledged = u32::from_be_bytes(*packet.payload.get(8..)?.first_chunk()?);
                let Marks::Tcp { sequence, .. } = one.marks else { return None };
                (acknowledged == sequence.wrapping_add(1)).then_some(one)
            }
            // A datagram back would echo nothing that shows who sent it.
            _ => None,
        }
    }

    /// What a quoted packet of ours is.
    fn quoted(&self, packet: &Packet<'_>) -> Option<&Outstanding> {
        if matches!(packet.protocol, ICMP | ICMPV6) {
            return self.echoed(packet, packet.destination);
        }
        let (ours, theirs) = packet.ports()?;
        let one = self.outstanding.get(&(packet.protocol, ours, theirs, packet.destination))?;
        let next_four = *packet.payload.get(4..)?.first_chunk::<4>()?;
        let is_ours = match one.marks {
            Marks::Tcp { sequence, .. } => sequence == u32::from_be_bytes(next_four),
            Marks::Udp { checksum, .. } => {
                let [_, _, a, b] = next_four;
                checksum == u16::from_be_bytes([a, b])
            }
            Marks::Icmp { .. } => false,
        };
        is_ours.then_some(one)
    }

    fn echoed(&self, packet: &Packet<'_>, destination: IpAddr) -> Option<&Outstanding> {
        let [a, b, c, d] = *packet.payload.get(4..)?.first_chunk::<4>()?;
        let (identifier, sequence) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let one = self.outstanding.get(&(ICMP, identifier, sequence, destination))?;
        let Marks::Icmp { data, .. } = one.marks else { return None };
        // A router may quote no more than eight octets of the message (RFC 792).
        let back = packet.payload.get(8..).and_then(|rest| rest.first_chunk::<8>());
        back.is_none_or(|back| u64::from_be_bytes(*back) == data).then_some(one)
    }
}

/// The fact that a frame is, if it answers one of a volley's.
pub(super) fn recognise(context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
    let volley = &context.known.volley;
    if volley.outstanding.is_empty() {
        return None;
    }
    let (one, from, icmp) = match read_quote(context, frame) {
        Some(quote) => (volley.quoted(&quote.packet)?, quote.from, Some((quote.kind, quote.code))),
        None => {
            let packet = context.packet_for_us(frame)?;
            (volley.answered(packet)?, packet.source, None)
        }
    };
    Some(Recognised {
        probe: NAME,
        source: Source::Forwarding,
        fact: Fact::Forwarding(Forwarding {
            mac: one.mac,
            destination: one.destination,
            hop_limit: one.hop_limit,
            round: one.round,
            from,
            icmp,
            answered_by: frame.source,
        }),
        place: Place::LinkWide,
        settles: Settles::Yes,
    })
}
