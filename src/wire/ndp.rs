//! Neighbour discovery (RFC 4861) with the options of RFC 4191 (routes), RFC 8106 (DNS), RFC 8781
//! (prefixes for IPv4) and RFC 8910 (captive portal).

use std::net::Ipv6Addr;

use super::cursor::{Cursor, WireError};
use super::dns;
use crate::net::{Mac, Prefix};

pub const ROUTER_SOLICITATION: u8 = 133;
pub const ROUTER_ADVERTISEMENT: u8 = 134;
pub const NEIGHBOUR_SOLICITATION: u8 = 135;
pub const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
pub const REDIRECT: u8 = 137;

/// The fixed part of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    RouterSolicitation,
    RouterAdvertisement(Router),
    NeighbourSolicitation { target: Ipv6Addr },
    NeighbourAdvertisement { target: Ipv6Addr, router: bool, solicited: bool, overrides: bool },
    Redirect { target: Ipv6Addr, destination: Ipv6Addr },
}

/// What a router says of itself. RFC 4861 §4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Router {
    /// The hop limit that hosts should use; zero says nothing.
    pub hop_limit: u8,
    pub managed: bool,
    pub other: bool,
    /// Two bits, RFC 4191 §2.1: high 1, medium 0, low 3.
    pub preference: u8,
    /// Seconds; zero means "not a default router".
    pub lifetime: u16,
    /// Milliseconds; zero says nothing.
    pub reachable_time: u32,
    pub retransmission: u32,
}

/// One option. Those of no use here are kept by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NdOption<'a> {
    SourceLinkLayer(Mac),
    TargetLinkLayer(Mac),
    Prefix {
        prefix: Prefix,
        on_link: bool,
        autonomous: bool,
        valid_lifetime: u32,
        preferred_lifetime: u32,
    },
    Mtu(u32),
    Route {
        prefix: Prefix,
        preference: u8,
        lifetime: u32,
    },
    DnsServers(&'a [[u8; 16]]),
    DnsSearch(&'a [u8]),
    /// RFC 8781: a prefix behind which addresses of IPv4 are reached.
    Nat64(Prefix),
    /// RFC 8910: the address of the captive portal's interface.
    CaptivePortal(&'a [u8]),
    Unknown(u8),
}

/// Reads an ICMPv6 body (what follows the checksum) of a type from 133 to 137.
pub fn read(icmp_type: u8, body: &[u8]) -> Result<(Message, Options<'_>), WireError> {
    let mut cursor = Cursor::new("ndp", body);
    let message = match icmp_type {
        ROUTER_SOLICITATION => {
            cursor.skip(4)?;
            Message::RouterSolicitation
        }
        ROUTER_ADVERTISEMENT => {
            let [hop_limit, flags] = cursor.array()?;
            let lifetime = cursor.u16()?;
            let (reachable_time, retransmission) = (cursor.u32()?, cursor.u32()?);
            Message::RouterAdvertisement(Router {
                hop_limit,
                managed: flags & 0x80 != 0,
                other: flags & 0x40 != 0,
                preference: flags >> 3 & 3,
                lifetime,
                reachable_time,
                retransmission,
            })
        }
        NEIGHBOUR_SOLICITATION => {
            cursor.skip(4)?;
            Message::NeighbourSolicitation { target: cursor.ipv6()? }
        }
        NEIGHBOUR_ADVERTISEMENT => {
            let [flags, _, _, _] = cursor.array()?;
            Message::NeighbourAdvertisement {
                target: cursor.ipv6()?,
                router: flags & 0x80 != 0,
                solicited: flags & 0x40 != 0,
                overrides: flags & 0x20 != 0,
            }
        }
        REDIRECT => {
            cursor.skip(4)?;
            Message::Redirect { target: cursor.ipv6()?, destination: cursor.ipv6()? }
        }
        _ => return Err(cursor.wrong("not neighbour discovery")),
    };
    Ok((message, Options(cursor)))
}

/// The options one by one. An option that is wrong inside is an error, and the next one follows; an
/// option whose length is wrong is the last.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a>(Cursor<'a>);

impl<'a> Iterator for Options<'a> {
    type Item = Result<NdOption<'a>, WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        match self.part() {
            Ok((kind, inside)) => Some(option(kind, inside)),
            Err(fault) => {
                self.0 = Cursor::new("ndp", &[]);
                Some(Err(fault))
            }
        }
    }
}

impl<'a> Options<'a> {
    fn part(&mut self) -> Result<(u8, Cursor<'a>), WireError> {
        let [kind, words] = self.0.array()?;
        match usize::from(words).saturating_mul(8).checked_sub(2) {
            Some(octets) => Ok((kind, self.0.part(octets)?)),
            // RFC 4861 §4.6: such a packet must be discarded.
            None => Err(self.0.wrong("option of length zero")),
        }
    }
}

