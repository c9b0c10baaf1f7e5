use super::*;
use crate::net::Mac;
use crate::observe::Role;
use crate::wire::Ip;
use crate::wire::tls::check::client_hello;

const CLIENT: &str = "10.20.1.5";
const SERVER: &str = "10.20.1.7";

struct Wire {
    streams: Streams,
    second: u32,
    told: Vec<Fact>,
}

impl Wire {
    fn new() -> Wire {
        Wire { streams: Streams::default(), second: 1_800_000_000, told: Vec::new() }
    }

    fn send(&mut self, port: u16, flags: u8, sequence: u32, payload: &[u8]) {
        let (source, destination) = (CLIENT.parse().unwrap(), SERVER.parse().unwrap());
        let segment = TcpSegment {
            source: port,
            destination: 443,
            sequence,
            acknowledgement: 0,
            flags,
            window: 1024,
            options: &[2, 4, 5, 0xb4],
            payload,
        };
        let mut bytes = Vec::new();
        segment.write(&mut bytes, source, destination);
        let ip = Ip {
            source,
            destination,
            hop_limit: 64,
            traffic_class: 0,
            identification: 0,
            dont_fragment: true,
            protocol: crate::wire::Protocol::TCP,
            fragment: None,
            has_options: false,
            header_length: 20,
            payload: &bytes,
            cut: false,
        };
        let segment = Segment {
            source: Mac::ZERO,
            destination: Mac::ZERO,
            ip,
            encapsulation: None,
            carried: Transport::Tcp(segment),
        };
        let Wire { streams, second, told } = self;
        streams.take(VantageId(0), *second, &segment, &mut |fact| told.push(fact));
    }

    fn hellos(&mut self) -> usize {
        let told = std::mem::take(&mut self.told);
        told.iter().filter(|fact| matches!(fact, Fact::TlsClient(_))).count()
    }
}

#[test]
fn a_hello_is_read_in_any_order_once() {
    let hello = client_hello("portal.example");
    let parts: Vec<(u32, &[u8])> =
        hello.chunks(40).zip(0u32..).map(|(part, n)| (n * 40, part)).collect();
    let orders: [Vec<usize>; 4] = [
        (0..parts.len()).collect(),
        (0..parts.len()).rev().collect(),
        [1, 0].into_iter().chain(2..parts.len()).collect(),
        [0, 0, 1, 1].into_iter().chain((2..parts.len()).rev()).chain([0, 1]).collect(),
    ];
    for (order, port) in orders.iter().zip(4000..) {
        let mut wire = Wire::new();
        // The sequence numbers go round in the middle of it.
        let first = u32::MAX - 60;
        wire.send(port, tcp::SYN, first.wrapping_sub(1), b"");
        for &place in order {
            let (offset, part) = parts[place];
            wire.send(port, tcp::ACK, first.wrapping_add(offset), part);
        }
        assert_eq!(wire.hellos(), 1, "{order:?}");
        // A certificate may follow; the hello itself is not held.
        assert_eq!(wire.streams.table.held(), (1, 0));
    }
}

#[test]
fn a_stream_that_was_joined_late_is_read_only_where_it_begins_like_one() {
    let mut wire = Wire::new();
    let hello = client_hello("portal.example");
    wire.send(1, tcp::ACK, 77, &hello);
    wire.send(2, tcp::ACK, 77, b"\x17\x03\x03 something else");
    wire.send(2, tcp::ACK, 99, &hello);
    assert_eq!(wire.hellos(), 1);
    // The same ports again.
    wire.send(2, tcp::SYN, 5, b"");
    wire.send(2, tcp::ACK, 6, &hello);
    assert_eq!(wire.hellos(), 1);
}

#[test]
fn floods_are_bounded() {
    let mut wire = Wire::new();
    // Heads that never end.
    let part = client_hello("portal.example")[..60].to_vec();
    for round in 0..3u32 {
        for port in 0..20_000u16 {
            wire.send(port, tcp::SYN, round, b"");
            wire.send(port, tcp::ACK, round + 1, &part);
            wire.send(port, tcp::ACK, round + 4000, &[7; 1400]);
        }
        wire.second += 1;
        wire.streams.table.held();
    }
    assert!(wire.streams.table.held().0 > 1000);
    let hello = client_hello("portal.example");
    wire.send(30_000, tcp::SYN, 0, b"");
    wire.send(30_000, tcp::ACK, 1, &hello);
    assert_eq!(wire.hellos(), 1);
}

#[test]
fn a_syn_is_told_once_a_minute() {
    let mut wire = Wire::new();
    for _ in 0..5 {
        wire.send(1, tcp::SYN, 7, b"");
        wire.second += 20;
    }
    let syns = wire
        .told
        .iter()
        .filter(|fact| matches!(fact, Fact::TcpSyn(syn) if syn.role == Role::Client));
    assert_eq!(syns.count(), 2);
}
