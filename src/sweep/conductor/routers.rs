//! Who forwards, and by which hops the routed segments are reached.

use super::*;

impl Conductor<'_> {
    /// A frame to each neighbour's MAC for an off-link address.
    pub(super) fn forwarding(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            let mut list = Vec::new();
            let neighbours = self.intake.live.neighbours.get(&station.id);
            let neighbours = neighbours.cloned().unwrap_or_default();
            for family in [Family::Ipv4, Family::Ipv6] {
                let Some(destination) = self.off_link(family) else { continue };
                for (address, mac) in &neighbours {
                    if Family::of(*address) != family
                        || mac.is_redundancy()
                        || self.steered.contains(&(station.id, *mac, family))
                    {
                        continue;
                    }
                    let guard = self.world.fence().guard();
                    if let Ok(permit) = guard.admit_steered(*address, *mac, destination, station.id)
                    {
                        self.steered.insert((station.id, *mac, family));
                        list.push(permit);
                    }
                }
            }
            if list.is_empty() {
                continue;
            }
            let name = if self.state.is_done(pass_id("forwarding", station.id, 0)) {
                "forwarding-again"
            } else {
                "forwarding"
            };
            let Some(probe) = probe::named("forwarding") else { continue };
            let questions = probe.questions().to_vec();
            self.run(name, "forwarding", station, Targets::Steered(list), &questions, 1, None)?;
        }
        Ok(())
    }

    /// An address beyond every link that may be a destination: one that answered, else one of a
    /// routed segment, else any of the scope, else a canary.
    pub(super) fn off_link(&self, family: Family) -> Option<IpAddr> {
        let on_link = |address: IpAddr| {
            self.orders.stations.iter().any(|station| station.is_on_link(address))
                || self
                    .territory
                    .full
                    .iter()
                    .any(|area| area.reach == Reach::OnLink && area.prefix.contains(address))
        };
        let observe_only = self.orders.observe_only();
        let fits = |address: &IpAddr| {
            Family::of(*address) == family
                && !on_link(*address)
                && !observe_only.contains(*address)
                && !self.orders.exclude().contains(*address)
        };
        let scope = self.orders.share();
        let answered = self.intake.live.answered.iter().copied().filter(|a| scope.contains(*a));
        let routed = self
            .territory
            .full
            .iter()
            .filter(|area| area.reach != Reach::OnLink)
            .filter_map(|area| area.targets.nth(0));
        let explored = self.territory.explore.iter().filter_map(|area| area.targets.nth(0));
        let rest = scope
            .minus(&self.orders.exclude())
            .minus(&observe_only)
            .minus(&self.orders.stations.iter().flat_map(Station::prefixes).collect());
        let anywhere = rest
            .prefixes()
            .into_iter()
            .filter(|prefix| prefix.family() == family)
            .filter_map(|prefix| AddressSet::of([prefix]).nth(1.min(prefix.size() - 1)));
        let canaries = self.orders.profile.egress.canaries.iter().copied();
        let mut all = answered.chain(routed).chain(explored).chain(anywhere).chain(canaries);
        all.find(fits)
    }

    /// Hop ladders to one live address of each routed segment.
    pub(super) fn ladders(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            let mut ends = Vec::new();
            for area in self
                .territory
                .full
                .iter()
                .filter(|area| area.vantage == station.id && area.reach != Reach::OnLink)
            {
                let live = self.intake.live.answered.iter();
                if let Some(end) = live.copied().find(|a| area.targets.contains(*a)) {
                    ends.push(end);
                }
            }
            ends.truncate(MOST_LADDERS);
            if ends.is_empty() {
                continue;
            }
            let Some(probe) = probe::named("traceroute") else { continue };
            let questions = probe.questions().to_vec();
            let targets = Targets::Addresses(AddressSet::of_addresses(ends));
            self.run("hops", "traceroute", station, targets, &questions, 1, None)?;
        }
        Ok(())
    }
}
