//! Frames in and out over real interfaces, in namespaces made for each test; `tcpdump`, `tshark`,
//! `capinfos` and `ip` are the witnesses. Without root these tests say "not run".

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiebei::link::capture::{self, Direction, InterfaceDescription, Item, LinkType, Section};
use jiebei::link::interfaces::{self, NeighbourState};
use jiebei::link::{self, Answers, Filter, Io, LinkError, Options, Outgoing, Receive, Transmit};
use jiebei::link::{privilege, sys};
use serde_json::Value;

/// Set aside for experiments (IEEE 802): no kernel answers it.
const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];

/// Within what time everything that is queued must have gone.
const SETTLING: Duration = Duration::from_secs(5);

/// Two namespaces and a cable: `a` with interface `va`, `b` with interface `vb`.
struct Cable {
    a: String,
    b: String,
}

/// Whether this test can run; says so where it cannot.
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
    String::from_utf8(output.stdout).unwrap()
}

fn json(command: &str) -> Value {
    serde_json::from_str(&run(command)).unwrap()
}

impl Cable {
    fn lay() -> Cable {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |end| format!("jbl{}-{number}{end}", std::process::id());
        let cable = Cable { a: name('a'), b: name('b') };
        let (a, b) = (&cable.a, &cable.b);
        for name in [a, b] {
            run(&format!("ip netns add {name}"));
            // No router solicitations, no MLD reports: only what the test sends.
            let set = format!("ip netns exec {name} sysctl -qw net.ipv6.conf");
            run(&format!("{set}.all.disable_ipv6=1"));
            run(&format!("{set}.default.disable_ipv6=1"));
            run(&format!("ip -n {name} link set lo up"));
        }
        run(&format!(
            "ip -n {a} link add va address 02:00:00:00:00:0a type veth peer name vb netns {b} \
             address 02:00:00:00:00:0b"
        ));
        run(&format!("ip -n {a} link set va up"));
        run(&format!("ip -n {b} link set vb up"));
        cable.wait_until_running();
        cable
    }

    /// A link that is up runs only a moment later, and until then what goes by the queueing
    /// discipline is thrown away without a word.
    fn wait_until_running(&self) {
        let running = || {
            let runs = interfaces::interfaces().unwrap();
            runs.iter().filter(|interface| !interface.loopback).all(|interface| interface.running)
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while !(self.in_a(running) && self.in_b(running)) {
            assert!(Instant::now() < deadline, "the cable does not run");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn in_a<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.a, work)
    }

    fn in_b<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        inside(&self.b, work)
    }

    fn open_a(&self, io: Io) -> (Box<dyn Transmit>, Box<dyn Receive>) {
        self.in_a(|| link::open("va", io, &options()).unwrap())
    }

    fn listen_b(&self, io: Io, options: &Options) -> Box<dyn Receive> {
        self.in_b(|| link::open_receive("vb", io, options).unwrap())
    }

    /// tcpdump at `vb`, listening already, that ends by itself after `count` frames.
    fn witness(&self, file: &Path, count: usize) -> Child {
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.b, "tcpdump", "-i", "vb", "-n", "-Z", "root"])
            .args(["-B", "16384", "-U", "-c", &count.to_string(), "-w"])
            .arg(file)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        while !line.contains("listening on") {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "tcpdump ended");
        }
        // It goes on talking at its end, and would be stopped by a closed pipe.
        thread::spawn(move || said.read_to_string(&mut String::new()));
        child
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for namespace in [&self.a, &self.b] {
            let deleted = Command::new("ip").args(["netns", "del", namespace]).status();
            if !deleted.is_ok_and(|status| status.success()) {
                eprintln!("the namespace {namespace} is left behind");
            }
        }
    }
}

/// Runs work on a thread that stands in a namespace.
fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let path = Path::new("/run/netns").join(namespace);
    thread::scope(|scope| {
        let there = scope.spawn(move || {
            sys::netns::enter(&path).unwrap();
            work()
        });
        there.join().unwrap()
    })
}

/// Waits for a child that ends by itself, and kills it where it does not.
fn finish(mut child: Child) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if child.try_wait().unwrap().is_some() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the witness waited for frames that never came");
}

/// An experimental frame of 64 octets that carries a number.
fn numbered(number: u32) -> Vec<u8> {
    let mut frame = [MAC_B.as_slice(), &MAC_A, &EXPERIMENT, &number.to_be_bytes()].concat();
    frame.resize(64, 0x5a);
    frame
}

fn number_of(frame: &[u8]) -> u32 {
    assert_eq!(frame[12..14], EXPERIMENT);
    u32::from_be_bytes(frame[14..18].try_into().unwrap())
}

/// Receives until `count` frames are there or three seconds have passed.
fn gather(receive: &mut dyn Receive, count: usize) -> Vec<(Vec<u8>, u32, bool)> {
    let mut frames = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(3);
    while frames.len() < count && Instant::now() < deadline {
        receive
            .receive(Duration::from_millis(50), &mut |frame| {
                frames.push((frame.bytes.to_vec(), frame.length, frame.outgoing));
            })
            .unwrap();
    }
    frames
}

/// Receives for a while.
fn gather_for(receive: &mut dyn Receive, patience: Duration) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let deadline = Instant::now() + patience;
    while let Some(left) = deadline.checked_duration_since(Instant::now()) {
        receive.receive(left, &mut |frame| frames.push(frame.bytes.to_vec())).unwrap();
    }
    frames
}

fn options() -> Options {
    Options { ring: 4 << 20, ..Options::default() }
}

