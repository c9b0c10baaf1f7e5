//! The fence itself: the only owner of the sending halves.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::slice;
use std::time::Duration;

use super::ceilings::{Ceiling, Ceilings, Cost, Foreseen, Pace, Room, UNLIMITED};
use super::connector::Leave;
use super::conversation::{self, ConversationPermit, Ended, Wanted};
use super::frame::{self, Body, Frame, Packet};
use super::guard::{Class, Guard, LinkWide, Refusal, Spoofed, Steered, Target, Vantage, solicited};
use super::keyed::Heard;
use crate::link::{LinkError, Transmit};
use crate::net::{Mac, special};
use crate::observe::VantageId;

/// By what leave a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permit<'a> {
    Target(&'a Target),
    LinkWide(&'a LinkWide),
    Steered(&'a Steered),
    Spoofed(&'a Spoofed),
}

impl<'a> From<&'a Target> for Permit<'a> {
    fn from(target: &'a Target) -> Self {
        Permit::Target(target)
    }
}

impl<'a> From<&'a LinkWide> for Permit<'a> {
    fn from(link_wide: &'a LinkWide) -> Self {
        Permit::LinkWide(link_wide)
    }
}

impl<'a> From<&'a Steered> for Permit<'a> {
    fn from(steered: &'a Steered) -> Self {
        Permit::Steered(steered)
    }
}

impl<'a> From<&'a Spoofed> for Permit<'a> {
    fn from(spoofed: &'a Spoofed) -> Self {
        Permit::Spoofed(spoofed)
    }
}

impl Permit<'_> {
    pub fn vantage(&self) -> VantageId {
        match self {
            Permit::Target(target) => target.vantage(),
            Permit::LinkWide(link_wide) => link_wide.vantage(),
            Permit::Steered(steered) => steered.vantage(),
            Permit::Spoofed(spoofed) => spoofed.vantage(),
        }
    }
}

/// What became of a frame.
#[derive(Debug)]
pub enum Submission {
    /// It is queued on its link, and counted.
    Sent,
    /// The ceiling has no room for it before this much time has passed.
    Later(Duration, Ceiling),
    Refused(Refusal),
    /// The link failed. Congestion is not told so, but as `Later`.
    Failed(LinkError),
}

/// What the fence let through and what it did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames of ours.
    pub sent: u64,
    /// Frames that our own kernel sent because of us.
    pub caused: u64,
    pub refused: BTreeMap<Refusal, u64>,
}

/// Who is told of each frame that was queued: a recorder.
pub type OnSent = Box<dyn FnMut(VantageId, Duration, &[u8]) + Send>;

/// The way to the links. See the head of the room for what holds behind it.
pub struct Fence {
    guard: Guard,
    pace: Pace,
    /// A handful: looked through, not looked up.
    links: Vec<(VantageId, Box<dyn Transmit>)>,
    /// Addresses behind routers that are there, by a packet of theirs. Who forges one only takes it out of its prefix's ceiling.
    heard: Heard,
    /// Fragile addresses whose one question was asked.
    asked: HashSet<IpAddr>,
    counts: Counts,
    on_sent: Option<OnSent>,
    /// Conversations that ended since the last look.
    ended: Ended,
}

/// How many fragile addresses are remembered; beyond it none is asked any more.
const MOST_ASKED: usize = 1 << 20;
/// How long a frame waits that the link did not take.
const CONGESTION: Duration = Duration::from_millis(1);
/// An echo with fewer hops left is not a question to its destination but to a router on the way.
const LEAST_GENTLE_HOPS: u8 = 32;
/// An MLD query shorter than this is version 1, and downgrades hosts. RFC 3810 §5.1, §8.1.
const LEAST_MLD2_QUERY: usize = 28;

impl Fence {
    pub fn new(guard: Guard, ceilings: Ceilings) -> Fence {
        Fence {
            guard,
            pace: Pace::new(ceilings),
            links: Vec::new(),
            heard: Heard::new(),
            asked: HashSet::new(),
            counts: Counts::default(),
            on_sent: None,
            ended: Ended::default(),
        }
    }

    /// Hands the fence a sending half. There is no way to take it back.
    pub fn add_link(&mut self, vantage: VantageId, link: Box<dyn Transmit>) {
        self.links.retain(|(id, _)| *id != vantage);
        self.links.push((vantage, link));
    }

