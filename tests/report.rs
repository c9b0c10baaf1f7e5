//! Reports of results made by hand: what they say, and that nothing hostile gets out of them.

mod fixture;

use std::io::Cursor;

use calamine::{Data, Reader, Xlsx};
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

fn all(language: Language) -> Vec<(&'static str, SweepResult)> {
    let word = language.word();
    vec![
        ("rich", fixture::rich(word)),
        ("clean", fixture::clean(word)),
        ("cut", fixture::cut_short(word)),
        ("empty", fixture::empty(word)),
    ]
}

/// What a sentence looks like that no catalogue has: its key.
fn says_every_sentence(text: &str) -> bool {
    !text.contains("report-") || text.split("report-").skip(1).all(|rest| rest.starts_with("2026"))
}

#[test]
fn summaries_in_both_languages() {
    for language in Language::ALL {
        for (name, result) in all(language) {
            let summary = text("md", &result, language);
            insta::assert_snapshot!(format!("{name}-{language}-md"), summary);
        }
        let csv = text("csv", &fixture::rich(language.word()), language);
        insta::assert_snapshot!(format!("rich-{language}-csv"), csv.replace('\r', ""));
    }
}

/// The page without its style and script: what people read.
#[test]
fn pages_in_both_languages() {
    for language in Language::ALL {
        for (name, result) in [
            ("clean", fixture::clean(language.word())),
            ("cut", fixture::cut_short(language.word())),
        ] {
            let page = text("html", &result, language);
            let start = page.find("<main>").expect("a body");
            let end = page.find("<script>").expect("a script");
            let body = page[start..end].replace("><", ">\n<");
            insta::assert_snapshot!(format!("{name}-{language}-html"), body);
        }
    }
}

#[test]
fn no_sentence_is_missing() {
    for language in Language::ALL {
        for (name, result) in all(language) {
            for format in ["html", "md", "csv"] {
                let text = text(format, &result, language);
                let body = match text.split_once("<main>") {
                    Some((_, body)) => body.split("<pre>").next().unwrap_or_default().to_owned(),
                    None => text,
                };
                assert!(says_every_sentence(&body), "{name} {format} {language}");
            }
        }
    }
}

#[test]
fn a_page_needs_nothing_beside_it_and_keeps_foreign_text_text() {
    for language in Language::ALL {
        let page = text("html", &fixture::rich(language.word()), language);
        for bad in [
            "<script>document",
            "<img",
            "src=\"",
            "href=\"",
            "url(",
            "@import",
            "<link",
            "<iframe",
            "</style><style>",
            "\u{202e}",
            "\u{1b}",
            "<b>already",
        ] {
            assert!(!page.contains(bad), "{bad:?} in the page");
        }
        assert_eq!(page.matches("<script").count(), 1);
        assert!(page.contains("&lt;script&gt;document.title="));
        assert!(page.contains("&amp;lt;b&amp;gt;already&amp;amp;escaped"));
        assert!(page.contains("{{ 7 * 7 }}"), "a template in a name is not run");
        // Each finding's frames are named.
        assert!(page.contains("evidence.pcapng"));
    }
}

#[test]
fn cells_hold_no_formula() {
    for language in Language::ALL {
        let result = fixture::rich(language.word());
        let csv = text("csv", &result, language);
        assert!(csv.starts_with('\u{feff}'));
        let mut rows = csv::Reader::from_reader(csv.trim_start_matches('\u{feff}').as_bytes());
        let mut count = 0;
        for row in rows.records() {
            let row = row.expect("a row");
            count += 1;
            assert!(row.iter().all(|cell| !cell.starts_with(['=', '+', '@', '\t'])), "{row:?}");
        }
        assert_eq!(count, result.findings.len());

        let bytes = written("xlsx", &result, language);
        let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).expect("a workbook");
        let sheets = book.sheet_names();
        assert_eq!(sheets.len(), 8, "{sheets:?}");
        assert_eq!(sheets[0] == "概要", language == Language::Zh);
        for sheet in &sheets {
            assert!(book.worksheet_formula(sheet).expect("formulas").is_empty(), "{sheet}");
            let range = book.worksheet_range(sheet).expect("cells");
            for cell in range.used_cells() {
                if let Data::String(text) = cell.2 {
                    assert!(!text.starts_with(['=', '+', '@']), "{text}");
                    assert!(says_every_sentence(text), "{text}");
                }
            }
        }
        let findings = book.worksheet_range(&sheets[1]).expect("cells");
        assert_eq!(findings.height(), result.findings.len() + 1);
        let devices = book.worksheet_range(&sheets[2]).expect("cells");
        assert_eq!(devices.height(), result.devices.len() + 1);
    }
}