fn scratch(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

#[test]
fn each_way_sends_what_the_other_end_receives_and_a_witness_sees() {
    if !is_root() {
        return;
    }
    const FRAMES: u32 = 2000;
    let all: BTreeSet<u32> = (0..FRAMES).collect();
    for io in Io::ALL {
        let cable = Cable::lay();
        let (_folder, file) = scratch("witness.pcap");
        let witness = cable.witness(&file, FRAMES as usize);
        let mut heard = Io::ALL.map(|io| cable.listen_b(io, &options()));
        let (mut transmit, mut receive) = cable.open_a(io);
        for number in 0..FRAMES {
            transmit.queue(&numbered(number)).unwrap();
        }
        assert_eq!(transmit.settle(SETTLING).unwrap(), FRAMES as usize, "{io}");
        assert_eq!(transmit.flush().unwrap(), 0);

        for receive in &mut heard {
            let frames = gather(receive.as_mut(), FRAMES as usize);
            assert_eq!(frames.len(), FRAMES as usize, "sent by {io}");
            let mut numbers: Vec<u32> = frames.iter().map(|frame| number_of(&frame.0)).collect();
            // Two threads send by AF_XDP when many frames wait.
            if io == Io::Xdp {
                numbers.sort_unstable();
            }
            assert!(numbers.into_iter().eq(0..FRAMES), "in order, each once");
            for (frame, length, outgoing) in frames {
                assert_eq!((frame.len(), length, outgoing), (64, 64, false));
            }
            assert_eq!(receive.dropped().unwrap(), 0);
        }
        finish(witness);
        let seen = run(&format!("tshark -r {} -T fields -e eth.src -e data.data", file.display()));
        let mut numbers = BTreeSet::new();
        for line in seen.lines() {
            let (source, payload) = line.split_once('\t').unwrap();
            assert_eq!(source, "02:00:00:00:00:0a");
            numbers.insert(u32::from_str_radix(&payload[..8], 16).unwrap());
        }
        assert_eq!(numbers, all, "{io}");
        // What a link sends, the same link does not hear.
        assert!(gather_for(receive.as_mut(), Duration::from_millis(100)).is_empty());
    }
}

#[test]
fn times_are_those_of_arrival() {
    if !is_root() {
        return;
    }
    let cable = Cable::lay();
    let mut receive = cable.listen_b(Io::Ring, &options());
    let (mut transmit, _) = cable.open_a(Io::Ring);
    let before = jiff::Timestamp::now();
    transmit.queue(&numbered(1)).unwrap();
    transmit.flush().unwrap();
    transmit.queue(&numbered(2)).unwrap();
    transmit.flush().unwrap();
    let after = jiff::Timestamp::now();
    // Reading late changes nothing.
    thread::sleep(Duration::from_millis(200));
    let mut times = Vec::new();
    while times.len() < 2 {
        receive.receive(Duration::from_secs(1), &mut |frame| times.push(frame.at)).unwrap();
    }
    // The other end may take a frame up in an interrupt of its own: allow it 100 ms.
    let late = after.checked_add(jiff::SignedDuration::from_millis(100)).unwrap();
    assert!(before <= times[0] && times[0] <= times[1] && times[1] < late, "{times:?}");
}

#[test]
fn a_vlan_tag_that_the_kernel_took_off_is_put_back() {
    if !is_root() {
        return;
    }
    let cable = Cable::lay();
    let (_folder, file) = scratch("witness.pcap");
    let witness = cable.witness(&file, 3);
    let mut receivers = Io::ALL.map(|io| (io, cable.listen_b(io, &options())));
    let (mut transmit, _) = cable.open_a(Io::Ring);
    let tagged = |tags: &[u8]| {
        let mut frame = [MAC_B.as_slice(), &MAC_A, tags, &EXPERIMENT, &[1, 2, 3, 4]].concat();
        frame.resize(80, 0);
        frame
    };
    let frames = [
        tagged(&[0x81, 0x00, 0x60, 0x64]),
        tagged(&[0x88, 0xa8, 0x00, 0x0a, 0x81, 0x00, 0x0f, 0xff]),
        tagged(&[]),
    ];
    for frame in &frames {
        transmit.queue(frame).unwrap();
    }
    transmit.flush().unwrap();
    for (io, receive) in &mut receivers {
        let heard = gather(receive.as_mut(), 3);
        let bytes: Vec<_> = heard.iter().map(|(frame, ..)| frame.clone()).collect();
        assert_eq!(bytes == frames, io.keeps_vlan_tags(), "{io}: {bytes:02x?}");
        assert!(heard.iter().all(|(frame, length, _)| *length as usize == frame.len()));
    }
    finish(witness);
    let seen = run(&format!("tshark -r {} -T fields -e vlan.id -e ieee8021ad.id", file.display()));
    assert_eq!(seen.lines().collect::<Vec<_>>(), ["100\t", "4095\t10", "\t"]);
}

#[test]
fn drops_are_counted_to_the_frame() {
    if !is_root() {
        return;
    }
    const FRAMES: usize = 5000;
    for io in Io::ALL {
        let cable = Cable::lay();
        let tiny = Options { ring: 1, snap: 128, ..Options::default() };
        let mut receive = cable.listen_b(io, &tiny);
        let (mut transmit, _) = cable.open_a(Io::Ring);
        for number in 0..FRAMES {
            transmit.queue(&numbered(number as u32)).unwrap();
        }
        assert_eq!(transmit.settle(SETTLING).unwrap(), FRAMES);
        let (mut read, mut dropped) = (0, 0);
        let deadline = Instant::now() + Duration::from_secs(3);
        while read as u64 + dropped < FRAMES as u64 && Instant::now() < deadline {
            read += gather_for(receive.as_mut(), Duration::from_millis(50)).len();
            dropped = receive.dropped().unwrap();
        }
        assert!(dropped > 0, "{io}: {read} of {FRAMES} frames fitted");
        assert_eq!(read as u64 + dropped, FRAMES as u64, "{io}");
        assert_eq!(receive.dropped().unwrap(), dropped, "counted once");
    }
}

#[test]
fn an_interface_that_goes_away_ends_the_link_at_once() {
    if !is_root() {
        return;
    }
    for io in Io::ALL {
        let cable = Cable::lay();
        let (mut transmit, mut receive) = cable.in_b(|| link::open("vb", io, &options()).unwrap());
        let (mut other, _) = cable.open_a(Io::Ring);
        other.queue(&numbered(7)).unwrap();
        other.flush().unwrap();
        let deleting = {
            let a = cable.a.clone();
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(200));
                run(&format!("ip -n {a} link del va"));
                Instant::now()
            })
        };
        let mut heard = 0;
        let error = loop {
            match receive.receive(Duration::from_secs(20), &mut |_| heard += 1) {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        let told = Instant::now();
        let deleted = deleting.join().unwrap();
        assert!(matches!(&error, LinkError::Gone { interface } if interface == "vb"), "{error}");
        assert!(error.is_lost());
        assert!(told.saturating_duration_since(deleted) < Duration::from_secs(2));
        assert_eq!(heard, 1, "what came before is handed out");
        let start = Instant::now();
        let ready = link::wait_any(&[receive.as_ref()], Duration::from_secs(20)).unwrap();
        assert_eq!((ready, start.elapsed().as_secs()), (vec![true], 0));
        let again = receive.receive(Duration::from_secs(20), &mut |_| ());
        assert!(matches!(again, Err(LinkError::Gone { .. })), "{io}: {again:?}");
        let sent = transmit.queue(&numbered(8)).and_then(|()| transmit.flush());
        assert!(matches!(sent, Err(LinkError::Gone { .. })), "{io}: {sent:?}");
        let opened = cable.in_b(|| link::open("vb", io, &options()).map(|_| ()));
        assert!(matches!(opened, Err(LinkError::NoInterface { .. })), "{opened:?}");
    }
}

