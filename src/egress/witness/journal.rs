//! The log: receipts appended by one thread, acknowledged once they are on the disk, rotated within a bound.
//!
//! ```text
//! FILE          what is written now
//! FILE.1 … .3   older ones, in no order: what they hold says which is the oldest
//! ```
//!
//! All four are opened at the start, since afterwards the folder need not be ours. Rotation copies FILE over
//! the oldest of them, syncs it, and then cuts FILE to nothing. Killed at any moment, the copy is a beginning of
//! FILE, which still is whole: so at the start a file that begins with the same number as FILE is taken for nothing.
//!
//! **Acknowledged** means: written, synced, and only then put into the [`Shelf`], which is all that the interface
//! hands out. A batch that fails in part is cut off again and tried anew, so that n and chain have no holes.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use thiserror::Error;

use super::Seen;
use super::sign::Signer;
use crate::egress::receipt::{self, BadEntry, GENESIS, MOST_LINE};
use crate::egress::token::{EgressKey, Token};

/// Files a log has, FILE itself the first.
pub const FILES: usize = 4;
/// Entries that the interface finds; the oldest go first. An entry takes some 600 octets in the log and 64 here.
const MOST_INDEXED: usize = 1_000_000;
/// How much may stand behind the last whole entry and be cut off: more was never one write.
const MOST_TORN: u64 = 32 << 20;

#[derive(Debug, Error)]
pub enum JournalError {
    #[error("{path}: {cause}")]
    File { path: String, cause: io::Error },
    #[error("{0} is no file")]
    NotAFile(String),
    #[error("{0} is written by another collector")]
    InUse(String),
    #[error("{0} was written with another egress key")]
    OtherKey(String),
    #[error("{path}, line {line}: {what}")]
    Broken { path: String, line: u64, what: String },
    #[error("{0} and the files beside it do not follow one another: entries are missing")]
    Gap(String),
}

/// An entry's place.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    pub n: u64,
    pub token: Token,
    generation: u64,
    offset: u64,
    length: u16,
}

/// One of the files, and which part of the log it holds: rotation moves a part from FILE to another.
struct Segment {
    file: File,
    generation: u64,
}

struct Inside {
    segments: Vec<Segment>,
    index: VecDeque<Place>,
}

/// What is acknowledged, for the interface to read while the log is written.
pub struct Shelf(RwLock<Inside>);

impl Shelf {
    /// The places of the entries behind `after` that `is_wanted` takes.
    pub fn find(&self, after: u64, is_wanted: &dyn Fn(Token) -> bool) -> Vec<Place> {
        let inside = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let from = inside.index.partition_point(|place| place.n <= after);
        inside.index.range(from..).filter(|place| is_wanted(place.token)).copied().collect()
    }

    /// The lines at these places; those that were rotated away meanwhile are left out.
    pub fn read(&self, places: &[Place]) -> io::Result<Vec<u8>> {
        let inside = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut lines = Vec::new();
        for place in places {
            let Some(segment) =
                inside.segments.iter().find(|segment| segment.generation == place.generation)
            else {
                continue;
            };
            let start = lines.len();
            lines.resize(start + usize::from(place.length), 0);
            if let Some(room) = lines.get_mut(start..) {
                segment.file.read_exact_at(room, place.offset)?;
            }
        }
        Ok(lines)
    }
}

/// Where receipts go.
enum Output {
    Files { length: u64, most: u64, shelf: Arc<Shelf> },
    Stream(Box<dyn Write + Send>),
}

/// The writing end.
pub struct Journal {
    key: EgressKey,
    signer: Option<Signer>,
    output: Output,
    /// Of the last entry.
    n: u64,
    chain: [u8; 32],
}

/// The names of a log's files.
pub fn paths(path: &Path) -> Vec<PathBuf> {
    let beside = |ending: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{ending}"));
        PathBuf::from(name)
    };
    std::iter::once(path.to_owned()).chain((1..FILES).map(beside)).collect()
}

impl Journal {
    /// Lines to a stream, a log that begins anew.
    pub fn to_stream(
        stream: Box<dyn Write + Send>,
        key: EgressKey,
        signer: Option<Signer>,
    ) -> Journal {
        Journal { key, signer, output: Output::Stream(stream), n: 0, chain: GENESIS }
    }

