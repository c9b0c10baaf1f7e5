//! `jiebei watch`: listening only.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::args::WatchArguments;
use super::progress::{TerminalReporter, stop_on_signals};
use super::sweep::{Destination, conclude, regulation, source_of, tell, warnings};
use super::{Conduct, Exit, Failure, explain, registry as registries};
use crate::sweep::{self, Ears, End, SweepError, vantage};

pub fn run(conduct: &Conduct, arguments: WatchArguments) -> Result<Exit, Failure> {
    let loaded = arguments.registry.as_deref().map(|source| registries::load(conduct, source));
    let loaded = loaded.transpose()?;
    let regulation = regulation(conduct, explain::REGULATION)?;
    let stations = if arguments.read.is_empty() {
        vantage::stations(&arguments.interface, &crate::net::AddressSet::default())
            .map_err(|fault| Failure::usage(super::sweep::fault_of_vantage(conduct, &fault)))?
    } else {
        Vec::new()
    };
    let stop = stop_on_signals(conduct)?;
    let mut reporter = TerminalReporter::new(conduct, stop);
    let head = sweep::watch_head(
        &stations,
        arguments.unit.clone(),
        loaded.as_ref().map(source_of),
        loaded.as_ref().map(|loaded| warnings(conduct, loaded)).unwrap_or_default(),
        conduct.texts.language(),
    );
    let ears = if arguments.read.is_empty() {
        let until = arguments.seconds.map(|seconds| Duration::from_secs(u64::from(seconds)));
        Ears::Links { stations: &stations, io: arguments.io, until }
    } else {
        Ears::Files(&arguments.read)
    };
    let out = arguments.out.clone().unwrap_or_else(|| {
        let local = Timestamp::now().to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
        PathBuf::from(format!("jiebei-watch-{}", local.strftime("%Y%m%d-%H%M%S")))
    });
    let swept = sweep::watch(&ears, head, &out, &mut reporter);
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
    let outcome = conclude(conduct, swept, registry, &regulation, Default::default(), &out)?;
    let destination =
        Destination { format: arguments.format, fail_on: arguments.fail_on, out: &out };
    tell(conduct, &destination, &outcome)
}
