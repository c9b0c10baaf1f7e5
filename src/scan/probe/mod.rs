//! The probes, one file each: what is asked, how it is stamped, how its answer is recognised.
//!
//! A probe builds its [`Template`] once per pass and source address; [`Template::stamp`] writes only
//! what differs per target, and cannot fail. `recognise` takes a frame only if our token comes back in
//! it (or, for ARP and neighbour solicitation, if the target was asked). What stays silent is no fact:
//! the pass keeps what was asked, and silence is judged from that.

mod arp;
mod echo;
mod forwarding;
mod icmp;
mod icmpv6;
mod ndp;
mod patch;
mod payload;
mod quote;
mod tcp;
mod traceroute;
mod udp;

use std::net::IpAddr;
use std::time::Duration;

use super::recogniser::{Known, Place, Recognised, Settles};
use super::source_ports::{PortRange, SourcePorts};
use super::token::{Identity, Keys};
use super::{link_wide, volley};
use crate::net::{Mac, Port};
use crate::observe::{Fact, PortState, Source};
use crate::scope::frame::{Body, Frame, Packet};
use crate::scope::{Class, Vantage};

pub(super) use echo::{
    Marks, SALT_KIND, SALT_LINK_WIDE, Seen, quoted as echo_quoted, reply as echo_reply,
};
pub use forwarding::question as forwarding_question;
pub use payload::is_known as has_payload_for;
pub(super) use quote::read as read_quote;

/// Every probe, in the order people see them.
pub const ALL: &[&dyn Probe] = &[
    &arp::ArpRequest,
    &ndp::NeighbourSolicitation,
    &icmp::IcmpEcho,
    &icmpv6::Icmpv6Echo,
    &tcp::TcpSyn,
    &udp::UdpDatagram,
    &forwarding::Forwarding,
    &traceroute::Traceroute,
];

/// The probe of this name.
pub fn named(name: &str) -> Option<&'static dyn Probe> {
    ALL.iter().copied().find(|probe| probe.name() == name)
}

/// A way of asking.
pub trait Probe: Sync {
    /// The contract's word for the method, or our own where the contract has none.
    fn name(&self) -> &'static str;

    /// What its observations say they come from.
    fn source(&self) -> Source;

    /// What the target must be admitted for.
    fn class(&self) -> Class;

    /// Whether it can ask this address at all: its family.
    fn speaks_to(&self, target: IpAddr) -> bool;

    /// What the capture must let through for its answers.
    fn hears(&self, ports: SourcePorts) -> Hears;

    /// The questions it has for every target, where the profile does not name them (ports).
    fn questions(&self) -> &'static [u16] {
        &[0]
    }

    /// Whether its frames need the MAC of a next hop.
    fn resolution(&self) -> Resolution {
        Resolution::Needs
    }

    /// The least time between two questions to one target, where its answers are rationed.
    fn spacing(&self) -> Duration {
        Duration::ZERO
    }

    /// The frame for this source address, ready but for the target. `None` where the source is of a
    /// family it does not speak.
    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>>;

    /// The answer that a frame is, if it answers one of this probe's questions.
    fn recognise(&self, context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised>;
}

/// Whether a probe resolves addresses, or needs them resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    Needs,
    IsIt,
}

/// What a capture filter must let through besides what the listener wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hears {
    Arp,
    /// ICMP of both families: answers and errors.
    Icmp,
    /// TCP to these ports of ours, and ICMP errors.
    Tcp(PortRange),
    /// UDP to these ports of ours, and ICMP errors.
    Udp(PortRange),
}

/// What a template is built from.
pub struct Setup<'a> {
    pub vantage: &'a Vantage,
    pub source: IpAddr,
    pub keys: &'a Keys,
    pub ports: SourcePorts,
    /// The questions of the pass.
    pub questions: &'a [u16],
}

/// One question to one target.
#[derive(Debug, Clone, Copy)]
pub struct Ask {
    pub target: IpAddr,
    pub question: u16,
    /// The Ethernet destination; none for what resolves.
    pub next_hop: Option<Mac>,
    /// From 0: how often it was asked before.
    pub attempt: u8,
    /// The place in the list of those steered through.
    pub extra: u16,
}

impl Ask {
    fn next_hop(&self) -> Mac {
        self.next_hop.unwrap_or(Mac::ZERO)
    }
}

/// A frame in which only what differs per target is written anew.
pub trait Template: Send {
    fn stamp(&mut self, ask: &Ask) -> &[u8];
}

/// What an answer is recognised by.
pub struct Context<'a> {
    pub(super) known: &'a Known,
    pub(super) keys: &'a Keys,
    pub(super) ports: SourcePorts,
}

impl Context<'_> {
    pub(super) fn vantage(&self) -> &Vantage {
        &self.known.vantage
    }

    pub(super) fn token(&self, probe: u8, target: IpAddr, question: u16, extra: u16) -> u64 {
        let vantage = self.known.vantage.id;
        self.keys.token(&Identity { probe, vantage, target, question, extra })
    }

    /// The packet in a frame, if it is for one of our own addresses.
    pub(super) fn packet_for_us<'p>(&self, frame: &'p Frame<'p>) -> Option<&'p Packet<'p>> {
        match &frame.body {
            Body::Ip(packet) if !packet.fragment && self.vantage().owns(packet.destination) => {
                Some(packet)
            }
            _ => None,
        }
    }
}

/// The answer that a frame is, to whichever probe.
pub(super) fn recognise(context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
    ALL.iter()
        .find_map(|probe| probe.recognise(context, frame))
        .or_else(|| link_wide::recognise(context, frame))
        .or_else(|| volley::recognise(context, frame))
}

/// The fact that a target answered.
fn answer(
    probe: &dyn Probe,
    ip: IpAddr,
    frame: &Frame<'_>,
    hop_limit: u8,
    port: Option<Port>,
    state: PortState,
) -> Recognised {
    Recognised {
        probe: probe.name(),
        source: probe.source(),
        fact: Fact::Answer { ip, mac: frame.source, port, state, hop_limit },
        place: Place::Address { target: ip, question: port.map_or(0, |port| port.number) },
        settles: Settles::Yes,
    }
}

#[cfg(test)]
mod tests;
