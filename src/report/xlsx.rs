//! `report.xlsx`: everything of the result in tables, for people who sort and filter.
//!
//! Every text is written as a string, never as a formula, and what a program could take for one
//! after an export to CSV is quoted.

use std::io::{self, Write};

use rust_xlsxwriter::{
    Color, Format as Style, FormatAlign, FormatBorder, Workbook, Worksheet, XlsxError,
};

use super::Format;
use super::view::{SEVERITIES, View, frame_list, number, plain, shown, time};
use crate::observe::Foreign;
use crate::result::names;
use crate::result::v1::{Evidence, Severity, SweepResult};
use crate::texts::Texts;

pub(super) struct Xlsx;

/// Characters of a cell, by the format's limits; less the words that say it was cut.
const CELL: usize = 32_000;
/// Rows of a sheet below its header, by the format's limits.
const ROWS: u32 = 1_048_575;

impl Format for Xlsx {
    fn name(&self) -> &'static str {
        "xlsx"
    }

    fn media_type(&self) -> &'static str {
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    }

    fn file_name(&self) -> &'static str {
        names::WORKBOOK
    }

    fn write(&self, result: &SweepResult, texts: &Texts, out: &mut dyn Write) -> io::Result<()> {
        let workbook = workbook(&View::of(result, texts)).map_err(io::Error::other);
        let bytes = workbook?.save_to_buffer().map_err(io::Error::other)?;
        out.write_all(&bytes)
    }
}

/// One sheet being filled.
struct Table<'a> {
    view: &'a View<'a>,
    sheet: &'a mut Worksheet,
    plain: Style,
    next: u32,
    columns: u16,
}

enum Cell {
    Text(String),
    Number(f64),
    /// A severity, in its colour.
    Severity(Severity),
}

impl From<String> for Cell {
    fn from(text: String) -> Cell {
        Cell::Text(text)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }
}

impl From<&Option<String>> for Cell {
    fn from(text: &Option<String>) -> Cell {
        Cell::Text(text.clone().unwrap_or_default())
    }
}

impl From<u64> for Cell {
    fn from(n: u64) -> Cell {
        Cell::Number(n as f64)
    }
}

fn style() -> Style {
    Style::new().set_align(FormatAlign::Top).set_text_wrap()
}

impl<'a> Table<'a> {
    /// A sheet with its header: a word of the texts and a width in characters for each column.
    fn begin(
        view: &'a View<'a>,
        workbook: &'a mut Workbook,
        name: &str,
        columns: &[(&str, f64)],
    ) -> Result<Table<'a>, XlsxError> {
        let sheet = workbook.add_worksheet();
        sheet.set_name(view.say(name))?;
        let header = Style::new()
            .set_bold()
            .set_font_color(Color::White)
            .set_background_color(Color::RGB(0x1d_4f_7c))
            .set_border_bottom(FormatBorder::Thin)
            .set_align(FormatAlign::VerticalCenter)
            .set_text_wrap();
        for (column, (key, width)) in (0_u16..).zip(columns) {
            sheet.write_string_with_format(0, column, view.say(key), &header)?;
            sheet.set_column_width(column, *width)?;
        }
        sheet.set_row_height(0, 24)?;
        sheet.set_freeze_panes(1, 0)?;
        sheet.set_landscape().set_print_fit_to_pages(1, 0).set_paper_size(9);
        sheet.set_repeat_rows(0, 0)?;
        let columns = columns.len() as u16;
        Ok(Table { view, sheet, plain: style(), next: 1, columns })
    }

    fn row(&mut self, cells: Vec<Cell>) -> Result<(), XlsxError> {
        if self.next > ROWS {
            return Ok(());
        }
        for (column, cell) in (0_u16..).zip(cells) {
            match cell {
                Cell::Number(n) => {
                    self.sheet.write_number_with_format(self.next, column, n, &self.plain)?
                }
                Cell::Text(text) => {
                    let text = defused(self.view, &text);
                    self.sheet.write_string_with_format(self.next, column, text, &self.plain)?
                }
                Cell::Severity(severity) => {
                    let style = style().set_bold().set_font_color(colour(severity));
                    let word = self.view.severity(severity);
                    self.sheet.write_string_with_format(self.next, column, word, &style)?
                }
            };
        }
        self.next += 1;
        Ok(())
    }

    fn end(self) -> Result<(), XlsxError> {
        if self.next > 1 {
            let last = self.columns.saturating_sub(1);
            self.sheet.autofilter(0, 0, self.next - 1, last)?;
        }
        Ok(())
    }
}

