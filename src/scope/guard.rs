//! The guard: from the rules of a sweep to permits.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

use crate::net::special;
use crate::net::{AddressSet, Mac, Prefix};
use crate::observe::VantageId;

/// The highest class of probe that a sweep may send.
///
/// 0 passive; 1 ordinary unicast and the address resolution of an admitted target; 2 broadcast and
/// multicast; 3 a spoofed source. Nothing higher exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Risk(u8);

impl Risk {
    pub const PASSIVE: Risk = Risk(0);
    pub const UNICAST: Risk = Risk(1);
    pub const LINK_WIDE: Risk = Risk(2);
    pub const SPOOFED: Risk = Risk(3);

    /// `None` above 3.
    pub const fn new(class: u8) -> Option<Risk> {
        if class <= 3 { Some(Risk(class)) } else { None }
    }

    pub const fn class(self) -> u8 {
        self.0
    }
}

/// What kind of question a target is admitted for, from the gentlest to the boldest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Address resolution or an echo: what a fragile address may be asked once.
    Gentle,
    /// Any unicast question to the address itself: TCP, UDP, hop ladders.
    Ordinary,
    /// A frame to its MAC for somebody else's address.
    Steered,
}

/// Where the sweep stands: an interface's MAC and its own addresses with their prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vantage {
    pub id: VantageId,
    pub mac: Mac,
    pub addresses: Vec<(IpAddr, Prefix)>,
}

impl Vantage {
    /// Whether the address is one of the interface's own.
    pub fn owns(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == address)
    }

    /// The own prefix that the address lies in: it is on link. Link-local addresses always are.
    pub fn on_link(&self, address: IpAddr) -> Option<Prefix> {
        let longest = self.addresses.iter().map(|(_, prefix)| *prefix);
        let longest = longest.filter(|prefix| prefix.contains(address)).max_by_key(|p| p.length());
        longest.or_else(|| special::is_link_local(address).then(|| link_local_prefix(address)))
    }

    /// Whether [`Vantage::on_link`] has a prefix for it.
    pub fn is_on_link(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|(_, prefix)| prefix.contains(address))
            || special::is_link_local(address)
    }

    /// The own address to ask this target from: of the prefix that it lies in, else the one whose
    /// leading bits agree with it longest (RFC 6724 §5 rule 8), a link-local one only for link-local
    /// targets. `None` where the interface has no fit address of the family.
    pub fn source_for(&self, target: IpAddr) -> Option<IpAddr> {
        let link_local = special::is_link_local(target);
        let own = self.addresses.iter().filter(|(own, _)| own.is_ipv4() == target.is_ipv4());
        let fit = own.filter(|(own, prefix)| {
            prefix.contains(target)
                || special::is_link_local(*own) == link_local
                || own.is_ipv4() && link_local
        });
        // Ties go to the first: `max_by_key` takes the last of equals, so the list is read backwards.
        fit.rev()
            .max_by_key(|(own, prefix)| (prefix.contains(target), common_bits(*own, target)))
            .map(|(own, _)| *own)
    }
}

fn common_bits(a: IpAddr, b: IpAddr) -> u32 {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits() ^ b.to_bits()).leading_zeros(),
        _ => 0,
    }
}

fn link_local_prefix(address: IpAddr) -> Prefix {
    Prefix::of(address, if address.is_ipv4() { 16 } else { 64 })
}

/// The authorisation as the fence keeps it.
#[derive(Debug, Clone)]
pub struct Rules {
    pub scope: AddressSet,
    /// Never asked, never steered through.
    pub exclude: AddressSet,
    /// One gentle question each.
    pub observe_only: AddressSet,
    pub risk: Risk,
    /// From when until when sending is allowed; both ends belong to it.
    pub window: Option<(Timestamp, Timestamp)>,
    /// The only destinations outside the scope that frames may have, and steered ones alone.
    pub canaries: Vec<IpAddr>,
    /// Where the collector hands out its receipts: a conversation to it, and nothing else, may leave the scope.
    pub collector: Option<SocketAddr>,
    /// Every interface that the sweep may send by.
    pub vantages: Vec<Vantage>,
}

