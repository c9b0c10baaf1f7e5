//! ICMPv6 echo. RFC 4443 §4.1. The frame and its marks are those of [`super::icmp`].

use std::net::IpAddr;

use super::{Context, Hears, Probe, Setup, Template, icmp};
use crate::observe::Source;
use crate::scan::recogniser::Recognised;
use crate::scan::source_ports::SourcePorts;
use crate::scope::Class;
use crate::scope::frame::Frame;

const ID: u8 = 4;

pub(super) struct Icmpv6Echo;

impl Probe for Icmpv6Echo {
    fn name(&self) -> &'static str {
        "icmpv6"
    }

    fn source(&self) -> Source {
        Source::Icmpv6
    }

    fn class(&self) -> Class {
        Class::Gentle
    }

    fn speaks_to(&self, target: IpAddr) -> bool {
        target.is_ipv6()
    }

    fn hears(&self, _: SourcePorts) -> Hears {
        Hears::Icmp
    }

    fn template(&self, setup: &Setup<'_>) -> Option<Box<dyn Template>> {
        setup.source.is_ipv6().then(|| icmp::stamped(setup, ID)).flatten()
    }

    fn recognise(&self, context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
        icmp::recognise(self, ID, context, frame)
    }
}
