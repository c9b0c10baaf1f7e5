//! `evidence.pcapng`: the frames that prove what the result says, and only those.
//!
//! Findings, segments and egresses name frames by their number in the sweep; the evidence capture
//! holds the union, numbered anew from 1 in the order of sight, as Wireshark counts them. Each frame's
//! comment names what it shows and its number in the sweep, so that a result which is audited again
//! finds its frames in the old capture.

use std::collections::BTreeMap;
use std::io;

use jiff::Timestamp;

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
    /// Wants frames for one thing: a finding's id, a segment's prefix, an egress's gateway.
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
