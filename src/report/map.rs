//! The map: segments as boxes with their devices, routers and vantages above, drawn as SVG.
//!
//! Boxes stand in three columns; the lines that join a router to its segments run in the gutters
//! between the columns, one lane a router, so that no line crosses a text. What would not fit a page
//! goes on to another sheet. Every text is measured and shortened before it is drawn; the whole of it
//! is in the shape's `title`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;

use super::measure::{fit, fit_end, mono, width};
use super::view::{View, frequencies, kind_word, name, shown};
use crate::net::{Prefix, PrefixMap};
use crate::observe::Foreign;
use crate::result::v1::{Device, Severity};

const SHEET_WIDTH: f64 = 980.0;
/// What an A4 page takes at the width of its text.
const SHEET_HEIGHT: f64 = 1230.0;
const COLUMNS: usize = 3;
const GUTTER: f64 = 40.0;
const BOX_WIDTH: f64 = 284.0;
const HEAD: f64 = 46.0;
const ROW: f64 = 31.0;
const CELL: f64 = BOX_WIDTH / 2.0;
const NODE_WIDTH: f64 = 148.0;
const NODE_HEIGHT: f64 = 40.0;
/// Routers and vantages drawn on a sheet: as many as a gutter has lanes.
const NODES: usize = 6;
/// Devices of a segment that are drawn one by one; past it they are counted.
const ONE_BY_ONE: usize = 60;
/// Of a counted segment, the devices with findings that are drawn all the same.
const PICKED: usize = 24;
/// Segments that are drawn at all.
const SEGMENTS: usize = 90;

/// Segments that one gateway is joined to: more than a map has.
const SEGMENTS_A_GATEWAY: usize = 4 * SEGMENTS;

/// What the map comes to.
pub(super) struct Map {
    /// One SVG each.
    pub sheets: Vec<String>,
    pub drawn: usize,
    pub segments: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Finding,
    Unregistered,
    Neutral,
    Registered,
}

impl State {
    const fn class(self) -> &'static str {
        match self {
            State::Finding => "bad",
            State::Unregistered => "unreg",
            State::Neutral => "neutral",
            State::Registered => "reg",
        }
    }
}

/// A device where it stands in one segment.
struct Cell<'a> {
    device: &'a Device,
    address: String,
    more: usize,
    state: State,
}

struct Plot<'a> {
    title: String,
    full_title: String,
    state: State,
    pill: String,
    line: String,
    cells: Vec<Cell<'a>>,
    /// Counted instead of drawn: kind, state, how many.
    counted: Vec<(&'static str, State, usize)>,
    rest: usize,
    /// The places of its routers and vantages in the list of nodes.
    nodes: Vec<usize>,
}

struct Node {
    name: String,
    address: String,
    vantage: bool,
    state: State,
    segments: usize,
}

pub(super) fn draw(view: &View<'_>) -> Map {
    let plan = Plan::of(view);
    let sheets =
        pack(&plan.plots).into_iter().map(|sheet| draw_sheet(view, &plan, &sheet)).collect();
    Map { sheets, drawn: plan.drawn, segments: view.result.segments.len() }
}

struct Plan<'a> {
    plots: Vec<Plot<'a>>,
    nodes: Vec<Node>,
    drawn: usize,
}

