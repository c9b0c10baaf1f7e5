//! Addresses that nobody has: who answers for them answers for anything.

use super::*;

impl Conductor<'_> {
    /// Asks each area's ghosts, and puts down those that all answered.
    pub(super) fn ask_ghosts(
        &mut self,
        probe: &'static str,
        station: &Station,
        areas: &[Area],
    ) -> Result<(), Halt> {
        let mut known = self.orders.known_addresses();
        let live = &self.intake.live;
        known.extend(live.answered.iter().copied());
        known.extend(live.neighbours.values().flat_map(|n| n.keys().copied()));
        let seed = self.seed;
        let ghosts: Vec<(Area, Vec<IpAddr>)> = areas
            .iter()
            .map(|area| {
                let ghosts = candidates::ghosts(area.prefix, &area.targets, &known, seed);
                (area.clone(), ghosts)
            })
            .collect();
        let all = AddressSet::of_addresses(ghosts.iter().flat_map(|(_, g)| g.iter().copied()));
        if all.is_empty() {
            return Ok(());
        }
        let name = match probe {
            "arp" => "ghosts",
            "ndp" => "ghosts-ndp",
            "icmp" => "ghosts-icmp",
            _ => "ghosts-icmpv6",
        };
        let targets = Targets::Addresses(all.clone());
        self.run(name, probe, station, targets, &[0], 2, None)?;
        let mut answering = false;
        for (area, ghosts) in &ghosts {
            answering |= self.judge_ghosts(area, ghosts, probe, probe);
            // A hop ladder ends in an echo like any other.
            if matches!(probe, "icmp" | "icmpv6") {
                self.judge_ghosts(area, ghosts, probe, "traceroute");
            }
        }
        // A firewall may answer every SYN in its hosts' names and keep quiet about echoes; on a link that
        // takes somebody who answers ARP for them first.
        let ports: Vec<u16> =
            self.orders.profile.discovery.tcp_ports.0.iter().copied().take(GHOST_PORTS).collect();
        let beyond = matches!(probe, "icmp" | "icmpv6");
        if self.orders.uses(Method::Tcp) && !ports.is_empty() && (answering || beyond) {
            let targets = Targets::Addresses(all.clone());
            self.run(join(name, "-tcp"), "tcp", station, targets, &ports, 1, None)?;
            for (area, ghosts) in &ghosts {
                answering |= self.judge_ghosts(area, ghosts, "tcp", "tcp");
            }
        }
        let ports: Vec<u16> =
            self.orders.profile.discovery.udp_ports.0.iter().copied().take(1).collect();
        if self.orders.uses(Method::Udp) && !ports.is_empty() && answering {
            let targets = Targets::Addresses(all);
            self.run(join(name, "-udp"), "udp", station, targets, &ports, 1, None)?;
            for (area, ghosts) in &ghosts {
                self.judge_ghosts(area, ghosts, "udp", "udp");
            }
        }
        Ok(())
    }

    /// One answer may be a stranger's; all three from one MAC are somebody who answers for anything.
    /// Puts them down as ghosts of a method, and says whether they were.
    pub(super) fn judge_ghosts(
        &mut self,
        area: &Area,
        ghosts: &[IpAddr],
        by: &'static str,
        method: &'static str,
    ) -> bool {
        let mut answers = BTreeMap::new();
        for (_, observation) in self.intake.log.iter() {
            if let Fact::Answer { ip, mac, .. } = &observation.fact
                && observation.vantage == area.vantage
                && observation.source.word() == by
                && ghosts.contains(ip)
            {
                answers.entry(*ip).or_insert((*mac, observation.frames.clone()));
            }
        }
        let macs: BTreeSet<Mac> = answers.values().map(|(mac, _)| *mac).collect();
        if answers.len() < ghosts.len() || ghosts.len() < 3 || macs.len() != 1 {
            return false;
        }
        let at = self.now();
        for (ip, (mac, frames)) in answers {
            let fact = Fact::Ghost { prefix: area.prefix, ip, method: method.to_owned(), mac };
            self.intake.note(at, area.vantage, Source::Sweep, fact, &frames);
        }
        true
    }
}
