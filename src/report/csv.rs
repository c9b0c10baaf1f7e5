//! `findings.csv`: one row a finding, for spreadsheets and scripts.
//!
//! UTF-8 with a byte order mark, which Excel needs; lines end with CR LF (RFC 4180). The columns bear
//! the result's own names in every language, so that a script reads them all; only title,
//! remediation and refutation are in the report's language. What a spreadsheet could take for a
//! formula is quoted.

use std::io::{self, Write};

use super::Format;
use super::view::{View, plain, shown};
use crate::observe::Foreign;
use crate::result::names;
use crate::result::v1::{Finding, SweepResult};
use crate::texts::Texts;

pub(super) struct Csv;

const COLUMNS: &[&str] = &[
    "id",
    "rule",
    "severity",
    "confidence",
    "status",
    "unit",
    "articles",
    "title",
    "ip",
    "mac",
    "prefix",
    "port",
    "detail",
    "evidence",
    "packets",
    "refuted_by",
    "remediation",
    "notice",
    "waived_until",
    "waiver_reason",
    "waiver_approval",
    "first_seen",
    "last_seen",
    "sweep",
];

impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn media_type(&self) -> &'static str {
        "text/csv; charset=utf-8"
    }

    fn file_name(&self) -> &'static str {
        names::FINDINGS
    }

    fn write(&self, result: &SweepResult, texts: &Texts, out: &mut dyn Write) -> io::Result<()> {
        out.write_all("\u{feff}".as_bytes())?;
        let mut rows = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
        rows.write_record(COLUMNS)?;
        for finding in View::of(result, texts).findings() {
            rows.write_record(row(finding, result).iter().map(|text| cell(text)))?;
        }
        rows.flush()
    }
}

fn row(finding: &Finding, result: &SweepResult) -> Vec<String> {
    let or_empty = |text: &Option<String>| text.clone().unwrap_or_default();
    let waiver = finding.waiver.as_ref();
    let detail = match finding.detail.is_empty() {
        true => String::new(),
        false => plain(&serde_json::Value::Object(finding.detail.clone())),
    };
    let summaries: Vec<&str> =
        finding.evidence.iter().map(|evidence| evidence.summary.as_str()).collect();
    let mut packets: Vec<u64> =
        finding.evidence.iter().flat_map(|evidence| evidence.packets.iter().copied()).collect();
    packets.sort_unstable();
    packets.dedup();
    vec![
        finding.id.clone(),
        finding.rule.clone(),
        finding.severity.word().to_owned(),
        finding.confidence.word().to_owned(),
        finding.status.word().to_owned(),
        or_empty(&finding.unit),
        finding.articles.join(";"),
        finding.title.clone(),
        or_empty(&finding.subject.ip),
        or_empty(&finding.subject.mac),
        or_empty(&finding.subject.prefix),
        or_empty(&finding.subject.port),
        detail,
        summaries.join("; "),
        // No `3-5`: a spreadsheet would take it for the fifth of March.
        packets.iter().map(u64::to_string).collect::<Vec<_>>().join(";"),
        finding.refuted_by.clone(),
        finding.remediation.clone(),
        or_empty(&finding.notice),
        waiver.and_then(|waiver| waiver.until.clone()).unwrap_or_default(),
        waiver.and_then(|waiver| waiver.reason.clone()).unwrap_or_default(),
        waiver.and_then(|waiver| waiver.approval.clone()).unwrap_or_default(),
        finding.first_seen.clone(),
        finding.last_seen.clone(),
        result.sweep.id.clone(),
    ]
}

/// Long texts are spelt out whole; only their beginning can make a formula.
fn cell(text: &str) -> String {
    let shown = shown(text);
    let start: String = shown.chars().take(64).collect();
    let quoted = Foreign::new(&start).cell().len() > start.len();
    if quoted { format!("'{shown}") } else { shown }
}
