//! Neighbour discovery (RFC 4861, 4191, 8106, 8781, 8910): who uses which IPv6 address, and who says that it
//! is a router.
//!
//! Taken: router advertisements whole; the binding of a sender (source link-layer option, else the
//! frame's source) and of an advertised target; the target of duplicate address detection, which is
//! not in use yet and binds nothing; who says it is a router; redirects. Noted: what RFC 6105, 7113 and the audits of NDPMon look for, as far as one packet shows
//! it; the listener notes what takes more. Left: targets of other solicitations, which nobody has said exist; checksums, which
//! offloading leaves wrong in captures of one's own frames. Believed only with hop limit 255, which
//! no router lets through; without it an oddity. Fragments are an oddity too (RFC 6980), and read as
//! far as they go.

use std::net::{IpAddr, Ipv6Addr};

use super::{Dissector, Facts, Packet, Wake};
use crate::net::{Mac, special};
use crate::observe::{
    Fact, Foreign, PrefixInformation, Redirect, RouteInformation, RouterAdvertisement, Source,
};
use crate::wire::icmp::Icmp;
use crate::wire::ndp::{self, Message, NdOption, Options, Router};
use crate::wire::{Protocol, WireError};

pub(super) struct Ndp;

impl Dissector for Ndp {
    fn name(&self) -> &'static str {
        "ndp"
    }

    fn source(&self) -> Source {
        Source::Ndp
    }

    fn wakes(&self) -> &'static [Wake] {
        &[
            Wake::Icmpv6(ndp::ROUTER_SOLICITATION),
            Wake::Icmpv6(ndp::ROUTER_ADVERTISEMENT),
            Wake::Icmpv6(ndp::NEIGHBOUR_SOLICITATION),
            Wake::Icmpv6(ndp::NEIGHBOUR_ADVERTISEMENT),
            Wake::Icmpv6(ndp::REDIRECT),
        ]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let (IpAddr::V6(source), Protocol::ICMPV6) = (ip.source, ip.protocol) else {
            return Ok(());
        };
        let icmp = Icmp::read(packet.payload)?;
        if ip.hop_limit != 255 {
            self.odd(packet, facts, "hop limit that shows a forwarded packet");
            return Ok(());
        }
        if ip.fragment.is_some() {
            self.odd(packet, facts, "neighbour discovery in fragments");
        }
        let (message, options) = ndp::read(icmp.icmp_type, icmp.body)?;
        match message {
            Message::RouterAdvertisement(router) => {
                self.router(packet, source, router, options, facts)
            }
            Message::NeighbourAdvertisement { target, router, solicited, .. } => {
                // RFC 4861 §7.1.2: what is sent to all answers nobody.
                if solicited && ip.destination.is_multicast() {
                    self.odd(packet, facts, "answer that is sent to all");
                }
                if router && packet.source.is_station() && special::is_host(target.into()) {
                    let (ip, mac) = (target.into(), packet.source);
                    facts.put(Source::Ndp, Fact::RouterFlag { ip, mac });
                }
                self.advertised(packet, target, options, facts)
            }
            Message::NeighbourSolicitation { target } if source.is_unspecified() => {
                self.tried(packet, target, options, facts)
            }
            Message::Redirect { target, destination } => {
                if !source.is_unicast_link_local() {
                    self.odd(packet, facts, "redirect from no link-local address");
                }
                let (next_hop, destination) = (target.into(), destination.into());
                let (ip, mac) = (source.into(), packet.source);
                facts.put(Source::Ndp, Fact::Redirect(Redirect { ip, mac, next_hop, destination }));
                // Its link-layer option is the target's.
                link_layer(options, |_| None).1
            }
            Message::RouterSolicitation | Message::NeighbourSolicitation { .. } => {
                self.sender(packet, source, options, facts)
            }
        }
    }
}

impl Ndp {
    fn odd(&self, packet: &Packet<'_>, facts: &mut Facts<'_>, what: &'static str) {
        facts.oddity(self.source(), packet.source, self.name(), what);
    }

