//! `report.html`: one file that needs nothing else, for a screen and for A4.
//!
//! Whatever is printed goes through one formatter: text that could deceive a screen is spelt out and
//! markup is escaped, so no template line can forget it. Only the style sheet, the script and the
//! drawings are marked safe, and they are made here. A content security policy lets nothing run but
//! the one script whose digest it names.

use std::io::{self, Write};

use minijinja::value::{Kwargs, Value};
use minijinja::{AutoEscape, Environment, context, escape_formatter};
use ring::digest::{SHA256, digest};

use super::view::{SEVERITIES, View, counts, frame_list, name, number, plain, ports, some, time};
use super::{Format, boundary, map};
use crate::result::names;
use crate::result::v1::{
    CandidateYield, Coverage, Device, Evidence, Finding, Segment, SweepResult,
};
use crate::texts::{Language, Texts};

const TEMPLATE: &str = include_str!("report.html.j2");
const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// Cards and rows that a browser opens at once and a person could read. The rest is in the workbook.
const FINDINGS: usize = 500;
const DEVICES: usize = 1000;
const SEGMENTS: usize = 500;
const COVERAGE: usize = 500;
/// Rows of the sources of candidates: sixteen a prefix.
const CANDIDATES: usize = 400;
const EVIDENCE: usize = 12;
const DETAILS: usize = 12;

pub(super) struct Html;

impl Format for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn media_type(&self) -> &'static str {
        "text/html; charset=utf-8"
    }

    fn file_name(&self) -> &'static str {
        names::REPORT
    }

    fn write(&self, result: &SweepResult, texts: &Texts, out: &mut dyn Write) -> io::Result<()> {
        let page = page(result, texts).map_err(io::Error::other)?;
        out.write_all(page.as_bytes())
    }
}

