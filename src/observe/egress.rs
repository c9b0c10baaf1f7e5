//! The facts about ways out to the internet: what was asked with which token, and who saw it where.

use std::fmt;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::net::Mac;

/// A way of looking for ways out. The contract's §6; the words of `egress.methods` and `detail.methods`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EgressMethod {
    NextHop,
    SpoofedSource,
    Proxy,
    Dns,
    PortMapping,
    Ipv6,
    Passive,
}

impl EgressMethod {
    pub const ALL: [EgressMethod; 7] = [
        EgressMethod::NextHop,
        EgressMethod::SpoofedSource,
        EgressMethod::Proxy,
        EgressMethod::Dns,
        EgressMethod::PortMapping,
        EgressMethod::Ipv6,
        EgressMethod::Passive,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            EgressMethod::NextHop => "next-hop",
            EgressMethod::SpoofedSource => "spoofed-source",
            EgressMethod::Proxy => "proxy",
            EgressMethod::Dns => "dns",
            EgressMethod::PortMapping => "port-mapping",
            EgressMethod::Ipv6 => "ipv6",
            EgressMethod::Passive => "passive",
        }
    }
}

impl fmt::Display for EgressMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What takes a token to the collector: the request that was made of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// `next-hop`: the packet itself goes to the canary.
    IcmpEcho,
    UdpDatagram,
    TcpSyn,
    /// `spoofed-source`: the target's answer goes to the canary.
    EchoReply,
    TcpReset,
    Ntp,
    Quic,
    Ike,
    Sip,
    Coap,
    Snmp,
    WsDiscovery,
    DnsAnswer,
    /// `dns`: a name is looked up at the collector.
    DnsUdp,
    DnsTcp,
    DnsTls,
    /// `proxy`: the collector's web server is asked.
    HttpGet,
    HttpConnect,
    Socks4,
    Socks4a,
    Socks5,
}

impl Carrier {
    pub const ALL: [Carrier; 21] = [
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
        Carrier::DnsUdp,
        Carrier::DnsTcp,
        Carrier::DnsTls,
        Carrier::HttpGet,
        Carrier::HttpConnect,
        Carrier::Socks4,
        Carrier::Socks4a,
        Carrier::Socks5,
    ];

