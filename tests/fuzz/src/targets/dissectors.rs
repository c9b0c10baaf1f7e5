//! Each dissector by itself: a payload in the frame that wakes it.
//!
//! The first octet of an input chooses among what wakes the dissector, the second how the frame around it looks ([`Shape`]);
//! the rest is the payload. The frame goes the way of every frame, so whoever else is woken by it reads it too.

use std::net::IpAddr;

use jiebei::net::Mac;
use jiebei::passive::dissect::{self, Dissector, Wake};
use jiebei::wire::build::{self, Macs};
use jiebei::wire::ethernet::{self, Carried};
use jiebei::wire::udp::Udp;
use jiebei::wire::{EtherType, Ethernet, Ip, LinkType, Protocol};

use super::samples::Samples;
use super::{Outcome, Target};

const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 7]);
const SOME_PORT: u16 = 40_000;

pub fn targets() -> Vec<Target> {
    dissect::ALL.iter().copied().map(target).collect()
}

fn target(dissector: &'static dyn Dissector) -> Target {
    let read = move |input: &[u8]| {
        frame_of(dissector, input).map(|frame| read(LinkType::ETHERNET, &frame)).unwrap_or_default()
    };
    Target::new(dissector.name(), read, move |samples| seeds(dissector, samples))
}

/// What all dissectors make of a frame.
pub fn read(link_type: LinkType, frame: &[u8]) -> Outcome {
    let mut outcome = Outcome { octets: frame.len(), ..Outcome::default() };
    let reading =
        dissect::dissect(link_type, frame, &mut |source, fact| outcome.facts.push((source, fact)));
    outcome.digest = reading as u64;
    outcome
}

/// How the frame around a payload looks, a bit for each: the lower three and the fifth matter to most.
#[derive(Debug, Clone, Copy)]
struct Shape(u8);

impl Shape {
    fn is_v6(self) -> bool {
        self.0 & 1 != 0
    }

    /// The known port is the sender's.
    fn is_of_server(self) -> bool {
        self.0 & 2 != 0
    }

    fn is_to_group(self) -> bool {
        self.0 & 4 != 0
    }

    /// The sender has no address yet.
    fn is_unspecified(self) -> bool {
        self.0 & 8 != 0
    }

    fn hop_limit(self) -> u8 {
        if self.0 & 16 == 0 { 255 } else { 64 }
    }

    /// Both ports are the known one.
    fn has_one_port(self) -> bool {
        self.0 & 32 != 0
    }

    /// The capture has less than the packet.
    fn is_cut(self) -> bool {
        self.0 & 64 != 0
    }

    fn addresses(self) -> (IpAddr, IpAddr) {
        let text = match (self.is_v6(), self.is_unspecified(), self.is_to_group()) {
            (false, false, false) => ("10.20.1.9", "203.0.113.7"),
            (false, false, true) => ("10.20.1.9", "224.0.0.251"),
            (false, true, false) => ("0.0.0.0", "255.255.255.255"),
            (false, true, true) => ("0.0.0.0", "224.0.0.1"),
            (true, false, false) => ("2001:db8::9", "2001:db8:1::7"),
            (true, false, true) => ("fe80::9", "ff02::1"),
            (true, true, false) => ("::", "fe80::7"),
            (true, true, true) => ("::", "ff02::1:ff00:9"),
        };
        (text.0.parse().unwrap(), text.1.parse().unwrap())
    }

    fn macs(self) -> Macs {
        let destination = if self.is_to_group() { Mac([1, 0, 0x5e, 0, 0, 1]) } else { OTHER };
        Macs { source: STATION, destination }
    }

    fn ports(self, port: u16) -> (u16, u16) {
        match (self.has_one_port(), self.is_of_server()) {
            (true, _) => (port, port),
            (false, true) => (port, SOME_PORT),
            (false, false) => (SOME_PORT, port),
        }
    }
}

fn frame_of(dissector: &dyn Dissector, input: &[u8]) -> Option<Vec<u8>> {
    let (&[wake, shape], payload) = input.split_first_chunk()?;
    let wakes = dissector.wakes();
    let wake = *wakes.get(usize::from(wake) % wakes.len())?;
    let mut frame = frame(wake, Shape(shape), payload)?;
    if Shape(shape).is_cut() {
        // As much as the last octet says.
        let less = frame.len().saturating_sub(usize::from(*payload.last()?));
        frame.truncate(less);
    }
    Some(frame)
}

