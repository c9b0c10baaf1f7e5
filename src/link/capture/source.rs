//! Where a capture's octets come from: decompressed where they are compressed, counted, bounded.

use std::io::{self, BufReader, Cursor, Read};

use flate2::read::MultiGzDecoder;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// What a compressed capture may unfold to. Frames are handed on and forgotten, so this bounds
/// time, not memory; a guess: more than a day of a busy office link.
pub const MAX_UNFOLDED: u64 = 64 << 30;

/// As zstd's own default: frames that ask for a larger window are refused, not allocated for.
const ZSTD_WINDOW_LOG: u32 = 27;

pub struct Source {
    input: Box<dyn Read + Send>,
    offset: u64,
    compressed: bool,
}

impl Source {
    pub fn new(input: impl Read + Send + 'static) -> io::Result<Source> {
        let mut input = BufReader::with_capacity(1 << 16, input);
        let mut start = Vec::new();
        Read::by_ref(&mut input).take(4).read_to_end(&mut start)?;
        let (gzip, zstd) = (start.starts_with(&GZIP), start == ZSTD);
        let whole = Cursor::new(start).chain(input);
        let input: Box<dyn Read + Send> = if gzip {
            Box::new(BufReader::new(MultiGzDecoder::new(whole)))
        } else if zstd {
            let mut decoder = zstd::stream::read::Decoder::new(whole)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(BufReader::new(decoder))
        } else {
            Box::new(whole)
        };
        Ok(Source { input, offset: 0, compressed: gzip || zstd })
    }

    /// How many octets were read so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    pub fn is_past_limit(&self) -> bool {
        self.compressed && self.offset > MAX_UNFOLDED
    }

    /// Appends the next `count` octets, fewer only at the end of the input; says how many. The
    /// buffer grows with what is really there, not with what a length field claims.
    pub fn read(&mut self, count: usize, into: &mut Vec<u8>) -> io::Result<usize> {
        let read = Read::by_ref(&mut self.input).take(count as u64).read_to_end(into)?;
        self.offset = self.offset.saturating_add(read as u64);
        Ok(read)
    }
}
