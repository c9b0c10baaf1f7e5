//! The collector as a program, across a cable from the kernel that asks it. `tcpdump`, `nft`, `curl`, `dig`, `unbound` and
//! the kernel are the witnesses. Without root these tests say "not run".

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiebei::egress::ledger::{Extent, Ledger};
use jiebei::egress::token::{EgressKey, Token};
use jiebei::egress::witness::access::{self, Access, FetchError};
use jiebei::egress::witness::certificate::Identity;
use jiebei::link::{self, Io, Transmit, privilege, sys};
use jiebei::net::Mac;
use jiebei::observe::{Carrier, EgressMethod, EgressProbe, VantageId};
use jiebei::wire::build::{self, Macs};
use jiebei::wire::icmp::Echo;
use jiebei::wire::tcp::{RST, SYN, TcpSegment};

const INSIDE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);
const CANARY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 10);
const CANARY_6: &str = "2001:db8:1::10";
/// Somebody whose address is borrowed: resolved, and silent.
const BORROWED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 99);
const MACS: Macs =
    Macs { source: Mac([2, 0, 0, 0, 0, 0xa]), destination: Mac([2, 0, 0, 0, 0, 0xb]) };
const ZONE: &str = "w.example.net";
const SECRET: &str = "hush";
const SWEEP: &str = "01-sweep";

fn is_root() -> bool {
    let root = privilege::has_net_raw();
    if !root {
        eprintln!("not run: needs root");
    }
    root
}

fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn has(program: &str) -> bool {
    let found = Command::new("which").arg(program).output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("not run: needs {program}");
    }
    found
}

fn key() -> EgressKey {
    EgressKey::from_bytes([7; 32])
}

fn probe(carrier: Carrier, number: u32) -> EgressProbe {
    EgressProbe {
        number,
        method: EgressMethod::NextHop,
        carrier,
        target: [10, 20, 1, 7].into(),
        mac: Mac([2, 0, 0, 0, 0, 7]),
        asked_from: INSIDE.into(),
        canary: CANARY.into(),
        port: 443,
        hop_limit: 64,
        round: 1,
        // The ledger takes receipts of some minutes.
        sent_at: started(),
        redrawn: 0,
    }
}

fn started() -> jiff::Timestamp {
    static STARTED: std::sync::OnceLock<jiff::Timestamp> = std::sync::OnceLock::new();
    *STARTED
        .get_or_init(|| jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).unwrap())
}

fn token(carrier: Carrier, number: u32) -> Token {
    key().token(SWEEP, VantageId(0), &probe(carrier, number))
}

fn echo(token: Token) -> Vec<u8> {
    let octets = token.octets();
    let echo = Echo { identifier: 1, sequence: 1, data: &octets };
    build::echo_request(MACS, INSIDE, CANARY, 60, echo)
}

/// Two namespaces and a cable: the asker's with `vi`, the collector's with `vo`.
struct Stage {
    inner: String,
    outer: String,
    folder: PathBuf,
}

impl Stage {
    fn set() -> Stage {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("jbc{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let stage = Stage {
            inner: format!("{name}i"),
            outer: format!("{name}o"),
            folder: Path::new(env!("CARGO_TARGET_TMPDIR")).join("collector").join(&name),
        };
        fs::create_dir_all(&stage.folder).unwrap();
        let (inner, outer) = (&stage.inner, &stage.outer);
        for name in [inner, outer] {
            run(&format!("ip netns add {name}"));
            run(&format!("ip -n {name} link set lo up"));
        }
        run(&format!(
            "ip -n {inner} link add vi address 02:00:00:00:00:0a type veth peer name vo netns {outer} \
             address 02:00:00:00:00:0b"
        ));
        run(&format!("ip -n {inner} addr add {INSIDE}/24 dev vi"));
        run(&format!("ip -n {inner} addr add 2001:db8:1::7/64 dev vi nodad"));
        run(&format!("ip -n {outer} addr add {CANARY}/24 dev vo"));
        run(&format!("ip -n {outer} addr add {CANARY_6}/64 dev vo nodad"));
        run(&format!("ip -n {inner} link set vi up"));
        run(&format!("ip -n {outer} link set vo up"));
        run(&format!("ip -n {outer} neigh add {BORROWED} lladdr 02:00:00:00:00:0a dev vo"));
        stage
    }

    fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        in_namespace(&self.inner, work)
    }

    /// A command where the asker stands.
    fn command(&self, command: &str) -> Output {
        let mut ip = Command::new("ip");
        ip.args(["netns", "exec", &self.inner]).args(command.split_whitespace());
        ip.output().unwrap()
    }

    fn said(&self, command: &str) -> String {
        String::from_utf8_lossy(&self.command(command).stdout).into_owned()
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log.jsonl")
    }

    /// What is in the log and its rotated files.
    fn logged(&self) -> String {
        fs::read_to_string(self.log()).unwrap()
    }

    fn jiebei(&self, more: &[&str]) -> Command {
        let mut command = Command::new("ip");
        command
            .args(["netns", "exec", &self.outer, env!("CARGO_BIN_EXE_jiebei")])
            .args(["collector", "run", "--interface", "vo", "--lang", "en"])
            .args(["--log", self.log().to_str().unwrap()])
            .args(more)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn start(&self) -> Collector {
        self.start_with(&["--listen", "203.0.113.10:8443", "--token", SECRET])
    }

    fn start_with(&self, more: &[&str]) -> Collector {
        let key = key().to_hex();
        let mut all = vec!["--key", &key, "--zone", ZONE];
        all.extend(more);
        // `ip netns exec` becomes the program, so the child's id is the collector's.
        let mut child = self.jiebei(&all).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut lines = String::new();
        while !lines.contains("watches") || (more.contains(&"--listen") && !lines.contains("Pin")) {
            let count = said.read_line(&mut lines).unwrap();
            assert_ne!(count, 0, "the collector ended: {lines}");
        }
        thread::spawn(move || said.read_to_string(&mut String::new()));
        Collector { child, said: lines }
    }

    /// Fails to start, and says why.
    fn refused(&self, more: &[&str]) -> (i32, String) {
        let output = self.jiebei(more).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    fn ask<T: Send>(&self, ask: impl FnOnce(TcpStream) -> T + Send) -> T {
        self.inside(|| {
            let address = SocketAddr::from((CANARY, 8443));
            let stream = TcpStream::connect_timeout(&address, Duration::from_secs(3)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            ask(stream)
        })
    }

    fn fetch(&self, access: &Access) -> Result<String, FetchError> {
        self.ask(|stream| access::fetch(stream, access, SWEEP))
    }

    fn status(&self, access: &Access) -> access_status::Status {
        self.ask(|stream| access::status(stream, access)).unwrap()
    }

    /// Waits until so many receipts are acknowledged.
    fn wait_for(&self, access: &Access, logged: u64) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.status(access);
            if status.counts.logged >= logged {
                return;
            }
            assert!(Instant::now() < deadline, "{logged} receipts wanted: {status:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn rules(&self) -> String {
        run(&format!("ip netns exec {} nft list ruleset", self.outer))
    }

    fn wait_without_rules(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while self.rules().contains("jiebei") {
            assert!(Instant::now() < deadline, "the table is left behind");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn transmit(&self) -> Box<dyn Transmit> {
        self.inside(|| link::open("vi", Io::Ring, &link::Options::default()).unwrap().0)
    }

    fn send(&self, frames: &[Vec<u8>]) {
        let mut transmit = self.transmit();
        for frame in frames {
            transmit.queue(frame).unwrap();
        }
        transmit.flush().unwrap();
    }

    /// Captures what comes from the collector's side, but ARP, ND and MLD, until it is asked.
    fn tcpdump(&self) -> Tcpdump {
        let file = self.folder.join("answers.pcap");
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.inner, "tcpdump", "-i", "vi", "-n", "-U", "-Z", "root"])
            .arg("--immediate-mode")
            .arg("-w")
            .arg(&file)
            .arg("ether src 02:00:00:00:00:0b and not arp and not (icmp6 and ip6[40] >= 130)")
            .arg("and not (ip6[6] = 0)")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "tcpdump ended");
        }
        thread::spawn(move || said.read_to_string(&mut String::new()));
        Tcpdump { child, file }
    }
}

/// The type's path, for signatures.
mod access_status {
    pub use jiebei::egress::witness::interface::Status;
}

impl Drop for Stage {
    fn drop(&mut self) {
        for namespace in [&self.inner, &self.outer] {
            let deleted = Command::new("ip").args(["netns", "del", namespace]).status();
            if !deleted.is_ok_and(|status| status.success()) {
                eprintln!("the namespace {namespace} is left behind");
            }
        }
    }
}

struct Tcpdump {
    child: Child,
    file: PathBuf,
}

impl Tcpdump {
    /// One line a packet. Gives late answers a moment first.
    fn packets(self, patience: Duration) -> Vec<String> {
        thread::sleep(patience);
        run(&format!("kill -INT {}", self.child.id()));
        let mut child = self.child;
        child.wait().unwrap();
        let text = run(&format!("tcpdump -n -r {}", self.file.display()));
        text.lines().map(str::to_owned).collect()
    }
}

struct Collector {
    child: Child,
    /// Its first lines.
    said: String,
}

impl Collector {
    fn access(&self) -> Access {
        let digits = self.said.split_once("sha256): ").unwrap().1.split_whitespace().next();
        Access {
            token: Some(SECRET.to_owned()),
            pin: access::read_pin(digits.unwrap()),
            identity: None,
            authorities: Vec::new(),
            server: CANARY.to_string(),
        }
    }

    fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// SIGTERM, and the exit code.
    fn stop(mut self) -> i32 {
        run(&format!("kill -TERM {}", self.child.id()));
        self.child.wait().unwrap().code().unwrap()
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn in_namespace<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let path = Path::new("/run/netns").join(namespace);
    thread::scope(|scope| {
        let there = scope.spawn(move || {
            sys::netns::enter(&path).unwrap();
            work()
        });
        there.join().unwrap()
    })
}

/// The numbers of the probes that a log holds receipts of, and the faults it has.
fn checked(text: &str, probes: &[EgressProbe]) -> (Vec<u32>, Vec<&'static str>) {
    let key = key();
    let ledger = Ledger::new(&key, SWEEP, probes.iter().map(|probe| (VantageId(0), probe)));
    let findings = ledger.check(text, Extent::Picked);
    let mut numbers: Vec<u32> = findings.receipts.iter().map(|(_, r)| r.probe).collect();
    numbers.sort_unstable();
    (numbers, findings.faults.keys().copied().collect())
}

#[test]
fn junk_is_met_with_silence_and_a_token_with_one_packet() {
    if !is_root() {
        return;
    }
    let stage = Stage::set();
    let collector = stage.start();
    let access = collector.access();

    // An operator's service on the canary's address goes on working.
    let operator = in_namespace(&stage.outer, || TcpListener::bind((CANARY, 2222)).unwrap());
    let serving = thread::spawn(move || {
        let (mut stream, _) = operator.accept().unwrap();
        stream.write_all(b"operator").unwrap();
    });
    let mut greeting = String::new();
    stage.inside(|| {
        let mut stream = TcpStream::connect((CANARY, 2222)).unwrap();
        stream.read_to_string(&mut greeting).unwrap();
    });
    assert_eq!(greeting, "operator");
    serving.join().unwrap();

    let tcpdump = stage.tcpdump();
    stage.said(&format!("ping -c 3 -i 0.2 -W 1 {CANARY}"));
    stage.said(&format!("ping -6 -c 3 -i 0.2 -W 1 {CANARY_6}"));
    stage.inside(|| {
        for canary in [IpAddr::V4(CANARY), CANARY_6.parse().unwrap()] {
            let any = if canary.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            let socket = UdpSocket::bind(any).unwrap();
            let outside = b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x07example\x03net\0\0\x01\0\x01";
            for port in [53, 123, 161, 443, 4500, 5060, 33_434] {
                socket.send_to(&[0; 64], (canary, port)).unwrap();
                socket.send_to(outside, (canary, port)).unwrap();
            }
            for port in [22, 8080, 65_000] {
                let to = SocketAddr::from((canary, port));
                let refused = TcpStream::connect_timeout(&to, Duration::from_millis(300));
                assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::TimedOut, "{to}");
            }
        }
    });
    // A timestamp request, a stray acknowledgement, a reset and a SYN without a token, by a borrowed address too.
    let mut frames = Vec::new();
    for source in [INSIDE, BORROWED] {
        let segment = |flags, port| {
            let segment = TcpSegment {
                source: 50_000,
                destination: port,
                sequence: 1,
                acknowledgement: 77,
                flags,
                window: 1024,
                options: &[],
                payload: b"",
            };
            build::tcp_segment(MACS, source.into(), CANARY.into(), 60, &segment).unwrap()
        };
        frames.extend([segment(16, 9999), segment(RST, 9999), segment(SYN, 9999), segment(16, 80)]);
        let mut timestamp = Vec::new();
        jiebei::wire::icmp::write(&mut timestamp, 13, 0, &[0; 16]);
        let protocol = jiebei::wire::ip::Protocol::ICMP;
        let packet = build::packet(MACS, source.into(), CANARY.into(), protocol, 60, &timestamp);
        frames.push(packet.unwrap());
        let datagram =
            build::udp_datagram(MACS, (source.into(), 9), (CANARY.into(), 9999), 60, &[1; 40]);
        frames.push(datagram.unwrap());
    }
    stage.send(&frames);
    let answers = tcpdump.packets(Duration::from_millis(800));
    assert_eq!(answers, Vec::<String>::new(), "junk was answered");

    // A SYN to an open port by a borrowed address: one packet, and no second.
    let tcpdump = stage.tcpdump();
    let segment = TcpSegment {
        source: 50_001,
        destination: 80,
        sequence: 1,
        acknowledgement: 0,
        flags: SYN,
        window: 1024,
        options: &[],
        payload: b"",
    };
    let syn = build::tcp_segment(MACS, BORROWED.into(), CANARY.into(), 60, &segment).unwrap();
    stage.send(&[syn]);
    let answers = tcpdump.packets(Duration::from_millis(4500));
    assert_eq!(answers.len(), 1, "{answers:?}");