    /// Opens a log and its rotated files, checks every entry, and goes on behind the last. Says how many octets
    /// of a torn line were cut off.
    ///
    /// `keep` is the most octets of all files together.
    pub fn open(
        path: &Path,
        key: EgressKey,
        keep: u64,
        signer: Option<Signer>,
    ) -> Result<(Journal, u64), JournalError> {
        let mut segments = Vec::new();
        let mut surveys = Vec::new();
        for (place, path) in paths(path).iter().enumerate() {
            let file = open(path)?;
            if place == 0 {
                lock(&file, path)?;
            }
            // Rotated files are never torn, but where FILE still holds all that they begin with.
            surveys.push(survey(&file, path, &key, place as u64)?);
            segments.push(Segment { file, generation: place as u64 });
        }
        let first_of_current = surveys.first().and_then(|survey| survey.first);
        let mut order: Vec<usize> = (1..FILES).collect();
        order.retain(|place| {
            let first = surveys.get(*place).and_then(|survey| survey.first);
            first.is_some() && first.map(|(n, _)| n) != first_of_current.map(|(n, _)| n)
        });
        order.sort_by_key(|place| surveys.get(*place).and_then(|survey| survey.first));
        order.push(0);
        let mut index = VecDeque::new();
        let (mut n, mut chain) = (0, None);
        let mut cut = 0;
        for place in order {
            let Some(survey) = surveys.get_mut(place) else { continue };
            if let Some((first, previous)) = survey.first {
                if chain.is_some_and(|chain| chain != previous) || first <= n {
                    return Err(JournalError::Gap(path.display().to_string()));
                }
                (n, chain) = (survey.last.0, Some(survey.last.1));
            }
            if survey.torn > 0 {
                if place != 0 {
                    return Err(survey.broken());
                }
                cut = survey.torn;
            }
            index.append(&mut survey.places);
        }
        while index.len() > MOST_INDEXED {
            index.pop_front();
        }
        let length = surveys.first().map_or(0, |survey| survey.length);
        if let Some(current) = segments.first().filter(|_| cut > 0) {
            let fault = |cause| JournalError::File { path: path.display().to_string(), cause };
            current.file.set_len(length).map_err(fault)?;
        }
        let shelf = Arc::new(Shelf(RwLock::new(Inside { segments, index })));
        let output = Output::Files { length, most: keep / FILES as u64, shelf };
        Ok((Journal { key, signer, output, n, chain: chain.unwrap_or(GENESIS) }, cut))
    }

    /// What the interface reads from; a stream has none.
    pub fn shelf(&self) -> Option<Arc<Shelf>> {
        match &self.output {
            Output::Files { shelf, .. } => Some(Arc::clone(shelf)),
            Output::Stream(_) => None,
        }
    }

    /// Gives the files to a user, by descriptor.
    pub fn give_to(&self, uid: u32, gid: u32) -> io::Result<()> {
        if let Output::Files { shelf, .. } = &self.output {
            let inside = shelf.0.read().unwrap_or_else(PoisonError::into_inner);
            for segment in &inside.segments {
                std::os::unix::fs::fchown(&segment.file, Some(uid), Some(gid))?;
            }
        }
        Ok(())
    }

    /// Writes receipts and acknowledges them. On an error nothing of them is in the log, and they may be given again.
    pub fn append(&mut self, batch: &[Seen]) -> io::Result<()> {
        let (mut n, mut chain) = (self.n, self.chain);
        let mut text = String::new();
        let mut places = Vec::with_capacity(batch.len());
        for seen in batch {
            n += 1;
            let receipt = seen.receipt(n);
            let signer = self.signer.as_ref();
            let (line, value) = receipt::write(&self.key, &chain, &receipt, &mut |chain| {
                signer.and_then(|signer| signer.sign(chain))
            })?;
            let length = u16::try_from(line.len() + 1).map_err(io::Error::other)?;
            let offset = text.len() as u64;
            places.push(Place { n, token: seen.token, generation: 0, offset, length });
            text.push_str(&line);
            text.push('\n');
            chain = value;
        }
        match &mut self.output {
            Output::Stream(stream) => {
                stream.write_all(text.as_bytes())?;
                stream.flush()?;
            }
            Output::Files { length, most, shelf } => {
                if *length > 0 && *length + text.len() as u64 > *most {
                    rotate(shelf, *length)?;
                    *length = 0;
                }
                write(shelf, text.as_bytes(), *length)?;
                acknowledge(shelf, &mut places, *length);
                *length += text.len() as u64;
            }
        }
        (self.n, self.chain) = (n, chain);
        Ok(())
    }
}

fn write(shelf: &Shelf, text: &[u8], at: u64) -> io::Result<()> {
    let inside = shelf.0.read().unwrap_or_else(PoisonError::into_inner);
    let Some(current) = inside.segments.first() else { return Ok(()) };
    let written = current.file.write_all_at(text, at).and_then(|()| current.file.sync_data());
    if written.is_err() {
        // What was written in part must not stand before what comes next; if even this fails, the next
        // write begins at the same place.
        let _ = current.file.set_len(at);
    }
    written
}

