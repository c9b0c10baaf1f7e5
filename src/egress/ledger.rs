//! Receipts held against the probes of a sweep: which one is of which, and what is wrong with the rest.
//!
//! Nothing here stops a sweep: what is not right is told, by its line, and is no receipt.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::receipt::{self, BadEntry, Checked, GENESIS};
use super::token::{EgressKey, LIFE, SKEW, Token};
use crate::observe::{EgressProbe, EgressReceipt, Fact, Log, SeenBy, VantageId};

/// What is wrong with a line of a collector's log.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// Not an entry; what the reader says.
    Malformed(String),
    /// The last line has no end: it was being written, or was cut off.
    Truncated,
    /// No entry at all is of this egress key.
    OtherKey,
    /// Its chain value is wrong: changed, or made up.
    Forged,
    /// Its token was never made with this key, or was not for this canary or field.
    Untrue,
    /// By its mark it is of this sweep, which has no note of such a question: that part of the sweep was cut off
    /// before it was saved, or somebody with the key made it.
    Unkept,
    /// Entries before it are missing.
    Gap,
    /// It is of another sweep.
    OtherSweep,
    /// Its token was seen before.
    Replayed,
    /// It came after its token had expired, or before it was sent, by so many seconds.
    Late(i64),
    /// All receipts are off by so many seconds: the collector has another time than we.
    Clock(i64),
}

impl FaultKind {
    /// The published word; the key of its sentence is `sweep-witness-` and this.
    pub fn word(&self) -> &'static str {
        match self {
            FaultKind::Malformed(_) => "malformed",
            FaultKind::Truncated => "truncated",
            FaultKind::OtherKey => "other-key",
            FaultKind::Forged => "forged",
            FaultKind::Untrue => "untrue",
            FaultKind::Unkept => "unkept",
            FaultKind::Gap => "gap",
            FaultKind::OtherSweep => "other-sweep",
            FaultKind::Replayed => "replayed",
            FaultKind::Late(_) => "late",
            FaultKind::Clock(_) => "clock",
        }
    }

    /// What its sentence has to name.
    pub fn argument(&self) -> String {
        match self {
            FaultKind::Malformed(said) => said.clone(),
            FaultKind::Late(seconds) | FaultKind::Clock(seconds) => seconds.to_string(),
            _ => String::new(),
        }
    }
}

/// One kind of fault: how often, and the first lines it is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faulty {
    pub count: u64,
    /// From 1.
    pub lines: Vec<u64>,
    /// Of the first one.
    pub argument: String,
}

/// Lines named of each kind.
const MOST_NAMED: usize = 8;
/// A second packet with the token within this time, from the same address, is a copy made on the way.
const COPIES: Duration = Duration::from_secs(10);
/// Names and paths are asked for again by those who look them up, from several addresses.
const RETRIES: Duration = Duration::from_secs(60);
/// The most octets of a log that are read: a carried log holds some sweeps.
pub const MOST_OCTETS: usize = 256 << 20;

/// Whether a log is whole, or lines were picked from it: then what is missing between them is not missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    Whole,
    Picked,
}

/// What a log held for a sweep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    pub receipts: Vec<(VantageId, EgressReceipt)>,
    /// By kind's word.
    pub faults: BTreeMap<&'static str, Faulty>,
    pub lines: u64,
}

/// The probes of a sweep by their tokens.
pub struct Ledger<'a> {
    key: &'a EgressKey,
    sweep: &'a str,
    probes: HashMap<Token, (VantageId, &'a EgressProbe)>,
}

impl<'a> Ledger<'a> {
    pub fn new(
        key: &'a EgressKey,
        sweep: &'a str,
        probes: impl IntoIterator<Item = (VantageId, &'a EgressProbe)>,
    ) -> Ledger<'a> {
        let probes = probes
            .into_iter()
            .map(|(vantage, probe)| (key.token(sweep, vantage, probe), (vantage, probe)))
            .collect();
        Ledger { key, sweep, probes }
    }

