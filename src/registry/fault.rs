//! What is wrong with a registry: where, with which value, and how to mend it.

use std::fmt;

use jiff::civil::Date;

use super::schema::{Column, Table};
use crate::net::{Port, Prefix};
use crate::observe::Foreign;
use crate::texts::{Argument, Language, Texts};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The registry is refused.
    Error,
    /// Printed, and kept in the result.
    Warning,
}

/// One fault and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub severity: Severity,
    /// `None`: the registry as a whole.
    pub table: Option<Table>,
    /// The file, sheet or array that holds the table, as its owner knows it.
    pub file: Foreign,
    /// As a person counts it there: the row number that Excel shows, the entry of a JSON array from 1,
    /// the id of a NetBox object.
    pub row: Option<u64>,
    /// The heading as the user wrote it.
    pub column: Option<Foreign>,
    pub value: Foreign,
    pub kind: FaultKind,
    /// The row as it stands, for drawing; only the first faults of a registry keep it.
    pub(super) excerpt: Option<Box<Excerpt>>,
}

/// The cells of a row and which of them is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub headings: Vec<Foreign>,
    pub cells: Vec<Foreign>,
    pub at: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FaultKind {
    // The file as a whole
    NotFound,
    Io {
        error: std::io::ErrorKind,
    },
    NotAFile,
    UnknownFormat,
    OldWorkbook,
    WithoutSupport {
        feature: &'static str,
    },
    TooLarge {
        most_bytes: u64,
    },
    Swells {
        most_bytes: u64,
    },
    TooManyRows {
        most: u64,
    },
    TooManyColumns {
        most: u64,
    },
    TooManyTables {
        most: u64,
    },
    Utf16,
    Encoding {
        line: u64,
    },
    Binary,
    BadWorkbook {
        why: Foreign,
    },
    Syntax {
        line: u64,
        column: u64,
    },
    TooDeep {
        line: u64,
        column: u64,
    },
    NotAFolder,
    NotTables,
    NotATable,
    NotARow,
    UnclosedQuote,
    NoHeader,
    NoTables,
    // NetBox
    Unreachable {
        why: Foreign,
    },
    Answered {
        status: u16,
    },
    NotNetBox {
        why: Foreign,
    },
    LeavesOrigin,
    TooManyPages {
        most: u64,
    },
    LeftOut {
        why: LeftOut,
        count: u64,
    },
    // Headings
    DuplicateTable,
    DuplicateColumn,
    MissingColumn {
        column: Column,
    },
    UnknownTable {
        meant: Option<Table>,
    },
    MissingTable,
    UnknownColumn {
        meant: Option<Column>,
    },
    // Cells
    EmptyKey,
    BadDate {
        meant: Option<Date>,
    },
    BadAddress,
    BadMac,
    BadPrefix,
    HostBits {
        meant: Prefix,
    },
    BadPort {
        meant: Option<Port>,
    },
    BadVlan,
    BadSubject,
    UnknownWord {
        column: Column,
        table: Table,
        meant: Option<&'static str>,
    },
    BadFingerprint,
    TooLong {
        most: u64,
    },
    TooManyValues {
        most: u64,
    },
    ControlCharacter,
    Formula,
    FormulaUnread,
    FormulaValue,
    CellError,
    NotPlain,
    // Rows against each other
    UnknownUnit {
        meant: Option<String>,
    },
    DuplicateKey {
        first_row: u64,
    },
    UntilBeforeFrom {
        from: Date,
    },
    UnknownParent,
    Overlap {
        prefix: Prefix,
        unit: Foreign,
        row: u64,
    },
    OutsideSegments {
        unit: Foreign,
    },
    GatewayNoDevice,
    RunOut {
        until: Date,
        today: Date,
    },
    UnknownSubject,
    WaivesNothing,
    ExtraCells,
    /// More of them than are listed.
    More {
        errors: u64,
        warnings: u64,
    },
}

/// Why an object of a NetBox is no row of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftOut {
    WithoutTenant,
    NotInUse,
    WithoutAddress,
    OtherProtocol,
}

