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

    /// One answer may be a stranger's; all three from one MAC are somebody who answers for anything, or
    /// three who happen to live there behind one router. On a link and in IPv6 there is no doubt;
    /// behind an IPv4 router it is a suspicion until the whole prefix was asked. Says whether all
    /// answered.
    fn judge_ghosts(
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
        let suspect = Suspect { area: area.clone(), by, method, answers };
        // A random interface identifier is nobody's; that one station has three random addresses of
        // a link is no chance either.
        let wide = !area.prefix.is_ipv4() && area.prefix.length() <= 96;
        if wide || area.reach == Reach::OnLink {
            self.put_ghosts(suspect);
        } else {
            self.suspects.push(suspect);
        }
        true
    }

    /// Suspicions that the whole prefix bears out: nearly every address that was asked answered.
    pub(super) fn confirm_ghosts(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        if suspects.is_empty() {
            return;
        }
        let mut answered: BTreeMap<&'static str, BTreeSet<IpAddr>> = BTreeMap::new();
        for (_, observation) in self.intake.log.iter() {
            if let Fact::Answer { ip, .. } = &observation.fact
                && let Some(suspect) = suspects.iter().find(|s| s.by == observation.source.word())
            {
                answered.entry(suspect.by).or_default().insert(*ip);
            }
        }
        let mut confirmed: BTreeSet<Prefix> = BTreeSet::new();
        // What is answered by errors is rationed: datagrams follow what echoes and SYNs showed.
        let (by_errors, by_answers): (Vec<_>, Vec<_>) =
            suspects.into_iter().partition(|suspect| suspect.by == "udp");
        for suspect in by_answers {
            let asked = match suspect.by {
                "tcp" => {
                    let scanned = self.port_scanned.iter();
                    scanned.filter(|a| suspect.area.targets.contains(**a)).count() as u128
                }
                _ => suspect.area.targets.count(),
            };
            let some = answered.get(suspect.by);
            let answers = some.into_iter().flatten();
            let answers = answers.filter(|a| suspect.area.targets.contains(**a)).count() as u128;
            if asked > 0 && answers.saturating_mul(100) >= asked.saturating_mul(MOSTLY) {
                confirmed.insert(suspect.area.prefix);
                self.put_ghosts(suspect);
            }
        }
        for suspect in by_errors {
            if confirmed.contains(&suspect.area.prefix) {
                self.put_ghosts(suspect);
            }
        }
    }

    fn put_ghosts(&mut self, suspect: Suspect) {
        let at = self.now();
        let Suspect { area, method, answers, .. } = suspect;
        for (ip, (mac, frames)) in answers {
            let fact = Fact::Ghost { prefix: area.prefix, ip, method: method.to_owned(), mac };
            self.intake.note(at, area.vantage, Source::Sweep, fact, &frames);
        }
    }
}

/// Of a hundred addresses, this many answer where somebody answers for all of them. The fullest
/// segments of real hosts have gaps; a responder loses at most what the network loses.
pub const MOSTLY: u128 = 98;

/// Ghosts of one prefix that all answered.
pub(super) struct Suspect {
    area: Area,
    /// The source of the answers, and the method that they void.
    by: &'static str,
    method: &'static str,
    answers: BTreeMap<IpAddr, (Mac, Vec<FrameNumber>)>,
}
