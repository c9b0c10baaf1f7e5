//! SNMP: as far as a reader of tables needs it, version 2c (GETBULK out, responses in: RFC 1901, RFC 3416); and what a
//! message of any version says to whoever hears it (RFC 1157, 3412, 3414). Of X.690 the definite lengths that RFC 3417 §8
//! allows.
//!
//! Reading tables is strict: a length past the end, an indefinite one, a number wider than its type, or anything behind the
//! message is no response. Hearing keeps what it read before a fault. Values of other types than those that tables of
//! addresses have are kept as their tag.

use super::cursor::{Cursor, Kept, WireError};

const WHAT: &str = "snmp";
const VERSION_2C: i64 = 1;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const NULL: u8 = 0x05;
const OBJECT: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const RESPONSE: u8 = 0xa2;
const GET_BULK: u8 = 0xa5;
const ADDRESS: u8 = 0x40;
const NO_SUCH_OBJECT: u8 = 0x80;
const NO_SUCH_INSTANCE: u8 = 0x81;
const END_OF_VIEW: u8 = 0x82;

/// RFC 2578 §3.5: at most 128 numbers.
const MOST_OF_NAME: usize = 128;

/// An object's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Oid(pub Vec<u32>);

impl Oid {
    /// What stands behind another name, if this one begins with it.
    pub fn within(&self, column: &[u32]) -> Option<&[u32]> {
        self.0.strip_prefix(column)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Integer(i64),
    Octets(Vec<u8>),
    Oid(Oid),
    /// IpAddress: RFC 2578 §7.1.5.
    Address([u8; 4]),
    /// Nothing of that name, or nothing behind it.
    Absent,
    Other(u8),
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    pub request: i32,
    /// RFC 3416 §3: 0 is no error, 1 is too big.
    pub error: i64,
    pub values: Vec<(Oid, Value)>,
}

/// A request for what follows some names, so many times.
pub fn get_bulk(community: &[u8], request: i32, repetitions: u8, names: &[Oid]) -> Vec<u8> {
    let bound: Vec<u8> = names
        .iter()
        .flat_map(|name| {
            part(SEQUENCE, &[part(OBJECT, &subidentifiers(name)), part(NULL, &[])].concat())
        })
        .collect();
    let body = [
        part(INTEGER, &number(i64::from(request))),
        part(INTEGER, &[0]),
        part(INTEGER, &number(i64::from(repetitions))),
        part(SEQUENCE, &bound),
    ]
    .concat();
    let message = [part(INTEGER, &[1]), part(OCTETS, community), part(GET_BULK, &body)].concat();
    part(SEQUENCE, &message)
}

/// As short as it can be: X.690 §8.3.2.
fn number(value: i64) -> Vec<u8> {
    let octets = value.to_be_bytes();
    let mut rest = octets.as_slice();
    while let [first, second, ..] = rest {
        let spare = *first == 0 && *second < 0x80 || *first == 0xff && *second >= 0x80;
        match rest.split_first() {
            Some((_, shorter)) if spare => rest = shorter,
            _ => break,
        }
    }
    rest.to_vec()
}

/// Tag, length, content.
fn part(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut written = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => written.push(length),
        _ => {
            let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
            written.push(0x82);
            written.extend_from_slice(&length.to_be_bytes());
        }
    }
    written.extend_from_slice(content);
    written
}

/// X.690 §8.19: the first two numbers share an octet, seven bits an octet.
fn subidentifiers(name: &Oid) -> Vec<u8> {
    let (first, rest) = match name.0.as_slice() {
        [first, second, rest @ ..] => (first.saturating_mul(40).saturating_add(*second), rest),
        [first] => (first.saturating_mul(40), [].as_slice()),
        [] => (0, [].as_slice()),
    };
    let mut written = Vec::new();
    for number in std::iter::once(first).chain(rest.iter().copied()) {
        for shift in [28, 21, 14, 7] {
            if number >> shift != 0 {
                written.push(0x80 | (number >> shift & 0x7f) as u8);
            }
        }
        written.push((number & 0x7f) as u8);
    }
    written
}

