//! The approved access registry from outside: what people give, what they are told.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiebei::registry::model::{GatewayRef, Registration, Role, SubjectRef};
use jiebei::registry::schema::Table;
use jiebei::registry::{
    self, Approval, FaultKind, Index, Loaded, ReadOptions, Refused, Severity, Subject,
};
use jiebei::texts::{Language, Texts};
use proptest::prelude::*;

fn options() -> ReadOptions {
    ReadOptions::on("2026-11-22".parse().unwrap())
}

fn read(path: impl AsRef<Path>) -> Result<Loaded, Refused> {
    registry::read(path.as_ref().to_str().unwrap(), &options())
}

/// The registry, or a panic that shows what is wrong with it.
fn whole(path: impl AsRef<Path>) -> Loaded {
    read(path).unwrap_or_else(|refused| {
        panic!("{}", registry::draw(&refused.faults, &Texts::of(Language::En), 120))
    })
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/registries").join(name)
}

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    dir
}

fn gb18030(text: &str) -> Vec<u8> {
    let (bytes, _, lossy) = encoding_rs::GB18030.encode(text);
    assert!(!lossy);
    bytes.into_owned()
}

/// The kinds of the errors, in their order.
fn errors(path: impl AsRef<Path>) -> Vec<FaultKind> {
    match read(path) {
        Ok(_) => Vec::new(),
        Err(refused) => refused.errors().map(|fault| fault.kind.clone()).collect(),
    }
}

// --- one registry, every format

const UNITS: &str = "单位编码,单位名称,层级,上级单位编码,状态,撤销日期,联系人,联系电话
430100,示例市数据局,市,,在用,,张工,0731-88880000
０４３0102,示例区政务服务中心,区,430100,在用,,李工,+86 731 88880001
430199,原档案站,县,430100,撤销,2026-06-30,,
";
const SEGMENTS: &str = "网段,单位编码,用途,VLAN,登记方式,批准文号,生效日期,失效日期
10.20.0.0/24,430100,运维,10,封闭,湘数函〔2026〕1号,2026-01-01,2099-12-31
10.20.1.0/24,0430102,办公,100,封闭,湘数函〔2026〕2号,2026-01-01,
fd00:20:1::/64,0430102,办公,,开放,,,
";
const DEVICES: &str = "单位编码,设备名称,角色,ip,mac,厂商,型号,序列号,开放端口,运行机构设备,失效日期
0430102,出口 防火墙,网关；防火墙、地址转换,10.20.1.1；fd00:20:1::1,00-1B-21-AA-BB-01 001b.21aa.bb02,示例,F-1000,007,tcp/22 udp/161,否,2099-12-31
";
const EGRESSES: &str = "单位编码,名称,类型,网关,公网地址,备案号
0430102,统一出口,统一,出口 防火墙,203.0.113.16/28;198.51.100.7,备〔2026〕1号
";
const ASSETS: &str = "单位编码,资产名称,IP地址,MAC地址,类别,所属系统,状态
0430102,应用服务器,10.20.1.10,001B21AACC10,服务器,\"门户, 二期\",在用
0430102,007,１０.２０.１.３０,,打印机,,停用
";
const SERVICES: &str = "单位编码,系统名称,ip,端口,备案号,状态,面向互联网,失效日期
0430102,门户,10.20.1.10,tcp/443,备2,在用,否,2099-12-31
";
const NOTICES: &str = "单位编码,告知编号,类别,对象,开始,结束
0430102,告1,搬迁,出口 防火墙;10.20.1.10 tcp/443,2026-11-01,2099-11-30
";
const WAIVERS: &str = "规则,单位编码,对象,截止,理由
risky-service,0430102,10.20.1.0/24;00:1b:21:aa:cc:10,2099-12-31,已隔离
";

const TABLES: [(&str, &str); 8] = [
    ("接入单位", UNITS),
    ("接入网段", SEGMENTS),
    ("接口网络设备", DEVICES),
    ("互联网出口", EGRESSES),
    ("资产", ASSETS),
    ("信息系统与服务", SERVICES),
    ("变更告知", NOTICES),
    ("例外", WAIVERS),
];

fn records(text: &str) -> Vec<Vec<String>> {
    csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(text.as_bytes())
        .into_records()
        .map(|record| record.unwrap().iter().map(str::to_owned).collect())
        .collect()
}

fn as_gb18030_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in TABLES {
        fs::write(dir.path().join(format!("{name}.csv")), gb18030(text)).unwrap();
    }
    dir
}

/// As a person would make it in Excel: a title over each table, real dates, real numbers, a merged unit.
fn as_workbook(path: &Path) {
    use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};
    let mut workbook = Workbook::new();
    let day = Format::new().set_num_format("yyyy/m/d");
    workbook.add_worksheet().set_name("说明").unwrap().write(0, 0, "填表说明").unwrap();
    for (name, text) in TABLES {
        let sheet = workbook.add_worksheet().set_name(name).unwrap();
        let records = records(text);
        let width = records[0].len() as u16;
        sheet.merge_range(0, 0, 0, width - 1, "台账", &Format::new()).unwrap();
        for (line, record) in (2u32..).zip(&records) {
            for (column, (heading, cell)) in (0u16..).zip(records[0].iter().zip(record)) {
                let date: Result<jiff::civil::Date, _> = cell.parse();
                if cell.is_empty() {
                } else if let Ok(date) = date {
                    let (year, month, of_month) = (date.year(), date.month(), date.day());
                    let date =
                        ExcelDateTime::from_ymd(year as u16, month as u8, of_month as u8).unwrap();
                    if heading == "生效日期" {
                        // A day whose format got lost: a bare count.
                        let serial: f64 = 46_023.0;
                        assert_eq!(cell, "2026-01-01");
                        sheet.write_number(line, column, serial).unwrap();
                    } else {
                        sheet.write_datetime_with_format(line, column, &date, &day).unwrap();
                    }
                } else if heading == "VLAN" && line > 2 {
                    sheet.write_number(line, column, cell.parse::<f64>().unwrap()).unwrap();
                } else {
                    sheet.write_string(line, column, cell).unwrap();
                }
            }
        }
        if name == "资产" {
            sheet.merge_range(3, 0, 4, 0, "0430102", &Format::new()).unwrap();
        }
    }
    workbook.save(path).unwrap();
}

