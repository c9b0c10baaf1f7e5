//! What the kernel lets through to a receiving half: classic BPF, built here.

use std::net::IpAddr;
use std::sync::Arc;

use libc::sock_filter;

use super::Outgoing;

/// Which frames a link hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every frame: listening runs beside the sending, and the port may be a mirror.
    Everything,
    /// Every frame but bulk: TCP segments without SYN, FIN or RST go only where they come to one of
    /// these ports, first to last, which are those we ask from. For a mirror port that carries
    /// more than we can read; who talks with whom is still heard from the openings.
    WithoutBulk { first: u16, last: u16 },
    /// Every frame but bulk: of TCP only segments with SYN, FIN or RST, or behind IPv6 extension headers or in a later fragment.
    /// For listening to a mirror port that carries more than we can read: who talks with whom is still heard, what they say by TCP
    /// is not.
    Openings,
    /// ICMP, UDP and openings and resets of TCP that come to one of these addresses. The rest of TCP is bulk. Of an IPv6
    /// address its last 32 bits are compared, and of a family with more than [`MOST_ADDRESSES`] none is: who asks
    /// looks at the destination again.
    To(Arc<[IpAddr]>),
    /// What can answer a question of ours, and nothing else. For sweeps so fast that every frame counts which
    /// the kernel need not hand over.
    Answers(Answers),
}

/// What answers are known by before they are read.
///
/// Let through are: ARP replies; ICMP echo and timestamp replies and errors; ICMPv6 echo replies, errors and
/// neighbour advertisements; of TCP, SYN with ACK and RST, and of UDP everything, to these ports; and IPv6
/// with extension headers, which who asked has to read. Fragments other than the first are left
/// out: they answer nothing by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// Ports that we ask from, first and last.
    pub tcp: (u16, u16),
    pub udp: (u16, u16),
    /// The addresses that we ask from, compared as those of [`Filter::To`].
    pub addresses: Arc<[IpAddr]>,
    /// Whether what our own kernel sends is let through too: its resets count against ceilings.
    pub outgoing: Outgoing,
}

/// Addresses of a family that a program compares.
const MOST_ADDRESSES: usize = 64;

/// Instructions of linux/filter.h, as far as they are used here.
mod code {
    pub const LOAD_WORD: u16 = 0x20;
    pub const LOAD_HALF: u16 = 0x28;
    pub const LOAD_BYTE: u16 = 0x30;
    pub const LOAD_HALF_INDEXED: u16 = 0x48;
    pub const LOAD_BYTE_INDEXED: u16 = 0x50;
    /// X becomes four times the low nibble: the length of an IPv4 header.
    pub const INDEX_IPV4_HEADER: u16 = 0xb1;
    pub const IF_EQUAL: u16 = 0x15;
    pub const IF_GREATER: u16 = 0x25;
    pub const IF_AT_LEAST: u16 = 0x35;
    pub const IF_ANY_BIT: u16 = 0x45;
    pub const RETURN: u16 = 0x06;
}

impl Filter {
    /// The program for the kernel. It returns how many octets of a frame to keep; 0 drops it.
    ///
    /// The kernel has taken a VLAN tag off before, so tagged frames are read as the others are. A
    /// load past a frame's end drops it.
    pub(super) fn program(&self, snap: u32) -> Vec<sock_filter> {
        match self {
            Filter::Everything => assemble(&[Op::Do(code::RETURN, snap)]),
            Filter::WithoutBulk { first, last } => {
                without_bulk((*first).into(), (*last).into(), snap)
            }
            // No port is at least one and at most none.
            Filter::Openings => without_bulk(1, 0, snap),
            Filter::To(addresses) => to(addresses, snap),
            Filter::Answers(answers) => only_answers(answers, snap),
        }
    }
}

