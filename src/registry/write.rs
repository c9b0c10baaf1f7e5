//! Registries written: converted from one format to another, or a filled-in example to begin with.
//!
//! Whatever is written reads back as the equal model. Texts that a spreadsheet would compute get an
//! apostrophe, which the readers take off again. Files are replaced whole or not at all.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use thiserror::Error;

use super::model::{GatewayRef, Registry, SubjectRef};
use super::read::Loaded;
use super::schema::{Column, Table, Vocabulary};
use crate::observe::defuse_cell;
use crate::texts::{Language, Texts};

#[derive(Debug, Error)]
pub enum WriteError {
    #[error("{path}: {error}")]
    Io { path: String, error: io::Error },
    #[error("{path} exists and is not empty")]
    Occupied { path: String },
    #[error("{path} cannot hold {rows} rows")]
    TooManyRows { path: String, rows: usize },
    #[error("{path}: {why}")]
    Workbook { path: String, why: String },
    #[error("built without the feature {0}")]
    WithoutSupport(&'static str),
}

impl WriteError {
    /// The sentence for people.
    pub fn sentence(&self, texts: &Texts) -> String {
        let (key, path, detail) = match self {
            WriteError::Io { path, error } => ("io", path.as_str(), error.to_string()),
            WriteError::Occupied { path } => ("occupied", path.as_str(), String::new()),
            WriteError::TooManyRows { path, rows } => ("rows", path.as_str(), rows.to_string()),
            WriteError::Workbook { path, why } => ("workbook", path.as_str(), why.clone()),
            WriteError::WithoutSupport(feature) => ("support", "", (*feature).to_owned()),
        };
        texts.say(
            &format!("registry-write-{key}"),
            &[("path", path.into()), ("detail", detail.into())],
        )
    }
}

/// Write a registry to a folder of CSV files, an `.xlsx` workbook or a `.json` file, told by the ending.
/// What stands there afterwards is the whole registry, or what stood there before. A folder must be empty
/// or new.
pub fn convert(loaded: &Loaded, out: &Path) -> Result<(), WriteError> {
    let registry = &loaded.registry;
    let ending = out.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("json") => replace(out, |file| json(registry, Language::En, file)),
        Some("xlsx") => workbook(registry, Language::En, out, Notes::None),
        _ => folder(out, |dir| csv_files(registry, Language::En, dir)),
    }
}

/// Write a filled-in example into a folder: the CSV files, so that the folder is itself a registry, the
/// same as a workbook and as JSON, and a page that describes the columns.
pub fn template(dir: &Path, language: Language) -> Result<(), WriteError> {
    let registry = example(language);
    let texts = Texts::of(language);
    folder(dir, |dir| {
        csv_files(&registry, language, dir)?;
        if cfg!(feature = "xlsx") {
            workbook(&registry, language, &dir.join("registry.xlsx"), Notes::Columns(&texts))?;
        }
        replace(&dir.join("registry.json"), |file| json(&registry, language, file))?;
        replace(&dir.join("README.md"), |file| file.write_all(described(&texts).as_bytes()))
    })
}

/// The example of a language, which is a registry without fault.
fn example(language: Language) -> Registry {
    let source = match language {
        Language::Zh => include_str!("example.zh.json"),
        Language::En => include_str!("example.en.json"),
    };
    let mut intake = super::intake::Intake::new(Date::MIN);
    super::json::read(source.as_bytes(), "example", &mut intake);
    intake.registry
}

/// Every table and column with its names and what it means, as a page.
pub fn described(texts: &Texts) -> String {
    let mut page = format!(
        "# {}\n\n{}\n",
        texts.say("registry-page", &[]),
        texts.say("registry-page-lead", &[])
    );
    for table in Table::ALL {
        let about = texts.say(&format!("registry-table-{}", table.name()), &[]);
        page += &format!("\n## {} {}\n\n{about}\n\n", table.name(), table.chinese());
        for column in table.columns() {
            let required = if table.required().contains(column) {
                texts.say("registry-page-required", &[])
            } else {
                String::new()
            };
            page += &format!(
                "- `{}` {}{required}: {}\n",
                column.name(),
                column.chinese(table),
                column_note(*column, table, texts)
            );
        }
    }
    page
}

