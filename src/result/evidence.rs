//! `evidence.pcapng`: the frames that prove what the result says, and only those.
//!
//! Findings, segments and egresses name frames by their number in the sweep; the evidence capture
//! holds the union, numbered anew from 1 in the order of sight, as Wireshark counts them. Each frame's
//! comment names what it shows and its number in the sweep, so that a result which is audited again
//! finds its frames in the old capture.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;

use super::blank;
use super::v1::Vantage;
use crate::link::capture::{
    CaptureError, Direction, InterfaceDescription, Item, LinkType, Reader, Section, Writer,
};
use crate::observe::{FrameNumber, VantageId};

/// A frame as the sweep kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFrame {
    pub at: Timestamp,
    pub vantage: VantageId,
    /// From the Ethernet header on; at most what was captured.
    pub bytes: Vec<u8>,
    /// On the wire.
    pub length: u32,
    /// Sent by the sweep itself.
    pub outbound: bool,
}

/// Where a sweep's frames lie: its spool, its record, or an older evidence capture.
pub trait Frames {
    fn has(&mut self, number: FrameNumber) -> bool;

    /// `None` where it was not kept.
    fn frame(&mut self, number: FrameNumber) -> io::Result<Option<StoredFrame>>;
}

/// For what was heard without keeping frames.
pub struct NoFrames;

impl Frames for NoFrames {
    fn has(&mut self, _: FrameNumber) -> bool {
        false
    }

    fn frame(&mut self, _: FrameNumber) -> io::Result<Option<StoredFrame>> {
        Ok(None)
    }
}

/// Which frames are wanted, and what for.
#[derive(Debug, Default)]
pub struct Wanted {
    frames: BTreeMap<FrameNumber, Vec<String>>,
}

impl Wanted {
    /// Wants frames for one thing: `finding ID`, `segment PREFIX`, `egress GATEWAY`.
    pub fn want(&mut self, frames: &[FrameNumber], shows: &str) {
        for number in frames {
            let shown = self.frames.entry(*number).or_default();
            if !shown.iter().any(|other| other == shows) {
                shown.push(shows.to_owned());
            }
        }
    }

    /// What can be had of it, numbered anew.
    pub fn plan(self, frames: &mut dyn Frames) -> EvidencePlan {
        EvidencePlan {
            entries: self.frames.into_iter().filter(|(number, _)| frames.has(*number)).collect(),
        }
    }
}

/// The frames of an evidence capture, in their order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct EvidencePlan {
    entries: Vec<(FrameNumber, Vec<String>)>,
}

impl EvidencePlan {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The place of a frame in the capture, from 1; `None` where it is not in it.
    pub fn place(&self, number: FrameNumber) -> Option<u64> {
        let place = self.entries.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(place as u64 + 1)
    }

    /// The places of several frames, rising; those that are not in it are left out.
    pub fn places(&self, numbers: &[FrameNumber]) -> Vec<u64> {
        let mut places: Vec<u64> = numbers.iter().filter_map(|n| self.place(*n)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }
}

/// Writes the capture that a plan describes. Secrets are blanked on the way.
///
/// # Errors
/// Those of reading and writing, and `NotFound` for a frame that the plan has and `frames` has lost:
/// the numbers in the result would point past it.
pub fn write(
    plan: &EvidencePlan,
    frames: &mut dyn Frames,
    vantages: &[Vantage],
    section: &Section,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut writer = Writer::new(out, section)?;
    for vantage in vantages {
        let mut interface = InterfaceDescription::ethernet(&vantage.interface);
        interface.mac = vantage.mac.as_deref().and_then(|mac| mac.parse().ok());
        writer.interface(&interface)?;
    }
    if vantages.is_empty() {
        writer.interface(&InterfaceDescription::ethernet("unknown"))?;
    }
    let last = u32::try_from(vantages.len().saturating_sub(1)).unwrap_or(0);
    for (number, shows) in &plan.entries {
        let Some(mut frame) = frames.frame(*number)? else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("frame {} of the sweep is lost", number.0),
            ));
        };
        let mut comments = vec![format!("{FRAME}{}", number.0)];
        comments.extend(shows.iter().map(|shows| format!("jiebei {shows}")));
        if blank::ethernet(&mut frame.bytes) {
            comments.push(BLANKED.to_owned());
        }
        let comments: Vec<&str> = comments.iter().map(String::as_str).collect();
        let direction = if frame.outbound { Direction::Outbound } else { Direction::Inbound };
        writer.frame(
            u32::from(frame.vantage.0).min(last),
            frame.at,
            &frame.bytes,
            frame.length,
            Some(direction),
            &comments,
        )?;
    }
    writer.flush()
}

