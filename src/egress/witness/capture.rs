//! What comes to the canaries on any port, without one being opened.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::record::{Recorder, Seen};
use crate::egress::field;
use crate::egress::receipt::MOST_RAW;
use crate::egress::token::EgressKey;
use crate::link::{self, Captured, Filter, Io, LinkError, Outgoing, Receive};
use crate::scope::frame::{self, Body, Frame, Packet};

/// Octets kept of a frame: what a field reads stands before.
const SNAP: u32 = 2048;
/// Half a million smallest frames: a fifth of a second of the worst flood, while the disk is waited for by
/// another thread.
const RING: usize = 64 << 20;
/// How soon the end is noticed.
const PATIENCE: Duration = Duration::from_millis(200);
const ETHERNET: usize = 14;

pub fn open(interface: &str, canaries: &Arc<[IpAddr]>) -> Result<Box<dyn Receive>, LinkError> {
    let options = link::Options {
        filter: Filter::To(Arc::clone(canaries)),
        outgoing: Outgoing::Heard,
        promiscuous: false,
        snap: SNAP,
        ring: RING,
        ..link::Options::default()
    };
    link::open_receive(interface, Io::Ring, &options)
}

/// Takes frames until it is stopped, or the link is lost.
pub fn run(
    mut link: Box<dyn Receive>,
    key: &EgressKey,
    canaries: &[IpAddr],
    recorder: &Recorder,
    stop: &AtomicBool,
) -> Result<(), LinkError> {
    let counters = Arc::clone(&recorder.counters);
    while !stop.load(Ordering::Relaxed) {
        link.receive(PATIENCE, &mut |captured| {
            counters.received.fetch_add(1, Ordering::Relaxed);
            if let Some(seen) = recognise(&captured, key, canaries) {
                recorder.record(seen);
            }
        })?;
        counters.dropped_by_kernel.store(link.dropped()?, Ordering::Relaxed);
    }
    Ok(())
}

/// The token in a frame that came to a canary.
fn recognise(captured: &Captured<'_>, key: &EgressKey, canaries: &[IpAddr]) -> Option<Seen> {
    if captured.outgoing {
        return None;
    }
    let Frame { body: Body::Ip(packet), .. } = Frame::read(captured.bytes)? else { return None };
    if !canaries.contains(&packet.destination) {
        return None;
    }
    let token = field::tokens(&packet).into_iter().find(|token| key.recognises(*token))?;
    let (observed_port, port) = packet.ports().unwrap_or_default();
    Some(Seen {
        at: captured.at,
        token,
        canary: packet.destination,
        observed: packet.source,
        observed_port,
        port,
        protocol: protocol(&packet),
        hop_limit: packet.hop_limit,
        raw: raw(captured.bytes).into(),
        relayed: String::new(),
    })
}

fn protocol(packet: &Packet<'_>) -> &'static str {
    match packet.protocol {
        frame::ICMP => "icmp",
        frame::ICMPV6 => "icmpv6",
        frame::TCP => "tcp",
        _ => "udp",
    }
}

/// From the IP header on, behind any VLAN tags.
fn raw(bytes: &[u8]) -> &[u8] {
    let mut at = ETHERNET;
    while let Some([0x81, 0x00] | [0x88, 0xa8]) =
        at.checked_sub(2).and_then(|at| bytes.get(at..at + 2))
    {
        at += 4;
    }
    let packet = bytes.get(at..).unwrap_or_default();
    packet.get(..MOST_RAW).unwrap_or(packet)
}