#[test]
fn an_interface_that_goes_down_says_so_and_is_heard_again_when_it_is_up() {
    if !is_root() {
        return;
    }
    for io in Io::ALL {
        let cable = Cable::lay();
        let (mut transmit, mut receive) = cable.in_b(|| link::open("vb", io, &options()).unwrap());
        run(&format!("ip -n {} link set vb down", cable.b));
        let error = receive.receive(Duration::from_secs(5), &mut |_| ()).unwrap_err();
        assert!(matches!(error, LinkError::Down { .. }), "{io}: {error}");
        let sent = transmit.queue(&numbered(8)).and_then(|()| transmit.flush());
        assert!(matches!(sent, Err(LinkError::Down { .. })), "{io}: {sent:?}");
        let opened = cable.in_b(|| link::open("vb", io, &options()).map(|_| ()));
        assert!(matches!(opened, Err(LinkError::Down { .. })), "{opened:?}");

        run(&format!("ip -n {} link set vb up", cable.b));
        cable.wait_until_running();
        let (mut other, _) = cable.open_a(Io::Ring);
        other.queue(&numbered(9)).unwrap();
        other.flush().unwrap();
        assert_eq!(number_of(&gather(receive.as_mut(), 1)[0].0), 9);
        transmit.queue(&numbered(10)).unwrap();
        assert_eq!(transmit.flush().unwrap(), 1, "the refused frame is not sent later");
    }
}

#[test]
fn frames_of_our_own_kernel_are_heard_as_outgoing() {
    if !is_root() {
        return;
    }
    for io in Io::ALL {
        let cable = Cable::lay();
        run(&format!("ip -n {} addr add 10.9.0.2/24 dev vb", cable.b));
        let mut receive = cable.listen_b(io, &options());
        let (mut transmit, mut back) = cable.open_a(io);
        let mut request = [[0xff; 6], MAC_A].concat();
        request.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        request.extend(MAC_A);
        request.extend([10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2]);
        transmit.queue(&request).unwrap();
        transmit.flush().unwrap();
        let heard = gather(receive.as_mut(), 2);
        assert_eq!(heard[0].0[..42], request);
        assert!(!heard[0].2);
        assert_eq!(heard[1].0[6..12], MAC_B, "the answer");
        assert!(heard[1].2, "{io}: sent by the kernel here");
        let answer = gather(back.as_mut(), 1);
        assert_eq!((&answer[0].0[6..12], answer[0].2), (&MAC_B[..], false));
    }
}

#[test]
fn what_does_not_fit_is_refused_before_it_is_sent() {
    if !is_root() {
        return;
    }
    let cable = Cable::lay();
    for io in Io::ALL {
        let (mut transmit, _) = cable.open_a(io);
        let mut frame = numbered(1);
        for (length, fits) in [(13, false), (14, true), (1514, true), (1515, false)] {
            frame.resize(length, 0);
            let queued = transmit.queue(&frame);
            assert_eq!(queued.is_ok(), fits, "{io} {length}: {queued:?}");
        }
        frame.resize(1518, 0);
        frame[12..14].copy_from_slice(&[0x81, 0x00]);
        transmit.queue(&frame).unwrap();
        assert_eq!(transmit.flush().unwrap(), 3);
        // The MTU shrinks behind our back: the frame is lost and told, those behind it go out.
        run(&format!("ip -n {} link set va mtu 1000", cable.a));
        frame.truncate(1400);
        frame[12..14].copy_from_slice(&EXPERIMENT);
        transmit.queue(&frame).unwrap();
        transmit.queue(&numbered(2)).unwrap();
        let flushed = transmit.flush();
        assert!(matches!(flushed, Err(LinkError::Length { .. })), "{io}: {flushed:?}");
        assert_eq!(transmit.flush().unwrap(), 1);
        run(&format!("ip -n {} link set va mtu 1500", cable.a));
    }
}

