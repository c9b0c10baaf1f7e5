//! Look-ups in the registry as it stands on one day.
//!
//! Addresses and MACs are looked up in sorted tables of (key, row): a million assets take 24 MB and some
//! twenty comparisons, are built in parallel, and one key may lead to several rows. Prefixes are
//! looked up longest first.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::civil::Date;
use rayon::slice::ParallelSliceMut;

use super::model::{
    Asset, ChangeNotice, Device, Egress, GatewayRef, Registry, Segment, Service, SubjectRef, Unit,
    Waiver,
};
use crate::net::{Mac, Port, Prefix, PrefixMap};

/// How a segment stands on the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Approval {
    Approved,
    /// Past `valid_until`.
    Expired,
    /// Before `valid_from`: not approved, and nothing to withdraw either.
    NotYet,
    /// Its unit is withdrawn; this outweighs the segment's own days.
    Withdrawn,
}

/// Rows by a key that need not be unique.
#[derive(Debug, Clone)]
struct Rows<K> {
    sorted: Vec<(K, u32)>,
}

impl<K: Ord + Copy + Send> Rows<K> {
    fn of(keys: impl Iterator<Item = (K, u32)>) -> Rows<K> {
        let mut sorted: Vec<(K, u32)> = keys.collect();
        sorted.shrink_to_fit();
        sorted.par_sort_unstable();
        Rows { sorted }
    }

    /// The rows of a key, in the order of the table.
    fn get(&self, key: K) -> impl Iterator<Item = usize> + '_ {
        let start = self.sorted.partition_point(|(other, _)| *other < key);
        self.sorted
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(move |(other, _)| *other == key)
            .map(|(_, row)| *row as usize)
    }
}

/// Rows by two texts that stand in the rows themselves: unit and name.
#[derive(Debug, Clone)]
struct Names {
    sorted: Vec<u32>,
}

impl Names {
    fn of<T: Sync>(table: &[T], key: impl for<'a> Fn(&'a T) -> (&'a str, &'a str) + Sync) -> Names {
        let mut sorted: Vec<u32> = (0..).zip(table).map(|(row, _)| row).collect();
        let key_of = |row: u32| table.get(row as usize).map(&key);
        sorted.par_sort_unstable_by(|a, b| key_of(*a).cmp(&key_of(*b)).then(a.cmp(b)));
        Names { sorted }
    }

    /// The first row for which `order` says equal.
    fn first<T>(&self, table: &[T], order: impl Fn(&T) -> Ordering) -> Option<usize> {
        let order_of = |row: &u32| table.get(*row as usize).map_or(Ordering::Less, &order);
        let start = self.sorted.partition_point(|row| order_of(row) == Ordering::Less);
        self.sorted
            .get(start)
            .filter(|row| order_of(row) == Ordering::Equal)
            .map(|row| *row as usize)
    }

    /// The rows for which `order` says equal; it must agree with the sorting.
    fn get<'t, T>(&'t self, table: &'t [T], order: impl Fn(&T) -> Ordering) -> Picked<'t, T> {
        let order_of = |row: &u32| table.get(*row as usize).map_or(Ordering::Less, &order);
        let start = self.sorted.partition_point(|row| order_of(row) == Ordering::Less);
        let rest = self.sorted.get(start..).unwrap_or_default();
        let length = rest.partition_point(|row| order_of(row) == Ordering::Equal);
        Picked { rows: rest.get(..length).unwrap_or_default().iter(), table }
    }
}

/// Rows of a table by their numbers.
struct Picked<'t, T> {
    rows: std::slice::Iter<'t, u32>,
    table: &'t [T],
}

impl<'t, T> Iterator for Picked<'t, T> {
    type Item = &'t T;

    fn next(&mut self) -> Option<&'t T> {
        self.rows.find_map(|row| self.table.get(*row as usize))
    }
}

/// What a finding is about, as far as it is known, to be held against the subjects of waivers and notices.
#[derive(Debug, Clone, Copy, Default)]
pub struct Subject<'a> {
    pub ips: &'a [IpAddr],
    pub macs: &'a [Mac],
    pub prefix: Option<Prefix>,
    /// The port on any of `ips`.
    pub port: Option<Port>,
    /// The name of the registered device or asset it concerns.
    pub name: Option<&'a str>,
}

