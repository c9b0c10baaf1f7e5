//! What a sweep is told to do: profile and flags together, checked, with everything looked up that the
//! plan depends on.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::profile::{Authorisation, Method, Profile, Secret, SignatureState};
use super::share::Part;
use super::territory::{Bounds, Territory};
use super::vantage::Station;
use crate::egress::token::EgressKey;
use crate::egress::witness::access::Access;
use crate::link::Io;
use crate::net::{AddressSet, Mac, Prefix};
use crate::registry::Registry;
use crate::registry::model::Role;
use crate::result::v1;

pub struct Orders {
    /// With the flags' overrides in it.
    pub profile: Profile,
    pub signature: SignatureState,
    pub stations: Vec<Station>,
    pub registry: Option<Arc<Registry>>,
    pub registry_source: Option<v1::RegistrySource>,
    pub unit: Option<String>,
    /// `None`: chosen by what the interface supports.
    pub io: Option<Io>,
    /// Which part of the scope, where several sweeps share it.
    pub part: Option<Part>,
    pub out: PathBuf,
    pub record: Option<PathBuf>,
    pub resume: bool,
    /// `--scope` without a registry makes the scope the targets.
    pub scope_is_targets: bool,
    pub notices: Vec<v1::SweepNotice>,
    pub egress: EgressOrders,
    /// Communities of SNMP version 2c, read before the capabilities go.
    pub snmp: Vec<Secret>,
}

/// The secrets of the egress methods, read before the capabilities go.
#[derive(Clone, Default)]
pub struct EgressOrders {
    /// Without it nothing that needs the collector's word runs.
    pub key: Option<EgressKey>,
    /// By what the collector hands out receipts.
    pub access: Option<Arc<Access>>,
}

/// Whether the machine has a file of keys that it trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    Trusts,
    HasNoTrustFile,
}

/// Why a sweep may not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Forbidden {
    NoScope,
    NotYet {
        from: Timestamp,
    },
    Over {
        until: Timestamp,
    },
    /// A machine with a trust file demands a signature for risk 3.
    Unsigned,
    /// There is a signature and it does not hold.
    BadSignature,
}

/// Whether an authorisation allows anything to be sent at this instant on this machine.
pub fn may_begin(
    authorisation: &Authorisation,
    signature: &SignatureState,
    now: Timestamp,
    machine: Machine,
) -> Result<(), Forbidden> {
    if authorisation.scope.is_empty() {
        return Err(Forbidden::NoScope);
    }
    if let Some(from) = authorisation.not_before.filter(|from| now < *from) {
        return Err(Forbidden::NotYet { from });
    }
    if let Some(until) = authorisation.not_after.filter(|until| now > *until) {
        return Err(Forbidden::Over { until });
    }
    match signature {
        SignatureState::Invalid => Err(Forbidden::BadSignature),
        SignatureState::Absent | SignatureState::Unchecked
            if machine == Machine::Trusts && authorisation.risk >= 3 =>
        {
            Err(Forbidden::Unsigned)
        }
        _ => Ok(()),
    }
}

impl Orders {
    /// Whether the authorisation allows a sweep at this instant on this machine.
    pub fn may_begin(&self, now: Timestamp, machine: Machine) -> Result<(), Forbidden> {
        may_begin(&self.profile.authorisation, &self.signature, now, machine)
    }

    pub fn scope(&self) -> AddressSet {
        self.profile.authorisation.scope.iter().copied().collect()
    }

    /// What of the scope this sweep asks: all of it, or its part.
    pub fn share(&self) -> AddressSet {
        match &self.part {
            None => self.scope(),
            Some(part) => part.of(&self.scope()),
        }
    }

    pub fn exclude(&self) -> AddressSet {
        self.profile.authorisation.exclude.iter().copied().collect()
    }

    pub fn observe_only(&self) -> AddressSet {
        self.profile.authorisation.observe_only.iter().copied().collect()
    }

    pub fn uses(&self, method: Method) -> bool {
        self.profile.discovery.methods.contains(&method)
    }

    /// The prefixes of the registry's segments, whatever their validity: what was withdrawn is asked
    /// too.
    pub fn segments(&self) -> Vec<Prefix> {
        let segments = self.registry.iter().flat_map(|registry| &registry.segments);
        let mut prefixes: Vec<_> = segments.map(|segment| segment.prefix).collect();
        prefixes.sort();
        prefixes.dedup();
        prefixes
    }

    pub fn bounds(&self, learnt: Vec<Prefix>) -> Bounds {
        Bounds {
            scope: self.share(),
            exclude: self.exclude(),
            segments: self.segments(),
            explore: self.profile.discovery.explore.clone(),
            learnt,
            scope_is_targets: self.scope_is_targets,
        }
    }

    pub fn territory(&self, learnt: Vec<Prefix>) -> Territory {
        Territory::of(&self.bounds(learnt), &self.stations)
    }

    /// Every address that some table of the registry names.
    pub fn known_addresses(&self) -> BTreeSet<IpAddr> {
        let Some(registry) = &self.registry else { return BTreeSet::new() };
        let devices = registry.devices.iter().flat_map(|device| &device.ip);
        let assets = registry.assets.iter().flat_map(|asset| &asset.ip);
        let services = registry.services.iter().map(|service| &service.ip);
        devices.chain(assets).chain(services).copied().collect()
    }

    /// Excluded and observe-only addresses with the MACs that the registry says they have. A device that
    /// has other addresses too is one that may be asked.
    pub fn stations_kept_from(&self) -> Vec<(IpAddr, Mac)> {
        let Some(registry) = &self.registry else { return Vec::new() };
        let sets = [self.exclude(), self.observe_only()];
        let kept = |ips: &[IpAddr]| {
            !ips.is_empty() && sets.iter().any(|set| ips.iter().all(|ip| set.contains(*ip)))
        };
        let devices = registry.devices.iter().map(|device| (&device.ip, &device.mac));
        let assets = registry.assets.iter().map(|asset| (&asset.ip, &asset.mac));
        devices
            .chain(assets)
            .filter(|(ips, _)| kept(ips))
            .flat_map(|(ips, macs)| {
                ips.iter().flat_map(|ip| macs.iter().map(move |mac| (*ip, *mac)))
            })
            .collect()
    }

    /// The registered interface devices' addresses, then the assets': whose questions are evidence.
    pub fn addresses_of_interest(&self) -> Vec<IpAddr> {
        let Some(registry) = &self.registry else { return Vec::new() };
        let devices = registry.devices.iter().flat_map(|device| &device.ip);
        let assets = registry.assets.iter().flat_map(|asset| &asset.ip);
        devices.chain(assets).copied().collect()
    }

    /// The addresses of registered gateways, routers and firewalls, gateways first.
    pub fn registered_gateways(&self) -> Vec<IpAddr> {
        let Some(registry) = &self.registry else { return Vec::new() };
        let of = |roles: &'static [Role]| {
            registry
                .devices
                .iter()
                .filter(move |device| device.roles.iter().any(|role| roles.contains(role)))
                .flat_map(|device| &device.ip)
                .copied()
        };
        of(&[Role::Gateway]).chain(of(&[Role::Router, Role::Firewall, Role::Nat])).collect()
    }
}
