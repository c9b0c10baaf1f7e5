//! Tunnels whose inside is not read, by the marks of their handshakes and headers: WireGuard, OpenVPN (UDP and TCP), IKE with
//! ESP in UDP (RFC 3948, 7296), ESP (RFC 4303), L2TP (RFC 2661, 3931), PPTP (RFC 2637). Those whose inside is read
//! (GRE, ERSPAN, VXLAN, Geneve, Teredo, GTP-U, IP in IP) are told of on the way there.
//!
//! Taken: that a tunnel goes from one address to another, with what tells it from others. Left: data packets of OpenVPN,
//! which any program's might look like: without the handshake in the capture such a tunnel is not told.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{Carriage, Fact, Foreign, Source, Tunnel, TunnelKind};
use crate::wire::marks::{self, IkeOrEsp, Over};
use crate::wire::tcp::{TcpSegment, quoted_start};
use crate::wire::{Ip, Protocol, WireError};

pub(super) struct Tunnels;

impl Dissector for Tunnels {
    fn name(&self) -> &'static str {
        "tunnel"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::AnyDatagram, Wake::Protocol(Protocol::TCP), Wake::Protocol(Protocol::ESP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let tunnel = match (packet.ports, ip.protocol) {
            (Some(ports), _) => datagram(ports, packet.payload, &ip, packet),
            (None, Protocol::TCP) => segment(packet.payload, &ip, packet),
            (None, _) => marks::esp(packet.payload).map(|index| Tunnel {
                identifier: Some(index),
                ..of(TunnelKind::Esp, &ip, packet)
            }),
        };
        if let Some(tunnel) = tunnel {
            facts.put(self.source(), Fact::Tunnel(tunnel));
        }
        Ok(())
    }
}

/// A tunnel of which only the ends are known.
pub(super) fn of(kind: TunnelKind, ip: &Ip<'_>, packet: &Packet<'_>) -> Tunnel {
    Tunnel {
        kind,
        from: ip.source,
        to: ip.destination,
        mac: packet.source,
        over: None,
        version: None,
        identifier: None,
        session: None,
        carries: None,
        host: None,
        vendor: None,
    }
}

fn datagram(
    (from, to): (u16, u16),
    payload: &[u8],
    ip: &Ip<'_>,
    packet: &Packet<'_>,
) -> Option<Tunnel> {
    let is_at = |port: u16| from == port || to == port;
    let of = |kind| Tunnel { over: Some(Carriage::Udp), ..of(kind, ip, packet) };
    if is_at(marks::IKE_PORT) {
        return marks::ike(payload, Over::ItsPort)
            .map(|version| Tunnel { version: Some(version), ..of(TunnelKind::Ike) });
    }
    if is_at(marks::IKE_NAT_PORT) {
        return marks::ike_or_esp(payload).map(|told| match told {
            IkeOrEsp::Ike(version) => Tunnel { version: Some(version), ..of(TunnelKind::Ike) },
            IkeOrEsp::Esp(index) => Tunnel { identifier: Some(index), ..of(TunnelKind::Esp) },
        });
    }
    if is_at(marks::L2TP_PORT) {
        return marks::l2tp(payload).map(|told| Tunnel {
            version: Some(told.version),
            identifier: Some(told.tunnel),
            session: told.session,
            ..of(TunnelKind::L2tp)
        });
    }
    if marks::is_wireguard(payload) {
        return Some(of(TunnelKind::WireGuard));
    }
    let over = if is_at(marks::OPENVPN_PORT) { Over::ItsPort } else { Over::AnyPort };
    marks::is_openvpn(payload, over).then(|| of(TunnelKind::OpenVpn))
}

fn segment(bytes: &[u8], ip: &Ip<'_>, packet: &Packet<'_>) -> Option<Tunnel> {
    let (from, to, _) = quoted_start(bytes)?;
    let is_at = |port: u16| from == port || to == port;
    let segment = TcpSegment::read(bytes).ok()?;
    if is_at(marks::PPTP_PORT) {
        let told = marks::pptp(segment.payload)?;
        return Some(Tunnel {
            over: Some(Carriage::Tcp),
            host: told.host.map(Foreign::from_bytes),
            vendor: told.vendor.map(Foreign::from_bytes),
            ..of(TunnelKind::Pptp, ip, packet)
        });
    }
    let over = if is_at(marks::OPENVPN_PORT) { Over::ItsPort } else { Over::AnyPort };
    marks::is_openvpn_stream(segment.payload, over)
        .then(|| Tunnel { over: Some(Carriage::Tcp), ..of(TunnelKind::OpenVpn, ip, packet) })
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use super::*;

    #[test]
    fn a_handshake_tells_a_tunnel_and_data_does_not() {
        let mut payload = vec![1, 0, 0, 0];
        payload.resize(148, 7);
        let frame = datagram(("10.1.0.5", 51820), ("192.0.2.1", 51820), &payload);
        let told = facts(&frame);
        assert!(matches!(&told[..], [Fact::Tunnel(Tunnel { kind: TunnelKind::WireGuard, .. })]));
        payload[0] = 4;
        assert!(facts(&datagram(("10.1.0.5", 51820), ("192.0.2.1", 51820), &payload)).is_empty());
    }
}
