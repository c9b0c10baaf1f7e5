//! What several formats say alike: words, times, order, counts.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fluent_bundle::FluentValue;
use jiff::Timestamp;
use jiff::tz::{TimeZone, offset};

use crate::audit::{Regulation, rule};
use crate::net::{Port, Transport, port};
use crate::observe::Foreign;
use crate::result::v1::{
    Confidence, Coverage, Device, EvidenceKind, Finding, Severity, Status, Subject, SweepResult,
};
use crate::texts::{Argument, Texts};

/// The severities from the gravest.
pub(super) const SEVERITIES: [Severity; 5] =
    [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

/// Bounds against a result that was made to be slow: no regulation and no device comes near them.
const ARTICLES: usize = 200;
const ARTICLES_A_FINDING: usize = 32;
const FINDINGS_A_KEY: usize = 256;

/// A result in a language.
pub(super) struct View<'a> {
    pub result: &'a SweepResult,
    pub texts: &'a Texts,
    pub regulation: Option<Regulation>,
    /// For each device, the places of the findings that count against it.
    against: Vec<Vec<usize>>,
}

/// One article with what counts against it.
pub(super) struct ArticleRow {
    pub article: String,
    pub gist: String,
    /// In the order of [`SEVERITIES`].
    pub counts: [usize; 5],
    pub total: usize,
    /// Whether any rule of ours is about it, and there was a registry to hold it against. Without,
    /// zero would say too much.
    pub examined: bool,
}

