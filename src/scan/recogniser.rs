//! From a received frame to the question it answers.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::probe;
use super::source_ports::SourcePorts;
use super::token::{KeyError, Keys, SweepKey};
use super::volley::{Outstanding, Volley};
use crate::net::{AddressSet, Mac, Prefix};
use crate::observe::{Fact, Source, VantageId};
use crate::scope::{Steered, Vantage, frame::Frame};

/// Which question of a pass an answer belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    Address {
        target: IpAddr,
        question: u16,
    },
    /// The neighbour's place in the list of those steered through.
    Steered {
        index: u16,
        question: u16,
    },
    /// A link-wide question: whoever answers.
    LinkWide,
}

/// Whether an answer settles its question, or it may be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Settles {
    Yes,
    /// Somebody on the way said that the target was not reached just now.
    No,
}

/// An answer to a question of this sweep, by its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognised {
    /// The probe's name.
    pub probe: &'static str,
    pub source: Source,
    pub fact: Fact,
    pub place: Place,
    pub settles: Settles,
}

/// Knows a sweep's key and what was asked where no token comes back. Pure: the same frame gives the
/// same answer, now or from a capture.
#[derive(Debug, Clone)]
pub struct Recogniser {
    pub(super) key: SweepKey,
    pub(super) keys: Keys,
    pub(super) ports: SourcePorts,
    vantages: Vec<Known>,
}

/// What is known of one vantage.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub vantage: Vantage,
    /// What was asked by ARP and by neighbour solicitation, which echo no token.
    pub resolved: AddressSet,
    /// MAC and destination of those steered through, by their place in the list.
    pub steered: Vec<(Mac, IpAddr)>,
    /// Whom and which ports datagrams were sent to: not all protocols echo a token.
    pub datagrams: AddressSet,
    pub datagram_ports: BTreeSet<u16>,
    /// Frames that were sent one by one.
    pub volley: Volley,
}

impl Known {
    pub fn was_asked_udp(&self, address: IpAddr, port: u16) -> bool {
        self.datagram_ports.contains(&port) && self.datagrams.contains(address)
    }
}

/// Everything but the frames that a replay needs to recognise the same answers. The key in it is
/// good for recognising only: a sweep that is over accepts nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    pub key: String,
    pub ports: SourcePorts,
    pub vantages: Vec<VantageRecord>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VantageRecord {
    pub id: VantageId,
    pub mac: Mac,
    pub addresses: Vec<(IpAddr, Prefix)>,
    pub resolved: Vec<Prefix>,
    pub steered: Vec<(Mac, IpAddr)>,
    pub datagrams: Vec<Prefix>,
    pub datagram_ports: BTreeSet<u16>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volley: Vec<Outstanding>,
}

impl Recogniser {
    pub fn new(key: SweepKey, ports: SourcePorts, vantages: &[Vantage]) -> Recogniser {
        let known = |vantage: &Vantage| Known {
            vantage: vantage.clone(),
            resolved: AddressSet::default(),
            steered: Vec::new(),
            datagrams: AddressSet::default(),
            datagram_ports: BTreeSet::new(),
            volley: Volley::default(),
        };
        Recogniser {
            keys: Keys::of(&key),
            key,
            ports,
            vantages: vantages.iter().map(known).collect(),
        }
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// A number drawn from the sweep's key: nobody outside can expect what is drawn by it.
    pub fn seed(&self) -> u64 {
        self.keys.order(u64::MAX, 0)
    }

    /// Walks the passes in the order of a seed instead of the sweep's own.
    pub fn order_by(&mut self, seed: &SweepKey) {
        self.keys = self.keys.clone().ordered_by(seed);
    }

    pub fn ports(&self) -> SourcePorts {
        self.ports
    }

    pub fn vantage(&self, id: VantageId) -> Option<&Vantage> {
        self.known(id).map(|known| &known.vantage)
    }

    pub(super) fn known(&self, id: VantageId) -> Option<&Known> {
        self.vantages.iter().find(|known| known.vantage.id == id)
    }

    /// These addresses are asked by ARP or neighbour solicitation from now on. The engine says so at
    /// the start of such a pass.
    pub fn asks_resolution(&mut self, vantage: VantageId, addresses: &AddressSet) {
        if let Some(known) = self.vantages.iter_mut().find(|known| known.vantage.id == vantage) {
            known.resolved = known.resolved.or(addresses);
        }
    }

    /// These addresses and ports are sent datagrams from now on.
    pub fn asks_udp(&mut self, vantage: VantageId, addresses: &AddressSet, ports: &[u16]) {
        if let Some(known) = self.vantages.iter_mut().find(|known| known.vantage.id == vantage) {
            known.datagrams = known.datagrams.or(addresses);
            known.datagram_ports.extend(ports);
        }
    }

    /// Appends to the list of those steered through and says where in it these begin. The list holds
    /// 65,536; what goes beyond is not taken, and the second number says how many were.
    pub fn asks_steered(&mut self, vantage: VantageId, steered: &[Steered]) -> (u16, usize) {
        let Some(known) = self.vantages.iter_mut().find(|known| known.vantage.id == vantage) else {
            return (0, 0);
        };
        let first = known.steered.len();
        let room = (1usize << 16).saturating_sub(first);
        known.steered.extend(steered.iter().take(room).map(|s| (s.mac(), s.destination())));
        (first as u16, steered.len().min(room))
    }

    /// A frame that is about to be sent on its own; false where there is no room for it, or one whose answers
    /// would look the same is out already.
    pub fn expects(&mut self, vantage: VantageId, one: Outstanding) -> bool {
        let Some(known) = self.vantages.iter_mut().find(|known| known.vantage.id == vantage) else {
            return false;
        };
        let has_room = known.volley.has_room_for(&one);
        if has_room {
            known.volley.expect(one);
        }
        has_room
    }

    /// The answer that a frame is, if it answers a question of this sweep at this vantage.
    pub fn recognise(&self, vantage: VantageId, bytes: &[u8]) -> Option<Recognised> {
        let known = self.known(vantage)?;
        let frame = Frame::read(bytes)?;
        probe::recognise(&probe::Context { known, keys: &self.keys, ports: self.ports }, &frame)
    }

    /// For the record of the sweep.
    pub fn record(&self) -> Record {
        let of = |known: &Known| VantageRecord {
            id: known.vantage.id,
            mac: known.vantage.mac,
            addresses: known.vantage.addresses.clone(),
            resolved: known.resolved.prefixes(),
            steered: known.steered.clone(),
            datagrams: known.datagrams.prefixes(),
            datagram_ports: known.datagram_ports.clone(),
            volley: known.volley.list(),
        };
        Record {
            key: self.key.to_hex(),
            ports: self.ports,
            vantages: self.vantages.iter().map(of).collect(),
        }
    }

    pub fn of_record(record: &Record) -> Result<Recogniser, KeyError> {
        let known = |record: &VantageRecord| Known {
            vantage: Vantage {
                id: record.id,
                mac: record.mac,
                addresses: record.addresses.clone(),
            },
            resolved: record.resolved.iter().copied().collect(),
            steered: record.steered.clone(),
            datagrams: record.datagrams.iter().copied().collect(),
            datagram_ports: record.datagram_ports.clone(),
            volley: Volley::of(record.volley.iter().cloned()),
        };
        let key = SweepKey::from_hex(&record.key)?;
        Ok(Recogniser {
            keys: Keys::of(&key),
            key,
            ports: record.ports,
            vantages: record.vantages.iter().map(known).collect(),
        })
    }
}
