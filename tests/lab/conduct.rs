//! How a sweep behaves: before it starts, when it is interrupted, when its network goes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::raised::{Lab, expect_code, privileged, scenario_file};
use crate::swept::{assert_as_planted, read_result, swept};

const SCANNER: &str = "00:e0:4c:20:01:05";

#[test]
fn a_dry_run_sends_nothing() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("town");
    let output = lab.sweep("result").arg("--dry-run").output().expect("the dry run runs");
    expect_code(&output, 0);
    let plan = String::from_utf8_lossy(&output.stdout);
    assert!(plan.contains("10.20.1.0/24"), "{plan}");
    assert!(!lab.folder.join("result/result.json").exists());
    // A ping after it: what came before has arrived too.
    let ping =
        lab.inside("scan", "ping").args(["-c", "1", "10.20.1.1"]).output().expect("ping runs");
    expect_code(&ping, 0);
    let witness = lab.witness("scan");
    while witness.count("icmp[icmptype] == icmp-echoreply") == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let sent = witness.frames(&format!("ether src {SCANNER} and not icmp and not arp"));
    let own: Vec<_> = sent.iter().filter(|frame| !frame.contains("multicast listener")).collect();
    assert!(own.is_empty(), "{own:?}");
    assert_eq!(witness.count(&format!("ether src {SCANNER} and icmp")), 1);
}

/// A sweep takes 1.3 times what its frames take at the ceiling, and the longest wait that its plan
/// shows, and no more.
#[test]
fn a_sweep_ends_when_its_plan_says() {
    if !privileged() {
        return;
    }
    for scenario in ["town", "county", "crossing", "quiet"] {
        let swept = swept(scenario);
        let sweep = &swept.result()["sweep"];
        let at = |key: &str| {
            let text = sweep[key].as_str().expect("an instant");
            text.parse::<jiff::Timestamp>().expect("RFC 3339")
        };
        let took = (at("finished_at") - at("started_at")).total(jiff::Unit::Second).unwrap();
        let number = |value: &serde_json::Value| value.as_f64().expect("a number");
        let at_ceiling = number(&sweep["packets_sent"]) / number(&swept.plan["packets_per_second"]);
        let most = 1.3 * at_ceiling + number(&swept.plan["longest_wait"]);
        assert!(took <= most, "{scenario}: {took:.1} s, and {most:.1} s were foreseen");
    }
}

#[test]
fn outside_its_window_a_sweep_is_refused() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("town");
    let profile = fs::read_to_string(scenario_file("town", "profile.toml")).unwrap();
    let window =
        "risk = 2\nnot_before = 2020-01-01T01:00:00+08:00\nnot_after = 2020-01-01T05:00:00+08:00";
    let closed = lab.folder.join("closed.toml");
    fs::write(&closed, profile.replace("risk = 2", window)).unwrap();
    let mut sweep = lab.jiebei("sweep");
    sweep.args(["--interface", lab.interface(), "--lang", "en", "--profile"]).arg(&closed);
    sweep.arg("--registry").arg(scenario_file("town", "registry"));
    let output = sweep.arg("--out").arg(lab.folder.join("result")).output().expect("it runs");
    expect_code(&output, 2);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("2020-01-01"), "{said}");
    assert!(!lab.folder.join("result/result.json").exists());
    assert_eq!(lab.witness("scan").count(&format!("ether src {SCANNER} and (arp or ip)")), 0);
}

#[test]
fn an_interrupted_sweep_keeps_what_it_has_and_goes_on() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("town");
    let mut sweep = lab.sweep("result");
    let mut running = sweep.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    lab.wait_for_frames(600, &mut running);
    interrupt(running.id());
    let output = running.wait_with_output().expect("it ends");
    expect_code(&output, 4);
    let result = lab.folder.join("result/result.json");
    let half = read_result(&result);
    assert_eq!(half["sweep"]["complete"], false);

    let output = lab.sweep("result").arg("--resume").output().expect("it runs");
    expect_code(&output, 0);
    let whole = read_result(&result);
    assert_eq!(whole["sweep"]["complete"], true);
    assert_eq!(whole["sweep"]["id"], half["sweep"]["id"]);
    assert_as_planted("town", &result, None);
}