impl<'a> View<'a> {
    pub fn of(result: &'a SweepResult, texts: &'a Texts) -> View<'a> {
        let regulation = result.sweep.regulation.as_deref().and_then(Regulation::built_in);
        View { result, texts, regulation, against: against(result) }
    }

    pub fn say(&self, key: &str) -> String {
        self.texts.say(key, &[])
    }

    pub fn say_with(&self, key: &str, arguments: &[Argument<'_>]) -> String {
        self.texts.say(key, arguments)
    }

    pub fn count(&self, key: &str, n: usize) -> String {
        self.texts.say(key, &[("n", number(n as u64))])
    }

    pub fn severity(&self, severity: Severity) -> String {
        self.say(&format!("report-severity-{}", severity.word()))
    }

    pub fn confidence(&self, confidence: Confidence) -> String {
        self.say(&format!("report-confidence-{}", confidence.word()))
    }

    pub fn confidence_means(&self, confidence: Confidence) -> String {
        self.say(&format!("report-confidence-{}-means", confidence.word()))
    }

    pub fn status(&self, status: Status) -> String {
        self.say(&format!("report-status-{}", status.word()))
    }

    pub fn evidence_kind(&self, kind: EvidenceKind) -> String {
        self.say(match kind {
            EvidenceKind::Packet => "report-evidence-packet",
            EvidenceKind::Silence => "report-evidence-silence",
            EvidenceKind::Registry => "report-evidence-registry",
            EvidenceKind::Observation => "report-evidence-observation",
        })
    }

    /// A device's kind in words: what the result says, else what its roles make of it.
    pub fn kind(&self, device: &Device) -> String {
        let word = kind_word(device);
        self.texts
            .find(&format!("report-kind-{word}"), &[])
            .unwrap_or_else(|| shown(device.kind.as_deref().unwrap_or(word)))
    }

    pub fn article(&self, article: &str) -> String {
        self.say_with("report-article", &[("n", article.to_owned().into())])
    }

    pub fn articles(&self, finding: &Finding) -> String {
        let articles: Vec<String> = finding.articles.iter().map(|a| self.article(a)).collect();
        articles.join(", ")
    }

    /// The regulation's own name, or the word that the result has.
    pub fn regulation_title(&self) -> Option<String> {
        let Some(regulation) = &self.regulation else {
            return self.result.sweep.regulation.clone();
        };
        let title = regulation.title.of(self.texts.language());
        Some(if regulation.document.is_empty() || title.contains(&regulation.document) {
            title.to_owned()
        } else {
            format!("{title} ({})", regulation.document)
        })
    }

    fn gist(&self, article: &str) -> String {
        let article = self.regulation.as_ref().and_then(|r| r.articles.get(article));
        article.map(|article| article.gist.of(self.texts.language()).to_owned()).unwrap_or_default()
    }

    /// Findings in the order people read them: what is open first, then the gravest.
    pub fn findings(&self) -> Vec<&'a Finding> {
        let mut findings: Vec<&Finding> = self.result.findings.iter().collect();
        findings.sort_by(|a, b| {
            counts(b)
                .cmp(&counts(a))
                .then(b.severity.cmp(&a.severity))
                .then(b.confidence.cmp(&a.confidence))
                .then_with(|| a.rule.cmp(&b.rule))
                .then_with(|| a.subject.cmp(&b.subject))
                .then_with(|| a.id.cmp(&b.id))
        });
        findings
    }

    /// Findings that count: neither waived nor resolved.
    pub fn counted(&self) -> impl Iterator<Item = &'a Finding> {
        self.result.findings.iter().filter(|finding| counts(finding))
    }

    pub fn by_severity(&self) -> [usize; 5] {
        tally(self.counted())
    }

    pub fn by_article(&self) -> Vec<ArticleRow> {
        let mut counted: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
        if let Some(regulation) = &self.regulation {
            // Every article that a rule is about, so that zero can be read too.
            let articles = regulation.rules.values().flat_map(|rule| &rule.articles);
            counted.extend(articles.map(|article| (article.as_str(), [0; 5])));
        }
        for finding in self.counted() {
            let articles: BTreeSet<&str> = finding.articles.iter().map(String::as_str).collect();
            for article in articles.into_iter().take(ARTICLES_A_FINDING) {
                add(counted.entry(article).or_default(), finding);
            }
        }
        let mut rows: Vec<ArticleRow> = counted
            .into_iter()
            .map(|(article, counts)| {
                let total = counts.iter().sum();
                ArticleRow {
                    examined: total > 0 || self.compared() && self.is_examined(article),
                    article: article.to_owned(),
                    gist: self.gist(article),
                    total,
                    counts,
                }
            })
            .collect();
        rows.sort_by_key(|row| (row.article.parse().unwrap_or(u32::MAX), row.article.clone()));
        rows.truncate(ARTICLES);
        rows
    }

    /// Whether a rule that this program has is about an article.
    fn is_examined(&self, article: &str) -> bool {
        let rules = self.regulation.iter().flat_map(|regulation| &regulation.rules);
        rules
            .filter(|(_, texts)| texts.articles.iter().any(|other| other == article))
            .filter(|(name, _)| rule::ALL.iter().any(|rule| rule.name() == name.as_str()))
            // Ways out are only looked for where there is a collector, and found none only where calibrated.
            .any(|(name, _)| !name.contains("egress") || super::boundary::is_examined(self))
    }

    /// The name of a detail in words, or as the result has it.
    pub fn detail(&self, key: &str) -> String {
        self.texts.find(&format!("report-detail-{key}"), &[]).unwrap_or_else(|| shown(key))
    }

    /// The findings that count against a device, by their places in the result.
    pub fn against(&self, device: usize) -> &[usize] {
        self.against.get(device).map(Vec::as_slice).unwrap_or_default()
    }

    /// Devices and segments that findings that count are about.
    pub fn concerned(&self) -> (usize, usize) {
        let devices = self.against.iter().filter(|findings| !findings.is_empty()).count();
        let prefixes: BTreeSet<&str> =
            self.counted().filter_map(|finding| finding.subject.prefix.as_deref()).collect();
        (devices, prefixes.len())
    }

    /// Whether there was a registry to compare with.
    pub fn compared(&self) -> bool {
        self.result.sweep.registry.is_some()
    }

    /// What a coverage row means for a negative.
    pub fn coverage_means(&self, row: &Coverage) -> Vec<String> {
        let mut means = vec![self.say(match row.complete {
            _ if row.asked == 0 => "report-coverage-unasked",
            true => "report-coverage-complete",
            false => "report-coverage-partial",
        })];
        if row.ghosts > 0 {
            means.push(self.say("report-coverage-ghosts"));
        }
        if row.excluded > 0 {
            means.push(self.count("report-coverage-excluded", row.excluded as usize));
        }
        means
    }

    /// A source of candidates, in words; one that this program does not know by its own.
    pub fn candidate_source(&self, word: &str) -> String {
        self.texts.find(&format!("candidates-{word}"), &[]).unwrap_or_else(|| word.to_owned())
    }

    pub fn calibrated(&self, row: &Coverage) -> String {
        let words: Vec<String> = row
            .calibrated
            .iter()
            .map(|(method, state)| {
                let state = match state.as_str() {
                    "yes" => self.say("report-yes"),
                    "no" => self.say("report-no"),
                    "not-run" => self.say("report-not-run"),
                    other => other.to_owned(),
                };
                format!("{method}: {state}")
            })
            .collect();
        words.join("; ")
    }

    pub fn duration(&self) -> Option<String> {
        let from: Timestamp = self.result.sweep.started_at.parse().ok()?;
        let until: Timestamp = self.result.sweep.finished_at.parse().ok()?;
        let seconds = until.duration_since(from).as_secs();
        let seconds = u64::try_from(seconds).ok()?;
        Some(self.say_with(
            "report-duration-value",
            &[("minutes", number(seconds / 60)), ("seconds", number(seconds % 60))],
        ))
    }

    /// Waiver and change notice of a finding, as sentences.
    pub fn excuses(&self, finding: &Finding) -> Vec<(String, String)> {
        let mut excuses = Vec::new();
        if let Some(notice) = &finding.notice {
            excuses.push((
                self.say("report-notice"),
                self.say_with("report-notice-means", &[("notice", notice.clone().into())]),
            ));
        }
        if let Some(waiver) = &finding.waiver {
            let or = |value: &Option<String>| -> FluentValue<'static> {
                value.clone().unwrap_or_else(|| self.say("report-not-stated")).into()
            };
            excuses.push((
                self.say("report-waiver"),
                self.say_with(
                    "report-waiver-means",
                    &[
                        ("until", or(&waiver.until)),
                        ("reason", or(&waiver.reason)),
                        ("approval", or(&waiver.approval)),
                    ],
                ),
            ));
        }
        excuses
    }

    pub fn signature(&self) -> String {
        match self.result.sweep.authorisation.signature.as_deref() {
            None | Some("absent") => self.say("report-signature-absent"),
            Some("valid") => self.say("report-signature-valid"),
            Some(other) => other.to_owned(),
        }
    }

    pub fn window(&self) -> String {
        let authorisation = &self.result.sweep.authorisation;
        if authorisation.not_before.is_none() && authorisation.not_after.is_none() {
            return self.say("report-window-open");
        }
        let or = |instant: &Option<String>| -> FluentValue<'static> {
            instant.as_deref().map_or_else(|| self.say("report-not-stated"), time).into()
        };
        self.say_with(
            "report-window-value",
            &[("from", or(&authorisation.not_before)), ("until", or(&authorisation.not_after))],
        )
    }

    pub fn risk(&self) -> String {
        let risk = self.result.sweep.authorisation.risk;
        self.texts.find(&format!("report-risk-{risk}"), &[]).unwrap_or_else(|| risk.to_string())
    }
}

