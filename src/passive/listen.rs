//! The listener: what the dissectors take from frames, folded into a log, with bounds.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use jiff::Timestamp;

use super::clocks::Clocks;
use super::dissect::{Reading, dissect_with_streams};
use super::fragments::Fragments;
use super::heard;
use super::limits_l2::{Changes, Limits};
use super::passages::Passages;
use super::reassembly::{Packet, Reassembly};
use super::streams::Streams;
use crate::net::Mac;
use crate::net::special::{self, Purpose};
use crate::observe::{
    Fact, FrameNumber, Log, PrefixInformation, RouteInformation, RouterAdvertisement, Source,
    VantageId,
};
use crate::wire::LinkType;

/// What a listener has heard so far, beside the facts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard {
    pub frames: u64,
    /// Frames of which nothing could be read, not even the first header.
    pub unreadable: u64,
    /// Frames of link types that no reader knows, by their type.
    pub skipped: BTreeMap<LinkType, u64>,
    /// Facts that were not kept, because their station had shown enough of their kind.
    pub withheld: u64,
}

/// Folds frames into a [`Log`]. It holds nothing that could send.
///
/// What it remembers, and what it makes the log remember, is bounded. Facts whose number the stations
/// of a link do not bound (addresses behind a router, oddities, what tunnels carry) are withheld past
/// a limit; so is every new fact once all together weigh too much. Known facts go on being counted.
#[derive(Debug, Default)]
pub struct Listener {
    heard: Heard,
    traffic: Limit<(IpAddr, u8)>,
    oddities: Limit<(Source, String, String)>,
    encapsulated: HashSet<(VantageId, Source, Fact)>,
    advertisements: HashMap<(VantageId, RouterAdvertisement), RouterAdvertisement>,
    passages: Passages,
    names: heard::Heard,
    limits: Limits,
    changes: Changes,
    streams: Streams,
    reassembly: Reassembly,
    spoken: Limit<u64>,
    clocks: Clocks,
    fragments: Fragments,
    octets: usize,
}

/// Source addresses with a hop limit kept for one MAC, of each range: a router shows the internet,
/// and this many show it well. A guess.
const MOST_TRAFFIC: usize = 4096;
/// Different oddities kept for one MAC: dissectors know fewer.
const MOST_ODDITIES: usize = 128;
/// Of either kind, over all MACs: a /16 with seven each.
const MOST_TOGETHER: usize = 500_000;
/// Facts of the heads of streams kept for one MAC, of each range: who talks to whom by which name. A guess, and more than a
/// county's office shows in a week. Past it the new are withheld and the known go on being counted.
const MOST_SPOKEN: usize = 16_384;
/// Facts read inside tunnels, whose senders nobody on this link answers for.
const MOST_ENCAPSULATED: usize = 16_384;
/// Routers whose advertisements are compared with their first.
const MOST_ADVERTISEMENTS: usize = 4096;
/// What new facts may weigh together, by [`weight`]: a million bindings.
const MOST_OCTETS: usize = 512 << 20;

impl Listener {
    pub fn new() -> Listener {
        Listener::default()
    }

    pub fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Goes on with an empty log. Every limit counts from nothing again, so a listening of months withholds no more than one of an
    /// interval; what tells a change from a repetition stays, as far as there is room.
    pub fn begin_anew(&mut self) {
        let Listener {
            heard,
            mut advertisements,
            mut passages,
            mut changes,
            streams,
            mut clocks,
            fragments,
            reassembly,
            ..
        } = std::mem::take(self);
        if advertisements.len() > MOST_ADVERTISEMENTS / 2 {
            advertisements.clear();
        }
        passages.begin_anew();
        changes.begin_anew();
        clocks.begin_anew();
        *self = Listener {
            heard,
            advertisements,
            passages,
            changes,
            streams,
            clocks,
            fragments,
            reassembly,
            ..Listener::default()
        };
    }