fn without_bulk(first: u32, last: u32, snap: u32) -> Vec<sock_filter> {
    use Op::{Do, If};
    use code::*;
    const TCP: u32 = 6;
    const FIN_SYN_RST: u32 = 0b111;
    const OFFSET_OF_FRAGMENT: u32 = 0x1fff;
    const IPV4: u8 = 3;
    const IPV6: u8 = 13;
    const PASS: u8 = 20;
    const DROP: u8 = 21;
    assemble(&[
        Do(LOAD_HALF, 12),
        If(IF_EQUAL, 0x0800, IPV4, 2),
        If(IF_EQUAL, 0x86dd, IPV6, PASS),
        // IPv4: protocol, fragment offset, then the TCP header behind any options.
        Do(LOAD_BYTE, 23),
        If(IF_EQUAL, TCP, 5, PASS),
        Do(LOAD_HALF, 20),
        If(IF_ANY_BIT, OFFSET_OF_FRAGMENT, PASS, 7),
        Do(INDEX_IPV4_HEADER, 14),
        Do(LOAD_HALF_INDEXED, 16),
        If(IF_AT_LEAST, first, 10, 11),
        If(IF_GREATER, last, 11, PASS),
        Do(LOAD_BYTE_INDEXED, 27),
        If(IF_ANY_BIT, FIN_SYN_RST, PASS, DROP),
        // IPv6: only where TCP is the first header; what has extension headers passes.
        Do(LOAD_BYTE, 20),
        If(IF_EQUAL, TCP, 15, PASS),
        Do(LOAD_HALF, 56),
        If(IF_AT_LEAST, first, 17, 18),
        If(IF_GREATER, last, 18, PASS),
        Do(LOAD_BYTE, 67),
        If(IF_ANY_BIT, FIN_SYN_RST, PASS, DROP),
        Do(RETURN, snap),
        Do(RETURN, 0),
    ])
}

fn to(addresses: &[IpAddr], snap: u32) -> Vec<sock_filter> {
    use Op::{Do, If};
    use code::*;
    const ICMP: u32 = 1;
    const TCP: u32 = 6;
    const UDP: u32 = 17;
    const ICMPV6: u32 = 58;
    const HOP_BY_HOP: u32 = 0;
    const ROUTING: u32 = 43;
    const FRAGMENT: u32 = 44;
    const DESTINATION_OPTIONS: u32 = 60;
    const OFFSET_OF_FRAGMENT: u32 = 0x1fff;
    const SYN: u32 = 0b10;
    const RST: u32 = 0b100;
    const ACK: u32 = 0b1_0000;
    const IPV4: u8 = 3;
    const IPV6: u8 = 12;
    const FLAGS: u8 = 22;
    const DESTINATIONS: u8 = 24;
    const IPV4_DESTINATIONS: u8 = 26;
    let (four, six) = by_family(addresses);
    let ipv6_destinations = IPV4_DESTINATIONS + length(&four);
    let pass = ipv6_destinations + length(&six);
    let drop = pass + 1;
    let mut program = vec![
        Do(LOAD_HALF, 12),
        If(IF_EQUAL, 0x0800, IPV4, 2),
        If(IF_EQUAL, 0x86dd, IPV6, drop),
        Do(LOAD_BYTE, 23),
        If(IF_EQUAL, TCP, 7, 5),
        If(IF_EQUAL, UDP, DESTINATIONS, 6),
        If(IF_EQUAL, ICMP, DESTINATIONS, drop),
        Do(LOAD_HALF, 20),
        If(IF_ANY_BIT, OFFSET_OF_FRAGMENT, drop, 9),
        Do(INDEX_IPV4_HEADER, 14),
        Do(LOAD_BYTE_INDEXED, 27),
        If(IF_ANY_BIT, RST | SYN, FLAGS, drop),
        // IPv6: what has extension headers passes, and is read by who asked.
        Do(LOAD_BYTE, 20),
        If(IF_EQUAL, TCP, 20, 14),
        If(IF_EQUAL, UDP, DESTINATIONS, 15),
        If(IF_EQUAL, ICMPV6, DESTINATIONS, 16),
        If(IF_EQUAL, HOP_BY_HOP, DESTINATIONS, 17),
        If(IF_EQUAL, ROUTING, DESTINATIONS, 18),
        If(IF_EQUAL, FRAGMENT, DESTINATIONS, 19),
        If(IF_EQUAL, DESTINATION_OPTIONS, DESTINATIONS, drop),
        Do(LOAD_BYTE, 67),
        If(IF_ANY_BIT, RST | SYN, FLAGS, drop),
        If(IF_ANY_BIT, RST, DESTINATIONS, 23),
        If(IF_ANY_BIT, ACK, drop, DESTINATIONS),
        Do(LOAD_HALF, 12),
        If(IF_EQUAL, 0x0800, IPV4_DESTINATIONS, ipv6_destinations),
    ];
    compare(&mut program, IPV4_DESTINATIONS, 30, &four, (pass, drop));
    compare(&mut program, ipv6_destinations, 50, &six, (pass, drop));
    program.extend([Do(RETURN, snap), Do(RETURN, 0)]);
    assemble(&program)
}

