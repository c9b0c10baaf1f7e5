//! `jiebei collector run | keygen | export`.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

use super::args::{CollectorArguments, CollectorCommand, CollectorExport, CollectorRun};
use super::progress::stop_on_signals;
use super::{Conduct, Exit, Failure};
use crate::egress::token::EgressKey;
use crate::egress::witness::certificate::{self, CertificateError, Identity};
use crate::egress::witness::export::{self, ExportError, Wanted};
use crate::egress::witness::journal::JournalError;
use crate::egress::witness::sign::{self, BadSigningKey, Signer, Verifier};
use crate::egress::witness::{
    self, Counts, Event, LEAST_KEEP, LogTo, Offer, Options, Witness, WitnessError,
};
use crate::link::LinkError;
use crate::link::privilege::PrivilegeError;
use crate::sweep::profile::SecretRef;

const MIB: u64 = 1 << 20;

pub fn run(conduct: &Conduct, arguments: CollectorArguments) -> Result<Exit, Failure> {
    match arguments.command {
        CollectorCommand::Run(arguments) => collect(conduct, *arguments),
        CollectorCommand::Keygen { signing: false, out } => {
            let key = egress_keygen(conduct)?;
            hand_out(conduct, &key, out.as_deref())
        }
        CollectorCommand::Keygen { signing: true, out } => {
            let (private, public) =
                sign::keygen().map_err(|fault| of_signing_key(conduct, &fault))?;
            conduct.tell(&conduct.say("cli-collector-public", &[("public", public.into())]));
            hand_out(conduct, &private, out.as_deref())
        }
        CollectorCommand::Export(arguments) => export(conduct, &arguments),
    }
}

fn collect(conduct: &Conduct, arguments: CollectorRun) -> Result<Exit, Failure> {
    let options = options(conduct, arguments)?;
    let witness = Witness::open(options).map_err(|fault| of_witness(conduct, &fault))?;
    let stop = stop_on_signals(conduct)?;
    let counts = witness
        .run(&stop, &mut |event| tell(conduct, &event))
        .map_err(|fault| of_witness(conduct, &fault))?;
    tell(conduct, &Event::Counts(counts));
    Ok(Exit::Done)
}

fn options(conduct: &Conduct, arguments: CollectorRun) -> Result<Options, Failure> {
    let usage = |key: &str| Failure::usage(conduct.say(key, &[]));
    let key = egress_key(conduct, &arguments.key)?;
    let token = arguments
        .token
        .map(|token| {
            String::from_utf8(secret(conduct, &token)?)
                .ok()
                .filter(|token| {
                    !token.is_empty() && token.bytes().all(|octet| octet.is_ascii_graphic())
                })
                .ok_or_else(|| usage("cli-collector-token"))
        })
        .transpose()?;
    let client_authority = arguments
        .client_authority
        .map(|path| {
            let text = read(conduct, &path)?;
            certificate::authorities(&text).map_err(|fault| of_certificate(conduct, &path, &fault))
        })
        .transpose()?;
    let identity = match (&arguments.certificate, &arguments.certificate_key) {
        (Some(certificate), Some(key)) => {
            let identity = Identity::read(&read(conduct, certificate)?, &read(conduct, key)?);
            Some(identity.map_err(|fault| of_certificate(conduct, certificate, &fault))?)
        }
        _ => None,
    };
    let signer = arguments.signing_key.map(|reference| signer(conduct, &reference)).transpose()?;
    let offer = match arguments.listen {
        None => None,
        Some(_) if token.is_none() && client_authority.is_none() => {
            return Err(usage("cli-collector-nobody-may-ask"));
        }
        Some(listen) => Some(Offer { listen, token, client_authority }),
    };
    let keep = arguments.keep.map_or(witness::KEEP, |keep| keep.saturating_mul(MIB));
    if keep < LEAST_KEEP {
        let least = [("least", (LEAST_KEEP / MIB).into())];
        return Err(Failure::usage(conduct.say("cli-collector-keep", &least)));
    }
    let log = match arguments.log {
        Some(path) => LogTo::File { path, keep },
        None if offer.is_some() => return Err(usage("cli-collector-no-log")),
        None => LogTo::Stream(Box::new(std::io::stdout())),
    };
    Ok(Options {
        interface: arguments.interface,
        key,
        zone: arguments.zone,
        log,
        offer,
        identity,
        signer,
        user: arguments.user.unwrap_or_else(|| witness::USER.to_owned()),
    })
}

fn egress_keygen(conduct: &Conduct) -> Result<String, Failure> {
    let mut octets = [0; 32];
    SystemRandom::new()
        .fill(&mut octets)
        .map_err(|_| Failure::in_part(conduct.say("cli-collector-no-randomness", &[])))?;
    Ok(EgressKey::from_bytes(octets).to_hex())
}