/// Killed outright, it goes on from what was saved last.
#[test]
fn a_killed_sweep_goes_on_and_finds_the_same() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("town");
    let mut sweep = lab.sweep("result");
    let mut running = sweep.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    lab.wait_for_frames(2500, &mut running);
    running.kill().expect("it is killed");
    running.wait().expect("it is dead");
    let output = lab.sweep("result").arg("--resume").output().expect("it runs");
    expect_code(&output, 0);
    let result = lab.folder.join("result/result.json");
    let whole = read_result(&result);
    assert_eq!(whole["sweep"]["complete"], true);
    assert_as_planted("town", &result, None);
}

#[test]
fn a_network_that_falls_silent_stops_the_sweep() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("town");
    let mut sweep = lab.sweep("result");
    let mut running = sweep.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    lab.wait_for_frames(1200, &mut running);
    // Every other host is cut off at its own end: the scanner's carrier stays.
    for host in lab.hosts().filter(|host| *host != "scan") {
        let shut =
            "for link in $(ls /sys/class/net); do [ $link = lo ] || ip link set $link down; done";
        let shut = lab.inside(host, "sh").args(["-c", shut]).output().expect("sh runs");
        expect_code(&shut, 0);
    }
    let output = running.wait_with_output().expect("it ends");
    expect_code(&output, 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("fell silent"), "{said}");
    let result = read_result(&lab.folder.join("result/result.json"));
    assert_eq!(result["sweep"]["complete"], false);
    let notices = result["sweep"]["notices"].as_array().expect("a list");
    assert!(notices.iter().any(|notice| notice["code"] == "network-silent"), "{notices:?}");
    assert!(!result["devices"].as_array().expect("a list").is_empty());
}

fn interrupt(pid: u32) {
    let kill = Command::new("kill").args(["-INT", &pid.to_string()]).status().expect("kill runs");
    assert!(kill.success());
}

#[test]
fn an_interface_that_goes_ends_the_sweep_with_what_it_has() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("town");
    let mut sweep = lab.sweep("result");
    let mut running = sweep.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    lab.wait_for_frames(600, &mut running);
    let mut delete = lab.inside("scan", "ip");
    expect_code(&delete.args(["link", "delete", lab.interface()]).output().expect("ip runs"), 0);
    let output = running.wait_with_output().expect("it ends");
    expect_code(&output, 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(lab.interface()), "{said}");
    let result = read_result(&lab.folder.join("result/result.json"));
    assert_eq!(result["sweep"]["complete"], false);
    assert!(!result["devices"].as_array().expect("a list").is_empty());
}

#[test]
fn without_root_a_sweep_says_what_it_could_not_do() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("quiet");
    // Where another user reaches it: the build's folder may be closed to them.
    let folder = tempfile::tempdir().expect("a folder");
    let open = |path: &Path| {
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        fs::set_permissions(path, all).expect("a mode is set");
    };
    open(folder.path());
    let binary = folder.path().join("jiebei");
    fs::copy(env!("CARGO_BIN_EXE_jiebei"), &binary).expect("the program is copied");
    for file in ["profile.toml", "registry"] {
        let mut copy = Command::new("cp");
        copy.arg("-r").arg(scenario_file("quiet", file)).arg(folder.path());
        assert!(copy.status().expect("cp runs").success());
    }
    let mut sweep = lab.inside("scan", "setpriv");
    sweep.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(&binary);
    sweep.args(["sweep", "--interface", lab.interface(), "--lang", "en"]);
    sweep.arg("--profile").arg(folder.path().join("profile.toml"));
    sweep.arg("--registry").arg(folder.path().join("registry"));
    let output = sweep.arg("--out").arg(folder.path().join("out")).output().expect("it runs");
    expect_code(&output, 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("root") || said.contains("CAP_NET_RAW"), "{said}");
}