#[test]
fn a_frame_is_kept_as_far_as_the_snap_length_and_its_whole_length_is_told() {
    if !is_root() {
        return;
    }
    for io in Io::ALL {
        let cable = Cable::lay();
        let mut receive = cable.listen_b(io, &Options { snap: 60, ..options() });
        let (mut transmit, _) = cable.open_a(io);
        let mut frame = numbered(3);
        frame.resize(1514, 1);
        transmit.queue(&frame).unwrap();
        transmit.flush().unwrap();
        let heard = gather(receive.as_mut(), 1);
        assert_eq!((heard[0].0.as_slice(), heard[0].1), (&frame[..60], 1514), "{io}");
    }
}

/// A TCP segment over IPv4 or IPv6, with its flags and its destination port.
fn tcp(version: u8, flags: u8, port: u16) -> Vec<u8> {
    let mut tcp = [&[0, 80][..], &port.to_be_bytes(), &[0; 8], &[0x50, flags], &[0; 6]].concat();
    tcp.extend([0x77; 100]);
    let ip = match version {
        // With an option: the TCP header does not stand at the usual place.
        4 => [&[0x46, 0, 0, 144, 0, 0, 0, 0, 64, 6, 0, 0][..], &[10; 8], &[1; 4]].concat(),
        _ => [&[0x60, 0, 0, 0, 0, 120, 6, 64][..], &[0xfd; 32]].concat(),
    };
    let ethertype = if version == 4 { [8, 0] } else { [0x86, 0xdd] };
    [&MAC_B[..], &MAC_A, &ethertype, &ip, &tcp].concat()
}

#[test]
fn the_kernels_filter_lets_through_all_but_bulk() {
    if !is_root() {
        return;
    }
    const ACK: u8 = 0x10;
    let mut fragment = tcp(4, ACK, 9);
    fragment[21] = 1;
    let mut udp = tcp(4, ACK, 9);
    udp[23] = 17;
    let cases = [
        (numbered(1), true),
        (tcp(4, ACK, 9), false),
        (tcp(6, ACK, 9), false),
        (tcp(4, 0x02, 9), true),
        (tcp(6, 0x12, 9), true),
        (tcp(4, 0x14, 9), true),
        (tcp(6, 0x11, 9), true),
        (tcp(4, ACK, 39_999), false),
        (tcp(4, ACK, 40_000), true),
        (tcp(6, ACK, 40_099), true),
        (tcp(6, ACK, 40_100), false),
        (fragment, true),
        (udp, true),
    ];
    for io in Io::ALL {
        let cable = Cable::lay();
        let filter = Filter::WithoutBulk { first: 40_000, last: 40_099 };
        let mut receive = cable.listen_b(io, &Options { filter, ..options() });
        let (mut transmit, _) = cable.open_a(io);
        for (frame, _) in &cases {
            transmit.queue(frame).unwrap();
        }
        transmit.flush().unwrap();
        let expected: Vec<_> =
            cases.iter().filter(|(_, passes)| *passes).map(|(frame, _)| frame.clone()).collect();
        let heard = gather(receive.as_mut(), expected.len());
        let heard: Vec<_> = heard.into_iter().map(|(frame, ..)| frame).collect();
        assert_eq!(heard, expected, "{io}");
        assert!(gather_for(receive.as_mut(), Duration::from_millis(100)).is_empty());
    }
}

#[test]
fn several_links_are_waited_for_together() {
    if !is_root() {
        return;
    }
    let (one, two) = (Cable::lay(), Cable::lay());
    for io in Io::ALL {
        let first = one.listen_b(io, &options());
        let mut second = two.listen_b(io, &options());
        let start = Instant::now();
        let patience = Duration::from_millis(60);
        let ready = link::wait_any(&[first.as_ref(), second.as_ref()], patience).unwrap();
        assert_eq!(ready, [false, false]);
        assert!(start.elapsed() >= patience);
        let (mut transmit, _) = two.open_a(io);
        transmit.queue(&numbered(4)).unwrap();
        transmit.flush().unwrap();
        let patience = Duration::from_secs(5);
        let ready = link::wait_any(&[first.as_ref(), second.as_ref()], patience).unwrap();
        assert_eq!(ready, [false, true], "{io}");
        assert_eq!(gather(second.as_mut(), 1).len(), 1);
    }
}

#[test]
fn links_that_are_open_work_on_after_all_capabilities_are_dropped() {
    if !is_root() {
        return;
    }
    for io in Io::ALL {
        let cable = Cable::lay();
        let mut receive = cable.listen_b(io, &options());
        // Capabilities are a thread's own: this one ends with them gone.
        cable.in_a(|| {
            let (mut transmit, _) = link::open("va", io, &options()).unwrap();
            privilege::drop_all().unwrap();
            assert!(!privilege::has_net_raw());
            let denied = link::open("va", io, &options()).map(|_| ());
            assert!(matches!(denied, Err(LinkError::Denied { .. })), "{io}: {denied:?}");
            transmit.queue(&numbered(5)).unwrap();
            assert_eq!(transmit.flush().unwrap(), 1);
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
            }
            assert!(status.contains("NoNewPrivs:\t1"));
        });
        assert_eq!(gather(receive.as_mut(), 1).len(), 1);
        assert!(privilege::has_net_raw(), "the other threads keep theirs");
    }
}

