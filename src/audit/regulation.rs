//! A province's regulation: articles, and what each rule of the audit has to do with them.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::result::v1::Severity;
use crate::texts::Language;

/// A regulation's data file, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Regulation {
    /// The file's name, as profiles give it: `hunan-2026`.
    pub name: String,
    pub title: Sentence,
    /// The document's number.
    pub document: String,
    pub articles: BTreeMap<String, Article>,
    pub rules: BTreeMap<String, RuleTexts>,
}

/// One text in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sentence {
    pub zh: String,
    pub en: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Article {
    pub gist: Sentence,
}

/// What a regulation says of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleTexts {
    pub articles: Vec<String>,
    pub severity: Severity,
    pub title: Sentence,
    pub remediation: Sentence,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadRegulation {
    #[error("the regulation cannot be read: {0}")]
    Unreadable(String),
}

impl Regulation {
    /// Reads a data file's text.
    pub fn read(name: &str, text: &str) -> Result<Regulation, BadRegulation> {
        let _ = (name, text);
        Err(BadRegulation::Unreadable(String::new()))
    }

    /// One of those that come with the program.
    pub fn built_in(name: &str) -> Option<Regulation> {
        let _ = name;
        None
    }
}

impl Sentence {
    pub fn of(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}
