//! A day of listening in minutes: frames of every kind over a veth pair, other stations and connections in each round, and
//! `jiebei watch` at the other end, whose memory must not grow once its tables are full.
//!
//! `scripts/soak` runs it longer and in a release build, and keeps the graph. Settings, by environment:
//! `JIEBEI_SOAK_SECONDS`, `JIEBEI_SOAK_RATE` (frames a second), `JIEBEI_SOAK_ROUNDS` (after so many the same stations come
//! again; 0 is never), `JIEBEI_SOAK_GRAPH` (an SVG file), `JIEBEI_SOAK_INTERVAL` (of results that are written meanwhile).
//!
//! **Flat** means: a straight line through the second half of the samples (least squares) rises, from its beginning to its end, by
//! less than 2 % of what it begins with and 2 MiB. Two MiB are what an allocator may keep of a result written in between.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiebei::link::sys::netns;
use jiebei::link::{self, Io, LinkError, Options, Transmit, privilege};
use jiebei::wire::{EtherType, Ethernet, LinkType, checksum, ethernet::Carried};
use soak_graph::{Sample, drawn, sparks};

#[path = "fuzz/src/targets/samples.rs"]
#[expect(dead_code, reason = "the fuzzer's corpus is no affair of a soak")]
mod samples;
#[path = "soak/graph.rs"]
mod soak_graph;

/// Frames that go over a link with the usual MTU.
const LONGEST: usize = 1514;
/// The least samples of a half that a line is drawn through.
const FEWEST: usize = 4;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |value| value.parse().expect("a number"))
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split_whitespace()).status();
    assert!(status.is_ok_and(|status| status.success()), "ip {arguments}");
}

/// Two namespaces and a cable, `va` in the first and `vb` in the second.
struct Cable {
    names: [String; 2],
}

impl Cable {
    fn lay() -> Cable {
        let names = ['a', 'b'].map(|end| format!("jbsoak{}{end}", std::process::id()));
        let [a, b] = &names;
        for name in [a, b] {
            ip(&format!("netns add {name}"));
            // No router solicitations: only what the soak sends.
            let set = format!("ip netns exec {name} sysctl -qw net.ipv6.conf");
            for which in ["all", "default"] {
                let words = format!("{set}.{which}.disable_ipv6=1");
                let mut words = words.split_whitespace();
                let set = Command::new(words.next().unwrap()).args(words).status();
                assert!(set.is_ok_and(|status| status.success()));
            }
        }
        ip(&format!("-n {a} link add va type veth peer name vb netns {b}"));
        ip(&format!("-n {a} link set va up"));
        ip(&format!("-n {b} link set vb up"));
        Cable { names }
    }