fn frame(wake: Wake, shape: Shape, payload: &[u8]) -> Option<Vec<u8>> {
    let (macs, (source, destination)) = (shape.macs(), shape.addresses());
    let packet = |protocol, payload: &[u8]| {
        build::packet(macs, source, destination, protocol, shape.hop_limit(), payload)
    };
    let datagram = |ports: (u16, u16), payload: &[u8]| {
        build::udp_datagram(
            macs,
            (source, ports.0),
            (destination, ports.1),
            shape.hop_limit(),
            payload,
        )
    };
    match wake {
        Wake::EtherType(ethertype) => {
            let mut frame = Vec::new();
            ethernet::write(&mut frame, macs.destination, macs.source, ethertype);
            frame.extend_from_slice(payload);
            Some(frame)
        }
        Wake::Ip => {
            let (&protocol, payload) = payload.split_first()?;
            packet(Protocol(protocol), payload)
        }
        Wake::Protocol(protocol) => packet(protocol, payload),
        Wake::Icmpv6(icmp_type) => {
            let shape = Shape(shape.0 | 1);
            let (source, destination) = shape.addresses();
            let message = [&[icmp_type], payload].concat();
            build::packet(macs, source, destination, Protocol::ICMPV6, shape.hop_limit(), &message)
        }
        Wake::Udp(port) => datagram(shape.ports(port), payload),
        Wake::Datagram(at, octets) => {
            let (before, behind) = payload.split_at_checked(at)?;
            datagram((SOME_PORT, SOME_PORT), &[before, octets, behind].concat())
        }
        Wake::AnyDatagram => {
            let (&port, payload) = payload.split_first_chunk()?;
            datagram(shape.ports(u16::from_be_bytes(port)), payload)
        }
        Wake::Llc(point) => Some(llc(macs, &[&[point, point, 3], payload].concat())),
        Wake::Snap([a, b, c], number) => {
            let [d, e] = number.to_be_bytes();
            Some(llc(macs, &[&[0xaa, 0xaa, 3, a, b, c, d, e], payload].concat()))
        }
    }
}

/// IEEE 802.3: a length, and what follows it.
fn llc(macs: Macs, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX).min(1500).to_be_bytes();
    [&macs.destination.0[..], &macs.source.0, &length, bytes].concat()
}

/// What captures have for a dissector: the payloads of what wakes it, in the plain place.
fn seeds(dissector: &dyn Dissector, samples: &Samples) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for (link_type, frame) in &samples.frames {
        if *link_type != LinkType::ETHERNET {
            continue;
        }
        let Ok(ethernet) = Ethernet::read(frame) else { continue };
        for (place, wake) in dissector.wakes().iter().enumerate() {
            if let Some((shape, payload)) = payload_for(*wake, &ethernet) {
                seeds.push([&[place as u8, shape], &payload[..]].concat());
            }
        }
    }
    // A dissector of which there is no capture begins with what wakes it alone.
    seeds.extend((0..dissector.wakes().len()).map(|place| vec![place as u8, 0, 0, 0, 0, 0]));
    seeds
}

fn payload_for(wake: Wake, frame: &Ethernet<'_>) -> Option<(u8, Vec<u8>)> {
    let carried = match (frame.carried, wake) {
        (Carried::EtherType(carried), _) => carried,
        (Carried::Llc(point), Wake::Llc(wanted)) if point == wanted => {
            // Behind the two service access points and the control field.
            return Some((0, frame.payload.get(3..).unwrap_or(frame.payload).to_vec()));
        }
        (Carried::Snap(organisation, number), Wake::Snap(wanted, of)) => {
            let is_it = (organisation, number) == (wanted, of);
            return is_it.then(|| (0, frame.payload.to_vec()));
        }
        _ => return None,
    };
    if let Wake::EtherType(ethertype) = wake {
        return (carried == ethertype).then(|| (0, frame.payload.to_vec()));
    }
    if !matches!(carried, EtherType::IPV4 | EtherType::IPV6) {
        return None;
    }
    let ip = Ip::read(frame.payload).ok()?;
    let mut shape = u8::from(ip.source.is_ipv6());
    shape |=
        u8::from(ip.destination.is_multicast()) << 2 | u8::from(ip.source.is_unspecified()) << 3;
    let upper = ip.payload;
    let udp = (ip.protocol == Protocol::UDP).then(|| Udp::read(upper).ok()).flatten();
    match wake {
        Wake::EtherType(_) | Wake::Llc(_) | Wake::Snap(..) => None,
        Wake::Ip => Some((shape, [&[ip.protocol.0], upper].concat())),
        Wake::Protocol(protocol) => (ip.protocol == protocol).then(|| (shape, upper.to_vec())),
        Wake::Icmpv6(icmp_type) => {
            let is_it = ip.protocol == Protocol::ICMPV6 && upper.first() == Some(&icmp_type);
            is_it.then(|| (shape, upper.get(1..).unwrap_or_default().to_vec()))
        }
        Wake::Udp(port) => {
            let udp = udp.filter(|udp| udp.source == port || udp.destination == port)?;
            shape |= u8::from(udp.source == port) << 1;
            shape |= u8::from(udp.source == udp.destination) << 5;
            Some((shape, udp.payload.to_vec()))
        }
        Wake::AnyDatagram => {
            let udp = udp?;
            Some((shape, [&udp.destination.to_be_bytes(), udp.payload].concat()))
        }
        Wake::Datagram(at, octets) => {
            let payload = udp?.payload;
            let (before, behind) = payload.split_at_checked(at)?;
            Some((shape, [before, behind.strip_prefix(octets)?].concat()))
        }
    }
}
