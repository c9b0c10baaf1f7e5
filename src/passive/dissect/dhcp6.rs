//! DHCPv6 (RFC 9915, 3646, 4704, 6939): who gives addresses and prefixes, and what clients say of
//! themselves.
//!
//! Taken: advertisements, replies and reconfigurations of servers, messages of clients, both also out
//! of relays' envelopes; what a relay passes on from a client is true of the relay's link, and marked
//! so; the relays on the way with the interfaces and lines that they name (RFC 4649, 4580); addresses and prefixes given
//! or asked for; enterprises, user classes and options of vendors; limits of retries (82, 83). Left: times, transaction ids,
//! authentication.

use super::{Dissector, Facts, Packet, RELAY, Wake, dhcp_told, hex};
use crate::net::Mac;
use crate::observe::{DhcpClient, DhcpServer, Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::dhcp6::{self, Message};

pub(super) struct Dhcp6;

impl Dissector for Dhcp6 {
    fn name(&self) -> &'static str {
        "dhcpv6"
    }

    fn source(&self) -> Source {
        Source::Dhcpv6
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(546), Wake::Udp(547)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip.filter(|ip| ip.source.is_ipv6()) else { return Ok(()) };
        let (message, ended) = Message::read(packet.payload)?;
        let server = match message.message_type {
            dhcp6::ADVERTISE => Some("advertise"),
            dhcp6::REPLY => Some("reply"),
            dhcp6::RECONFIGURE => Some("reconfigure"),
            _ => None,
        };
        if let Some(word) = server {
            dhcp_told::version_6(packet, ip.source, None, &message, facts);
            facts.put(
                Source::Dhcpv6,
                Fact::DhcpServer(DhcpServer {
                    ip: ip.source,
                    mac: packet.source,
                    server_id: None,
                    duid: message.server_duid.as_deref().map(hex),
                    relay: message.relay.map(Into::into),
                    message: word.to_owned(),
                    prefix: None,
                    routers: Vec::new(),
                    dns: message.dns.iter().map(|&server| server.into()).collect(),
                    domain: message.domains.first().map(|domain| Foreign::new(domain)),
                    delegated: message.delegated,
                }),
            );
            return ended;
        }
        let client = match message.message_type {
            dhcp6::SOLICIT => "solicit",
            3 => "request",
            4 => "confirm",
            5 => "renew",
            6 => "rebind",
            8 => "release",
            9 => "decline",
            11 => "information-request",
            _ => return ended,
        };
        let mac = client_mac(packet, &message);
        dhcp_told::version_6(packet, ip.source, Some(mac), &message, facts);
        let (_, class) = message.vendor_class.clone().unwrap_or_default();
        let fact = Fact::DhcpClient(DhcpClient {
            mac,
            message: client.to_owned(),
            hostname: None,
            fqdn: message.fqdn.as_deref().map(Foreign::new),
            vendor_class: (!class.is_empty()).then(|| Foreign::from_bytes(&class)),
            parameters: message.requested,
            options: message.order,
            client_id: message.client_duid.as_deref().map(hex),
            requested: message.addresses.first().map(|&address| address.into()),
        });
        match message.relay {
            Some(_) => facts.inside(RELAY).put(Source::Dhcpv6, fact),
            None => facts.put(Source::Dhcpv6, fact),
        }
        ended
    }
}

/// The frame's source where the client sent it itself. Through a relay: as the relay saw it, else by
/// the EUI-64 form of the client's address.
fn client_mac(packet: &Packet<'_>, message: &Message) -> Mac {
    match message.relay {
        None => packet.source,
        Some(_) => message
            .relayed_mac
            .or_else(|| Mac::from_interface_id(message.peer?))
            .unwrap_or(Mac::ZERO),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, datagram, facts};
    use super::*;
    use crate::wire::build;

    #[test]
    fn clients_are_known_also_behind_a_relay() {
        let solicit = build::dhcpv6_solicit(OURS, "fe80::5".parse().unwrap(), 7);
        let [Fact::DhcpClient(client)] = &facts(&solicit)[..] else { panic!() };
        assert_eq!((client.mac, client.message.as_str()), (OURS, "solicit"));
        let inner = [1, 0, 0, 7, 0, 8, 0, 2, 0, 0];
        let mut relayed = vec![12, 0];
        relayed.extend_from_slice(&[0; 16]);
        relayed.extend_from_slice(&[0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 9]);
        relayed.extend_from_slice(&[0, 9, 0, 10]);
        relayed.extend_from_slice(&inner);
        let frame = datagram(("fd00::1", 547), ("fd00::2", 547), &relayed);
        let found = facts(&frame);
        let [Fact::DhcpTold(told), Fact::Encapsulated { inner, .. }] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(told.relays[0].peer, Some("fe80::ff:fe00:9".parse().unwrap()));
        let Fact::DhcpClient(client) = &**inner else { panic!() };
        assert_eq!(client.mac, Mac([2, 0, 0, 0, 0, 9]));
    }

    #[test]
    fn a_server_is_known_by_its_duid() {
        let reply = [7, 0, 0, 7, 0, 2, 0, 4, 0, 2, 0, 9, 0, 23, 0, 16];
        let reply = [&reply[..], &[0xfd; 16]].concat();
        let frame = datagram(("fe80::2", 547), ("fe80::5", 546), &reply);
        let [Fact::DhcpServer(server)] = &facts(&frame)[..] else { panic!() };
        assert_eq!((server.duid.as_deref(), server.dns.len()), (Some("00020009"), 1));
    }
}
