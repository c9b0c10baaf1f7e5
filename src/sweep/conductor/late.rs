//! Listening to the end, and whoever was heard only meanwhile.

use super::*;

impl Conductor<'_> {
    /// Whoever was heard only after its pass; whether there was anybody.
    pub(super) fn newcomers(&mut self) -> Result<bool, Halt> {
        let sent = self.world.fence().counts().sent;
        for station in &self.orders.stations {
            if self.orders.profile.discovery.mld_query
                && self.orders.profile.authorisation.risk >= 2
                && self.intake.live.queriers.contains(&station.id)
            {
                self.ask_link_wide(station, "mld-query", &link_wide::mld(station))?;
            }
            let heard: BTreeSet<Prefix> = self
                .intake
                .live
                .on_link
                .get(&station.id)
                .into_iter()
                .flatten()
                .copied()
                .filter(|prefix| prefix.is_ipv4())
                .collect();
            let scope = self.orders.share();
            let fresh: Vec<Prefix> = heard
                .into_iter()
                .filter(|prefix| {
                    scope.overlaps(*prefix)
                        && !self.territory.full.iter().any(|a| a.prefix.covers(*prefix))
                })
                .collect();
            if !fresh.is_empty() && self.orders.uses(Method::Arp) {
                // Prefixes that DHCP or OSPF named as this link's own.
                let areas: Vec<Area> = fresh
                    .into_iter()
                    .flat_map(|prefix| self.learnt_on_link(prefix, station.id))
                    .collect();
                self.territory.full.extend(areas.iter().cloned());
                self.ask_ghosts("arp", station, &areas)?;
                self.ask_areas("arp-learnt", "arp", station, &areas, 2)?;
            }
            if self.orders.uses(Method::Ndp) {
                self.solicit(station, "ndp-again")?;
            }
            if self.orders.uses(Method::Icmp) {
                let live = self.live_on_link(station.id, Family::Ipv4, LinkLocal::LeftOut);
                self.echo_live("icmp-again", "icmp", station, live)?;
            }
            if self.orders.uses(Method::Icmpv6) {
                let live = self.live_on_link(station.id, Family::Ipv6, LinkLocal::Too);
                self.echo_live("icmpv6-again", "icmpv6", station, live)?;
            }
            let live = self.live(station.id);
            self.scan_ports(station, "-again", live)?;
        }
        self.forwarding()?;
        Ok(self.world.fence().counts().sent > sent)
    }

    /// Listens to the end of the least listening time, and as long as DHCP servers take to offer.
    pub(super) fn listen(&mut self) -> Result<(), Halt> {
        let least = Duration::from_secs(u64::from(self.orders.profile.passive.seconds));
        let until = least.max(self.dhcp_until);
        if self.world.now() >= until {
            return Ok(());
        }
        self.reporter.pass("listen", "", 0);
        let mut eye = Eye::new(&mut self.intake, self.reporter);
        eye.until = Some((until, Instant::now(), until.saturating_sub(self.world.now())));
        let heard = scan::listen(&self.recogniser, &mut self.world, &mut eye, until);
        heard.map_err(|fault| Halt::Link(fault.to_string()))?;
        if self.reporter.stopping() { Err(Halt::Stopped) } else { Ok(()) }
    }
}
