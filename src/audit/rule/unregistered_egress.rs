use super::Rule;
use crate::audit::egress::{Way, Whose};
use crate::audit::finding::Subject;
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::View;

/// # What it finds
/// A device that leads out to the internet by a way that is no filed egress: the collector on the internet side
/// saw it as an address in no filed `public` prefix; or a packet that was steered through it came out by a
/// ladder of hops that passes no filed gateway. One finding a device, with all methods and all public addresses.
///
/// # Why it matters
/// A unit leaves for the internet through the unified egress, or through one that is filed. Every other way out
/// is one that nobody watches, in both directions.
///
/// # Evidence
/// The question with its token and the collector's record of that token, for each method; the hops behind the
/// device. Two rounds of one method with fresh tokens prove it, two methods corroborate one another. What
/// is only told (UPnP, NAT-PMP), announced (a carrier's prefix, 6to4) or heard (answers from public
/// addresses) indicates it.
///
/// Where the collector saw the sender's own address, no NAT was passed, and the address says nothing. A UDP
/// request in the canary's name opens a new flow: untranslated, it did not pass a registered gateway that
/// translates what we send through it. An echo or a reset is translated by nobody: it counts where no
/// registered gateway leads out, or where it took fewer hops than through each of them (indicated). A packet
/// steered through a device counts by its ladder: nobody of a filed gateway answers behind it, and
/// somebody who is in no table does. Without a ladder it counts where no registered gateway leads out in that
/// family, or where the path is too short for one more hop before the gateway (indicated).
///
/// # When it stays silent
/// Whatever leaves through a filed egress that is valid on the day, whoever relays it, by its address, by the
/// ladder, or because a gateway shows the same address of itself; the gateway of a filed egress (that is
/// `egress-mismatch` or `egress-filing-expired`); hosts that leave by another device which is registered to
/// route; a resolver whose own packets leave by a filed egress, whoever asked the collector in the end; an
/// external address inside the scope or the registry; a carrier's prefix announced by a router through which IPv6
/// was steered in vain; everything that cannot be told from a way through a filed gateway.
///
/// # What refutes it
/// That the way passes a filed egress: its `public` prefixes or its gateway are other than the table says. Of a
/// resolver: that it hands its questions on by the filed egress to a resolver of somebody else.
///
/// # Example
/// 10.20.1.66 forwards; steered through it, two packets reach the collector from 203.0.113.66, which is filed
/// nowhere.
pub(super) struct UnregisteredEgress;

impl Rule for UnregisteredEgress {
    fn name(&self) -> &'static str {
        "unregistered-egress"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        let ways = view.ways.iter().filter(|way| way.whose == Whose::Unregistered);
        findings.extend(ways.map(|way| found(self.name(), way, view)));
    }
}

fn found(rule: &'static str, way: &Way<'_>, view: &View<'_>) -> Found {
    let device = way.device.and_then(|device| view.inventory.devices.get(device));
    let mut found = match device {
        Some(device) => Found::of_device(rule, device).unit(view.wire_of(device)),
        None => Found {
            rule,
            key: way.key.map(|key| key.id().to_string()).unwrap_or_default(),
            ips: way.ip.into_iter().collect(),
            macs: way.mac.into_iter().collect(),
            ..Found::default()
        }
        .unit(way.vantage.and_then(|vantage| view.wire(vantage))),
    };
    found.cap = way.cap;
    found = found
        .subject(Subject { ip: way.ip, mac: way.mac, ..Subject::default() })
        .detail("methods", texts(&way.methods))
        .detail("public_addresses", texts(&way.public));
    let networks = way.networks();
    if !networks.is_empty() {
        found = found.detail("networks", texts(networks));
    }
    if !way.hops.is_empty() {
        let hops = way.hops.iter().map(|(hop_limit, from)| format!("{hop_limit}: {from}"));
        found = found.detail("hops", texts(hops));
    }
    for id in &way.evidence {
        found = found.shown_by([id]);
    }
    found
}
