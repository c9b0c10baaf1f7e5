//! What targets begin with: frames of captures, and the captures themselves.

use std::fs;
use std::io::Cursor;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use jiebei::link::capture::{Item, Reader};
use jiebei::net::Mac;
use jiebei::wire::LinkType;
use jiebei::wire::build::{self, Macs};

/// Frames of one capture; further ones are much like them.
const OF_ONE_CAPTURE: usize = 60;
/// Captures that are taken as files, in octets.
const SHORT_FILE: u64 = 20_000;

pub struct Samples {
    pub frames: Vec<(LinkType, Vec<u8>)>,
    pub files: Vec<Vec<u8>>,
}

/// The captures in a folder, in order of name.
pub fn captures(folder: &Path) -> Vec<PathBuf> {
    let mut captures: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng"))
        .collect();
    captures.sort();
    captures
}

impl Samples {
    /// A few frames of each capture in a folder.
    pub fn of(folder: &Path) -> Samples {
        let mut frames = Vec::new();
        let captures = captures(folder);
        for capture in &captures {
            let Ok(mut reader) = Reader::open(capture) else { continue };
            let mut left = OF_ONE_CAPTURE;
            while let Some(Ok(item)) = reader.next() {
                if let Item::Frame(frame) = item {
                    frames.push((frame.link_type, frame.bytes.to_vec()));
                    left -= 1;
                    if left == 0 {
                        break;
                    }
                }
            }
        }
        frames.extend(vec![(LinkType::ETHERNET, mdns_response()); OF_ONE_CAPTURE]);
        let is_short =
            |path: &&PathBuf| fs::metadata(path).is_ok_and(|file| file.len() < SHORT_FILE);
        let files = captures.iter().filter(is_short).map(|path| fs::read(path).unwrap()).collect();
        Samples { frames, files }
    }
}

/// No permissive capture has an mDNS response.
fn mdns_response() -> Vec<u8> {
    let mut response = vec![0, 0, 0x84, 0, 0, 0, 0, 2, 0, 0, 0, 0];
    response
        .extend_from_slice(b"\x04desk\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\x0a\x14\x01\x09");
    response.extend_from_slice(b"\x019\x011\x0220\x0210\x07in-addr\x04arpa\0");
    response.extend_from_slice(b"\0\x0c\x80\x01\0\0\0\x78\0\x02\xc0\x0c");
    let macs = Macs { source: Mac([2, 0, 0, 0, 0, 1]), destination: Mac([1, 0, 0x5e, 0, 0, 0xfb]) };
    let (source, group) = (Ipv4Addr::new(10, 20, 1, 9), Ipv4Addr::new(224, 0, 0, 251));
    build::udp_datagram(macs, (source.into(), 5353), (group.into(), 5353), 255, &response).unwrap()
}

/// `LINKTYPE_USER0`: what is in such a file is an affair of who wrote it.
const USER0: LinkType = LinkType(147);

/// The inputs of a packed corpus.
pub fn unpack(pack: &Path) -> Vec<Vec<u8>> {
    let mut reader = Reader::open(pack).unwrap();
    let mut inputs = Vec::new();
    while let Some(item) = reader.next() {
        if let Item::Frame(frame) = item.unwrap() {
            assert_eq!(frame.link_type, USER0);
            inputs.push(frame.bytes.to_vec());
        }
    }
    inputs
}

/// Packs the files of a folder, in order of name, into a compressed capture.
pub fn pack(folder: &Path, pack: &Path) {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // The head of a file: magic, version 2.4, no zone, no limit of length below a reader's own.
    let mut capture = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 1 << 18, u32::from(USER0.0)]
        .map(u32::to_le_bytes)
        .concat();
    for file in files {
        let input = fs::read(file).unwrap();
        let length = u32::try_from(input.len()).unwrap();
        capture.extend([0, 0, length, length].map(u32::to_le_bytes).concat());
        capture.extend(input);
    }
    fs::write(pack, zstd::stream::encode_all(Cursor::new(capture), 19).unwrap()).unwrap();
}
