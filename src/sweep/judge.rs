//! From observations to a result in its folder: the part that a sweep, a replay, a listening and a
//! later audit have in common. Nothing here sends, listens or asks the clock.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;

use crate::audit::{self, Regulation};
use crate::inventory::{self, Context};
use crate::link::capture::Section;
use crate::link::privilege;
use crate::net::{AddressSet, Prefix};
use crate::observe::{Log, VantageId};
use crate::registry::{Index, Registry};
use crate::report;
use crate::result::evidence::{EvidencePlan, Frames};
use crate::result::v1::{Severity, Sweep, SweepNotice, SweepResult};
use crate::result::{self, Folder, names, observations};
use crate::texts::Texts;

/// What is judged, and by what.
pub struct Case<'a> {
    pub sweep: Sweep,
    pub log: &'a Log,
    pub context: Context,
    pub registry: Option<Arc<Registry>>,
    /// The day the sweep started, in +08:00.
    pub day: Date,
    pub unit: Option<String>,
    pub exclude: AddressSet,
    pub regulation: &'a Regulation,
    pub severity: BTreeMap<String, Severity>,
    /// What was not done, and why, by prefix and vantage; in the result's language.
    pub why_not: BTreeMap<(Prefix, VantageId), String>,
    pub texts: &'a Texts,
}

/// The code of notices about what was heard.
const HEARD: &str = "heard";

/// Folds, audits and assembles.
pub fn judge(case: Case<'_>, frames: &mut dyn Frames) -> (SweepResult, EvidencePlan) {
    let inventory = inventory::fold(case.log, &case.context);
    let index = case.registry.map(|registry| Index::new(registry, case.day));
    let audit = audit::audit(&audit::Input {
        inventory: &inventory,
        log: case.log,
        registry: index.as_ref(),
        context: &case.context,
        unit: case.unit,
        exclude: case.exclude,
        regulation: case.regulation,
        severity: case.severity,
    });
    let mut sweep = Sweep { unit: audit.unit.clone(), ..case.sweep };
    // Of a listening alone: among the questions of a sweep others behave oddly for good reasons.
    if sweep.packets_sent == 0 {
        sweep.notices.retain(|notice| notice.code != HEARD);
        sweep.notices.extend(audit.remarks.iter().map(|remark| SweepNotice {
            code: HEARD.to_owned(),
            text: audit::say_remark(remark, case.log, case.texts),
        }));
    }
    result::assemble(
        result::Parts {
            sweep,
            inventory: &inventory,
            context: &case.context,
            audit: &audit,
            log: case.log,
            regulation: case.regulation,
            texts: case.texts,
            why_not: &case.why_not,
        },
        frames,
    )
}

/// Writes everything that a result folder holds: observations and evidence first, so that the result can
/// name their digests, the reports last.
pub fn put(
    out: &Path,
    result: &mut SweepResult,
    plan: &EvidencePlan,
    frames: &mut dyn Frames,
    log: &Log,
    texts: &Texts,
) -> io::Result<()> {
    let own = |file: &File| privilege::give_to_owner(file);
    let folder = Folder::open(out, Some(&own))?;
    let header = observations::Header::new(&result.sweep.id, &result.sweep.generator, log);
    let kept =
        folder.put(names::OBSERVATIONS, &mut |file| observations::write(&header, log, file))?;
    let evidence = folder.put(names::EVIDENCE, &mut |file| {
        let section = Section {
            application: result.sweep.generator.clone(),
            comments: vec![format!("sweep {}", result.sweep.id)],
        };
        result::evidence::write(plan, frames, &result.sweep.vantages, &section, file)
    })?;
    result.sweep.files = vec![kept, evidence];
    folder.put(names::RESULT, &mut |file| result::write_to(result, file))?;
    let formats: Vec<_> = report::beside().collect();
    report::put(&folder, result, texts, &formats)?;
    Ok(())
}

/// The day of an instant where the registry's dates are reckoned: +08:00.
pub fn day_of(at: jiff::Timestamp) -> Date {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8))).date()
}
