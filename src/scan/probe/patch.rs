//! Finished IP packets in which addresses, hop limit and a few fields are patched in place.
//!
//! A checksum is the ones' complement sum of its words, so it is taken once over everything that
//! stays, with zeros where something changes; stamping adds the words that change (RFC 1624 is the
//! same thought). Sums run in 64 bits over words of any width, because 2^16 ≡ 1 (mod 2^16 − 1).

use std::net::IpAddr;

use crate::net::Mac;
use crate::scope::frame::UDP;
use crate::wire::checksum::Sum;
use crate::wire::{Protocol, build};

const ETHERNET: usize = 14;
const IPV4: usize = ETHERNET + 20;
const IPV6: usize = ETHERNET + 40;

/// An Ethernet frame with an IP packet in it; `UPPER` is where the upper header begins.
#[derive(Debug, Clone)]
pub(super) struct Patched<const UPPER: usize> {
    frame: Box<[u8]>,
    /// Of the IPv4 header without what is patched.
    header_sum: u64,
    /// Of pseudo-header and upper layer without what is patched.
    upper_sum: u64,
    /// Where in the upper header the checksum stands.
    checksum: usize,
    protocol: u8,
}

/// A packet of either family.
#[derive(Debug, Clone)]
pub(super) enum Packet {
    V4(Patched<IPV4>),
    V6(Patched<IPV6>),
}

/// What every stamping writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    pub next_hop: Mac,
    pub target: IpAddr,
    pub hop_limit: u8,
    /// The IPv4 identification (16 bits of it) or the IPv6 flow label (20 bits).
    pub label: u32,
}

impl Packet {
    /// Around an upper layer whose patched fields, checksum among them, are zero. `source` tells the
    /// family.
    pub fn new(
        own_mac: Mac,
        source: IpAddr,
        protocol: Protocol,
        upper: &[u8],
        checksum: usize,
    ) -> Option<Packet> {
        let macs = build::Macs { source: own_mac, destination: Mac::ZERO };
        let nowhere = match source {
            IpAddr::V4(_) => IpAddr::from([0u8; 4]),
            IpAddr::V6(_) => IpAddr::from([0u8; 16]),
        };
        let mut frame = build::packet(macs, source, nowhere, protocol, 0, upper)?;
        let pseudo = if source.is_ipv4() && protocol == Protocol::ICMP {
            Sum::new()
        } else {
            Sum::new().pseudo(source, nowhere, protocol.0, upper.len())
        };
        let upper_sum = u64::from(pseudo.bytes(upper).folded());
        let mut header_sum = 0;
        if source.is_ipv4() {
            put(&mut frame, ETHERNET + 10, [0; 2]);
            header_sum = u64::from(Sum::new().bytes(frame.get(ETHERNET..IPV4)?).folded());
        }
        let frame = frame.into_boxed_slice();
        let protocol = protocol.0;
        Some(match source {
            IpAddr::V4(_) => {
                Packet::V4(Patched { frame, header_sum, upper_sum, checksum, protocol })
            }
            IpAddr::V6(_) => {
                Packet::V6(Patched { frame, header_sum, upper_sum, checksum, protocol })
            }
        })
    }

    /// Writes addresses and the upper fields given, each at its place in the upper layer; then both
    /// checksums. A target of the other family is not written: the fence would stop the frame.
    #[inline]
    pub fn stamp(&mut self, address: &Address, fields: &[Field]) -> &[u8] {
        match (self, address.target) {
            (Packet::V4(packet), IpAddr::V4(target)) => {
                let target = target.to_bits();
                let frame = &mut packet.frame;
                put(frame, 0, address.next_hop.0);
                put(frame, ETHERNET + 4, (address.label as u16).to_be_bytes());
                put(frame, ETHERNET + 8, [address.hop_limit]);
                put(frame, ETHERNET + 16, target.to_be_bytes());
                let sum = packet.header_sum
                    + u64::from(address.label as u16)
                    + (u64::from(address.hop_limit) << 8)
                    + u64::from(target);
                put(frame, ETHERNET + 10, fold(sum).to_be_bytes());
                // ICMP has no pseudo-header in IPv4, so the target is not in its sum.
                let in_pseudo = if packet.protocol == Protocol::ICMP.0 { 0 } else { target };
                packet.upper(u64::from(in_pseudo), fields)
            }
            (Packet::V6(packet), IpAddr::V6(target)) => {
                let target = target.to_bits();
                let frame = &mut packet.frame;
                put(frame, 0, address.next_hop.0);
                let first = 6 << 28 | (address.label & 0xf_ffff);
                put(frame, ETHERNET, first.to_be_bytes());
                put(frame, ETHERNET + 7, [address.hop_limit]);
                put(frame, ETHERNET + 24, target.to_be_bytes());
                let (high, low) = ((target >> 64) as u64, target as u64);
                let words = (high >> 32) + (high & 0xffff_ffff) + (low >> 32) + (low & 0xffff_ffff);
                packet.upper(words, fields)
            }
            (Packet::V4(packet), _) => &packet.frame,
            (Packet::V6(packet), _) => &packet.frame,
        }
    }
}

/// A value at an even place of the upper layer.
#[derive(Debug, Clone, Copy)]
pub(super) enum Field {
    Two(usize, u16),
    Four(usize, u32),
    Eight(usize, u64),
    Nothing,
}

impl<const UPPER: usize> Patched<UPPER> {
    #[inline]
    fn upper(&mut self, target: u64, fields: &[Field]) -> &[u8] {
        let mut sum = self.upper_sum + target;
        for field in fields {
            match *field {
                Field::Two(at, value) => {
                    put(&mut self.frame, UPPER + at, value.to_be_bytes());
                    sum += u64::from(value);
                }
                Field::Four(at, value) => {
                    put(&mut self.frame, UPPER + at, value.to_be_bytes());
                    sum += u64::from(value);
                }
                Field::Eight(at, value) => {
                    put(&mut self.frame, UPPER + at, value.to_be_bytes());
                    sum += (value >> 32) + (value & 0xffff_ffff);
                }
                Field::Nothing => {}
            }
        }
        let mut checksum = fold(sum);
        // In UDP zero would say "no checksum".
        if checksum == 0 && self.protocol == UDP {
            checksum = 0xffff;
        }
        put(&mut self.frame, UPPER + self.checksum, checksum.to_be_bytes());
        &self.frame
    }
}

#[inline]
pub(super) fn put<const N: usize>(frame: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = frame.get_mut(at..at + N) {
        place.copy_from_slice(&value);
    }
}

/// The checksum of a sum of words.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum >> 32) + (sum & 0xffff_ffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    let sum = (sum >> 16) + (sum & 0xffff);
    !(sum as u16)
}