fn colour(severity: Severity) -> Color {
    Color::RGB(match severity {
        Severity::Critical => 0x7d_11_28,
        Severity::High => 0xc0_34_2b,
        Severity::Medium => 0xb8_65_0a,
        Severity::Low => 0x2b_6c_a3,
        Severity::Info => 0x66_72_7e,
    })
}

/// A cell's text: spelt out, no formula, within the format's limit.
fn defused(view: &View<'_>, text: &str) -> String {
    let mut text = shown(text);
    if text.encode_utf16().count() > CELL {
        text = text.chars().take(CELL / 2).collect();
        text += &view.say("report-truncated");
    }
    let start: String = text.chars().take(64).collect();
    if Foreign::new(&start).cell().len() > start.len() { format!("'{text}") } else { text }
}

fn workbook(view: &View<'_>) -> Result<Workbook, XlsxError> {
    let mut workbook = Workbook::new();
    summary(view, &mut workbook)?;
    findings(view, &mut workbook)?;
    devices(view, &mut workbook)?;
    segments(view, &mut workbook)?;
    services(view, &mut workbook)?;
    coverage(view, &mut workbook)?;
    if !view.result.egresses.is_empty() {
        egresses(view, &mut workbook)?;
    }
    sent(view, &mut workbook)?;
    Ok(workbook)
}

fn summary(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [("report-item", 34.0), ("report-value", 90.0)];
    let mut table = Table::begin(view, workbook, "report-sheet-summary", &columns)?;
    let sweep = &view.result.sweep;
    let authorisation = &sweep.authorisation;
    let or = |text: &Option<String>, key: &str| text.clone().unwrap_or_else(|| view.say(key));
    let (state, means) = match sweep.complete {
        true => ("report-complete", "report-complete-means"),
        false => ("report-incomplete", "report-incomplete-means"),
    };
    let registry = sweep.registry.as_ref();
    let vantages: Vec<String> = sweep
        .vantages
        .iter()
        .map(|vantage| format!("{} {}", vantage.interface, vantage.addresses.join(" ")))
        .collect();
    let mut rows = vec![
        (view.say("report-unit"), or(&sweep.unit, "report-unit-none")),
        (view.say(state), view.say(means)),
        (view.say("report-sweep"), sweep.id.clone()),
        (
            view.say("report-time"),
            format!(
                "{} – {} {}",
                time(&sweep.started_at),
                time(&sweep.finished_at),
                view.say("report-timezone")
            ),
        ),
        (view.say("report-authorisation"), or(&authorisation.reference, "report-not-stated")),
        (view.say("report-authorised-by"), or(&authorisation.authorised_by, "report-not-stated")),
        (view.say("report-window"), view.window()),
        (view.say("report-signature"), view.signature()),
        (view.say("report-scope"), authorisation.scope.join(" ")),
        (view.say("report-exclude"), authorisation.exclude.join(" ")),
        (view.say("report-observe-only"), authorisation.observe_only.join(" ")),
        (view.say("report-risk"), view.risk()),
        (
            view.say("report-registry"),
            registry.map_or_else(|| view.say("report-registry-none"), |r| r.source.clone()),
        ),
        ("SHA-256".to_owned(), registry.map(|r| r.sha256.clone()).unwrap_or_default()),
        (view.say("report-regulation"), view.regulation_title().unwrap_or_default()),
        (view.say("report-profile"), sweep.profile.clone()),
        (view.say("report-vantages"), vantages.join("; ")),
        (view.say("report-generator"), sweep.generator.clone()),
    ];
    for (severity, count) in SEVERITIES.iter().zip(view.by_severity()) {
        let name = format!("{}: {}", view.say("report-by-severity"), view.severity(*severity));
        rows.push((name, count.to_string()));
    }
    for row in view.by_article() {
        let name = format!("{}: {}", view.say("report-by-article"), view.article(&row.article));
        let total = match row.examined {
            true => row.total.to_string(),
            false => view.say("report-article-unexamined"),
        };
        rows.push((name, format!("{total} · {}", row.gist)));
    }
    for file in &sweep.files {
        rows.push((file.name.clone(), format!("SHA-256 {} · {}", file.sha256, file.bytes)));
    }
    for (name, value) in rows {
        table.row(vec![name.into(), value.into()])?;
    }
    Ok(())
}

fn evidence_text(view: &View<'_>, evidence: &[Evidence]) -> String {
    let pieces: Vec<String> = evidence
        .iter()
        .map(|piece| {
            let kind = view.evidence_kind(piece.kind);
            match piece.packets.is_empty() {
                true => format!("[{kind}] {}", piece.summary),
                false => format!(
                    "[{kind}] {} ({} {})",
                    piece.summary,
                    piece.file.as_deref().unwrap_or(names::EVIDENCE),
                    frame_list(&piece.packets)
                ),
            }
        })
        .collect();
    pieces.join("; ")
}