    /// Of the probes that a log holds.
    pub fn of_log(key: &'a EgressKey, sweep: &'a str, log: &'a Log) -> Ledger<'a> {
        let probes = log.iter().filter_map(|(_, observation)| match &observation.fact {
            Fact::EgressProbe(probe) => Some((observation.vantage, probe)),
            _ => None,
        });
        Ledger::new(key, sweep, probes)
    }

    pub fn is_empty(&self) -> bool {
        self.probes.is_empty()
    }

    /// Holds a collector's log, or what its interface handed out, against the probes.
    pub fn check(&self, text: &str, extent: Extent) -> Findings {
        let mut checking = Checking::default();
        let mut expected: Option<[u8; 32]> = None;
        let mut known = 0u64;
        let mut forged = Vec::new();
        for (number, line) in (1u64..).zip(text.split_inclusive('\n')) {
            checking.findings.lines = number;
            let ended = line.ends_with('\n');
            let line = line.trim_end();
            if line.is_empty() {
                continue;
            }
            let entry = match receipt::read(self.key, line) {
                Ok(entry) => entry,
                Err(_) if !ended => {
                    checking.fault(number, FaultKind::Truncated);
                    continue;
                }
                Err(BadEntry::Chain) => {
                    forged.push(number);
                    expected = None;
                    continue;
                }
                Err(fault) => {
                    checking.fault(number, FaultKind::Malformed(fault.to_string()));
                    expected = None;
                    continue;
                }
            };
            known += 1;
            // A log that was rotated begins in the middle.
            let follows = expected.is_none_or(|chain| chain == entry.previous);
            if extent == Extent::Whole && !follows && entry.previous != GENESIS {
                checking.fault(number, FaultKind::Gap);
            }
            expected = Some(entry.chain);
            self.take(number, entry, &mut checking);
        }
        if known == 0 && !forged.is_empty() {
            checking.findings.faults.clear();
            checking.fault(forged.first().copied().unwrap_or(1), FaultKind::OtherKey);
        } else {
            for number in forged {
                checking.fault(number, FaultKind::Forged);
            }
        }
        checking.finish()
    }

    fn take(&self, line: u64, entry: Checked, checking: &mut Checking) {
        let receipt = &entry.receipt;
        let Some(token) = receipt.token().filter(|token| self.key.recognises(*token)) else {
            checking.fault(line, FaultKind::Untrue);
            return;
        };
        let Some(&(vantage, probe)) = self.probes.get(&token) else {
            let kind = if self.key.is_of_sweep(token, self.sweep) && token.field.bits() == 128 {
                FaultKind::Unkept
            } else {
                FaultKind::OtherSweep
            };
            checking.fault(line, kind);
            return;
        };
        // A name is looked up where its zone is served, and a relay chooses the family it goes out by:
        // only what was addressed by us must come to the canary it was for.
        let addressed = probe.carrier.field() == probe.carrier
            && !matches!(
                probe.carrier,
                crate::observe::Carrier::DnsUdp | crate::observe::Carrier::HttpGet
            );
        if addressed && receipt.canary != probe.canary {
            checking.fault(line, FaultKind::Untrue);
            return;
        }
        let after = receipt.at.duration_since(probe.sent_at).as_secs();
        let in_time = (-(SKEW.as_secs() as i64)..=LIFE.as_secs() as i64).contains(&after);
        if !in_time {
            checking.untimely.push((line, after));
            return;
        }
        let (at, observed) = (receipt.at, receipt.observed);
        if let Some(&(first_at, first)) = checking.seen.get(&token) {
            let apart = at.duration_since(first_at).unsigned_abs();
            let copy = observed == first && apart <= COPIES || !addressed && apart <= RETRIES;
            if !copy || checking.entries.contains(&entry.chain) {
                checking.fault(line, FaultKind::Replayed);
            }
            return;
        }
        checking.entries.insert(entry.chain);
        checking.seen.insert(token, (at, observed));
        checking.findings.receipts.push((
            vantage,
            EgressReceipt {
                probe: probe.number,
                seen_by: SeenBy::Collector,
                observed: Some(observed),
                observed_port: receipt.observed_port,
                hop_limit: receipt.hop_limit,
                seen_at: Some(at),
                entry: Some(receipt.n),
                chain: Some(data_encoding::HEXLOWER.encode(&entry.chain)),
            },
        ));
    }
}

#[derive(Default)]
struct Checking {
    findings: Findings,
    seen: HashMap<Token, (Timestamp, IpAddr)>,
    entries: std::collections::HashSet<[u8; 32]>,
    /// Lines whose receipt came too early or too late, and by how much after the sending.
    untimely: Vec<(u64, i64)>,
}

impl Checking {
    fn fault(&mut self, line: u64, kind: FaultKind) {
        let faulty = self.findings.faults.entry(kind.word()).or_default();
        if faulty.count == 0 {
            faulty.argument = kind.argument();
        }
        faulty.count += 1;
        if faulty.lines.len() < MOST_NAMED {
            faulty.lines.push(line);
        }
    }

