//! Spanning tree (IEEE 802.1D, 802.1w, 802.1s; Cisco's PVST+): which bridges are on the link, and who is the root.
//!
//! Taken: root, sender and port with their priorities, the cost, the VLAN of a per-VLAN tree, the region of MSTP.
//! Left: flags and timers, which change while a tree settles, notices of change, the instances of MSTP.

use super::{Dissector, Facts, Packet, Wake};
use crate::net::Mac;
use crate::observe::{BridgeId, Fact, Foreign, Source, SpanningTree};
use crate::wire::WireError;
use crate::wire::stp::{self, Bridge, Message};

/// Where Cisco sends its per-VLAN messages.
const PER_VLAN: Mac = Mac([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd]);

pub(super) struct Stp;

impl Dissector for Stp {
    fn name(&self) -> &'static str {
        "stp"
    }

    fn source(&self) -> Source {
        Source::Passive
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Llc(0x42), Wake::Snap([0, 0, 0x0c], 0x010b)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (message, ended) = stp::read(packet.payload)?;
        let Message::Configuration(heard) = message else { return ended };
        let region = heard.region.map(|octets| {
            let name = octets.split(|octet| *octet == 0).next().unwrap_or_default();
            Foreign::from_bytes(name)
        });
        let vlan =
            (packet.destination == PER_VLAN).then(|| stp::per_vlan(packet.payload)).flatten();
        facts.put(
            self.source(),
            Fact::SpanningTree(SpanningTree {
                mac: packet.source,
                version: heard.version,
                root: bridge(heard.root),
                cost: heard.cost,
                bridge: bridge(heard.bridge),
                port: heard.port,
                vlan,
                region,
                regional_root: heard.regional_root.map(bridge),
            }),
        );
        ended
    }
}

fn bridge(Bridge { priority, extension, mac }: Bridge) -> BridgeId {
    BridgeId { priority, extension, mac }
}

#[cfg(test)]
mod tests {
    use super::super::check::facts;
    use super::*;

    #[test]
    fn a_bridge_behind_a_length_and_llc() {
        let mut frame = vec![1, 0x80, 0xc2, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 38, 0x42, 0x42, 3];
        frame.extend([
            0, 0, 0, 0, 0, 0x80, 0, 2, 0, 0, 0, 0, 1, 0, 0, 0, 4, 0x80, 7, 2, 0, 0, 0, 0, 9,
        ]);
        frame.extend([0x80, 2, 0, 0, 20, 0, 2, 0, 15, 0, 0, 0, 0]);
        let found = facts(&frame);
        let Some(Fact::SpanningTree(tree)) = found.last() else { panic!("{found:?}") };
        assert_eq!((tree.version, tree.cost, tree.port, tree.vlan), (0, 4, 0x8002, None));
        assert_eq!((tree.bridge.priority, tree.bridge.extension), (0x8000, 7));
    }
}
