//! What the kernel lets through to a receiving half: classic BPF, built here.

use libc::sock_filter;

/// Which frames a link hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// Every frame: listening runs beside the sending, and the port may be a mirror.
    Everything,
    /// Every frame but bulk: TCP segments without SYN, FIN or RST go only where they come to one of
    /// these ports, first to last, which are those we ask from. For a mirror port that carries
    /// more than we can read; who talks with whom is still heard from the openings.
    WithoutBulk { first: u16, last: u16 },
}

/// Instructions of linux/filter.h, as far as they are used here.
mod code {
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
    pub(super) fn program(self, snap: u32) -> Vec<sock_filter> {
        match self {
            Filter::Everything => assemble(&[Op::Do(code::RETURN, snap)]),
            Filter::WithoutBulk { first, last } => without_bulk(first.into(), last.into(), snap),
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

    #[test]
    fn every_jump_goes_forward_and_ends_inside() {
        for filter in [Filter::Everything, Filter::WithoutBulk { first: 40_000, last: 48_191 }] {
            let program = filter.program(96);
            for (place, op) in program.iter().enumerate() {
                let reach = place + 1 + usize::from(op.jt.max(op.jf));
                assert!(reach < program.len() || op.code == code::RETURN, "{filter:?} at {place}");
            }
            assert_eq!(program.last().map(|op| op.code), Some(code::RETURN));
        }
    }
}
