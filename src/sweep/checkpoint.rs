//! An unfinished sweep on disk: what it was told, how far it came, and what it has seen.
//!
//! Three files of the result's folder: the state (JSON), the observations (as in a result), the spool
//! of frames. They are written when a sweep is interrupted and every few passes while it runs, so that a
//! killed sweep goes on too; a finished sweep removes state and spool. The state holds the token key of
//! this one sweep, so it is for its owner alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::orders::Orders;
use crate::observe::{FrameNumber, Log};
use crate::result::{Folder, names, observations, v1};
use crate::scan;

const STATE: &str = ".jiebei-state.json";
const SPOOL: &str = ".jiebei-spool";
const SCHEMA: &str = "jiebei.state/1";
/// A state lists passes and kept questions: a megabyte is much.
const MOST_OCTETS: u64 = 256 << 20;

#[derive(Debug, Error)]
pub enum ResumeError {
    #[error("{0}: there is no interrupted sweep here to go on with")]
    Nothing(String),
    #[error("{path}: {cause}")]
    Unreadable { path: String, cause: String },
    #[error("{0}: the interrupted sweep had other orders (profile, scope, interfaces or registry)")]
    OtherOrders(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct State {
    schema: String,
    pub id: String,
    pub started_at: String,
    /// Of the orders: a sweep with other orders is another sweep.
    digest: u64,
    pub done: BTreeSet<u64>,
    pub checkpoint: Option<scan::Checkpoint>,
    pub recogniser: Option<scan::Record>,
    pub fragile: Vec<IpAddr>,
    pub passes: Vec<v1::Pass>,
    questions: Vec<(IpAddr, String, Vec<FrameNumber>)>,
    pub sent: u64,
    pub received: u64,
    #[serde(skip)]
    pub sent_before: u64,
    #[serde(skip)]
    pub received_before: u64,
}

impl State {
    pub fn fresh(head: &v1::Sweep, digest: u64) -> State {
        State {
            schema: SCHEMA.to_owned(),
            id: head.id.clone(),
            started_at: head.started_at.clone(),
            digest,
            done: BTreeSet::new(),
            checkpoint: None,
            recogniser: None,
            fragile: Vec::new(),
            passes: Vec::new(),
            questions: Vec::new(),
            sent: 0,
            received: 0,
            sent_before: 0,
            received_before: 0,
        }
    }

    pub fn is_done(&self, pass: u64) -> bool {
        self.done.contains(&pass)
    }

    pub fn questions(&self) -> BTreeMap<(IpAddr, &'static str), Vec<FrameNumber>> {
        let word = |method: &str| {
            ["arp", "ndp", "icmp", "icmpv6", "tcp", "udp"].into_iter().find(|word| *word == method)
        };
        self.questions
            .iter()
            .filter_map(|(ip, method, frames)| Some(((*ip, word(method)?), frames.clone())))
            .collect()
    }

    pub fn put_questions(
        &mut self,
        questions: &BTreeMap<(IpAddr, &'static str), Vec<FrameNumber>>,
    ) {
        self.questions = questions
            .iter()
            .map(|((ip, method), frames)| (*ip, (*method).to_owned(), frames.clone()))
            .collect();
    }

    /// The interrupted sweep of a folder, if it had the same orders.
    pub fn load(out: &Path, digest: u64) -> Result<(State, Log), ResumeError> {
        let path = out.join(STATE);
        let shown = path.display().to_string();
        let unreadable = |path: &Path, cause: String| ResumeError::Unreadable {
            path: path.display().to_string(),
            cause,
        };
        let length = match fs::metadata(&path) {
            Ok(metadata) => metadata.len(),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(ResumeError::Nothing(out.display().to_string()));
            }
            Err(cause) => return Err(unreadable(&path, cause.to_string())),
        };
        if length > MOST_OCTETS {
            return Err(unreadable(&path, format!("{length} > {MOST_OCTETS}")));
        }
        let text = fs::read(&path).map_err(|cause| unreadable(&path, cause.to_string()))?;
        let mut state: State =
            serde_json::from_slice(&text).map_err(|cause| unreadable(&path, cause.to_string()))?;
        if state.schema != SCHEMA {
            return Err(unreadable(&path, state.schema.chars().take(64).collect()));
        }
        if state.digest != digest {
            return Err(ResumeError::OtherOrders(shown));
        }
        let kept = out.join(names::OBSERVATIONS);
        let (_, log) =
            observations::read(&kept).map_err(|cause| unreadable(&kept, cause.to_string()))?;
        state.sent_before = state.sent;
        state.received_before = state.received;
        Ok((state, log))
    }

    /// Observations first: a state never tells of more than they hold.
    pub fn save(&self, out: &Path, log: &Log) -> io::Result<()> {
        let own = |file: &fs::File| crate::link::privilege::give_to_owner(file);
        let folder = Folder::open(out, Some(&own))?;
        let header = observations::Header::new(&self.id, super::GENERATOR, log);
        folder.put(names::OBSERVATIONS, &mut |file| observations::write(&header, log, file))?;
        let temporary = out.join(format!("{STATE}.new"));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        own(&file)?;
        file.sync_all()?;
        fs::rename(&temporary, out.join(STATE))
    }
}

/// A finished sweep leaves only its result.
pub fn remove(out: &Path) {
    for name in [STATE, SPOOL] {
        let _ = fs::remove_file(out.join(name));
    }
}

pub fn spool_path(out: &Path) -> PathBuf {
    out.join(SPOOL)
}

/// What two runs must have in common to be one sweep. IPv6 addresses come and go by themselves: what was
/// tentative or a temporary one does not make another sweep.
pub fn digest(orders: &Orders) -> u64 {
    let mut hasher = siphasher::sip::SipHasher13::new();
    format!("{:?}", orders.profile).hash(&mut hasher);
    for station in &orders.stations {
        (&station.interface, station.mac).hash(&mut hasher);
        let lasting = station.addresses.iter().filter(|(address, _)| address.is_ipv4());
        lasting.for_each(|address| address.hash(&mut hasher));
    }
    if let Some(source) = &orders.registry_source {
        source.sha256.hash(&mut hasher);
    }
    orders.unit.hash(&mut hasher);
    orders.part.hash(&mut hasher);
    hasher.finish()
}
