//! Proxies, resolvers and gateways that run as they do in offices, in namespaces with a collector outside; and
//! those that mean harm.
//!
//! `scan` 10.20.1.5 — 10.20.1.7 `dev` 203.0.113.7 — 203.0.113.1 `net`, which holds the canaries.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::{RData, Record, RecordType};
use jiebei::egress::Outcome;
use jiebei::egress::dns::{self, Question};
use jiebei::egress::port_mapping::{self, Told};
use jiebei::egress::proxy::{self, Request, Step};
use jiebei::egress::token::{EgressKey, Token};
use jiebei::link::privilege;
use jiebei::link::sys::netns;
use jiebei::net::{Mac, Prefix};
use jiebei::observe::{Carrier, EgressMethod, EgressProbe, VantageId};
use jiebei::scope::{
    Ceilings, Conversation, ConversationPermit, Datagrams, FRAMES, Fence, Guard, Leave, Patience,
    Risk, Rules, To, Transport, Vantage, Wanted,
};
use jiff::Timestamp;
use tempfile::TempDir;

const V4: &str = "198.51.100.10";
const V6: &str = "2001:db8:ffff::10";
const ZONE: &str = "w.example.net";
const SCAN_MAC: &str = "02:00:00:00:00:05";

/// Stands in `dev`, so that the same witness sees it.
const COLLECTOR: &str = "203.0.113.7:8443";

fn key() -> EgressKey {
    EgressKey::from_bytes([7; 32])
}

fn run(command: &str) {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {errors}");
}

/// Whether the test can run; says so where it cannot.
fn can_run(programs: &[&str]) -> bool {
    if !privilege::has_net_raw() {
        eprintln!("not run: needs root");
        return false;
    }
    for program in programs {
        let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
        if !found.is_ok_and(|output| output.status.success()) {
            eprintln!("not run: needs {program}");
            return false;
        }
    }
    true
}

struct Net {
    name: String,
    folder: TempDir,
    daemons: Vec<Child>,
    fence: Fence,
    began: Instant,
    probes: u32,
}

impl Net {
    fn lay() -> Net {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("jbc{}-{number}", std::process::id());
        for (end, sysctl) in [("s", ""), ("d", "net.ipv4.ip_forward=0"), ("n", "")] {
            run(&format!("ip netns add {name}{end} && ip -n {name}{end} link set lo up"));
            run(&format!(
                "ip netns exec {name}{end} sysctl -qw net.ipv6.conf.all.accept_dad=0 \
                 net.ipv6.conf.default.accept_dad=0 {sysctl}"
            ));
        }
        run(&format!(
            "ip -n {name}s link add s0 address {SCAN_MAC} type veth peer name d0 netns {name}d address 02:00:00:00:00:07
             ip -n {name}d link add u0 type veth peer name n0 netns {name}n
             ip -n {name}s addr add 10.20.1.5/24 dev s0
             ip -n {name}s addr add fd20::5/64 dev s0 nodad
             ip -n {name}d addr add 10.20.1.7/24 dev d0
             ip -n {name}d addr add fd20::7/64 dev d0 nodad
             ip -n {name}d addr add 203.0.113.7/24 dev u0
             ip -n {name}d addr add 2001:db8:7::7/64 dev u0 nodad
             ip -n {name}n addr add 203.0.113.1/24 dev n0
             ip -n {name}n addr add 2001:db8:7::1/64 dev n0 nodad
             ip -n {name}n addr add {V4}/32 dev lo
             ip -n {name}n addr add {V6}/128 dev lo nodad
             for l in s/s0 d/d0 d/u0 n/n0; do ip -n {name}${{l%/*}} link set ${{l#*/}} up; done
             ip -n {name}s route add default via 10.20.1.7
             ip -n {name}d route add default via 203.0.113.1
             ip -n {name}d route add default via 2001:db8:7::1"
        ));
        let prefix = |text: &str| text.parse::<Prefix>().unwrap();
        let rules = Rules {
            scope: [prefix("10.20.1.0/24"), prefix("fd20::/64")].into_iter().collect(),
            exclude: Default::default(),
            observe_only: Default::default(),
            risk: Risk::UNICAST,
            window: None,
            canaries: vec![V4.parse().unwrap(), V6.parse().unwrap()],
            collector: Some(COLLECTOR.parse().unwrap()),
            vantages: vec![Vantage {
                id: VantageId(0),
                mac: Mac([2, 0, 0, 0, 0, 5]),
                addresses: vec![
                    ("10.20.1.5".parse().unwrap(), prefix("10.20.1.0/24")),
                    ("fd20::5".parse().unwrap(), prefix("fd20::/64")),
                    ("fe80::ff:fe00:5".parse().unwrap(), prefix("fe80::/64")),
                ],
            }],
        };
        let fence = Fence::new(Guard::new(rules, Timestamp::UNIX_EPOCH), Ceilings::default());
        let folder = tempfile::tempdir().unwrap();
        run(&format!("chmod 777 {}", folder.path().display()));
        Net { name, folder, daemons: Vec::new(), fence, began: Instant::now(), probes: 0 }
    }

