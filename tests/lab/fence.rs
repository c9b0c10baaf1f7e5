//! What must never be sent, and how fast the rest may be: told by tcpdump where it would arrive.

use std::collections::BTreeMap;
use std::process::Command;

use crate::raised::{privileged, scenario_file};
use crate::swept::swept;

/// No frame of the sweep's may have reached this host but link-wide ones, and none of those may
/// have asked for it.
fn assert_left_alone(scenario: &'static str, host: &str, asks_for_it: &str) {
    let scanner = scanner_mac(scenario);
    let witness = swept(scenario).witness(host);
    let reached = witness.frames(&format!("ether src {scanner} and not ether multicast"));
    assert!(reached.is_empty(), "{host} was sent:\n{}", reached.join("\n"));
    let asked = witness.frames(&format!("ether src {scanner} and ({asks_for_it})"));
    assert!(asked.is_empty(), "{host} was asked for:\n{}", asked.join("\n"));
    // The witness was awake: the sweep of the neighbours' addresses is broadcast.
    assert_ne!(witness.count(&format!("ether src {scanner} and ether multicast")), 0);
}

#[test]
fn an_excluded_host_hears_only_what_all_hear() {
    if privileged() {
        assert_left_alone("town", "excluded", "arp dst host 10.20.1.200");
        // Multicast solicitations for its two IPv6 addresses, by the last octets of the target.
        let solicited = "ip6[60:4] == 0x000000c8 or ip6[60:4] == 0xfe6608c8";
        let asks = format!(
            "arp dst host 10.66.8.200 or \
             (icmp6 and ether multicast and ip6[40] == 135 and ({solicited}))"
        );
        assert_left_alone("county", "excluded", &asks);
    }
}

#[test]
fn a_neighbour_outside_the_scope_hears_only_what_all_hear() {
    if privileged() {
        assert_left_alone("town", "visitor", "arp dst host 10.99.1.5");
    }
}

/// A controller of `county` is in `observe_only`: it is found, by one gentle question, and nobody
/// talks to it or steers a packet through it.
#[test]
fn a_fragile_host_is_found_and_not_talked_to() {
    if !privileged() {
        return;
    }
    let (scanner, county) = (scanner_mac("county"), swept("county"));
    let witness = county.witness("plc");
    let talk = witness.frames(&format!("ether src {scanner} and not ether multicast and not arp"));
    assert!(talk.is_empty(), "{}", talk.join("\n"));
    assert!(county.result()["devices"].to_string().contains("10.66.8.48"));
}

#[test]
fn nothing_is_routed_beyond_the_scope() {
    if !privileged() {
        return;
    }
    let beyond = swept("town").witness("beyond");
    // Not one packet, nor the gateway asking on behalf of one.
    assert_eq!(beyond.frames("src host 10.20.1.5 or arp"), Vec::<String>::new());
    let internet = swept("town").witness("internet");
    assert_eq!(internet.frames("ip or (ip6 and not net ff02::/16)"), Vec::<String>::new());
}

#[test]
fn nothing_is_left_half_open() {
    if privileged() {
        for scenario in ["town", "county", "quiet"] {
            assert_eq!(swept(scenario).half_open, "", "{scenario}");
        }
    }
}

/// Every frame with the scanner's source, as its witness at the other end of the cable timed it,
/// and the address it was about.
fn sent(scenario: &'static str) -> Vec<(f64, String)> {
    let capture = swept(scenario).beside("witness/scan.pcap");
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(capture).args([
        "-n",
        "-T",
        "fields",
        "-E",
        "occurrence=f",
        "-E",
        "separator=,",
    ]);
    tshark.args(["-Y", &format!("eth.src == {}", scanner_mac(scenario))]);
    for field in [
        "frame.time_epoch",
        "arp.dst.proto_ipv4",
        "icmpv6.nd.ns.target_address",
        "ip.dst",
        "ipv6.dst",
    ] {
        tshark.args(["-e", field]);
    }
    let output = tshark.output().expect("tshark runs");
    let text = String::from_utf8(output.stdout).expect("tshark writes UTF-8");
    let frames = text.lines().map(|line| {
        let mut fields = line.split(',');
        let time = fields.next().and_then(|time| time.parse().ok()).expect("a frame has a time");
        (time, fields.find(|field| !field.is_empty()).unwrap_or_default().to_owned())
    });
    frames.collect()
}

fn scanner_mac(scenario: &str) -> String {
    let lab = std::fs::read_to_string(scenario_file(scenario, "lab.toml")).expect("a scenario");
    let lab: toml::Value = toml::from_str(&lab).expect("lab.toml is TOML");
    let scanner = &lab["host"][lab["scanner"].as_str().expect("a name")];
    scanner["links"][0]["mac"].as_str().expect("a MAC").to_owned()
}

/// The most frames in any one second.
fn busiest_second(times: &[f64]) -> usize {
    let mut first = 0;
    let mut most = 0;
    for (last, time) in times.iter().enumerate() {
        while time - times[first] >= 1.0 {
            first += 1;
        }
        most = most.max(last + 1 - first);
    }
    most
}

#[test]
fn no_second_is_over_a_ceiling() {
    if !privileged() {
        return;
    }
    for scenario in ["town", "county", "quiet"] {
        let profile = std::fs::read_to_string(scenario_file(scenario, "profile.toml")).unwrap();
        let profile: toml::Value = toml::from_str(&profile).expect("a profile is TOML");
        let ceiling = |key: &str| profile["rate"][key].as_integer().expect("a number") as usize;

        let sent = sent(scenario);
        let all: Vec<f64> = sent.iter().map(|(time, _)| *time).collect();
        assert!(all.len() > 500, "{scenario}: only {} frames were seen", all.len());
        let most = busiest_second(&all);
        assert!(most <= ceiling("packets_per_second"), "{scenario}: {most} frames in a second");

        let mut each: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (time, address) in &sent {
            each.entry(address).or_default().push(*time);
        }
        for (address, times) in each {
            let most = busiest_second(&times);
            assert!(most <= ceiling("per_target"), "{scenario}: {address}: {most} in a second");
        }
    }
}