/// A private key on stdout, or in a new file that its owner alone reads.
fn hand_out(conduct: &Conduct, private: &str, out: Option<&Path>) -> Result<Exit, Failure> {
    let Some(path) = out else {
        conduct.put(private)?;
        return Ok(Exit::Done);
    };
    let mut file = std::fs::OpenOptions::new();
    let written = file
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| writeln!(file, "{private}").and_then(|()| file.sync_all()));
    written.map_err(|cause| match cause.kind() {
        std::io::ErrorKind::AlreadyExists => {
            let path = [("path", path.display().to_string().into())];
            Failure::usage(conduct.say("cli-collector-exists", &path))
        }
        _ => Failure::in_part(of_file(conduct, path, &cause)),
    })?;
    Ok(Exit::Done)
}

fn export(conduct: &Conduct, arguments: &CollectorExport) -> Result<Exit, Failure> {
    let key = egress_key(conduct, &arguments.key)?;
    let verifier = arguments
        .verify_key
        .as_deref()
        .map(|text| Verifier::read(text).map_err(|fault| of_signing_key(conduct, &fault)))
        .transpose()?;
    let signer = arguments.signing_key.as_deref().map(|text| signer(conduct, text)).transpose()?;
    let wanted =
        Wanted { sweep: arguments.sweep.as_deref(), since: arguments.since, verifier, signer };
    let to_file = arguments.out.as_deref().filter(|out| *out != Path::new("-"));
    let count = match to_file {
        None => {
            let mut stdout = std::io::stdout().lock();
            export::export(&arguments.log, &key, &wanted, &mut stdout)
                .map_err(|fault| of_export(conduct, &fault))?
        }
        Some(path) => {
            let failed = |cause: std::io::Error| Failure::in_part(of_file(conduct, path, &cause));
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
                .map_err(failed)?;
            let count = export::export(&arguments.log, &key, &wanted, &mut file)
                .map_err(|fault| of_export(conduct, &fault))?;
            file.as_file().sync_all().map_err(failed)?;
            file.persist(path).map_err(|fault| failed(fault.error))?;
            count
        }
    };
    conduct.tell(&conduct.say("cli-collector-exported", &[("count", count.into())]));
    Ok(Exit::Done)
}

/// What happens meanwhile, for stderr.
fn tell(conduct: &Conduct, event: &Event) {
    match event {
        Event::Started { canaries, pin } => {
            let list: Vec<_> = canaries.iter().map(ToString::to_string).collect();
            conduct.remark(
                &conduct.say("cli-collector-started", &[("canaries", list.join(" ").into())]),
            );
            if let Some(pin) = pin {
                conduct.remark(&conduct.say("cli-collector-pin", &[("pin", pin.clone().into())]));
            }
        }
        Event::Cut(octets) => {
            conduct.remark(&conduct.say("cli-collector-cut", &[("octets", (*octets).into())]));
        }
        Event::Counts(counts) => conduct.remark(&sentence(conduct, counts)),
        Event::LogFails(why) => {
            conduct
                .remark(&conduct.say("cli-collector-log-fails", &[("cause", why.clone().into())]));
        }
        Event::LogWorks => conduct.remark(&conduct.say("cli-collector-log-works", &[])),
    }
}

fn sentence(conduct: &Conduct, counts: &Counts) -> String {
    conduct.say(
        "cli-collector-counts",
        &[
            ("received", counts.received.into()),
            ("recognised", counts.recognised.into()),
            ("repeated", counts.repeated.into()),
            ("logged", counts.logged.into()),
            ("kernel", counts.dropped_by_kernel.into()),
            ("here", counts.dropped_here.into()),
        ],
    )
}

/// A secret by reference, by the path of a file that is there, or as it stands.
fn secret(conduct: &Conduct, text: &str) -> Result<Vec<u8>, Failure> {
    let reference = match SecretRef::of(text) {
        Some(reference) => reference,
        None if Path::new(text).is_file() => SecretRef::File(text.to_owned()),
        None => return Ok(text.as_bytes().to_vec()),
    };
    match reference.resolve() {
        Ok(secret) => Ok(secret.reveal().to_vec()),
        Err(fault) => {
            let cause = [("cause", fault.to_string().into())];
            Err(Failure::usage(conduct.say("cli-collector-secret", &cause)))
        }
    }
}

fn egress_key(conduct: &Conduct, text: &str) -> Result<EgressKey, Failure> {
    let octets = secret(conduct, text)?;
    std::str::from_utf8(&octets)
        .ok()
        .and_then(|text| EgressKey::from_hex(text).ok())
        .ok_or_else(|| Failure::usage(conduct.say("cli-collector-key", &[])))
}

fn signer(conduct: &Conduct, text: &str) -> Result<Signer, Failure> {
    let octets = secret(conduct, text)?;
    Signer::read(&String::from_utf8_lossy(&octets)).map_err(|fault| of_signing_key(conduct, &fault))
}

fn of_signing_key(conduct: &Conduct, fault: &BadSigningKey) -> Failure {
    let key = match fault {
        BadSigningKey::NotAKey => "cli-collector-signing-key",
        BadSigningKey::NoRandomness => "cli-collector-no-randomness",
        BadSigningKey::NotBuilt => "cli-collector-no-sm2",
    };
    Failure::usage(conduct.say(key, &[]))
}

