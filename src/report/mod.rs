//! What people and programs read of a result: one file a format.
//!
//! A format gets a [`SweepResult`] and the texts of a language and writes itself. Text that came from
//! the network is data here: it is escaped for HTML, defused for cells, and never taken for markup.

mod boundary;
mod csv;
mod html;
mod json;
mod map;
mod markdown;
mod measure;
mod ocsf;
mod view;
#[cfg(feature = "xlsx")]
mod xlsx;

use std::io::{self, Write};

use crate::audit::{Regulation, Sentences, say};
use crate::result::v1::{FileDigest, SweepResult};
use crate::result::{Folder, names};
use crate::texts::Texts;

/// One way of writing a result down.
pub trait Format: Sync {
    /// The word of `--format`.
    fn name(&self) -> &'static str;

    fn media_type(&self) -> &'static str;

    /// The file's name beside the result.
    fn file_name(&self) -> &'static str;

    fn write(&self, result: &SweepResult, texts: &Texts, out: &mut dyn Write) -> io::Result<()>;
}

/// Every format, in the order people see them.
pub const ALL: &[&dyn Format] = &[
    &html::Html,
    #[cfg(feature = "xlsx")]
    &xlsx::Xlsx,
    &csv::Csv,
    &json::Json,
    &markdown::Markdown,
    &ocsf::Ocsf,
];

/// What a sweep writes beside its result: those of the contract that this build has.
pub fn beside() -> impl Iterator<Item = &'static dyn Format> {
    let names = [names::REPORT, names::FINDINGS, names::WORKBOOK];
    ALL.iter().copied().filter(move |format| names.contains(&format.file_name()))
}

/// The format of a word.
pub fn named(name: &str) -> Option<&'static dyn Format> {
    ALL.iter().copied().find(|format| format.name() == name)
}

/// Writes formats into a result's folder, each under its own name.
pub fn put(
    folder: &Folder<'_>,
    result: &SweepResult,
    texts: &Texts,
    formats: &[&dyn Format],
) -> io::Result<Vec<FileDigest>> {
    formats
        .iter()
        .map(|format| folder.put(format.file_name(), &mut |out| format.write(result, texts, out)))
        .collect()
}

/// The result with its titles, remediations and refutations in another language. What the regulation
/// does not know any more keeps its sentences.
pub fn retell(result: &SweepResult, texts: &Texts, regulation: &Regulation) -> SweepResult {
    let mut told = result.clone();
    for finding in &mut told.findings {
        let Sentences { title, remediation, refuted_by } = say(finding, texts, regulation);
        for (old, new) in [
            (&mut finding.title, title),
            (&mut finding.remediation, remediation),
            (&mut finding.refuted_by, refuted_by),
        ] {
            if !new.is_empty() {
                *old = new;
            }
        }
    }
    texts.language().word().clone_into(&mut told.sweep.language);
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::Language;

    pub fn small() -> SweepResult {
        crate::result::fixture::small()
    }

    #[test]
    fn every_format_has_its_own_word_and_file() {
        for (place, format) in ALL.iter().enumerate() {
            for other in &ALL[place + 1..] {
                assert_ne!(format.name(), other.name());
                assert_ne!(format.file_name(), other.file_name());
            }
        }
        assert!(beside().count() >= 2);
    }

    #[test]
    fn every_format_writes_in_every_language() {
        for language in Language::ALL {
            for format in ALL {
                let mut out = Vec::new();
                format.write(&small(), &Texts::of(language), &mut out).unwrap();
                assert!(!out.is_empty(), "{}", format.name());
            }
        }
    }
}
