//! Two sweeps at once by one interface: together they stay within the ceilings of one, as tcpdump counts them at the other end.
//!
//! Needs root for its namespaces; says "not run" without.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const CEILING: usize = 200;
const PROFILE: &str = "[profile]\nname = \"shared\"\n[authorisation]\nscope = [\"10.77.0.0/23\"]\nrisk = 1\n\
    [rate]\npackets_per_second = 200\nper_target = 8\n[discovery]\nmethods = [\"arp\"]\ndhcp = false\n\
    [passive]\nseconds = 1\n";

fn run(command: &str) {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two namespaces and a cable; gone when dropped.
struct Cable {
    a: String,
    b: String,
}

impl Cable {
    fn laid() -> Cable {
        let id = std::process::id();
        let cable = Cable { a: format!("jbsh{id}a"), b: format!("jbsh{id}b") };
        let Cable { a, b } = &cable;
        run(&format!("ip netns add {a}"));
        run(&format!("ip netns add {b}"));
        run(&format!("ip -n {a} link add va type veth peer name vb netns {b}"));
        for (name, link) in [(a, "va"), (b, "vb")] {
            run(&format!("ip netns exec {name} sysctl -qw net.ipv6.conf.{link}.disable_ipv6=1"));
            run(&format!("ip -n {name} link set {link} up"));
        }
        run(&format!("ip -n {a} addr add 10.77.0.5/23 dev va"));
        cable
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in [&self.a, &self.b] {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

fn inside(namespace: &str, program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(program.as_ref());
    command
}

fn sweep(namespace: &str, folder: &Path, out: &str) -> (Child, PathBuf) {
    let out = folder.join(out);
    let mut command = inside(namespace, env!("CARGO_BIN_EXE_jiebei"));
    command.args(["sweep", "--interface", "va", "--profile"]).arg(folder.join("profile.toml"));
    command.arg("--out").arg(&out).stdout(Stdio::null()).stderr(Stdio::piped());
    (command.spawn().unwrap(), out)
}

#[test]
fn two_sweeps_by_one_interface_keep_to_one_ceiling() {
    let raised = caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_ADMIN);
    if !raised.unwrap_or(false) {
        eprintln!("not run: it is made of network namespaces, which takes root");
        return;
    }
    let cable = Cable::laid();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("profile.toml"), PROFILE).unwrap();
    let text = fs::File::create(folder.path().join("seen")).unwrap();
    let mut witness = inside(&cable.b, "tcpdump")
        .args(["-i", "vb", "-tt", "-n", "-l", "arp"])
        .stdout(text)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Its first words say that it listens.
    std::io::Read::read(witness.stderr.as_mut().unwrap(), &mut [0; 64]).unwrap();
    sleep(Duration::from_millis(300));

    let (first, first_out) = sweep(&cable.a, folder.path(), "first");
    sleep(Duration::from_secs(2));
    let (second, second_out) = sweep(&cable.a, folder.path(), "second");
    for child in [first, second] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    witness.kill().unwrap();
    witness.wait().unwrap();

    let seen = fs::read_to_string(folder.path().join("seen")).unwrap();
    let times: Vec<f64> =
        seen.lines().filter_map(|line| line.split(' ').next()?.parse().ok()).collect();
    let mut first = 0;
    let mut most = 0;
    for (place, at) in times.iter().enumerate() {
        while at - times[first] >= 1.0 {
            first += 1;
        }
        most = most.max(place + 1 - first);
    }
    let mut sent = 0;
    for out in [&first_out, &second_out] {
        let result = fs::read_to_string(out.join("result.json")).unwrap();
        let result: serde_json::Value = serde_json::from_str(&result).unwrap();
        sent += result["sweep"]["packets_sent"].as_u64().unwrap();
        let notices = result["sweep"]["notices"].to_string();
        assert!(notices.contains("ceilings-shared"), "{notices}");
    }
    assert!(sent >= 3_000, "{sent} frames");
    assert!(times.len() as u64 >= sent, "{} of {sent} seen", times.len());
    assert!(most <= CEILING, "{most} frames in a second");
    // Neither stood still for the other.
    assert!(most > CEILING / 2, "{most} frames in the busiest second");
}