fn page(result: &SweepResult, texts: &Texts) -> Result<String, minijinja::Error> {
    let view = View::of(result, texts);
    let map = map::draw(&view);
    let sheets = map.sheets.len();
    let maps: Vec<Value> = map
        .sheets
        .into_iter()
        .enumerate()
        .map(|(place, svg)| {
            let caption = view.say_with(
                "report-map-sheet",
                &[("n", number(place as u64 + 1)), ("all", number(sheets as u64))],
            );
            context! { svg => Value::from_safe_string(svg), caption }
        })
        .collect();
    let legend: Vec<Value> = map::legend(&view)
        .into_iter()
        .map(|(svg, words)| context! { svg => Value::from_safe_string(svg), words })
        .collect();

    let boundary = boundary::draw(&view);

    let findings = view.findings();
    let severity_counts = view.by_severity();
    let counted: usize = severity_counts.iter().sum();
    let excused = findings.len() - counted;
    let (concerned_devices, concerned_segments) = view.concerned();
    let severities: Vec<Value> = SEVERITIES
        .iter()
        .zip(severity_counts)
        .map(|(severity, count)| {
            let shown = findings.iter().any(|finding| finding.severity == *severity);
            context! { word => severity.word(), name => view.severity(*severity), count, shown }
        })
        .collect();
    let articles: Vec<Value> = view
        .by_article()
        .into_iter()
        .map(|row| {
            let cells: Vec<Value> = SEVERITIES
                .iter()
                .zip(row.counts)
                .map(|(severity, count)| context! { word => severity.word(), count })
                .collect();
            context! {
                number => row.article.clone(), article => view.article(&row.article), gist => row.gist,
                cells, total => row.total, examined => row.examined,
            }
        })
        .collect();

    // Devices with findings first, then in the result's order.
    let mut devices: Vec<(usize, &Device)> = result.devices.iter().enumerate().collect();
    devices.sort_by_key(|(place, _)| std::cmp::Reverse(view.against(*place).len().min(1)));
    let services: usize = result.devices.iter().map(|device| device.services.len()).sum();
    let unregistered = result.devices.iter().filter(|d| d.registered_as.is_none()).count();
    let mut tallies = vec![
        fact(&view, "report-devices-seen", result.devices.len().to_string()),
        fact(&view, "report-segments-seen", result.segments.len().to_string()),
        fact(&view, "report-services-seen", services.to_string()),
    ];
    if view.compared() {
        let segments = result.segments.iter().filter(|segment| !segment.registered).count();
        tallies.push(fact(&view, "report-unregistered-devices", unregistered.to_string()));
        tallies.push(fact(&view, "report-unregistered-segments", segments.to_string()));
    }

    let sweep = &result.sweep;
    let model = context! {
        lang => match texts.language() { Language::Zh => "zh-CN", Language::En => "en" },
        css => Value::from_safe_string(STYLE.to_owned()),
        script => Value::from_safe_string(SCRIPT.to_owned()),
        script_digest => base64(digest(&SHA256, SCRIPT.as_bytes()).as_ref()),
        sweep => context! {
            unit => sweep.unit.clone(), complete => sweep.complete, generator => sweep.generator.clone(),
            notices => sweep.notices.iter().map(|notice| context! { code => notice.code.clone(), text => notice.text.clone() }).collect::<Vec<_>>(),
        },
        started => time(&sweep.started_at),
        finished => time(&sweep.finished_at),
        compared => view.compared(),
        facts => facts(&view).into_iter().map(Value::from).collect::<Vec<_>>(),
        counted,
        said => view.say_with("report-summary-findings", &[
            ("n", number(counted as u64)),
            ("devices", number(concerned_devices as u64)),
            ("segments", number(concerned_segments as u64)),
        ]),
        excused => (excused > 0).then(|| view.count("report-summary-waived", excused)),
        severities,
        counts => tallies.into_iter().map(Value::from).collect::<Vec<_>>(),
        counts_devices => result.devices.len(),
        counts_segments => result.segments.len(),
        articles,
        findings => findings.iter().take(FINDINGS).map(|f| card(&view, f)).collect::<Vec<_>>(),
        findings_cut => cut(&view, "report-findings-cut", FINDINGS, findings.len()),
        maps,
        map_cut => cut(&view, "report-map-cut", map.drawn, map.segments),
        legend,
        segments => result.segments.iter().take(SEGMENTS).map(|s| segment(&view, s)).collect::<Vec<_>>(),
        segments_cut => cut(&view, "report-segments-cut", SEGMENTS, result.segments.len()),
        boundary_cut => cut(&view, "report-boundary-cut", boundary.drawn, result.egresses.len()),
        boundary => boundary.svg.map(Value::from_safe_string),
        boundary_said => boundary.said,
        egresses => egresses(&view),
        devices => devices.iter().take(DEVICES).map(|(place, d)| device(&view, *place, d)).collect::<Vec<_>>(),
        devices_cut => cut(&view, "report-devices-cut", DEVICES, devices.len()),
        coverage => result.coverage.iter().take(COVERAGE).map(|c| coverage(&view, c)).collect::<Vec<_>>(),
        candidates => candidates(&view),
        candidates_cut => cut(&view, "report-candidates-cut", CANDIDATES, candidate_rows(&view).count()),
        sent => view.say_with("report-sent-means", &[
            ("sent", number(sweep.packets_sent)),
            ("received", number(sweep.packets_received)),
            ("dropped", number(sweep.packets_dropped)),
        ]),
        rate => sweep.rate.map(|rate| view.say_with("report-rate", &[
            ("pps", number(rate.packets_per_second)),
            ("target", number(rate.per_target)),
        ])),
        passes => sweep.passes.iter().map(|pass| context! {
            name => pass.name.clone(), targets => pass.targets, packets => pass.packets,
            answers => pass.answers, seconds => format!("{:.1}", pass.seconds),
        }).collect::<Vec<_>>(),
        files => sweep.files.iter().map(|file| context! { name => file.name.clone(), bytes => file.bytes, sha256 => file.sha256.clone() }).collect::<Vec<_>>(),
        example => findings.first().map_or("", |finding| finding.id.as_str()),
        footer => view.say_with("report-footer", &[
            ("generator", sweep.generator.clone().into()),
            ("sweep", sweep.id.clone().into()),
        ]),
    };
    render(&view, model)
}

