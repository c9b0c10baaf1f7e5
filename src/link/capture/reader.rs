//! pcap and pcapng read.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{CaptureError, FileInterface, Item};

/// The longest block of a pcapng file that is believed: Wireshark's limit.
pub const MAX_BLOCK: u32 = 16 << 20;

/// Reads a capture front to back, one item at a time.
pub struct Reader {
    file: String,
    interfaces: Vec<FileInterface>,
    input: Box<dyn Read>,
}

impl Reader {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path) -> Result<Reader, CaptureError> {
        todo!()
    }

    /// Reads from anything; `file` is its name in errors.
    pub fn new(
        file: impl Into<String>,
        input: impl Read + 'static,
    ) -> Result<Reader, CaptureError> {
        todo!()
    }

    /// The next item. `None` at the end; after an error, always.
    pub fn next(&mut self) -> Option<Result<Item<'_>, CaptureError>> {
        todo!()
    }

    /// Every interface that was described so far.
    pub fn interfaces(&self) -> &[FileInterface] {
        &self.interfaces
    }
}
