//! A folder of CSV files: UTF-8 or GB18030 told by content, separators found out.
//!
//! Records are split here and not by the `csv` crate, for two reasons: a fault must name the row that Excel
//! shows, and that crate neither counts empty lines nor says where a record began; and an unclosed quote
//! must be a fault, where it would swallow the rest of the file in silence.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::cell;
use super::fault::{Fault, FaultKind};
use super::intake::{Intake, Naming, Overhang, headings_in};
use super::read::{Digest, MOST_COLUMNS, MOST_HEADING_ROW, MOST_TABLES, bounded};
use super::schema::Table;

/// Read every table of a folder, in the order of the tables.
pub(super) fn read_folder(dir: &Path, intake: &mut Intake, digest: &mut Digest) {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) => {
            let kind = FaultKind::Io { error: error.kind() };
            intake.fault(Fault::in_file(kind, None, &dir.to_string_lossy()));
            return;
        }
    };
    let mut found: Vec<(Option<Table>, String, std::path::PathBuf)> = Vec::new();
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => {
                let kind = FaultKind::Io { error: error.kind() };
                intake.fault(Fault::in_file(kind, None, &dir.to_string_lossy()));
                continue;
            }
        };
        let name = path.file_name().map(name_of);
        let Some(name) = name.filter(|name| !name.starts_with(['.', '~'])) else { continue };
        let is_csv = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv"));
        if !is_csv {
            continue;
        }
        if found.len() >= MOST_TABLES {
            let kind = FaultKind::TooManyTables { most: MOST_TABLES as u64 };
            intake.fault(Fault::in_file(kind, None, &dir.to_string_lossy()));
            break;
        }
        let stem = path.file_stem().map(name_of).unwrap_or_default();
        found.push((Table::of_name(&stem), name, path));
    }
    found.sort();
    for (table, name, path) in found {
        let Some(table) = table else {
            let stem = name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem);
            let kind = FaultKind::UnknownTable { meant: super::read::nearest_table(stem) };
            intake.fault(Fault::in_file(kind, None, &name));
            continue;
        };
        let text = bounded(&path).and_then(|bytes| {
            digest.piece(table.name(), &bytes);
            decode(bytes)
        });
        match text {
            Ok(text) => read(&text, table, &name, intake),
            Err(kind) => {
                intake.fault(Fault::in_file(kind, Some(table), &name));
                intake.excused.push(table);
            }
        }
    }
}

/// A file's name. What was unpacked from a Chinese archive often has it in GB18030.
fn name_of(name: &OsStr) -> String {
    match name.to_str() {
        Some(name) => name.to_owned(),
        None => {
            decode(name.as_bytes().to_vec()).unwrap_or_else(|_| name.to_string_lossy().into_owned())
        }
    }
}

/// Read one table.
pub(super) fn read(text: &str, table: Table, file: &str, intake: &mut Intake) {
    let Some(mut sheet) = intake.open(table, file, Naming::Headings) else { return };
    let (separator, skip) = separator(text, table);
    let mut records = Records::of(text, separator);
    let mut cells = Vec::new();
    let mut headed = false;
    let mut skip = skip;
    loop {
        let number = match records.next(&mut cells) {
            Ok(Some(number)) => number,
            Ok(None) => break,
            Err(row) => {
                sheet.fault(FaultKind::UnclosedQuote, Some(row));
                break;
            }
        };
        if headed {
            if !sheet.row(number, &cells, Overhang::Refuse) {
                break;
            }
        } else if skip > 0 {
            skip = skip.saturating_sub(1);
        } else if cells.iter().any(|cell| !cell::trimmed(cell).is_empty()) {
            sheet.headings(cells.iter().map(AsRef::as_ref), number);
            headed = true;
            if cells.len() > MOST_COLUMNS {
                break;
            }
        }
    }
    if !headed && table.is_optional() {
        return;
    }
    if !headed {
        sheet.fault(FaultKind::NoHeader, None);
    }
    sheet.close();
}

