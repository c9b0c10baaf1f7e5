//! pcap and pcapng read: every block consumes octets, every length is held against a limit.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::Path;

use jiff::Timestamp;

use super::source::{MAX_UNFOLDED, Source};
use super::{
    CaptureError, CaptureFault, CapturedFrame, Direction, FileInterface, Item, LinkType, MAX_FRAME,
};

/// The longest block of a pcapng file that is believed: Wireshark's limit.
pub const MAX_BLOCK: u32 = 16 << 20;

/// The most interfaces that a file may describe, in all its sections. A guess, far above any use.
const MAX_INTERFACES: usize = 65_536;
/// The longest interface name that is kept, in octets; Linux has 15.
const MAX_NAME: usize = 256;

const SECTION_HEADER: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
/// A block's type and its length, before and after the body.
const FRAMING: usize = 12;

/// Reads a capture front to back, one item at a time.
pub struct Reader {
    file: String,
    source: Source,
    format: Format,
    interfaces: Vec<FileInterface>,
    /// The record or block at hand.
    block: Vec<u8>,
    last_at: Timestamp,
    ended: bool,
}

enum Format {
    Pcap(Pcap),
    Pcapng(Section),
}

struct Pcap {
    order: Order,
    minor: u16,
    /// Nanoseconds in one unit of the fraction field.
    fraction: u32,
    /// Kuznetzov's variant: eight octets more before each frame.
    wide: bool,
}

struct Section {
    order: Order,
    /// One for each interface of this section.
    clocks: Vec<Clock>,
}

/// How an interface's time is written: if_tsresol and if_tsoffset.
#[derive(Clone, Copy)]
struct Clock {
    resolution: u8,
    offset: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    Little,
    Big,
}

/// What one step of reading came to. Ranges are places in `Reader::block`.
enum Step {
    Skip,
    Frame {
        at: Option<Timestamp>,
        interface: usize,
        bytes: Range<usize>,
        length: u32,
        direction: Option<Direction>,
        comments: Vec<String>,
    },
    Custom {
        pen: u32,
        data: Range<usize>,
    },
    End,
}

impl Reader {
    /// Opens a file, plain or compressed by gzip or zstd; `-` is standard input.
    pub fn open(path: &Path) -> Result<Reader, CaptureError> {
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Reader::new("-", io::stdin());
        }
        match File::open(path) {
            Ok(file) => Reader::new(name, file),
            Err(error) => Err(CaptureError { file: name, offset: 0, fault: error.into() }),
        }
    }

    /// Reads from anything; `file` is its name in errors.
    pub fn new(
        file: impl Into<String>,
        input: impl Read + Send + 'static,
    ) -> Result<Reader, CaptureError> {
        let file = file.into();
        let mut block = Vec::new();
        let opened = Source::new(input).map_err(CaptureFault::Io).and_then(|mut source| {
            let (format, interfaces) = begin(&mut source, &mut block)?;
            Ok((source, format, interfaces))
        });
        match opened {
            Ok((source, format, interfaces)) => Ok(Reader {
                file,
                source,
                format,
                interfaces,
                block,
                last_at: Timestamp::UNIX_EPOCH,
                ended: false,
            }),
            Err(fault) => Err(CaptureError { file, offset: 0, fault }),
        }
    }

    /// The next item. `None` at the end; after an error, always.
    #[expect(clippy::should_implement_trait, reason = "items borrow from the reader")]
    pub fn next(&mut self) -> Option<Result<Item<'_>, CaptureError>> {
        while !self.ended {
            let offset = self.source.offset();
            let step = match self.step() {
                Ok(step) => step,
                Err(fault) => {
                    self.ended = true;
                    return Some(Err(CaptureError { file: self.file.clone(), offset, fault }));
                }
            };
            match step {
                Step::Skip => {}
                Step::End => self.ended = true,
                Step::Custom { pen, data } => {
                    let data = self.block.get(data).unwrap_or_default();
                    return Some(Ok(Item::Custom { pen, data }));
                }
                Step::Frame { at, interface, bytes, length, direction, comments } => {
                    let at = at.unwrap_or(self.last_at);
                    self.last_at = at;
                    let link_type =
                        self.interfaces.get(interface).map_or(LinkType::NULL, |i| i.link_type);
                    let bytes = self.block.get(bytes).unwrap_or_default();
                    return Some(Ok(Item::Frame(CapturedFrame {
                        at,
                        interface: interface as u32,
                        link_type,
                        bytes,
                        length: length.max(bytes.len() as u32),
                        direction,
                        comments,
                    })));
                }
            }
        }
        None
    }

    /// Every interface that was described so far.
    pub fn interfaces(&self) -> &[FileInterface] {
        &self.interfaces
    }

    /// How many octets were read, after decompression.
    pub fn offset(&self) -> u64 {
        self.source.offset()
    }

    fn step(&mut self) -> Result<Step, CaptureFault> {
        if self.source.is_past_limit() {
            let (claimed, limit) = (self.source.offset(), MAX_UNFOLDED);
            return Err(CaptureFault::TooLong { what: "the unfolded capture", claimed, limit });
        }
        self.block.clear();
        match &mut self.format {
            Format::Pcap(pcap) => pcap.record(&mut self.source, &mut self.block),
            Format::Pcapng(section) => {
                section.block(&mut self.source, &mut self.block, &mut self.interfaces)
            }
        }
    }
}