    /// Reads one frame and folds its facts into the log.
    pub fn take(
        &mut self,
        log: &mut Log,
        vantage: VantageId,
        at: Timestamp,
        number: FrameNumber,
        link_type: LinkType,
        frame: &[u8],
    ) {
        self.read(log, vantage, at, &[number], link_type, frame);
        if let Some(whole) = self.fragments.take(vantage, number, link_type, frame) {
            self.read(log, vantage, at, &whole.frames, link_type, &whole.frame);
            self.heard.frames = self.heard.frames.saturating_sub(1);
        }
    }

    fn read(
        &mut self,
        log: &mut Log,
        vantage: VantageId,
        at: Timestamp,
        shown: &[FrameNumber],
        link_type: LinkType,
        frame: &[u8],
    ) {
        let Listener {
            heard,
            traffic,
            oddities,
            encapsulated,
            advertisements,
            passages,
            names,
            limits,
            changes,
            streams,
            reassembly,
            spoken,
            clocks,
            octets,
            fragments: _,
        } = self;
        heard.frames = heard.frames.saturating_add(1);
        let mut withheld = 0u64;
        let mut crossing = None;
        let is_full = *octets >= MOST_OCTETS;
        let mut keep = |log: &mut Log, source, fact: Fact| {
            if *octets >= MOST_OCTETS && !log.knows(vantage, source, &fact) {
                return false;
            }
            let weight = weight(&fact);
            if let Some((_, true)) = log.observe(at, vantage, source, fact, shown) {
                *octets = octets.saturating_add(weight);
            }
            true
        };
        let mut out = |source, fact| {
            if let Some((source, mac, protocol, what)) = changes.notice(vantage, source, &fact) {
                let by = (vantage, mac, Range::Inside);
                let oddity = (source, protocol.to_owned(), what.to_owned());
                if !oddities.admit(by, oddity, MOST_ODDITIES)
                    || !keep(log, source, oddity_of(mac, protocol, what))
                {
                    withheld = withheld.saturating_add(1);
                }
            }
            let fact = match fact {
                Fact::RouterAdvertisement(advertisement) => {
                    Fact::RouterAdvertisement(first_of(advertisements, vantage, advertisement))
                }
                fact => fact,
            };
            // Once the log is full nothing new is kept, and the tables of what was kept need not grow on either.
            if is_full && !log.knows(vantage, source, &fact) {
                withheld = withheld.saturating_add(1);
                return;
            }
            let kept = match &fact {
                Fact::Traffic { ip, mac, hop_limit } => {
                    traffic.admit((vantage, *mac, range(*ip)), (*ip, *hop_limit), MOST_TRAFFIC)
                }
                Fact::Oddity { mac, protocol, what } => oddities.admit(
                    (vantage, mac.unwrap_or(Mac::ZERO), Range::Inside),
                    (source, protocol.clone(), what.clone()),
                    MOST_ODDITIES,
                ),
                Fact::Encapsulated { .. } => {
                    limits.admit(vantage, source, &fact).unwrap_or_else(|| {
                        let key = (vantage, source, fact.clone());
                        encapsulated.contains(&key)
                            || (encapsulated.len() < MOST_ENCAPSULATED && encapsulated.insert(key))
                    })
                }
                Fact::Binding { ip, mac } => {
                    passages.bound(vantage, *ip, *mac);
                    true
                }
                fact => match heard::of(fact) {
                    Some(ip) => names.admit(vantage, sender(link_type, frame), ip, fact),
                    None => limits.admit(vantage, source, fact).unwrap_or(true),
                },
            };
            if !kept || !keep(log, source, fact) {
                withheld = withheld.saturating_add(1);
            }
        };
        // Most frames say nothing new of a stream, and a vector of nothing costs nothing.
        let mut said: Vec<(Mac, Fact)> = Vec::new();
        let second = u32::try_from(at.as_second()).unwrap_or(0);
        let mut whole = None;
        let reading = dissect_with_streams(
            link_type,
            frame,
            &mut out,
            &mut |seen| crossing = Some(seen),
            &mut |segment| {
                if segment.ip.fragment.is_some() {
                    whole = reassembly.take(vantage, second, shown, segment);
                }
                said.extend(clocks.take(vantage, at, segment).map(|fact| (segment.source, fact)));
                streams
                    .take(vantage, second, segment, &mut |fact| said.push((segment.source, fact)));
            },
        );
        for (mac, mut fact) in said {
            // Streams know no MACs: who answers names is told with the MAC of the segment that ended the answer.
            if let Fact::NameServer(server) = &mut fact {
                server.mac = mac;
            }
            if is_full && !log.knows(vantage, Source::Passive, &fact) {
                withheld = withheld.saturating_add(1);
                continue;
            }
            let is_admitted = match &fact {
                fact @ (Fact::NameServer(_)
                | Fact::NameClient(_)
                | Fact::NameQuery(_)
                | Fact::NameRecord(_)) => {
                    heard::of(fact).is_none_or(|ip| names.admit(vantage, mac, ip, fact))
                }
                Fact::Encapsulated { .. } => {
                    let key = (vantage, Source::Passive, fact.clone());
                    encapsulated.contains(&key)
                        || (encapsulated.len() < MOST_ENCAPSULATED && encapsulated.insert(key))
                }
                fact => {
                    let by = (vantage, mac, speaker(fact).map_or(Range::Outside, range));
                    spoken.admit(by, hash(fact), MOST_SPOKEN)
                }
            };
            if !is_admitted || !keep(log, Source::Passive, fact) {
                withheld = withheld.saturating_add(1);
            }
        }
        if let Some(crossing) = crossing {
            passages.take(vantage, &crossing, &mut |passage| {
                if !passage.is_some_and(|known| keep(log, Source::Passive, Fact::Passage(known))) {
                    withheld = withheld.saturating_add(1);
                }
            });
        }
        heard.withheld = heard.withheld.saturating_add(withheld);
        match reading {
            Reading::Read => {}
            Reading::Unreadable => heard.unreadable = heard.unreadable.saturating_add(1),
            Reading::Skipped => {
                let count = heard.skipped.entry(link_type).or_default();
                *count = count.saturating_add(1);
            }
        }
        // Put together from fragments it is read once more, and is no fragment now.
        if let Some(Packet { link_type, frame, frames }) = whole {
            self.read(log, vantage, at, &frames, link_type, &frame);
            self.heard.frames = self.heard.frames.saturating_sub(1);
        }
    }
}

