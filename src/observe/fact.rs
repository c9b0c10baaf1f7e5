//! The facts that can be observed. Plain data: the fold gives them their meaning.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::heard_l2::{
    ArpExchange, BgpOpen, DeviceAnnouncement, GroupMessage, IsisSpeaker, LinkAggregation, Pppoe,
    Redirect, Redundancy, SpanningTree, Tunnel,
};
use super::heard_names::{
    Browser, DhcpTold, NameClient, NameQuery, NameRecord, NameServer, NetbiosName, Said,
    ServiceInstance, Snmp, Ssdp,
};
use super::{
    EgressAsked, EgressProbe, EgressReceipt, ExternalAddress, Foreign, HttpHost, NtlmClient,
    NtlmServer, Passage, SmbSpeaker, SpokenService, TcpSyn, TlsCertificates, TlsClient, TlsServer,
    UserAgent,
};
use crate::net::{Mac, Port, Prefix};

/// One fact. Equal facts from one vantage and source fold into one observation, so no field may
/// differ between two sightings of the same thing.
///
/// A MAC that the link does not show (raw IP, frame relay, inside a tunnel) is [`Mac::ZERO`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// The vantage's interface itself has this address in this prefix.
    Interface {
        address: IpAddr,
        prefix: Prefix,
        mac: Mac,
    },
    /// The vantage's own routing table sends what lies outside its prefixes to this neighbour.
    Gateway {
        address: IpAddr,
    },
    /// A station uses an address on this link: it sent ARP or ND (or a DHCP server acknowledged it) with it.
    Binding {
        ip: IpAddr,
        mac: Mac,
    },
    /// A station asks whether an address is free, before it uses it: duplicate address detection, RFC 4862 §5.4.
    Tentative {
        ip: IpAddr,
        mac: Mac,
    },
    /// Two stations answered for one address within the sweep, or one said it defends it.
    Conflict {
        ip: IpAddr,
        mac: Mac,
    },
    /// An IP header on the wire had this source address behind this Ethernet source.
    Traffic {
        ip: IpAddr,
        mac: Mac,
        hop_limit: u8,
    },
    /// A target answered a probe of ours, with our token in its answer.
    Answer {
        ip: IpAddr,
        /// The Ethernet source of the answer: the target itself on link, its last router beyond.
        mac: Mac,
        /// `None` for probes that ask no port (ARP, ND, echo).
        port: Option<Port>,
        state: PortState,
        /// As it arrived; zero where the answer has none (ARP).
        hop_limit: u8,
    },
    /// An ICMP error quoted a probe of ours.
    IcmpError(IcmpError),
    /// What a frame to a neighbour's MAC for an off-link address brought back.
    Forwarding(Forwarding),
    /// A hop on the way to a target: who answered that the hop limit was used up.
    Hop {
        target: IpAddr,
        hop_limit: u8,
        from: IpAddr,
        mac: Mac,
    },
    RouterAdvertisement(RouterAdvertisement),
    DhcpServer(DhcpServer),
    DhcpClient(DhcpClient),
    Lldp(LldpNeighbour),
    RoutingSpeaker(RoutingSpeaker),
    /// A station announced a name for itself, and the addresses that it says the name has.
    Name {
        mac: Mac,
        ip: IpAddr,
        name: Foreign,
        addresses: Vec<IpAddr>,
    },
    /// Somebody asked who listens to groups: an MLD or IGMP general query.
    Querier {
        ip: IpAddr,
        mac: Mac,
        version: u8,
    },
    /// Somebody joined a multicast group.
    Listener {
        ip: IpAddr,
        mac: Mac,
        group: IpAddr,
    },
    /// A router told by SNMP, out of its neighbour cache, whose MAC an address has.
    ToldNeighbour {
        by: IpAddr,
        ip: IpAddr,
        mac: Mac,
    },
    /// A router told by SNMP that it has an address itself, and in which prefix.
    ToldAddress {
        by: IpAddr,
        ip: IpAddr,
        prefix: Option<Prefix>,
    },
    /// A router told by SNMP that it has a route; without a next hop to a link of its own.
    ToldRoute {
        by: IpAddr,
        prefix: Prefix,
        next_hop: Option<IpAddr>,
    },
    /// A name server inside of the scope has this name for an address. Nobody has seen the address in use by that.
    PointerName {
        by: IpAddr,
        ip: IpAddr,
        name: Foreign,
    },
    /// Heard in passing, see [`heard_names`](super::heard_names).
    NameServer(NameServer),
    NameClient(NameClient),
    NameQuery(NameQuery),
    NameRecord(NameRecord),
    ServiceInstance(ServiceInstance),
    NetbiosName(NetbiosName),
    Browser(Browser),
    Ssdp(Ssdp),
    SnmpSpeaker(Snmp),
    DhcpTold(DhcpTold),
    Said(Said),
    /// A frame that a dissector could not read to its end, or that lies about itself.
    Oddity {
        mac: Option<Mac>,
        protocol: String,
        what: String,
    },
    /// A fact read inside a tunnel (`gre`, `erspan`, `vxlan`, `geneve`, `teredo`, `6in4` …), or that a
    /// relay passed on (`dhcp-relay`): true of the wire at the other end, never of this link. Stations
    /// in it are there, not here.
    Encapsulated {
        encapsulation: String,
        inner: Box<Fact>,
    },
    /// What the sweep asked of a prefix: the ground under every negative.
    Asked(Asked),
    /// A question with an egress token, and what the token is bound to.
    EgressProbe(EgressProbe),
    /// An egress probe came through to the internet side.
    EgressReceipt(EgressReceipt),
    /// A device told its external address.
    ExternalAddress(ExternalAddress),
    /// Packets to or from beyond the link, by their next hop.
    Passage(Passage),
    /// What an egress method did in a prefix, or why it did nothing.
    EgressAsked(EgressAsked),
    /// An address that cannot exist answered: answers of this kind prove nothing in this prefix.
    Ghost {
        prefix: Prefix,
        ip: IpAddr,
        method: String,
        mac: Mac,
    },
    /// A frame had this source, and no other fact says so.
    Sender {
        mac: Mac,
    },
    /// A packet had this source where no MAC stands beside it (raw IP, inside a tunnel), or one that no station can have.
    SourceAddress {
        ip: IpAddr,
    },
    /// A station's frames had these tags, the outer one first.
    Vlan {
        mac: Mac,
        vlan: u16,
        inner: Option<u16>,
    },
    /// A station's frames had this stack of MPLS labels, the outermost first.
    Labels {
        mac: Mac,
        labels: Vec<u32>,
    },
    SpanningTree(SpanningTree),
    DeviceAnnouncement(DeviceAnnouncement),
    LinkAggregation(LinkAggregation),
    Isis(IsisSpeaker),
    BgpOpen(BgpOpen),
    Redundancy(Redundancy),
    Pppoe(Pppoe),
    Tunnel(Tunnel),
    ArpExchange(ArpExchange),
    GroupMessage(GroupMessage),
    Redirect(Redirect),
    /// A station says of an address of its own that it is a router's: the flag of a neighbour advertisement (RFC 4861 §4.4), which
    /// systems set while they forward.
    RouterFlag {
        ip: IpAddr,
        mac: Mac,
    },
    /// Somebody takes TCP connections here: it answered a SYN with a SYN-ACK.
    TcpServer {
        ip: IpAddr,
        port: u16,
    },
    TcpSyn(TcpSyn),
    /// Timestamps of TCP connections from one address to one server run by several clocks.
    SeveralClocks {
        ip: IpAddr,
        clocks: u8,
    },
    TlsClient(TlsClient),
    TlsServer(TlsServer),
    TlsCertificates(TlsCertificates),
    HttpHost(HttpHost),
    UserAgent(UserAgent),
    Spoken(SpokenService),
    Smb(SmbSpeaker),
    NtlmServer(NtlmServer),
    NtlmClient(NtlmClient),
}

