//! Questions and answers in TCP, UDP and ICMP (RFC 9293, 768, 792, 4443): which may have crossed the edge of the link.
//!
//! Taken: SYN and SYN-ACK; DNS, NTP, QUIC's handshake, IKE and STUN by their ports and what tells a question from an answer;
//! echoes; and the connectivity checks by which operating systems find out that they are on the internet, by their Host.
//! Left: all else of a conversation. One frame does not show a passage: the address behind it may be on the link. So no
//! fact is told here but a [`Crossing`], and the listener holds it against what it knows of the link.

use std::net::IpAddr;

use super::{Dissector, Facts, Packet, Wake};
use crate::net::{Mac, special};
use crate::observe::Source;
use crate::wire::icmp::{self, Icmp};
use crate::wire::tcp::{self, TcpSegment};
use crate::wire::udp::Udp;
use crate::wire::{Ip, Protocol, WireError};

pub(super) struct Passage;

/// Who says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Question,
    Answer,
}

/// A question or an answer between two addresses, in a frame between two stations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crossing {
    /// The Ethernet addresses.
    pub source: Mac,
    pub destination: Mac,
    pub from: IpAddr,
    pub to: IpAddr,
    pub hop_limit: u8,
    pub side: Side,
    /// What question and answer have in common: the protocol, the asker's port or the echo's identifier, the port asked.
    pub flow: (Protocol, u16, u16),
    /// `tcp`, `udp`, `icmp`, `dns`, `ntp`, `connectivity-check`.
    pub what: &'static str,
}

/// Where operating systems look whether they are on the internet: Android, Apple, Windows, Firefox, GNOME and Linux
/// distributions, and phones sold on the mainland.
const CHECKS: &[&[u8]] = &[
    b"connectivitycheck.gstatic.com",
    b"connectivitycheck.android.com",
    b"clients3.google.com",
    b"captive.apple.com",
    b"www.apple.com.cn",
    b"www.msftconnecttest.com",
    b"ipv6.msftconnecttest.com",
    b"www.msftncsi.com",
    b"ipv6.msftncsi.com",
    b"detectportal.firefox.com",
    b"connectivity-check.ubuntu.com",
    b"nmcheck.gnome.org",
    b"network-test.debian.org",
    b"connect.rom.miui.com",
    b"wifi.vivo.com.cn",
    b"conn1.oppomobile.com",
    b"conn1.coloros.com",
    b"connectivitycheck.platform.hicloud.com",
    b"connectivitycheck.cbg-app.huawei.com",
    b"connectivitycheck.platform.hihonorcloud.com",
    b"www.qualcomm.cn",
    b"g.cn",
    b"noisyfox.cn",
    b"edge-http.microsoft.com",
    b"connectivity.samsung.com.cn",
    b"spectrum.s3.amazonaws.com",
];

/// How far into a request its Host is looked for.
const MOST_REQUEST: usize = 1024;
const HTTP: u16 = 80;
const DNS: u16 = 53;
const NTP: u16 = 123;
/// QUIC, IKE, IKE through NAT, STUN.
const OTHERS: [u16; 4] = [443, 500, 4500, 3478];

impl Dissector for Passage {
    fn name(&self) -> &'static str {
        "passage"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Ip]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        if facts.encapsulation.is_some()
            || !packet.source.is_station()
            || !packet.destination.is_station()
            || !ip.has_upper_layer()
            || !may_cross(ip.source)
            || !may_cross(ip.destination)
        {
            return Ok(());
        }
        // What cannot be read is told of by others.
        if let Some((side, flow, what)) = said(&ip) {
            facts.crossing(Crossing {
                source: packet.source,
                destination: packet.destination,
                from: ip.source,
                to: ip.destination,
                hop_limit: ip.hop_limit,
                side,
                flow: (ip.protocol, flow.0, flow.1),
                what,
            });
        }
        Ok(())
    }
}

fn may_cross(address: IpAddr) -> bool {
    special::is_host(address) && !special::is_link_local(address)
}

