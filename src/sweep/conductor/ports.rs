//! Ports of whoever is there.

use super::*;

impl Conductor<'_> {
    /// TCP and UDP ports of whoever is there.
    pub(super) fn ports(&mut self) -> Result<(), Halt> {
        for station in &self.orders.stations {
            if self.orders.uses(Method::Tcp)
                && !self.orders.profile.discovery.tcp_ports.0.is_empty()
            {
                self.discover_by_tcp(station)?;
            }
            let live = self.live(station.id);
            self.scan_ports(station, "", live)?;
        }
        Ok(())
    }

    /// Routed addresses that answered no echo are asked for a few ports.
    pub(super) fn discover_by_tcp(&mut self, station: &Station) -> Result<(), Halt> {
        let in_full = full_port_areas(&self.territory, station.id);
        let mut silent = AddressSet::default();
        let routed = self.routed(Family::Ipv4, station.id);
        for area in &routed {
            silent = silent.or(&area.targets);
        }
        let answered = AddressSet::of_addresses(self.intake.live.answered.iter().copied());
        let silent = silent.minus(&in_full).minus(&answered);
        if silent.is_empty() {
            return Ok(());
        }
        let targets = Targets::Addresses(silent.clone());
        let outcome =
            self.run("tcp-discovery", "tcp", station, targets, DISCOVERY_PORTS, 1, None)?;
        for area in &routed {
            let count = area.targets.and(&silent).count();
            if count > 0 {
                let count = u64::try_from(count).unwrap_or(u64::MAX);
                self.asked_in_part(area, "tcp", DISCOVERY_PORTS, count, &outcome);
            }
        }
        Ok(())
    }

    pub(super) fn scan_ports(
        &mut self,
        station: &Station,
        suffix: &'static str,
        live: AddressSet,
    ) -> Result<(), Halt> {
        let tcp = self.orders.profile.discovery.tcp_ports.0.clone();
        let udp = self.orders.profile.discovery.udp_ports.0.clone();
        let fresh: Vec<IpAddr> = live.iter().filter(|a| !self.port_scanned.contains(a)).collect();
        let silent = full_port_areas(&self.territory, station.id);
        let mut everyone = AddressSet::of_addresses(fresh.iter().copied());
        if suffix.is_empty() {
            everyone = everyone.or(&silent);
        }
        if everyone.is_empty() {
            return Ok(());
        }
        self.port_scanned.extend(everyone.iter());
        if self.orders.uses(Method::Tcp) && !tcp.is_empty() {
            let targets = Targets::Addresses(everyone.clone());
            let outcome = self.run(join("tcp", suffix), "tcp", station, targets, &tcp, 2, None)?;
            let all: Vec<IpAddr> = everyone.iter().collect();
            self.asked_listed(station.id, "tcp", &tcp, &all, &outcome);
        }
        if self.orders.uses(Method::Udp) && !udp.is_empty() && !fresh.is_empty() {
            let targets = Targets::Addresses(AddressSet::of_addresses(fresh.iter().copied()));
            let outcome = self.run(join("udp", suffix), "udp", station, targets, &udp, 2, None)?;
            self.asked_listed(station.id, "udp", &udp, &fresh, &outcome);
        }
        Ok(())
    }
}
