//! From headings and cells to the model. Every reader feeds rows in here, whatever it reads from, so the
//! same registry in two formats gives equal values and equal faults.

use std::borrow::Cow;

use super::cell;
use super::fault::{Excerpt, Fault, FaultKind, Faults};
use super::model::{
    Asset, ChangeNotice, Device, Egress, OnlineStatus, Registry, Segment, Service, Unit,
    UnitStatus, Waiver,
};
use super::read::{MOST_COLUMNS, MOST_ROWS, MOST_VALUES};
use super::schema::{Column, RULES, Table, Vocabulary};
use crate::observe::Foreign;
use jiff::civil::Date;

/// A table as it was found: what its headings mean, and which row each entry of the model came from.
#[derive(Debug)]
pub(super) struct Sheet {
    pub table: Table,
    pub file: String,
    pub headings: Vec<String>,
    /// The place among the headings of each column.
    places: [Option<u16>; Column::COUNT],
    /// Row numbers of the model's entries, in their order.
    pub rows: Vec<u32>,
    /// Units of rows that could not become entries; they are checked all the same.
    pub strays: Vec<(u32, String)>,
    /// Rows seen, entries or not.
    seen: u64,
}

impl Sheet {
    fn new(table: Table, file: &str) -> Sheet {
        Sheet {
            table,
            file: file.to_owned(),
            headings: Vec::new(),
            places: [None; Column::COUNT],
            rows: Vec::new(),
            strays: Vec::new(),
            seen: 0,
        }
    }

    pub fn place(&self, column: Column) -> Option<usize> {
        self.places.get(column as usize).copied().flatten().map(usize::from)
    }

    /// The heading of a column as the user wrote it, else its English name.
    pub fn heading(&self, column: Column) -> &str {
        self.place(column)
            .and_then(|place| self.headings.get(place))
            .map_or(column.name(), String::as_str)
    }

    pub fn has(&self, column: Column) -> bool {
        self.place(column).is_some()
    }
}

/// Whether cells beyond the last heading show that a row has slipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overhang {
    /// In a text file: a separator too many, every cell behind it is in the wrong column.
    Refuse,
    /// In a workbook each cell knows its column: a remark at the edge.
    Ignore,
}

/// How a table names its columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// One row of headings, before the others.
    Headings,
    /// Every row names its columns itself, so that what is missing shows only at the end.
    Keys,
}

#[derive(Debug)]
pub(super) struct Intake {
    pub today: Date,
    pub registry: Registry,
    pub faults: Faults,
    /// Tables that are read, in the order in which they were found.
    pub sheets: Vec<Sheet>,
    /// Tables that are there and could not be read: not missing, and nothing is held against them.
    pub excused: Vec<Table>,
    /// The source ended in a fault before all tables were read.
    pub broken: bool,
}

impl Intake {
    pub fn new(today: Date) -> Intake {
        Intake {
            today,
            registry: Registry::default(),
            faults: Faults::default(),
            sheets: Vec::new(),
            excused: Vec::new(),
            broken: false,
        }
    }

    pub fn fault(&mut self, fault: Fault) {
        self.faults.push(fault, || None);
    }

    pub fn sheet(&self, table: Table) -> Option<&Sheet> {
        self.sheets.iter().find(|sheet| sheet.table == table)
    }

    /// Open a table. `None` where it was read already.
    pub fn open(&mut self, table: Table, file: &str, naming: Naming) -> Option<OpenSheet<'_>> {
        if self.sheet(table).is_some() {
            self.fault(Fault::in_file(FaultKind::DuplicateTable, Some(table), file));
            return None;
        }
        Some(OpenSheet { sheet: Sheet::new(table, file), naming, intake: self })
    }
}

/// How many cells of a row are headings of this table: to find the heading row, and the delimiter.
pub(super) fn headings_in<'a>(table: Table, cells: impl Iterator<Item = &'a str>) -> usize {
    cells.filter(|cell| column_of(table, &heading_key(cell)).is_some()).count()
}

/// The column of a table that a heading names, by its English name.
#[cfg_attr(not(feature = "netbox"), expect(dead_code))]
pub(super) fn heading_name(table: Table, heading: &str) -> Option<&'static str> {
    column_of(table, &heading_key(heading)).map(|(column, _)| column.name())
}

