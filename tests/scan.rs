//! `jiebei scan` against a peer that is whole networks, in namespaces of its own.

mod namespaces;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use jiebei::link::{self, Io};
use jiebei::net::Mac;
use jiebei::wire::tcp::{self, TcpSegment};
use jiebei::wire::{Protocol, build, icmp};
use namespaces::{Pair, privileged, run};

fn ended(output: &Output, code: i32) -> BTreeSet<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn every(first: [u8; 4], count: u32) -> BTreeSet<String> {
    let first = u32::from(Ipv4Addr::from(first));
    (0..count).map(|number| Ipv4Addr::from(first + number).to_string()).collect()
}

/// Waits until so many frames have come to the peer's end.
fn wait_for_frames(pair: &Pair, frames: u64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let received = pair.peer("cat /sys/class/net/vb/statistics/rx_packets");
        let received: u64 = String::from_utf8_lossy(&received.stdout).trim().parse().unwrap();
        if received >= frames {
            return;
        }
        assert!(Instant::now() < deadline, "{received} frames of {frames} in a minute");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn frames_at_peer(pair: &Pair) -> u64 {
    let received = pair.peer("cat /sys/class/net/vb/statistics/rx_packets");
    String::from_utf8_lossy(&received.stdout).trim().parse().unwrap()
}

#[test]
fn each_method_by_each_means_finds_exactly_who_is_there() {
    if !privileged() {
        return;
    }
    let mut pair = Pair::new();
    pair.serve();
    pair.hosts_behind("10.64.0.0/22");
    pair.hosts_behind("fd64::/118");
    pair.nobody_behind("10.65.0.0/24");
    for io in Io::ALL {
        let scan = |words: &[&str]| {
            let mut scan = pair.jiebei(&["scan", "--interface", "va", "--rate", "50000"]);
            scan.args(["--per-target", "max", "--io", io.word()]).args(words);
            ended(&scan.output().expect("it runs"), 0)
        };
        assert_eq!(
            scan(&["--method", "icmp", "--scope", "10.64.0.0/22"]),
            every([10, 64, 0, 0], 1024)
        );
        let six = scan(&["--method", "icmpv6", "--scope", "fd64::/118"]);
        assert_eq!(six.len(), 1024, "{io}");
        let open = scan(&[
            "--method",
            "tcp",
            "--ports",
            "80,81",
            "--scope",
            "10.64.0.0/24",
            "--scope",
            "10.65.0.0/24",
        ]);
        let expected: BTreeSet<_> =
            every([10, 64, 0, 0], 256).into_iter().map(|ip| format!("{ip} 80")).collect();
        assert_eq!(open, expected, "{io}");
        let all = scan(&[
            "--method",
            "tcp",
            "--ports",
            "80,81",
            "--all",
            "--format",
            "csv",
            "--scope",
            "10.64.0.0/24",
        ]);
        assert_eq!(all.iter().filter(|line| line.contains("tcp/81,closed")).count(), 256, "{io}");
        assert_eq!(scan(&["--method", "arp", "--scope", "10.9.0.0/24"]), every([10, 9, 0, 2], 1));
    }
}

#[test]
fn shards_of_a_seed_ask_everybody_once() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    pair.hosts_behind("10.64.0.0/23");
    let mut found = Vec::new();
    for shard in ["0/3", "1/3", "2/3"] {
        let mut scan =
            pair.jiebei(&["scan", "--interface", "va", "--method", "icmp", "--rate", "5000"]);
        scan.args(["--scope", "10.64.0.0/23", "--exclude", "10.64.0.16/28"]);
        let output = scan.args(["--shard", shard, "--seed", "2026-11"]).output().expect("it runs");
        found.extend(ended(&output, 0));
    }
    assert_eq!(found.len(), 512 - 16);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>().len(), 512 - 16);
}

#[test]
fn every_syn_ack_is_answered_by_a_reset_unless_a_lab_forbids_it() {
    if !privileged() {
        return;
    }
    let mut pair = Pair::new();
    pair.serve();
    pair.hosts_behind("10.64.0.0/24");
    for (words, resets) in [(&[][..], 256), (&["--no-reset"][..], 0)] {
        let witness = pair.witness("tcp");
        let mut scan =
            pair.jiebei(&["scan", "--interface", "va", "--method", "tcp", "--ports", "80"]);
        scan.args(["--scope", "10.64.0.0/24", "--rate", "5000"]).args(words);
        assert_eq!(ended(&scan.output().expect("it runs"), 0).len(), 256);
        let frames = witness.end();
        let count = |flags: &str| frames.iter().filter(|frame| frame.contains(flags)).count();
        assert_eq!(count("Flags [S],"), 256);
        assert_eq!(count("Flags [R]"), resets, "{words:?}");
    }
    // The rule went with its process.
    let rules = pair.inside(&pair.scanner, "nft").args(["list", "tables"]).output().expect("nft");
    assert!(rules.stdout.is_empty());
}

