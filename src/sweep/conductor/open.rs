//! Opening a sweep: links first, then the record, then the capabilities go; foreign bytes are read last.

use super::egress::Ways;
use super::receipts::WitnessLog;
use super::*;
use crate::egress::token::EgressKey;
use crate::link::Sharing;

impl<'a> Conductor<'a> {
    pub(super) fn open(
        orders: &'a Orders,
        mut head: v1::Sweep,
        registry_json: Option<Vec<u8>>,
        reporter: &'a mut dyn Reporter,
    ) -> Result<Conductor<'a>, SweepError> {
        let at = |path: &std::path::Path| {
            let path = path.display().to_string();
            move |cause| SweepError::Io { path, cause }
        };
        privilege::create_folder(&orders.out).map_err(at(&orders.out))?;
        let digest = checkpoint::digest(orders);
        let mut state = State::fresh(&head, digest);
        let mut log = Log::default();
        let spool_path = checkpoint::spool_path(&orders.out);
        let spool = if orders.resume {
            (state, log) = State::load(&orders.out, digest)?;
            head.id = state.id.clone();
            head.started_at = state.started_at.clone();
            Spool::reopen(&spool_path).map_err(at(&spool_path))?
        } else {
            Spool::create(&spool_path).map_err(at(&spool_path))?
        };
        let _ = std::fs::File::open(&spool_path).and_then(|f| privilege::give_to_owner(&f));
        let canaries = &orders.profile.egress.canaries;
        let mut tape = Tape::new(spool, orders.addresses_of_interest())
            .with_canaries(canaries.iter().copied());
        tape.recall(state.questions());

        let ceilings = Ceilings::from(orders.profile.rate);
        let sends = orders.profile.authorisation.risk > 0;
        let sharing = if sends { share(&orders.stations, ceilings) } else { Ok(None) };
        let sharing = sharing.unwrap_or_else(|fault| {
            let text = fault.to_string();
            head.notices.push(v1::SweepNotice { code: "ceilings-not-shared".into(), text });
            None
        });
        let started_at = Timestamp::now();
        let began = Instant::now();
        let rules = rules(orders);
        let vantages = rules.vantages.clone();
        let mut fence = Fence::new(Guard::new(rules, started_at), ceilings);
        fence.resume(state.fragile.iter().copied());
        for (address, mac) in orders.stations_kept_from() {
            fence.know(address, mac);
        }
        for (_, observation) in log.iter() {
            if let Fact::Binding { ip, mac } = &observation.fact {
                fence.know(*ip, *mac);
            }
        }
        let mut receivers = Vec::new();
        let options = link::Options::default();
        for station in &orders.stations {
            let interface = &station.interface;
            let ((transmit, receive), io) = match orders.io {
                Some(io) => (link::open(interface, io, &options)?, io),
                None => {
                    let (halves, io, passed) = link::open_or_fall_back(interface, &options)?;
                    for link::NotTaken { io: passed, why } in passed {
                        let text = format!("{interface}: {passed} → {io}: {why}");
                        head.notices.push(v1::SweepNotice { code: "io-fallback".into(), text });
                    }
                    (halves, io)
                }
            };
            if !io.keeps_vlan_tags() {
                let text = format!("{interface}: {io}");
                head.notices.push(v1::SweepNotice { code: "no-vlan-tags".into(), text });
            }
            if let Some(vantage) = head.vantages.iter_mut().find(|v| v.interface == *interface) {
                vantage.io = Some(io.word().to_owned());
            }
            fence.add_link(station.id, transmit);
            receivers.push((station.id, receive));
        }
        let recogniser = match &state.recogniser {
            Some(record) => Recogniser::of_record(record)?,
            None => {
                let ports = SourcePorts::of_this_machine();
                Recogniser::new(SweepKey::random()?, ports, &vantages)
            }
        };
        let held = recogniser.ports().hold();
        let record = recogniser.record();
        let seed = record.key.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        if let Some(path) = &orders.record {
            let head = record::Head::new(
                head.clone(),
                orders.stations.iter().map(recorded).collect(),
                orders.profile.audit.severity.clone(),
                tape.interest(),
                canaries.clone(),
            );
            let registry = registry_json.as_deref();
            let recorder = if orders.resume {
                Recorder::go_on(path, &head, registry)
            } else {
                Recorder::create(path, &head, registry)
            };
            tape.record_with(recorder.map_err(at(path))?);
        }
        let witness_log = WitnessLog::open(orders.profile.egress.witness_log.as_ref());
        privilege::drop_for(&orders.out)?;

        let tape = Arc::new(Mutex::new(tape));
        let sending = Arc::clone(&tape);
        fence.on_sent(Box::new(move |vantage, now, bytes| {
            let at = started_at.checked_add(now).unwrap_or(started_at);
            lock(&sending).sent(vantage, at, bytes, bytes.len() as u32);
        }));
        // Without a key tokens are still told apart by us; the collector does not know them.
        let egress_key = match &orders.egress.key {
            Some(key) => key.clone(),
            None => EgressKey::random()?,
        };
        let ways = Ways::new(egress_key, &head.id, &log);
        let own = orders.stations.iter().map(|station| station.mac).collect();
        let intake = Intake::new(log, Arc::clone(&tape), own);
        let mut conductor = Conductor {
            territory: orders.territory(Vec::new()),
            orders,
            reporter,
            head,
            started_at,
            world: LiveWorld::new(fence, receivers, began).share(sharing),
            recogniser,
            care: Care::new(seed.unwrap_or_default()),
            intake,
            tape,
            state,
            why_not: BTreeMap::new(),
            asked: Vec::new(),
            haunted: Vec::new(),
            port_scanned: BTreeSet::new(),
            echoed: BTreeSet::new(),
            solicited: BTreeSet::new(),
            steered: BTreeSet::new(),
            explored: AddressSet::default(),
            learnt: BTreeSet::new(),
            saved: Instant::now(),
            between_saves: BETWEEN_SAVES,
            dhcp_until: Duration::ZERO,
            seed: seed.unwrap_or_default(),
            ways,
            witness_log,
            witness_faults: BTreeSet::new(),
            witness_remarks: BTreeMap::new(),
            _held: held,
        };
        conductor.world.watch_over(orders.stations.iter().map(Station::standing).collect());
        conductor.recall_asked();
        // From here on there is something to go on with, whatever ends this run.
        conductor.save();
        Ok(conductor)
    }

    /// What an earlier part of this sweep asked, from its log.
    pub(super) fn recall_asked(&mut self) {
        for (_, observation) in self.intake.log.iter() {
            if let Fact::Asked(asked) = &observation.fact {
                self.asked.push((observation.vantage, asked.clone()));
                let of = match asked.method.as_str() {
                    "ndp" => &mut self.solicited,
                    "icmpv6" => &mut self.echoed,
                    _ => continue,
                };
                of.extend(asked.addresses.iter().filter(|address| address.is_ipv6()));
            }
        }
    }
}

/// Takes a place among the sweeps of the same interfaces. Where there are others, it waits until they know.
pub fn share(stations: &[Station], ceilings: Ceilings) -> io::Result<Option<Sharing>> {
    if ceilings == Ceilings::unlimited() {
        return Ok(None);
    }
    let interfaces: Vec<u32> = stations.iter().map(|station| station.index).collect();
    let sharing = Sharing::join(&interfaces)?;
    if sharing.sweeps() > 1 {
        std::thread::sleep(link::SETTLING);
    }
    Ok(Some(sharing))
}