#[test]
fn interfaces_routes_and_neighbours_are_those_that_ip_shows() {
    if !is_root() {
        return;
    }
    let cable = Cable::lay();
    let b = &cable.b;
    run(&format!("ip netns exec {b} sysctl -qw net.ipv6.conf.vb.disable_ipv6=0"));
    for command in [
        "addr add 10.9.0.2/24 dev vb",
        "addr add 10.9.0.3/24 dev vb",
        "addr add 2001:db8:9::2/64 dev vb nodad",
        "link set vb mtu 1400",
        "route add default via 10.9.0.1 metric 50",
        "route add 192.0.2.0/24 nexthop via 10.9.0.7 dev vb nexthop via 10.9.0.8 dev vb",
        "route add 198.51.100.0/24 via inet6 fe80::1 dev vb",
        "route add blackhole 203.0.113.0/24",
        "route add table 77 10.77.0.0/16 via 10.9.0.1",
        "-6 route add default via 2001:db8:9::1",
        "neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev vb nud permanent",
        "neigh add 2001:db8:9::1 lladdr 02:00:00:00:00:02 dev vb nud stale router",
        "link add br9 address 02:00:00:00:00:09 type bridge",
    ] {
        run(&format!("ip -n {b} {command}"));
    }
    let ours = cable.in_b(|| interfaces::interfaces().unwrap());
    let theirs = json(&format!("ip -n {b} -j addr"));
    assert_eq!(ours.len(), theirs.as_array().unwrap().len());
    for (ours, theirs) in ours.iter().zip(theirs.as_array().unwrap()) {
        assert_eq!(ours.name, theirs["ifname"]);
        assert_eq!(ours.index, theirs["ifindex"]);
        assert_eq!(ours.mtu, theirs["mtu"]);
        let has = |flag| theirs["flags"].as_array().unwrap().iter().any(|other| other == flag);
        assert_eq!((ours.up, ours.loopback), (has("UP"), has("LOOPBACK")), "{}", ours.name);
        assert_eq!(ours.mac.unwrap().to_string(), theirs["address"]);
        let list = |value: &Value| {
            let local: IpAddr = value["local"].as_str().unwrap().parse().unwrap();
            let secondary = value["secondary"] == true;
            (local, value["prefixlen"].as_u64().unwrap() as u8, secondary)
        };
        let mut expected: Vec<_> =
            theirs["addr_info"].as_array().unwrap().iter().map(list).collect();
        let mut seen: Vec<_> =
            ours.addresses.iter().map(|a| (a.address, a.length, a.secondary)).collect();
        expected.sort();
        seen.sort();
        assert_eq!(seen, expected);
    }
    let vb = ours.iter().find(|interface| interface.name == "vb").unwrap();
    assert!(vb.running && vb.is_ethernet() && !vb.loopback);

    let routes = cable.in_b(|| interfaces::routes().unwrap());
    let mut seen: Vec<String> = routes
        .iter()
        .map(|route| {
            assert_eq!(route.interface, vb.index);
            let gateway = route.gateway.map_or("-".into(), |gateway| gateway.to_string());
            format!("{} {gateway} {}", route.destination, route.metric)
        })
        .filter(|route| !route.starts_with("fe80::/64"))
        .collect();
    seen.sort();
    let expected = [
        "0.0.0.0/0 10.9.0.1 50",
        "10.9.0.0/24 - 0",
        "192.0.2.0/24 10.9.0.7 0",
        "192.0.2.0/24 10.9.0.8 0",
        "198.51.100.0/24 fe80::1 0",
        "2001:db8:9::/64 - 256",
        "::/0 2001:db8:9::1 1024",
    ];
    assert_eq!(seen, expected);
    let own = routes.iter().find(|route| route.destination.to_string() == "10.9.0.0/24").unwrap();
    assert_eq!(own.source, Some([10, 9, 0, 2].into()));

    let neighbours = cable.in_b(|| interfaces::neighbours().unwrap());
    let of = |ip: &str| {
        let ip: IpAddr = ip.parse().unwrap();
        neighbours.iter().find(|neighbour| neighbour.ip == ip).unwrap()
    };
    let gateway = of("10.9.0.1");
    assert_eq!(gateway.mac.unwrap().to_string(), "02:00:00:00:00:01");
    assert_eq!((gateway.state, gateway.router), (NeighbourState::Permanent, false));
    let router = of("2001:db8:9::1");
    assert_eq!((router.interface, router.router), (vb.index, true));
}

#[test]
fn what_cannot_be_opened_is_told_apart() {
    if !is_root() {
        return;
    }
    let cable = Cable::lay();
    run(&format!("ip -n {} tuntap add mode tun name tun9", cable.a));
    run(&format!("ip -n {} link set tun9 up", cable.a));
    cable.in_a(|| {
        for io in Io::ALL {
            let absent = link::open_receive("nowhere0", io, &options()).map(|_| ());
            assert!(matches!(absent, Err(LinkError::NoInterface { .. })), "{absent:?}");
            let tunnel = link::open_receive("tun9", io, &options()).map(|_| ());
            assert!(matches!(tunnel, Err(LinkError::NotEthernet { .. })), "{tunnel:?}");
            link::open("lo", io, &options()).map(|_| ()).unwrap();
        }
        let ((_, receive), io, why) = link::open_or_fall_back("va", &options()).unwrap();
        assert!((io, receive.interface()) == (Io::Xdp, "va") && why.is_empty());
        let absent = link::open_or_fall_back("nowhere0", &options()).map(|_| ());
        assert!(matches!(absent, Err(LinkError::NoInterface { .. })));
    });
}

/// sudo as a user's files see it: the child process below stands for the program under sudo.
#[test]
fn files_belong_to_who_called_sudo() {
    if !is_root() {
        return;
    }
    if let Some(folder) = std::env::var_os("JIEBEI_TEST_FOLDER") {
        let folder = PathBuf::from(folder).join("2026/11");
        privilege::create_folder(&folder).unwrap();
        privilege::give_to_owner(File::create(folder.join("result.json")).unwrap()).unwrap();
        return;
    }
    use std::os::unix::fs::MetadataExt;
    for (uid, expected) in [(Some("4711"), 4711), (None, 0)] {
        let (_scratch, folder) = scratch("out");
        fs::create_dir(&folder).unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "files_belong_to_who_called_sudo"]).stdout(Stdio::null());
        child.env("JIEBEI_TEST_FOLDER", &folder);
        child.env_remove("SUDO_UID").env_remove("SUDO_GID");
        if let Some(uid) = uid {
            child.env("SUDO_UID", uid).env("SUDO_GID", "4712");
        }
        assert!(child.status().unwrap().success());
        for made in ["2026", "2026/11", "2026/11/result.json"] {
            assert_eq!(fs::metadata(folder.join(made)).unwrap().uid(), expected, "{made}");
        }
        assert_eq!(fs::metadata(&folder).unwrap().uid(), 0, "it was there before");
    }
}

