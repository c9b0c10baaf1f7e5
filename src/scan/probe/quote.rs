//! ICMP errors: who says what of which packet of ours.

use std::net::IpAddr;

use super::{Context, Probe};
use crate::net::{Mac, Port};
use crate::observe::{Fact, IcmpError, PortState};
use crate::scan::recogniser::{Place, Recognised, Settles};
use crate::scope::frame::{Frame, Packet};

/// An ICMP error for us, with the packet that it quotes.
pub(in crate::scan) struct Quote<'a> {
    pub from: IpAddr,
    pub mac: Mac,
    pub hop_limit: u8,
    pub kind: u8,
    pub code: u8,
    pub packet: Packet<'a>,
}

/// RFC 792: unreachable, redirect, time exceeded, parameter problem. RFC 4443: unreachable, too big,
/// time exceeded, parameter problem.
pub(in crate::scan) fn read<'a>(context: &Context<'_>, frame: &'a Frame<'a>) -> Option<Quote<'a>> {
    let packet = context.packet_for_us(frame)?;
    let (kind, code) = packet.icmp()?;
    let is_error = match packet.destination {
        IpAddr::V4(_) => matches!(kind, 3 | 5 | 11 | 12),
        IpAddr::V6(_) => matches!(kind, 1..=4),
    };
    if !is_error {
        return None;
    }
    let quoted = Packet::read(packet.payload.get(8..)?)?;
    if quoted.fragment || quoted.destination.is_ipv4() != packet.destination.is_ipv4() {
        return None;
    }
    Some(Quote {
        from: packet.source,
        mac: frame.source,
        hop_limit: packet.hop_limit,
        kind,
        code,
        packet: quoted,
    })
}

impl Quote<'_> {
    pub fn is_time_exceeded(&self) -> bool {
        matches!((self.packet.destination, self.kind), (IpAddr::V4(_), 11) | (IpAddr::V6(_), 3))
    }

    fn is_port_unreachable(&self) -> bool {
        matches!(
            (self.packet.destination, self.kind, self.code),
            (IpAddr::V4(_), 3, 3) | (IpAddr::V6(_), 1, 4)
        )
    }

    /// Whether asking again may bring something else: the target was not resolved just now, the
    /// packet ran in a circle, or a redirect told of a better way.
    fn settles(&self) -> Settles {
        let passing = match self.packet.destination {
            IpAddr::V4(_) => matches!((self.kind, self.code), (3, 1) | (5 | 11, _)),
            IpAddr::V6(_) => matches!((self.kind, self.code), (1, 3) | (3, _)),
        };
        if passing { Settles::No } else { Settles::Yes }
    }

    /// What the error says of an asked port (or of none): closed, where the target itself says so.
    pub fn fact(&self, probe: &dyn Probe, port: Option<Port>) -> Recognised {
        let target = self.packet.destination;
        let fact = if port.is_some() && self.is_port_unreachable() && self.from == target {
            Fact::Answer {
                ip: target,
                mac: self.mac,
                port,
                state: PortState::Closed,
                hop_limit: self.hop_limit,
            }
        } else {
            Fact::IcmpError(self.error(port))
        };
        let question = port.map_or(0, |port| port.number);
        Recognised {
            probe: probe.name(),
            source: probe.source(),
            fact,
            place: Place::Address { target, question },
            settles: self.settles(),
        }
    }

    pub fn error(&self, port: Option<Port>) -> IcmpError {
        IcmpError {
            target: self.packet.destination,
            port,
            from: self.from,
            mac: self.mac,
            icmp_type: self.kind,
            code: self.code,
        }
    }
}
