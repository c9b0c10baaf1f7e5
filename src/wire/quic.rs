//! QUIC's Initial packets (RFC 9000, 9001, 9369; drafts from 22 on, with mvfst's and Google's names for them). Their keys come from a salt that everybody knows and from the
//! connection id that the client chose, so whoever sees the packets reads the TLS hellos in them.

use ring::{aead, hkdf};

use super::cursor::{Cursor, WireError};

pub const VERSION_1: u32 = 1;
pub const VERSION_2: u32 = 0x6b33_43cf;
pub const DRAFT_29: u32 = 0xff00_001d;

/// mvfst's own numbers, on drafts 22 and 27; Google's with TLS.
const MVFST_22: u32 = 0xface_b001;
const MVFST_27: u32 = 0xface_b002;
const MVFST_EXPERIMENT: u32 = 0xface_b00e;
const T050: u32 = 0x5430_3530;
const T051: u32 = 0x5430_3531;

/// RFC 9001 §5.2, RFC 9369 §3.3.1, draft-ietf-quic-tls §5.2 of the drafts 29, 23 and 22; of T050 and T051 as Chromium has them.
const SALT_1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
const SALT_2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
    0xf9, 0xbd, 0x2e, 0xd9,
];
const SALT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0,
    0x43, 0x90, 0xa8, 0x99,
];

const SALT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65,
    0xbe, 0xf9, 0xf5, 0x02,
];
const SALT_22: [u8; 20] = [
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd,
    0x7a, 0x02, 0x64, 0x4a,
];
const SALT_T050: [u8; 20] = [
    0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c,
    0x60, 0x48, 0x83, 0x10,
];
const SALT_T051: [u8; 20] = [
    0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc,
    0xda, 0x6e, 0x03, 0x3d,
];

/// The salt of a version and the beginning of its labels; `None` where neither is known.
const fn salt(version: u32) -> Option<(&'static [u8; 20], &'static str)> {
    Some(match version {
        // Drafts 33 and 34 are version 1 by another number.
        VERSION_1 | 0xff00_0021 | 0xff00_0022 => (&SALT_1, "quic"),
        VERSION_2 => (&SALT_2, "quicv2"),
        0xff00_001d..=0xff00_0020 => (&SALT_29, "quic"),
        0xff00_0017..=0xff00_001c | MVFST_27 | MVFST_EXPERIMENT => (&SALT_23, "quic"),
        0xff00_0016 | MVFST_22 => (&SALT_22, "quic"),
        T050 => (&SALT_T050, "quic"),
        T051 => (&SALT_T051, "quic"),
        // Numbers that no server knows, sent to be refused (RFC 9000 §15): those who test did so in the time of draft 29.
        version if version & 0x0f0f_0f0f == 0x0a0a_0a0a => (&SALT_29, "quic"),
        _ => return None,
    })
}

/// RFC 9000 §17.2.
const MOST_CONNECTION_ID: usize = 20;
/// Packets read of one datagram, and frames of one packet.
const MOST_PACKETS: usize = 4;
const MOST_FRAMES: usize = 256;
const SAMPLE: usize = 16;

/// An Initial packet as it is on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Initial<'a> {
    pub version: u32,
    /// Chosen by the client in its first packet; in all others by who receives it.
    pub destination_id: &'a [u8],
    /// The header up to the packet number.
    header: &'a [u8],
    /// The packet number and all behind it.
    protected: &'a [u8],
}

/// Whose packets a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// Whether a datagram starts with an Initial packet of a version that is known. It costs next to nothing.
#[inline]
pub fn is_initial(datagram: &[u8]) -> bool {
    let Some(&[first, a, b, c, d]) = datagram.first_chunk::<5>() else { return false };
    // The bit behind the form may be zero (RFC 9287); the version is mark enough.
    first & 0x80 != 0 && is_initial_type(first, u32::from_be_bytes([a, b, c, d]))
}