impl FaultKind {
    pub fn severity(&self) -> Severity {
        use FaultKind::*;
        match self {
            LeftOut { .. }
            | UnknownTable { .. }
            | MissingTable
            | UnknownColumn { .. }
            | BadFingerprint
            | FormulaValue
            | UnknownParent
            | Overlap { .. }
            | OutsideSegments { .. }
            | GatewayNoDevice
            | RunOut { .. }
            | UnknownSubject
            | WaivesNothing => Severity::Warning,
            More { errors, .. } if *errors == 0 => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// The word of this kind: stable, and the tail of its keys in the texts.
    pub fn word(&self) -> &'static str {
        use FaultKind::*;
        match self {
            NotFound => "not-found",
            Io { .. } => "io",
            NotAFile => "not-a-file",
            UnknownFormat => "unknown-format",
            OldWorkbook => "old-workbook",
            WithoutSupport { .. } => "without-support",
            TooLarge { .. } => "too-large",
            Swells { .. } => "swells",
            TooManyRows { .. } => "too-many-rows",
            TooManyColumns { .. } => "too-many-columns",
            TooManyTables { .. } => "too-many-tables",
            Utf16 => "utf16",
            Encoding { .. } => "encoding",
            Binary => "binary",
            BadWorkbook { .. } => "bad-workbook",
            Syntax { .. } => "syntax",
            TooDeep { .. } => "too-deep",
            NotAFolder => "not-a-folder",
            NotTables => "not-tables",
            NotATable => "not-a-table",
            NotARow => "not-a-row",
            UnclosedQuote => "unclosed-quote",
            NoHeader => "no-header",
            NoTables => "no-tables",
            Unreachable { .. } => "unreachable",
            Answered { .. } => "answered",
            NotNetBox { .. } => "not-netbox",
            LeavesOrigin => "leaves-origin",
            TooManyPages { .. } => "too-many-pages",
            LeftOut { .. } => "left-out",
            DuplicateTable => "duplicate-table",
            DuplicateColumn => "duplicate-column",
            MissingColumn { .. } => "missing-column",
            UnknownTable { .. } => "unknown-table",
            MissingTable => "missing-table",
            UnknownColumn { .. } => "unknown-column",
            EmptyKey => "empty-key",
            BadDate { .. } => "bad-date",
            BadAddress => "bad-address",
            BadMac => "bad-mac",
            BadPrefix => "bad-prefix",
            HostBits { .. } => "host-bits",
            BadPort { .. } => "bad-port",
            BadVlan => "bad-vlan",
            BadSubject => "bad-subject",
            UnknownWord { .. } => "unknown-word",
            BadFingerprint => "bad-fingerprint",
            TooLong { .. } => "too-long",
            TooManyValues { .. } => "too-many-values",
            ControlCharacter => "control-character",
            Formula => "formula",
            FormulaUnread => "formula-unread",
            FormulaValue => "formula-value",
            CellError => "cell-error",
            NotPlain => "not-plain",
            UnknownUnit { .. } => "unknown-unit",
            DuplicateKey { .. } => "duplicate-key",
            UntilBeforeFrom { .. } => "until-before-from",
            UnknownParent => "unknown-parent",
            Overlap { .. } => "overlap",
            OutsideSegments { .. } => "outside-segments",
            GatewayNoDevice => "gateway-no-device",
            RunOut { .. } => "run-out",
            UnknownSubject => "unknown-subject",
            WaivesNothing => "waives-nothing",
            ExtraCells => "extra-cells",
            More { .. } => "more",
        }
    }

    fn arguments(&self, texts: &Texts) -> Vec<Argument<'static>> {
        use FaultKind::*;
        let mebibytes = |bytes: &u64| (bytes >> 20).to_string();
        match self {
            Io { error } => vec![("why", error.to_string().into())],
            WithoutSupport { feature } => vec![("feature", (*feature).into())],
            TooLarge { most_bytes } | Swells { most_bytes } => {
                vec![("most", mebibytes(most_bytes).into())]
            }
            TooManyRows { most }
            | TooManyColumns { most }
            | TooManyTables { most }
            | TooManyPages { most }
            | TooLong { most }
            | TooManyValues { most } => vec![("most", most.to_string().into())],
            Encoding { line } => vec![("line", line.to_string().into())],
            Syntax { line, column } | TooDeep { line, column } => {
                vec![("line", line.to_string().into()), ("place", column.to_string().into())]
            }
            BadWorkbook { why } | Unreachable { why } | NotNetBox { why } => {
                vec![("why", why.terminal().into())]
            }
            Answered { status } => vec![("status", status.to_string().into())],
            LeftOut { why, count } => {
                let why = match why {
                    self::LeftOut::WithoutTenant => "registry-left-out-tenant",
                    self::LeftOut::NotInUse => "registry-left-out-status",
                    self::LeftOut::WithoutAddress => "registry-left-out-address",
                    self::LeftOut::OtherProtocol => "registry-left-out-protocol",
                };
                vec![("why", texts.say(why, &[]).into()), ("count", count.to_string().into())]
            }
            MissingColumn { column } => vec![
                ("name", column.name().into()),
                ("chinese", column.aliases().first().copied().unwrap_or("").into()),
            ],
            UnknownTable { meant } => {
                vec![("meant", meant.map_or("", |table| table.name()).into())]
            }
            UnknownColumn { meant } => {
                vec![("meant", meant.map_or("", |column| column.name()).into())]
            }
            BadDate { meant } => {
                vec![("meant", meant.map_or(String::new(), |meant| meant.to_string()).into())]
            }
            BadPort { meant } => {
                vec![("meant", meant.map_or(String::new(), |meant| meant.to_string()).into())]
            }
            HostBits { meant } => vec![("meant", meant.to_string().into())],
            UnknownWord { column, table, meant } => {
                let list: Vec<String> = column
                    .words(*table)
                    .iter()
                    .map(|(name, chinese)| match chinese.first() {
                        Some(chinese) => format!("{name} {chinese}"),
                        None => (*name).to_owned(),
                    })
                    .collect();
                vec![("words", list.join(", ").into()), ("meant", meant.unwrap_or("").into())]
            }
            UnknownUnit { meant } => {
                let meant = meant.as_deref().unwrap_or("");
                vec![("meant", Foreign::new(meant).terminal().into())]
            }
            DuplicateKey { first_row } => vec![("row", first_row.to_string().into())],
            UntilBeforeFrom { from } => vec![("from", from.to_string().into())],
            Overlap { prefix, unit, row } => vec![
                ("prefix", prefix.to_string().into()),
                ("unit", unit.terminal().into()),
                ("row", row.to_string().into()),
            ],
            OutsideSegments { unit } => vec![("unit", unit.terminal().into())],
            RunOut { until, today } => {
                vec![("until", until.to_string().into()), ("today", today.to_string().into())]
            }
            More { errors, warnings } => vec![
                ("errors", errors.to_string().into()),
                ("warnings", warnings.to_string().into()),
            ],
            _ => Vec::new(),
        }
    }
}

