//! A short summary in Markdown, for a ticket or a message.

use std::io::{self, Write};

use super::view::{SEVERITIES, View, number, shown, some, subject, time};
use super::{Format, boundary};
use crate::result::v1::SweepResult;
use crate::texts::Texts;

/// Findings that a summary lists.
const FINDINGS: usize = 50;

pub(super) struct Markdown;

impl Format for Markdown {
    fn name(&self) -> &'static str {
        "md"
    }

    fn media_type(&self) -> &'static str {
        "text/markdown; charset=utf-8"
    }

    fn file_name(&self) -> &'static str {
        "summary.md"
    }

    fn write(&self, result: &SweepResult, texts: &Texts, out: &mut dyn Write) -> io::Result<()> {
        let view = View::of(result, texts);
        let sweep = &result.sweep;
        let unit = sweep.unit.clone().unwrap_or_else(|| view.say("report-unit-none"));
        writeln!(out, "# {}: {}\n", view.say("report-title"), escape(&unit))?;
        if !sweep.complete {
            writeln!(
                out,
                "> **{}** {}\n",
                view.say("report-incomplete"),
                view.say("report-incomplete-means")
            )?;
            for notice in &sweep.notices {
                writeln!(out, "> - {}", escape(&notice.text))?;
            }
            writeln!(out)?;
        }
        let registry = match &sweep.registry {
            Some(registry) => format!("{} ({})", registry.source, registry.sha256),
            None => view.say("report-registry-none"),
        };
        let reference = sweep.authorisation.reference.clone();
        for (key, value) in [
            ("report-sweep", sweep.id.clone()),
            (
                "report-time",
                format!("{} – {} (UTC+8)", time(&sweep.started_at), time(&sweep.finished_at)),
            ),
            ("report-authorisation", reference.unwrap_or_else(|| view.say("report-not-stated"))),
            ("report-registry", registry),
        ] {
            writeln!(out, "- {}: {}", view.say(key), escape(&value))?;
        }
        let totals = [
            ("report-devices-seen", result.devices.len()),
            ("report-segments-seen", result.segments.len()),
        ];
        for (key, value) in totals {
            writeln!(out, "- {}: {value}", view.say(key))?;
        }

        writeln!(out, "\n## {}\n", view.say("report-by-severity"))?;
        for (severity, count) in SEVERITIES.iter().zip(view.by_severity()) {
            writeln!(out, "- {}: {count}", view.severity(*severity))?;
        }
        let articles = view.by_article();
        if !articles.is_empty() {
            writeln!(out, "\n## {}\n", view.say("report-by-article"))?;
            writeln!(
                out,
                "| {} | {} | {} |\n|---|---|---:|",
                view.say("report-article-head"),
                view.say("report-article-gist"),
                view.say("report-total")
            )?;
            for row in articles {
                let article = view.article(&row.article);
                let total = match row.examined {
                    true => row.total.to_string(),
                    false => view.say("report-article-unexamined"),
                };
                writeln!(out, "| {} | {} | {total} |", escape(&article), escape(&row.gist))?;
            }
        }

        writeln!(out, "\n## {}\n", view.say("report-egresses"))?;
        for egress in result.egresses.iter().take(FINDINGS) {
            let gateway = [&egress.gateway.ip, &egress.gateway.mac];
            let gateway: Vec<&str> = gateway.into_iter().flatten().map(String::as_str).collect();
            let words = [
                boundary::words(&view, egress),
                some(&view, &egress.public_addresses, 8),
                egress.methods.join(", "),
            ];
            let words: Vec<&str> =
                words.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
            writeln!(out, "- {}: {}", escape(&gateway.join(" ")), escape(&words.join(" · ")))?;
        }
        for line in boundary::draw(&view).said.iter().take(FINDINGS) {
            writeln!(out, "- {}", escape(line))?;
        }

        candidates(&view, out)?;

        writeln!(out, "\n## {}\n", view.say("report-sheet-findings"))?;
        let findings = view.findings();
        if findings.is_empty() {
            writeln!(
                out,
                "{} {}",
                view.say("report-summary-none"),
                view.say("report-summary-none-means")
            )?;
            return Ok(());
        }
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |\n|---|---|---|---|---|---|",
            view.say("report-severity"),
            view.say("report-title-head"),
            view.say("report-subject"),
            view.say("report-article-head"),
            view.say("report-confidence"),
            view.say("report-status")
        )?;
        for finding in findings.iter().take(FINDINGS) {
            writeln!(
                out,
                "| {} | {} | {} | {} | {} | {} |",
                view.severity(finding.severity),
                escape(&finding.title),
                escape(&subject(&finding.subject)),
                escape(&view.articles(finding)),
                view.confidence(finding.confidence),
                view.status(finding.status)
            )?;
        }
        if findings.len() > FINDINGS {
            let cut = view.say_with(
                "report-findings-cut",
                &[("shown", number(FINDINGS as u64)), ("all", number(findings.len() as u64))],
            );
            writeln!(out, "\n{cut}")?;
        }
        Ok(())
    }
}

/// By which sources IPv6 hosts were looked for, and found.
fn candidates(view: &View<'_>, out: &mut dyn Write) -> io::Result<()> {
    let rows = view.result.coverage.iter();
    let mut rows = rows.flat_map(|row| row.candidates.iter().map(move |of| (row, of))).peekable();
    if rows.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "\n## {}\n", view.say("report-candidates"))?;
    writeln!(
        out,
        "| {} | {} | {} | {} |\n|---|---|---:|---:|",
        view.say("report-prefix"),
        view.say("report-candidates-source"),
        view.say("report-asked"),
        view.say("report-answered")
    )?;
    for (row, of) in rows.take(FINDINGS) {
        let source = view.candidate_source(&of.source);
        let (prefix, source) = (escape(&row.prefix), escape(&source));
        writeln!(out, "| {prefix} | {source} | {} | {} |", of.asked, of.answered)?;
    }
    Ok(())
}

/// Text in which Markdown and the HTML in it find nothing to act on.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in shown(text).chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' => {
                escaped.push('\\');
                escaped.push(c);
            }
            c => escaped.push(c),
        }
    }
    escaped
}
