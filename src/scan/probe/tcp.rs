//! TCP SYN, both families. RFC 9293 §3.10.7.
//!
//! **Nothing stays half-open.** The source address is the kernel's own and the source port has no
//! socket, so our kernel answers every SYN-ACK with a RST by itself (RFC 9293 §3.10.7.1); the fence
//! keeps a place for it under the ceilings. A retry repeats sequence number and ports, so to the target
//! it is a retransmission, not a second connection.
//!
//! The token is the sequence number and the source port: a SYN-ACK or RST that answers must
//! acknowledge `sequence + 1` at that port. A maximum segment size of 1,460 is the one option: some
//! filters drop a SYN without any.

use std::net::IpAddr;

use super::patch::{Address, Field, Packet};
use super::{Ask, Context, Hears, Probe, Setup, Template, answer, quote};
use crate::net::Port;
use crate::observe::{PortState, Source};
use crate::scan::recogniser::Recognised;
use crate::scan::source_ports::{PortRange, SourcePorts};
use crate::scan::token::{Identity, Keys};
use crate::scope::Class;
use crate::scope::frame::{Frame, TCP};
use crate::wire::Protocol;
use crate::wire::tcp::{ACK, RST, SYN};

const ID: u8 = 5;
const HOP_LIMIT: u8 = 64;

pub(super) struct TcpSyn;

impl Probe for TcpSyn {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn source(&self) -> Source {
        Source::Tcp
    }

    fn class(&self) -> Class {
        Class::Ordinary
    }

    fn speaks_to(&self, _: IpAddr) -> bool {
        true
    }

    fn hears(&self, ports: SourcePorts) -> Hears {
        Hears::Tcp(ports.tcp)
    }

    fn questions(&self) -> &'static [u16] {
        &[]
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        // Ports, sequence and acknowledgement are zero; 24 octets of header; the largest window.
        let mut segment = vec![0; 12];
        segment.extend_from_slice(&[0x60, SYN, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend_from_slice(&[2, 4, 0x05, 0xb4]);
        let packet = Packet::new(setup.vantage.mac, setup.source, Protocol::TCP, &segment, 16)?;
        Some(Box::new(Syn {
            packet,
            keys: setup.keys.clone(),
            ports: setup.ports.tcp,
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
        if packet.protocol == TCP {
            let header = packet.payload.first_chunk::<20>()?;
            let theirs = u16::from_be_bytes([header[0], header[1]]);
            let ours = u16::from_be_bytes([header[2], header[3]]);
            let acknowledged = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
            let state = match header[13] & (SYN | RST | ACK) {
                flags if flags == SYN | ACK => PortState::Open,
                flags if flags == RST | ACK => PortState::Closed,
                _ => return None,
            };
            let port = answered_port(theirs)?;
            let token = context.token(ID, packet.source, theirs, 0);
            let sequence = acknowledged.wrapping_sub(1);
            if sequence != token as u32 || ours != context.ports.tcp.port(token) {
                return None;
            }
            return Some(answer(self, packet.source, frame, packet.hop_limit, Some(port), state));
        }
        let quote = quote::read(context, frame)?;
        if quote.packet.protocol != TCP {
            return None;
        }
        // RFC 792 promises eight octets: the ports and the sequence number.
        let header = quote.packet.payload.first_chunk::<8>()?;
        let ours = u16::from_be_bytes([header[0], header[1]]);
        let theirs = u16::from_be_bytes([header[2], header[3]]);
        let sequence = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
        let token = context.token(ID, quote.packet.destination, theirs, 0);
        let is_ours = sequence == token as u32 && ours == context.ports.tcp.port(token);
        let port = answered_port(theirs)?;
        is_ours.then(|| quote.fact(self, Some(port)))
    }
}

fn answered_port(number: u16) -> Option<Port> {
    (number != 0).then(|| Port::tcp(number))
}

struct Syn {
    packet: Packet,
    keys: Keys,
    ports: PortRange,
    identity: Identity,
}

impl Template for Syn {
    fn stamp(&mut self, ask: &Ask) -> &[u8] {
        let identity = Identity { target: ask.target, question: ask.question, ..self.identity };
        let token = self.keys.token(&identity);
        let ports = u32::from(self.ports.port(token)) << 16 | u32::from(ask.question);
        let address = Address {
            next_hop: ask.next_hop(),
            target: ask.target,
            hop_limit: HOP_LIMIT,
            label: 0,
        };
        self.packet.stamp(&address, &[Field::Four(0, ports), Field::Four(4, token as u32)])
    }
}