impl Fault {
    /// Where it is, what stands there and what is wrong with it.
    pub fn sentence(&self, texts: &Texts) -> String {
        let place = self.place(texts);
        let problem = self.problem(texts);
        if place.is_empty() {
            problem
        } else {
            texts.say("registry-sentence", &[("place", place.into()), ("problem", problem.into())])
        }
    }

    /// How to put it right.
    pub fn mend(&self, texts: &Texts) -> String {
        let arguments = self.kind.arguments(texts);
        let key = format!("registry-mend-{}", self.kind.word());
        let meant = arguments.iter().any(|(name, value)| {
            *name == "meant"
                && matches!(value, fluent_bundle::FluentValue::String(text) if !text.is_empty())
        });
        if meant && let Some(sentence) = texts.find(&format!("{key}-meant"), &arguments) {
            return sentence;
        }
        texts.say(&key, &arguments)
    }

    /// What is wrong, without the place.
    pub fn problem(&self, texts: &Texts) -> String {
        let key = format!("registry-fault-{}", self.kind.word());
        texts.say(&key, &self.kind.arguments(texts))
    }

    /// Table, row, column and value, as far as there are any.
    pub fn place(&self, texts: &Texts) -> String {
        let whereabouts = self.whereabouts(texts);
        let mut parts = Vec::new();
        if !whereabouts.is_empty() {
            parts.push(whereabouts);
        }
        if let Some(row) = self.row {
            parts.push(texts.say("registry-place-row", &[("row", row.to_string().into())]));
        }
        if let Some(column) = &self.column {
            let arguments = [("column", column.terminal().into())];
            parts.push(texts.say("registry-place-column", &arguments));
        }
        if !self.value.is_empty() {
            let arguments = [("value", shortened(&self.value.terminal()).into())];
            parts.push(texts.say("registry-place-value", &arguments));
        }
        let between = match texts.language() {
            Language::Zh => "，",
            Language::En => ", ",
        };
        parts.join(between)
    }
}

