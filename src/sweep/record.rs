//! `--record`: every frame of a sweep in a pcapng file, and behind them, in custom blocks, what no
//! frame shows: the head (who swept what, by whose authority), the registry, and the tail (under which
//! token key, what was asked from which frame on, how far it came). They stand at the end because
//! Wireshark counts custom blocks among the frames.
//!
//! A replay reads them first, puts every frame through the same recogniser and dissectors, and adds
//! what the tail notes. The token key in a record lets its holder recognise that sweep's answers, nothing else: it
//! is made for the one sweep.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::link::capture::{
    self, CaptureError, Direction, InterfaceDescription, Item, LinkType, Reader, Section,
};
use crate::net::Prefix;
use crate::observe::{Observation, VantageId};
use crate::result::{blank, v1};
use crate::scan;

const HEAD_SCHEMA: &str = "jiebei.record.head/1";
const TAIL_SCHEMA: &str = "jiebei.record.tail/1";
const REGISTRY_SCHEMA: &str = "jiebei.record.registry/1";

/// A custom block holds at most 16 MiB; longer texts go over several.
const PIECE: usize = 8 << 20;
/// The most octets of head, registry or tail.
const MOST_TEXT: usize = 64 << 20;
/// A registry longer than this is not kept in the record: it is read again from its source.
const MOST_REGISTRY: usize = 32 << 20;

/// What the section header of a record names as its writer, and how far to look for it.
const APPLICATION: &[u8] = b"jiebei";
const FIRST_BLOCK: u64 = 512;

/// What stands before the frames.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    pub schema: String,
    /// The sweep as the result tells it, as far as it is known at the start.
    pub sweep: v1::Sweep,
    /// The vantages in the order of the capture's interfaces.
    pub vantages: Vec<VantageRecord>,
    /// Rule to severity, where the profile overrides the regulation.
    pub severity: std::collections::BTreeMap<String, v1::Severity>,
    /// Addresses whose questions are kept as evidence.
    pub interest: Vec<std::net::IpAddr>,
    /// Frames to and from these are kept as evidence.
    #[serde(default)]
    pub canaries: Vec<std::net::IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VantageRecord {
    pub interface: String,
    pub mac: Option<crate::net::Mac>,
    /// `address/length`, host bits kept.
    pub addresses: Vec<(std::net::IpAddr, u8)>,
}

/// What stands behind the frames.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Tail {
    pub schema: String,
    pub sweep: v1::Sweep,
    /// What was asked in all, by the sweep's end.
    pub recogniser: scan::Record,
    /// What could be answered from which frame on: an address that was not yet asked cannot have
    /// answered.
    pub marks: Vec<Mark>,
    /// Why parts were not asked, by prefix and vantage: the key of its sentence.
    pub why_not: Vec<(Prefix, VantageId, String)>,
    /// Observations that no received frame shows: what was asked, ghosts, own interfaces.
    pub observations: Vec<Observation>,
    /// The places of frames that were kept for conversations.
    #[serde(default)]
    pub of_conversations: Vec<u64>,
}

/// From after this many frames on, these answers count.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mark {
    pub frames: u64,
    pub recogniser: scan::Record,
}

