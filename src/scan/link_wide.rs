//! Questions to everyone on the link, with tokens: frames for a [`LinkWide`](crate::scope::LinkWide)
//! permit, risk class 2. Whoever answers is recognised by its token and its own source address.

use std::net::{IpAddr, Ipv6Addr};

use super::probe::read_quote;
use super::probe::{Context, Marks, SALT_KIND, SALT_LINK_WIDE, Seen, echo_quoted, echo_reply};
use super::recogniser::{Place, Recognised, Recogniser, Settles};
use super::token::{Identity, Keys};
use crate::net::Mac;
use crate::net::special::ALL_NODES;
use crate::observe::{Fact, PortState, Source, VantageId};
use crate::scope::frame::Frame;
use crate::wire::{build, icmp};

const ID: u8 = 9;
/// The name under which answers are recognised.
pub const NAME: &str = "link-wide";

/// An echo request to all nodes. From a unique-local source only those answer that have such an
/// address (measured), so each own address is worth asking from.
pub fn echo(recogniser: &Recogniser, vantage: VantageId, source: Ipv6Addr) -> Option<Vec<u8>> {
    let own_mac = recogniser.vantage(vantage)?.mac;
    let marks = marks(recogniser.keys(), vantage);
    let macs = build::Macs { source: own_mac, destination: Mac::of_ipv6_group(ALL_NODES) };
    let data = marks.data();
    let echo = icmp::Echo { identifier: marks.identifier, sequence: marks.sequence, data: &data };
    Some(build::echo_request_v6(macs, source, ALL_NODES, 1, echo))
}

/// An echo request to all nodes behind a destination option that nobody knows: hosts that ignore
/// multicast echoes still complain.
pub fn unknown_option(
    recogniser: &Recogniser,
    vantage: VantageId,
    source: Ipv6Addr,
) -> Option<Vec<u8>> {
    let own_mac = recogniser.vantage(vantage)?.mac;
    let marks = marks(recogniser.keys(), vantage);
    let data = marks.data();
    let echo = icmp::Echo { identifier: marks.identifier, sequence: marks.sequence, data: &data };
    Some(build::unknown_option(own_mac, source, echo))
}

/// The transaction number of this sweep's DHCP question at a vantage.
pub fn transaction(recogniser: &Recogniser, vantage: VantageId) -> u32 {
    let identity = Identity { probe: ID, vantage, target: ALL_NODES.into(), question: 1, extra: 0 };
    recogniser.keys().token(&identity) as u32
}

fn marks(keys: &Keys, vantage: VantageId) -> Marks {
    let identity = Identity { probe: ID, vantage, target: ALL_NODES.into(), question: 0, extra: 0 };
    Marks::of(keys.token(&identity), SALT_LINK_WIDE)
}

pub(super) fn recognise(context: &Context<'_>, frame: &Frame<'_>) -> Option<Recognised> {
    let (from, hop_limit, seen): (IpAddr, u8, Seen) = match echo_reply(context, frame) {
        Some((packet, seen)) => (packet.source, packet.hop_limit, seen),
        None => {
            let quote = read_quote(context, frame)?;
            (quote.from, quote.hop_limit, echo_quoted(&quote.packet)?)
        }
    };
    let marks = marks(context.keys, context.vantage().id);
    if seen.salt() & SALT_KIND != SALT_LINK_WIDE || !seen.matches(&marks) {
        return None;
    }
    let ip = from;
    let (mac, state) = (frame.source, PortState::Alive);
    Some(Recognised {
        probe: NAME,
        source: Source::Icmpv6,
        fact: Fact::Answer { ip, mac, port: None, state, hop_limit },
        place: Place::LinkWide,
        settles: Settles::Yes,
    })
}