/// Root without capabilities could not write into a user's folder, so it becomes that user.
#[test]
fn a_sweep_into_a_users_folder_goes_on_as_that_user() {
    if let Some(folder) = std::env::var_os("JIEBEI_TEST_USERS_FOLDER") {
        let folder = PathBuf::from(folder);
        privilege::drop_for(&folder).unwrap();
        File::create(folder.join("result.json")).unwrap();
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        for line in ["Uid:\t4711\t4711\t4711", "Gid:\t4712\t4712\t4712", "Groups:\t \n"] {
            assert!(status.contains(line), "{line}: {status}");
        }
        for set in ["CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t0000000000000000")), "{status}");
        }
        return;
    }
    if !is_root() {
        return;
    }
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let (scratch, folder) = scratch("out");
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(&folder).unwrap();
    chown(&folder, Some(4711), Some(4712)).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "a_sweep_into_a_users_folder_goes_on_as_that_user"]);
    child.env("JIEBEI_TEST_USERS_FOLDER", &folder).stdout(Stdio::null());
    assert!(child.status().unwrap().success());
    let made = fs::metadata(folder.join("result.json")).unwrap();
    assert_eq!((made.uid(), made.gid()), (4711, 4712));
}

/// Receives at `vb` until it is quiet: how often each number came, and whether all were intact.
fn tally(receive: &mut dyn Receive, most: usize) -> Vec<u8> {
    let mut times = vec![0u8; most];
    loop {
        let round = receive.receive(Duration::from_millis(700), &mut |frame| {
            let number = number_of(frame.bytes);
            assert_eq!(frame.bytes, numbered(number), "intact");
            times[number as usize] += 1;
        });
        if round.unwrap() == 0 {
            return times;
        }
    }
}

/// A million frames by each means, at the pace of who receives them.
#[test]
fn every_frame_said_as_sent_arrives_once_and_intact() {
    if !is_root() {
        return;
    }
    const FRAMES: usize = 1_000_000;
    for io in Io::ALL {
        let cable = Cable::lay();
        let mut receive =
            cable.listen_b(Io::Batch, &Options { ring: 128 << 20, snap: 96, ..options() });
        let (mut transmit, _) = cable.open_a(io);
        let (times, dropped, sent) = thread::scope(|scope| {
            let listening = scope.spawn(move || {
                let times = tally(receive.as_mut(), FRAMES);
                (times, receive.dropped().unwrap())
            });
            let mut sent = 0;
            let mut count = |flushed: Result<usize, LinkError>| match flushed {
                Ok(frames) => sent += frames,
                Err(error) => {
                    assert!(matches!(error, LinkError::Congested { .. }), "{io}: {error}")
                }
            };
            let mut frame = numbered(0);
            for number in 0..FRAMES {
                frame[14..18].copy_from_slice(&(number as u32).to_be_bytes());
                while let Err(error) = transmit.queue(&frame) {
                    count(Err(error));
                }
                // Flushes of every size, so that both ways of making the call are gone.
                if number % 64 == 63 || number % 1009 == 0 {
                    count(transmit.flush());
                }
            }
            count(transmit.settle(SETTLING));
            let (times, dropped) = listening.join().unwrap();
            (times, dropped, sent)
        });
        assert_eq!(sent, FRAMES, "{io}");
        assert!(times.iter().all(|times| *times <= 1), "{io}: a frame came twice");
        let came = times.iter().filter(|times| **times == 1).count();
        assert_eq!(came as u64 + dropped, FRAMES as u64, "{io}: {dropped} dropped by the ring");
    }
}

/// Down and up in the middle: what was said as sent came, nothing comes twice, and the link works on.
#[test]
fn a_link_that_goes_down_in_the_middle_of_sending_tells_it_and_goes_on() {
    if !is_root() {
        return;
    }
    const FRAMES: usize = 400_000;
    for io in Io::ALL {
        let cable = Cable::lay();
        let mut receive =
            cable.listen_b(Io::Batch, &Options { ring: 64 << 20, snap: 96, ..options() });
        let (mut transmit, _) = cable.open_a(io);
        let (mut sent, mut downs, mut number) = (0, 0, 0);
        let mut went_down = None;
        while number < FRAMES {
            if number == FRAMES / 4 {
                let a = cable.a.clone();
                went_down = Some(thread::spawn(move || {
                    run(&format!("ip -n {a} link set va down"));
                    thread::sleep(Duration::from_millis(50));
                    run(&format!("ip -n {a} link set va up"));
                }));
            }
            let queued = transmit.queue(&numbered(number as u32));
            let flushed =
                if queued.is_ok() && number % 64 == 63 { transmit.flush() } else { Ok(0) };
            number += 1;
            match queued.map(|()| 0).and(flushed) {
                Ok(frames) => sent += frames,
                Err(LinkError::Congested { .. }) => {}
                Err(LinkError::Down { .. }) => downs += 1,
                Err(error) => panic!("{io}: {error}"),
            }
            // Until it is up again, not every frame needs to be tried.
            if downs > 0 && went_down.as_ref().is_some_and(|thread| !thread.is_finished()) {
                thread::sleep(Duration::from_millis(5));
            }
        }
        went_down.unwrap().join().unwrap();
        cable.wait_until_running();
        let began = Instant::now();
        loop {
            match transmit.settle(SETTLING) {
                Ok(frames) => break sent += frames,
                Err(LinkError::Down { .. } | LinkError::Congested { .. }) => {}
                Err(error) => panic!("{io}: {error}"),
            }
            assert!(began.elapsed() < SETTLING, "{io}");
        }
        assert!(downs > 0, "{io}: nobody was told");
        let times = tally(receive.as_mut(), FRAMES);
        assert!(times.iter().all(|times| *times <= 1), "{io}: a frame came twice");
        let came = times.iter().filter(|times| **times == 1).count() as u64;
        let dropped = receive.dropped().unwrap();
        println!("{io}: {sent} sent, {came} came, {dropped} dropped, down told {downs} times");
        assert!(came + dropped >= 1 && came + dropped <= FRAMES as u64);
        assert!(sent as u64 >= came, "{io}: {came} came, {sent} said as sent");
        assert!(sent as u64 - came - dropped <= MOST_LOST_WITH_THE_CARRIER, "{io}: {sent}, {came}");
    }
}