/// The IPv4 addresses, and the last 32 bits of the IPv6 addresses.
fn by_family(addresses: &[IpAddr]) -> (Vec<u32>, Vec<u32>) {
    let mut four = Vec::new();
    let mut six = Vec::new();
    for address in addresses {
        match address {
            IpAddr::V4(address) => four.push(u32::from(*address)),
            // The cast keeps the last 32 bits.
            IpAddr::V6(address) => six.push(u128::from(*address) as u32),
        }
    }
    (four, six)
}

/// How many instructions [`compare`] adds: a load and the comparisons, or one that compares nothing. At most 65, so
/// that with two families every jump is shorter than 256 instructions.
fn length(list: &[u32]) -> u8 {
    if list.len() > MOST_ADDRESSES { 1 } else { list.len() as u8 + 1 }
}

/// Compares the word at an offset with each of a list, in instructions that begin at `at`.
fn compare(program: &mut Vec<Op>, at: u8, offset: u32, list: &[u32], (pass, drop): (u8, u8)) {
    if list.is_empty() || list.len() > MOST_ADDRESSES {
        let end = if list.is_empty() { drop } else { pass };
        program.push(Op::If(code::IF_EQUAL, 0, end, end));
        return;
    }
    program.push(Op::Do(code::LOAD_WORD, offset));
    for (place, value) in (at + 1..).zip(list) {
        let next = if place == at + list.len() as u8 { drop } else { place + 1 };
        program.push(Op::If(code::IF_EQUAL, *value, pass, next));
    }
}

