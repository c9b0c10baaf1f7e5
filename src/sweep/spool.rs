//! Frames kept while a sweep runs, so that a finding at its end still has its packets.
//!
//! A frame is kept if an observation names it. It goes into a file of the sweep's folder under its
//! own length and time; an index in memory says where. On disk, one record after another, all numbers
//! little endian:
//!
//! | octets | what |
//! |---|---|
//! | 8 | number, the low 63 bits; the top bit: sent by the sweep itself |
//! | 8 | nanoseconds since 1970 |
//! | 2 | vantage |
//! | 4 | length on the wire |
//! | 4 | octets kept, n |
//! | n | the frame |
//!
//! The file outlives an interrupted sweep: `--resume` reads the index back from it. A record that was
//! cut by the end of the process is dropped on reading.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use jiff::Timestamp;

use crate::link::capture::Direction;
use crate::observe::{FrameNumber, VantageId};
use crate::result::evidence::{Frames, StoredFrame};

/// Octets of a record before its frame.
const HEAD: usize = 26;
const OUTBOUND: u64 = 1 << 63;
/// The most octets kept of a frame: a jumbo frame whole.
const MOST_FRAME: usize = 16_384;
/// A spool that grew past this keeps no more: 4 GiB hold forty million small frames.
const MOST_OCTETS: u64 = 4 << 30;

#[derive(Debug, Clone, Copy)]
struct Entry {
    offset: u64,
    at: Timestamp,
    vantage: VantageId,
    length: u32,
    kept: u32,
    outbound: bool,
}

pub struct Spool {
    file: BufWriter<File>,
    end: u64,
    index: HashMap<FrameNumber, Entry>,
    next: u64,
    refused: u64,
    most: u64,
}

impl Spool {
    /// An empty spool in a file of its own; one that is there is emptied.
    pub fn create(path: &Path) -> io::Result<Spool> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Spool {
            file: BufWriter::new(file),
            end: 0,
            index: HashMap::new(),
            next: 1,
            refused: 0,
            most: MOST_OCTETS,
        })
    }

    /// A spool without a name: it goes with the process.
    pub fn temporary() -> io::Result<Spool> {
        let file = BufWriter::new(tempfile::tempfile()?);
        Ok(Spool { file, end: 0, index: HashMap::new(), next: 1, refused: 0, most: MOST_OCTETS })
    }

    /// A spool without a name whose numbers go on where another's end.
    pub fn temporary_from(next: FrameNumber) -> io::Result<Spool> {
        Ok(Spool { next: next.0, ..Spool::temporary()? })
    }

    /// A spool that grew past this keeps no more.
    pub fn at_most(self, octets: u64) -> Spool {
        Spool { most: octets, ..self }
    }

    /// Keeps a frame of another spool under the number that it has there.
    pub fn adopt(&mut self, number: FrameNumber, frame: &StoredFrame) -> io::Result<()> {
        let direction = if frame.outbound { Direction::Outbound } else { Direction::Inbound };
        self.next = number.0;
        self.keep(frame.at, frame.vantage, &frame.bytes, frame.length, direction)
    }

    /// Frames that are kept, and their octets on disk.
    pub fn size(&self) -> (usize, u64) {
        (self.index.len(), self.end)
    }

    /// The spool of an interrupted sweep, to be gone on with.
    pub fn reopen(path: &Path) -> io::Result<Spool> {
        let mut file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut index = HashMap::new();
        let mut end = 0;
        let mut next = 1;
        let mut reader = BufReader::new(&mut file);
        while let Some((number, mut entry)) = read_head(&mut reader)? {
            entry.offset = end;
            let skipped = io::copy(&mut (&mut reader).take(entry.kept.into()), &mut io::sink())?;
            if skipped < u64::from(entry.kept) {
                break;
            }
            end += (HEAD as u64) + u64::from(entry.kept);
            next = next.max(number.0 + 1);
            index.insert(number, entry);
        }
        drop(reader);
        file.set_len(end)?;
        file.seek(SeekFrom::Start(end))?;
        Ok(Spool { file: BufWriter::new(file), end, index, next, refused: 0, most: MOST_OCTETS })
    }

    /// The number for the next frame that will be kept.
    pub fn next_number(&self) -> FrameNumber {
        FrameNumber(self.next)
    }

    /// Keeps a frame under [`Spool::next_number`].
    pub fn keep(
        &mut self,
        at: Timestamp,
        vantage: VantageId,
        bytes: &[u8],
        length: u32,
        direction: Direction,
    ) -> io::Result<()> {
        let outbound = direction == Direction::Outbound;
        let number = FrameNumber(self.next);
        self.next += 1;
        let bytes = bytes.get(..MOST_FRAME).unwrap_or(bytes);
        if self.end + bytes.len() as u64 > self.most {
            self.refused += 1;
            return Ok(());
        }
        let entry =
            Entry { offset: self.end, at, vantage, length, kept: bytes.len() as u32, outbound };
        let tagged = if outbound { number.0 | OUTBOUND } else { number.0 };
        self.file.write_all(&tagged.to_le_bytes())?;
        self.file.write_all(&i64::try_from(at.as_nanosecond()).unwrap_or(0).to_le_bytes())?;
        self.file.write_all(&vantage.0.to_le_bytes())?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&entry.kept.to_le_bytes())?;
        self.file.write_all(bytes)?;
        self.end += (HEAD + bytes.len()) as u64;
        self.index.insert(number, entry);
        Ok(())
    }

    /// Frames that were not kept because the spool was full.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn read_head(reader: &mut impl Read) -> io::Result<Option<(FrameNumber, Entry)>> {
    let mut head = [0; HEAD];
    match reader.read_exact(&mut head) {
        Ok(()) => {}
        Err(cut) if cut.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(fault) => return Err(fault),
    }
    let word = |place: usize, width: usize| {
        head[place..place + width]
            .iter()
            .rev()
            .fold(0u64, |word, octet| word << 8 | u64::from(*octet))
    };
    let tagged = word(0, 8);
    let at = Timestamp::from_nanosecond(i128::from(word(8, 8) as i64)).unwrap_or_default();
    let kept = word(22, 4) as u32;
    if kept as usize > MOST_FRAME {
        return Ok(None);
    }
    let entry = Entry {
        offset: 0,
        at,
        vantage: VantageId(word(16, 2) as u16),
        length: word(18, 4) as u32,
        kept,
        outbound: tagged & OUTBOUND != 0,
    };
    Ok(Some((FrameNumber(tagged & !OUTBOUND), entry)))
}

