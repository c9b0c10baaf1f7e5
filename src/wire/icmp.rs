//! ICMP for IPv4 (RFC 792) and IPv6 (RFC 4443): the part that both have, echo, and what errors quote.

use std::net::{IpAddr, Ipv6Addr};

use super::checksum::{self, Sum};
use super::cursor::{Cursor, WireError};
use super::ip::{Ip, Protocol};

pub const ECHO_REPLY: u8 = 0;
pub const UNREACHABLE: u8 = 3;
pub const REDIRECT: u8 = 5;
pub const ECHO_REQUEST: u8 = 8;
pub const TIME_EXCEEDED: u8 = 11;
pub const PARAMETER_PROBLEM: u8 = 12;

pub const V6_UNREACHABLE: u8 = 1;
pub const V6_PACKET_TOO_BIG: u8 = 2;
pub const V6_TIME_EXCEEDED: u8 = 3;
pub const V6_PARAMETER_PROBLEM: u8 = 4;
pub const V6_ECHO_REQUEST: u8 = 128;
pub const V6_ECHO_REPLY: u8 = 129;

/// Type, code and what follows the checksum. Which family it is of, the IP header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Icmp<'a> {
    pub icmp_type: u8,
    pub code: u8,
    pub checksum: u16,
    /// Everything behind the checksum: in echo the identifier comes first.
    pub body: &'a [u8],
}

/// Identifier, sequence number and data of an echo request or reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo<'a> {
    pub identifier: u16,
    pub sequence: u16,
    pub data: &'a [u8],
}

impl<'a> Icmp<'a> {
    #[inline]
    pub fn read(bytes: &'a [u8]) -> Result<Icmp<'a>, WireError> {
        let mut cursor = Cursor::new("icmp", bytes);
        let [icmp_type, code] = cursor.array()?;
        Ok(Icmp { icmp_type, code, checksum: cursor.u16()?, body: cursor.rest() })
    }

    /// The body as that of an echo, whatever the type says.
    #[inline]
    pub fn echo(&self) -> Result<Echo<'a>, WireError> {
        let mut cursor = Cursor::new("icmp echo", self.body);
        Ok(Echo { identifier: cursor.u16()?, sequence: cursor.u16()?, data: cursor.rest() })
    }

    /// What an error quotes, behind its four octets of parameters: the start of a packet.
    pub fn quoted_bytes(&self) -> Option<&'a [u8]> {
        self.body.get(4..)
    }

    /// The quoted packet. `None` for what is no error or quotes less than an IP header.
    pub fn quoted(&self, family: Protocol) -> Option<Ip<'a>> {
        let is_error = match family {
            Protocol::ICMP => matches!(
                self.icmp_type,
                UNREACHABLE | 4 | REDIRECT | TIME_EXCEEDED | PARAMETER_PROBLEM
            ),
            Protocol::ICMPV6 => self.icmp_type < 128,
            _ => false,
        };
        if !is_error { None } else { Ip::read(self.quoted_bytes()?).ok() }
    }
}

/// Appends an ICMPv4 message.
pub fn write(frame: &mut Vec<u8>, icmp_type: u8, code: u8, body: &[u8]) {
    let head = [icmp_type, code];
    let sum = Sum::new().bytes(&head).bytes(body).checksum();
    frame.extend_from_slice(&head);
    frame.extend_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(body);
}

/// Appends an ICMPv6 message with the checksum over its pseudo-header.
pub fn write_v6(
    frame: &mut Vec<u8>,
    source: Ipv6Addr,
    destination: Ipv6Addr,
    icmp_type: u8,
    code: u8,
    body: &[u8],
) {
    let head = [icmp_type, code];
    let length = body.len().saturating_add(4);
    let sum = Sum::new()
        .pseudo_v6(source, destination, Protocol::ICMPV6.0, length)
        .bytes(&head)
        .bytes(body)
        .checksum();
    frame.extend_from_slice(&head);
    frame.extend_from_slice(&sum.to_be_bytes());
    frame.extend_from_slice(body);
}

/// Whether the checksum of a whole message holds: ICMPv6 where the addresses are IPv6.
pub fn holds(message: &[u8], source: IpAddr, destination: IpAddr) -> bool {
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Sum::new()
                .pseudo_v6(source, destination, Protocol::ICMPV6.0, message.len())
                .bytes(message)
                .folded()
                == 0xffff
        }
        _ => checksum::holds(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_echo_reads_back_in_both_families() {
        let body = [0x12, 0x34, 0, 1, b'a', b'b', b'c'];
        let (source, destination): (Ipv6Addr, Ipv6Addr) =
            ("fe80::1".parse().unwrap(), "ff02::1".parse().unwrap());
        let mut v4 = Vec::new();
        write(&mut v4, ECHO_REQUEST, 0, &body);
        let mut v6 = Vec::new();
        write_v6(&mut v6, source, destination, V6_ECHO_REQUEST, 0, &body);
        assert!(holds(&v4, [10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
        assert!(holds(&v6, source.into(), destination.into()));
        for bytes in [v4, v6] {
            let echo = Icmp::read(&bytes).unwrap().echo().unwrap();
            assert_eq!(echo, Echo { identifier: 0x1234, sequence: 1, data: b"abc" });
            for length in 0..8 {
                assert!(Icmp::read(&bytes[..length]).and_then(|icmp| icmp.echo()).is_err());
            }
        }
    }

    #[test]
    fn an_error_quotes_a_packet_and_an_echo_does_not() {
        let mut quote = vec![0; 4];
        super::super::ipv4::write(
            &mut quote,
            [10, 0, 0, 1].into(),
            [10, 9, 0, 1].into(),
            Protocol::UDP,
            1,
            30,
        );
        quote.extend_from_slice(&[0, 7, 0, 9, 0, 30, 0, 0]);
        let error = Icmp { icmp_type: TIME_EXCEEDED, code: 0, checksum: 0, body: &quote };
        let ip = error.quoted(Protocol::ICMP).unwrap();
        assert_eq!((ip.destination.to_string(), ip.cut), ("10.9.0.1".to_owned(), true));
        assert_eq!(Icmp { icmp_type: ECHO_REPLY, ..error }.quoted(Protocol::ICMP), None);
    }
}