    /// Tells every frame that goes from now on, copied from the sending path: local taps do not see it.
    pub fn on_sent(&mut self, tell: OnSent) {
        self.on_sent = Some(tell);
    }

    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    pub fn guard_mut(&mut self) -> &mut Guard {
        &mut self.guard
    }

    /// This sweep's part, where it shares them.
    pub fn ceilings(&self) -> Ceilings {
        self.pace.ceilings()
    }

    /// So many sweeps go by one interface, this one among them: each takes its part of the ceilings.
    pub fn share(&mut self, sweeps: u32) {
        self.pace.share(sweeps);
    }

    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The fragile addresses that had their question, for the checkpoint.
    pub fn asked_fragile(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.asked.iter().copied()
    }

    /// What is known of MACs before anything is heard: from the registry, or an earlier part of this sweep.
    pub fn know(&mut self, address: IpAddr, mac: Mac) {
        self.guard.hear(address, mac);
    }

    /// Fragile addresses that an earlier part of this sweep asked.
    pub fn resume(&mut self, asked_fragile: impl IntoIterator<Item = IpAddr>) {
        self.asked.extend(asked_fragile.into_iter().take(MOST_ASKED));
    }

    /// Lets one frame through, or says why not. `now` is the time since the sweep's start.
    pub fn submit<'p>(
        &mut self,
        permit: impl Into<Permit<'p>>,
        bytes: &[u8],
        now: Duration,
    ) -> Submission {
        let permit = permit.into();
        let checked = match self.check(permit, bytes, now) {
            Ok(checked) => checked,
            Err(refusal) => return self.refuse(refusal),
        };
        self.ended.settle(&mut self.pace, now);
        let cost = Cost {
            to: checked.to,
            held: checked.held,
            unheard: checked.beyond.filter(|address| !self.heard.contains(address)),
        };
        match self.pace.room(now, &cost) {
            Room::Now => {}
            Room::Later(wait, ceiling) => return Submission::Later(wait, ceiling),
            Room::Never(_) => return self.refuse(Refusal::Ceiling),
        }
        let vantage = permit.vantage();
        let link = self.links.iter_mut().find(|(id, _)| *id == vantage);
        let Some((_, link)) = link else {
            return self.refuse(Refusal::UnknownVantage);
        };
        match link.queue(bytes) {
            Ok(()) => {}
            Err(LinkError::Congested { .. }) => {
                return Submission::Later(CONGESTION, Ceiling::Sweep);
            }
            Err(error) => return Submission::Failed(error),
        }
        self.pace.sent(now, &cost);
        if let Some(fragile) = checked.fragile {
            self.asked.insert(fragile);
        }
        self.counts.sent += 1;
        if let Some(tell) = &mut self.on_sent {
            tell(vantage, now, bytes);
        }
        Submission::Sent
    }

    /// Leave for a conversation of our kernel's own sockets, under the same rules and the same ceilings as
    /// frames. `now` is the time since the sweep's start.
    pub fn converse(&mut self, wanted: &Wanted, now: Duration) -> Leave<ConversationPermit> {
        let leave = conversation::leave(&self.guard, &mut self.pace, &self.ended, wanted, now);
        if let Leave::Refused(refusal) = leave {
            *self.counts.refused.entry(refusal).or_default() += 1;
        }
        leave
    }

    fn refuse(&mut self, refusal: Refusal) -> Submission {
        *self.counts.refused.entry(refusal).or_default() += 1;
        Submission::Refused(refusal)
    }

    /// Sends what is queued on every link. Congestion is no error: the rest goes with the next call.
    pub fn flush(&mut self) -> Result<usize, LinkError> {
        let mut taken = 0;
        for (_, link) in &mut self.links {
            match link.flush() {
                Ok(frames) => taken += frames,
                Err(LinkError::Congested { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Counts a frame that our own kernel sent, if the sweep is what caused it: a reset, an answer to
    /// those who resolve us, the kernel's own resolution of them, an ICMP error.
    pub fn account_foreign(&mut self, now: Duration, bytes: &[u8]) {
        let Some(frame) = Frame::read(bytes) else { return };
        let caused = match frame.body {
            Body::Arp(arp) => Some((IpAddr::V4(arp.target_ip), Foreseen::No)),
            Body::Ip(packet) => match (packet.protocol, packet.icmp()) {
                (frame::TCP, _) if tcp_flags(&packet).is_some_and(|flags| flags & RST != 0) => {
                    Some((packet.destination, Foreseen::Held))
                }
                (frame::ICMP, Some((3, _))) | (frame::ICMPV6, Some((1 | 136, _))) => {
                    Some((packet.destination, Foreseen::No))
                }
                // To a group, but about the address that it asks for.
                (frame::ICMPV6, Some((135, _))) => {
                    packet.nd_target().map(|target| (target.into(), Foreseen::No))
                }
                _ => None,
            },
            Body::Other(_) => None,
        };
        if let Some((address, foreseen)) = caused {
            self.counts.caused += u64::from(self.pace.caused(now, address, foreseen));
        }
    }

    /// Learns from a received frame which MACs are excluded and fragile stations', and who is there behind a router.
    pub fn hear(&mut self, bytes: &[u8]) {
        let Some(frame) = Frame::read(bytes) else { return };
        match frame.body {
            Body::Arp(arp) if !arp.sender_ip.is_unspecified() => {
                self.guard.hear(arp.sender_ip.into(), arp.sender_mac);
                self.guard.hear(arp.sender_ip.into(), frame.source);
            }
            Body::Ip(packet) => {
                if let (Some(target), Some((136, _))) = (packet.nd_target(), packet.icmp()) {
                    let mac = packet.nd_link_layer(2).unwrap_or(frame.source);
                    self.guard.hear(target.into(), mac);
                }
                // Not forwarded: link-local, or a hop limit no router has counted down.
                let first_hand = matches!(packet.hop_limit, 255 | 128 | 64);
                if special::is_link_local(packet.source)
                    || first_hand
                        && self.guard.rules().vantages.iter().any(|vantage| {
                            vantage.on_link(packet.source).is_some() && !vantage.owns(packet.source)
                        })
                {
                    self.guard.hear(packet.source, frame.source);
                }
                if self.pace.ceilings().per_prefix != UNLIMITED {
                    self.note(packet.source);
                }
            }
            _ => {}
        }
    }

    /// An address that a packet came from: behind a router, if it may be asked at all.
    fn note(&mut self, source: IpAddr) {
        if self.heard.contains(&source) {
            return;
        }
        let rules = self.guard.rules();
        let beyond = rules.scope.contains(source)
            && !rules.vantages.iter().any(|vantage| vantage.is_on_link(source));
        if beyond {
            self.heard.insert(source);
        }
    }

    fn check<'p>(
        &self,
        permit: Permit<'p>,
        bytes: &[u8],
        now: Duration,
    ) -> Result<Checked<'p>, Refusal> {
        self.guard.open_at(now)?;
        let vantage = self.guard.vantage(permit.vantage()).ok_or(Refusal::UnknownVantage)?;
        let frame = Frame::read(bytes).ok_or(Refusal::Forbidden)?;
        if frame.tagged {
            return Err(Refusal::Forbidden);
        }
        if frame.source != vantage.mac {
            return Err(Refusal::ForeignSource);
        }
        self.guard.mac_may_be_used(frame.destination)?;
        match permit {
            Permit::Target(target) => self.check_target(target, vantage, &frame),
            Permit::LinkWide(_) => check_link_wide(vantage, &frame),
            Permit::Steered(steered) => self.check_steered(steered, vantage, &frame),
            Permit::Spoofed(spoofed) => self.check_spoofed(spoofed, vantage, &frame),
        }
    }

    /// The one frame whose source is not ours: a request whose answer goes to the canary.
    fn check_spoofed<'p>(
        &self,
        spoofed: &'p Spoofed,
        vantage: &Vantage,
        frame: &Frame<'_>,
    ) -> Result<Checked<'p>, Refusal> {
        let Body::Ip(packet) = &frame.body else { return Err(Refusal::Forbidden) };
        check_packet(packet)?;
        if packet.source != spoofed.canary() {
            return Err(Refusal::ForeignSource);
        }
        check_destination(packet, spoofed.target(), vantage, frame.destination)?;
        if tcp_flags(packet).is_some_and(|flags| flags != SYN) {
            return Err(Refusal::Forbidden);
        }
        if self.guard.is_fragile_mac(frame.destination) {
            return Err(Refusal::FragileMac);
        }
        // Whatever comes of it goes to the canary: our kernel has nothing to answer.
        let beyond = beyond(spoofed.borrowed(), vantage);
        Ok(Checked { to: slice::from_ref(spoofed.borrowed()), held: 0, fragile: None, beyond })
    }

    fn check_target<'p>(
        &self,
        target: &'p Target,
        vantage: &Vantage,
        frame: &Frame<'_>,
    ) -> Result<Checked<'p>, Refusal> {
        let address = target.address();
        let mut beyond = beyond(target.borrowed(), vantage);
        // What was heard since the target was admitted counts too.
        let held = match &frame.body {
            Body::Arp(arp) => {
                check_arp(arp, address, vantage, frame.destination)?;
                beyond = None;
                0
            }
            Body::Ip(packet) => {
                check_packet(packet)?;
                if let (Some((135, _)), IpAddr::V6(ipv6)) = (packet.icmp(), address) {
                    check_solicitation(packet, ipv6, vantage, frame.destination)?;
                    beyond = None;
                    0
                } else {
                    check_unicast(packet, address, vantage, frame.destination)?;
                    let gentle = is_echo_request(packet) && packet.hop_limit >= LEAST_GENTLE_HOPS;
                    if !gentle && target.class() < Class::Ordinary {
                        return Err(Refusal::ObserveOnly);
                    }
                    // With one hop left it is its Ethernet destination that would answer; and another
                    // address of a fragile station is the same station.
                    let itself = packet.hop_limit <= 1 || beyond.is_none();
                    if itself
                        && !target.is_fragile()
                        && self.guard.is_fragile_mac(frame.destination)
                    {
                        return Err(Refusal::FragileMac);
                    }
                    u32::from(tcp_flags(packet) == Some(SYN))
                }
            }
            Body::Other(_) => return Err(Refusal::Forbidden),
        };
        let fragile = target.is_fragile().then_some(address);
        if fragile.is_some() && (self.asked.contains(&address) || self.asked.len() >= MOST_ASKED) {
            return Err(Refusal::AlreadyAsked);
        }
        Ok(Checked { to: slice::from_ref(target.borrowed()), held, fragile, beyond })
    }

    fn check_steered<'p>(
        &self,
        steered: &'p Steered,
        vantage: &Vantage,
        frame: &Frame<'_>,
    ) -> Result<Checked<'p>, Refusal> {
        let Body::Ip(packet) = &frame.body else { return Err(Refusal::Forbidden) };
        check_packet(packet)?;
        check_unicast(packet, steered.destination(), vantage, frame.destination)?;
        if frame.destination != steered.mac() {
            return Err(Refusal::OtherDestination);
        }
        if self.guard.is_fragile_mac(frame.destination) {
            return Err(Refusal::FragileMac);
        }
        // Inside the scope two hops show whether and to whom it forwards; only a canary is gone to.
        if packet.hop_limit > 2 && !steered.is_canary() {
            return Err(Refusal::Forbidden);
        }
        let held = u32::from(tcp_flags(packet) == Some(SYN));
        // The neighbour gets the frame, the destination what it forwards.
        let to = steered.addresses();
        let beyond = beyond(&to[1], vantage).filter(|_| !steered.is_canary());
        Ok(Checked { to, held, fragile: None, beyond })
    }
}

