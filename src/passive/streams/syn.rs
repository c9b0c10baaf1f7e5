//! How connections are opened (RFC 9293 §3.1, §3.2; RFC 7323, 2018): the fields of SYN and SYN-ACK that stacks choose differently, and
//! who takes connections.
//!
//! The signature is the options in their order, then what is unusual. Option words: `mss=N`, `ws=N`, `sok`, `ts`, `sack`, `nop`, `eol`
//! with the octets behind it as `eol+N`, `?N` for kind N. Unusual: `id+` and `id-` (identification that is not zero though it need not
//! be, and zero though it must not), `ts0` (own timestamp of zero), `ts2` (echoed timestamp in a SYN), `ack+` (acknowledgement without
//! its flag), `ecn`, `fin`, `push`, `urg`, `ipopt`, `data`, `bad` (options that cannot be read). Values that change from one connection to the
//! next (timestamps, sequence numbers) are not in it.
//!
//! The table of systems is short and our own: what is documented or well known of the stacks themselves. It says a family, never a
//! version, and says nothing where layouts are shared.
//!
//! **Bounds.** What was told within a minute is not told again: [`REMEMBERED`] things, each in the place of its hash. Two in one
//! place tell each other's turn, which costs time and no memory.

use std::fmt::Write;

use crate::observe::{Fact, Role, TcpSyn};
use crate::wire::tcp::{self, TcpSegment};
use crate::wire::{Cursor, Ip};

/// In 64 KiB.
const REMEMBERED: usize = 4096;
/// Seconds between two tellings of one thing.
const MINUTE: u32 = 60;
/// Options read of one segment: each takes an octet at least, and there are forty.
const MOST_OPTIONS: usize = 40;

#[derive(Debug)]
pub(super) struct Syns {
    told: Vec<(u64, u32)>,
}

impl Default for Syns {
    fn default() -> Syns {
        Syns { told: vec![(0, 0); REMEMBERED] }
    }
}

impl Syns {
    pub(super) fn take(
        &mut self,
        place: u64,
        second: u32,
        ip: &Ip<'_>,
        segment: &TcpSegment<'_>,
        role: Role,
        tell: &mut dyn FnMut(Fact),
    ) {
        let port = if role == Role::Server { segment.source } else { 0 };
        if self.was_told(self.key(place, ip, segment, port), second) {
            return;
        }
        if role == Role::Server {
            tell(Fact::TcpServer { ip: ip.source, port });
        }
        tell(Fact::TcpSyn(read(ip, segment, role)));
    }

    /// What two SYNs have in common that say the same.
    fn key(&self, place: u64, ip: &Ip<'_>, segment: &TcpSegment<'_>, port: u16) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = siphasher::sip::SipHasher13::new();
        (place, ip.source, ip.hop_limit, ip.dont_fragment, ip.identification == 0)
            .hash(&mut hasher);
        (segment.flags, segment.window, port, segment.acknowledgement == 0).hash(&mut hasher);
        // The timestamps are left out.
        for (kind, value) in options(segment.options) {
            match (kind, value) {
                (TIMESTAMPS, Some(value)) => {
                    let (own, echoed) = value.split_at_checked(4).unwrap_or_default();
                    (kind, own == [0; 4], echoed == [0; 4]).hash(&mut hasher);
                }
                other => other.hash(&mut hasher),
            }
        }
        hasher.finish()
    }

    fn was_told(&mut self, key: u64, second: u32) -> bool {
        let Some(place) = self.told.get_mut(key as usize & REMEMBERED.saturating_sub(1)) else {
            return false;
        };
        let (known, told) = *place;
        // Captures that are merged go back in time.
        if known == key && second.abs_diff(told) < MINUTE {
            return true;
        }
        *place = (key, second);
        false
    }
}

const END: u8 = 0;
const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
const TIMESTAMPS: u8 = 8;

