//! A province's regulation: articles, and what each rule of the audit has to do with them.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::result::v1::Severity;
use crate::texts::Language;

/// Every rule of the contract's table, those that later work builds too: a regulation has to say
/// something of each, so that no finding is ever without article and remediation.
pub const RULES: &[&str] = &[
    "unregistered-segment",
    "foreign-segment",
    "unregistered-device",
    "asset-mismatch",
    "unregistered-router",
    "rogue-dhcp-server",
    "rogue-router-advertisement",
    "hidden-network",
    "multi-homed-device",
    "unregistered-tunnel",
    "wireless-access-point",
    "interface-device-replaced",
    "interface-device-changed",
    "interface-device-missing",
    "access-after-withdrawal",
    "unregistered-egress",
    "egress-mismatch",
    "egress-filing-expired",
    "unregistered-service",
    "retired-system-online",
    "filing-expired",
    "registered-asset-absent",
    "risky-service",
];

/// Those that come with the program.
const BUILT_IN: &[(&str, &str)] =
    &[("hunan-2026", include_str!("../../profiles/regulations/hunan-2026.toml"))];

/// A regulation's data file, read.
#[derive(Debug, Clone, PartialEq)]
pub struct Regulation {
    /// As profiles name it: `hunan-2026`.
    pub name: String,
    pub title: Sentence,
    /// The document's number.
    pub document: String,
    /// By number.
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
    /// Numbers of the regulation's articles.
    pub articles: Vec<String>,
    pub severity: Severity,
    pub title: Sentence,
    /// How to put it right, both ways: take it down, or apply for it.
    pub remediation: Sentence,
}

/// The file as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    regulation: Head,
    articles: BTreeMap<String, Article>,
    rules: BTreeMap<String, RuleTexts>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    name: String,
    document: String,
    title: Sentence,
    #[serde(default, rename = "in_force_from")]
    _from: Option<toml::value::Datetime>,
    #[serde(default, rename = "in_force_until")]
    _until: Option<toml::value::Datetime>,
}

/// Why a regulation cannot be used; every fault of its content at once.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadRegulation {
    #[error("regulation {name}: {fault}")]
    Syntax { name: String, fault: String },
    #[error("regulation {name}: {}", faults.join("; "))]
    Content { name: String, faults: Vec<String> },
}

impl Regulation {
    /// One of those that come with the program.
    pub fn built_in(name: &str) -> Option<Regulation> {
        let (name, text) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name)?;
        Regulation::read(name, text).ok()
    }

    /// The names of those that come with the program.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// Reads a data file's text; `name` is for the error. Whoever has the file reads it, bounded.
    pub fn read(name: &str, text: &str) -> Result<Regulation, BadRegulation> {
        let written: Written = toml::from_str(text).map_err(|error| BadRegulation::Syntax {
            name: name.to_owned(),
            fault: error.to_string().trim_end().to_owned(),
        })?;
        let faults = faults(&written);
        if !faults.is_empty() {
            return Err(BadRegulation::Content { name: name.to_owned(), faults });
        }
        Ok(Regulation {
            name: written.regulation.name,
            title: written.regulation.title,
            document: written.regulation.document,
            articles: written.articles,
            rules: written.rules,
        })
    }

    /// The articles of a rule with their gists.
    pub fn articles_of(&self, rule: &str) -> impl Iterator<Item = (&str, Option<&Article>)> {
        self.rules
            .get(rule)
            .into_iter()
            .flat_map(|texts| &texts.articles)
            .map(|number| (number.as_str(), self.articles.get(number)))
    }
}

/// Everything that is missing or does not fit.
fn faults(written: &Written) -> Vec<String> {
    let mut faults = Vec::new();
    for rule in RULES {
        if !written.rules.contains_key(*rule) {
            faults.push(format!("rules.{rule} is missing"));
        }
    }
    for (rule, texts) in &written.rules {
        if !RULES.contains(&rule.as_str()) {
            faults.push(format!("rules.{rule}: there is no such rule"));
        }
        if texts.articles.is_empty() {
            faults.push(format!("rules.{rule}.articles is empty"));
        }
        for number in &texts.articles {
            if !written.articles.contains_key(number) {
                faults.push(format!("rules.{rule}.articles: article {number} has no gist"));
            }
        }
        for (what, sentence) in [("title", &texts.title), ("remediation", &texts.remediation)] {
            if sentence.zh.trim().is_empty() || sentence.en.trim().is_empty() {
                faults.push(format!("rules.{rule}.{what} is empty"));
            }
        }
    }
    faults
}

impl Sentence {
    pub fn of(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::rule;

    #[test]
    fn every_built_in_one_can_be_read_and_tells_of_every_rule() {
        for (name, text) in BUILT_IN {
            let regulation = Regulation::read(name, text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(regulation.name, *name);
            for rule in rule::ALL {
                assert!(regulation.rules.contains_key(rule.name()), "{}", rule.name());
            }
        }
    }

    /// The contract's table, which the regulation's file repeats.
    #[test]
    fn hunans_articles_and_severities_are_the_contracts() {
        let regulation = Regulation::built_in("hunan-2026").unwrap();
        for (rule, articles, severity) in [
            ("unregistered-segment", "20", Severity::High),
            ("foreign-segment", "20", Severity::High),
            ("unregistered-device", "20,22", Severity::Medium),
            ("asset-mismatch", "20,22", Severity::Medium),
            ("unregistered-router", "20", Severity::High),
            ("rogue-dhcp-server", "20", Severity::High),
            ("rogue-router-advertisement", "20", Severity::High),
            ("hidden-network", "20", Severity::High),
            ("multi-homed-device", "4,20", Severity::High),
            ("unregistered-tunnel", "17,20", Severity::High),
            ("wireless-access-point", "20,22", Severity::High),
            ("interface-device-replaced", "20,23", Severity::High),
            ("interface-device-changed", "20,23", Severity::Medium),
            ("interface-device-missing", "20,23", Severity::High),
            ("access-after-withdrawal", "20", Severity::High),
            ("unregistered-egress", "21", Severity::Critical),
            ("egress-mismatch", "21", Severity::High),
            ("egress-filing-expired", "21", Severity::Medium),
            ("unregistered-service", "24", Severity::Medium),
            ("retired-system-online", "24", Severity::Medium),
            ("filing-expired", "24", Severity::Low),
            ("registered-asset-absent", "24,32", Severity::Info),
            ("risky-service", "22,23", Severity::Medium),
        ] {
            let texts = &regulation.rules[rule];
            assert_eq!(
                (texts.articles.join(",").as_str(), texts.severity),
                (articles, severity),
                "{rule}"
            );
        }
        assert_eq!(regulation.rules.len(), RULES.len());
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = BUILT_IN[0].1;
        let wrong = text
            .replace("[rules.risky-service", "[rules.risky-servise")
            .replace("articles = [\"24\", \"32\"]", "articles = [\"24\", \"99\"]");
        let Err(BadRegulation::Content { faults, .. }) = Regulation::read("wrong", &wrong) else {
            panic!("it should be refused");
        };
        let all = faults.join("\n");
        for part in ["rules.risky-service is missing", "risky-servise", "article 99"] {
            assert!(all.contains(part), "{all}");
        }
        assert!(matches!(Regulation::read("x", "= 1"), Err(BadRegulation::Syntax { .. })));
        assert_eq!(Regulation::built_in("atlantis"), None);
    }
}