/// What the answer to a probe says of what was asked. Silence is no answer, and no fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PortState {
    /// The host is there (ARP, ND, echo).
    Alive,
    /// SYN-ACK, or a datagram back.
    Open,
    /// RST, or port unreachable from the target itself.
    Closed,
}

impl PortState {
    pub const fn word(self) -> &'static str {
        match self {
            PortState::Alive => "alive",
            PortState::Open => "open",
            PortState::Closed => "closed",
        }
    }
}

/// An ICMP error of any family that quotes a probe of ours.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IcmpError {
    pub target: IpAddr,
    pub port: Option<Port>,
    pub from: IpAddr,
    pub mac: Mac,
    pub icmp_type: u8,
    pub code: u8,
}

/// One answer to the forwarding test.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Forwarding {
    /// The neighbour whose MAC the frame was for.
    pub mac: Mac,
    /// The off-link address the packet was for.
    pub destination: IpAddr,
    /// The hop limit it was sent with.
    pub hop_limit: u8,
    /// Which round it was, from 1: two rounds with fresh tokens make a proof.
    pub round: u8,
    /// Who answered.
    pub from: IpAddr,
    /// Its ICMP type and code; `None` where the destination itself answered.
    pub icmp: Option<(u8, u8)>,
    /// The Ethernet source of the answer.
    pub answered_by: Mac,
}

