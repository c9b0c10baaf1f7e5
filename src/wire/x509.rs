//! What stands in a certificate (RFC 5280, X.690), read and not checked: names, number, dates, and whom it is for.
//!
//! Taken: serial number, issuer, subject, validity, and DNS names and addresses of subjectAltName. Left: keys, signatures,
//! every other extension.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::cursor::{Cursor, WireError};

/// Names kept of subjectAltName; parts of a name.
const MOST_NAMES: usize = 32;
const MOST_PARTS: usize = 64;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Certificate {
    /// Hex, upper case, without the octet that only says that it is positive.
    pub serial: String,
    /// RFC 4514.
    pub issuer: String,
    pub subject: String,
    pub not_before: String,
    pub not_after: String,
    pub names: Vec<String>,
}

/// One element: its tag and what is in it.
fn element<'a>(cursor: &mut Cursor<'a>) -> Result<(u8, Cursor<'a>), WireError> {
    let tag = cursor.u8()?;
    let length = match cursor.u8()? {
        short @ ..=0x7f => usize::from(short),
        0x81 => usize::from(cursor.u8()?),
        0x82 => usize::from(cursor.u16()?),
        _ => return Err(cursor.wrong("length that is too long")),
    };
    Ok((tag, cursor.part(length)?))
}

fn expect<'a>(cursor: &mut Cursor<'a>, tag: u8) -> Result<Cursor<'a>, WireError> {
    match element(cursor)? {
        (found, inside) if found == tag => Ok(inside),
        _ => Err(cursor.wrong("another element than expected")),
    }
}

impl Certificate {
    pub fn read(bytes: &[u8]) -> Result<Certificate, WireError> {
        let mut cursor = Cursor::new("x509", bytes);
        let mut outer = expect(&mut cursor, SEQUENCE)?;
        let mut inner = expect(&mut outer, SEQUENCE)?;
        let mut certificate = Certificate::default();
        let (mut tag, mut value) = element(&mut inner)?;
        if tag == 0xa0 {
            (tag, value) = element(&mut inner)?;
        }
        if tag != INTEGER {
            return Err(inner.wrong("another element than expected"));
        }
        certificate.serial = serial(value.rest());
        expect(&mut inner, SEQUENCE)?;
        certificate.issuer = name(expect(&mut inner, SEQUENCE)?)?;
        let mut validity = expect(&mut inner, SEQUENCE)?;
        certificate.not_before = time(&mut validity)?;
        certificate.not_after = time(&mut validity)?;
        certificate.subject = name(expect(&mut inner, SEQUENCE)?)?;
        expect(&mut inner, SEQUENCE)?;
        while let Ok((tag, mut value)) = element(&mut inner) {
            if tag == 0xa3 {
                // What cannot be read of the extensions leaves the rest.
                let _ = extensions(&mut value, &mut certificate.names);
            }
        }
        Ok(certificate)
    }
}

fn serial(octets: &[u8]) -> String {
    let octets = match octets {
        [0, rest @ ..] if !rest.is_empty() => rest,
        octets => octets,
    };
    octets.iter().take(32).map(|octet| format!("{octet:02X}")).collect()
}

/// A time in the form of RFC 3339; empty where it is none.
fn time(cursor: &mut Cursor<'_>) -> Result<String, WireError> {
    let (tag, value) = element(cursor)?;
    let digits: String = (value.rest().iter())
        .take_while(|octet| octet.is_ascii_digit())
        .map(|octet| char::from(*octet))
        .collect();
    let digits = match tag {
        // Years from 50 on are of the century before. RFC 5280 §4.1.2.5.1.
        UTC_TIME if digits.as_str() >= "5" => format!("19{digits}"),
        UTC_TIME => format!("20{digits}"),
        GENERALIZED_TIME => digits,
        _ => String::new(),
    };
    let part = |from: usize, to: usize| digits.get(from..to);
    Ok((|| {
        Some(format!(
            "{}-{}-{}T{}:{}:{}Z",
            part(0, 4)?,
            part(4, 6)?,
            part(6, 8)?,
            part(8, 10)?,
            part(10, 12)?,
            part(12, 14).unwrap_or("00"),
        ))
    })()
    .unwrap_or_default())
}

/// A distinguished name, its last part first. RFC 4514.
fn name(mut cursor: Cursor<'_>) -> Result<String, WireError> {
    let mut parts = Vec::new();
    while !cursor.is_empty() && parts.len() < MOST_PARTS {
        let mut set = expect(&mut cursor, SET)?;
        let mut together = Vec::new();
        while !set.is_empty() && together.len() < MOST_PARTS {
            let mut pair = expect(&mut set, SEQUENCE)?;
            let kind = expect(&mut pair, OID)?;
            let (tag, value) = element(&mut pair)?;
            together.push(format!(
                "{}={}",
                attribute(kind.rest()),
                escaped(&text(tag, value.rest()))
            ));
        }
        parts.push(together.join("+"));
    }
    parts.reverse();
    Ok(parts.join(","))
}