fn findings(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [
        ("report-severity", 10.0),
        ("report-article-head", 14.0),
        ("report-title-head", 44.0),
        ("report-subject-ip", 20.0),
        ("report-subject-port", 10.0),
        ("report-subject-mac", 19.0),
        ("report-subject-prefix", 22.0),
        ("report-of-unit", 16.0),
        ("report-confidence", 12.0),
        ("report-status", 10.0),
        ("report-evidence", 50.0),
        ("report-refuted-by", 40.0),
        ("report-remediation", 50.0),
        ("report-detail", 36.0),
        ("report-notice", 26.0),
        ("report-first-seen", 20.0),
        ("report-last-seen", 20.0),
        ("report-rule", 26.0),
        ("report-finding-id", 38.0),
    ];
    let mut table = Table::begin(view, workbook, "report-sheet-findings", &columns)?;
    for finding in view.findings() {
        let subject = &finding.subject;
        let excuses: Vec<String> =
            view.excuses(finding).into_iter().map(|(_, sentence)| sentence).collect();
        let detail = match finding.detail.is_empty() {
            true => String::new(),
            false => plain(&serde_json::Value::Object(finding.detail.clone())),
        };
        table.row(vec![
            Cell::Severity(finding.severity),
            view.articles(finding).into(),
            finding.title.as_str().into(),
            (&subject.ip).into(),
            (&subject.port).into(),
            (&subject.mac).into(),
            (&subject.prefix).into(),
            (&finding.unit).into(),
            view.confidence(finding.confidence).into(),
            view.status(finding.status).into(),
            evidence_text(view, &finding.evidence).into(),
            finding.refuted_by.as_str().into(),
            finding.remediation.as_str().into(),
            detail.into(),
            excuses.join(" ").into(),
            time(&finding.first_seen).into(),
            time(&finding.last_seen).into(),
            finding.rule.as_str().into(),
            finding.id.as_str().into(),
        ])?;
    }
    table.end()
}

fn devices(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [
        ("report-registered-as", 26.0),
        ("report-hostnames", 26.0),
        ("report-addresses", 36.0),
        ("report-claimed", 24.0),
        ("report-macs", 20.0),
        ("report-vendor", 28.0),
        ("report-kind", 14.0),
        ("report-roles", 14.0),
        ("report-os", 16.0),
        ("report-services", 36.0),
        ("report-findings-of", 9.0),
        ("report-of-unit", 16.0),
        ("report-first-seen", 20.0),
        ("report-last-seen", 20.0),
        ("report-sources", 26.0),
        ("report-device-id", 38.0),
    ];
    let mut table = Table::begin(view, workbook, "report-sheet-devices", &columns)?;
    for (place, device) in view.result.devices.iter().enumerate() {
        table.row(vec![
            (&device.registered_as).into(),
            device.hostnames.join("; ").into(),
            device.addresses.join("; ").into(),
            device.claimed_addresses.join("; ").into(),
            device.macs.join("; ").into(),
            (&device.vendor).into(),
            view.kind(device).into(),
            device.roles.join("; ").into(),
            (&device.os).into(),
            super::view::ports(device).into(),
            (view.against(place).len() as u64).into(),
            (&device.unit).into(),
            time(&device.first_seen).into(),
            time(&device.last_seen).into(),
            device.sources.join("; ").into(),
            device.id.as_str().into(),
        ])?;
    }
    table.end()
}

fn segments(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [
        ("report-prefix", 30.0),
        ("report-registered", 12.0),
        ("report-of-unit", 18.0),
        ("report-gateways", 34.0),
        ("report-live", 12.0),
        ("report-sources", 36.0),
        ("report-evidence", 60.0),
    ];
    let mut table = Table::begin(view, workbook, "report-sheet-segments", &columns)?;
    for segment in &view.result.segments {
        table.row(vec![
            segment.prefix.as_str().into(),
            view.say(if segment.registered { "report-yes" } else { "report-no" }).into(),
            (&segment.unit).into(),
            segment.gateways.join("; ").into(),
            segment.live.into(),
            segment.sources.join("; ").into(),
            evidence_text(view, &segment.evidence).into(),
        ])?;
    }
    table.end()
}

