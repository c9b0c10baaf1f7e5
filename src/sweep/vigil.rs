//! Listening on links without an end: one thread reads frames, another judges what they add up to.
//!
//! The two share nothing but a channel of one place. The listening thread puts facts into a young log of its own. About once a second it hands
//! copies of what is new to whoever judges, so that a finding appears within seconds; at each interval it hands over the whole log, with
//! the frames that it names, and begins with an empty one ([`Remembered`](super::remembered::Remembered) folds them together). It never waits
//! for the judge: while the place is taken it goes on listening, and hands over more later. What it holds meanwhile is bounded by the
//! limits of the listener, which count from nothing again with each log.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::conductor::{End, SweepError, inventoried};
use super::intake::{Intake, lock};
use super::spool::Spool;
use super::tape::Tape;
use super::vantage::Station;
use crate::inventory;
use crate::link::{self, Filter, Io, LinkError, Receive, privilege};
use crate::net::Prefix;
use crate::observe::{Fact, Log, Observation, Source, VantageId};

/// The longest sleep: how late a stop may be noticed.
const PATIENCE: Duration = Duration::from_millis(100);
/// Between two looks at what is new. A finding waits so long, and as long as judging takes.
const NEWS: Duration = Duration::from_secs(1);
/// Facts handed over at once: copying them takes some tens of milliseconds, as long as the ring holds a million frames a second. A guess.
const MOST_NEWS: usize = 65_536;
/// Octets of each link's ring: seconds of 50,000 frames a second. A machine that does much else lets the listening thread wait for so
/// long, and keeping frames waits for the disk (measured at a load of 13 on two cores: 16 MiB lost one frame in twenty).
const RING: usize = 64 << 20;
/// Octets of frames kept between two hand-overs.
pub const MOST_FRAMES: u64 = 256 << 20;

/// Open links, and nothing that could send.
pub struct Vigil {
    stations: Vec<Station>,
    receivers: Vec<(VantageId, Box<dyn Receive>)>,
    intake: Intake,
    tape: Arc<Mutex<Tape>>,
}

/// How long, and until when.
pub struct Watching<'a> {
    pub stop: &'a AtomicBool,
    pub until: Option<Duration>,
    pub interval: Duration,
    pub counters: &'a Counters,
}

/// What the listening thread tells while it works.
#[derive(Debug, Default)]
pub struct Counters {
    pub frames: AtomicU64,
    /// Frames that the kernel threw away unread, of all links.
    pub dropped: AtomicU64,
}

/// What is handed to whoever judges.
pub enum Handed {
    /// Facts that are new since the last hand-over, as often as they were seen when they were new: once.
    News(Vec<Observation>),
    /// Everything since the last cut.
    Cut(Box<Cut>),
    /// The last one.
    End(Box<Cut>, End),
}

/// An interval's observations and frames.
pub struct Cut {
    pub log: Log,
    pub spool: Spool,
    /// So many of them, the first, were handed over as news before.
    pub told: usize,
    /// By interface: frames that the kernel dropped since the listening began.
    pub dropped: Vec<(String, u64)>,
    /// Why frames could not be kept.
    pub fault: Option<String>,
}

impl Vigil {
    /// Opens the links, then gives up every right. `out` is where results will be written.
    pub fn open(
        stations: &[Station],
        io: Option<Io>,
        filter: Filter,
        out: &Path,
    ) -> Result<Vigil, SweepError> {
        let options = link::Options { filter, ring: RING, ..link::Options::default() };
        let mut receivers: Vec<(VantageId, Box<dyn Receive>)> = Vec::new();
        for station in stations {
            let io = io.unwrap_or(Io::Ring);
            receivers.push((station.id, link::open_receive(&station.interface, io, &options)?));
        }
        let failed = |path: &Path| {
            let path = path.display().to_string();
            move |cause| SweepError::Io { path, cause }
        };
        privilege::create_folder(out).map_err(failed(out))?;
        privilege::drop_for(out)?;
        let spool = Spool::temporary().map_err(failed(&std::env::temp_dir()))?;
        let tape = Arc::new(Mutex::new(Tape::new(spool.at_most(MOST_FRAMES), [])));
        let own = stations.iter().map(|station| station.mac).collect();
        let intake = Intake::new(Log::default(), Arc::clone(&tape), own);
        Ok(Vigil { stations: stations.to_vec(), receivers, intake, tape })
    }

    pub fn vantages(&self) -> Vec<inventory::Vantage> {
        let stations = self.stations.iter();
        stations.map(|s| inventoried(Some(s.mac), &s.interface, &s.addresses)).collect()
    }