/// What a column means, and the words it takes.
fn column_note(column: Column, table: Table, texts: &Texts) -> String {
    let about = texts.say(&format!("registry-column-{}", column.name().replace('_', "-")), &[]);
    let words: Vec<String> = column
        .words(table)
        .iter()
        .map(|(name, chinese)| match chinese.first() {
            Some(chinese) => format!("{name} {chinese}"),
            None => (*name).to_owned(),
        })
        .collect();
    if words.is_empty() { about } else { format!("{about} ({})", words.join(", ")) }
}

// --- cells

/// What a cell holds.
enum Written {
    Text(String),
    Number(u16),
    Day(Date),
    List(Vec<String>),
}

/// The filled cells of an entry, as text with the words of a language.
pub(super) fn cells(
    registry: &Registry,
    table: Table,
    entry: usize,
    language: Language,
) -> Vec<(Column, String)> {
    row(registry, table, entry, language)
        .into_iter()
        .map(|(column, written)| (column, flat(column, &written)))
        .collect()
}

/// The key of an entry as one text.
pub(super) fn key(registry: &Registry, table: Table, entry: usize) -> String {
    let cells = cells(registry, table, entry, Language::En);
    let of = |column: &Column| {
        cells.iter().find(|(other, _)| other == column).map_or("", |(_, text)| text.as_str())
    };
    table.key().iter().map(of).collect::<Vec<_>>().join(" ")
}

fn flat(column: Column, written: &Written) -> String {
    match written {
        Written::Text(text) => text.clone(),
        Written::Number(number) => number.to_string(),
        Written::Day(day) => day.to_string(),
        Written::List(values) if column == Column::Subject => values.join("; "),
        Written::List(values) => values.join(" "),
    }
}

/// Collects the filled cells of one row.
struct Cells {
    cells: Vec<(Column, Written)>,
    language: Language,
}

impl Cells {
    fn text(&mut self, column: Column, text: &str) {
        self.cells.push((column, Written::Text(text.to_owned())));
    }

    fn maybe(&mut self, column: Column, text: Option<&String>) {
        if let Some(text) = text {
            self.text(column, text);
        }
    }

    fn day(&mut self, column: Column, day: Option<Date>) {
        if let Some(day) = day {
            self.cells.push((column, Written::Day(day)));
        }
    }

    fn form<V: Vocabulary>(&self, word: V) -> String {
        match self.language {
            Language::Zh => word.chinese(),
            Language::En => word.word(),
        }
        .to_owned()
    }

    fn word<V: Vocabulary>(&mut self, column: Column, word: Option<V>) {
        if let Some(word) = word {
            self.cells.push((column, Written::Text(self.form(word))));
        }
    }

    fn list<T>(&mut self, column: Column, values: &[T], text: impl Fn(&T) -> String) {
        if !values.is_empty() {
            self.cells.push((column, Written::List(values.iter().map(text).collect())));
        }
    }
}

fn row(
    registry: &Registry,
    table: Table,
    entry: usize,
    language: Language,
) -> Vec<(Column, Written)> {
    let mut cells = Cells { cells: Vec::new(), language };
    // An entry that does not exist has no cells.
    let _ = fill(&mut cells, registry, table, entry);
    cells.cells
}

