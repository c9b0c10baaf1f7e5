//! The table of findings by article that ends a sweep at the terminal.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};

use super::{Conduct, Exit};
use crate::observe::Foreign;
use crate::result::v1::{Severity, Status, SweepResult};
use crate::sweep::End;

/// How many findings are listed one by one; the report has all.
const MOST_ROWS: usize = 40;

/// Findings by article and severity, then one a row.
pub fn table(conduct: &Conduct, result: &SweepResult) -> String {
    let mut text = conduct.say(
        "cli-summary-head",
        &[
            ("devices", result.devices.len().into()),
            ("segments", result.segments.len().into()),
            ("findings", result.findings.len().into()),
            ("sent", result.sweep.packets_sent.to_string().into()),
            ("received", result.sweep.packets_received.to_string().into()),
        ],
    );
    if !result.sweep.complete {
        text = format!("{}\n{text}", conduct.say("cli-summary-incomplete", &[]));
    }
    if result.findings.is_empty() {
        if result.sweep.registry.is_none() {
            text += &format!("\n{}", conduct.say("cli-summary-no-registry", &[]));
        }
        return text;
    }
    let mut by_article: BTreeMap<(u32, String), usize> = BTreeMap::new();
    for finding in &result.findings {
        for article in &finding.articles {
            let number = article.parse().unwrap_or(u32::MAX);
            *by_article.entry((number, article.clone())).or_default() += 1;
        }
    }
    let mut articles = Table::new();
    articles.load_style(presets::UTF8_FULL_CONDENSED);
    articles.set_header([
        conduct.say("cli-summary-article", &[]),
        conduct.say("cli-summary-count", &[]),
    ]);
    for ((_, article), count) in by_article {
        let article = conduct.say("cli-explain-article", &[("number", article.into())]);
        articles.add_row([article, count.to_string()]);
    }
    let mut rows = Table::new();
    rows.load_style(presets::UTF8_FULL_CONDENSED);
    rows.set_header(
        ["severity", "subject", "title", "confidence", "status"]
            .map(|column| conduct.say(&format!("cli-summary-{column}"), &[])),
    );
    let mut findings: Vec<_> = result.findings.iter().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    for finding in findings.iter().take(MOST_ROWS) {
        let subject = &finding.subject;
        let parts = [&subject.prefix, &subject.ip, &subject.port, &subject.mac];
        let subject: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
        rows.add_row([
            finding.severity.word().to_owned(),
            Foreign::new(&subject.join(" ")).terminal(),
            Foreign::new(&finding.title).terminal(),
            finding.confidence.word().to_owned(),
            finding.status.word().to_owned(),
        ]);
    }
    let more = result.findings.len().saturating_sub(MOST_ROWS);
    text += &format!("\n{articles}\n{rows}");
    if more > 0 {
        text += &format!("\n{}", conduct.say("cli-summary-more", &[("count", more.into())]));
    }
    text
}

/// How a command ends that has a result: contract §1.
pub fn exit(result: &SweepResult, end: &End, fail_on: Option<Severity>) -> Exit {
    if *end == End::Interrupted {
        return Exit::Interrupted;
    }
    if !result.sweep.complete {
        return Exit::InPart;
    }
    let counts = |status| status == Status::Open || status == Status::Acknowledged;
    let failing = fail_on.is_some_and(|least| {
        result.findings.iter().any(|f| f.severity >= least && counts(f.status))
    });
    if failing { Exit::Findings } else { Exit::Done }
}