    // Valid tokens of what is captured: no packet at all.
    let tcpdump = stage.tcpdump();
    let datagram = token(Carrier::UdpDatagram, 1).octets();
    let (sequence, timestamp) = token(Carrier::TcpSyn, 2).sequence_and_timestamp();
    let mut options = vec![1, 1, 8, 10];
    options.extend_from_slice(&timestamp.to_be_bytes());
    options.extend_from_slice(&[0; 4]);
    let syn = TcpSegment { destination: 9999, sequence, options: &options, ..segment };
    stage.send(&[
        echo(token(Carrier::IcmpEcho, 0)),
        build::udp_datagram(MACS, (INSIDE.into(), 4000), (CANARY.into(), 33_434), 60, &datagram)
            .unwrap(),
        build::tcp_segment(MACS, INSIDE.into(), CANARY.into(), 60, &syn).unwrap(),
    ]);
    stage.wait_for_captured(&access, 3, tcpdump);
    let probes =
        [probe(Carrier::IcmpEcho, 0), probe(Carrier::UdpDatagram, 1), probe(Carrier::TcpSyn, 2)];
    assert_eq!(checked(&stage.fetch(&access).unwrap(), &probes), (vec![0, 1, 2], vec![]));
    assert_eq!(checked(&stage.logged(), &probes), (vec![0, 1, 2], vec![]));

    assert_eq!(collector.stop(), 0);
    stage.wait_without_rules();
}

impl Stage {
    /// Waits for receipts, and that tcpdump saw no answer but those of the interface's own port.
    fn wait_for_captured(&self, access: &Access, logged: u64, tcpdump: Tcpdump) {
        self.wait_for(access, logged);
        let answers = tcpdump.packets(Duration::from_millis(500));
        let others: Vec<_> =
            answers.iter().filter(|line| !line.contains("203.0.113.10.8443 >")).collect();
        assert_eq!(others, Vec::<&String>::new());
    }
}

#[test]
fn names_are_answered_once_and_within_twice_the_question() {
    if !is_root() || !has("dig") {
        return;
    }
    let stage = Stage::set();
    let collector = stage.start();
    let access = collector.access();
    let label = |number| token(Carrier::DnsUdp, number).label();
    let dig = |rest: &str| stage.said(&format!("dig +tries=1 +time=2 {rest}"));

    let text = dig(&format!("+short @{CANARY} {}.{ZONE} TXT", label(0)));
    let told = text.trim().trim_matches('"');
    assert_eq!(key().read_answer(token(Carrier::DnsUdp, 0), told.as_bytes()), Some(INSIDE.into()));
    let upper = label(1).to_ascii_uppercase();
    let text = dig(&format!("+short +tcp @{CANARY_6} {upper}.W.Example.NET AAAA"));
    assert_eq!(text.trim(), CANARY_6);
    let text = dig(&format!("+short @{CANARY} {}.{ZONE} A", label(2)));
    assert_eq!(text.trim(), CANARY.to_string());
    let text = dig(&format!("@{CANARY} {}.{ZONE} MX", label(3)));
    assert!(text.contains("NOERROR") && text.contains("ANSWER: 0"), "{text}");
    let text = dig(&format!("+short @{CANARY} {ZONE} NS"));
    assert_eq!(text.trim(), format!("{ZONE}."));
    for silent in [format!("@{CANARY} x.{ZONE}"), format!("@{CANARY} version.bind CH TXT")] {
        let text = stage.said(&format!("dig +tries=1 +time=1 {silent}"));
        assert!(text.contains("timed out") || text.contains("no servers"), "{text}");
    }

    // In packets and octets, as tcpdump counts them: a bare question for the longest answer.
    let asked = {
        let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 26];
        message.extend_from_slice(label(4).as_bytes());
        message.extend_from_slice(b"\x01w\x07example\x03net\0\0\x10\0\x01");
        message
    };
    let tcpdump = stage.tcpdump();
    let answered = stage.inside(|| {
        let socket = UdpSocket::bind("[::]:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let canary: IpAddr = CANARY_6.parse().unwrap();
        socket.send_to(&asked, (canary, 53)).unwrap();
        let mut room = [0; 1500];
        socket.recv(&mut room).unwrap()
    });
    let packets = tcpdump.packets(Duration::from_millis(300));
    println!("dns: {} octets asked, {answered} answered, {} packet", asked.len(), packets.len());
    assert_eq!(packets.len(), 1, "{packets:?}");
    assert!(answered <= 2 * asked.len());

    stage.wait_for(&access, 5);
    let probes: Vec<_> = (0..5).map(|number| probe(Carrier::DnsUdp, number)).collect();
    assert_eq!(checked(&stage.fetch(&access).unwrap(), &probes).0, [0, 1, 2, 3, 4]);
    assert_eq!(collector.stop(), 0);
}

