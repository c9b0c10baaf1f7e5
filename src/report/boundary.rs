//! The boundary: the unit, the devices that lead out of it, their ways out, and the public addresses they have
//! outside, drawn as SVG; and for each prefix the sentence that says how far 'none was found' reaches.
//!
//! Everything has its place beforehand, so that no line crosses a text: one row a way out, those that are not
//! filed first. Colour tells them apart, and so do words and the sign on the boundary.

use std::fmt::Write;
use std::net::IpAddr;

use super::map::{escape, text};
use super::measure::{fit, fit_end, mono, width};
use super::view::{View, number, shown};
use crate::net::Prefix;
use crate::observe::EgressMethod;
use crate::result::v1::{Coverage, Device, Egress};

const WIDTH: f64 = 980.0;
const ROW: f64 = 62.0;
const HEAD: f64 = 30.0;
const BOX: f64 = 46.0;
const UNIT: (f64, f64) = (10.0, 150.0);
const DEVICE: (f64, f64) = (206.0, 210.0);
/// Where the inside ends.
const BOUNDARY: f64 = 690.0;
const PUBLIC: (f64, f64) = (734.0, 236.0);
/// Ways out that are drawn; past it they are counted.
const DRAWN: usize = 40;
/// Ways out that a prefix is searched for; a sweep finds some tens.
const COUNTED: usize = 1000;
/// Prefixes that get a sentence.
const SAID: usize = 200;

/// What the drawing comes to.
pub(super) struct Boundary {
    /// `None` where no way out was found.
    pub svg: Option<String>,
    pub drawn: usize,
    /// One sentence or more a prefix.
    pub said: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Unfiled,
    Neutral,
    Filed,
}

pub(super) fn draw(view: &View<'_>) -> Boundary {
    let mut ways: Vec<(State, &Egress)> =
        view.result.egresses.iter().map(|egress| (state(view, egress), egress)).collect();
    ways.sort_by_key(|(state, _)| *state);
    ways.truncate(DRAWN);
    let svg = (!ways.is_empty()).then(|| drawing(view, &ways));
    Boundary { svg, drawn: ways.len(), said: said(view) }
}

/// Whether anywhere the silence of a method says that there is no way out, or one was found.
pub(super) fn is_examined(view: &View<'_>) -> bool {
    let rows = &view.result.coverage;
    !view.result.egresses.is_empty()
        || rows.iter().any(|row| row.calibrated.values().any(|state| state == "yes"))
}

fn state(view: &View<'_>, egress: &Egress) -> State {
    match () {
        () if egress.registered_as.is_some() => State::Filed,
        () if view.compared() => State::Unfiled,
        () => State::Neutral,
    }
}

/// Whether it is filed, in words.
pub(super) fn words(view: &View<'_>, egress: &Egress) -> String {
    if let Some(name) = &egress.registered_as {
        return view.say_with("report-boundary-filed", &[("name", shown(name).into())]);
    }
    if !view.compared() {
        return view.say("report-boundary-uncompared");
    }
    let of_gateway = |rule: &str| {
        view.result.findings.iter().any(|finding| {
            finding.rule == rule
                && (finding.subject.ip.is_some() && finding.subject.ip == egress.gateway.ip
                    || finding.subject.mac.is_some() && finding.subject.mac == egress.gateway.mac)
        })
    };
    view.say(match () {
        () if of_gateway("unregistered-egress") => "report-boundary-unfiled",
        () if of_gateway("egress-mismatch") => "report-boundary-mismatch",
        () if of_gateway("egress-filing-expired") => "report-boundary-expired",
        () => "report-boundary-unfiled",
    })
}

fn drawing(view: &View<'_>, ways: &[(State, &Egress)]) -> String {
    let height = HEAD + ROW * ways.len() as f64 + 8.0;
    let mut svg = format!(
        r#"<svg class="map boundary" viewBox="0 0 {WIDTH} {height:.0}" role="img" aria-label="{}">"#,
        escape(&view.say("report-egresses"))
    );
    let columns = [
        ("report-boundary-unit", UNIT.0),
        ("report-boundary-device", DEVICE.0),
        ("report-boundary-way", DEVICE.0 + DEVICE.1 + 24.0),
        ("report-boundary-public", PUBLIC.0),
    ];
    for (key, x) in columns {
        let said = fit(&view.say(key), 210.0, |text| width(text, 11.5) * 1.06);
        text(&mut svg, x, 16.0, "name strong", &said);
    }
    let _ = write!(
        svg,
        r#"<path class="edge" d="M{BOUNDARY:.1} {:.1}V{:.1}"/>"#,
        HEAD - 6.0,
        height - 4.0
    );
    let top = HEAD + 4.0;
    let bottom = HEAD + ROW * ways.len() as f64 - (ROW - BOX) + 4.0;
    let unit = view.result.sweep.unit.clone().unwrap_or_else(|| view.say("report-unit-none"));
    let _ = write!(
        svg,
        r#"<g class="node vantage"><title>{}</title><rect x="{:.1}" y="{top:.1}" width="{:.1}" height="{:.1}" rx="6"/>"#,
        escape(&shown(&unit)),
        UNIT.0,
        UNIT.1,
        bottom - top
    );
    let name = fit(&shown(&unit), UNIT.1 - 16.0, |text| width(text, 11.5) * 1.06);
    text(&mut svg, UNIT.0 + 8.0, (top + bottom) / 2.0 + 4.0, "name strong", &name);
    svg += "</g>";
    for (place, (state, egress)) in ways.iter().enumerate() {
        way(&mut svg, view, *state, egress, HEAD + 4.0 + ROW * place as f64);
    }
    svg += "</svg>";
    svg
}

