//! `jiebei watch` on a link for long: what it tells, what it writes, and that it is still there.

#[allow(dead_code, reason = "other tests use the rest")]
mod namespaces;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiebei::link;
use jiebei::net::Mac;
use jiebei::result::v1::{Finding, Status, SweepResult};
use jiebei::wire::build;
use namespaces::{Pair, privileged, run};

/// How long anything may take that comes within seconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A watch that runs, with what it said so far.
struct Watch {
    child: Child,
    stdout: Arc<Mutex<Vec<String>>>,
    stderr: Arc<Mutex<Vec<String>>>,
    out: PathBuf,
}

impl Watch {
    fn start(pair: &Pair, words: &[&str], adjust: impl FnOnce(&mut Command)) -> Watch {
        let out = pair.folder.path().join("out");
        let mut command = pair.jiebei(&["watch", "--interface", "va"]);
        command.arg("--out").arg(&out).args(words).stdout(Stdio::piped()).stderr(Stdio::piped());
        adjust(&mut command);
        let mut child = command.spawn().expect("it runs");
        let stdout = lines(child.stdout.take().expect("its stdout"));
        let stderr = lines(child.stderr.take().expect("its stderr"));
        Watch { child, stdout, stderr, out }
    }

    fn findings(&self) -> Vec<Finding> {
        let lines = self.stdout.lock().expect("lines").clone();
        lines.iter().map(|line| serde_json::from_str(line).expect("a finding")).collect()
    }

    /// How each finding stands by its last line, by rule.
    fn standing(&self) -> BTreeMap<String, Status> {
        self.findings().into_iter().map(|finding| (finding.rule, finding.status)).collect()
    }

    fn said(&self) -> String {
        self.stderr.lock().expect("lines").join("\n")
    }

    fn signal(&self, name: &str) {
        run(&format!("kill -{name} {}", self.child.id()));
    }

    fn ends(&mut self) -> ExitStatus {
        let mut status = None;
        until("the end", || {
            status = self.child.try_wait().expect("its status");
            status.is_some()
        });
        status.expect("a status")
    }

    fn result(&self) -> Option<SweepResult> {
        let text = fs::read_to_string(self.out.join("result.json")).ok()?;
        Some(serde_json::from_str(&text).expect("a result"))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let read = Arc::clone(&lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            read.lock().expect("lines").push(line);
        }
    });
    lines
}

/// The link of both is approved; nothing else is.
fn registry(folder: &Path) -> PathBuf {
    let registry = folder.join("registry");
    fs::create_dir_all(&registry).expect("a folder");
    let tables = [
        ("units", "unit,name,level,status\n430102,Office,county,active\n"),
        ("segments", "unit,prefix,registration\n430102,10.9.0.0/24,open\n430102,fd09::/64,open\n"),
        ("devices", "unit,name,roles,ip,mac\n"),
        ("egresses", "unit,name,kind,gateway,public\n"),
        ("assets", "unit,name,ip,mac,kind,status\n"),
        ("services", "unit,system,ip,port,status\n"),
    ];
    for (name, rows) in tables {
        fs::write(registry.join(format!("{name}.csv")), rows).expect("a table");
    }
    registry
}

/// The peer advertises a prefix that nobody approved.
fn radvd(pair: &Pair) -> Child {
    let folder = pair.folder.path();
    let (conf, pid) = (folder.join("radvd.conf"), folder.join("radvd.pid"));
    let text = "interface vb { AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4; \
                prefix fd66::/64 { }; };";
    fs::write(&conf, text).expect("its configuration");
    pair.peer("sysctl -qw net.ipv6.conf.all.forwarding=1");
    let mut radvd = pair.inside(&pair.peer, "radvd");
    radvd
        .args(["--nodaemon", "--logmethod=stderr", "--config"])
        .arg(conf)
        .arg("--pidfile")
        .arg(pid);
    radvd.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("radvd runs")
}

const ROGUE: [&str; 3] =
    ["rogue-router-advertisement", "unregistered-router", "unregistered-segment"];

fn all(status: Status) -> BTreeMap<String, Status> {
    ROGUE.iter().map(|rule| ((*rule).to_owned(), status)).collect()
}