fn acknowledge(shelf: &Shelf, places: &mut Vec<Place>, start: u64) {
    let mut inside = shelf.0.write().unwrap_or_else(PoisonError::into_inner);
    let generation = inside.segments.first().map_or(0, |segment| segment.generation);
    for place in places.iter_mut() {
        place.generation = generation;
        place.offset += start;
    }
    inside.index.extend(places.drain(..));
    while inside.index.len() > MOST_INDEXED {
        inside.index.pop_front();
    }
}

/// Copies FILE over the oldest of the others and empties it.
fn rotate(shelf: &Shelf, length: u64) -> io::Result<()> {
    let mut inside = shelf.0.write().unwrap_or_else(PoisonError::into_inner);
    let inside = &mut *inside;
    // The oldest is free, or holds the entries that the index begins with.
    let first_of = |generation: u64| {
        inside.index.iter().find(|place| place.generation == generation).map_or(0, |place| place.n)
    };
    let oldest = (1..inside.segments.len())
        .min_by_key(|place| inside.segments.get(*place).map_or(0, |s| first_of(s.generation)));
    let next = inside.segments.iter().map(|segment| segment.generation).max().unwrap_or(0) + 1;
    let Some((current, others)) = inside.segments.split_first_mut() else { return Ok(()) };
    let Some(oldest) = oldest.and_then(|place| others.get_mut(place - 1)) else { return Ok(()) };
    let gone = oldest.generation;
    // Its entries go before its bytes do: nobody reads the new ones at the old places.
    inside.index.retain(|place| place.generation != gone);
    oldest.generation = next;
    oldest.file.set_len(0)?;
    let mut chunk = vec![0; 1 << 20];
    let mut at = 0;
    while at < length {
        let count = (length - at).min(chunk.len() as u64) as usize;
        let Some(room) = chunk.get_mut(..count) else { break };
        current.file.read_exact_at(room, at)?;
        oldest.file.write_all_at(room, at)?;
        at += count as u64;
    }
    oldest.file.sync_all()?;
    current.file.set_len(0)?;
    oldest.generation = current.generation;
    current.generation = next + 1;
    Ok(())
}

fn open(path: &Path) -> Result<File, JournalError> {
    let fault = |cause| JournalError::File { path: path.display().to_string(), cause };
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(fault)?;
    if !file.metadata().map_err(fault)?.is_file() {
        return Err(JournalError::NotAFile(path.display().to_string()));
    }
    Ok(file)
}

fn lock(file: &File, path: &Path) -> Result<(), JournalError> {
    let shown = path.display().to_string();
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(JournalError::InUse(shown)),
        Err(TryLockError::Error(cause)) => Err(JournalError::File { path: shown, cause }),
    }
}

/// What a file of a log holds.
struct Survey {
    path: String,
    /// The first entry's number and what stood before it.
    first: Option<(u64, [u8; 32])>,
    /// The last entry's number and chain value.
    last: (u64, [u8; 32]),
    /// Octets of whole entries.
    length: u64,
    /// Octets behind them.
    torn: u64,
    /// The line of the first of them.
    line: u64,
    places: VecDeque<Place>,
}

impl Survey {
    fn broken(&self) -> JournalError {
        let what = "the entry has no end".to_owned();
        JournalError::Broken { path: self.path.clone(), line: self.line, what }
    }
}

/// Whether one of the next lines is an entry of this key.
fn has_an_entry(reader: &mut impl BufRead, key: &EgressKey) -> bool {
    const MOST: usize = 1000;
    let mut line = Vec::new();
    (0..MOST).any(|_| {
        line.clear();
        let read = reader.by_ref().take(MOST_LINE as u64 + 2).read_until(b'\n', &mut line);
        read.is_ok() && receipt::read(key, String::from_utf8_lossy(&line).trim_end()).is_ok()
    })
}