/// English tables, mixed headings, lists as arrays, numbers as numbers.
fn as_json() -> String {
    let mut tables = serde_json::Map::new();
    for (table, (_, text)) in Table::ALL.into_iter().zip(TABLES) {
        let records = records(text);
        let rows = records[1..]
            .iter()
            .map(|record| {
                let mut row = serde_json::Map::new();
                for (heading, cell) in records[0].iter().zip(record) {
                    let value = match (heading.as_str(), cell.as_str()) {
                        (_, "") => serde_json::Value::Null,
                        ("VLAN", cell) => cell.parse::<u16>().unwrap().into(),
                        ("面向互联网", "否") => false.into(),
                        ("对象" | "公网地址", cell) => {
                            cell.split(';').map(serde_json::Value::from).collect()
                        }
                        (_, cell) => cell.into(),
                    };
                    row.insert(heading.clone(), value);
                }
                serde_json::Value::from(row)
            })
            .collect();
        tables.insert(table.name().to_owned(), serde_json::Value::Array(rows));
    }
    serde_json::Value::from(tables).to_string()
}

#[test]
fn one_registry_in_every_format_gives_equal_models() {
    let folder = as_gb18030_folder();
    let from_csv = whole(folder.path());
    assert_eq!(from_csv.warnings, []);

    let dir = tempfile::tempdir().unwrap();
    let workbook = dir.path().join("台账.xlsx");
    as_workbook(&workbook);
    let from_xlsx = whole(&workbook);
    assert_eq!(from_xlsx.registry, from_csv.registry);
    let kinds: Vec<_> = from_xlsx.warnings.iter().map(|fault| fault.kind.clone()).collect();
    assert_eq!(kinds, [FaultKind::UnknownTable { meant: None }]);

    let json = dir.path().join("registry.json");
    fs::write(&json, as_json()).unwrap();
    let from_json = whole(&json);
    assert_eq!(from_json.registry, from_csv.registry);
    assert_eq!(from_json.warnings, []);

    let registry = &from_csv.registry;
    assert_eq!(registry.units[1].unit, "0430102");
    assert_eq!(registry.units[1].phone.as_deref(), Some("+86 731 88880001"));
    assert_eq!(registry.segments[1].vlan, Some(100));
    assert_eq!(registry.segments[2].registration, Some(Registration::Open));
    let device = &registry.devices[0];
    assert_eq!(device.roles, [Role::Gateway, Role::Firewall, Role::Nat]);
    assert_eq!(device.serial.as_deref(), Some("007"));
    assert_eq!(device.mac.len(), 2);
    assert_eq!(registry.egresses[0].gateway, Some(GatewayRef::Device("出口 防火墙".into())));
    assert_eq!(registry.assets[1].name, "007");
    assert_eq!(registry.assets[1].ip, ["10.20.1.30".parse::<IpAddr>().unwrap()]);
    assert_eq!(registry.assets[0].system.as_deref(), Some("门户, 二期"));
    assert_eq!(registry.notices[0].subject[0], SubjectRef::Device("出口 防火墙".into()));
    assert!(matches!(registry.notices[0].subject[1], SubjectRef::Service(..)));
}

#[test]
fn what_is_converted_reads_back_as_the_equal_model() {
    let folder = as_gb18030_folder();
    let first = whole(folder.path());
    let dir = tempfile::tempdir().unwrap();
    for out in ["registry.json", "registry.xlsx", "registry"] {
        let out = dir.path().join(out);
        registry::convert(&first, &out).unwrap();
        let again = whole(&out);
        assert_eq!(again.registry, first.registry, "{}", out.display());
        assert_eq!(again.warnings, []);
    }
    // What stands there is not mixed with what is new.
    let occupied = registry::convert(&first, &dir.path().join("registry")).unwrap_err();
    let text = occupied.sentence(&Texts::of(Language::Zh));
    assert!(text.contains("已存在且不为空"), "{text}");
    let names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(registry::convert(&first, &dir.path().join("no/such/dir/registry.json")).is_err());
}

#[test]
fn the_template_is_a_registry_without_fault_in_every_format() {
    for language in Language::ALL {
        let dir = tempfile::tempdir().unwrap();
        registry::template(dir.path(), language).unwrap();
        let folder = whole(dir.path());
        assert_eq!(folder.warnings, []);
        for file in ["registry.xlsx", "registry.json"] {
            let other = whole(dir.path().join(file));
            assert_eq!(other.warnings, []);
            assert_eq!(other.registry, folder.registry, "{file}");
        }
        assert!(!folder.registry.waivers.is_empty());
        assert!(fs::read_to_string(dir.path().join("README.md")).unwrap().contains("valid_until"));
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "csv") {
                assert!(fs::read(path).unwrap().starts_with("\u{feff}".as_bytes()));
            }
        }
    }
}

// --- faults

#[test]
fn every_planted_fault_is_named_with_its_place_and_mend() {
    let refused = read(fixture("faults")).unwrap_err();
    for language in Language::ALL {
        let texts = Texts::of(language);
        let lines: Vec<String> = refused
            .faults
            .iter()
            .map(|fault| {
                format!(
                    "{}: {}\n    {}",
                    fault.severity,
                    fault.sentence(&texts),
                    fault.mend(&texts)
                )
            })
            .collect();
        insta::assert_snapshot!(format!("faults-{language}"), lines.join("\n"));
        insta::assert_snapshot!(
            format!("faults-drawn-{language}"),
            registry::draw(&refused.faults, &texts, 100)
        );
    }
    let words: std::collections::BTreeSet<&str> =
        refused.faults.iter().map(|fault| fault.kind.word()).collect();
    assert!(words.len() >= 25, "{} kinds: {words:?}", words.len());
}

