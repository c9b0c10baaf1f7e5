//! What the collector saw: fetched from it, or read in its log, and held against what was sent.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::mpsc;

use super::egress::AFTER_LAST;
use super::*;
use crate::egress::ledger::{Extent, Findings, Ledger, MOST_OCTETS};
use crate::egress::receipt::{Entry, Receipt};
use crate::egress::witness::access::{self, FetchError};
use crate::egress::witness::journal;
use crate::scope::{Leave, Patience, To, Transport as By, Wanted};
use crate::sweep::witnessed;

/// Receipts of a large sweep are some megabytes, which come in small windows.
const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    turn: Duration::from_secs(10),
    whole: Duration::from_secs(90),
};
/// How long the fetching waits for its places under the ceilings.
const FOR_PLACES: Duration = Duration::from_secs(10);
/// Acknowledgements in a second, at most: as many as one address may get anyway.
const MOST_FRAMES: u32 = 36;
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

impl Conductor<'_> {
    /// Fetches what there is by now and puts down what is new. A collector that is down or lies is told; it
    /// stops nothing.
    pub(super) fn fetch_receipts(&mut self) -> Result<(), Halt> {
        if self.orders.egress.key.is_none() || self.ways.last_sent.is_none() {
            return Ok(());
        }
        self.witness_faults.clear();
        self.witness_remarks.clear();
        let mut text = String::new();
        if let Some(path) = &self.orders.profile.egress.witness_log {
            match self.witness_log.read(path) {
                Ok(log) => self.take_receipts(&log, Extent::Whole),
                Err(cause) => {
                    text = format!("{path}: {cause}");
                    self.witness_faults.insert(("witness-unreadable".to_owned(), text.clone()));
                }
            }
        }
        match self.fetch()? {
            None => {}
            Some(Ok(lines)) => self.take_receipts(&lines, Extent::Picked),
            Some(Err(fault)) => {
                text = fault.to_string();
                self.witness_faults.insert((code(&fault).to_owned(), text.clone()));
            }
        }
        if !text.is_empty() {
            tracing::warn!(cause = %text, "receipts");
        }
        Ok(())
    }

    /// Asks the collector, in a thread of its own; the conductor listens meanwhile.
    fn fetch(&mut self) -> Result<Option<Result<String, FetchError>>, Halt> {
        let (Some(access), Some(collector)) =
            (self.orders.egress.access.clone(), &self.orders.profile.egress.collector)
        else {
            return Ok(None);
        };
        let Some(station) = self.orders.stations.first() else { return Ok(None) };
        let began = self.world.now();
        let permit = loop {
            let now = self.world.now();
            let per_target = self.world.fence().ceilings().per_target;
            let wanted = Wanted {
                to: collector.address,
                whom: To::Collector,
                transport: By::Tcp,
                vantage: station.id,
                mac: Mac::ZERO,
                frames: MOST_FRAMES.min(per_target),
            };
            match self.world.fence().converse(&wanted, now) {
                Leave::Now(permit) => break permit,
                Leave::Later(wait) if now.saturating_sub(began) < FOR_PLACES => {
                    self.hear_for(wait.min(BETWEEN_LOOKS))?;
                }
                Leave::Later(_) => return Ok(Some(Err(FetchError::Timeout))),
                Leave::Refused(refusal) => {
                    let cause = std::io::Error::other(refusal.to_string());
                    return Ok(Some(Err(FetchError::Broken(cause))));
                }
            }
        };
        let (tell, told) = mpsc::channel();
        let (sweep, interface) = (self.head.id.clone(), station.interface.clone());
        std::thread::spawn(move || {
            let fetched = permit
                .connect(&interface, PATIENCE)
                .map_err(|cause| match cause.kind() {
                    std::io::ErrorKind::TimedOut => FetchError::Timeout,
                    _ => FetchError::Broken(cause),
                })
                .and_then(|stream| access::fetch(stream, &access, &sweep));
            // Nobody waits any more where the sweep was stopped.
            let _ = tell.send(fetched);
        });
        loop {
            match told.try_recv() {
                Ok(fetched) => return Ok(Some(fetched)),
                Err(mpsc::TryRecvError::Disconnected) => return Ok(Some(Err(FetchError::Timeout))),
                Err(mpsc::TryRecvError::Empty) => self.hear_for(BETWEEN_LOOKS)?,
            }
            if self.reporter.stopping() {
                return Err(Halt::Stopped);
            }
        }
    }

    /// The last look: what was sent last has had its time to arrive.
    pub(super) fn last_receipts(&mut self) -> Result<(), Halt> {
        let Some(last) = self.ways.last_sent else { return Ok(()) };
        let left = (last + AFTER_LAST).saturating_sub(self.world.now());
        self.reporter.pass("egress-receipts", "", 0);
        self.hear_for(left)?;
        self.note_answers();
        self.fetch_receipts()?;
        if self.reporter.stopping() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Holds a collector's lines against the sweep's probes.
    fn take_receipts(&mut self, text: &str, extent: Extent) {
        let findings: Findings =
            Ledger::of_log(self.ways.key(), &self.head.id, &self.intake.log).check(text, extent);
        for one in witnessed::receipts(&findings, &self.intake.log) {
            let fact = Fact::EgressReceipt(one.receipt);
            self.intake.note(one.at, one.vantage, one.source, fact, &[]);
        }
        for remark in witnessed::remarks(&findings) {
            self.witness_remarks.insert(remark.word, remark);
        }
    }
}

