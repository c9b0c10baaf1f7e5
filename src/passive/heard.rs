//! How many facts about names, and about what stations say of themselves, are kept.
//!
//! Anybody may ask for any number of names, from any address. A fact that is new counts against the address it is about and
//! against the Ethernet source, of which a flood has few; past either limit, or past all together, it is withheld. Known
//! facts go on being counted, so what was seen first stays, and what comes later is only told to be missing.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use crate::net::Mac;
use crate::observe::{Fact, VantageId};

/// Facts of one address: names that a client asked for, services of a printer. A guess.
const MOST_OF_ADDRESS: u32 = 1024;
/// Records of one server: a resolver tells all that its clients ask for. A guess.
const MOST_OF_SERVER: u32 = 16_384;
/// Facts behind one Ethernet source: a router's, of a whole network. A guess.
const MOST_OF_MAC: u32 = 65_536;
/// Facts of all that stands together: some 700 octets each, so some 90 MB.
const MOST_TOGETHER: u32 = 131_072;

/// Counts of what was kept.
#[derive(Debug, Default)]
pub(super) struct Heard {
    /// By address; whether they are records is counted apart.
    shown: HashMap<(VantageId, IpAddr, bool), u32>,
    behind: HashMap<(VantageId, Mac), u32>,
    /// What was kept, by its hash: two facts of one hash cost one of them its place in the count.
    known: HashSet<u64>,
    hasher: RandomState,
    together: u32,
}

/// Whose fact it is, for facts that are counted here.
pub(super) fn of(fact: &Fact) -> Option<IpAddr> {
    Some(match fact {
        Fact::NameServer(server) => server.ip,
        Fact::NameClient(client) => client.ip,
        Fact::NameQuery(query) => query.ip,
        Fact::NameRecord(record) => record.ip,
        Fact::ServiceInstance(service) => service.ip,
        Fact::NetbiosName(name) => name.ip,
        Fact::Browser(browser) => browser.ip,
        Fact::Ssdp(message) => message.ip,
        Fact::SnmpSpeaker(speaker) => speaker.ip,
        Fact::DhcpTold(told) => told.ip,
        Fact::Said(said) => said.ip,
        _ => return None,
    })
}

impl Heard {
    /// Whether a fact was kept before or may still be.
    pub(super) fn admit(
        &mut self,
        vantage: VantageId,
        sender: Mac,
        ip: IpAddr,
        fact: &Fact,
    ) -> bool {
        let is_record = matches!(fact, Fact::NameRecord(_));
        let most = if is_record { MOST_OF_SERVER } else { MOST_OF_ADDRESS };
        let hash = self.hasher.hash_one((vantage, fact));
        if self.known.contains(&hash) {
            return true;
        }
        if self.together >= MOST_TOGETHER {
            return false;
        }
        let behind = self.behind.entry((vantage, sender)).or_default();
        if *behind >= MOST_OF_MAC {
            return false;
        }
        let shown = self.shown.entry((vantage, ip, is_record)).or_default();
        if *shown >= most {
            return false;
        }
        *shown = shown.saturating_add(1);
        *behind = behind.saturating_add(1);
        self.known.insert(hash);
        self.together = self.together.saturating_add(1);
        true
    }
}

/// What a fact points to, in octets.
pub(super) fn weight(fact: &Fact) -> usize {
    let text = |text: &crate::observe::Foreign| text.raw().len();
    let maybe = |given: &Option<crate::observe::Foreign>| given.as_ref().map_or(0, text);
    match fact {
        Fact::NameQuery(query) => text(&query.name).saturating_add(8),
        Fact::NameRecord(record) => text(&record.name) + maybe(&record.value) + 16,
        Fact::ServiceInstance(service) => {
            text(&service.instance)
                + maybe(&service.host)
                + service.texts.iter().map(|one| text(one) + 24).sum::<usize>()
        }
        Fact::NetbiosName(name) => 32 * name.addresses.len() + 64,
        Fact::Browser(browser) => maybe(&browser.comment) + 64,
        Fact::Ssdp(message) => {
            maybe(&message.server)
                + maybe(&message.location)
                + maybe(&message.target)
                + maybe(&message.usn)
                + maybe(&message.user_agent)
        }
        Fact::SnmpSpeaker(_) => 128,
        Fact::DhcpTold(told) => {
            32 * (told.addresses.len() + told.delegated.len() + 2 * told.routes.len())
                + 160 * told.relays.len()
                + told.options.iter().map(|one| text(&one.value) + 64).sum::<usize>()
        }
        Fact::Said(said) => {
            32 + said.details.iter().map(|one| text(&one.value) + 64).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::heard_names::NameClient;

    fn fact(server: u32) -> Fact {
        let server = IpAddr::V4(std::net::Ipv4Addr::from_bits(server));
        Fact::NameClient(NameClient { ip: [10, 20, 1, 5].into(), server })
    }

    #[test]
    fn an_address_and_a_station_show_so_much_and_no_more() {
        let mut heard = Heard::default();
        let sender = Mac([2, 0, 0, 0, 0, 5]);
        let mut server = 0;
        let mut admit = |mac, ip: u32| {
            let ip = IpAddr::V4(std::net::Ipv4Addr::from_bits(ip));
            server += 1;
            heard.admit(VantageId(0), mac, ip, &fact(server))
        };
        assert_eq!((0..2000).filter(|_| admit(sender, 1)).count(), 1024);
        assert_eq!((0..100_000).filter(|ip| admit(sender, 2 + ip)).count(), 65_536 - 1024);
        assert!(admit(Mac([2, 0, 0, 0, 0, 6]), 1_000_000));
        assert!(heard.admit(VantageId(0), sender, [10, 20, 1, 5].into(), &fact(1)));
    }
}
