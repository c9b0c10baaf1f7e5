//! Where a token stands in a packet that comes to a canary: a pure reader, total over any bytes.
//!
//! A packet names no carrier, so it gives a candidate for every field that its bytes could be. Each is
//! held against the seal ([`super::token::EgressKey::recognises`]), which costs 15 ns: junk costs as much and is forgotten.
//!
//! | field | where |
//! |---|---|
//! | ICMP echo, echo reply | the first 16 octets behind identifier and sequence number (RFC 792, RFC 4443 §4) |
//! | UDP datagram | the first 16 octets of its payload |
//! | SYN | sequence number and timestamp (RFC 9293 §3.1, RFC 7323 §3.2) |
//! | RST | acknowledgement number less one, and the port it comes to (RFC 9293 §3.10.7.1) |
//! | NTP | the originate timestamp (RFC 5905 §7.3) |
//! | QUIC version negotiation | the destination connection id: the server puts our source id there (RFC 8999 §6) |
//! | IKE | the initiator's SPI (RFC 7296 §3.1), behind four zero octets on port 4500 (RFC 3948 §2.2) |
//! | SIP | the first 26 characters of `Call-ID` (RFC 3261 §20.8) |
//! | CoAP | the token of eight octets (RFC 7252 §3) |
//! | SNMPv3 | `msgID`, and the port it comes to (RFC 3412 §6) |
//! | WS-Discovery | the UUID in `RelatesTo` (WS-Addressing 1.0 §3.1) |
//! | DNS answer | the first label of the question (RFC 1035 §4.1) |
//!
//! Names that are looked up in the zone and paths of the web server are read by these servers, not here.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use super::token::Token;
use crate::observe::Carrier;
use crate::scope::frame::{self, Packet};
use crate::wire::tcp::{ACK, RST, SYN, TcpSegment};

/// A datagram can be of as many kinds at once.
const MOST: usize = 9;
/// Octets of a text message that are searched: what stands in them is at its head.
const MOST_TEXT: usize = 4096;
const IKE_NAT_PORT: u16 = 4500;
/// RFC 5905 §7.3, without extensions.
const NTP_LENGTH: usize = 48;
/// RFC 7296 §3.1.
const IKE_HEADER: usize = 28;
const LABEL: usize = 26;

/// The tokens that a packet may carry, each of another field.
#[derive(Debug, Clone, Copy, Default)]
pub struct Candidates {
    list: [Option<Token>; MOST],
    count: usize,
}

impl Candidates {
    fn push(&mut self, token: Option<Token>) {
        if let (Some(token), Some(place)) = (token, self.list.get_mut(self.count)) {
            *place = Some(token);
            self.count = self.count.saturating_add(1);
        }
    }
}

impl IntoIterator for Candidates {
    type Item = Token;
    type IntoIter = std::iter::Flatten<std::array::IntoIter<Option<Token>, MOST>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter().flatten()
    }
}

/// Every token that a packet to a canary may carry. None for a later fragment, whose start is missing.
pub fn tokens(packet: &Packet<'_>) -> Candidates {
    let mut found = Candidates::default();
    if packet.fragment {
        return found;
    }
    match packet.protocol {
        frame::ICMP | frame::ICMPV6 => found.push(echo(packet)),
        frame::TCP => found.push(segment(packet.payload)),
        frame::UDP => datagram(packet, &mut found),
        _ => {}
    }
    found
}

fn echo(packet: &Packet<'_>) -> Option<Token> {
    let field = match (packet.protocol, packet.icmp()?) {
        (frame::ICMP, (8, 0)) | (frame::ICMPV6, (128, 0)) => Carrier::IcmpEcho,
        (frame::ICMP, (0, 0)) | (frame::ICMPV6, (129, 0)) => Carrier::EchoReply,
        _ => return None,
    };
    Token::of_octets(field, packet.payload.get(8..24)?)
}

