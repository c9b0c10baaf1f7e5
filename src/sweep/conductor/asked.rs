//! What was asked, put down: the ground under every silence.

use super::*;

impl Conductor<'_> {
    pub(super) fn asked_by_candidates(
        &mut self,
        area: &Area,
        probe: &str,
        ports: &[u16],
        candidates: &Candidates,
        outcome: &Outcome,
    ) {
        if candidates.is_empty() || outcome.asked == 0 {
            return;
        }
        let done = outcome.interrupted.is_none();
        let proposed = candidates.by_source.iter().map(|(source, addresses)| Proposed {
            by: (*source).to_owned(),
            asked: addresses.len() as u64,
        });
        self.put_asked(
            area.vantage,
            Asked {
                prefix: area.prefix,
                method: probe.to_owned(),
                ports: numbered(probe, ports),
                asked: candidates.count() as u64,
                excluded: area.excluded,
                complete: false,
                addresses: if done { candidates.addresses().collect() } else { Vec::new() },
                proposed: proposed.collect(),
            },
        );
    }

    /// A part of an area was asked, of which no address is told one by one.
    pub(super) fn asked_in_part(
        &mut self,
        area: &Area,
        probe: &str,
        ports: &[u16],
        asked: u64,
        outcome: &Outcome,
    ) {
        if outcome.asked == 0 {
            return;
        }
        self.put_asked(
            area.vantage,
            Asked {
                prefix: area.prefix,
                method: probe.to_owned(),
                ports: numbered(probe, ports),
                asked,
                excluded: area.excluded,
                complete: false,
                addresses: Vec::new(),
                proposed: Vec::new(),
            },
        );
    }

    /// Single addresses were asked: they are listed under the areas that hold them.
    pub(super) fn asked_listed(
        &mut self,
        vantage: VantageId,
        probe: &str,
        ports: &[u16],
        addresses: &[IpAddr],
        outcome: &Outcome,
    ) {
        let fragile = self.orders.observe_only();
        let mut by_prefix: BTreeMap<Prefix, Vec<IpAddr>> = BTreeMap::new();
        let counted = |address: &&IpAddr| {
            !fragile.contains(**address) && !crate::net::special::is_link_local(**address)
        };
        for address in addresses.iter().filter(counted) {
            let area = self
                .territory
                .full
                .iter()
                .find(|area| area.vantage == vantage && area.prefix.contains(*address));
            let prefix = area.map_or_else(
                || Prefix::of(*address, if address.is_ipv4() { 24 } else { 64 }),
                |area| area.prefix,
            );
            by_prefix.entry(prefix).or_default().push(*address);
        }
        for (prefix, mut listed) in by_prefix {
            let area = self.territory.full.iter().find(|area| area.prefix == prefix);
            let excluded = area.map_or(0, |area| area.excluded);
            let asked = listed.len() as u64;
            listed.truncate(MOST_LISTED);
            if outcome.interrupted.is_some() {
                listed.clear();
            }
            self.put_asked(
                vantage,
                Asked {
                    prefix,
                    method: probe.to_owned(),
                    ports: numbered(probe, ports),
                    asked,
                    excluded,
                    complete: false,
                    addresses: listed,
                    proposed: Vec::new(),
                },
            );
        }
    }

    pub(super) fn put_asked(&mut self, vantage: VantageId, asked: Asked) {
        self.asked.push((vantage, asked.clone()));
        let at = self.now();
        self.intake.note(at, vantage, Source::Sweep, Fact::Asked(asked), &[]);
    }

    /// The questions to addresses of interest become evidence of having asked, once for each method
    /// that asked them to the end.
    pub(super) fn show_questions(&mut self) {
        let questions = lock(&self.tape).questions().clone();
        let at = self.now();
        for ((address, method), frames) in questions {
            let found = self.asked.iter().find(|(_, asked)| {
                asked.method == method
                    && asked.prefix.contains(address)
                    && (asked.complete || asked.addresses.contains(&address))
            });
            let Some((vantage, asked)) = found else { continue };
            let own =
                Asked { asked: 1, addresses: vec![address], proposed: Vec::new(), ..asked.clone() };
            self.intake.note(at, *vantage, Source::Sweep, Fact::Asked(own), &frames);
        }
    }
}