/// Who says it; the asker's port and the one asked; in which protocol.
type Said = (Side, (u16, u16), &'static str);

fn said(ip: &Ip<'_>) -> Option<Said> {
    match ip.protocol {
        Protocol::TCP => tcp(ip.payload),
        Protocol::UDP => udp(ip.payload),
        Protocol::ICMP | Protocol::ICMPV6 => echo(ip),
        _ => None,
    }
}

fn tcp(payload: &[u8]) -> Option<Said> {
    let segment = TcpSegment::read(payload).ok()?;
    let (asked, answered) =
        ((segment.source, segment.destination), (segment.destination, segment.source));
    match segment.flags & (tcp::SYN | tcp::ACK | tcp::RST | tcp::FIN) {
        tcp::SYN => Some((Side::Question, asked, "tcp")),
        flags if flags == tcp::SYN | tcp::ACK => Some((Side::Answer, answered, "tcp")),
        _ if segment.destination == HTTP && segment.payload.starts_with(b"GET ") => {
            is_check(segment.payload).then_some((Side::Question, asked, "connectivity-check"))
        }
        _ if segment.source == HTTP && segment.payload.starts_with(b"HTTP/1.") => {
            Some((Side::Answer, answered, "connectivity-check"))
        }
        _ => None,
    }
}

fn is_check(request: &[u8]) -> bool {
    let request = request.get(..MOST_REQUEST).unwrap_or(request);
    let host = request.split(|octet| *octet == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(5)?;
        name.eq_ignore_ascii_case(b"host:").then(|| value.trim_ascii())
    });
    host.is_some_and(|host| CHECKS.iter().any(|check| check.eq_ignore_ascii_case(host)))
}

fn udp(payload: &[u8]) -> Option<Said> {
    let udp = Udp::read(payload).ok()?;
    let (asked, answered) = ((udp.source, udp.destination), (udp.destination, udp.source));
    let &first = udp.payload.first()?;
    match (udp.source, udp.destination) {
        // The bit that tells a response. RFC 1035 §4.1.1.
        (_, DNS) if udp.payload.get(2)? & 0x80 == 0 => Some((Side::Question, asked, "dns")),
        (DNS, _) if udp.payload.get(2)? & 0x80 != 0 => Some((Side::Answer, answered, "dns")),
        // Mode client and mode server. RFC 5905 §7.3.
        (_, NTP) if first & 7 == 3 => Some((Side::Question, asked, "ntp")),
        (NTP, _) if first & 7 == 4 => Some((Side::Answer, answered, "ntp")),
        // Long headers alone: the handshake. RFC 9000 §17.2.
        (443, _) | (_, 443) if first & 0x80 == 0 => None,
        (_, to) if OTHERS.contains(&to) => Some((Side::Question, asked, "udp")),
        (from, _) if OTHERS.contains(&from) => Some((Side::Answer, answered, "udp")),
        _ => None,
    }
}

fn echo(ip: &Ip<'_>) -> Option<Said> {
    let message = Icmp::read(ip.payload).ok()?;
    let side = match (ip.protocol, message.icmp_type) {
        (Protocol::ICMP, icmp::ECHO_REQUEST) | (Protocol::ICMPV6, icmp::V6_ECHO_REQUEST) => {
            Side::Question
        }
        (Protocol::ICMP, icmp::ECHO_REPLY) | (Protocol::ICMPV6, icmp::V6_ECHO_REPLY) => {
            Side::Answer
        }
        _ => return None,
    };
    Some((side, (message.echo().ok()?.identifier, 0), "icmp"))
}

#[cfg(test)]
mod tests {
    use super::super::check::{MACS, datagram, packet};
    use super::super::dissect_with_crossings;
    use super::*;
    use crate::wire::LinkType;

    fn crossing(frame: &[u8]) -> Option<Crossing> {
        let mut seen = None;
        dissect_with_crossings(LinkType::ETHERNET, frame, &mut |_, _| (), &mut |crossing| {
            seen = Some(crossing);
        });
        seen
    }