fn fill(cells: &mut Cells, registry: &Registry, table: Table, entry: usize) -> Option<()> {
    match table {
        Table::Units => {
            let row = registry.units.get(entry)?;
            cells.text(Column::Unit, &row.unit);
            cells.maybe(Column::Name, row.name.as_ref());
            cells.word(Column::Level, row.level);
            cells.maybe(Column::Parent, row.parent.as_ref());
            cells.word(Column::Status, Some(row.status));
            cells.day(Column::WithdrawnOn, row.withdrawn_on);
            cells.maybe(Column::Contact, row.contact.as_ref());
            cells.maybe(Column::Phone, row.phone.as_ref());
        }
        Table::Segments => {
            let row = registry.segments.get(entry)?;
            cells.text(Column::Unit, &row.unit);
            cells.text(Column::Prefix, &row.prefix.to_string());
            cells.maybe(Column::Purpose, row.purpose.as_ref());
            if let Some(vlan) = row.vlan {
                cells.cells.push((Column::Vlan, Written::Number(vlan)));
            }
            cells.word(Column::Registration, row.registration);
            cells.maybe(Column::Approval, row.approval.as_ref());
            cells.day(Column::ValidFrom, row.valid_from);
            cells.day(Column::ValidUntil, row.valid_until);
        }
        Table::Devices => {
            let row = registry.devices.get(entry)?;
            cells.text(Column::Unit, &row.unit);
            cells.text(Column::Name, &row.name);
            let forms: Vec<String> = row.roles.iter().map(|role| cells.form(*role)).collect();
            cells.list(Column::Roles, &forms, String::clone);
            cells.list(Column::Ip, &row.ip, IpAddr::to_string);
            cells.list(Column::Mac, &row.mac, ToString::to_string);
            cells.maybe(Column::Vendor, row.vendor.as_ref());
            cells.maybe(Column::Model, row.model.as_ref());
            cells.maybe(Column::Serial, row.serial.as_ref());
            cells.list(Column::SshHostKey, &row.ssh_host_key, String::clone);
            cells.list(Column::TlsCertSha256, &row.tls_cert_sha256, String::clone);
            cells.maybe(Column::SnmpSysobjectid, row.snmp_sysobjectid.as_ref());
            cells.list(Column::Ports, &row.ports, ToString::to_string);
            cells.word(Column::OperatorOwned, row.operator_owned);
            cells.maybe(Column::Approval, row.approval.as_ref());
            cells.day(Column::ValidUntil, row.valid_until);
        }
        Table::Egresses => {
            let row = registry.egresses.get(entry)?;
            cells.text(Column::Unit, &row.unit);
            cells.text(Column::Name, &row.name);
            cells.word(Column::Kind, row.kind);
            match &row.gateway {
                Some(GatewayRef::Address(ip)) => cells.text(Column::Gateway, &ip.to_string()),
                Some(GatewayRef::Device(name)) => cells.text(Column::Gateway, name),
                None => {}
            }
            cells.list(Column::Public, &row.public, ToString::to_string);
            cells.maybe(Column::Filing, row.filing.as_ref());
            cells.day(Column::ValidFrom, row.valid_from);
            cells.day(Column::ValidUntil, row.valid_until);
        }
        Table::Assets => {
            let row = registry.assets.get(entry)?;
            cells.text(Column::Unit, &row.unit);
            cells.text(Column::Name, &row.name);
            cells.list(Column::Ip, &row.ip, IpAddr::to_string);
            cells.list(Column::Mac, &row.mac, ToString::to_string);
            cells.word(Column::Kind, row.kind);
            cells.maybe(Column::System, row.system.as_ref());
            cells.word(Column::Status, Some(row.status));
            cells.maybe(Column::Approval, row.approval.as_ref());
        }
        Table::Services => {
            let row = registry.services.get(entry)?;
            cells.text(Column::Unit, &row.unit);
            cells.maybe(Column::System, row.system.as_ref());
            cells.text(Column::Ip, &row.ip.to_string());
            cells.text(Column::Port, &row.port.to_string());
            cells.maybe(Column::Filing, row.filing.as_ref());
            cells.word(Column::Status, Some(row.status));
            cells.word(Column::InternetFacing, row.internet_facing);
            cells.day(Column::ValidUntil, row.valid_until);
        }
        Table::Notices => {
            let row = registry.notices.get(entry)?;
            cells.text(Column::Unit, &row.unit);
            cells.text(Column::Notice, &row.notice);
            cells.word(Column::Kind, Some(row.kind));
            cells.list(Column::Subject, &row.subject, subject);
            cells.day(Column::From, row.from);
            cells.day(Column::Until, row.until);
            cells.maybe(Column::Approval, row.approval.as_ref());
        }
        Table::Waivers => {
            let row = registry.waivers.get(entry)?;
            cells.text(Column::Rule, &row.rule);
            cells.maybe(Column::Unit, row.unit.as_ref());
            cells.list(Column::Subject, &row.subject, subject);
            cells.day(Column::Until, row.until);
            cells.maybe(Column::Reason, row.reason.as_ref());
            cells.maybe(Column::Approval, row.approval.as_ref());
        }
    }
    Some(())
}

fn subject(subject: &SubjectRef) -> String {
    match subject {
        SubjectRef::Ip(ip) => ip.to_string(),
        SubjectRef::Mac(mac) => mac.to_string(),
        SubjectRef::Prefix(prefix) => prefix.to_string(),
        SubjectRef::Service(ip, port) => format!("{ip} {port}"),
        SubjectRef::Device(name) => name.clone(),
    }
}

