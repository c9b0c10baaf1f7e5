//! A filed egress, and who its gateway is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::audit::view::{Row, View};
use crate::net::Mac;
use crate::registry::model;

/// A filed egress that has begun, and who its gateway is.
pub(super) struct Filed<'a> {
    pub row: &'a model::Egress,
    pub is_valid: bool,
    pub addresses: BTreeSet<IpAddr>,
    pub macs: BTreeSet<Mac>,
    pub devices: BTreeSet<usize>,
}

impl<'a> Filed<'a> {
    pub(super) fn of(row: &'a model::Egress, view: &View<'a>) -> Filed<'a> {
        let day = view.index.day();
        let mut addresses: BTreeSet<IpAddr> = view.index.gateway_addresses(row).collect();
        let mut macs = BTreeSet::new();
        let mut rows: Vec<&model::Device> = Vec::new();
        if let Some(model::GatewayRef::Device(name)) = &row.gateway {
            rows.extend(view.index.device(&row.unit, name));
        }
        for &ip in &addresses.clone() {
            rows.extend(view.index.devices_at(ip));
        }
        let mut devices: BTreeSet<usize> = BTreeSet::new();
        for of in rows {
            addresses.extend(&of.ip);
            macs.extend(&of.mac);
            let seen: BTreeSet<_> =
                view.matching(Row::Device(of)).into_iter().map(|device| device.key).collect();
            let all = &view.inventory.devices;
            devices.extend(
                (0..all.len()).filter(|&place| {
                    all.get(place).is_some_and(|device| seen.contains(&device.key))
                }),
            );
        }
        for &ip in &addresses {
            devices.extend(view.at(ip).map(|(place, _)| place));
        }
        for &place in &devices {
            let device = view.inventory.devices.get(place);
            addresses.extend(device.into_iter().flat_map(|device| device.addresses()));
        }
        Filed { row, is_valid: row.is_valid_on(day), addresses, macs, devices }
    }

    /// Whether an answer from here is its gateway's: an address of it, or one on its outer side.
    pub(super) fn answers(&self, from: IpAddr) -> bool {
        self.addresses.contains(&from) || self.row.public.iter().any(|prefix| prefix.contains(from))
    }
}
