//! Read, written, read again; cut at every length; bytes that are no capture.

use std::io::{Cursor, Write};

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;

/// A frame with everything owned.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    at: i128,
    interface: u32,
    link_type: LinkType,
    bytes: Vec<u8>,
    length: u32,
    direction: Option<Direction>,
    comments: Vec<String>,
}

fn keep(frame: &CapturedFrame<'_>) -> Kept {
    Kept {
        at: frame.at.as_nanosecond(),
        interface: frame.interface,
        link_type: frame.link_type,
        bytes: frame.bytes.to_vec(),
        length: frame.length,
        direction: frame.direction,
        comments: frame.comments.clone(),
    }
}

/// Every frame and every payload of ours, and the error at the end, if there is one.
fn read(bytes: &[u8]) -> (Vec<Kept>, Vec<Vec<u8>>, Option<CaptureError>) {
    let (mut frames, mut payloads) = (Vec::new(), Vec::new());
    let mut reader = match Reader::new("test", Cursor::new(bytes.to_vec())) {
        Ok(reader) => reader,
        Err(error) => return (frames, payloads, Some(error)),
    };
    while let Some(item) = reader.next() {
        match item {
            Ok(Item::Frame(frame)) => frames.push(keep(&frame)),
            Ok(item) => payloads.extend(item.ours().map(<[u8]>::to_vec)),
            Err(error) => {
                assert!(reader.next().is_none(), "nothing comes after an error");
                return (frames, payloads, Some(error));
            }
        }
    }
    assert!(reader.next().is_none());
    (frames, payloads, None)
}

fn write(frames: &[Kept], payloads: &[Vec<u8>]) -> Vec<u8> {
    let section =
        Section { application: "jiebei test".into(), comments: vec!["one".into(), "二".into()] };
    let mut writer = Writer::new(Vec::new(), &section).unwrap();
    for name in ["eth0", "界碑"] {
        writer.interface(&InterfaceDescription::ethernet(name)).unwrap();
    }
    for payload in payloads {
        writer.custom(payload.clone()).unwrap();
    }
    for (number, frame) in (1..).zip(frames) {
        let comments: Vec<&str> = frame.comments.iter().map(String::as_str).collect();
        let written = writer.frame(
            frame.interface,
            Timestamp::from_nanosecond(frame.at).unwrap(),
            &frame.bytes,
            frame.length,
            frame.direction,
            &comments,
        );
        assert_eq!(written.unwrap(), number);
    }
    writer.statistics(0, Timestamp::UNIX_EPOCH, 7, 1).unwrap();
    writer.finish().unwrap()
}