/// What a device that goes down has taken and no longer delivers.
const MOST_LOST_WITH_THE_CARRIER: u64 = 2048;

#[test]
fn an_interface_deleted_in_the_middle_of_sending_ends_the_link_in_time() {
    if !is_root() {
        return;
    }
    for io in Io::ALL {
        let cable = Cable::lay();
        let (mut transmit, _) = cable.open_a(io);
        let b = cable.b.clone();
        let deleting = thread::spawn(move || {
            thread::sleep(Duration::from_millis(100));
            run(&format!("ip -n {b} link del vb"));
        });
        let began = Instant::now();
        let frame = numbered(1);
        let error = loop {
            let mut ended = Ok(0);
            for _ in 0..64 {
                ended = ended.and(transmit.queue(&frame).map(|()| 0));
            }
            match ended.and_then(|_| transmit.flush()) {
                Ok(_) | Err(LinkError::Congested { .. }) => {}
                Err(error) => break error,
            }
            assert!(began.elapsed() < Duration::from_secs(10), "{io}: nobody was told");
        };
        assert!(error.is_lost(), "{io}: {error}");
        deleting.join().unwrap();
        let began = Instant::now();
        drop(transmit);
        assert!(began.elapsed() < Duration::from_secs(1), "{io}: the thread does not end");
    }
}

#[test]
fn a_queue_that_another_has_makes_a_sweep_fall_back_and_say_so() {
    if !is_root() {
        return;
    }
    let cable = Cable::lay();
    cable.in_a(|| {
        let ((first, _), io, passed) = link::open_or_fall_back("va", &options()).unwrap();
        assert!(io == Io::Xdp && passed.is_empty());
        let ((mut second, _), io, passed) = link::open_or_fall_back("va", &options()).unwrap();
        assert_eq!(io, Io::Batch);
        assert!(
            matches!(
                &passed[..],
                [link::NotTaken { io: Io::Xdp, why: LinkError::System { source, .. } }]
                    if source.kind() == std::io::ErrorKind::ResourceBusy
            ),
            "{passed:?}"
        );
        second.queue(&numbered(1)).unwrap();
        assert_eq!(second.flush().unwrap(), 1);
        drop(first);
    });
}

#[test]
fn how_full_a_ring_is_can_be_asked() {
    if !is_root() {
        return;
    }
    let cable = Cable::lay();
    let mut receive = cable.listen_b(Io::Batch, &Options { ring: 1 << 20, snap: 128, ..options() });
    assert_eq!(receive.fill(), 0.0);
    let (mut transmit, _) = cable.open_a(Io::Batch);
    let mut before = 0.0;
    for round in 0..4 {
        for number in 0..1000 {
            transmit.queue(&numbered(round * 1000 + number)).unwrap();
        }
        transmit.flush().unwrap();
        thread::sleep(Duration::from_millis(30));
        assert!(receive.fill() > before && receive.fill() <= 1.0, "{}", receive.fill());
        before = receive.fill();
    }
    assert_eq!(gather(receive.as_mut(), 4000).len(), 4000);
    assert_eq!(receive.fill(), 0.0);
}

#[test]
fn the_kernels_filter_lets_through_only_answers_and_none_of_our_own_frames() {
    if !is_root() {
        return;
    }
    let arp = |op: u8| {
        let body = [
            0, 1, 8, 0, 6, 4, 0, op, 2, 0, 0, 0, 0, 0xa, 10, 9, 0, 1, 0, 0, 0, 0, 0, 0, 10, 9, 0, 2,
        ];
        [&MAC_B[..], &MAC_A, &[8, 6], &body].concat()
    };
    let mut other = tcp(4, 0x12, 40_000);
    other[33] = 11;
    let cases = [
        (numbered(1), false),
        (arp(2), true),
        (arp(1), false),
        (tcp(4, 0x12, 40_000), true),
        (tcp(6, 0x12, 40_099), true),
        (tcp(4, 0x14, 40_000), true),
        (tcp(4, 0x10, 40_000), false),
        (tcp(4, 0x02, 40_000), false),
        (tcp(6, 0x12, 40_100), false),
        (other, false),
    ];
    for io in Io::ALL {
        for outgoing in [Outgoing::Heard, Outgoing::Ignored] {
            let cable = Cable::lay();
            run(&format!("ip -n {} addr add 10.9.0.2/24 dev vb", cable.b));
            let addresses =
                [IpAddr::from([10; 4]), "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd".parse().unwrap()];
            let (tcp, udp) = ((40_000, 40_099), (50_000, 50_099));
            let answers = Answers { tcp, udp, addresses: addresses.into(), outgoing };
            let filter = Filter::Answers(answers);
            let mut receive = cable.listen_b(io, &Options { filter, outgoing, ..options() });
            let (mut transmit, _) = cable.open_a(Io::Batch);
            for (frame, _) in &cases {
                transmit.queue(frame).unwrap();
            }
            transmit.flush().unwrap();
            let heard = gather_for(receive.as_mut(), Duration::from_millis(300));
            let foreign: Vec<_> = heard.iter().filter(|frame| frame[6..12] == MAC_A).collect();
            let expected: Vec<_> =
                cases.iter().filter(|(_, passes)| *passes).map(|(frame, _)| frame).collect();
            assert_eq!(foreign, expected, "{io}");
            // The answer to the ARP request is of the kernel there.
            let own = heard.len() - foreign.len();
            assert_eq!(own > 0, outgoing == Outgoing::Heard, "{io} {outgoing:?}: {own}");
        }
    }
}

