//! Packets that came in fragments (RFC 791 §3.2, RFC 8200 §4.5), put together: what hides in the second fragment is read like the rest.
//!
//! **Bounds.** [`MOST`] packets at a time, each of [`MOST_OCTETS`] at most, in pieces of eight octets at least; the oldest gives way. A packet whose pieces
//! overlap without being the same is given up (RFC 5722). Pieces that the capture has cut are not taken. What is inside tunnels is not put
//! together; the packets of the tunnels themselves are. Neighbour discovery in fragments, which nobody sends who means well, has its own
//! table (`fragments`), so that a flood of one does not crowd out the other.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::dissect::Segment;
use crate::net::Mac;
use crate::observe::{FrameNumber, VantageId};
use crate::wire::ip::Fragment;
use crate::wire::{LinkType, Protocol};

/// Packets whose fragments are waited for. A guess: fragments follow each other within milliseconds.
const MOST: usize = 128;
/// What an IP packet may carry.
const MOST_OCTETS: usize = 65_535;
/// Frames that are named as showing it.
const MOST_SHOWN: usize = 16;
/// Seconds that a packet's fragments may be apart: as hosts wait (RFC 8200 §4.5).
const PATIENCE: u32 = 60;

/// By what the fragments of one packet are known.
type Key = (VantageId, IpAddr, IpAddr, u8, u32);

/// A packet that is whole again: a frame of it, and those in which its pieces came.
#[derive(Debug)]
pub(super) struct Packet {
    pub(super) link_type: LinkType,
    pub(super) frame: Vec<u8>,
    pub(super) frames: Vec<FrameNumber>,
}

#[derive(Debug, Default)]
struct Pieces {
    second: u32,
    /// By their offsets, none over another.
    pieces: Vec<(usize, Vec<u8>)>,
    octets: usize,
    frames: Vec<FrameNumber>,
    /// Where the packet ends, once the last piece is there.
    end: Option<usize>,
}

#[derive(Debug, Default)]
pub(super) struct Reassembly {
    known: HashMap<Key, Pieces>,
    order: VecDeque<Key>,
}

impl Pieces {
    fn add(&mut self, fragment: Fragment, piece: &[u8]) {
        let (offset, more) = (usize::from(fragment.offset), fragment.more);
        let end = offset.saturating_add(piece.len());
        let place = self.pieces.partition_point(|(at, _)| *at < offset);
        let (before, behind) = self.pieces.split_at_checked(place).unwrap_or_default();
        if behind.first().is_some_and(|(at, known)| *at == offset && known == piece) {
            return;
        }
        // Only the last may have a length that is no multiple of eight.
        let is_odd = more && !piece.len().is_multiple_of(8);
        let overlaps =
            before.last().is_some_and(|(at, known)| offset < at.saturating_add(known.len()))
                || behind.first().is_some_and(|(at, _)| *at < end);
        if end > MOST_OCTETS
            || piece.is_empty()
            || is_odd
            || overlaps
            || (!more && self.end.is_some_and(|known| known != end))
        {
            // As hosts do: what was there is gone, and what comes next begins anew.
            *self = Pieces { second: self.second, ..Pieces::default() };
            return;
        }
        if !more {
            self.end = Some(end);
        }
        self.octets = self.octets.saturating_add(piece.len());
        self.pieces.insert(place, (offset, piece.to_vec()));
    }

    /// The whole, if every piece is there: they do not overlap, so they are all there when they are long enough together.
    fn whole(&self) -> Option<Vec<u8>> {
        let end = self.end.filter(|end| *end == self.octets)?;
        let whole: Vec<u8> = self.pieces.iter().flat_map(|(_, piece)| piece).copied().collect();
        let is_to_the_end =
            self.pieces.last().is_some_and(|(at, piece)| at.saturating_add(piece.len()) == end);
        is_to_the_end.then_some(whole)
    }
}

impl Reassembly {
    /// Takes a fragment. With the last one missing comes the packet, as a frame to be read anew.
    pub(super) fn take(
        &mut self,
        vantage: VantageId,
        second: u32,
        shown: &[FrameNumber],
        segment: &Segment<'_>,
    ) -> Option<Packet> {
        let ip = &segment.ip;
        let fragment = ip.fragment?;
        // Those that the other table has.
        let is_hidden = ip.source.is_ipv6()
            && matches!(
                ip.protocol,
                Protocol::ICMPV6
                    | Protocol::HOP_BY_HOP
                    | Protocol::ROUTING
                    | Protocol::DESTINATION_OPTIONS
            );
        // An atomic one is whole (RFC 6946).
        if is_hidden
            || (fragment.offset == 0 && !fragment.more)
            || ip.cut
            || segment.encapsulation.is_some()
        {
            return None;
        }
        let key = (vantage, ip.source, ip.destination, ip.protocol.0, fragment.identification);
        let is_stale = |known: &Pieces| known.second.abs_diff(second) > PATIENCE;
        if self.known.get(&key).is_some_and(is_stale) {
            self.known.insert(key, Pieces::default());
        }
        if !self.known.contains_key(&key) {
            // What is put together is gone from the map and not from the order.
            while self.order.len() >= MOST {
                let Some(oldest) = self.order.pop_front() else { break };
                self.known.remove(&oldest);
            }
            self.order.push_back(key);
        }
        let pieces = self.known.entry(key).or_default();
        pieces.second = second;
        pieces.add(fragment, ip.payload);
        if pieces.frames.len() < MOST_SHOWN {
            pieces.frames.extend_from_slice(shown);
        }
        let whole = pieces.whole()?;
        let frames = std::mem::take(&mut pieces.frames);
        // Another of the same name is another packet.
        *pieces = Pieces { second, ..Pieces::default() };
        let (link_type, frame) = frame(segment, &whole)?;
        Some(Packet { link_type, frame, frames })
    }
}

