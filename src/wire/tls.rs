//! The part of TLS that is in clear: records, hellos, the certificates of TLS 1.2 and before (RFC 8446, 5246), and JA4
//! (FoxIO, BSD 3-clause: the client's fingerprint alone; its relatives are under another licence and are not made here).

use super::cursor::{Cursor, WireError};

const HANDSHAKE: u8 = 22;
pub const CLIENT_HELLO: u8 = 1;
pub const SERVER_HELLO: u8 = 2;
pub const CERTIFICATE: u8 = 11;

/// The octets of a record's header.
const RECORD: usize = 5;
/// RFC 8446 §5.1, and the 2,048 that older versions let encryption add.
const MOST_RECORD: usize = 16_384 + 2_048;

const SERVER_NAME: u16 = 0;
const SIGNATURE_ALGORITHMS: u16 = 13;
const ALPN: u16 = 16;
const SUPPORTED_VERSIONS: u16 = 43;

/// Whether bytes start like a record of this content: as many of its octets as there are.
pub fn starts_record(bytes: &[u8]) -> bool {
    match bytes {
        [] => true,
        [kind] => *kind == HANDSHAKE,
        [kind, major] => (*kind, *major) == (HANDSHAKE, 3),
        [kind, major, minor, ..] => (*kind, *major) == (HANDSHAKE, 3) && *minor <= 4,
    }
}

/// The handshake messages at the start of a direction, put together from its records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Handshake {
    /// The bytes of the messages without the records around them.
    pub bytes: Vec<u8>,
    /// Something that is no handshake came next: nothing in clear follows.
    pub ended: bool,
    /// How many octets there must be before more can be read.
    pub needed: usize,
    /// How many octets the records take that are there whole.
    pub octets: usize,
}

impl Handshake {
    /// The bytes end where a record ends.
    pub const fn is_whole(&self) -> bool {
        !self.ended && self.needed == self.octets.saturating_add(RECORD)
    }
}

/// Takes the handshake records from the front; of the last one what is there.
pub fn handshake(bytes: &[u8]) -> Handshake {
    let mut handshake = Handshake { needed: RECORD, ..Handshake::default() };
    let mut cursor = Cursor::new("tls", bytes);
    let mut passed = 0usize;
    while let Ok([kind, major, _minor]) = cursor.array() {
        let Ok(length) = cursor.u16() else { break };
        let length = usize::from(length);
        if kind != HANDSHAKE || major != 3 || length == 0 || length > MOST_RECORD {
            handshake.ended = true;
            break;
        }
        let part = cursor.take_up_to(length);
        handshake.bytes.extend_from_slice(part);
        passed = passed.saturating_add(RECORD).saturating_add(length);
        if part.len() < length {
            handshake.needed = passed;
            return handshake;
        }
        handshake.octets = passed;
        handshake.needed = passed.saturating_add(RECORD);
    }
    handshake
}

/// One handshake message as far as it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: u8,
    pub body: &'a [u8],
    pub complete: bool,
}

/// The messages in order; the last may be incomplete.
pub fn messages(bytes: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut cursor = Cursor::new("tls", bytes);
    std::iter::from_fn(move || {
        let kind = cursor.u8().ok()?;
        let [high, low @ ..] = cursor.array::<3>().ok()?;
        let length = usize::from(high) << 16 | usize::from(u16::from_be_bytes(low));
        let body = cursor.take_up_to(length);
        Some(Message { kind, body, complete: body.len() == length })
    })
}

/// What a client offers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClientHello<'a> {
    /// The field of the header.
    pub version: u16,
    /// As offered, with GREASE.
    pub ciphers: Vec<u16>,
    /// In their order, with GREASE.
    pub extensions: Vec<u16>,
    pub server_name: Option<&'a [u8]>,
    pub alpn: Vec<&'a [u8]>,
    pub versions: Vec<u16>,
    pub signature_algorithms: Vec<u16>,
}

/// Reserved so that nobody may rely on the unknown to be refused. RFC 8701.
pub const fn is_grease(value: u16) -> bool {
    value & 0x0f0f == 0x0a0a && value >> 8 == value & 0xff
}

fn numbers(mut cursor: Cursor<'_>) -> Vec<u16> {
    let mut numbers = Vec::with_capacity(cursor.left() / 2);
    while let Ok(number) = cursor.u16() {
        numbers.push(number);
    }
    numbers
}

fn short_part<'a>(cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, WireError> {
    let length = usize::from(cursor.u8()?);
    cursor.part(length)
}

fn long_part<'a>(cursor: &mut Cursor<'a>) -> Result<Cursor<'a>, WireError> {
    let length = usize::from(cursor.u16()?);
    cursor.part(length)
}