/// The short word of an attribute, as openssl has it; the numbers where there is none.
fn attribute(oid: &[u8]) -> String {
    let known = match oid {
        [0x55, 4, number] => match number {
            3 => "CN",
            4 => "SN",
            5 => "serialNumber",
            6 => "C",
            7 => "L",
            8 => "ST",
            9 => "street",
            10 => "O",
            11 => "OU",
            12 => "title",
            13 => "description",
            15 => "businessCategory",
            17 => "postalCode",
            41 => "name",
            42 => "GN",
            43 => "initials",
            46 => "dnQualifier",
            65 => "pseudonym",
            97 => "organizationIdentifier",
            _ => "",
        },
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 2] => "unstructuredName",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 100, 1, 1] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 100, 1, 25] => "DC",
        [0x2b, 6, 1, 4, 1, 0x82, 0x37, 60, 2, 1, 1] => "jurisdictionL",
        [0x2b, 6, 1, 4, 1, 0x82, 0x37, 60, 2, 1, 2] => "jurisdictionST",
        [0x2b, 6, 1, 4, 1, 0x82, 0x37, 60, 2, 1, 3] => "jurisdictionC",
        _ => "",
    };
    if known.is_empty() { dotted(oid) } else { known.to_owned() }
}

/// An object identifier in numbers.
fn dotted(oid: &[u8]) -> String {
    let mut numbers: Vec<String> = Vec::new();
    let mut number = 0u64;
    for octet in oid.iter().take(32) {
        number = number << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if numbers.is_empty() {
            let first = (number / 40).min(2);
            numbers.push(first.to_string());
            numbers.push(number.saturating_sub(first.saturating_mul(40)).to_string());
        } else {
            numbers.push(number.to_string());
        }
        number = 0;
    }
    numbers.join(".")
}

/// A string by its tag: UTF-8, or two octets a character (BMPString), or one (Latin-1 stands for T.61).
fn text(tag: u8, octets: &[u8]) -> String {
    match tag {
        0x1e => {
            let units = octets.chunks_exact(2).map(|pair| match pair {
                [high, low] => u16::from_be_bytes([*high, *low]),
                _ => 0,
            });
            char::decode_utf16(units).map(|c| c.unwrap_or('\u{fffd}')).collect()
        }
        0x14 => octets.iter().map(|octet| char::from(*octet)).collect(),
        _ => String::from_utf8_lossy(octets).into_owned(),
    }
}

fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let last = text.chars().count().saturating_sub(1);
    for (place, c) in text.chars().enumerate() {
        let is_special = matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (place == 0 && matches!(c, ' ' | '#'))
            || (place == last && c == ' ');
        if is_special {
            shown.push('\\');
        }
        shown.push(c);
    }
    shown
}

fn extensions(cursor: &mut Cursor<'_>, names: &mut Vec<String>) -> Result<(), WireError> {
    let mut list = expect(cursor, SEQUENCE)?;
    while !list.is_empty() {
        let mut extension = expect(&mut list, SEQUENCE)?;
        let kind = expect(&mut extension, OID)?;
        if kind.rest() != [0x55, 0x1d, 17] {
            continue;
        }
        while let Ok((tag, mut value)) = element(&mut extension) {
            if tag != 4 {
                continue;
            }
            let mut alternatives = expect(&mut value, SEQUENCE)?;
            while let Ok((tag, value)) = element(&mut alternatives)
                && names.len() < MOST_NAMES
            {
                match (tag, value.rest()) {
                    (0x82, name) => names.push(String::from_utf8_lossy(name).into_owned()),
                    (0x87, octets) => {
                        if let Ok(octets) = <[u8; 4]>::try_from(octets) {
                            names.push(Ipv4Addr::from(octets).to_string());
                        } else if let Ok(octets) = <[u8; 16]>::try_from(octets) {
                            names.push(Ipv6Addr::from(octets).to_string());
                        }
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made() -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CountryName, "CN");
        parameters.distinguished_name.push(rcgen::DnType::OrganizationName, "A, B");
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "政务");
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_cut_anywhere_it_is_none() {
        let bytes = made();
        let certificate = Certificate::read(&bytes).unwrap();
        assert_eq!(certificate.subject, "CN=政务,O=A\\, B,C=CN");
        assert_eq!(certificate.issuer, certificate.subject);
        assert_eq!(certificate.names, ["a.example"]);
        assert_eq!(certificate.not_before, "1975-01-01T00:00:00Z");
        for length in 0..bytes.len() {
            assert!(Certificate::read(&bytes[..length]).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..300), at in 0usize..600, to: u8,
        ) {
            let _ = Certificate::read(&bytes);
            let mut bent = made();
            if let Some(octet) = bent.get_mut(at) {
                *octet = to;
            }
            let _ = Certificate::read(&bent);
        }
    }
}