fn render(view: &View<'_>, model: Value) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) if !value.is_safe() => {
            escape_formatter(out, state, &Value::from(super::view::shown(text)))
        }
        _ => escape_formatter(out, state, value),
    });
    // The sentences without arguments, and the one with a count.
    let language = view.texts.language();
    let texts = Texts::of(language);
    environment.add_function("t", move |key: &str, arguments: Kwargs| {
        let n: Option<u64> = arguments.get("n")?;
        arguments.assert_all_used()?;
        Ok::<String, minijinja::Error>(match n {
            Some(n) => texts.say(key, &[("n", number(n))]),
            None => texts.say(key, &[]),
        })
    });
    environment.add_template("report.html", TEMPLATE)?;
    environment.get_template("report.html")?.render(model)
}

/// "The first so many of so many", where there are more than are shown.
fn cut(view: &View<'_>, key: &str, most: usize, all: usize) -> Option<String> {
    (all > most)
        .then(|| view.say_with(key, &[("shown", number(most as u64)), ("all", number(all as u64))]))
}

struct Fact {
    name: String,
    value: String,
    wide: bool,
    mono: bool,
}

impl From<Fact> for Value {
    fn from(fact: Fact) -> Value {
        let Fact { name, value, wide, mono } = fact;
        context! { name, value, wide, mono }
    }
}

fn fact(view: &View<'_>, key: &str, value: String) -> Fact {
    Fact { name: view.say(key), value, wide: false, mono: false }
}

fn facts(view: &View<'_>) -> Vec<Fact> {
    let sweep = &view.result.sweep;
    let authorisation = &sweep.authorisation;
    let or_not_stated =
        |text: &Option<String>| text.clone().unwrap_or_else(|| view.say("report-not-stated"));
    let wide = |mut fact: Fact| {
        fact.wide = true;
        fact
    };
    let mono = |mut fact: Fact| {
        fact.mono = true;
        fact
    };
    let mut facts = vec![
        fact(view, "report-authorisation", or_not_stated(&authorisation.reference)),
        fact(view, "report-authorised-by", or_not_stated(&authorisation.authorised_by)),
        fact(view, "report-window", view.window()),
        fact(view, "report-signature", view.signature()),
        mono(fact(
            view,
            "report-scope",
            match authorisation.scope.as_slice() {
                [] => view.say("report-not-stated"),
                scope => some(view, scope, 40),
            },
        )),
        fact(view, "report-risk", view.risk()),
    ];
    for (key, list) in [
        ("report-exclude", &authorisation.exclude),
        ("report-observe-only", &authorisation.observe_only),
    ] {
        if !list.is_empty() {
            facts.push(mono(fact(view, key, some(view, list, 40))));
        }
    }
    if let Some(title) = view.regulation_title() {
        facts.push(wide(fact(view, "report-regulation", title)));
    }
    facts.push(wide(fact(
        view,
        "report-registry",
        match &sweep.registry {
            Some(registry) => format!("{} (SHA-256 {})", registry.source, registry.sha256),
            None => view.say("report-registry-none"),
        },
    )));
    let vantages: Vec<String> = sweep
        .vantages
        .iter()
        .map(|vantage| {
            let mac = vantage.mac.as_deref().unwrap_or("—");
            format!("{} ({mac}) {}", vantage.interface, vantage.addresses.join(" "))
        })
        .collect();
    facts.push(wide(fact(view, "report-vantages", some(view, &vantages, 16))));
    facts.push(mono(fact(view, "report-sweep", sweep.id.clone())));
    facts.push(fact(view, "report-profile", sweep.profile.clone()));
    if let Some(duration) = view.duration() {
        facts.push(fact(view, "report-duration", duration));
    }
    facts.push(fact(view, "report-generator", sweep.generator.clone()));
    facts
}