impl<'a> ClientHello<'a> {
    /// Reads the body of a ClientHello.
    pub fn read(body: &'a [u8]) -> Result<ClientHello<'a>, WireError> {
        let mut cursor = Cursor::new("tls", body);
        let mut hello = ClientHello { version: cursor.u16()?, ..ClientHello::default() };
        cursor.skip(32)?;
        short_part(&mut cursor)?;
        hello.ciphers = numbers(long_part(&mut cursor)?);
        short_part(&mut cursor)?;
        if cursor.is_empty() {
            return Ok(hello);
        }
        let mut extensions = long_part(&mut cursor)?;
        while !extensions.is_empty() {
            let extension = extensions.u16()?;
            let value = long_part(&mut extensions)?;
            hello.extensions.push(extension);
            // A value that cannot be read leaves the others.
            let _ = hello.extension(extension, value);
        }
        Ok(hello)
    }

    fn extension(&mut self, extension: u16, mut value: Cursor<'a>) -> Result<(), WireError> {
        match extension {
            SERVER_NAME => {
                let mut names = long_part(&mut value)?;
                while !names.is_empty() {
                    let kind = names.u8()?;
                    let name = long_part(&mut names)?;
                    if kind == 0 && self.server_name.is_none() {
                        self.server_name = Some(name.rest());
                    }
                }
            }
            ALPN => {
                let mut protocols = long_part(&mut value)?;
                while !protocols.is_empty() {
                    self.alpn.push(short_part(&mut protocols)?.rest());
                }
            }
            SUPPORTED_VERSIONS => self.versions = numbers(short_part(&mut value)?),
            SIGNATURE_ALGORITHMS => self.signature_algorithms = numbers(long_part(&mut value)?),
            _ => {}
        }
        Ok(())
    }

    /// The fingerprint JA4; `transport` is `t` or `q`.
    pub fn ja4(&self, transport: char) -> String {
        let plain = |values: &[u16]| -> Vec<u16> {
            values.iter().copied().filter(|value| !is_grease(*value)).collect()
        };
        let best = plain(&self.versions).into_iter().max().unwrap_or(self.version);
        let version = match best {
            0x0304 => "13",
            0x0303 => "12",
            0x0302 => "11",
            0x0301 => "10",
            0x0300 => "s3",
            0x0002 => "s2",
            0xfeff => "d1",
            0xfefd => "d2",
            0xfefc => "d3",
            _ => "00",
        };
        let name = if self.extensions.contains(&SERVER_NAME) { 'd' } else { 'i' };
        let mut ciphers = plain(&self.ciphers);
        let mut extensions = plain(&self.extensions);
        let (cipher_number, extension_number) = (ciphers.len().min(99), extensions.len().min(99));
        ciphers.sort_unstable();
        extensions.retain(|extension| !matches!(*extension, SERVER_NAME | ALPN));
        extensions.sort_unstable();
        let ciphers =
            if ciphers.is_empty() { NOTHING.to_owned() } else { short_hash(&hex(&ciphers)) };
        let mut behind = hex(&extensions);
        let algorithms = plain(&self.signature_algorithms);
        if !algorithms.is_empty() {
            behind.push('_');
            behind.push_str(&hex(&algorithms));
        }
        let extensions =
            if extensions.is_empty() { NOTHING.to_owned() } else { short_hash(&behind) };
        let [first, last] = alpn_ends(self.alpn.first().copied().unwrap_or_default());
        format!(
            "{transport}{version}{name}{cipher_number:02}{extension_number:02}{first}{last}_{ciphers}_{extensions}"
        )
    }
}

/// What stands for a list without members.
const NOTHING: &str = "000000000000";

/// First and last character of the first protocol, or of its hex digits where one is no letter or digit.
fn alpn_ends(protocol: &[u8]) -> [char; 2] {
    match (protocol.first(), protocol.last()) {
        (Some(&first), Some(&last))
            if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() =>
        {
            [char::from(first), char::from(last)]
        }
        (Some(&first), Some(&last)) => {
            let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
            [digit(first >> 4), digit(last & 15)]
        }
        _ => ['0', '0'],
    }
}

fn hex(values: &[u16]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:04x}")).collect();
    values.join(",")
}

fn short_hash(text: &str) -> String {
    let mut hash = sha256(text.as_bytes());
    hash.truncate(12);
    hash
}

/// SHA-256 as hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    digest.as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What a server chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerHello {
    pub version: u16,
    pub cipher: u16,
    pub selected_version: Option<u16>,
}

