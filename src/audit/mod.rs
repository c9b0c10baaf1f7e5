//! The inventory held against the registry: pure rules, one file each.
//!
//! A rule sees a [`View`] and puts down findings; it says what the facts are and what shows them.
//! Everything that is the same for all of them is done after: one fact one finding (the contract's
//! pairs, as data in `suppress`), waivers and change notices, stable ids, confidence weighed from the
//! evidence, severity from the regulation.

mod finding;
mod regulation;
mod say;

pub use finding::{Attribution, Audit, Finding, Proof, Subject, Waived};
pub use regulation::{Article, BadRegulation, Regulation, RuleTexts, Sentence};
pub use say::{Sentences, say, say_proof};

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::inventory::Inventory;
use crate::net::AddressSet;
use crate::observe::Log;
use crate::registry::model::Registry;
use crate::result::v1::Severity;

/// What an audit works from.
pub struct Input<'a> {
    pub inventory: &'a Inventory,
    pub log: &'a Log,
    /// Without a registry there is a map, and no finding.
    pub registry: Option<&'a Registry>,
    pub context: &'a crate::inventory::Context,
    /// The day the sweep started, in +08:00.
    pub day: Date,
    /// `--unit`; else the wire's unit is that of the segment which holds the vantage's address.
    pub unit: Option<String>,
    pub exclude: AddressSet,
    pub regulation: &'a Regulation,
    /// The profile's `[audit] severity`.
    pub severity: BTreeMap<String, Severity>,
}

/// Holds the inventory against the registry.
pub fn audit(input: &Input<'_>) -> Audit {
    let _ = input;
    Audit::default()
}