    fn inside<T: Send>(&self, end: &str, work: impl FnOnce() -> T + Send) -> T {
        let path = Path::new("/run/netns").join(format!("{}{end}", self.name));
        thread::scope(|scope| {
            let there = scope.spawn(move || {
                netns::enter(&path).unwrap();
                work()
            });
            there.join().unwrap()
        })
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Runs a daemon in `dev` and waits until its port is open.
    fn daemon(&mut self, command: &str, port: u16) {
        let log = fs::File::create(self.folder.path().join("log")).unwrap();
        let child = Command::new("ip")
            .args(["netns", "exec", &format!("{}d", self.name), "sh", "-c"])
            .arg(format!("exec {command}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemons.push(child);
        let until = Instant::now() + Duration::from_secs(20);
        while self.inside("d", || TcpStream::connect(("10.20.1.7", port))).is_err() {
            let said = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < until, "{command} does not listen on {port}: {said}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the collector does: its text for a token, by HTTP on 80 and 443 and by DNS.
    fn collector(&self) {
        for port in [80, 443] {
            let listener = self.inside("n", || TcpListener::bind(("::", port)).unwrap());
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    thread::spawn(move || page(stream));
                }
            });
        }
        let listener = self.inside("n", || TcpListener::bind((V4, 53)).unwrap());
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let from = stream.peer_addr().unwrap().ip();
                let mut query = [0; 512];
                let Ok(length) = stream.read(&mut query) else { continue };
                let Some(answer) = query.get(2..length).and_then(|query| name(query, from)) else {
                    continue;
                };
                let framed = [&(answer.len() as u16).to_be_bytes()[..], &answer].concat();
                let _ = stream.write_all(&framed);
            }
        });
        for canary in [V4, V6] {
            let socket = self.inside("n", || UdpSocket::bind((canary, 53)).unwrap());
            thread::spawn(move || {
                let mut buffer = [0; 1500];
                while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                    if let Some(answer) = name(&buffer[..length], from.ip().to_canonical()) {
                        socket.send_to(&answer, from).unwrap();
                    }
                }
            });
        }
    }

    /// A server in `dev` that does with each connection what it is told.
    fn serve(&self, port: u16, with: impl Fn(TcpStream) + Send + Sync + Copy + 'static) {
        self.serve_at(SocketAddr::new([10, 20, 1, 7].into(), port), with);
    }

    fn serve_at(&self, at: SocketAddr, with: impl Fn(TcpStream) + Send + Sync + Copy + 'static) {
        let listener = self.inside("d", || TcpListener::bind(at).unwrap());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || with(stream));
            }
        });
    }

    /// tcpdump at the other end of the scanner's cable, listening already.
    fn witness(&self) -> Witness {
        let dump = self.folder.path().join("dump");
        let mut child = Command::new("ip")
            .args(["netns", "exec", &format!("{}d", self.name), "tcpdump", "-i", "d0", "-n", "-tt"])
            .args(["-l", "-B", "16384", "--immediate-mode", "ether", "src", SCAN_MAC])
            .stdout(fs::File::create(&dump).unwrap())
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
        Witness { child, dump }
    }

    fn permit(&mut self, to: SocketAddr, transport: Transport) -> ConversationPermit {
        let wanted = Wanted {
            to,
            whom: To::Target,
            transport,
            vantage: VantageId(0),
            mac: Mac::ZERO,
            frames: FRAMES,
        };
        loop {
            match self.fence.converse(&wanted, self.began.elapsed()) {
                Leave::Now(permit) => return permit,
                Leave::Later(wait) => thread::sleep(wait),
                Leave::Refused(refusal) => panic!("{refusal}"),
            }
        }
    }

    fn connect(&mut self, port: u16, patience: Patience) -> io::Result<Conversation> {
        let permit = self.permit(SocketAddr::new([10, 20, 1, 7].into(), port), Transport::Tcp);
        self.inside("s", || permit.connect("s0", patience))
    }

    fn datagrams(&mut self, port: u16, patience: Patience) -> Datagrams {
        let permit = self.permit(SocketAddr::new([10, 20, 1, 7].into(), port), Transport::Udp);
        self.inside("s", || permit.datagrams("s0", patience).unwrap())
    }

    fn token(&mut self, carrier: Carrier, canary: &str, port: u16) -> Token {
        self.probes += 1;
        let probe = EgressProbe {
            number: self.probes,
            method: EgressMethod::Proxy,
            carrier,
            target: [10, 20, 1, 7].into(),
            mac: Mac::ZERO,
            asked_from: [10, 20, 1, 5].into(),
            canary: canary.parse().unwrap(),
            port,
            hop_limit: 0,
            round: 1,
            sent_at: Timestamp::UNIX_EPOCH,
            redrawn: 0,
        };
        key().token("s", VantageId(0), &probe)
    }

    /// Asks a proxy in one way: what became of it, and the address that the collector saw.
    fn ask(&mut self, port: u16, step: Step, canary: &str) -> (Outcome, Option<IpAddr>, u32) {
        let token = self.token(step.carrier, canary, port);
        let mut conversation = self.connect(port, Patience::default()).unwrap();
        let request = Request { step, canary: canary.parse().unwrap(), zone: Some(ZONE), token };
        let outcome = proxy::ask(&mut conversation, &request);
        let sent = conversation.segments_sent().unwrap();
        eprintln!("{} at {port}: {sent} segments", step.carrier);
        let observed = observed(&outcome, token);
        (outcome, observed, sent)
    }

    /// Every question that the course has for a port.
    fn course(&mut self, port: u16, canary: &str) -> Vec<(Step, Outcome, Option<IpAddr>)> {
        let mut tried = Vec::new();
        let mut seen = Vec::new();
        while let Some(step) = proxy::next(port, canary.parse().unwrap(), Some(ZONE), &tried) {
            let (outcome, observed, _) = self.ask(port, step, canary);
            tried.push((step, outcome.clone()));
            seen.push((step, outcome, observed));
        }
        seen
    }
}