#[test]
fn a_resolver_that_minimises_and_mixes_names_comes_through() {
    if !is_root() || !has("unbound") || !has("dig") {
        return;
    }
    let stage = Stage::set();
    let collector = stage.start();
    let access = collector.access();
    let file = stage.folder.join("unbound.conf");
    fs::write(
        &file,
        format!(
            "server:\n directory: \"\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n use-syslog: no\n \
             interface: 127.0.0.1\n do-not-query-localhost: no\n qname-minimisation: yes\n \
             qname-minimisation-strict: yes\n use-caps-for-id: yes\n module-config: \"iterator\"\n \
             root-hints: \"\"\n\
             remote-control:\n control-enable: no\n\
             stub-zone:\n name: \"{ZONE}\"\n stub-addr: {CANARY}\n"
        ),
    )
    .unwrap();
    let mut unbound = Command::new("ip")
        .args(["netns", "exec", &stage.inner, "unbound", "-d", "-c"])
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = String::new();
    for number in 0..20 {
        let label = token(Carrier::DnsUdp, number).label();
        told = stage.said(&format!("dig +short +tries=1 +time=3 @127.0.0.1 {label}.{ZONE} TXT"));
        if told.starts_with('"') {
            let told = told.trim().trim_matches('"').as_bytes();
            let observed = key().read_answer(token(Carrier::DnsUdp, number), told);
            assert_eq!(observed, Some(INSIDE.into()));
            break;
        }
        // It is still starting.
        thread::sleep(Duration::from_millis(100));
    }
    unbound.kill().unwrap();
    unbound.wait().unwrap();
    assert!(told.starts_with('"'), "{told}");
    stage.wait_for(&access, 1);
    assert_eq!(collector.stop(), 0);
}

#[test]
fn the_web_server_answers_a_token_and_closes_on_everything_else() {
    if !is_root() || !has("curl") {
        return;
    }
    let stage = Stage::set();
    let collector = stage.start();
    let access = collector.access();
    let curl = |rest: &str| stage.said(&format!("curl -sk --max-time 3 {rest}"));
    let path = |number| token(Carrier::HttpGet, number).label();
    let is_proof = |number, told: &str| {
        let token = token(Carrier::HttpGet, number);
        key().read_answer(token, told.as_bytes()) == Some(INSIDE.into())
    };
    assert!(is_proof(0, &curl(&format!("http://{CANARY}/{}", path(0)))));
    assert!(is_proof(1, &curl(&format!("https://{CANARY}/{}", path(1)))));
    assert!(is_proof(2, &curl(&format!("http://{CANARY}:443/{}", path(2)))));
    let relayed =
        format!("-H X-Forwarded-For:10.20.1.7 -x http://{CANARY}:80 http://x.example/{}", path(3));
    assert!(is_proof(3, &curl(&relayed)));
    for junk in
        ["GET / HTTP/1.1\r\n\r\n", "\0\0\0\0\0\r\n", "HEAD /x HTTP/1.0\r\n\r\n", "\x04\x01\n"]
    {
        for port in [80, 443] {
            let told = stage.inside(|| {
                let mut stream = TcpStream::connect((CANARY, port)).unwrap();
                stream.write_all(junk.as_bytes()).unwrap();
                let mut told = Vec::new();
                let _ = stream.read_to_end(&mut told);
                told
            });
            assert_eq!(told, b"", "{junk:?}");
        }
    }
    stage.wait_for(&access, 4);
    let log = stage.fetch(&access).unwrap();
    assert!(log.contains("x-forwarded-for: 10.20.1.7"), "{log}");
    let probes: Vec<_> = (0..4).map(|number| probe(Carrier::HttpGet, number)).collect();
    assert_eq!(checked(&log, &probes), (vec![0, 1, 2, 3], vec![]));
    assert_eq!(collector.stop(), 0);
}