fn services(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [
        ("report-addresses", 30.0),
        ("report-port", 12.0),
        ("report-service-name", 14.0),
        ("report-product-version", 28.0),
        ("report-banner", 44.0),
        ("report-risks", 24.0),
        ("report-tls", 36.0),
        ("report-tls-until", 22.0),
        ("report-device", 28.0),
        ("report-device-id", 38.0),
    ];
    let mut table = Table::begin(view, workbook, "report-sheet-services", &columns)?;
    for device in &view.result.devices {
        for service in &device.services {
            let product = [&service.product, &service.version];
            let product: Vec<&str> = product.into_iter().flatten().map(String::as_str).collect();
            let tls = service.tls.as_ref();
            table.row(vec![
                service.ip.as_str().into(),
                service.port.as_str().into(),
                (&service.name).into(),
                product.join(" ").into(),
                (&service.banner).into(),
                service.risks.join("; ").into(),
                tls.map(|tls| format!("{} {}", tls.subject, tls.sha256)).unwrap_or_default().into(),
                tls.map(|tls| tls.not_after.clone()).unwrap_or_default().into(),
                super::view::name(device).unwrap_or_default().into(),
                device.id.as_str().into(),
            ])?;
        }
    }
    table.end()
}

fn coverage(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [
        ("report-prefix", 30.0),
        ("report-vantage", 14.0),
        ("report-methods", 22.0),
        ("report-ports", 40.0),
        ("report-asked", 12.0),
        ("report-answered", 12.0),
        ("report-excluded", 12.0),
        ("report-ghosts", 12.0),
        ("report-coverage-said", 60.0),
        ("report-calibrated", 26.0),
        ("report-why-not", 40.0),
    ];
    let mut table = Table::begin(view, workbook, "report-sheet-coverage", &columns)?;
    for row in &view.result.coverage {
        table.row(vec![
            row.prefix.as_str().into(),
            row.vantage.as_str().into(),
            row.methods.join("; ").into(),
            row.ports.as_str().into(),
            row.asked.into(),
            row.answered.into(),
            row.excluded.into(),
            row.ghosts.into(),
            view.coverage_means(row).join(" ").into(),
            view.calibrated(row).into(),
            (&row.why_not).into(),
        ])?;
    }
    table.end()
}

fn egresses(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [
        ("report-egress-gateway", 30.0),
        ("report-subject-mac", 20.0),
        ("report-egress-public", 36.0),
        ("report-egress-methods", 24.0),
        ("report-egress-registered", 24.0),
        ("report-evidence", 60.0),
    ];
    let mut table = Table::begin(view, workbook, "report-sheet-egresses", &columns)?;
    for egress in &view.result.egresses {
        table.row(vec![
            (&egress.gateway.ip).into(),
            (&egress.gateway.mac).into(),
            egress.public_addresses.join("; ").into(),
            egress.methods.join("; ").into(),
            (&egress.registered_as).into(),
            evidence_text(view, &egress.evidence).into(),
        ])?;
    }
    table.end()
}

fn sent(view: &View<'_>, workbook: &mut Workbook) -> Result<(), XlsxError> {
    let columns = [
        ("report-pass", 30.0),
        ("report-targets", 14.0),
        ("report-packets", 14.0),
        ("report-answers", 14.0),
        ("report-seconds", 14.0),
        ("report-notices", 80.0),
    ];
    let mut table = Table::begin(view, workbook, "report-sheet-sent", &columns)?;
    let sweep = &view.result.sweep;
    for pass in &sweep.passes {
        table.row(vec![
            pass.name.as_str().into(),
            pass.targets.into(),
            pass.packets.into(),
            pass.answers.into(),
            Cell::Number((pass.seconds * 10.0).round() / 10.0),
        ])?;
    }
    let sentence = view.say_with(
        "report-sent-means",
        &[
            ("sent", number(sweep.packets_sent)),
            ("received", number(sweep.packets_received)),
            ("dropped", number(sweep.packets_dropped)),
        ],
    );
    let blank = || Cell::Text(String::new());
    table.row(vec![blank(), blank(), blank(), blank(), blank(), sentence.into()])?;
    for notice in &sweep.notices {
        table.row(vec![
            notice.code.as_str().into(),
            blank(),
            blank(),
            blank(),
            blank(),
            notice.text.as_str().into(),
        ])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::Language;

    #[test]
    fn cells_are_defused_and_bounded() {
        let result = crate::report::tests::small();
        let texts = Texts::of(Language::En);
        let view = View::of(&result, &texts);
        assert_eq!(defused(&view, "=1+1"), "'=1+1");
        assert_eq!(defused(&view, " @SUM(A1)"), "' @SUM(A1)");
        assert_eq!(defused(&view, "10.0.0.1"), "10.0.0.1");
        assert!(defused(&view, &"长".repeat(100_000)).encode_utf16().count() < 32_767);
    }
}