#[derive(Debug, Error)]
pub enum RecordError {
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error("{file}: {cause}")]
    Io { file: String, cause: io::Error },
    #[error("{file}: no record of a sweep: its {part} is missing")]
    Missing { file: String, part: &'static str },
    #[error("{file}: the {part} of the record cannot be read: {cause}")]
    Malformed { file: String, part: &'static str, cause: String },
}

/// A record being written.
pub struct Recorder {
    writer: capture::Writer<BufWriter<File>>,
    head: Vec<u8>,
    registry: Vec<u8>,
    marks: Vec<Mark>,
    /// The frame at hand, its secrets blanked.
    frame: Vec<u8>,
}

impl Recorder {
    pub fn create(path: &Path, head: &Head, registry: Option<&[u8]>) -> io::Result<Recorder> {
        let file = File::create(path)?;
        crate::link::privilege::give_to_owner(&file)?;
        let section = Section { application: head.sweep.generator.clone(), comments: vec![] };
        let mut writer = capture::Writer::new(BufWriter::with_capacity(1 << 20, file), &section)?;
        for vantage in &head.vantages {
            let mut description = InterfaceDescription::ethernet(vantage.interface.clone());
            description.mac = vantage.mac;
            writer.interface(&description)?;
        }
        let registry = registry.filter(|text| text.len() <= MOST_REGISTRY).unwrap_or_default();
        Ok(Recorder {
            writer,
            head: serde_json::to_vec(head)?,
            registry: registry.to_vec(),
            marks: Vec::new(),
            frame: Vec::new(),
        })
    }

    /// Goes on with the record of a sweep's earlier part: one file holds the whole sweep. A file that
    /// is something else, or was cut off, is kept beside the new one.
    pub fn go_on(path: &Path, head: &Head, registry: Option<&[u8]>) -> io::Result<Recorder> {
        if !path.exists() {
            return Recorder::create(path, head, registry);
        }
        let mut aside = path.as_os_str().to_owned();
        aside.push(".earlier");
        let aside = PathBuf::from(aside);
        std::fs::rename(path, &aside)?;
        let mut recorder = Recorder::create(path, head, registry)?;
        let Ok(earlier) = Record::open(&aside) else { return Ok(recorder) };
        if earlier.head.sweep.id != head.sweep.id {
            return Ok(recorder);
        }
        let played = earlier.play(|frame| {
            let direction = if frame.outbound { Direction::Outbound } else { Direction::Inbound };
            recorder.frame(frame.vantage, frame.at, frame.bytes, frame.length, direction)
        });
        played.map_err(io::Error::other)?;
        recorder.marks = earlier.tail.marks;
        std::fs::remove_file(&aside)?;
        Ok(recorder)
    }

    pub fn frame(
        &mut self,
        vantage: VantageId,
        at: Timestamp,
        bytes: &[u8],
        length: u32,
        direction: Direction,
    ) -> io::Result<()> {
        self.frame.clear();
        self.frame.extend_from_slice(bytes);
        // Passwords and communities of other people's sessions are nobody's evidence.
        blank::ethernet(&mut self.frame);
        let interface = u32::from(vantage.0);
        self.writer.frame(interface, at, &self.frame, length, Some(direction), &[])?;
        Ok(())
    }

    /// Frames written so far.
    pub fn frames(&self) -> u64 {
        self.writer.frames()
    }

    /// From here on, these answers count.
    ///
    /// What was sent one by one is told by numbers that nobody else has: the tail's list serves for all marks.
    pub fn mark(&mut self, mut recogniser: scan::Record) {
        for vantage in &mut recogniser.vantages {
            vantage.volley.clear();
        }
        self.marks.push(Mark { frames: self.writer.frames(), recogniser });
    }

    /// Writes what no frame shows behind the frames, and waits for the disk.
    pub fn finish(mut self, mut tail: Tail) -> io::Result<()> {
        tail.marks = std::mem::take(&mut self.marks);
        let (head, registry) = (std::mem::take(&mut self.head), std::mem::take(&mut self.registry));
        self.text(HEAD_SCHEMA, &head)?;
        self.text(REGISTRY_SCHEMA, &registry)?;
        self.text(TAIL_SCHEMA, &serde_json::to_vec(&tail)?)?;
        self.writer.finish()?.into_inner().map_err(|fault| fault.into_error())?.sync_all()
    }

    /// A text over as many custom blocks as it needs: `schema \n` before each piece.
    fn text(&mut self, schema: &str, text: &[u8]) -> io::Result<()> {
        for piece in text.chunks(PIECE) {
            let mut block = Vec::with_capacity(piece.len() + schema.len() + 1);
            block.extend_from_slice(schema.as_bytes());
            block.push(b'\n');
            block.extend_from_slice(piece);
            self.writer.custom(block)?;
        }
        Ok(())
    }
}

/// The texts of a record, read in a pass of their own before the frames are.
pub struct Record {
    pub head: Head,
    pub tail: Tail,
    /// The registry as one JSON file, where it was kept.
    pub registry: Option<Vec<u8>>,
    path: PathBuf,
}

/// One frame of a record.
pub struct RecordedFrame<'a> {
    pub vantage: VantageId,
    pub at: Timestamp,
    pub bytes: &'a [u8],
    pub length: u32,
    pub outbound: bool,
    pub link_type: LinkType,
}