#[test]
fn a_kill_amid_a_hundred_thousand_receipts_loses_none_that_was_acknowledged() {
    if !is_root() {
        return;
    }
    const ALL: u32 = 100_000;
    let stage = Stage::set();
    let key = key();
    let mut tokens = std::collections::BTreeSet::new();
    // Of so many, one or two are drawn again, as a sweep does it.
    let probes: Vec<_> = (0..ALL)
        .map(|number| probe(Carrier::IcmpEcho, number))
        .map(|mut probe| {
            while !tokens.insert(key.token(SWEEP, VantageId(0), &probe)) {
                probe.redrawn += 1;
            }
            probe
        })
        .collect();
    let frames: Vec<_> =
        probes.iter().map(|probe| echo(key.token(SWEEP, VantageId(0), probe))).collect();
    let collector = stage.start();
    let access = collector.access();
    let began = Instant::now();
    let sent = AtomicU32::new(0);
    let over = AtomicBool::new(false);
    let mut collector = Some(collector);
    let acknowledged = thread::scope(|scope| {
        scope.spawn(|| {
            let mut transmit = stage.transmit();
            for batch in frames.chunks(250) {
                for frame in batch {
                    transmit.queue(frame).unwrap();
                }
                transmit.flush().unwrap();
                sent.fetch_add(batch.len() as u32, Ordering::Relaxed);
                // 50,000 a second at most.
                thread::sleep(Duration::from_millis(5));
            }
            over.store(true, Ordering::Relaxed);
        });
        while stage.status(&access).counts.logged < u64::from(ALL) / 3 {
            thread::sleep(Duration::from_millis(10));
        }
        let acknowledged = stage.fetch(&access).unwrap();
        collector.take().unwrap().kill();
        acknowledged
    });
    assert!(over.load(Ordering::Relaxed));
    let lines = acknowledged.lines().count();
    let log = stage.logged();
    println!(
        "killed after {lines} acknowledged receipts; {} in the log; {} sent in {:?}",
        log.lines().count(),
        sent.load(Ordering::Relaxed),
        began.elapsed()
    );
    assert!(lines >= ALL as usize / 3);
    assert!(log.starts_with(&acknowledged), "an acknowledged receipt is not in the log");
    stage.wait_without_rules();

    // It goes on where it stopped, and what was not heard meanwhile is heard now.
    let (held, _) = checked(&log, &probes);
    let collector = stage.start();
    let mut transmit = stage.transmit();
    let held: std::collections::BTreeSet<u32> = held.into_iter().collect();
    let missing: Vec<_> = (0..ALL)
        .filter(|number| !held.contains(number))
        .map(|number| &frames[number as usize])
        .collect();
    for batch in missing.chunks(250) {
        for frame in batch {
            transmit.queue(frame).unwrap();
        }
        transmit.flush().unwrap();
        thread::sleep(Duration::from_millis(5));
    }
    stage.wait_for(&collector.access(), (ALL as usize - held.len()) as u64);
    assert_eq!(collector.stop(), 0);
    let (numbers, faults) = checked(&stage.logged(), &probes);
    assert_eq!((numbers.len(), faults), (ALL as usize, vec![]));
    println!("{ALL} receipts in {:?}", began.elapsed());
}

#[test]
fn a_flood_of_junk_neither_grows_it_nor_hides_a_token() {
    if !is_root() {
        return;
    }
    let stage = Stage::set();
    let collector = stage.start();
    let access = collector.access();
    let mut transmit = stage.transmit();
    let junk: Vec<_> = (0..512u32)
        .map(|number| {
            let source = IpAddr::from([198, 51, 100, number as u8]);
            let payload = [number.to_be_bytes(); 16].concat();
            let to = (IpAddr::V4(CANARY), 1000 + number as u16);
            build::udp_datagram(MACS, (source, 4000), to, 60, &payload).unwrap()
        })
        .collect();
    let before = collector.resident();
    let (mut sent, mut tokens) = (0u64, 0u32);
    let began = Instant::now();
    let mut most = before;
    while began.elapsed() < Duration::from_secs(3) {
        for _ in 0..40 {
            for frame in &junk {
                // A full queue is a lost frame, as on a real line.
                sent += u64::from(transmit.queue(frame).is_ok());
            }
            let _ = transmit.flush();
        }
        let _ = transmit.queue(&echo(token(Carrier::IcmpEcho, tokens)));
        let _ = transmit.flush();
        tokens += 1;
        most = most.max(collector.resident());
    }
    let took = began.elapsed();
    // What waits in the ring is still read; each question of ours is a frame too.
    let mut status = stage.status(&access);
    let deadline = Instant::now() + Duration::from_secs(20);
    while status.counts.received + status.counts.dropped_by_kernel < sent {
        assert!(Instant::now() < deadline, "{status:?} of {sent}");
        thread::sleep(Duration::from_millis(100));
        status = stage.status(&access);
    }
    println!(
        "{sent} junk frames in {took:?} ({:.0} a second); received {}, dropped by the kernel {}; resident {before} KiB \
         before, {most} KiB at most; {} of {tokens} tokens logged",
        sent as f64 / took.as_secs_f64(),
        status.counts.received,
        status.counts.dropped_by_kernel,
        status.counts.logged,
    );
    assert!(most < before + 16 * 1024, "{before} KiB before, {most} KiB at most");
    assert!(status.counts.logged > 0);
    assert_eq!(status.counts.dropped_here, 0);
    assert_eq!(collector.stop(), 0);
}

