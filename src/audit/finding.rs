//! What a rule puts down, and what becomes of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::egress::Calibrated;
use super::remarks::Remark;
use crate::net::{Mac, Port, Prefix};
use crate::observe::{EgressMethod, ObservationId};
use crate::result::v1::{Confidence, Severity, Status};

/// What an audit comes to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Audit {
    /// By rule, then subject.
    pub findings: Vec<Finding>,
    /// For each device of the inventory, in its order.
    pub devices: Vec<Attribution>,
    /// For each segment of the inventory, in its order.
    pub segments: Vec<Attribution>,
    /// Every way out to the internet: those of filed egresses first, in the registry's order.
    pub egresses: Vec<EgressFound>,
    /// For each row of the inventory's coverage, in its order: what the silence of an egress method is worth.
    pub calibrated: Vec<BTreeMap<EgressMethod, Calibrated>>,
    /// The unit whose wire was swept.
    pub unit: Option<String>,
    /// What breaks no rule and should be looked at.
    pub remarks: Vec<Remark>,
}

/// A way out to the internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EgressFound {
    /// Who leads out.
    pub ip: Option<IpAddr>,
    pub mac: Option<Mac>,
    pub public_addresses: Vec<IpAddr>,
    pub methods: Vec<EgressMethod>,
    pub evidence: Vec<Proof>,
    /// The name of the filed egress, valid on the day, that it is.
    pub registered_as: Option<String>,
}

/// Whose something is by the registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribution {
    pub unit: Option<String>,
    /// The name of the asset or device row; of a segment, its approved prefix.
    pub registered_as: Option<String>,
}

/// One finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Stable from sweep to sweep: made from rule, unit and the strongest key of the subject.
    pub id: Uuid,
    pub rule: &'static str,
    pub severity: Severity,
    pub confidence: Confidence,
    pub unit: Option<String>,
    pub subject: Subject,
    pub detail: Map<String, Value>,
    pub evidence: Vec<Proof>,
    pub first_seen: Option<Timestamp>,
    pub last_seen: Option<Timestamp>,
    pub status: Status,
    pub waiver: Option<Waived>,
    /// The change notice that explains it.
    pub notice: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject {
    pub ip: Option<IpAddr>,
    pub mac: Option<Mac>,
    pub prefix: Option<Prefix>,
    pub port: Option<Port>,
}

/// The waiver that holds for a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waived {
    pub until: Option<Date>,
    pub reason: Option<String>,
    pub approval: Option<String>,
}

/// One piece of what shows a finding.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Proof {
    /// A fact of the log, with its frames.
    Observed(ObservationId),
    /// An address that was asked to the end and did not answer.
    Silence {
        ip: IpAddr,
        port: Option<Port>,
        methods: Vec<String>,
        /// The observations that say what was asked.
        asked: Vec<ObservationId>,
    },
    /// The registry's row it was held against: table, key and what it says.
    Row { table: &'static str, key: String, says: String },
}
