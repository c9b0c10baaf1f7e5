//! `jiebei watch`: listening only.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::args::{OutputFormat, WatchArguments, WatchFormat};
use super::progress::{TerminalReporter, stop_on_signals};
use super::sweep::{Destination, conclude, regulation, source_of, tell, warnings};
use super::vigil::{self, Rules};
use super::{Conduct, Exit, Failure, explain, profile as profiles, registry as registries};
use crate::link::Filter;
use crate::sweep::profile::Hear;
use crate::sweep::{self, End, SweepError, vantage};

pub fn run(conduct: &Conduct, arguments: WatchArguments) -> Result<Exit, Failure> {
    let profile =
        arguments.profile.as_deref().map(|name| profiles::load(conduct, name)).transpose()?;
    let loaded = arguments.registry.as_deref().map(|source| registries::load(conduct, source));
    let loaded = loaded.transpose()?;
    let name = profile.as_ref().map_or(explain::REGULATION, |p| p.audit.regulation.as_str());
    let rules = Rules {
        regulation: regulation(conduct, name)?,
        severity: profile.as_ref().map(|p| p.audit.severity.clone()).unwrap_or_default(),
    };
    let out = arguments.out.clone().unwrap_or_else(|| {
        let local = Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
        PathBuf::from(format!("jiebei-watch-{}", local.strftime("%Y%m%d-%H%M%S")))
    });
    if arguments.read.is_empty() {
        let stations = vantage::stations(&arguments.interface, &crate::net::AddressSet::default())
            .map_err(|fault| Failure::usage(super::sweep::fault_of_vantage(conduct, &fault)))?;
        let hear = arguments.hear.or_else(|| profile.map(|profile| profile.passive.hear));
        let filter = match hear.unwrap_or(Hear::Everything) {
            Hear::Everything => Filter::Everything,
            Hear::Openings => Filter::Openings,
        };
        return vigil::run(conduct, &arguments, loaded, &rules, filter, &stations, &out);
    }
    let stop = stop_on_signals(conduct)?;
    let mut reporter = TerminalReporter::new(conduct, stop);
    let mut head = sweep::watch_head(
        &[],
        arguments.unit.clone(),
        loaded.as_ref().map(source_of),
        loaded.as_ref().map(|loaded| warnings(conduct, loaded)).unwrap_or_default(),
        conduct.texts.language(),
    );
    head.regulation = Some(rules.regulation.name.clone());
    let swept = sweep::watch(&arguments.read, head, &out, &mut reporter);
    reporter.finish();
    if swept.is_err() {
        // Removes only what is empty: the folder that was made for this result.
        let _ = std::fs::remove_dir(&out);
    }
    let swept = swept.map_err(|fault| match fault {
        SweepError::Capture(fault) => Failure::usage(
            conduct.say("cli-capture-refused", &[("cause", fault.to_string().into())]),
        ),
        fault => super::sweep::fault_of_sweep(conduct, &fault),
    })?;
    if let End::Failed(why) = &swept.end {
        conduct.tell(&conduct.say("cli-capture-damaged", &[("cause", why.clone().into())]));
    }
    let registry = loaded.map(|loaded| Arc::new(loaded.registry));
    let outcome = conclude(conduct, swept, registry, &rules.regulation, rules.severity, &out)?;
    if arguments.format == Some(WatchFormat::Jsonl) {
        for finding in &outcome.result.findings {
            vigil::put_line(conduct, finding)?;
        }
    }
    let format = (arguments.format == Some(WatchFormat::Json)).then_some(OutputFormat::Json);
    tell(conduct, &Destination { format, fail_on: arguments.fail_on, out: &out }, &outcome)
}