#[test]
fn who_may_not_ask_and_who_is_not_trusted_are_told_apart() {
    if !is_root() {
        return;
    }
    let stage = Stage::set();
    let collector = stage.start();
    let good = || collector.access();
    let pin = fs::read_to_string(stage.folder.join("log.jsonl.pin")).unwrap();
    assert_eq!(access::read_pin(&pin), good().pin);
    assert_eq!(stage.fetch(&good()).unwrap(), "");
    let fetch = |access: Access| stage.fetch(&access).unwrap_err();
    let nobody = fetch(Access { token: None, ..good() });
    assert!(matches!(nobody, FetchError::Denied(401)), "{nobody:?}");
    let wrong = fetch(Access { token: Some("hus".to_owned()), ..good() });
    assert!(matches!(wrong, FetchError::Denied(403)), "{wrong:?}");
    let wrong = fetch(Access { pin: Some([1; 32]), ..good() });
    assert!(matches!(wrong, FetchError::OtherCertificate { .. }), "{wrong:?}");
    let blind = fetch(Access { pin: None, ..good() });
    assert!(matches!(blind, FetchError::NothingToTrust), "{blind:?}");
    // A server that takes the connection and says nothing.
    let dumb = in_namespace(&stage.outer, || TcpListener::bind((CANARY, 2222)).unwrap());
    let late = stage.inside(|| {
        let stream = TcpStream::connect((CANARY, 2222)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        access::fetch(stream, &good(), SWEEP)
    });
    assert!(matches!(late, Err(FetchError::Timeout)), "{late:?}");
    drop(dumb);
    // A server that speaks no TLS.
    let other = in_namespace(&stage.outer, || TcpListener::bind((CANARY, 2223)).unwrap());
    let closing = thread::spawn(move || drop(other.accept().unwrap()));
    let broken = stage.inside(|| {
        let stream = TcpStream::connect((CANARY, 2223)).unwrap();
        access::fetch(stream, &good(), SWEEP)
    });
    assert!(matches!(broken, Err(FetchError::Broken(_))), "{broken:?}");
    closing.join().unwrap();
    assert_eq!(collector.stop(), 0);
}

#[test]
fn a_full_disk_is_told_and_nothing_of_it_is_acknowledged_until_there_is_room() {
    if !is_root() {
        return;
    }
    let stage = Stage::set();
    let folder = stage.folder.display().to_string();
    let mount = |options: &str| run(&format!("mount -t tmpfs -o {options} tmpfs {folder}"));
    mount("size=96k");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let collector = stage.start();
        let access = collector.access();
        let probes: Vec<_> = (0..200).map(|number| probe(Carrier::IcmpEcho, number)).collect();
        for numbers in (0..200).collect::<Vec<_>>().chunks(20) {
            let frames: Vec<_> =
                numbers.iter().map(|number| echo(token(Carrier::IcmpEcho, *number))).collect();
            stage.send(&frames);
            thread::sleep(Duration::from_millis(50));
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while !stage.status(&access).counts.log_fails {
            assert!(Instant::now() < deadline, "the disk is not full");
            thread::sleep(Duration::from_millis(50));
        }
        let fetched = stage.fetch(&access).unwrap();
        let (numbers, faults) = checked(&fetched, &probes);
        assert!(numbers.len() < 200 && faults.is_empty(), "{} {faults:?}", numbers.len());
        assert_eq!(fetched, stage.logged());
        run(&format!("mount -o remount,size=4m {folder}"));
        stage.wait_for(&access, 200);
        assert!(!stage.status(&access).counts.log_fails);
        let (numbers, faults) = checked(&stage.fetch(&access).unwrap(), &probes);
        assert_eq!((numbers.len(), faults), (200, vec![]));
        assert_eq!(collector.stop(), 0);
    }));
    run(&format!("umount -l {folder}"));
    outcome.unwrap();
}

#[test]
fn without_its_table_it_does_not_go_on() {
    if !is_root() {
        return;
    }
    let stage = Stage::set();
    let mut command = stage.jiebei(&["--key", &key().to_hex(), "--log-format", "json"]);
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    said.read_line(&mut line).unwrap();
    let told: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(told["fields"]["message"].as_str().unwrap().contains("watches"), "{line}");
    // It is nobody, and so is its child, which has one capability.
    let of = |pid: u32, name: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    let nft: u32 = run(&format!("pgrep -P {}", child.id())).trim().parse().unwrap();
    for pid in [child.id(), nft] {
        assert_eq!(of(pid, "Uid"), run("id -u nobody").trim());
    }
    assert_eq!(u64::from_str_radix(&of(child.id(), "CapEff"), 16).unwrap(), 0);
    assert_eq!(u64::from_str_radix(&of(child.id(), "CapPrm"), 16).unwrap(), 0);
    // CAP_NET_ADMIN is the twelfth (capability.h).
    assert_eq!(u64::from_str_radix(&of(nft, "CapPrm"), 16).unwrap(), 1 << 12);
    run(&format!("kill {nft}"));
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(rest.contains("nft ended"), "{rest}");
}

