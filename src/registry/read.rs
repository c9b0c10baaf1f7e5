//! The one way in: a folder, a workbook, a JSON file or the URL of a NetBox becomes a registry, or all
//! that is wrong with it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::fault::{Fault, FaultKind, Severity};
use super::intake::Intake;
use super::model::Registry;
use super::schema::Table;
use super::{cell, check, csv, json};

// Bounds of what is read. Guesses with room: the largest registry thought of, a province's with a million
// assets, is some 100 MB of CSV and 200 MB of JSON.

/// Of one file as it lies on the disk.
pub const MOST_BYTES: u64 = 512 << 20;
/// Of a workbook's sheets, unpacked.
pub const MOST_UNPACKED_BYTES: u64 = 1536 << 20;
/// Of all else in a workbook, unpacked; its texts are held in memory.
pub const MOST_SHARED_BYTES: u64 = 192 << 20;
/// Of one table; a sheet of Excel ends at 1,048,576.
pub const MOST_ROWS: u64 = 2_000_000;
/// Of one table: the contract's widest has fifteen.
pub const MOST_COLUMNS: usize = 256;
/// Files of a folder, sheets of a workbook.
pub const MOST_TABLES: usize = 256;
/// Excel's own bound.
pub const MOST_CELL_CHARACTERS: usize = 32_767;
/// In one cell.
pub const MOST_VALUES: usize = 1024;
/// Titles may stand above the headings, but not more than these rows.
pub const MOST_HEADING_ROW: usize = 20;

/// What reading depends on beside the source.
#[derive(Debug, Clone)]
pub struct ReadOptions {
    /// The day on which rows may have run out, in +08:00.
    pub today: Date,
    /// For a NetBox: its API token.
    pub token: Option<Token>,
    /// For a NetBox with a certificate of one's own: a PEM file of roots to trust beside the usual.
    pub roots: Option<PathBuf>,
}

impl ReadOptions {
    pub fn on(today: Date) -> ReadOptions {
        ReadOptions { today, token: None, roots: None }
    }
}

/// The API token of a NetBox. It prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub fn new(secret: &str) -> Token {
        Token(secret.trim().to_owned())
    }

    #[cfg_attr(not(feature = "netbox"), expect(dead_code))]
    pub(super) fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A registry that may be used.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub registry: Registry,
    pub warnings: Vec<Fault>,
    /// Of the bytes read, lower-case hexadecimal: of the file; of a folder's or a NetBox's pieces in order.
    pub sha256: String,
    /// As it was given, without any password.
    pub source: String,
}

/// A registry that may not be used, and all that is wrong with it.
#[derive(Debug, Clone)]
pub struct Refused {
    /// Errors and warnings of one pass, errors first.
    pub faults: Vec<Fault>,
    pub source: String,
}

impl Refused {
    pub fn errors(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(|fault| fault.severity == Severity::Error)
    }
}

/// Read and check a registry: a folder of CSV files, an `.xlsx` workbook, a JSON file or the `http(s)://`
/// URL of a NetBox.
pub fn read(source: &str, options: &ReadOptions) -> Result<Loaded, Refused> {
    let mut intake = Intake::new(options.today);
    let mut digest = Digest::new();
    let mut shown = source.to_owned();
    if source.starts_with("http://") || source.starts_with("https://") {
        shown = without_password(source);
        netbox(source, options, &mut intake, &mut digest);
    } else {
        read_path(Path::new(source), &mut intake, &mut digest);
    }
    if !intake.broken {
        tell_missing_tables(&mut intake);
        check::check(&mut intake);
    }
    let Intake { mut registry, faults, .. } = intake;
    let refused = faults.has_errors();
    let faults = faults.finish();
    if refused {
        return Err(Refused { faults, source: shown });
    }
    registry.assets.shrink_to_fit();
    Ok(Loaded { registry, warnings: faults, sha256: digest.finish(), source: shown })
}

#[cfg(feature = "netbox")]
fn netbox(url: &str, options: &ReadOptions, intake: &mut Intake, digest: &mut Digest) {
    super::netbox::read(url, options, intake, digest);
}

#[cfg(not(feature = "netbox"))]
fn netbox(_: &str, _: &ReadOptions, intake: &mut Intake, _: &mut Digest) {
    intake.fault(Fault::of(FaultKind::WithoutSupport { feature: "netbox" }));
    intake.broken = true;
}

/// `user:password@` taken out.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at_checked(at).unwrap_or((rest, "")),
                None => (rest, ""),
            };
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

fn read_path(path: &Path, intake: &mut Intake, digest: &mut Digest) {
    if path.is_dir() {
        csv::read_folder(path, intake, digest);
        return;
    }
    let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    if let Err(kind) = read_file(path, &name, intake, digest) {
        intake.fault(Fault::in_file(kind, None, &name));
        intake.broken = true;
    }
}