#[test]
fn every_fault_has_a_sentence_and_a_mend_in_both_languages() {
    // The keys are made from the word of a kind: a kind without texts would show its key.
    let source = include_str!("../src/registry/fault.rs");
    let words: Vec<&str> = source
        .lines()
        .filter_map(|line| line.trim().strip_suffix("\","))
        .filter_map(|line| line.split_once("=> \""))
        .map(|(_, word)| word)
        .filter(|word| !word.starts_with("registry-") && !matches!(*word, "error" | "warning"))
        .filter(|word| {
            word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        })
        .collect();
    assert!(words.len() > 50, "{words:?}");
    for language in Language::ALL {
        let texts = Texts::of(language);
        for word in &words {
            for key in [format!("registry-fault-{word}"), format!("registry-mend-{word}")] {
                assert!(texts.find(&key, &[]).is_some(), "{language}: {key}");
            }
        }
        let page = registry::described(&texts);
        assert!(!page.contains("registry-"), "{page}");
    }
}

#[test]
fn errors_refuse_and_warnings_do_not() {
    let dir = folder(&[
        ("units.csv", b"unit\n1\n2\n"),
        (
            "segments.csv",
            b"unit,prefix,valid_until\n1,10.1.0.0/16,2026-11-21\n2,10.1.2.0/24,2026-11-22\n",
        ),
        ("devices.csv", b"unit,name,ip\n1,a,10.1.0.1\n"),
        ("egresses.csv", b"unit,name,gateway\n1,out,10.1.0.9\n"),
        ("assets.csv", b"unit,name,ip,colour\n1,x,10.2.0.1,red\n"),
        ("services.csv", b"unit,ip,port\n"),
    ]);
    let loaded = whole(dir.path());
    let words: Vec<&str> = loaded.warnings.iter().map(|fault| fault.kind.word()).collect();
    assert_eq!(
        words,
        ["run-out", "overlap", "gateway-no-device", "unknown-column", "outside-segments"]
    );
    assert!(loaded.warnings.iter().all(|fault| fault.severity == Severity::Warning));
    let rows: Vec<_> = loaded.warnings.iter().map(|fault| fault.row).collect();
    assert_eq!(rows, [Some(2), Some(3), Some(2), Some(1), Some(2)]);
}

#[test]
fn a_broken_row_does_not_make_good_rows_look_bad() {
    let dir = folder(&[
        ("units.csv", "unit,withdrawn_on\n1,gestern\n".as_bytes()),
        ("segments.csv", b"unit,prefix\n1,10.1.0.0/16\n3,no\n"),
    ]);
    let refused = read(dir.path()).unwrap_err();
    let found: Vec<_> = refused
        .errors()
        .map(|fault| (fault.table.unwrap(), fault.row.unwrap(), fault.kind.word()))
        .collect();
    // The unit with a bad date is known; the row with a bad prefix still has an unknown unit.
    assert_eq!(
        found,
        [
            (Table::Units, 2, "bad-date"),
            (Table::Segments, 3, "bad-prefix"),
            (Table::Segments, 3, "unknown-unit"),
        ]
    );
}

#[test]
fn what_is_no_registry_gets_one_clear_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = dir.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let one = |path: PathBuf| {
        let kinds = errors(&path);
        assert_eq!(kinds.len(), 1, "{}: {kinds:?}", path.display());
        kinds[0].word()
    };
    assert_eq!(one(dir.path().join("missing.json")), "not-found");
    assert_eq!(one(dir.path().to_owned()), "no-tables");
    assert_eq!(one(file("a.csv", b"unit\n1\n")), "not-a-folder");
    assert_eq!(one(file("a.txt", b"hello")), "unknown-format");
    assert_eq!(one(file("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")), "old-workbook");
    assert_eq!(one(file("a.json", b"{\"units\": [{\"unit\": \"1\"")), "syntax");
    assert_eq!(one(file("b.json", b"[]")), "not-tables");
    let deep = [&b"{\"units\": [{\"unit\": "[..], &b"[".repeat(100_000)].concat();
    assert_eq!(one(file("c.json", &deep)), "too-deep");
    let ignored = [&b"{\"_\": "[..], &b"[".repeat(100_000), &b"]".repeat(100_000), b"}"].concat();
    assert_eq!(one(file("g.json", &ignored)), "no-tables");
    assert_eq!(one(file("d.json", b"\xff\xfe{\0}\0")), "utf16");
    assert_eq!(one(file("e.json", b"{\"units\": [{\"unit\": \"\xff\"}]}")), "syntax");
    assert_eq!(one(file("f.json", b"{\"units\": {\"a\": 1}}")), "not-a-table");
    assert_eq!(one(file("a.xlsx", b"PK\x03\x04 cut off")), "bad-workbook");
    assert_eq!(one(file("empty.xlsx", b"")), "bad-workbook");
    assert_eq!(one(PathBuf::from("/dev/zero")), "not-a-file");
}

