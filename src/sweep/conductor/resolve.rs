//! Who is on the link: link-wide questions, ARP, neighbour solicitations.

use super::targets::of_area;
use super::*;
use crate::net::special;

impl Conductor<'_> {
    /// Router solicitation, all-nodes echo, an unknown option, and one DHCP question of each version;
    /// an MLDv2 query only where a querier was heard in this sweep and the profile allows it.
    pub(super) fn link_wide(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            let mut questions = link_wide::usual(station);
            if self.has_protected(station) {
                // Who answers a question to all nodes resolves us first, and our kernel tells it our
                // address: a unicast frame to a station that may be the excluded one.
                questions.retain(|question| !question.asks_all_nodes());
                let text = station.interface.clone();
                let code = "all-nodes-left-out".into();
                self.head.notices.push(v1::SweepNotice { code, text });
            }
            if self.orders.profile.discovery.dhcp {
                questions.extend(link_wide::dhcp(station));
                self.dhcp_until = self.world.now() + LISTEN_FOR_DHCP;
            }
            self.ask_link_wide(station, "link-wide", &questions)?;
        }
        Ok(())
    }

    /// Whether something of this link is excluded or fragile.
    fn has_protected(&self, station: &Station) -> bool {
        let protected = self.orders.exclude().or(&self.orders.observe_only());
        let link_local = AddressSet::of([special::link_local_prefix()]);
        station.prefixes().into_iter().any(|prefix| protected.overlaps(prefix))
            || !protected.and(&link_local).is_empty()
    }

    pub(super) fn ask_link_wide(
        &mut self,
        station: &Station,
        name: &'static str,
        questions: &[link_wide::Question],
    ) -> Result<(), Halt> {
        let id = pass_id(name, station.id, 0);
        if self.state.is_done(id) {
            return Ok(());
        }
        self.reporter.pass(name, &station.interface, questions.len() as u128);
        self.mark_recogniser();
        let began = Instant::now();
        let mut eye = Eye::new(&mut self.intake, self.reporter);
        let sent = link_wide::ask(station, questions, &self.recogniser, &mut self.world, &mut eye);
        let sent = sent.map_err(|fault| Halt::Link(fault.to_string()))?;
        self.state.done.insert(id);
        self.head.passes.push(v1::Pass {
            name: name.to_owned(),
            targets: 1,
            packets: sent,
            answers: 0,
            seconds: rounded(began.elapsed()),
        });
        if self.reporter.stopping() { Err(Halt::Stopped) } else { Ok(()) }
    }

    /// Ghosts first, then ARP for the links' own IPv4 prefixes and solicitations for IPv6 candidates.
    pub(super) fn resolve(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            if self.orders.uses(Method::Arp) {
                let areas = self.areas(Family::Ipv4, station.id, Reach::OnLink);
                self.ask_ghosts("arp", station, &areas)?;
                self.ask_areas("arp", "arp", station, &areas, ROUNDS)?;
            }
            self.gateways(station)?;
            if self.orders.uses(Method::Ndp) {
                self.solicit(station, "ndp")?;
            }
        }
        Ok(())
    }

    /// The MACs of the gateways that routed areas are reached through.
    pub(super) fn gateways(&mut self, station: &Station) -> Result<(), Halt> {
        let mut unknown: BTreeSet<IpAddr> = BTreeSet::new();
        for area in self.territory.full.iter().chain(&self.territory.explore) {
            if let Reach::Through(gateway) = area.reach
                && area.vantage == station.id
                && self.intake.live.mac_of(station.id, gateway).is_none()
            {
                unknown.insert(gateway);
            }
        }
        for family in [Family::Ipv4, Family::Ipv6] {
            let (name, probe) = match family {
                Family::Ipv4 => ("gateways", "arp"),
                Family::Ipv6 => ("gateways-ipv6", "ndp"),
            };
            let of_family: Vec<_> =
                unknown.iter().copied().filter(|a| Family::of(*a) == family).collect();
            if !of_family.is_empty() {
                let targets = Targets::Addresses(AddressSet::of_addresses(of_family));
                self.run(name, probe, station, targets, &[0], 2, None)?;
            }
        }
        Ok(())
    }

    pub(super) fn solicit(&mut self, station: &Station, name: &'static str) -> Result<(), Halt> {
        let most = if name == "ndp" { candidates::MOST_AT_FIRST } else { candidates::MOST_LEARNT };
        let seeds = self.seeds(station.id);
        let mut by_prefix = Vec::new();
        for prefix in self.on_link_ipv6(station) {
            let area = self.ipv6_area(prefix, station.id);
            let candidates = of_area(&area, &seeds, &self.solicited, most);
            by_prefix.push((area, candidates));
        }
        // Link-local addresses that were heard, and the EUI-64 twins of the link's stations.
        let link_local = special::link_local_prefix();
        let own: BTreeSet<IpAddr> = station.addresses.iter().map(|(address, _)| *address).collect();
        if own.iter().any(|address| link_local.contains(*address)) {
            let exclude = self.orders.exclude();
            let twins: Vec<IpAddr> = seeds
                .macs
                .iter()
                .map(|mac| link_local.first_number() | u128::from(mac.interface_id()))
                .map(|number| Family::Ipv6.address(number))
                .filter(|a| {
                    !own.contains(a) && !exclude.contains(*a) && !self.solicited.contains(a)
                })
                .collect();
            let targets = Targets::Addresses(AddressSet::of_addresses(twins.iter().copied()));
            self.solicited.extend(&twins);
            self.run(join(name, "-link-local"), "ndp", station, targets, &[0], 1, None)?;
        }
        if name == "ndp" {
            let areas: Vec<Area> = by_prefix.iter().map(|(area, _)| area.clone()).collect();
            self.ask_ghosts("ndp", station, &areas)?;
        }
        let all: Vec<IpAddr> = by_prefix.iter().flat_map(|(_, c)| c.addresses()).collect();
        self.solicited.extend(&all);
        let targets = Targets::Addresses(AddressSet::of_addresses(all));
        let outcome = self.run(name, "ndp", station, targets, &[0], 2, None)?;
        for (area, candidates) in by_prefix {
            self.asked_by_candidates(&area, "ndp", &[], &candidates, &outcome);
        }
        Ok(())
    }
}