impl<'a> Plan<'a> {
    fn of(view: &View<'a>) -> Plan<'a> {
        let result = view.result;
        let mut prefixes: PrefixMap<usize> = PrefixMap::default();
        for (place, segment) in result.segments.iter().enumerate() {
            if let Ok(prefix) = segment.prefix.parse::<Prefix>() {
                prefixes.insert(prefix, place);
            }
        }
        let place_of = |address: &str| -> Option<usize> {
            let address: IpAddr = address.parse().ok()?;
            prefixes.longest(address).map(|(_, place)| *place)
        };
        let state_of = |place: usize, device: &Device| -> State {
            let grave = view.against(place).iter().any(|finding| {
                result.findings.get(*finding).is_some_and(|f| f.severity > Severity::Info)
            });
            match () {
                () if grave => State::Finding,
                () if device.registered_as.is_some() => State::Registered,
                () if view.compared() => State::Unregistered,
                () => State::Neutral,
            }
        };

        let mut cells: BTreeMap<Option<usize>, Vec<Cell<'a>>> = BTreeMap::new();
        let mut gateways: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
        for (place, segment) in result.segments.iter().enumerate() {
            for gateway in &segment.gateways {
                let places = gateways.entry(gateway).or_default();
                if places.len() < SEGMENTS_A_GATEWAY {
                    places.insert(place);
                }
            }
        }
        let mut nodes = Vec::new();
        let mut joined: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut join = |nodes: &mut Vec<Node>, mut node: Node, places: BTreeSet<usize>| {
            node.segments = places.len();
            for place in places {
                joined.entry(place).or_default().push(nodes.len());
            }
            nodes.push(node);
        };

        for vantage in &result.sweep.vantages {
            let places = vantage
                .addresses
                .iter()
                .filter_map(|address| place_of(address.split('/').next().unwrap_or_default()))
                .collect();
            let interface = vantage.interface.clone().into();
            let node = Node {
                name: view.say_with("report-map-vantage", &[("interface", interface)]),
                address: vantage.addresses.first().cloned().unwrap_or_default(),
                vantage: true,
                state: State::Neutral,
                segments: 0,
            };
            join(&mut nodes, node, places);
        }
        let mut told: BTreeSet<&str> = BTreeSet::new();
        for (place, device) in result.devices.iter().enumerate() {
            let state = state_of(place, device);
            let mut at: BTreeMap<Option<usize>, Vec<&str>> = BTreeMap::new();
            for address in &device.addresses {
                // A link-local address says nothing of a segment that the link has not.
                let place = place_of(address);
                if place.is_some() || !is_link_local(address) {
                    at.entry(place).or_default().push(address);
                }
            }
            if at.is_empty() {
                let address = device.addresses.first().or(device.macs.first());
                at.insert(None, address.map(String::as_str).into_iter().collect());
            }
            let mut places: BTreeSet<usize> = BTreeSet::new();
            for address in &device.addresses {
                if let Some(segments) = gateways.get(address.as_str()) {
                    places.extend(segments);
                    told.insert(address);
                }
            }
            if kind_word(device) == "network" || !places.is_empty() {
                places.extend(at.keys().flatten());
                let node = Node {
                    name: name(device).unwrap_or_default().to_owned(),
                    address: best_address(&device.addresses),
                    vantage: false,
                    state,
                    segments: 0,
                };
                join(&mut nodes, node, places);
            }
            for (place, addresses) in at {
                cells.entry(place).or_default().push(Cell {
                    device,
                    address: addresses.first().copied().unwrap_or_default().to_owned(),
                    more: addresses.len().saturating_sub(1),
                    state,
                });
            }
        }
        // A gateway that nothing was heard of but its address.
        for (gateway, places) in &gateways {
            if !told.contains(gateway) {
                let node = Node {
                    name: String::new(),
                    address: (*gateway).to_owned(),
                    vantage: false,
                    state: State::Neutral,
                    segments: 0,
                };
                join(&mut nodes, node, places.clone());
            }
        }

        let mut order: Vec<usize> = (0..result.segments.len()).collect();
        let blamed: BTreeSet<&str> =
            view.counted().filter_map(|finding| finding.subject.prefix.as_deref()).collect();
        let state_of_segment = |place: usize| -> State {
            let Some(segment) = result.segments.get(place) else { return State::Neutral };
            match () {
                () if blamed.contains(segment.prefix.as_str()) => State::Finding,
                () if segment.registered => State::Registered,
                () if view.compared() => State::Unregistered,
                () => State::Neutral,
            }
        };
        // Where not all can be drawn, what has findings and what lives comes first.
        if order.len() > SEGMENTS {
            order.sort_by_key(|place| {
                let live = result.segments.get(*place).map_or(0, |segment| segment.live);
                (state_of_segment(*place), std::cmp::Reverse(live))
            });
            order.truncate(SEGMENTS);
            order.sort_unstable();
        }
        let drawn = order.len();
        let mut plots: Vec<Plot<'a>> = order
            .into_iter()
            .filter_map(|place| {
                let segment = result.segments.get(place)?;
                let here = cells.remove(&Some(place)).unwrap_or_default();
                let gateways = match segment.gateways.as_slice() {
                    [] => view.say("report-map-no-gateway"),
                    list => {
                        let list = shown(&list.join(", ")).into();
                        view.say_with("report-map-gateways", &[("gateways", list)])
                    }
                };
                let devices = view.count("report-map-devices", here.len());
                let mut plot = Plot {
                    title: segment.prefix.clone(),
                    full_title: segment.prefix.clone(),
                    state: state_of_segment(place),
                    pill: match segment.registered {
                        true => view.say("report-legend-registered"),
                        false if view.compared() => view.say("report-legend-unregistered"),
                        false => view.say("report-legend-neutral"),
                    },
                    line: format!("{devices} · {gateways}"),
                    cells: Vec::new(),
                    counted: Vec::new(),
                    rest: 0,
                    nodes: joined.remove(&place).unwrap_or_default(),
                };
                fill(&mut plot, here);
                Some(plot)
            })
            .collect();
        if let Some(outside) = cells.remove(&None) {
            let title = view.say("report-map-outside");
            let mut plot = Plot {
                full_title: title.clone(),
                title,
                state: State::Neutral,
                pill: String::new(),
                line: view.count("report-map-devices", outside.len()),
                cells: Vec::new(),
                counted: Vec::new(),
                rest: 0,
                nodes: Vec::new(),
            };
            fill(&mut plot, outside);
            plots.push(plot);
        }
        Plan { plots, nodes, drawn }
    }
}

/// Draws every device, or counts them by kind and draws those with findings.
fn fill<'a>(plot: &mut Plot<'a>, mut cells: Vec<Cell<'a>>) {
    cells.sort_by_cached_key(|cell| cell.address.parse::<IpAddr>().ok());
    if cells.len() <= ONE_BY_ONE {
        plot.cells = cells;
        return;
    }
    let mut picked = Vec::new();
    let mut others = Vec::new();
    for cell in cells {
        if cell.state == State::Finding && picked.len() < PICKED {
            picked.push(cell);
        } else {
            others.push(cell);
        }
    }
    let kinds = frequencies(others.iter().map(|cell| (cell.state, kind_word(cell.device))));
    plot.rest = others.len();
    plot.counted = kinds.into_iter().map(|((state, kind), count)| (kind, state, count)).collect();
    plot.cells = picked;
}