impl Subject<'_> {
    /// Whether a subject of the registry names this one. A prefix names what lies in it; an address names
    /// all ports on it.
    pub fn is_named_by(&self, written: &SubjectRef) -> bool {
        match written {
            SubjectRef::Ip(ip) => self.ips.contains(ip) || self.prefix == Some(Prefix::host(*ip)),
            SubjectRef::Mac(mac) => self.macs.contains(mac),
            SubjectRef::Prefix(prefix) => match self.prefix {
                Some(own) => prefix.covers(own),
                None => self.ips.iter().any(|ip| prefix.contains(*ip)),
            },
            SubjectRef::Service(ip, port) => self.port == Some(*port) && self.ips.contains(ip),
            SubjectRef::Device(name) => self.name == Some(name.as_str()),
        }
    }
}

/// The registry on one day.
#[derive(Debug, Clone)]
pub struct Index {
    registry: Arc<Registry>,
    day: Date,
    units: Names,
    segments: PrefixMap<Vec<u32>>,
    /// Ordered by first address, so that what lies within a prefix is one stretch.
    segments_in_order: Vec<(Prefix, u32)>,
    segments_by_unit: Names,
    device_ips: Rows<IpAddr>,
    device_macs: Rows<Mac>,
    devices: Names,
    asset_ips: Rows<IpAddr>,
    asset_macs: Rows<Mac>,
    assets: Names,
    services: Rows<(IpAddr, Port)>,
    services_by_unit: Names,
    egress_gateways: Rows<IpAddr>,
    egresses: Names,
    waivers_by_rule: Names,
    notices_by_unit: Names,
}

impl Index {
    pub fn new(registry: Arc<Registry>, day: Date) -> Index {
        let mut segments: PrefixMap<Vec<u32>> = PrefixMap::new();
        let mut segments_in_order = Vec::with_capacity(registry.segments.len());
        for (row, segment) in (0u32..).zip(&registry.segments) {
            segments.get_or_insert_with(segment.prefix, Vec::new).push(row);
            segments_in_order.push((segment.prefix, row));
        }
        segments_in_order.par_sort_unstable();

        let devices = Names::of(&registry.devices, |device| (&device.unit, &device.name));
        let egress_gateways =
            Rows::of((0u32..).zip(&registry.egresses).flat_map(|(row, egress)| {
                gateway_addresses(&registry, &devices, egress)
                    .map(move |ip| (ip, row))
                    .collect::<Vec<_>>()
            }));
        Index {
            day,
            units: Names::of(&registry.units, |unit| (&unit.unit, "")),
            segments,
            segments_in_order,
            segments_by_unit: Names::of(&registry.segments, |segment| (&segment.unit, "")),
            device_ips: keys(&registry.devices, |device| &device.ip),
            device_macs: keys(&registry.devices, |device| &device.mac),
            devices,
            asset_ips: keys(&registry.assets, |asset| &asset.ip),
            asset_macs: keys(&registry.assets, |asset| &asset.mac),
            assets: Names::of(&registry.assets, |asset| (&asset.unit, &asset.name)),
            services: Rows::of(
                (0u32..)
                    .zip(&registry.services)
                    .map(|(row, service)| ((service.ip, service.port), row)),
            ),
            services_by_unit: Names::of(&registry.services, |service| (&service.unit, "")),
            egress_gateways,
            egresses: Names::of(&registry.egresses, |egress| (&egress.unit, &egress.name)),
            waivers_by_rule: Names::of(&registry.waivers, |waiver| (&waiver.rule, "")),
            notices_by_unit: Names::of(&registry.notices, |notice| (&notice.unit, "")),
            registry,
        }
    }

    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    pub fn day(&self) -> Date {
        self.day
    }

    pub fn unit(&self, unit: &str) -> Option<&Unit> {
        self.units.get(&self.registry.units, |row| row.unit.as_str().cmp(unit)).next()
    }

    /// How a segment stands on the day.
    pub fn approval(&self, segment: &Segment) -> Approval {
        if self.unit(&segment.unit).is_some_and(|unit| unit.is_withdrawn_on(self.day)) {
            Approval::Withdrawn
        } else if segment.valid_until.is_some_and(|until| until < self.day) {
            Approval::Expired
        } else if segment.valid_from.is_some_and(|from| self.day < from) {
            Approval::NotYet
        } else {
            Approval::Approved
        }
    }

