//! What is said to a UDP port, so that its service answers: one row a protocol.
//!
//! An open UDP port answers only what it understands, so each row is a whole, harmless request of its
//! protocol, with a token where the protocol echoes one. A port in no row is sent an empty datagram:
//! that finds closed ports, and few open ones.

/// Where a token stands in a request, and how it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Octets into the datagram; even, for the checksum's sake.
    pub at: usize,
    pub form: Form,
    pub echo: Echo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Two,
    Four,
    /// A BER integer of four octets must begin with 01: 30 bits are the token's.
    Integer,
    Eight,
    /// Twelve hexadecimal digits of a text.
    Hex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Echo {
    At(usize),
    /// Somewhere in the first octets of the answer, where its place varies.
    Anywhere,
}

impl Mark {
    /// The octets that a token is written as; the rest is zero.
    pub fn octets(&self, token: u64) -> ([u8; 12], usize) {
        let mut octets = [0; 12];
        let length = match self.form {
            Form::Two => put(&mut octets, &(token as u16).to_be_bytes()),
            Form::Four => put(&mut octets, &(token as u32).to_be_bytes()),
            Form::Integer => {
                put(&mut octets, &(token as u32 & 0x3fff_ffff | 0x4000_0000).to_be_bytes())
            }
            Form::Eight => put(&mut octets, &token.to_be_bytes()),
            Form::Hex => {
                for (place, digit) in octets.iter_mut().enumerate() {
                    let nibble = (token >> (4 * place)) as u32 & 0xf;
                    *digit = char::from_digit(nibble, 16).map_or(b'0', |digit| digit as u8);
                }
                12
            }
        };
        (octets, length)
    }

    /// Whether an answer echoes the token.
    pub fn is_echoed(&self, token: u64, answer: &[u8]) -> bool {
        let (octets, length) = self.octets(token);
        let Some(octets) = octets.get(..length) else { return false };
        match self.echo {
            Echo::At(at) => answer.get(at..).is_some_and(|rest| rest.starts_with(octets)),
            Echo::Anywhere => {
                let head = answer.get(..MOST_SEARCHED).unwrap_or(answer);
                head.windows(length).any(|window| window == octets)
            }
        }
    }
}

fn put(octets: &mut [u8; 12], value: &[u8]) -> usize {
    for (place, octet) in octets.iter_mut().zip(value) {
        *place = *octet;
    }
    value.len()
}

/// An echoed text stands in the headers of SIP and WS-Discovery answers, which come first.
const MOST_SEARCHED: usize = 2048;

/// One protocol's request.
#[derive(Debug)]
pub(super) struct Payload {
    pub port: u16,
    pub bytes: &'static [u8],
    pub mark: Option<Mark>,
}

const fn mark(at: usize, form: Form, echo: Echo) -> Option<Mark> {
    Some(Mark { at, form, echo })
}

