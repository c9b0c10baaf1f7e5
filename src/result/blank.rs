//! Secrets taken out of frames before they are kept.
//!
//! Every frame on its way to a capture file goes through [`ethernet`] (or [`ip`]). Octets of a
//! secret become `x`; nothing else changes and no length does, so the frame still opens in Wireshark
//! and still shows what it is evidence for. Transport checksums are left as they came, so a blanked
//! frame is told by its wrong checksum and by its comment.
//!
//! | where | what goes |
//! |---|---|
//! | SNMP v1, v2c | community (RFC 1157 §4, RFC 1901) |
//! | HTTP, SIP, RTSP | values of `Authorization`, `Proxy-Authorization`, `Cookie`, `Set-Cookie`, and of form fields named as passwords or tokens |
//! | FTP, POP3, IRC, SMTP | after `PASS`, `AUTH PLAIN`, `AUTH LOGIN` |
//! | IMAP | after `LOGIN` |
//! | Telnet | what the client types |
//! | LDAP | simple bind (RFC 4511 §4.2) |
//! | VRRP version 2 | authentication data (RFC 2338 §5.3.10) |
//! | OSPF version 2 | simple password (RFC 2328 §D.3) |
//! | RIP version 2 | simple password (RFC 2453 §4.1) |
//! | HSRP | authentication data (RFC 2281 §5, version 2 TLV 3) |
//! | PAP | password (RFC 1334 §2.2.1), in PPPoE |
//!
//! Also inside ICMP errors and inside IP-in-IP, GRE and VXLAN, a few layers deep.
#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic)]

/// What stands in a secret's place.
const MARK: u8 = b'x';

/// Tunnels and quotes within one another that are followed.
const LAYERS: u8 = 4;

/// Blanks an Ethernet frame; says whether anything was there.
pub fn ethernet(frame: &mut [u8]) -> bool {
    ethernet_at(frame, LAYERS)
}

/// Blanks a packet that begins with its IP header.
pub fn ip(packet: &mut [u8]) -> bool {
    ip_at(packet, LAYERS)
}

fn ethernet_at(frame: &mut [u8], layers: u8) -> bool {
    let mut at = 12;
    loop {
        let Some(ethertype) = u16_at(frame, at) else { return false };
        let Some(rest) = frame.get_mut(at + 2..) else { return false };
        match ethertype {
            // 802.1Q, 802.1ad and the old QinQ: four octets a tag.
            0x8100 | 0x88a8 | 0x9100 => at += 4,
            0x0800 | 0x86dd => return ip_at(rest, layers),
            // PPPoE session: six octets of header, then the PPP protocol.
            0x8864 => return ppp(rest.get_mut(6..).unwrap_or_default(), layers),
            _ => return false,
        }
    }
}

fn ip_at(packet: &mut [u8], layers: u8) -> bool {
    let Some(layers) = layers.checked_sub(1) else { return false };
    match packet.first().map(|first| first >> 4) {
        Some(4) => {
            let Some(&first) = packet.first() else { return false };
            let header = usize::from(first & 0x0f) * 4;
            let fragment = u16_at(packet, 6).unwrap_or_default() & 0x1fff;
            let Some(&protocol) = packet.get(9) else { return false };
            let total = usize::from(u16_at(packet, 2).unwrap_or_default());
            // Zero where the card's offload has yet to fill it in; shorter where Ethernet pads.
            let end = if total < header { packet.len() } else { total.min(packet.len()) };
            if header < 20 || fragment != 0 {
                return false;
            }
            packet.get_mut(header..end).is_some_and(|rest| upper(protocol, rest, layers))
        }
        Some(6) => {
            let Some(&next) = packet.get(6) else { return false };
            let (mut protocol, mut at) = (next, 40);
            // Extension headers: the chain is bounded by what a packet can hold.
            for _ in 0..16 {
                let length = match protocol {
                    0 | 43 | 60 | 135 => {
                        packet.get(at + 1).map(|&units| (usize::from(units) + 1) * 8)
                    }
                    44 if u16_at(packet, at + 2).unwrap_or(8) & 0xfff8 == 0 => Some(8),
                    44 => return false,
                    51 => packet.get(at + 1).map(|&units| (usize::from(units) + 2) * 4),
                    _ => break,
                };
                let (Some(length), Some(&next)) = (length, packet.get(at)) else { return false };
                protocol = next;
                at += length;
            }
            packet.get_mut(at..).is_some_and(|rest| upper(protocol, rest, layers))
        }
        _ => false,
    }
}

