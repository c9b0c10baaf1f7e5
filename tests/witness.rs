//! A collector's log that is carried by hand: `jiebei audit RESULT --registry REG --witness FILE` finds what the
//! sweep would have found with it, and tells every fault of the log apart.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use jiebei::egress::receipt::{self, GENESIS, Receipt};
use jiebei::egress::token::EgressKey;
use jiebei::net::Mac;
use jiebei::observe::{
    Carrier, EgressAsked, EgressMethod, EgressProbe, Fact, Log, Source, VantageId,
};
use jiebei::result::v1::SweepResult;
use jiebei::result::{self, names, observations};
use jiff::Timestamp;

const HOST: [u8; 4] = [10, 20, 1, 7];
const HOST_MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);

fn key(octet: u8) -> EgressKey {
    EgressKey::from_bytes([octet; 32])
}

fn probe(number: u32) -> EgressProbe {
    EgressProbe {
        number,
        method: EgressMethod::NextHop,
        carrier: Carrier::TcpSyn,
        target: HOST.into(),
        mac: HOST_MAC,
        asked_from: [10, 20, 1, 5].into(),
        canary: [198, 51, 100, 10].into(),
        port: 443,
        hop_limit: 64,
        round: number as u8,
        sent_at: "2026-11-22T01:01:00Z".parse().expect("a time"),
        redrawn: 0,
    }
}

/// A swept folder: two questions with tokens, and nothing of what became of them.
fn swept(folder: &Path) -> SweepResult {
    let at: Timestamp = "2026-11-22T01:01:00Z".parse().expect("a time");
    let mut log = Log::default();
    let mut put = |source, fact| log.observe(at, VantageId(0), source, fact, &[]);
    put(
        Source::Interface,
        Fact::Interface {
            address: [10, 20, 1, 5].into(),
            prefix: "10.20.1.0/24".parse().expect("a prefix"),
            mac: Mac([2, 0, 0, 0, 0, 5]),
        },
    );
    put(Source::Arp, Fact::Binding { ip: HOST.into(), mac: HOST_MAC });
    put(
        Source::Sweep,
        Fact::EgressAsked(EgressAsked {
            prefix: "10.20.1.0/24".parse().expect("a prefix"),
            method: EgressMethod::NextHop,
            asked: 1,
            not_run: None,
        }),
    );
    for number in [1, 2] {
        put(Source::NextHop, Fact::EgressProbe(probe(number)));
    }
    let swept: SweepResult = serde_json::from_value(serde_json::json!({
        "schema": result::v1::SCHEMA,
        "sweep": {
            "id": "019a0000-0000-7000-8000-000000000001", "profile": "routine",
            "started_at": "2026-11-22T01:00:00Z", "finished_at": "2026-11-22T01:05:00Z", "complete": true,
            "authorisation": { "reference": null, "authorised_by": null, "scope": ["10.20.0.0/16"],
                "exclude": [], "observe_only": [], "risk": 2, "not_before": null, "not_after": null,
                "signature": null },
            "registry": null, "unit": null,
            "vantages": [{ "interface": "eth1", "mac": "02:00:00:00:00:05", "addresses": ["10.20.1.5/24"] }],
            "packets_sent": 2, "packets_received": 0, "notices": [], "regulation": "hunan-2026",
            "egress": { "canaries": ["198.51.100.10"], "zone": null, "key": "env:JIEBEI_TEST_SWEEPS_KEY",
                "witness": null },
        },
        "coverage": [], "devices": [], "segments": [], "egresses": [], "findings": [],
    }))
    .expect("a result");
    fs::create_dir_all(folder).expect("a folder");
    result::write(&swept, &folder.join(names::RESULT)).expect("written");
    let header = observations::Header::new(&swept.sweep.id, "jiebei", &log);
    let mut file = fs::File::create(folder.join(names::OBSERVATIONS)).expect("a file");
    observations::write(&header, &log, &mut file).expect("written");
    swept
}

fn registry(path: &Path) {
    let text = serde_json::json!({
        "units": [{ "unit": "A", "name": "甲", "level": "city", "status": "active" }],
        "segments": [{ "unit": "A", "prefix": "10.20.1.0/24", "registration": "open" }],
        "devices": [],
        "egresses": [{ "unit": "A", "name": "unified", "kind": "unified", "gateway": "10.20.1.1",
                       "public": "203.0.113.0/28" }],
        "assets": [], "services": [],
    });
    fs::write(path, text.to_string()).expect("written");
}

/// The collector's log: both tokens seen from an unfiled address, and a line that is none.
fn witness(key: &EgressKey, sweep: &str) -> String {
    let mut previous = GENESIS;
    let mut text = String::new();
    for (n, number) in [(1, 1), (2, 2)] {
        let probe = probe(number);
        let receipt = Receipt {
            schema: receipt::SCHEMA.into(),
            n,
            at: "2026-11-22T01:01:01Z".parse().expect("a time"),
            canary: probe.canary,
            observed: [192, 0, 2, 77].into(),
            observed_port: 40_000,
            port: 443,
            protocol: "tcp".into(),
            hop_limit: 61,
            field: Carrier::TcpSyn,
            token: key.token(sweep, VantageId(0), &probe).to_hex(),
            raw: String::new(),
            relayed: String::new(),
        };
        let (line, chain) =
            receipt::write(key, &previous, &receipt, &mut |_| None).expect("a line");
        previous = chain;
        text += &format!("{line}\n");
    }
    text + "{\"no\":\"entry\"}\n"
}

struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> (Bench, SweepResult) {
        let folder = tempfile::tempdir().expect("a folder");
        let swept = swept(&folder.path().join("swept"));
        registry(&folder.path().join("registry.json"));
        fs::write(folder.path().join("w.jsonl"), witness(&key(7), &swept.sweep.id))
            .expect("written");
        (Bench { folder }, swept)
    }

    fn audit(&self, result: &str, out: &str, more: &[&str], key: Option<(&str, &str)>) -> Output {
        let path = |name: &str| self.folder.path().join(name);
        let mut jiebei = Command::new(env!("CARGO_BIN_EXE_jiebei"));
        jiebei
            .args(["audit", "--lang", "en"])
            .arg(path(result))
            .arg("--registry")
            .arg(path("registry.json"))
            .arg("--out")
            .arg(path(out))
            .args(more)
            .current_dir(self.folder.path())
            .env_remove("JIEBEI_EGRESS_KEY")
            .env_remove("JIEBEI_TEST_SWEEPS_KEY");
        if let Some((name, value)) = key {
            jiebei.env(name, value);
        }
        jiebei.output().expect("the program runs")
    }

    fn read(&self, out: &str) -> SweepResult {
        result::read(&self.folder.path().join(out)).expect("a result")
    }
}

fn rules(result: &SweepResult) -> Vec<String> {
    result.findings.iter().map(|one| format!("{} {}", one.rule, one.confidence.word())).collect()
}

#[test]
fn a_carried_log_proves_what_the_sweep_could_not() {
    let (bench, _) = Bench::new();
    let hex = key(7).to_hex();
    let without = bench.audit("swept", "without", &[], None);
    assert!(without.status.success(), "{}", String::from_utf8_lossy(&without.stderr));
    let without = bench.read("without");
    assert_eq!(rules(&without), Vec::<String>::new());
    assert_eq!(without.coverage[0].calibrated["next-hop"], "no");
    assert!(without.coverage[0].why_not.as_deref().is_some_and(|why| why.contains("next-hop: ")));

    let with = bench.audit("without", "with", &["--witness", "w.jsonl", "--key", &hex], None);
    let told = String::from_utf8_lossy(&with.stderr).into_owned();
    assert!(with.status.success(), "{told}");
    assert!(told.contains("2 receipts") && told.contains("line 3"), "{told}");
    assert!(!told.contains(&hex));
    let found = bench.read("with");
    assert_eq!(rules(&found), ["unregistered-egress proved"]);
    let finding = &found.findings[0];
    assert_eq!(finding.detail["public_addresses"], serde_json::json!(["192.0.2.77"]));
    assert_eq!(finding.detail["methods"], serde_json::json!(["next-hop"]));
    assert!(finding.evidence.iter().any(|one| one.summary.contains("entry 2 of its log")));
    assert_eq!(found.egresses.len(), 1);
    assert_eq!(found.egresses[0].gateway.ip.as_deref(), Some("10.20.1.7"));
    assert_eq!(found.egresses[0].registered_as, None);
    assert_eq!(found.coverage[0].calibrated["next-hop"], "yes");
    assert_eq!(found.coverage[0].why_not, None);
    assert!(found.coverage[0].methods.contains(&"next-hop".to_owned()));
    let codes: Vec<&str> = found.sweep.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert!(codes.contains(&"witness-malformed"), "{codes:?}");

    // The receipts are among the observations now: the log is not needed again, and changes nothing.
    assert!(bench.audit("with", "later", &[], None).status.success());
    let same = ["--witness", "w.jsonl"];
    let key = Some(("JIEBEI_TEST_SWEEPS_KEY", hex.as_str()));
    assert!(bench.audit("with", "again", &same, key).status.success());
    for out in ["later", "again"] {
        assert_eq!(bench.read(out).findings, found.findings, "{out}");
        assert_eq!(bench.read(out).egresses, found.egresses, "{out}");
    }
}

#[test]
fn without_a_key_or_with_another_nothing_is_found() {
    let (bench, _) = Bench::new();
    let witness = ["--witness", "w.jsonl"];
    let none = bench.audit("swept", "none", &witness, None);
    assert_eq!(none.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&none.stderr).contains("JIEBEI_EGRESS_KEY"));

    let other = key(8).to_hex();
    let other = bench.audit("swept", "other", &witness, Some(("JIEBEI_EGRESS_KEY", &other)));
    assert!(other.status.success());
    let found = bench.read("other");
    assert_eq!(rules(&found), Vec::<String>::new());
    assert!(found.sweep.notices.iter().any(|notice| notice.code == "witness-other-key"));

    let bad = bench.audit("swept", "bad", &witness, Some(("JIEBEI_EGRESS_KEY", "abc")));
    assert_eq!(bad.status.code(), Some(2));
    let missing = ["--witness", "no-such-file", "--key", &key(7).to_hex()];
    assert_eq!(bench.audit("swept", "missing", &missing, None).status.code(), Some(2));
}