/// Why something was not allowed. A refusal is an answer, not a fault: it is counted and told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Error)]
pub enum Refusal {
    #[error("outside the scope")]
    OutsideScope,
    #[error("excluded")]
    Excluded,
    #[error("observe-only: not asked more than one gentle question")]
    ObserveOnly,
    #[error("observe-only: its one question was asked")]
    AlreadyAsked,
    #[error("above the highest risk class")]
    Risk,
    #[error("outside the authorised window")]
    Window,
    #[error("not an address that a host can have")]
    NotAHost,
    #[error("a canary, which only a steered frame may have as its destination")]
    Canary,
    #[error("not where the collector hands out its receipts")]
    NotTheCollector,
    #[error("an address of the vantage itself")]
    Own,
    #[error("no such vantage, or it cannot send")]
    UnknownVantage,
    #[error("the Ethernet destination belongs to an excluded address")]
    ExcludedMac,
    #[error("the Ethernet destination belongs to an observe-only address")]
    FragileMac,
    #[error("an on-link destination, where only an off-link one shows forwarding")]
    OnLink,
    #[error("the frame cannot be read, or is of a kind that is never sent")]
    Forbidden,
    #[error("the frame's source is not the vantage's own")]
    ForeignSource,
    #[error("the frame's destination is not the permit's")]
    OtherDestination,
    #[error("a group or broadcast destination without a permit for it")]
    LinkWide,
    #[error("the ceiling is too low for this probe and its consequence")]
    Ceiling,
}

/// One address that may be asked, from one vantage, in one class. Only the guard makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    address: IpAddr,
    vantage: VantageId,
    class: Class,
    fragile: bool,
}

impl Target {
    pub fn address(&self) -> IpAddr {
        self.address
    }

    pub(super) fn borrowed(&self) -> &IpAddr {
        &self.address
    }

    pub fn vantage(&self) -> VantageId {
        self.vantage
    }

    pub fn class(&self) -> Class {
        self.class
    }

    /// An observe-only address: this is its one question.
    pub fn is_fragile(&self) -> bool {
        self.fragile
    }
}

/// Leave to send to the groups and the broadcast of one vantage's link. Only the guard makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkWide {
    vantage: VantageId,
}

impl LinkWide {
    pub fn vantage(&self) -> VantageId {
        self.vantage
    }
}

/// Leave to send a neighbour frames for an off-link address: the forwarding test. Only the guard
/// makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Steered {
    vantage: VantageId,
    /// The neighbour and the destination: both may be asked no more than their ceilings.
    addresses: [IpAddr; 2],
    mac: Mac,
    canary: bool,
}

impl Steered {
    pub fn vantage(&self) -> VantageId {
        self.vantage
    }

    pub fn neighbour(&self) -> IpAddr {
        self.addresses[0]
    }

    pub(super) fn addresses(&self) -> &[IpAddr; 2] {
        &self.addresses
    }

    pub fn mac(&self) -> Mac {
        self.mac
    }

    pub fn destination(&self) -> IpAddr {
        self.addresses[1]
    }

    pub fn is_canary(&self) -> bool {
        self.canary
    }
}

/// Leave to ask an address in a canary's name: its answer goes to the collector. Risk class 3. Only the
/// guard makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spoofed {
    vantage: VantageId,
    target: IpAddr,
    canary: IpAddr,
}

impl Spoofed {
    pub fn vantage(&self) -> VantageId {
        self.vantage
    }

    pub fn target(&self) -> IpAddr {
        self.target
    }

    pub(super) fn borrowed(&self) -> &IpAddr {
        &self.target
    }

    /// The source address that the packet bears.
    pub fn canary(&self) -> IpAddr {
        self.canary
    }
}

/// Keeps the rules and what was heard of excluded and fragile stations.
#[derive(Debug)]
pub struct Guard {
    rules: Rules,
    /// The window in time since the sweep's start.
    open: (Duration, Duration),
    excluded_macs: HashSet<Mac>,
    fragile_macs: HashSet<Mac>,
}

/// How many MACs of excluded and of fragile addresses are kept: more than any link has stations.
const MOST_MACS: usize = 1 << 16;

impl Guard {
    /// `started_at` is the instant that every later `now` is reckoned from.
    pub fn new(rules: Rules, started_at: Timestamp) -> Guard {
        let since = |at: Timestamp| at.duration_since(started_at);
        let open = match rules.window {
            None => (Duration::ZERO, Duration::MAX),
            Some((from, until)) => match Duration::try_from(since(until)) {
                // A start before the sweep's is in the past, which is as good as zero.
                Ok(until) => (Duration::try_from(since(from)).unwrap_or_default(), until),
                // The window closed before the sweep began: no `now` lies in it.
                Err(_) => (Duration::MAX, Duration::ZERO),
            },
        };
        Guard { rules, open, excluded_macs: HashSet::new(), fragile_macs: HashSet::new() }
    }

    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    pub fn vantage(&self, id: VantageId) -> Option<&Vantage> {
        self.rules.vantages.iter().find(|vantage| vantage.id == id)
    }

