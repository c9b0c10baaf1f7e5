//! The profile (contract §3): what a sweep may do, and how. TOML, read in one pass with every fault
//! named by its row and column.

mod ports;
mod read;
mod secret;
mod signature;

pub use ports::{BadPortList, PortList, Ranking, top_tcp};
pub use read::{Fault, FaultKind, MOST_OCTETS, Refused, read};
pub use secret::{Secret, SecretRef, Unresolved};
pub use signature::{SignatureState, Trust, TrustFault, canonical, keygen, sign};

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::net::Prefix;
use crate::observe::EgressMethod;
use crate::result::v1::Severity;
use crate::scope::Ceilings;

/// The profiles that come with the program, by name.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("routine", include_str!("../../../profiles/routine.toml")),
    ("inspection", include_str!("../../../profiles/inspection.toml")),
    ("passive", include_str!("../../../profiles/passive.toml")),
    ("fragile", include_str!("../../../profiles/fragile.toml")),
];

/// A profile whose every value has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    pub name: String,
    pub description: Option<String>,
    pub authorisation: Authorisation,
    pub rate: Rate,
    pub discovery: Discovery,
    pub services: Services,
    pub passive: Passive,
    pub egress: Egress,
    pub audit: Audit,
}

/// Who allowed the sweep, and the fence around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorisation {
    pub reference: Option<String>,
    pub authorised_by: Option<String>,
    pub scope: Vec<Prefix>,
    pub exclude: Vec<Prefix>,
    pub observe_only: Vec<Prefix>,
    /// 0 to 3; 2 if the profile does not say.
    pub risk: u8,
    pub not_before: Option<Timestamp>,
    pub not_after: Option<Timestamp>,
    /// Hex, 64 octets: Ed25519 over [`canonical`].
    pub signature: Option<String>,
}

impl Authorisation {
    /// Contract §3: 'risk = 2 if absent'.
    pub const DEFAULT_RISK: u8 = 2;
}

/// A ceiling that is none: for a lab, and on the command line alone.
pub const UNLIMITED: u32 = crate::scope::UNLIMITED;

/// Ceilings of the whole sweep, for one address, and for unheard addresses of one prefix behind a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub packets_per_second: u32,
    pub per_target: u32,
    pub per_prefix: u32,
}

/// The contract's defaults, which are the fence's.
impl Default for Rate {
    fn default() -> Self {
        let Ceilings { packets_per_second, per_target, per_prefix } = Ceilings::default();
        Rate { packets_per_second, per_target, per_prefix }
    }
}

impl From<Rate> for Ceilings {
    fn from(rate: Rate) -> Ceilings {
        let Rate { packets_per_second, per_target, per_prefix } = rate;
        Ceilings { packets_per_second, per_target, per_prefix }
    }
}

/// A way to find what is there. The words of `discovery.methods`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    Arp,
    Ndp,
    Icmp,
    Icmpv6,
    Tcp,
    Udp,
}

impl Method {
    pub const ALL: [Method; 6] =
        [Method::Arp, Method::Ndp, Method::Icmp, Method::Icmpv6, Method::Tcp, Method::Udp];

    pub const fn word(self) -> &'static str {
        match self {
            Method::Arp => "arp",
            Method::Ndp => "ndp",
            Method::Icmp => "icmp",
            Method::Icmpv6 => "icmpv6",
            Method::Tcp => "tcp",
            Method::Udp => "udp",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    pub methods: Vec<Method>,
    pub tcp_ports: PortList,
    pub udp_ports: PortList,
    /// Where to look, by samples, for segments beyond the approved ones.
    pub explore: Vec<Prefix>,
    /// Whether an MLDv2 general query may be sent where a querier was heard: never in gentle profiles.
    pub mld_query: bool,
    /// Whether ip6.arpa is walked with name servers inside of the scope.
    pub ipv6_dns: bool,
    /// Whether such a server is asked for its zones of ip6.arpa whole.
    pub axfr: bool,
    /// Name servers that are asked beside those that were found.
    pub name_servers: Vec<IpAddr>,
    /// Whether the one DHCP DISCOVER and SOLICIT of a sweep may be sent.
    pub dhcp: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    pub identify: bool,
    pub snmp: Vec<SnmpCredential>,
    pub default_communities: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnmpCredential {
    pub version: String,
    pub community: Option<SecretRef>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passive {
    /// The least listening time; listening runs beside the sending.
    pub seconds: u32,
    /// What the kernel hands to a listening; a sweep hears everything.
    pub hear: Hear,
}

/// What a listening hears of TCP.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hear {
    #[default]
    Everything,
    /// Openings and ends alone, for a mirror port that carries too much.
    Openings,
}

impl Hear {
    pub const ALL: [Hear; 2] = [Hear::Everything, Hear::Openings];

    pub const fn word(self) -> &'static str {
        match self {
            Hear::Everything => "everything",
            Hear::Openings => "openings",
        }
    }
}

impl std::str::FromStr for Hear {
    type Err = String;

    fn from_str(text: &str) -> Result<Hear, String> {
        let words = || Hear::ALL.map(Hear::word).join(", ");
        Hear::ALL.into_iter().find(|hear| hear.word() == text).ok_or_else(words)
    }
}

/// Egress methods and the witness. The methods that run, and why others did not, is in `coverage`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// All of them if the profile does not say.
    pub methods: Vec<EgressMethod>,
    /// Addresses of the collector on the internet side.
    pub canaries: Vec<IpAddr>,
    /// The zone whose names lead to the collector; lower case, no dot at its end.
    pub canary_zone: Option<String>,
    pub collector: Option<Collector>,
    pub key: Option<SecretRef>,
    pub witness_log: Option<String>,
    pub reference: Vec<IpAddr>,
}

/// Where the collector hands out receipts, and by what each side knows the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collector {
    pub address: std::net::SocketAddr,
    pub token: Option<SecretRef>,
    /// SHA-256 of its certificate (DER).
    pub pin: Option<[u8; 32]>,
    /// A client certificate with its key, PEM.
    pub identity: Option<SecretRef>,
    /// The authority that its certificate is of, PEM, where it is not pinned.
    pub authority: Option<SecretRef>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The name of a regulation's data file, or a path to one.
    pub regulation: String,
    pub severity: BTreeMap<String, Severity>,
}

impl std::str::FromStr for Method {
    type Err = String;

    fn from_str(text: &str) -> Result<Method, String> {
        let words = || Method::ALL.map(Method::word).join(" ");
        Method::ALL.into_iter().find(|method| method.word() == text).ok_or_else(words)
    }
}

/// Where a profile's text comes from: a built-in name, or a file.
pub fn built_in(name: &str) -> Option<&'static str> {
    BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_that_ships_reads_without_a_fault() {
        for (name, text) in BUILT_IN {
            let profile = read(text, name).unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
            assert_eq!(profile.name, *name);
            assert!(profile.authorisation.risk <= 2, "{name}");
        }
    }

    #[test]
    fn gentle_profiles_never_query_mld() {
        for name in ["routine", "fragile", "passive"] {
            let profile = read(built_in(name).unwrap(), name).unwrap();
            assert!(!profile.discovery.mld_query, "{name}");
        }
    }
}
