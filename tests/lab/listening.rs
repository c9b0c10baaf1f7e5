//! Listening alone, at a mirror port: each thing that was planted is found, nothing else is, and nothing is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::evidence::{assert_shown, dissected};
use crate::raised::{Lab, Witness, expect_code, privileged, scenario_file};
use crate::swept::{assert_as_planted, read_result, swept};

/// How long something that daemons do every few seconds may take on a machine that is loaded.
const PATIENCE: Duration = Duration::from_secs(90);

/// What has to be on the wire while somebody listens, as tcpdump's filters, and how often.
const TO_BE_HEARD: &[(&str, usize)] = &[
    ("ether src 52:54:00:98:01:61 and udp src port 67", 1),
    ("ether src 00:1b:54:98:01:02 and udp src port 67", 1),
    ("ether src 00:1b:54:98:01:01 and icmp6 and ip6[40] == 134", 2),
    ("ether src 52:54:00:98:01:62 and icmp6 and ip6[40] == 134", 2),
    ("ether src 52:54:00:98:01:63 and ip6 and ip6[6] == 0", 2),
    ("ether src 52:54:00:98:01:64 and ip6 and ip6[6] == 44", 6),
    ("ether src 52:54:00:98:01:65 and ip[8] == 64", 1),
    ("ether src 52:54:00:98:01:65 and ip[8] == 63", 1),
    ("ether src 52:54:00:98:01:65 and ip[8] == 127", 1),
    ("ether src 00:1b:54:98:01:06 and ip[8] == 127", 1),
    ("ether src 52:54:00:98:01:66 and src host 10.77.3.9", 3),
    ("ether src 52:54:00:98:01:67 and udp dst port 4789", 1),
    ("ether src 00:1b:54:98:01:05 and udp dst port 4789", 1),
    ("ether src 52:54:00:98:01:71 and ip proto 47", 1),
    ("ether src 52:54:00:98:01:68 and ip proto 89", 2),
    ("ether src 00:1b:54:98:01:03 and ip proto 89", 2),
    ("ether src 52:54:00:98:01:69 and ip proto 112", 2),
    ("ether src 00:1b:54:98:01:03 and ip proto 112", 2),
    ("ether src 50:d4:f7:98:01:25 and tcp[13] & 18 == 18", 3),
    ("ether src 00:1b:54:98:01:01 and tcp[13] & 18 == 18", 3),
    ("arp and arp[14:4] == 0x0a630109", 2),
    ("arp and arp[14:4] == 0xc0a84d14", 2),
    ("arp and arp[14:4] == 0xc0a84d15", 1),
    // Each subject by its address, .25, .62 and on; DHCP, OSPF and VRRP say their own.
    ("arp and arp[14:4] == 0x0a620119", 1),
    ("arp and arp[14:4] == 0x0a62013e", 1),
    ("arp and arp[14:4] == 0x0a62013f", 1),
    ("arp and arp[14:4] == 0x0a620140", 1),
    ("arp and arp[14:4] == 0x0a620141", 1),
    ("arp and arp[14:4] == 0x0a620142", 1),
    ("arp and arp[14:4] == 0x0a620143", 1),
    ("arp and arp[14:4] == 0x0a620147", 1),
];

/// `jiebei watch` at the lab's mirror port, until it is interrupted.
fn watch(lab: &Lab, out: &str) -> Child {
    let mut watch = lab.jiebei("watch");
    watch.args(["--interface", lab.interface(), "--unit", "U8", "--lang", "en"]);
    watch.arg("--registry").arg(scenario_file("listening", "registry"));
    watch.arg("--out").arg(lab.folder.join(out));
    watch.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the watch runs")
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        sleep(Duration::from_millis(300));
    }
}