#[test]
fn an_interrupted_scan_lists_what_it_has() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    pair.hosts_behind("10.64.0.0/16");
    let mut scan =
        pair.jiebei(&["scan", "--interface", "va", "--method", "icmp", "--rate", "2000"]);
    scan.args(["--scope", "10.64.0.0/16"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = scan.spawn().expect("it runs");
    wait_for_frames(&pair, 2000);
    run(&format!("kill -INT {}", running.id()));
    let found = ended(&running.wait_with_output().expect("it ends"), 4);
    assert!((1000..20_000).contains(&found.len()), "{}", found.len());
}

#[test]
fn a_network_that_falls_silent_stops_the_scan() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    pair.hosts_behind("10.64.0.0/16");
    let mut scan =
        pair.jiebei(&["scan", "--interface", "va", "--method", "icmp", "--rate", "2000"]);
    scan.args(["--scope", "10.64.0.0/16"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = scan.spawn().expect("it runs");
    wait_for_frames(&pair, 4000);
    // The carrier stays, and nobody answers any more.
    pair.peer("nft 'add table netdev mute; add chain netdev mute everything { type filter hook ingress device vb priority 0; policy drop; }'");
    let silent_at = frames_at_peer(&pair);
    let output = running.wait_with_output().expect("it ends");
    let found = ended(&output, 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("fell silent"), "{said}");
    let after = frames_at_peer(&pair) - silent_at;
    // Five seconds of silence, and the time to notice it; answers thin out first, so it slowed down too.
    assert!(after < 2000 * 8, "{after} frames into silence");
    assert!(found.len() >= 3000, "{}", found.len());
}

#[test]
fn an_address_that_is_taken_away_stops_the_scan() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    pair.hosts_behind("10.64.0.0/16");
    let mut scan =
        pair.jiebei(&["scan", "--interface", "va", "--method", "icmp", "--rate", "2000"]);
    scan.args(["--scope", "10.64.0.0/16"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let running = scan.spawn().expect("it runs");
    wait_for_frames(&pair, 3000);
    run(&format!("ip -n {} addr del 10.9.0.1/24 dev va", pair.scanner));
    let output = running.wait_with_output().expect("it ends");
    ended(&output, 1);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("10.9.0.1 is not there any more"), "{said}");
}

/// Forged answers, a hundred for each question: none is taken for one, the true ones are all found, and
/// memory stays bounded.
#[test]
fn forged_answers_are_not_taken_for_answers() {
    if !privileged() {
        return;
    }
    let forged = Forged::during_a_scan(Some(100_000));
    let said = String::from_utf8_lossy(&forged.output.stderr);
    assert_eq!(forged.output.status.code(), Some(0), "{said}");
    assert_eq!(forged.answers.keys().copied().collect::<BTreeSet<_>>(), Forged::hosts());
    assert!(forged.answers.values().all(|times| *times == 1));
    assert!(forged.sent > 100_000, "{} forged", forged.sent);
    assert!(forged.most_memory < 300_000, "{} KiB", forged.most_memory);
}

/// As many as the machine can send: the true answers may be lost among them on the way, but nothing false is
/// found, and memory stays bounded. A machine that can do nothing else any more may take it for silence.
#[test]
fn a_flood_as_fast_as_the_machine_sends_adds_nothing() {
    if !privileged() {
        return;
    }
    let forged = Forged::during_a_scan(None);
    let said = String::from_utf8_lossy(&forged.output.stderr);
    assert!(matches!(forged.output.status.code(), Some(0 | 1)), "{said}");
    assert!(forged.answers.keys().all(|ip| Forged::hosts().contains(ip)), "{said}");
    assert!(forged.answers.values().all(|times| *times == 1));
    assert!(forged.sent > 100_000, "{} forged", forged.sent);
    assert!(forged.most_memory < 300_000, "{} KiB", forged.most_memory);
}

struct Forged {
    output: Output,
    answers: BTreeMap<IpAddr, usize>,
    sent: u64,
    /// In KiB.
    most_memory: u64,
}

impl Forged {
    fn hosts() -> BTreeSet<IpAddr> {
        every([10, 64, 0, 0], 256).iter().map(|ip| ip.parse().unwrap()).collect()
    }

    /// `rate`: forged frames a second, as many as go if none is given.
    fn during_a_scan(rate: Option<u32>) -> Forged {
        let mut pair = Pair::new();
        pair.serve();
        pair.hosts_behind("10.64.0.0/24");
        pair.nobody_behind("10.65.0.0/16");
        let peer = std::path::PathBuf::from(format!("/run/netns/{}", pair.peer));
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let forger = std::thread::spawn(move || {
            jiebei::link::sys::netns::enter(&peer).expect("the peer's namespace");
            let (mut transmit, _) = link::open("vb", Io::ALL[0], &link::Options::default())
                .or_else(|_| link::open("vb", Io::Pnet, &link::Options::default()))
                .expect("a link");
            let frames: Vec<Vec<u8>> = (0..4096).map(forged).collect();
            let (mut sent, since) = (0u64, Instant::now());
            // No more at once than a kernel's backlog holds, or it is not us who loses them.
            for burst in frames.chunks(256).cycle() {
                if stopped.try_recv().is_ok() {
                    break;
                }
                for frame in burst {
                    let _ = transmit.queue(frame);
                }
                let _ = transmit.flush();
                sent += burst.len() as u64;
                if let Some(rate) = rate {
                    let due = Duration::from_secs_f64(sent as f64 / f64::from(rate));
                    std::thread::sleep(due.saturating_sub(since.elapsed()));
                }
            }
            sent
        });
        let mut scan =
            pair.jiebei(&["scan", "--interface", "va", "--method", "tcp", "--ports", "80"]);
        scan.args([
            "--scope",
            "10.64.0.0/24",
            "--scope",
            "10.65.0.0/22",
            "--rate",
            "1000",
            "--rounds",
            "3",
        ]);
        scan.args(["--all", "--format", "csv"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = scan.spawn().expect("it runs");
        let status = format!("/proc/{}/status", running.id());
        let mut most = 0u64;
        let watch = std::thread::spawn(move || {
            // `ip netns exec` becomes the program: its pid is ours to read until it ends.
            while let Ok(text) = std::fs::read_to_string(&status) {
                let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
                let Some(line) = line else { break };
                most = most.max(line.trim().trim_end_matches(" kB").parse().unwrap_or(0));
                std::thread::sleep(Duration::from_millis(50));
            }
            most
        });
        let output = running.wait_with_output().expect("it ends");
        stop.send(()).expect("the forger is there");
        let sent = forger.join().expect("the forger ends");
        let most_memory = watch.join().expect("the watch ends");
        let answers = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.split(',').next()?.parse().ok())
            .fold(BTreeMap::new(), |mut all: BTreeMap<IpAddr, usize>, ip| {
                *all.entry(ip).or_default() += 1;
                all
            });
        Forged { output, answers, sent, most_memory }
    }
}

/// An answer of an address in either range, for a port that we ask from, without a token.
fn forged(number: u32) -> Vec<u8> {
    let macs =
        build::Macs { source: Mac([2, 0, 0, 0, 0, 11]), destination: Mac([2, 0, 0, 0, 0, 10]) };
    let ours: IpAddr = [10, 9, 0, 1].into();
    let mixed = number.wrapping_mul(0x9e37_79b1);
    let [a, b, c, d] = mixed.to_be_bytes();
    let them: IpAddr = [10, 64 + (a & 1), b & 15, c].into();
    if number % 4 == 3 {
        let mut message = Vec::new();
        icmp::write(&mut message, 0, 0, &[a, b, c, d, d, c, b, a, 1, 2, 3, 4]);
        return build::packet(macs, them, ours, Protocol::ICMP, 64, &message).expect("one family");
    }
    let segment = TcpSegment {
        source: 80,
        destination: 31_000 + (mixed % 1700) as u16,
        sequence: 1,
        acknowledgement: mixed.rotate_left(7),
        flags: if number.is_multiple_of(2) { tcp::SYN | tcp::ACK } else { tcp::RST | tcp::ACK },
        window: 100,
        options: &[],
        payload: &[],
    };
    build::tcp_segment(macs, them, ours, 64, &segment).expect("one family")
}

/// No router's neighbour table is flooded: of one /24 so many addresses are newly asked in any second, and no more.
#[test]
fn a_prefix_behind_a_router_is_asked_no_faster_than_its_ceiling() {
    if !privileged() {
        return;
    }
    let pair = Pair::new();
    pair.nobody_behind("10.65.0.0/22");
    pair.nobody_behind("fd65::/64");
    const MOST: usize = 60;
    for (method, scope) in [("icmp", "10.65.0.0/22"), ("icmpv6", "fd65::/120")] {
        let witness = pair.witness("icmp or icmp6");
        let mut scan =
            pair.jiebei(&["scan", "--interface", "va", "--rate", "20000", "--method", method]);
        scan.args(["--scope", scope, "--per-prefix", &MOST.to_string()]);
        ended(&scan.output().expect("it runs"), 0);
        let mut asked: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for frame in witness.end() {
            let Some((at, rest)) = frame.split_once(' ') else { continue };
            let Some((_, to)) = rest.split_once(" > ") else { continue };
            if !rest.contains("echo request") {
                continue;
            }
            let to = to.split(": ").next().unwrap_or_default();
            let prefix = match to.parse::<IpAddr>().expect("an address") {
                IpAddr::V4(ip) => Ipv4Addr::from(u32::from(ip) & 0xffff_ff00).to_string(),
                IpAddr::V6(_) => "fd65::".to_owned(),
            };
            asked.entry(prefix).or_default().push(at.parse().expect("seconds"));
        }
        let expected = if method == "icmp" { (4, 256) } else { (1, 256) };
        assert_eq!(asked.len(), expected.0, "{method}");
        for (prefix, times) in asked {
            assert_eq!(times.len(), expected.1, "{prefix}");
            for (place, from) in times.iter().enumerate() {
                let in_second = times[place..].iter().take_while(|at| **at < from + 1.0).count();
                assert!(in_second <= MOST, "{in_second} of {prefix} in a second");
            }
        }
    }
}