fn is_link_local(address: &str) -> bool {
    match address.parse() {
        Ok(IpAddr::V4(address)) => address.is_link_local(),
        Ok(IpAddr::V6(address)) => address.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// The first that is not link-local.
fn best_address(addresses: &[String]) -> String {
    let best = addresses.iter().find(|address| !is_link_local(address));
    best.or(addresses.first()).cloned().unwrap_or_default()
}

impl Plot<'_> {
    fn height(&self) -> f64 {
        let rows = self.cells.len().div_ceil(2) + self.counted.len().div_ceil(2);
        HEAD + ROW * rows as f64 + if rows == 0 { 0.0 } else { 8.0 }
    }
}

/// Where a plot stands on its sheet.
struct Placed {
    plot: usize,
    column: usize,
    y: f64,
}

struct Sheet {
    boxes: Vec<Placed>,
    height: f64,
}

/// The band above the boxes: one row of nodes, one bus line for each, and a line of text.
const BAND: f64 = NODE_HEIGHT + 30.0 + 7.0 * NODES as f64;

/// Each box under the shortest column; a new sheet where none has room.
fn pack(plots: &[Plot<'_>]) -> Vec<Sheet> {
    let mut sheets: Vec<Sheet> = Vec::new();
    let mut columns = [BAND; COLUMNS];
    for (place, plot) in plots.iter().enumerate() {
        let shortest = |columns: &[f64; COLUMNS]| {
            let mut best = (0, f64::INFINITY);
            for (column, y) in columns.iter().enumerate() {
                if *y < best.1 {
                    best = (column, *y);
                }
            }
            best
        };
        let (mut column, mut y) = shortest(&columns);
        if sheets.is_empty() || (y > BAND && y + plot.height() > SHEET_HEIGHT) {
            sheets.push(Sheet { boxes: Vec::new(), height: 0.0 });
            columns = [BAND; COLUMNS];
            (column, y) = shortest(&columns);
        }
        let below = y + plot.height() + 18.0;
        if let Some(end) = columns.get_mut(column) {
            *end = below;
        }
        if let Some(sheet) = sheets.last_mut() {
            sheet.height = sheet.height.max(below);
            sheet.boxes.push(Placed { plot: place, column, y });
        }
    }
    sheets
}

pub(super) fn escape(text: &str) -> String {
    Foreign::new(text).html()
}

/// A text of the drawing; `title` where something was left out of it.
pub(super) fn text(svg: &mut String, x: f64, y: f64, class: &str, drawn: &str) {
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" class="{class}">{}</text>"#, escape(drawn));
}

fn draw_sheet(view: &View<'_>, plan: &Plan<'_>, sheet: &Sheet) -> String {
    // The nodes that have most to do with this sheet, in their order.
    let here = frequencies(
        sheet.boxes.iter().filter_map(|b| plan.plots.get(b.plot)).flat_map(|p| p.nodes.iter()),
    );
    let mut chosen: Vec<usize> = here.iter().take(NODES).map(|(node, _)| **node).collect();
    chosen.sort_unstable();
    let left_out = here.len().saturating_sub(NODES);

    let height = sheet.height.max(BAND + 20.0);
    let mut svg = format!(
        r#"<svg class="map" viewBox="0 0 {SHEET_WIDTH} {height:.0}" role="img" aria-label="{}">"#,
        escape(&view.say("report-map").replace(['、', '.'], " "))
    );
    let pitch = SHEET_WIDTH / NODES as f64;
    let start = (SHEET_WIDTH - pitch * chosen.len() as f64) / 2.0;
    let centre = |lane: usize| start + pitch * (lane as f64 + 0.5);
    let bus = |lane: usize| NODE_HEIGHT + 12.0 + 7.0 * lane as f64;
    let column_x = |column: usize| GUTTER + column as f64 * (BOX_WIDTH + GUTTER);

    // Lines first, so that boxes and dots stand on them.
    for placed in &sheet.boxes {
        let Some(plot) = plan.plots.get(placed.plot) else { continue };
        for (lane, node) in chosen.iter().enumerate() {
            if !plot.nodes.contains(node) {
                continue;
            }
            let x = column_x(placed.column);
            let lane_x = x - 36.0 + 5.4 * lane as f64;
            let y = placed.y + 8.0 + 6.0 * lane as f64;
            let _ = write!(
                svg,
                r#"<path class="wire w{lane}" d="M{:.1} {:.1}V{:.1}H{lane_x:.1}V{y:.1}H{x:.1}"/><circle class="join w{lane}" cx="{x:.1}" cy="{y:.1}" r="2.6"/>"#,
                centre(lane),
                NODE_HEIGHT,
                bus(lane),
            );
        }
    }
    for (lane, node) in chosen.iter().enumerate() {
        if let Some(node) = plan.nodes.get(*node) {
            draw_node(&mut svg, node, centre(lane) - NODE_WIDTH / 2.0, lane);
        }
    }
    if left_out > 0 {
        let more = view.count("report-map-more-routers", left_out);
        text(&mut svg, GUTTER, BAND - 4.0, "faint", &more);
    }
    for placed in &sheet.boxes {
        if let Some(plot) = plan.plots.get(placed.plot) {
            draw_box(&mut svg, view, plot, column_x(placed.column), placed.y);
        }
    }
    svg += "</svg>";
    svg
}

fn draw_node(svg: &mut String, node: &Node, x: f64, lane: usize) {
    let class = if node.vantage { "vantage" } else { node.state.class() };
    let whole = format!("{} {}", shown(&node.name), shown(&node.address));
    let _ = write!(
        svg,
        r#"<g class="node {class}"><title>{}</title><rect x="{x:.1}" y="1" width="{NODE_WIDTH}" height="{:.0}" rx="5"/>"#,
        escape(whole.trim()),
        NODE_HEIGHT - 1.0,
    );
    let _ = write!(
        svg,
        r#"<rect class="tab w{lane}" x="{:.1}" y="{:.1}" width="12" height="4"/>"#,
        x + NODE_WIDTH / 2.0 - 6.0,
        NODE_HEIGHT - 2.0
    );
    let room = NODE_WIDTH - 16.0;
    let address = fit_end(&shown(&node.address), room, |text| mono(text, 10.0));
    if node.name.is_empty() {
        text(svg, x + 8.0, 24.0, "address", &address);
    } else {
        let name = fit(&shown(&node.name), room, |text| width(text, 11.5) * 1.06);
        text(svg, x + 8.0, 17.0, "name strong", &name);
        text(svg, x + 8.0, 31.0, "address", &address);
    }
    *svg += "</g>";
}

fn draw_box(svg: &mut String, view: &View<'_>, plot: &Plot<'_>, x: f64, y: f64) {
    let _ = write!(
        svg,
        r#"<g class="segment {}"><title>{}</title><rect class="body" x="{x:.1}" y="{y:.1}" width="{BOX_WIDTH}" height="{:.1}" rx="6"/><path class="head" d="M{x:.1} {:.1}v-{:.1}q0 -6 6 -6h{:.1}q6 0 6 6v{:.1}z"/>"#,
        plot.state.class(),
        escape(&format!("{} · {}", shown(&plot.full_title), shown(&plot.line))),
        plot.height(),
        y + HEAD - 4.0,
        HEAD - 10.0,
        BOX_WIDTH - 12.0,
        HEAD - 10.0,
    );
    let pill = if plot.pill.is_empty() { 0.0 } else { width(&plot.pill, 10.0) + 14.0 };
    let room = BOX_WIDTH - 24.0 - pill;
    let title = fit(&shown(&plot.title), room, |text| mono(text, 12.5) * 1.06);
    text(svg, x + 12.0, y + 17.0, "prefix", &title);
    if pill > 0.0 {
        let left = x + BOX_WIDTH - 8.0 - pill;
        let _ = write!(
            svg,
            r#"<rect class="pill" x="{left:.1}" y="{:.1}" width="{pill:.1}" height="15" rx="7.5"/>"#,
            y + 6.0
        );
        text(svg, left + 7.0, y + 17.2, "pilltext", &plot.pill);
    }
    let line = fit(&shown(&plot.line), BOX_WIDTH - 24.0, |text| width(text, 10.0));
    text(svg, x + 12.0, y + 34.0, "faint", &line);

    let mut place = 0_usize;
    let at = |place: usize| {
        let left = x + 8.0 + (place % 2) as f64 * (CELL - 4.0);
        (left, y + HEAD + 15.0 + ROW * (place / 2) as f64)
    };
    for cell in &plot.cells {
        let (left, middle) = at(place);
        draw_cell(svg, view, cell, left, middle);
        place += 1;
    }
    place = place.div_ceil(2) * 2;
    for (kind, state, count) in &plot.counted {
        let (left, middle) = at(place);
        let _ = write!(svg, r#"<g class="dot {}">"#, state.class());
        glyph(svg, kind, left + 7.0, middle);
        let label = view.say(&format!("report-kind-{kind}"));
        let label = format!("{count} × {label}");
        let label = fit(&label, CELL - 26.0, |text| width(text, 11.0));
        text(svg, left + 18.0, middle + 4.0, "name", &label);
        *svg += "</g>";
        place += 1;
    }
    *svg += "</g>";
}

fn draw_cell(svg: &mut String, view: &View<'_>, cell: &Cell<'_>, x: f64, y: f64) {
    let full = cell.device;
    let label = match name(full) {
        Some(name) => shown(name),
        None => view.kind(full),
    };
    let mut whole = vec![label.clone(), full.addresses.join(", "), full.macs.join(", ")];
    whole.retain(|part| !part.is_empty());
    let _ = write!(
        svg,
        r#"<g class="dot {}"><title>{}</title>"#,
        cell.state.class(),
        escape(&shown(&whole.join(" · ")))
    );
    glyph(svg, kind_word(full), x + 7.0, y);
    let room = CELL - 28.0;
    let label = fit(&label, room, |text| width(text, 11.0));
    text(svg, x + 18.0, y - 2.0, "name", &label);
    let more = if cell.more > 0 { format!(" +{}", cell.more) } else { String::new() };
    let address = fit_end(&shown(&cell.address), room - mono(&more, 10.0), |t| mono(t, 10.0));
    text(svg, x + 18.0, y + 10.5, "address", &format!("{address}{more}"));
    *svg += "</g>";
}

/// A kind's shape, so that a print without colours still tells them apart.
pub(super) fn glyph(svg: &mut String, kind: &str, x: f64, y: f64) {
    let _ = match kind {
        "network" => write!(
            svg,
            r#"<rect class="g" x="{:.1}" y="{:.1}" width="11" height="11"/><path class="cut" d="M{:.1} {y:.1}h6M{x:.1} {:.1}v6"/>"#,
            x - 5.5,
            y - 5.5,
            x - 3.0,
            y - 3.0
        ),
        "server" => write!(
            svg,
            r#"<rect class="g" x="{:.1}" y="{:.1}" width="9" height="12" rx="1.5"/><path class="cut" d="M{:.1} {:.1}h5M{:.1} {:.1}h5"/>"#,
            x - 4.5,
            y - 6.0,
            x - 2.5,
            y - 2.5,
            x - 2.5,
            y + 1.0
        ),
        "printer" => write!(svg, r#"<path class="g" d="M{x:.1} {:.1}l6 11h-12z"/>"#, y - 6.0),
        "camera" | "phone" => write!(
            svg,
            r#"<path class="g" d="M{x:.1} {:.1}l6.2 6.2l-6.2 6.2l-6.2 -6.2z"/>"#,
            y - 6.2
        ),
        "unknown" => write!(svg, r#"<circle class="g hollow" cx="{x:.1}" cy="{y:.1}" r="5"/>"#),
        _ => write!(svg, r#"<circle class="g" cx="{x:.1}" cy="{y:.1}" r="5.4"/>"#),
    };
}

/// The legend, as one SVG a sign and its words beside it.
pub(super) fn legend(view: &View<'_>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let states = [
        (State::Registered, "report-legend-registered"),
        (State::Unregistered, "report-legend-unregistered"),
        (State::Finding, "report-legend-finding"),
        (State::Neutral, "report-legend-neutral"),
    ];
    for (state, key) in states {
        if (state == State::Neutral) == view.compared() {
            continue;
        }
        rows.push((sign(state, "terminal"), view.say(key)));
    }
    for kind in ["network", "server", "terminal", "printer", "camera", "unknown"] {
        let mut words = view.say(&format!("report-kind-{kind}"));
        if kind == "camera" {
            words = format!("{words} / {}", view.say("report-kind-phone"));
        }
        rows.push((sign(State::Neutral, kind), words));
    }
    rows
}

fn sign(state: State, kind: &str) -> String {
    let mut svg = format!(
        r#"<svg class="map sign" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true"><g class="dot {}">"#,
        state.class()
    );
    glyph(&mut svg, kind, 8.0, 8.0);
    svg += "</g></svg>";
    svg
}