/// Reads a file's first header.
fn begin(
    source: &mut Source,
    block: &mut Vec<u8>,
) -> Result<(Format, Vec<FileInterface>), CaptureFault> {
    source.read(4, block)?;
    let magic: [u8; 4] = match block.as_slice().try_into() {
        Ok(magic) => magic,
        Err(_) => return Err(CaptureFault::NoCapture(block.clone())),
    };
    if magic == SECTION_HEADER {
        let mut section = Section { order: Order::Little, clocks: Vec::new() };
        need(source, block, 4, "a section header")?;
        section.header(source, block)?;
        return Ok((Format::Pcapng(section), Vec::new()));
    }
    let (order, fraction, wide) = match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, 1000, false),
        [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, 1000, false),
        [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, 1, false),
        [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, 1, false),
        [0x34, 0xcd, 0xb2, 0xa1] => (Order::Little, 1000, true),
        [0xa1, 0xb2, 0xcd, 0x34] => (Order::Big, 1000, true),
        _ => return Err(CaptureFault::NoCapture(magic.to_vec())),
    };
    need(source, block, 20, "the file header")?;
    let mut fields = Fields { rest: block.get(4..).unwrap_or_default(), order };
    let (major, minor) = (fields.u16()?, fields.u16()?);
    if major != 2 {
        return Err(CaptureFault::Version { format: "pcap", major, minor });
    }
    // The zone and the accuracy were never used.
    let (_, _, snap, network) = (fields.u32()?, fields.u32()?, fields.u32()?, fields.u32()?);
    let link_type = match network & 0xffff {
        // DLT_RAW of OpenBSD and of the others, which old programs wrote as it was.
        12 | 14 => LinkType::RAW,
        number => LinkType(number as u16),
    };
    let interface = FileInterface { link_type, snap, name: None };
    Ok((Format::Pcap(Pcap { order, minor, fraction, wide }), vec![interface]))
}