/// Options with their values; `None` where the value is not there. Behind the end of the list comes its padding.
fn options(bytes: &[u8]) -> impl Iterator<Item = (u8, Option<&[u8]>)> {
    let mut cursor = Cursor::new("tcp", bytes);
    std::iter::from_fn(move || {
        let kind = cursor.u8().ok()?;
        match kind {
            END => Some((kind, Some(cursor.take_up_to(usize::MAX)))),
            NOP => Some((kind, Some(&[][..]))),
            _ => {
                let length = cursor.u8().ok().and_then(|length| usize::from(length).checked_sub(2));
                let value = length.and_then(|length| cursor.take(length).ok());
                if value.is_none() {
                    cursor.take_up_to(usize::MAX);
                }
                Some((kind, value))
            }
        }
    })
    .take(MOST_OPTIONS)
}

fn read(ip: &Ip<'_>, segment: &TcpSegment<'_>, role: Role) -> TcpSyn {
    let (layout, values) = layout(segment.options);
    let dont_fragment = ip.source.is_ipv4().then_some(ip.dont_fragment);
    let mut signature = values;
    let is_syn = role == Role::Client;
    let timestamps = options(segment.options)
        .find_map(|(kind, value)| value.filter(|value| kind == TIMESTAMPS && value.len() == 8))
        .and_then(|value| value.split_at_checked(4));
    let urgent = segment.flags & 0x20 != 0;
    let unusual = [
        (dont_fragment == Some(true) && ip.identification != 0, "id+"),
        (dont_fragment == Some(false) && ip.identification == 0, "id-"),
        (timestamps.is_some_and(|(own, _)| own == [0; 4]), "ts0"),
        (is_syn && timestamps.is_some_and(|(_, echoed)| echoed != [0; 4]), "ts2"),
        (is_syn && segment.acknowledgement != 0, "ack+"),
        (segment.flags & 0xc0 != 0, "ecn"),
        (segment.has(tcp::FIN), "fin"),
        (segment.has(tcp::PSH), "push"),
        (urgent, "urg"),
        (ip.has_options, "ipopt"),
        (!segment.payload.is_empty(), "data"),
    ];
    for (_, word) in unusual.iter().filter(|(is_so, _)| *is_so) {
        if !signature.is_empty() {
            signature.push(' ');
        }
        signature.push_str(word);
    }
    TcpSyn {
        ip: ip.source,
        role,
        hop_limit: ip.hop_limit,
        dont_fragment,
        window: segment.window,
        signature,
        system: system(ip.hop_limit, segment.window, &layout).map(str::to_owned),
    }
}

/// The words of the options, alone and with their values.
fn layout(bytes: &[u8]) -> (String, String) {
    let (mut layout, mut values) = (String::new(), String::new());
    for (kind, value) in options(bytes) {
        if !layout.is_empty() {
            layout.push(',');
            values.push(',');
        }
        let Some(value) = value else {
            layout.push_str("bad");
            values.push_str("bad");
            break;
        };
        let word = match kind {
            END => "eol",
            NOP => "nop",
            MSS => "mss",
            WINDOW_SCALE => "ws",
            SACK_PERMITTED => "sok",
            SACK => "sack",
            TIMESTAMPS => "ts",
            _ => "?",
        };
        layout.push_str(word);
        values.push_str(word);
        let written = match (kind, value) {
            (MSS, &[high, low]) => write!(values, "={}", u16::from_be_bytes([high, low])),
            (WINDOW_SCALE, &[shift]) => write!(values, "={shift}"),
            (END, padding) if !padding.is_empty() => write!(values, "+{}", padding.len()),
            (END | NOP | SACK_PERMITTED | SACK | TIMESTAMPS, _) => Ok(()),
            _ => write!(values, "{kind}"),
        };
        // Writing to a string does not fail.
        let _ = written;
    }
    (layout, values)
}