struct Witness {
    child: Child,
    dump: std::path::PathBuf,
}

impl Witness {
    /// How many frames the scanner sent, and the most of them in any second. Router solicitations and MLD reports are the
    /// namespace's own.
    fn most_in_a_second(mut self) -> (usize, u32) {
        thread::sleep(Duration::from_millis(500));
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let told = fs::read_to_string(&self.dump).unwrap();
        let times: Vec<f64> = told
            .lines()
            .filter(|line| !line.contains("IP6 "))
            .filter_map(|line| line.split(' ').next()?.parse().ok())
            .collect();
        let in_second = |at: usize| {
            let first = times[at];
            times[at..].iter().take_while(|time| **time < first + 1.0).count()
        };
        let most = (0..times.len()).map(in_second).max().unwrap_or_default();
        (times.len(), most as u32)
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        for end in ["s", "d", "n"] {
            // Children of the daemons stand in the namespace, and nobody else does.
            let space = format!("{}{end}", self.name);
            if let Ok(there) = Command::new("ip").args(["netns", "pids", &space]).output() {
                for id in String::from_utf8_lossy(&there.stdout).split_whitespace() {
                    if id != std::process::id().to_string() {
                        let _ = Command::new("kill").arg(id).status();
                    }
                }
            }
            let deleted = Command::new("ip").args(["netns", "del", &space]).status();
            if !deleted.is_ok_and(|status| status.success()) {
                eprintln!("the namespace {space} is left behind");
            }
        }
    }
}

