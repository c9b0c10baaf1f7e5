//! What rules put down, before it is one fact one finding.

use std::net::IpAddr;

use serde_json::{Map, Value};
use uuid::Uuid;

use super::Proof;
use super::finding::Subject;
use super::view::Row;
use crate::inventory::Device;
use crate::net::Mac;
use crate::observe::ObservationId;
use crate::result::v1::Confidence;

/// What the rules found.
#[derive(Debug, Default)]
pub struct Findings(Vec<Found>);

/// One rule's finding, as the rule puts it down.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub rule: &'static str,
    pub unit: Option<String>,
    /// The strongest key of its subject: with rule and unit it makes the id.
    pub key: String,
    pub subject: Subject,
    pub detail: Map<String, Value>,
    pub evidence: Vec<Proof>,
    /// Everything it is about, for waivers, notices and suppression.
    pub ips: Vec<IpAddr>,
    pub macs: Vec<Mac>,
    /// The inventory's device it is about.
    pub device: Option<Uuid>,
    /// The name of the row it is about.
    pub name: Option<String>,
    /// What its evidence is worth at most, where the rule knows more of it than its kinds.
    pub cap: Option<Confidence>,
}

impl Findings {
    pub fn put(&mut self, found: Found) {
        self.0.push(found);
    }

    pub fn extend(&mut self, found: impl IntoIterator<Item = Found>) {
        self.0.extend(found);
    }

    pub(super) fn into_inner(self) -> Vec<Found> {
        self.0
    }
}

/// Observations of one thing that a finding shows at most: enough to see it twice by each method.
const SHOWN: usize = 8;

impl Found {
    /// A finding about a device of the inventory.
    pub fn of_device(rule: &'static str, device: &Device) -> Found {
        Found {
            rule,
            key: device.id.to_string(),
            ips: device.addresses().collect(),
            macs: device.macs.clone(),
            device: Some(device.id),
            ..Found::default()
        }
    }

    /// A finding about a row of the registry.
    pub fn of_row(rule: &'static str, row: Row<'_>) -> Found {
        Found {
            rule,
            unit: Some(row.unit().to_owned()),
            key: format!("{} {} {}", row.table(), row.unit(), row.name()),
            ips: row.ips().to_vec(),
            macs: row.macs().to_vec(),
            name: Some(row.name().to_owned()),
            ..Found::default()
        }
    }

    pub fn unit(mut self, unit: Option<&str>) -> Found {
        self.unit = unit.map(str::to_owned);
        self
    }

    pub fn subject(mut self, subject: Subject) -> Found {
        self.subject = subject;
        self
    }

    pub fn detail(mut self, key: &str, value: impl Into<Value>) -> Found {
        self.detail.insert(key.to_owned(), value.into());
        self
    }

    /// Adds observations, the first few.
    pub fn shown_by<'a>(mut self, shown: impl IntoIterator<Item = &'a ObservationId>) -> Found {
        for &id in shown.into_iter().take(SHOWN) {
            let proof = Proof::Observed(id);
            if !self.evidence.contains(&proof) {
                self.evidence.push(proof);
            }
        }
        self
    }

    pub fn held_against(mut self, row: Proof) -> Found {
        self.evidence.push(row);
        self
    }
}

/// A list of things as their texts.
pub fn texts<T: ToString>(things: impl IntoIterator<Item = T>) -> Value {
    Value::Array(things.into_iter().map(|thing| Value::String(thing.to_string())).collect())
}

/// The row as a piece of evidence: what it says, in the registry's own words.
pub fn row(row: Row<'_>) -> Proof {
    let mut says = Vec::new();
    let list = |name: &str, values: Vec<String>| format!("{name} {}", values.join(" "));
    if !row.ips().is_empty() {
        says.push(list("ip", row.ips().iter().map(ToString::to_string).collect()));
    }
    if !row.macs().is_empty() {
        says.push(list("mac", row.macs().iter().map(ToString::to_string).collect()));
    }
    match row {
        Row::Device(device) => {
            if !device.ports.is_empty() {
                says.push(list("ports", device.ports.iter().map(ToString::to_string).collect()));
            }
            if let Some(until) = device.valid_until {
                says.push(format!("valid_until {until}"));
            }
        }
        Row::Asset(asset) => {
            if asset.status == crate::registry::model::OnlineStatus::Retired {
                says.push("status retired".to_owned());
            }
        }
    }
    Proof::Row {
        table: row.table(),
        key: format!("{} {}", row.unit(), row.name()),
        says: says.join("; "),
    }
}
