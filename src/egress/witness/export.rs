//! A part of a log as a log of its own: for units with no way out, who get it carried.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;

use jiff::Timestamp;
use thiserror::Error;

use super::journal;
use super::sign::{Signer, Verifier};
use crate::egress::receipt::{self, BadEntry, GENESIS, MOST_LINE};
use crate::egress::token::EgressKey;

/// Which receipts are wanted, and how they are checked and signed.
#[derive(Default)]
pub struct Wanted<'a> {
    pub sweep: Option<&'a str>,
    pub since: Option<Timestamp>,
    /// Every entry must be signed by this key.
    pub verifier: Option<Verifier>,
    /// Signs the chain of what is written, which is another one.
    pub signer: Option<Signer>,
}

#[derive(Debug, Error)]
pub enum ExportError {
    #[error("{path}: {cause}")]
    File { path: String, cause: io::Error },
    #[error("{0} was written with another egress key")]
    OtherKey(String),
    #[error("{path}, line {line}: {what}")]
    Broken { path: String, line: u64, what: String },
    #[error("what was chosen cannot be written: {0}")]
    Write(io::Error),
}

/// Writes the chosen receipts of a log and its rotated files, chained anew; their numbers and times stay. Says how many.
///
/// The log may be written meanwhile: a last line without end is left for the next time.
pub fn export(
    path: &Path,
    key: &EgressKey,
    wanted: &Wanted<'_>,
    to: &mut dyn Write,
) -> Result<u64, ExportError> {
    let mut found = Vec::new();
    for (place, path) in journal::paths(path).iter().enumerate() {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(cause) if place > 0 && cause.kind() == io::ErrorKind::NotFound => continue,
            Err(cause) => {
                return Err(ExportError::File { path: path.display().to_string(), cause });
            }
        };
        read(&file, path, key, wanted, &mut found)?;
    }
    // The files stand in no order, and one that was being copied holds what another still has.
    found.sort_by_key(|receipt: &receipt::Receipt| receipt.n);
    found.dedup_by_key(|receipt| receipt.n);
    let mut previous = GENESIS;
    for receipt in &found {
        let (line, chain) = receipt::write(key, &previous, receipt, &mut |chain| {
            wanted.signer.as_ref().and_then(|signer| signer.sign(chain))
        })
        .map_err(|fault| ExportError::Write(fault.into()))?;
        previous = chain;
        to.write_all(line.as_bytes())
            .and_then(|()| to.write_all(b"\n"))
            .map_err(ExportError::Write)?;
    }
    to.flush().map_err(ExportError::Write)?;
    Ok(found.len() as u64)
}

fn read(
    file: &File,
    path: &Path,
    key: &EgressKey,
    wanted: &Wanted<'_>,
    found: &mut Vec<receipt::Receipt>,
) -> Result<(), ExportError> {
    let shown = || path.display().to_string();
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let mut limited = reader.by_ref().take(MOST_LINE as u64 + 2);
        let count = limited
            .read_until(b'\n', &mut line)
            .map_err(|cause| ExportError::File { path: shown(), cause })?;
        if count == 0 || line.last() != Some(&b'\n') && count <= MOST_LINE {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let entry = match receipt::read(key, text.trim_end()) {
            Ok(entry) => entry,
            Err(BadEntry::Chain) if number == 1 => return Err(ExportError::OtherKey(shown())),
            Err(fault) => {
                let what = fault.to_string();
                return Err(ExportError::Broken { path: shown(), line: number, what });
            }
        };
        if let Some(verifier) = &wanted.verifier
            && !verifier.verifies(&entry.chain, entry.signature.as_deref().unwrap_or_default())
        {
            let what = "it is not signed by this key".to_owned();
            return Err(ExportError::Broken { path: shown(), line: number, what });
        }
        let is_of_sweep = wanted.sweep.is_none_or(|sweep| {
            entry.receipt.token().is_some_and(|token| key.is_of_sweep(token, sweep))
        });
        if is_of_sweep && wanted.since.is_none_or(|since| entry.receipt.at >= since) {
            found.push(entry.receipt);
        }
    }
    Ok(())
}
