//! Listening to capture files. Links are listened to by [`Vigil`](super::vigil::Vigil).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{fs, io};

use jiff::Timestamp;
use uuid::Uuid;

use super::conductor::{End, Reporter, Seen, SweepError, Swept, WhyNot, inventoried};
use super::intake::{Intake, lock};
use super::live::Live;
use super::record::{Head, Record};
use super::spool::Spool;
use super::tape::Tape;
use super::vantage::Station;
use crate::link::capture::{CaptureError, Item, Reader};
use crate::link::privilege;
use crate::net::{Mac, Prefix};
use crate::observe::{Fact, Log, Source, VantageId};
use crate::result::v1;
use crate::texts::Language;

/// Frames read between two looks at whether to stop.
const BETWEEN_LOOKS: u64 = 4096;

/// Reads files to their end, or until it is stopped. `out` is where the result will be written: privileges are dropped to its
/// owner's.
pub fn watch(
    files: &[PathBuf],
    mut head: v1::Sweep,
    out: &Path,
    reporter: &mut dyn Reporter,
) -> Result<Swept, SweepError> {
    let spool =
        Spool::temporary().map_err(|cause| SweepError::Io { path: "spool".into(), cause })?;
    let tape = Arc::new(Mutex::new(Tape::new(spool, [])));
    let mut intake = Intake::new(Log::default(), Arc::clone(&tape), Vec::new());
    let (vantages, end) = read(files, out, &mut intake, &mut head, reporter)?;
    head.packets_received = intake.received;
    head.finished_at = intake.last_at().unwrap_or_else(Timestamp::now).to_string();
    if let Some(first) = intake.first_at() {
        head.started_at = first.to_string();
    }
    head.complete = matches!(end, End::Complete);
    if let End::Failed(why) = &end {
        head.notices.push(v1::SweepNotice { code: "capture-damaged".into(), text: why.clone() });
    }
    let skipped = intake.skipped();
    if skipped > 0 {
        let text = skipped.to_string();
        head.notices.push(v1::SweepNotice { code: "frames-not-read".into(), text });
    }
    {
        let mut tape = lock(&tape);
        let flushed = tape.spool.flush();
        tape.note(flushed);
    }
    let why_not = BTreeMap::<(Prefix, VantageId), WhyNot>::new();
    Ok(Swept { head, log: std::mem::take(&mut intake.log), tape, why_not, end, vantages })
}

/// Reads files one after the other. One that cannot be read at all is an error; one that is damaged
/// further down is read as far as it goes, and the result is incomplete.
fn read(
    files: &[PathBuf],
    out: &Path,
    intake: &mut Intake,
    head: &mut v1::Sweep,
    reporter: &mut dyn Reporter,
) -> Result<(Vec<crate::inventory::Vantage>, End), SweepError> {
    let mut vantages = Vec::new();
    let mut end = End::Complete;
    // Every file is opened before the capabilities go, and read after.
    let mut inputs: Vec<(&PathBuf, Box<dyn io::Read + Send>)> = Vec::new();
    for path in files {
        let input: Box<dyn io::Read + Send> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let opened = fs::File::open(path);
            let cause = |cause| SweepError::Io { path: path.display().to_string(), cause };
            Box::new(opened.map_err(cause)?)
        };
        inputs.push((path, input));
    }
    // Who sweeps is no station of the link to himself, and is none to whom he gives his record.
    let heads: Vec<Option<Head>> = files.iter().map(|path| Record::head_of(path)).collect();
    privilege::create_folder(out)
        .map_err(|cause| SweepError::Io { path: out.display().to_string(), cause })?;
    privilege::drop_for(out)?;
    for (place, (path, input)) in inputs.into_iter().enumerate() {
        let vantage = VantageId(u16::try_from(place).unwrap_or(u16::MAX));
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| "-".to_owned());
        reporter.pass("read", &name, 0);
        let mut reader = Reader::new(path.display().to_string(), input)?;
        let recorded = heads.get(place).and_then(Option::as_ref);
        let stood = recorded.map(|head| head.vantages.as_slice()).unwrap_or_default();
        let mac = stood.first().and_then(|stood| stood.mac);
        let addresses: Vec<_> = stood.iter().flat_map(|stood| stood.addresses.clone()).collect();
        let at = recorded.and_then(|head| head.sweep.started_at.parse().ok());
        for stood in stood {
            for &(address, length) in &stood.addresses {
                let prefix = Prefix::of(address, length);
                let fact = Fact::Interface { address, prefix, mac: stood.mac.unwrap_or(Mac::ZERO) };
                intake.note(at.unwrap_or_default(), vantage, Source::Interface, fact, &[]);
            }
        }
        head.vantages.push(v1::Vantage {
            interface: name.clone(),
            mac: mac.map(|mac| mac.to_string()),
            addresses: addresses.iter().map(|(ip, length)| format!("{ip}/{length}")).collect(),
            io: None,
        });
        vantages.push(inventoried(mac, &name, &addresses));
        let mut frames = 0u64;
        let mut told = Instant::now();
        while let Some(item) = reader.next() {
            let frame = match item {
                Ok(Item::Frame(frame)) => frame,
                Ok(_) => continue,
                Err(fault) if frames == 0 => return Err(fault.into()),
                Err(fault) => {
                    end = End::Failed(fault.to_string());
                    break;
                }
            };
            intake.heard(vantage, frame.at, frame.link_type, frame.bytes, frame.length, None);
            frames += 1;
            if frames.is_multiple_of(BETWEEN_LOOKS) {
                if told.elapsed() > Duration::from_millis(250) {
                    told = Instant::now();
                    reporter.listening(Duration::ZERO, seen(intake));
                }
                if reporter.stopping() {
                    return Ok((vantages, End::Interrupted));
                }
            }
        }
    }
    Ok((vantages, end))
}

fn seen(intake: &Intake) -> Seen {
    let live: &Live = &intake.live;
    Seen {
        received: intake.received,
        stations: live.stations.values().map(std::collections::BTreeSet::len).sum(),
        answered: live.answered.len(),
        ports: live.ports,
    }
}

/// The head of a listening.
pub fn watch_head(
    stations: &[Station],
    unit: Option<String>,
    registry: Option<v1::RegistrySource>,
    notices: Vec<v1::SweepNotice>,
    language: Language,
) -> v1::Sweep {
    let now = Timestamp::now().to_string();
    v1::Sweep {
        id: Uuid::now_v7().to_string(),
        profile: "passive".to_owned(),
        started_at: now.clone(),
        finished_at: now,
        complete: false,
        authorisation: v1::Authorisation::default(),
        registry,
        unit_given: unit.is_some(),
        unit,
        vantages: stations
            .iter()
            .map(|station| v1::Vantage {
                interface: station.interface.clone(),
                mac: Some(station.mac.to_string()),
                addresses: station.addresses.iter().map(|(a, l)| format!("{a}/{l}")).collect(),
                io: None,
            })
            .collect(),
        packets_sent: 0,
        packets_received: 0,
        packets_dropped: 0,
        passes: Vec::new(),
        notices,
        generator: super::GENERATOR.to_owned(),
        language: language.word().to_owned(),
        regulation: Some("hunan-2026".to_owned()),
        rate: None,
        egress: None,
        files: Vec::new(),
    }
}

impl From<CaptureError> for SweepError {
    fn from(fault: CaptureError) -> SweepError {
        SweepError::Capture(Box::new(fault))
    }
}