#[test]
fn a_table_that_cannot_be_read_is_one_error() {
    let one = |name: &str, bytes: &[u8]| {
        let dir = folder(&[("units.csv", b"unit\n1\n"), (name, bytes)]);
        let kinds = errors(dir.path());
        assert_eq!(kinds.len(), 1, "{kinds:?}");
        kinds[0].clone()
    };
    let wide = [&b"unit,name,"[..], &b"x,".repeat(1_000_000)].concat();
    assert_eq!(one("assets.csv", &wide), FaultKind::TooManyColumns { most: 256 });
    assert_eq!(one("assets.csv", b""), FaultKind::NoHeader);
    assert_eq!(one("assets.csv", b"unit,name\n1,\"open\n1,b\n"), FaultKind::UnclosedQuote);
    assert_eq!(one("assets.csv", b"\xff\xfeu\0n\0i\0t\0"), FaultKind::Utf16);
    assert_eq!(one("assets.csv", &[0x80, 0x81, 0xff, 0xff]), FaultKind::Binary);
    let late = [&b"unit,name\n1,a\n"[..], &gb18030("1,长沙"), b"\xff\n"].concat();
    assert_eq!(one("assets.csv", &late), FaultKind::Encoding { line: 3 });
    assert_eq!(one("assets.csv", b"unit,name\n1,nul\0byte\n"), FaultKind::ControlCharacter);
    assert_eq!(one("资产.csv", b"unit,name\n1,=HYPERLINK(\"http://x\")\n"), FaultKind::Formula);
    assert!(matches!(one("segments.csv", b"unit\n1\n"), FaultKind::MissingColumn { .. }));
}

#[test]
fn nothing_hostile_reaches_a_terminal() {
    let escape = "\u{1b}]0;owned\u{7}\u{202e}";
    let dir = folder(&[
        ("units.csv", format!("unit,{escape}\n{escape},x\n\"a\nb\",y\n").as_bytes()),
        ("assets.csv", format!("unit,name,mac\n1{escape},{escape},{escape}\n").as_bytes()),
    ]);
    fs::write(dir.path().join(format!("{}.csv", "x\u{1b}[31m")), "a").unwrap();
    let refused = read(dir.path()).unwrap_err();
    for language in Language::ALL {
        let texts = Texts::of(language);
        let mut shown = registry::draw(&refused.faults, &texts, 80);
        for fault in &refused.faults {
            shown += &fault.sentence(&texts);
            shown += &fault.mend(&texts);
        }
        assert!(!shown.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{shown}");
        assert!(shown.contains("\\u{1b}"));
    }
}

#[test]
fn a_million_faults_are_counted_and_not_all_kept() {
    let mut assets = String::from("unit,name,mac\n");
    for row in 0..100_000 {
        assets += &format!("1,{row},zz\n");
    }
    let dir = folder(&[("units.csv", b"unit\n1\n"), ("assets.csv", assets.as_bytes())]);
    let refused = read(dir.path()).unwrap_err();
    assert!(refused.faults.len() < 11_000);
    let more = refused.faults.last().unwrap();
    assert_eq!(more.kind, FaultKind::More { errors: 95_000, warnings: 0 });
}

// --- people's CSV

#[test]
fn separators_titles_remarks_and_brackets_are_understood() {
    for separator in [",", ";", "\t"] {
        let text = "接入单位台账;;\n# 填表说明;;\n\n单位编码（必填）;单位名称*;备注\n430100;市局;\n;;\n430102;区局;\n"
            .replace(';', separator);
        let dir = folder(&[("接入单位.CSV", text.as_bytes())]);
        let loaded = whole(dir.path());
        let units: Vec<_> = loaded.registry.units.iter().map(|unit| unit.unit.as_str()).collect();
        assert_eq!(units, ["430100", "430102"], "{separator:?}");
        let unknown = loaded.warnings.iter().find(|fault| fault.kind.word() == "unknown-column");
        assert_eq!(unknown.unwrap().column.as_ref().unwrap().raw(), "备注");
    }
}

#[test]
fn a_folder_from_a_chinese_archive_is_understood() {
    use std::os::unix::ffi::OsStrExt;
    let dir = tempfile::tempdir().unwrap();
    let name = gb18030("接入单位.csv");
    let text = gb18030("单位 编码,VALID-UNTIL\n430100,x\n");
    fs::write(dir.path().join(std::ffi::OsStr::from_bytes(&name)), text).unwrap();
    // An optional table may be there and hold nothing.
    fs::write(dir.path().join("notices.csv"), "").unwrap();
    let loaded = whole(dir.path());
    assert_eq!(loaded.registry.units[0].unit, "430100");
}

#[test]
fn a_name_of_another_table_gives_way_to_the_tables_own() {
    let dir = folder(&[
        ("units.csv", "单位编码,单位名称\n1,局\n".as_bytes()),
        ("assets.csv", "单位编码,单位名称,资产名称\n1,局,打印机\n".as_bytes()),
        ("devices.csv", "单位编码,单位名称\n1,防火墙\n".as_bytes()),
    ]);
    let loaded = whole(dir.path());
    assert_eq!(loaded.registry.assets[0].name, "打印机");
    // Where it stands alone, an alias holds in every table that has the column.
    assert_eq!(loaded.registry.devices[0].name, "防火墙");
}

/// A workbook with a text in one of its members replaced.
fn rewritten(workbook: &[u8], member: &str, from: &str, to: &str) -> Vec<u8> {
    changed(workbook, member, |text| {
        assert!(text.contains(from), "{text}");
        text.replacen(from, to, 1)
    })
}

/// A workbook with one of its members changed.
fn changed(workbook: &[u8], member: &str, change: impl Fn(String) -> String) -> Vec<u8> {
    use std::io::{Cursor, Read, Write};
    let mut old = zip::ZipArchive::new(Cursor::new(workbook)).unwrap();
    let mut new = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for at in 0..old.len() {
        let mut entry = old.by_index(at).unwrap();
        let name = entry.name().unwrap().into_owned();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        if name == member {
            text = change(text);
        }
        new.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        new.write_all(text.as_bytes()).unwrap();
    }
    new.finish().unwrap().into_inner()
}

#[test]
fn a_workbook_with_formulas_and_errors_says_so() {
    use rust_xlsxwriter::{Formula, Workbook};
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.xlsx");
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet().set_name("units").unwrap();
    sheet.write(0, 0, "unit").unwrap().write(0, 1, "name").unwrap().write(0, 2, "contact").unwrap();
    sheet.write(1, 0, "1").unwrap();
    sheet.write_formula(1, 1, Formula::new("=A2&\"x\"").set_result("1x")).unwrap();
    sheet.write(2, 0, "2").unwrap();
    sheet.write_formula(2, 1, Formula::new("=A3&\"x\"").set_result("2x")).unwrap();
    sheet.write(3, 0, "3").unwrap();
    sheet.write_formula(3, 2, Formula::new("=A3&\"x\"").set_result("")).unwrap();
    // As a program writes it that does not compute: a formula without a stored result.
    let sheet = workbook.save_to_buffer().unwrap();
    fs::write(&path, rewritten(&sheet, "xl/worksheets/sheet1.xml", "</f><v>0</v>", "</f>"))
        .unwrap();
    let refused = read(&path).unwrap_err();
    let found: Vec<_> = refused
        .faults
        .iter()
        .filter(|fault| fault.table == Some(Table::Units))
        .map(|fault| (fault.kind.word(), fault.row))
        .collect();
    assert_eq!(found, [("formula-unread", Some(4)), ("formula-value", Some(2))]);
}

#[test]
fn a_workbook_that_swells_is_refused_before_it_is_parsed() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.xlsx");
    let options = zip::write::SimpleFileOptions::default();
    let mut archive = zip::ZipWriter::new(fs::File::create(&path).unwrap());
    archive.start_file("xl/sharedStrings.xml", options).unwrap();
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..400 {
        archive.write_all(&zeros).unwrap();
    }
    archive.finish().unwrap();
    assert!(fs::metadata(&path).unwrap().len() < 4 << 20);
    assert!(matches!(errors(&path)[..], [FaultKind::Swells { .. }]));
}