    /// Does something on a thread that stands in one of the two.
    fn inside<T: Send>(&self, end: usize, work: impl FnOnce() -> T + Send) -> T {
        let path = PathBuf::from("/run/netns").join(&self.names[end]);
        let there = move || {
            netns::enter(&path).expect("a namespace");
            work()
        };
        thread::scope(|scope| scope.spawn(there).join().expect("no panic"))
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// SplitMix64.
fn mixed(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Makes a frame of a capture that of another station, another connection, another name.
fn vary(frame: &mut [u8], by: u64) {
    let [a, b, c, d, e, f, g, _] = by.to_le_bytes();
    let station = |mac: &mut [u8]| {
        if mac[0] & 1 == 0 {
            (mac[3], mac[4], mac[5]) = (mac[3] ^ a, mac[4] ^ b, mac[5] ^ c);
        }
    };
    // The host's part of an address, so that prefixes stay what they are.
    let host = |address: &mut [u8]| {
        let length = address.len();
        address[length - 2] ^= b & 0x0f;
        address[length - 1] ^= c;
    };
    if frame.len() < 14 {
        return;
    }
    station(&mut frame[6..12]);
    let Ok(Ethernet { carried: Carried::EtherType(carried), payload, .. }) = Ethernet::read(frame)
    else {
        return;
    };
    let at = frame.len() - payload.len();
    let behind = &mut frame[at..];
    let ports_at = match (carried, behind.len()) {
        (EtherType::ARP, 28..) => {
            station(&mut behind[8..14]);
            host(&mut behind[14..18]);
            return;
        }
        (EtherType::IPV4, 20..) => {
            let length = usize::from(behind[0] & 0x0f) * 4;
            host(&mut behind[12..16]);
            if behind[16] < 224 {
                host(&mut behind[16..20]);
            }
            if length >= 20 && behind.len() >= length {
                (behind[10], behind[11]) = (0, 0);
                let sum = checksum::of(&behind[..length]);
                behind[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            matches!(behind[9], 6 | 17).then_some(length)
        }
        (EtherType::IPV6, 40..) => {
            host(&mut behind[8..24]);
            if behind[24] != 0xff {
                host(&mut behind[24..40]);
            }
            matches!(behind[6], 6 | 17).then_some(40)
        }
        _ => None,
    };
    if let Some(at) = ports_at
        && let Some(ports) = behind.get_mut(at..at + 4)
    {
        // The port that is no service's is another one.
        let place = if ports[0] >= ports[2] { 0 } else { 2 };
        if ports[place] >= 0x80 {
            (ports[place], ports[place + 1]) = (ports[place] ^ d & 0x7f, ports[place + 1] ^ e);
        }
        // A letter or digit somewhere, so that names are others.
        let (upper, at) = (&mut behind[at + 8..], usize::from(f) << 3 | usize::from(g & 7));
        let letters = upper.iter_mut().filter(|octet| octet.is_ascii_lowercase());
        if let Some(letter) = letters.skip(at % 64).step_by(5).next() {
            *letter = b'a' + d % 26;
        }
    }
}

/// Sends the frames over and over, so many a second, until it is told to stop.
fn send(transmit: &mut dyn Transmit, frames: &[Vec<u8>], stop: &AtomicBool, sent: &AtomicU64) {
    let rate = setting("JIEBEI_SOAK_RATE", 10_000) as f64;
    let rounds = setting("JIEBEI_SOAK_ROUNDS", 16);
    let (began, mut queued) = (Instant::now(), 0u64);
    let took = |flushed: Result<usize, LinkError>| match flushed {
        Ok(frames) => _ = sent.fetch_add(frames as u64, Ordering::Relaxed),
        Err(LinkError::Congested { .. }) => {}
        Err(error) => panic!("{error}"),
    };
    let mut copy = Vec::with_capacity(LONGEST);
    for round in 0u64.. {
        let round = if rounds == 0 { round } else { round % rounds };
        for (place, frame) in frames.iter().enumerate() {
            copy.clear();
            copy.extend_from_slice(frame);
            // Frames that stand together belong together: they vary alike.
            vary(&mut copy, mixed(round << 20 | place as u64 >> 3));
            while let Err(error) = transmit.queue(&copy) {
                took(Err(error));
            }
            queued += 1;
            if queued.is_multiple_of(64) {
                took(transmit.flush());
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let due = Duration::from_secs_f64(queued as f64 / rate);
                if let Some(early) = due.checked_sub(began.elapsed()) {
                    thread::sleep(early);
                }
            }
        }
    }
}

/// Resident memory in KiB, and ticks of the processor, of a process; `None` once it is gone.
fn of_process(process: u32) -> Option<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident = resident.split_whitespace().next()?.parse().ok()?;
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Behind the name, which may hold anything: the state, and ten more fields before the two times.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some((resident, ticks))
}

/// Frames that came to `vb`, read on a thread that stands there.
fn arrived() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/net/dev").unwrap_or_default();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("vb:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok()).unwrap_or(0)
}

/// What the listener last said of its tables: `name=number` behind the word `tables`, one line of its log.
fn tables(log: &Path) -> Vec<(String, u64)> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let line = text
        .lines()
        .rev()
        .find_map(|line| line.split_once("tables: "))
        .map_or("", |(_, said)| said);
    line.split_whitespace()
        .filter_map(|pair| pair.split_once('='))
        .filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
        .collect()
}

struct Watching {
    child: Child,
    folder: tempfile::TempDir,
}

impl Watching {
    fn begin(cable: &Cable, seconds: u64) -> Watching {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &cable.names[1], env!("CARGO_BIN_EXE_jiebei"), "watch"]);
        command.args([
            "--interface",
            "vb",
            "--lang",
            "en",
            "--seconds",
            &(seconds + 600).to_string(),
            "--out",
        ]);
        command
            .arg(folder.path().join("out"))
            .env("JIEBEI_LOG", "warn,jiebei::cli::progress=debug")
            .env("NO_COLOR", "1");
        if let Some(interval) = std::env::var_os("JIEBEI_SOAK_INTERVAL") {
            command.arg("--interval").arg(interval);
        }
        let log = fs::File::create(folder.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Watching { child: command.spawn().unwrap(), folder }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Stops it, and gives the head of its result.
    fn end(mut self) -> serde_json::Value {
        let stopped = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(stopped.is_ok_and(|status| status.success()));
        let status = self.child.wait().unwrap();
        let said = fs::read_to_string(self.log()).unwrap();
        assert!(matches!(status.code(), Some(0 | 1)), "{status}: {said}");
        let result = fs::read(self.folder.path().join("out/result.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&result).unwrap()["sweep"].clone()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The line through samples by least squares: where it begins, and by how much it rises from the first to the last.
fn line(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let middle = (count - 1.0) / 2.0;
    let mean = values.iter().sum::<f64>() / count;
    let places = (0..values.len()).map(|place| place as f64 - middle);
    let (mut above, mut below) = (0.0, 0.0);
    for (place, value) in places.zip(values) {
        above += place * (value - mean);
        below += place * place;
    }
    let slope = above / below;
    (mean - slope * middle, slope * (count - 1.0))
}

#[test]
fn memory_stays_flat() {
    if !privilege::has_net_raw() {
        eprintln!("not run: needs root");
        return;
    }
    let seconds = setting("JIEBEI_SOAK_SECONDS", 24);
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let frames: Vec<Vec<u8>> = samples::Samples::of(&captures)
        .frames
        .into_iter()
        .filter(|(link_type, frame)| {
            *link_type == LinkType::ETHERNET && (14..=LONGEST).contains(&frame.len())
        })
        .map(|(_, frame)| frame)
        .collect();
    let cable = Cable::lay();
    let (mut transmit, _) =
        cable.inside(0, || link::open("va", Io::Batch, &Options::default())).unwrap();
    let watching = Watching::begin(&cable, seconds);
    let process = watching.child.id();
    println!("second  MiB  percent of a core  frames sent  arrived  tables");
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut samples: Vec<Sample> = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            // The listener is there when it has opened its ring.
            thread::sleep(Duration::from_secs(1));
            send(transmit.as_mut(), &frames, &stop, &sent);
        });
        let (began, mut last) = (Instant::now(), (0, 0, 0));
        while began.elapsed() < Duration::from_secs(seconds) {
            thread::sleep(Duration::from_secs(1));
            let Some((resident, ticks)) = of_process(process) else { break };
            let now = (ticks, sent.load(Ordering::Relaxed), cable.inside(1, arrived));
            let sample = Sample {
                second: began.elapsed().as_secs(),
                resident,
                processor: now.0 - last.0,
                sent: now.1 - last.1,
                arrived: now.2 - last.2,
                tables: tables(&watching.log()),
            };
            if seconds <= 60 || sample.second.is_multiple_of(10) {
                println!("{sample}");
            }
            samples.push(sample);
            last = now;
        }
        stop.store(true, Ordering::Relaxed);
    });
    let half: Vec<f64> =
        samples[samples.len() / 2..].iter().map(|sample| sample.resident as f64 / 1024.0).collect();
    assert!(half.len() >= FEWEST, "the listener ended early");
    let (begin, rise) = line(&half);
    let sent = sent.into_inner();
    let verdict =
        format!("{sent} frames sent in {seconds} s; second half: {begin:.1} MiB, {rise:+.2} MiB");
    println!("{}\n{verdict}", sparks(&samples));
    if let Some(graph) = std::env::var_os("JIEBEI_SOAK_GRAPH") {
        fs::write(graph, drawn(&samples, &verdict)).unwrap();
    }
    assert!(rise <= begin * 0.02 + 2.0, "memory grows: {verdict}");
    let head = watching.end();
    let number = |name: &str| head[name].as_u64().unwrap_or(0);
    let (received, dropped) = (number("packets_received"), number("packets_dropped"));
    println!("{received} frames heard, {dropped} dropped by the kernel");
    // The machine may be too slow for the rate, and then the kernel drops; but it must have been a soak.
    assert!(received * 2 > sent && received > 100 * seconds, "{verdict}");
}