    /// Whether the window is open at this time since the sweep's start.
    pub fn open_at(&self, now: Duration) -> Result<(), Refusal> {
        let (from, until) = self.open;
        if now < from || now > until { Err(Refusal::Window) } else { Ok(()) }
    }

    /// Leave to ask an address. Nothing is counted by asking for leave.
    pub fn admit(
        &self,
        address: IpAddr,
        vantage: VantageId,
        class: Class,
    ) -> Result<Target, Refusal> {
        let own = self.vantage(vantage).ok_or(Refusal::UnknownVantage)?;
        if self.rules.risk < Risk::UNICAST {
            return Err(Refusal::Risk);
        }
        let fragile = self.may_be_asked(address, own, class)?;
        Ok(Target { address, vantage, class, fragile })
    }

    /// Whether the address is fragile, where it may be asked at all.
    fn may_be_asked(
        &self,
        address: IpAddr,
        vantage: &Vantage,
        class: Class,
    ) -> Result<bool, Refusal> {
        if !is_host_on(address, vantage) {
            return Err(Refusal::NotAHost);
        }
        if self.excludes(address) {
            return Err(Refusal::Excluded);
        }
        if self.rules.vantages.iter().any(|vantage| vantage.owns(address)) {
            return Err(Refusal::Own);
        }
        if self.rules.canaries.contains(&address) {
            return Err(Refusal::Canary);
        }
        if !self.rules.scope.contains(address) && !special::is_link_local(address) {
            return Err(Refusal::OutsideScope);
        }
        let fragile = self.is_fragile(address);
        if fragile && class > Class::Gentle {
            return Err(Refusal::ObserveOnly);
        }
        // An interface identifier made from the MAC of such a station is the station's own.
        if let IpAddr::V6(ipv6) = address
            && let Some(mac) = Mac::from_interface_id(ipv6)
        {
            self.mac_may_be_used(mac)?;
            if !fragile && self.fragile_macs.contains(&mac) {
                return Err(Refusal::FragileMac);
            }
        }
        Ok(fragile)
    }

    /// Leave to fetch receipts where the collector hands them out. It may be a canary.
    pub(super) fn admit_collector(
        &self,
        address: SocketAddr,
        vantage: VantageId,
    ) -> Result<(), Refusal> {
        let own = self.vantage(vantage).ok_or(Refusal::UnknownVantage)?;
        if self.rules.risk < Risk::UNICAST {
            return Err(Refusal::Risk);
        }
        if self.rules.collector != Some(address) {
            return Err(Refusal::NotTheCollector);
        }
        if !is_host_on(address.ip(), own) {
            return Err(Refusal::NotAHost);
        }
        if self.excludes(address.ip()) {
            return Err(Refusal::Excluded);
        }
        if self.is_fragile(address.ip()) {
            return Err(Refusal::ObserveOnly);
        }
        Ok(())
    }

    /// Leave for link-wide questions: risk class 2.
    pub fn admit_link_wide(&self, vantage: VantageId) -> Result<LinkWide, Refusal> {
        self.vantage(vantage).ok_or(Refusal::UnknownVantage)?;
        if self.rules.risk < Risk::LINK_WIDE {
            return Err(Refusal::Risk);
        }
        Ok(LinkWide { vantage })
    }

    /// Leave to send frames to a neighbour's MAC for an off-link destination: an address inside the
    /// scope, or a canary. The neighbour itself must be one that may be steered through.
    pub fn admit_steered(
        &self,
        neighbour: IpAddr,
        mac: Mac,
        destination: IpAddr,
        vantage: VantageId,
    ) -> Result<Steered, Refusal> {
        let own = self.vantage(vantage).ok_or(Refusal::UnknownVantage)?;
        if self.rules.risk < Risk::UNICAST {
            return Err(Refusal::Risk);
        }
        self.may_be_asked(neighbour, own, Class::Steered)?;
        if !mac.is_station() || mac == own.mac {
            return Err(Refusal::OtherDestination);
        }
        self.mac_may_be_used(mac)?;
        if self.fragile_macs.contains(&mac) {
            return Err(Refusal::FragileMac);
        }
        let canary = self.rules.canaries.contains(&destination);
        if canary {
            self.canary_may_be_named(destination, own)?;
        } else {
            self.may_be_asked(destination, own, Class::Ordinary)?;
        }
        if self.rules.vantages.iter().any(|vantage| vantage.on_link(destination).is_some()) {
            return Err(Refusal::OnLink);
        }
        Ok(Steered { vantage, addresses: [neighbour, destination], mac, canary })
    }