fn only_answers(answers: &Answers, snap: u32) -> Vec<sock_filter> {
    use Line::{Do, If, Mark};
    use code::*;
    /// The kernel's own word about a frame.
    const PACKET_TYPE: u32 = (libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE) as u32;
    const OUTGOING: u32 = libc::PACKET_OUTGOING as u32;
    const OFFSET_OF_FRAGMENT: u32 = 0x1fff;
    const SYN: u32 = 0b10;
    const RST: u32 = 0b100;
    const ACK: u32 = 0b1_0000;
    let (four, six) = by_family(&answers.addresses);
    let (tcp_first, tcp_last) = (answers.tcp.0.into(), answers.tcp.1.into());
    let (udp_first, udp_last) = (answers.udp.0.into(), answers.udp.1.into());
    let own = if answers.outgoing == Outgoing::Heard { "pass" } else { "drop" };
    let mut lines = vec![
        Do(LOAD_BYTE, PACKET_TYPE),
        If(IF_EQUAL, OUTGOING, own, NEXT),
        Do(LOAD_HALF, 12),
        If(IF_EQUAL, 0x0800, "ipv4", NEXT),
        If(IF_EQUAL, 0x86dd, "ipv6", NEXT),
        If(IF_EQUAL, 0x0806, NEXT, "drop"),
        Do(LOAD_HALF, 20),
        If(IF_EQUAL, 2, "pass", "drop"),
        Mark("ipv4"),
        Do(LOAD_HALF, 20),
        If(IF_ANY_BIT, OFFSET_OF_FRAGMENT, "drop", NEXT),
        Do(INDEX_IPV4_HEADER, 14),
        Do(LOAD_BYTE, 23),
        If(IF_EQUAL, 6, "tcp", NEXT),
        If(IF_EQUAL, 17, "udp", NEXT),
        If(IF_EQUAL, 1, NEXT, "drop"),
        // Echo reply; unreachable, source quench, redirect; time exceeded, parameter problem; timestamp reply.
        Do(LOAD_BYTE_INDEXED, 14),
        If(IF_EQUAL, 0, "to4", NEXT),
        If(IF_EQUAL, 14, "to4", NEXT),
        If(IF_AT_LEAST, 3, NEXT, "drop"),
        If(IF_GREATER, 12, "drop", NEXT),
        If(IF_AT_LEAST, 11, "to4", NEXT),
        If(IF_GREATER, 5, "drop", "to4"),
        Mark("tcp"),
        Do(LOAD_HALF_INDEXED, 16),
        If(IF_AT_LEAST, tcp_first, NEXT, "drop"),
        If(IF_GREATER, tcp_last, "drop", NEXT),
        Do(LOAD_BYTE_INDEXED, 27),
        If(IF_ANY_BIT, RST, "to4", NEXT),
        If(IF_ANY_BIT, SYN, NEXT, "drop"),
        If(IF_ANY_BIT, ACK, "to4", "drop"),
        Mark("udp"),
        Do(LOAD_HALF_INDEXED, 16),
        If(IF_AT_LEAST, udp_first, NEXT, "drop"),
        If(IF_GREATER, udp_last, "drop", "to4"),
        // By the first header: hop-by-hop options, routing, fragment and destination options pass.
        Mark("ipv6"),
        Do(LOAD_BYTE, 20),
        If(IF_EQUAL, 6, "tcp6", NEXT),
        If(IF_EQUAL, 17, "udp6", NEXT),
        If(IF_EQUAL, 0, "to6", NEXT),
        If(IF_EQUAL, 43, "to6", NEXT),
        If(IF_EQUAL, 44, "to6", NEXT),
        If(IF_EQUAL, 60, "to6", NEXT),
        If(IF_EQUAL, 58, NEXT, "drop"),
        // Errors; echo reply; neighbour advertisement.
        Do(LOAD_BYTE, 54),
        If(IF_AT_LEAST, 128, NEXT, "to6"),
        If(IF_EQUAL, 129, "to6", NEXT),
        If(IF_EQUAL, 136, "to6", "drop"),
        Mark("tcp6"),
        Do(LOAD_HALF, 56),
        If(IF_AT_LEAST, tcp_first, NEXT, "drop"),
        If(IF_GREATER, tcp_last, "drop", NEXT),
        Do(LOAD_BYTE, 67),
        If(IF_ANY_BIT, RST, "to6", NEXT),
        If(IF_ANY_BIT, SYN, NEXT, "drop"),
        If(IF_ANY_BIT, ACK, "to6", "drop"),
        Mark("udp6"),
        Do(LOAD_HALF, 56),
        If(IF_AT_LEAST, udp_first, NEXT, "drop"),
        If(IF_GREATER, udp_last, "drop", "to6"),
    ];
    for (mark, word, list) in [("to4", 30, &four), ("to6", 50, &six)] {
        lines.push(Mark(mark));
        lines.push(Do(LOAD_WORD, word));
        if list.len() > MOST_ADDRESSES {
            lines.push(If(IF_EQUAL, 0, "pass", "pass"));
        } else {
            lines.extend(list.iter().map(|value| If(IF_EQUAL, *value, "pass", NEXT)));
            lines.push(If(IF_EQUAL, 0, "drop", "drop"));
        }
    }
    lines.extend([Mark("pass"), Do(RETURN, snap), Mark("drop"), Do(RETURN, 0)]);
    resolve(&lines)
}

