//! Multicast listener discovery (RFC 2710, 3810): who asks, and who listens to which group.
//!
//! Taken: general queries, groups that a report joins or leaves, and queries for one group. Left:
//! sources. A query must come from a link-local address: hosts and bridges obey no other (RFC 3810
//! §5.1.14), so no other makes a querier.

use std::net::{IpAddr, Ipv6Addr};

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::{Fact, GroupMessage, GroupMessageKind, Source};
use crate::wire::WireError;
use crate::wire::icmp::Icmp;
use crate::wire::mld::{self, Message};

pub(super) struct Mld;

impl Dissector for Mld {
    fn name(&self) -> &'static str {
        "mld"
    }

    fn source(&self) -> Source {
        Source::Mld
    }

    fn wakes(&self) -> &'static [Wake] {
        &[
            Wake::Icmpv6(mld::QUERY),
            Wake::Icmpv6(mld::REPORT_V1),
            Wake::Icmpv6(mld::DONE_V1),
            Wake::Icmpv6(mld::REPORT_V2),
        ]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let IpAddr::V6(source) = ip.source else { return Ok(()) };
        let icmp = Icmp::read(packet.payload)?;
        let (message, ended) = mld::read(icmp.icmp_type, icmp.body)?;
        let local = source.is_unicast_link_local();
        match message {
            Message::Query { version, group } if group.is_unspecified() => {
                if !local {
                    let what = "query from no link-local address";
                    facts.oddity(self.source(), packet.source, self.name(), what);
                    other(facts, packet, ip.source, group, GroupMessageKind::Disobeyed);
                    return ended;
                }
                let (ip, mac) = (ip.source, packet.source);
                facts.put(Source::Mld, Fact::Querier { ip, mac, version });
            }
            Message::Report { joined, left } if local || source.is_unspecified() => {
                for group in joined.iter().filter(|group| group.is_multicast()) {
                    let (ip, mac, group) = (ip.source, packet.source, IpAddr::V6(*group));
                    facts.put(Source::Mld, Fact::Listener { ip, mac, group });
                }
                for group in left {
                    other(facts, packet, ip.source, group, GroupMessageKind::Leave);
                }
            }
            Message::Report { joined, left } => {
                for group in joined.into_iter().chain(left) {
                    other(facts, packet, ip.source, group, GroupMessageKind::Disobeyed);
                }
            }
            Message::Query { group, .. } => {
                other(facts, packet, ip.source, group, GroupMessageKind::Query);
            }
            Message::Done(group) => {
                other(facts, packet, ip.source, group, GroupMessageKind::Leave);
            }
        }
        ended
    }
}

fn other(
    facts: &mut Facts<'_>,
    packet: &Packet<'_>,
    ip: IpAddr,
    group: Ipv6Addr,
    message: GroupMessageKind,
) {
    let (mac, group) = (packet.source, IpAddr::V6(group));
    facts.put(Source::Mld, Fact::GroupMessage(GroupMessage { ip, mac, group, message }));
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, facts, oddities, packet};
    use super::*;
    use crate::wire::{Protocol, build};

    #[test]
    fn a_query_makes_a_querier_from_a_link_local_address_alone() {
        let query = build::mld_general_query(OURS, "fe80::5".parse().unwrap(), 1000);
        let ip = "fe80::5".parse().unwrap();
        assert_eq!(facts(&query), [Fact::Querier { ip, mac: OURS, version: 2 }]);
        let query = [&[130, 0, 0, 0][..], &[0; 24]].concat();
        let frame = packet("::", "ff02::1", Protocol::ICMPV6, 1, &query);
        assert_eq!(oddities(&frame), ["query from no link-local address"]);
        assert_eq!(facts(&frame).len(), 2);
    }
}