fn observed(outcome: &Outcome, token: Token) -> Option<IpAddr> {
    let Outcome::Answered(texts) = outcome else { return None };
    texts.iter().find_map(|text| key().read_answer(token, text.as_bytes()))
}

fn page(mut stream: TcpStream) {
    let from = stream.peer_addr().unwrap().ip().to_canonical();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let mut first = String::new();
    let _ = lines.read_line(&mut first);
    let mut line = String::new();
    while lines.read_line(&mut line).is_ok_and(|length| length > 2) {
        line.clear();
    }
    let label = first.split(['/', ' ']).nth(2).unwrap_or_default();
    let answer = match Token::of_label(Carrier::HttpGet, label.as_bytes()) {
        Some(token) if key().recognises(token) => {
            let text = key().answer(token, from);
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len())
        }
        _ => "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    };
    let _ = stream.write_all(answer.as_bytes());
}

fn name(query: &[u8], from: IpAddr) -> Option<Vec<u8>> {
    let query = Message::from_vec(query).ok()?;
    let asked = query.queries.first()?;
    let mut answer = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
    answer.metadata.authoritative = true;
    answer.add_query(asked.clone());
    let first = asked.name().iter().next()?.to_vec();
    let token = Token::of_label(Carrier::DnsUdp, &first).filter(|token| key().recognises(*token));
    let data = match (token, asked.query_type()) {
        (Some(token), RecordType::TXT) => {
            Some(RData::TXT(TXT::new(vec![key().answer(token, from)])))
        }
        (None, RecordType::A) if asked.name().num_labels() == 3 => {
            Some(RData::A(V4.parse::<std::net::Ipv4Addr>().unwrap().into()))
        }
        _ => None,
    };
    if let Some(data) = data {
        answer.add_answer(Record::from_rdata(asked.name().clone(), 0, data));
    }
    answer.to_vec().ok()
}

const DEV: &str = "203.0.113.7";
const DEV6: &str = "2001:db8:7::7";

fn ip(text: &str) -> Option<IpAddr> {
    Some(text.parse().unwrap())
}

#[test]
fn squid_relays_a_token_and_the_collector_says_as_whom() {
    if !can_run(&["squid"]) {
        return;
    }
    let mut net = Net::lay();
    net.collector();
    let folder = net.folder.path().display().to_string();
    let config = net.file(
        "squid.conf",
        &format!(
            "http_port 3128\nhttp_access allow all\ncache deny all\naccess_log none\ncache_log {folder}/cache\n\
             pid_filename none\nshutdown_lifetime 0\nvisible_hostname dev\npinger_enable off\nnetdb_filename none\n\
             coredump_dir {folder}\n"
        ),
    );
    net.daemon(&format!("squid -N -f {config}"), 3128);
    for (canary, own) in [(V4, DEV), (V6, DEV6)] {
        let course = net.course(3128, canary);
        let last = course.last().unwrap();
        assert_eq!(last.2, ip(own), "{course:?}");
        let connect = Step {
            carrier: Carrier::HttpConnect,
            destination: proxy::Destination::Address,
            port: 443,
        };
        let (outcome, observed, sent) = net.ask(3128, connect, canary);
        assert_eq!(observed, ip(own), "{outcome:?}");
        assert!(sent < FRAMES, "{sent} segments");
    }
}

