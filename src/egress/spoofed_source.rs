//! `spoofed-source`: a question in a canary's name. The host answers to the canary, by its own default route.
//!
//! Risk class 3: it is asked only where the profile's `risk` allows it, and in no name but a canary's.
//!
//! UDP first and most: an answer by UDP is a new flow to a NAT on its way, which translates it and lets it out. Then an echo;
//! and a SYN, to a closed port alone, because an unanswered SYN to an open one costs the target six SYN-ACKs
//! and a half-open connection.
//!
//! **What it proves.** The collector's record: the host has a way out. As which public address only where the observed
//! source is not the address asked: a host with an uplink of its own answers from the address it was asked at.
//!
//! **Where it misleads.** An untranslated echo reply or reset may have passed the registered gateway, whose NAT lets what it never
//! saw the beginning of pass as it is; the audit weighs that. Strict reverse-path filters, 'local subnet only' firewalls,
//! source guards on the switch, and systems with a strong host model keep silent: a negative is worth what its
//! calibration is worth, a reference reflector or any other host of the segment whose answer arrived.
//!
//! **What would refute it.** That the public address seen is in a filed prefix.
//!
//! **Measured** (Linux 6.18 in namespaces; all of it in `docs/measured-egress.md`):
//!
//! | host | UDP answer | echo reply, RST |
//! |---|---|---|
//! | line of its own, masquerade on it or not | source = the address asked, 63 hops left | the same |
//! | the same, a socket without PKTINFO (sipp; snmpd by IPv6) | **the line's own address** | |
//! | behind one NAT, behind two | translated: the public address, 62 and 61 left | untranslated, dropped as INVALID or by the carrier |
//! | behind the registered gateway | translated: the filed address, 62 left | untranslated, **arrives** where the line lets it |
//! | the registered gateway itself | **not translated**: it answers itself | the same |
//! | `rp_filter` 1, 'own subnet only' firewall, source guard | nothing (IPv6 has no `rp_filter`) | nothing |
//!
//! What a NAT answers itself belongs to the connection that our question opened, so 'untranslated' does not say of a
//! forwarding device that it did not pass the registered NAT. A SYN to an open port brought two SYN-ACKs in a second and a
//! half: closed ports only. The DNS question names what cannot exist (`.invalid`), recursion not desired: names of the zone brought
//! nine to fifteen queries each from a resolver that the collector did not answer.

use std::net::IpAddr;

use super::next_hop::echo_numbers;
use super::token::Token;
use crate::net::Mac;
use crate::observe::{Carrier, EgressProbe};
use crate::wire::build::{self, Macs};
use crate::wire::icmp;
use crate::wire::tcp::{self, TcpSegment};

/// What is asked of every host, in this order; the port of each.
pub const REQUESTS: &[(Carrier, u16)] = &[
    (Carrier::Ntp, 123),
    (Carrier::DnsAnswer, 53),
    (Carrier::Snmp, 161),
    (Carrier::Quic, 443),
    (Carrier::Ike, 500),
    (Carrier::Sip, 5060),
    (Carrier::Coap, 5683),
    (Carrier::WsDiscovery, 3702),
    (Carrier::EchoReply, 0),
];
/// Rounds with fresh tokens.
pub const ROUNDS: u8 = 2;
/// As systems begin with.
pub const HOP_LIMIT: u8 = 64;

/// The frame of a probe, by a next hop. `None` where target and canary are of two families.
pub fn frame(probe: &EgressProbe, token: Token, own_mac: Mac, next_hop: Mac) -> Option<Vec<u8>> {
    let macs = Macs { source: own_mac, destination: next_hop };
    match probe.carrier {
        Carrier::EchoReply => echo(probe, token, macs),
        Carrier::TcpReset => {
            let (sequence, source_port) = token.number_and_port();
            let segment = TcpSegment {
                source: source_port,
                destination: probe.port,
                sequence,
                acknowledgement: 0,
                flags: tcp::SYN,
                window: 64_240,
                // Maximum segment size 1460. RFC 9293 §3.7.1.
                options: &[2, 4, 5, 180],
                payload: &[],
            };
            build::tcp_segment(macs, probe.asked_from, probe.target, probe.hop_limit, &segment)
        }
        carrier => {
            let source_port = source_port(carrier, token);
            let data = request(carrier, token, probe.canary, source_port)?;
            let from = (probe.asked_from, source_port);
            let to = (probe.target, probe.port);
            build::udp_datagram(macs, from, to, probe.hop_limit, &data)
        }
    }
}

