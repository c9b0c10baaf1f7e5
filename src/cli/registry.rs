//! `jiebei registry check | convert | template`, and how every other command loads a registry.

use serde_json::json;

use super::args::{OutputFormat, RegistryArguments, RegistryCommand};
use super::{Conduct, Exit, Failure};
use crate::registry::read::Token;
use crate::registry::{self, Fault, Loaded, ReadOptions, Refused, Severity};

/// The environment's name of the NetBox token: secrets are never on a command line.
const TOKEN: &str = "JIEBEI_NETBOX_TOKEN";
/// A PEM file of roots to trust for the NetBox beside the usual.
const ROOTS: &str = "JIEBEI_NETBOX_ROOTS";

pub fn run(conduct: &Conduct, arguments: RegistryArguments) -> Result<Exit, Failure> {
    match arguments.command {
        RegistryCommand::Check { registry, format } => check(conduct, &registry, format),
        RegistryCommand::Convert { registry, out } => {
            let loaded = load(conduct, &registry)?;
            registry::convert(&loaded, &out)
                .map_err(|fault| Failure::in_part(fault.sentence(&conduct.texts)))?;
            conduct.tell(&conduct.say(
                "cli-registry-converted",
                &[("out", out.display().to_string().into()), ("rows", rows(&loaded).into())],
            ));
            Ok(Exit::Done)
        }
        RegistryCommand::Template { dir } => {
            registry::template(&dir, conduct.texts.language())
                .map_err(|fault| Failure::in_part(fault.sentence(&conduct.texts)))?;
            let arguments = [("dir", dir.display().to_string().into())];
            conduct.tell(&conduct.say("cli-registry-template", &arguments));
            Ok(Exit::Done)
        }
    }
}

/// The day in +08:00, in which the registry's dates are reckoned.
pub fn today() -> jiff::civil::Date {
    crate::sweep::day_of(jiff::Timestamp::now())
}

fn options() -> ReadOptions {
    let mut options = ReadOptions::on(today());
    options.token = std::env::var(TOKEN).ok().map(|token| Token::new(&token));
    options.roots = std::env::var_os(ROOTS).map(Into::into);
    options
}

fn check(conduct: &Conduct, source: &str, format: Option<OutputFormat>) -> Result<Exit, Failure> {
    let (faults, loaded) = match registry::read(source, &options()) {
        Ok(loaded) => (loaded.warnings.clone(), Some(loaded)),
        Err(refused) => (refused.faults, None),
    };
    if format == Some(OutputFormat::Json) {
        let listed: Vec<_> = faults.iter().map(|fault| as_json(conduct, fault)).collect();
        let said = json!({
            "source": source,
            "accepted": loaded.is_some(),
            "sha256": loaded.as_ref().map(|loaded| loaded.sha256.clone()),
            "faults": listed,
        });
        conduct.put(format_args!("{said:#}"))?;
    } else if !faults.is_empty() {
        conduct.put(registry::draw(&faults, &conduct.texts, conduct.width()))?;
    }
    let count = |severity| faults.iter().filter(|fault| fault.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let numbers = [("errors", errors.into()), ("warnings", warnings.into())];
    match loaded {
        Some(loaded) => {
            let rows = ("rows", rows(&loaded).into());
            conduct.tell(&conduct.say("cli-registry-good", &[rows, numbers[1].clone()]));
            Ok(Exit::Done)
        }
        None => Err(Failure::usage(conduct.say("cli-registry-refused", &numbers))),
    }
}

fn as_json(conduct: &Conduct, fault: &Fault) -> serde_json::Value {
    json!({
        "severity": match fault.severity { Severity::Error => "error", Severity::Warning => "warning" },
        "code": fault.kind.word(),
        "table": fault.table.map(|table| table.name()),
        "file": fault.file.raw(),
        "row": fault.row,
        "column": fault.column.as_ref().map(|column| column.raw()),
        "value": fault.value.raw(),
        "message": fault.sentence(&conduct.texts),
        "mend": fault.mend(&conduct.texts),
    })
}

fn rows(loaded: &Loaded) -> usize {
    let registry = &loaded.registry;
    registry.units.len()
        + registry.segments.len()
        + registry.devices.len()
        + registry.egresses.len()
        + registry.assets.len()
        + registry.services.len()
        + registry.notices.len()
        + registry.waivers.len()
}

/// A registry that may be used; its warnings are told, and kept by who asked.
///
/// Read by threads of its own, which end with it: capabilities are a thread's, and those that were
/// started before a sweep drops them would keep them.
pub fn load(conduct: &Conduct, source: &str) -> Result<Loaded, Failure> {
    let options = options();
    let read = match rayon::ThreadPoolBuilder::new().build() {
        Ok(threads) => threads.install(|| registry::read(source, &options)),
        Err(_) => registry::read(source, &options),
    };
    match read {
        Ok(loaded) => {
            if !loaded.warnings.is_empty() {
                conduct.tell(&registry::draw(&loaded.warnings, &conduct.texts, conduct.width()));
            }
            Ok(loaded)
        }
        Err(refused) => Err(complaint(conduct, &refused)),
    }
}

fn complaint(conduct: &Conduct, refused: &Refused) -> Failure {
    let drawn = registry::draw(&refused.faults, &conduct.texts, conduct.width());
    let errors = refused.errors().count();
    let warnings = refused.faults.len() - errors;
    let numbers = [("errors", errors.into()), ("warnings", warnings.into())];
    Failure::usage(format!("{}\n{drawn}", conduct.say("cli-registry-refused", &numbers)))
}