fn upper(protocol: u8, rest: &mut [u8], layers: u8) -> bool {
    match protocol {
        1 | 58 => {
            // Errors quote the packet that caused them; echo data is nobody's secret.
            let error = match (protocol, rest.first()) {
                (1, Some(kind)) => matches!(kind, 3 | 4 | 5 | 11 | 12),
                (_, Some(kind)) => *kind < 128,
                _ => false,
            };
            error && rest.get_mut(8..).is_some_and(|quote| ip_at(quote, layers))
        }
        4 | 41 => ip_at(rest, layers),
        6 => {
            let Some(&offset) = rest.get(12) else { return false };
            let ports = (u16_at(rest, 0).unwrap_or_default(), u16_at(rest, 2).unwrap_or_default());
            let header = usize::from(offset >> 4) * 4;
            header >= 20 && rest.get_mut(header..).is_some_and(|data| tcp(ports, data))
        }
        17 => {
            let ports = (u16_at(rest, 0).unwrap_or_default(), u16_at(rest, 2).unwrap_or_default());
            rest.get_mut(8..).is_some_and(|data| udp(ports, data, layers))
        }
        47 => gre(rest, layers),
        89 if rest.first() == Some(&2) && u16_at(rest, 14) == Some(1) => mark(rest, 16, 8),
        112 if rest.first().map(|first| first >> 4) == Some(2) && rest.get(4) == Some(&1) => {
            let addresses = rest.get(3).map_or(0, |&count| usize::from(count));
            mark(rest, 8 + addresses * 4, 8)
        }
        _ => false,
    }
}

fn gre(rest: &mut [u8], layers: u8) -> bool {
    let (Some(flags), Some(ethertype)) = (u16_at(rest, 0), u16_at(rest, 2)) else { return false };
    // Checksum, key and sequence number: four octets each, where their bits say so. RFC 2890.
    let header = 4 + 4 * [0x8000, 0x2000, 0x1000].iter().filter(|&&bit| flags & bit != 0).count();
    let Some(inner) = rest.get_mut(header..) else { return false };
    match ethertype {
        0x0800 | 0x86dd => ip_at(inner, layers),
        0x6558 if layers > 0 => ethernet_at(inner, layers - 1),
        _ => false,
    }
}

fn ppp(rest: &mut [u8], layers: u8) -> bool {
    match u16_at(rest, 0) {
        Some(0x0021 | 0x0057) => rest.get_mut(2..).is_some_and(|inner| ip_at(inner, layers)),
        // PAP: code 1, identifier, length, then peer id and password, each with its length.
        Some(0xc023) if rest.get(2) == Some(&1) => {
            let peer = rest.get(6).map_or(0, |&length| usize::from(length));
            let password = rest.get(7 + peer).map_or(0, |&length| usize::from(length));
            mark(rest, 8 + peer, password)
        }
        _ => false,
    }
}

fn udp(ports: (u16, u16), data: &mut [u8], layers: u8) -> bool {
    let to_or_from = |port| ports.0 == port || ports.1 == port;
    if ports.1 == 4789 && layers > 0 {
        return data.get_mut(8..).is_some_and(|inner| ethernet_at(inner, layers - 1));
    }
    if to_or_from(520) && data.get(1) == Some(&2) && u16_at(data, 4) == Some(0xffff) {
        return u16_at(data, 6) == Some(2) && mark(data, 8, 16);
    }
    if to_or_from(1985) {
        return hsrp(data);
    }
    snmp(data) | text(data)
}

/// Version 1 has its data at a fixed place; version 2 and later are TLVs.
fn hsrp(data: &mut [u8]) -> bool {
    if data.first() == Some(&0) && data.len() >= 20 {
        return mark(data, 8, 8);
    }
    let mut at = 0;
    while let (Some(&kind), Some(&length)) = (data.get(at), data.get(at + 1)) {
        if kind == 3 {
            return mark(data, at + 2, usize::from(length));
        }
        at += 2 + usize::from(length);
    }
    false
}

