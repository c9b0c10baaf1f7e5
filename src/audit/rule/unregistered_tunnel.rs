use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use uuid::Uuid;

use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::View;
use crate::inventory::{DeviceKey, TunnelEnd, in_time, tunnel_word};
use crate::observe::TunnelKind;
use crate::registry::model::Role;
use crate::result::v1::Confidence;

/// # What it finds
/// A device sends packets of a tunnel or VPN (GRE, IP in IP, 6in4, Teredo, VXLAN, Geneve, WireGuard, OpenVPN, IPsec, L2TP, PPTP, GTP)
/// and is not registered with the role vpn.
///
/// # Why it matters
/// What is inside passes every boundary unseen, in both directions.
///
/// # Evidence
/// The packets that the device sent with its address. Tunnels that are encrypted are told by the form of their handshakes and
/// headers.
///
/// # When it stays silent
/// Devices registered with role vpn, by MAC or address; whoever is only sent to; addresses that neither a device here uses nor an
/// approved segment holds, such as the other end on the internet; tunnels inside of tunnels; answers to the
/// questions of a sweep.
///
/// # What refutes it
/// A row in `devices` with role vpn; or that the packets are of another protocol at the tunnel's port.
///
/// # Example
/// 10.20.1.67 sends VXLAN to 203.0.113.20.
pub(super) struct UnregisteredTunnel;

impl Rule for UnregisteredTunnel {
    fn name(&self) -> &'static str {
        "unregistered-tunnel"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let mut gathered: BTreeMap<Uuid, (Option<usize>, Vec<&TunnelEnd>)> = BTreeMap::new();
        for end in &view.inventory.tunnels {
            // Who sent it himself, before who only has the address.
            let own = |place: &&usize| {
                let device = view.inventory.devices.get(**place);
                device.is_some_and(|device| device.macs.iter().any(|mac| end.macs.contains(mac)))
            };
            let place = end.devices.iter().find(own).or(end.devices.first()).copied();
            let device = place.and_then(|place| view.inventory.devices.get(place));
            let has_role = |role: &Role| *role == Role::Vpn;
            let registered = place.and_then(|place| view.registered(place));
            let by_device = registered.is_some_and(|known| known.roles.iter().any(has_role));
            let by_row = view.index.devices_at(end.ip).any(|row| row.roles.iter().any(has_role));
            let is_ours = device.is_some() || view.index.approved_segment(end.ip).is_some();
            if by_device || by_row || !is_ours {
                continue;
            }
            let key = device.map_or(DeviceKey::Address(end.ip).id(), |device| device.id);
            gathered.entry(key).or_insert((place, Vec::new())).1.push(end);
        }
        for (key, (place, ends)) in gathered {
            findings.extend(found(self.name(), key, place, &ends, view));
        }
    }
}

fn found(
    rule: &'static str,
    key: Uuid,
    place: Option<usize>,
    ends: &[&TunnelEnd],
    view: &View<'_>,
) -> Option<Found> {
    let ip = view.known_by(ends.iter().map(|end| end.ip))?;
    let device = place.and_then(|place| view.inventory.devices.get(place));
    let wire = ends.iter().flat_map(|end| &end.vantages).find_map(|&vantage| view.wire(vantage));
    let mut found = match device {
        Some(device) => Found::of_device(rule, device).unit(view.wire_of(device)),
        None => Found { rule, key: key.to_string(), ips: vec![ip], ..Found::default() }.unit(wire),
    };
    let mac = device.filter(|device| device.is_on_link()).and_then(|device| device.macs.first());
    let first = ends.first()?;
    let peers: BTreeSet<IpAddr> = ends.iter().flat_map(|end| &end.peers).copied().collect();
    let kinds: BTreeSet<&str> = ends.iter().map(|end| tunnel_word(end.kind)).collect();
    // What is told by its form alone, and by nobody's answer, may be another protocol.
    let is_form = |end: &&TunnelEnd| {
        matches!(end.kind, TunnelKind::WireGuard | TunnelKind::OpenVpn)
            && !view
                .inventory
                .tunnels
                .iter()
                .any(|other| other.kind == end.kind && end.peers.contains(&other.ip))
    };
    found.cap = ends.iter().all(|end| is_form(&end)).then_some(Confidence::Indicated);
    let mut found = found
        .subject(Subject { ip: Some(ip), mac: mac.copied(), ..Subject::default() })
        .detail("kind", tunnel_word(first.kind))
        .detail("peer", first.peers.first().map(ToString::to_string));
    if kinds.len() > 1 || peers.len() > 1 {
        found = found.detail("kinds", texts(kinds)).detail("peers", texts(peers.iter().take(32)));
    }
    for end in ends {
        found = found.shown_by(&in_time(view.log, end.observations.iter().copied()));
    }
    Some(found)
}
