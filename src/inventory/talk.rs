//! Who talks: by whom packets went to public addresses and came from there, and who sends most in each segment.
//!
//! Counts are of frames that were heard, from the vantage that heard them: on a port that is no mirror a station's own
//! conversations are missing. Remote addresses of one next hop are kept up to the listener's limit, so their number is a least.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use super::{Segment, in_time};
use crate::net::special::{self, Purpose};
use crate::net::{Mac, PrefixMap};
use crate::observe::{Direction, Fact, Log, ObservationId, VantageId};

/// Talkers that a segment lists.
const MOST_TALKERS: usize = 16;

/// A neighbour by which packets went to public addresses, or came from there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextHop {
    pub vantage: VantageId,
    pub mac: Mac,
    /// Its place among the devices.
    pub device: Option<usize>,
    /// Public addresses on the other side; at least so many.
    pub remotes: usize,
    /// Questions that went out, questions that came in, and answers that came back.
    pub outbound: u64,
    pub inbound: u64,
    pub answered: u64,
    /// `tcp`, `udp`, `icmp`, `dns`, `ntp`, `connectivity-check`.
    pub of: BTreeSet<String>,
    pub observations: Vec<ObservationId>,
}

/// Who sent how many packets.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Talker {
    pub packets: u64,
    pub ip: IpAddr,
    pub mac: Mac,
}

/// By vantage and MAC.
pub(super) fn next_hops(log: &Log, stations: &BTreeMap<Mac, usize>) -> Vec<NextHop> {
    let mut of: BTreeMap<(VantageId, Mac), (NextHop, BTreeSet<IpAddr>)> = BTreeMap::new();
    for (id, observation) in log.iter() {
        let Fact::Passage(passage) = &observation.fact else { continue };
        if !is_public(passage.remote) {
            continue;
        }
        let (vantage, mac) = (observation.vantage, passage.mac);
        let (hop, remotes) = of.entry((vantage, mac)).or_insert_with(|| {
            let device = stations.get(&mac).copied();
            let (of, observations) = (BTreeSet::new(), Vec::new());
            let (remotes, outbound, inbound, answered) = (0, 0, 0, 0);
            let hop = NextHop {
                vantage,
                mac,
                device,
                remotes,
                outbound,
                inbound,
                answered,
                of,
                observations,
            };
            (hop, BTreeSet::new())
        });
        let count = match passage.direction {
            Direction::Outbound => &mut hop.outbound,
            Direction::Inbound => &mut hop.inbound,
            Direction::Answered => &mut hop.answered,
        };
        *count = count.saturating_add(observation.count);
        hop.of.insert(passage.what.clone());
        hop.observations.push(id);
        remotes.insert(passage.remote);
    }
    let finished = of.into_values().map(|(hop, remotes)| NextHop {
        remotes: remotes.len(),
        observations: in_time(log, hop.observations.iter().copied()),
        ..hop
    });
    finished.collect()
}

/// For each segment, in their order: who sends most of those whose tightest segment it is.
pub(super) fn talkers(log: &Log, segments: &[Segment], own: &BTreeSet<Mac>) -> Vec<Vec<Talker>> {
    let mut places: PrefixMap<usize> = PrefixMap::new();
    for (place, segment) in segments.iter().enumerate() {
        places.insert(segment.prefix, place);
    }
    let mut sent: HashMap<(usize, IpAddr, Mac), u64> = HashMap::new();
    for (_, observation) in log.iter() {
        if let Fact::Traffic { ip, mac, .. } = observation.fact
            && !own.contains(&mac)
            && let Some((_, &place)) = places.longest(ip)
        {
            let packets = sent.entry((place, ip, mac)).or_default();
            *packets = packets.saturating_add(observation.count);
        }
    }
    let mut talkers = vec![Vec::new(); segments.len()];
    for ((place, ip, mac), packets) in sent {
        if let Some(of) = talkers.get_mut(place) {
            of.push(Talker { packets, ip, mac });
        }
    }
    for of in &mut talkers {
        of.sort_unstable_by(|a, b| {
            b.packets.cmp(&a.packets).then(a.ip.cmp(&b.ip)).then(a.mac.cmp(&b.mac))
        });
        of.truncate(MOST_TALKERS);
    }
    talkers
}

fn is_public(address: IpAddr) -> bool {
    special::is_host(address)
        && !matches!(
            special::purpose(address),
            Some(
                Purpose::Private | Purpose::SharedSpace | Purpose::LinkLocal | Purpose::UniqueLocal
            )
        )
}
