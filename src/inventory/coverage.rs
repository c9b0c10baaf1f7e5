//! What was asked of each prefix, and so what a silence is worth.

use std::collections::{BTreeMap, BTreeSet};

use crate::net::{Port, Prefix};
use crate::observe::VantageId;

/// What was asked of one prefix from one vantage, by all methods together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    pub prefix: Prefix,
    pub vantage: VantageId,
    /// Each method's word with whether it came to its end.
    pub methods: BTreeMap<String, bool>,
    pub ports: BTreeSet<Port>,
    /// Addresses asked by the method that asked most.
    pub asked: u64,
    /// Addresses in use there.
    pub answered: u64,
    pub excluded: u64,
    pub ghosts: u64,
}

impl Coverage {
    /// Whether every method came to its end.
    pub fn is_complete(&self) -> bool {
        self.methods.values().all(|&complete| complete)
    }
}