/// The separator with which most headings are understood, and how many records stand before them.
fn separator(text: &str, table: Table) -> (u8, usize) {
    let mut best = (0, b',', 0);
    for separator in [b',', b';', b'\t'] {
        let mut records = Records::of(text, separator);
        let mut cells = Vec::new();
        for skip in 0..MOST_HEADING_ROW {
            match records.next(&mut cells) {
                Ok(Some(_)) => {
                    let known = headings_in(table, cells.iter().map(AsRef::as_ref));
                    if known > best.0 {
                        best = (known, separator, skip);
                    }
                }
                Ok(None) | Err(_) => break,
            }
        }
    }
    (best.1, best.2)
}

/// RFC 4180 records, with any of the three line ends, and `"` doubled within quotes.
struct Records<'t> {
    rest: &'t str,
    separator: u8,
    row: u64,
}

impl<'t> Records<'t> {
    fn of(text: &'t str, separator: u8) -> Records<'t> {
        Records { rest: text.strip_prefix('\u{feff}').unwrap_or(text), separator, row: 0 }
    }

    /// The next record's cells, and its row as Excel counts: every record is one, the empty ones too. Cells
    /// past [`MOST_COLUMNS`] + 1 are passed over. `Err`: the row in which a quote is opened and not closed.
    fn next(&mut self, cells: &mut Vec<Cow<'t, str>>) -> Result<Option<u64>, u64> {
        cells.clear();
        if self.rest.is_empty() {
            return Ok(None);
        }
        self.row = self.row.saturating_add(1);
        loop {
            let (cell, ended) = match self.rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted)?,
                None => {
                    let bytes = self.rest.as_bytes();
                    let end = bytes
                        .iter()
                        .position(|byte| *byte == self.separator || matches!(byte, b'\n' | b'\r'))
                        .unwrap_or(bytes.len());
                    let (cell, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
                    self.rest = rest;
                    (Cow::Borrowed(cell), self.end_of_cell())
                }
            };
            if cells.len() <= MOST_COLUMNS {
                cells.push(cell);
            }
            if ended {
                return Ok(Some(self.row));
            }
        }
    }

    /// A quoted cell; `quoted` is what follows the opening quote.
    fn quoted(&mut self, quoted: &'t str) -> Result<(Cow<'t, str>, bool), u64> {
        let mut cell: Cow<'t, str> = Cow::Borrowed("");
        let mut rest = quoted;
        loop {
            let Some((part, behind)) = rest.split_once('"') else { return Err(self.row) };
            append(&mut cell, part);
            match behind.strip_prefix('"') {
                Some(more) => {
                    cell.to_mut().push('"');
                    rest = more;
                }
                None => {
                    rest = behind;
                    break;
                }
            }
        }
        // What stands between the closing quote and the separator belongs to the cell, as Excel has it.
        let bytes = rest.as_bytes();
        let end = bytes
            .iter()
            .position(|byte| *byte == self.separator || matches!(byte, b'\n' | b'\r'))
            .unwrap_or(bytes.len());
        let (tail, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        append(&mut cell, tail);
        self.rest = behind;
        Ok((cell, self.end_of_cell()))
    }

    /// Step over the separator or the line's end; whether the record ended.
    fn end_of_cell(&mut self) -> bool {
        let rest = self.rest;
        if let Some(behind) = rest.strip_prefix(char::from(self.separator)) {
            self.rest = behind;
            return false;
        }
        self.rest = rest
            .strip_prefix("\r\n")
            .or_else(|| rest.strip_prefix('\n'))
            .or_else(|| rest.strip_prefix('\r'))
            .unwrap_or("");
        true
    }
}

fn append<'t>(cell: &mut Cow<'t, str>, part: &'t str) {
    if cell.is_empty() {
        *cell = Cow::Borrowed(part);
    } else if !part.is_empty() {
        cell.to_mut().push_str(part);
    }
}

