//! DHCPv4 (RFC 2131, 2132, 3396, 3442, 4702): who gives addresses, and what clients say of themselves.
//!
//! Taken: offers, acknowledgements and refusals of servers; every message of clients with its
//! options in their order; what relays add (RFC 3046), static routes, proxy configuration (252), and the options of vendors
//! and of the network (43, 66, 67, 108, 124, 125, 138, 150 and others); the binding that an acknowledgement makes. An answer on its way to a relay,
//! or to a client beyond a router, says nothing about this link: its prefix and binding are left.
//! A client's message that a relay passes on is true of the relay's link, and marked so. Left: lease times and transaction ids, which
//! differ every time; the file to boot from; passwords of relays.

use std::net::{IpAddr, Ipv4Addr};

use super::{Dissector, Facts, Packet, RELAY, Wake, dhcp_told, hex};
use crate::net::{Mac, Prefix};
use crate::observe::{DhcpClient, DhcpServer, Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::dhcp4::{self, Message};

pub(super) struct Dhcp4;

impl Dissector for Dhcp4 {
    fn name(&self) -> &'static str {
        "dhcp"
    }

    fn source(&self) -> Source {
        Source::Dhcp
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(67), Wake::Udp(68)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (message, ended) = Message::read(packet.payload)?;
        let Some(kind) = message.message_type() else {
            return ended;
        };
        let is_clients = matches!(kind, 1 | 3 | 4 | 7 | 8);
        let is_servers = matches!(kind, dhcp4::OFFER | dhcp4::ACK | dhcp4::NAK);
        if (message.is_request && is_clients) || (!message.is_request && is_servers) {
            dhcp_told::version_4(packet, ip.source, &message, facts);
        }
        match (message.is_request, kind) {
            (true, dhcp4::DISCOVER) => self.client(packet, &message, "discover", facts),
            (true, dhcp4::REQUEST) => self.client(packet, &message, "request", facts),
            (true, dhcp4::DECLINE) => self.client(packet, &message, "decline", facts),
            (true, dhcp4::RELEASE) => self.client(packet, &message, "release", facts),
            (true, dhcp4::INFORM) => self.client(packet, &message, "inform", facts),
            (false, dhcp4::OFFER) => self.server(packet, ip.source, &message, "offer", facts),
            (false, dhcp4::ACK) => {
                self.server(packet, ip.source, &message, "ack", facts);
                self.bind(packet, &message, facts);
            }
            (false, dhcp4::NAK) => self.server(packet, ip.source, &message, "nak", facts),
            (true, dhcp4::OFFER | dhcp4::ACK | dhcp4::NAK) => {
                self.odd(packet, facts, "server's message in a client's form");
            }
            (false, 1 | 3 | 4 | 7 | 8) => {
                self.odd(packet, facts, "client's message in a server's form");
            }
            _ => {}
        }
        ended
    }
}

impl Dhcp4 {
    fn odd(&self, packet: &Packet<'_>, facts: &mut Facts<'_>, what: &'static str) {
        facts.oddity(self.source(), packet.source, self.name(), what);
    }

    fn client(&self, packet: &Packet<'_>, message: &Message, word: &str, facts: &mut Facts<'_>) {
        let Some(mac) = message.client_mac else {
            self.odd(packet, facts, "client without a MAC");
            return;
        };
        if !mac.is_station() {
            self.odd(packet, facts, "client MAC that no station can have");
        }
        let is_relayed = !message.relay.is_unspecified();
        if !is_relayed && packet.source.is_station() && mac != packet.source {
            self.odd(packet, facts, "client MAC is not the frame's source");
        }
        let options = &message.options;
        let text = |code| options.text(code).map(Foreign::from_bytes);
        let client = DhcpClient {
            mac,
            message: word.to_owned(),
            hostname: text(12),
            fqdn: options.fqdn().map(|name| Foreign::from_bytes(&name)),
            vendor_class: text(60),
            parameters: wide(options.get(55).unwrap_or_default()),
            options: wide(&options.order),
            client_id: options.get(61).map(hex),
            requested: options.address(50).map(IpAddr::V4),
        };
        let fact = Fact::DhcpClient(client);
        match is_relayed {
            true => facts.inside(RELAY).put(Source::Dhcp, fact),
            false => facts.put(Source::Dhcp, fact),
        }
    }

    fn server(
        &self,
        packet: &Packet<'_>,
        source: IpAddr,
        message: &Message,
        word: &str,
        facts: &mut Facts<'_>,
    ) {
        let options = &message.options;
        let mut routers = options.addresses(3);
        // Where there are classless routes, clients take the default from them. RFC 3442.
        for code in [121, 249] {
            for (destination, next_hop) in options.routes(code) {
                if destination.length() == 0 && !routers.contains(&next_hop) {
                    routers.push(next_hop);
                }
            }
        }
        let mask = options.address(1).map(dhcp4::mask_length);
        if mask == Some(None) {
            self.odd(packet, facts, "mask with holes");
        }
        let given = [message.yours, message.client].into_iter().find(|ip| !ip.is_unspecified());
        let prefix = given
            .zip(mask.flatten())
            .filter(|(_, length)| *length > 0)
            .map(|(address, length)| Prefix::of(address.into(), length));
        let is_here = is_for_this_link(packet, message);
        let server = DhcpServer {
            ip: source,
            mac: packet.source,
            server_id: options.address(54).map(IpAddr::V4),
            duid: None,
            relay: specified(message.relay),
            message: word.to_owned(),
            prefix: prefix.filter(|_| is_here),
            routers: routers.into_iter().map(IpAddr::V4).collect(),
            dns: options.addresses(6).into_iter().map(IpAddr::V4).collect(),
            domain: options.text(15).map(Foreign::from_bytes),
            delegated: Vec::new(),
        };
        // The prefix is of the client's link: told as what a relay carries.
        if !is_here && prefix.is_some() {
            let beyond = DhcpServer { prefix, ..server.clone() };
            facts.inside(RELAY).put(Source::Dhcp, Fact::DhcpServer(beyond));
        }
        facts.put(Source::Dhcp, Fact::DhcpServer(server));
    }

