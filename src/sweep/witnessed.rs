//! What a collector's log says of a sweep: receipts as observations, and what is wrong with the rest of the log as
//! remarks. The same for a log that is read during the sweep and for one that is carried to `audit` later.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::egress::ledger::Findings;
use crate::observe::{EgressReceipt, Fact, Log, Source, VantageId};
use crate::result::v1::SweepNotice;
use crate::texts::Texts;

/// A receipt as it is observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// By the collector's clock.
    pub at: Timestamp,
    pub vantage: VantageId,
    /// That of the probe.
    pub source: Source,
    pub receipt: EgressReceipt,
}

/// One kind of fault in a collector's log. It stops nothing, and is no receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// `malformed`, `forged` …: the ledger's word.
    pub word: &'static str,
    pub count: u64,
    /// The first lines it is on, from 1.
    pub lines: Vec<u64>,
    pub argument: String,
}

/// The receipts of a log that are not observed yet.
pub fn receipts(findings: &Findings, log: &Log) -> Vec<Witnessed> {
    let mut probes: HashMap<(VantageId, u32), (Timestamp, Source)> = HashMap::new();
    for (_, observation) in log.iter() {
        if let Fact::EgressProbe(probe) = &observation.fact {
            let at = (probe.sent_at, observation.source);
            probes.entry((observation.vantage, probe.number)).or_insert(at);
        }
    }
    findings
        .receipts
        .iter()
        .filter_map(|(vantage, receipt)| {
            let &(sent_at, source) = probes.get(&(*vantage, receipt.probe))?;
            let fact = Fact::EgressReceipt(receipt.clone());
            (!log.knows(*vantage, source, &fact)).then(|| Witnessed {
                at: receipt.seen_at.unwrap_or(sent_at),
                vantage: *vantage,
                source,
                receipt: receipt.clone(),
            })
        })
        .collect()
}

/// Puts the receipts of a log among the observations; says how many were new.
pub fn put(findings: &Findings, log: &mut Log) -> usize {
    let new = receipts(findings, log);
    let count = new.len();
    for one in new {
        log.observe(one.at, one.vantage, one.source, Fact::EgressReceipt(one.receipt), &[]);
    }
    count
}

/// What is wrong with the log, one remark a kind.
pub fn remarks(findings: &Findings) -> Vec<Remark> {
    findings
        .faults
        .iter()
        .map(|(word, faulty)| Remark {
            word,
            count: faulty.count,
            lines: faulty.lines.clone(),
            argument: faulty.argument.clone(),
        })
        .collect()
}

impl Remark {
    /// As the result keeps it: `witness-` and the word.
    pub fn notice(&self, texts: &Texts) -> SweepNotice {
        let mut lines: Vec<String> = self.lines.iter().map(ToString::to_string).collect();
        if self.count > self.lines.len() as u64 {
            lines.push("…".to_owned());
        }
        // What a reader says of a line quotes it.
        let what = crate::observe::Foreign::new(&self.argument).terminal();
        let arguments = [
            ("count", self.count.to_string().into()),
            ("lines", lines.join(", ").into()),
            ("what", what.into()),
        ];
        SweepNotice {
            code: format!("witness-{}", self.word),
            text: texts.say(&format!("sweep-witness-{}", self.word), &arguments),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::ledger::{Extent, Ledger};
    use crate::egress::receipt::{self, GENESIS, Receipt, SCHEMA};
    use crate::egress::token::EgressKey;
    use crate::observe::{Carrier, EgressProbe};
    use crate::texts::Language;

    fn probe() -> EgressProbe {
        EgressProbe::spoofed_sample(3, Carrier::Ntp)
    }

    #[test]
    fn a_receipt_is_observed_once_and_faults_are_told_by_line_in_both_languages() {
        let key = EgressKey::from_bytes([7; 32]);
        let mut log = Log::default();
        let at: Timestamp = "2026-11-25T01:00:00Z".parse().unwrap();
        log.observe(at, VantageId(0), Source::SpoofedSource, Fact::EgressProbe(probe()), &[]);
        let written = Receipt {
            schema: SCHEMA.into(),
            n: 1,
            at: "2026-11-25T01:00:01Z".parse().unwrap(),
            canary: [198, 51, 100, 10].into(),
            observed: [203, 0, 113, 7].into(),
            observed_port: 123,
            port: 123,
            protocol: "udp".into(),
            hop_limit: 61,
            field: Carrier::Ntp,
            token: key.token("s", VantageId(0), &probe()).to_hex(),
            raw: String::new(),
            relayed: String::new(),
        };
        let (line, _) = receipt::write(&key, &GENESIS, &written, &mut |_| None).unwrap();
        let text = format!("{line}\n{{\"a\u{1b}[2J\":1}}\n");
        let findings = Ledger::of_log(&key, "s", &log).check(&text, Extent::Whole);
        assert_eq!(put(&findings, &mut log), 1);
        assert_eq!(put(&findings, &mut log), 0);
        let (_, last) = log.iter().last().unwrap();
        assert_eq!((last.source, last.at), (Source::SpoofedSource, written.at));
        for language in Language::ALL {
            let texts = Texts::of(language);
            let notices: Vec<SweepNotice> =
                remarks(&findings).iter().map(|remark| remark.notice(&texts)).collect();
            assert_eq!(notices[0].code, "witness-malformed");
            assert!(notices[0].text.contains('2'), "{}", notices[0].text);
            assert!(!notices[0].text.contains('\u{1b}'));
        }
    }

    #[test]
    fn every_kind_of_fault_has_its_sentence() {
        for language in Language::ALL {
            let texts = Texts::of(language);
            for word in [
                "malformed",
                "truncated",
                "other-key",
                "forged",
                "untrue",
                "gap",
                "other-sweep",
                "replayed",
                "late",
                "clock",
            ] {
                let remark = Remark { word, count: 9, lines: vec![4], argument: "7".into() };
                let said = remark.notice(&texts).text;
                assert!(!said.contains("sweep-witness") && said.contains('4'), "{said}");
            }
        }
    }
}
