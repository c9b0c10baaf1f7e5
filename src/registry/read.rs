//! The one way in: a folder, a workbook, a JSON file or the URL of a NetBox becomes a registry, or all
//! that is wrong with it.

use std::fmt;
use std::path::PathBuf;

use jiff::civil::Date;

use super::fault::{Fault, Severity};
use super::model::Registry;

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
    /// As it was given.
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
    let _ = options;
    Err(Refused { faults: Vec::new(), source: source.to_owned() })
}