#[test]
fn a_workbook_made_to_fill_the_memory_is_refused_before_it_is_parsed() {
    let workbook = a_workbook();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.xlsx");
    let sst = "xl/sharedStrings.xml";
    let sheet = "xl/worksheets/sheet2.xml";
    let long = "x".repeat(3 << 20);
    for (member, from, to) in [
        (sst, "uniqueCount=\"", "uniqueCount=\"99999999999"),
        (sst, "uniqueCount=\"", "uniqueCount = '+1000000000' a=\""),
        (sst, "<si>", &format!("<si>{long}")),
        (sheet, "<sheetData>", &format!("<sheetData a=\"{long}\">")),
        (sheet, "<sheetData>", &format!("<sheetData><![CDATA[{long}]]>")),
        (sheet, "<sheetData>", "<sheetData a=\"<><><>\">"),
        (sheet, "<sheetData>", "<sheetData>\0"),
    ] {
        fs::write(&path, rewritten(&workbook, member, from, to)).unwrap();
        let kinds = errors(&path);
        assert!(
            matches!(kinds[..], [FaultKind::BadWorkbook { .. } | FaultKind::Swells { .. }]),
            "{kinds:?}"
        );
    }
}

// --- NetBox

/// A server that answers with the files of a folder: `/api/dcim/devices/?limit=…` is `dcim-devices.json`,
/// a page further on has its offset behind the name. It notes what it was asked and with which token.
struct NetBox {
    address: std::net::SocketAddr,
    asked: Arc<std::sync::Mutex<Vec<String>>>,
}

impl NetBox {
    fn serve(answer: impl Fn(&str, &str) -> (u16, String) + Send + 'static) -> NetBox {
        use std::io::{BufRead, BufReader, Write};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let request = lines.next().unwrap().unwrap();
                let mut token = String::new();
                for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
                    if let Some(value) = line.to_lowercase().strip_prefix("authorization: ") {
                        token = value.to_owned();
                    }
                }
                let target = request.split(' ').nth(1).unwrap().to_owned();
                let (status, body) = answer(&target, &token);
                noted.lock().unwrap().push(target);
                let head = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n\
                     Content-Length: {}\r\nConnection: close\r\nLocation: http://127.0.0.1:1/\r\n\r\n",
                    body.len()
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(body.as_bytes());
            }
        });
        NetBox { address, asked }
    }

    /// The recorded answers.
    fn recorded() -> NetBox {
        let host = Arc::new(std::sync::OnceLock::new());
        let known = Arc::clone(&host);
        let netbox = NetBox::serve(move |target, token| {
            if token != "token 0123456789abcdef" {
                return (403, "{\"detail\": \"Invalid token\"}".into());
            }
            let (path, query) = target.split_once('?').unwrap_or((target, ""));
            let list = path.trim_start_matches("/api/").trim_end_matches('/').replace('/', "-");
            let offset = query.split('&').find_map(|pair| pair.strip_prefix("offset="));
            let name = match offset {
                Some(offset) => format!("{list}.{offset}.json"),
                None => format!("{list}.json"),
            };
            match fs::read_to_string(fixture("netbox").join(name)) {
                Ok(text) => {
                    let host: &String = known.get().unwrap();
                    (200, text.replace("https://netbox.example", host))
                }
                Err(_) => (404, "{}".into()),
            }
        });
        host.set(netbox.url()).unwrap();
        netbox
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn read(&self, token: &str) -> Result<Loaded, Refused> {
        let options = ReadOptions { token: Some(registry::Token::new(token)), ..options() };
        registry::read(&self.url(), &options)
    }
}