/// A frame that may go, and what it costs.
struct Checked<'p> {
    /// Whose ceilings it counts under.
    to: &'p [IpAddr],
    held: u32,
    fragile: Option<IpAddr>,
    /// The address, where a router resolves it and not we.
    beyond: Option<&'p IpAddr>,
}

fn beyond<'p>(address: &'p IpAddr, vantage: &Vantage) -> Option<&'p IpAddr> {
    (!vantage.is_on_link(*address)).then_some(address)
}

const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;

fn tcp_flags(packet: &Packet<'_>) -> Option<u8> {
    if packet.protocol != frame::TCP || packet.fragment {
        return None;
    }
    packet.payload.get(13).copied()
}

fn is_echo_request(packet: &Packet<'_>) -> bool {
    matches!(
        (packet.protocol, packet.icmp()),
        (frame::ICMP, Some((8, 0))) | (frame::ICMPV6, Some((128, 0)))
    )
}

/// What no frame of ours ever is: cut, fragmented, source-routed, an answer or an announcement in
/// somebody's name, a tunnel, a TCP segment with anything but a SYN or a reset.
fn check_packet(packet: &Packet<'_>) -> Result<(), Refusal> {
    if packet.cut || packet.fragment || packet.unfinished || packet.rerouted {
        return Err(Refusal::Forbidden);
    }
    let known = match packet.protocol {
        frame::ICMP => packet.destination.is_ipv4() && is_echo_request(packet),
        frame::ICMPV6 => match packet.icmp() {
            Some((128 | 133 | 135, 0)) => true,
            Some((130, 0)) => packet.payload.len() >= LEAST_MLD2_QUERY,
            _ => false,
        },
        frame::TCP => {
            matches!(tcp_flags(packet), Some(flags) if matches!(flags, SYN | RST) || flags == RST | ACK)
        }
        frame::UDP => packet.ports().is_some(),
        _ => false,
    };
    if known { Ok(()) } else { Err(Refusal::Forbidden) }
}