/// A frame with the packet as it was before it was cut up.
fn frame(segment: &Segment<'_>, whole: &[u8]) -> Option<(LinkType, Vec<u8>)> {
    let ip = &segment.ip;
    let length = u16::try_from(whole.len()).ok()?;
    let mut bytes = Vec::with_capacity(whole.len().saturating_add(54));
    let link = if segment.source == Mac::ZERO && segment.destination == Mac::ZERO {
        LinkType::RAW
    } else {
        bytes.extend_from_slice(&segment.destination.0);
        bytes.extend_from_slice(&segment.source.0);
        let ethertype: u16 = if ip.source.is_ipv4() { 0x0800 } else { 0x86dd };
        bytes.extend_from_slice(&ethertype.to_be_bytes());
        LinkType::ETHERNET
    };
    match (ip.source, ip.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let total = length.checked_add(20)?;
            bytes.extend_from_slice(&[0x45, ip.traffic_class]);
            bytes.extend_from_slice(&total.to_be_bytes());
            bytes.extend_from_slice(&ip.identification.to_be_bytes());
            // Nobody here looks at the header's checksum: the captures of many cards have none.
            bytes.extend_from_slice(&[0, 0, ip.hop_limit, ip.protocol.0, 0, 0]);
            bytes.extend_from_slice(&source.octets());
            bytes.extend_from_slice(&destination.octets());
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            bytes.extend_from_slice(&[0x60, 0, 0, 0]);
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&[ip.protocol.0, ip.hop_limit]);
            bytes.extend_from_slice(&source.octets());
            bytes.extend_from_slice(&destination.octets());
        }
        _ => return None,
    }
    bytes.extend_from_slice(whole);
    Some((link, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Ip, Transport, ipv4};

    const MORE: u16 = 0x2000;

    /// Where it begins is in units of eight octets.
    fn fragment(field: u16, payload: &[u8]) -> Vec<u8> {
        let (source, destination) = ([10, 20, 1, 5].into(), [10, 20, 1, 7].into());
        let mut packet = Vec::new();
        ipv4::write(&mut packet, source, destination, Protocol::UDP, 64, payload.len());
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        packet.extend_from_slice(payload);
        packet
    }

    fn take(fragments: &mut Reassembly, packet: &[u8]) -> Option<Vec<u8>> {
        let segment = Segment {
            source: Mac([2, 0, 0, 0, 0, 5]),
            destination: Mac([2, 0, 0, 0, 0, 7]),
            ip: Ip::read(packet).unwrap(),
            encapsulation: None,
            carried: Transport::Other,
        };
        fragments.take(VantageId(0), 9, &[FrameNumber(1)], &segment).map(|packet| packet.frame)
    }

    #[test]
    fn pieces_in_any_order_make_a_packet() {
        let mut fragments = Reassembly::default();
        let pieces = [
            fragment(2, b"end"),
            fragment(MORE, &[1; 8]),
            fragment(MORE, &[1; 8]),
            fragment(MORE | 1, &[2; 8]),
        ];
        let [.., whole] = pieces.map(|piece| take(&mut fragments, &piece));
        let whole = whole.unwrap();
        assert_eq!(whole.len(), 14 + 20 + 19);
        assert!(whole.ends_with(b"\x02end"));
    }

    #[test]
    fn what_overlaps_is_given_up() {
        let mut fragments = Reassembly::default();
        for piece in [fragment(MORE, &[1; 16]), fragment(MORE | 1, &[2; 8]), fragment(2, b"e")] {
            assert_eq!(take(&mut fragments, &piece), None);
        }
    }

    #[test]
    fn a_flood_of_beginnings_is_bounded() {
        let mut fragments = Reassembly::default();
        for number in 0..1000u16 {
            let mut packet = fragment(MORE, &[1; 8]);
            packet[4..6].copy_from_slice(&number.to_be_bytes());
            assert_eq!(take(&mut fragments, &packet), None);
        }
        assert_eq!((fragments.known.len(), fragments.order.len()), (MOST, MOST));
    }
}