/// The Ethernet source of a frame.
fn sender(link_type: LinkType, frame: &[u8]) -> Mac {
    match frame {
        [_, _, _, _, _, _, a, b, c, d, e, f, ..] if link_type == LinkType::ETHERNET => {
            Mac([*a, *b, *c, *d, *e, *f])
        }
        _ => Mac::ZERO,
    }
}

/// Addresses of private use and all others are counted apart, so that the internet behind a router
/// does not crowd out what is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Range {
    Inside,
    Outside,
}

pub(super) fn range(address: IpAddr) -> Range {
    match special::purpose(address) {
        Some(
            Purpose::Private | Purpose::SharedSpace | Purpose::LinkLocal | Purpose::UniqueLocal,
        ) => Range::Inside,
        _ => Range::Outside,
    }
}

fn oddity_of(mac: Mac, protocol: &str, what: &str) -> Fact {
    let mac = mac.is_station().then_some(mac);
    Fact::Oddity { mac, protocol: protocol.to_owned(), what: what.to_owned() }
}

/// Whose words the head of a stream is.
fn speaker(fact: &Fact) -> Option<IpAddr> {
    Some(match fact {
        Fact::TcpServer { ip, .. } | Fact::SeveralClocks { ip, .. } => *ip,
        Fact::TcpSyn(syn) => syn.ip,
        Fact::TlsClient(client) => client.client,
        Fact::TlsServer(server) => server.ip,
        Fact::TlsCertificates(shown) => shown.ip,
        Fact::HttpHost(host) => host.client,
        Fact::UserAgent(agent) => agent.client,
        Fact::Spoken(spoken) => spoken.ip,
        Fact::Smb(smb) => smb.ip,
        Fact::NtlmServer(ntlm) => ntlm.ip,
        Fact::NtlmClient(ntlm) => ntlm.ip,
        _ => return None,
    })
}

