//! Which IPv6 addresses are asked, since a /64 cannot be swept; and which addresses are ghosts.
//!
//! A source is a habit by which addresses come to be: a number somebody chose, a MAC, an IPv4 address, a name. One file a
//! source; each proposes a bounded list for a prefix, likeliest first. An address that several propose is the first
//! one's in the order of [`ALL`], so what is asked and what answered add up, and a source that finds nothing the others do
//! not is seen to. Within the bound of the prefix what somebody said exists comes first; the guesses then take turns, so
//! that no long list starves a short one.

mod dns;
mod eui64;
mod ghosts;
mod heard;
mod hops;
mod ipv4;
mod low_byte;
mod port;
mod registry;
mod seeds;
mod sequential;
mod snmp;
mod solicited_node;
mod structure;
mod subnet_router;
mod vendor;
mod whole;
mod words;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

pub use ghosts::{GHOSTS, ghosts};
pub use seeds::{Row, Seeds};

use crate::net::{AddressSet, Mac, Prefix};
use crate::observe::Proposed;

/// Every source, the likeliest first.
pub const ALL: &[&dyn CandidateSource] = &[
    &registry::Registered,
    &heard::Heard,
    &dns::Named,
    &snmp::Told,
    &hops::Hops,
    &whole::Whole,
    &subnet_router::SubnetRouter,
    &low_byte::LowByte,
    &eui64::Eui64,
    &structure::Structure,
    &sequential::Sequential,
    &ipv4::Ipv4,
    &solicited_node::SolicitedNode,
    &port::PortLike,
    &words::Wordy,
    &vendor::Vendor,
];

/// The most candidates of one prefix in a whole sweep.
pub const MOST: usize = 4096;
/// Of these in the first asking: the rest is kept for what the first answers teach.
pub const MOST_AT_FIRST: usize = 3072;
/// And in each asking after it.
pub const MOST_LEARNT: usize = 1024;
/// How often a prefix behind a router is asked again from what answered.
pub const LEARNING_ROUNDS: usize = 2;
/// Candidates behind routers in a second. A router resolves every address that it does not know, for three seconds (RFC 4861
/// §10), in a table that holds 1,024 on Linux (`gc_thresh3`, over all interfaces); beyond it answers nobody new (RFC 6583).
/// 256 keep three quarters of such a table busy. Measured in the lab `six`: at 3,000 a second three of thirteen hosts were lost.
pub const A_SECOND: u32 = 256;
/// What guesses keep of a bound, however many addresses somebody named: a quarter.
const FOR_GUESSES: usize = 4;
/// Subnets of a prefix shorter than a /64 that are looked into: those something is known of, and the lowest. A guess.
const MOST_SUBNETS: usize = 64;
const LOWEST_SUBNETS: usize = 16;
/// Proposals that are looked at for one that lies in the prefix and may be asked.
const LOOKED_AT: usize = 64;

/// What an address of a source rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Somebody said that it exists.
    Named,
    /// A habit says that it may.
    Guessed,
}

/// A habit by which addresses come to be.
pub trait CandidateSource: Sync {
    /// The word in plan, result and reports.
    fn name(&self) -> &'static str;

    fn standing(&self) -> Standing {
        Standing::Guessed
    }

    /// The most of one prefix in one asking.
    fn most(&self) -> usize;

    /// The addresses, likeliest first. Those that lie outside or may not be asked are left out by who asks.
    fn propose<'a>(&self, place: &'a Place<'a>) -> Box<dyn Iterator<Item = u128> + 'a>;
}

/// A prefix with what is known of it.
pub struct Place<'a> {
    pub prefix: Prefix,
    pub on_link: OnLink,
    pub seeds: &'a Seeds,
    /// The first numbers of the /64s that are looked into; of a longer prefix its own.
    pub subnets: Vec<u128>,
    /// Addresses of the prefix that somebody named or that answered, ascending.
    pub seen: Vec<u128>,
    /// Stations that have, or may have, an address here.
    pub macs: Vec<Mac>,
    /// IPv4 addresses of the same link or unit, then all others.
    pub ipv4: Vec<std::net::Ipv4Addr>,
}

