//! The head of a result: who swept what, by whose authority, from where.

use jiff::Timestamp;
use uuid::Uuid;

use super::orders::Orders;
use super::profile::SignatureState;
use crate::registry::Index;
use crate::result::v1;
use crate::texts::Language;

/// The head as it is known at the start.
pub fn head(orders: &Orders, started_at: Timestamp, language: Language) -> v1::Sweep {
    let authorisation = &orders.profile.authorisation;
    let texts = |prefixes: &[crate::net::Prefix]| {
        prefixes.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let rate = orders.profile.rate;
    v1::Sweep {
        id: Uuid::now_v7().to_string(),
        profile: orders.profile.name.clone(),
        started_at: started_at.to_string(),
        finished_at: started_at.to_string(),
        complete: false,
        authorisation: v1::Authorisation {
            reference: authorisation.reference.clone(),
            authorised_by: authorisation.authorised_by.clone(),
            scope: texts(&authorisation.scope),
            exclude: texts(&authorisation.exclude),
            observe_only: texts(&authorisation.observe_only),
            risk: authorisation.risk,
            not_before: authorisation.not_before.map(|at| at.to_string()),
            not_after: authorisation.not_after.map(|at| at.to_string()),
            signature: Some(match &orders.signature {
                SignatureState::Absent => "absent".into(),
                SignatureState::Valid { key } => format!("valid: {key}"),
                SignatureState::Unchecked => "unchecked".into(),
                SignatureState::Invalid => "invalid".into(),
            }),
        },
        registry: orders.registry_source.clone(),
        unit: unit(orders, started_at),
        unit_given: orders.unit.is_some(),
        vantages: orders
            .stations
            .iter()
            .map(|station| v1::Vantage {
                interface: station.interface.clone(),
                mac: Some(station.mac.to_string()),
                addresses: station
                    .addresses
                    .iter()
                    .map(|(address, length)| format!("{address}/{length}"))
                    .collect(),
                io: None,
            })
            .collect(),
        packets_sent: 0,
        packets_received: 0,
        packets_dropped: 0,
        passes: Vec::new(),
        notices: orders.notices.clone(),
        generator: super::GENERATOR.to_owned(),
        language: language.word().to_owned(),
        regulation: Some(orders.profile.audit.regulation.clone()),
        rate: Some(v1::Rate {
            packets_per_second: u64::from(rate.packets_per_second),
            per_target: u64::from(rate.per_target),
        }),
        egress: egress(&orders.profile.egress),
        files: Vec::new(),
    }
}

/// Where there is a canary: what it takes to hold a collector's log against the sweep later.
fn egress(egress: &super::profile::Egress) -> Option<v1::EgressSetup> {
    (!egress.canaries.is_empty()).then(|| v1::EgressSetup {
        canaries: egress.canaries.iter().map(ToString::to_string).collect(),
        zone: egress.canary_zone.clone(),
        key: egress.key.as_ref().map(ToString::to_string),
        witness: egress
            .collector
            .as_ref()
            .map(|collector| format!("https://{}", collector.address))
            .or_else(|| egress.witness_log.clone()),
    })
}

/// The wire's unit: as given, else that of the approved segment which holds a vantage's address.
fn unit(orders: &Orders, started_at: Timestamp) -> Option<String> {
    if orders.unit.is_some() {
        return orders.unit.clone();
    }
    let registry = orders.registry.clone()?;
    let index = Index::new(registry, super::day_of(started_at));
    orders
        .stations
        .iter()
        .flat_map(|station| &station.addresses)
        .find_map(|(address, _)| index.approved_segment(*address))
        .map(|segment| segment.unit.clone())
}