#[test]
fn squid_that_wants_credentials_is_not_pressed() {
    if !can_run(&["squid"]) {
        return;
    }
    let mut net = Net::lay();
    net.collector();
    let folder = net.folder.path().display().to_string();
    let config = net.file(
        "squid.conf",
        &format!(
            "http_port 3128\nauth_param basic program /bin/cat\nacl known proxy_auth REQUIRED\n\
             http_access allow known\nhttp_access deny all\ncache deny all\naccess_log none\n\
             cache_log {folder}/cache\npid_filename none\nshutdown_lifetime 0\nvisible_hostname dev\n\
             pinger_enable off\nnetdb_filename none\ncoredump_dir {folder}\n"
        ),
    );
    net.daemon(&format!("squid -N -f {config}"), 3128);
    let course = net.course(3128, V4);
    assert!(matches!(&course[..], [(_, Outcome::WantsCredentials, None)]), "{course:?}");
}

#[test]
fn dante_relays_by_every_version_of_socks() {
    if !can_run(&["danted", "dnsmasq"]) {
        return;
    }
    let mut net = Net::lay();
    net.collector();
    let config = net.file(
        "danted.conf",
        "logoutput: stderr\ninternal: 10.20.1.7 port = 1080\nexternal: u0\nsocksmethod: none\nclientmethod: none\n\
         user.privileged: root\nuser.unprivileged: nobody\n\
         client pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\nsocks pass { from: 0.0.0.0/0 to: 0.0.0.0/0 }\n",
    );
    net.daemon(&format!("danted -f {config}"), 1080);
    let course = net.course(1080, V4);
    assert_eq!(course.last().unwrap().2, ip(DEV), "{course:?}");
    let step =
        Step { carrier: Carrier::Socks4, destination: proxy::Destination::Address, port: 443 };
    let (outcome, observed, sent) = net.ask(1080, step, V4);
    assert_eq!(observed, ip(DEV), "{outcome:?}");
    assert!(sent < FRAMES, "{sent} segments");
}

#[test]
fn a_forwarder_is_seen_by_udp_and_by_tcp() {
    if !can_run(&["dnsmasq"]) {
        return;
    }
    let mut net = Net::lay();
    net.collector();
    let command = format!("dnsmasq -k -C /dev/null -R -S {V4} -a 10.20.1.7 -z --pid-file= -u root");
    net.daemon(&command, 53);
    let token = net.token(Carrier::DnsUdp, V4, 53);
    let question = Question::new(token, ZONE).unwrap();
    let mut datagrams = net.datagrams(53, Patience::default());
    let outcome = dns::ask_by_udp(&mut datagrams, &question);
    assert_eq!(observed(&outcome, token), ip(DEV), "{outcome:?}");

    let token = net.token(Carrier::DnsTcp, V4, 53);
    let question = Question::new(token, ZONE).unwrap();
    let mut conversation = net.connect(53, Patience::default()).unwrap();
    let outcome = dns::ask_by_tcp(&mut conversation, &question);
    assert_eq!(observed(&outcome, token), ip(DEV), "{outcome:?}");
}