#[test]
fn a_netbox_is_read_through_its_four_lists() {
    let netbox = NetBox::recorded();
    let loaded = netbox.read("0123456789abcdef").unwrap_or_else(|refused| {
        panic!("{}", registry::draw(&refused.faults, &Texts::of(Language::En), 120))
    });
    insta::assert_debug_snapshot!("netbox", loaded.registry);
    let texts = Texts::of(Language::En);
    let warnings: Vec<String> =
        loaded.warnings.iter().map(|fault| fault.sentence(&texts)).collect();
    insta::assert_snapshot!("netbox-warnings", warnings.join("\n"));
    let asked = netbox.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 5, "{asked:?}");
    assert!(asked.iter().any(|target| target.contains("offset=3")));
    assert_eq!(loaded.sha256, netbox.read("0123456789abcdef").unwrap().sha256);
}

#[test]
fn a_netbox_that_misleads_is_one_error() {
    let one = |netbox: &NetBox| {
        let refused = netbox.read("0123456789abcdef").unwrap_err();
        assert_eq!(refused.faults.len(), 1, "{:?}", refused.faults);
        refused.faults[0].kind.clone()
    };
    assert_eq!(
        NetBox::recorded().read("wrong").unwrap_err().faults[0].kind,
        FaultKind::Answered { status: 403 }
    );
    let page =
        |next: &str| format!("{{\"count\": 1, \"next\": {next}, \"results\": [{{\"id\": 1}}]}}");
    let text = page("\"http://127.0.0.2:80/api/ipam/prefixes/?offset=1\"");
    let elsewhere = NetBox::serve(move |_, _| (200, text.clone()));
    assert_eq!(one(&elsewhere), FaultKind::LeavesOrigin);
    assert_eq!(elsewhere.asked.lock().unwrap().len(), 1);
    let redirecting = NetBox::serve(|_, _| (302, String::new()));
    assert_eq!(one(&redirecting), FaultKind::Answered { status: 302 });
    let html = NetBox::serve(|_, _| (200, "<html>\u{1b}[2J</html>".into()));
    assert!(matches!(one(&html), FaultKind::NotNetBox { .. }));
    let empty = NetBox::serve(|_, _| {
        (200, "{\"next\": \"/api/ipam/prefixes/?offset=0\", \"results\": []}".into())
    });
    assert!(matches!(one(&empty), FaultKind::NotNetBox { .. }));
    // Nobody listens at a port that was just given back.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = registry::read(&format!("http://user:secret@{free}/"), &options()).unwrap_err();
    assert!(matches!(refused.faults[0].kind, FaultKind::Unreachable { .. }));
    assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
}

// --- the index