fn segment(payload: &[u8]) -> Option<Token> {
    let tcp = TcpSegment::read(payload).ok()?;
    if tcp.has(RST) {
        let number = tcp.acknowledgement.wrapping_sub(1);
        return Token::of_number_and_port(Carrier::TcpReset, number, tcp.destination);
    }
    if !tcp.has(SYN) || tcp.has(ACK) {
        return None;
    }
    Some(Token::of_syn(tcp.sequence, timestamp(tcp.options)?))
}

/// TSval of the timestamp option. RFC 7323 §3.2.
fn timestamp(mut options: &[u8]) -> Option<u32> {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const TIMESTAMP: u8 = 8;
    loop {
        let (kind, rest) = options.split_first()?;
        match *kind {
            END => return None,
            NOTHING => options = rest,
            kind => {
                let length = usize::from(*rest.first()?);
                if kind == TIMESTAMP && length == 10 {
                    return Some(u32::from_be_bytes(*rest.get(1..)?.first_chunk::<4>()?));
                }
                // The length counts kind and itself.
                options = options.get(length..).filter(|_| length >= 2)?;
            }
        }
    }
}

fn datagram(packet: &Packet<'_>, found: &mut Candidates) {
    let Some((source, destination)) = packet.ports() else { return };
    let Some(payload) = packet.payload.get(8..) else { return };
    let first = |count: usize| payload.get(..count);
    found.push(first(16).and_then(|octets| Token::of_octets(Carrier::UdpDatagram, octets)));
    if payload.len() >= NTP_LENGTH {
        found.push(payload.get(24..32).and_then(|octets| Token::of_octets(Carrier::Ntp, octets)));
    }
    found.push(quic(payload));
    let through_nat = source == IKE_NAT_PORT || destination == IKE_NAT_PORT;
    let ike = match payload.strip_prefix(&[0, 0, 0, 0]) {
        Some(behind) if through_nat => behind,
        _ => payload,
    };
    if ike.len() >= IKE_HEADER {
        found.push(ike.get(..8).and_then(|octets| Token::of_octets(Carrier::Ike, octets)));
    }
    found.push(coap(payload));
    found.push(snmp(payload, destination));
    found.push(dns_answer(payload));
    found.push(sip(payload));
    found.push(ws_discovery(payload));
}

fn quic(payload: &[u8]) -> Option<Token> {
    let (first, rest) = payload.split_first()?;
    let (version, rest) = rest.split_first_chunk::<4>()?;
    let (length, rest) = rest.split_first()?;
    if first & 0x80 == 0 || *version != [0; 4] || *length != 16 {
        return None;
    }
    Token::of_octets(Carrier::Quic, rest.get(..16)?)
}

fn coap(payload: &[u8]) -> Option<Token> {
    const VERSION: u8 = 0x40;
    const LENGTH_EIGHT: u8 = 8;
    let first = payload.first()?;
    (first & 0xc0 == VERSION && first & 0x0f == LENGTH_EIGHT)
        .then(|| Token::of_octets(Carrier::Coap, payload.get(4..12)?))
        .flatten()
}

fn snmp(payload: &[u8], port: u16) -> Option<Token> {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 2;
    let (message, _) = ber(payload, SEQUENCE)?;
    let (version, rest) = ber(message, INTEGER)?;
    if version != [3] {
        return None;
    }
    let (header, _) = ber(rest, SEQUENCE)?;
    let (id, _) = ber(header, INTEGER)?;
    if id.is_empty() || id.len() > 4 || id.first()? & 0x80 != 0 {
        return None;
    }
    let number = id.iter().fold(0u32, |number, octet| number << 8 | u32::from(*octet));
    Token::of_number_and_port(Carrier::Snmp, number, port)
}

/// The contents of an element of this tag, and what stands behind it; contents that are cut are what there is
/// of them. X.690 §8.1.
fn ber(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let (length, rest) = match *first {
        short @ 0..=0x7f => (usize::from(short), rest),
        0x81 => rest.split_first().map(|(length, rest)| (usize::from(*length), rest))?,
        0x82 => rest
            .split_first_chunk::<2>()
            .map(|(length, rest)| (usize::from(u16::from_be_bytes(*length)), rest))?,
        _ => return None,
    };
    Some(rest.split_at_checked(length).unwrap_or((rest, &[])))
}

