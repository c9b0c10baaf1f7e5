//! The tables held against each other: keys, units, segments, gateways. Every fault in one pass.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;

use rayon::prelude::*;

use super::cell;
use super::fault::{Excerpt, Fault, FaultKind};
use super::intake::{Intake, Sheet};
use super::model::{GatewayRef, Registry, SubjectRef};
use super::schema::{Column, Table};
use super::write;
use crate::net::{Prefix, PrefixMap, special};
use crate::observe::Foreign;
use crate::texts::Language;

/// What was noticed: table, entry, column, value.
struct Remark {
    table: Table,
    entry: usize,
    column: Column,
    value: String,
    kind: FaultKind,
}

pub(super) fn check(intake: &mut Intake) {
    settle_names(&mut intake.registry);
    let mut remarks = Vec::new();
    let registry = &intake.registry;
    duplicates(intake, &mut remarks);
    units(intake, &mut remarks);
    overlaps(intake, &mut remarks);
    addresses(registry, &mut remarks);
    gateways(registry, &mut remarks);
    subjects(registry, &mut remarks);
    for remark in remarks {
        tell(intake, remark);
    }
    strays(intake);
}

/// The units of rows that could not become entries.
fn strays(intake: &mut Intake) {
    if !intake.sheet(Table::Units).is_some_and(|sheet| sheet.has(Column::Unit)) {
        return;
    }
    let known: HashSet<&str> =
        intake.registry.units.iter().map(|unit| unit.unit.as_str()).collect();
    let mut unknown = Vec::new();
    for sheet in &intake.sheets {
        for (row, unit) in sheet.strays.iter().filter(|(_, unit)| !known.contains(unit.as_str())) {
            unknown.push(Fault {
                row: Some(u64::from(*row)),
                column: Some(Foreign::new(cell::trimmed(sheet.heading(Column::Unit)))),
                value: Foreign::new(unit),
                ..Fault::in_file(
                    FaultKind::UnknownUnit { meant: None },
                    Some(sheet.table),
                    &sheet.file,
                )
            });
        }
    }
    for fault in unknown {
        intake.fault(fault);
    }
}

fn tell(intake: &mut Intake, remark: Remark) {
    let Some(sheet) = intake.sheets.iter().find(|sheet| sheet.table == remark.table) else {
        return;
    };
    let fault = Fault {
        row: row_of(sheet, remark.entry),
        column: Some(Foreign::new(cell::trimmed(sheet.heading(remark.column)))),
        value: Foreign::new(&remark.value),
        ..Fault::in_file(remark.kind, Some(remark.table), &sheet.file)
    };
    let registry = &intake.registry;
    intake.faults.push(fault, || {
        let at = sheet.place(remark.column)?;
        let is_chinese = sheet.headings.iter().any(|heading| !heading.is_ascii());
        let language = if is_chinese { Language::Zh } else { Language::En };
        let written = write::cells(registry, remark.table, remark.entry, language);
        let mut cells: Vec<Cow<'_, str>> = vec![Cow::Borrowed(""); sheet.headings.len()];
        for (column, text) in written {
            if let Some(cell) = sheet.place(column).and_then(|place| cells.get_mut(place)) {
                *cell = Cow::Owned(text);
            }
        }
        let headings = sheet.headings.iter().map(String::as_str);
        Some(Excerpt::of(headings, cells.iter().map(AsRef::as_ref), at))
    });
}

fn row_of(sheet: &Sheet, entry: usize) -> Option<u64> {
    sheet.rows.get(entry).map(|row| u64::from(*row))
}

/// A subject of several words is one device if such a device exists, else each word is one.
fn settle_names(registry: &mut Registry) {
    let spaced: HashSet<String> = registry
        .devices
        .iter()
        .filter(|device| device.name.contains(char::is_whitespace))
        .map(|device| device.name.clone())
        .collect();
    let settle = |subjects: &mut Vec<SubjectRef>| {
        let splits = |subject: &SubjectRef| match subject {
            SubjectRef::Device(name) => {
                name.contains(char::is_whitespace) && !spaced.contains(name)
            }
            _ => false,
        };
        if !subjects.iter().any(splits) {
            return;
        }
        for subject in std::mem::take(subjects) {
            match &subject {
                SubjectRef::Device(name) if splits(&subject) => subjects.extend(
                    name.split_whitespace().map(|word| SubjectRef::Device(word.to_owned())),
                ),
                _ => subjects.push(subject),
            }
        }
    };
    registry.notices.iter_mut().for_each(|notice| settle(&mut notice.subject));
    registry.waivers.iter_mut().for_each(|waiver| settle(&mut waiver.subject));
}