fn way(svg: &mut String, view: &View<'_>, state: State, egress: &Egress, y: f64) {
    let (node, line) = match state {
        State::Filed => ("reg", "way reg"),
        State::Unfiled => ("bad", "way bad"),
        State::Neutral => ("neutral", "way"),
    };
    let middle = y + BOX / 2.0;
    let device_end = DEVICE.0 + DEVICE.1;
    // From the unit to the device, from the device out.
    let _ = write!(
        svg,
        r#"<path class="way" d="M{:.1} {middle:.1}H{:.1}"/><path class="{line}" d="M{device_end:.1} {middle:.1}H{:.1}"/>"#,
        UNIT.0 + UNIT.1,
        DEVICE.0,
        PUBLIC.0
    );
    let gateway = gateway(egress);
    let called = called(view, egress);
    let lines = match &called {
        Some(name) => vec![shown(name), shown(gateway.first().map_or("", String::as_str))],
        None => gateway.iter().map(|text| shown(text)).collect(),
    };
    let whole: Vec<String> = called.iter().chain(&gateway).map(|text| shown(text)).collect();
    block(svg, node, DEVICE, y, &whole.join(" · "), &lines);
    // What is said stands over and under the line, between device and boundary.
    let room = BOUNDARY - device_end - 44.0;
    let methods = shown(&egress.methods.join(", "));
    let methods = fit(&methods, room, |text| width(text, 10.0));
    text(svg, device_end + 24.0, middle - 6.0, "faint", &methods);
    let words = fit(&words(view, egress), room, |text| width(text, 11.0) * 1.06);
    let class = if state == State::Unfiled { "name strong grave" } else { "name strong" };
    text(svg, device_end + 24.0, middle + 15.0, class, &words);
    sign(svg, state, middle);
    let public: Vec<String> = match egress.public_addresses.as_slice() {
        [] => vec![view.say("report-boundary-no-address")],
        [one] => vec![shown(one)],
        [one, two] => vec![shown(one), shown(two)],
        [one, rest @ ..] => vec![shown(one), view.count("report-and-more", rest.len())],
    };
    block(svg, node, PUBLIC, y, &shown(&egress.public_addresses.join(", ")), &public);
}

/// The sign on the boundary: a tick in a disc, or a cross in a square.
fn sign(svg: &mut String, state: State, y: f64) {
    let x = BOUNDARY;
    let _ = match state {
        State::Filed => write!(
            svg,
            r#"<g class="dot reg"><circle class="g" cx="{x:.1}" cy="{y:.1}" r="9"/><path class="cut" d="M{:.1} {y:.1}l3 4l6 -8"/></g>"#,
            x - 4.5
        ),
        State::Unfiled => write!(
            svg,
            r#"<g class="dot bad"><rect class="g" x="{:.1}" y="{:.1}" width="18" height="18"/><path class="cut" d="M{:.1} {:.1}l9 9m0 -9l-9 9"/></g>"#,
            x - 9.0,
            y - 9.0,
            x - 4.5,
            y - 4.5
        ),
        State::Neutral => write!(
            svg,
            r#"<g class="dot neutral"><circle class="g hollow" cx="{x:.1}" cy="{y:.1}" r="8"/></g>"#
        ),
    };
}

/// A box with one line or two.
fn block(
    svg: &mut String,
    class: &str,
    (x, broad): (f64, f64),
    y: f64,
    whole: &str,
    lines: &[String],
) {
    let _ = write!(
        svg,
        r#"<g class="node {class}"><title>{}</title><rect x="{x:.1}" y="{y:.1}" width="{broad:.1}" height="{BOX:.1}" rx="5"/>"#,
        escape(whole)
    );
    let room = broad - 18.0;
    let first = if lines.len() > 1 { y + 19.0 } else { y + 27.0 };
    for (place, line) in lines.iter().take(2).enumerate() {
        let is_address = line.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | ':'));
        let (drawn, class) = match is_address {
            true => (fit_end(line, room, |text| mono(text, 10.0)), "address"),
            false => (fit(line, room, |text| width(text, 11.0) * 1.06), "name"),
        };
        text(svg, x + 9.0, first + 16.0 * place as f64, class, &drawn);
    }
    *svg += "</g>";
}