fn card(view: &View<'_>, finding: &Finding) -> Value {
    let subject = &finding.subject;
    let subject: Vec<Value> = [
        ("report-subject-prefix", &subject.prefix),
        ("report-subject-ip", &subject.ip),
        ("report-subject-port", &subject.port),
        ("report-subject-mac", &subject.mac),
    ]
    .into_iter()
    .filter_map(|(key, value)| {
        value.as_ref().map(|value| context! { name => view.say(key), value => value.as_str() })
    })
    .collect();
    let details: Vec<Value> = finding
        .detail
        .iter()
        .filter(|(_, value)| !plain(value).is_empty())
        .take(DETAILS)
        .map(|(key, value)| {
            (
                key,
                match value.as_bool() {
                    Some(true) => view.say("report-yes"),
                    Some(false) => view.say("report-no"),
                    None => plain(value),
                },
            )
        })
        .map(|(key, value)| context! { name => view.detail(key), value => shortened(&value, 400) })
        .collect();
    let excuses: Vec<Value> =
        view.excuses(finding).into_iter().map(|(name, value)| context! { name, value }).collect();
    let articles: Vec<String> = finding.articles.iter().map(|a| view.article(a)).collect();
    let more = finding.evidence.len().saturating_sub(EVIDENCE);
    context! {
        word => finding.severity.word(),
        severity => view.severity(finding.severity),
        title => if finding.title.is_empty() { finding.rule.clone() } else { finding.title.clone() },
        article_words => finding.articles.join(" "),
        articles,
        status => (finding.status != crate::result::v1::Status::Open)
            .then(|| view.status(finding.status)),
        excused => !counts(finding),
        subject,
        unit => finding.unit.clone(),
        confidence => view.confidence(finding.confidence),
        confidence_means => view.confidence_means(finding.confidence),
        first_seen => time(&finding.first_seen),
        last_seen => time(&finding.last_seen),
        excuses,
        details,
        rule => finding.rule.clone(),
        id => finding.id.clone(),
        evidence => finding.evidence.iter().take(EVIDENCE).map(|e| piece(view, e)).collect::<Vec<_>>(),
        evidence_more => (more > 0).then(|| view.count("report-and-more", more)),
        refuted_by => finding.refuted_by.clone(),
        remediation => finding.remediation.clone(),
    }
}

fn piece(view: &View<'_>, evidence: &Evidence) -> Value {
    context! {
        kind => view.evidence_kind(evidence.kind),
        summary => evidence.summary.clone(),
        frames => frames(view, evidence),
    }
}

fn frames(view: &View<'_>, evidence: &Evidence) -> Option<String> {
    (!evidence.packets.is_empty()).then(|| {
        let file = evidence.file.clone().unwrap_or_else(|| names::EVIDENCE.to_owned());
        view.say_with(
            "report-evidence-frames",
            &[("file", file.into()), ("frames", frame_list(&evidence.packets).into())],
        )
    })
}

fn segment(view: &View<'_>, segment: &Segment) -> Value {
    let tag = match segment.registered {
        true => "yes",
        false => "no",
    };
    let mut packets: Vec<u64> =
        segment.evidence.iter().flat_map(|evidence| evidence.packets.iter().copied()).collect();
    packets.sort_unstable();
    packets.dedup();
    let frames = (!packets.is_empty()).then(|| {
        view.say_with(
            "report-evidence-frames",
            &[("file", names::EVIDENCE.into()), ("frames", frame_list(&packets).into())],
        )
    });
    context! {
        prefix => segment.prefix.clone(),
        tag => if view.compared() { tag } else { "" },
        registered => match segment.registered {
            true => view.say("report-registered-yes"),
            false if view.compared() => view.say("report-registered-no"),
            false => view.say("report-legend-neutral"),
        },
        unit => segment.unit.as_deref().unwrap_or("—"),
        gateways => if segment.gateways.is_empty() { "—".to_owned() } else { some(view, &segment.gateways, 8) },
        live => segment.live,
        sources => segment.sources.join(", "),
        frames,
    }
}

fn egresses(view: &View<'_>) -> Vec<Value> {
    view.result
        .egresses
        .iter()
        .take(SEGMENTS)
        .map(|egress| {
            let gateway = [&egress.gateway.ip, &egress.gateway.mac];
            let gateway: Vec<&str> = gateway.into_iter().flatten().map(String::as_str).collect();
            context! {
                gateway => gateway.join(" · "),
                public => some(view, &egress.public_addresses, 8),
                methods => egress.methods.join(", "),
                registered => boundary::words(view, egress),
                tag => match egress.registered_as {
                    Some(_) => "yes",
                    None if view.compared() => "bad",
                    None => "",
                },
                evidence => egress.evidence.iter().take(4).map(|e| piece(view, e)).collect::<Vec<_>>(),
            }
        })
        .collect()
}

