//! What the dissectors of protocols that stay on a link share.

use super::Packet;
use crate::observe::{RoutingProtocol, RoutingSpeaker};
use crate::wire::Ip;

/// Whether a packet was sent on this link: to a group or the broadcast address of the link, or with
/// a hop limit that no router has lowered.
pub(super) fn is_from_link(ip: &Ip<'_>, packet: &Packet<'_>) -> bool {
    ip.destination.is_multicast()
        || packet.destination.is_group()
        || matches!(ip.hop_limit, 1 | 255)
}

/// A speaker of whom only the protocol is known.
pub(super) fn of(
    protocol: RoutingProtocol,
    version: u8,
    ip: &Ip<'_>,
    packet: &Packet<'_>,
) -> RoutingSpeaker {
    RoutingSpeaker {
        protocol,
        version,
        ip: ip.source,
        mac: packet.source,
        router_id: None,
        group: None,
        priority: None,
        virtual_addresses: Vec::new(),
        prefix: None,
        advertised: Vec::new(),
        neighbours: Vec::new(),
    }
}