const fn is_initial_type(first: u8, version: u32) -> bool {
    match version {
        VERSION_1 => first & 0x30 == 0,
        VERSION_2 => first & 0x30 == 0x10,
        version => first & 0x30 == 0 && salt(version).is_some(),
    }
}

/// A number of one, two, four or eight octets. RFC 9000 §16.
fn varint(cursor: &mut Cursor<'_>) -> Result<u64, WireError> {
    let first = cursor.u8()?;
    let mut value = u64::from(first & 0x3f);
    for _ in 1..1u8 << (first >> 6) {
        value = value << 8 | u64::from(cursor.u8()?);
    }
    Ok(value)
}

fn length(cursor: &mut Cursor<'_>) -> Result<usize, WireError> {
    varint(cursor).map(|length| usize::try_from(length).unwrap_or(usize::MAX))
}

/// The Initial packets of a datagram. What else is coalesced with them is passed.
pub fn initials(datagram: &[u8]) -> Vec<Initial<'_>> {
    let mut cursor = Cursor::new("quic", datagram);
    let mut initials = Vec::new();
    for _ in 0..MOST_PACKETS {
        match packet(&mut cursor) {
            Ok(Some(initial)) => initials.push(initial),
            Ok(None) => {}
            Err(_) => break,
        }
    }
    initials
}

fn packet<'a>(cursor: &mut Cursor<'a>) -> Result<Option<Initial<'a>>, WireError> {
    let start = cursor.rest();
    let first = cursor.u8()?;
    let version = cursor.u32()?;
    if first & 0x80 == 0 || salt(version).is_none() {
        return Err(cursor.wrong("no long header of a known version"));
    }
    let mut ids = [&[][..]; 2];
    for id in &mut ids {
        let octets = usize::from(cursor.u8()?);
        if octets > MOST_CONNECTION_ID {
            return Err(cursor.wrong("connection id that is too long"));
        }
        *id = cursor.take(octets)?;
    }
    let is_initial = is_initial_type(first, version);
    if is_initial {
        let token = length(cursor)?;
        cursor.skip(token)?;
    }
    let behind = length(cursor)?;
    let header = start.get(..start.len().saturating_sub(cursor.left())).unwrap_or_default();
    let protected = cursor.take(behind)?;
    let [destination_id, _] = ids;
    Ok(is_initial.then_some(Initial { version, destination_id, header, protected }))
}

/// What opens the Initial packets of one side.
pub struct Keys {
    key: aead::LessSafeKey,
    iv: [u8; 12],
    header: aead::quic::HeaderProtectionKey,
}

struct Octets(usize);

impl hkdf::KeyType for Octets {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-Expand-Label of TLS 1.3 without a context. RFC 8446 §7.1.
fn expand<const N: usize>(secret: &hkdf::Prk, label: &str) -> Option<[u8; N]> {
    let label_length = u8::try_from(label.len().checked_add(6)?).ok()?;
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let info = [&length[..], &[label_length], b"tls13 ", label.as_bytes(), &[0]];
    let mut octets = [0; N];
    secret.expand(&info, Octets(N)).ok()?.fill(&mut octets).ok()?;
    Some(octets)
}

impl Keys {
    /// By the connection id that the client's first packet went to.
    pub fn new(version: u32, first_id: &[u8], sender: Sender) -> Option<Keys> {
        let (salt, prefix) = salt(version)?;
        let initial = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(first_id);
        let side = match sender {
            Sender::Client => "client in",
            Sender::Server => "server in",
        };
        let secret = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &expand::<32>(&initial, side)?);
        let key: [u8; 16] = expand(&secret, &format!("{prefix} key"))?;
        let header: [u8; 16] = expand(&secret, &format!("{prefix} hp"))?;
        Some(Keys {
            key: aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).ok()?),
            iv: expand(&secret, &format!("{prefix} iv"))?,
            header: aead::quic::HeaderProtectionKey::new(&aead::quic::AES_128, &header).ok()?,
        })
    }

    /// The frames in a packet; `None` where the key is another's.
    pub fn open(&self, initial: &Initial<'_>) -> Option<Vec<u8>> {
        let sample = initial.protected.get(4..)?.get(..SAMPLE)?;
        let [mask, masks @ ..] = self.header.new_mask(sample).ok()?;
        let mut header = initial.header.to_vec();
        let first = header.first_mut()?;
        *first ^= mask & 0x0f;
        let number_length = usize::from(*first & 3).checked_add(1)?;
        let (masked, sealed) = initial.protected.split_at_checked(number_length)?;
        let mut number = 0u32;
        for (octet, mask) in masked.iter().zip(masks) {
            let octet = octet ^ mask;
            header.push(octet);
            number = number << 8 | u32::from(octet);
        }
        let mut nonce = self.iv;
        for (place, octet) in nonce.iter_mut().rev().zip(number.to_be_bytes().iter().rev()) {
            *place ^= octet;
        }
        let mut frames = sealed.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, aead::Aad::from(&header), &mut frames).ok()?;
        let length = opened.len();
        frames.truncate(length);
        Some(frames)
    }
}