fn device(view: &View<'_>, place: usize, device: &Device) -> Value {
    let services = ports(device);
    let called = device.registered_as.as_deref().or_else(|| match device.hostnames.len() {
        0 => None,
        _ => name(device),
    });
    let hostnames: Vec<String> =
        device.hostnames.iter().filter(|name| Some(name.as_str()) != called).cloned().collect();
    context! {
        name => called,
        registered => device.registered_as.is_some(),
        hostnames => some(view, &hostnames, 4),
        addresses => device.addresses.iter().take(8).cloned().collect::<Vec<_>>(),
        addresses_more => device.addresses.len().checked_sub(9).map(|n| view.count("report-and-more", n + 1)),
        claimed => some(view, &device.claimed_addresses, 4),
        macs => some(view, &device.macs, 4),
        vendor => device.vendor.clone(),
        kind => view.kind(device),
        roles => device.roles.join(", "),
        services => if services.is_empty() { "—".to_owned() } else { services },
        findings => view.against(place).len(),
    }
}

fn candidate_rows<'a>(view: &View<'a>) -> impl Iterator<Item = (&'a Coverage, &'a CandidateYield)> {
    let result = view.result;
    result.coverage.iter().flat_map(|row| row.candidates.iter().map(move |of| (row, of)))
}

/// A row for each source that proposed something in a prefix.
fn candidates(view: &View<'_>) -> Vec<Value> {
    candidate_rows(view)
        .take(CANDIDATES)
        .map(|(row, of)| {
            context! {
                prefix => row.prefix.clone(),
                vantage => row.vantage.clone(),
                source => view.candidate_source(&of.source),
                asked => of.asked,
                answered => of.answered,
            }
        })
        .collect()
}

fn coverage(view: &View<'_>, row: &Coverage) -> Value {
    let ranges = row.ports.split([',', ' ']).count();
    let ports = if row.ports.chars().count() > 160 {
        let start: String = row.ports.chars().take(140).collect();
        let start = start.rsplit_once(',').map_or(start.as_str(), |(start, _)| start).to_owned();
        view.say_with("report-ports-cut", &[("ports", start.into()), ("n", number(ranges as u64))])
    } else {
        row.ports.clone()
    };
    // So that a line breaks between two ports and not inside one.
    let ports = ports.replace(',', ", ");
    context! {
        prefix => row.prefix.clone(),
        vantage => row.vantage.clone(),
        methods => row.methods.join(", "),
        ports,
        asked => row.asked,
        answered => row.answered,
        excluded => row.excluded,
        ghosts => row.ghosts,
        bar => bar(row),
        means => view.coverage_means(row),
        calibrated => view.calibrated(row),
        why_not => row.why_not.clone(),
    }
}

/// Shares of a hundred; what is there at all gets two, so that it is seen.
fn bar(row: &Coverage) -> Vec<Value> {
    let parts = [
        ("answered", row.answered),
        ("silent", row.asked.saturating_sub(row.answered)),
        ("ghost", row.ghosts),
        ("excluded", row.excluded),
    ];
    let all = parts.iter().map(|(_, n)| *n as f64).sum::<f64>().max(1.0);
    let shares: Vec<(&str, f64)> = parts
        .into_iter()
        .filter(|(_, n)| *n > 0)
        .map(|(class, n)| (class, (n as f64 / all * 100.0).max(2.0)))
        .collect();
    let sum: f64 = shares.iter().map(|(_, share)| share).sum::<f64>().max(1.0);
    shares
        .into_iter()
        .map(|(class, share)| context! { class, share => format!("{:.2}", share / sum * 100.0) })
        .collect()
}

fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.split_at(at).0),
        None => text.to_owned(),
    }
}

/// RFC 4648 §4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let octet = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = octet(0) << 16 | octet(1) << 8 | octet(2);
        for place in 0..4 {
            if place > chunk.len() {
                text.push('=');
            } else {
                let letter = (bits >> (18 - 6 * place)) & 0x3f;
                text.push(LETTERS.get(letter as usize).map_or('=', |letter| char::from(*letter)));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn every_sentence_that_the_template_names_is_in_the_catalogue() {
        let texts = Texts::of(Language::En);
        for piece in TEMPLATE.split("t(\"").skip(1) {
            let key = piece.split('"').next().unwrap();
            assert!(texts.find(key, &[]).is_some(), "{key}");
        }
    }
}