    pub const fn word(self) -> &'static str {
        match self {
            Carrier::IcmpEcho => "icmp-echo",
            Carrier::UdpDatagram => "udp-datagram",
            Carrier::TcpSyn => "tcp-syn",
            Carrier::EchoReply => "echo-reply",
            Carrier::TcpReset => "tcp-reset",
            Carrier::Ntp => "ntp",
            Carrier::Quic => "quic",
            Carrier::Ike => "ike",
            Carrier::Sip => "sip",
            Carrier::Coap => "coap",
            Carrier::Snmp => "snmp",
            Carrier::WsDiscovery => "ws-discovery",
            Carrier::DnsAnswer => "dns-answer",
            Carrier::DnsUdp => "dns-udp",
            Carrier::DnsTcp => "dns-tcp",
            Carrier::DnsTls => "dns-tls",
            Carrier::HttpGet => "http-get",
            Carrier::HttpConnect => "http-connect",
            Carrier::Socks4 => "socks4",
            Carrier::Socks4a => "socks4a",
            Carrier::Socks5 => "socks5",
        }
    }

    /// The carrier whose token field this one uses on its way to the collector: however a name is asked
    /// for, the collector sees a name; whatever proxy was asked how, it sees a path.
    pub const fn field(self) -> Carrier {
        match self {
            Carrier::DnsTcp | Carrier::DnsTls => Carrier::DnsUdp,
            Carrier::HttpConnect | Carrier::Socks4 | Carrier::Socks4a | Carrier::Socks5 => {
                Carrier::HttpGet
            }
            other => other,
        }
    }

    /// Bits of token that come back or arrive in this carrier's fields.
    ///
    /// A reset echoes 32 bits of sequence number and 15 of our port, whose highest bit is set; SNMPv3 31
    /// of message id and the same 15; a SYN keeps 32 of sequence number and 32 of timestamp through a NAT.
    pub const fn bits(self) -> u32 {
        match self.field() {
            Carrier::TcpReset => 47,
            Carrier::Snmp => 46,
            Carrier::TcpSyn | Carrier::Ntp | Carrier::Ike | Carrier::Coap => 64,
            _ => 128,
        }
    }

    /// Whether the answer would be translated by a NAT that it passes: a new flow to it, not an answer
    /// to one that it never saw.
    pub const fn passes_nat(self) -> bool {
        !matches!(self, Carrier::EchoReply | Carrier::TcpReset)
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One question with a token, and what the token is bound to: enough to make it again from the egress
/// key, and nothing of the key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EgressProbe {
    /// Its number in the sweep, from 0: receipts name it.
    pub number: u32,
    pub method: EgressMethod,
    pub carrier: Carrier,
    /// Whom it asks: the neighbour steered through, the host asked in the canary's name, the proxy,
    /// the resolver.
    pub target: IpAddr,
    /// The target's MAC; [`Mac::ZERO`] where it is beyond a router or a kernel resolved it.
    pub mac: Mac,
    /// The address it asks from: an own one, or the canary.
    pub asked_from: IpAddr,
    pub canary: IpAddr,
    /// The port asked: of the target or, steered, of the canary. Zero where there is none.
    pub port: u16,
    /// As sent; zero where the kernel chose it.
    pub hop_limit: u8,
    /// From 1: a second round with a fresh token makes a proof.
    pub round: u8,
    /// In whole seconds: the token expires some minutes later.
    pub sent_at: Timestamp,
    /// How often the token was drawn again because another one of the sweep was the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrawn: u8,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// Who saw that a probe came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenBy {
    /// The collector wrote it down.
    Collector,
    /// The collector's answer came back here, proved by the egress key.
    ProvedAnswer,
    /// Something answered from the canary's address.
    Answer,
}

/// A probe came through to the internet side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EgressReceipt {
    /// The probe's number.
    pub probe: u32,
    pub seen_by: SeenBy,
    /// The source address that the collector saw.
    pub observed: Option<IpAddr>,
    /// The source port that the collector saw.
    pub observed_port: u16,
    /// The hop limit with which it arrived at the collector; zero where it is not known.
    pub hop_limit: u8,
    /// When the collector saw it, by its own clock.
    pub seen_at: Option<Timestamp>,
    /// The receipt's number in the collector's log.
    pub entry: Option<u64>,
    /// The chain value of that entry, hex: what finds it again in the collector's log.
    pub chain: Option<String>,
}

/// A device says of itself which external address it has: UPnP IGD, NAT-PMP.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExternalAddress {
    pub ip: IpAddr,
    /// [`Mac::ZERO`] where it is beyond a router or a kernel resolved it.
    pub mac: Mac,
    /// `upnp-igd`, `nat-pmp`, `pcp`.
    pub protocol: String,
    /// `None` where it speaks the protocol and names no address.
    pub external: Option<IpAddr>,
}

/// Which way packets went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Given to the next hop for the remote address.
    Outbound,
    /// Came from the remote address through the next hop.
    Inbound,
    /// An answer that came in to a question that was seen going out by the same next hop.
    Answered,
}

/// Packets to or from an address off the link, and through whom on the link they went.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Passage {
    /// The next hop: the Ethernet destination on the way out, the Ethernet source on the way in.
    pub mac: Mac,
    pub local: IpAddr,
    pub remote: IpAddr,
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `dns`, `ntp`, `connectivity-check`.
    pub what: String,
}

/// Why an egress method did not look at a prefix. The result and the reports say it in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotRun {
    /// The profile does not name it.
    NotWanted,
    /// Its class is above the profile's `risk`.
    Risk,
    /// The profile has no canary of the family.
    NoCanary,
    /// No egress key: the collector would not know the tokens.
    NoKey,
    /// No canary zone: there is no name to ask for.
    NoZone,
    /// No raw sockets.
    Unprivileged,
    /// Nobody there that it could ask.
    NobodyToAsk,
    /// Not on the link: it needs the MAC of whom it asks.
    NotOnLink,
    /// The sweep ended before.
    Interrupted,
    /// No source address of the canary's family.
    NoSource,
}

