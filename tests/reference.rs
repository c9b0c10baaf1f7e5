//! `docs/probes-and-dissectors.md`: each page made from the head of its file. The rules have a page of their
//! own, `docs/rules.md`.
//! `UPDATE=1 cargo test --test reference` writes it anew.

use std::fs;
use std::path::Path;

use jiebei::passive::{dissect, streams};
use jiebei::scan::probe;

fn source(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file);
    fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

/// What the head of a file says.
fn head(file: &str) -> String {
    let text = source(file);
    let lines = text.lines().take_while(|line| line.starts_with("//!"));
    let page: String = lines
        .map(|line| format!("{}\n", line.trim_start_matches("//!").trim_start_matches(' ')))
        .collect();
    assert!(!page.trim().is_empty(), "{file} has no head");
    page.trim_end().to_owned()
}

/// The file of a family's folder that names this member.
fn file_of(folder: &str, name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder);
    let quoted = format!("\"{name}\"");
    let mut files: Vec<_> = fs::read_dir(path)
        .expect("a folder of the crate")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|file| file.ends_with(".rs") && file != "mod.rs" && file != "tests.rs")
        .collect();
    files.sort();
    let named = |file: &&String| {
        let text = source(&format!("{folder}/{file}"));
        let after = text.split("fn name(&self) -> &'static str {").nth(1).unwrap_or_default();
        after.split('}').next().unwrap_or_default().contains(&quoted)
    };
    let file = files.iter().find(named).unwrap_or_else(|| panic!("nobody is named {name}"));
    format!("{folder}/{file}")
}

fn page() -> String {
    let mut page = String::from(
        "# Probes and dissectors\n\nMade from the doc comments of the code; a test holds the two together.\n\n",
    );
    page += "## Probes\n\n";
    for probe in probe::ALL {
        let file = file_of("scan/probe", probe.name());
        page += &format!("### {}\n\n{}\n\n", probe.name(), head(&file));
    }
    page += "## Dissectors\n\n";
    for dissector in dissect::ALL {
        let file = file_of("passive/dissect", dissector.name());
        page += &format!("### {}\n\n{}\n\n", dissector.name(), head(&file));
    }
    page += "## Readers of streams\n\n";
    page += &format!("{}\n\n", head("passive/streams/mod.rs"));
    for reader in streams::reader::ALL {
        let file = file_of("passive/streams/reader", reader.name());
        page += &format!("### {}\n\n{}\n\n", reader.name(), head(&file));
    }
    format!("{}\n", page.trim_end())
}

#[test]
fn the_reference_says_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/probes-and-dissectors.md");
    let page = page();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).expect("docs can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == page,
        "docs/probes-and-dissectors.md is old: UPDATE=1 cargo test --test reference"
    );
}