/// Stands for a fact in a limit. Two that meet by chance are admitted as one, which harms nobody.
fn hash(fact: &Fact) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = siphasher::sip::SipHasher13::new();
    fact.hash(&mut hasher);
    hasher.finish()
}

/// About what a fact costs in a log, which keeps it twice: its own size, and what it points to.
fn weight(fact: &Fact) -> usize {
    let behind = match fact {
        Fact::RouterAdvertisement(ra) => {
            64 * (ra.prefixes.len() + ra.routes.len() + ra.rdnss.len()) + 600 * ra.dnssl.len()
        }
        Fact::RoutingSpeaker(speaker) => {
            32 * (speaker.advertised.len() + speaker.neighbours.len())
                + 32 * speaker.virtual_addresses.len()
        }
        Fact::DhcpServer(server) => {
            32 * (server.routers.len() + server.dns.len() + server.delegated.len()) + 600
        }
        Fact::DhcpClient(client) => 2 * (client.parameters.len() + client.options.len()) + 1500,
        Fact::Lldp(_) | Fact::DeviceAnnouncement(_) => 1500,
        Fact::Isis(told) => {
            32 * (told.prefixes.len() + told.neighbours.len() + told.addresses.len())
        }
        Fact::Name { addresses, .. } => 32 * addresses.len() + 256,
        Fact::Encapsulated { inner, .. } => weight(inner),
        Fact::TcpSyn(syn) => 32 + syn.signature.len(),
        Fact::TlsClient(client) => 256 + 48 * client.alpn.len() + 2 * client.versions.len(),
        Fact::TlsCertificates(shown) => {
            shown.chain.iter().map(|seen| 1024 + 64 * seen.names.len()).sum()
        }
        Fact::HttpHost(_) | Fact::Spoken(_) | Fact::Smb(_) | Fact::UserAgent(_) => 256,
        Fact::NtlmServer(_) | Fact::NtlmClient(_) => 512,
        fact => heard::weight(fact),
    };
    2 * (std::mem::size_of::<Fact>() + behind)
}

/// How many different things of one kind each MAC may show.
#[derive(Debug)]
struct Limit<T> {
    shown: HashMap<(VantageId, Mac, Range), HashSet<T>>,
    together: usize,
}

impl<T> Default for Limit<T> {
    fn default() -> Self {
        Limit { shown: HashMap::new(), together: 0 }
    }
}

impl<T: std::hash::Hash + Eq> Limit<T> {
    /// Whether the thing was shown before or may still be.
    fn admit(&mut self, by: (VantageId, Mac, Range), thing: T, most: usize) -> bool {
        let full = self.together >= MOST_TOGETHER;
        if full && !self.shown.contains_key(&by) {
            return false;
        }
        let shown = self.shown.entry(by).or_default();
        if shown.contains(&thing) {
            return true;
        }
        if full || shown.len() >= most {
            return false;
        }
        self.together = self.together.saturating_add(1);
        shown.insert(thing)
    }
}

/// The first advertisement seen that differs from this one in running lifetimes only.
///
/// Some routers count the lifetimes of their prefixes and routes down from one advertisement to
/// the next (RFC 4861 §6.2.1 allows it; delegated prefixes make them do it). Each would be a fact
/// of its own. Zero (withdrawn) and all ones (for ever) never run.
fn first_of(
    known: &mut HashMap<(VantageId, RouterAdvertisement), RouterAdvertisement>,
    vantage: VantageId,
    advertisement: RouterAdvertisement,
) -> RouterAdvertisement {
    let shape = (vantage, without_lifetimes(&advertisement));
    if let Some(first) = known.get(&shape) {
        return first.clone();
    }
    if known.len() < MOST_ADVERTISEMENTS {
        known.insert(shape, advertisement.clone());
    }
    advertisement
}