fn dns_answer(payload: &[u8]) -> Option<Token> {
    let header = payload.first_chunk::<12>()?;
    let [_, _, flags, _, high, low, ..] = *header;
    if flags & 0x80 == 0 || (high, low) == (0, 0) || usize::from(*payload.get(12)?) != LABEL {
        return None;
    }
    Token::of_label(Carrier::DnsAnswer, payload.get(13..)?.get(..LABEL)?)
}

fn sip(payload: &[u8]) -> Option<Token> {
    let text = payload.get(..MOST_TEXT).unwrap_or(payload);
    let mut lines = text.split(|octet| *octet == b'\n');
    let first = lines.next()?;
    find(first, b"SIP/2.0")?;
    for line in lines {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else { continue };
        let (name, value) = line.split_at_checked(colon)?;
        let name = name.trim_ascii();
        if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") {
            let value = value.get(1..)?.trim_ascii();
            return Token::of_label(Carrier::Sip, value.get(..LABEL)?);
        }
    }
    None
}

fn ws_discovery(payload: &[u8]) -> Option<Token> {
    let text = payload.get(..MOST_TEXT).unwrap_or(payload);
    let start = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii_start();
    if start.first() != Some(&b'<') {
        return None;
    }
    let (_, behind) = start.split_at_checked(find(start, b"RelatesTo")?)?;
    let close = behind.iter().position(|octet| *octet == b'>')?;
    let (_, value) = behind.split_at_checked(close)?;
    let value = value.get(1..)?.trim_ascii_start();
    let value = value.strip_prefix(b"urn:").unwrap_or(value);
    let mut digits = value.strip_prefix(b"uuid:")?;
    let mut bits = 0u128;
    for (place, length) in [8usize, 4, 4, 4, 12].into_iter().enumerate() {
        if place > 0 {
            digits = digits.strip_prefix(b"-")?;
        }
        let (group, rest) = digits.split_at_checked(length)?;
        for digit in group {
            bits = bits << 4 | u128::from(char::from(*digit).to_digit(16)?);
        }
        digits = rest;
    }
    Token::of_octets(Carrier::WsDiscovery, &bits.to_be_bytes())
}

fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    text.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use proptest::prelude::*;

    use super::*;
    use crate::egress::token::EgressKey;
    use crate::observe::{EgressProbe, VantageId};

    fn token(carrier: Carrier) -> Token {
        let probe = EgressProbe::spoofed_sample(1, carrier);
        EgressKey::from_bytes([7; 32]).token("s", VantageId(0), &probe)
    }

    fn packet(protocol: u8, payload: &[u8]) -> Packet<'_> {
        let is_six = protocol == frame::ICMPV6;
        let address: IpAddr =
            if is_six { "2001:db8::7".parse().unwrap() } else { [203, 0, 113, 7].into() };
        Packet {
            source: address,
            destination: address,
            hop_limit: 60,
            protocol,
            label: 0,
            fragment: false,
            unfinished: false,
            rerouted: false,
            payload,
            cut: false,
        }
    }

    fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [source.to_be_bytes(), destination.to_be_bytes()].concat();
        bytes.extend_from_slice(&((payload.len() + 8) as u16).to_be_bytes());
        bytes.extend_from_slice(&[0, 0]);
        bytes.extend_from_slice(payload);
        bytes
    }

    fn tcp(sequence: u32, acknowledgement: u32, port: u16, flags: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = [50_000u16.to_be_bytes(), port.to_be_bytes()].concat();
        bytes.extend_from_slice(&sequence.to_be_bytes());
        bytes.extend_from_slice(&acknowledgement.to_be_bytes());
        bytes.extend_from_slice(&[((5 + options.len() / 4) as u8) << 4, flags, 4, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(options);
        bytes
    }

    /// The bytes behind the IP header as a real answerer would send them: protocol, bytes, and the length
    /// from which on the token is whole.
    fn carried(carrier: Carrier) -> (u8, Vec<u8>, usize) {
        let token = token(carrier);
        let eight = (token.bits as u64).to_be_bytes();
        let (number, port) = token.number_and_port();
        let uuid = |hex: &str| {
            let part = |from: usize, to: usize| hex[from..to].to_owned();
            [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
        };
        match carrier {
            Carrier::IcmpEcho => {
                let bytes = [&[8, 0, 1, 2, 0, 9, 0, 1][..], &token.octets(), b"more"].concat();
                (frame::ICMP, bytes, 24)
            }
            Carrier::EchoReply => {
                let bytes = [&[129, 0, 1, 2, 0, 9, 0, 1][..], &token.octets()].concat();
                (frame::ICMPV6, bytes, 24)
            }
            Carrier::UdpDatagram => {
                (frame::UDP, udp(4000, 33_434, &[&token.octets()[..], &[0; 9]].concat()), 24)
            }
            Carrier::TcpSyn => {
                let (sequence, timestamp) = token.sequence_and_timestamp();
                // As Linux orders them: MSS, SACK permitted, timestamp, NOP, window scale.
                let mut options = vec![2, 4, 5, 0xb4, 4, 2, 8, 10];
                options.extend_from_slice(&timestamp.to_be_bytes());
                options.extend_from_slice(&[0, 0, 0, 0, 1, 3, 3, 7]);
                (frame::TCP, tcp(sequence, 0, 443, SYN, &options), 32)
            }
            Carrier::TcpReset => {
                (frame::TCP, tcp(0, number.wrapping_add(1), port, RST | ACK, &[]), 20)
            }
            Carrier::Ntp => {
                let mut answer = [0u8; 48];
                answer[0] = 0x24;
                answer[24..32].copy_from_slice(&eight);
                (frame::UDP, udp(123, 40_000, &answer), 8 + 48)
            }
            Carrier::Quic => {
                let mut answer = vec![0xc5, 0, 0, 0, 0, 16];
                answer.extend_from_slice(&token.octets());
                answer.extend_from_slice(&[4, 1, 2, 3, 4, 0, 0, 0, 1, 0x6b, 0x33, 0x43, 0xcf]);
                (frame::UDP, udp(443, 40_000, &answer), 8 + 22)
            }
            Carrier::Ike => {
                let mut answer = [0u8; 4 + 28 + 8];
                answer[4..12].copy_from_slice(&eight);
                (frame::UDP, udp(4500, 40_000, &answer), 8 + 4 + 28)
            }
            Carrier::Sip => {
                let text = format!(
                    "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bK1\r\nTo: <sip:a@b>\r\n\
                     Call-ID: {}@198.51.100.10\r\nCSeq: 1 OPTIONS\r\n\r\n",
                    token.label()
                );
                let at = text.find(&token.label()).unwrap();
                (frame::UDP, udp(5060, 5060, text.as_bytes()), 8 + at + 26)
            }
            Carrier::Coap => {
                let answer = [&[0x68, 0x45, 0x12, 0x34][..], &eight, &[0xff, 1, 2]].concat();
                (frame::UDP, udp(5683, 40_000, &answer), 8 + 12)
            }
            Carrier::Snmp => {
                // A report of net-snmp: version 3, msgID, size 65507, flags 0, model 3.
                let mut header = vec![2, 4];
                header.extend_from_slice(&number.to_be_bytes());
                header.extend_from_slice(&[2, 3, 0, 0xff, 0xe3, 4, 1, 0, 2, 1, 3]);
                let mut body = vec![2, 1, 3, 0x30, header.len() as u8];
                body.extend_from_slice(&header);
                body.extend_from_slice(&[4, 0, 0x30, 0]);
                let answer = [&[0x30, 0x81, body.len() as u8][..], &body].concat();
                (frame::UDP, udp(161, port, &answer), 8 + 3 + 3 + 2 + 6)
            }
            Carrier::WsDiscovery => {
                let text = format!(
                    "<?xml version=\"1.0\"?><s:Envelope><s:Header><a:RelatesTo RelationshipType=\"x\">\
                     urn:uuid:{}</a:RelatesTo></s:Header></s:Envelope>",
                    uuid(&token.to_hex())
                );
                let at = text.find("urn:uuid:").unwrap();
                (frame::UDP, udp(3702, 40_000, text.as_bytes()), 8 + at + 9 + 36)
            }
            Carrier::DnsAnswer => {
                let mut answer = vec![0, 1, 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 26];
                answer.extend_from_slice(token.label().to_ascii_uppercase().as_bytes());
                answer.extend_from_slice(b"\x07example\x00\x00\x01\x00\x01");
                (frame::UDP, udp(53, 40_000, &answer), 8 + 13 + 26)
            }
            other => panic!("{other} is read by a server"),
        }
    }

    const READ_HERE: [Carrier; 13] = [
        Carrier::IcmpEcho,
        Carrier::UdpDatagram,
        Carrier::TcpSyn,
        Carrier::EchoReply,
        Carrier::TcpReset,
        Carrier::Ntp,
        Carrier::Quic,
        Carrier::Ike,
        Carrier::Sip,
        Carrier::Coap,
        Carrier::Snmp,
        Carrier::WsDiscovery,
        Carrier::DnsAnswer,
    ];

    fn recognised(packet: &Packet<'_>) -> Vec<Token> {
        let key = EgressKey::from_bytes([7; 32]);
        tokens(packet).into_iter().filter(|token| key.recognises(*token)).collect()
    }

    #[test]
    fn every_carrier_is_found_whole_and_at_no_shorter_length() {
        for carrier in READ_HERE {
            let (protocol, bytes, needed) = carried(carrier);
            for cut in 0..=bytes.len() {
                let found = recognised(&packet(protocol, &bytes[..cut]));
                let expected = if cut < needed { vec![] } else { vec![token(carrier)] };
                assert_eq!(found, expected, "{carrier} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_later_fragment_and_a_syn_ack_carry_nothing() {
        let (protocol, bytes, _) = carried(Carrier::UdpDatagram);
        let fragment = Packet { fragment: true, ..packet(protocol, &bytes) };
        assert_eq!(recognised(&fragment), []);
        let (protocol, mut bytes, _) = carried(Carrier::TcpSyn);
        bytes[13] |= ACK;
        assert_eq!(recognised(&packet(protocol, &bytes)), []);
    }

    #[test]
    fn a_short_call_id_name_and_a_bare_uuid_are_read() {
        let text = format!("OPTIONS sip:x SIP/2.0\ni : {}", token(Carrier::Sip).label());
        let bytes = udp(5060, 5060, text.as_bytes());
        assert_eq!(recognised(&packet(frame::UDP, &bytes)), [token(Carrier::Sip)]);
        let (_, bytes, _) = carried(Carrier::WsDiscovery);
        let text = String::from_utf8(bytes[8..].to_vec()).unwrap().replace("urn:uuid:", "uuid:");
        let bytes = udp(3702, 40_000, text.as_bytes());
        assert_eq!(recognised(&packet(frame::UDP, &bytes)), [token(Carrier::WsDiscovery)]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            which in 0usize..4,
        ) {
            let protocol = [frame::ICMP, frame::TCP, frame::UDP, frame::ICMPV6][which];
            let _ = tokens(&packet(protocol, &bytes));
        }

        #[test]
        fn a_broken_carrier_makes_no_panic_and_no_token(
            which in 0usize..READ_HERE.len(),
            at in any::<proptest::sample::Index>(),
            with in any::<u8>(),
        ) {
            let (protocol, mut bytes, _) = carried(READ_HERE[which]);
            let at = at.index(bytes.len());
            bytes[at] = with;
            for found in recognised(&packet(protocol, &bytes)) {
                prop_assert_eq!(found, token(READ_HERE[which]));
            }
        }
    }
}