/// Checks each entry against the key and against the one before. What is no entry may stand at the end alone, where
/// something was being written when it was killed.
fn survey(
    file: &File,
    path: &Path,
    key: &EgressKey,
    generation: u64,
) -> Result<Survey, JournalError> {
    let shown = path.display().to_string();
    let fault = |cause| JournalError::File { path: shown.clone(), cause };
    let mut survey = Survey {
        path: shown.clone(),
        first: None,
        last: (0, GENESIS),
        length: 0,
        torn: 0,
        line: 0,
        places: VecDeque::new(),
    };
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut line = Vec::new();
    let mut torn: Option<(u64, String)> = None;
    for number in 1.. {
        line.clear();
        let count = reader
            .by_ref()
            .take(MOST_LINE as u64 + 2)
            .read_until(b'\n', &mut line)
            .map_err(fault)? as u64;
        if count == 0 {
            break;
        }
        let broken =
            |what: String| JournalError::Broken { path: shown.clone(), line: number, what };
        let ended = line.last() == Some(&b'\n');
        let text = String::from_utf8_lossy(&line);
        let read = match receipt::read(key, text.trim_end()) {
            Ok(_) if !ended => Err("the entry has no end".to_owned()),
            Ok(entry) => Ok(entry),
            Err(BadEntry::Chain) if survey.first.is_none() && !has_an_entry(&mut reader, key) => {
                return Err(JournalError::OtherKey(shown));
            }
            // Changed by somebody: this is never cut off.
            Err(BadEntry::Chain) => return Err(broken(BadEntry::Chain.to_string())),
            Err(fault) => Err(fault.to_string()),
        };
        match (read, &torn) {
            (Ok(_), Some((line, what))) => {
                return Err(JournalError::Broken { path: shown, line: *line, what: what.clone() });
            }
            (Err(what), None) => {
                let is_ours = survey.first.is_some()
                    || b"{\"receipt\":".starts_with(&line)
                    || line.starts_with(b"{\"receipt\":");
                if !is_ours {
                    return Err(broken(what));
                }
                torn = Some((number, what));
                survey.line = number;
                survey.torn += count;
            }
            (Err(_), Some(_)) => survey.torn += count,
            (Ok(entry), None) => {
                let follows = survey.first.is_none()
                    || entry.previous == survey.last.1 && entry.receipt.n == survey.last.0 + 1;
                if !follows {
                    return Err(broken("entries before it are missing".to_owned()));
                }
                survey.first = survey.first.or(Some((entry.receipt.n, entry.previous)));
                survey.last = (entry.receipt.n, entry.chain);
                if let (Some(token), Ok(length)) = (entry.receipt.token(), u16::try_from(count)) {
                    let offset = survey.length;
                    let n = entry.receipt.n;
                    survey.places.push_back(Place { n, token, generation, offset, length });
                }
                survey.length += count;
            }
        }
        if survey.torn > MOST_TORN {
            return Err(survey.broken());
        }
    }
    Ok(survey)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::egress::ledger::{Extent, Ledger};
    use crate::egress::witness::tests::numbered;
    use crate::observe::Carrier;

    fn key() -> EgressKey {
        EgressKey::from_bytes([7; 32])
    }

    fn seen(number: u32) -> Seen {
        Seen {
            at: "2026-11-25T01:00:01Z".parse().unwrap(),
            token: numbered(Carrier::Ntp, number),
            canary: [198, 51, 100, 10].into(),
            observed: [203, 0, 113, 7].into(),
            observed_port: 123,
            port: 123,
            protocol: "udp",
            hop_limit: 60,
            raw: Box::new([0x45; 76]),
            relayed: String::new(),
        }
    }

    fn batch(from: u32, count: u32) -> Vec<Seen> {
        (from..from + count).map(seen).collect()
    }

    fn reopen(path: &Path, keep: u64) -> Result<(Journal, u64), JournalError> {
        Journal::open(path, key(), keep, None)
    }

    /// All that the interface would hand out.
    fn shelved(journal: &Journal) -> String {
        let shelf = journal.shelf().unwrap();
        let places = shelf.find(0, &|_| true);
        String::from_utf8(shelf.read(&places).unwrap()).unwrap()
    }

    /// The numbers of the lines, which must follow one another under the chain.
    fn numbers(text: &str) -> Vec<u64> {
        let key = key();
        let faults = Ledger::new(&key, "x", []).check(text, Extent::Whole).faults;
        assert!(faults.keys().all(|fault| *fault == "other-sweep"), "{faults:?}");
        text.lines().map(|line| receipt::read(&key, line).unwrap().receipt.n).collect()
    }

    fn whole(path: &Path) -> Vec<Vec<u8>> {
        paths(path).iter().map(|path| fs::read(path).unwrap()).collect()
    }

    #[test]
    fn it_rotates_within_its_bound_and_reads_back_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        const KEEP: u64 = 100_000;
        let (mut journal, _) = reopen(&path, KEEP).unwrap();
        for round in 0..60 {
            journal.append(&batch(round * 10, 10)).unwrap();
            let size: u64 = paths(&path).iter().map(|path| fs::metadata(path).unwrap().len()).sum();
            assert!(size <= KEEP, "{size}");
        }
        let before = shelved(&journal);
        let all = numbers(&before);
        assert_eq!(all.last(), Some(&600));
        assert!(
            all[0] > 1 && all.len() > 100,
            "the oldest are gone, and not more than they must be"
        );
        drop(journal);
        let (mut journal, cut) = reopen(&path, KEEP).unwrap();
        assert_eq!((shelved(&journal), cut), (before, 0));
        journal.append(&batch(600, 1)).unwrap();
        assert_eq!(numbers(&shelved(&journal)).last(), Some(&601));
    }

    #[test]
    fn killed_at_any_moment_of_a_rotation_it_has_every_entry_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let (mut journal, _) = reopen(&path, 40_000).unwrap();
        for round in 0..30 {
            journal.append(&batch(round * 5, 5)).unwrap();
        }
        let before = shelved(&journal);
        let current = fs::read(&path).unwrap();
        // Which file the next rotation would write over, as it stands.
        let oldest = numbers(&before)[0];
        let victim = paths(&path)
            .into_iter()
            .find(|path| numbers(&fs::read_to_string(path).unwrap()).first() == Some(&oldest))
            .unwrap();
        drop(journal);
        assert_ne!(victim, path);
        let kept: Vec<u8> = before.bytes().skip(fs::read(&victim).unwrap().len()).collect();
        for copied in (0..=current.len()).step_by(97).chain([current.len()]) {
            fs::write(&victim, &current[..copied]).unwrap();
            let (journal, cut) = reopen(&path, 40_000).unwrap();
            assert_eq!((shelved(&journal).as_bytes(), cut), (&kept[..], 0), "{copied} copied");
        }
        // The copy is whole and FILE is empty already.
        fs::write(&path, "").unwrap();
        let (mut journal, _) = reopen(&path, 40_000).unwrap();
        assert_eq!(shelved(&journal).as_bytes(), &kept[..]);
        journal.append(&batch(150, 5)).unwrap();
        assert_eq!(numbers(&shelved(&journal)).last(), Some(&155));
    }

    #[test]
    fn a_line_cut_anywhere_is_cut_off_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let (mut journal, _) = reopen(&path, KEEP).unwrap();
        journal.append(&batch(0, 3)).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        let two = whole.split_inclusive(|octet| *octet == b'\n').take(2).map(<[u8]>::len).sum();
        for cut in (two..whole.len()).step_by(13) {
            fs::write(&path, &whole[..cut]).unwrap();
            let (mut journal, torn) = reopen(&path, KEEP).unwrap();
            assert_eq!(torn, (cut - two) as u64);
            journal.append(&batch(2, 1)).unwrap();
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
        // A page of zeros, as a file system may leave it after a power failure.
        fs::write(&path, [&whole[..two], &[0; 4096]].concat()).unwrap();
        assert_eq!(reopen(&path, KEEP).unwrap().1, 4096);
    }

    const KEEP: u64 = 1 << 20;

    #[test]
    fn what_is_not_ours_is_refused_and_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        let (mut journal, _) = reopen(&path, KEEP).unwrap();
        journal.append(&batch(0, 3)).unwrap();
        assert!(matches!(reopen(&path, KEEP), Err(JournalError::InUse(_))));
        drop(journal);
        let good = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = good.lines().collect();
        let cases: [(&str, String); 5] = [
            ("a text", "root:x:0:0:root:/root:/bin/bash\n".to_owned()),
            ("changed", good.replacen("\"port\":123", "\"port\":124", 1)),
            ("a hole", format!("{}\n{}\n", lines[0], lines[2])),
            ("twice", format!("{good}{}\n", lines[2])),
            ("torn amid", good.replacen("{\"receipt\"", "{\"rec", 1)),
        ];
        for (name, text) in cases {
            fs::write(&path, &text).unwrap();
            let refused = reopen(&path, KEEP).err();
            assert!(matches!(refused, Some(JournalError::Broken { .. })), "{name}: {refused:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}");
        }
        fs::write(&path, &good).unwrap();
        let other = EgressKey::from_bytes([8; 32]);
        let refused = Journal::open(&path, other, KEEP, None);
        assert!(matches!(refused, Err(JournalError::OtherKey(_))));
        fs::write(paths(&path)[1].clone(), &good).unwrap();
        // The rotated file is what FILE holds: a copy that was not finished, or just was.
        assert!(reopen(&path, KEEP).is_ok());
        assert_eq!(whole(&path)[0], good.as_bytes());
    }
}
