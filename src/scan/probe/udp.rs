//! UDP datagrams with real payloads, both families. RFC 768.
//!
//! A datagram back is an open port, port unreachable from the target a closed one; silence is neither.
//! The token is the source port (one of a few that sockets of ours hold, so that the kernel does not
//! answer answers) and a field of the protocol where it echoes one; in ICMP errors the IPv4
//! identification or the flow label. A protocol that echoes nothing has the source port alone, so its
//! answer counts only from an address and port that were asked.
//!
//! Port unreachable is rationed (Linux: one a second to one asker, after the first six): the pass keeps
//! its questions to one target a second apart, or closed ports look silent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use super::patch::{Address, Field, Packet, put};
use super::payload::{self, Mark, Payload};
use super::{Ask, Context, Hears, Probe, Setup, Template, answer, quote};
use crate::net::Port;
use crate::observe::{PortState, Source};
use crate::scan::recogniser::Recognised;
use crate::scan::source_ports::{PortRange, SourcePorts};
use crate::scan::token::{Identity, Keys};
use crate::scope::Class;
use crate::scope::frame::{Frame, Packet as Read, UDP};
use crate::wire::Protocol;

const ID: u8 = 6;
const HOP_LIMIT: u8 = 64;
const HEADER: usize = 8;
/// Where a DHCP server answers, whatever port asked.
const DHCP_CLIENT: u16 = 68;

pub(super) struct UdpDatagram;

impl Probe for UdpDatagram {
    fn name(&self) -> &'static str {
        "udp"
    }

    fn source(&self) -> Source {
        Source::Udp
    }

    fn class(&self) -> Class {
        Class::Ordinary
    }

    fn speaks_to(&self, _: IpAddr) -> bool {
        true
    }

    fn hears(&self, ports: SourcePorts) -> Hears {
        Hears::Udp(ports.udp)
    }

    fn questions(&self) -> &'static [u16] {
        &[]
    }

    fn spacing(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        let mut packets = HashMap::new();
        for &port in setup.questions {
            packets.insert(port, build(setup, port)?);
        }
        Some(Box::new(Datagrams {
            packets,
            keys: setup.keys.clone(),
            ports: setup.ports.udp,
            identity: Identity {
                probe: ID,
                vantage: setup.vantage.id,
                target: setup.source,
                question: 0,
                extra: 0,
            },
        }))
    }

    fn recognise(&self, context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
        let packet = context.packet_for_us(frame)?;
        if packet.protocol == UDP {
            let port = answered(context, packet)?;
            let hop_limit = packet.hop_limit;
            let state = PortState::Open;
            return Some(answer(self, packet.source, frame, hop_limit, Some(port), state));
        }
        let quote = quote::read(context, frame)?;
        if quote.packet.protocol != UDP {
            return None;
        }
        let (ours, theirs) = quote.packet.ports()?;
        let token = context.token(ID, quote.packet.destination, theirs, 0);
        let label = match quote.packet.destination {
            IpAddr::V4(_) => label_of(token) & 0xffff,
            IpAddr::V6(_) => label_of(token),
        };
        let is_ours = ours == context.ports.udp.port(token) && quote.packet.label == label;
        (is_ours && theirs != 0).then(|| quote.fact(self, Some(Port::udp(theirs))))
    }
}

/// The asked port that a datagram answers.
fn answered(context: &Context<'_>, packet: &Read<'_>) -> Option<Port> {
    let (theirs, ours) = packet.ports()?;
    let data = packet.payload.get(HEADER..)?;
    // TFTP answers from a port of its own choice, DHCP to one.
    let asked = [theirs, payload::TFTP];
    asked.into_iter().filter(|port| *port != 0).find_map(|port| {
        let token = context.token(ID, packet.source, port, 0);
        let mark = payload::of(port).and_then(|payload| payload.mark);
        let arrived = ours == context.ports.udp.port(token)
            || port == payload::DHCP && ours == DHCP_CLIENT && packet.source.is_ipv4();
        let proved = match mark.filter(|_| speaks(port, packet.source)) {
            Some(mark) => mark.is_echoed(token, data),
            None => context.known.was_asked_udp(packet.source, port),
        };
        (arrived && proved).then(|| Port::udp(port))
    })
}

/// DHCP is asked over IPv4 alone; the other family's datagram is empty.
fn speaks(port: u16, address: IpAddr) -> bool {
    port != payload::DHCP || address.is_ipv4()
}

fn label_of(token: u64) -> u32 {
    (token >> 16) as u32 & 0xf_ffff
}

fn build(setup: &Setup<'_>, port: u16) -> Option<(Packet, Option<Mark>)> {
    let row = payload::of(port).filter(|_| speaks(port, setup.source));
    let data = row.map_or(&[][..], |payload: &Payload| payload.bytes);
    let length = u16::try_from(HEADER + data.len()).ok()?;
    let mut datagram = vec![0; 4];
    datagram.extend_from_slice(&length.to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(data);
    let mark = row.and_then(|payload| payload.mark);
    if let Some(mark) = mark {
        // Digits that stand for zero in the row make way for the token.
        let (_, length) = mark.octets(0);
        if let Some(place) = datagram.get_mut(HEADER + mark.at..HEADER + mark.at + length) {
            place.fill(0);
        }
    }
    if let (payload::DHCP, IpAddr::V4(source)) = (port, setup.source) {
        put(&mut datagram, HEADER + payload::DHCP_ADDRESS, source.octets());
        put(&mut datagram, HEADER + payload::DHCP_MAC, setup.vantage.mac.0);
    }
    let packet = Packet::new(setup.vantage.mac, setup.source, Protocol::UDP, &datagram, 6)?;
    Some((packet, mark))
}

struct Datagrams {
    packets: HashMap<u16, (Packet, Option<Mark>)>,
    keys: Keys,
    ports: PortRange,
    identity: Identity,
}

impl Template for Datagrams {
    fn stamp(&mut self, ask: &Ask) -> &[u8] {
        let identity = Identity { target: ask.target, question: ask.question, ..self.identity };
        let token = self.keys.token(&identity);
        let ports = u32::from(self.ports.port(token)) << 16 | u32::from(ask.question);
        let address = Address {
            next_hop: ask.next_hop(),
            target: ask.target,
            hop_limit: HOP_LIMIT,
            label: label_of(token),
        };
        let mut fields = [Field::Four(0, ports), Field::Nothing, Field::Nothing];
        // Every port of the pass has its packet; an empty frame goes nowhere, the fence sees to it.
        let Some((packet, mark)) = self.packets.get_mut(&ask.question) else { return &[] };
        if let Some(mark) = mark {
            let ([a, b, c, d, e, f, g, h, i, j, k, l], length) = mark.octets(token);
            let at = HEADER + mark.at;
            fields = match length {
                2 => [fields[0], Field::Two(at, u16::from_be_bytes([a, b])), Field::Nothing],
                4 => [fields[0], Field::Four(at, u32::from_be_bytes([a, b, c, d])), Field::Nothing],
                _ => [
                    fields[0],
                    Field::Eight(at, u64::from_be_bytes([a, b, c, d, e, f, g, h])),
                    if length > 8 {
                        Field::Four(at + 8, u32::from_be_bytes([i, j, k, l]))
                    } else {
                        Field::Nothing
                    },
                ],
            };
        }
        packet.stamp(&address, &fields)
    }
}
