//! One JSON file: an object with the tables as arrays of objects, names in either language.
//!
//! Read as a stream: a million assets are never in memory as JSON. Nesting is bounded by `serde_json`
//! (128 levels), size by the caller.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::fault::{Fault, FaultKind};
use super::intake::{Intake, Naming, OpenSheet, Overhang};
use super::read::{MOST_COLUMNS, MOST_TABLES, nearest_table};
use super::schema::Table;

/// Read every table of a JSON text.
pub(super) fn read(mut input: impl Read, file: &str, intake: &mut Intake) {
    let mut head = [0; 3];
    let length = match fill(&mut input, &mut head) {
        Ok(length) => length,
        Err(error) => {
            let kind = FaultKind::Io { error: error.kind() };
            intake.fault(Fault::in_file(kind, None, file));
            intake.broken = true;
            return;
        }
    };
    let head = head.get(..length).unwrap_or_default();
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        intake.fault(Fault::in_file(FaultKind::Utf16, None, file));
        intake.broken = true;
        return;
    }
    let head = head.strip_prefix("\u{feff}".as_bytes()).unwrap_or(head);
    let mut deserializer = serde_json::Deserializer::from_reader(head.chain(input));
    let outcome =
        Tables { intake, file }.deserialize(&mut deserializer).and_then(|()| deserializer.end());
    if let Err(error) = outcome {
        let (line, column) = (error.line() as u64, error.column() as u64);
        let kind = match error.io_error_kind() {
            Some(error) => FaultKind::Io { error },
            // The one error of serde_json that says so has no class of its own.
            None if error.to_string().contains("recursion limit") => {
                FaultKind::TooDeep { line, column }
            }
            None => FaultKind::Syntax { line, column },
        };
        intake.fault(Fault::in_file(kind, None, file));
        intake.broken = true;
    }
}

fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0usize;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            read => length = length.saturating_add(read),
        }
    }
    Ok(length)
}

/// What is no object or array where one belongs: everything else that JSON has.
macro_rules! anything_else {
    ($self:ident => $answer:expr) => {
        fn visit_bool<E>($self, _: bool) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_i64<E>($self, _: i64) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_u64<E>($self, _: u64) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_f64<E>($self, _: f64) -> Result<Self::Value, E> {
            Ok($answer)
        }
        fn visit_str<E>($self, _: &str) -> Result<Self::Value, E> {
            Ok($answer)
        }
    };
}

/// The whole file.
struct Tables<'i, 'f> {
    intake: &'i mut Intake,
    file: &'f str,
}

impl Tables<'_, '_> {
    fn not_tables(self) {
        self.intake.fault(Fault::in_file(FaultKind::NotTables, None, self.file));
        self.intake.broken = true;
    }
}

impl<'de> DeserializeSeed<'de> for Tables<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tables<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tables")
    }

    anything_else!(self => self.not_tables());

    fn visit_unit<E>(self) -> Result<(), E> {
        self.not_tables();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        self.not_tables();
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut unknown = 0usize;
        while let Some(name) = map.next_key::<String>()? {
            let Some(table) = Table::of_name(&name) else {
                map.next_value::<IgnoredAny>()?;
                // `$schema`, `_comment` and the like are nobody's table.
                if !name.starts_with(['$', '_']) && unknown < MOST_TABLES {
                    unknown = unknown.saturating_add(1);
                    let kind = FaultKind::UnknownTable { meant: nearest_table(&name) };
                    self.intake.fault(Fault::in_file(kind, None, &name));
                }
                continue;
            };
            match self.intake.open(table, &name, Naming::Keys) {
                Some(mut sheet) => {
                    map.next_value_seed(Rows { sheet: &mut sheet })?;
                    sheet.close();
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// One table.
struct Rows<'s, 'i> {
    sheet: &'s mut OpenSheet<'i>,
}

impl<'de> DeserializeSeed<'de> for Rows<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Rows<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    anything_else!(self => self.sheet.fault(FaultKind::NotATable, None));

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.sheet.fault(FaultKind::NotATable, None);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut number = 0u64;
        let mut cells = Vec::new();
        loop {
            number = number.saturating_add(1);
            let row = Row { sheet: self.sheet, number, cells: &mut cells };
            match items.next_element_seed(row)? {
                None => return Ok(()),
                Some(true) => {}
                Some(false) => {
                    while items.next_element::<IgnoredAny>()?.is_some() {}
                    return Ok(());
                }
            }
        }
    }
}

/// One row; its value is whether more may follow.
struct Row<'r, 'i, 'c> {
    sheet: &'r mut OpenSheet<'i>,
    number: u64,
    cells: &'c mut Vec<Cow<'static, str>>,
}

impl Row<'_, '_, '_> {
    fn not_a_row(self) -> bool {
        self.sheet.fault(FaultKind::NotARow, Some(self.number));
        true
    }
}

impl<'de> DeserializeSeed<'de> for Row<'_, '_, '_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Row<'_, '_, '_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row")
    }

    anything_else!(self => self.not_a_row());

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(self.not_a_row())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.not_a_row())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Row { sheet, number, cells } = self;
        cells.clear();
        cells.resize(sheet.width(), Cow::Borrowed(""));
        let mut filled: Vec<usize> = Vec::with_capacity(cells.len());
        let mut nested = Vec::new();
        let mut likely = 0usize;
        while let Some(heading) = map.next_key::<String>()? {
            let mut place = sheet.place_of(&heading, likely);
            if place.is_none() && !heading.starts_with(['$', '_']) {
                if sheet.heading(&heading, None) {
                    place = sheet.place_of(&heading, sheet.width().saturating_sub(1));
                    cells.resize(sheet.width(), Cow::Borrowed(""));
                } else {
                    let most = MOST_COLUMNS as u64;
                    map.next_value::<IgnoredAny>()?;
                    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                    sheet.fault(FaultKind::TooManyColumns { most }, Some(number));
                    return Ok(false);
                }
            }
            let Some(place) = place else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            likely = place.saturating_add(1);
            let value = map.next_value_seed(Cell)?;
            if filled.contains(&place) {
                sheet.fault_in_column(FaultKind::DuplicateColumn, number, &heading);
                continue;
            }
            filled.push(place);
            match value {
                Value::Empty => {}
                Value::Text(text) => {
                    if let Some(cell) = cells.get_mut(place) {
                        *cell = Cow::Owned(text);
                    }
                }
                Value::Nested => nested.push(place),
            }
        }
        for place in nested {
            sheet.cell_fault(FaultKind::NotPlain, number, place, cells);
        }
        Ok(sheet.row(number, cells, Overhang::Ignore))
    }
}

enum Value {
    Empty,
    Text(String),
    /// An object, or an array in an array: nothing that fits in a cell.
    Nested,
}

/// One cell: a text, number, truth value, or an array of these.
struct Cell;

impl<'de> DeserializeSeed<'de> for Cell {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Cell {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a cell")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Text(if value { "yes" } else { "no" }.to_owned()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Text(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Text(super::read::number(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Empty)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Value::Nested)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut joined = String::new();
        let mut nested = false;
        // An array in an array is read, and refused, by the same visitor; depth is serde_json's to bound.
        while let Some(value) = items.next_element_seed(Cell)? {
            match value {
                Value::Empty => {}
                Value::Nested => nested = true,
                Value::Text(text) => {
                    if !joined.is_empty() {
                        joined.push_str("; ");
                    }
                    joined.push_str(&text);
                }
            }
        }
        Ok(if nested { Value::Nested } else { Value::Text(joined) })
    }
}