/// Each finding is one line when it appears, long before the interval is over, and one when it is over.
#[test]
fn findings_are_told_as_they_appear_and_when_they_are_over() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    let registry = registry(pair.folder.path());
    let source = registry.to_str().expect("a path");
    let words = ["--registry", source, "--format", "jsonl", "--interval", "5s", "--window", "5s"];
    let mut watch = Watch::start(&pair, &words, |_| {});
    let mut radvd = radvd(&pair);
    until("the findings", || watch.standing() == all(Status::Open));
    let stands = |watch: &Watch| {
        watch.result().is_some_and(|result| {
            let rules: BTreeSet<_> = result.findings.iter().map(|f| f.rule.as_str()).collect();
            rules == ROGUE.into() && result.findings.iter().all(|f| !f.evidence.is_empty())
        })
    };
    until("the result with the findings", || stands(&watch));
    let result = watch.result().expect("a result");
    for line in watch.findings() {
        let written = result.findings.iter().find(|finding| finding.id == line.id);
        let written = written.expect("a line's finding is in the result");
        assert_eq!((&line.rule, &line.subject), (&written.rule, &written.subject));
        assert_eq!(line.first_seen, written.first_seen, "{}", line.rule);
    }
    // Many results later no line was said twice.
    let id = result.sweep.id;
    until("another result", || {
        watch.result().is_some_and(|result| result.sweep.id != id) && stands(&watch)
    });
    assert_eq!(watch.findings().len(), ROGUE.len());
    radvd.kill().expect("it ends");
    radvd.wait().expect("it ended");
    until("the end of the findings", || watch.standing() == all(Status::Resolved));
    until("a result without them", || watch.result().is_some_and(|r| r.findings.is_empty()));
    assert_eq!(watch.findings().len(), 2 * ROGUE.len());
    watch.signal("TERM");
    assert_eq!(watch.ends().code(), Some(0), "{}", watch.said());
    let result = watch.result().expect("a result");
    assert!(result.sweep.complete);
    let coverage: Vec<_> =
        result.coverage.iter().map(|row| (row.prefix.as_str(), row.asked, row.complete)).collect();
    assert_eq!(coverage, [("10.9.0.0/24", 0, false), ("fd09::/64", 0, false)]);
    assert!(result.coverage.iter().all(|row| row.methods == ["passive"] && row.why_not.is_some()));
}

/// The service manager hears in order what happens; a registry that is refused changes nothing.
#[test]
fn a_registry_is_read_again_and_the_manager_is_told() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    let registry = registry(pair.folder.path());
    let path = pair.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let told = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&told);
    let listener = socket.try_clone().expect("a socket");
    std::thread::spawn(move || {
        let mut message = [0; 4096];
        while let Ok(length) = listener.recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            heard.lock().expect("messages").push(text);
        }
    });
    let told = || told.lock().expect("messages").clone();
    let count = |word: &str| told().iter().filter(|text| text.starts_with(word)).count();
    let words =
        ["--registry", registry.to_str().expect("a path"), "--format", "jsonl", "--interval", "1h"];
    let mut watch = Watch::start(&pair, &words, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    });
    until("readiness", || count("READY=1") == 1);
    let mut radvd = radvd(&pair);
    until("the findings", || watch.standing() == all(Status::Open));
    // A wire may be silent; who listens to it is alive all the same.
    let before = count("WATCHDOG=1");
    until("the watchdog", || count("WATCHDOG=1") >= before + 5);

    let segments = registry.join("segments.csv");
    let approved = fs::read_to_string(&segments).expect("the table") + "430102,fd66::/64,open\n";
    fs::write(&segments, &approved).expect("the table");
    let row = "430102,gateway,router,,02:00:00:00:00:0b\n";
    let devices = registry.join("devices.csv");
    let devices_before = fs::read_to_string(&devices).expect("the table");
    fs::write(&devices, devices_before + row).expect("the table");
    watch.signal("HUP");
    until("the end of the findings", || watch.standing() == all(Status::Resolved));
    until("readiness", || count("READY=1") == 2);

    fs::write(&segments, "unit,prefix,registration\n430102,10.9.0.1/24,open\n").expect("the table");
    watch.signal("HUP");
    until("readiness", || count("READY=1") == 3);
    until("the refusal", || watch.said().contains("was refused"));
    assert_eq!(watch.said().matches("was refused").count(), 1, "{}", watch.said());
    assert!(watch.said().contains("10.9.0.1/24"), "{}", watch.said());

    watch.signal("INT");
    assert_eq!(watch.ends().code(), Some(0), "{}", watch.said());
    radvd.kill().expect("it ends");
    radvd.wait().expect("it ended");
    let result = watch.result().expect("a result");
    assert!(result.findings.is_empty(), "the registry that was read before is in force");
    assert_eq!(watch.standing(), all(Status::Resolved));
    let order: Vec<_> = told()
        .iter()
        .filter(|text| !text.starts_with("WATCHDOG=1") && !text.starts_with("STATUS="))
        .map(|text| text.split(['\n']).next().unwrap_or_default().to_owned())
        .collect();
    let expected = ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"];
    assert_eq!(order, expected);
    let reloading: Vec<_> = told().into_iter().filter(|t| t.starts_with("RELOADING")).collect();
    assert!(reloading.iter().all(|text| text.contains("\nMONOTONIC_USEC=")), "{reloading:?}");
}

