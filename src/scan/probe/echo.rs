//! Echo requests of both families, and where their token stands.
//!
//! | field | bits | what |
//! |---|---|---|
//! | identifier | 16 | token; the neighbour's place where one is steered through |
//! | sequence | 8 + 8 | which probe and which hop limit (the *salt*); token |
//! | data | 64 | the whole token, then our name, so that who looks at the wire knows whose it is |
//! | IPv4 identification, IPv6 flow label | 16, 20 | token: comes back in errors that quote no data |
//!
//! The salt stands in clear because an answer must say to which of a target's questions it belongs:
//! `00000000` echo, `01rrrhhh` forwarding test (round, hop limit), `10hhhhhh` hop ladder,
//! `11000000` link-wide. RFC 792, RFC 4443.

use std::net::IpAddr;

use super::patch::{Address, Field, Packet};
use super::{Context, Setup};
use crate::net::Mac;
use crate::scope::frame::{self, Frame};
use crate::wire::Protocol;
use crate::wire::icmp::{ECHO_REQUEST, V6_ECHO_REQUEST};

pub(in crate::scan) const SALT_ECHO: u8 = 0;
pub(in crate::scan) const SALT_FORWARDING: u8 = 0b0100_0000;
pub(in crate::scan) const SALT_TRACE: u8 = 0b1000_0000;
pub(in crate::scan) const SALT_LINK_WIDE: u8 = 0b1100_0000;
pub(in crate::scan) const SALT_KIND: u8 = 0b1100_0000;

/// Whose packet it is, for the eyes of an administrator.
const NAME: &[u8; 8] = b"jiebei\0\0";
/// Echoes of ordinary questions leave with this.
pub(super) const HOP_LIMIT: u8 = 64;

/// The fields of one echo that carry its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::scan) struct Marks {
    pub identifier: u16,
    pub sequence: u16,
    pub label: u32,
    pub data: u64,
}

impl Marks {
    pub fn of(token: u64, salt: u8) -> Marks {
        Marks {
            identifier: (token >> 48) as u16,
            sequence: u16::from_be_bytes([salt, (token >> 40) as u8]),
            label: (token >> 16) as u32 & 0xf_ffff,
            data: token,
        }
    }

    /// With a number in clear where the identifier is.
    pub fn with_identifier(self, identifier: u16) -> Marks {
        Marks { identifier, ..self }
    }

    /// The data of the echo.
    pub fn data(&self) -> [u8; 16] {
        let mut data = [0; 16];
        let (token, name) = data.split_at_mut(8);
        token.copy_from_slice(&self.data.to_be_bytes());
        name.copy_from_slice(NAME);
        data
    }
}

/// What came back of an echo.
#[derive(Debug, Clone, Copy)]
pub(in crate::scan) struct Seen {
    pub identifier: u16,
    pub sequence: u16,
    /// Whole in a reply; may be cut off in a quote.
    pub data: Option<u64>,
    /// Of the quoted header; a reply has none of ours.
    pub label: Option<u32>,
}

impl Seen {
    /// From the ICMP message of a reply, or of a quoted request.
    pub fn read(message: &[u8], label: Option<u32>) -> Option<Seen> {
        let [_, _, _, _, i0, i1, s0, s1] = *message.first_chunk::<8>()?;
        let data = message.get(8..).and_then(|data| data.first_chunk::<8>());
        Some(Seen {
            identifier: u16::from_be_bytes([i0, i1]),
            sequence: u16::from_be_bytes([s0, s1]),
            data: data.map(|data| u64::from_be_bytes(*data)),
            label,
        })
    }

    pub fn salt(&self) -> u8 {
        self.sequence.to_be_bytes()[0]
    }

    /// Whether these are the marks that were sent.
    pub fn matches(&self, marks: &Marks) -> bool {
        let rest = match (self.data, self.label) {
            (Some(data), _) => data == marks.data,
            // The identification is 16 bits, the flow label 20: what is not there is not compared.
            (None, Some(label)) => label == marks.label || label == marks.label & 0xffff,
            (None, None) => false,
        };
        self.identifier == marks.identifier && self.sequence == marks.sequence && rest
    }
}

/// An echo reply for us.
pub(in crate::scan) fn reply<'a>(
    context: &Context<'_>,
    frame: &'a Frame<'a>,
) -> Option<(&'a frame::Packet<'a>, Seen)> {
    let packet = context.packet_for_us(frame)?;
    match (packet.destination, packet.icmp()?) {
        (IpAddr::V4(_), (0, 0)) | (IpAddr::V6(_), (129, 0)) => {}
        _ => return None,
    }
    Some((packet, Seen::read(packet.payload, None)?))
}

/// A quoted echo request of ours.
pub(in crate::scan) fn quoted(packet: &frame::Packet<'_>) -> Option<Seen> {
    match (packet.destination, packet.icmp()?) {
        (IpAddr::V4(_), (8, 0)) | (IpAddr::V6(_), (128, 0)) => {}
        _ => return None,
    }
    Seen::read(packet.payload, Some(packet.label))
}

/// An echo request, ready but for its target and marks.
pub(super) struct EchoTemplate(Packet);

impl EchoTemplate {
    pub fn new(setup: &Setup<'_>) -> Option<EchoTemplate> {
        let (kind, protocol) = match setup.source {
            IpAddr::V4(_) => (ECHO_REQUEST, Protocol::ICMP),
            IpAddr::V6(_) => (V6_ECHO_REQUEST, Protocol::ICMPV6),
        };
        let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 0];
        message.extend_from_slice(&[0; 8]);
        message.extend_from_slice(NAME);
        Packet::new(setup.vantage.mac, setup.source, protocol, &message, 2).map(EchoTemplate)
    }

    #[inline]
    pub fn stamp(&mut self, next_hop: Mac, target: IpAddr, hop_limit: u8, marks: Marks) -> &[u8] {
        let address = Address { next_hop, target, hop_limit, label: marks.label };
        self.0.stamp(
            &address,
            &[
                Field::Two(4, marks.identifier),
                Field::Two(6, marks.sequence),
                Field::Eight(8, marks.data),
            ],
        )
    }
}