impl Pcap {
    fn record(&self, source: &mut Source, block: &mut Vec<u8>) -> Result<Step, CaptureFault> {
        let header = if self.wide { 24 } else { 16 };
        let read = source.read(header, block)?;
        if read == 0 {
            return Ok(Step::End);
        }
        if read < header {
            return Err(cut("a record's header", header, read));
        }
        let mut fields = Fields { rest: block, order: self.order };
        let (seconds, fraction) = (fields.u32()?, fields.u32()?);
        let (mut captured, mut length) = (fields.u32()?, fields.u32()?);
        // Before version 2.3 the two stood the other way round, and in it sometimes.
        if self.minor < 3 || (self.minor == 3 && captured > length) {
            (captured, length) = (length, captured);
        }
        if captured > MAX_FRAME {
            return Err(CaptureFault::TooLong {
                what: "a frame",
                claimed: captured.into(),
                limit: MAX_FRAME.into(),
            });
        }
        need(source, block, captured as usize, "a frame")?;
        let nanoseconds =
            i128::from(seconds) * 1_000_000_000 + i128::from(fraction) * i128::from(self.fraction);
        Ok(Step::Frame {
            at: Some(timestamp(nanoseconds)),
            interface: 0,
            bytes: header..block.len(),
            length,
            direction: None,
            comments: Vec::new(),
        })
    }
}

impl Section {
    /// Reads a section header block, whose type and length are in `block` already: the length
    /// cannot be understood before the byte order mark behind it.
    fn header(&mut self, source: &mut Source, block: &mut Vec<u8>) -> Result<(), CaptureFault> {
        need(source, block, 4, "a section header")?;
        let mark: [u8; 4] = block.last_chunk().copied().unwrap_or_default();
        self.order = match mark {
            [0x4d, 0x3c, 0x2b, 0x1a] => Order::Little,
            [0x1a, 0x2b, 0x3c, 0x4d] => Order::Big,
            other => return Err(CaptureFault::ByteOrder(other)),
        };
        self.clocks.clear();
        let body = self.rest_of_block(source, block, 12, 28)?;
        let mut fields = Fields { rest: block.get(body).unwrap_or_default(), order: self.order };
        let (_, major, minor) = (fields.u32()?, fields.u16()?, fields.u16()?);
        // 1.2 was written by mistake and means 1.0 (draft-ietf-opsawg-pcapng §4.1).
        if major != 1 || !matches!(minor, 0 | 2) {
            return Err(CaptureFault::Version { format: "pcapng", major, minor });
        }
        let _section_length = (fields.u32()?, fields.u32()?);
        fields.options(|_, _| ())
    }

    /// Reads a block to its end, `block` holding its first `had` octets. Gives the body's place.
    fn rest_of_block(
        &self,
        source: &mut Source,
        block: &mut Vec<u8>,
        had: usize,
        least: u32,
    ) -> Result<Range<usize>, CaptureFault> {
        let mut fields = Fields { rest: block.get(4..).unwrap_or_default(), order: self.order };
        let first = fields.u32()?;
        if first < least {
            let (claimed, least) = (first.into(), least.into());
            return Err(CaptureFault::TooShort { what: "a block", claimed, least });
        }
        // Some writers leave the padding out of the length.
        let whole = first.checked_next_multiple_of(4).filter(|whole| *whole <= MAX_BLOCK).ok_or(
            CaptureFault::TooLong {
                what: "a block",
                claimed: first.into(),
                limit: MAX_BLOCK.into(),
            },
        )? as usize;
        need(source, block, whole.saturating_sub(had), "a block")?;
        let end = whole.saturating_sub(4);
        let mut trailer = Fields { rest: block.get(end..).unwrap_or_default(), order: self.order };
        let last = trailer.u32()?;
        if last != first {
            return Err(CaptureFault::LengthsDiffer { first, last });
        }
        Ok(8..end)
    }

