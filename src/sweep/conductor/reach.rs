//! Who answers an echo, on the link and behind routers, and what lies in the ranges to explore.

use super::ask::Manner;
use super::targets::of_area;
use super::*;

impl Conductor<'_> {
    /// Echoes: to whoever is on the link, and to every address of the routed areas.
    pub(super) fn echo(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            if self.orders.uses(Method::Icmp) {
                let live = self.live_on_link(station.id, Family::Ipv4, LinkLocal::LeftOut);
                self.echo_live("icmp", "icmp", station, live)?;
                let routed = self.routed(Family::Ipv4, station.id);
                self.ask_ghosts("icmp", station, &routed)?;
                self.ask_areas("icmp-routed", "icmp", station, &routed, 2)?;
            }
            if self.orders.uses(Method::Icmpv6) {
                let live = self.live_on_link(station.id, Family::Ipv6, LinkLocal::Too);
                self.echo_live("icmpv6", "icmpv6", station, live)?;
                self.echo_candidates(station, "icmpv6-routed", candidates::MOST_AT_FIRST)?;
            }
        }
        Ok(())
    }

    /// Asks behind routers again, by what answered, was named or was heard since: the neighbours of who is there, the same
    /// numbers in the prefixes beside. Called [`candidates::LEARNING_ROUNDS`] times.
    pub(super) fn learn(&mut self, name: &'static str) -> Result<(), Halt> {
        for station in &self.orders.stations {
            if self.orders.uses(Method::Icmpv6) {
                self.echo_candidates(station, name, candidates::MOST_LEARNT)?;
            }
        }
        Ok(())
    }

    pub(super) fn echo_live(
        &mut self,
        name: &'static str,
        probe: &'static str,
        station: &Station,
        live: AddressSet,
    ) -> Result<(), Halt> {
        let fresh: Vec<IpAddr> = live.iter().filter(|a| !self.echoed.contains(a)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        self.echoed.extend(&fresh);
        let targets = Targets::Addresses(AddressSet::of_addresses(fresh.iter().copied()));
        let outcome = self.run(name, probe, station, targets, &[0], 2, None)?;
        self.asked_listed(station.id, probe, &[], &fresh, &outcome);
        Ok(())
    }

    pub(super) fn echo_candidates(
        &mut self,
        station: &Station,
        name: &'static str,
        most: usize,
    ) -> Result<(), Halt> {
        let routed = self.routed(Family::Ipv6, station.id);
        if routed.is_empty() {
            return Ok(());
        }
        let seeds = self.seeds(station.id);
        let by_area: Vec<(Area, Candidates)> = routed
            .into_iter()
            .map(|area| {
                let candidates = of_area(&area, &seeds, &self.echoed, most);
                (area, candidates)
            })
            .collect();
        let all: Vec<IpAddr> = by_area.iter().flat_map(|(_, c)| c.addresses()).collect();
        if all.is_empty() {
            return Ok(());
        }
        self.echoed.extend(&all);
        let targets = Targets::Addresses(AddressSet::of_addresses(all));
        let manner = Manner { linger: None, rate: Some(candidates::A_SECOND) };
        let outcome = self.run_in(name, "icmpv6", station, targets, &[0], 2, manner)?;
        for (area, candidates) in by_area {
            self.asked_by_candidates(&area, "icmpv6", &[], &candidates, &outcome);
        }
        Ok(())
    }

    /// Samples of `explore`, then in full what answered or what a router said is there.
    pub(super) fn explore(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            for family in [Family::Ipv4, Family::Ipv6] {
                let (name, probe, method) = match family {
                    Family::Ipv4 => ("explore", "icmp", Method::Icmp),
                    Family::Ipv6 => ("explore-ipv6", "icmpv6", Method::Icmpv6),
                };
                if !self.orders.uses(method) {
                    continue;
                }
                let habits = territory::habits(self.orders.known_addresses(), 3);
                let (mut chunks, mut areas) = (Vec::new(), Vec::new());
                let explored = self.territory.explore.iter();
                for area in
                    explored.filter(|a| a.vantage == station.id && a.prefix.family() == family)
                {
                    let (sampled, left_out) = territory::samples(area, &habits);
                    if left_out > 0 {
                        self.head.notices.push(v1::SweepNotice {
                            code: "explore-cut".into(),
                            text: format!("{}: {left_out}", area.prefix),
                        });
                    }
                    let count = sampled.iter().map(|(_, addresses)| addresses.len()).sum::<usize>();
                    areas.push((area.clone(), count));
                    chunks.extend(sampled);
                }
                if chunks.is_empty() {
                    continue;
                }
                let samples =
                    AddressSet::of_addresses(chunks.iter().flat_map(|(_, a)| a.iter().copied()));
                let linger = Linger { least: Duration::from_secs(1), most: EXPLORE_LINGER };
                let targets = Targets::Addresses(samples.clone());
                let rounds = explore_rounds(chunks.len());
                let outcome =
                    self.run(name, probe, station, targets, &[0], rounds, Some(linger))?;
                for (area, count) in &areas {
                    self.asked_in_part(area, probe, &[], *count as u64, &outcome);
                }
                if self.orders.uses(Method::Tcp) && chunks.len() <= MOST_EXPLORED_BY_TCP {
                    let name = join(name, "-tcp");
                    let targets = Targets::Addresses(samples);
                    let outcome =
                        self.run(name, "tcp", station, targets, EXPLORE_PORTS, 1, None)?;
                    for (area, count) in &areas {
                        self.asked_in_part(area, "tcp", EXPLORE_PORTS, *count as u64, &outcome);
                    }
                }
                self.explore_in_full(station, &chunks, name, probe)?;
            }
        }
        Ok(())
    }

    pub(super) fn explore_in_full(
        &mut self,
        station: &Station,
        chunks: &[(Prefix, Vec<IpAddr>)],
        name: &'static str,
        probe: &'static str,
    ) -> Result<(), Halt> {
        let live = &self.intake.live;
        let there: Vec<Prefix> = chunks
            .iter()
            .filter(|(chunk, addresses)| {
                addresses.iter().any(|a| live.answered.contains(a) || live.unreachable.contains(a))
                    && !self.explored.covers(*chunk)
            })
            .map(|(chunk, _)| *chunk)
            .collect();
        if there.is_empty() {
            return Ok(());
        }
        self.explored = self.explored.or(&there.iter().copied().collect());
        self.learnt.extend(&there);
        self.plan_again();
        let areas: Vec<Area> = self
            .territory
            .full
            .iter()
            .filter(|area| {
                area.vantage == station.id && there.iter().any(|chunk| chunk.covers(area.prefix))
            })
            .cloned()
            .collect();
        self.ask_ghosts(probe, station, &areas)?;
        if probe == "icmp" {
            self.ask_areas(join(name, "-full"), probe, station, &areas, 2)
        } else {
            self.echo_candidates(station, join(name, "-full"), candidates::MOST_AT_FIRST)
        }
    }
}