fn entries(registry: &Registry, table: Table) -> usize {
    match table {
        Table::Units => registry.units.len(),
        Table::Segments => registry.segments.len(),
        Table::Devices => registry.devices.len(),
        Table::Egresses => registry.egresses.len(),
        Table::Assets => registry.assets.len(),
        Table::Services => registry.services.len(),
        Table::Notices => registry.notices.len(),
        Table::Waivers => registry.waivers.len(),
    }
}

fn name_of(table: Table, language: Language) -> &'static str {
    match language {
        Language::Zh => table.chinese(),
        Language::En => table.name(),
    }
}

fn heading_of(column: Column, table: Table, language: Language) -> &'static str {
    match language {
        Language::Zh => column.chinese(table),
        Language::En => column.name(),
    }
}

// --- CSV

fn csv_files(registry: &Registry, language: Language, dir: &Path) -> Result<(), WriteError> {
    for table in Table::ALL {
        let path = dir.join(format!("{}.csv", name_of(table, language)));
        replace(&path, |file| {
            // The mark by which Excel knows UTF-8.
            file.write_all("\u{feff}".as_bytes())?;
            let mut writer =
                csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
            let columns = table.columns();
            writer.write_record(columns.iter().map(|c| heading_of(*c, table, language)))?;
            for entry in 0..entries(registry, table) {
                let filled = row(registry, table, entry, language);
                let mut filled = filled.iter().peekable();
                for column in columns {
                    match filled.next_if(|(other, _)| other == column) {
                        Some((_, written)) => {
                            writer.write_field(defuse_cell(&flat(*column, written)))?;
                        }
                        None => writer.write_field("")?,
                    }
                }
                writer.write_record(None::<&[u8]>)?;
            }
            writer.flush()
        })?;
    }
    Ok(())
}

// --- JSON

struct Tables<'r>(&'r Registry, Language);
struct Entries<'r>(&'r Registry, Table, Language);
struct Entry(Vec<(Column, Written)>, Table, Language);

impl Serialize for Tables<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Table::ALL.len()))?;
        for table in Table::ALL {
            map.serialize_entry(name_of(table, self.1), &Entries(self.0, table, self.1))?;
        }
        map.end()
    }
}

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Entries(registry, table, language) = *self;
        let count = entries(registry, table);
        let mut sequence = serializer.serialize_seq(Some(count))?;
        for entry in 0..count {
            let cells = row(registry, table, entry, language);
            sequence.serialize_element(&Entry(cells, table, language))?;
        }
        sequence.end()
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Entry(cells, table, language) = self;
        let mut map = serializer.serialize_map(Some(cells.len()))?;
        for (column, written) in cells {
            let heading = heading_of(*column, *table, *language);
            match written {
                Written::Text(text) => map.serialize_entry(heading, &defuse_cell(text))?,
                Written::Number(number) => map.serialize_entry(heading, number)?,
                Written::Day(day) => map.serialize_entry(heading, &day.to_string())?,
                Written::List(values) => map.serialize_entry(heading, values)?,
            }
        }
        map.end()
    }
}

fn json(registry: &Registry, language: Language, file: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *file, &Tables(registry, language))?;
    file.write_all(b"\n")
}

// --- XLSX

enum Notes<'t> {
    None,
    /// A note on each heading says what the column means.
    #[cfg_attr(not(feature = "xlsx"), expect(dead_code))]
    Columns(&'t Texts),
}

#[cfg(not(feature = "xlsx"))]
fn workbook(_: &Registry, _: Language, _: &Path, _: Notes<'_>) -> Result<(), WriteError> {
    Err(WriteError::WithoutSupport("xlsx"))
}