/// Whether a finding counts against the unit.
pub(super) fn counts(finding: &Finding) -> bool {
    matches!(finding.status, Status::Open | Status::Acknowledged)
}

fn tally<'a>(findings: impl Iterator<Item = &'a Finding>) -> [usize; 5] {
    let mut counts = [0; 5];
    findings.for_each(|finding| add(&mut counts, finding));
    counts
}

fn add(counts: &mut [usize; 5], finding: &Finding) {
    let place = SEVERITIES.iter().position(|severity| *severity == finding.severity);
    if let Some(count) = place.and_then(|place| counts.get_mut(place)) {
        *count += 1;
    }
}

/// By address and MAC of the subject.
fn against(result: &SweepResult) -> Vec<Vec<usize>> {
    let mut by_key: HashMap<&str, Vec<usize>> = HashMap::new();
    for (place, finding) in result.findings.iter().enumerate().filter(|(_, f)| counts(f)) {
        for key in [&finding.subject.ip, &finding.subject.mac].into_iter().flatten() {
            let places = by_key.entry(key).or_default();
            if places.len() < FINDINGS_A_KEY {
                places.push(place);
            }
        }
    }
    result
        .devices
        .iter()
        .map(|device| {
            let places: BTreeSet<usize> = device
                .macs
                .iter()
                .chain(&device.addresses)
                .filter_map(|key| by_key.get(key.as_str()))
                .flatten()
                .copied()
                .collect();
            places.into_iter().collect()
        })
        .collect()
}

pub(super) fn number(n: u64) -> FluentValue<'static> {
    // As text: Fluent would group the digits of some languages and not of others.
    match i32::try_from(n) {
        Ok(n) => n.into(),
        Err(_) => n.to_string().into(),
    }
}