impl Record {
    /// Reads head, registry and tail.
    pub fn open(path: &Path) -> Result<Record, RecordError> {
        let file = path.display().to_string();
        let (mut head, mut tail, mut registry) = (Vec::new(), Vec::new(), Vec::new());
        let mut reader = Reader::open(path)?;
        while let Some(item) = reader.next() {
            let item = item?;
            let Some(block) = item.ours() else { continue };
            let Some(end) = block.iter().position(|octet| *octet == b'\n') else { continue };
            let (schema, piece) = block.split_at(end);
            let text = match std::str::from_utf8(schema) {
                Ok(HEAD_SCHEMA) => &mut head,
                Ok(TAIL_SCHEMA) => &mut tail,
                Ok(REGISTRY_SCHEMA) => &mut registry,
                _ => continue,
            };
            if text.len() + piece.len() <= MOST_TEXT {
                text.extend_from_slice(piece.get(1..).unwrap_or_default());
            }
        }
        for (text, part) in [(&head, "head"), (&tail, "tail")] {
            if text.is_empty() {
                return Err(RecordError::Missing { file, part });
            }
        }
        let malformed = |part: &'static str| {
            let file = file.clone();
            move |fault: serde_json::Error| RecordError::Malformed {
                file,
                part,
                cause: fault.to_string(),
            }
        };
        let head: Head = serde_json::from_slice(&head).map_err(malformed("head"))?;
        let tail: Tail = serde_json::from_slice(&tail).map_err(malformed("tail"))?;
        let registry = (!registry.is_empty()).then_some(registry);
        Ok(Record { head, tail, registry, path: path.to_owned() })
    }

    /// The head of a record, where a file is one: told by its first block, so that other captures are not read twice.
    pub fn head_of(path: &Path) -> Option<Head> {
        let mut start = Vec::new();
        File::open(path).ok()?.take(FIRST_BLOCK).read_to_end(&mut start).ok()?;
        let is_ours = start.windows(APPLICATION.len()).any(|octets| octets == APPLICATION);
        is_ours.then(|| Record::open(path).ok())?.map(|record| record.head)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Every frame in its order. A fault ends the reading; what stood before it was given.
    pub fn play(
        &self,
        mut take: impl FnMut(RecordedFrame<'_>) -> io::Result<()>,
    ) -> Result<(), RecordError> {
        let io_fault = |cause| RecordError::Io { file: self.path.display().to_string(), cause };
        let mut reader = Reader::open(&self.path)?;
        while let Some(item) = reader.next() {
            let Item::Frame(frame) = item? else { continue };
            take(RecordedFrame {
                vantage: VantageId(u16::try_from(frame.interface).unwrap_or(u16::MAX)),
                at: frame.at,
                bytes: frame.bytes,
                length: frame.length,
                outbound: frame.direction == Some(Direction::Outbound),
                link_type: frame.link_type,
            })
            .map_err(io_fault)?;
        }
        Ok(())
    }
}

impl Head {
    pub fn new(
        sweep: v1::Sweep,
        vantages: Vec<VantageRecord>,
        severity: std::collections::BTreeMap<String, v1::Severity>,
        interest: Vec<std::net::IpAddr>,
        canaries: Vec<std::net::IpAddr>,
    ) -> Head {
        Head { schema: HEAD_SCHEMA.to_owned(), sweep, vantages, severity, interest, canaries }
    }
}

impl Tail {
    pub fn new(
        sweep: v1::Sweep,
        recogniser: scan::Record,
        why_not: Vec<(Prefix, VantageId, String)>,
        observations: Vec<Observation>,
        of_conversations: Vec<u64>,
    ) -> Tail {
        let schema = TAIL_SCHEMA.to_owned();
        let marks = Vec::new();
        Tail { schema, sweep, recogniser, marks, why_not, observations, of_conversations }
    }
}