/// Reads a response of version 2c.
pub fn read(bytes: &[u8]) -> Result<Response, WireError> {
    let mut whole = Cursor::new(WHAT, bytes);
    let mut message = expect(&mut whole, SEQUENCE)?;
    end(&whole)?;
    if integer(&mut message)? != VERSION_2C {
        return Err(wrong("not version 2c"));
    }
    expect(&mut message, OCTETS)?;
    let mut body = expect(&mut message, RESPONSE)?;
    end(&message)?;
    let request = i32::try_from(integer(&mut body)?).map_err(|_| wrong("request too wide"))?;
    let error = integer(&mut body)?;
    integer(&mut body)?;
    let mut list = expect(&mut body, SEQUENCE)?;
    end(&body)?;
    let mut values = Vec::new();
    while list.left() > 0 {
        let mut bound = expect(&mut list, SEQUENCE)?;
        let name = object(expect(&mut bound, OBJECT)?)?;
        let value = value(&mut bound)?;
        end(&bound)?;
        values.push((name, value));
    }
    Ok(Response { request, error, values })
}

fn wrong(why: &'static str) -> WireError {
    WireError::Wrong { what: WHAT, why }
}

fn end(cursor: &Cursor<'_>) -> Result<(), WireError> {
    if cursor.left() == 0 { Ok(()) } else { Err(wrong("octets behind the end")) }
}

/// The next tag and its content.
fn next<'a>(cursor: &mut Cursor<'a>) -> Result<(u8, Cursor<'a>), WireError> {
    let tag = cursor.u8()?;
    let length = match cursor.u8()? {
        short @ 0..=0x7f => usize::from(short),
        0x81 => usize::from(cursor.u8()?),
        0x82 => usize::from(cursor.u16()?),
        // X.690 §8.1.3.5 allows octets of length that are not needed, and some agents write four.
        0x83 => {
            let [a, b, c] = cursor.array()?;
            usize::try_from(u32::from_be_bytes([0, a, b, c])).unwrap_or(usize::MAX)
        }
        0x84 => usize::try_from(cursor.u32()?).unwrap_or(usize::MAX),
        _ => return Err(wrong("no definite length")),
    };
    Ok((tag, cursor.part(length)?))
}

fn expect<'a>(cursor: &mut Cursor<'a>, tag: u8) -> Result<Cursor<'a>, WireError> {
    match next(cursor)? {
        (found, content) if found == tag => Ok(content),
        _ => Err(wrong("another type")),
    }
}

fn integer(cursor: &mut Cursor<'_>) -> Result<i64, WireError> {
    signed(expect(cursor, INTEGER)?)
}

fn signed(mut content: Cursor<'_>) -> Result<i64, WireError> {
    let length = content.left();
    if !(1..=8).contains(&length) {
        return Err(wrong("number of no or too many octets"));
    }
    let mut value = 0i64;
    for place in 0..length {
        let octet = content.u8()?;
        let start = if place == 0 { i64::from(octet.cast_signed()) } else { i64::from(octet) };
        value = if place == 0 { start } else { value << 8 | start };
    }
    Ok(value)
}

fn object(mut content: Cursor<'_>) -> Result<Oid, WireError> {
    let mut name = Vec::new();
    while content.left() > 0 {
        let mut number = 0u32;
        loop {
            let octet = content.u8()?;
            if number >> 25 != 0 {
                return Err(wrong("number in a name too wide"));
            }
            number = number << 7 | u32::from(octet & 0x7f);
            if octet & 0x80 == 0 {
                break;
            }
        }
        if name.is_empty() {
            let first = (number / 40).min(2);
            name.push(first);
            name.push(number.saturating_sub(first.saturating_mul(40)));
        } else {
            name.push(number);
        }
        if name.len() > MOST_OF_NAME {
            return Err(wrong("name too long"));
        }
    }
    Ok(Oid(name))
}

