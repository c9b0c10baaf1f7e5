//! DNS messages (RFC 1035), also as mDNS (RFC 6762), LLMNR (RFC 4795) and NetBIOS (RFC 1002) send them, and names
//! alone, as options carry them.
//!
//! A compression pointer must point before the name that it ends, and a name may follow few of
//! them, so no name loops and no message costs more than its length some hundred times.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::{Cursor, Kept, WireError};

pub const A: u16 = 1;
pub const NS: u16 = 2;
pub const CNAME: u16 = 5;
pub const PTR: u16 = 12;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const AAAA: u16 = 28;
pub const SRV: u16 = 33;
pub const NSEC: u16 = 47;

/// RFC 2136 §1.3.
pub const OPCODE_UPDATE: u8 = 5;

/// The octets of the longest name (RFC 1035 §2.3.4).
const LONGEST_NAME: usize = 255;
/// Pointers followed in one name. Compressors make one or two; each label could have one.
const MOST_POINTERS: u32 = 32;
/// Questions and records read of one message: a datagram of 9,000 octets (RFC 6762 §17) holds fewer.
const MOST_RECORDS: u32 = 1024;
/// Strings read of one TXT record: models, versions and flags of a printer are some thirty.
const MOST_STRINGS: usize = 64;

/// The header and the counts of the sections that are gone through.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    whole: &'a [u8],
    pub is_response: bool,
    pub opcode: u8,
    /// How many questions and records the header states.
    pub counts: [u16; 4],
    behind_header: Cursor<'a>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub name: String,
    pub record_type: u16,
}

/// A record whose data is not read yet.
#[derive(Debug, Clone)]
pub struct RawRecord<'a> {
    pub section: Section,
    pub name: String,
    pub record_type: u16,
    pub time_to_live: u32,
    pub data: Cursor<'a>,
}

/// Where in a message a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Answer,
    Authority,
    Additional,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub section: Section,
    pub name: String,
    pub record_type: u16,
    /// Seconds. Zero in mDNS: the name goes (RFC 6762 §10.1).
    pub time_to_live: u32,
    pub data: RecordData,
}

/// The data of the types that name hosts, and of texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordData {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Ptr(String),
    /// NS, CNAME or MX: the name that it leads to.
    Name(String),
    Srv {
        port: u16,
        target: String,
    },
    /// The strings of a TXT record.
    Txt(Vec<Vec<u8>>),
    Unread,
}