    fn router(
        &self,
        packet: &Packet<'_>,
        source: Ipv6Addr,
        router: Router,
        options: Options<'_>,
        facts: &mut Facts<'_>,
    ) -> Result<(), WireError> {
        if !source.is_unicast_link_local() {
            self.odd(packet, facts, "router advertisement from no link-local address");
        }
        if packet.ip.is_some_and(|ip| ip.has_options) {
            // RFC 7113: the way around guards that look at the first header only.
            self.odd(packet, facts, "router advertisement behind extension headers");
        }
        let mut advertisement = RouterAdvertisement {
            router: source.into(),
            mac: packet.source,
            lifetime: router.lifetime,
            managed: router.managed,
            other: router.other,
            hop_limit: router.hop_limit,
            mtu: None,
            preference: router.preference,
            prefixes: Vec::new(),
            routes: Vec::new(),
            rdnss: Vec::new(),
            dnssl: Vec::new(),
            reachable_time: router.reachable_time,
            retransmission: router.retransmission,
            pref64: Vec::new(),
            captive_portal: None,
        };
        let mut named = None;
        let mut fault = Ok(());
        for option in options {
            fault = match option {
                Ok(NdOption::SourceLinkLayer(mac)) => {
                    named.get_or_insert(mac);
                    Ok(())
                }
                Ok(option) => take(option, &mut advertisement),
                Err(fault) => Err(fault),
            }
            .and(fault);
        }
        for prefix in &advertisement.prefixes {
            if prefix.valid_lifetime == 0 {
                self.odd(packet, facts, "prefix with lifetime zero");
            } else if prefix.preferred_lifetime > prefix.valid_lifetime {
                self.odd(packet, facts, "prefix preferred for longer than it is valid");
            }
            if prefix.autonomous && prefix.prefix.length() != 64 {
                self.odd(packet, facts, "prefix for autoconfiguration that is not a /64");
            }
        }
        self.bind(packet, source, named, facts);
        facts.put(Source::RouterAdvertisement, Fact::RouterAdvertisement(advertisement));
        fault
    }

    fn sender(
        &self,
        packet: &Packet<'_>,
        source: Ipv6Addr,
        options: Options<'_>,
        facts: &mut Facts<'_>,
    ) -> Result<(), WireError> {
        let (named, ended) = link_layer(options, |option| match option {
            NdOption::SourceLinkLayer(mac) => Some(*mac),
            _ => None,
        });
        self.bind(packet, source, named, facts);
        ended
    }

    /// RFC 4862 §5.4.2: from the unspecified address, without a link-layer option.
    fn tried(
        &self,
        packet: &Packet<'_>,
        target: Ipv6Addr,
        options: Options<'_>,
        facts: &mut Facts<'_>,
    ) -> Result<(), WireError> {
        let (named, ended) = link_layer(options, |option| match option {
            NdOption::SourceLinkLayer(mac) => Some(*mac),
            _ => None,
        });
        if named.is_some() {
            self.odd(packet, facts, "duplicate address detection that names a link layer");
        }
        if packet.source.is_station() && special::is_host(target.into()) {
            let (ip, mac) = (target.into(), packet.source);
            facts.put(Source::Ndp, Fact::Tentative { ip, mac });
        }
        ended
    }

    fn advertised(
        &self,
        packet: &Packet<'_>,
        target: Ipv6Addr,
        options: Options<'_>,
        facts: &mut Facts<'_>,
    ) -> Result<(), WireError> {
        let (named, ended) = link_layer(options, |option| match option {
            NdOption::TargetLinkLayer(mac) => Some(*mac),
            _ => None,
        });
        self.bind(packet, target, named, facts);
        ended
    }

