//! Neighbour discovery in fragments, put together again.
//!
//! RFC 6980 forbids it, so it is sent by who hides something from guards that look at single frames (RFC 7113): the first fragment
//! holds extension headers only, the message is in the second. Hosts that do not know RFC 6980 believe it. Fragments of anything else
//! (the first says so) are left alone: what is behind IPv6's extension headers is no large traffic, and large traffic says UDP or TCP.
//!
//! **Bounds.** [`MOST_PACKETS`] packets at a time, the oldest gives way; [`MOST_PIECES`] pieces of [`MOST_OCTETS`] together, and what is
//! larger is no advertisement. Pieces that overlap are a packet that nobody takes (RFC 5722), and are dropped here too.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::net::Mac;
use crate::observe::{FrameNumber, VantageId};
use crate::wire::ethernet::{Carried, Ethernet};
use crate::wire::ip::Fragment;
use crate::wire::{EtherType, Ip, LinkType, Protocol};

/// Guesses.
const MOST_PACKETS: usize = 64;
const MOST_PIECES: usize = 8;
const MOST_OCTETS: usize = 2048;

type Key = (VantageId, Mac, IpAddr, IpAddr, u32);

#[derive(Debug)]
struct Gathering {
    key: Key,
    hop_limit: u8,
    /// What stands behind the fragment header, as the first piece says.
    next: Option<Protocol>,
    destination: Mac,
    /// Offset and octets.
    pieces: Vec<(u16, Vec<u8>)>,
    /// The length of the whole, once its last piece is there.
    length: Option<usize>,
    frames: Vec<FrameNumber>,
}

/// Fragments that wait for the others.
#[derive(Debug, Default)]
pub(super) struct Fragments(VecDeque<Gathering>);

/// A frame with the whole packet, as if it had never been cut, and the frames that it came in.
pub(super) struct Whole {
    pub frame: Vec<u8>,
    pub frames: Vec<FrameNumber>,
}

impl Fragments {
    /// Takes a frame; gives the packet that it was the last piece of.
    pub(super) fn take(
        &mut self,
        vantage: VantageId,
        number: FrameNumber,
        link_type: LinkType,
        frame: &[u8],
    ) -> Option<Whole> {
        // Of a hundred million frames none passes here: an IPv6 header that starts with extension headers.
        if link_type != LinkType::ETHERNET || !may_be(frame) {
            return None;
        }
        let ethernet = Ethernet::read(frame).ok()?;
        if ethernet.carried != Carried::EtherType(EtherType::IPV6) || !ethernet.source.is_station()
        {
            return None;
        }
        let ip = Ip::read(ethernet.payload).ok().filter(|ip| ip.source.is_ipv6() && !ip.cut)?;
        let piece = ip.fragment.filter(|piece| piece.offset > 0 || piece.more)?;
        let (next, octets) = behind_fragment_header(ethernet.payload)?;
        let key = (vantage, ethernet.source, ip.source, ip.destination, piece.identification);
        let place = self.place_of(key, ip.hop_limit, ethernet.destination);
        let is_whole = self.0.get_mut(place)?.add(piece, next, octets, number);
        match is_whole {
            Some(false) => None,
            Some(true) => self.0.remove(place)?.whole(),
            None => {
                self.0.remove(place);
                None
            }
        }
    }

    fn place_of(&mut self, key: Key, hop_limit: u8, destination: Mac) -> usize {
        if let Some(place) = self.0.iter().position(|one| one.key == key) {
            return place;
        }
        if self.0.len() >= MOST_PACKETS {
            self.0.pop_front();
        }
        self.0.push_back(Gathering {
            key,
            hop_limit,
            next: None,
            destination,
            pieces: Vec::new(),
            length: None,
            frames: Vec::new(),
        });
        self.0.len().saturating_sub(1)
    }
}

impl Gathering {
    /// Whether it is whole now; `None` where it is nothing for us.
    fn add(
        &mut self,
        piece: Fragment,
        next: Protocol,
        octets: &[u8],
        number: FrameNumber,
    ) -> Option<bool> {
        if piece.offset == 0 {
            if !matches!(
                next,
                Protocol::ICMPV6
                    | Protocol::DESTINATION_OPTIONS
                    | Protocol::HOP_BY_HOP
                    | Protocol::ROUTING
            ) {
                return None;
            }
            self.next = Some(next);
        }
        let start = usize::from(piece.offset);
        let end = start.checked_add(octets.len())?;
        let overlaps = self.pieces.iter().any(|(offset, other)| {
            let offset = usize::from(*offset);
            start < offset.saturating_add(other.len()) && offset < end
        });
        if overlaps || end > MOST_OCTETS || self.pieces.len() >= MOST_PIECES {
            return None;
        }
        self.pieces.push((piece.offset, octets.to_vec()));
        self.frames.push(number);
        if !piece.more {
            self.length = Some(end);
        }
        let had: usize = self.pieces.iter().map(|(_, octets)| octets.len()).sum();
        Some(self.next.is_some() && self.length == Some(had))
    }