impl<'a> Message<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Message<'a>, WireError> {
        let mut cursor = Cursor::new("dns", bytes);
        cursor.skip(2)?;
        let flags = cursor.u16()?;
        let counts = [cursor.u16()?, cursor.u16()?, cursor.u16()?, cursor.u16()?];
        Ok(Message {
            whole: bytes,
            is_response: flags & 0x8000 != 0,
            opcode: (flags >> 11 & 0xf) as u8,
            counts,
            behind_header: cursor,
        })
    }

    /// Every record of every section, as far as it can be read; then the fault that ended it.
    pub fn records(&self) -> Kept<Vec<Record>> {
        let mut records = Vec::new();
        let ended = self.read_through(&mut |_| (), &mut |raw| {
            records.push(self.record(raw)?);
            Ok(())
        });
        (records, ended)
    }

    /// The questions, and the records as [`records`](Self::records) gives them.
    pub fn sections(&self) -> Kept<(Vec<Question>, Vec<Record>)> {
        let (mut questions, mut records) = (Vec::new(), Vec::new());
        let ended = self.read_through(&mut |question| questions.push(question), &mut |raw| {
            records.push(self.record(raw)?);
            Ok(())
        });
        ((questions, records), ended)
    }

    /// The questions, and the records with their data unread: NetBIOS means other things by the same numbers.
    pub fn raw_sections(&self) -> Kept<(Vec<Question>, Vec<RawRecord<'a>>)> {
        let (mut questions, mut records) = (Vec::new(), Vec::new());
        let ended = self.read_through(&mut |question| questions.push(question), &mut |raw| {
            records.push(raw);
            Ok(())
        });
        ((questions, records), ended)
    }

    fn read_through(
        &self,
        ask: &mut dyn FnMut(Question),
        tell: &mut dyn FnMut(RawRecord<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        let [questions, answers, authorities, additionals] = self.counts;
        let mut cursor = self.behind_header;
        let mut budget = MOST_RECORDS;
        for _ in 0..questions {
            spend(&mut budget, &cursor)?;
            let name = self.name(&mut cursor)?;
            let record_type = cursor.u16()?;
            cursor.skip(2)?;
            ask(Question { name, record_type });
        }
        let sections = [
            (Section::Answer, answers),
            (Section::Authority, authorities),
            (Section::Additional, additionals),
        ];
        for (section, count) in sections {
            for _ in 0..count {
                spend(&mut budget, &cursor)?;
                tell(self.raw(section, &mut cursor)?)?;
            }
        }
        Ok(())
    }

    fn raw(&self, section: Section, cursor: &mut Cursor<'a>) -> Result<RawRecord<'a>, WireError> {
        let name = self.name(cursor)?;
        let record_type = cursor.u16()?;
        // The class.
        cursor.skip(2)?;
        let time_to_live = cursor.u32()?;
        let length = usize::from(cursor.u16()?);
        let data = cursor.part(length)?;
        Ok(RawRecord { section, name, record_type, time_to_live, data })
    }

    fn record(&self, raw: RawRecord<'a>) -> Result<Record, WireError> {
        let RawRecord { section, name, record_type, time_to_live, mut data } = raw;
        // An update deletes by records without data (RFC 2136 §2.5).
        let data = match record_type {
            _ if data.is_empty() => RecordData::Unread,
            A => RecordData::A(data.ipv4()?),
            AAAA => RecordData::Aaaa(data.ipv6()?),
            PTR => RecordData::Ptr(self.name(&mut data)?),
            NS | CNAME => RecordData::Name(self.name(&mut data)?),
            MX => {
                data.skip(2)?;
                RecordData::Name(self.name(&mut data)?)
            }
            SRV => {
                data.skip(4)?;
                RecordData::Srv { port: data.u16()?, target: self.name(&mut data)? }
            }
            TXT => RecordData::Txt(strings(data)?),
            _ => RecordData::Unread,
        };
        Ok(Record { section, name, record_type, time_to_live, data })
    }

    fn name(&self, cursor: &mut Cursor<'a>) -> Result<String, WireError> {
        name(cursor, Some(self.whole))
    }
}

/// RFC 1035 §3.3.14.
fn strings(mut data: Cursor<'_>) -> Result<Vec<Vec<u8>>, WireError> {
    let mut strings = Vec::new();
    while !data.is_empty() && strings.len() < MOST_STRINGS {
        let length = usize::from(data.u8()?);
        strings.push(data.take(length)?.to_vec());
    }
    Ok(strings)
}

/// The word of a record type; `TYPE64` for those without one here. RFC 3597 §5.
pub fn type_word(record_type: u16) -> std::borrow::Cow<'static, str> {
    let word = match record_type {
        A => "A",
        NS => "NS",
        CNAME => "CNAME",
        6 => "SOA",
        PTR => "PTR",
        13 => "HINFO",
        MX => "MX",
        TXT => "TXT",
        AAAA => "AAAA",
        SRV => "SRV",
        35 => "NAPTR",
        41 => "OPT",
        43 => "DS",
        46 => "RRSIG",
        NSEC => "NSEC",
        48 => "DNSKEY",
        64 => "SVCB",
        65 => "HTTPS",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        other => return format!("TYPE{other}").into(),
    };
    word.into()
}

fn spend(budget: &mut u32, cursor: &Cursor<'_>) -> Result<(), WireError> {
    *budget = budget.checked_sub(1).ok_or(cursor.wrong("too many records"))?;
    Ok(())
}

