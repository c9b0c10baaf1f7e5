//! What is kept of frames while a sweep runs: the record, if one is asked for, and the spool of
//! evidence. Both halves of the sweep write on it: what is heard, and what the fence lets go (local
//! taps do not see those frames, so they are copied here from the sending path).

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::IpAddr;

use jiff::Timestamp;

use super::record::Recorder;
use super::spool::Spool;
use crate::link::capture::Direction;
use crate::observe::{FrameNumber, VantageId};
use crate::wire::view::{Headers, Network, Transport};
use crate::wire::{arp, icmp, tcp};

/// RFC 4861 §4.3.
const NEIGHBOUR_SOLICITATION: u8 = 135;

pub struct Tape {
    pub spool: Spool,
    pub recorder: Option<Recorder>,
    /// Addresses whose questions are evidence: a registered device that does not answer is shown by
    /// what it was asked.
    interest: HashSet<IpAddr>,
    /// The first questions to each of them, by method.
    questions: BTreeMap<(IpAddr, &'static str), Vec<FrameNumber>>,
    /// Frames to or from these are egress probes, each kept: a finding shows what was sent.
    canaries: HashSet<IpAddr>,
    /// The number of the last of them, until it is taken.
    sent: Option<FrameNumber>,
    probes: usize,
    /// Conversations under way, by whom and which port, with the frames kept of each.
    conversations: BTreeMap<(IpAddr, u16), Vec<FrameNumber>>,
    /// Frames that passed here, kept or not.
    seen: u64,
    /// Of those, the places of frames that were kept for a conversation: a replay keeps the same.
    of_conversations: Vec<u64>,
    replayed: HashSet<u64>,
    /// The first fault of writing: the sweep goes on, and says so at its end.
    fault: Option<io::Error>,
}

/// Questions kept for one address and method: three tries.
const MOST_QUESTIONS: usize = 3;
/// The most addresses whose questions are kept.
pub const MOST_INTEREST: usize = 4096;
/// The most egress probes that are kept.
const MOST_PROBES: usize = 65_536;
/// Frames kept of one conversation: handshake, question, answer, end.
const MOST_OF_CONVERSATION: usize = 12;

impl Tape {
    pub fn new(spool: Spool, interest: impl IntoIterator<Item = IpAddr>) -> Tape {
        Tape {
            spool,
            recorder: None,
            interest: interest.into_iter().take(MOST_INTEREST).collect(),
            questions: BTreeMap::new(),
            canaries: HashSet::new(),
            sent: None,
            probes: 0,
            conversations: BTreeMap::new(),
            seen: 0,
            of_conversations: Vec::new(),
            replayed: HashSet::new(),
            fault: None,
        }
    }

    /// Writes a record from now on. One that goes on with an earlier part holds that part's frames.
    pub fn record_with(&mut self, recorder: Recorder) {
        self.seen = recorder.frames();
        self.recorder = Some(recorder);
    }

    /// For a replay: the places of frames that were kept for conversations.
    pub fn replaying(mut self, kept: impl IntoIterator<Item = u64>) -> Tape {
        self.replayed = kept.into_iter().collect();
        self
    }

    pub fn of_conversations(&self) -> &[u64] {
        &self.of_conversations
    }

    /// From now on frames to and from there are kept, the first few.
    pub fn begin_conversation(&mut self, with: (IpAddr, u16)) {
        self.conversations.entry(with).or_default();
    }

    /// The frames kept of a conversation that is over.
    pub fn end_conversation(&mut self, with: (IpAddr, u16)) -> Vec<FrameNumber> {
        self.conversations.remove(&with).unwrap_or_default()
    }

    /// Counts a frame, and keeps it if it is part of a conversation.
    fn pass(
        &mut self,
        vantage: VantageId,
        at: Timestamp,
        bytes: &[u8],
        length: u32,
        direction: Direction,
    ) {
        self.seen += 1;
        let number = self.spool.next_number();
        let is_kept = self.replayed.contains(&self.seen)
            || !self.conversations.is_empty()
                && other_end(bytes, direction)
                    .and_then(|end| self.conversations.get_mut(&end))
                    .filter(|kept| kept.len() < MOST_OF_CONVERSATION)
                    .is_some_and(|kept| {
                        kept.push(number);
                        true
                    });
        if is_kept {
            self.of_conversations.push(self.seen);
            let kept = self.spool.keep(at, vantage, bytes, length, direction);
            self.note(kept);
        }
    }

    /// Frames to or from a canary are kept.
    pub fn with_canaries(mut self, canaries: impl IntoIterator<Item = IpAddr>) -> Tape {
        self.canaries = canaries.into_iter().collect();
        self
    }

    /// The number of the egress probe that was sent last.
    pub fn take_sent(&mut self) -> Option<FrameNumber> {
        self.sent.take()
    }

