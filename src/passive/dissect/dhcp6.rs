//! DHCPv6 (RFC 9915, 3646, 4704, 6939): who gives addresses and prefixes, and what clients say of
//! themselves.
//!
//! Taken: advertisements, replies and reconfigurations of servers, messages of clients, both also out
//! of relays' envelopes. Left: times, transaction ids, the addresses given (one for each client),
//! authentication.

use super::{Dissector, Facts, Packet, Wake, hex};
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
        let (_, class) = message.vendor_class.clone().unwrap_or_default();
        facts.put(
            Source::Dhcpv6,
            Fact::DhcpClient(DhcpClient {
                mac: client_mac(packet, &message),
                message: client.to_owned(),
                hostname: None,
                fqdn: message.fqdn.as_deref().map(Foreign::new),
                vendor_class: (!class.is_empty()).then(|| Foreign::from_bytes(&class)),
                parameters: message.requested,
                options: message.order,
                client_id: message.client_duid.as_deref().map(hex),
                requested: message.addresses.first().map(|&address| address.into()),
            }),
        );
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
