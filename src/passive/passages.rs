//! From questions and answers to passages: who on the link led them off it.
//!
//! A frame from one station to another looks the same whether the address behind the station is its own or at the
//! other end of the world. Three things tell:
//!
//! - *A hop limit that was lowered* (not one that systems start with: 32, 64, 128, 255): the sender's frame was forwarded.
//! - *Bindings*: an address that ARP or ND showed on the link is on the link; and a station that is known under
//!   another address, and was never asked for this one, is its next hop. In private space that is too little: a
//!   router's own inner addresses are not asked for either (capture `zeek__pppoe`).
//! - *The pair*: the answer came from the station to which the question had gone.
//!
//! So a passage is `Outbound` by the next hop of a question, by the bindings; `Inbound` by the sender of a question with a
//! lowered hop limit; `Answered` by the pair and one of the two others. What is public and what is registered is not known
//! here: the audit decides it by the registry, and a passage into the extranet's own ranges is one too.
//!
//! Missed: what goes through a router that answers ARP for everything, for then every address is bound.
//!
//! A binding that is heard later takes nothing back: who folds the log leaves out remote addresses that
//! are bound in it.
//!
//! **Bounds.** Questions wait in two generations of [`MOST_FLOWS`] each: when the younger is full the elder is forgotten, so a flood
//! shortens the time for an answer and costs no memory. Each next hop shows [`MOST_REMOTES`] remote addresses for each direction,
//! protocol and range; more are told as withheld. Bindings and next hops that do not fit are not learnt, which loses passages and
//! invents none: without the binding of its next hop no address is off the link but by its hop limit.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::dissect::{Crossing, Side};
use super::listen::{Range, range};
use crate::net::Mac;
use crate::observe::{Direction, Passage, VantageId};
use crate::wire::Protocol;

/// Questions of one generation.
const MOST_FLOWS: usize = 4096;
/// Remote addresses of one next hop, direction, protocol and range.
const MOST_REMOTES: usize = 16;
/// Of all next hops together.
const MOST_TOGETHER: usize = 65_536;
/// A /16 of addresses.
const MOST_BINDINGS: usize = 65_536;