fn read(conduct: &Conduct, path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|cause| Failure::usage(of_file(conduct, path, &cause)))
}

fn of_file(conduct: &Conduct, path: &Path, cause: &std::io::Error) -> String {
    let arguments =
        [("path", path.display().to_string().into()), ("cause", cause.to_string().into())];
    conduct.say("cli-collector-file", &arguments)
}

fn of_certificate(conduct: &Conduct, path: &Path, fault: &CertificateError) -> Failure {
    let arguments =
        [("path", path.display().to_string().into()), ("cause", fault.to_string().into())];
    Failure::usage(conduct.say("cli-collector-certificate", &arguments))
}

fn broken(conduct: &Conduct, path: &str, line: u64, what: &str) -> Failure {
    let arguments =
        [("path", path.into()), ("line", line.into()), ("what", what.to_owned().into())];
    Failure::usage(conduct.say("cli-collector-log-broken", &arguments))
}

fn other_key(conduct: &Conduct, path: &str) -> Failure {
    let path = [("path", path.to_owned().into())];
    Failure::usage(conduct.say("cli-collector-other-key", &path))
}

fn of_export(conduct: &Conduct, fault: &ExportError) -> Failure {
    match fault {
        ExportError::File { path, cause } => {
            Failure::usage(of_file(conduct, &PathBuf::from(path), cause))
        }
        ExportError::OtherKey(path) => other_key(conduct, path),
        ExportError::Broken { path, line, what } => broken(conduct, path, *line, what),
        ExportError::Write(cause) => {
            let cause = [("cause", cause.to_string().into())];
            Failure::in_part(conduct.say("cli-collector-not-exported", &cause))
        }
    }
}

fn of_witness(conduct: &Conduct, fault: &WitnessError) -> Failure {
    let with_path = |key: &str, path: &str| {
        Failure::usage(conduct.say(key, &[("path", path.to_owned().into())]))
    };
    match fault {
        WitnessError::BadZone(zone) => {
            let zone: String = zone.chars().take(80).collect();
            Failure::usage(conduct.say("cli-collector-zone", &[("zone", zone.into())]))
        }
        WitnessError::NoInterface { name, known } => {
            let arguments = [("name", name.clone().into()), ("known", known.clone().into())];
            Failure::usage(conduct.say("cli-interface-unknown", &arguments))
        }
        WitnessError::NoCanary(name) => {
            let name = [("name", name.clone().into())];
            Failure::usage(conduct.say("cli-collector-no-canary", &name))
        }
        WitnessError::Link(LinkError::Down { interface }) => {
            let name = [("name", interface.clone().into())];
            Failure::in_part(conduct.say("cli-interface-down", &name))
        }
        WitnessError::Link(LinkError::Denied { .. }) => {
            Failure::in_part(conduct.say("cli-collector-rights", &[]))
        }
        WitnessError::Privilege(PrivilegeError::NoSuchUser(name)) => {
            let name = [("name", name.clone().into())];
            Failure::usage(conduct.say("cli-collector-no-user", &name))
        }
        WitnessError::Port { address, port, protocol, cause } => {
            let arguments = [
                ("port", format!("{protocol}/{port}").into()),
                ("address", address.to_string().into()),
                ("cause", cause.to_string().into()),
            ];
            Failure::in_part(conduct.say("cli-collector-port", &arguments))
        }
        WitnessError::Shield(fault) => {
            let cause = [("cause", fault.to_string().into())];
            Failure::in_part(conduct.say("cli-collector-shield", &cause))
        }
        WitnessError::Journal(fault) => match fault {
            JournalError::OtherKey(path) => other_key(conduct, path),
            JournalError::Broken { path, line, what } => broken(conduct, path, *line, what),
            JournalError::InUse(path) => with_path("cli-collector-log-in-use", path),
            JournalError::NotAFile(path) => with_path("cli-collector-log-no-file", path),
            JournalError::Gap(path) => with_path("cli-collector-log-gap", path),
            JournalError::File { path, cause } => {
                Failure::usage(of_file(conduct, &PathBuf::from(path), cause))
            }
        },
        other => {
            let cause = [("cause", other.to_string().into())];
            let paragraph = conduct.say("cli-collector-failed", &cause);
            if other.is_usage() { Failure::usage(paragraph) } else { Failure::in_part(paragraph) }
        }
    }
}

/// A moment on the command line: RFC 3339, or a day, which begins at midnight in +08:00.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let day: jiff::civil::Date = text.parse().map_err(|fault: jiff::Error| fault.to_string())?;
    let midnight = day.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(8)));
    midnight.map(|midnight| midnight.timestamp()).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_beijing() {
        assert_eq!(moment("2026-11-25").unwrap().to_string(), "2026-11-24T16:00:00Z");
        assert_eq!(moment("2026-11-25T01:02:03+08:00").unwrap().as_second() % 60, 3);
        assert!(moment("yesterday").is_err());
    }
}