fn gateway(egress: &Egress) -> Vec<String> {
    let gateway = [&egress.gateway.ip, &egress.gateway.mac];
    let known: Vec<String> = gateway.into_iter().flatten().cloned().collect();
    if known.is_empty() { vec!["—".to_owned()] } else { known }
}

/// The device that leads out.
fn leads<'a>(view: &View<'a>, egress: &Egress) -> Option<&'a Device> {
    view.result.devices.iter().find(|device| match &egress.gateway.mac {
        Some(mac) => device.macs.contains(mac),
        None => egress.gateway.ip.as_ref().is_some_and(|ip| device.addresses.contains(ip)),
    })
}

fn called(view: &View<'_>, egress: &Egress) -> Option<String> {
    super::view::name(leads(view, egress)?).map(str::to_owned)
}

/// For each prefix where ways out were looked for, or were not for a reason: what was found, or how far
/// 'none' reaches.
fn said(view: &View<'_>) -> Vec<String> {
    let rows: Vec<&Coverage> =
        view.result.coverage.iter().filter(|row| looked_for(row)).take(SAID).collect();
    if rows.is_empty() {
        return vec![view.say("report-boundary-unasked")];
    }
    let several =
        |row: &Coverage| rows.iter().filter(|other| other.prefix == row.prefix).count() > 1;
    rows.iter()
        .map(|row| {
            let place = match several(row) {
                true => format!("{} ({})", shown(&row.prefix), shown(&row.vantage)),
                false => shown(&row.prefix),
            };
            sentences(view, row, &place)
        })
        .collect()
}

fn is_egress(word: &str) -> bool {
    EgressMethod::ALL.iter().any(|method| method.word() == word)
}

fn looked_for(row: &Coverage) -> bool {
    !row.calibrated.is_empty() || row.methods.iter().any(|method| is_egress(method))
}

fn sentences(view: &View<'_>, row: &Coverage, place: &str) -> String {
    let place = || ("prefix", place.to_owned().into());
    let ran: Vec<&str> =
        row.methods.iter().map(String::as_str).filter(|method| is_egress(method)).collect();
    let state = |method: &str| row.calibrated.get(method).map(String::as_str);
    let void: Vec<&str> =
        ran.iter().copied().filter(|method| state(method) == Some("no")).collect();
    let sound: Vec<&str> = ran.iter().copied().filter(|method| !void.contains(method)).collect();
    let is_calibrated = sound.iter().any(|method| state(method) == Some("yes"));
    let prefix: Option<Prefix> = row.prefix.parse().ok();
    // A device known by its IPv4 address leads out of its IPv6 prefix as well.
    let here = |egress: &&Egress| {
        let device = leads(view, egress);
        let known = egress.gateway.ip.iter().chain(device.iter().flat_map(|of| &of.addresses));
        let mut at = known.filter_map(|ip| ip.parse::<IpAddr>().ok());
        prefix.is_some_and(|prefix| at.any(|ip| prefix.contains(ip)))
    };
    let unfiled = view.result.egresses.iter().filter(|egress| egress.registered_as.is_none());
    let count = unfiled.take(COUNTED).filter(here).count();
    let methods = |list: &[&str]| ("methods", list.join(", ").into());
    let mut said = vec![match () {
        () if count > 0 && view.compared() => {
            view.say_with("report-boundary-found", &[place(), ("n", number(count as u64))])
        }
        () if count > 0 => {
            view.say_with("report-boundary-seen", &[place(), ("n", number(count as u64))])
        }
        () if is_calibrated && view.compared() => {
            view.say_with("report-boundary-none", &[place(), methods(&sound)])
        }
        () if is_calibrated => {
            view.say_with("report-boundary-none-seen", &[place(), methods(&sound)])
        }
        () => view.say_with("report-boundary-not-shown", &[place()]),
    }];
    let reasons: Vec<String> = row
        .why_not
        .iter()
        .flat_map(|written| written.lines())
        .filter(|line| line.split(": ").next().is_some_and(is_egress))
        .map(shown)
        .collect();
    // Its reason says more, where there is one.
    let told = |method: &&str| reasons.iter().any(|line| line.starts_with(*method));
    if !void.iter().all(told) {
        said.push(view.say_with("report-boundary-void", &[methods(&void)]));
    }
    if !reasons.is_empty() {
        let list = reasons.join("; ");
        said.push(view.say_with("report-boundary-reasons", &[("reasons", list.into())]));
    }
    said.join(" ")
}