    fn finish(mut self) -> Findings {
        let untimely = std::mem::take(&mut self.untimely);
        // Where none is in time and all are off alike, it is the clock and not the receipts.
        let (least, most) = untimely
            .iter()
            .fold((i64::MAX, i64::MIN), |(least, most), (_, by)| (least.min(*by), most.max(*by)));
        let alike = most.saturating_sub(least) <= LIFE.as_secs() as i64;
        let is_clock = self.findings.receipts.is_empty() && alike;
        for (line, by) in untimely {
            self.fault(line, if is_clock { FaultKind::Clock(by) } else { FaultKind::Late(by) });
        }
        self.findings
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::receipt::tests::receipt;
    use super::*;
    use crate::net::Mac;
    use crate::observe::{Carrier, EgressMethod};

    fn key(octet: u8) -> EgressKey {
        EgressKey::from_bytes([octet; 32])
    }

    fn probe(number: u32, carrier: Carrier) -> EgressProbe {
        EgressProbe::sample(number, carrier)
    }

    /// A log of these receipts, chained under the key.
    fn log(key: &EgressKey, receipts: &[receipt::Receipt]) -> String {
        let mut previous = GENESIS;
        let mut text = String::new();
        for receipt in receipts {
            let (line, chain) =
                super::receipt::write(key, &previous, receipt, &mut |_| None).unwrap();
            previous = chain;
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    fn token(probe: &EgressProbe) -> Token {
        key(1).token("s", VantageId(0), probe)
    }

    /// Probes 0 to 2, and what a log says about them.
    fn check(text: &str) -> (Vec<u32>, Vec<&'static str>) {
        let probes: Vec<_> = (0..3).map(|number| probe(number, Carrier::TcpSyn)).collect();
        let key = key(1);
        let ledger = Ledger::new(&key, "s", probes.iter().map(|probe| (VantageId(0), probe)));
        let findings = ledger.check(text, Extent::Whole);
        (
            findings.receipts.iter().map(|(_, receipt)| receipt.probe).collect(),
            findings.faults.keys().copied().collect(),
        )
    }

    fn of(number: u32) -> receipt::Receipt {
        receipt(u64::from(number) + 1, token(&probe(number, Carrier::TcpSyn)))
    }

    #[test]
    fn each_fault_is_told_apart_and_none_is_a_receipt() {
        let good = log(&key(1), &[of(0), of(1)]);
        assert_eq!(check(&good), (vec![0, 1], vec![]));
        assert_eq!(check(&log(&key(2), &[of(0)])), (vec![], vec!["other-key"]));
        let forged = good.replacen("203.0.113.7", "203.0.113.8", 1);
        assert_eq!(check(&forged), (vec![1], vec!["forged"]));
        assert_eq!(check(&good[..good.len() - 9]), (vec![0], vec!["truncated"]));
        let torn = good.replacen("{\"receipt\"", "{\"rec", 1);
        assert_eq!(check(&torn), (vec![1], vec!["malformed"]));
        let missing: String = log(&key(1), &[of(0), of(1), of(2)])
            .split_inclusive('\n')
            .enumerate()
            .filter(|(place, _)| *place != 1)
            .map(|(_, line)| line)
            .collect();
        assert_eq!(check(&missing), (vec![0, 2], vec!["gap"]));
        let probes: Vec<_> = (0..3).map(|number| probe(number, Carrier::TcpSyn)).collect();
        let key_1 = key(1);
        let ledger = Ledger::new(&key_1, "s", probes.iter().map(|probe| (VantageId(0), probe)));
        assert!(ledger.check(&missing, Extent::Picked).faults.is_empty());
        let elsewhere = receipt::Receipt { observed: [203, 0, 113, 9].into(), ..of(0) };
        assert_eq!(check(&log(&key(1), &[of(0), elsewhere])), (vec![0], vec!["replayed"]));
        let late = receipt::Receipt { at: "2026-11-25T02:00:00Z".parse().unwrap(), ..of(0) };
        assert_eq!(check(&log(&key(1), &[of(1), late.clone()])), (vec![1], vec!["late"]));
        assert_eq!(check(&log(&key(1), &[late])), (vec![], vec!["clock"]));
        let other = receipt(1, key(1).token("t", VantageId(0), &probe(0, Carrier::TcpSyn)));
        assert_eq!(check(&log(&key(1), &[other])), (vec![], vec!["other-sweep"]));
        let elsewhere = receipt::Receipt { canary: [198, 51, 100, 11].into(), ..of(0) };
        assert_eq!(check(&log(&key(1), &[elsewhere])), (vec![], vec!["untrue"]));
        let lost = receipt(1, key(1).token("s", VantageId(0), &probe(9, Carrier::IcmpEcho)));
        assert_eq!(check(&log(&key(1), &[lost])), (vec![], vec!["unkept"]));
        let unsealed = receipt(1, Token { bits: 1, ..token(&probe(0, Carrier::TcpSyn)) });
        assert_eq!(check(&log(&key(1), &[unsealed])), (vec![], vec!["untrue"]));
    }

    #[test]
    fn a_line_that_is_no_entry_is_named_by_its_number() {
        let mut text = log(&key(1), &[of(0)]);
        text.push_str("{}\n");
        let key = key(1);
        let probes = [probe(0, Carrier::TcpSyn)];
        let ledger = Ledger::new(&key, "s", probes.iter().map(|probe| (VantageId(0), probe)));
        assert_eq!(ledger.check(&text, Extent::Whole).faults["malformed"].lines, [2]);
    }

    proptest! {
        #[test]
        fn no_receipt_holds_under_another_key_sweep_target_or_method(
            which in 0usize..Carrier::ALL.len(),
            change in 0usize..5,
            last in 1u8..250,
        ) {
            let carrier = Carrier::ALL[which];
            let sent = probe(0, carrier);
            let mut asked = sent.clone();
            let (mut made_with, mut sweep) = (key(1), "s");
            match change {
                0 => made_with = key(2),
                1 => sweep = "t",
                2 => asked.target = [10, 20, 2, last].into(),
                3 => asked.method = EgressMethod::Dns,
                _ => asked.mac = Mac([2, 1, 0, 0, 0, last]),
            }
            let written = receipt(1, made_with.token(sweep, VantageId(0), &asked));
            // The log itself is well chained: it is the token that must not hold.
            let text = log(&key(1), &[written]);
            let key = key(1);
            let ledger = Ledger::new(&key, "s", [(VantageId(0), &sent)]);
            prop_assert_eq!(ledger.check(&text, Extent::Whole).receipts, vec![]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(\\{\"receipt\":\\{.{0,20}\\}|.{0,60}|\\n){0,8}") {
            let key = key(1);
            let probes = [probe(0, Carrier::TcpSyn)];
            let ledger = Ledger::new(&key, "s", probes.iter().map(|probe| (VantageId(0), probe)));
            prop_assert_eq!(ledger.check(&text, Extent::Whole).receipts, vec![]);
        }
    }
}