#[test]
fn a_large_result_makes_a_page_that_opens_and_a_workbook_with_all_of_it() {
    let result = fixture::large("zh");
    let page = text("html", &result, Language::Zh);
    assert!(page.len() < 6 << 20, "{} octets", page.len());
    assert!(
        page.contains("共 3000 个") && page.contains(&format!("共 {} 台", result.devices.len()))
    );
    let bytes = written("xlsx", &result, Language::Zh);
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).expect("a workbook");
    let devices = book.worksheet_range("设备").expect("cells");
    assert_eq!(devices.height(), result.devices.len() + 1);
}

#[test]
fn events_are_what_the_framework_wants() {
    let result = fixture::rich("en");
    let events = text("ocsf", &result, Language::En);
    let events: Vec<serde_json::Value> =
        events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(events.len(), result.devices.len() + result.findings.len());
    for event in &events {
        let class = event["class_uid"].as_u64().expect("a class");
        assert_eq!(event["type_uid"], class * 100 + event["activity_id"].as_u64().expect("one"));
        assert_eq!(event["category_uid"], class / 1000);
        assert_eq!(event["metadata"]["version"], "1.3.0");
        assert!(event["time"].as_i64().expect("a time") > 1_000_000_000_000);
        match class {
            5001 => assert!(event["device"]["type_id"].is_u64()),
            2003 => {
                assert!(event["finding_info"]["uid"].is_string());
                assert!(event["compliance"]["standards"].is_array());
            }
            other => panic!("class {other}"),
        }
    }
}

#[test]
fn results_hold_to_the_published_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/result.schema.json");
    let schema = jiebei::result::schema();
    let written = serde_json::to_string_pretty(&schema).expect("JSON") + "\n";
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &written).expect("written");
    }
    let published = std::fs::read_to_string(path).unwrap_or_default();
    assert!(published == written, "docs/result.schema.json is old: run with UPDATE=1");

    let validator = jsonschema::validator_for(&schema).expect("a schema");
    for (name, result) in all(Language::Zh) {
        let result = serde_json::to_value(&result).expect("JSON");
        let faults: Vec<String> = validator.iter_errors(&result).map(|e| e.to_string()).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
    let mut broken = serde_json::to_value(fixture::rich("zh")).expect("JSON");
    broken["findings"][0]["severity"] = "awful".into();
    assert!(!validator.is_valid(&broken));
    let mut broken = serde_json::to_value(fixture::rich("zh")).expect("JSON");
    broken["schema"] = "jiebei.result/2".into();
    assert!(!validator.is_valid(&broken));
}

#[test]
fn results_read_back_as_they_were_written() {
    for (name, result) in all(Language::Zh) {
        let bytes = written("json", &result, Language::Zh);
        let read = jiebei::result::read_from(bytes.as_slice(), name).expect("a result");
        assert_eq!(read, result, "{name}");
    }
}

#[test]
#[ignore = "writes pages to look at into $PAGES"]
fn pages_to_look_at() {
    let folder = std::path::PathBuf::from(std::env::var("PAGES").expect("PAGES"));
    for language in Language::ALL {
        let word = language.word();
        let mut pages = all(language);
        pages.push(("large", fixture::large(word)));
        for (name, result) in pages {
            let path = folder.join(format!("{name}-{word}.html"));
            std::fs::write(path, text("html", &result, language)).expect("written");
            let path = folder.join(format!("{name}-{word}.xlsx"));
            std::fs::write(path, written("xlsx", &result, language)).expect("written");
        }
    }
}