/// How the comment with a frame's number in the sweep begins.
const FRAME: &str = "jiebei frame ";
const BLANKED: &str = "jiebei: a secret in this frame is blanked; its checksum is as it was";

/// The most frames and octets that are taken from an older evidence capture.
const MOST_FRAMES: usize = 1_000_000;
const MOST_OCTETS: usize = 1 << 30;

/// The frames of an evidence capture that stands beside an older result, under the numbers that they
/// had in their sweep.
#[derive(Debug, Default)]
pub struct EvidenceFile {
    frames: HashMap<FrameNumber, StoredFrame>,
}

impl EvidenceFile {
    pub fn open(path: &Path) -> Result<EvidenceFile, CaptureError> {
        EvidenceFile::read(Reader::open(path)?)
    }

    /// Frames without a number of ours, and frames that are no Ethernet, are passed over.
    pub fn read(mut reader: Reader) -> Result<EvidenceFile, CaptureError> {
        let mut file = EvidenceFile::default();
        let mut octets = 0;
        while let Some(item) = reader.next() {
            let Item::Frame(frame) = item? else { continue };
            let number = frame.comments.iter().find_map(|comment| {
                comment.strip_prefix(FRAME).and_then(|number| number.parse().ok())
            });
            let Some(number) = number.filter(|_| frame.link_type == LinkType::ETHERNET) else {
                continue;
            };
            octets += frame.bytes.len();
            if file.frames.len() >= MOST_FRAMES || octets > MOST_OCTETS {
                break;
            }
            let stored = StoredFrame {
                at: frame.at,
                vantage: VantageId(u16::try_from(frame.interface).unwrap_or(u16::MAX)),
                bytes: frame.bytes.to_vec(),
                length: frame.length,
                outbound: frame.direction == Some(Direction::Outbound),
            };
            file.frames.entry(FrameNumber(number)).or_insert(stored);
        }
        Ok(file)
    }
}

impl Frames for EvidenceFile {
    fn has(&mut self, number: FrameNumber) -> bool {
        self.frames.contains_key(&number)
    }

    fn frame(&mut self, number: FrameNumber) -> io::Result<Option<StoredFrame>> {
        Ok(self.frames.get(&number).cloned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Spool;

    impl Frames for Spool {
        fn has(&mut self, number: FrameNumber) -> bool {
            number.0 % 2 == 1
        }

        fn frame(&mut self, number: FrameNumber) -> io::Result<Option<StoredFrame>> {
            Ok(Some(StoredFrame {
                at: Timestamp::new(1_763_000_000, number.0 as i32).map_err(io::Error::other)?,
                vantage: VantageId(0),
                bytes: vec![number.0 as u8; 60],
                length: 60,
                outbound: number.0 == 3,
            }))
        }
    }

    fn plan() -> EvidencePlan {
        let mut wanted = Wanted::default();
        wanted.want(&[FrameNumber(9), FrameNumber(3)], "finding a");
        wanted.want(&[FrameNumber(4), FrameNumber(9)], "finding b");
        wanted.plan(&mut Spool)
    }

    #[test]
    fn frames_are_numbered_anew_and_lost_ones_left_out() {
        let plan = plan();
        assert_eq!(plan.len(), 2);
        assert_eq!(plan.places(&[FrameNumber(9), FrameNumber(3), FrameNumber(4)]), [1, 2]);
    }

    #[test]
    fn an_old_capture_gives_its_frames_back_under_their_numbers() {
        let mut bytes = Vec::new();
        write(&plan(), &mut Spool, &[], &Section::default(), &mut bytes).unwrap();
        let reader = Reader::new("e", io::Cursor::new(bytes)).unwrap();
        let mut file = EvidenceFile::read(reader).unwrap();
        assert!(file.has(FrameNumber(9)) && !file.has(FrameNumber(1)));
        let frame = file.frame(FrameNumber(3)).unwrap().unwrap();
        assert_eq!(Some(frame), Spool.frame(FrameNumber(3)).unwrap());
    }
}
