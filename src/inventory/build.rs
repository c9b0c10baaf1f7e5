//! Devices while they are gathered.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use jiff::Timestamp;

use super::{Binding, Claimed, Device, DeviceKey, Forwarding, Role, Service, in_time, vendor};
use crate::net::{Mac, Port};
use crate::observe::{Foreign, Log, Observation, ObservationId, Source, VantageId};

/// Devices by key.
#[derive(Default)]
pub(super) struct Devices(HashMap<DeviceKey, Builder>);

impl Devices {
    /// One that something else has shown.
    pub fn known(&mut self, key: DeviceKey) -> Option<&mut Builder> {
        self.0.get_mut(&key)
    }

    pub fn of(&mut self, key: DeviceKey) -> &mut Builder {
        self.0.entry(key).or_default()
    }

    /// The devices in the order of their keys.
    pub fn finish(self, log: &Log) -> Vec<Device> {
        let mut builders: Vec<_> = self.0.into_iter().collect();
        builders.sort_unstable_by_key(|(key, _)| *key);
        builders.into_iter().map(|(key, builder)| builder.finish(key, log)).collect()
    }
}

#[derive(Default)]
pub(super) struct Builder {
    bindings: BTreeMap<(IpAddr, Option<Mac>), Sightings>,
    claimed: BTreeMap<IpAddr, BTreeSet<ObservationId>>,
    hostnames: BTreeSet<Foreign>,
    roles: BTreeMap<Role, BTreeSet<ObservationId>>,
    open: BTreeMap<(IpAddr, Port), BTreeSet<ObservationId>>,
    closed: BTreeMap<(IpAddr, Port), BTreeSet<ObservationId>>,
    switched_on: BTreeSet<ObservationId>,
    beyond: BTreeMap<u8, BTreeSet<ObservationId>>,
    passing: BTreeSet<ObservationId>,
    vantages: BTreeSet<VantageId>,
    seen: Option<(Timestamp, Timestamp)>,
    sources: BTreeSet<Source>,
    observations: BTreeSet<ObservationId>,
}

#[derive(Default)]
struct Sightings {
    via: BTreeSet<Mac>,
    vantages: BTreeSet<VantageId>,
    sources: BTreeSet<Source>,
    observations: BTreeSet<ObservationId>,
}

impl Builder {
    pub fn see(&mut self, id: ObservationId, observation: &Observation) {
        self.vantages.insert(observation.vantage);
        self.sources.insert(observation.source);
        self.observations.insert(id);
        let (first, last) = self.seen.unwrap_or((observation.at, observation.last_at));
        self.seen = Some((first.min(observation.at), last.max(observation.last_at)));
    }

    pub fn bind_on_link(&mut self, ip: IpAddr, mac: Mac, id: ObservationId, seen: &Observation) {
        self.see(id, seen);
        self.bindings.entry((ip, Some(mac))).or_default().add(id, seen);
    }

    pub fn bind_beyond(&mut self, ip: IpAddr, via: Mac, id: ObservationId, seen: &Observation) {
        self.see(id, seen);
        let sightings = self.bindings.entry((ip, None)).or_default();
        sightings.add(id, seen);
        sightings.via.insert(via);
    }

    /// An address whose link shows no MAC (frame relay, raw IP in a capture).
    pub fn bind_without_mac(&mut self, ip: IpAddr, id: ObservationId, seen: &Observation) {
        self.see(id, seen);
        self.bindings.entry((ip, None)).or_default().add(id, seen);
    }

    pub fn has(&self, ip: IpAddr) -> bool {
        self.bindings.keys().any(|&(bound, _)| bound == ip)
    }

    pub fn open(&mut self, ip: IpAddr, port: Port, id: ObservationId) {
        self.open.entry((ip, port)).or_default().insert(id);
    }

    pub fn closed(&mut self, ip: IpAddr, port: Port, id: ObservationId) {
        self.closed.entry((ip, port)).or_default().insert(id);
    }

    pub fn role(&mut self, role: Role, id: ObservationId) {
        self.roles.entry(role).or_default().insert(id);
    }

    pub fn claim(&mut self, ip: IpAddr, id: ObservationId) {
        self.claimed.entry(ip).or_default().insert(id);
    }

    pub fn name(&mut self, name: &Foreign) {
        if !name.is_empty() {
            self.hostnames.insert(name.clone());
        }
    }

    pub fn switched_on(&mut self, id: ObservationId) {
        self.switched_on.insert(id);
        self.role(Role::Forwards, id);
    }

    pub fn beyond(&mut self, round: u8, id: ObservationId) {
        self.beyond.entry(round).or_default().insert(id);
        self.role(Role::Forwards, id);
    }

    pub fn passing(&mut self, id: ObservationId) {
        self.passing.insert(id);
        self.role(Role::Forwards, id);
    }

    fn finish(self, key: DeviceKey, log: &Log) -> Device {
        let macs: Vec<Mac> = match key {
            DeviceKey::Station(mac) => vec![mac],
            DeviceKey::Address(_) => Vec::new(),
        };
        let bindings: Vec<Binding> = self
            .bindings
            .into_iter()
            .map(|((ip, mac), sightings)| Binding {
                ip,
                mac,
                on_link: mac.is_some(),
                via: sightings.via.first().copied(),
                vantages: sightings.vantages,
                sources: sightings.sources,
                observations: in_time(log, sightings.observations),
            })
            .collect();
        let mut claimed: Vec<Claimed<IpAddr>> = Vec::new();
        for (ip, said) in self.claimed {
            if bindings.iter().all(|binding| binding.ip != ip) {
                let said = in_time(log, said);
                claimed.extend(said.into_iter().map(|id| Claimed { value: ip, observation: id }));
            }
        }
        let (first_seen, last_seen) = self.seen.unwrap_or_default();
        Device {
            id: key.id(),
            key,
            vendor: macs.first().and_then(|&mac| vendor(mac)),
            macs,
            bindings,
            claimed,
            hostnames: self.hostnames,
            roles: self
                .roles
                .into_iter()
                .map(|(role, shown)| (role, in_time(log, shown)))
                .collect(),
            services: services(self.open, log),
            closed: services(self.closed, log),
            forwarding: Forwarding {
                switched_on: in_time(log, self.switched_on),
                beyond: self
                    .beyond
                    .into_iter()
                    .map(|(round, shown)| (round, in_time(log, shown)))
                    .collect(),
                passing: in_time(log, self.passing),
            },
            vantages: self.vantages,
            first_seen,
            last_seen,
            sources: self.sources,
            observations: in_time(log, self.observations),
        }
    }
}

impl Sightings {
    fn add(&mut self, id: ObservationId, observation: &Observation) {
        self.vantages.insert(observation.vantage);
        self.sources.insert(observation.source);
        self.observations.insert(id);
    }
}

fn services(ports: BTreeMap<(IpAddr, Port), BTreeSet<ObservationId>>, log: &Log) -> Vec<Service> {
    ports
        .into_iter()
        .map(|((ip, port), shown)| Service { ip, port, observations: in_time(log, shown) })
        .collect()
}
