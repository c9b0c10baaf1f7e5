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
        for (area, ghosts) in &ghosts {
            if area.reach != Reach::OnLink
                && area.prefix.is_ipv4()
                && ghosts.len() == candidates::GHOSTS
            {
                self.haunted.push((area.clone(), ghosts.clone()));
            }
        }
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
        // A random interface identifier is nobody's; that one station has three random addresses of
        // a link is no chance either.
        let wide = !area.prefix.is_ipv4() && area.prefix.length() <= 96;
        if wide || area.reach == Reach::OnLink {
            self.put_ghosts(area, method, answers);
        }
        true
    }

    /// Suspicions that the whole prefix bears out: all its ghosts answered, and nearly every address that
    /// was asked. The ghosts are among those that were asked again with the prefix, so one that
    /// was lost at first is no miss.
    pub(super) fn confirm_ghosts(&mut self) {
        let haunted = std::mem::take(&mut self.haunted);
        if haunted.is_empty() {
            return;
        }
        let mut answered: BTreeMap<&'static str, Answers> = BTreeMap::new();
        for (_, observation) in self.intake.log.iter() {
            let by = observation.source.word();
            if let Fact::Answer { ip, mac, .. } = &observation.fact
                && matches!(by, "icmp" | "tcp")
                && haunted.iter().any(|(area, _)| area.prefix.contains(*ip))
            {
                let answers = answered.entry(by).or_default();
                answers.entry(*ip).or_insert_with(|| (*mac, observation.frames.clone()));
            }
        }
        for (area, ghosts) in haunted {
            let mut shown: Option<Answers> = None;
            for by in ["icmp", "tcp"] {
                let Some(all) = answered.get(by) else { continue };
                let answers: Answers = ghosts
                    .iter()
                    .filter_map(|ghost| Some((*ghost, all.get(ghost)?.clone())))
                    .collect();
                let asked = match by {
                    "tcp" => {
                        let scanned = self.port_scanned.iter();
                        scanned.filter(|a| area.targets.contains(**a)).count() as u128
                    }
                    _ => area.targets.count(),
                };
                let there = all.keys().filter(|ip| area.targets.contains(**ip)).count() as u128;
                let nearly_all =
                    asked > 0 && there.saturating_mul(100) >= asked.saturating_mul(MOSTLY);
                if answers.len() < ghosts.len() || !nearly_all {
                    continue;
                }
                if by == "icmp" {
                    // A hop ladder ends in an echo like any other.
                    self.put_ghosts(&area, "traceroute", answers.clone());
                }
                self.put_ghosts(&area, by, answers.clone());
                shown.get_or_insert(answers);
            }
            // Datagrams are answered by errors, and those are rationed: who answers everything else
            // answers them too.
            if let Some(answers) = shown {
                self.put_ghosts(&area, "udp", answers);
            }
        }
    }

    fn put_ghosts(&mut self, area: &Area, method: &str, answers: Answers) {
        let at = self.now();
        for (ip, (mac, frames)) in answers {
            let fact = Fact::Ghost { prefix: area.prefix, ip, method: method.to_owned(), mac };
            self.intake.note(at, area.vantage, Source::Sweep, fact, &frames);
        }
    }
}

/// Of a hundred addresses, this many answer where somebody answers for all of them. The fullest
/// segments of real hosts have gaps; a responder loses at most what the network loses.
pub const MOSTLY: u128 = 98;

/// Who answered: by which MAC, and what shows it.
type Answers = BTreeMap<IpAddr, (Mac, Vec<FrameNumber>)>;
