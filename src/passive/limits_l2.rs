//! How much of what the link layer tells is kept, and what takes more than one frame to notice.
//!
//! **Bounds.** Facts whose number the stations of a link do not bound are withheld past a limit: so many of one kind for each
//! of those that answer for them (a MAC, the two ends of a tunnel), so many of all together. Known ones go on being counted. When
//! a table is full its first entries stay: what was there first is what the link is like, and a flood comes later.
//!
//! **Changes.** Roots of a tree that change, routers that change their parameters, addresses that flip between
//! stations, and one that answers every detection of duplicates (the audits of NDPMon). Each is an oddity of the MAC behind it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use crate::net::Mac;
use crate::observe::{Fact, RouterAdvertisement, Source, VantageId};

/// Of one kind for each that answers for them: VLANs of a trunk, associations of two ends, addresses that one asks for. A guess.
const MOST_OF_ONE: usize = 1024;
/// Identifiers between one pair of ends: associations are renewed every hour or so.
const MOST_OF_A_TUNNEL: usize = 64;
/// Of all kinds together.
const MOST_TOGETHER: usize = 65_536;
/// ARP requests and replies kept: what was asked matters less than who is there, which is a binding.
const MOST_ARP: usize = 16_384;
/// Senders and addresses in tunnels.
const MOST_INSIDE: usize = 8192;
/// Entries of each table of changes: a /16.
const MOST_CHANGES: usize = 65_536;
/// Detections of duplicates that wait for an answer.
const MOST_TENTATIVE: usize = 256;
/// So many different addresses that others tried, claimed by one station, are no coincidence. A guess.
const MANY_DEFENDED: usize = 3;

/// What is kept is a hash of each fact: two that share one (one in 2^64) are one fact too few.
#[derive(Debug, Default)]
pub(super) struct Limits {
    shown: HashMap<u64, HashSet<u64>>,
    together: usize,
    arp: usize,
    inside: usize,
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Limits {
    /// Whether a fact was shown before or may still be; `None` for those that are bounded elsewhere.
    pub(super) fn admit(
        &mut self,
        vantage: VantageId,
        source: Source,
        fact: &Fact,
    ) -> Option<bool> {
        let (group, most) = match fact {
            Fact::Sender { .. } => (hash((vantage, 0)), MOST_TOGETHER),
            Fact::SourceAddress { .. } => (hash((vantage, 1)), MOST_TOGETHER),
            Fact::Vlan { mac, .. } => (hash((vantage, 2, mac)), MOST_OF_ONE),
            Fact::Labels { mac, .. } => (hash((vantage, 3, mac)), MOST_OF_ONE),
            Fact::SpanningTree(tree) => (hash((vantage, 4, tree.mac)), MOST_OF_ONE),
            Fact::DeviceAnnouncement(told) => (hash((vantage, 5, told.mac)), MOST_OF_ONE),
            Fact::LinkAggregation(told) => (hash((vantage, 6, told.mac)), MOST_OF_ONE),
            Fact::Isis(told) => (hash((vantage, 7, told.mac)), MOST_OF_ONE),
            Fact::BgpOpen(told) => (hash((vantage, 8, told.mac)), MOST_OF_ONE),
            Fact::Redundancy(told) => (hash((vantage, 9, told.mac)), MOST_OF_ONE),
            Fact::Pppoe(told) => (hash((vantage, 10, told.mac)), MOST_OF_ONE),
            Fact::Tunnel(told) => {
                (hash((vantage, 11, told.kind, told.from, told.to)), MOST_OF_A_TUNNEL)
            }
            Fact::ArpExchange(told) => (hash((vantage, 12, told.mac)), MOST_OF_ONE),
            Fact::GroupMessage(told) => (hash((vantage, 13, told.mac)), MOST_OF_ONE),
            Fact::Redirect(told) => (hash((vantage, 14, told.mac)), MOST_OF_ONE),
            Fact::RouterFlag { mac, .. } => (hash((vantage, 16, mac)), MOST_OF_ONE),
            Fact::Encapsulated { inner, .. } => match &**inner {
                Fact::Sender { .. } | Fact::SourceAddress { .. } | Fact::Vlan { .. } => {
                    (hash((vantage, 15)), MOST_INSIDE)
                }
                _ => return None,
            },
            _ => return None,
        };
        let (all, limit) = match fact {
            Fact::ArpExchange(_) => (&mut self.arp, MOST_ARP),
            Fact::Encapsulated { .. } => (&mut self.inside, MOST_INSIDE),
            _ => (&mut self.together, MOST_TOGETHER),
        };
        let key = hash((source, fact));
        if let Some(shown) = self.shown.get(&group) {
            if shown.contains(&key) {
                return Some(true);
            }
            if shown.len() >= most {
                return Some(false);
            }
        }
        if *all >= limit {
            return Some(false);
        }
        *all = all.saturating_add(1);
        self.shown.entry(group).or_default().insert(key);
        Some(true)
    }
}

/// What an oddity is about, and its words.
pub(super) type Noticed = (Source, Mac, &'static str, &'static str);

#[derive(Debug, Default)]
pub(super) struct Changes {
    /// The tree's root by its VLAN or instance.
    roots: HashMap<(VantageId, u16), Mac>,
    /// What a router said last, without its running lifetimes.
    routers: HashMap<(VantageId, IpAddr, Mac), u64>,
    /// Who has an address, and who had it before.
    holders: HashMap<(VantageId, IpAddr), (Mac, Option<Mac>)>,
    /// Addresses that are tried, with who tries them.
    tentative: VecDeque<(VantageId, IpAddr, Mac)>,
    defended: HashMap<(VantageId, Mac), HashSet<IpAddr>>,
}

impl Changes {
    /// Makes room: a table that is more than half full is emptied, and what it knew is learnt anew.
    pub(super) fn begin_anew(&mut self) {
        fn room<K, V>(table: &mut HashMap<K, V>) {
            if table.len() > MOST_CHANGES / 2 {
                *table = HashMap::new();
            }
        }
        room(&mut self.roots);
        room(&mut self.routers);
        room(&mut self.holders);
        room(&mut self.defended);
    }