/// Two rows with one key, as (first, other). A table of hashes and rows, compared in full on a hit: a million
/// keys in some 35 MB, where a map of the keys themselves would take three times that.
fn repeated<'t, T, K: Hash + Eq + 't>(
    table: &'t [T],
    key: impl Fn(&'t T) -> K,
) -> Vec<(usize, usize)> {
    let hasher = RandomState::new();
    let mut seen: HashMap<u64, u32> = HashMap::with_capacity(table.len());
    let mut repeated = Vec::new();
    for (row, entry) in table.iter().enumerate() {
        let own = key(entry);
        let mut hash = hasher.hash_one(&own);
        loop {
            let Some(first) = seen.get(&hash) else {
                seen.insert(hash, u32::try_from(row).unwrap_or(u32::MAX));
                break;
            };
            let first = *first as usize;
            if table.get(first).is_some_and(|other| key(other) == own) {
                repeated.push((first, row));
                break;
            }
            hash = hash.wrapping_add(1);
        }
    }
    repeated
}

fn duplicates(intake: &Intake, remarks: &mut Vec<Remark>) {
    let registry = &intake.registry;
    let mut note = |table: Table, found: Vec<(usize, usize)>| {
        let sheet = intake.sheet(table);
        for (first, entry) in found {
            let value = write::key(registry, table, entry);
            let column = table.key().last().copied().unwrap_or(Column::Unit);
            let first_row = sheet.and_then(|sheet| row_of(sheet, first)).unwrap_or(0);
            let kind = FaultKind::DuplicateKey { first_row };
            remarks.push(Remark { table, entry, column, value, kind });
        }
    };
    note(Table::Units, repeated(&registry.units, |row| row.unit.as_str()));
    note(Table::Segments, repeated(&registry.segments, |row| row.prefix));
    note(Table::Devices, repeated(&registry.devices, |row| (row.unit.as_str(), row.name.as_str())));
    note(
        Table::Egresses,
        repeated(&registry.egresses, |row| (row.unit.as_str(), row.name.as_str())),
    );
    note(Table::Assets, repeated(&registry.assets, |row| (row.unit.as_str(), row.name.as_str())));
    note(Table::Services, repeated(&registry.services, |row| (row.ip, row.port)));
    note(Table::Notices, repeated(&registry.notices, |row| row.notice.as_str()));
}

/// Every unit that a row names must be in `units`. Where that table is missing or has no such column,
/// that is told once and not for each row.
fn units(intake: &Intake, remarks: &mut Vec<Remark>) {
    let registry = &intake.registry;
    if !intake.sheet(Table::Units).is_some_and(|sheet| sheet.has(Column::Unit)) {
        return;
    }
    let known: HashSet<&str> = registry.units.iter().map(|unit| unit.unit.as_str()).collect();
    let mut meant: HashMap<String, Option<String>> = HashMap::new();
    let mut nearest = |unit: &str| -> Option<String> {
        // Bounded: a registry whose units are all unknown is not helped by guesses.
        if meant.len() > 100 {
            return None;
        }
        meant
            .entry(unit.to_owned())
            .or_insert_with(|| {
                cell::nearest(unit, known.iter().copied().take(10_000)).map(str::to_owned)
            })
            .clone()
    };
    let mut see = |table: Table, column: Column, units: &mut dyn Iterator<Item = Option<&str>>| {
        let mut last = "";
        for (entry, unit) in units.enumerate() {
            let Some(unit) = unit else { continue };
            if unit == last || known.contains(unit) {
                last = unit;
                continue;
            }
            let kind = if column == Column::Parent {
                FaultKind::UnknownParent
            } else {
                FaultKind::UnknownUnit { meant: nearest(unit) }
            };
            remarks.push(Remark { table, entry, column, value: unit.to_owned(), kind });
        }
    };
    let unit = Column::Unit;
    see(Table::Units, Column::Parent, &mut registry.units.iter().map(|row| row.parent.as_deref()));
    see(Table::Segments, unit, &mut registry.segments.iter().map(|row| Some(row.unit.as_str())));
    see(Table::Devices, unit, &mut registry.devices.iter().map(|row| Some(row.unit.as_str())));
    see(Table::Egresses, unit, &mut registry.egresses.iter().map(|row| Some(row.unit.as_str())));
    see(Table::Assets, unit, &mut registry.assets.iter().map(|row| Some(row.unit.as_str())));
    see(Table::Services, unit, &mut registry.services.iter().map(|row| Some(row.unit.as_str())));
    see(Table::Notices, unit, &mut registry.notices.iter().map(|row| Some(row.unit.as_str())));
    see(Table::Waivers, unit, &mut registry.waivers.iter().map(|row| row.unit.as_deref()));
}

/// A segment inside one of another unit. Each inner segment is told once, with the nearest around it.
fn overlaps(intake: &Intake, remarks: &mut Vec<Remark>) {
    let segments = &intake.registry.segments;
    let mut order: Vec<(Prefix, usize)> =
        segments.iter().enumerate().map(|(entry, segment)| (segment.prefix, entry)).collect();
    order.sort_unstable();
    // Those around the place where the walk is, outermost first.
    let mut around: Vec<(Prefix, usize)> = Vec::new();
    for (prefix, entry) in order {
        while around.last().is_some_and(|(outer, _)| !outer.covers(prefix)) {
            around.pop();
        }
        let Some(segment) = segments.get(entry) else { continue };
        let other = around.iter().rev().find_map(|(outer, entry)| {
            // The same prefix twice is a duplicate key.
            let other = segments.get(*entry).filter(|_| *outer != prefix)?;
            (other.unit != segment.unit).then_some((*entry, other))
        });
        if let Some((other_entry, other)) = other {
            let row = intake
                .sheet(Table::Segments)
                .and_then(|sheet| row_of(sheet, other_entry))
                .unwrap_or(0);
            let unit = Foreign::new(&other.unit);
            remarks.push(Remark {
                table: Table::Segments,
                entry,
                column: Column::Prefix,
                value: prefix.to_string(),
                kind: FaultKind::Overlap { prefix: other.prefix, unit, row },
            });
        }
        around.push((prefix, entry));
    }
}

/// Addresses outside the segments of their unit, however those stand on the day.
fn addresses(registry: &Registry, remarks: &mut Vec<Remark>) {
    let mut segments: PrefixMap<Vec<&str>> = PrefixMap::new();
    for segment in &registry.segments {
        segments.get_or_insert_with(segment.prefix, Vec::new).push(&segment.unit);
    }
    let known: HashSet<&str> = registry.units.iter().map(|unit| unit.unit.as_str()).collect();
    let is_outside = |unit: &str, ip: IpAddr| {
        // Link-local addresses lie in no segment; an unknown unit is told already.
        !special::is_link_local(ip)
            && known.contains(unit)
            && !segments.covering(Prefix::host(ip)).any(|(_, units)| units.contains(&unit))
    };
    let remark = |table: Table, entry: usize, unit: &str, ip: IpAddr| Remark {
        table,
        entry,
        column: Column::Ip,
        value: ip.to_string(),
        kind: FaultKind::OutsideSegments { unit: Foreign::new(unit) },
    };
    for (entry, row) in registry.devices.iter().enumerate() {
        for ip in row.ip.iter().filter(|ip| is_outside(&row.unit, **ip)) {
            remarks.push(remark(Table::Devices, entry, &row.unit, *ip));
        }
    }
    let outside: Vec<(usize, IpAddr)> = registry
        .assets
        .par_iter()
        .enumerate()
        .flat_map_iter(|(entry, row)| {
            row.ip.iter().filter(|ip| is_outside(&row.unit, **ip)).map(move |ip| (entry, *ip))
        })
        .collect();
    for (entry, ip) in outside {
        if let Some(row) = registry.assets.get(entry) {
            remarks.push(remark(Table::Assets, entry, &row.unit, ip));
        }
    }
    for (entry, row) in registry.services.iter().enumerate() {
        if is_outside(&row.unit, row.ip) {
            remarks.push(remark(Table::Services, entry, &row.unit, row.ip));
        }
    }
}

/// A gateway must be a device: by name one of its own unit, by address anyone's, for the way out may be
/// kept by the unit above.
fn gateways(registry: &Registry, remarks: &mut Vec<Remark>) {
    let addresses: HashSet<IpAddr> =
        registry.devices.iter().flat_map(|device| device.ip.iter().copied()).collect();
    let names: HashSet<(&str, &str)> = registry
        .devices
        .iter()
        .map(|device| (device.unit.as_str(), device.name.as_str()))
        .collect();
    for (entry, egress) in registry.egresses.iter().enumerate() {
        let (value, is_known) = match &egress.gateway {
            None => continue,
            Some(GatewayRef::Address(ip)) => (ip.to_string(), addresses.contains(ip)),
            Some(GatewayRef::Device(name)) => {
                (name.clone(), names.contains(&(egress.unit.as_str(), name.as_str())))
            }
        };
        if !is_known {
            let (column, kind) = (Column::Gateway, FaultKind::GatewayNoDevice);
            remarks.push(Remark { table: Table::Egresses, entry, column, value, kind });
        }
    }
}

fn subjects(registry: &Registry, remarks: &mut Vec<Remark>) {
    let names: HashSet<&str> = registry.devices.iter().map(|device| device.name.as_str()).collect();
    let mut see = |table: Table, entry: usize, subjects: &[SubjectRef]| {
        for subject in subjects {
            if let SubjectRef::Device(name) = subject
                && !names.contains(name.as_str())
            {
                let (column, value) = (Column::Subject, name.clone());
                let kind = FaultKind::UnknownSubject;
                remarks.push(Remark { table, entry, column, value, kind });
            }
        }
    };
    for (entry, notice) in registry.notices.iter().enumerate() {
        see(Table::Notices, entry, &notice.subject);
    }
    for (entry, waiver) in registry.waivers.iter().enumerate() {
        see(Table::Waivers, entry, &waiver.subject);
    }
    for (entry, waiver) in registry.waivers.iter().enumerate() {
        if waiver.unit.is_none() && waiver.subject.is_empty() {
            remarks.push(Remark {
                table: Table::Waivers,
                entry,
                column: Column::Subject,
                value: String::new(),
                kind: FaultKind::WaivesNothing,
            });
        }
    }
}