fn check_arp(
    arp: &frame::Arp,
    target: IpAddr,
    vantage: &Vantage,
    destination: Mac,
) -> Result<(), Refusal> {
    if arp.operation != 1 || destination.is_group() && destination != Mac::BROADCAST {
        return Err(Refusal::Forbidden);
    }
    if arp.sender_mac != vantage.mac
        || !arp.sender_ip.is_unspecified() && !vantage.owns(arp.sender_ip.into())
    {
        return Err(Refusal::ForeignSource);
    }
    if IpAddr::V4(arp.target_ip) != target {
        return Err(Refusal::OtherDestination);
    }
    Ok(())
}

fn check_solicitation(
    packet: &Packet<'_>,
    target: std::net::Ipv6Addr,
    vantage: &Vantage,
    destination: Mac,
) -> Result<(), Refusal> {
    let (group, group_mac) = solicited(target);
    let to_group = packet.destination == IpAddr::V6(group) && destination == group_mac;
    let to_itself = packet.destination == IpAddr::V6(target) && destination.is_station();
    if packet.nd_target() != Some(target) || !to_group && !to_itself {
        return Err(Refusal::OtherDestination);
    }
    if !vantage.owns(packet.source) || packet.nd_link_layer(1).is_some_and(|m| m != vantage.mac) {
        return Err(Refusal::ForeignSource);
    }
    Ok(())
}

