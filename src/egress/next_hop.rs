//! `next-hop`: a packet for a canary in a frame to a neighbour's MAC.
//!
//! Whoever forwards it leads somewhere; whoever brings it to the collector leads out. The packet goes three ways,
//! as an ICMP echo, as a UDP datagram and as a TCP SYN, because a way out often lets only some of them pass, twice with fresh
//! tokens, and with hop limits counted up from 1, which shows through whom.
//!
//! **What it proves.** Hop limit 1 used up at the neighbour: that it forwards. Hop limit 2 used up: at whom it goes on,
//! which tells a relay to the registered gateway from a way of its own. The collector's record: that it leads out, and as
//! which public address. A SYN-ACK from the canary alone: that something answers in the canary's name; a
//! transparent proxy does that too.
//!
//! **What would refute it.** That the public address seen is in a filed prefix, or that the hop ladder passes a filed gateway.
//!
//! **Measured** (Linux 6.18 in namespaces, three of three unless said; all of it in `docs/measured-egress.md`):
//!
//! | neighbour | hop limit 1 | 2 | full |
//! |---|---|---|---|
//! | forwards, NAT or not | 11/0, 3/0 from itself | time exceeded from the next router, by the neighbour's MAC | arrives as the public address |
//! | relays to a router on the same wire | 11/0 | time exceeded from **that router, by its MAC**, and a redirect from the relay | arrives as that router's address |
//! | forwards, policy drop | 11/0 | silent | silent |
//! | forwards, no route | 3/0 (IPv6: silent) | 3/0 | 3/0, rationed |
//! | default route to nobody | 11/0 | host unreachable from its *other* address, 3 s later | the same |
//! | sets the hop limit anew (`ip ttl set 64`) | **arrives at the collector** | arrives | arrives |
//! | drops its own time exceeded | silent | from the next router | arrives |
//! | IPv6, no route back to us | silent | silent | arrives, source our own |
//! | does not forward | silent | silent | silent |
//!
//! So the full packet goes to everyone, and not only to who answered hop limit 1. Sequence number, timestamp, payload
//! and ICMP data pass Linux's masquerade unchanged. A source guard on the switch changes nothing: the source is our own.

use std::net::IpAddr;

use super::token::Token;
use crate::net::Mac;
use crate::observe::{Carrier, EgressProbe};
use crate::scan::SourcePorts;
use crate::scan::volley::{Marks, Outstanding};
use crate::wire::build::{self, Macs};
use crate::wire::icmp;
use crate::wire::tcp::{self, TcpSegment};

/// With which the full packet leaves: what systems begin with.
pub const FULL: u8 = 64;
/// Hop limits of the ladder beyond the neighbour itself.
pub const LADDER: std::ops::RangeInclusive<u8> = 2..=6;
/// Rounds with fresh tokens.
pub const ROUNDS: u8 = 2;
/// Where a SYN and a datagram go to: the collector accepts TCP there, and firewalls let both pass most often.
pub const PORT: u16 = 443;
/// The full packet's carriers.
pub const CARRIERS: [Carrier; 3] = [Carrier::IcmpEcho, Carrier::UdpDatagram, Carrier::TcpSyn];

/// Whose packet it is, for the eyes of an administrator.
const NAME: &[u8] = b"jiebei egress probe";

/// The port of the canary that a carrier asks.
pub const fn port(carrier: Carrier) -> u16 {
    match carrier {
        Carrier::IcmpEcho => 0,
        _ => PORT,
    }
}

/// The frame of a probe, and what answers to it hold. `None` where source and canary are of two families.
pub fn frame(
    probe: &EgressProbe,
    token: Token,
    own_mac: Mac,
    ports: SourcePorts,
) -> Option<(Vec<u8>, Outstanding)> {
    let macs = Macs { source: own_mac, destination: probe.mac };
    // Which of our ports: the seal's bits are as good as random; a range takes the upper half.
    let choice = (token.bits as u64) << 32;
    let (frame, marks) = match probe.carrier {
        Carrier::IcmpEcho => echo(probe, token, macs)?,
        Carrier::UdpDatagram => {
            let source_port = ports.udp.port(choice);
            let data = payload(token);
            let from = (probe.asked_from, source_port);
            let to = (probe.canary, probe.port);
            let frame = build::udp_datagram(macs, from, to, probe.hop_limit, &data)?;
            let at = frame.len().checked_sub(data.len())?.checked_sub(2)?;
            let [a, b] = *frame.get(at..)?.first_chunk::<2>()?;
            let checksum = u16::from_be_bytes([a, b]);
            (frame, Marks::Udp { source_port, port: probe.port, checksum })
        }
        _ => {
            let source_port = ports.tcp.port(choice);
            let (frame, sequence) = syn(probe, token, macs, source_port)?;
            (frame, Marks::Tcp { source_port, port: probe.port, sequence })
        }
    };
    let outstanding = Outstanding {
        number: probe.number,
        mac: probe.mac,
        destination: probe.canary,
        hop_limit: probe.hop_limit,
        round: probe.round,
        marks,
    };
    Some((frame, outstanding))
}

fn payload(token: Token) -> Vec<u8> {
    let mut data = token.octets().to_vec();
    data.extend_from_slice(NAME);
    data
}

fn echo(probe: &EgressProbe, token: Token, macs: Macs) -> Option<(Vec<u8>, Marks)> {
    let data = payload(token);
    let (identifier, sequence) = echo_numbers(token);
    let echo = icmp::Echo { identifier, sequence, data: &data };
    let frame = match (probe.asked_from, probe.canary) {
        (IpAddr::V4(source), IpAddr::V4(canary)) => {
            build::echo_request(macs, source, canary, probe.hop_limit, echo)
        }
        (IpAddr::V6(source), IpAddr::V6(canary)) => {
            build::echo_request_v6(macs, source, canary, probe.hop_limit, echo)
        }
        _ => return None,
    };
    Some((frame, Marks::Icmp { identifier, sequence, data: (token.bits >> 64) as u64 }))
}

/// Identifier and sequence of an echo: the lowest bits of its token.
pub(super) fn echo_numbers(token: Token) -> (u16, u16) {
    ((token.bits >> 16) as u16, token.bits as u16)
}

/// A SYN whose sequence number and timestamp are the token: a NAT translates neither.
pub(super) fn syn(
    probe: &EgressProbe,
    token: Token,
    macs: Macs,
    source_port: u16,
) -> Option<(Vec<u8>, u32)> {
    let (sequence, timestamp) = token.sequence_and_timestamp();
    // Maximum segment size 1460, selective acknowledgement, timestamp, no operation, window scale 7: as Linux
    // writes them. RFC 9293 §3.2, RFC 2018, RFC 7323.
    let mut options = vec![2, 4, 5, 180, 4, 2, 8, 10];
    options.extend_from_slice(&timestamp.to_be_bytes());
    options.extend_from_slice(&[0, 0, 0, 0, 1, 3, 3, 7]);
    let segment = TcpSegment {
        source: source_port,
        destination: probe.port,
        sequence,
        acknowledgement: 0,
        flags: tcp::SYN,
        window: 64_240,
        options: &options,
        payload: &[],
    };
    let (from, to) = (probe.asked_from, probe.canary);
    let frame = build::tcp_segment(macs, from, to, probe.hop_limit, &segment)?;
    Some((frame, sequence))
}