/// RFC 4861 §4.2 with the options of RFC 4191, 8106.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouterAdvertisement {
    pub router: IpAddr,
    pub mac: Mac,
    /// Seconds; zero means "not a default router".
    pub lifetime: u16,
    pub managed: bool,
    pub other: bool,
    pub hop_limit: u8,
    pub mtu: Option<u32>,
    /// RFC 4191: high 1, medium 0, low 3.
    pub preference: u8,
    pub prefixes: Vec<PrefixInformation>,
    pub routes: Vec<RouteInformation>,
    pub rdnss: Vec<IpAddr>,
    pub dnssl: Vec<Foreign>,
    /// Milliseconds; zero says nothing.
    #[serde(default)]
    pub reachable_time: u32,
    #[serde(default)]
    pub retransmission: u32,
    /// Prefixes for addresses of IPv4 (RFC 8781).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pref64: Vec<Prefix>,
    /// Where a captive portal can be asked (RFC 8910).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub captive_portal: Option<Foreign>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PrefixInformation {
    pub prefix: Prefix,
    pub on_link: bool,
    pub autonomous: bool,
    /// Seconds; zero withdraws the prefix.
    pub valid_lifetime: u32,
    pub preferred_lifetime: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteInformation {
    pub prefix: Prefix,
    pub lifetime: u32,
    pub preference: u8,
}

/// Who offered or acknowledged what, by DHCPv4 (RFC 2131) or DHCPv6 (RFC 9915).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DhcpServer {
    /// The source of the datagram: the server, or a relay.
    pub ip: IpAddr,
    pub mac: Mac,
    /// Option 54; in DHCPv6 none.
    pub server_id: Option<IpAddr>,
    /// DHCPv6 DUID, hex.
    pub duid: Option<String>,
    /// The relay's address (giaddr), if the answer came by one.
    pub relay: Option<IpAddr>,
    /// `offer`, `ack`, `nak`, `advertise`, `reply`.
    pub message: String,
    /// The prefix of the offered address by its mask. DHCPv6 gives no mask, so there is none.
    pub prefix: Option<Prefix>,
    pub routers: Vec<IpAddr>,
    pub dns: Vec<IpAddr>,
    pub domain: Option<Foreign>,
    /// Prefixes delegated by DHCPv6.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<Prefix>,
}

