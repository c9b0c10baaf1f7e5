//! One XLSX workbook with the tables as sheets.
//!
//! A workbook is a packed archive from somebody else. Before it is parsed, every member is unpacked into
//! nothing and counted, whatever size it declares, because the parser holds the shared texts in memory
//! and a deflated member may swell a thousandfold. Sheets are then read cell by cell as a stream; the grid
//! is never laid out. `calamine` reads hostile numbers with unchecked arithmetic in places, so that a
//! panic in it is caught here and told as a damaged workbook.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use calamine::{DataRef, Reader, Xlsx, XlsxError};

use super::cell;
use super::fault::{Fault, FaultKind};
use super::intake::{Intake, Naming, OpenSheet, Overhang, headings_in};
use super::read::{
    MOST_COLUMNS, MOST_HEADING_ROW, MOST_SHARED_BYTES, MOST_TABLES, MOST_UNPACKED_BYTES,
    nearest_table,
};
use super::schema::Table;
use crate::observe::Foreign;

type Book = Xlsx<BufReader<File>>;

/// Sheets of more rows than this are read once; below it a second pass finds the merged cells.
const MOST_ROWS_WITH_MERGES: u32 = 50_000;

/// Read every table of a workbook.
pub(super) fn read(mut file: File, name: &str, intake: &mut Intake) -> Result<(), FaultKind> {
    survey(&mut file)?;
    file.rewind().map_err(super::read::io_fault)?;
    let outcome = catch_unwind(AssertUnwindSafe(|| sheets(file, name, intake)));
    outcome.unwrap_or_else(|_| Err(FaultKind::BadWorkbook { why: Foreign::default() }))
}

/// Whether the archive is whole and unpacks to a bearable size.
fn survey(file: &mut File) -> Result<(), FaultKind> {
    let bad = |error: zip::result::ZipError| FaultKind::BadWorkbook {
        why: Foreign::new(&error.to_string()),
    };
    let mut archive = zip::ZipArchive::new(BufReader::new(file)).map_err(bad)?;
    // A workbook has a member for each sheet, picture and setting.
    const MOST_MEMBERS: usize = 10_000;
    if archive.len() > MOST_MEMBERS {
        return Err(FaultKind::TooManyTables { most: MOST_MEMBERS as u64 });
    }
    let (mut sheets_left, mut shared_left) = (MOST_UNPACKED_BYTES, MOST_SHARED_BYTES);
    for at in 0..archive.len() {
        let member = archive.by_index(at).map_err(bad)?;
        // The shared texts may be kept in any folder, in any case.
        let is_sheet = member.name().is_ok_and(|name| {
            let name = name.to_ascii_lowercase();
            name.contains("worksheets/") && !name.contains("sharedstrings")
        });
        let (left, most_bytes) = if is_sheet {
            (&mut sheets_left, MOST_UNPACKED_BYTES)
        } else {
            (&mut shared_left, MOST_SHARED_BYTES)
        };
        if member.size() > *left {
            return Err(FaultKind::Swells { most_bytes });
        }
        let is_xml = member.name().is_ok_and(|name| {
            let name = name.to_ascii_lowercase();
            name.ends_with(".xml") || name.ends_with(".rels")
        });
        let damaged =
            |why: &str| FaultKind::BadWorkbook { why: Foreign::new(&format!("{at}: {why}")) };
        let mut counted = member.take(left.saturating_add(1));
        let mut scan = Scan { counts: !is_sheet, ..Scan::default() };
        let copied = if is_xml {
            io::copy(&mut counted, &mut scan)
        } else {
            io::copy(&mut counted, &mut io::sink())
        };
        let real = copied.map_err(|error| damaged(&error.to_string()))?;
        if real > *left {
            return Err(FaultKind::Swells { most_bytes });
        }
        // The shortest entry is longer than this, and `calamine` makes room for as many as are declared.
        const LEAST_ENTRY: u64 = 8;
        if scan.declared.saturating_mul(LEAST_ENTRY) > real.max(1024) {
            return Err(damaged("uniqueCount"));
        }
        *left = left.saturating_sub(real);
    }
    Ok(())
}