    fn block(
        &mut self,
        source: &mut Source,
        block: &mut Vec<u8>,
        interfaces: &mut Vec<FileInterface>,
    ) -> Result<Step, CaptureFault> {
        match source.read(8, block)? {
            0 => return Ok(Step::End),
            8 => {}
            read => return Err(cut("a block's header", 8, read)),
        }
        if block.starts_with(&SECTION_HEADER) {
            self.header(source, block)?;
            return Ok(Step::Skip);
        }
        let body = self.rest_of_block(source, block, 8, FRAMING as u32)?;
        let start = body.start;
        let mut fields =
            Fields { rest: block.get(body.clone()).unwrap_or_default(), order: self.order };
        let kind = Fields { rest: block, order: self.order }.u32()?;
        match kind {
            INTERFACE_DESCRIPTION => self.interface(fields, interfaces),
            ENHANCED_PACKET => {
                let interface = fields.u32()?;
                self.packet(interface, fields, start + 4, interfaces.len())
            }
            OBSOLETE_PACKET => {
                let interface = fields.u16()?;
                let _drops = fields.u16()?;
                self.packet(interface.into(), fields, start + 4, interfaces.len())
            }
            SIMPLE_PACKET => {
                let length = fields.u32()?;
                let interface = self.place(0, interfaces.len())?;
                let snap = match interfaces.get(interface).map(|interface| interface.snap) {
                    None | Some(0) => MAX_FRAME,
                    Some(snap) => snap.min(MAX_FRAME),
                };
                let captured = (length.min(snap) as usize).min(fields.rest.len());
                Ok(Step::Frame {
                    at: None,
                    interface,
                    bytes: start + 4..start + 4 + captured,
                    length,
                    direction: None,
                    comments: Vec::new(),
                })
            }
            CUSTOM | CUSTOM_NOT_COPIED => {
                Ok(Step::Custom { pen: fields.u32()?, data: start + 4..body.end })
            }
            // Name resolution, statistics, secrets, journals, and what is yet to be invented.
            _ => Ok(Step::Skip),
        }
    }

    fn interface(
        &mut self,
        mut fields: Fields<'_>,
        interfaces: &mut Vec<FileInterface>,
    ) -> Result<Step, CaptureFault> {
        if interfaces.len() >= MAX_INTERFACES {
            let limit = MAX_INTERFACES as u64;
            return Err(CaptureFault::TooMany { what: "interfaces", limit });
        }
        let link_type = LinkType(fields.u16()?);
        let _reserved = fields.u16()?;
        let snap = fields.u32()?;
        let order = fields.order;
        let mut name = None;
        let mut clock = Clock { resolution: 6, offset: 0 };
        fields.options(|code, value| match code {
            2 => {
                let value = value.get(..MAX_NAME).unwrap_or(value);
                name = Some(text(value));
            }
            9 => clock.resolution = value.first().copied().unwrap_or(6),
            14 => clock.offset = Fields { rest: value, order }.i64().unwrap_or(0),
            _ => {}
        })?;
        interfaces.push(FileInterface { link_type, snap, name });
        self.clocks.push(clock);
        Ok(Step::Skip)
    }

    /// An enhanced or an obsolete packet block, from its timestamp on, which stands at `start`.
    fn packet(
        &self,
        interface: u32,
        mut fields: Fields<'_>,
        start: usize,
        known: usize,
    ) -> Result<Step, CaptureFault> {
        let (high, low) = (fields.u32()?, fields.u32()?);
        let (captured, length) = (fields.u32()?, fields.u32()?);
        let limit = MAX_FRAME.min(fields.rest.len() as u32);
        if captured > limit {
            let (claimed, limit) = (captured.into(), limit.into());
            return Err(CaptureFault::TooLong { what: "a frame", claimed, limit });
        }
        let place = self.place(interface, known)?;
        let clock = self.clocks.get(interface as usize).copied();
        let clock = clock.unwrap_or(Clock { resolution: 6, offset: 0 });
        fields.take((captured as usize).next_multiple_of(4));
        let order = fields.order;
        let (mut direction, mut comments) = (None, Vec::new());
        fields.options(|code, value| match code {
            1 => comments.push(text(value)),
            2 => {
                direction = match (Fields { rest: value, order }).u32().unwrap_or(0) & 3 {
                    1 => Some(Direction::Inbound),
                    2 => Some(Direction::Outbound),
                    _ => None,
                };
            }
            _ => {}
        })?;
        Ok(Step::Frame {
            at: Some(clock.time(u64::from(high) << 32 | u64::from(low))),
            interface: place,
            bytes: start + 16..start + 16 + captured as usize,
            length,
            direction,
            comments,
        })
    }