fn tcp(ports: (u16, u16), data: &mut [u8]) -> bool {
    if ports.1 == 23 {
        return telnet(data);
    }
    snmp(data) | ldap(data) | text(data)
}

/// What is typed, letter for letter; the option negotiation (RFC 854: IAC and what follows) stays.
fn telnet(data: &mut [u8]) -> bool {
    let mut blanked = false;
    let mut commands = 0;
    for octet in data {
        if *octet == 0xff {
            commands = 2;
        } else if commands > 0 {
            commands -= 1;
        } else if octet.is_ascii_graphic() {
            *octet = MARK;
            blanked = true;
        }
    }
    blanked
}

/// A message of version 1 or 2c: SEQUENCE, INTEGER 0 or 1, OCTET STRING, a PDU.
fn snmp(data: &mut [u8]) -> bool {
    let Some((0x30, at, _)) = ber(data, 0) else { return false };
    let Some((0x02, version, 1)) = ber(data, at) else { return false };
    if !matches!(data.get(version), Some(0 | 1)) {
        return false;
    }
    let Some((0x04, community, length)) = ber(data, version + 1) else { return false };
    let pdu = community.checked_add(length).and_then(|at| data.get(at));
    // Absent where the capture cut the frame.
    if pdu.is_some_and(|&tag| !(0xa0..=0xa8).contains(&tag)) {
        return false;
    }
    mark(data, community, length)
}

fn ldap(data: &mut [u8]) -> bool {
    let Some((0x30, at, _)) = ber(data, 0) else { return false };
    let Some((0x02, id, length)) = ber(data, at) else { return false };
    let Some((0x60, at, _)) = ber(data, id.saturating_add(length)) else { return false };
    let Some((0x02, version, length)) = ber(data, at) else { return false };
    let Some((0x04, dn, length)) = ber(data, version.saturating_add(length)) else {
        return false;
    };
    let Some((0x80, password, length)) = ber(data, dn.saturating_add(length)) else { return false };
    mark(data, password, length)
}

/// Tag, place of the value, length of the value.
fn ber(data: &[u8], at: usize) -> Option<(u8, usize, usize)> {
    let tag = *data.get(at)?;
    let first = *data.get(at.checked_add(1)?)?;
    if first < 0x80 {
        return Some((tag, at + 2, usize::from(first)));
    }
    let octets = usize::from(first & 0x7f);
    if octets == 0 || octets > 4 {
        return None;
    }
    let mut length = 0_usize;
    for place in 0..octets {
        length = length << 8 | usize::from(*data.get(at + 2 + place)?);
    }
    Some((tag, at + 2 + octets, length))
}

/// Headers whose whole value is secret.
const HEADERS: &[&[u8]] = &[
    b"authorization:",
    b"proxy-authorization:",
    b"cookie:",
    b"set-cookie:",
    b"x-api-key:",
    b"x-auth-token:",
    b"pass ",
    b"auth plain ",
    b"auth login ",
];

/// Form fields and parameters whose value is secret.
const FIELDS: &[&[u8]] = &[b"password=", b"passwd=", b"pwd=", b"token=", b"secret=", b"api_key="];

/// Lines of a text protocol. Works on any port: servers stand where nobody expects them.
fn text(data: &mut [u8]) -> bool {
    let mut blanked = false;
    for line in data.split_mut(|&octet| octet == b'\n') {
        let end = line.len() - usize::from(line.last() == Some(&b'\r'));
        if let Some(header) = HEADERS.iter().find(|header| starts_with(line, header)) {
            blanked |= mark(line, header.len(), end.saturating_sub(header.len()));
            continue;
        }
        if let Some(at) = imap_login(line) {
            blanked |= mark(line, at, end.saturating_sub(at));
            continue;
        }
        for field in FIELDS {
            let mut from = 0;
            while let Some(at) = find(line.get(from..).unwrap_or_default(), field) {
                let value = from + at + field.len();
                let rest = line.get(value..end).unwrap_or_default();
                let length = rest
                    .iter()
                    .position(|octet| matches!(octet, b'&' | b';' | b' ' | b'"' | b'<'))
                    .unwrap_or(rest.len());
                blanked |= mark(line, value, length);
                from = value;
            }
        }
    }
    blanked
}