    /// Takes a fact of this link, and says what it shows together with those before it.
    pub(super) fn notice(
        &mut self,
        vantage: VantageId,
        source: Source,
        fact: &Fact,
    ) -> Option<Noticed> {
        match fact {
            Fact::SpanningTree(tree) => {
                let key = (vantage, tree.vlan.unwrap_or(tree.root.extension));
                let before = put(&mut self.roots, key, tree.root.mac)?;
                (before != tree.root.mac).then_some((source, tree.mac, "stp", "root that changed"))
            }
            Fact::RouterAdvertisement(ra) => {
                let said = hash(steady(ra));
                let before = put(&mut self.routers, (vantage, ra.router, ra.mac), said)?;
                let what = "router advertisement with changed parameters";
                (before != said).then_some((Source::Ndp, ra.mac, "ndp", what))
            }
            Fact::Tentative { ip, mac } => {
                if self.tentative.len() >= MOST_TENTATIVE {
                    self.tentative.pop_front();
                }
                self.tentative.push_back((vantage, *ip, *mac));
                None
            }
            Fact::Binding { ip, mac } if matches!(source, Source::Arp | Source::Ndp) => {
                self.bound(vantage, source, *ip, *mac)
            }
            _ => None,
        }
    }

    fn bound(
        &mut self,
        vantage: VantageId,
        source: Source,
        ip: IpAddr,
        mac: Mac,
    ) -> Option<Noticed> {
        // Of IPv6 only: IPv4's probes leave no fact of this kind.
        if source == Source::Ndp
            && self
                .tentative
                .iter()
                .any(|&(at, tried, by)| (at, tried) == (vantage, ip) && by != mac)
        {
            self.tentative.retain(|&(at, tried, _)| (at, tried) != (vantage, ip));
            if self.defended.len() < MOST_CHANGES || self.defended.contains_key(&(vantage, mac)) {
                let defended = self.defended.entry((vantage, mac)).or_default();
                if defended.len() < MANY_DEFENDED {
                    defended.insert(ip);
                }
                if defended.len() >= MANY_DEFENDED {
                    let what = "claims whatever address others try";
                    return Some((source, mac, "ndp", what));
                }
            }
        }
        let full = self.holders.len() >= MOST_CHANGES;
        match self.holders.get_mut(&(vantage, ip)) {
            Some((holder, _)) if *holder == mac => None,
            Some((holder, before)) => {
                let returned = *before == Some(mac);
                (*holder, *before) = (mac, Some(*holder));
                let protocol = if source == Source::Arp { "arp" } else { "ndp" };
                let what = if returned {
                    "address that flips between stations"
                } else {
                    "address that moved"
                };
                Some((source, mac, protocol, what))
            }
            None => {
                if !full {
                    self.holders.insert((vantage, ip), (mac, None));
                }
                None
            }
        }
    }
}

/// Puts a value where there is room, and gives what was there.
fn put<K: Eq + Hash, V: Copy>(table: &mut HashMap<K, V>, key: K, value: V) -> Option<V> {
    if table.len() >= MOST_CHANGES && !table.contains_key(&key) {
        return None;
    }
    table.insert(key, value)
}

/// What does not run down by itself.
fn steady(ra: &RouterAdvertisement) -> impl Hash {
    let prefixes: Vec<_> =
        ra.prefixes.iter().map(|known| (known.prefix, known.on_link, known.autonomous)).collect();
    let flags = (ra.managed, ra.other, ra.preference, ra.hop_limit);
    let timers = (ra.lifetime == 0, ra.mtu, ra.reachable_time, ra.retransmission);
    let dns = (ra.rdnss.clone(), ra.dnssl.clone());
    let others = (ra.pref64.clone(), ra.captive_portal.clone());
    let routes: Vec<_> = ra.routes.iter().map(|route| (route.prefix, route.preference)).collect();
    (flags, timers, prefixes, routes, dns, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: VantageId = VantageId(0);

    fn mac(last: u8) -> Mac {
        Mac([2, 0, 0, 0, 0, last])
    }

    #[test]
    fn a_tunnel_shows_so_many_identifiers_and_no_more() {
        let mut limits = Limits::default();
        let vlan = |vlan| Fact::Vlan { mac: mac(1), vlan, inner: None };
        for number in 0..1024 {
            assert_eq!(limits.admit(LINK, Source::Traffic, &vlan(number)), Some(true));
        }
        assert_eq!(limits.admit(LINK, Source::Traffic, &vlan(1024)), Some(false));
        assert_eq!(limits.admit(LINK, Source::Traffic, &vlan(7)), Some(true));
        let other = Fact::Vlan { mac: mac(2), vlan: 7, inner: None };
        assert_eq!(limits.admit(LINK, Source::Traffic, &other), Some(true));
        let binding = Fact::Binding { ip: [10, 0, 0, 1].into(), mac: mac(1) };
        assert_eq!(limits.admit(LINK, Source::Arp, &binding), None);
    }

    #[test]
    fn an_address_that_goes_back_and_forth_is_noticed() {
        let mut changes = Changes::default();
        let mut bound = |last| {
            let fact = Fact::Binding { ip: [10, 0, 0, 1].into(), mac: mac(last) };
            changes.notice(LINK, Source::Arp, &fact).map(|(.., what)| what)
        };
        assert_eq!((bound(1), bound(1)), (None, None));
        assert_eq!(bound(2), Some("address that moved"));
        assert_eq!(bound(1), Some("address that flips between stations"));
    }

    #[test]
    fn one_that_claims_whatever_is_tried_is_noticed() {
        let mut changes = Changes::default();
        let noticed: Vec<_> = (1..=3u16)
            .filter_map(|number| {
                let ip = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, number]);
                changes.notice(LINK, Source::Ndp, &Fact::Tentative { ip, mac: mac(1) });
                changes.notice(LINK, Source::Ndp, &Fact::Binding { ip, mac: mac(9) })
            })
            .collect();
        assert_eq!(noticed, [(Source::Ndp, mac(9), "ndp", "claims whatever address others try")]);
    }
}
