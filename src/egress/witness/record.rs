//! From a token that was seen to a receipt in the log: what every part of the collector hands its finds to.
//!
//! ```text
//! capture ─┐                 bounded
//! names   ─┼─► Recorder ──► channel ──► writer ──► Journal
//! web     ─┘  (repeats go)
//! ```
//!
//! Nothing here waits for the disk but the writer. A full channel drops and counts.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::journal::Journal;
use crate::egress::receipt::{MOST_RAW, Receipt, SCHEMA};
use crate::egress::token::Token;

/// Receipts that wait for the disk: some 30 MiB at most.
const MOST_WAITING: usize = 1 << 16;
/// Receipts written and synced together.
const MOST_BATCH: usize = 4096;
/// How often one token is written down: the way doubles packets, resolvers ask again, relays try twice. The
/// sweep counts the first.
const MOST_OF_A_TOKEN: u8 = 4;
/// Tokens remembered for that, in each of two halves.
const MOST_REMEMBERED: usize = 1 << 17;
/// How long until a disk that failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the last receipts may take at the end.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

/// A token that reached us.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Timestamp,
    pub token: Token,
    pub canary: IpAddr,
    pub observed: IpAddr,
    pub observed_port: u16,
    pub port: u16,
    pub protocol: &'static str,
    pub hop_limit: u8,
    /// From the IP header on, cut at [`MOST_RAW`].
    pub raw: Box<[u8]>,
    pub relayed: String,
}

impl Seen {
    pub fn receipt(&self, n: u64) -> Receipt {
        let raw = self.raw.get(..MOST_RAW).unwrap_or(&self.raw);
        Receipt {
            schema: SCHEMA.to_owned(),
            n,
            at: self.at,
            canary: self.canary,
            observed: self.observed,
            observed_port: self.observed_port,
            port: self.port,
            protocol: self.protocol.to_owned(),
            hop_limit: self.hop_limit,
            field: self.token.field,
            token: self.token.to_hex(),
            raw: data_encoding::HEXLOWER.encode(raw),
            relayed: self.relayed.clone(),
        }
    }
}

/// What the collector did since its start. Grows only.
#[derive(Debug, Default)]
pub struct Counters {
    pub received: AtomicU64,
    pub recognised: AtomicU64,
    pub repeated: AtomicU64,
    pub logged: AtomicU64,
    pub dropped_by_kernel: AtomicU64,
    pub dropped_here: AtomicU64,
    /// The disk refuses what is written.
    pub log_fails: AtomicBool,
}

/// [`Counters`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Frames that the kernel let through to us.
    pub received: u64,
    /// Tokens with a right seal.
    pub recognised: u64,
    /// Of those, not written down because the token was written often enough.
    pub repeated: u64,
    /// Receipts on the disk.
    pub logged: u64,
    /// Frames that the kernel threw away because we were too slow.
    pub dropped_by_kernel: u64,
    /// Receipts thrown away because the disk was too slow, or full.
    pub dropped_here: u64,
    #[serde(default)]
    pub log_fails: bool,
}

impl Counters {
    pub fn now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            received: read(&self.received),
            recognised: read(&self.recognised),
            repeated: read(&self.repeated),
            logged: read(&self.logged),
            dropped_by_kernel: read(&self.dropped_by_kernel),
            dropped_here: read(&self.dropped_here),
            log_fails: self.log_fails.load(Ordering::Relaxed),
        }
    }
}

/// How often each token was seen of late: two halves, of which the older goes when the newer is full.
#[derive(Debug, Default)]
struct Recent {
    newer: HashMap<Token, u8>,
    older: HashMap<Token, u8>,
}

impl Recent {
    /// Whether this token may be written down once more.
    fn admit(&mut self, token: Token, most: usize) -> bool {
        if let Some(times) = self.newer.get_mut(&token) {
            *times = times.saturating_add(1);
            return *times <= MOST_OF_A_TOKEN;
        }
        if self.newer.len() >= most {
            self.older = std::mem::take(&mut self.newer);
        }
        let times = self.older.get(&token).copied().unwrap_or(0).saturating_add(1);
        self.newer.insert(token, times);
        times <= MOST_OF_A_TOKEN
    }
}

/// The end that takes what was seen. Cheap to clone, never waits.
#[derive(Clone)]
pub struct Recorder {
    sender: SyncSender<Seen>,
    recent: Arc<Mutex<Recent>>,
    pub counters: Arc<Counters>,
}

impl Recorder {
    pub fn new() -> (Recorder, Receiver<Seen>) {
        let (sender, receiver) = sync_channel(MOST_WAITING);
        (Recorder { sender, recent: Arc::default(), counters: Arc::default() }, receiver)
    }

    pub fn record(&self, seen: Seen) {
        self.counters.recognised.fetch_add(1, Ordering::Relaxed);
        let admitted = self
            .recent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .admit(seen.token, MOST_REMEMBERED);
        if !admitted {
            self.counters.repeated.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.sender.try_send(seen)
        {
            self.counters.dropped_here.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes what comes until every [`Recorder`] is gone. On a disk that fails it tries the same receipts again
/// each second; at the end it does so for a little while only. Returns the last error of the disk, if it still stood.
pub fn write(
    mut journal: Journal,
    receiver: &Receiver<Seen>,
    counters: &Counters,
    fault: &Mutex<Option<String>>,
    stop: &AtomicBool,
) -> Option<io::Error> {
    let mut batch = Vec::new();
    loop {
        match receiver.recv_timeout(Duration::from_secs(60)) {
            Ok(seen) => batch.push(seen),
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return None,
        }
        batch.extend(receiver.try_iter().take(MOST_BATCH - 1));
        let mut stopped_at: Option<Instant> = None;
        while let Err(error) = journal.append(&batch) {
            *fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
            counters.log_fails.store(true, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) {
                let since = *stopped_at.get_or_insert_with(Instant::now);
                if since.elapsed() >= LAST_PATIENCE {
                    counters.dropped_here.fetch_add(batch.len() as u64, Ordering::Relaxed);
                    return Some(error);
                }
            }
            std::thread::sleep(RETRY);
        }
        counters.log_fails.store(false, Ordering::Relaxed);
        counters.logged.fetch_add(batch.len() as u64, Ordering::Relaxed);
        batch.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Carrier;

    #[test]
    fn a_repeated_token_is_written_a_few_times_and_the_memory_is_bounded() {
        let mut recent = Recent::default();
        let token = |bits| Token { field: Carrier::Ntp, bits };
        let admitted = (0..100).filter(|_| recent.admit(token(1), 64)).count();
        assert_eq!(admitted, usize::from(MOST_OF_A_TOKEN));
        for bits in 2..10_000 {
            assert!(recent.admit(token(bits), 64));
        }
        assert!(recent.newer.len() <= 64 && recent.older.len() <= 64);
    }

    #[test]
    fn a_full_channel_drops_and_counts_and_never_waits() {
        let (recorder, _receiver) = Recorder::new();
        let seen = |bits| Seen {
            at: Timestamp::UNIX_EPOCH,
            token: Token { field: Carrier::Ntp, bits },
            canary: [198, 51, 100, 10].into(),
            observed: [203, 0, 113, 7].into(),
            observed_port: 123,
            port: 123,
            protocol: "udp",
            hop_limit: 60,
            raw: Box::default(),
            relayed: String::new(),
        };
        for bits in 0..MOST_WAITING as u128 + 5 {
            recorder.record(seen(bits));
        }
        let counts = recorder.counters.now();
        assert_eq!((counts.recognised, counts.dropped_here), (MOST_WAITING as u64 + 5, 5));
    }
}