fn value(cursor: &mut Cursor<'_>) -> Result<Value, WireError> {
    let (tag, mut content) = next(cursor)?;
    Ok(match tag {
        INTEGER => Value::Integer(signed(content)?),
        OCTETS => {
            let length = content.left();
            Value::Octets(content.take(length)?.to_vec())
        }
        OBJECT => Value::Oid(object(content)?),
        ADDRESS => Value::Address(content.array()?),
        NO_SUCH_OBJECT | NO_SUCH_INSTANCE | END_OF_VIEW => Value::Absent,
        other => Value::Other(other),
    })
}

/// What is done by a message: the tag of its unit, RFC 3416 §3; 0xa4 is version 1's trap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Get,
    GetNext,
    Response,
    Set,
    Trap,
    GetBulk,
    Inform,
    Report,
    /// Version 3 with privacy: nobody but the two sees more.
    Encrypted,
}

impl Unit {
    fn of(tag: u8) -> Option<Unit> {
        Some(match tag {
            0xa0 => Unit::Get,
            0xa1 => Unit::GetNext,
            RESPONSE => Unit::Response,
            0xa3 => Unit::Set,
            0xa4 | 0xa7 => Unit::Trap,
            GET_BULK => Unit::GetBulk,
            0xa6 => Unit::Inform,
            0xa8 => Unit::Report,
            _ => return None,
        })
    }
}

/// A message of any version, as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heard<'a> {
    /// As it stands: 0 is version 1, 1 is 2c, 3 is 3.
    pub version: i64,
    pub community: Option<&'a [u8]>,
    /// The authoritative engine and the user, of the user-based security model.
    pub engine: Option<&'a [u8]>,
    pub user: Option<&'a [u8]>,
    pub unit: Option<Unit>,
    /// Of a trap of version 1: the device's object, its address, the generic and the specific number.
    pub trap: Option<(Oid, [u8; 4], i64, i64)>,
    pub values: Vec<(Oid, Value)>,
}

/// Reads whatever version, and keeps what stood before a fault.
pub fn hear(bytes: &[u8]) -> Kept<Heard<'_>> {
    let mut heard = Heard::default();
    let ended = hear_message(bytes, &mut heard);
    (heard, ended)
}

fn hear_message<'a>(bytes: &'a [u8], heard: &mut Heard<'a>) -> Result<(), WireError> {
    let mut message = expect(&mut Cursor::new(WHAT, bytes), SEQUENCE)?;
    let version = integer(&mut message)?;
    match version {
        0 | 1 => {
            let community = expect(&mut message, OCTETS)?;
            heard.version = version;
            heard.community = Some(community.rest());
        }
        3 => {
            let mut global = expect(&mut message, SEQUENCE)?;
            // Message id and size.
            integer(&mut global)?;
            integer(&mut global)?;
            let flags = expect(&mut global, OCTETS)?.u8()?;
            let model = integer(&mut global)?;
            let security = expect(&mut message, OCTETS)?;
            heard.version = version;
            // RFC 3414 §2.4; other models have other parameters.
            if model == 3 {
                hear_security(security, heard)?;
            }
            if flags & 2 != 0 {
                heard.unit = Some(Unit::Encrypted);
                return Ok(());
            }
            message = expect(&mut message, SEQUENCE)?;
            // The context's engine and name.
            expect(&mut message, OCTETS)?;
            expect(&mut message, OCTETS)?;
        }
        _ => return Err(wrong("unknown version")),
    }
    let (tag, mut body) = next(&mut message)?;
    heard.unit = Unit::of(tag);
    if heard.unit.is_none() {
        return Err(wrong("unknown unit"));
    }
    if tag == 0xa4 {
        let object = object(expect(&mut body, OBJECT)?)?;
        let address = expect(&mut body, ADDRESS)?.array()?;
        heard.trap = Some((object, address, integer(&mut body)?, integer(&mut body)?));
        // The time.
        next(&mut body)?;
    } else {
        for _ in 0..3 {
            integer(&mut body)?;
        }
    }
    let mut list = expect(&mut body, SEQUENCE)?;
    while list.left() > 0 {
        let mut bound = expect(&mut list, SEQUENCE)?;
        let name = object(expect(&mut bound, OBJECT)?)?;
        heard.values.push((name, value(&mut bound)?));
    }
    Ok(())
}