/// A heading as it is compared: plain, lower case, without blanks and dashes, and without what stands in
/// brackets or marks it as required.
fn heading_key(text: &str) -> String {
    let text = cell::plain(cell::trimmed(text));
    let text = match text.find(['(', '（', '【']) {
        Some(at) if at > 0 => text.get(..at).unwrap_or(&text),
        _ => &text,
    };
    text.trim_matches(|c: char| c.is_whitespace() || c == '*')
        .to_lowercase()
        .split(|c: char| c.is_whitespace() || c == '-' || c == '_')
        .collect()
}

/// The column that a heading names in this table, and whether by its own name there.
fn column_of(table: Table, key: &str) -> Option<(Column, bool)> {
    if key.is_empty() {
        return None;
    }
    table.columns().iter().find_map(|column| {
        let is_name = column.name().bytes().filter(|byte| *byte != b'_').eq(key.bytes());
        if is_name || column.chinese(table).to_lowercase() == key {
            return Some((*column, true));
        }
        column.aliases().contains(&key).then_some((*column, false))
    })
}

/// A table while its rows come in.
pub(super) struct OpenSheet<'i> {
    sheet: Sheet,
    naming: Naming,
    intake: &'i mut Intake,
}

impl OpenSheet<'_> {
    pub fn fault(&mut self, kind: FaultKind, row: Option<u64>) {
        let fault = Fault { row, ..Fault::in_file(kind, Some(self.sheet.table), &self.sheet.file) };
        self.intake.fault(fault);
    }

    fn heading_fault(&mut self, kind: FaultKind, row: Option<u64>, heading: &str) {
        let fault = Fault {
            row,
            column: Some(Foreign::new(cell::trimmed(heading))),
            ..Fault::in_file(kind, Some(self.sheet.table), &self.sheet.file)
        };
        let headings = &self.sheet.headings;
        let at = headings.iter().rposition(|other| other == heading).unwrap_or(0);
        self.intake.faults.push(fault, || {
            row.map(|_| Excerpt::of(std::iter::empty(), headings.iter().map(String::as_str), at))
        });
    }

    /// One more heading; `false` where there are too many.
    pub fn heading(&mut self, heading: &str, row: Option<u64>) -> bool {
        if self.sheet.headings.len() >= MOST_COLUMNS {
            return false;
        }
        let at = self.sheet.headings.len();
        self.sheet.headings.push(heading.chars().take(256).collect());
        let table = self.sheet.table;
        let key = heading_key(heading);
        if heading.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
            self.heading_fault(FaultKind::ControlCharacter, row, heading);
        }
        match column_of(table, &key) {
            Some((column, own)) => {
                let place = u16::try_from(at).ok();
                let before = self.sheet.place(column);
                let own_before = before.is_some_and(|before| {
                    self.sheet
                        .headings
                        .get(before)
                        .and_then(|heading| column_of(table, &heading_key(heading)))
                        .is_some_and(|(_, own)| own)
                });
                match (before, own, own_before) {
                    (Some(_), true, true) | (Some(_), false, false) => {
                        self.heading_fault(FaultKind::DuplicateColumn, row, heading);
                    }
                    // 单位名称 beside 设备名称 among the devices: the table's own name for the
                    // column wins, the other is a column that nobody asked for.
                    (Some(_), false, true) => {
                        let kind = FaultKind::UnknownColumn { meant: None };
                        self.heading_fault(kind, row, heading);
                    }
                    (Some(before), true, false) => {
                        let kind = FaultKind::UnknownColumn { meant: None };
                        let other = self.sheet.headings.get(before).cloned().unwrap_or_default();
                        self.heading_fault(kind, row, &other);
                        self.set(column, place);
                    }
                    (None, _, _) => self.set(column, place),
                }
            }
            // A column without a heading is a margin.
            None if key.is_empty() => {}
            None => {
                let names = table.columns().iter().flat_map(|column| {
                    std::iter::once(column.name()).chain(column.aliases().iter().copied())
                });
                let meant = cell::nearest(&key, names)
                    .and_then(|name| column_of(table, &heading_key(name)))
                    .map(|(column, _)| column);
                self.heading_fault(FaultKind::UnknownColumn { meant }, row, heading);
            }
        }
        true
    }

    fn set(&mut self, column: Column, place: Option<u16>) {
        if let Some(slot) = self.sheet.places.get_mut(column as usize) {
            *slot = place;
        }
    }

    /// All headings at once, as a table with a heading row has them. What is missing is told here.
    pub fn headings<'a>(&mut self, headings: impl Iterator<Item = &'a str>, row: u64) {
        for heading in headings {
            if !self.heading(heading, Some(row)) {
                let kind = FaultKind::TooManyColumns { most: MOST_COLUMNS as u64 };
                self.fault(kind, Some(row));
                break;
            }
        }
        self.tell_missing(Some(row));
    }

    #[cfg_attr(not(feature = "xlsx"), expect(dead_code))]
    pub fn table(&self) -> Table {
        self.sheet.table
    }

    pub fn width(&self) -> usize {
        self.sheet.headings.len()
    }

    /// The place of a heading by its exact text, trying the likely one first.
    pub fn place_of(&self, heading: &str, likely: usize) -> Option<usize> {
        let headings = &self.sheet.headings;
        match headings.get(likely) {
            Some(there) if there == heading => Some(likely),
            _ => headings.iter().position(|there| there == heading),
        }
    }

    fn tell_missing(&mut self, row: Option<u64>) {
        for column in self.sheet.table.required() {
            if !self.sheet.has(*column) {
                self.fault(FaultKind::MissingColumn { column: *column }, row);
            }
        }
    }

    /// One row. Its number is as a person counts it. `false` where there are too many.
    pub fn row(&mut self, number: u64, cells: &[Cow<'_, str>], overhang: Overhang) -> bool {
        if cells.iter().all(|cell| cell::trimmed(cell).is_empty()) || is_comment(cells) {
            return true;
        }
        self.sheet.seen = self.sheet.seen.saturating_add(1);
        if self.sheet.seen > MOST_ROWS {
            self.fault(FaultKind::TooManyRows { most: MOST_ROWS }, None);
            return false;
        }
        let mut row = Row {
            table: self.sheet.table,
            places: &self.sheet.places,
            cells,
            today: self.intake.today,
            naming: self.naming,
            faults: Vec::new(),
        };
        if overhang == Overhang::Refuse {
            let beyond = cells.iter().enumerate().skip(self.sheet.headings.len());
            if let Some((at, cell)) =
                beyond.clone().find(|(_, cell)| !cell::trimmed(cell).is_empty())
            {
                row.faults.push((Some(at), None, cell.to_string(), FaultKind::ExtraCells));
            }
        }
        let entered = row.enter(&mut self.intake.registry);
        let faults = row.faults;
        let number_short = u32::try_from(number).unwrap_or(u32::MAX);
        match entered {
            Entered::Entry => self.sheet.rows.push(number_short),
            Entered::Stray(Some(unit)) if self.sheet.strays.len() < Faults::MOST_LISTED => {
                self.sheet.strays.push((number_short, unit));
            }
            Entered::Stray(_) => {}
        }
        for (at, column, value, kind) in faults {
            let heading = match column {
                Some(column) => Some(self.sheet.heading(column)),
                None => at.and_then(|at| self.sheet.headings.get(at)).map(String::as_str),
            };
            let fault = Fault {
                row: Some(number),
                column: heading.map(|heading| Foreign::new(cell::trimmed(heading))),
                value: Foreign::new(&value),
                ..Fault::in_file(kind, Some(self.sheet.table), &self.sheet.file)
            };
            let headings = &self.sheet.headings;
            self.intake.faults.push(fault, || {
                at.map(|at| {
                    Excerpt::of(
                        headings.iter().map(String::as_str),
                        cells.iter().map(AsRef::as_ref),
                        at,
                    )
                })
            });
        }
        true
    }

    /// A fault of a row's key that stands under a heading of its own.
    pub fn fault_in_column(&mut self, kind: FaultKind, row: u64, heading: &str) {
        let fault = Fault {
            row: Some(row),
            column: Some(Foreign::new(cell::trimmed(heading))),
            ..Fault::in_file(kind, Some(self.sheet.table), &self.sheet.file)
        };
        self.intake.fault(fault);
    }

    /// Whether the column at this place holds days.
    #[cfg_attr(not(feature = "xlsx"), expect(dead_code))]
    pub fn holds_days(&self, at: usize) -> bool {
        [Column::WithdrawnOn, Column::ValidFrom, Column::ValidUntil, Column::From, Column::Until]
            .into_iter()
            .any(|column| self.sheet.place(column) == Some(at))
    }

    /// A fault that the reader found in a cell, beside what its text may be.
    pub fn cell_fault(&mut self, kind: FaultKind, number: u64, at: usize, cells: &[Cow<'_, str>]) {
        let heading = self.sheet.headings.get(at);
        // Nobody asked for the column.
        if heading
            .is_none_or(|heading| column_of(self.sheet.table, &heading_key(heading)).is_none())
        {
            return;
        }
        let value = cells.get(at).map_or("", AsRef::as_ref);
        let fault = Fault {
            row: Some(number),
            column: heading.map(|heading| Foreign::new(cell::trimmed(heading))),
            value: Foreign::new(value),
            ..Fault::in_file(kind, Some(self.sheet.table), &self.sheet.file)
        };
        let headings = &self.sheet.headings;
        self.intake.faults.push(fault, || {
            Some(Excerpt::of(
                headings.iter().map(String::as_str),
                cells.iter().map(AsRef::as_ref),
                at,
            ))
        });
    }

    /// One row whose cells name their columns. `false` where there are too many rows or columns.
    #[cfg_attr(not(feature = "netbox"), expect(dead_code))]
    pub fn keyed(&mut self, number: u64, row: Vec<(String, String)>) -> bool {
        let mut cells: Vec<Cow<'_, str>> = vec![Cow::Borrowed(""); self.width()];
        for (likely, (heading, text)) in row.into_iter().enumerate() {
            let mut place = self.place_of(&heading, likely);
            if place.is_none() {
                if !self.heading(&heading, None) {
                    let kind = FaultKind::TooManyColumns { most: MOST_COLUMNS as u64 };
                    self.fault(kind, Some(number));
                    return false;
                }
                place = Some(self.width().saturating_sub(1));
                cells.push(Cow::Borrowed(""));
            }
            if let Some(cell) = place.and_then(|place| cells.get_mut(place)) {
                *cell = Cow::Owned(text);
            }
        }
        self.row(number, &cells, Overhang::Ignore)
    }

    /// The table is whole.
    pub fn close(mut self) {
        if self.naming == Naming::Keys && self.sheet.seen > 0 {
            let missing: Vec<Column> = self
                .sheet
                .table
                .required()
                .iter()
                .copied()
                .filter(|column| !self.sheet.has(*column))
                .collect();
            let table = self.sheet.table;
            self.intake.faults.retract(|fault| {
                fault.table == Some(table)
                    && fault.kind == FaultKind::EmptyKey
                    && missing.iter().any(|column| {
                        fault.column.as_ref().is_some_and(|name| name.raw() == column.name())
                    })
            });
            self.tell_missing(None);
        }
        self.intake.sheets.push(self.sheet);
    }
}

/// `# …` alone in its row is a remark.
fn is_comment(cells: &[Cow<'_, str>]) -> bool {
    let mut cells = cells.iter().map(|cell| cell::trimmed(cell));
    cells.next().is_some_and(|first| first.starts_with("# ") || first == "#")
        && cells.all(str::is_empty)
}

enum Entered {
    Entry,
    /// Not an entry for want of a key; the unit it names, if it does.
    Stray(Option<String>),
}

/// One row being read: (place, column, value, fault) of what is wrong in it.
struct Row<'r> {
    table: Table,
    places: &'r [Option<u16>; Column::COUNT],
    cells: &'r [Cow<'r, str>],
    today: Date,
    naming: Naming,
    faults: Vec<(Option<usize>, Option<Column>, String, FaultKind)>,
}