/// By port.
pub(super) const ALL: &[Payload] = &[
    // DNS: version.bind TXT CH, which every server answers by itself, if only to refuse. RFC 4892.
    Payload {
        port: 53,
        bytes: b"\0\0\0\0\0\x01\0\0\0\0\0\0\x07version\x04bind\0\0\x10\0\x03",
        mark: mark(0, Form::Two, Echo::At(0)),
    },
    // DHCP: INFORM, which asks for options and takes no lease (RFC 2131 §4.4.3). Our own address and
    // MAC are filled in; the answer goes to our port 68.
    Payload { port: DHCP, bytes: DHCP_INFORM, mark: mark(4, Form::Four, Echo::At(4)) },
    // TFTP: a read of a file that is not there. The error comes from another port. RFC 1350.
    Payload { port: TFTP, bytes: b"\0\x01jiebei-does-not-exist\0octet\0", mark: None },
    // Portmapper: the null call. RFC 5531, RFC 1833.
    Payload {
        port: 111,
        bytes: b"\0\0\0\0\0\0\0\0\0\0\0\x02\0\x01\x86\xa0\0\0\0\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        mark: mark(0, Form::Four, Echo::At(0)),
    },
    // NTP: a client's question; our transmit timestamp comes back as the origin. RFC 5905 §7.3.
    Payload {
        port: 123,
        bytes: b"\x23\0\x06\xec\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        mark: mark(40, Form::Eight, Echo::At(24)),
    },
    // NetBIOS: node status of *. RFC 1002 §4.2.17.
    Payload {
        port: 137,
        bytes: b"\0\0\0\0\0\x01\0\0\0\0\0\0 CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0\0\x21\0\x01",
        mark: mark(0, Form::Two, Echo::At(0)),
    },
    // SNMP: engine discovery of version 3, which needs no community. RFC 3414 §4.
    Payload {
        port: 161,
        bytes: b"\x30\x81\x3e\x02\x01\x03\x30\x11\x02\x04\0\0\0\0\x02\x03\0\xff\xe3\x04\x01\x04\x02\x01\x03\
                 \x04\x10\x30\x0e\x04\0\x02\x01\0\x02\x01\0\x04\0\x04\0\x04\0\
                 \x30\x14\x04\0\x04\0\xa0\x0e\x02\x04\x4a\x49\x45\x42\x02\x01\0\x02\x01\0\x30\0",
        mark: mark(10, Form::Integer, Echo::Anywhere),
    },
    // QUIC: a version that does not exist, to be told those that do. RFC 9000 §6, RFC 8999.
    Payload { port: 443, bytes: &QUIC_UNKNOWN_VERSION, mark: mark(6, Form::Eight, Echo::Anywhere) },
    // IKE: main mode with one proposal; the initiator's cookie comes back. RFC 2409, RFC 7296 §1.5.
    Payload {
        port: 500,
        bytes: b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x10\x02\0\0\0\0\0\0\0\0\x54\
                 \0\0\0\x38\0\0\0\x01\0\0\0\x01\0\0\0\x2c\x01\x01\0\x01\0\0\0\x24\x01\x01\0\0\
                 \x80\x01\0\x05\x80\x02\0\x02\x80\x03\0\x01\x80\x04\0\x02\x80\x0b\0\x01\0\x0c\0\x04\0\0\x70\x80",
        mark: mark(0, Form::Eight, Echo::At(0)),
    },
    // SQL Server's browser: list the instances. [MC-SQLR] 2.2.1.
    Payload { port: 1434, bytes: b"\x02", mark: None },
    // SSDP: unicast search. UPnP device architecture 2.0 §1.3.2.
    Payload {
        port: 1900,
        bytes: b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\nUSER-AGENT: jiebei\r\n\r\n",
        mark: None,
    },
    // WS-Discovery: any device; the message id comes back as RelatesTo.
    Payload { port: 3702, bytes: WS_DISCOVERY, mark: mark(digits(WS_DISCOVERY), Form::Hex, Echo::Anywhere) },
    // SIP: options; branch and call id come back. RFC 3261 §11.
    Payload { port: 5060, bytes: SIP_OPTIONS, mark: mark(digits(SIP_OPTIONS), Form::Hex, Echo::Anywhere) },
    // mDNS by unicast: the service types. RFC 6762 §5.5, §6.7.
    Payload {
        port: 5353,
        bytes: b"\0\0\0\0\0\x01\0\0\0\0\0\0\x09_services\x07_dns-sd\x04_udp\x05local\0\0\x0c\x80\x01",
        mark: mark(0, Form::Two, Echo::At(0)),
    },
    // CoAP: the resources. RFC 7252, RFC 6690 §4.
    Payload {
        port: 5683,
        bytes: b"\x48\x01\x4a\x42\0\0\0\0\0\0\0\0\xbb.well-known\x04core",
        mark: mark(4, Form::Eight, Echo::At(4)),
    },
];

