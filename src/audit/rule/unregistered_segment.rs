use super::Rule;
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::View;
use crate::inventory::{Segment, SegmentSource};
use crate::net::special::{self, Purpose};
use crate::net::{AddressSet, Prefix};
use crate::registry::index::Approval;

/// # What it finds
/// A prefix in use that no approved segment covers: addresses in it were seen on the wire or answered
/// from beyond a router inside the scope, or a router, a DHCP server or a routing protocol states it.
///
/// # Why it matters
/// No unit may widen its access without consent: a segment that nobody approved is exactly that.
///
/// # Evidence
/// The frames of the hosts that use it (ARP, ND, answers to probes), of the router advertisement, of
/// the DHCP offer, of the routing protocol. The prefix is the tightest that they support: as stated,
/// else /24 or /64 around the addresses.
///
/// # When it stays silent
/// Approved segments of whatever unit that are valid on the day and cover the prefix, alone or together;
/// link-local addresses; the vantage's own setting, when nothing else uses its prefix; a route that is
/// only told and holds approved or tighter segments (an aggregate) or leads to the internet; a hop
/// outside the scope; a filed public prefix on the outer side of its own gateway.
///
/// # What refutes it
/// An approval of the prefix that is valid on the day of the sweep; or that the addresses were forged.
///
/// # Example
/// 10.20.1.0/24 is approved; 192.168.1.50 answers ARP on the same wire. Subject: 192.168.1.0/24.
pub(super) struct UnregisteredSegment;

/// Addresses that the detail lists at most.
const LISTED: usize = 32;

impl Rule for UnregisteredSegment {
    fn name(&self) -> &'static str {
        "unregistered-segment"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        for segment in &view.inventory.segments {
            if is_in_use(segment) && !is_covered(segment.prefix, view) && !is_aside(segment, view) {
                findings.put(found(self.name(), segment, view));
            }
        }
    }
}

/// Whether anything but the vantage's own setting shows it.
fn is_in_use(segment: &Segment) -> bool {
    segment.sources.keys().any(|source| *source != SegmentSource::Interface)
}

fn is_covered(prefix: Prefix, view: &View<'_>) -> bool {
    if view.index.approved_covering(prefix).is_some() {
        return true;
    }
    let approved: AddressSet = view
        .index
        .segments_within(prefix)
        .filter(|(_, approval)| *approval == Approval::Approved)
        .map(|(segment, _)| segment.prefix)
        .collect();
    !approved.is_empty() && approved.covers(prefix)
}

/// What is in use, yet no segment of the unit's.
fn is_aside(segment: &Segment, view: &View<'_>) -> bool {
    if !segment.on_link.is_empty() {
        return false;
    }
    let prefix = segment.prefix;
    let only = |source| segment.sources.keys().all(|of| *of == source);
    let is_told = segment.live == 0;
    let is_aggregate = || {
        view.index.segments_within(prefix).next().is_some()
            || view.inventory.segments.iter().any(|other| {
                other.prefix != prefix && prefix.covers(other.prefix) && is_in_use(other)
            })
    };
    let is_ours = || {
        view.context.scope.covers(prefix)
            || matches!(
                special::purpose(prefix.first()),
                Some(Purpose::Private | Purpose::UniqueLocal | Purpose::SharedSpace)
            )
    };
    if is_told {
        return is_aggregate() || !is_ours();
    }
    // Routers that are registered by address, seen only as hops.
    let are_registered_hops = || {
        only(SegmentSource::Traceroute)
            && addresses(segment, view).iter().all(|&ip| view.index.devices_at(ip).next().is_some())
    };
    are_registered_hops() || is_outer_side(segment, view)
}

/// Whether it lies in a filed public prefix and was reached by that egress's own gateway.
fn is_outer_side(segment: &Segment, view: &View<'_>) -> bool {
    view.index.registry().egresses.iter().any(|egress| {
        egress.public.iter().any(|public| public.covers(segment.prefix))
            && addresses(segment, view).iter().all(|&ip| {
                view.at(ip).all(|(_, device)| {
                    device.binding(ip).and_then(|binding| binding.via).is_some_and(|via| {
                        let station = view.inventory.stations.get(&via);
                        let gateway = station.and_then(|&at| view.inventory.devices.get(at));
                        let known: Vec<_> = view.index.gateway_addresses(egress).collect();
                        gateway.is_some_and(|gateway| {
                            gateway.addresses().any(|ip| known.contains(&ip))
                        })
                    })
                })
            })
    })
}

/// The live addresses that make the segment: those that no tighter one holds.
fn addresses(segment: &Segment, view: &View<'_>) -> Vec<std::net::IpAddr> {
    view.inventory
        .in_use
        .range(segment.prefix.first()..=segment.prefix.last())
        .filter(|(_, users)| !users.is_empty())
        .map(|(&ip, _)| ip)
        .filter(|&ip| {
            let tighter = view.index.segment(ip).map(|(row, _)| row.prefix);
            tighter.is_none_or(|row| row.length() <= segment.prefix.length())
        })
        .collect()
}

fn found(rule: &'static str, segment: &Segment, view: &View<'_>) -> Found {
    let live = addresses(segment, view);
    let unit = segment.on_link.iter().find_map(|&vantage| view.wire(vantage));
    let mut found =
        Found { rule, key: segment.prefix.to_string(), ips: live.clone(), ..Found::default() }
            .unit(unit.or(view.unit()))
            .subject(Subject { prefix: Some(segment.prefix), ..Subject::default() })
            .detail("sources", texts(segment.sources.keys().map(|source| source.word())))
            .detail("addresses", texts(live.iter().take(LISTED)))
            .detail("live", segment.live)
            .detail("on_link", !segment.on_link.is_empty());
    if !segment.gateways.is_empty() {
        found = found.detail("gateways", texts(&segment.gateways));
    }
    for (source, shown) in &segment.sources {
        if *source != SegmentSource::Interface {
            found = found.shown_by(shown);
        }
    }
    found
}
