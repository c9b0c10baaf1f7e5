//! Capture files: pcap and pcapng read, plain or compressed; pcapng written.
//!
//! What is read is foreign: lengths that lie, cut files and wrong versions end the reading with
//! one error that names the file and the offset, and every frame before it has been handed out.
//! No block or record is believed to be longer than a limit, so memory stays bounded; every step
//! consumes octets, so nothing loops.
//!
//! Formats: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.

mod reader;
mod source;
#[cfg(test)]
mod tests;
mod writer;

use std::io;

use jiff::Timestamp;
use thiserror::Error;

pub use crate::wire::LinkType;
pub use reader::Reader;
pub use writer::{InterfaceDescription, MAX_CUSTOM, Section, Writer};

/// The most octets of a frame that are kept or believed: what libpcap and Wireshark allow too.
pub const MAX_FRAME: u32 = 262_144;

/// The Private Enterprise Number on our custom blocks: 32473, set aside for examples (RFC 5612).
/// No number of our own is registered, so each block's data begins with [`CUSTOM_MAGIC`] too.
/// See `docs/decisions`.
pub const CUSTOM_PEN: u32 = 32473;
/// The first octets of the data of each custom block of ours.
pub const CUSTOM_MAGIC: &[u8; 8] = b"jiebei\0\x01";

/// Which way a frame went, as far as the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Inbound,
    Outbound,
}

/// One frame of a capture file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedFrame<'a> {
    /// Its time, rounded down to nanoseconds. May go backwards in a file. A simple packet block has
    /// none: it gets that of the frame before, or 1970.
    pub at: Timestamp,
    /// The place of its interface in [`Reader::interfaces`]: interfaces are numbered through all
    /// sections of a file.
    pub interface: u32,
    pub link_type: LinkType,
    pub bytes: &'a [u8],
    /// The length on the wire; never less than `bytes.len()`.
    pub length: u32,
    pub direction: Option<Direction>,
    pub comments: Vec<String>,
}

/// An interface that a file describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInterface {
    pub link_type: LinkType,
    /// The most octets kept of a frame; 0 where there was no limit.
    pub snap: u32,
    pub name: Option<String>,
}

/// What a capture file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    Frame(CapturedFrame<'a>),
    /// A custom block of whatever enterprise, its data with padding and options, if any.
    Custom {
        pen: u32,
        data: &'a [u8],
    },
}

impl Item<'_> {
    /// The payload of a custom block that [`Writer::custom`] wrote.
    pub fn ours(&self) -> Option<&[u8]> {
        let Item::Custom { pen: CUSTOM_PEN, data } = self else { return None };
        let (length, rest) = data.strip_prefix(CUSTOM_MAGIC)?.split_first_chunk()?;
        rest.get(..u32::from_le_bytes(*length) as usize)
    }
}

/// Why a capture could not be read to its end.
#[derive(Debug, Error)]
#[error("{file}: at octet {offset}: {fault}")]
pub struct CaptureError {
    pub file: String,
    /// Where the faulty block or record begins, in octets of the capture after decompression.
    pub offset: u64,
    pub fault: CaptureFault,
}

#[derive(Debug, Error)]
pub enum CaptureFault {
    #[error("neither pcap nor pcapng (it begins with {0:02x?})")]
    NoCapture(Vec<u8>),
    #[error("{format} version {major}.{minor} is unknown")]
    Version { format: &'static str, major: u16, minor: u16 },
    #[error("the file ends inside {what}: {needed} octets are missing")]
    Cut { what: &'static str, needed: u64 },
    #[error("{what} claims {claimed} octets, the limit is {limit}")]
    TooLong { what: &'static str, claimed: u64, limit: u64 },
    #[error("{what} claims {claimed} octets, there must be {least} at least")]
    TooShort { what: &'static str, claimed: u64, least: u64 },
    #[error("the two lengths of a block differ: {first} and {last}")]
    LengthsDiffer { first: u32, last: u32 },
    #[error("the section's byte order mark {0:02x?} is none")]
    ByteOrder([u8; 4]),
    #[error("an option of {claimed} octets reaches past its block, which has {left} left")]
    OptionTooLong { claimed: u16, left: usize },
    #[error("a frame is from interface {interface}, and only {known} are described")]
    NoInterface { interface: u32, known: usize },
    #[error("more than {limit} {what}")]
    TooMany { what: &'static str, limit: u64 },
    #[error("{0}")]
    Io(#[from] io::Error),
}