    /// The longest segment that holds the address, however it stands.
    pub fn segment(&self, address: IpAddr) -> Option<(&Segment, Approval)> {
        self.segments_covering(Prefix::host(address)).next()
    }

    /// The longest segment that holds the address and is approved on the day.
    pub fn approved_segment(&self, address: IpAddr) -> Option<&Segment> {
        self.approved_covering(Prefix::host(address))
    }

    /// The longest segment that covers the whole prefix and is approved on the day.
    pub fn approved_covering(&self, prefix: Prefix) -> Option<&Segment> {
        self.segments_covering(prefix)
            .find(|(_, approval)| *approval == Approval::Approved)
            .map(|(segment, _)| segment)
    }

    /// Every segment that covers the prefix, longest first.
    pub fn segments_covering(&self, prefix: Prefix) -> impl Iterator<Item = (&Segment, Approval)> {
        self.segments
            .covering(prefix)
            .flat_map(|(_, rows)| rows)
            .filter_map(|row| self.registry.segments.get(*row as usize))
            .map(|segment| (segment, self.approval(segment)))
    }

    /// Every segment that lies in the prefix (or is it), by address.
    pub fn segments_within(&self, prefix: Prefix) -> impl Iterator<Item = (&Segment, Approval)> {
        let start = self.segments_in_order.partition_point(|(other, _)| *other < prefix);
        self.segments_in_order
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(move |(other, _)| prefix.covers(*other))
            .filter_map(|(_, row)| self.registry.segments.get(*row as usize))
            .map(|segment| (segment, self.approval(segment)))
    }

    /// Every segment that shares an address with the prefix: those around it, longest first, then
    /// those in it.
    pub fn segments_overlapping(
        &self,
        prefix: Prefix,
    ) -> impl Iterator<Item = (&Segment, Approval)> {
        self.segments_covering(prefix)
            .filter(move |(segment, _)| segment.prefix != prefix)
            .chain(self.segments_within(prefix))
    }