/// A question that waits: next hop, asker, asked, and what tells it from others.
type Flow = (VantageId, Mac, IpAddr, IpAddr, (Protocol, u16, u16), &'static str);
type Shown = (VantageId, Mac, Range, Direction, &'static str);

#[derive(Debug, Default)]
pub(super) struct Passages {
    bound: HashMap<(VantageId, IpAddr), Mac>,
    /// Stations with an address of this family, true for IPv4.
    stations: HashSet<(VantageId, Mac, bool)>,
    young: HashSet<Flow>,
    old: HashSet<Flow>,
    /// Remote addresses, each with the first local one that used it.
    shown: HashMap<Shown, HashMap<IpAddr, IpAddr>>,
    together: usize,
}

impl Passages {
    /// Shows again what was shown. Who stands on the link stays known, unless the tables are more than half full.
    pub(super) fn begin_anew(&mut self) {
        self.shown = HashMap::new();
        self.together = 0;
        if self.bound.len().max(self.stations.len()) > MOST_BINDINGS / 2 {
            self.bound = HashMap::new();
            self.stations = HashSet::new();
        }
    }

    /// An address is on the link, with this MAC.
    pub(super) fn bound(&mut self, vantage: VantageId, ip: IpAddr, mac: Mac) {
        let known = self.bound.contains_key(&(vantage, ip));
        if ip.is_unspecified() || !known && self.bound.len() >= MOST_BINDINGS {
            return;
        }
        self.bound.insert((vantage, ip), mac);
        if self.stations.len() < MOST_BINDINGS {
            self.stations.insert((vantage, mac, ip.is_ipv4()));
        }
    }

    /// Tells the passages that a crossing shows; `None` for each that is withheld.
    pub(super) fn take(
        &mut self,
        vantage: VantageId,
        crossing: &Crossing,
        tell: &mut dyn FnMut(Option<Passage>),
    ) {
        let Crossing { source, destination, from, to, hop_limit, flow, what, .. } = *crossing;
        let forwarded = !matches!(hop_limit, 32 | 64 | 128 | 255);
        let is_bound = |ip| self.bound.contains_key(&(vantage, ip));
        let from_beyond = !is_bound(from) && forwarded;
        let by_bindings = |next_hop, ip: IpAddr| {
            range(ip) == Range::Outside
                && !is_bound(ip)
                && self.stations.contains(&(vantage, next_hop, ip.is_ipv4()))
        };
        match crossing.side {
            Side::Question => {
                let leaves = by_bindings(destination, to);
                self.ask((vantage, destination, from, to, flow, what));
                if leaves {
                    tell(self.show(vantage, destination, from, to, Direction::Outbound, what));
                }
                if from_beyond {
                    tell(self.show(vantage, source, to, from, Direction::Inbound, what));
                }
            }
            Side::Answer => {
                let came_back =
                    from_beyond || range(from) == Range::Outside && by_bindings(source, from);
                let asked = (vantage, source, to, from, flow, what);
                if came_back && (self.young.contains(&asked) || self.old.contains(&asked)) {
                    tell(self.show(vantage, source, to, from, Direction::Answered, what));
                }
            }
        }
    }

    fn ask(&mut self, flow: Flow) {
        if self.young.len() >= MOST_FLOWS {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(flow);
    }

    fn show(
        &mut self,
        vantage: VantageId,
        mac: Mac,
        local: IpAddr,
        remote: IpAddr,
        direction: Direction,
        what: &'static str,
    ) -> Option<Passage> {
        let key = (vantage, mac, range(remote), direction, what);
        let full = self.together >= MOST_TOGETHER;
        if full && !self.shown.contains_key(&key) {
            return None;
        }
        let remotes = self.shown.entry(key).or_default();
        // The first who used it stands for all: whose way it is, the MAC says.
        let first = match remotes.get(&remote) {
            Some(first) => *first,
            None if full || remotes.len() >= MOST_REMOTES => return None,
            None => {
                remotes.insert(remote, local);
                self.together = self.together.saturating_add(1);
                local
            }
        };
        Some(Passage { mac, local: first, remote, direction, what: what.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V: VantageId = VantageId(0);
    const HOST: Mac = Mac([2, 0, 0, 0, 0, 5]);
    const ROUTER: Mac = Mac([2, 0, 0, 0, 0, 1]);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn question(from: &str, to: &str, port: u16) -> Crossing {
        Crossing {
            source: HOST,
            destination: ROUTER,
            from: ip(from),
            to: ip(to),
            hop_limit: 64,
            side: Side::Question,
            flow: (Protocol::TCP, port, 443),
            what: "tcp",
        }
    }

    fn answer(question: &Crossing, hop_limit: u8) -> Crossing {
        Crossing {
            source: question.destination,
            destination: question.source,
            from: question.to,
            to: question.from,
            hop_limit,
            side: Side::Answer,
            ..*question
        }
    }

    /// Each passage in words; `-` for one withheld.
    fn told(passages: &mut Passages, crossing: &Crossing) -> Vec<String> {
        let mut told = Vec::new();
        passages.take(V, crossing, &mut |passage| {
            told.push(passage.map_or("-".to_owned(), |passage| {
                let Passage { local, remote, direction, .. } = passage;
                format!("{local} {direction:?} {remote} by {}", passage.mac)
            }));
        });
        told
    }

    fn link() -> Passages {
        let mut passages = Passages::default();
        for (address, mac) in [("10.20.1.5", HOST), ("10.20.1.1", ROUTER), ("fe80::1", ROUTER)] {
            passages.bound(V, ip(address), mac);
        }
        passages
    }

    #[test]
    fn a_question_that_leaves_and_the_answer_that_comes_back_are_passages() {
        let mut passages = link();
        for (from, to) in [("10.20.1.5", "203.0.113.9"), ("fd20::5", "2001:db8::9")] {
            let asked = question(from, to, 4000);
            let out = format!("{from} Outbound {to} by {ROUTER}");
            assert_eq!(told(&mut passages, &asked), [out]);
            let back = format!("{from} Answered {to} by {ROUTER}");
            // Also where the router sets hop limits anew.
            for hop_limit in [57, 64] {
                let told = told(&mut passages, &answer(&asked, hop_limit));
                assert_eq!(told, std::slice::from_ref(&back));
            }
        }
        // In private space bindings alone are too little.
        let asked = question("10.20.1.5", "10.99.0.9", 4000);
        assert!(told(&mut passages, &asked).is_empty());
        assert!(told(&mut passages, &answer(&asked, 64)).is_empty());
        assert_eq!(told(&mut passages, &answer(&asked, 63)).len(), 1);
    }

    #[test]
    fn what_stays_on_the_link_is_none() {
        let mut passages = link();
        let asked = question("10.20.1.5", "10.20.1.1", 4000);
        assert!(told(&mut passages, &asked).is_empty());
        assert!(told(&mut passages, &answer(&asked, 64)).is_empty());
        assert!(told(&mut passages, &answer(&asked, 57)).is_empty());
        // Two stations of which nothing is known.
        let mut passages = Passages::default();
        let asked = question("198.51.100.5", "203.0.113.9", 4000);
        assert!(told(&mut passages, &asked).is_empty());
        assert!(told(&mut passages, &answer(&asked, 64)).is_empty());
    }

    #[test]
    fn an_answer_counts_only_from_where_the_question_went() {
        let mut passages = link();
        let asked = question("10.20.1.5", "203.0.113.9", 4000);
        told(&mut passages, &asked);
        let other = Crossing { source: Mac([2, 0, 0, 0, 0, 9]), ..answer(&asked, 57) };
        assert!(told(&mut passages, &other).is_empty());
        let other = Crossing { flow: (Protocol::TCP, 4001, 443), ..answer(&asked, 57) };
        assert!(told(&mut passages, &other).is_empty());
        let unasked = answer(&question("10.20.1.5", "203.0.113.8", 4000), 57);
        assert!(told(&mut passages, &unasked).is_empty());
    }

    #[test]
    fn a_question_from_beyond_comes_in_by_its_sender() {
        let mut passages = link();
        let asked = Crossing { hop_limit: 49, ..question("203.0.113.9", "10.20.1.7", 4000) };
        let crossing = Crossing { source: ROUTER, destination: HOST, ..asked };
        let inbound = format!("10.20.1.7 Inbound 203.0.113.9 by {ROUTER}");
        passages.bound(V, ip("10.20.1.7"), HOST);
        assert_eq!(told(&mut passages, &crossing), [inbound]);
        assert!(told(&mut passages, &Crossing { hop_limit: 64, ..crossing }).is_empty());
    }

    #[test]
    fn a_flood_is_bounded_and_what_is_known_goes_on_being_told() {
        let mut passages = link();
        let first = question("10.20.1.5", "203.0.113.9", 4000);
        let known = told(&mut passages, &first);
        for number in 0u32..100_000 {
            let remote = std::net::Ipv4Addr::from_bits(0x0b00_0000 + number);
            let local = std::net::Ipv4Addr::from_bits(0x0a14_0000 + number);
            let asked = question(&local.to_string(), &remote.to_string(), number as u16);
            told(&mut passages, &asked);
            passages.bound(V, remote.into(), HOST);
        }
        assert_eq!(told(&mut passages, &first), known);
        // Another asker makes no other fact.
        assert_eq!(told(&mut passages, &question("10.20.1.6", "203.0.113.9", 1)), known);
        assert_eq!(told(&mut passages, &question("10.20.1.5", "203.0.113.10", 1)), ["-"]);
        assert!(passages.young.len() <= MOST_FLOWS && passages.old.len() <= MOST_FLOWS);
        assert!(passages.bound.len() <= MOST_BINDINGS && passages.together <= MOST_TOGETHER);
        let most = passages.shown.values().map(HashMap::len).max().unwrap();
        assert_eq!(most, MOST_REMOTES);
    }
}