    /// Leave to ask an address in the name of a canary of its family: risk class 3. The target is one that may be
    /// asked anything; a fragile one is not.
    pub fn admit_spoofed(
        &self,
        target: IpAddr,
        canary: IpAddr,
        vantage: VantageId,
    ) -> Result<Spoofed, Refusal> {
        let own = self.vantage(vantage).ok_or(Refusal::UnknownVantage)?;
        if self.rules.risk < Risk::SPOOFED {
            return Err(Refusal::Risk);
        }
        self.may_be_asked(target, own, Class::Steered)?;
        if !self.rules.canaries.contains(&canary) || canary.is_ipv4() != target.is_ipv4() {
            return Err(Refusal::ForeignSource);
        }
        self.canary_may_be_named(canary, own)?;
        Ok(Spoofed { vantage, target, canary })
    }

    /// Whether a canary is fit to stand in a packet: as its destination, or as the source it is answered to.
    fn canary_may_be_named(&self, canary: IpAddr, own: &Vantage) -> Result<(), Refusal> {
        if !is_host_on(canary, own) {
            return Err(Refusal::NotAHost);
        }
        if self.excludes(canary) {
            return Err(Refusal::Excluded);
        }
        // What stands on a link of ours is no host of the internet side.
        if self.rules.vantages.iter().any(|vantage| vantage.on_link(canary).is_some()) {
            return Err(Refusal::OnLink);
        }
        Ok(())
    }

    /// An address was heard with a MAC. The MACs of excluded and of fragile addresses are kept.
    pub fn hear(&mut self, address: IpAddr, mac: Mac) {
        if !mac.is_station() {
            return;
        }
        let keep = if self.excludes(address) {
            &mut self.excluded_macs
        } else if self.is_fragile(address) {
            &mut self.fragile_macs
        } else {
            return;
        };
        if keep.len() < MOST_MACS {
            keep.insert(mac);
        }
    }

    pub fn is_excluded_mac(&self, mac: Mac) -> bool {
        self.excluded_macs.contains(&mac)
    }

    pub fn is_fragile_mac(&self, mac: Mac) -> bool {
        self.fragile_macs.contains(&mac)
    }

    pub(super) fn mac_may_be_used(&self, mac: Mac) -> Result<(), Refusal> {
        if self.excluded_macs.contains(&mac) { Err(Refusal::ExcludedMac) } else { Ok(()) }
    }

    /// Excluded, also where the address is an IPv6 spelling of an excluded IPv4 address.
    pub fn excludes(&self, address: IpAddr) -> bool {
        self.rules.exclude.contains(address)
            || embedded_ipv4(address).is_some_and(|ipv4| self.rules.exclude.contains(ipv4.into()))
    }

    pub fn is_fragile(&self, address: IpAddr) -> bool {
        self.rules.observe_only.contains(address)
            || embedded_ipv4(address)
                .is_some_and(|ipv4| self.rules.observe_only.contains(ipv4.into()))
    }
}

/// Not a group, broadcast, loopback or unspecified address, and in the vantage's own prefixes not
/// the network's own or its directed broadcast. An IPv4-mapped address is on no wire.
fn is_host_on(address: IpAddr, vantage: &Vantage) -> bool {
    if let IpAddr::V6(ipv6) = address
        && ipv6.to_ipv4_mapped().is_some()
    {
        return false;
    }
    let is_of_link = |prefix: Prefix| !prefix.contains(address) || prefix.is_host_address(address);
    special::is_host(address) && vantage.addresses.iter().all(|(_, prefix)| is_of_link(*prefix))
}

/// The IPv4 host that a translator (RFC 6052 §2.1) or a 6to4 relay (RFC 3056 §2) would pass a
/// packet for this IPv6 address on to.
fn embedded_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(ipv6) = address else { return None };
    match special::purpose(address)? {
        special::Purpose::Translation => Some(Ipv4Addr::from_bits(ipv6.to_bits() as u32)),
        special::Purpose::SixToFour => Some(Ipv4Addr::from_bits((ipv6.to_bits() >> 80) as u32)),
        _ => None,
    }
}