    /// With the fragment header of a packet of one piece (RFC 6946), so that it is seen to have been cut.
    fn whole(mut self) -> Option<Whole> {
        let (_, source, from, to, identification) = self.key;
        let (IpAddr::V6(from), IpAddr::V6(to)) = (from, to) else { return None };
        self.pieces.sort_unstable();
        let payload: Vec<u8> = self.pieces.into_iter().flat_map(|(_, octets)| octets).collect();
        let mut frame = Vec::with_capacity(payload.len().saturating_add(62));
        frame.extend_from_slice(&self.destination.0);
        frame.extend_from_slice(&source.0);
        frame.extend_from_slice(&EtherType::IPV6.0.to_be_bytes());
        let length = payload.len().saturating_add(8);
        crate::wire::ipv6::write(&mut frame, from, to, Protocol::FRAGMENT, self.hop_limit, length);
        frame.extend_from_slice(&[self.next?.0, 0, 0, 0]);
        frame.extend_from_slice(&identification.to_be_bytes());
        frame.extend_from_slice(&payload);
        Some(Whole { frame, frames: self.frames })
    }
}

/// Whether a frame may hold such a packet, by one look behind its Ethernet header; tagged frames are looked at whole.
fn may_be(frame: &[u8]) -> bool {
    match frame.get(12..14) {
        Some([0x86, 0xdd]) => matches!(frame.get(20), Some(0 | 43 | 44 | 60)),
        Some([0x81, 0x00] | [0x88, 0xa8]) => true,
        _ => false,
    }
}

/// What the fragment header announces, and the octets behind it.
fn behind_fragment_header(packet: &[u8]) -> Option<(Protocol, &[u8])> {
    let stated = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
    let mut next = *packet.get(6)?;
    let mut rest = packet.get(40..)?;
    rest = rest.get(..stated).unwrap_or(rest);
    // Before it stand at most hop-by-hop, destination options and routing. RFC 8200 §4.1.
    for _ in 0..4 {
        let [following, length, ..] = *rest else { return None };
        if next == Protocol::FRAGMENT.0 {
            return Some((Protocol(following), rest.get(8..)?));
        }
        if !matches!(next, 0 | 43 | 60) {
            return None;
        }
        rest = rest.get(usize::from(length).saturating_add(1).saturating_mul(8)..)?;
        next = following;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::build::{self, Macs};

    const MACS: Macs =
        Macs { source: Mac([2, 0, 0, 0, 0, 5]), destination: Mac([0x33, 0x33, 0, 0, 0, 1]) };

    fn piece(next: u8, place: u16, id: u8, octets: &[u8]) -> Vec<u8> {
        let [high, low] = place.to_be_bytes();
        let payload = [&[next, 0, high, low, 0, 0, 0, id][..], octets].concat();
        let (from, to) = ("fe80::5".parse().unwrap(), "ff02::1".parse().unwrap());
        build::packet(MACS, from, to, Protocol::FRAGMENT, 255, &payload).unwrap()
    }

    fn take(fragments: &mut Fragments, number: u64, frame: &[u8]) -> Option<Whole> {
        fragments.take(VantageId(0), FrameNumber(number), LinkType::ETHERNET, frame)
    }

    #[test]
    fn an_advertisement_in_two_pieces_is_whole_in_whatever_order_they_come() {
        let options = [58, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let (first, second) = (piece(60, 1, 7, &options), piece(60, 16, 7, &[134, 0, 0, 0, 64]));
        for order in [[&first, &second], [&second, &first]] {
            let mut fragments = Fragments::default();
            assert!(take(&mut fragments, 1, order[0]).is_none());
            let whole = take(&mut fragments, 2, order[1]).unwrap();
            assert_eq!(whole.frames, [FrameNumber(1), FrameNumber(2)]);
            let ip = Ip::read(&whole.frame[14..]).unwrap();
            assert_eq!((ip.protocol, ip.payload), (Protocol::ICMPV6, &[134, 0, 0, 0, 64][..]));
            assert!(ip.fragment.is_some() && ip.hop_limit == 255);
            assert!(fragments.0.is_empty());
        }
    }

    #[test]
    fn what_overlaps_is_too_large_or_is_something_else_is_left() {
        let mut fragments = Fragments::default();
        assert!(take(&mut fragments, 1, &piece(58, 1, 7, &[134; 16])).is_none());
        assert!(take(&mut fragments, 2, &piece(58, 8, 7, &[134; 16])).is_none());
        assert!(fragments.0.is_empty());
        assert!(take(&mut fragments, 3, &piece(17, 1, 8, &[0; 16])).is_none());
        assert!(take(&mut fragments, 4, &piece(58, 1 | 2040, 9, &[0; 16])).is_none());
        assert!(fragments.0.is_empty());
        for id in 0..200 {
            take(&mut fragments, 5, &piece(58, 1, id, &[134; 16]));
        }
        assert_eq!(fragments.0.len(), MOST_PACKETS);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            let mut fragments = Fragments::default();
            let head = [&[2; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 40, 44, 255]].concat();
            take(&mut fragments, 1, &[&head[..], &bytes].concat());
            take(&mut fragments, 2, &bytes);
        }
    }
}