impl Frames for Spool {
    fn has(&mut self, number: FrameNumber) -> bool {
        self.index.contains_key(&number)
    }

    fn frame(&mut self, number: FrameNumber) -> io::Result<Option<StoredFrame>> {
        let Some(entry) = self.index.get(&number).copied() else { return Ok(None) };
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(entry.offset + HEAD as u64))?;
        let mut bytes = vec![0; entry.kept as usize];
        file.read_exact(&mut bytes)?;
        file.seek(SeekFrom::Start(self.end))?;
        Ok(Some(StoredFrame {
            at: entry.at,
            vantage: entry.vantage,
            bytes,
            length: entry.length,
            outbound: entry.outbound,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(spool: &mut Spool, second: i64, octet: u8) {
        let at = Timestamp::from_second(second).unwrap();
        let direction = if octet == 2 { Direction::Outbound } else { Direction::Inbound };
        spool.keep(at, VantageId(1), &[octet; 60], 60, direction).unwrap();
    }

    #[test]
    fn frames_come_back_by_number_also_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool");
        let mut spool = Spool::create(&path).unwrap();
        keep(&mut spool, 10, 1);
        keep(&mut spool, 11, 2);
        let second = spool.frame(FrameNumber(2)).unwrap().unwrap();
        assert_eq!((second.bytes[0], second.outbound, second.at.as_second()), (2, true, 11));
        keep(&mut spool, 12, 3);
        spool.flush().unwrap();
        drop(spool);
        // A record that the end of the process cut.
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&[4, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3]).unwrap();
        let mut again = Spool::reopen(&path).unwrap();
        assert_eq!(again.next_number(), FrameNumber(4));
        keep(&mut again, 13, 4);
        for number in 1..=4 {
            let frame = again.frame(FrameNumber(number)).unwrap().unwrap();
            assert_eq!(frame.bytes, [number as u8; 60]);
        }
        assert_eq!(again.frame(FrameNumber(5)).unwrap(), None);
    }
}
