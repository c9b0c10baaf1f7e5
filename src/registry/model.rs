//! The approved access registry (接入审批台账) as it stands in memory: contract §2, one struct a table.
//!
//! An `Option` that is `None` means 'not stated', never 'anything goes'. Dates are days in +08:00,
//! both ends inclusive.

use std::net::IpAddr;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::net::{Mac, Port, Prefix};

/// Every table, rows in the order of their keys' first appearance. The same registry read from two
/// formats gives equal values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registry {
    pub units: Vec<Unit>,
    pub segments: Vec<Segment>,
    pub devices: Vec<Device>,
    pub egresses: Vec<Egress>,
    pub assets: Vec<Asset>,
    pub services: Vec<Service>,
    pub notices: Vec<ChangeNotice>,
    pub waivers: Vec<Waiver>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Province,
    City,
    County,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnitStatus {
    Active,
    Withdrawn,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub unit: String,
    pub name: Option<String>,
    pub level: Option<Level>,
    pub parent: Option<String>,
    pub status: UnitStatus,
    pub withdrawn_on: Option<Date>,
    pub contact: Option<String>,
    pub phone: Option<String>,
}

/// `Closed`: every device must be an asset. `Open`: only the prefix is approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    Closed,
    Open,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    pub unit: String,
    pub prefix: Prefix,
    pub purpose: Option<String>,
    pub vlan: Option<u16>,
    /// `None` is judged as open: what is not stated cannot be broken.
    pub registration: Option<Registration>,
    pub approval: Option<String>,
    pub valid_from: Option<Date>,
    pub valid_until: Option<Date>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Gateway,
    Router,
    Firewall,
    Switch,
    Nat,
    Proxy,
    Resolver,
    Dhcp,
    Wireless,
    Vpn,
}

/// An interface network device (接口网络设备).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    pub unit: String,
    pub name: String,
    pub roles: Vec<Role>,
    pub ip: Vec<IpAddr>,
    pub mac: Vec<Mac>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub serial: Option<String>,
    pub ssh_host_key: Vec<String>,
    pub tls_cert_sha256: Vec<String>,
    pub snmp_sysobjectid: Option<String>,
    pub ports: Vec<Port>,
    pub operator_owned: Option<bool>,
    pub approval: Option<String>,
    pub valid_until: Option<Date>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EgressKind {
    Unified,
    Separate,
}

/// An egress's gateway: an address, or the name of one of the unit's devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GatewayRef {
    Address(IpAddr),
    Device(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    pub unit: String,
    pub name: String,
    pub kind: Option<EgressKind>,
    pub gateway: Option<GatewayRef>,
    pub public: Vec<Prefix>,
    pub filing: Option<String>,
    pub valid_from: Option<Date>,
    pub valid_until: Option<Date>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AssetKind {
    Server,
    Terminal,
    Printer,
    Phone,
    Camera,
    Other,
}

/// Of an asset or a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnlineStatus {
    Online,
    Retired,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    pub unit: String,
    pub name: String,
    pub ip: Vec<IpAddr>,
    pub mac: Vec<Mac>,
    pub kind: Option<AssetKind>,
    pub system: Option<String>,
    pub status: OnlineStatus,
    pub approval: Option<String>,
}

/// An information system's service (信息系统与服务).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub unit: String,
    pub system: Option<String>,
    pub ip: IpAddr,
    pub port: Port,
    pub filing: Option<String>,
    pub status: OnlineStatus,
    pub internet_facing: Option<bool>,
    pub valid_until: Option<Date>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NoticeKind {
    Debugging,
    Change,
    Outage,
    Move,
}

/// What a notice or a waiver is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubjectRef {
    Ip(IpAddr),
    Mac(Mac),
    Prefix(Prefix),
    /// `10.20.1.7 tcp/8080`.
    Service(IpAddr, Port),
    Device(String),
}

/// A change notice (变更告知, Art. 26): what the unit announced beforehand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeNotice {
    pub unit: String,
    pub notice: String,
    pub kind: NoticeKind,
    /// Empty: the whole unit.
    pub subject: Vec<SubjectRef>,
    pub from: Option<Date>,
    pub until: Option<Date>,
    pub approval: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiver {
    pub rule: String,
    pub unit: Option<String>,
    pub subject: Vec<SubjectRef>,
    pub until: Option<Date>,
    pub reason: Option<String>,
    pub approval: Option<String>,
}

/// Whether a validity holds on a day, both ends inclusive.
pub fn valid_on(day: Date, from: Option<Date>, until: Option<Date>) -> bool {
    from.is_none_or(|from| from <= day) && until.is_none_or(|until| day <= until)
}

impl Segment {
    pub fn is_valid_on(&self, day: Date) -> bool {
        valid_on(day, self.valid_from, self.valid_until)
    }
}

impl Egress {
    pub fn is_valid_on(&self, day: Date) -> bool {
        valid_on(day, self.valid_from, self.valid_until)
    }
}

impl Unit {
    /// Withdrawn by status, from `withdrawn_on` where a day is stated.
    pub fn is_withdrawn_on(&self, day: Date) -> bool {
        self.status == UnitStatus::Withdrawn && self.withdrawn_on.is_none_or(|on| on <= day)
    }
}
