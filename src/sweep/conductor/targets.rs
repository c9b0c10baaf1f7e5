//! What is to be asked, from what is known by now.

use super::*;

/// The candidates of an area that were not asked yet, within the bound of this asking and of the whole sweep.
pub(super) fn of_area(
    area: &Area,
    seeds: &Seeds,
    asked: &BTreeSet<IpAddr>,
    most: usize,
) -> Candidates {
    let before = asked.range(area.prefix.first()..=area.prefix.last()).count();
    let on_link = if area.reach == Reach::OnLink { OnLink::Here } else { OnLink::Beyond };
    let most = most.min(candidates::MOST.saturating_sub(before));
    candidates::of(area.prefix, on_link, seeds, &area.targets, asked, most)
}

impl Conductor<'_> {
    pub(super) fn plan_again(&mut self) {
        let on_link: Vec<Area> = self
            .territory
            .full
            .iter()
            .filter(|area| area.reach == Reach::OnLink)
            .cloned()
            .collect();
        let explore = std::mem::take(&mut self.territory.explore);
        self.territory = self.orders.territory(self.learnt.iter().copied().collect());
        self.territory.explore = explore;
        for area in on_link {
            if !self.territory.full.iter().any(|known| known.prefix == area.prefix) {
                self.territory.full.push(area);
            }
        }
    }

    pub(super) fn areas(&self, family: Family, vantage: VantageId, reach: Reach) -> Vec<Area> {
        let all = self.territory.full_of(family);
        all.filter(|area| area.vantage == vantage && area.reach == reach).cloned().collect()
    }

    pub(super) fn routed(&self, family: Family, vantage: VantageId) -> Vec<Area> {
        let all = self.territory.full_of(family);
        all.filter(|area| area.vantage == vantage && area.reach != Reach::OnLink).cloned().collect()
    }

    /// The parts of a prefix heard on a link that may be asked there.
    pub(super) fn learnt_on_link(&self, prefix: Prefix, vantage: VantageId) -> Vec<Area> {
        let inside = AddressSet::of([prefix]).and(&self.orders.share());
        inside
            .prefixes()
            .into_iter()
            .map(|part| {
                let whole = AddressSet::of([part]);
                let mut targets = whole.minus(&self.orders.exclude());
                if prefix.is_ipv4() && prefix.length() < 31 {
                    targets =
                        targets.minus(&AddressSet::of_addresses([prefix.first(), prefix.last()]));
                }
                let excluded = whole.and(&self.orders.exclude()).count();
                Area {
                    prefix: part,
                    vantage,
                    reach: Reach::OnLink,
                    targets,
                    excluded: u64::try_from(excluded).unwrap_or(u64::MAX),
                }
            })
            .collect()
    }

    pub(super) fn on_link_ipv6(&self, station: &Station) -> BTreeSet<Prefix> {
        let scope = self.orders.share();
        let own = station.prefixes().into_iter().filter(|prefix| !prefix.is_ipv4());
        let heard = self.intake.live.on_link.get(&station.id).into_iter().flatten().copied();
        own.chain(heard).filter(|prefix| !prefix.is_ipv4() && scope.overlaps(*prefix)).collect()
    }

    pub(super) fn ipv6_area(&self, prefix: Prefix, vantage: VantageId) -> Area {
        let whole = AddressSet::of([prefix]);
        let exclude = self.orders.exclude();
        let own = AddressSet::of_addresses(
            self.orders.stations.iter().flat_map(|s| s.addresses.iter().map(|(a, _)| *a)),
        );
        Area {
            prefix,
            vantage,
            reach: Reach::OnLink,
            targets: whole.and(&self.orders.share()).minus(&exclude).minus(&own),
            excluded: u64::try_from(whole.and(&exclude).count()).unwrap_or(u64::MAX),
        }
    }

    /// What candidates are made from by now.
    pub(super) fn seeds(&self, vantage: VantageId) -> Seeds {
        let live = &self.intake.live;
        let mut seeds = Seeds::of_registry(self.orders.registry.as_deref());
        seeds.heard.clone_from(&live.heard_ipv6);
        seeds.hops.clone_from(&live.hops);
        seeds.snmp.clone_from(&live.told_ipv6);
        seeds.dns.clone_from(&live.named_ipv6);
        seeds.told.clone_from(&live.told);
        seeds.macs = live.stations.get(&vantage).cloned().unwrap_or_default();
        seeds.joined = live.joined.get(&vantage).cloned().unwrap_or_default();
        for address in &live.answered {
            match address {
                IpAddr::V4(address) => seeds.ipv4.insert(*address),
                IpAddr::V6(address) => seeds.answered.insert(*address),
            };
        }
        let here = live.neighbours.get(&vantage).into_iter().flatten();
        seeds.ipv4_here.extend(here.filter_map(|(address, _)| match address {
            IpAddr::V4(address) => Some(*address),
            IpAddr::V6(_) => None,
        }));
        seeds.ready()
    }

    /// Who is on a link: seen using an address of it that may be asked.
    pub(super) fn live_on_link(
        &self,
        vantage: VantageId,
        family: Family,
        link_local: LinkLocal,
    ) -> AddressSet {
        let scope = self.orders.share();
        let neighbours = self.intake.live.neighbours.get(&vantage);
        AddressSet::of_addresses(neighbours.into_iter().flatten().map(|(ip, _)| *ip).filter(|ip| {
            Family::of(*ip) == family
                && (scope.contains(*ip)
                    || link_local == LinkLocal::Too && crate::net::special::is_link_local(*ip))
        }))
        .minus(&self.orders.exclude())
    }

    /// Everybody that a vantage can ask for ports: its link's, and whoever answered through it.
    pub(super) fn live(&self, vantage: VantageId) -> AddressSet {
        let on_link = self
            .live_on_link(vantage, Family::Ipv4, LinkLocal::LeftOut)
            .or(&self.live_on_link(vantage, Family::Ipv6, LinkLocal::LeftOut));
        let mut reachable = AddressSet::default();
        for area in self.territory.full.iter().chain(&self.territory.explore) {
            if area.vantage == vantage && area.reach != Reach::OnLink {
                reachable = reachable.or(&area.targets);
            }
        }
        let answered = AddressSet::of_addresses(self.intake.live.answered.iter().copied());
        on_link.or(&answered.and(&reachable))
    }

    pub(super) fn next_hops(&mut self, station: &Station) -> NextHops {
        let mut hops = NextHops::new();
        for prefix in station.prefixes() {
            hops.on_link(prefix);
        }
        for prefix in self.intake.live.on_link.get(&station.id).into_iter().flatten() {
            hops.on_link(*prefix);
        }
        let known = interfaces::neighbours().unwrap_or_default();
        for area in self.territory.full.iter().chain(&self.territory.explore) {
            if area.vantage != station.id {
                continue;
            }
            match area.reach {
                Reach::OnLink => hops.on_link(area.prefix),
                Reach::Through(gateway) => {
                    let by_kernel = known
                        .iter()
                        .filter(|n| n.ip == gateway && n.interface == station.index)
                        .find_map(|n| n.mac);
                    let mac = self.intake.live.mac_of(station.id, gateway).or(by_kernel);
                    match mac.filter(|_| !self.orders.exclude().contains(gateway)) {
                        Some(mac) => {
                            hops.gateway(area.prefix, mac);
                            self.why_not.remove(&(area.prefix, area.vantage));
                        }
                        None => {
                            let key = (area.prefix, area.vantage);
                            self.why_not.insert(key, WhyNot::NoGatewayMac);
                        }
                    }
                }
            }
        }
        if let Some(neighbours) = self.intake.live.neighbours.get(&station.id) {
            for (address, mac) in neighbours {
                hops.neighbour(*address, *mac);
            }
        }
        hops
    }
}