fn echo(probe: &EgressProbe, token: Token, macs: Macs) -> Option<Vec<u8>> {
    let data = token.octets();
    let (identifier, sequence) = echo_numbers(token);
    let echo = icmp::Echo { identifier, sequence, data: &data };
    match (probe.asked_from, probe.target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            Some(build::echo_request(macs, source, target, probe.hop_limit, echo))
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            Some(build::echo_request_v6(macs, source, target, probe.hop_limit, echo))
        }
        _ => None,
    }
}

/// The port that the answer goes to. High, so that no service of the canary's host is meant; of SNMP a part of the token.
fn source_port(carrier: Carrier, token: Token) -> u16 {
    match carrier {
        Carrier::Snmp => token.number_and_port().1,
        _ => 0x8000 | (token.bits >> 4) as u16 & 0x7fff,
    }
}

/// What is said to the service: a whole, harmless request, in which the token stands where the answer repeats it.
fn request(carrier: Carrier, token: Token, canary: IpAddr, source_port: u16) -> Option<Vec<u8>> {
    let octets = token.octets();
    let eight = (token.bits as u64).to_be_bytes();
    Some(match carrier {
        // A client's question; our transmit timestamp comes back as the origin. RFC 5905 §7.3.
        Carrier::Ntp => {
            let mut data = vec![0x23, 0, 6, 0xec];
            data.resize(40, 0);
            data.extend_from_slice(&eight);
            data
        }
        // A name that cannot exist, recursion not asked for: every server answers by itself, if only to refuse.
        // RFC 1035 §4.1, RFC 6761 §6.4.
        Carrier::DnsAnswer => {
            let mut data = (token.bits as u16).to_be_bytes().to_vec();
            data.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
            let label = token.label();
            data.push(u8::try_from(label.len()).ok()?);
            data.extend_from_slice(label.as_bytes());
            data.extend_from_slice(b"\x07invalid\0\0\x01\0\x01");
            data
        }
        // Engine discovery of version 3, which needs no community; message id and port come back. RFC 3414 §4.
        Carrier::Snmp => {
            let (id, _) = token.number_and_port();
            let mut data = b"\x30\x81\x3e\x02\x01\x03\x30\x11\x02\x04".to_vec();
            data.extend_from_slice(&id.to_be_bytes());
            data.extend_from_slice(
                b"\x02\x03\0\xff\xe3\x04\x01\x04\x02\x01\x03\x04\x10\x30\x0e\x04\0\x02\x01\0\x02\x01\0\x04\0\x04\0\x04\0\
                  \x30\x14\x04\0\x04\0\xa0\x0e\x02\x04\x4a\x49\x45\x42\x02\x01\0\x02\x01\0\x30\0",
            );
            data
        }
        // A version that does not exist, to be told those that do: our source connection id comes back as the
        // destination's. 1200 octets, or a server must not answer. RFC 8999 §5.1, §6, RFC 9000 §5.2.2.
        Carrier::Quic => {
            let mut data = vec![0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8];
            data.extend_from_slice(&eight);
            data.push(16);
            data.extend_from_slice(&octets);
            data.resize(1200, 0);
            data
        }
        // Main mode with one proposal; the initiator's cookie comes back. RFC 2409 §5, RFC 2408 §3.1.
        Carrier::Ike => {
            let mut data = eight.to_vec();
            data.extend_from_slice(
                b"\0\0\0\0\0\0\0\0\x01\x10\x02\0\0\0\0\0\0\0\0\x54\
                  \0\0\0\x38\0\0\0\x01\0\0\0\x01\0\0\0\x2c\x01\x01\0\x01\0\0\0\x24\x01\x01\0\0\
                  \x80\x01\0\x05\x80\x02\0\x02\x80\x03\0\x01\x80\x04\0\x02\x80\x0b\0\x01\0\x0c\0\x04\0\0\x70\x80",
            );
            data
        }
        // Options; the call id comes back. RFC 3261 §11.
        Carrier::Sip => {
            let label = token.label();
            let host = match canary {
                IpAddr::V4(address) => address.to_string(),
                IpAddr::V6(address) => format!("[{address}]"),
            };
            format!(
                "OPTIONS sip:{host} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:{source_port};branch=z9hG4bK{label};rport\r\n\
                 Max-Forwards: 70\r\nFrom: <sip:jiebei@{host}>;tag=jiebei\r\nTo: <sip:jiebei@{host}>\r\n\
                 Call-ID: {label}\r\nCSeq: 1 OPTIONS\r\nContact: <sip:jiebei@{host}:{source_port}>\r\n\
                 Content-Length: 0\r\n\r\n"
            )
            .into_bytes()
        }
        // The resources. RFC 7252 §3, RFC 6690 §4.
        Carrier::Coap => {
            let mut data = b"\x48\x01\x4a\x42".to_vec();
            data.extend_from_slice(&eight);
            data.extend_from_slice(b"\xbb.well-known\x04core");
            data
        }
        // Any device; the message id comes back as RelatesTo.
        Carrier::WsDiscovery => {
            let uuid = uuid::Uuid::from_bytes(octets);
            format!(
                "<?xml version=\"1.0\" encoding=\"utf-8\"?><s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
                 xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
                 xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><s:Header>\
                 <a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action>\
                 <a:MessageID>urn:uuid:{uuid}</a:MessageID>\
                 <a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header>\
                 <s:Body><d:Probe/></s:Body></s:Envelope>"
            )
            .into_bytes()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::token::EgressKey;
    use crate::observe::VantageId;

    fn probe(carrier: Carrier, port: u16, target: IpAddr, canary: IpAddr) -> EgressProbe {
        EgressProbe {
            target,
            canary,
            asked_from: canary,
            port,
            ..EgressProbe::spoofed_sample(1, carrier)
        }
    }

    #[test]
    fn every_request_is_a_frame_of_both_families_that_holds_its_token() {
        let key = EgressKey::from_bytes([3; 32]);
        let families: [(IpAddr, IpAddr); 2] = [
            ([10, 20, 1, 7].into(), [198, 51, 100, 10].into()),
            ("fd00::7".parse().unwrap(), "2001:db8:ffff::10".parse().unwrap()),
        ];
        for (target, canary) in families {
            for &(carrier, port) in REQUESTS.iter().chain(&[(Carrier::TcpReset, 9)]) {
                let probe = probe(carrier, port, target, canary);
                let token = key.token("s", VantageId(0), &probe);
                let own = Mac([2, 0, 0, 0, 0, 1]);
                let frame = frame(&probe, token, own, probe.mac).unwrap();
                let needle = match carrier {
                    Carrier::DnsAnswer | Carrier::Sip => token.label().into_bytes(),
                    Carrier::WsDiscovery => {
                        uuid::Uuid::from_bytes(token.octets()).to_string().into_bytes()
                    }
                    Carrier::TcpReset | Carrier::Snmp => {
                        token.number_and_port().0.to_be_bytes().to_vec()
                    }
                    _ if carrier.bits() == 64 => (token.bits as u64).to_be_bytes().to_vec(),
                    _ => token.octets().to_vec(),
                };
                assert!(frame.windows(needle.len()).any(|window| window == needle), "{carrier}");
            }
        }
    }
}