#[test]
fn unbound_is_asked_by_tls_under_any_certificate() {
    if !can_run(&["unbound"]) {
        return;
    }
    let mut net = Net::lay();
    net.collector();
    let made = rcgen::generate_simple_self_signed(vec!["dev.example".to_owned()]).unwrap();
    let certificate = net.file("cert.pem", &made.cert.pem());
    let private = net.file("key.pem", &made.signing_key.serialize_pem());
    let config = net.file(
        "unbound.conf",
        &format!(
            "server:\n do-daemonize: no\n username: \"\"\n chroot: \"\"\n pidfile: \"\"\n use-syslog: no\n\
             \x20directory: \"/\"\n interface: 10.20.1.7@53\n interface: 10.20.1.7@853\n access-control: 0.0.0.0/0 allow\n\
             \x20tls-service-key: \"{private}\"\n tls-service-pem: \"{certificate}\"\n module-config: \"iterator\"\n\
             \x20do-not-query-localhost: no\nforward-zone:\n name: \".\"\n forward-addr: {V4}\n"
        ),
    );
    net.daemon(&format!("unbound -d -c {config}"), 853);
    let token = net.token(Carrier::DnsTls, V4, 853);
    let question = Question::new(token, ZONE).unwrap();
    let mut conversation = net.connect(853, Patience::default()).unwrap();
    let outcome = dns::ask_by_tls(&mut conversation, [10, 20, 1, 7].into(), &question);
    assert_eq!(observed(&outcome, token), ip(DEV), "{outcome:?}");
    let sent = conversation.segments_sent().unwrap();
    eprintln!("dns-tls: {sent} segments");
    assert!(sent <= FRAMES, "{sent} segments");
    // By UDP on its port 53 it recurses as well.
    let token = net.token(Carrier::DnsUdp, V4, 53);
    let question = Question::new(token, ZONE).unwrap();
    let outcome = dns::ask_by_udp(&mut net.datagrams(53, Patience::default()), &question);
    assert_eq!(observed(&outcome, token), ip(DEV), "{outcome:?}");
}

#[test]
fn miniupnpd_tells_its_external_address_by_each_protocol() {
    if !can_run(&["miniupnpd"]) {
        return;
    }
    let mut net = Net::lay();
    // It takes no address of documentation space for public.
    let external: IpAddr = "1.1.8.7".parse().unwrap();
    let config = net.file(
        "miniupnpd.conf",
        &format!("ext_ifname=u0\nlistening_ip=d0\next_ip={external}\nhttp_port=5000\nenable_upnp=yes\nenable_natpmp=yes\n\
         uuid=00000000-0000-0000-0000-000000000001\nallow 1024-65535 10.20.1.0/24 1024-65535\n"),
    );
    run(&format!(
        "ip netns exec {}d nft 'add table inet filter; add chain inet filter miniupnpd; \
         add chain inet filter prerouting_miniupnpd; add chain inet filter postrouting_miniupnpd'",
        net.name
    ));
    let pid = net.folder.path().join("pid").display().to_string();
    net.daemon(&format!("miniupnpd -d -f {config} -P {pid}"), 5000);

    let quick = Patience { turn: Duration::from_secs(2), ..Patience::default() };
    let mut datagrams = net.datagrams(port_mapping::SSDP_PORT, quick);
    let locations = port_mapping::search(&mut datagrams).expect("an answer to the search");
    drop(datagrams);
    let location = locations.first().expect("a description");
    let permit = net.permit(location.at, Transport::Tcp);
    let conversation = net.inside("s", || permit.connect("s0", quick).unwrap());
    let controls = port_mapping::describe(conversation, location);
    let control = controls.first().expect("a WAN connection");
    let permit = net.permit(control.location.at, Transport::Tcp);
    let conversation = net.inside("s", || permit.connect("s0", quick).unwrap());
    let told = port_mapping::external_address(conversation, control);
    assert_eq!(told, Some(Told::Address(external)));

    let mut datagrams = net.datagrams(port_mapping::NAT_PMP_PORT, quick);
    let told = port_mapping::nat_pmp(&mut datagrams);
    assert_eq!(told, Some(Told::Address(external)));
    drop(datagrams);
    let mut datagrams = net.datagrams(port_mapping::NAT_PMP_PORT, quick);
    assert_eq!(port_mapping::pcp(&mut datagrams), Some(Told::NoAddress));
    // Nothing was mapped.
    let rules = Command::new("ip")
        .args(["netns", "exec", &format!("{}d", net.name), "nft", "list", "ruleset"])
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&rules.stdout).contains("dnat"));
}

