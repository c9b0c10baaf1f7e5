//! The published result: its schema, reading and writing it, and the files beside it.
//!
//! `result.json` is [`v1`] and nothing else. Beside it stand `observations.jsonl.zst`
//! ([`observations`]), `evidence.pcapng` ([`evidence`]) and the reports; a [`Folder`] replaces each
//! of them whole or not at all. Nothing with a secret in it gets into a file: [`blank`] goes over
//! every frame on its way to a capture.

mod assemble;
pub mod blank;
pub mod evidence;
#[cfg(test)]
pub mod fixture;
mod folder;
pub mod observations;
mod port_names;
mod read;
mod schema;
pub mod v1;

pub use assemble::{Parts, assemble, why_not_of_prefix};
pub use folder::{Folder, Own};
pub use read::{MOST_BYTES, ReadError, locate, read, read_from, write, write_to};
pub use schema::schema;

/// The files of a result, as the contract names them.
pub mod names {
    pub const RESULT: &str = "result.json";
    pub const OBSERVATIONS: &str = "observations.jsonl.zst";
    pub const EVIDENCE: &str = "evidence.pcapng";
    pub const REPORT: &str = "report.html";
    pub const FINDINGS: &str = "findings.csv";
    pub const WORKBOOK: &str = "report.xlsx";
}
