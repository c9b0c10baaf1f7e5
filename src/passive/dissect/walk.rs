//! The way from a frame's first byte to the payloads that dissectors read.

use std::net::IpAddr;

use super::{Facts, Packet, Reading, Wake, wake};
use crate::net::Mac;
use crate::observe::Source;
use crate::wire::ethernet::{Carried, EtherType, Ethernet};
use crate::wire::udp::Udp;
use crate::wire::{Ip, LinkType, Protocol};

/// Frames within packets within frames: deeper than any network that means well.
const MOST_LAYERS: u8 = 8;

/// Where the walk stands: the addresses of the link that it is on, and how deep it is.
#[derive(Clone, Copy)]
struct Place {
    source: Mac,
    destination: Mac,
    layers: u8,
}

impl Place {
    const OUTSIDE: Place = Place { source: Mac::ZERO, destination: Mac::ZERO, layers: 0 };

    fn deeper(self) -> Place {
        Place { layers: self.layers.saturating_add(1), ..self }
    }
}

pub(super) fn link(link_type: LinkType, frame: &[u8], facts: &mut Facts<'_>) -> Reading {
    match link_type {
        LinkType::ETHERNET => ethernet(frame, Place::OUTSIDE, facts),
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => ip(frame, Place::OUTSIDE, facts),
        _ => Reading::Skipped,
    }
}

fn ethernet(frame: &[u8], place: Place, facts: &mut Facts<'_>) -> Reading {
    let Ok(ethernet) = Ethernet::read(frame) else { return Reading::Unreadable };
    let place = Place {
        source: ethernet.source,
        destination: ethernet.destination,
        layers: place.layers.saturating_add(1),
    };
    if let Carried::EtherType(ethertype) = ethernet.carried {
        carried(ethertype, ethernet.payload, place, facts);
    }
    Reading::Read
}

/// What an EtherType announces, on Ethernet or on another link that borrows the numbers.
fn carried(ethertype: EtherType, payload: &[u8], place: Place, facts: &mut Facts<'_>) {
    if place.layers > MOST_LAYERS {
        facts.oddity(Source::Traffic, place.source, "frame", "too many layers");
        return;
    }
    match ethertype {
        EtherType::IPV4 | EtherType::IPV6 => {
            if ip(payload, place, facts) == Reading::Unreadable {
                facts.oddity(Source::Traffic, place.source, "ip", "unreadable header");
            }
        }
        _ => {
            let packet = Packet {
                source: place.source,
                destination: place.destination,
                ip: None,
                ports: None,
                payload,
            };
            wake(&packet, facts, |wake| wake == Wake::EtherType(ethertype));
        }
    }
}

fn ip(bytes: &[u8], place: Place, facts: &mut Facts<'_>) -> Reading {
    let Ok(ip) = Ip::read(bytes) else { return Reading::Unreadable };
    let packet = Packet {
        source: place.source,
        destination: place.destination,
        ip: Some(ip),
        ports: None,
        payload: ip.payload,
    };
    wake(&packet, facts, |wake| wake == Wake::Ip);
    if !ip.has_upper_layer() {
        return Reading::Read;
    }
    match (ip.protocol, ip.source) {
        (Protocol::UDP, _) => udp(packet, ip, place.deeper(), facts),
        (Protocol::ICMPV6, IpAddr::V6(_)) => {
            if let Some(&icmp_type) = ip.payload.first() {
                wake(&packet, facts, |wake| wake == Wake::Icmpv6(icmp_type));
            }
        }
        (protocol, _) => wake(&packet, facts, |wake| wake == Wake::Protocol(protocol)),
    }
    Reading::Read
}

fn udp(packet: Packet<'_>, ip: Ip<'_>, _place: Place, facts: &mut Facts<'_>) {
    let Ok(udp) = Udp::read(ip.payload) else {
        facts.oddity(Source::Traffic, packet.source, "udp", "unreadable header");
        return;
    };
    let packet =
        Packet { ports: Some((udp.source, udp.destination)), payload: udp.payload, ..packet };
    wake(
        &packet,
        facts,
        |wake| matches!(wake, Wake::Udp(port) if port == udp.destination || port == udp.source),
    );
}