fn without_lifetimes(advertisement: &RouterAdvertisement) -> RouterAdvertisement {
    let still = |seconds: u32| if matches!(seconds, 0 | u32::MAX) { seconds } else { 1 };
    RouterAdvertisement {
        prefixes: (advertisement.prefixes.iter())
            .map(|prefix| PrefixInformation {
                valid_lifetime: still(prefix.valid_lifetime),
                preferred_lifetime: still(prefix.preferred_lifetime),
                ..prefix.clone()
            })
            .collect(),
        routes: (advertisement.routes.iter())
            .map(|route| RouteInformation { lifetime: still(route.lifetime), ..route.clone() })
            .collect(),
        ..advertisement.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::Prefix;
    use crate::observe::{Direction, Passage};
    use crate::wire::build;

    fn advertisement(valid_lifetime: u32) -> RouterAdvertisement {
        RouterAdvertisement {
            router: "fe80::1".parse().unwrap(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            lifetime: 1800,
            managed: false,
            other: false,
            hop_limit: 64,
            mtu: None,
            preference: 0,
            prefixes: vec![PrefixInformation {
                prefix: "fd00:1::/64".parse::<Prefix>().unwrap(),
                on_link: true,
                autonomous: true,
                valid_lifetime,
                preferred_lifetime: 600,
            }],
            routes: Vec::new(),
            rdnss: Vec::new(),
            dnssl: Vec::new(),
            reachable_time: 0,
            retransmission: 0,
            pref64: Vec::new(),
            captive_portal: None,
        }
    }

    #[test]
    fn lifetimes_that_run_down_make_no_new_fact() {
        let mut known = HashMap::new();
        let mut first = |seconds| first_of(&mut known, VantageId(0), advertisement(seconds));
        assert_eq!(first(7200), advertisement(7200));
        assert_eq!(first(7190), advertisement(7200));
        assert_eq!(first(0), advertisement(0));
        assert_eq!(first(u32::MAX), advertisement(u32::MAX));
    }

    #[test]
    fn a_mac_shows_so_much_and_no_more() {
        let mut limit = Limit::default();
        let by = |last| (VantageId(0), Mac([2, 0, 0, 0, 0, last]), Range::Inside);
        assert!(limit.admit(by(1), 1, 2) && limit.admit(by(1), 2, 2));
        assert!(!limit.admit(by(1), 3, 2));
        assert!(limit.admit(by(1), 2, 2) && limit.admit(by(2), 3, 2));
    }

    #[test]
    fn past_the_limit_known_facts_are_counted_and_new_ones_withheld() {
        let (mut listener, mut log) = (Listener::new(), Log::default());
        let macs = build::Macs { source: Mac([2, 0, 0, 0, 0, 5]), destination: Mac::BROADCAST };
        let mut take = |listener: &mut Listener, sender: u8| {
            let target = [10, 20, 1, 7].into();
            let frame = build::arp_request(macs, [10, 20, 1, sender].into(), target);
            let (at, number) = (Timestamp::UNIX_EPOCH, FrameNumber(1));
            listener.take(&mut log, VantageId(0), at, number, LinkType::ETHERNET, &frame);
            (log.len(), log.iter().map(|(_, observation)| observation.count).sum::<u64>())
        };
        // A binding, and what was asked.
        assert_eq!(take(&mut listener, 5), (2, 2));
        listener.octets = MOST_OCTETS;
        assert_eq!(take(&mut listener, 5), (2, 4));
        assert_eq!(take(&mut listener, 6), (2, 4));
        assert_eq!(listener.heard().withheld, 2);
    }

    #[test]
    fn frames_are_counted_by_what_became_of_them() {
        let (mut listener, mut log) = (Listener::new(), Log::default());
        let frame = build::arp_request(
            build::Macs { source: Mac([2, 0, 0, 0, 0, 5]), destination: Mac::BROADCAST },
            [10, 20, 1, 5].into(),
            [10, 20, 1, 7].into(),
        );
        let mut take = |number, link_type, frame: &[u8]| {
            let (at, number) = (Timestamp::UNIX_EPOCH, FrameNumber(number));
            listener.take(&mut log, VantageId(0), at, number, link_type, frame);
        };
        take(1, LinkType::ETHERNET, &frame);
        take(2, LinkType::ETHERNET, &frame);
        take(3, LinkType::ETHERNET, &frame[..9]);
        take(4, LinkType(231), &frame);
        let heard = listener.heard();
        assert_eq!((heard.frames, heard.unreadable), (4, 1));
        assert_eq!(heard.skipped, [(LinkType(231), 1)].into());
        assert_eq!(log.len(), 2);
        let is_binding = |fact: &Fact| matches!(fact, Fact::Binding { .. });
        let (_, binding) = log.iter().find(|(_, known)| is_binding(&known.fact)).unwrap();
        assert_eq!(binding.frames, [FrameNumber(1), FrameNumber(2)]);
    }

    #[test]
    fn a_change_is_noticed_also_across_two_logs() {
        let (mut listener, mut log) = (Listener::new(), Log::default());
        let hear = |listener: &mut Listener, log: &mut Log, last: u8| {
            let macs = build::Macs { source: Mac([2, 0, 0, 0, 0, last]), destination: Mac([2; 6]) };
            let frame = build::arp_request(macs, [10, 20, 1, 5].into(), [10, 20, 1, 1].into());
            let (at, number) = (Timestamp::UNIX_EPOCH, FrameNumber(1));
            listener.take(log, VantageId(0), at, number, LinkType::ETHERNET, &frame);
        };
        hear(&mut listener, &mut log, 5);
        let first = std::mem::take(&mut log);
        listener.begin_anew();
        hear(&mut listener, &mut log, 6);
        let moved = |log: &Log| {
            log.iter().any(|(_, known)| {
                matches!(&known.fact, Fact::Oddity { what, .. } if what == "address that moved")
            })
        };
        assert!(!moved(&first));
        assert!(moved(&log));
    }

    #[test]
    fn a_name_that_was_looked_up_outside_is_a_passage_by_the_next_hop() {
        let (mut listener, mut log) = (Listener::new(), Log::default());
        let (host, router) = (Mac([2, 0, 0, 0, 0, 5]), Mac([2, 0, 0, 0, 0, 1]));
        let out = build::Macs { source: host, destination: router };
        let back = build::Macs { source: router, destination: host };
        let (local, remote) = ([10, 20, 1, 5].into(), [203, 0, 113, 53].into());
        let datagram = |macs, from, to, hops, payload: &[u8]| {
            build::udp_datagram(macs, from, to, hops, payload).unwrap()
        };
        let frames = [
            build::arp_request(out, [10, 20, 1, 5].into(), [10, 20, 1, 1].into()),
            build::arp_request(back, [10, 20, 1, 1].into(), [10, 20, 1, 5].into()),
            datagram(out, (local, 4000), (remote, 53), 64, &[1, 2, 1, 0]),
            datagram(back, (remote, 53), (local, 4000), 52, &[1, 2, 0x81, 0x80]),
        ];
        for (number, frame) in (1..).zip(&frames) {
            let (at, number) = (Timestamp::UNIX_EPOCH, FrameNumber(number));
            listener.take(&mut log, VantageId(0), at, number, LinkType::ETHERNET, frame);
        }
        let passages: Vec<_> = log
            .iter()
            .filter_map(|(_, observation)| match &observation.fact {
                Fact::Passage(passage) => Some((passage.clone(), observation.frames.clone())),
                _ => None,
            })
            .collect();
        let passage =
            |direction| Passage { mac: router, local, remote, direction, what: "dns".to_owned() };
        let expected = [
            (passage(Direction::Outbound), vec![FrameNumber(3)]),
            (passage(Direction::Answered), vec![FrameNumber(4)]),
        ];
        assert_eq!(passages, expected);
    }
}
