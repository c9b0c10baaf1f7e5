//! What the collector saw: fetched from it, or read in its log, and held against what was sent.

use super::egress::{AFTER_LAST, source_of};
use super::*;
use crate::egress::ledger::{Findings, Ledger, MOST_OCTETS};

impl Conductor<'_> {
    /// Fetches what there is by now and puts down what is new. A collector that is down or lies is told; it
    /// stops nothing.
    pub(super) fn fetch_receipts(&mut self) {
        let egress = &self.orders.profile.egress;
        if self.orders.egress.key.is_none() || self.ways.last_sent.is_none() {
            return;
        }
        self.witness_faults.clear();
        if let Some(path) = &egress.witness_log {
            match read_log(path) {
                Ok(text) => self.take_receipts(&text),
                Err(cause) => {
                    let text = format!("{path}: {cause}");
                    self.witness_faults.insert(("witness-unreadable".to_owned(), text));
                }
            }
        }
    }

    /// The last look: what was sent last has had its time to arrive.
    pub(super) fn last_receipts(&mut self) -> Result<(), Halt> {
        if let Some(last) = self.ways.last_sent {
            let due = last + AFTER_LAST;
            let left = due.saturating_sub(self.world.now());
            if !left.is_zero() {
                self.reporter.pass("egress-receipts", "", 0);
                self.hear_for(left)?;
            }
        }
        self.note_answers();
        self.fetch_receipts();
        if self.reporter.stopping() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Holds a collector's lines against the sweep's probes.
    pub(super) fn take_receipts(&mut self, text: &str) {
        let key = self.ways.key().clone();
        let Findings { receipts, faults, .. } =
            Ledger::of_log(&key, &self.head.id, &self.intake.log).check(text);
        let methods: BTreeMap<u32, _> = self
            .intake
            .log
            .iter()
            .filter_map(|(_, observation)| match &observation.fact {
                Fact::EgressProbe(probe) => Some((probe.number, probe.method)),
                _ => None,
            })
            .collect();
        let at = self.now();
        for (vantage, receipt) in receipts {
            let Some(method) = methods.get(&receipt.probe) else { continue };
            let seen_at = receipt.seen_at.unwrap_or(at);
            let fact = Fact::EgressReceipt(receipt);
            let source = source_of(*method);
            // Equal facts fold and count; a receipt that was fetched twice was seen once.
            if !self.intake.log.knows(vantage, source, &fact) {
                self.intake.note(seen_at, vantage, source, fact, &[]);
            }
        }
        for (word, faulty) in faults {
            let lines: Vec<String> = faulty.lines.iter().map(ToString::to_string).collect();
            let text = format!("{} × {}; {}", faulty.count, lines.join(" "), faulty.argument);
            self.witness_faults.insert((format!("witness-{word}"), text));
        }
    }
}

/// A collector's log, as far as it is read.
fn read_log(path: &str) -> std::io::Result<String> {
    use std::io::Read;
    let mut octets = Vec::new();
    std::fs::File::open(path)?.take(MOST_OCTETS as u64).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}
