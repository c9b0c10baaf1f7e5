//! NetBIOS over UDP (RFC 1001, 1002): names in their encoding, the name service's messages (which have DNS's form and
//! numbers of their own), the datagram service, and in it the browser's messages (MS-BRWS, in an SMB transaction to a
//! mailslot: MS-CIFS §2.2.4.33).

use std::net::Ipv4Addr;

use super::cursor::{Cursor, Kept, WireError};
use super::dns;
use crate::net::Mac;

const WHAT: &str = "netbios";

/// General name service record, node status record: RFC 1002 §4.2.1.3. The second is SRV's number.
pub const NB: u16 = 0x20;
pub const NBSTAT: u16 = 0x21;

/// Addresses of one name, names of one node: a datagram of 576 octets holds fewer.
const MOST: usize = 64;

/// A name of sixteen octets, the last of which says what it is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Without the padding. What is neither printable nor text of the code page that is used here is `<01>`.
    pub text: String,
    pub suffix: u8,
}

impl Name {
    fn of(octets: [u8; 16]) -> Name {
        let [name @ .., suffix] = octets;
        let mut name = name.as_slice();
        while let [before @ .., b' '] = name {
            name = before;
        }
        Name { text: text(name), suffix }
    }

    /// Out of a domain name whose first label is the name at half an octet a letter: RFC 1001 §14.1.
    pub fn of_domain(domain: &str) -> Option<Name> {
        let label = domain.split('.').next()?.as_bytes();
        let (pairs, []) = label.as_chunks::<2>() else { return None };
        let pairs: &[[u8; 2]; 16] = pairs.try_into().ok()?;
        let mut octets = [0; 16];
        for (octet, [high, low]) in octets.iter_mut().zip(pairs) {
            *octet = half(*high)? << 4 | half(*low)?;
        }
        Some(Name::of(octets))
    }
}

fn half(letter: u8) -> Option<u8> {
    letter.to_ascii_uppercase().checked_sub(b'A').filter(|half| *half < 16)
}

/// Names are in the code page of the station: on the mainland 936.
fn text(octets: &[u8]) -> String {
    let is_plain = |octet: &u8| *octet >= b' ' && *octet != 0x7f;
    if octets.iter().all(is_plain) {
        if let Ok(text) = std::str::from_utf8(octets) {
            return text.to_owned();
        }
        let (text, _, has_errors) = encoding_rs::GBK.decode(octets);
        if !has_errors {
            return text.into_owned();
        }
    }
    let mut text = String::new();
    for octet in octets {
        match octet {
            b' '..=b'~' => text.push(char::from(*octet)),
            octet => text.push_str(&format!("<{octet:02x}>")),
        }
    }
    text
}

/// Text up to its zero.
fn text_to_zero(octets: &[u8]) -> String {
    text(octets.split(|octet| *octet == 0).next().unwrap_or_default())
}

/// One name of a message of the name service, and what is said of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Entry {
    pub name: Option<Name>,
    pub group: Option<bool>,
    pub addresses: Vec<Ipv4Addr>,
    pub unit: Option<Mac>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameService {
    pub is_response: bool,
    pub opcode: u8,
    /// Whether it is about all names of a node: NBSTAT.
    pub is_status: bool,
    pub entries: Vec<Entry>,
}

impl NameService {
    /// Entries before a fault are kept.
    pub fn read(bytes: &[u8]) -> Result<Kept<NameService>, WireError> {
        let message = dns::Message::read(bytes)?;
        let mut service = NameService {
            is_response: message.is_response,
            opcode: message.opcode,
            ..NameService::default()
        };
        let ((questions, records), ended) = message.raw_sections();
        for question in questions.iter().take(MOST) {
            service.is_status |= question.record_type == NBSTAT;
            let name = Name::of_domain(&question.name);
            service.entries.push(Entry { name, ..Entry::default() });
        }
        let mut fault = Ok(());
        for record in records.into_iter().take(MOST) {
            let name = Name::of_domain(&record.name);
            match record.record_type {
                NB => fault = fault.and(service.name_record(name, record.data)),
                NBSTAT => {
                    service.is_status = true;
                    fault = fault.and(service.status(record.data));
                }
                _ => {}
            }
        }
        Ok((service, ended.and(fault)))
    }

    fn entry(&mut self, name: Option<Name>) -> Option<&mut Entry> {
        let place = self.entries.iter().position(|entry| entry.name == name);
        match place {
            Some(place) => self.entries.get_mut(place),
            None => {
                self.entries.push(Entry { name, ..Entry::default() });
                self.entries.last_mut()
            }
        }
    }

    /// Flags and address, as often as the name has one. RFC 1002 §4.2.2.
    fn name_record(&mut self, name: Option<Name>, mut data: Cursor<'_>) -> Result<(), WireError> {
        let Some(entry) = self.entry(name) else { return Ok(()) };
        while !data.is_empty() && entry.addresses.len() < MOST {
            entry.group = Some(data.u16()? & 0x8000 != 0);
            entry.addresses.push(data.ipv4()?);
        }
        Ok(())
    }

    /// The names of a node, then its statistics, of which the first is its MAC. RFC 1002 §4.2.18.
    fn status(&mut self, mut data: Cursor<'_>) -> Result<(), WireError> {
        let names = data.u8()?;
        let mut entries = Vec::new();
        for _ in 0..names {
            let name = Name::of(data.array()?);
            let group = Some(data.u16()? & 0x8000 != 0);
            if entries.len() < MOST {
                entries.push(Entry { name: Some(name), group, ..Entry::default() });
            }
        }
        let unit = data.mac()?;
        for entry in &mut entries {
            entry.unit = unit.is_station().then_some(unit);
        }
        // The name that was asked about is `*`.
        self.entries = entries;
        Ok(())
    }
}