/// What stands between two marks of a member's XML, watched while it is unpacked: a text, a tag or an
/// attribute without end would be held in memory whole.
#[derive(Default)]
struct Scan {
    place: Place,
    /// Octets since the place was entered.
    length: usize,
    /// Whether the member may declare how many texts it holds.
    counts: bool,
    /// How much of `uniqueCount` has been met; all of it: a number may follow.
    met: usize,
    number: u64,
    /// The largest `uniqueCount`.
    declared: u64,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Text,
    /// Behind `<`.
    Open,
    Tag,
    /// Within a tag, between quotes of this kind.
    Quoted(u8),
}

impl Scan {
    /// A cell has 32,767 characters at most, each of up to nine octets where it is written as a reference.
    const MOST: usize = 1 << 20;
    const DECLARATION: &[u8] = b"uniqueCount";

    /// Octets that do not end the place.
    fn run(&mut self, run: &[u8]) -> Result<(), &'static str> {
        self.length = self.length.saturating_add(run.len());
        if self.length > Scan::MOST {
            return Err("a text without end");
        }
        if matches!(self.place, Place::Quoted(_)) && run.contains(&b'<') {
            return Err("<");
        }
        if self.counts && self.place != Place::Text {
            run.iter().for_each(|byte| self.count(*byte));
        }
        Ok(())
    }

    fn step(&mut self, byte: u8) -> Result<(), &'static str> {
        self.length = self.length.saturating_add(1);
        if self.length > Scan::MOST {
            return Err("a text without end");
        }
        let next = match (self.place, byte) {
            (Place::Text, b'<') => Place::Open,
            // Comments, document types and CDATA have their own ends; no program writes them here.
            (Place::Open, b'!') => return Err("<!"),
            (Place::Open | Place::Tag, b'>') => Place::Text,
            (Place::Open | Place::Tag, b'"' | b'\'') => Place::Quoted(byte),
            (Place::Open | Place::Tag | Place::Quoted(_), b'<') => return Err("<"),
            (Place::Open, _) => Place::Tag,
            (Place::Quoted(quote), byte) if quote == byte => Place::Tag,
            (place, _) => place,
        };
        if self.place == Place::Text || next == Place::Text {
            self.length = if next == self.place { self.length } else { 0 };
        }
        if self.counts && next != Place::Text {
            self.count(byte);
        }
        self.place = next;
        Ok(())
    }

    /// Follow `uniqueCount="123"`.
    fn count(&mut self, byte: u8) {
        match Scan::DECLARATION.get(self.met) {
            Some(expected) if *expected == byte => self.met = self.met.saturating_add(1),
            Some(_) => self.met = usize::from(byte == b'u'),
            None if byte.is_ascii_digit() => {
                let digit = u64::from(byte.saturating_sub(b'0'));
                self.number = self.number.saturating_mul(10).saturating_add(digit);
                self.declared = self.declared.max(self.number);
            }
            None if byte.is_ascii_whitespace()
                || (matches!(byte, b'=' | b'"' | b'\'' | b'+') && self.number == 0) => {}
            None => (self.met, self.number) = (0, 0),
        }
    }
}

