use std::collections::BTreeMap;
use std::net::IpAddr;

use uuid::Uuid;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::View;
use crate::inventory::{Device, DeviceKey, in_time};
use crate::net::special;
use crate::observe::{DhcpServer, Fact, ObservationId};
use crate::registry::model::Role;

/// # What it finds
/// A DHCPv4 or DHCPv6 server that answers and is not registered with the role dhcp.
///
/// # Why it matters
/// Whoever hands out addresses chooses gateway and resolver for everybody on the wire.
///
/// # Evidence
/// Its own offer, acknowledgement, advertise or reply.
///
/// # When it stays silent
/// Servers registered with the role, by MAC or by an address they were seen to use, unless the registered MAC
/// is on the wire beside it. A relay is no
/// server: behind a registered relay the server is judged by the identifier it gives. An identifier
/// alone excuses nobody who answers on the wire himself.
///
/// # What refutes it
/// A row in `devices` with role dhcp for this server.
///
/// # Example
/// A home router offers 192.168.1.101 to the scanner's DISCOVER.
pub(super) struct RogueDhcpServer;

struct Gathered<'a> {
    subject: Subject,
    device: Option<&'a Device>,
    unit: Option<&'a str>,
    answers: Vec<(ObservationId, &'a DhcpServer)>,
}

impl Rule for RogueDhcpServer {
    fn name(&self) -> &'static str {
        "rogue-dhcp-server"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let mut gathered: BTreeMap<Uuid, Gathered<'_>> = BTreeMap::new();
        for (id, observation) in view.log.iter() {
            let Fact::DhcpServer(answer) = &observation.fact else { continue };
            if view.inventory.own.contains(&answer.mac) {
                continue;
            }
            let Some((key, ip, device)) = rogue(answer, view) else { continue };
            let one = gathered.entry(key).or_insert_with(|| Gathered {
                subject: Subject { ip: Some(ip), ..Subject::default() },
                device,
                unit: view.wire(observation.vantage),
                answers: Vec::new(),
            });
            one.subject.ip = one.subject.ip.min(Some(ip));
            if answer.relay.is_none() && answer.mac.is_station() {
                one.subject.mac = Some(answer.mac);
            }
            one.answers.push((id, answer));
        }
        for (key, one) in gathered {
            findings.put(found(self.name(), key, one, view));
        }
    }
}

/// The server behind an answer, unless it is registered: its key, the address it answers from, and
/// the device it is.
fn rogue<'a>(answer: &DhcpServer, view: &View<'a>) -> Option<(Uuid, IpAddr, Option<&'a Device>)> {
    let relayed = answer.relay.is_some();
    let station = view.inventory.stations.get(&answer.mac).copied();
    let place = station.or_else(|| view.at(answer.ip).map(|(place, _)| place).next());
    let registered = place.and_then(|place| view.registered(place));
    let by_row = view.index.devices_at(answer.ip).chain(view.index.devices_with(answer.mac));
    let mut rows = registered
        .into_iter()
        .flat_map(|registered| registered.roles.iter().copied())
        .chain(by_row.flat_map(|row| row.roles.iter().copied()))
        .peekable();
    let is_known = rows.peek().is_some();
    if rows.any(|role| role == Role::Dhcp) && !borrows(answer, place, view) {
        return None;
    }
    if relayed && is_known {
        // The relay is an approved device; the server it speaks for is judged by its identifier.
        let server = answer.server_id?;
        let has_role = view.index.devices_at(server).any(|row| row.roles.contains(&Role::Dhcp));
        return (!has_role).then(|| (DeviceKey::Address(server).id(), server, None));
    }
    let device = place.and_then(|place| view.inventory.devices.get(place));
    let key = device.map_or(DeviceKey::Address(answer.ip).id(), |device| device.id);
    Some((key, answer.ip, device))
}

/// Whether somebody answers from a registered server's address while the server's own MAC is on the wire too.
fn borrows(answer: &DhcpServer, place: Option<usize>, view: &View<'_>) -> bool {
    let device = place.and_then(|place| view.inventory.devices.get(place));
    let mut bound = device.into_iter().flat_map(|device| &device.bindings);
    let is_own = bound.any(|bound| bound.ip == answer.ip && bound.mac == Some(answer.mac));
    let is_dhcp = |row: &&crate::registry::model::Device| row.roles.contains(&Role::Dhcp);
    is_own
        && answer.relay.is_none()
        && !view.index.devices_with(answer.mac).any(|row| is_dhcp(&row))
        && view
            .index
            .devices_at(answer.ip)
            .filter(is_dhcp)
            .all(|row| row.mac.iter().any(|mac| view.inventory.stations.contains_key(mac)))
}

fn found(rule: &'static str, key: Uuid, mut one: Gathered<'_>, view: &View<'_>) -> Found {
    let mut at = None;
    // DHCPv6 answers from a link-local address; people know the device by another.
    if one.subject.ip.is_some_and(special::is_link_local)
        && let Some(device) = one.device
        && let Some(known) = view.known_by(device.addresses())
    {
        one.subject.ip = Some(known);
        at = device.binding(known).and_then(|binding| binding.observations.first()).copied();
    }
    let mut found = match one.device {
        Some(device) => Found::of_device(rule, device),
        None => Found {
            rule,
            key: key.to_string(),
            ips: one.subject.ip.into_iter().collect(),
            ..Found::default()
        },
    };
    let sorted = |list: &dyn Fn(&DhcpServer) -> Vec<String>| {
        let mut all: Vec<String> =
            one.answers.iter().flat_map(|(_, answer)| list(answer)).collect();
        all.sort();
        all.dedup();
        all
    };
    let lists: [(&str, Vec<String>); 5] = [
        ("messages", sorted(&|answer| vec![answer.message.clone()])),
        ("routers", sorted(&|answer| answer.routers.iter().map(ToString::to_string).collect())),
        ("dns", sorted(&|answer| answer.dns.iter().map(ToString::to_string).collect())),
        ("prefixes", sorted(&|answer| answer.prefix.iter().map(ToString::to_string).collect())),
        ("relays", sorted(&|answer| answer.relay.iter().map(ToString::to_string).collect())),
    ];
    for (name, list) in lists {
        if !list.is_empty() {
            found = found.detail(name, texts(list));
        }
    }
    found
        .unit(one.unit)
        .subject(one.subject)
        .shown_by(&in_time(view.log, one.answers.iter().map(|(id, _)| *id)))
        .shown_by(&at)
}