/// What a stack starts counting hops from: the next of the usual values.
const fn initial_hop_limit(hop_limit: u8) -> u8 {
    match hop_limit {
        0..=32 => 32,
        33..=64 => 64,
        65..=128 => 128,
        _ => 255,
    }
}

/// Families by the hop limit they start from and the order of their options.
const SYSTEMS: &[(u8, &str, &str)] = &[
    // Windows from 2000 on: timestamps are off by default.
    (128, "mss,nop,nop,sok", "windows"),
    (128, "mss,nop,ws,nop,nop,sok", "windows"),
    (128, "mss,nop,ws,sok,ts", "windows"),
    (128, "mss,nop,ws,nop,nop,ts,nop,nop,sok", "windows"),
    // Linux, tcp_options_write: SACK before the timestamps, or both behind padding.
    (64, "mss,sok,ts,nop,ws", "linux"),
    (64, "mss,nop,nop,sok,nop,ws", "linux"),
    (64, "mss,nop,nop,ts,nop,ws", "linux"),
    (64, "mss,nop,nop,ts", "linux"),
    (64, "mss,sok,ts", "linux"),
    // Apple's, since its window scaling.
    (64, "mss,nop,ws,nop,nop,ts,sok,eol", "apple"),
    (64, "mss,sok,eol", "apple"),
    (64, "mss,nop,ws,sok,eol", "apple"),
    (64, "mss,nop,ws,sok,ts", "bsd"),
    (64, "mss,nop,nop,sok,nop,ws,nop,nop,ts", "bsd"),
];

/// Layouts that several stacks share are told by the window: Linux's is a multiple of what a segment carries.
fn system(hop_limit: u8, window: u16, layout: &str) -> Option<&'static str> {
    let start = initial_hop_limit(hop_limit);
    if let Some((.., system)) =
        SYSTEMS.iter().find(|(hops, options, _)| (*hops, *options) == (start, layout))
    {
        return Some(system);
    }
    let is_linux_window =
        matches!(window, 5840 | 14_600 | 29_200 | 64_240 | 5792 | 14_480 | 28_960 | 65_160);
    (start == 64 && is_linux_window && matches!(layout, "mss,nop,nop,sok" | "mss" | "mss,nop,ws"))
        .then_some("linux")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn syn(hop_limit: u8, window: u16, options: &[u8]) -> TcpSyn {
        let mut ip =
            Ip::read(&[0x45, 0, 0, 20, 0, 1, 0x40, 0, 9, 6, 0, 0, 10, 20, 1, 5, 10, 20, 1, 7])
                .unwrap();
        ip.hop_limit = hop_limit;
        let segment = TcpSegment {
            source: 40_000,
            destination: 443,
            sequence: 1,
            acknowledgement: 0,
            flags: tcp::SYN,
            window,
            options,
            payload: &[],
        };
        read(&ip, &segment, Role::Client)
    }

    #[test]
    fn a_signature_says_layout_values_and_oddities_but_no_time() {
        let linux = [2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7];
        let read = syn(61, 64_240, &linux);
        assert_eq!(read.signature, "mss=1460,sok,ts,nop,ws=7 id+");
        assert_eq!(read.system.as_deref(), Some("linux"));
        let windows = [2, 4, 5, 0xb4, 1, 3, 3, 8, 1, 1, 4, 2];
        let read = syn(128, 64_240, &windows);
        assert_eq!(read.signature, "mss=1460,nop,ws=8,nop,nop,sok id+");
        assert_eq!(read.system.as_deref(), Some("windows"));
        assert_eq!(syn(64, 1024, &[2, 9, 5]).signature, "bad id+");
        assert_eq!(syn(64, 1024, &[2, 4, 5, 0xb4, 0, 0, 0, 0]).signature, "mss=1460,eol+3 id+");
    }

    proptest! {
        #[test]
        fn no_options_make_it_panic(options in proptest::collection::vec(any::<u8>(), 0..60)) {
            syn(64, 1, &options);
        }
    }
}