impl io::Write for Scan {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // `contains` is the fast search of the standard library; a workbook has none.
        if bytes.contains(&0) {
            return Err(io::Error::other("NUL"));
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            // Step over what cannot end the place at once; an octet at a time costs a second on a sheet of
            // a million rows.
            let length = match self.place {
                Place::Text => rest.iter().position(|byte| *byte == b'<'),
                Place::Quoted(quote) => rest.iter().position(|byte| *byte == quote),
                Place::Tag => {
                    rest.iter().position(|byte| matches!(byte, b'>' | b'"' | b'\'' | b'<'))
                }
                Place::Open => Some(0),
            };
            let length = length.unwrap_or(rest.len());
            let (run, behind) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            self.run(run).map_err(io::Error::other)?;
            rest = behind;
            if let Some((byte, behind)) = rest.split_first() {
                self.step(*byte).map_err(io::Error::other)?;
                rest = behind;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn sheets(file: File, name: &str, intake: &mut Intake) -> Result<(), FaultKind> {
    let bad = |error: XlsxError| FaultKind::BadWorkbook { why: Foreign::new(&error.to_string()) };
    let mut book: Book = Xlsx::new(BufReader::with_capacity(1 << 16, file)).map_err(bad)?;
    let names = book.sheet_names();
    if names.len() > MOST_TABLES {
        return Err(FaultKind::TooManyTables { most: MOST_TABLES as u64 });
    }
    let mut found: Vec<(Table, String)> = Vec::new();
    for sheet in names {
        match Table::of_name(&sheet) {
            Some(table) => found.push((table, sheet)),
            None => {
                let kind = FaultKind::UnknownTable { meant: nearest_table(&sheet) };
                intake.fault(Fault::in_file(kind, None, &sheet));
            }
        }
    }
    found.sort_by_key(|(table, _)| *table);
    for (table, sheet) in found {
        if let Err(error) = read_sheet(&mut book, table, &sheet, intake) {
            let why = Foreign::new(&error.to_string());
            let kind = FaultKind::BadWorkbook { why };
            intake.fault(Fault::in_file(kind, Some(table), &format!("{name}: {sheet}")));
            intake.excused.push(table);
        }
    }
    Ok(())
}

/// One row while its cells come in.
#[derive(Default)]
struct Line<'b> {
    /// As Excel shows it; zero before the first.
    number: u64,
    cells: Vec<Cow<'b, str>>,
    faults: Vec<(usize, FaultKind)>,
    /// Cells with a bare number, which in a column of days is a day.
    numbers: Vec<(usize, f64)>,
    too_wide: bool,
}

fn read_sheet(
    book: &mut Book,
    table: Table,
    name: &str,
    intake: &mut Intake,
) -> Result<(), XlsxError> {
    let rows = book.worksheet_cells_reader(name)?.dimensions().end.0;
    let mut merges = Merges::default();
    if rows <= MOST_ROWS_WITH_MERGES
        && let Ok(regions) = book.merge_cells_by_sheet_name(name)
    {
        merges = Merges::of(&regions);
    }
    let Some(sheet) = intake.open(table, name, Naming::Headings) else { return Ok(()) };
    let mut sheet =
        Filling { sheet, merges, headed: false, waiting: Vec::new(), formulas: Vec::new() };
    let mut reader = book.worksheet_cells_reader(name)?;
    let mut line = Line::default();
    let mut enough = false;
    let outcome = loop {
        let record = match reader.next_cell_with_formula_metadata() {
            Ok(Some(record)) => record,
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        };
        let number = u64::from(record.pos.0).saturating_add(1);
        if number != line.number {
            if !sheet.line(std::mem::take(&mut line)) {
                enough = true;
                break Ok(());
            }
            line.number = number;
        }
        let at = record.pos.1 as usize;
        if at > MOST_COLUMNS {
            line.too_wide |= record.value != DataRef::Empty;
            continue;
        }
        if record.formula.is_some() {
            let kind = match record.value {
                DataRef::Empty => FaultKind::FormulaUnread,
                _ => FaultKind::FormulaValue,
            };
            line.faults.push((at, kind));
        }
        let text: Cow<'_, str> = match record.value {
            DataRef::Empty => continue,
            DataRef::SharedString(text) => Cow::Borrowed(text),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
                Cow::Owned(text)
            }
            DataRef::Bool(value) => Cow::Borrowed(if value { "yes" } else { "no" }),
            DataRef::Int(value) => Cow::Owned(value.to_string()),
            DataRef::Float(value) => {
                line.numbers.push((at, value));
                Cow::Owned(super::read::number(value))
            }
            DataRef::DateTime(time) if time.is_datetime() => Cow::Owned(moment(&time)),
            DataRef::DateTime(time) => Cow::Owned(super::read::number(time.as_f64())),
            DataRef::Error(error) => {
                line.faults.push((at, FaultKind::CellError));
                Cow::Owned(error.to_string())
            }
        };
        if line.cells.len() <= at {
            line.cells.resize(at.saturating_add(1), Cow::Borrowed(""));
        }
        if let Some(cell) = line.cells.get_mut(at) {
            *cell = text;
        }
    };
    if !enough {
        sheet.line(line);
        sheet.settle();
    }
    if !sheet.headed && outcome.is_ok() {
        if table.is_optional() {
            // An empty sheet of a table that need not be there.
            return Ok(());
        }
        sheet.sheet.fault(FaultKind::NoHeader, None);
    }
    sheet.sheet.close();
    outcome
}

/// A day, with its time where it has one.
fn moment(time: &calamine::ExcelDateTime) -> String {
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) == (0, 0, 0) {
        date
    } else {
        format!("{date} {hour:02}:{minute:02}:{second:02}")
    }
}

/// A sheet being read. Until the headings are found its first rows wait.
struct Filling<'i, 'b> {
    sheet: OpenSheet<'i>,
    merges: Merges<'b>,
    headed: bool,
    waiting: Vec<Line<'b>>,
    /// Columns whose formulas have been told of.
    formulas: Vec<usize>,
}