fn check_unicast(
    packet: &Packet<'_>,
    target: IpAddr,
    vantage: &Vantage,
    destination: Mac,
) -> Result<(), Refusal> {
    if !vantage.owns(packet.source) {
        return Err(Refusal::ForeignSource);
    }
    check_destination(packet, target, vantage, destination)
}

fn check_destination(
    packet: &Packet<'_>,
    target: IpAddr,
    vantage: &Vantage,
    destination: Mac,
) -> Result<(), Refusal> {
    if packet.destination != target {
        return Err(Refusal::OtherDestination);
    }
    if !destination.is_station() || destination == vantage.mac {
        return Err(Refusal::LinkWide);
    }
    // A router solicitation or an MLD query is for the link, never for one host.
    if packet.protocol == frame::ICMPV6 && !is_echo_request(packet) {
        return Err(Refusal::Forbidden);
    }
    Ok(())
}

fn check_link_wide(vantage: &Vantage, frame: &Frame<'_>) -> Result<Checked<'static>, Refusal> {
    let Body::Ip(packet) = &frame.body else { return Err(Refusal::Forbidden) };
    check_packet(packet)?;
    let stays_on_link = match packet.destination {
        IpAddr::V4(group) => {
            frame.destination.is_group()
                && (group.is_broadcast()
                    || group.octets().starts_with(&[224, 0, 0])
                    || group.is_multicast() && packet.hop_limit == 1)
        }
        // RFC 4291 §2.7: scope 2 is the link's.
        IpAddr::V6(group) => {
            group.octets().starts_with(&[0xff, 0x02])
                && frame.destination == Mac::of_ipv6_group(group)
        }
    };
    if !stays_on_link {
        return Err(Refusal::OtherDestination);
    }
    // Who asks for an address by DHCP has none yet.
    let nobody = packet.source.is_unspecified() && packet.ports() == Some((68, 67));
    if !vantage.owns(packet.source) && !nobody {
        return Err(Refusal::ForeignSource);
    }
    match packet.protocol {
        frame::UDP => {}
        frame::ICMPV6 if packet.icmp().is_some_and(|(kind, _)| kind != 135) => {}
        _ => return Err(Refusal::Forbidden),
    }
    Ok(Checked { to: &[], held: 0, fragile: None, beyond: None })
}