/// Bytes as text: UTF-8 if they are that, else GB18030.
pub(super) fn decode(bytes: Vec<u8>) -> Result<String, FaultKind> {
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(FaultKind::Utf16);
    }
    let head = bytes.get(..bytes.len().min(4096)).unwrap_or_default();
    let zeros = head.iter().filter(|byte| **byte == 0).count();
    if zeros.saturating_mul(4) > head.len() {
        return Err(FaultKind::Utf16);
    }
    if zeros > 8 && zeros.saturating_mul(20) > head.len() {
        return Err(FaultKind::Binary);
    }
    let error = match String::from_utf8(bytes) {
        Ok(text) => return Ok(text),
        Err(error) => error,
    };
    let good = error.utf8_error().valid_up_to();
    let bytes = error.into_bytes();
    // Bytes that are UTF-8 over several characters and then are not: a broken file, not GB18030, in which
    // that hardly happens by chance.
    let wide = bytes.iter().take(good).filter(|byte| **byte >= 0xe0).count();
    let line = |at: usize| {
        let lines = bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
        FaultKind::Encoding { line: (lines as u64).saturating_add(1) }
    };
    if wide >= 4 {
        return Err(line(good));
    }
    let mut decoder = encoding_rs::GB18030.new_decoder_without_bom_handling();
    let room = decoder.max_utf8_buffer_length_without_replacement(bytes.len());
    let mut text = String::with_capacity(room.unwrap_or(bytes.len()));
    let (result, read) = decoder.decode_to_string_without_replacement(&bytes, &mut text, true);
    match result {
        encoding_rs::DecoderResult::InputEmpty => {
            text.shrink_to_fit();
            Ok(text)
        }
        _ if good == 0 && read < 64 => Err(FaultKind::Binary),
        _ => Err(line(read.max(good))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn records(text: &str) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::of(text, b',');
        let mut cells = Vec::new();
        let mut all = Vec::new();
        while let Ok(Some(row)) = records.next(&mut cells) {
            all.push((row, cells.iter().map(|cell| cell.to_string()).collect()));
        }
        all
    }

    #[test]
    fn rows_are_counted_as_excel_shows_them() {
        let text = "a,b\r\n\r\n\"x\ny\",\"say \"\"hi\"\"\"\n\"q\"tail,\rlast";
        let expected: Vec<(u64, Vec<&str>)> = vec![
            (1, vec!["a", "b"]),
            (2, vec![""]),
            (3, vec!["x\ny", "say \"hi\""]),
            (4, vec!["qtail", ""]),
            (5, vec!["last"]),
        ];
        let records = records(text);
        let records: Vec<(u64, Vec<&str>)> = records
            .iter()
            .map(|(row, cells)| (*row, cells.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(records, expected);
    }

    #[test]
    fn an_open_quote_is_a_fault_of_its_row() {
        let mut records = Records::of("a\n\"b,c\nd", b',');
        let mut cells = Vec::new();
        assert_eq!(records.next(&mut cells), Ok(Some(1)));
        assert_eq!(records.next(&mut cells), Err(2));
    }

    #[test]
    fn the_encoding_is_told_by_content() {
        let text = "单位编码,单位名称\n430100,长沙市联通大楼\n";
        let (gb, _, _) = encoding_rs::GB18030.encode(text);
        assert_eq!(decode(gb.into_owned()), Ok(text.to_owned()));
        assert_eq!(decode(text.as_bytes().to_vec()), Ok(text.to_owned()));
        let mut broken = text.as_bytes().to_vec();
        broken.truncate(broken.len() - 2);
        assert_eq!(decode(broken), Err(FaultKind::Encoding { line: 2 }));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode([&[0xff, 0xfe][..], &wide].concat()), Err(FaultKind::Utf16));
        assert_eq!(decode(b"u\0n\0i\0t\0".to_vec()), Err(FaultKind::Utf16));
        assert_eq!(
            decode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff".to_vec()),
            Err(FaultKind::Binary)
        );
    }

    proptest! {
        #[test]
        fn no_text_is_lost_or_loops(text in "[a\",;\n\r\u{e9}]{0,80}") {
            let mut records = Records::of(&text, b',');
            let mut cells = Vec::new();
            let mut rows = 0;
            while let Ok(Some(row)) = records.next(&mut cells) {
                rows += 1;
                prop_assert_eq!(row, rows);
                prop_assert!(!cells.is_empty());
            }
            prop_assert!(rows as usize <= text.len() + 1);
        }

        #[test]
        fn no_bytes_make_decoding_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(bytes);
        }
    }
}
