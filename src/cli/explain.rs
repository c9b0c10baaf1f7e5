//! `jiebei explain [RULE]`: what a rule finds, by the regulation and in its own words.

use super::args::ExplainArguments;
use super::{Conduct, Exit, Failure};
use crate::audit::Regulation;

/// Every rule's own page, made from its doc comment.
const REFERENCE: &str = include_str!("../../docs/rules.md");

/// The regulation that ships with the program.
pub const REGULATION: &str = "hunan-2026";

pub fn run(conduct: &Conduct, arguments: ExplainArguments) -> Result<Exit, Failure> {
    let language = conduct.texts.language();
    let regulation = Regulation::built_in(REGULATION)
        .ok_or_else(|| Failure::in_part(conduct.say("cli-no-regulation", &[])))?;
    let Some(wanted) = arguments.rule else {
        for (name, rule) in &regulation.rules {
            let title = rule.title.of(language);
            conduct.put(format_args!("{name:<30} {:<9} {title}", rule.severity.word()))?;
        }
        return Ok(Exit::Done);
    };
    let Some((name, rule)) = regulation.rules.get_key_value(&wanted) else {
        let known: Vec<_> = regulation.rules.keys().map(String::as_str).collect();
        let shown = crate::observe::Foreign::new(&wanted).terminal();
        let arguments = [("word", shown.into()), ("known", known.join(" ").into())];
        return Err(Failure::usage(conduct.say("cli-explain-unknown", &arguments)));
    };
    conduct.put(format_args!("{name}: {}\n", rule.title.of(language)))?;
    let severity = conduct.say("cli-explain-severity", &[]);
    conduct.put(format_args!("{severity}: {}", rule.severity.word()))?;
    conduct.put(format_args!("{} ({}):", regulation.title.of(language), regulation.document))?;
    for number in &rule.articles {
        if let Some(article) = regulation.articles.get(number) {
            let numbered = conduct.say("cli-explain-article", &[("number", number.clone().into())]);
            conduct.put(format_args!("  {numbered}: {}", article.gist.of(language)))?;
        }
    }
    let head = conduct.say("cli-explain-remediation", &[]);
    conduct.put(format_args!("\n{head}:\n  {}", rule.remediation.of(language)))?;
    if let Some(page) = page(name) {
        println!("\n{}", page);
    }
    Ok(Exit::Done)
}

/// A rule's page of the reference; none for a rule that is not built in.
fn page(rule: &str) -> Option<&'static str> {
    let heading = format!("## `{rule}`\n");
    let page = REFERENCE.split_once(&heading)?.1;
    let page = page.split("\n## ").next().unwrap_or(page);
    page.find("### ").and_then(|start| page.get(start..)).map(str::trim)
}
