//! What people read, in Chinese and English: one pair of catalogues an area, in Fluent's format.
//!
//! Rooms below return values; `cli`, `report` and `result` turn them into sentences here. A test holds
//! the two catalogues of each area to the same keys and arguments.

use std::fmt;
use std::str::FromStr;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use unic_langid::LanguageIdentifier;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    Zh,
    En,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a language: {0:?} (zh or en)")]
pub struct BadLanguage(pub String);

impl Language {
    pub const ALL: [Language; 2] = [Language::Zh, Language::En];

    pub const fn word(self) -> &'static str {
        match self {
            Language::Zh => "zh",
            Language::En => "en",
        }
    }

    /// What a `LANG`-like value asks for: Chinese for `zh…`, else English.
    pub fn of_locale(locale: &str) -> Language {
        if locale.to_ascii_lowercase().starts_with("zh") { Language::Zh } else { Language::En }
    }
}

impl FromStr for Language {
    type Err = BadLanguage;

    fn from_str(text: &str) -> Result<Language, BadLanguage> {
        match text {
            "zh" => Ok(Language::Zh),
            "en" => Ok(Language::En),
            _ => Err(BadLanguage(text.chars().take(32).collect())),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Each area: its name, its Chinese and its English catalogue.
const AREAS: &[(&str, &str, &str)] = &[
    ("audit", include_str!("audit.zh.ftl"), include_str!("audit.en.ftl")),
    ("cli", include_str!("cli.zh.ftl"), include_str!("cli.en.ftl")),
    ("registry", include_str!("registry.zh.ftl"), include_str!("registry.en.ftl")),
    ("report", include_str!("report.zh.ftl"), include_str!("report.en.ftl")),
    ("sweep", include_str!("sweep.zh.ftl"), include_str!("sweep.en.ftl")),
];

/// The catalogue of one language.
pub struct Texts {
    language: Language,
    bundle: FluentBundle<FluentResource>,
}

/// An argument of a sentence.
pub type Argument<'a> = (&'static str, FluentValue<'a>);

impl Texts {
    pub fn of(language: Language) -> Texts {
        let identifier: LanguageIdentifier = language.word().parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![identifier]);
        // Fluent's invisible isolation marks would end up in terminals, CSV and XLSX.
        bundle.set_use_isolating(false);
        for (_, zh, en) in AREAS {
            let source = match language {
                Language::Zh => zh,
                Language::En => en,
            };
            let resource = match FluentResource::try_new((*source).to_owned()) {
                Ok(resource) | Err((resource, _)) => resource,
            };
            // A key given twice is found by the catalogues' test.
            let _ = bundle.add_resource(resource);
        }
        Texts { language, bundle }
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// The sentence of a key; the key itself where the catalogue has none (a test finds those).
    pub fn say(&self, key: &str, arguments: &[Argument<'_>]) -> String {
        self.find(key, arguments).unwrap_or_else(|| key.to_owned())
    }

    /// The sentence of a key, if the catalogue has it.
    pub fn find(&self, key: &str, arguments: &[Argument<'_>]) -> Option<String> {
        let pattern = self.bundle.get_message(key)?.value()?;
        let mut values = FluentArgs::new();
        for (name, value) in arguments {
            values.set(*name, value.clone());
        }
        let mut faults = Vec::new();
        Some(self.bundle.format_pattern(pattern, Some(&values), &mut faults).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    /// Keys with the arguments that their texts name.
    fn keys(source: &str) -> BTreeMap<String, Vec<String>> {
        let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut current = None;
        for line in source.lines() {
            if line.starts_with('#') {
                continue;
            }
            if let Some((key, _)) = line.split_once('=').filter(|_| !line.starts_with([' ', '.'])) {
                let key = key.trim().to_owned();
                assert!(keys.insert(key.clone(), Vec::new()).is_none(), "{key} stands twice");
                current = Some(key);
            }
            if let Some(names) = current.as_ref().and_then(|key| keys.get_mut(key)) {
                for piece in line.split('$').skip(1) {
                    let name: String =
                        piece.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    names.push(name);
                    names.sort();
                    names.dedup();
                }
            }
        }
        keys
    }

    #[test]
    fn both_catalogues_have_the_same_keys_and_arguments() {
        for (area, zh, en) in AREAS {
            assert_eq!(keys(zh), keys(en), "{area}");
            for source in [zh, en] {
                if let Err((_, faults)) = FluentResource::try_new((*source).to_owned()) {
                    panic!("{area}: {faults:?}");
                }
            }
        }
    }

    #[test]
    fn no_key_stands_in_two_areas() {
        let mut seen = BTreeMap::new();
        for (area, zh, _) in AREAS {
            for key in keys(zh).into_keys() {
                if let Some(other) = seen.insert(key.clone(), area) {
                    panic!("{key} in {other} and {area}");
                }
            }
        }
    }
}