fn hear_security<'a>(octets: Cursor<'a>, heard: &mut Heard<'a>) -> Result<(), WireError> {
    let mut octets = octets;
    let mut parameters = expect(&mut octets, SEQUENCE)?;
    let engine = expect(&mut parameters, OCTETS)?.rest();
    // Boots and time.
    integer(&mut parameters)?;
    integer(&mut parameters)?;
    let user = expect(&mut parameters, OCTETS)?.rest();
    heard.engine = Some(engine).filter(|engine| !engine.is_empty());
    heard.user = Some(user).filter(|user| !user.is_empty());
    Ok(())
}

/// Numbers with dots.
impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, number) in self.0.iter().enumerate() {
            if place > 0 {
                f.write_str(".")?;
            }
            write!(f, "{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A response as an agent writes it.
    fn response(request: i32, values: &[(Oid, Vec<u8>)]) -> Vec<u8> {
        let bound: Vec<u8> = values
            .iter()
            .flat_map(|(name, value)| {
                part(SEQUENCE, &[part(OBJECT, &subidentifiers(name)), value.clone()].concat())
            })
            .collect();
        let body = [
            part(INTEGER, &number(request.into())),
            part(INTEGER, &[0]),
            part(INTEGER, &[0]),
            part(SEQUENCE, &bound),
        ]
        .concat();
        part(SEQUENCE, &[part(INTEGER, &[1]), part(OCTETS, b"c"), part(RESPONSE, &body)].concat())
    }

    #[test]
    fn a_request_is_written_as_the_standard_has_it() {
        let name = Oid(vec![1, 3, 6, 1, 2, 1, 4, 35, 128]);
        let written = get_bulk(b"public", 0x1a2b_3c4d, 10, &[name]);
        let expected = [
            &[0x30, 0x2a, 2, 1, 1, 4, 6][..],
            b"public",
            &[0xa5, 0x1d, 2, 4, 0x1a, 0x2b, 0x3c, 0x4d, 2, 1, 0, 2, 1, 10],
            &[0x30, 0x0f, 0x30, 0x0d, 6, 9, 0x2b, 6, 1, 2, 1, 4, 35, 0x81, 0x00, 5, 0],
        ]
        .concat();
        assert_eq!(written, expected);
        assert!(read(&written).is_err(), "a request is no response");
    }

    #[test]
    fn a_response_is_read_to_its_end_and_no_further() {
        let name = Oid(vec![1, 3, 6, 1, 2, 1, 4, 35, 1, 4, 2, 2, 16, 253, 0]);
        let mac = vec![0, 0xe0, 0xfc, 1, 2, 3];
        let values = [
            (name.clone(), part(OCTETS, &mac)),
            (name.clone(), part(INTEGER, &[0xff])),
            (name.clone(), part(END_OF_VIEW, &[])),
            (name.clone(), part(0x42, &[1])),
            (name.clone(), part(OBJECT, &subidentifiers(&name))),
        ];
        let octets = response(-7, &values);
        let read_back = read(&octets).unwrap();
        assert_eq!((read_back.request, read_back.error), (-7, 0));
        let found: Vec<Value> = read_back.values.into_iter().map(|(_, value)| value).collect();
        assert_eq!(
            found,
            [
                Value::Octets(mac),
                Value::Integer(-1),
                Value::Absent,
                Value::Other(0x42),
                Value::Oid(name)
            ]
        );
        for length in 0..octets.len() {
            assert!(read(&octets[..length]).is_err(), "cut at {length}");
        }
        assert!(read(&[octets, vec![0]].concat()).is_err());
    }

    #[test]
    fn a_message_is_heard_whatever_its_version() {
        let name = Oid(vec![1, 3, 6, 1, 2, 1, 1, 5, 0]);
        let octets = response(1, &[(name.clone(), part(OCTETS, b"sw1"))]);
        let (heard, ended) = hear(&octets);
        assert_eq!(
            (heard.version, heard.community, heard.unit),
            (1, Some(&b"c"[..]), Some(Unit::Response))
        );
        assert_eq!((heard.values, ended), (vec![(name, Value::Octets(b"sw1".to_vec()))], Ok(())));
        // Cut behind the community, it is kept.
        let cut = [&[0x30, 6, 2, 1, 1, 4, 1][..], b"c"].concat();
        let (heard, ended) = hear(&cut);
        assert_eq!((heard.community, ended.is_err()), (Some(&b"c"[..]), true));

        let security = [
            part(OCTETS, &[0x80, 0, 0, 9]),
            part(INTEGER, &[1]),
            part(INTEGER, &[2]),
            part(OCTETS, b"operator"),
            part(OCTETS, &[]),
            part(OCTETS, &[]),
        ]
        .concat();
        let global =
            [part(INTEGER, &[7]), part(INTEGER, &[1]), part(OCTETS, &[3]), part(INTEGER, &[3])];
        let message = [
            part(INTEGER, &[3]),
            part(SEQUENCE, &global.concat()),
            part(OCTETS, &part(SEQUENCE, &security)),
            part(OCTETS, &[9; 40]),
        ]
        .concat();
        let octets = part(SEQUENCE, &message);
        let (heard, ended) = hear(&octets);
        assert_eq!(
            (heard.user, heard.engine),
            (Some(&b"operator"[..]), Some(&[0x80, 0, 0, 9][..]))
        );
        assert_eq!((heard.unit, ended), (Some(Unit::Encrypted), Ok(())));
    }

    #[test]
    fn what_no_agent_writes_is_refused() {
        for octets in [
            // Indefinite length; four octets of length; a name whose number is wider than 32 bits.
            vec![0x30, 0x80, 0, 0],
            vec![0x30, 0x84, 0, 0, 0, 0],
            part(
                SEQUENCE,
                &[part(INTEGER, &[0]), part(OCTETS, b"c"), part(RESPONSE, &[])].concat(),
            ),
        ] {
            assert!(read(&octets).is_err(), "{octets:?}");
        }
        let wide = Cursor::new(WHAT, &[0x2b, 0x9f, 0xff, 0xff, 0xff, 0x7f]);
        assert!(object(wide).is_err());
        let widest = Cursor::new(WHAT, &[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f]);
        assert_eq!(object(widest), Ok(Oid(vec![1, 3, u32::MAX])));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&octets);
            let _ = hear(&octets);
        }

        #[test]
        fn a_changed_response_does_not_either(at in 0usize..60, with in any::<u8>()) {
            let name = Oid(vec![1, 3, 6, 1, 2, 1, 4, 35, 1, 4, 2]);
            let mut octets = response(9, &[(name, part(OCTETS, &[1; 6]))]);
            if let Some(octet) = octets.get_mut(at) {
                *octet = with;
            }
            let _ = read(&octets);
            let _ = hear(&octets);
        }

        #[test]
        fn names_and_numbers_come_back(rest in proptest::collection::vec(any::<u32>(), 0..30), value in any::<i64>()) {
            let name = Oid([vec![1, 3], rest].concat());
            let octets = response(1, &[(name.clone(), part(INTEGER, &number(value)))]);
            prop_assert_eq!(read(&octets).unwrap().values, [(name, Value::Integer(value))]);
        }
    }
}
