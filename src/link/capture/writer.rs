//! pcapng written: one section, little endian, times in nanoseconds.

use std::io::{self, Write};

use jiff::Timestamp;

use super::{CUSTOM_MAGIC, CUSTOM_PEN, Direction, LinkType, MAX_FRAME};
use crate::net::Mac;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const INTERFACE_STATISTICS: u32 = 5;
const CUSTOM: u32 = 0x0000_0bad;

/// The longest option value: the longest multiple of four that a 16-bit length can say.
const MAX_OPTION: usize = 65_532;

/// The most octets of custom payloads in one file: they wait in memory. A guess.
pub const MAX_CUSTOM: usize = 64 << 20;

/// What the section header says of the whole file.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// Who wrote it, with the version.
    pub application: String,
    pub comments: Vec<String>,
}

#[derive(Debug, Clone)]
pub struct InterfaceDescription {
    pub name: String,
    pub link_type: LinkType,
    pub snap: u32,
    pub mac: Option<Mac>,
}

impl InterfaceDescription {
    pub fn ethernet(name: impl Into<String>) -> InterfaceDescription {
        InterfaceDescription {
            name: name.into(),
            link_type: LinkType::ETHERNET,
            snap: MAX_FRAME,
            mac: None,
        }
    }
}

/// Writes frames in the order given; the caller keeps the file and decides when it is whole.
pub struct Writer<W: Write> {
    to: W,
    /// One block, built here and written at once.
    block: Vec<u8>,
    /// Custom blocks, written behind the last frame.
    custom: Vec<Vec<u8>>,
    interfaces: u32,
    frames: u64,
}

impl<W: Write> Writer<W> {
    pub fn new(to: W, section: &Section) -> io::Result<Writer<W>> {
        let mut writer =
            Writer { to, block: Vec::new(), custom: Vec::new(), interfaces: 0, frames: 0 };
        writer.begin(SECTION_HEADER);
        writer.put(&0x1a2b_3c4d_u32.to_le_bytes());
        writer.put(&1u16.to_le_bytes());
        writer.put(&0u16.to_le_bytes());
        // The section's length is not known beforehand: -1.
        writer.put(&u64::MAX.to_le_bytes());
        for comment in &section.comments {
            writer.text(1, comment);
        }
        writer.text(4, &section.application);
        writer.end()?;
        Ok(writer)
    }

    /// Describes an interface, and gives the number to use for its frames: from 0, in order.
    pub fn interface(&mut self, interface: &InterfaceDescription) -> io::Result<u32> {
        self.begin(INTERFACE_DESCRIPTION);
        self.put(&interface.link_type.0.to_le_bytes());
        self.put(&[0; 2]);
        self.put(&interface.snap.to_le_bytes());
        self.text(2, &interface.name);
        if let Some(mac) = interface.mac {
            self.option(6, &mac.0);
        }
        // if_tsresol: ten to the minus nine.
        self.option(9, &[9]);
        self.end()?;
        let number = self.interfaces;
        self.interfaces = self.interfaces.saturating_add(1);
        Ok(number)
    }