#[cfg(feature = "xlsx")]
fn workbook(
    registry: &Registry,
    language: Language,
    out: &Path,
    notes: Notes<'_>,
) -> Result<(), WriteError> {
    use rust_xlsxwriter::{ExcelDateTime, Format, Note, Workbook, XlsxError};

    /// One row of a sheet is for the headings.
    const MOST_ROWS: usize = 1_048_575;

    let path = || out.display().to_string();
    for table in Table::ALL {
        let rows = entries(registry, table);
        if rows > MOST_ROWS {
            return Err(WriteError::TooManyRows { path: path(), rows });
        }
    }
    let heading = Format::new().set_bold();
    // As text, so that what is typed later keeps its leading zeros.
    let text = Format::new().set_num_format("@");
    let day = Format::new().set_num_format("yyyy-mm-dd");
    let mut workbook = Workbook::new();
    let mut fill = || -> Result<(), XlsxError> {
        for table in Table::ALL {
            let sheet = match notes {
                Notes::None => workbook.add_worksheet_with_constant_memory()?,
                Notes::Columns(_) => workbook.add_worksheet(),
            };
            sheet.set_name(name_of(table, language))?;
            sheet.set_freeze_panes(1, 0)?;
            for (at, column) in (0u16..).zip(table.columns()) {
                sheet.set_column_width(at, 18)?;
                sheet.set_column_format(at, &text)?;
                let name = heading_of(*column, table, language);
                sheet.write_string_with_format(0, at, name, &heading)?;
                if let Notes::Columns(texts) = notes {
                    let note =
                        Note::new(column_note(*column, table, texts)).add_author_prefix(false);
                    sheet.insert_note(0, at, &note)?;
                }
            }
            for entry in 0..entries(registry, table) {
                let line = u32::try_from(entry).unwrap_or(u32::MAX).saturating_add(1);
                for (column, written) in row(registry, table, entry, language) {
                    let at = table.columns().iter().position(|other| *other == column);
                    let at = at.and_then(|at| u16::try_from(at).ok()).unwrap_or(u16::MAX);
                    let excel_day = match &written {
                        Written::Day(date) => u16::try_from(date.year()).ok().and_then(|year| {
                            let (month, day) =
                                (date.month().unsigned_abs(), date.day().unsigned_abs());
                            // Excel believes that 1900 was a leap year; before March its days are off.
                            ExcelDateTime::from_ymd(year, month, day).ok().filter(|_| year > 1900)
                        }),
                        _ => None,
                    };
                    match (&written, excel_day) {
                        (Written::Number(number), _) => {
                            sheet.write_number(line, at, f64::from(*number))?;
                        }
                        (_, Some(date)) => {
                            sheet.write_datetime_with_format(line, at, &date, &day)?;
                        }
                        (written, None) => {
                            let cell = defuse_cell(&flat(column, written));
                            sheet.write_string_with_format(line, at, cell, &text)?;
                        }
                    }
                }
            }
        }
        Ok(())
    };
    let failed = |error: XlsxError| WriteError::Workbook { path: path(), why: error.to_string() };
    fill().map_err(failed)?;
    let bytes = workbook.save_to_buffer().map_err(failed)?;
    replace(out, |file| file.write_all(&bytes))
}

// --- whole or not at all

fn beside(out: &Path) -> PathBuf {
    match out.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.display().to_string();
    move |error| WriteError::Io { path, error }
}

/// The file is written beside its place and moved there when it is whole.
fn replace(
    out: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), WriteError> {
    let attempt = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        permit(&mut builder, 0o666);
        let file = builder.prefix(".jiebei-").tempfile_in(beside(out))?;
        let mut buffered = BufWriter::new(file);
        write(&mut buffered)?;
        let file = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(out).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(io_error(out))
}

/// The umask takes from these what the user does not want to give.
fn permit(builder: &mut tempfile::Builder<'_, '_>, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    builder.permissions(fs::Permissions::from_mode(mode));
}

/// A folder that appears with all its files or not at all.
fn folder(
    out: &Path,
    fill: impl FnOnce(&Path) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let occupied = match fs::read_dir(out) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(_) => true,
    };
    if occupied {
        return Err(WriteError::Occupied { path: out.display().to_string() });
    }
    // `DIR/` and `DIR` are the same place, but only the latter has a parent to write beside it.
    let out: PathBuf = out.components().collect();
    let mut builder = tempfile::Builder::new();
    permit(&mut builder, 0o777);
    let made = builder.prefix(".jiebei-").tempdir_in(beside(&out)).map_err(io_error(&out))?;
    fill(made.path())?;
    fs::rename(made.path(), &out).map_err(io_error(&out))?;
    // Moved: there is nothing left to clean up under the old name.
    let _ = made.keep();
    Ok(())
}