/// A certificate for the canary, signed by an authority or by itself: (PEM, key).
fn certificate(
    not_after: i32,
    authority: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>,
) -> (String, String) {
    let mut parameters = rcgen::CertificateParams::new(vec![CANARY.to_string()]).unwrap();
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(not_after, 1, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = match authority {
        None => parameters.self_signed(&key).unwrap(),
        Some(authority) => parameters.signed_by(&key, authority).unwrap(),
    };
    (made.pem(), key.serialize_pem())
}

#[test]
fn an_expired_certificate_is_told_and_a_client_certificate_opens() {
    if !is_root() {
        return;
    }
    let stage = Stage::set();
    let put = |name: &str, text: &str| {
        let path = stage.folder.join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let listen = ["--listen", "203.0.113.10:8443", "--token", SECRET];
    for (year, expired) in [(2021, true), (2090, false)] {
        let (certificate, key) = certificate(year, None);
        let (certificate, key) = (put("cert.pem", &certificate), put("key.pem", &key));
        let mut all = listen.to_vec();
        all.extend(["--certificate", &certificate, "--certificate-key", &key]);
        let collector = stage.start_with(&all);
        let fetched = stage.fetch(&collector.access());
        match expired {
            true => assert!(matches!(fetched, Err(FetchError::Expired)), "{fetched:?}"),
            false => assert_eq!(fetched.unwrap(), ""),
        }
        assert_eq!(collector.stop(), 0);
    }

    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority_pem = parameters.self_signed(&key).unwrap().pem();
    let authority = rcgen::Issuer::new(parameters, key);
    let path = put("authority.pem", &authority_pem);
    let collector =
        stage.start_with(&["--listen", "203.0.113.10:8443", "--client-authority", &path]);
    let identity = |(certificate, key): (String, String)| Identity::read(&certificate, &key).ok();
    let with = |identity| Access { token: None, identity, ..collector.access() };
    let known = stage.fetch(&with(identity(certificate(2090, Some(&authority)))));
    assert_eq!(known.unwrap(), "");
    let nobody = stage.fetch(&with(None));
    assert!(matches!(nobody, Err(FetchError::Denied(401))), "{nobody:?}");
    let stranger = stage.fetch(&with(identity(certificate(2090, None))));
    assert!(matches!(stranger, Err(FetchError::Tls(_))), "{stranger:?}");
    assert_eq!(collector.stop(), 0);
}

#[test]
fn what_cannot_be_gone_on_with_is_refused_and_left_as_it_is() {
    if !is_root() {
        return;
    }
    let stage = Stage::set();
    let collector = stage.start();
    let access = collector.access();
    let probes: Vec<_> = (0..3).map(|number| probe(Carrier::IcmpEcho, number)).collect();
    stage.send(&[0, 1, 2].map(|number| echo(token(Carrier::IcmpEcho, number))));
    stage.wait_for(&access, 3);
    let running = stage.refused(&["--key", &key().to_hex()]);
    assert!(running.0 == 2 && running.1.contains("another collector"), "{running:?}");
    assert_eq!(collector.stop(), 0);

    let good = stage.logged();
    let (code, said) = stage.refused(&["--key", &"11".repeat(32)]);
    assert!(code == 2 && said.contains("another egress key"), "{said}");
    let (code, said) = stage.refused(&["--key", "nonsense"]);
    assert!(code == 2 && said.contains("64 hexadecimal digits"), "{said}");
    let (code, said) = stage.refused(&["--key", "env:NO_SUCH_VARIABLE"]);
    assert!(code == 2 && said.contains("NO_SUCH_VARIABLE"), "{said}");
    let listen = ["--key", &key().to_hex(), "--listen", "203.0.113.10:8443"];
    let (code, said) = stage.refused(&listen);
    assert!(code == 2 && said.contains("--token"), "{said}");
    let forged = good.replacen("203.0.113.7", "203.0.113.8", 1);
    fs::write(stage.log(), &forged).unwrap();
    let key_of_all = key().to_hex();
    let (code, said) = stage.refused(&["--key", &key_of_all]);
    assert!(code == 2, "{said}");
    let forged = good.replace("\"n\":2", "\"n\":9");
    fs::write(stage.log(), &forged).unwrap();
    let (code, said) = stage.refused(&["--key", &key_of_all]);
    assert!(code == 2 && said.contains("line 2"), "{said}");
    assert_eq!(stage.logged(), forged);

    // A torn last line is cut off and told, and the log goes on.
    let torn = format!("{good}{}", &good[..200]);
    fs::write(stage.log(), &torn).unwrap();
    let collector = stage.start();
    assert!(collector.said.contains("200 octets were cut off"), "{}", collector.said);
    stage.send(&[echo(token(Carrier::IcmpEcho, 3))]);
    stage.wait_for(&collector.access(), 1);
    assert_eq!(collector.stop(), 0);
    let log = stage.logged();
    assert!(log.starts_with(&good) && log.lines().count() == 4);
    let mut probes = probes;
    probes.push(probe(Carrier::IcmpEcho, 3));
    assert_eq!(checked(&log, &probes), (vec![0, 1, 2, 3], vec![]));

    // Exported, it is a log of its own.
    let export = |sweep: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jiebei"));
        command.args(["collector", "export", "--sweep", sweep, "--key", &key_of_all]);
        command.arg("--log").arg(stage.log()).args(["--lang", "en"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(checked(&export(SWEEP), &probes), (vec![0, 1, 2, 3], vec![]));
    assert_eq!(export("02-other"), "");
}