impl<'a> Place<'a> {
    /// `on_link`: whether the stations that were heard on the link are this prefix's.
    pub fn new(prefix: Prefix, on_link: OnLink, seeds: &'a Seeds) -> Place<'a> {
        let seen: Vec<u128> = seeds.within(prefix).into_iter().collect();
        let mut subnets: BTreeSet<u128> = BTreeSet::new();
        if prefix.length() < 64 {
            let lowest = prefix.parts(64).take(LOWEST_SUBNETS).map(Prefix::first_number);
            let known = seen.iter().map(|number| number >> 64 << 64);
            for subnet in known.chain(lowest) {
                if subnets.len() < MOST_SUBNETS {
                    subnets.insert(subnet);
                }
            }
        } else {
            subnets.insert(prefix.first_number());
        }
        let macs = seeds.macs_of(prefix, on_link, &seen);
        let ipv4 = seeds.ipv4_of(prefix, on_link);
        Place { prefix, on_link, seeds, subnets: subnets.into_iter().collect(), seen, macs, ipv4 }
    }

    /// An interface identifier in every subnet, before the next one.
    pub fn everywhere<I>(&'a self, ids: I) -> Box<dyn Iterator<Item = u128> + 'a>
    where
        I: Iterator<Item = u64> + 'a,
    {
        let subnets = &self.subnets;
        Box::new(ids.flat_map(move |id| subnets.iter().map(move |subnet| subnet | u128::from(id))))
    }
}

/// Whether a prefix lies on the vantage's own link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLink {
    Here,
    Beyond,
}

/// Candidates of one prefix, by the source that proposed them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Candidates {
    pub by_source: Vec<(&'static str, Vec<IpAddr>)>,
}

impl Candidates {
    pub fn count(&self) -> usize {
        self.by_source.iter().map(|(_, addresses)| addresses.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.by_source.is_empty()
    }

    /// In the order of the sources.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.by_source.iter().flat_map(|(_, addresses)| addresses.iter().copied())
    }
}

/// The candidates of a prefix that lie in `allowed` and were not `asked` before, at most so many.
pub fn of(
    prefix: Prefix,
    on_link: OnLink,
    seeds: &Seeds,
    allowed: &AddressSet,
    asked: &BTreeSet<IpAddr>,
    most: usize,
) -> Candidates {
    let place = Place::new(prefix, on_link, seeds);
    let mut taken: BTreeSet<u128> = BTreeSet::new();
    let lists: Vec<Vec<IpAddr>> = ALL
        .iter()
        .map(|source| {
            // What was asked before counts against the bound of the source: a second asking holds what is new, and
            // is not the next page of the same list.
            source
                .propose(&place)
                .take(source.most().saturating_mul(LOOKED_AT))
                .map(|number| (number, IpAddr::V6(Ipv6Addr::from_bits(number))))
                .filter(|(number, address)| {
                    prefix.contains(*address)
                        && allowed.contains(*address)
                        && may_propose(*source, prefix, *number)
                        && taken.insert(*number)
                })
                .map(|(_, address)| address)
                .take(source.most())
                .filter(|address| !asked.contains(address))
                .collect()
        })
        .collect();
    let mut counts = vec![0; ALL.len()];
    share(&lists, Standing::Named, most - most / FOR_GUESSES, &mut counts);
    let named: usize = counts.iter().sum();
    share(&lists, Standing::Guessed, most.saturating_sub(named), &mut counts);
    let by_source = ALL
        .iter()
        .zip(lists)
        .zip(counts)
        .map(|((source, mut list), count)| {
            list.truncate(count);
            (source.name(), list)
        })
        .filter(|(_, list)| !list.is_empty())
        .collect();
    Candidates { by_source }
}

/// Gives each list of a standing one more in turn, until the bound is reached or all have everything.
fn share(lists: &[Vec<IpAddr>], standing: Standing, most: usize, counts: &mut [usize]) {
    let mut left = most;
    loop {
        let before = left;
        for ((source, list), count) in ALL.iter().zip(lists).zip(counts.iter_mut()) {
            if left > 0 && source.standing() == standing && *count < list.len() {
                *count += 1;
                left -= 1;
            }
        }
        if left == before {
            return;
        }
    }
}

/// Zero is the routers' anycast address where a prefix is no longer than a /64 (RFC 4291 §2.6.1): resolved on a link it would
/// pass for one router's own. No guess leads to it but the one that is meant for it; a router joins its group, too.
fn may_propose(source: &dyn CandidateSource, prefix: Prefix, number: u128) -> bool {
    prefix.length() > 64
        || interface_id(number) != 0
        || source.standing() == Standing::Named
        || source.name() == Proposed::SUBNET_ROUTER
}

/// The interface identifier: the low 64 bits. RFC 7421.
fn interface_id(number: u128) -> u64 {
    number as u64
}

/// Whether an interface identifier was made from a MAC. RFC 4291 appendix A.
fn is_eui64(id: u64) -> bool {
    id >> 24 & 0xffff == 0xfffe
}

/// Whether an interface identifier looks drawn at random (RFC 7217, RFC 8981): nothing follows from it for any other
/// address. Three of its four words above 0xfff, which fifteen of sixteen random words are; so are hardly any that
/// somebody wrote. A guess.
fn looks_drawn(id: u64) -> bool {
    let words = [id >> 48, id >> 32, id >> 16, id].map(|word| word & 0xffff);
    words.iter().filter(|word| **word > 0xfff).count() >= 3
}

/// Whether other addresses follow from an interface identifier: somebody or something numbered it.
fn is_numbered(id: u64) -> bool {
    id != 0 && !is_eui64(id) && !looks_drawn(id)
}

/// The number whose hexadecimal spelling is this one's decimal spelling.
fn spelled(mut number: u64) -> u64 {
    let (mut spelled, mut shift) = (0, 0);
    while number > 0 && shift < u64::BITS {
        spelled |= (number % 10) << shift;
        number /= 10;
        shift += 4;
    }
    spelled
}

#[cfg(test)]
mod tests;