    /// The address belongs to the MAC that the message names, else to the one that sent it.
    fn bind(
        &self,
        packet: &Packet<'_>,
        address: Ipv6Addr,
        named: Option<Mac>,
        facts: &mut Facts<'_>,
    ) {
        if address.is_unspecified() {
            return;
        }
        let mac = named.unwrap_or(packet.source);
        if !special::is_host(address.into()) || named.is_some_and(|mac| !mac.is_station()) {
            self.odd(packet, facts, "address that no station can have");
            return;
        }
        if !mac.is_station() {
            return;
        }
        if packet.source.is_station() && mac != packet.source {
            self.odd(packet, facts, "link-layer option is not the frame's source");
        }
        facts.put(Source::Ndp, Fact::Binding { ip: address.into(), mac });
    }
}

/// The first link-layer option that `choose` takes, and the fault that ended the options.
fn link_layer(
    options: Options<'_>,
    choose: impl Fn(&NdOption<'_>) -> Option<Mac>,
) -> (Option<Mac>, Result<(), WireError>) {
    let mut named = None;
    let mut fault = Ok(());
    for option in options {
        match option {
            Ok(option) => named = named.or_else(|| choose(&option)),
            Err(error) => fault = Err(error),
        }
    }
    (named, fault)
}

fn take(option: NdOption<'_>, advertisement: &mut RouterAdvertisement) -> Result<(), WireError> {
    match option {
        NdOption::Mtu(mtu) => advertisement.mtu = Some(mtu),
        NdOption::Prefix { prefix, on_link, autonomous, valid_lifetime, preferred_lifetime } => {
            advertisement.prefixes.push(PrefixInformation {
                prefix,
                on_link,
                autonomous,
                valid_lifetime,
                preferred_lifetime,
            });
        }
        NdOption::Route { prefix, preference, lifetime } => {
            advertisement.routes.push(RouteInformation { prefix, lifetime, preference });
        }
        NdOption::DnsServers(servers) => {
            let servers = servers.iter().map(|octets| IpAddr::from(Ipv6Addr::from(*octets)));
            advertisement.rdnss.extend(servers);
        }
        NdOption::DnsSearch(octets) => {
            let domains = ndp::search_domains(octets)?;
            advertisement.dnssl.extend(domains.iter().map(|domain| Foreign::new(domain)));
        }
        NdOption::Nat64(prefix) => advertisement.pref64.push(prefix),
        NdOption::CaptivePortal(octets) => {
            // Padded with zeros to a multiple of eight octets.
            let address = octets.split(|octet| *octet == 0).next().unwrap_or_default();
            advertisement.captive_portal = Some(Foreign::from_bytes(address));
        }
        NdOption::SourceLinkLayer(_) | NdOption::TargetLinkLayer(_) | NdOption::Unknown(_) => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check::{OURS, facts, oddities, packet};
    use super::*;
    use crate::wire::build;

    const ADVERTISEMENT: [u8; 48] = {
        let mut message = [0; 48];
        message[0] = 134;
        message[7] = 30;
        // A prefix option: fd00:7::/64, on link, for ever.
        (message[16], message[17], message[18], message[19]) = (3, 4, 64, 0xc0);
        (message[20], message[21], message[22], message[23]) = (0xff, 0xff, 0xff, 0xff);
        (message[32], message[35]) = (0xfd, 7);
        message
    };

    fn advertised(frame: &[u8]) -> Option<RouterAdvertisement> {
        facts(frame).into_iter().find_map(|fact| match fact {
            Fact::RouterAdvertisement(advertisement) => Some(advertisement),
            _ => None,
        })
    }

    #[test]
    fn a_router_is_bound_to_the_frame_where_it_names_no_mac() {
        let frame = packet("fe80::1", "ff02::1", Protocol::ICMPV6, 255, &ADVERTISEMENT);
        let bound = Fact::Binding { ip: "fe80::1".parse().unwrap(), mac: OURS };
        assert!(facts(&frame).contains(&bound));
        let advertisement = advertised(&frame).unwrap();
        assert_eq!((advertisement.mac, advertisement.lifetime), (OURS, 30));
        assert_eq!(advertisement.prefixes[0].prefix.to_string(), "fd00:7::/64");
    }

    #[test]
    fn an_advertisement_hides_behind_no_extension_header() {
        let options = [58, 0, 1, 4, 0, 0, 0, 0];
        let hidden = [&options[..], &ADVERTISEMENT].concat();
        let frame = packet("fe80::1", "ff02::1", Protocol::DESTINATION_OPTIONS, 255, &hidden);
        assert!(advertised(&frame).is_some());
        let fragment = [&[60, 0, 0, 0, 0, 0, 0, 7][..], &hidden].concat();
        let frame = packet("fe80::1", "ff02::1", Protocol::FRAGMENT, 255, &fragment);
        assert!(advertised(&frame).is_some());
        let hidden =
            ["neighbour discovery in fragments", "router advertisement behind extension headers"];
        assert_eq!(oddities(&frame), hidden);
        // The whole message in the second fragment: nothing to read, but not unseen.
        let fragment = [60, 0, 0, 1, 0, 0, 0, 7, 58, 1, 1, 12, 0, 0, 0, 0];
        let frame = packet("fe80::1", "ff02::1", Protocol::FRAGMENT, 255, &fragment);
        assert_eq!(oddities(&frame), ["extension headers that hide the upper layer"]);
    }

    #[test]
    fn newer_options_and_what_audits_look_for() {
        let mut message = ADVERTISEMENT.to_vec();
        message[20..24].fill(0);
        message.extend([38, 2, 0, 0, 0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]);
        message.extend([37, 1, b'h', b't', b't', b'p', 0, 0]);
        let frame = packet("fe80::1", "ff02::1", Protocol::ICMPV6, 255, &message);
        let advertisement = advertised(&frame).unwrap();
        assert_eq!(advertisement.pref64, ["64:ff9b::/96".parse().unwrap()]);
        assert_eq!(advertisement.captive_portal, Some(Foreign::new("http")));
        assert!(oddities(&frame).contains(&"prefix with lifetime zero".to_owned()));
    }

    #[test]
    fn a_redirect_names_who_says_it_and_whereto() {
        let mut message = vec![137, 0, 0, 0, 0, 0, 0, 0];
        message.extend("fe80::9".parse::<Ipv6Addr>().unwrap().octets());
        message.extend("2001:db8::7".parse::<Ipv6Addr>().unwrap().octets());
        let frame = packet("fe80::1", "fe80::5", Protocol::ICMPV6, 255, &message);
        let [Fact::Redirect(redirect)] = &facts(&frame)[..] else { panic!() };
        assert_eq!(redirect.next_hop, "fe80::9".parse::<IpAddr>().unwrap());
    }

    #[test]
    fn what_came_through_a_router_is_not_believed() {
        let frame = packet("fe80::1", "ff02::1", Protocol::ICMPV6, 64, &ADVERTISEMENT);
        assert_eq!(oddities(&frame), ["hop limit that shows a forwarded packet"]);
        assert_eq!(facts(&frame).len(), 1);
    }

    #[test]
    fn what_stands_before_a_fault_is_kept() {
        let cut = [&ADVERTISEMENT[..], &[25, 0]].concat();
        let frame = packet("fe80::1", "ff02::1", Protocol::ICMPV6, 255, &cut);
        assert_eq!(advertised(&frame).unwrap().prefixes.len(), 1);
        assert_eq!(oddities(&frame), ["option of length zero"]);
    }

    #[test]
    fn detection_of_duplicates_binds_nothing() {
        let target = "fe80::5".parse().unwrap();
        let detection = build::neighbour_solicitation(OURS, Ipv6Addr::UNSPECIFIED, target);
        assert_eq!(facts(&detection), [Fact::Tentative { ip: target.into(), mac: OURS }]);
        let group =
            build::neighbour_solicitation(OURS, Ipv6Addr::UNSPECIFIED, "ff02::1".parse().unwrap());
        assert!(!facts(&group).iter().any(|fact| matches!(fact, Fact::Tentative { .. })));
        let asked = build::neighbour_solicitation(OURS, target, "fe80::7".parse().unwrap());
        assert_eq!(facts(&asked), [Fact::Binding { ip: target.into(), mac: OURS }]);
    }
}