    fn said(frame: &[u8]) -> Option<(Side, u16, u16, &'static str)> {
        crossing(frame)
            .map(|crossing| (crossing.side, crossing.flow.1, crossing.flow.2, crossing.what))
    }

    const IN: &str = "10.20.1.5";
    const OUT: &str = "203.0.113.9";

    fn segment(ports: (u16, u16), flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = [&ports.0.to_be_bytes()[..], &ports.1.to_be_bytes(), &[0; 8]].concat();
        bytes.extend_from_slice(&[0x50, flags, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(payload);
        packet(IN, OUT, Protocol::TCP, 64, &bytes)
    }

    #[test]
    fn questions_and_answers_are_told_apart_and_have_one_flow() {
        use Side::{Answer, Question};
        let tcp = |ports, flags, payload: &[u8]| said(&segment(ports, flags, payload));
        assert_eq!(tcp((4000, 443), 2, b""), Some((Question, 4000, 443, "tcp")));
        assert_eq!(tcp((443, 4000), 0x12, b""), Some((Answer, 4000, 443, "tcp")));
        assert_eq!(tcp((4000, 443), 0x10, b"x"), None);
        assert_eq!(tcp((4000, 443), 4, b""), None);
        let check = b"GET /generate_204 HTTP/1.1\r\nhost: Connectivitycheck.gstatic.com\r\n\r\n";
        assert_eq!(tcp((4000, 80), 0x18, check), Some((Question, 4000, 80, "connectivity-check")));
        assert_eq!(tcp((4000, 80), 0x18, b"GET / HTTP/1.1\r\nHost: x.example\r\n\r\n"), None);
        let no_content = b"HTTP/1.1 204 No Content\r\n";
        let answered = Some((Answer, 4000, 80, "connectivity-check"));
        assert_eq!(tcp((80, 4000), 0x18, no_content), answered);

        let udp = |from, to, payload: &[u8]| said(&datagram((IN, from), (OUT, to), payload));
        assert_eq!(udp(4000, 53, &[1, 2, 1, 0]), Some((Question, 4000, 53, "dns")));
        assert_eq!(udp(53, 4000, &[1, 2, 0x81, 0x80]), Some((Answer, 4000, 53, "dns")));
        assert_eq!(udp(53, 4000, &[1, 2, 1, 0]), None);
        assert_eq!(udp(53, 4000, &[1]), None);
        assert_eq!(udp(4000, 123, &[0x23]), Some((Question, 4000, 123, "ntp")));
        assert_eq!(udp(123, 123, &[0x24]), Some((Answer, 123, 123, "ntp")));
        assert_eq!(udp(4000, 443, &[0xc0]), Some((Question, 4000, 443, "udp")));
        assert_eq!(udp(4000, 443, &[0x40]), None);
        assert_eq!(udp(4000, 9, &[0x40]), None);

        let ping = |kind| said(&packet(IN, OUT, Protocol::ICMP, 64, &[kind, 0, 0, 0, 0, 7, 0, 1]));
        assert_eq!(ping(8), Some((Question, 7, 0, "icmp")));
        assert_eq!(ping(0), Some((Answer, 7, 0, "icmp")));
        assert_eq!(ping(3), None);
    }

    #[test]
    fn what_stays_on_the_link_is_no_crossing() {
        let question = |from, to| crossing(&datagram((from, 4000), (to, 53), &[1, 2, 1, 0]));
        let seen = question(IN, OUT).unwrap();
        assert_eq!((seen.source, seen.destination), (MACS.source, MACS.destination));
        for (from, to) in [
            (IN, "224.0.0.251"),
            (IN, "169.254.1.1"),
            ("fe80::5", "fd20::1"),
            ("fd20::5", "ff02::fb"),
            ("0.0.0.0", "203.0.113.9"),
        ] {
            assert_eq!(question(from, to), None, "{from} {to}");
        }
        let inner = datagram((IN, 4000), (OUT, 53), &[1, 2, 1, 0]);
        let tunnel = packet(IN, "10.20.9.9", Protocol::IPV4, 64, &inner[14..]);
        assert_eq!(crossing(&tunnel), None);
    }
}