/// A line of a program whose places have names.
enum Line {
    Mark(&'static str),
    Do(u16, u32),
    If(u16, u32, &'static str, &'static str),
}

/// The line below.
const NEXT: &str = "";

/// At most 255 instructions, and every name is marked below where it is used.
fn resolve(lines: &[Line]) -> Vec<sock_filter> {
    let mut places = Vec::new();
    let mut next = 0u8;
    for line in lines {
        match line {
            Line::Mark(name) => places.push((*name, next)),
            Line::Do(..) | Line::If(..) => next = next.saturating_add(1),
        }
    }
    let place = |name: &str, at: usize| {
        let found = places.iter().find(|(mark, _)| *mark == name);
        found.map_or(at as u8 + 1, |(_, place)| *place)
    };
    let program: Vec<Op> = lines
        .iter()
        .filter(|line| !matches!(line, Line::Mark(_)))
        .enumerate()
        .map(|(at, line)| match *line {
            Line::If(code, k, yes, no) => Op::If(code, k, place(yes, at), place(no, at)),
            Line::Do(code, k) => Op::Do(code, k),
            Line::Mark(_) => Op::Do(code::RETURN, 0),
        })
        .collect();
    assemble(&program)
}

/// An instruction whose jumps name their places in the program.
enum Op {
    Do(u16, u32),
    If(u16, u32, u8, u8),
}

fn assemble(program: &[Op]) -> Vec<sock_filter> {
    program
        .iter()
        .zip(1u8..)
        .map(|(op, next)| match *op {
            Op::Do(code, k) => sock_filter { code, jt: 0, jf: 0, k },
            // Jumps count from the next instruction, and the kernel refuses one past the end.
            Op::If(code, k, yes, no) => {
                sock_filter { code, jt: yes.wrapping_sub(next), jf: no.wrapping_sub(next), k }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a classic BPF program says about a frame, as far as the instructions used here go.
    fn run(program: &[sock_filter], frame: &[u8]) -> u32 {
        run_as(program, frame, libc::PACKET_HOST)
    }

    /// As above, of a frame that the kernel calls so.
    fn run_as(program: &[sock_filter], frame: &[u8], kind: u8) -> u32 {
        let (mut a, mut x, mut at) = (0u32, 0usize, 0usize);
        let load = |from: usize, count: usize| {
            let octets = frame.get(from..from + count)?;
            Some(octets.iter().fold(0u32, |value, octet| value << 8 | u32::from(*octet)))
        };
        loop {
            let op = program[at];
            at += 1;
            let k = op.k as usize;
            let holds = match op.code {
                code::RETURN => return op.k,
                code::IF_EQUAL => a == op.k,
                code::IF_ANY_BIT => a & op.k != 0,
                code::IF_GREATER => a > op.k,
                code::IF_AT_LEAST => a >= op.k,
                code::LOAD_BYTE if op.k as i32 == libc::SKF_AD_OFF + libc::SKF_AD_PKTTYPE => {
                    a = kind.into();
                    continue;
                }
                code::INDEX_IPV4_HEADER => {
                    x = usize::from(frame[k] & 15) * 4;
                    continue;
                }
                other => {
                    let (from, count) = match other {
                        code::LOAD_WORD => (k, 4),
                        code::LOAD_HALF => (k, 2),
                        code::LOAD_BYTE => (k, 1),
                        code::LOAD_BYTE_INDEXED => (k + x, 1),
                        code::LOAD_HALF_INDEXED => (k + x, 2),
                        _ => panic!("an instruction that is not used: {other:#x}"),
                    };
                    let Some(value) = load(from, count) else { return 0 };
                    a = value;
                    continue;
                }
            };
            at += usize::from(if holds { op.jt } else { op.jf });
        }
    }

    #[test]
    fn only_what_can_carry_a_token_to_an_address_passes() {
        let six: IpAddr = "2001:db8::10".parse().unwrap();
        let program = Filter::To(Arc::from([[192, 0, 2, 1].into(), [192, 0, 2, 2].into(), six]));
        let program = program.program(96);
        let ipv4 = |protocol: u8, last: u8, flags: u8, offset: u8| {
            let mut frame = vec![0u8; 60];
            frame[12..15].copy_from_slice(&[8, 0, 0x45]);
            (frame[21], frame[23], frame[47]) = (offset, protocol, flags);
            frame[30..34].copy_from_slice(&[192, 0, 2, last]);
            run(&program, &frame)
        };
        let ipv6 = |next: u8, last: u8, flags: u8| {
            let mut frame = vec![0u8; 80];
            frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
            (frame[20], frame[67]) = (next, flags);
            frame[38..54]
                .copy_from_slice(&[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
            run(&program, &frame)
        };
        let passed = [
            ipv4(1, 1, 0, 0),
            ipv4(17, 2, 0, 0),
            ipv4(6, 1, 0b10, 0),
            ipv4(6, 1, 0b1_0100, 0),
            ipv6(58, 0x10, 0),
            ipv6(17, 0x10, 0),
            ipv6(60, 0x10, 0),
            ipv6(6, 0x10, 0b10),
            ipv6(6, 0x10, 0b100),
        ];
        assert_eq!(passed, [96; 9]);
        let dropped = [
            ipv4(1, 3, 0, 0),
            ipv4(47, 1, 0, 0),
            ipv4(6, 1, 0b1_0010, 0),
            ipv4(6, 1, 0b1_0000, 0),
            ipv4(6, 1, 0b10, 9),
            ipv6(58, 0x11, 0),
            ipv6(6, 0x10, 0b1_0000),
            ipv6(6, 0x10, 0b1_0010),
            ipv6(59, 0x10, 0),
            run(&program, &[0; 60]),
        ];
        assert_eq!(dropped, [0; 10]);
    }

    fn answers(addresses: &[&str], outgoing: Outgoing) -> Filter {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Filter::Answers(Answers {
            tcp: (40_000, 40_099),
            udp: (50_000, 50_009),
            addresses,
            outgoing,
        })
    }

    #[test]
    fn of_answers_only_answers_pass() {
        let program = answers(&["192.0.2.1", "2001:db8::10"], Outgoing::Heard).program(96);
        // Behind four octets of options, so that the header's length has to be read.
        let ipv4 = |protocol: u8, last: u8, next: &[u8]| {
            let mut frame = vec![0u8; 38];
            frame[12..15].copy_from_slice(&[8, 0, 0x46]);
            frame[23] = protocol;
            frame[30..34].copy_from_slice(&[192, 0, 2, last]);
            frame.extend(next);
            frame
        };
        let ipv6 = |first: u8, last: u8, next: &[u8]| {
            let mut frame = vec![0u8; 54];
            frame[12..15].copy_from_slice(&[0x86, 0xdd, 0x60]);
            (frame[20], frame[38], frame[53]) = (first, 0x20, last);
            frame.extend(next);
            frame
        };
        let port = |port: u16| [&[0, 80][..], &port.to_be_bytes(), &[0; 4]].concat();
        let tcp = |to: u16, flags: u8| [&port(to)[..], &[0; 4], &[0x50, flags], &[0; 6]].concat();
        let arp = |op: u8| [&[0; 12][..], &[8, 6], &[0, 1, 8, 0, 6, 4, 0, op], &[0; 20]].concat();
        let mut fragment = ipv4(17, 1, &port(50_000));
        fragment[21] = 1;
        let mut many = vec![arp(2)];
        many.extend([0, 3, 4, 5, 11, 12, 14].map(|kind| ipv4(1, 1, &[kind; 8])));
        many.extend([1, 2, 3, 4, 129, 136].map(|kind| ipv6(58, 0x10, &[kind; 8])));
        many.extend([0, 43, 44, 60].map(|first| ipv6(first, 0x10, &[0; 8])));
        for (to, flags) in [(40_000, 0x12), (40_099, 0x14), (40_050, 0x04)] {
            many.extend([ipv4(6, 1, &tcp(to, flags)), ipv6(6, 0x10, &tcp(to, flags))]);
        }
        for to in [50_000, 50_009] {
            many.extend([ipv4(17, 1, &port(to)), ipv6(17, 0x10, &port(to))]);
        }
        for frame in &many {
            assert_eq!(run(&program, frame), 96, "{frame:02x?}");
        }
        let mut few = vec![arp(1), fragment, vec![0; 60], Vec::new()];
        few.extend([1, 2, 6, 8, 9, 10, 13, 15, 42].map(|kind| ipv4(1, 1, &[kind; 8])));
        few.extend([128, 130, 134, 135, 137, 143].map(|kind| ipv6(58, 0x10, &[kind; 8])));
        for (to, flags) in [
            (39_999, 0x12),
            (40_100, 0x14),
            (40_000, 0x02),
            (40_000, 0x10),
            (40_000, 0x11),
            (40_000, 0x18),
        ] {
            few.extend([ipv4(6, 1, &tcp(to, flags)), ipv6(6, 0x10, &tcp(to, flags))]);
        }
        for to in [49_999, 50_010] {
            few.extend([ipv4(17, 1, &port(to)), ipv6(17, 0x10, &port(to))]);
        }
        few.extend([ipv4(47, 1, &[0; 8]), ipv6(59, 0x10, &[0; 8])]);
        few.extend([ipv4(1, 2, &[0; 8]), ipv6(58, 0x11, &[129; 8])]);
        for frame in &few {
            assert_eq!(run(&program, frame), 0, "{frame:02x?}");
        }
        // Our own kernel's frames, whatever they are, or none.
        let quiet = answers(&["192.0.2.1"], Outgoing::Ignored).program(96);
        for frame in many.iter().chain(&few) {
            assert_eq!(run_as(&program, frame, libc::PACKET_OUTGOING), 96);
            assert_eq!(run_as(&quiet, frame, libc::PACKET_OUTGOING), 0);
        }
    }

    #[test]
    fn every_jump_goes_forward_and_ends_inside() {
        let four: Vec<IpAddr> = (1..=64u8).map(|last| [192, 0, 2, last].into()).collect();
        let six = (1..=64u16).map(|last| [0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into());
        let both: Vec<IpAddr> = four.iter().copied().chain(six).collect();
        let many: Vec<IpAddr> = (0..=255u8).map(|last| [192, 0, 2, last].into()).collect();
        for filter in [
            Filter::Everything,
            Filter::WithoutBulk { first: 40_000, last: 48_191 },
            Filter::Openings,
            Filter::To(Arc::from([])),
            Filter::To(four.into()),
            Filter::To(both.clone().into()),
            Filter::To(many.clone().into()),
            answers(&[], Outgoing::Heard),
            Filter::Answers(Answers {
                tcp: (1, 2),
                udp: (3, 4),
                addresses: both.into(),
                outgoing: Outgoing::Ignored,
            }),
            Filter::Answers(Answers {
                tcp: (1, 2),
                udp: (3, 4),
                addresses: many.into(),
                outgoing: Outgoing::Heard,
            }),
        ] {
            let program = filter.program(96);
            for (place, op) in program.iter().enumerate() {
                let reach = place + 1 + usize::from(op.jt.max(op.jf));
                assert!(reach < program.len() || op.code == code::RETURN, "{filter:?} at {place}");
            }
            assert_eq!(program.last().map(|op| op.code), Some(code::RETURN));
        }
    }
}
