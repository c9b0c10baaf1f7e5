//! Reports of results made by hand: what they say, and that nothing hostile gets out of them.

mod fixture;

use jiebei::report;
use jiebei::result::v1::SweepResult;
use jiebei::texts::{Language, Texts};

fn written(format: &str, result: &SweepResult, language: Language) -> Vec<u8> {
    let mut out = Vec::new();
    let format = report::named(format).expect("a format");
    format.write(result, &Texts::of(language), &mut out).expect("written");
    out
}

fn text(format: &str, result: &SweepResult, language: Language) -> String {
    String::from_utf8(written(format, result, language)).expect("UTF-8")
}

#[test]
#[ignore = "writes pages to look at into $PAGES"]
fn pages_to_look_at() {
    let folder = std::path::PathBuf::from(std::env::var("PAGES").expect("PAGES"));
    for language in Language::ALL {
        let word = language.word();
        for (name, result) in [
            ("rich", fixture::rich(word)),
            ("clean", fixture::clean(word)),
            ("cut", fixture::cut_short(word)),
            ("empty", fixture::empty(word)),
            ("large", fixture::large(word)),
        ] {
            let path = folder.join(format!("{name}-{word}.html"));
            std::fs::write(path, text("html", &result, language)).expect("written");
        }
    }
}