fn read_file(
    path: &Path,
    name: &str,
    intake: &mut Intake,
    digest: &mut Digest,
) -> Result<(), FaultKind> {
    let mut file = open(path)?;
    let mut head = [0; 512];
    let length = file.read(&mut head).map_err(io_fault)?;
    let head = head.get(..length).unwrap_or_default();
    io::Seek::rewind(&mut file).map_err(io_fault)?;
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    match (ending.as_deref(), head) {
        // An OLE container: the binary workbook of before 2007, or one with a password.
        (_, [0xd0, 0xcf, 0x11, 0xe0, ..]) => Err(FaultKind::OldWorkbook),
        (_, [b'P', b'K', ..]) | (Some("xlsx" | "xlsm"), _) => workbook(file, name, intake, digest),
        (Some("csv"), _) => Err(FaultKind::NotAFolder),
        (Some("json"), _) => read_json(file, name, intake, digest),
        (_, head) => {
            let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
            match head.iter().find(|byte| !byte.is_ascii_whitespace()) {
                Some(b'{' | b'[') => read_json(file, name, intake, digest),
                _ => Err(FaultKind::UnknownFormat),
            }
        }
    }
}

fn read_json(
    file: File,
    name: &str,
    intake: &mut Intake,
    digest: &mut Digest,
) -> Result<(), FaultKind> {
    let mut hashing = digest.through(file.take(MOST_BYTES));
    json::read(BufReader::with_capacity(1 << 16, &mut hashing), name, intake);
    // What stands behind a fault is not read, nor is its digest needed.
    Ok(())
}

#[cfg(feature = "xlsx")]
fn workbook(
    mut file: File,
    name: &str,
    intake: &mut Intake,
    digest: &mut Digest,
) -> Result<(), FaultKind> {
    io::copy(&mut digest.through(&mut file), &mut io::sink()).map_err(io_fault)?;
    io::Seek::rewind(&mut file).map_err(io_fault)?;
    super::xlsx::read(file, name, intake)
}

#[cfg(not(feature = "xlsx"))]
fn workbook(_: File, _: &str, _: &mut Intake, _: &mut Digest) -> Result<(), FaultKind> {
    Err(FaultKind::WithoutSupport { feature: "xlsx" })
}

/// What no file of its kind may be called missing for, and what may.
fn tell_missing_tables(intake: &mut Intake) {
    if intake.sheets.is_empty() && intake.excused.is_empty() {
        intake.fault(Fault::of(FaultKind::NoTables));
        return;
    }
    for table in Table::ALL {
        if table.is_optional() || intake.sheet(table).is_some() || intake.excused.contains(&table) {
            continue;
        }
        let mut fault = Fault::in_file(FaultKind::MissingTable, Some(table), "");
        // Every row names a unit: without them nothing can be checked.
        if table == Table::Units {
            fault.severity = Severity::Error;
        }
        intake.fault(fault);
    }
}

/// A plain file that is not too large; a pipe or a device would be waited for.
fn open(path: &Path) -> Result<File, FaultKind> {
    let about = fs::metadata(path).map_err(io_fault)?;
    if !about.is_file() {
        return Err(FaultKind::NotAFile);
    }
    if about.len() > MOST_BYTES {
        return Err(FaultKind::TooLarge { most_bytes: MOST_BYTES });
    }
    File::open(path).map_err(io_fault)
}

/// A file's bytes, bounded.
pub(super) fn bounded(path: &Path) -> Result<Vec<u8>, FaultKind> {
    let file = open(path)?;
    let size = file.metadata().map_or(0, |about| about.len());
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0).saturating_add(1));
    // It may grow while it is read.
    file.take(MOST_BYTES.saturating_add(1)).read_to_end(&mut bytes).map_err(io_fault)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FaultKind::TooLarge { most_bytes: MOST_BYTES });
    }
    Ok(bytes)
}

pub(super) fn io_fault(error: io::Error) -> FaultKind {
    match error.kind() {
        io::ErrorKind::NotFound => FaultKind::NotFound,
        error => FaultKind::Io { error },
    }
}

/// The table whose name is nearly this.
pub(super) fn nearest_table(name: &str) -> Option<Table> {
    let name = name.trim().to_lowercase();
    let names = Table::ALL.iter().flat_map(|table| [table.name(), table.chinese()]);
    cell::nearest(&name, names).and_then(Table::of_name)
}

/// A number as a person would type it: `100`, not `100.0`.
pub(super) fn number(value: f64) -> String {
    // Below 2^53 every whole number is exact.
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        format!("{value:.0}")
    } else {
        value.to_string()
    }
}

/// SHA-256 over what is read, piece by piece.
pub(super) struct Digest {
    context: ring::digest::Context,
}

impl Digest {
    fn new() -> Digest {
        Digest { context: ring::digest::Context::new(&ring::digest::SHA256) }
    }

    /// A named piece, so that the same bytes under another name are another registry.
    pub fn piece(&mut self, name: &str, bytes: &[u8]) {
        self.context.update(name.as_bytes());
        self.context.update(&[0]);
        self.context.update(&(bytes.len() as u64).to_be_bytes());
        self.context.update(bytes);
    }

    fn through<R: Read>(&mut self, input: R) -> Hashing<'_, R> {
        Hashing { input, digest: self }
    }

    fn finish(self) -> String {
        self.context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A reader whose bytes are digested on the way.
struct Hashing<'d, R> {
    input: R,
    digest: &'d mut Digest,
}

impl<R: Read> Read for Hashing<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.input.read(buffer)?;
        self.digest.context.update(buffer.get(..length).unwrap_or_default());
        Ok(length)
    }
}