#[test]
fn the_index_answers_for_its_day() {
    let dir = folder(&[
        ("units.csv", b"unit,status,withdrawn_on\n1,active,\n2,withdrawn,2026-06-30\n"),
        (
            "segments.csv",
            b"unit,prefix,valid_from,valid_until\n1,10.1.0.0/16,,\n1,10.1.1.0/24,2026-12-01,\n\
              1,10.1.2.0/24,,2026-10-31\n2,10.2.0.0/24,,\n1,fd00:1::/48,,\n",
        ),
        (
            "devices.csv",
            "unit,name,roles,ip,mac\n1,防火墙,gateway,10.1.0.1 fd00:1::1,001b21aabb01\n".as_bytes(),
        ),
        ("egresses.csv", "unit,name,gateway\n1,a,防火墙\n1,b,10.1.0.2\n".as_bytes()),
        ("assets.csv", b"unit,name,ip,mac\n1,x,10.1.0.7,\n1,y,10.1.0.7 10.1.0.8,001b21aabb02\n"),
        ("services.csv", b"unit,ip,port\n1,10.1.0.7,tcp/443\n1,10.1.0.7,udp/161\n"),
        (
            "notices.csv",
            b"unit,notice,kind,subject,from,until\n1,n1,outage,10.1.0.0/24,2026-11-20,2026-11-22\n\
              1,n2,move,,2026-11-23,2026-11-30\n",
        ),
        (
            "waivers.csv",
            b"rule,unit,subject,until\nrisky-service,1,10.1.0.7 tcp/23,2026-11-22\n\
              hidden-network,,001b21aabb02,\nfiling-expired,1,,\nforeign-segment,,,\n",
        ),
    ]);
    let registry = Arc::new(whole(dir.path()).registry);
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    let index = Index::new(Arc::clone(&registry), "2026-11-22".parse().unwrap());

    let stands = |text: &str| {
        index.segment(ip(text)).map(|(segment, approval)| (segment.prefix.to_string(), approval))
    };
    assert_eq!(stands("10.1.9.9"), Some(("10.1.0.0/16".into(), Approval::Approved)));
    assert_eq!(stands("10.1.1.1"), Some(("10.1.1.0/24".into(), Approval::NotYet)));
    assert_eq!(stands("10.1.2.1"), Some(("10.1.2.0/24".into(), Approval::Expired)));
    assert_eq!(stands("10.2.0.1"), Some(("10.2.0.0/24".into(), Approval::Withdrawn)));
    assert_eq!(stands("fd00:1::7"), Some(("fd00:1::/48".into(), Approval::Approved)));
    assert_eq!(stands("10.3.0.1"), None);
    let approved = index.approved_segment(ip("10.1.1.1")).unwrap();
    assert_eq!(approved.prefix.to_string(), "10.1.0.0/16");
    let overlapping = |text: &str| {
        index
            .segments_overlapping(text.parse().unwrap())
            .map(|(segment, _)| segment.prefix.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(overlapping("10.1.1.0/25"), ["10.1.1.0/24", "10.1.0.0/16"]);
    assert_eq!(
        overlapping("10.0.0.0/8"),
        ["10.1.0.0/16", "10.1.1.0/24", "10.1.2.0/24", "10.2.0.0/24"]
    );
    assert_eq!(index.segments_of("1").count(), 4);

    let names =
        |ip: IpAddr| index.assets_at(ip).map(|asset| asset.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(ip("10.1.0.7")), ["x", "y"]);
    assert_eq!(names(ip("10.1.0.9")), [""; 0]);
    let mac = "00:1b:21:aa:bb:02".parse().unwrap();
    assert_eq!(index.assets_with(mac).next().unwrap().name, "y");
    assert_eq!(index.devices_at(ip("fd00:1::1")).next().unwrap().name, "防火墙");
    assert!(index.device("1", "防火墙").is_some() && index.device("2", "防火墙").is_none());
    assert_eq!(index.services_at(ip("10.1.0.7")).count(), 2);
    assert!(index.service(ip("10.1.0.7"), "udp/161".parse().unwrap()).is_some());
    assert!(index.service(ip("10.1.0.7"), "udp/162".parse().unwrap()).is_none());
    assert_eq!(index.egresses_by_gateway(ip("fd00:1::1")).next().unwrap().name, "a");
    assert_eq!(index.egresses_by_gateway(ip("10.1.0.2")).next().unwrap().name, "b");

    let ips = [ip("10.1.0.7")];
    let telnet = Subject { ips: &ips, port: Some("tcp/23".parse().unwrap()), ..Subject::default() };
    assert!(index.waiver("risky-service", Some("1"), &telnet).is_some());
    assert!(index.waiver("risky-service", Some("2"), &telnet).is_none());
    let whole_host = Subject { ips: &ips, ..Subject::default() };
    assert!(index.waiver("risky-service", Some("1"), &whole_host).is_none());
    assert!(index.waiver("filing-expired", Some("1"), &whole_host).is_some());
    assert!(index.waiver("foreign-segment", Some("1"), &whole_host).is_none());
    let by_mac = Subject { macs: &[mac], ..Subject::default() };
    assert!(index.waiver("hidden-network", None, &by_mac).is_some());
    let notices: Vec<_> =
        index.notices("1", &whole_host).map(|notice| notice.notice.as_str()).collect();
    assert_eq!(notices, ["n1"]);

    let later = Index::new(registry, "2026-12-01".parse().unwrap());
    assert!(later.waiver("risky-service", Some("1"), &telnet).is_none());
    assert_eq!(later.segment(ip("10.1.1.1")).unwrap().1, Approval::Approved);
    assert_eq!(later.notices("1", &whole_host).count(), 0);
}

#[test]
fn every_rule_may_be_waived() {
    for rule in jiebei::audit::rule::ALL {
        assert!(registry::schema::RULES.contains(&rule.name()), "{}", rule.name());
    }
}

// --- no model is lost on the way

/// Prose as a cell can hold it: no blanks at the ends, no apostrophe before it.
fn prose() -> impl Strategy<Value = String> {
    "[-=+@|%a-zA-Z0-9 ,;:/\"'#.单位編〔〕，；（）é€]{1,16}"
        .prop_map(|text| text.trim().trim_start_matches('\'').trim().to_owned())
        .prop_filter("empty", |text| !text.is_empty())
}

fn some_prose() -> impl Strategy<Value = Option<String>> {
    proptest::option::of(prose())
}

fn some_day() -> impl Strategy<Value = Option<jiff::civil::Date>> {
    let day = (1950i16..2200, 1i8..=12, 1i8..=28);
    proptest::option::of(day.prop_map(|(y, m, d)| jiff::civil::date(y, m, d)))
}

fn an_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (0x0a00_0000u32..0x0aff_ffff).prop_map(|n| IpAddr::V4(n.into())),
        any::<u64>().prop_map(|n| IpAddr::V6((0xfd00u128 << 112 | u128::from(n)).into())),
    ]
}