prop_compose! {
    fn frame()(
        at in 0..=u64::MAX,
        interface in 0u32..2,
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        more in 0u32..3,
        direction in prop::option::of(prop_oneof![
            Just(Direction::Inbound),
            Just(Direction::Outbound),
        ]),
        comments in prop::collection::vec("[a-z界]{1,9}", 0..3),
    ) -> Kept {
        let length = bytes.len() as u32 + more;
        let link_type = LinkType::ETHERNET;
        Kept { at: at.into(), interface, link_type, bytes, length, direction, comments }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(
        frames in prop::collection::vec(frame(), 0..8),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..3),
    ) {
        let (read_frames, read_payloads, error) = read(&write(&frames, &payloads));
        prop_assert!(error.is_none());
        prop_assert_eq!(read_frames, frames);
        prop_assert_eq!(read_payloads, payloads);
    }

    #[test]
    fn no_bytes_make_the_reader_panic_or_loop(
        magic in prop::sample::select(vec![
            vec![],
            vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0],
            vec![0xa1, 0xb2, 0xcd, 0x34, 0, 2, 0, 3],
            vec![0x1f, 0x8b, 8],
            vec![0x28, 0xb5, 0x2f, 0xfd],
            vec![0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
                 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0],
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut bytes = magic;
        bytes.extend(rest);
        let (frames, _, _) = read(&bytes);
        prop_assert!(frames.len() * 12 <= bytes.len());
    }

    #[test]
    fn a_file_with_one_octet_changed_is_read_to_an_end(
        frames in prop::collection::vec(frame(), 1..4),
        place in any::<prop::sample::Index>(),
        octet in any::<u8>(),
    ) {
        let mut bytes = write(&frames, &[vec![1, 2, 3]]);
        *place.get_mut(&mut bytes) = octet;
        let (read_frames, _, _) = read(&bytes);
        prop_assert!(read_frames.len() <= frames.len() + 2);
    }
}

fn two_frames() -> Vec<Kept> {
    [1_795_000_000_123_456_789, 1_700_000_000_000_000_001]
        .map(|at| Kept {
            at,
            interface: 1,
            link_type: LinkType::ETHERNET,
            bytes: vec![7; 61],
            length: 1500,
            direction: Some(Direction::Outbound),
            comments: vec!["finding".into()],
        })
        .to_vec()
}

#[test]
fn a_file_cut_anywhere_gives_the_frames_before_the_cut_and_its_offset() {
    let frames = two_frames();
    let bytes = write(&frames, &[]);
    let ends: Vec<usize> =
        (0..=2).map(|count| write(&frames[..count], &[]).len() - STATISTICS).collect();
    for length in 0..bytes.len() {
        let (read_frames, _, error) = read(&bytes[..length]);
        let whole = ends.iter().skip(1).filter(|end| **end <= length).count();
        assert_eq!(read_frames, frames[..whole], "cut at {length}");
        if let Some(error) = error {
            assert!(error.offset <= length as u64);
            assert!(error.to_string().starts_with("test: at octet "), "{error}");
        }
    }
}

/// The length of the statistics block that `write` puts last.
const STATISTICS: usize = 12 + 12 + 2 * 12 + 4;

#[test]
fn compressed_captures_are_read_as_they_are() {
    let frames = two_frames();
    let plain = write(&frames, &[]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let zstd = zstd::stream::encode_all(plain.as_slice(), 0).unwrap();
    for packed in [gzip.finish().unwrap(), zstd] {
        assert_eq!(read(&packed).0, frames);
        let (_, _, error) = read(&packed[..packed.len() - 20]);
        assert!(matches!(error, Some(CaptureError { .. })), "a cut archive is told");
    }
}

/// A pcap header in each of the byte orders and variants, and one frame of three octets.
#[test]
fn pcap_is_read_in_both_orders_and_resolutions() {
    for (magic, fraction, expected, wide) in [
        (0xa1b2_c3d4u32, 500_000u32, 500_000_000i128, false),
        (0xa1b2_3c4d, 500_000_001, 500_000_001, false),
        (0xa1b2_cd34, 999_999, 999_999_000, true),
    ] {
        for big in [false, true] {
            let order = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
            let half = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
            let mut file = Vec::new();
            file.extend(order(magic));
            file.extend(half(2));
            file.extend(half(4));
            for number in [0, 0, 65535, 113, 1_700_000_000, fraction, 3, 60] {
                file.extend(order(number));
            }
            if wide {
                file.extend([0; 8]);
            }
            file.extend([1, 2, 3]);
            let (frames, _, error) = read(&file);
            assert!(error.is_none(), "{error:?}");
            assert_eq!(frames[0].at, 1_700_000_000_000_000_000 + expected);
            assert_eq!((frames[0].bytes.as_slice(), frames[0].length), (&[1, 2, 3][..], 60));
            assert_eq!(frames[0].link_type, LinkType::LINUX_SLL);
        }
    }
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = (12 + body.len()) as u32;
    let mut block = kind.to_be_bytes().to_vec();
    block.extend(length.to_be_bytes());
    block.extend(body);
    block.extend(length.to_be_bytes());
    block
}

/// Two sections in network order: a simple packet, an obsolete packet, a clock in 2^-10 seconds
/// with an offset, blocks that nobody knows, and interfaces numbered through.
#[test]
fn sections_and_rare_blocks_are_read() {
    let mut section = vec![0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0];
    section.extend([0xff; 8]);
    let mut file = Vec::new();
    for link_type in [1u8, 101] {
        file.extend(block(0x0a0d_0d0a, &section));
        let mut interface = vec![0, link_type, 0, 0, 0, 0, 0, 4];
        interface.extend([0, 9, 0, 1, 0x8a, 0, 0, 0]);
        interface.extend([0, 14, 0, 8, 0, 0, 0, 0, 0, 0, 0, 100]);
        file.extend(block(1, &interface));
        file.extend(block(4, &[0; 8]));
        file.extend(block(0x8000_0001, &[0xff; 12]));
        // Obsolete: interface 0, no drops, 1536/1024 seconds, two octets of nine.
        file.extend(block(
            2,
            &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 2, 0, 0, 0, 9, 0xaa, 0xbb, 0, 0],
        ));
        // Simple: six octets long, of which the interface keeps four.
        file.extend(block(3, &[0, 0, 0, 6, 1, 2, 3, 4]));
    }
    let (frames, _, error) = read(&file);
    assert!(error.is_none(), "{error:?}");
    let seen: Vec<_> =
        frames.iter().map(|f| (f.interface, f.link_type, f.bytes.as_slice(), f.length)).collect();
    assert_eq!(
        seen,
        [
            (0, LinkType::ETHERNET, &[0xaa, 0xbb][..], 9),
            (0, LinkType::ETHERNET, &[1, 2, 3, 4], 6),
            (1, LinkType::RAW, &[0xaa, 0xbb], 9),
            (1, LinkType::RAW, &[1, 2, 3, 4], 6),
        ]
    );
    assert!(frames.iter().all(|frame| frame.at == 101_500_000_000));
}

#[test]
fn each_lie_is_named_with_its_offset() {
    let section = |body: &[u8]| block(0x0a0d_0d0a, body);
    let good = [0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255];
    let mut version = good;
    version[5] = 3;
    let with = |rest: Vec<u8>| [section(&good), rest].concat();
    let mut differ = block(4, &[0; 4]);
    differ[15] = 20;
    let long = [0, 0, 0, 4, 0xff, 0, 0, 0];
    for (file, offset, expected) in [
        (vec![1, 2, 3, 4, 5], 0, "neither pcap nor pcapng"),
        (vec![], 0, "neither pcap nor pcapng"),
        (section(&version), 0, "pcapng version 3.0 is unknown"),
        (section(&[&good[..], &[0, 1, 48, 48]].concat()), 0, "an option of 12336 octets"),
        (with(long.to_vec()), 28, "a block claims 4278190080 octets"),
        (with(vec![0, 0, 0, 4, 0, 0, 0, 8]), 28, "a block claims 8 octets"),
        (with(differ), 28, "the two lengths of a block differ: 16 and 20"),
        (with(block(6, &[0; 20])), 28, "a frame is from interface 0, and only 0 are described"),
        (with(vec![0, 0, 0]), 28, "the file ends inside a block's header: 5 octets are missing"),
    ] {
        let (_, _, error) = read(&file);
        let error = error.expect(expected);
        assert_eq!(error.offset, offset, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_block_that_claims_much_and_holds_little_takes_little_memory() {
    let mut file = write(&[], &[]);
    file.extend([6, 0, 0, 0, 0, 0, 0, 1]);
    let (_, _, error) = read(&file);
    assert!(matches!(error.unwrap().fault, CaptureFault::Cut { .. }));
}