    fn bind(&self, packet: &Packet<'_>, message: &Message, facts: &mut Facts<'_>) {
        if let Some(ip) = specified(message.yours)
            && let Some(mac) = message.client_mac.filter(|mac: &Mac| mac.is_station())
        {
            let bound = Fact::Binding { ip, mac };
            match is_for_this_link(packet, message) {
                true => facts.put(Source::Dhcp, bound),
                false => facts.inside(RELAY).put(Source::Dhcp, bound),
            }
        }
    }
}

/// Whether an answer reaches its client in this frame: it goes to everybody, or to the client's MAC.
/// Where the link shows no MACs, one that is on its way from a server to a relay is told by its port.
fn is_for_this_link(packet: &Packet<'_>, message: &Message) -> bool {
    let to_client = packet.ports.is_some_and(|(_, to)| to == 68);
    match packet.destination {
        Mac::ZERO => to_client && message.relay.is_unspecified(),
        destination if destination.is_group() => to_client,
        destination => message.client_mac == Some(destination),
    }
}

fn wide(codes: &[u8]) -> Vec<u16> {
    codes.iter().map(|&code| u16::from(code)).collect()
}

fn specified(address: Ipv4Addr) -> Option<IpAddr> {
    (!address.is_unspecified()).then_some(address.into())
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, datagram, facts, oddities};
    use super::*;
    use crate::wire::build;

    const CLIENT: Mac = Mac([2, 0, 0, 0, 0, 9]);

    fn message(operation: u8, relay: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut message = vec![operation, 1, 6, 0];
        message.resize(16, 0);
        message.extend_from_slice(&[10, 20, 1, 9, 0, 0, 0, 0]);
        message.extend_from_slice(&relay);
        message.extend_from_slice(&CLIENT.0);
        message.resize(236, 0);
        message.extend_from_slice(&[0x63, 0x82, 0x53, 0x63]);
        message.extend_from_slice(options);
        let mut frame = datagram(("10.20.1.2", 67), ("255.255.255.255", 68), &message);
        frame[..6].copy_from_slice(&[0xff; 6]);
        frame
    }

    fn binds(frame: &[u8]) -> bool {
        facts(frame).contains(&Fact::Binding { ip: [10, 20, 1, 9].into(), mac: CLIENT })
    }

    const ACK: [u8; 24] =
        [53, 1, 5, 54, 4, 10, 20, 1, 2, 1, 4, 255, 255, 255, 0, 121, 5, 0, 10, 20, 1, 1, 255, 0];

    fn server(frame: &[u8]) -> DhcpServer {
        let server = facts(frame).into_iter().find_map(|fact| match fact {
            Fact::DhcpServer(server) => Some(server),
            _ => None,
        });
        server.unwrap()
    }

    #[test]
    fn an_acknowledgement_binds_and_its_server_is_known() {
        let frame = message(2, [0; 4], &ACK);
        let found = server(&frame);
        assert_eq!((found.mac, found.message.as_str()), (OURS, "ack"));
        assert_eq!(found.prefix, Some("10.20.1.0/24".parse().unwrap()));
        assert_eq!(found.routers, [IpAddr::from([10, 20, 1, 1])]);
        assert!(binds(&frame));
    }

    #[test]
    fn an_answer_on_its_way_to_a_relay_or_router_says_nothing_of_this_link() {
        // From the relay to its client: on the client's link.
        let mut frame = message(2, [10, 20, 1, 1], &ACK);
        assert_eq!(server(&frame).relay, Some([10, 20, 1, 1].into()));
        assert!(binds(&frame) && server(&frame).prefix.is_some());
        frame[..6].copy_from_slice(&CLIENT.0);
        assert!(binds(&frame) && server(&frame).prefix.is_some());
        // To the MAC of a relay or router: the client is beyond.
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        assert!(!binds(&frame));
        assert_eq!(server(&frame).prefix, None);
    }

    #[test]
    fn a_client_whose_message_a_relay_passes_on_is_on_the_relays_link() {
        let frame = message(1, [10, 30, 1, 1], &[53, 1, 1]);
        let facts = facts(&frame);
        let [Fact::Encapsulated { encapsulation, inner }] = &facts[..] else { panic!("{facts:?}") };
        assert_eq!(encapsulation, "dhcp-relay");
        assert!(matches!(&**inner, Fact::DhcpClient(client) if client.mac == CLIENT));
    }

    #[test]
    fn a_mask_with_holes_gives_no_prefix() {
        let frame = message(2, [0; 4], &[53, 1, 2, 1, 4, 255, 0, 255, 0]);
        assert_eq!(server(&frame).prefix, None);
        assert_eq!(oddities(&frame), ["mask with holes"]);
    }

    #[test]
    fn only_servers_messages_make_servers() {
        let frame = message(1, [0; 4], &ACK);
        assert_eq!(oddities(&frame), ["server's message in a client's form"]);
        assert_eq!(facts(&frame).len(), 1);
        let client = facts(&build::dhcp_discover(OURS, 7));
        let [Fact::DhcpClient(client)] = &client[..] else { panic!("{client:?}") };
        assert_eq!((client.mac, client.message.as_str()), (OURS, "discover"));
        assert_eq!(client.client_id.as_deref(), Some("01020000000005"));
        assert_eq!(client.parameters, [1, 3, 6, 15, 54, 121, 249, 252]);
    }
}