impl<'r> Row<'r> {
    fn place(&self, column: Column) -> Option<usize> {
        self.places.get(column as usize).copied().flatten().map(usize::from)
    }

    fn blame(&mut self, column: Column, value: &str, kind: FaultKind) {
        let value: String = value.chars().take(Foreign::MOST).collect();
        self.faults.push((self.place(column), Some(column), value, kind));
    }

    /// The cell, cleaned; `None` where it is empty or unusable (and blamed).
    fn cell(&mut self, column: Column) -> Option<&'r str> {
        let raw: &'r str = self.place(column).and_then(|place| self.cells.get(place))?;
        match cell::guarded(raw) {
            Ok("") => None,
            Ok(text) => Some(text),
            Err(kind) => {
                self.blame(column, raw, kind);
                None
            }
        }
    }

    fn text(&mut self, column: Column) -> Option<String> {
        self.cell(column).map(cell::prose)
    }

    /// A code that other rows refer to.
    fn code(&mut self, column: Column) -> Option<String> {
        self.cell(column).map(|text| cell::prose(&cell::plain(text)).trim().to_owned())
    }

    fn value<T>(
        &mut self,
        column: Column,
        read: impl Fn(&str) -> Result<T, FaultKind>,
    ) -> Option<T> {
        let text = self.cell(column)?;
        let plain = cell::plain(text);
        match read(plain.trim()) {
            Ok(value) => Some(value),
            Err(kind) => {
                self.blame(column, text, kind);
                None
            }
        }
    }

    fn list<T: PartialEq>(
        &mut self,
        column: Column,
        read: impl Fn(&str) -> Result<T, FaultKind>,
    ) -> Vec<T> {
        let Some(text) = self.cell(column) else { return Vec::new() };
        let mut bad = Vec::new();
        let values = cell::list(&cell::plain(text), read, |value, kind| {
            if bad.len() < MOST_VALUES {
                bad.push((value.to_owned(), kind));
            }
        });
        for (value, kind) in bad {
            self.blame(column, &value, kind);
        }
        values
    }

    fn word<V: Vocabulary>(&mut self, column: Column) -> Option<V> {
        let table = self.table;
        self.value(column, |word| word_of(column, table, word))
    }

    /// A required cell: blamed where it is empty, unless its whole column is missing.
    fn key<T>(&mut self, column: Column, value: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let blamed = self.faults.len();
        let value = value(self);
        let told_before = self.naming == Naming::Headings && self.place(column).is_none();
        if value.is_none() && self.faults.len() == blamed && !told_before {
            self.blame(column, "", FaultKind::EmptyKey);
        }
        value
    }

    fn dates(&mut self, from: Option<Column>, until: Column) -> (Option<Date>, Option<Date>) {
        let valid_from = from.and_then(|from| self.value(from, cell::date));
        let valid_until = self.value(until, cell::date);
        if let Some(last) = valid_until {
            let written = self.cell(until).unwrap_or("");
            match valid_from {
                Some(from) if last < from => {
                    self.blame(until, written, FaultKind::UntilBeforeFrom { from });
                }
                _ if last < self.today => {
                    let today = self.today;
                    self.blame(until, written, FaultKind::RunOut { until: last, today });
                }
                _ => {}
            }
        }
        (valid_from, valid_until)
    }

    fn unit(&mut self) -> Option<String> {
        self.key(Column::Unit, |row| row.code(Column::Unit))
    }

    fn subjects(&mut self) -> Vec<super::model::SubjectRef> {
        let Some(text) = self.cell(Column::Subject) else { return Vec::new() };
        let mut bad = Vec::new();
        let subjects = cell::subjects(text, |value, kind| bad.push((value.to_owned(), kind)));
        for (value, kind) in bad {
            self.blame(Column::Subject, &value, kind);
        }
        subjects
    }

    fn fingerprints(
        &mut self,
        column: Column,
        read: impl Fn(&str) -> Result<String, String>,
    ) -> Vec<String> {
        let Some(text) = self.cell(column) else { return Vec::new() };
        let plain = cell::plain(text).into_owned();
        let mut found: Vec<String> = Vec::new();
        for value in cell::values(&plain).take(MOST_VALUES) {
            let fingerprint = read(value).unwrap_or_else(|as_written| {
                self.blame(column, value, FaultKind::BadFingerprint);
                as_written
            });
            if !found.contains(&fingerprint) {
                found.push(fingerprint);
            }
        }
        found
    }

    fn enter(&mut self, registry: &mut Registry) -> Entered {
        match self.table {
            Table::Units => {
                let entry = self.units();
                keep(&mut registry.units, entry)
            }
            Table::Segments => {
                let entry = self.segments();
                keep(&mut registry.segments, entry)
            }
            Table::Devices => {
                let entry = self.devices();
                keep(&mut registry.devices, entry)
            }
            Table::Egresses => {
                let entry = self.egresses();
                keep(&mut registry.egresses, entry)
            }
            Table::Assets => {
                let entry = self.assets();
                keep(&mut registry.assets, entry)
            }
            Table::Services => {
                let entry = self.services();
                keep(&mut registry.services, entry)
            }
            Table::Notices => {
                let entry = self.notices();
                keep(&mut registry.notices, entry)
            }
            Table::Waivers => {
                let entry = self.waivers();
                keep(&mut registry.waivers, entry)
            }
        }
    }

    fn units(&mut self) -> Result<Unit, Option<String>> {
        let unit = self.unit();
        let entry = Unit {
            unit: unit.clone().unwrap_or_default(),
            name: self.text(Column::Name),
            level: self.word(Column::Level),
            parent: self.code(Column::Parent),
            status: self.word(Column::Status).unwrap_or(UnitStatus::Active),
            withdrawn_on: self.value(Column::WithdrawnOn, cell::date),
            contact: self.text(Column::Contact),
            phone: self.text(Column::Phone),
        };
        unit.map(|_| entry).ok_or(None)
    }

    fn segments(&mut self) -> Result<Segment, Option<String>> {
        let unit = self.unit();
        let prefix = self.key(Column::Prefix, |row| row.value(Column::Prefix, cell::prefix));
        let purpose = self.text(Column::Purpose);
        let vlan = self.value(Column::Vlan, cell::vlan);
        let registration = self.word(Column::Registration);
        let approval = self.text(Column::Approval);
        let (valid_from, valid_until) = self.dates(Some(Column::ValidFrom), Column::ValidUntil);
        match (unit, prefix) {
            (Some(unit), Some(prefix)) => Ok(Segment {
                unit,
                prefix,
                purpose,
                vlan,
                registration,
                approval,
                valid_from,
                valid_until,
            }),
            (unit, _) => Err(unit),
        }
    }

    fn devices(&mut self) -> Result<Device, Option<String>> {
        let table = self.table;
        let unit = self.unit();
        let name = self.key(Column::Name, |row| row.text(Column::Name));
        let entry = Device {
            unit: String::new(),
            name: String::new(),
            roles: self.list(Column::Roles, |word| word_of(Column::Roles, table, word)),
            ip: self.list(Column::Ip, cell::address),
            mac: self.list(Column::Mac, cell::mac),
            vendor: self.text(Column::Vendor),
            model: self.text(Column::Model),
            serial: self.text(Column::Serial),
            ssh_host_key: self.fingerprints(Column::SshHostKey, cell::ssh_fingerprint),
            tls_cert_sha256: self
                .fingerprints(Column::TlsCertSha256, cell::certificate_fingerprint),
            snmp_sysobjectid: self
                .code(Column::SnmpSysobjectid)
                .map(|text| text.trim_start_matches('.').to_owned()),
            ports: self.list(Column::Ports, cell::port),
            operator_owned: self.word(Column::OperatorOwned),
            approval: self.text(Column::Approval),
            valid_until: self.dates(None, Column::ValidUntil).1,
        };
        match (unit, name) {
            (Some(unit), Some(name)) => Ok(Device { unit, name, ..entry }),
            (unit, _) => Err(unit),
        }
    }

    fn egresses(&mut self) -> Result<Egress, Option<String>> {
        let unit = self.unit();
        let name = self.key(Column::Name, |row| row.text(Column::Name));
        let kind = self.word(Column::Kind);
        let gateway = self.cell(Column::Gateway).and_then(|text| {
            cell::gateway(text).map_err(|kind| self.blame(Column::Gateway, text, kind)).ok()
        });
        let public = self.list(Column::Public, cell::prefix);
        let filing = self.text(Column::Filing);
        let (valid_from, valid_until) = self.dates(Some(Column::ValidFrom), Column::ValidUntil);
        match (unit, name) {
            (Some(unit), Some(name)) => {
                Ok(Egress { unit, name, kind, gateway, public, filing, valid_from, valid_until })
            }
            (unit, _) => Err(unit),
        }
    }

    fn assets(&mut self) -> Result<Asset, Option<String>> {
        let unit = self.unit();
        let name = self.key(Column::Name, |row| row.text(Column::Name));
        let ip = self.list(Column::Ip, cell::address);
        let mac = self.list(Column::Mac, cell::mac);
        let kind = self.word(Column::Kind);
        let system = self.text(Column::System);
        let status = self.word(Column::Status).unwrap_or(OnlineStatus::Online);
        let approval = self.text(Column::Approval);
        match (unit, name) {
            (Some(unit), Some(name)) => {
                Ok(Asset { unit, name, ip, mac, kind, system, status, approval })
            }
            (unit, _) => Err(unit),
        }
    }

    fn services(&mut self) -> Result<Service, Option<String>> {
        let unit = self.unit();
        let system = self.text(Column::System);
        let ip = self.key(Column::Ip, |row| row.value(Column::Ip, cell::address));
        let port = self.key(Column::Port, |row| row.value(Column::Port, cell::port));
        let filing = self.text(Column::Filing);
        let status = self.word(Column::Status).unwrap_or(OnlineStatus::Online);
        let internet_facing = self.word(Column::InternetFacing);
        let valid_until = self.dates(None, Column::ValidUntil).1;
        match (unit, ip, port) {
            (Some(unit), Some(ip), Some(port)) => {
                Ok(Service { unit, system, ip, port, filing, status, internet_facing, valid_until })
            }
            (unit, _, _) => Err(unit),
        }
    }

    fn notices(&mut self) -> Result<ChangeNotice, Option<String>> {
        let unit = self.unit();
        let notice = self.key(Column::Notice, |row| row.text(Column::Notice));
        let kind = self.key(Column::Kind, |row| row.word(Column::Kind));
        let subject = self.subjects();
        let (from, until) = self.dates(Some(Column::From), Column::Until);
        let approval = self.text(Column::Approval);
        match (unit, notice, kind) {
            (Some(unit), Some(notice), Some(kind)) => {
                Ok(ChangeNotice { unit, notice, kind, subject, from, until, approval })
            }
            (unit, _, _) => Err(unit),
        }
    }

    fn waivers(&mut self) -> Result<Waiver, Option<String>> {
        let rule = self.key(Column::Rule, |row| {
            row.value(Column::Rule, |word| {
                let lower = word.to_ascii_lowercase();
                RULES.iter().find(|rule| **rule == lower).map(|rule| (*rule).to_owned()).ok_or(
                    FaultKind::UnknownWord {
                        column: Column::Rule,
                        table: Table::Waivers,
                        meant: cell::nearest(&lower, RULES.iter().copied()),
                    },
                )
            })
        });
        let unit = self.code(Column::Unit);
        let subject = self.subjects();
        let until = self.dates(None, Column::Until).1;
        let reason = self.text(Column::Reason);
        let approval = self.text(Column::Approval);
        match rule {
            Some(rule) => Ok(Waiver { rule, unit, subject, until, reason, approval }),
            None => Err(unit),
        }
    }
}

fn keep<T>(entries: &mut Vec<T>, entry: Result<T, Option<String>>) -> Entered {
    match entry {
        Ok(entry) => {
            entries.push(entry);
            Entered::Entry
        }
        Err(unit) => Entered::Stray(unit),
    }
}

fn word_of<V: Vocabulary>(column: Column, table: Table, word: &str) -> Result<V, FaultKind> {
    V::of_word(word).ok_or_else(|| {
        let lower = word.to_lowercase();
        let names = V::WORDS.iter().map(|(_, name, _)| *name);
        FaultKind::UnknownWord { column, table, meant: cell::nearest(&lower, names) }
    })
}