impl NotRun {
    /// The published word, and the end of the key of its sentence.
    pub const fn word(self) -> &'static str {
        match self {
            NotRun::NotWanted => "not-wanted",
            NotRun::Risk => "risk",
            NotRun::NoCanary => "no-canary",
            NotRun::NoKey => "no-key",
            NotRun::NoZone => "no-zone",
            NotRun::Unprivileged => "unprivileged",
            NotRun::NobodyToAsk => "nobody-to-ask",
            NotRun::NotOnLink => "not-on-link",
            NotRun::Interrupted => "interrupted",
            NotRun::NoSource => "no-source",
        }
    }
}

/// What an egress method did in a prefix: the ground under 'no unregistered egress'.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EgressAsked {
    pub prefix: crate::net::Prefix,
    pub method: EgressMethod,
    /// How many addresses were asked.
    pub asked: u64,
    /// `None` where it ran.
    pub not_run: Option<NotRun>,
}

#[cfg(test)]
impl EgressProbe {
    /// One for tests: a SYN or the like through a neighbour.
    pub fn sample(number: u32, carrier: Carrier) -> EgressProbe {
        EgressProbe {
            number,
            method: EgressMethod::NextHop,
            carrier,
            target: [10, 20, 1, 7].into(),
            mac: Mac([2, 0, 0, 0, 0, 7]),
            asked_from: [10, 20, 1, 5].into(),
            canary: [198, 51, 100, 10].into(),
            port: 443,
            hop_limit: 64,
            round: 1,
            sent_at: "2026-11-25T01:00:00Z".parse().expect("a time"),
            redrawn: 0,
        }
    }

    /// One for tests: a host asked in the canary's name.
    pub fn spoofed_sample(number: u32, carrier: Carrier) -> EgressProbe {
        EgressProbe {
            method: EgressMethod::SpoofedSource,
            asked_from: [198, 51, 100, 10].into(),
            port: 123,
            ..EgressProbe::sample(number, carrier)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, Observation, Source, VantageId};
    use super::*;

    /// A fact's fields stand beside the observation's own: none may have the name of one.
    #[test]
    fn every_fact_goes_through_json_beside_its_observation() {
        let at: Timestamp = "2026-11-25T01:00:00Z".parse().unwrap();
        let ip: IpAddr = [10, 20, 1, 7].into();
        let facts = [
            Fact::EgressProbe(EgressProbe {
                redrawn: 1,
                ..EgressProbe::sample(7, Carrier::IcmpEcho)
            }),
            Fact::EgressReceipt(EgressReceipt {
                probe: 7,
                seen_by: SeenBy::Collector,
                observed: Some([203, 0, 113, 7].into()),
                observed_port: 4,
                hop_limit: 61,
                seen_at: Some(at),
                entry: Some(9),
                chain: Some("00".into()),
            }),
            Fact::ExternalAddress(ExternalAddress {
                ip,
                mac: Mac::ZERO,
                protocol: "nat-pmp".into(),
                external: None,
            }),
            Fact::Passage(Passage {
                mac: Mac::ZERO,
                local: ip,
                remote: [203, 0, 113, 7].into(),
                direction: Direction::Answered,
                what: "tcp".into(),
            }),
            Fact::EgressAsked(EgressAsked {
                prefix: "10.20.1.0/24".parse().unwrap(),
                method: EgressMethod::Dns,
                asked: 0,
                not_run: Some(NotRun::NoZone),
            }),
        ];
        for fact in facts {
            let observation = Observation {
                at,
                last_at: at,
                count: 1,
                vantage: VantageId(0),
                source: Source::NextHop,
                fact,
                frames: Vec::new(),
            };
            let text = serde_json::to_string(&observation).unwrap();
            assert_eq!(serde_json::from_str::<Observation>(&text).unwrap(), observation, "{text}");
        }
    }
}