impl ServerHello {
    pub fn read(body: &[u8]) -> Result<ServerHello, WireError> {
        let mut cursor = Cursor::new("tls", body);
        let version = cursor.u16()?;
        cursor.skip(32)?;
        // Drafts of TLS 1.3 up to 21 had their own number here, and neither a session nor a compression.
        let is_draft = version >> 8 == 0x7f;
        if !is_draft {
            short_part(&mut cursor)?;
        }
        let cipher = cursor.u16()?;
        if !is_draft {
            cursor.skip(1)?;
        }
        let mut hello = ServerHello { version, cipher, selected_version: None };
        let mut extensions = match cursor.is_empty() {
            true => return Ok(hello),
            false => long_part(&mut cursor)?,
        };
        while !extensions.is_empty() {
            let extension = extensions.u16()?;
            let mut value = long_part(&mut extensions)?;
            if extension == SUPPORTED_VERSIONS {
                hello.selected_version = value.u16().ok();
            }
        }
        Ok(hello)
    }
}

/// The certificates of a Certificate message of TLS up to 1.2, those that are there whole. RFC 5246 §7.4.2.
pub fn certificates(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut cursor = Cursor::new("tls", body);
    let _ = cursor.skip(3);
    std::iter::from_fn(move || {
        let [high, low @ ..] = cursor.array::<3>().ok()?;
        let length = usize::from(high) << 16 | usize::from(u16::from_be_bytes(low));
        cursor.take(length).ok()
    })
}

#[cfg(test)]
pub mod check {
    /// The record with a ClientHello for a name, with GREASE.
    pub fn client_hello(name: &str) -> Vec<u8> {
        let body = client_hello_message(name);
        [&[22, 3, 1][..], &(body.len() as u16).to_be_bytes(), &body].concat()
    }

    pub fn client_hello_message(name: &str) -> Vec<u8> {
        let length = |n: usize| (n as u16).to_be_bytes();
        let extension = |number: u16, value: &[u8]| {
            [&number.to_be_bytes()[..], &length(value.len()), value].concat()
        };
        let name =
            [&length(name.len() + 3)[..], &[0], &length(name.len()), name.as_bytes()].concat();
        let extensions = [
            extension(0x1a1a, &[]),
            extension(0, &name),
            extension(16, b"\0\x0c\x02h2\x08http/1.1"),
            extension(43, &[6, 0x2a, 0x2a, 3, 4, 3, 3]),
            extension(13, &[0, 4, 4, 3, 8, 4]),
        ]
        .concat();
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]);
        body.push(0);
        body.extend_from_slice(&[0, 6, 0x0a, 0x0a, 0x13, 1, 0xc0, 0x2b, 1, 0]);
        body.extend_from_slice(&length(extensions.len()));
        body.extend_from_slice(&extensions);
        let mut message = vec![1, 0];
        message.extend_from_slice(&length(body.len()));
        message.extend_from_slice(&body);
        message
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_hello_is_read_whole_and_cut_at_every_length_is_an_error_or_less() {
        let record = check::client_hello("portal.example");
        let taken = handshake(&record);
        let message = messages(&taken.bytes).next().unwrap();
        assert!(message.complete && message.kind == CLIENT_HELLO);
        let hello = ClientHello::read(message.body).unwrap();
        assert_eq!(hello.server_name, Some(&b"portal.example"[..]));
        assert_eq!(hello.alpn, [&b"h2"[..], b"http/1.1"]);
        assert_eq!(hello.ja4('t').split('_').next(), Some("t13d0204h2"));
        for length in 0..record.len() {
            let taken = handshake(&record[..length]);
            assert!(messages(&taken.bytes).all(|message| !message.complete));
            assert!(taken.needed > length);
        }
    }

    /// The example of the specification: Chrome's hello by its lists.
    #[test]
    fn ja4_is_as_specified() {
        let hello = ClientHello {
            version: 0x0303,
            ciphers: vec![
                0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013,
                0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
            ],
            extensions: vec![
                0x001b, 0x0000, 0x0033, 0x0010, 0x4469, 0x0017, 0x002d, 0x000d, 0x0005, 0x0023,
                0x0012, 0x002b, 0xff01, 0x000b, 0x000a, 0x0015,
            ],
            server_name: None,
            alpn: vec![b"h2"],
            versions: vec![0x0304, 0x0303],
            signature_algorithms: vec![
                0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601,
            ],
        };
        assert_eq!(hello.ja4('t'), "t13d1516h2_8daaf6152771_e5627efa2ab1");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = ClientHello::read(&bytes).map(|hello| hello.ja4('q'));
            let _ = ServerHello::read(&bytes);
            let taken = handshake(&bytes);
            for message in messages(&taken.bytes) {
                let _ = certificates(message.body).count();
            }
        }
    }
}