/// A datagram: from which name to which, and what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram<'a> {
    pub source: Option<Name>,
    pub destination: Option<Name>,
    pub payload: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// `None` for messages without a datagram: errors and questions about distribution.
    pub fn read(bytes: &'a [u8]) -> Result<Option<Datagram<'a>>, WireError> {
        let mut cursor = Cursor::new(WHAT, bytes);
        // Direct to one, direct to a group, broadcast.
        if !matches!(cursor.u8()?, 0x10..=0x12) {
            return Ok(None);
        }
        // Flags, id, address, port, length, offset.
        cursor.skip(13)?;
        let source = encoded(&mut cursor)?;
        let destination = encoded(&mut cursor)?;
        Ok(Some(Datagram { source, destination, payload: cursor.rest() }))
    }

    /// What is written to the browser's mailslot.
    pub fn browser(&self) -> Result<Option<Browser>, WireError> {
        let mut cursor = Cursor::new("browser", self.payload);
        if self.payload.get(..5) != Some(&[0xff, b'S', b'M', b'B', 0x25]) {
            return Ok(None);
        }
        cursor.skip(32)?;
        let words = usize::from(cursor.u8()?).saturating_mul(2);
        let mut parameters = cursor.part(words)?;
        // To the count of the data and where they start.
        parameters.skip(22)?;
        let length = u16::from_le_bytes(parameters.array()?);
        let start = u16::from_le_bytes(parameters.array()?);
        cursor.skip(2)?;
        let mailslot = cursor.rest().split(|octet| *octet == 0).next().unwrap_or_default();
        if !mailslot.eq_ignore_ascii_case(b"\\MAILSLOT\\BROWSE") {
            return Ok(None);
        }
        let mut data = Cursor::new("browser", self.payload);
        data.skip(usize::from(start))?;
        let data = data.part(usize::from(length))?;
        Browser::read(data).map(Some)
    }
}

/// A domain name without compression, as sixteen octets.
fn encoded(cursor: &mut Cursor<'_>) -> Result<Option<Name>, WireError> {
    let mut name = None;
    // RFC 1001 §14.1: the name and its scope, 255 octets at most.
    for place in 0..128u8 {
        let length = cursor.u8()?;
        if length == 0 {
            return Ok(name);
        }
        if length > 63 {
            return Err(cursor.wrong("label longer than 63 octets"));
        }
        let label = cursor.take(usize::from(length))?;
        if place == 0 {
            name = std::str::from_utf8(label).ok().and_then(Name::of_domain);
        }
    }
    Err(cursor.wrong("name longer than 255 octets"))
}

/// A message of the browser: MS-BRWS §2.2.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Browser {
    pub command: u8,
    pub server: Option<String>,
    pub os_version: Option<(u8, u8)>,
    pub server_type: Option<u32>,
    pub comment: Option<String>,
}

pub const HOST_ANNOUNCEMENT: u8 = 1;
pub const DOMAIN_ANNOUNCEMENT: u8 = 12;
pub const LOCAL_MASTER_ANNOUNCEMENT: u8 = 15;

impl Browser {
    fn read(mut cursor: Cursor<'_>) -> Result<Browser, WireError> {
        let mut browser = Browser { command: cursor.u8()?, ..Browser::default() };
        let to_zero =
            |cursor: Cursor<'_>| Some(text_to_zero(cursor.rest())).filter(|text| !text.is_empty());
        match browser.command {
            HOST_ANNOUNCEMENT | DOMAIN_ANNOUNCEMENT | LOCAL_MASTER_ANNOUNCEMENT => {
                // Update count and period.
                cursor.skip(5)?;
                browser.server = to_zero(cursor.part(16)?);
                browser.os_version = Some((cursor.u8()?, cursor.u8()?));
                browser.server_type = Some(u32::from_le_bytes(cursor.array()?));
                // The browser's version and signature, or a pointer of no meaning.
                cursor.skip(4)?;
                browser.comment = to_zero(cursor);
            }
            2 => {
                cursor.skip(1)?;
                browser.server = to_zero(cursor);
            }
            8 => {
                // Version, criteria, uptime, reserved.
                cursor.skip(13)?;
                browser.server = to_zero(cursor);
            }
            11 | 13 => browser.server = to_zero(cursor),
            _ => {}
        }
        Ok(browser)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_out_of_their_letters() {
        // RFC 1001 §14.1 has this one.
        let name = Name::of_domain("EGFCEFEECACACACACACACACACACACACA.SCOPE.ID.COM").unwrap();
        assert_eq!((name.text.as_str(), name.suffix), ("FRED", 0x20));
        let master = Name::of(*b"\x01\x02__MSBROWSE__\x02\x01");
        assert_eq!((master.text.as_str(), master.suffix), ("<01><02>__MSBROWSE__<02>", 1));
        // Code page 936.
        let name = Name::of(*b"\xb0\xec\xb9\xab\xca\xd2         \0");
        assert_eq!(name.text, "办公室");
        let name = Name::of(*b"ECI_D\x9fMAIN     \x1c");
        assert_eq!(name.suffix, 0x1c);
        assert_eq!(Name::of_domain("desk.local"), None);
        assert_eq!(Name::of_domain("ZZFCEFEECACACACACACACACACACACACA"), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = NameService::read(&octets);
            if let Ok(Some(datagram)) = Datagram::read(&octets) {
                let _ = datagram.browser();
            }
            let _ = Browser::read(Cursor::new("browser", &octets));
        }

        #[test]
        fn nor_do_any_behind_a_transaction(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let payload = [&[0xff, b'S', b'M', b'B', 0x25][..], &octets].concat();
            let _ = Datagram { source: None, destination: None, payload: &payload }.browser();
        }
    }
}