/// Names one after the other without compression, until the octets or all but zeros are used up.
pub fn names(what: &'static str, octets: &[u8]) -> Result<Vec<String>, WireError> {
    let mut cursor = Cursor::new(what, octets);
    let mut names = Vec::new();
    while !cursor.is_empty() {
        let name = name(&mut cursor, None)?;
        if !name.is_empty() {
            names.push(name);
        }
    }
    Ok(names)
}

/// A name without compression that may lack its end: RFC 4704 allows a partial name.
pub fn partial_name(what: &'static str, octets: &[u8]) -> Result<String, WireError> {
    let mut text = String::new();
    let mut cursor = Cursor::new(what, octets);
    let mut length = 0;
    while !cursor.is_empty() {
        let size = cursor.u8()?;
        if size == 0 {
            break;
        }
        push_label(&mut text, &mut length, size, &mut cursor)?;
    }
    Ok(text)
}

/// Reads a name with dots between its labels; the root is the empty text. `whole` is the message
/// that pointers point into.
fn name<'a>(cursor: &mut Cursor<'a>, whole: Option<&'a [u8]>) -> Result<String, WireError> {
    let mut text = String::new();
    let mut length = 0;
    let mut pointers = 0u32;
    // Where the labels that are being read started; a pointer must go before it.
    let mut start = whole.map(|whole| whole.len().saturating_sub(cursor.left()));
    let mut jumped: Option<Cursor<'a>> = None;
    loop {
        let here = jumped.as_mut().unwrap_or(cursor);
        let size = here.u8()?;
        match size >> 6 {
            0 if size == 0 => return Ok(text),
            0 => push_label(&mut text, &mut length, size, here)?,
            3 => {
                let low = here.u8()?;
                let target = usize::from(u16::from_be_bytes([size & 0x3f, low]));
                let (Some(whole), Some(from)) = (whole, start) else {
                    return Err(here.wrong("compression where none is allowed"));
                };
                pointers = pointers.saturating_add(1);
                if target >= from || pointers > MOST_POINTERS {
                    return Err(here.wrong("compression pointer that does not go back"));
                }
                start = Some(target);
                jumped = Some(Cursor::new("dns", whole.get(target..).unwrap_or_default()));
            }
            _ => return Err(here.wrong("label of an unknown kind")),
        }
    }
}