fn interrupted(watch: Child) -> Output {
    let kill = Command::new("kill").args(["-INT", &watch.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    watch.wait_with_output().expect("it ends")
}

/// Waits until everything that is planted was on the wire since now.
fn heard(lab: &Lab) {
    let witness = lab.witness("scan");
    let before: Vec<usize> = TO_BE_HEARD.iter().map(|(filter, _)| witness.count(filter)).collect();
    lab.forget_neighbours();
    let mut asked = Instant::now();
    for ((filter, least), before) in TO_BE_HEARD.iter().zip(before) {
        until(filter, || {
            if asked.elapsed() > Duration::from_secs(5) {
                lab.forget_neighbours();
                asked = Instant::now();
            }
            witness.count(filter) >= before + least
        });
    }
}

#[test]
fn a_mirror_port_shows_what_is_planted_and_nothing_is_sent() {
    if !privileged() {
        return;
    }
    let lab = Lab::raise("listening");
    // Since the cable is there: what its kernel had to say it has said.
    let sockets = |lab: &Lab| {
        let table = lab.inside("scan", "cat").arg("/proc/net/packet").output().expect("cat runs");
        String::from_utf8_lossy(&table.stdout).lines().count()
    };
    let before = sockets(&lab);
    let groups = |lab: &Lab| {
        let shown = lab.inside("scan", "ip").args(["maddress", "show", "dev", "eth0"]).output();
        String::from_utf8(shown.expect("ip runs").stdout).expect("text")
    };
    let joined = groups(&lab);
    let watch = watch(&lab, "watched");
    until("it listens", || sockets(&lab) > before);
    heard(&lab);
    // It joins no group: the port listens promiscuously.
    assert_eq!(groups(&lab), joined);
    let output = interrupted(watch);
    expect_code(&output, 0);
    let result = lab.folder.join("watched/result.json");
    assert_as_planted("listening", &result, None);
    let told = read_result(&result);
    assert_eq!(told["sweep"]["packets_sent"], 0);
    assert_eq!(told["sweep"]["complete"], true);

    // By the clock it ends by itself.
    let mut timed = lab.jiebei("watch");
    timed.args(["--interface", lab.interface(), "--seconds", "1", "--unit", "U8"]);
    timed.arg("--registry").arg(scenario_file("listening", "registry"));
    expect_code(&timed.arg("--out").arg(lab.folder.join("timed")).output().expect("it runs"), 0);
    let timed = read_result(&lab.folder.join("timed/result.json"));
    assert!(timed["sweep"]["packets_received"].as_u64() > Some(0));

    let folder = lab.folder.clone();
    drop(lab);
    // Whatever came out of the listener's cable, and what anybody had from its MAC.
    assert_eq!(Witness::at(&folder, "scan-sent").frames(""), Vec::<String>::new());
    for host in ["scan", "server"] {
        let own = "ether host 00:e0:4c:98:01:f0";
        assert_eq!(Witness::at(&folder, host).frames(own), Vec::<String>::new(), "{host}");
    }

    // tshark finds each in its packets.
    let frames = dissected(&folder.join("watched/evidence.pcapng"));
    for finding in told["findings"].as_array().expect("a list") {
        assert_shown(finding, &frames);
    }

    // What tcpdump recorded there tells the same, and reading it sends nothing: it has no interface to.
    let read = folder.join("read");
    let mut again = Command::new(env!("CARGO_BIN_EXE_jiebei"));
    again.env("NO_COLOR", "1").args(["watch", "--unit", "U8", "--lang", "en", "--read"]);
    again.arg(folder.join("witness/scan.pcap")).arg("--out").arg(&read);
    again.arg("--registry").arg(scenario_file("listening", "registry"));
    expect_code(&again.output().expect("it runs"), 0);
    assert_as_planted("listening", &read.join("result.json"), None);
    of_the_details(&read_result(&read.join("result.json")));
}

/// What the findings say beside their subjects.
fn of_the_details(result: &Value) {
    let findings = result["findings"].as_array().expect("a list");
    let detail = |rule: &str, ip: &str| {
        let found = findings.iter().find(|one| one["rule"] == rule && one["subject"]["ip"] == ip);
        found.unwrap_or_else(|| panic!("{rule} {ip}"))["detail"].clone()
    };
    let by = |ip| detail("rogue-router-advertisement", ip)["hidden_by"].clone();
    assert_eq!(by("10.98.1.63"), serde_json::json!(["extension-headers"]));
    assert_eq!(by("10.98.1.64"), serde_json::json!(["extension-headers", "fragments"]));
    assert_eq!(by("10.98.1.62"), Value::Null);
    let hidden = detail("hidden-network", "10.98.1.65");
    assert_eq!(hidden["forwarded_hop_limits"], serde_json::json!(["127", "63"]));
    assert_eq!(hidden["hosts"], 3);
    assert_eq!(detail("unregistered-tunnel", "10.98.1.67")["kind"], "vxlan");
    assert_eq!(detail("unregistered-tunnel", "10.98.1.71")["kind"], "gre");
    assert_eq!(detail("unregistered-tunnel", "10.98.1.71")["peer"], "203.0.113.20");
    assert_eq!(
        detail("unregistered-router", "10.98.1.66")["beyond"],
        serde_json::json!(["10.77.3.9"])
    );
    // By whom packets go out, the filed gateway too.
    let hops = result["next_hops"].as_array().expect("a list");
    for (mac, row) in [("00:1b:54:98:01:01", "gw"), ("50:d4:f7:98:01:25", "router")] {
        let hop = hops.iter().find(|hop| hop["mac"] == mac).unwrap_or_else(|| panic!("{mac}"));
        assert_eq!(hop["registered_as"], row);
        assert!(hop["outbound"].as_u64() > Some(0) && hop["answered"].as_u64() > Some(0), "{hop}");
    }
    let segments = result["segments"].as_array().expect("a list");
    let office = segments.iter().find(|one| one["prefix"] == "10.98.1.0/24").expect("it is seen");
    let talkers = office["talkers"].as_array().expect("a list");
    assert!(talkers.iter().any(|talker| talker["ip"] == "10.98.1.10"), "{talkers:#?}");
    // A NAT that is registered is told, and is no finding.
    let devices = result["devices"].as_array().expect("a list");
    let shelter = devices.iter().find(|one| one["registered_as"] == "shelter").expect("it is seen");
    assert!(shelter["behind"][0]["score"].as_u64().expect("a score") >= 50);
}

/// The record of a sweep, listened to, tells what the sweep's own listening told.
///
/// What may differ: all that is known by asking. A listener does not know a question from an answer by a token, so it has no
/// services and no silence, and what is beyond a router is nothing to it that a device is; and it has no scope.
#[test]
fn the_record_of_a_sweep_tells_a_listener_the_same() {
    if !privileged() {
        return;
    }
    let swept = swept("town");
    let out = swept.beside("listened");
    let mut listen = Command::new(env!("CARGO_BIN_EXE_jiebei"));
    listen.env("NO_COLOR", "1").args(["watch", "--lang", "en", "--read"]).arg(swept.record());
    listen.arg("--registry").arg(scenario_file("town", "registry")).arg("--out").arg(&out);
    expect_code(&listen.output().expect("it runs"), 0);
    let heard = read_result(&out.join("result.json"));
    let told = swept.result();

    // Findings that come of what stations say by themselves or to others.
    const HEARD: &[&str] = &[
        "foreign-segment",
        "asset-mismatch",
        "rogue-dhcp-server",
        "rogue-router-advertisement",
        "hidden-network",
        "unregistered-tunnel",
    ];
    let of = |result: &Value| -> BTreeSet<String> {
        let findings = result["findings"].as_array().expect("a list").iter();
        let findings = findings.filter(|one| HEARD.iter().any(|rule| one["rule"] == **rule));
        findings.map(|one| format!("{} {} {}", one["id"], one["rule"], one["subject"])).collect()
    };
    assert_eq!(of(&heard), of(&told));
    assert!(!of(&told).is_empty());

    // On the link: whatever made the stations answer, ARP and neighbour discovery bind them.
    type Seen = BTreeMap<String, (Value, Value, Value)>;
    let stations = |result: &Value| -> Seen {
        let devices = result["devices"].as_array().expect("a list").iter();
        let devices = devices.filter(|one| one["macs"] != serde_json::json!([]));
        devices
            .map(|one| {
                let on_link = one["bindings"].as_array().expect("a list").iter();
                let on_link = on_link.filter(|binding| binding["on_link"] == true);
                let addresses = on_link.map(|binding| binding["ip"].clone()).collect();
                let mac = one["macs"][0].as_str().expect("a MAC").to_owned();
                (mac, (addresses, one["hostnames"].clone(), one["vendor"].clone()))
            })
            .collect()
    };
    let (here, there) = (stations(&heard), stations(&told));
    for (mac, told) in &there {
        assert_eq!(here.get(mac), Some(told), "{mac}");
    }
    assert_eq!(here.len(), there.len(), "{here:#?}");

    // Segments that are on the link, and by what they are known.
    let segments = |result: &Value| -> BTreeMap<String, Value> {
        let segments = result["segments"].as_array().expect("a list").iter();
        let stated = ["router-advertisement", "dhcp", "routing-protocol"];
        let segments = segments.filter(|one| {
            let sources = one["sources"].as_array().expect("a list");
            sources.iter().any(|source| stated.iter().any(|stated| source == stated))
        });
        let key = |one: &Value| one["prefix"].as_str().expect("a prefix").to_owned();
        segments.map(|one| (key(one), one["sources"].clone())).collect()
    };
    assert_eq!(segments(&heard), segments(&told));
    assert!(!segments(&told).is_empty());
    assert_eq!(heard["sweep"]["packets_sent"], 0);
    assert!(Path::new(&out).join("evidence.pcapng").exists());
}
