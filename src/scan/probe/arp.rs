//! ARP requests. RFC 826; the form that no cache learns from, RFC 5227 §2.1.1.
//!
//! The first and the third asking are RFC 5227 probes (sender address zero), the second an ordinary
//! request: some stacks answer only one of the two. An ordinary request also saves the target from
//! resolving us before it answers what comes next.
//!
//! ARP echoes nothing of ours but the target, so an answer counts only if the target was asked and
//! it is for us. The MACs in Ethernet and in ARP may differ: routers that share an address answer so.

use std::net::{IpAddr, Ipv4Addr};

use super::patch::put;
use super::{Ask, Context, Hears, Probe, Resolution, Setup, Template, answer};
use crate::net::Mac;
use crate::observe::{PortState, Source};
use crate::scan::recogniser::Recognised;
use crate::scan::source_ports::SourcePorts;
use crate::scope::Class;
use crate::scope::frame::{Body, Frame};
use crate::wire::build;

pub(super) struct ArpRequest;

impl Probe for ArpRequest {
    fn name(&self) -> &'static str {
        "arp"
    }

    fn source(&self) -> Source {
        Source::Arp
    }

    fn class(&self) -> Class {
        Class::Gentle
    }

    fn speaks_to(&self, target: IpAddr) -> bool {
        target.is_ipv4()
    }

    fn hears(&self, _: SourcePorts) -> Hears {
        Hears::Arp
    }

    fn resolution(&self) -> Resolution {
        Resolution::IsIt
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        let IpAddr::V4(source) = setup.source else { return None };
        let macs = build::Macs { source: setup.vantage.mac, destination: Mac::BROADCAST };
        let frame = build::arp_request(macs, source, Ipv4Addr::UNSPECIFIED);
        Some(Box::new(Request { frame, source }))
    }

    fn recognise(&self, context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
        let Body::Arp(arp) = &frame.body else { return None };
        let sender = IpAddr::V4(arp.sender_ip);
        let for_us = frame.destination == context.vantage().mac
            || frame.destination == Mac::BROADCAST && arp.target_mac == context.vantage().mac;
        let honest = arp.sender_mac.is_station() && frame.source.is_station();
        if arp.operation != 2 || !for_us || !honest || !context.known.resolved.contains(sender) {
            return None;
        }
        Some(answer(self, sender, frame, 0, None, PortState::Alive))
    }
}

struct Request {
    frame: Vec<u8>,
    source: Ipv4Addr,
}

/// Where sender and target address stand in the frame.
const SENDER: usize = 14 + 14;
const TARGET: usize = 14 + 24;

impl Template for Request {
    fn stamp(&mut self, ask: &Ask) -> &[u8] {
        let anonymous = ask.attempt.is_multiple_of(2);
        let sender = if anonymous { Ipv4Addr::UNSPECIFIED } else { self.source };
        put(&mut self.frame, SENDER, sender.octets());
        if let IpAddr::V4(target) = ask.target {
            put(&mut self.frame, TARGET, target.octets());
        }
        &self.frame
    }
}