    /// Listens until it is stopped, until the time is over, or until a link fails. `turned` is called several times a second, as long as
    /// frames are really being read.
    pub fn listen(
        mut self,
        watching: &Watching<'_>,
        to: &SyncSender<Handed>,
        turned: &mut dyn FnMut(),
    ) {
        let began = Instant::now();
        let (mut cut_at, mut news_at) = (began, began);
        let mut told = 0;
        let mut pending: Option<Handed> = None;
        self.stand();
        let end = loop {
            if watching.stop.load(Ordering::Relaxed)
                || watching.until.is_some_and(|until| began.elapsed() >= until)
            {
                // Listening without an end is ended by a stop: that is its end.
                break End::Complete;
            }
            if let Err(fault) = self.receive() {
                break End::Failed(fault.to_string());
            }
            watching.counters.frames.store(self.intake.received, Ordering::Relaxed);
            if let Some(handed) = pending.take() {
                match to.try_send(handed) {
                    Ok(()) => {}
                    Err(TrySendError::Full(back)) => pending = Some(back),
                    // Nobody judges any more.
                    Err(TrySendError::Disconnected(_)) => return,
                }
            }
            if news_at.elapsed() >= NEWS {
                news_at = Instant::now();
                let dropped = self.dropped().iter().map(|(_, dropped)| dropped).sum();
                watching.counters.dropped.store(dropped, Ordering::Relaxed);
                if pending.is_none() && cut_at.elapsed() >= watching.interval {
                    if let Some(cut) = self.cut(told) {
                        (cut_at, told) = (Instant::now(), 0);
                        pending = Some(Handed::Cut(Box::new(cut)));
                        self.stand();
                    }
                } else if pending.is_none() {
                    let news = self.intake.log.since(told);
                    let news: Vec<_> = news.iter().take(MOST_NEWS).map(once).collect();
                    told += news.len();
                    pending = (!news.is_empty()).then_some(Handed::News(news));
                }
            }
            turned();
        };
        if let Some(handed) = pending
            && to.send(handed).is_err()
        {
            return;
        }
        if let Some(cut) = self.cut(told) {
            let _ = to.send(Handed::End(Box::new(cut), end));
        }
    }

    /// Puts down where we stand.
    fn stand(&mut self) {
        let at = Timestamp::now();
        for station in &self.stations {
            for &(address, length) in &station.addresses {
                let prefix = Prefix::of(address, length);
                let fact = Fact::Interface { address, prefix, mac: station.mac };
                self.intake.note(at, station.id, Source::Interface, fact, &[]);
            }
        }
    }

    /// Takes what waits at every link.
    fn receive(&mut self) -> Result<(), LinkError> {
        let Vigil { receivers, intake, .. } = self;
        let several = receivers.len() > 1;
        if several {
            let views: Vec<&dyn Receive> = receivers.iter().map(|(_, r)| r.as_ref()).collect();
            link::wait_any(&views, PATIENCE)?;
        }
        for (vantage, receiver) in receivers {
            let patience = if several { Duration::ZERO } else { PATIENCE };
            receiver.receive(patience, &mut |captured| {
                if !captured.outgoing {
                    let link_type = crate::wire::LinkType::ETHERNET;
                    let (at, length) = (captured.at, captured.length);
                    intake.heard(*vantage, at, link_type, captured.bytes, length, None);
                }
            })?;
        }
        Ok(())
    }

    fn dropped(&mut self) -> Vec<(String, u64)> {
        let receivers = self.receivers.iter_mut();
        receivers
            .map(|(_, receiver)| (receiver.interface().to_owned(), receiver.dropped().unwrap_or(0)))
            .collect()
    }

    /// Everything so far, and an empty log to go on with. `None` where no new file can be had: then the old one is gone on with.
    fn cut(&mut self, told: usize) -> Option<Cut> {
        let (next, fault) = {
            let mut tape = lock(&self.tape);
            let flushed = tape.spool.flush();
            tape.note(flushed);
            (tape.spool.next_number(), tape.fault().map(ToString::to_string))
        };
        let spool = Spool::temporary_from(next).ok()?.at_most(MOST_FRAMES);
        let (log, spool) = self.intake.cut(spool);
        Some(Cut { log, spool, told, dropped: self.dropped(), fault })
    }
}

/// As it was when it was new. How often it was seen since is told by the cut.
fn once(observation: &Observation) -> Observation {
    Observation { count: 1, ..observation.clone() }
}