fn push_label(
    text: &mut String,
    length: &mut usize,
    size: u8,
    cursor: &mut Cursor<'_>,
) -> Result<(), WireError> {
    if size > 63 {
        return Err(cursor.wrong("label longer than 63 octets"));
    }
    let label = cursor.take(usize::from(size))?;
    *length = length.saturating_add(label.len()).saturating_add(1);
    if *length >= LONGEST_NAME {
        return Err(cursor.wrong("name longer than 255 octets"));
    }
    if !text.is_empty() {
        text.push('.');
    }
    for c in String::from_utf8_lossy(label).chars() {
        match c {
            // A dot inside a label must not look like one between labels (RFC 4343 §2.1).
            '.' | '\\' => {
                text.push('\\');
                text.push(c);
            }
            // RFC 1035 §5.1.
            c if c.is_ascii_control() => {
                let _ = write!(text, "\\{:03}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    Ok(())
}

/// The address that a name under `in-addr.arpa` or `ip6.arpa` stands for.
pub fn reverse(name: &str) -> Option<std::net::IpAddr> {
    let lower = name.to_ascii_lowercase();
    if let Some(octets) = lower.strip_suffix(".in-addr.arpa") {
        let mut address = [0u8; 4];
        let mut parts = octets.split('.');
        for octet in address.iter_mut().rev() {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| Ipv4Addr::from(address).into());
    }
    let nibbles = lower.strip_suffix(".ip6.arpa")?;
    let mut address = 0u128;
    let mut count = 0;
    for nibble in nibbles.rsplit('.') {
        count = u8::saturating_add(count, 1);
        if nibble.len() != 1 || count > 32 {
            return None;
        }
        address = address << 4 | u128::from(u8::from_str_radix(nibble, 16).ok()?);
    }
    (count == 32).then(|| Ipv6Addr::from_bits(address).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response of avahi: the host's A record, its reverse PTR and an SRV, compressed.
    fn response() -> Vec<u8> {
        let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 3, 0, 0, 0, 0];
        // At 12: "desk.local"; "local" is at 17.
        message.extend_from_slice(b"\x04desk\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04");
        message.extend_from_slice(&[10, 20, 1, 9]);
        message.extend_from_slice(b"\x019\x011\x0220\x0210\x07in-addr\x04arpa\0");
        message.extend_from_slice(b"\0\x0c\x80\x01\0\0\0\x78\0\x02\xc0\x0c");
        message.extend_from_slice(b"\x03_s.\x04_tcp\xc0\x11\0\x21\0\x01\0\0\0\x78");
        message.extend_from_slice(b"\0\x08\0\0\0\0\0\x50\xc0\x0c");
        message
    }

    #[test]
    fn compressed_names_are_followed() {
        let bytes = response();
        let message = Message::read(&bytes).unwrap();
        assert!(message.is_response);
        let (records, ended) = message.records();
        assert_eq!(ended, Ok(()));
        assert_eq!(records[0].name, "desk.local");
        assert_eq!(records[0].data, RecordData::A([10, 20, 1, 9].into()));
        assert_eq!(records[1].data, RecordData::Ptr("desk.local".into()));
        assert_eq!(reverse(&records[1].name), Some([10, 20, 1, 9].into()));
        assert_eq!(records[2].name, r"_s\.._tcp.local");
        let srv = RecordData::Srv { port: 80, target: "desk.local".into() };
        assert_eq!(records[2].data, srv);
    }

    #[test]
    fn cut_at_every_length_it_keeps_the_records_before() {
        let bytes = response();
        for length in 0..bytes.len() {
            let Ok(message) = Message::read(&bytes[..length]) else {
                assert!(length < 12);
                continue;
            };
            let (records, ended) = message.records();
            assert!(ended.is_err() && records.len() < 3, "{length}");
        }
    }

    #[test]
    fn pointers_that_loop_or_go_forward_end_the_message() {
        for name in [&[0xc0, 12][..], &[0xc0, 14, 0xc0, 12], &[1, b'a', 0xc0, 12], &[0xc0, 200]] {
            let mut bytes = vec![0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&[0; 8]);
            let (_, ended) = Message::read(&bytes).unwrap().records();
            assert_eq!(ended.unwrap_err().why(), "compression pointer that does not go back");
        }
    }

    #[test]
    fn a_stair_of_pointers_costs_little() {
        // Every name in the stair points two octets back.
        let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0];
        while bytes.len() < 0x3f00 {
            let before = bytes.len() as u16 - 2;
            bytes.extend_from_slice(&(0xc000 | before).to_be_bytes());
        }
        let (records, ended) = Message::read(&bytes).unwrap().records();
        assert!(ended.is_err() && records.len() < 1024);
    }

    #[test]
    fn a_name_has_255_octets_at_most() {
        let long = [&[63][..], &[b'a'; 63]].concat().repeat(4);
        assert_eq!(
            names("test", &[&long[..], &[0]].concat()).unwrap_err().why(),
            "name longer than 255 octets"
        );
        assert_eq!(partial_name("test", b"\x04unit").unwrap(), "unit");
        assert_eq!(names("test", b"\x01a\x01b\0\x01c\0\0\0").unwrap(), ["a.b", "c"]);
    }

    #[test]
    fn reverse_names_of_both_families() {
        let v6 = "1.0.d.2.2.4.c.a.c.1.f.8.7.b.9.3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.e.f.ip6.arpa";
        assert_eq!(reverse(v6), None);
        let v6 = "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
        assert_eq!(reverse(v6).unwrap().to_string(), "2001:db8::567:89ab");
        assert_eq!(reverse("1.2.3.in-addr.arpa"), None);
        assert_eq!(reverse("desk.local"), None);
    }
}