/// One of `server terminal printer phone camera network other unknown`.
pub(super) fn kind_word(device: &Device) -> &'static str {
    let network = ["router", "gateway", "firewall", "switch", "nat", "wireless", "vpn"];
    match device.kind.as_deref() {
        Some("server") => "server",
        Some("terminal") => "terminal",
        Some("printer") => "printer",
        Some("phone") => "phone",
        Some("camera") => "camera",
        Some(kind) if kind == "network" || network.contains(&kind) => "network",
        _ if device.roles.iter().any(|role| network.contains(&role.as_str())) => "network",
        Some(_) => "other",
        None => "unknown",
    }
}

/// What a person would call the device: the registry's name, its own, its maker.
pub(super) fn name(device: &Device) -> Option<&str> {
    device
        .registered_as
        .as_deref()
        .or_else(|| device.hostnames.iter().map(String::as_str).find(|name| !name.is_empty()))
        .or(device.vendor.as_deref())
}

/// The subject's keys in one line.
pub(super) fn subject(subject: &Subject) -> String {
    let keys = [&subject.prefix, &subject.ip, &subject.port, &subject.mac];
    let keys: Vec<&str> = keys.into_iter().flatten().map(String::as_str).collect();
    keys.join(" · ")
}

/// A device's open ports with ranges drawn together: `tcp/22,80,8000-8010 udp/161`.
pub(super) fn ports(device: &Device) -> String {
    let mut by_transport: BTreeMap<Transport, Vec<u16>> = BTreeMap::new();
    let mut others = BTreeSet::new();
    for service in &device.services {
        match service.port.parse::<Port>() {
            Ok(port) => by_transport.entry(port.transport).or_default().push(port.number),
            Err(_) => _ = others.insert(service.port.clone()),
        }
    }
    let lists = by_transport
        .into_iter()
        .map(|(transport, numbers)| format!("{transport}/{}", port::ranges(&numbers)));
    let lists: Vec<String> = lists.chain(others).collect();
    lists.join(" ")
}

/// Frame numbers with runs drawn together: `3, 5-9`.
pub(super) fn frame_list(frames: &[u64]) -> String {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &frame in frames {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == frame => *last = frame,
            _ => runs.push((frame, frame)),
        }
    }
    let runs: Vec<String> = runs
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            _ => format!("{first}-{last}"),
        })
        .collect();
    runs.join(", ")
}

/// A detail's value in one line.
pub(super) fn plain(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Null => "—".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(plain).collect();
            values.join(", ")
        }
        Value::Object(values) => {
            let values: Vec<String> =
                values.iter().map(|(key, value)| format!("{key}: {}", plain(value))).collect();
            values.join("; ")
        }
        other => other.to_string(),
    }
}

/// An instant as it is read in +08:00, to the second; a text that is none stays.
pub(super) fn time(instant: &str) -> String {
    match instant.parse::<Timestamp>() {
        Ok(instant) => {
            let there = instant.to_zoned(TimeZone::fixed(offset(8)));
            there.strftime("%Y-%m-%d %H:%M:%S").to_string()
        }
        Err(_) => instant.to_owned(),
    }
}

/// Text for people with what could deceive a screen spelt out; of any length.
pub(super) fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let cut = rest.char_indices().nth(Foreign::MOST).map_or(rest.len(), |(at, _)| at);
        let (piece, after) = rest.split_at(cut);
        shown += &Foreign::new(piece).terminal();
        rest = after;
    }
    shown
}

/// The first `most` of a list as text, and how many more there are.
pub(super) fn some(view: &View<'_>, list: &[String], most: usize) -> String {
    let mut text = list.iter().take(most).map(|one| shown(one)).collect::<Vec<_>>().join(", ");
    if list.len() > most {
        text += " ";
        text += &view.count("report-and-more", list.len() - most);
    }
    text
}

/// Counts by key, the most frequent first.
pub(super) fn frequencies<K: Ord>(keys: impl Iterator<Item = K>) -> Vec<(K, usize)> {
    let mut counts: BTreeMap<K, usize> = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    let mut counts: Vec<(K, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_draw_together() {
        assert_eq!(frame_list(&[3, 5, 6, 7, 9]), "3, 5-7, 9");
        assert_eq!(frame_list(&[]), "");
    }

    #[test]
    fn long_hostile_text_is_spelt_out_to_its_end() {
        let text = format!("{}\u{202e}", "a".repeat(2000));
        assert!(shown(&text).ends_with("a\\u{202e}"));
    }

    #[test]
    fn instants_are_read_in_beijing() {
        assert_eq!(time("2026-11-21T17:00:00Z"), "2026-11-22 01:00:00");
        assert_eq!(time("soon"), "soon");
    }
}
