//! Each scenario is swept once, and the tests ask about that sweep.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde_json::Value;

use crate::raised::{Lab, Witness, expect_code, lab};

/// A sweep that has ended. Its lab is down.
pub struct Swept {
    folder: PathBuf,
    /// What `--dry-run` foresaw.
    pub plan: Value,
    /// Exit code, and what the sweep said.
    pub code: Option<i32>,
    pub said: String,
    /// What `ss` told of half-open connections in each host when the sweep had ended.
    pub half_open: String,
}

impl Swept {
    fn run(scenario: &'static str) -> Self {
        let lab = Lab::raise(scenario);
        let folder = lab.folder.clone();
        let foreseen = lab.sweep("result").args(["--dry-run", "--format", "json"]).output();
        let foreseen = foreseen.expect("the dry run runs");
        expect_code(&foreseen, 0);
        let plan = serde_json::from_slice(&foreseen.stdout).expect("the plan is JSON");
        let output = lab
            .sweep("result")
            .arg("--record")
            .arg(folder.join("record.pcapng"))
            .output()
            .expect("the sweep runs");
        let mut half_open = String::new();
        for host in lab.hosts() {
            let ss = lab.inside(host, "ss").args(["-Htn", "state", "syn-recv"]).output();
            let lines = ss.expect("ss runs").stdout;
            if !lines.is_empty() {
                half_open += &format!("{host}: {}", String::from_utf8_lossy(&lines));
            }
        }
        drop(lab);
        Self {
            plan,
            code: output.status.code(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
            half_open,
            folder,
        }
    }

    /// A file of the result.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join("result").join(name)
    }

    pub fn record(&self) -> PathBuf {
        self.folder.join("record.pcapng")
    }

    /// Somewhere to write beside the result.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn result(&self) -> Value {
        read_result(&self.file("result.json"))
    }

    pub fn witness(&self, host: &str) -> Witness {
        Witness::at(&self.folder, host)
    }
}

pub fn read_result(path: &Path) -> Value {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).expect("a result is JSON")
}

/// The sweep of a scenario: made by whoever asks first, one at a time, so that none is paced
/// against another's load.
pub fn swept(scenario: &'static str) -> &'static Swept {
    static SWEPT: Mutex<BTreeMap<&str, &Swept>> = Mutex::new(BTreeMap::new());
    // A raise that failed poisons the lock; whoever comes next tries again and fails in its own words.
    let mut swept = SWEPT.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let swept = *swept.entry(scenario).or_insert_with(|| Box::leak(Box::new(Swept::run(scenario))));
    assert_eq!(swept.code, Some(0), "the sweep of {scenario} said:\n{}", swept.said);
    swept
}

/// Planted against found, exactly; of one rule, or of all.
pub fn assert_as_planted(scenario: &str, result: &Path, rule: Option<&str>) {
    let compare = lab().arg("compare").arg(scenario).arg(result).args(rule).output();
    let compare = compare.expect("scripts/lab runs");
    assert!(
        compare.status.success(),
        "{scenario}:\n{}{}",
        String::from_utf8_lossy(&compare.stdout),
        String::from_utf8_lossy(&compare.stderr)
    );
}
