use super::Rule;
use crate::audit::egress::{Way, Whose};
use crate::audit::finding::{Proof, Subject};
use crate::audit::findings::{Findings, Found, texts};
use crate::audit::view::View;
use crate::registry::model::{Egress, GatewayRef};

/// # What it finds
/// The gateway of a filed egress that shows a public address outside of the egress's filed `public` prefixes.
///
/// # Why it matters
/// What leaves there leaves by a line or an address that nobody has on file: nobody who looks for the unit in
/// the records of the internet side will find it.
///
/// # Evidence
/// The collector's record of a packet that was steered through the gateway, or of one that left by the same
/// address; the row it is held against.
///
/// # When it stays silent
/// Egresses without a stated `public`; those that have run out (that is `egress-filing-expired`); packets that
/// kept their sender's own address, for they show none of the gateway's; addresses in the `public` of any other
/// filed egress.
///
/// # What refutes it
/// A filing with that address, valid on the day of the sweep; or that the address is not the gateway's.
///
/// # Example
/// The unified egress is filed with 198.51.100.0/28; through its gateway the collector sees 203.0.113.9.
pub(super) struct EgressMismatch;

impl Rule for EgressMismatch {
    fn name(&self) -> &'static str {
        "egress-mismatch"
    }

    fn check(&self, view: &View<'_>, findings: &mut Findings) {
        for way in &view.ways {
            if let Whose::Mismatch(row) = way.whose {
                let found = of_egress(self.name(), way, row, view);
                findings.put(found.detail("expected", texts(&row.public)));
            }
        }
    }
}

/// A finding about a filed egress; its subject is the gateway.
pub(super) fn of_egress(rule: &'static str, way: &Way<'_>, row: &Egress, view: &View<'_>) -> Found {
    let device = way.device.and_then(|device| view.inventory.devices.get(device));
    let mut ips: Vec<_> = view.index.gateway_addresses(row).collect();
    ips.extend(device.into_iter().flat_map(|device| device.addresses()));
    ips.sort_unstable();
    ips.dedup();
    let mut found = Found {
        rule,
        unit: Some(row.unit.clone()),
        key: format!("egresses {} {}", row.unit, row.name),
        ips,
        macs: way.mac.into_iter().collect(),
        device: device.map(|device| device.id),
        name: Some(row.name.clone()),
        cap: way.cap,
        ..Found::default()
    }
    .subject(Subject { ip: way.ip, ..Subject::default() })
    .detail("registered_as", row.name.as_str())
    .detail("methods", texts(&way.methods))
    .detail("public_addresses", texts(&way.public));
    for id in &way.evidence {
        found = found.shown_by([id]);
    }
    let mut says = Vec::new();
    match &row.gateway {
        Some(GatewayRef::Address(ip)) => says.push(format!("gateway {ip}")),
        Some(GatewayRef::Device(name)) => says.push(format!("gateway {name}")),
        None => {}
    }
    if !row.public.is_empty() {
        let public: Vec<String> = row.public.iter().map(ToString::to_string).collect();
        says.push(format!("public {}", public.join(" ")));
    }
    if let Some(until) = row.valid_until {
        says.push(format!("valid_until {until}"));
    }
    found.held_against(Proof::Row {
        table: "egresses",
        key: format!("{} {}", row.unit, row.name),
        says: says.join("; "),
    })
}