/// Whoever reads the file at any moment reads a whole result; so does who comes after a sudden end.
#[test]
fn results_are_replaced_whole_and_outlive_a_kill() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    let registry = registry(pair.folder.path());
    let words = ["--registry", registry.to_str().expect("a path"), "--interval", "1s"];
    let mut watch = Watch::start(&pair, &words, |_| {});
    let mut radvd = radvd(&pair);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/result.schema.json");
    let schema = fs::read_to_string(path).expect("the schema");
    let schema = serde_json::from_str(&schema).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    let is_whole = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).expect("whole JSON");
        assert!(schema.is_valid(&value), "{text}");
        value["sweep"]["id"].as_str().expect("an id").to_owned()
    };
    let result = watch.out.join("result.json");
    let mut ids = BTreeSet::new();
    let mut read = 0u32;
    until("several results", || {
        if let Ok(text) = fs::read_to_string(&result) {
            read += 1;
            ids.insert(is_whole(&text));
        }
        ids.len() >= 4
    });
    assert!(read > 4);
    // Without --format findings are lines on stderr.
    until("a finding for the terminal", || watch.said().contains("(rogue-router-advertisement, "));
    watch.signal("KILL");
    assert_eq!(watch.ends().code(), None);
    radvd.kill().expect("it ends");
    radvd.wait().expect("it ended");
    let left = fs::read_to_string(&result).expect("a result");
    is_whole(&left);
    for name in ["observations.jsonl.zst", "evidence.pcapng", "report.html", "findings.csv"] {
        assert!(watch.out.join(name).is_file(), "{name}");
    }
    // What is left over can be judged again, and gone on over.
    let mut audit = pair.jiebei(&["audit"]);
    let audited = audit.arg(&watch.out).arg("--registry").arg(&registry).arg("--out");
    let audited = audited.arg(pair.folder.path().join("again")).output().expect("it runs");
    assert!(audited.status.success(), "{}", String::from_utf8_lossy(&audited.stderr));
    let mut again = Watch::start(&pair, &["--seconds", "1"], |_| {});
    assert_eq!(again.ends().code(), Some(0), "{}", again.said());
    assert_ne!(is_whole(&fs::read_to_string(&result).expect("a result")), is_whole(&left));
}

/// On a link where our own kernel is silent, nothing at all comes from our side.
#[test]
fn a_watch_sends_nothing() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    let a = &pair.scanner;
    run(&format!("ip netns exec {a} sysctl -qw net.ipv6.conf.va.disable_ipv6=1"));
    run(&format!("ip -n {a} addr flush dev va"));
    run(&format!("ip -n {a} link set va arp off"));
    let witness = pair.witness("ether src 02:00:00:00:00:0a");
    let words = ["--seconds", "4", "--interval", "1s", "--hear", "openings"];
    let mut watch = Watch::start(&pair, &words, |_| {});
    let mut radvd = radvd(&pair);
    let _ = pair.inside(&pair.peer, "ping").args(["-c", "3", "-i", "0.2", "10.9.0.77"]).output();
    assert_eq!(watch.ends().code(), Some(0), "{}", watch.said());
    radvd.kill().expect("it ends");
    radvd.wait().expect("it ended");
    let sent = witness.end();
    assert!(sent.is_empty(), "{sent:?}");
    let result = watch.result().expect("a result");
    assert_eq!(result.sweep.packets_sent, 0);
    assert!(result.sweep.packets_received > 0);
    // What was listened to and could not be heard is said where a negative is weighed.
    assert!(result.coverage.is_empty(), "no prefix is this link's");
    let codes: Vec<_> = result.sweep.notices.iter().map(|notice| notice.code.as_str()).collect();
    assert!(codes.contains(&"heard-openings"), "{codes:?}");
}