/// Each hostile server, and how long the worst may keep us.
#[test]
fn whoever_means_harm_costs_bounded_time_and_few_frames() {
    if !can_run(&["tcpdump"]) {
        return;
    }
    let mut net = Net::lay();
    let patience = Patience {
        connect: Duration::from_secs(1),
        turn: Duration::from_secs(2),
        whole: Duration::from_secs(4),
    };
    net.serve(8080, |mut stream| {
        // Never answers.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    net.serve(8081, |mut stream| {
        for octet in b"HTTP/1.1 200 OK\r\n".iter().chain(std::iter::repeat(&b'a')) {
            if stream.write_all(&[*octet]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(400));
        }
    });
    net.serve(8088, |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(&[b'a'; 65536]).is_ok() {}
    });
    net.serve(8123, |mut stream| {
        // As many segments as octets, as fast as it can.
        let _ = stream.set_nodelay(true);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"a").is_ok() {}
    });
    net.serve(8118, drop);
    let witness = net.witness();
    for (port, expected) in [
        (8080, Outcome::Silent),
        (8081, Outcome::Other),
        (8088, Outcome::Refused(200)),
        (8123, Outcome::Refused(200)),
        (8118, Outcome::Other),
    ] {
        let step =
            Step { carrier: Carrier::HttpGet, destination: proxy::Destination::Address, port: 80 };
        let token = net.token(step.carrier, V4, port);
        let request = Request { step, canary: V4.parse().unwrap(), zone: None, token };
        let began = Instant::now();
        let outcome = net
            .connect(port, patience)
            .map_or(Outcome::Other, |conversation| proxy::ask(conversation, &request));
        let took = began.elapsed();
        assert_eq!(outcome, expected, "{port}");
        assert!(took < Duration::from_millis(5500), "{port}: {took:?}");
        eprintln!("{port}: {outcome:?} after {took:?}");
        // The end of one and the begin of the next are not in the same second.
        thread::sleep(Duration::from_millis(1100));
    }
    let (frames, most) = witness.most_in_a_second();
    eprintln!("{frames} frames, at most {most} in a second");
    assert!(most <= FRAMES, "{most} frames in a second");
}

/// Receipts are many: a long answer comes whole, and no second has more frames than there are places.
#[test]
fn a_long_answer_of_the_collector_comes_in_its_own_time() {
    if !can_run(&["tcpdump"]) {
        return;
    }
    const LENGTH: usize = 256 << 10;
    let mut net = Net::lay();
    net.serve_at(COLLECTOR.parse().unwrap(), |mut stream| {
        let _ = stream.write_all(&[b'a'; LENGTH]);
        // Whoever closes at once resets what was not read.
        let _ = stream.read(&mut [0]);
    });
    let witness = net.witness();
    let wanted = Wanted {
        to: COLLECTOR.parse().unwrap(),
        whom: To::Collector,
        transport: Transport::Tcp,
        vantage: VantageId(0),
        mac: Mac::ZERO,
        frames: 32,
    };
    let Leave::Now(permit) = net.fence.converse(&wanted, Duration::ZERO) else {
        panic!("no leave")
    };
    let patience = Patience { whole: Duration::from_secs(60), ..Patience::default() };
    let mut conversation = net.inside("s", || permit.connect("s0", patience).unwrap());
    let mut answer = vec![0; LENGTH];
    conversation.read_exact(&mut answer).unwrap();
    drop(conversation);
    let (frames, most) = witness.most_in_a_second();
    eprintln!("{frames} frames, at most {most} in a second");
    assert!(most <= 32, "{most} frames in a second");
}

