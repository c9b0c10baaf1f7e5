//! Facts about names, and about what stations say of themselves in datagrams.
//!
//! None of them makes a device or a binding: their senders may stand behind a router. Where a station of this
//! link names itself, a [`Name`](super::Fact::Name) is told beside.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Foreign;
use crate::net::{Mac, Prefix};

/// Which service of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameProtocol {
    Dns,
    Mdns,
    Llmnr,
}

impl NameProtocol {
    pub const fn word(self) -> &'static str {
        match self {
            NameProtocol::Dns => "dns",
            NameProtocol::Mdns => "mdns",
            NameProtocol::Llmnr => "llmnr",
        }
    }
}

/// Somebody answered as a name server (RFC 1035).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NameServer {
    pub ip: IpAddr,
    /// The Ethernet source: the server, or the router that it is behind.
    pub mac: Mac,
    pub port: u16,
    /// `udp`, `tcp`.
    pub transport: String,
}

/// Somebody asks a name server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NameClient {
    pub ip: IpAddr,
    pub server: IpAddr,
}

/// A name that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NameQuery {
    pub protocol: NameProtocol,
    /// Who asked.
    pub ip: IpAddr,
    /// With dots between labels; empty for the root.
    pub name: Foreign,
    /// `A`, `PTR` …; `TYPE64` where the type has no word here (RFC 3597 §5).
    pub record_type: String,
}

/// A record that somebody sent.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NameRecord {
    pub protocol: NameProtocol,
    /// Who sent it.
    pub ip: IpAddr,
    /// `answer`; in a question `known-answer` (RFC 6762 §7.1) or `claim`; `update` (RFC 2136).
    pub role: String,
    pub name: Foreign,
    pub record_type: String,
    /// An address, or the name that is pointed to. Nothing for other types.
    pub value: Option<Foreign>,
    /// Of SRV.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

/// A service that a station of this link offers by DNS-SD (RFC 6763).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceInstance {
    pub ip: IpAddr,
    pub mac: Mac,
    /// With its type and domain: `Printer._ipp._tcp.local`.
    pub instance: Foreign,
    pub host: Option<Foreign>,
    pub port: Option<u16>,
    /// Those texts that name a model, a version or a maker: `key=value`.
    pub texts: Vec<Foreign>,
}

/// A message of the NetBIOS name service (RFC 1002 §4.2), or of whom a NetBIOS datagram is (§4.4).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NetbiosName {
    pub ip: IpAddr,
    pub mac: Mac,
    /// `query`, `registration`, `refresh`, `release`, `wait`, each also as `…-answer`; `status-query`, `status`; `datagram`.
    pub said: String,
    /// Without the padding; octets that are no text as `<01>`.
    pub name: Foreign,
    /// What the name is of: the sixteenth octet.
    pub suffix: u8,
    /// Whether many may have it; where the message says so.
    pub group: Option<bool>,
    pub addresses: Vec<IpAddr>,
    /// The adapter's MAC as a node status tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Mac>,
}

/// A message of the browser service, in a NetBIOS datagram (MS-BRWS §2.2).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Browser {
    pub ip: IpAddr,
    pub mac: Mac,
    /// 1 host, 12 domain, 15 local master announcement; 2 request, 8 election, 9 and 10 backup list, 11 become backup,
    /// 13 master announcement.
    pub command: u8,
    /// The NetBIOS name and suffix that the datagram is of.
    pub sender: Foreign,
    pub suffix: u8,
    /// The server or, in a domain announcement, the domain that is spoken of.
    pub server: Option<Foreign>,
    /// The version of the operating system, `6.1`.
    pub os_version: Option<String>,
    /// The bits of MS-BRWS §2.2.1: what the server is.
    pub server_type: Option<u32>,
    pub comment: Option<Foreign>,
    /// Who keeps the list of the domain, in a domain announcement.
    pub master: Option<Foreign>,
}

/// A message of SSDP (UPnP device architecture 1.1 §1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Ssdp {
    pub ip: IpAddr,
    pub mac: Mac,
    /// `NOTIFY`, `M-SEARCH`, `response`.
    pub method: String,
    pub server: Option<Foreign>,
    pub location: Option<Foreign>,
    /// ST or NT.
    pub target: Option<Foreign>,
    pub usn: Option<Foreign>,
    pub user_agent: Option<Foreign>,
}

/// Who speaks SNMP to whom (RFC 1157, 1901, 3412). A community is never kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Snmp {
    pub ip: IpAddr,
    pub peer: IpAddr,
    /// `agent`, `manager`; nothing where the message is encrypted, or may be of either.
    pub role: Option<String>,
    /// `1`, `2c`, `3`.
    pub version: String,
    /// `get`, `get-next`, `get-bulk`, `set`, `response`, `trap`, `inform`, `report`, `encrypted`.
    pub said: String,
    /// The first sixteen digits of its SHA-256, behind `sha256:`.
    pub community: Option<String>,
    /// The authoritative engine's id, hex.
    pub engine: Option<String>,
    pub user: Option<Foreign>,
}

/// What else a DHCP message says (RFC 2132, 3046, 3925, 4361, 8415, 8925), beside [`DhcpServer`](super::DhcpServer) and
/// [`DhcpClient`](super::DhcpClient).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DhcpTold {
    /// 4 or 6.
    pub version: u8,
    /// `client`, `server`.
    pub role: String,
    pub ip: IpAddr,
    pub mac: Mac,
    /// The client that it is by or for.
    pub client: Option<Mac>,
    /// DHCPv6: given or asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<IpAddr>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delegated: Vec<Prefix>,
    /// Options 33, 121 and 249: where to, and by whom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<(Prefix, IpAddr)>,
    /// The relays on the way, the outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relays: Vec<DhcpRelay>,
    /// Everything else, by the option's word: `wpad`, `vendor-43`, `tftp-server` …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<Detail>,
}

/// A relay's envelope (RFC 8415 §9), or what it adds (RFC 3046).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DhcpRelay {
    /// giaddr, or the link address.
    pub link: Option<IpAddr>,
    /// DHCPv6: whom the relay had the message from.
    pub peer: Option<IpAddr>,
    /// Circuit id or interface id: where at the relay. Text where it is text, else hex.
    pub interface: Option<Foreign>,
    /// Remote id: who. Text where it is text, else hex.
    pub remote: Option<Foreign>,
    pub subscriber: Option<Foreign>,
}

/// What a station says of itself in a protocol that has nothing more to tell than a few words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Said {
    /// The dissector's word.
    pub protocol: String,
    /// What it does in the protocol: `client`, `server`, `agent`, `access-point` …
    pub role: String,
    pub ip: IpAddr,
    /// The Ethernet source: the station, or the router that it is behind.
    pub mac: Mac,
    /// With whom, where that is one station and matters.
    pub peer: Option<IpAddr>,
    pub details: Vec<Detail>,
}

/// A word and what was said under it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Detail {
    pub name: String,
    pub value: Foreign,
}

impl Detail {
    pub fn new(name: &str, value: Foreign) -> Detail {
        Detail { name: name.to_owned(), value }
    }
}
