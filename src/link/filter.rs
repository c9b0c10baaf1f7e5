//! What the kernel lets through to a receiving half: classic BPF, built here.

use std::net::IpAddr;
use std::sync::Arc;

use libc::sock_filter;

/// Which frames a link hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// Every frame: listening runs beside the sending, and the port may be a mirror.
    Everything,
    /// Every frame but bulk: TCP segments without SYN, FIN or RST go only where they come to one of
    /// these ports, first to last, which are those we ask from. For a mirror port that carries
    /// more than we can read; who talks with whom is still heard from the openings.
    WithoutBulk { first: u16, last: u16 },
    /// ICMP, UDP and openings and resets of TCP that come to one of these addresses. The rest of TCP is bulk. Of an IPv6
    /// address its last 32 bits are compared, and of a family with more than [`MOST_ADDRESSES`] none is: who asks
    /// looks at the destination again.
    To(Arc<[IpAddr]>),
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
            Filter::To(addresses) => to(addresses, snap),
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
    let mut four = Vec::new();
    let mut six = Vec::new();
    for address in addresses {
        match address {
            IpAddr::V4(address) => four.push(u32::from(*address)),
            // The cast keeps the last 32 bits.
            IpAddr::V6(address) => six.push(u128::from(*address) as u32),
        }
    }
    // A load and the comparisons, or one instruction that compares nothing: at most 65 a family, so that every
    // jump is shorter than 256 instructions.
    let length = |list: &[u32]| if list.len() > MOST_ADDRESSES { 1 } else { list.len() as u8 + 1 };
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
    for (at, word, list) in [(IPV4_DESTINATIONS, 30, &four), (ipv6_destinations, 50, &six)] {
        if list.is_empty() || list.len() > MOST_ADDRESSES {
            let end = if list.is_empty() { drop } else { pass };
            program.push(If(IF_EQUAL, 0, end, end));
            continue;
        }
        program.push(Do(LOAD_WORD, word));
        for (place, value) in (at + 1..).zip(list) {
            let next = if place == at + list.len() as u8 { drop } else { place + 1 };
            program.push(If(IF_EQUAL, *value, pass, next));
        }
    }
    program.extend([Do(RETURN, snap), Do(RETURN, 0)]);
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

    #[test]
    fn every_jump_goes_forward_and_ends_inside() {
        let four: Vec<IpAddr> = (1..=64u8).map(|last| [192, 0, 2, last].into()).collect();
        let six = (1..=64u16).map(|last| [0x2001, 0xdb8, 0, 0, 0, 0, 0, last].into());
        let both: Vec<IpAddr> = four.iter().copied().chain(six).collect();
        let many: Vec<IpAddr> = (0..=255u8).map(|last| [192, 0, 2, last].into()).collect();
        for filter in [
            Filter::Everything,
            Filter::WithoutBulk { first: 40_000, last: 48_191 },
            Filter::To(Arc::from([])),
            Filter::To(four.into()),
            Filter::To(both.into()),
            Filter::To(many.into()),
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