/// The pieces of the handshake in these frames, with their offsets. RFC 9000 §19.
pub fn crypto(frames: &[u8]) -> Vec<(u64, &[u8])> {
    let mut cursor = Cursor::new("quic", frames);
    let mut pieces = Vec::new();
    for _ in 0..MOST_FRAMES {
        // Padding is passed at once: there are a thousand octets of it.
        let padding = cursor.rest().iter().take_while(|octet| **octet == 0).count();
        let _ = cursor.skip(padding);
        match frame(&mut cursor) {
            Ok(Some(piece)) => pieces.push(piece),
            Ok(None) => {}
            Err(_) => break,
        }
    }
    pieces
}

fn frame<'a>(cursor: &mut Cursor<'a>) -> Result<Option<(u64, &'a [u8])>, WireError> {
    match cursor.u8()? {
        // PING.
        1 => Ok(None),
        kind @ (2 | 3) => {
            varint(cursor)?;
            varint(cursor)?;
            let ranges = varint(cursor)?;
            varint(cursor)?;
            // Each costs two octets at least, so this ends with the packet.
            for _ in 0..ranges {
                varint(cursor)?;
                varint(cursor)?;
            }
            if kind == 3 {
                for _ in 0..3 {
                    varint(cursor)?;
                }
            }
            Ok(None)
        }
        // In Google's versions the handshake has the number that streams have elsewhere, and here there are none.
        6 | 8 => {
            let offset = varint(cursor)?;
            let octets = length(cursor)?;
            Ok(Some((offset, cursor.take(octets)?)))
        }
        _ => Err(cursor.wrong("frame that says no more")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// RFC 9001 appendix A.3: the server's Initial packet, by the client's first connection id.
    #[test]
    fn the_example_of_the_specification_opens() {
        let packet = hex("cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
             5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3
             dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84
             022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
             2158407dd074ee");
        assert!(is_initial(&packet));
        let initials = initials(&packet);
        let id = hex("8394c8f03e515708");
        let keys = Keys::new(VERSION_1, &id, Sender::Server).unwrap();
        let frames = keys.open(&initials[0]).unwrap();
        let pieces = crypto(&frames);
        assert_eq!(pieces.len(), 1);
        assert_eq!((pieces[0].0, pieces[0].1[0]), (0, crate::wire::tls::SERVER_HELLO));
        let other = Keys::new(VERSION_1, &id, Sender::Client).unwrap();
        assert_eq!(other.open(&initials[0]), None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(rest in proptest::collection::vec(any::<u8>(), 0..200), at in 0u8..3) {
            let version = [VERSION_1, VERSION_2, DRAFT_29][usize::from(at)].to_be_bytes();
            let datagram = [&[0xc0 | at << 4][..], &version, &rest].concat();
            let _ = is_initial(&datagram);
            for initial in initials(&datagram) {
                let keys = Keys::new(initial.version, initial.destination_id, Sender::Client);
                let _ = keys.unwrap().open(&initial);
            }
            let _ = crypto(&rest);
        }
    }
}