/// What we write, as the programs of others read it.
#[test]
fn tshark_and_capinfos_read_what_is_written() {
    let (_folder, file) = scratch("written.pcapng");
    let section = Section { application: "jiebei 0.1".into(), comments: vec!["sweep 一".into()] };
    let mut writer = capture::Writer::new(File::create(&file).unwrap(), &section).unwrap();
    let one = writer.interface(&InterfaceDescription::ethernet("eth1")).unwrap();
    let tunnel = InterfaceDescription::ethernet("tun0");
    let two =
        writer.interface(&InterfaceDescription { link_type: LinkType::RAW, ..tunnel }).unwrap();
    let at = |text: &str| text.parse().unwrap();
    let frame = numbered(6);
    let time = at("2026-11-22T01:02:03.123456789Z");
    let comments = ["finding-a", "发现乙"];
    writer.frame(one, time, &frame, 64, Some(Direction::Inbound), &comments).unwrap();
    writer.custom(b"what no frame shows".to_vec()).unwrap();
    let packet = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    let time = at("2026-11-22T01:02:02.000000001Z");
    writer.frame(two, time, &packet, 1500, Some(Direction::Outbound), &[]).unwrap();
    writer.statistics(one, time, 5, 2).unwrap();
    writer.finish().unwrap();

    let fields = "frame.number frame.interface_name frame.time_epoch frame.len frame.cap_len \
                  frame.comment frame.packet_flags_direction";
    let fields = fields.split_whitespace().map(|field| format!(" -e {field}")).collect::<String>();
    let arguments = "-T fields -E occurrence=a -E aggregator=|";
    let seen = run(&format!("tshark -r {} {arguments}{fields}", file.display()));
    let lines: Vec<&str> = seen.lines().collect();
    let expected = [
        "1\teth1\t1795309323.123456789\t64\t64\tfinding-a|发现乙\t0x00000001",
        "2\ttun0\t1795309322.000000001\t1500\t20\t\t0x00000002",
    ];
    assert_eq!(lines[..2], expected);
    assert!(lines[2].starts_with("3\t\t"), "the custom block, last: {lines:?}");
    let told = run(&format!("capinfos -M {}", file.display()));
    for part in ["jiebei 0.1", "sweep 一", "Number of packets:   2", "tun0"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

/// Every capture of a folder through the reader. `capinfos` counts the frames; where it cannot
/// read a file to its end, neither can we, and say at which octet.
fn read_folder(folder: &Path) {
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if !path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng") {
            continue;
        }
        files += 1;
        let (frames, error) = count(&path);
        let told =
            Command::new("capinfos").args(["-T", "-r", "-M", "-c"]).arg(&path).output().unwrap();
        let counted = String::from_utf8_lossy(&told.stdout);
        let counted: Option<usize> =
            counted.trim().rsplit('\t').next().and_then(|count| count.parse().ok());
        let name = path.display();
        match counted {
            Some(counted) => assert_eq!(frames, counted, "{name}"),
            // Some link types have no place in its tables, and every one in ours.
            None => assert!(
                error.is_some() || String::from_utf8_lossy(&told.stderr).contains("network type"),
                "{name}: not refused"
            ),
        }
        // The folder may have beside it what tshark 4.0 said of each file.
        let truth =
            folder.join("truth").join(path.file_name().unwrap()).with_added_extension("json");
        if let Ok(truth) = fs::read(&truth) {
            let truth: Value = serde_json::from_slice(&truth).unwrap();
            let known = &truth["capture"];
            if known["file_ends_early_or_damaged"] == true || counted.is_some() {
                assert_eq!(frames, known["frames"], "{name}");
            }
            assert_eq!(error.is_none(), known["libpcap_reads_to_end"] == true, "{name}");
        }
        if let Some(error) = error {
            assert!(error.to_string().starts_with(&format!("{name}: at octet ")), "{error}");
            eprintln!("{error}, after {frames} frames");
        }
    }
    assert!(files > 0, "{} holds no capture", folder.display());
}

fn count(path: &Path) -> (usize, Option<capture::CaptureError>) {
    let mut reader = match capture::Reader::open(path) {
        Ok(reader) => reader,
        Err(error) => return (0, Some(error)),
    };
    let mut frames = 0;
    while let Some(item) = reader.next() {
        match item {
            Ok(Item::Frame(_)) => frames += 1,
            Ok(Item::Custom { .. }) => {}
            Err(error) => return (frames, Some(error)),
        }
    }
    (frames, None)
}

/// The captures of the repository, and those of the folder that JIEBEI_CAPTURES names.
#[test]
fn every_capture_has_the_frames_that_capinfos_counts() {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let more = std::env::var_os("JIEBEI_CAPTURES").map(PathBuf::from);
    for folder in [Some(own), more].into_iter().flatten().filter(|folder| folder.is_dir()) {
        read_folder(&folder);
    }
}