/// `tag LOGIN user password`: where the user begins.
fn imap_login(line: &[u8]) -> Option<usize> {
    let tag = line.iter().position(|&octet| octet == b' ')?;
    let word = line.get(tag + 1..)?;
    (tag <= 16 && starts_with(word, b"login ")).then_some(tag + 7)
}

fn starts_with(line: &[u8], word: &[u8]) -> bool {
    line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn find(line: &[u8], word: &[u8]) -> Option<usize> {
    line.windows(word.len()).position(|window| window.eq_ignore_ascii_case(word))
}

/// Overwrites `length` octets, as many of them as the frame has.
fn mark(data: &mut [u8], at: usize, length: usize) -> bool {
    let end = at.saturating_add(length).min(data.len());
    match data.get_mut(at..end) {
        Some(secret) if !secret.is_empty() => {
            secret.fill(MARK);
            true
        }
        _ => false,
    }
}

fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(payload);
        let total = (packet.len() as u16).to_be_bytes();
        packet[2..4].copy_from_slice(&total);
        packet
    }

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend((payload.len() as u16).to_be_bytes());
        packet.extend([next, 64]);
        packet.extend([0; 32]);
        packet.extend(payload);
        packet
    }

    fn ethernet_of(ip: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        frame.extend(if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] });
        frame.extend(ip);
        frame
    }

    fn udp_of(to: u16, payload: &[u8]) -> Vec<u8> {
        let mut datagram = vec![0x30, 0x39];
        datagram.extend(to.to_be_bytes());
        datagram.extend((8 + payload.len() as u16).to_be_bytes());
        datagram.extend([0, 0]);
        datagram.extend(payload);
        datagram
    }

    fn tcp_of(to: u16, payload: &[u8]) -> Vec<u8> {
        let mut segment = vec![0x30, 0x39];
        segment.extend(to.to_be_bytes());
        segment.extend([0; 8]);
        segment.extend([0x50, 0x18, 0, 0, 0, 0, 0, 0]);
        segment.extend(payload);
        segment
    }

    /// RFC 1157 GetRequest of sysDescr.0, as net-snmp sends it.
    fn snmp_get(community: &[u8]) -> Vec<u8> {
        let mut pdu = vec![0xa0, 0x1c, 0x02, 0x04, 1, 2, 3, 4, 0x02, 1, 0, 0x02, 1, 0, 0x30, 0x0e];
        pdu.extend([0x30, 0x0c, 6, 8, 0x2b, 6, 1, 2, 1, 1, 1, 0, 5, 0]);
        let mut message = vec![0x30, (5 + community.len() + pdu.len()) as u8, 0x02, 1, 1];
        message.extend([0x04, community.len() as u8]);
        message.extend(community);
        message.extend(pdu);
        message
    }

    /// The secret is gone, everything else stands, and the frame says that it was touched.
    fn check(ip: Vec<u8>, secret: &[u8]) {
        let mut frame = ethernet_of(&ip);
        let before = frame.clone();
        let at = before.windows(secret.len()).position(|w| w == secret).expect("planted");
        assert!(ethernet(&mut frame));
        let mut expected = before;
        expected[at..at + secret.len()].fill(MARK);
        assert_eq!(frame, expected, "{:?}", String::from_utf8_lossy(secret));
    }

    #[test]
    fn secrets_go_and_nothing_else_does() {
        let secret = b"S3cr3t-community".as_slice();
        check(ipv4(17, &udp_of(161, &snmp_get(secret))), secret);
        check(ipv6(17, &udp_of(16100, &snmp_get(secret))), secret);
        // Behind a hop-by-hop header, and quoted in an ICMP error.
        let mut hop = vec![17, 0, 1, 4, 0, 0, 0, 0];
        hop.extend(udp_of(161, &snmp_get(secret)));
        check(ipv6(0, &hop), secret);
        let mut unreachable = vec![3, 3, 0, 0, 0, 0, 0, 0];
        unreachable.extend(ipv4(17, &udp_of(161, &snmp_get(secret))));
        check(ipv4(1, &unreachable), secret);
        check(ipv4(4, &ipv4(17, &udp_of(161, &snmp_get(secret)))), secret);

        let request = b"GET / HTTP/1.1\r\nHost: a\r\nauthorization: Basic YWRtaW46YWRtaW4=\r\n\r\n";
        check(ipv4(6, &tcp_of(8080, request)), b" Basic YWRtaW46YWRtaW4=");
        check(ipv4(6, &tcp_of(21, b"PASS hunter2\r\n")), b"hunter2");
        check(ipv4(6, &tcp_of(143, b"a1 LOGIN bob hunter2\r\n")), b"bob hunter2");
        check(ipv4(6, &tcp_of(80, b"POST /l HTTP/1.1\r\n\r\nuser=a&password=p4ss&x=1")), b"p4ss");
        check(ipv4(6, &tcp_of(23, b"\xff\xfd\x01hunter2\r\n")), b"hunter2");
        let bind = b"\x30\x1a\x02\x01\x01\x60\x15\x02\x01\x03\x04\x04cn=a\x80\x0aldapsecret";
        check(ipv4(6, &tcp_of(389, bind)), b"ldapsecret");

        let mut vrrp = vec![0x21, 7, 100, 2, 1, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        vrrp.extend(b"vrrppass");
        check(ipv4(112, &vrrp), b"vrrppass");
        let mut ospf = vec![2, 1, 0, 44, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1];
        ospf.extend(b"ospfpass");
        ospf.extend([0; 20]);
        check(ipv4(89, &ospf), b"ospfpass");
        let mut rip = vec![2, 2, 0, 0, 0xff, 0xff, 0, 2];
        rip.extend(b"rippassword12345");
        check(ipv4(17, &udp_of(520, &rip)), b"rippassword12345");
        let mut hsrp = vec![0, 0, 16, 3, 10, 100, 1, 0];
        hsrp.extend(b"hsrppassabcd");
        check(ipv4(17, &udp_of(1985, &hsrp)), b"hsrppass");
    }

    #[test]
    fn what_is_no_secret_stays() {
        let mut v3 = vec![0x21, 7, 100, 1, 0, 1, 0, 0, 10, 0, 0, 1];
        v3.extend([0; 8]);
        let mut md5 = vec![2, 1, 0, 44, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        md5.extend([0, 0, 1, 16, 0, 0, 0, 1]);
        for packet in [
            ipv4(112, &v3),
            ipv4(89, &md5),
            ipv4(17, &udp_of(53, b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\0\0\x01\0\x01")),
            ipv4(6, &tcp_of(80, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
            ipv4(1, b"\x08\0\0\0\0\x01\0\x01PASS echo"),
        ] {
            let mut frame = ethernet_of(&packet);
            let before = frame.clone();
            assert!(!ethernet(&mut frame));
            assert_eq!(frame, before);
        }
    }

    #[test]
    fn a_cut_community_is_blanked_as_far_as_it_goes() {
        let packet = ipv4(17, &udp_of(161, &snmp_get(b"S3cr3t-community")));
        let mut frame = ethernet_of(&packet);
        let start = frame.windows(6).position(|w| w == b"S3cr3t").unwrap();
        frame.truncate(start + 6);
        assert!(ethernet(&mut frame));
        assert!(frame.ends_with(b"xxxxxx"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0..6) {
            let header: &[u8] = match kind {
                0 => &[],
                1 => &[0x08, 0x00, 0x45],
                2 => &[0x86, 0xdd, 0x60],
                3 => &[0x88, 0x64],
                4 => &[0x81, 0x00, 0, 1, 0x08, 0x00, 0x45],
                _ => &[0x08, 0x00, 0x46],
            };
            let mut frame = if kind == 0 { Vec::new() } else { vec![2; 12] };
            frame.extend(header);
            frame.append(&mut bytes);
            let length = frame.len();
            ethernet(&mut frame);
            ip(&mut frame);
            prop_assert_eq!(frame.len(), length);
        }
    }
}
