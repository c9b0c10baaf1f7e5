//! What people read of a finding, made from what is stored of it: so that a report in another
//! language needs nothing but the result.

use super::{Proof, Regulation};
use crate::observe::Log;
use crate::result::v1;
use crate::texts::Texts;

/// A finding's sentences in one language.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sentences {
    pub title: String,
    pub remediation: String,
    pub refuted_by: String,
}

/// From rule, subject and detail alone.
pub fn say(finding: &v1::Finding, texts: &Texts, regulation: &Regulation) -> Sentences {
    let _ = (finding, texts, regulation);
    Sentences::default()
}

/// The summary of one piece of evidence.
pub fn say_proof(proof: &Proof, log: &Log, texts: &Texts) -> String {
    let _ = (proof, log, texts);
    String::new()
}