    pub fn segments_of(&self, unit: &str) -> impl Iterator<Item = (&Segment, Approval)> + use<'_> {
        self.segments_by_unit
            .get(&self.registry.segments, |row| row.unit.as_str().cmp(unit))
            .map(|segment| (segment, self.approval(segment)))
    }

    /// Devices that are registered with this address.
    pub fn devices_at(&self, ip: IpAddr) -> impl Iterator<Item = &Device> {
        self.device_ips.get(ip).filter_map(|row| self.registry.devices.get(row))
    }

    pub fn devices_with(&self, mac: Mac) -> impl Iterator<Item = &Device> {
        self.device_macs.get(mac).filter_map(|row| self.registry.devices.get(row))
    }

    pub fn device(&self, unit: &str, name: &str) -> Option<&Device> {
        let key = (unit, name);
        self.devices
            .get(&self.registry.devices, |row| (row.unit.as_str(), row.name.as_str()).cmp(&key))
            .next()
    }

    pub fn devices_of(&self, unit: &str) -> impl Iterator<Item = &Device> + use<'_> {
        self.devices.get(&self.registry.devices, |row| row.unit.as_str().cmp(unit))
    }

    /// Assets that are registered with this address.
    pub fn assets_at(&self, ip: IpAddr) -> impl Iterator<Item = &Asset> {
        self.asset_ips.get(ip).filter_map(|row| self.registry.assets.get(row))
    }

    pub fn assets_with(&self, mac: Mac) -> impl Iterator<Item = &Asset> {
        self.asset_macs.get(mac).filter_map(|row| self.registry.assets.get(row))
    }

    pub fn asset(&self, unit: &str, name: &str) -> Option<&Asset> {
        let key = (unit, name);
        self.assets
            .get(&self.registry.assets, |row| (row.unit.as_str(), row.name.as_str()).cmp(&key))
            .next()
    }

    pub fn assets_of(&self, unit: &str) -> impl Iterator<Item = &Asset> + use<'_> {
        self.assets.get(&self.registry.assets, |row| row.unit.as_str().cmp(unit))
    }

    pub fn service(&self, ip: IpAddr, port: Port) -> Option<&Service> {
        self.services.get((ip, port)).find_map(|row| self.registry.services.get(row))
    }

    /// Services registered on an address, by port.
    pub fn services_at(&self, ip: IpAddr) -> impl Iterator<Item = &Service> {
        let start = self.services.sorted.partition_point(|((other, _), _)| *other < ip);
        self.services
            .sorted
            .get(start..)
            .unwrap_or_default()
            .iter()
            .take_while(move |((other, _), _)| *other == ip)
            .filter_map(|(_, row)| self.registry.services.get(*row as usize))
    }

    pub fn services_of(&self, unit: &str) -> impl Iterator<Item = &Service> + use<'_> {
        self.services_by_unit.get(&self.registry.services, |row| row.unit.as_str().cmp(unit))
    }

    pub fn egress(&self, unit: &str, name: &str) -> Option<&Egress> {
        let key = (unit, name);
        self.egresses
            .get(&self.registry.egresses, |row| (row.unit.as_str(), row.name.as_str()).cmp(&key))
            .next()
    }

    pub fn egresses_of(&self, unit: &str) -> impl Iterator<Item = &Egress> + use<'_> {
        self.egresses.get(&self.registry.egresses, |row| row.unit.as_str().cmp(unit))
    }

    /// Egresses whose gateway has this address: written so, or an address of the device it names.
    pub fn egresses_by_gateway(&self, ip: IpAddr) -> impl Iterator<Item = &Egress> {
        self.egress_gateways.get(ip).filter_map(|row| self.registry.egresses.get(row))
    }

    /// The addresses of an egress's gateway; several where it names a device that has several.
    pub fn gateway_addresses<'a>(
        &'a self,
        egress: &'a Egress,
    ) -> impl Iterator<Item = IpAddr> + 'a {
        gateway_addresses(&self.registry, &self.devices, egress)
    }

    /// The first waiver that excuses a finding of this rule on the day.
    ///
    /// A waiver holds where everything that it states holds: its unit, and one of its subjects. Without
    /// a subject it holds for its whole unit; with neither it excuses nothing.
    pub fn waiver(&self, rule: &str, unit: Option<&str>, subject: &Subject<'_>) -> Option<&Waiver> {
        self.waivers_by_rule
            .get(&self.registry.waivers, |row| row.rule.as_str().cmp(rule))
            .filter(|waiver| waiver.until.is_none_or(|until| self.day <= until))
            .filter(|waiver| match &waiver.unit {
                Some(of) => unit == Some(of.as_str()),
                None => !waiver.subject.is_empty(),
            })
            .find(|waiver| {
                waiver.subject.is_empty()
                    || waiver.subject.iter().any(|written| subject.is_named_by(written))
            })
    }

    /// The notices of a unit that hold on the day and name the subject, or the whole unit.
    pub fn notices<'a>(
        &'a self,
        unit: &'a str,
        subject: &'a Subject<'a>,
    ) -> impl Iterator<Item = &'a ChangeNotice> + 'a {
        self.notices_by_unit
            .get(&self.registry.notices, |row| row.unit.as_str().cmp(unit))
            .filter(|notice| super::model::valid_on(self.day, notice.from, notice.until))
            .filter(|notice| {
                notice.subject.is_empty()
                    || notice.subject.iter().any(|written| subject.is_named_by(written))
            })
    }
}

fn keys<T, K: Ord + Copy + Send>(table: &[T], of: impl Fn(&T) -> &[K]) -> Rows<K> {
    let of = &of;
    Rows::of(
        (0u32..)
            .zip(table)
            .flat_map(move |(row, entry)| of(entry).iter().map(move |key| (*key, row))),
    )
}

fn gateway_addresses<'a>(
    registry: &'a Registry,
    devices: &Names,
    egress: &'a Egress,
) -> impl Iterator<Item = IpAddr> + use<'a> {
    let (written, named): (Option<IpAddr>, &'a [IpAddr]) = match &egress.gateway {
        Some(GatewayRef::Address(ip)) => (Some(*ip), &[]),
        Some(GatewayRef::Device(name)) => {
            let key = (egress.unit.as_str(), name.as_str());
            let row = devices
                .first(&registry.devices, |row| (row.unit.as_str(), row.name.as_str()).cmp(&key));
            let device = row.and_then(|row| registry.devices.get(row));
            (None, device.map_or(&[], |device| device.ip.as_slice()))
        }
        None => (None, &[]),
    };
    written.into_iter().chain(named.iter().copied())
}
