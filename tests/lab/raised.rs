//! A lab that is up, and comes down when dropped.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;

/// Whether labs can be raised. Says "not run" where they cannot: a test that returns on `false`
/// has shown nothing.
pub fn privileged() -> bool {
    let root = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN);
    let root = root.unwrap_or(false);
    if !root {
        eprintln!("not run: a lab is made of network namespaces, which takes root");
    }
    root
}

#[derive(Deserialize)]
struct State {
    scanner: String,
    interfaces: Vec<String>,
    namespaces: BTreeMap<String, String>,
}

/// A raised scenario. Everything it made is undone on drop, last first.
pub struct Lab {
    pub scenario: &'static str,
    /// Where its state, the witnesses' captures and the daemons' logs are. It stays after the lab.
    pub folder: PathBuf,
    state: State,
}

impl Lab {
    pub fn raise(scenario: &'static str) -> Self {
        static RAISED: AtomicUsize = AtomicUsize::new(0);
        let name =
            format!("{scenario}-{}-{}", std::process::id(), RAISED.fetch_add(1, Ordering::Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab").join(name);
        let up = lab().arg("up").arg(scenario).arg(&folder).output().expect("scripts/lab runs");
        assert!(up.status.success(), "{}", String::from_utf8_lossy(&up.stderr));
        let state = fs::read(folder.join("lab.json")).expect("a raised lab has its state");
        let state = serde_json::from_slice(&state).expect("the state is JSON");
        Self { scenario, folder, state }
    }

    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.state.namespaces.keys().map(String::as_str)
    }

    /// A command inside a host of the lab.
    pub fn inside(&self, host: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        self.in_namespace(&self.state.namespaces[host], program)
    }

    fn in_namespace(&self, namespace: &str, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", namespace]).arg(program).stdin(Stdio::null());
        command
    }

    /// Has every host ask anew who has its neighbours' addresses: somebody begins to listen.
    pub fn forget_neighbours(&self) {
        for host in self.hosts() {
            let mut flush = self.inside(host, "ip");
            let flushed = flush.args(["neigh", "flush", "all"]).stderr(Stdio::null()).status();
            assert!(flushed.expect("ip runs").code().is_some());
        }
    }

    pub fn interface(&self) -> &str {
        &self.state.interfaces[0]
    }

    /// `jiebei` where the scanner stands.
    pub fn jiebei(&self, command: &str) -> Command {
        let mut jiebei = self.in_namespace(&self.state.scanner, env!("CARGO_BIN_EXE_jiebei"));
        jiebei.arg(command).env("NO_COLOR", "1");
        jiebei
    }

    /// The scenario's sweep, its result in `out` under the lab's folder.
    pub fn sweep(&self, out: &str) -> Command {
        let mut sweep = self.jiebei("sweep");
        for interface in &self.state.interfaces {
            sweep.args(["--interface", interface]);
        }
        sweep.args(["--lang", "en"]);
        sweep.arg("--registry").arg(scenario_file(self.scenario, "registry"));
        sweep.arg("--profile").arg(self.folder.join("profile.toml"));
        sweep.arg("--out").arg(self.folder.join(out));
        sweep
    }

    /// What the witness of a host holds by now. For the last frames, lower the lab first.
    pub fn witness(&self, host: &str) -> Witness {
        Witness::at(&self.folder, host)
    }

    /// Waits until the scanner has sent so many frames as its witness counts them.
    pub fn wait_for_frames(&self, frames: usize, sweep: &mut Child) {
        let witness = self.witness("scan");
        let deadline = Instant::now() + Duration::from_secs(60);
        while witness.count("") < frames {
            if let Ok(Some(status)) = sweep.try_wait() {
                panic!("the sweep ended ({status}) before its {frames} frames were seen");
            }
            assert!(Instant::now() < deadline, "fewer than {frames} frames in a minute");
            sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let down = lab().arg("down").arg(&self.folder).output();
        match down {
            Ok(down) if down.status.success() => {}
            Ok(down) => eprintln!("{}", String::from_utf8_lossy(&down.stderr)),
            Err(error) => eprintln!("scripts/lab down: {error}"),
        }
    }
}

/// A capture that tcpdump took somewhere in the lab, read by tcpdump.
pub struct Witness(PathBuf);

impl Witness {
    pub fn at(folder: &Path, host: &str) -> Self {
        Self(folder.join("witness").join(format!("{host}.pcap")))
    }

    /// One line a frame, as `tcpdump -tt -e` tells it, of the frames that a filter admits.
    pub fn frames(&self, filter: &str) -> Vec<String> {
        let mut tcpdump = Command::new("tcpdump");
        tcpdump.args(["-nn", "-tt", "-e", "-r"]).arg(&self.0).arg(filter);
        let output = tcpdump.output().expect("tcpdump runs");
        let text = String::from_utf8_lossy(&output.stderr);
        // A capture that is still written may end within a frame: what came before counts.
        let readable = output.status.success() || text.contains("truncated dump file");
        assert!(readable, "tcpdump {filter:?}: {text}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    }

    pub fn count(&self, filter: &str) -> usize {
        self.frames(filter).len()
    }
}

pub fn lab() -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lab"))
}

pub fn scenario_file(scenario: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lab/scenarios").join(scenario).join(name)
}

/// Fails with everything the program said where its exit code is another.
pub fn expect_code(output: &Output, code: i32) {
    assert_eq!(
        output.status.code(),
        Some(code),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