pub(super) const DHCP: u16 = 67;
pub(super) const TFTP: u16 = 69;
/// Where an INFORM has our address and our MAC.
pub(super) const DHCP_ADDRESS: usize = 12;
pub(super) const DHCP_MAC: usize = 28;

const DHCP_INFORM: &[u8] = &{
    let mut bytes = [0; 300];
    bytes[0] = 1;
    bytes[1] = 1;
    bytes[2] = 6;
    let options = [0x63, 0x82, 0x53, 0x63, 53, 1, 8, 55, 4, 1, 3, 6, 15, 255];
    let mut place = 0;
    while place < options.len() {
        bytes[236 + place] = options[place];
        place += 1;
    }
    bytes
};

const QUIC_UNKNOWN_VERSION: [u8; 1200] = {
    let mut bytes = [0; 1200];
    // Long header, a version reserved to force negotiation, two connection ids of eight octets.
    let head = [0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8, 0, 0, 0, 0, 0, 0, 0, 0, 8];
    let mut place = 0;
    while place < head.len() {
        bytes[place] = head[place];
        place += 1;
    }
    bytes
};

const SIP_OPTIONS: &[u8] = b"OPTIONS sip:jiebei SIP/2.0\r\nVia: SIP/2.0/UDP jiebei;branch=z9hG4bK000000000000;rport\r\nMax-Forwards: 70\r\nFrom: <sip:jiebei@jiebei.invalid>;tag=jiebei\r\nTo: <sip:jiebei@jiebei.invalid>\r\nCall-ID: jiebei\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n";

const WS_DISCOVERY: &[u8] = b"<?xml version=\"1.0\" encoding=\"utf-8\"?> <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><s:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/Probe</a:Action><a:MessageID>urn:uuid:6a696562-6569-4a42-8a42-000000000000</a:MessageID><a:To>urn:schemas-xmlsoap-org:ws:2005:04:discovery</a:To></s:Header><s:Body><d:Probe/></s:Body></s:Envelope>";

/// Where the twelve zeros stand that a token takes the place of.
const fn digits(text: &[u8]) -> usize {
    let (mut place, mut run) = (0, 0);
    while place < text.len() && run < 12 {
        run = if text[place] == b'0' { run + 1 } else { 0 };
        place += 1;
    }
    place - run
}

/// Whether a port is asked in its own protocol.
pub fn is_known(port: u16) -> bool {
    of(port).is_some()
}

pub(super) fn of(port: u16) -> Option<&'static Payload> {
    ALL.iter().find(|payload| payload.port == port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mark_stands_on_zeros_at_an_even_place() {
        for payload in ALL {
            let Some(mark) = payload.mark else { continue };
            assert_eq!(mark.at % 2, 0, "{}", payload.port);
            let (_, length) = mark.octets(0);
            let place = &payload.bytes[mark.at..mark.at + length];
            let zero = if mark.form == Form::Hex { b'0' } else { 0 };
            assert!(place.iter().all(|&octet| octet == zero), "{}: {place:x?}", payload.port);
        }
        assert!(ALL.is_sorted_by(|a, b| a.port < b.port));
    }

    #[test]
    fn a_token_is_echoed_only_where_it_belongs() {
        let token = 0x0123_4567_89ab_cdef;
        for payload in ALL {
            let Some(mark) = payload.mark else { continue };
            let (octets, length) = mark.octets(token);
            let mut answer = vec![7; 40];
            let at = match mark.echo {
                Echo::At(at) => at,
                Echo::Anywhere => 13,
            };
            answer[at..at + length].copy_from_slice(&octets[..length]);
            assert!(mark.is_echoed(token, &answer));
            assert!(!mark.is_echoed(token ^ 1, &answer), "{}", payload.port);
            assert!(!mark.is_echoed(token, &answer[..at + length - 1]));
        }
    }
}