impl Fault {
    /// The table and the file that holds it.
    pub(super) fn whereabouts(&self, texts: &Texts) -> String {
        let file = self.file.terminal();
        let Some(table) = self.table else { return file };
        let name = match texts.language() {
            Language::Zh => table.chinese(),
            Language::En => table.name(),
        };
        if file.is_empty() || file == name {
            return name.to_owned();
        }
        texts.say("registry-place-table", &[("table", name.into()), ("file", file.into())])
    }
}

/// Enough of a value to find it again.
fn shortened(text: &str) -> String {
    const MOST: usize = 80;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// The faults of one pass, bounded: what is past the bound is counted.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<Fault>,
    errors: usize,
    warnings: usize,
}

impl Faults {
    /// More than anybody mends in one go; each severity has its own share.
    pub const MOST_LISTED: usize = 5_000;
    /// Those that keep their row for drawing.
    const MOST_DRAWN: usize = 500;

    pub fn push(&mut self, mut fault: Fault, excerpt: impl FnOnce() -> Option<Excerpt>) {
        let count = match fault.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count = count.saturating_add(1);
        if *count <= Faults::MOST_LISTED {
            if *count <= Faults::MOST_DRAWN {
                fault.excerpt = excerpt().map(Box::new);
            }
            self.list.push(fault);
        }
    }

    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Drop listed faults that another one explains.
    pub fn retract(&mut self, is_explained: impl Fn(&Fault) -> bool) {
        self.list.retain(|fault| {
            let keep = !is_explained(fault);
            if !keep {
                match fault.severity {
                    Severity::Error => self.errors = self.errors.saturating_sub(1),
                    Severity::Warning => self.warnings = self.warnings.saturating_sub(1),
                }
            }
            keep
        });
    }

    /// Errors first, then by table and row; last, how many more there are.
    pub fn finish(mut self) -> Vec<Fault> {
        self.list.sort_by_key(|fault| (fault.severity, fault.table, fault.row));
        let more = |count: usize| count.saturating_sub(Faults::MOST_LISTED) as u64;
        let (errors, warnings) = (more(self.errors), more(self.warnings));
        if errors > 0 || warnings > 0 {
            self.list.push(Fault::of(FaultKind::More { errors, warnings }));
        }
        self.list
    }
}

impl Fault {
    /// A fault of the registry as a whole.
    pub(super) fn of(kind: FaultKind) -> Fault {
        Fault {
            severity: kind.severity(),
            table: None,
            file: Foreign::default(),
            row: None,
            column: None,
            value: Foreign::default(),
            kind,
            excerpt: None,
        }
    }

    pub(super) fn in_file(kind: FaultKind, table: Option<Table>, file: &str) -> Fault {
        Fault { table, file: Foreign::new(file), ..Fault::of(kind) }
    }
}

impl Excerpt {
    /// Of a row's cells, shortened to what can be shown.
    pub fn of<'a>(
        headings: impl Iterator<Item = &'a str>,
        cells: impl Iterator<Item = &'a str>,
        at: usize,
    ) -> Excerpt {
        const MOST: usize = 64;
        let cut = |text: &str| Foreign::new(&text.chars().take(MOST).collect::<String>());
        Excerpt {
            headings: headings.take(super::read::MOST_COLUMNS).map(cut).collect(),
            cells: cells.take(super::read::MOST_COLUMNS).map(cut).collect(),
            at,
        }
    }
}