fn a_registry() -> impl Strategy<Value = registry::Registry> {
    use jiebei::net::{Mac, Port, Prefix};
    use jiebei::registry::model::*;
    let unit = (prose(), some_prose(), some_prose(), some_day());
    let asset = (
        prose(),
        proptest::collection::btree_set(an_ip(), 0..3),
        proptest::collection::btree_set(any::<[u8; 5]>(), 0..3),
        some_prose(),
        any::<bool>(),
    );
    let segment = (an_ip(), 8u8..=32, proptest::option::of(1u16..4095), some_day(), some_prose());
    let notice = (proptest::option::of(an_ip()), any::<u16>(), some_day());
    (
        proptest::collection::vec(unit, 1..4),
        proptest::collection::vec(asset, 0..8),
        proptest::collection::btree_map(any::<u8>(), segment, 0..6),
        proptest::collection::vec(notice, 0..3),
    )
        .prop_map(|(units, assets, segments, notices)| {
            let mut registry = registry::Registry::default();
            for (at, (name, contact, phone, withdrawn_on)) in units.into_iter().enumerate() {
                registry.units.push(Unit {
                    unit: format!("0{at}"),
                    name: Some(name),
                    level: Some(Level::County),
                    parent: None,
                    status: UnitStatus::Active,
                    withdrawn_on,
                    contact,
                    phone,
                });
            }
            let owner = |at: usize| format!("0{}", at % registry.units.len());
            for (at, (name, ip, mac, system, online)) in assets.into_iter().enumerate() {
                registry.assets.push(Asset {
                    unit: owner(at),
                    name: format!("{name}{at}"),
                    ip: ip.into_iter().collect(),
                    mac: mac.into_iter().map(|[a, b, c, d, e]| Mac([2, a, b, c, d, e])).collect(),
                    kind: online.then_some(AssetKind::Phone),
                    system,
                    status: if online { OnlineStatus::Online } else { OnlineStatus::Retired },
                    approval: None,
                });
            }
            for (at, (ip, length, vlan, valid_until, purpose)) in segments.into_values().enumerate()
            {
                let prefix = Prefix::of(ip, length);
                if registry.segments.iter().all(|other| other.prefix != prefix) {
                    registry.segments.push(Segment {
                        unit: owner(at),
                        prefix,
                        purpose,
                        vlan,
                        registration: vlan.map(|_| Registration::Closed),
                        approval: None,
                        valid_from: None,
                        valid_until,
                    });
                }
            }
            for (at, (ip, port, until)) in notices.into_iter().enumerate() {
                let service = |ip| SubjectRef::Service(ip, Port::udp(port.max(1)));
                registry.notices.push(ChangeNotice {
                    unit: owner(at),
                    notice: format!("n{at}"),
                    kind: NoticeKind::Outage,
                    subject: ip.map(service).into_iter().collect(),
                    from: None,
                    until,
                    approval: None,
                });
            }
            registry
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_model_survives_every_format(model in a_registry()) {
        let dir = tempfile::tempdir().unwrap();
        let loaded = Loaded {
            registry: model.clone(),
            warnings: Vec::new(),
            sha256: String::new(),
            source: String::new(),
        };
        for out in ["r.json", "r.xlsx", "r"] {
            let out = dir.path().join(out);
            registry::convert(&loaded, &out).unwrap();
            prop_assert_eq!(&whole(&out).registry, &model, "{}", out.display());
        }
    }
}

// --- no bytes make a reader panic

fn a_workbook() -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("registry.xlsx");
    as_workbook(&path);
    fs::read(path).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_make_a_folder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let dir = folder(&[("units.csv", &bytes), ("资产.csv", &bytes)]);
        let _ = read(dir.path());
    }

    #[test]
    fn no_text_makes_a_folder_panic(text in "[a-z0-9,;\"\n\r\t ./:='|（，；１年月日-]{0,200}") {
        let headed = format!("unit,name,ip,mac,prefix,port,roles,subject,until\n{text}");
        let files: Vec<(String, &[u8])> = Table::ALL
            .iter()
            .map(|table| (format!("{table}.csv"), headed.as_bytes()))
            .collect();
        let files: Vec<(&str, &[u8])> =
            files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect();
        let dir = folder(&files);
        if let Err(refused) = read(dir.path()) {
            let _ = registry::draw(&refused.faults, &Texts::of(Language::Zh), 60);
        }
    }

    #[test]
    fn no_bytes_make_json_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        text in "[{}\\[\\]\":,a-z0-9 .e-]{0,120}",
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.json");
        for content in [bytes, format!("{{\"units\": [{text}").into_bytes()] {
            fs::write(&path, content).unwrap();
            let _ = read(&path);
        }
    }

    #[test]
    fn no_change_within_a_workbook_makes_it_panic(
        member in prop_oneof![
            Just("xl/worksheets/sheet2.xml"),
            Just("xl/worksheets/sheet6.xml"),
            Just("xl/sharedStrings.xml"),
            Just("xl/styles.xml"),
            Just("xl/workbook.xml"),
        ],
        at in any::<prop::sample::Index>(),
        text in "[-A-Z0-9a-z<>=\"'&;:/ .]{0,12}",
        cut in 0usize..12,
    ) {
        thread_local! {
            static WORKBOOK: Vec<u8> = a_workbook();
        }
        let workbook = WORKBOOK.with(Clone::clone);
        let changed = changed(&workbook, member, |old| {
            let mut characters: Vec<char> = old.chars().collect();
            let at = at.index(characters.len());
            let end = (at + cut).min(characters.len());
            characters.splice(at..end, text.chars());
            characters.into_iter().collect()
        });
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.xlsx");
        fs::write(&path, changed).unwrap();
        if let Err(refused) = read(&path) {
            let _ = registry::draw(&refused.faults, &Texts::of(Language::Zh), 60);
        }
    }

    #[test]
    fn no_damage_to_a_workbook_makes_it_panic(
        at in 0usize..20_000,
        value in any::<u8>(),
        cut in 0usize..20_000,
    ) {
        thread_local! {
            static WORKBOOK: Vec<u8> = a_workbook();
        }
        let mut bytes = WORKBOOK.with(Clone::clone);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry.xlsx");
        let length = bytes.len();
        bytes[at % length] = value;
        fs::write(&path, &bytes).unwrap();
        let _ = read(&path);
        bytes.truncate(cut % length);
        fs::write(&path, &bytes).unwrap();
        prop_assert!(read(&path).is_err());
    }
}

// --- the page for users

/// The generated part of `docs/registry.md`.
fn reference() -> String {
    let mut page = String::new();
    for table in Table::ALL {
        page += &format!("### `{}` {}\n\n", table.name(), table.chinese());
        page += "| column | Chinese headings | words |\n|---|---|---|\n";
        for column in table.columns() {
            let key = match (table.key().contains(column), table.required().contains(column)) {
                (true, _) => " (key)",
                (false, true) => " (required)",
                _ => "",
            };
            let mut headings = vec![column.chinese(table).to_owned()];
            for alias in column.aliases() {
                if *alias != column.chinese(table).to_lowercase() {
                    headings.push((*alias).to_owned());
                }
            }
            let words = column.words(table).into_iter().map(|(name, chinese)| {
                let forms: Vec<&str> =
                    std::iter::once(name).chain(chinese.iter().copied()).collect();
                forms.join(" ")
            });
            let words = words.collect::<Vec<_>>().join(" · ");
            page += &format!("| `{}`{key} | {} | {words} |\n", column.name(), headings.join("、"));
        }
        page += "\n";
    }
    page
}

#[test]
fn the_page_for_users_lists_what_the_code_knows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/registry.md");
    let page = fs::read_to_string(&path).unwrap();
    let (from, to) = ("<!-- generated: tables -->\n", "<!-- end -->");
    let (head, rest) = page.split_once(from).unwrap();
    let (_, tail) = rest.split_once(to).unwrap();
    let expected = format!("{head}{from}\n{}{to}{tail}", reference());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    } else {
        assert!(page == expected, "run this test with UPDATE_DOCS=1");
    }
}