    /// The place among all of the file's interfaces of one of this section; `known` is how many
    /// the file has so far, of which this section's are the last.
    fn place(&self, interface: u32, known: usize) -> Result<usize, CaptureFault> {
        let own = self.clocks.len();
        if interface as usize >= own {
            return Err(CaptureFault::NoInterface { interface, known: own });
        }
        Ok(known.saturating_sub(own).saturating_add(interface as usize))
    }
}

impl Clock {
    fn time(self, units: u64) -> Timestamp {
        let units = u128::from(units);
        let exponent = u32::from(self.resolution & 0x7f);
        let nanoseconds = if self.resolution & 0x80 != 0 {
            // Below 2^64 × 2^30, shifted by at most 127.
            (units * 1_000_000_000) >> exponent
        } else if exponent <= 9 {
            units * 10u128.pow(9 - exponent)
        } else {
            10u128.checked_pow(exponent - 9).map_or(0, |divisor| units / divisor)
        };
        // Below 2^94 and 2^63 × 2^30: no sum of the two overflows.
        timestamp(nanoseconds as i128 + i128::from(self.offset) * 1_000_000_000)
    }
}

/// The time; what no calendar holds becomes the nearest that one does.
fn timestamp(nanoseconds: i128) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds).unwrap_or(if nanoseconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).into_owned()
}

/// Reads exactly `count` octets more.
fn need(
    source: &mut Source,
    block: &mut Vec<u8>,
    count: usize,
    what: &'static str,
) -> Result<(), CaptureFault> {
    let read = source.read(count, block)?;
    if read < count { Err(cut(what, count, read)) } else { Ok(()) }
}

fn cut(what: &'static str, needed: usize, read: usize) -> CaptureFault {
    CaptureFault::Cut { what, needed: needed.saturating_sub(read) as u64 }
}

/// The fields of a block from the front.
struct Fields<'a> {
    rest: &'a [u8],
    order: Order,
}

impl<'a> Fields<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], CaptureFault> {
        let (chunk, rest) = self.rest.split_first_chunk().ok_or(CaptureFault::TooShort {
            what: "a block's body",
            claimed: self.rest.len() as u64,
            least: N as u64,
        })?;
        self.rest = rest;
        Ok(*chunk)
    }

    fn u16(&mut self) -> Result<u16, CaptureFault> {
        let chunk = self.chunk()?;
        Ok(match self.order {
            Order::Little => u16::from_le_bytes(chunk),
            Order::Big => u16::from_be_bytes(chunk),
        })
    }

    fn u32(&mut self) -> Result<u32, CaptureFault> {
        let chunk = self.chunk()?;
        Ok(match self.order {
            Order::Little => u32::from_le_bytes(chunk),
            Order::Big => u32::from_be_bytes(chunk),
        })
    }

    fn i64(&mut self) -> Result<i64, CaptureFault> {
        let chunk = self.chunk()?;
        Ok(match self.order {
            Order::Little => i64::from_le_bytes(chunk),
            Order::Big => i64::from_be_bytes(chunk),
        })
    }

    /// The next `count` octets, or as many as there are.
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// Walks the options at the end of a block.
    fn options(&mut self, mut each: impl FnMut(u16, &'a [u8])) -> Result<(), CaptureFault> {
        while self.rest.len() >= 4 {
            let (code, length) = (self.u16()?, self.u16()?);
            if code == 0 {
                break;
            }
            let left = self.rest.len();
            if usize::from(length) > left {
                return Err(CaptureFault::OptionTooLong { claimed: length, left });
            }
            let padded = self.take(usize::from(length).next_multiple_of(4));
            each(code, padded.get(..usize::from(length)).unwrap_or(padded));
        }
        Ok(())
    }
}

/// Block types. draft-ietf-opsawg-pcapng §10.1.
const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const CUSTOM: u32 = 0x0000_0bad;
const CUSTOM_NOT_COPIED: u32 = 0x4000_0bad;