/// The group in which the neighbours of a solicited address listen, and its Ethernet address.
pub(super) fn solicited(target: Ipv6Addr) -> (Ipv6Addr, Mac) {
    let group = special::solicited_node(target);
    (group, Mac::of_ipv6_group(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn vantage() -> Vantage {
        let own = |address: &str, prefix: &str| (ip(address), prefix.parse().unwrap());
        Vantage {
            id: VantageId(0),
            mac: Mac([2, 0, 0, 0, 0, 5]),
            addresses: vec![
                own("10.20.1.5", "10.20.1.0/24"),
                own("172.16.0.5", "172.16.0.0/24"),
                own("fe80::5", "fe80::/64"),
                own("fd20::5", "fd20::/64"),
                own("2001:db8:7::5", "2001:db8:7::/64"),
            ],
        }
    }

    #[test]
    fn a_target_is_asked_from_the_address_that_fits_it() {
        for (target, expected) in [
            ("10.20.1.9", Some("10.20.1.5")),
            ("172.16.0.9", Some("172.16.0.5")),
            ("172.31.0.9", Some("172.16.0.5")),
            ("192.168.0.9", Some("172.16.0.5")),
            ("169.254.7.7", Some("172.16.0.5")),
            ("fe80::9", Some("fe80::5")),
            ("fd20::9", Some("fd20::5")),
            ("fd21::9", Some("fd20::5")),
            ("2001:db8:9::9", Some("2001:db8:7::5")),
        ] {
            assert_eq!(vantage().source_for(ip(target)), expected.map(ip), "{target}");
        }
        let mut link_local_alone = vantage();
        link_local_alone.addresses.retain(|(own, _)| own.to_string().starts_with("fe80"));
        assert_eq!(link_local_alone.source_for(ip("2001:db8:9::9")), None);
        assert_eq!(link_local_alone.source_for(ip("10.20.1.9")), None);
    }

    #[test]
    fn what_is_on_link_is_so_by_the_longest_own_prefix() {
        let on_link = |target: &str| vantage().on_link(ip(target)).map(|p| p.to_string());
        assert_eq!(on_link("10.20.1.9").as_deref(), Some("10.20.1.0/24"));
        assert_eq!(on_link("10.20.2.9"), None);
        assert_eq!(on_link("169.254.7.7").as_deref(), Some("169.254.0.0/16"));
        assert_eq!(on_link("fe80:0:0:1::9").as_deref(), Some("fe80:0:0:1::/64"));
    }

    #[test]
    fn macs_of_excluded_and_fragile_stations_are_learnt_from_what_they_say() {
        let rules = Rules {
            scope: AddressSet::of(["10.20.0.0/16".parse().unwrap()]),
            exclude: AddressSet::of(["10.20.1.66/32".parse().unwrap()]),
            observe_only: AddressSet::of(["10.20.1.80/32".parse().unwrap()]),
            risk: Risk::UNICAST,
            window: None,
            canaries: Vec::new(),
            collector: None,
            vantages: vec![vantage()],
        };
        let mut guard = Guard::new(rules, Timestamp::UNIX_EPOCH);
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        guard.hear(ip("10.20.1.66"), mac(1));
        guard.hear(ip("10.20.1.80"), mac(2));
        guard.hear(ip("10.20.1.7"), mac(3));
        // Whose excluded address hides in an IPv6 one, and who has no address of a station.
        guard.hear(ip("64:ff9b::10.20.1.66"), mac(4));
        guard.hear(ip("10.20.1.66"), Mac::BROADCAST);
        let twin = |last: u8| ip(&format!("fe80::ff:fe00:{last}"));
        let asked = |last| guard.admit(twin(last), vantage().id, Class::Gentle).map(|_| ());
        assert_eq!(asked(1), Err(Refusal::ExcludedMac));
        assert_eq!(asked(2), Err(Refusal::FragileMac));
        assert_eq!(asked(3), Ok(()));
        assert_eq!([1, 2, 3, 4].map(|m| guard.is_excluded_mac(mac(m))), [true, false, false, true]);
        assert_eq!([1, 2, 3, 4].map(|m| guard.is_fragile_mac(mac(m))), [false, true, false, false]);
        assert!(!guard.is_excluded_mac(Mac::BROADCAST));
    }
}