#[test]
fn the_unit_is_understood_by_systemd() {
    let analyze = |arguments: &[&str]| Command::new("systemd-analyze").args(arguments).output();
    if analyze(&["--version"]).is_err() {
        eprintln!("not run: there is no systemd-analyze");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/systemd/jiebei-watch@.service");
    let text = fs::read_to_string(unit).expect("the unit");
    let text = text.replace("/usr/local/bin/jiebei", env!("CARGO_BIN_EXE_jiebei"));
    let path = folder.path().join("jiebei-watch@eth1.service");
    fs::write(&path, text).expect("a copy");
    let output = analyze(&["verify", "--man=no", path.to_str().expect("a path")]);
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.trim().is_empty(), "{said}");
}

/// What judging costs while a hundred thousand stations talk, and whether it costs the listening anything:
/// `cargo test --release --test watch -- --ignored --nocapture`.
#[test]
#[ignore = "measures"]
fn a_hundred_thousand_stations() {
    const A_SECOND: f64 = 50_000.0;
    if !privileged() {
        return;
    }
    // Where `closed`, each of them is a finding.
    let registration = std::env::var("JIEBEI_REGISTRATION").unwrap_or_else(|_| "open".to_owned());
    let pair = Pair::new();
    let registry = registry(pair.folder.path());
    let rows = format!("430102,10.64.0.0/14,{registration}\n");
    let segments = registry.join("segments.csv");
    fs::write(&segments, fs::read_to_string(&segments).unwrap() + &rows).expect("the table");
    let words = [
        "--registry",
        registry.to_str().expect("a path"),
        "--interval",
        "30s",
        "--format",
        "jsonl",
    ];
    let mut watch = Watch::start(&pair, &words, |command| {
        command.env("JIEBEI_LOG", "jiebei=debug");
    });
    let peer = PathBuf::from(format!("/run/netns/{}", pair.peer));
    let sender = std::thread::spawn(move || {
        link::sys::netns::enter(&peer).expect("the peer's namespace");
        let (mut transmit, _) =
            link::open("vb", link::Io::Batch, &link::Options::default()).expect("a link");
        let began = Instant::now();
        let mut sent = 0u32;
        while began.elapsed() < Duration::from_secs(80) {
            for number in sent..sent + 64 {
                let _ = transmit.queue(&of_station(number));
            }
            let _ = transmit.flush();
            sent += 64;
            let due = Duration::from_secs_f64(f64::from(sent) / A_SECOND);
            std::thread::sleep(due.saturating_sub(began.elapsed()));
        }
        sent
    });
    let mut resident = Vec::new();
    while !sender.is_finished() {
        let status = fs::read_to_string(format!("/proc/{}/status", watch.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        resident.push(line.split_whitespace().nth(1).unwrap_or("0").to_owned());
        std::thread::sleep(Duration::from_secs(5));
    }
    let sent = sender.join().expect("the sender ends");
    watch.signal("INT");
    assert_eq!(watch.ends().code(), Some(0), "{}", watch.said());
    for line in watch.said().lines().filter(|line| line.contains("judged")) {
        eprintln!("{line}");
    }
    let sweep = watch.result().expect("a result").sweep;
    eprintln!("resident every 5 s, KiB: {}", resident.join(" "));
    eprintln!(
        "sent {sent}, received {}, dropped by the kernel {}; lines {}",
        sweep.packets_received,
        sweep.packets_dropped,
        watch.findings().len()
    );
}

/// How many talk.
const STATIONS: u32 = 100_000;

/// Says who it is by ARP, or sends a datagram: by turns of all.
fn of_station(number: u32) -> Vec<u8> {
    let (round, number) = (number / STATIONS, number % STATIONS);
    let [_, b, c, d] = number.to_be_bytes();
    let macs =
        build::Macs { source: Mac([2, 1, 0, b, c, d]), destination: Mac([2, 0, 0, 0, 0, 11]) };
    let own = std::net::Ipv4Addr::from_bits(0x0a40_0000 + number);
    if round.is_multiple_of(2) {
        return build::arp_request(macs, own, [10, 64, 0, 1].into());
    }
    let gateway: IpAddr = [10, 64, 0, 1].into();
    build::udp_datagram(macs, (own.into(), 4000), (gateway, 514), 64, &[0; 64]).expect("one family")
}