/// The published word of what went wrong.
fn code(fault: &FetchError) -> &'static str {
    match fault {
        FetchError::Denied(_) => "witness-denied",
        FetchError::OtherCertificate { .. }
        | FetchError::Untrusted(_)
        | FetchError::NothingToTrust
        | FetchError::Certificate(_) => "witness-certificate",
        FetchError::Expired | FetchError::NotYetValid => "witness-expired",
        FetchError::TooLarge(_) | FetchError::NotACollector => "witness-untrusted-answer",
        FetchError::Timeout
        | FetchError::Broken(_)
        | FetchError::Tls(_)
        | FetchError::Status(_)
        | FetchError::CutOff(_) => "witness-unreachable",
    }
}

/// A collector's log, with its older files. It is the collector's, who runs as somebody else: it is opened while we
/// still may.
#[derive(Debug, Default)]
pub(super) struct WitnessLog {
    open: Vec<File>,
}

impl WitnessLog {
    pub(super) fn open(path: Option<&String>) -> WitnessLog {
        let names = path.map(|path| journal::paths(path.as_ref())).unwrap_or_default();
        WitnessLog { open: names.into_iter().filter_map(|name| File::open(name).ok()).collect() }
    }

    /// All of it, oldest first. Where there was no log at the start there may be one by now.
    fn read(&mut self, path: &str) -> std::io::Result<String> {
        if self.open.is_empty() {
            self.open.push(File::open(path)?);
        }
        let (mut texts, mut left) = (Vec::new(), MOST_OCTETS);
        for file in &mut self.open {
            let mut octets = Vec::new();
            file.seek(SeekFrom::Start(0))?;
            file.take(left as u64).read_to_end(&mut octets)?;
            left -= octets.len();
            texts.push(String::from_utf8_lossy(&octets).into_owned());
        }
        // The files have no order; what they begin with has.
        texts.sort_by_key(|text| first_entry(text));
        Ok(texts.concat())
    }
}

/// The number of a text's first receipt; what has none comes last, where a torn line does no harm.
fn first_entry(text: &str) -> u64 {
    let line = text.lines().next().unwrap_or_default();
    let entry: Option<Entry> = serde_json::from_str(line).ok();
    let receipt: Option<Receipt> = entry.and_then(|e| serde_json::from_str(e.receipt.get()).ok());
    receipt.map_or(u64::MAX, |receipt| receipt.n)
}