/// By the vantage's own address of each kind, a link-local one too.
#[test]
fn a_conversation_leaves_from_the_vantages_own_address() {
    if !can_run(&[]) {
        return;
    }
    let mut net = Net::lay();
    let listener = net.inside("d", || TcpListener::bind(("::", 8080)).unwrap());
    let socket = net.inside("d", || UdpSocket::bind("[::]:5353").unwrap());
    for (to, from) in
        [("10.20.1.7", "10.20.1.5"), ("fd20::7", "fd20::5"), ("fe80::ff:fe00:7", "fe80::ff:fe00:5")]
    {
        let to = |port| SocketAddr::new(to.parse().unwrap(), port);
        let permit = net.permit(to(8080), Transport::Tcp);
        let conversation = net.inside("s", || permit.connect("s0", Patience::default()).unwrap());
        assert_eq!(Some(listener.accept().unwrap().1.ip().to_canonical()), ip(from));
        drop(conversation);
        let permit = net.permit(to(5353), Transport::Udp);
        let mut datagrams =
            net.inside("s", || permit.datagrams("s0", Patience::default()).unwrap());
        datagrams.send(b"question").unwrap();
        let (length, asker) = socket.recv_from(&mut [0; 100]).unwrap();
        assert_eq!((length, Some(asker.ip().to_canonical())), (8, ip(from)));
        socket.send_to(b"answer", asker).unwrap();
        assert_eq!(datagrams.receive().unwrap(), (5353, b"answer".to_vec()));
        while datagrams.send(b"more").is_ok() {}
        let error = datagrams.send(b"more").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        while socket.set_read_timeout(Some(Duration::from_millis(50))).is_ok()
            && socket.recv_from(&mut [0; 100]).is_ok()
        {}
        socket.set_read_timeout(None).unwrap();
    }
}

/// Resolvers and gateways that answer without end, from elsewhere, or point elsewhere.
#[test]
fn noise_by_udp_and_descriptions_without_end_cost_bounded_time() {
    if !can_run(&[]) {
        return;
    }
    let patience = Patience {
        connect: Duration::from_secs(1),
        turn: Duration::from_secs(1),
        whole: Duration::from_secs(4),
    };
    let mut net = Net::lay();
    let noisy = net.inside("d", || UdpSocket::bind("10.20.1.7:53").unwrap());
    let elsewhere = net.inside("d", || UdpSocket::bind("10.20.1.7:54").unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = noisy.recv_from(&mut buffer) {
            // The right answer from the wrong port, and junk from the right one for two seconds.
            if let Some(answer) = name(&buffer[..length], from.ip()) {
                let _ = elsewhere.send_to(&answer, from);
            }
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until {
                let _ = noisy.send_to(&[0xff; 400], from);
            }
        }
    });
    let token = net.token(Carrier::DnsUdp, V4, 53);
    let question = Question::new(token, ZONE).unwrap();
    let began = Instant::now();
    let outcome = dns::ask_by_udp(&mut net.datagrams(53, patience), &question);
    assert_eq!(outcome, Outcome::Silent);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    let ssdp = net.inside("d", || UdpSocket::bind("10.20.1.7:1900").unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 512];
        while let Ok((_, from)) = ssdp.recv_from(&mut buffer) {
            for at in ["192.0.2.1:80", "10.20.1.5:80", "10.20.1.7:5000", "10.20.1.7:5001"] {
                let answer = format!("HTTP/1.1 200 OK\r\nLOCATION: http://{at}/x\r\n\r\n");
                let _ = ssdp.send_to(answer.as_bytes(), from);
            }
        }
    });
    let began = Instant::now();
    let locations = port_mapping::search(&mut net.datagrams(1900, patience)).unwrap();
    let ports: Vec<u16> = locations.iter().map(|location| location.at.port()).collect();
    assert_eq!(ports, [5000, 5001]);
    assert!(locations.iter().all(|location| location.at.ip() == IpAddr::from([10, 20, 1, 7])));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());

    net.serve(5000, |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
        while stream.write_all(b"<device><deviceList>").is_ok() {}
    });
    net.serve(5001, |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while stream.write_all(b"1\r\n<\r\n").is_ok() {
            thread::sleep(Duration::from_millis(200));
        }
    });
    for location in &locations {
        let began = Instant::now();
        let permit = net.permit(location.at, Transport::Tcp);
        let conversation = net.inside("s", || permit.connect("s0", patience).unwrap());
        assert_eq!(port_mapping::describe(conversation, location), []);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
