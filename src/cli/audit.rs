//! `jiebei audit RESULT --registry REG`: a stored result held against a registry again, without a packet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::AuditArguments;
use super::sweep::{Destination, Judged, conclude_with, regulation, source_of, tell, warnings};
use super::{Conduct, Exit, Failure, profile as profiles, registry as registries, report, witness};
use crate::inventory::Vantage;
use crate::net::Prefix;
use crate::observe::{Fact, Log};
use crate::result::evidence::EvidenceFile;
use crate::result::{self, names, observations, v1};
use crate::sweep::End;

pub fn run(conduct: &Conduct, arguments: AuditArguments) -> Result<Exit, Failure> {
    let old = report::read(conduct, &arguments.result)?;
    let folder = folder_of(&arguments.result);
    let kept = folder.join(names::OBSERVATIONS);
    let (header, mut log) = observations::read(&kept).map_err(|fault| {
        Failure::usage(conduct.say("cli-result-refused", &[("cause", fault.to_string().into())]))
    })?;
    if header.sweep != old.sweep.id {
        let path = kept.display().to_string();
        return Err(Failure::usage(conduct.say("cli-other-sweep", &[("path", path.into())])));
    }
    let loaded = registries::load(conduct, &arguments.registry)?;
    let profile = match &arguments.profile {
        Some(name) => Some(profiles::load(conduct, name)?),
        None => None,
    };
    let name = old.sweep.regulation.clone().unwrap_or_default();
    let regulation = regulation(conduct, &name)?;
    let mut frames = EvidenceFile::open(&folder.join(names::EVIDENCE)).unwrap_or_default();
    let mut head = old.sweep.clone();
    head.registry = Some(source_of(&loaded));
    head.notices.retain(|notice| !notice.code.starts_with("registry-"));
    head.notices.extend(warnings(conduct, &loaded));
    if let Some(path) = &arguments.witness {
        let stated = profile.as_ref().and_then(|profile| profile.egress.key.as_ref());
        let key = witness::key(conduct, arguments.key.as_deref(), stated, &old.sweep)?;
        head.notices.retain(|notice| !notice.code.starts_with("witness-"));
        head.notices.extend(witness::read(conduct, path, &key, &old.sweep.id, &mut log)?);
    }
    let severity = profile.map(|profile| profile.audit.severity).unwrap_or_default();
    head.language = conduct.texts.language().word().to_owned();
    // The wire's unit is found anew by the registry given now, unless somebody named it.
    if let Some(unit) = &arguments.unit {
        head.unit = Some(unit.clone());
        head.unit_given = true;
    } else if !head.unit_given {
        head.unit = None;
    }
    let why_not = old
        .coverage
        .iter()
        .filter_map(|row| {
            let prefix: Prefix = row.prefix.parse().ok()?;
            let place = old.sweep.vantages.iter().position(|v| v.interface == row.vantage)?;
            let vantage = crate::observe::VantageId(u16::try_from(place).ok()?);
            Some(((prefix, vantage), result::why_not_of_prefix(row.why_not.as_deref()?)?))
        })
        .collect();
    let judged = Judged {
        vantages: vantages(&old, &log),
        head,
        log: &log,
        why_not,
        end: if old.sweep.complete { End::Complete } else { End::Failed(String::new()) },
    };
    // Where nothing is said about where to write, the old result stands: the new one goes beside it.
    let out = arguments.out.clone().unwrap_or_else(|| folder.join("audit"));
    let registry = Some(Arc::new(loaded.registry));
    let outcome =
        conclude_with(conduct, judged, registry, &regulation, severity, &mut frames, &out)?;
    let destination =
        Destination { format: arguments.format, fail_on: arguments.fail_on, out: &out };
    tell(conduct, &destination, &outcome)
}

fn folder_of(path: &Path) -> PathBuf {
    let file = result::locate(path);
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The vantages of a stored sweep. Their own observations say exactly what the result writes as text.
fn vantages(old: &v1::SweepResult, log: &Log) -> Vec<Vantage> {
    let mut vantages: Vec<Vantage> = old
        .sweep
        .vantages
        .iter()
        .map(|vantage| Vantage {
            interface: vantage.interface.clone(),
            mac: vantage.mac.as_deref().and_then(|mac| mac.parse().ok()),
            addresses: vantage
                .addresses
                .iter()
                .filter_map(|text| {
                    let (address, length) = text.split_once('/')?;
                    let address = address.parse().ok()?;
                    Some((address, Prefix::of(address, length.parse().ok()?)))
                })
                .collect(),
        })
        .collect();
    for (_, observation) in log.iter() {
        if let Fact::Interface { address, prefix, mac } = &observation.fact
            && let Some(vantage) = vantages.get_mut(usize::from(observation.vantage.0))
        {
            vantage.mac.get_or_insert(*mac);
            if !vantage.addresses.iter().any(|(known, _)| known == address) {
                vantage.addresses.push((*address, *prefix));
            }
        }
    }
    vantages
}