impl<'b> Filling<'_, 'b> {
    /// Take a row; `false` where no more are wanted.
    fn line(&mut self, mut line: Line<'b>) -> bool {
        if line.number == 0 {
            return true;
        }
        self.merges.fill(&mut line);
        if self.headed {
            return self.row(line);
        }
        self.waiting.push(line);
        self.waiting.len() < MOST_HEADING_ROW || self.settle()
    }

    /// Choose the row of headings among those that wait, and let the others in.
    fn settle(&mut self) -> bool {
        if self.headed {
            return true;
        }
        let table = self.sheet.table();
        let known = |line: &Line<'_>| headings_in(table, line.cells.iter().map(AsRef::as_ref));
        let is_filled =
            |line: &Line<'_>| line.cells.iter().any(|cell| !cell::trimmed(cell).is_empty());
        let best = self.waiting.iter().map(known).max().unwrap_or(0);
        let chosen = self.waiting.iter().position(|line| is_filled(line) && known(line) == best);
        let Some(chosen) = chosen else { return true };
        self.headed = true;
        let mut rest = std::mem::take(&mut self.waiting).into_iter().skip(chosen);
        if let Some(line) = rest.next() {
            self.sheet.headings(line.cells.iter().map(AsRef::as_ref), line.number);
            if line.too_wide {
                let kind = FaultKind::TooManyColumns { most: MOST_COLUMNS as u64 };
                self.sheet.fault(kind, Some(line.number));
                return false;
            }
        }
        rest.all(|line| self.row(line))
    }

    fn row(&mut self, mut line: Line<'b>) -> bool {
        for (at, value) in std::mem::take(&mut line.numbers) {
            // A day that lost its format: Excel's count, for the days from 1954 to 2119.
            if self.sheet.holds_days(at) && (20_000.0..80_000.0).contains(&value) {
                let time = calamine::ExcelDateTime::new(
                    value,
                    calamine::ExcelDateTimeType::DateTime,
                    false,
                );
                if let Some(cell) = line.cells.get_mut(at) {
                    *cell = Cow::Owned(moment(&time));
                }
            }
        }
        for (at, kind) in std::mem::take(&mut line.faults) {
            if kind == FaultKind::FormulaValue {
                if self.formulas.contains(&at) {
                    continue;
                }
                self.formulas.push(at);
            }
            let is_error = kind == FaultKind::CellError;
            self.sheet.cell_fault(kind, line.number, at, &line.cells);
            // `#N/A` is told once, and not as a bad value too.
            if is_error && let Some(cell) = line.cells.get_mut(at) {
                *cell = Cow::Borrowed("");
            }
        }
        self.sheet.row(line.number, &line.cells, Overhang::Ignore)
    }
}

/// Cells merged over several rows: each of the rows shows the value, only the first has it.
#[derive(Default)]
struct Merges<'b> {
    /// (first row, column) and the last row, rows as Excel shows them.
    regions: BTreeMap<(u64, usize), u64>,
    /// Column, last row and value of those that the walk is in.
    within: Vec<(usize, u64, Cow<'b, str>)>,
}

impl<'b> Merges<'b> {
    fn of(regions: &[calamine::Dimensions]) -> Merges<'b> {
        const MOST: usize = 100_000;
        let regions = regions
            .iter()
            .take(MOST)
            .filter(|region| region.start.0 < region.end.0)
            .map(|region| {
                let row = |row: u32| u64::from(row).saturating_add(1);
                ((row(region.start.0), region.start.1 as usize), row(region.end.0))
            })
            .collect();
        Merges { regions, within: Vec::new() }
    }

    fn fill(&mut self, line: &mut Line<'b>) {
        if self.regions.is_empty() {
            return;
        }
        self.within.retain(|(_, last, _)| line.number <= *last);
        for (column, _, value) in &self.within {
            if line.cells.len() <= *column {
                line.cells.resize(column.saturating_add(1), Cow::Borrowed(""));
            }
            if let Some(cell) = line.cells.get_mut(*column).filter(|cell| cell.is_empty()) {
                *cell = value.clone();
            }
        }
        for ((_, column), last) in
            self.regions.range((line.number, 0)..=(line.number, MOST_COLUMNS))
        {
            if let Some(value) = line.cells.get(*column) {
                self.within.push((*column, *last, value.clone()));
            }
        }
    }
}