/// What a DHCP client says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DhcpClient {
    pub mac: Mac,
    /// `discover`, `request`, `decline`, `release`, `inform`, `solicit`, `confirm`, `renew` …
    pub message: String,
    pub hostname: Option<Foreign>,
    pub fqdn: Option<Foreign>,
    pub vendor_class: Option<Foreign>,
    /// Option 55 (or 6 in DHCPv6) in its order.
    pub parameters: Vec<u16>,
    /// Options as they stood, in their order.
    pub options: Vec<u16>,
    /// Option 61, or the DHCPv6 DUID; hex.
    pub client_id: Option<String>,
    pub requested: Option<IpAddr>,
}

/// IEEE 802.1AB.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LldpNeighbour {
    pub mac: Mac,
    pub chassis_subtype: u8,
    /// A MAC or an address in its usual form where the subtype says so, else the text.
    pub chassis: Foreign,
    pub port_subtype: u8,
    pub port: Foreign,
    pub port_description: Option<Foreign>,
    pub system_name: Option<Foreign>,
    pub system_description: Option<Foreign>,
    /// Enabled capabilities, as the bits of IEEE 802.1AB table 8-4.
    pub capabilities: u16,
    pub management: Vec<IpAddr>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RoutingProtocol {
    Vrrp,
    Ospf,
    Hsrp,
    Eigrp,
    Rip,
    Pim,
}

/// Who speaks a routing or first-hop-redundancy protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RoutingSpeaker {
    pub protocol: RoutingProtocol,
    pub version: u8,
    pub ip: IpAddr,
    pub mac: Mac,
    /// OSPF router id, dotted.
    pub router_id: Option<String>,
    /// OSPF area, VRRP or HSRP group.
    pub group: Option<u32>,
    pub priority: Option<u8>,
    /// Addresses that the group shares.
    pub virtual_addresses: Vec<IpAddr>,
    /// The speaker's own prefix (an OSPFv2 hello carries its mask).
    pub prefix: Option<Prefix>,
    /// Prefixes it advertises (RIP, OSPF).
    pub advertised: Vec<Prefix>,
    /// Routers it names as neighbours, designated or backup.
    pub neighbours: Vec<IpAddr>,
}

/// What was asked of one prefix from one vantage by one method.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Asked {
    pub prefix: Prefix,
    /// A discovery method's word: `arp`, `ndp`, `icmp`, `icmpv6`, `tcp`, `udp`.
    pub method: String,
    /// Every port asked, for `tcp` and `udp`.
    pub ports: Vec<Port>,
    /// How many addresses were asked at least once.
    pub asked: u64,
    /// How many addresses of the prefix the profile excludes.
    pub excluded: u64,
    /// Whether every address of the prefix that may be asked was asked to the end of the method's
    /// retries. Only then does silence say anything.
    pub complete: bool,
    /// Where not the whole prefix was asked: the addresses that were, in full. Bounded by the pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    /// Where candidates were asked: who proposed them. `addresses` stands in this order, so the first is who proposed
    /// the first so many of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub proposed: Vec<Proposed>,
}

impl Asked {
    /// The addresses listed, by who proposed them.
    pub fn by_proposer(&self) -> impl Iterator<Item = (&str, &[IpAddr])> {
        let mut rest = self.addresses.as_slice();
        self.proposed.iter().map(move |proposed| {
            let count = usize::try_from(proposed.asked).unwrap_or(usize::MAX).min(rest.len());
            let (of, after) = rest.split_at(count);
            rest = after;
            (proposed.by.as_str(), of)
        })
    }
}

/// How many of the addresses asked a source of candidates proposed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Proposed {
    /// The source's word: `low-byte`, `eui64` …
    pub by: String,
    pub asked: u64,
}

impl Proposed {
    /// The word for subnet-router anycast addresses: what answers from one is a router, and no device of that address.
    pub const SUBNET_ROUTER: &str = "subnet-router";
}