fn option(kind: u8, mut inside: Cursor<'_>) -> Result<NdOption<'_>, WireError> {
    Ok(match kind {
        1 => NdOption::SourceLinkLayer(inside.mac()?),
        2 => NdOption::TargetLinkLayer(inside.mac()?),
        3 => {
            let [length, flags] = inside.array()?;
            let valid_lifetime = inside.u32()?;
            let preferred_lifetime = inside.u32()?;
            inside.skip(4)?;
            let prefix = prefix(&inside, length, inside.rest())?;
            NdOption::Prefix {
                prefix,
                on_link: flags & 0x80 != 0,
                autonomous: flags & 0x40 != 0,
                valid_lifetime,
                preferred_lifetime,
            }
        }
        5 => {
            inside.skip(2)?;
            NdOption::Mtu(inside.u32()?)
        }
        24 => {
            let [length, flags] = inside.array()?;
            let lifetime = inside.u32()?;
            let prefix = prefix(&inside, length, inside.rest())?;
            NdOption::Route { prefix, preference: flags >> 3 & 3, lifetime }
        }
        25 => {
            // Reserved, then the lifetime.
            inside.skip(6)?;
            NdOption::DnsServers(inside.rest().as_chunks().0)
        }
        31 => {
            inside.skip(6)?;
            NdOption::DnsSearch(inside.rest())
        }
        37 => NdOption::CaptivePortal(inside.rest()),
        38 => {
            // The length is told by a code in the low three bits beside a scaled lifetime.
            let length = match inside.u16()? & 7 {
                0 => 96,
                1 => 64,
                2 => 56,
                3 => 48,
                4 => 40,
                5 => 32,
                _ => return Err(inside.wrong("unknown prefix length code")),
            };
            let octets: [u8; 12] = inside.array()?;
            NdOption::Nat64(prefix(&inside, length, &octets)?)
        }
        other => NdOption::Unknown(other),
    })
}

/// A prefix of which only the octets that its length needs may be there (RFC 4191 §2.3).
fn prefix(cursor: &Cursor<'_>, length: u8, octets: &[u8]) -> Result<Prefix, WireError> {
    if length > 128 {
        return Err(cursor.wrong("prefix length over 128"));
    }
    if octets.len() < usize::from(length).div_ceil(8) {
        return Err(cursor.wrong("prefix shorter than its length"));
    }
    let mut address = [0; 16];
    for (to, from) in address.iter_mut().zip(octets) {
        *to = *from;
    }
    Ok(Prefix::of(Ipv6Addr::from(address).into(), length))
}

/// The domains of a DNS search list: names one after the other, padded with zeros.
pub fn search_domains(octets: &[u8]) -> Result<Vec<String>, WireError> {
    dns::names("ndp", octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A router advertisement of radvd with every option that is read.
    fn advertisement() -> Vec<u8> {
        let mut body = vec![64, 0xc8, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0];
        body.extend_from_slice(&[1, 1, 2, 0, 0, 0, 0, 1]);
        body.extend_from_slice(&[5, 1, 0, 0, 0, 0, 5, 0xdc]);
        body.extend_from_slice(&[3, 4, 64, 0xc0, 0, 1, 0x51, 0x80, 0, 0, 0x38, 0x40, 0, 0, 0, 0]);
        body.extend_from_slice(&[0xfd, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        body.extend_from_slice(&[24, 2, 48, 0x08, 0, 0, 7, 8, 0xfd, 0, 0, 9, 0, 0, 0, 0]);
        body.extend_from_slice(&[25, 3, 0, 0, 0, 0, 7, 8]);
        body.extend_from_slice(&[0xfd, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x53]);
        body.extend_from_slice(b"\x1f\x03\0\0\0\0\x07\x08\x04unit\x07example\0\0\0");
        body
    }

    #[test]
    fn a_router_advertisement_with_its_options() {
        let body = advertisement();
        let (message, options) = read(ROUTER_ADVERTISEMENT, &body).unwrap();
        assert_eq!(
            message,
            Message::RouterAdvertisement(Router {
                hop_limit: 64,
                managed: true,
                other: true,
                preference: 1,
                lifetime: 1800,
                reachable_time: 0,
                retransmission: 0,
            })
        );
        let options: Vec<_> = options.map(Result::unwrap).collect();
        assert_eq!(options[0], NdOption::SourceLinkLayer(Mac([2, 0, 0, 0, 0, 1])));
        assert_eq!(options[1], NdOption::Mtu(1500));
        let NdOption::Prefix { prefix, valid_lifetime: 86400, on_link: true, .. } = options[2]
        else {
            panic!("{:?}", options[2])
        };
        assert_eq!(prefix.to_string(), "fd00:7::/64");
        let NdOption::Route { prefix, preference: 1, lifetime: 1800 } = options[3] else {
            panic!("{:?}", options[3])
        };
        assert_eq!(prefix.to_string(), "fd00:9::/48");
        let NdOption::DnsServers([server]) = options[4] else { panic!("{:?}", options[4]) };
        assert_eq!(Ipv6Addr::from(*server).to_string(), "fd00:7::53");
        let NdOption::DnsSearch(domains) = options[5] else { panic!("{:?}", options[5]) };
        assert_eq!(search_domains(domains).unwrap(), ["unit.example"]);
    }

    #[test]
    fn cut_at_every_length_it_ends_with_what_was_read() {
        let body = advertisement();
        for length in 0..body.len() {
            let Ok((_, options)) = read(ROUTER_ADVERTISEMENT, &body[..length]) else {
                assert!(length < 12);
                continue;
            };
            let read: Vec<_> = options.collect();
            let whole = [12, 20, 28, 60, 76, 100].contains(&length);
            assert_eq!(read.iter().all(Result::is_ok), whole, "{length}");
            assert!(read.iter().filter(|option| option.is_err()).count() <= 1);
        }
    }

    #[test]
    fn an_option_of_length_zero_ends_the_options() {
        let body = [0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 1, 1];
        let (_, mut options) = read(ROUTER_SOLICITATION, &body).unwrap();
        assert_eq!(options.next().unwrap().unwrap_err().why(), "option of length zero");
        assert_eq!(options.next(), None);
    }

    #[test]
    fn a_bad_prefix_length_spoils_one_option_only() {
        let mut body = advertisement();
        body[30] = 200;
        let (_, options) = read(ROUTER_ADVERTISEMENT, &body).unwrap();
        let read: Vec<_> = options.collect();
        assert_eq!((read.len(), read.iter().filter(|option| option.is_err()).count()), (6, 1));
    }
}