    /// A frame of our side: the engine's, or our own kernel's.
    pub fn sent(&mut self, vantage: VantageId, at: Timestamp, bytes: &[u8], length: u32) {
        self.record(vantage, at, bytes, length, Direction::Outbound);
        self.pass(vantage, at, bytes, length, Direction::Outbound);
        if self.probes < MOST_PROBES && is_between(bytes, &self.canaries) {
            self.probes += 1;
            self.sent = Some(self.spool.next_number());
            let kept = self.spool.keep(at, vantage, bytes, length, Direction::Outbound);
            self.note(kept);
            return;
        }
        if self.interest.is_empty() {
            return;
        }
        let Some((address, method)) = question(bytes) else { return };
        if !self.interest.contains(&address) {
            return;
        }
        let asked = self.questions.entry((address, method)).or_default();
        if asked.len() < MOST_QUESTIONS {
            asked.push(self.spool.next_number());
            let kept = self.spool.keep(at, vantage, bytes, length, Direction::Outbound);
            self.note(kept);
        }
    }

    /// A frame of the others'; kept as evidence by [`Tape::keep`] if an observation names it.
    pub fn heard(&mut self, vantage: VantageId, at: Timestamp, bytes: &[u8], length: u32) {
        self.record(vantage, at, bytes, length, Direction::Inbound);
        self.pass(vantage, at, bytes, length, Direction::Inbound);
    }

    pub fn keep(&mut self, vantage: VantageId, at: Timestamp, bytes: &[u8], length: u32) {
        let kept = self.spool.keep(at, vantage, bytes, length, Direction::Inbound);
        self.note(kept);
    }

    fn record(
        &mut self,
        vantage: VantageId,
        at: Timestamp,
        bytes: &[u8],
        length: u32,
        direction: Direction,
    ) {
        if let Some(recorder) = &mut self.recorder {
            let written = recorder.frame(vantage, at, bytes, length, direction);
            self.note(written);
        }
    }

    /// What an earlier part of the sweep asked.
    pub fn recall(&mut self, questions: BTreeMap<(IpAddr, &'static str), Vec<FrameNumber>>) {
        self.questions = questions;
    }

    /// Tells the record which answers count from here on.
    pub fn mark(&mut self, record: crate::scan::Record) {
        if let Some(recorder) = &mut self.recorder {
            recorder.mark(record);
        }
    }

    /// Keeps the first fault; a record that failed is not written on.
    pub fn note(&mut self, written: io::Result<()>) {
        if let Err(fault) = written {
            self.recorder = None;
            self.fault.get_or_insert(fault);
        }
    }

    pub fn fault(&self) -> Option<&io::Error> {
        self.fault.as_ref()
    }

    /// The frames that asked an address, by method.
    pub fn questions(&self) -> &BTreeMap<(IpAddr, &'static str), Vec<FrameNumber>> {
        &self.questions
    }

    pub fn is_of_interest(&self, address: IpAddr) -> bool {
        self.interest.contains(&address)
    }

    pub fn interest(&self) -> Vec<IpAddr> {
        let mut interest: Vec<_> = self.interest.iter().copied().collect();
        interest.sort();
        interest
    }
}

/// The address and port at the other end of a TCP or UDP packet.
fn other_end(bytes: &[u8], direction: Direction) -> Option<(IpAddr, u16)> {
    let Network::Ip(ip, transport) = Headers::read(bytes)?.network else { return None };
    let (source, destination) = match transport {
        Transport::Tcp(tcp) => (tcp.source, tcp.destination),
        Transport::Udp(udp) => (udp.source, udp.destination),
        _ => return None,
    };
    Some(match direction {
        Direction::Outbound => (ip.destination, destination),
        _ => (ip.source, source),
    })
}

/// Whether a packet goes to one of the addresses, or in its name.
fn is_between(bytes: &[u8], addresses: &HashSet<IpAddr>) -> bool {
    if addresses.is_empty() {
        return false;
    }
    match Headers::read(bytes).map(|headers| headers.network) {
        Some(Network::Ip(ip, _)) => {
            addresses.contains(&ip.destination) || addresses.contains(&ip.source)
        }
        _ => false,
    }
}

/// Whom a frame of ours asks, and by which method of `coverage`; `None` for answers and resets.
fn question(bytes: &[u8]) -> Option<(IpAddr, &'static str)> {
    let headers = Headers::read(bytes)?;
    match &headers.network {
        Network::Arp(arp) if arp.operation == arp::REQUEST => Some((arp.target.into(), "arp")),
        Network::Ip(ip, transport) => {
            let target = ip.destination;
            match transport {
                Transport::Icmp(icmp) if icmp.icmp_type == icmp::ECHO_REQUEST => {
                    Some((target, "icmp"))
                }
                Transport::Icmpv6(icmp) if icmp.icmp_type == icmp::V6_ECHO_REQUEST => {
                    Some((target, "icmpv6"))
                }
                Transport::Icmpv6(icmp) if icmp.icmp_type == NEIGHBOUR_SOLICITATION => {
                    Some((headers.neighbour_target()?.into(), "ndp"))
                }
                Transport::Tcp(tcp) if tcp.flags == tcp::SYN => Some((target, "tcp")),
                Transport::Udp(_) => Some((target, "udp")),
                _ => None,
            }
        }
        _ => None,
    }
}
