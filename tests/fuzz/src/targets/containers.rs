//! Capture files: both formats, plain and in the two compressions.
//!
//! For a compressed one the first octet of an input says whether the rest is the compressed file or is compressed here, so
//! that what is inside can be reached; and how much of it is cut off at the end.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiebei::link::capture::{Item, Reader};

use super::samples::Samples;
use super::{Outcome, Target};

/// Longer than the longest frames that are tried, and short enough to be fast.
const LONGEST: usize = 8192;

pub fn targets() -> Vec<Target> {
    let plain = |is_it: fn(&[u8]) -> bool| {
        move |samples: &Samples| {
            samples.files.iter().filter(|file| is_it(file)).map(|file| cut(file)).collect()
        }
    };
    let inside = |samples: &Samples| {
        samples.files.iter().map(|file| [&[0], &cut(file)[..]].concat()).collect()
    };
    vec![
        Target::new("pcap", |input| read(input.to_vec()), plain(|file| !is_pcapng(file)))
            .longest(LONGEST),
        Target::new("pcapng", |input| read(input.to_vec()), plain(is_pcapng)).longest(LONGEST),
        Target::new("pcap-gzip", |input| compressed(input, gzip), inside).longest(LONGEST),
        Target::new("pcap-zstd", |input| compressed(input, zstd), inside).longest(LONGEST),
    ]
}

fn is_pcapng(file: &[u8]) -> bool {
    file.starts_with(&[0x0a, 0x0d, 0x0d, 0x0a])
}

fn cut(file: &[u8]) -> Vec<u8> {
    file.get(..LONGEST - 1).unwrap_or(file).to_vec()
}

/// Takes everything out of a capture file.
fn read(file: Vec<u8>) -> Outcome {
    let length = file.len();
    let mut seen = DefaultHasher::new();
    let mut octets = length;
    match Reader::new("hostile", io::Cursor::new(file)) {
        Err(fault) => fault.offset.hash(&mut seen),
        Ok(mut reader) => {
            let (mut items, mut errors) = (0usize, 0);
            while let Some(item) = reader.next() {
                match item {
                    Ok(Item::Frame(frame)) => {
                        assert!(frame.length as usize >= frame.bytes.len());
                        (frame.bytes, frame.at, frame.interface, frame.link_type).hash(&mut seen);
                        frame.comments.hash(&mut seen);
                    }
                    Ok(Item::Custom { pen, data }) => (pen, data).hash(&mut seen),
                    Err(fault) => {
                        errors += 1;
                        fault.offset.hash(&mut seen);
                        assert!(!fault.to_string().is_empty());
                    }
                }
                items += 1;
                assert!(items as u64 <= reader.offset() + 1, "the reader does not move on");
            }
            assert!(errors <= 1, "a reader ends with its first error");
            octets = octets.max(reader.offset() as usize);
            assert!(reader.interfaces().len() <= octets);
        }
    }
    Outcome { digest: seen.finish(), octets, ..Outcome::default() }
}

fn compressed(input: &[u8], compress: fn(&[u8]) -> Vec<u8>) -> Outcome {
    let Some((&how, rest)) = input.split_first() else { return Outcome::default() };
    let mut file = if how & 1 == 0 { compress(rest) } else { rest.to_vec() };
    file.truncate(file.len().saturating_sub(usize::from(how >> 1)));
    read(file)
}

fn gzip(octets: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

fn zstd(octets: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(octets, 1).unwrap()
}
