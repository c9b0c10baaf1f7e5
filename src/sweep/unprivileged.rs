//! A sweep without the right to raw sockets: what the machine's own tables know, and nothing sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::conductor::{End, SweepError, Swept, WhyNot, inventoried};
use super::intake::Intake;
use super::orders::Orders;
use super::spool::Spool;
use super::tape::Tape;
use crate::link::interfaces;
use crate::net::{Family, Prefix};
use crate::observe::{Fact, Log, Source};
use crate::result::v1;

/// The interfaces' addresses, the ways out, and the neighbours that the kernel has resolved.
pub fn unprivileged(orders: &Orders, mut head: v1::Sweep) -> Result<Swept, SweepError> {
    let spool =
        Spool::temporary().map_err(|cause| SweepError::Io { path: "spool".into(), cause })?;
    let tape = Arc::new(Mutex::new(Tape::new(spool, [])));
    let own = orders.stations.iter().map(|station| station.mac).collect();
    let mut intake = Intake::new(Log::default(), Arc::clone(&tape), own);
    let at = Timestamp::now();
    let neighbours = interfaces::neighbours()?;
    for station in &orders.stations {
        for &(address, length) in &station.addresses {
            let prefix = Prefix::of(address, length);
            let fact = Fact::Interface { address, prefix, mac: station.mac };
            intake.note(at, station.id, Source::Interface, fact, &[]);
        }
        for &(destination, gateway) in &station.ways {
            if destination.length() == 0 {
                let fact = Fact::Gateway { address: gateway };
                intake.note(at, station.id, Source::Interface, fact, &[]);
            }
        }
        for neighbour in neighbours.iter().filter(|n| n.interface == station.index) {
            let Some(mac) = neighbour.mac.filter(|mac| mac.is_station()) else { continue };
            let source = match Family::of(neighbour.ip) {
                Family::Ipv4 => Source::Arp,
                Family::Ipv6 => Source::Ndp,
            };
            intake.note(at, station.id, source, Fact::Binding { ip: neighbour.ip, mac }, &[]);
        }
    }
    let territory = orders.territory(Vec::new());
    let why_not: BTreeMap<_, _> = territory
        .full
        .iter()
        .map(|area| ((area.prefix, area.vantage), WhyNot::Unprivileged))
        .collect();
    head.finished_at = Timestamp::now().to_string();
    head.notices.push(v1::SweepNotice { code: "unprivileged".into(), text: "CAP_NET_RAW".into() });
    Ok(Swept {
        vantages: orders
            .stations
            .iter()
            .map(|s| inventoried(Some(s.mac), &s.interface, &s.addresses))
            .collect(),
        head,
        log: intake.log,
        tape,
        why_not,
        end: End::Failed("CAP_NET_RAW".into()),
    })
}