    /// Writes a frame, and gives its number in the file: from 1, as Wireshark counts.
    ///
    /// `length` is that on the wire, and taken as no less than what is there. What is longer than
    /// [`MAX_FRAME`] is cut to it, so that every reader opens the file.
    ///
    /// # Errors
    /// Those of the writer below; `InvalidInput` for an interface that was not described.
    pub fn frame(
        &mut self,
        interface: u32,
        at: Timestamp,
        bytes: &[u8],
        length: u32,
        direction: Option<Direction>,
        comments: &[&str],
    ) -> io::Result<u64> {
        if interface >= self.interfaces {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let bytes = bytes.get(..MAX_FRAME as usize).unwrap_or(bytes);
        // Times before 1970 cannot be written; those after 2554 do not fit.
        let nanoseconds = u64::try_from(at.as_nanosecond()).unwrap_or(0);
        self.begin(ENHANCED_PACKET);
        self.put(&interface.to_le_bytes());
        self.put(&((nanoseconds >> 32) as u32).to_le_bytes());
        self.put(&(nanoseconds as u32).to_le_bytes());
        self.put(&(bytes.len() as u32).to_le_bytes());
        self.put(&length.max(bytes.len() as u32).to_le_bytes());
        self.padded(bytes);
        for comment in comments {
            self.text(1, comment);
        }
        if let Some(direction) = direction {
            let flags: u32 = match direction {
                Direction::Inbound => 1,
                Direction::Outbound => 2,
            };
            self.option(2, &flags.to_le_bytes());
        }
        self.end()?;
        self.frames = self.frames.saturating_add(1);
        Ok(self.frames)
    }

    /// How many frames an interface received, and how many of them the kernel threw away.
    pub fn statistics(
        &mut self,
        interface: u32,
        at: Timestamp,
        received: u64,
        dropped: u64,
    ) -> io::Result<()> {
        let nanoseconds = u64::try_from(at.as_nanosecond()).unwrap_or(0);
        self.begin(INTERFACE_STATISTICS);
        self.put(&interface.to_le_bytes());
        self.put(&((nanoseconds >> 32) as u32).to_le_bytes());
        self.put(&(nanoseconds as u32).to_le_bytes());
        self.option(4, &received.to_le_bytes());
        self.option(5, &dropped.to_le_bytes());
        self.end()
    }

    /// Keeps a payload for a custom block, which [`finish`](Self::finish) writes behind the last
    /// frame and [`Item::ours`](super::Item::ours) reads.
    ///
    /// Wireshark counts a custom block among the frames (tcpdump does not): in front of any, it
    /// would shift the number of every frame behind it.
    ///
    /// # Errors
    /// `InvalidInput` for a payload longer than readers accept, or more than [`MAX_CUSTOM`] in all.
    pub fn custom(&mut self, payload: Vec<u8>) -> io::Result<()> {
        let kept: usize = self.custom.iter().map(Vec::len).sum();
        if payload.len() > super::reader::MAX_BLOCK as usize - 64
            || payload.len().saturating_add(kept) > MAX_CUSTOM
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.custom.push(payload);
        Ok(())
    }

    pub fn frames(&self) -> u64 {
        self.frames
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Writes the custom blocks, flushes, and gives back what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        for payload in std::mem::take(&mut self.custom) {
            self.begin(CUSTOM);
            self.put(&CUSTOM_PEN.to_le_bytes());
            self.put(CUSTOM_MAGIC);
            self.put(&(payload.len() as u32).to_le_bytes());
            self.padded(&payload);
            self.end()?;
        }
        self.to.flush()?;
        Ok(self.to)
    }

    fn begin(&mut self, kind: u32) {
        self.block.clear();
        self.put(&kind.to_le_bytes());
        self.put(&[0; 4]);
    }

    fn put(&mut self, octets: &[u8]) {
        self.block.extend_from_slice(octets);
    }

    fn padded(&mut self, octets: &[u8]) {
        self.put(octets);
        self.put(&[0; 3][..octets.len().wrapping_neg() % 4]);
    }

    fn option(&mut self, code: u16, value: &[u8]) {
        let value = &value[..value.len().min(MAX_OPTION)];
        self.put(&code.to_le_bytes());
        self.put(&(value.len() as u16).to_le_bytes());
        self.padded(value);
    }

    /// A text option, cut between two characters where it is too long; none for an empty text.
    fn text(&mut self, code: u16, text: &str) {
        if !text.is_empty() {
            let cut = text.floor_char_boundary(MAX_OPTION);
            self.option(code, &text.as_bytes()[..cut]);
        }
    }

    /// Closes the options and the block, and writes it in one piece.
    fn end(&mut self) -> io::Result<()> {
        if !matches!(self.block.first_chunk(), Some(kind) if *kind == CUSTOM.to_le_bytes()) {
            self.put(&[0; 4]);
        }
        let length = (self.block.len() as u32 + 4).to_le_bytes();
        if let Some(place) = self.block.get_mut(4..8) {
            place.copy_from_slice(&length);
        }
        self.put(&length);
        self.to.write_all(&self.block)
    }
}
