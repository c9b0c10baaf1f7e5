//! What stands in one cell: cleaned, split, read as a value. Pure functions over text.
//!
//! People type into spreadsheets with Chinese input methods, so full-width digits, letters and signs are
//! read as their plain twins wherever a cell holds a value and not prose. Dates and ports are held to the
//! contract's form; what was probably meant goes into the mend.

use std::borrow::Cow;
use std::net::IpAddr;

use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use super::fault::FaultKind;
use super::model::{GatewayRef, SubjectRef};
use super::read::{MOST_CELL_CHARACTERS, MOST_VALUES};
use crate::net::prefix::BadPrefix;
use crate::net::{Mac, Port, Prefix, Transport, special};

/// The day is one in +08:00.
const HOURS_EAST: i8 = 8;

/// White space as people see it: also the full-width and the zero-width ones.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}' | '\u{2060}')
}

pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// The first characters that a spreadsheet takes for a formula; the same as in `defuse_cell`.
fn starts_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '|', '%'])
}

/// A cell as it may be used: trimmed, without the apostrophe that keeps a text from being computed.
/// Refused: what is too long for a cell, control characters, formulas.
pub(super) fn guarded(text: &str) -> Result<&str, FaultKind> {
    let text = trimmed(text);
    if text.is_empty() {
        return Ok(text);
    }
    if text.len() > MOST_CELL_CHARACTERS && text.chars().nth(MOST_CELL_CHARACTERS).is_some() {
        return Err(FaultKind::TooLong { most: MOST_CELL_CHARACTERS as u64 });
    }
    let is_control = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let has_control = if text.is_ascii() {
        text.bytes().any(|byte| is_control(char::from(byte)))
    } else {
        text.chars().any(is_control)
    };
    if has_control {
        return Err(FaultKind::ControlCharacter);
    }
    let unquoted = text.trim_start_matches('\'');
    if unquoted.len() < text.len() {
        return Ok(if starts_formula(unquoted) { unquoted } else { text });
    }
    if is_formula(text) { Err(FaultKind::Formula) } else { Ok(text) }
}

/// `=…` always; `+ - @` only with a call or a command in them, for telephone numbers begin so too.
fn is_formula(text: &str) -> bool {
    let mut characters = text.chars();
    match characters.next() {
        Some('=') => characters.next().is_some(),
        Some('+' | '-' | '@') => {
            let word = characters.next().is_some_and(|c| c.is_ascii_alphabetic());
            text.contains(['|', '!']) || (word && text.contains('('))
        }
        _ => false,
    }
}

/// Prose: white space within drawn together to one blank.
pub(super) fn prose(text: &str) -> String {
    if !text.contains(['\n', '\r', '\t']) {
        return text.to_owned();
    }
    text.split(['\n', '\r', '\t'])
        .map(trimmed)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Full-width forms as their plain twins; for cells that hold values.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().map(plain_character).collect())
}

fn plain_character(c: char) -> char {
    match c {
        // FULLWIDTH EXCLAMATION MARK … TILDE stand 0xfee0 above ASCII.
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c).saturating_sub(0xfee0)).unwrap_or(c),
        '\u{3000}' | '\u{a0}' | '\u{200b}' | '\u{feff}' => ' ',
        '。' => '.',
        '、' => ',',
        '—' | '–' | '‑' | '−' => '-',
        c => c,
    }
}

/// The values of a cell that may hold several: apart by `;`, white space, or a comma in either width.
pub(super) fn values(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| is_blank(c) || matches!(c, ';' | ',')).filter(|value| !value.is_empty())
}

/// Each value of a list read; the first fault of each bad value; at most [`MOST_VALUES`].
pub(super) fn list<T: PartialEq>(
    text: &str,
    read: impl Fn(&str) -> Result<T, FaultKind>,
    mut fault: impl FnMut(&str, FaultKind),
) -> Vec<T> {
    let mut read_values = Vec::new();
    for (count, value) in values(text).enumerate() {
        if count >= MOST_VALUES {
            fault("", FaultKind::TooManyValues { most: MOST_VALUES as u64 });
            break;
        }
        match read(value) {
            Ok(value) if read_values.is_empty() => read_values = vec![value],
            Ok(value) if !read_values.contains(&value) => read_values.push(value),
            Ok(_) => {}
            Err(kind) => fault(value, kind),
        }
    }
    read_values
}

/// A day as ISO 8601 writes it, alone or with a time. A time with an offset is the day that it is then in
/// +08:00.
pub(super) fn date(text: &str) -> Result<Date, FaultKind> {
    let bad = || FaultKind::BadDate { meant: meant_date(text) };
    let head = match text.char_indices().nth(10) {
        // `2026-11-22` and what may follow it; anything else is left to fail below.
        Some((end, 'T' | 't' | ' ')) => text.get(..end),
        _ => None,
    };
    let Some(day) = head else {
        let shaped = match text.len() {
            10 => text.bytes().enumerate().all(|(at, byte)| match at {
                4 | 7 => byte == b'-',
                _ => byte.is_ascii_digit(),
            }),
            8 => text.bytes().all(|byte| byte.is_ascii_digit()),
            _ => false,
        };
        return if shaped { text.parse().map_err(|_| bad()) } else { Err(bad()) };
    };
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        let zone = TimeZone::fixed(Offset::constant(HOURS_EAST));
        return Ok(instant.to_zoned(zone).date());
    }
    match text.parse::<jiff::civil::DateTime>() {
        Ok(time) => Ok(time.date()),
        Err(_) => day.parse::<Date>().ok().filter(|_| false).ok_or_else(bad),
    }
}

/// What `2026/11/22`, `2026.11.22` or `2026年11月22日` means: for the mend, never read.
fn meant_date(text: &str) -> Option<Date> {
    let mut numbers = text
        .split(|c: char| !c.is_ascii_digit())
        .filter(|part| !part.is_empty())
        .map(|part| part.parse::<i16>().ok());
    let (first, month, last) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let (year, day) = if first > 31 { (first, last) } else { (last, first) };
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?)
        .ok()
        .filter(|date| (1949..=2999).contains(&date.year()))
}

pub(super) fn address(text: &str) -> Result<IpAddr, FaultKind> {
    match text.parse::<IpAddr>() {
        Ok(address) if special::is_host(address) => Ok(address),
        _ => Err(FaultKind::BadAddress),
    }
}

/// A station's address: all zeroes, broadcast and groups are nobody's.
pub(super) fn mac(text: &str) -> Result<Mac, FaultKind> {
    match text.parse::<Mac>() {
        Ok(mac) if mac.is_station() => Ok(mac),
        _ => Err(FaultKind::BadMac),
    }
}

pub(super) fn prefix(text: &str) -> Result<Prefix, FaultKind> {
    text.parse().map_err(|error| match error {
        BadPrefix::HostBits { meant, .. } => FaultKind::HostBits { meant },
        BadPrefix::Unreadable(_) => FaultKind::BadPrefix,
    })
}

pub(super) fn port(text: &str) -> Result<Port, FaultKind> {
    text.parse().map_err(|_| {
        let number = |text: &str| text.trim().parse::<u16>().ok().filter(|number| *number != 0);
        let meant = match text.split_once(['/', ':', '-']) {
            Some((number_first, transport)) if transport.eq_ignore_ascii_case("tcp") => {
                number(number_first).map(Port::tcp)
            }
            Some((number_first, transport)) if transport.eq_ignore_ascii_case("udp") => {
                number(number_first).map(Port::udp)
            }
            Some((transport, last)) => match transport.to_ascii_lowercase().as_str() {
                "tcp" => number(last).map(Port::tcp),
                "udp" => number(last).map(Port::udp),
                _ => None,
            },
            None => number(text).map(|number| Port { transport: Transport::Tcp, number }),
        };
        FaultKind::BadPort { meant }
    })
}

/// 1 to 4094 (IEEE 802.1Q §9.6), also written `VLAN 100`.
pub(super) fn vlan(text: &str) -> Result<u16, FaultKind> {
    let digits = match text.get(..4) {
        Some(head) if head.eq_ignore_ascii_case("vlan") => text.get(4..).unwrap_or("").trim(),
        _ => text,
    };
    match digits.parse() {
        Ok(number @ 1..=4094) => Ok(number),
        _ => Err(FaultKind::BadVlan),
    }
}

/// Looks like an address that went wrong, and not like a name.
fn is_addresslike(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let dots = text.bytes().filter(|byte| *byte == b'.').count();
    let colons = text.bytes().filter(|byte| *byte == b':').count();
    let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'/'));
    let hexadecimal =
        text.bytes().all(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'/'));
    (numeric && dots >= 2 && digits > 0) || (hexadecimal && colons >= 2)
}

/// An address, else the name of a device.
pub(super) fn gateway(text: &str) -> Result<GatewayRef, FaultKind> {
    let plain = plain(text);
    match plain.parse::<IpAddr>() {
        Ok(_) => address(&plain).map(GatewayRef::Address),
        Err(_) if is_addresslike(&plain) => Err(FaultKind::BadAddress),
        Err(_) => Ok(GatewayRef::Device(prose(text))),
    }
}

/// The subjects of a notice or a waiver: addresses, MACs, prefixes, `ip port` pairs, names of devices.
///
/// A piece between `;` in which nothing reads as an address is one name, blanks and all;
/// `settle_names` takes it apart again where no such device exists.
pub(super) fn subjects(text: &str, mut fault: impl FnMut(&str, FaultKind)) -> Vec<SubjectRef> {
    let mut found: Vec<SubjectRef> = Vec::new();
    for (count, piece) in text.split([';', '；', '\n', '\r']).enumerate() {
        if count >= MOST_VALUES {
            fault("", FaultKind::TooManyValues { most: MOST_VALUES as u64 });
            break;
        }
        let piece = trimmed(piece);
        if piece.is_empty() {
            continue;
        }
        let folded = plain(piece);
        let mut named = Vec::new();
        let mut read = Vec::new();
        let mut broken = false;
        let mut words = folded.split(is_blank).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            match subject(word) {
                Ok(Some(SubjectRef::Ip(ip))) => {
                    match words.peek().and_then(|next| next.parse::<Port>().ok()) {
                        Some(port) => {
                            words.next();
                            read.push(SubjectRef::Service(ip, port));
                        }
                        None => read.push(SubjectRef::Ip(ip)),
                    }
                }
                Ok(Some(subject)) => read.push(subject),
                Ok(None) => named.push(word.to_owned()),
                Err(kind) => {
                    broken = true;
                    fault(word, kind);
                }
            }
        }
        if read.is_empty() && !broken {
            read.push(SubjectRef::Device(prose(piece)));
        } else {
            read.extend(named.into_iter().map(SubjectRef::Device));
        }
        for subject in read {
            if !found.contains(&subject) {
                found.push(subject);
            }
        }
    }
    found.shrink_to_fit();
    found
}

/// One word; `None` where it can only be a name.
fn subject(word: &str) -> Result<Option<SubjectRef>, FaultKind> {
    if word.parse::<IpAddr>().is_ok() {
        return address(word).map(|ip| Some(SubjectRef::Ip(ip)));
    }
    if word.contains('/') {
        return match prefix(word) {
            Ok(prefix) => Ok(Some(SubjectRef::Prefix(prefix))),
            Err(kind @ FaultKind::HostBits { .. }) => Err(kind),
            // A port belongs behind its address.
            Err(_) if word.parse::<Port>().is_ok() => Err(FaultKind::BadSubject),
            Err(_) if is_addresslike(word) => Err(FaultKind::BadPrefix),
            Err(_) => Ok(None),
        };
    }
    if let Ok(mac) = word.parse::<Mac>() {
        return if mac.is_station() {
            Ok(Some(SubjectRef::Mac(mac)))
        } else {
            Err(FaultKind::BadMac)
        };
    }
    if is_addresslike(word) { Err(FaultKind::BadSubject) } else { Ok(None) }
}

/// `SHA256:` and 43 base-64 characters, as OpenSSH prints it; the word before the colon in any case, or absent.
pub(super) fn ssh_fingerprint(text: &str) -> Result<String, String> {
    let (digest, prefixed) = match text.get(..7) {
        Some(head) if head.eq_ignore_ascii_case("sha256:") => (text.get(7..).unwrap_or(""), true),
        _ => (text, false),
    };
    let digest = digest.trim_end_matches('=');
    let is_digest = digest.len() == 43
        && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
    match (is_digest, prefixed) {
        (true, _) => Ok(format!("SHA256:{digest}")),
        (false, true) => Err(format!("SHA256:{digest}")),
        (false, false) => Err(text.to_owned()),
    }
}

/// 64 hexadecimal digits, lower case; colons between and `SHA256:` before are taken off.
pub(super) fn certificate_fingerprint(text: &str) -> Result<String, String> {
    let digest = match text.get(..7) {
        Some(head)
            if head.eq_ignore_ascii_case("sha256:") || head.eq_ignore_ascii_case("sha256=") =>
        {
            text.get(7..).unwrap_or("")
        }
        _ => text,
    };
    let digits: String =
        digest.chars().filter(|c| *c != ':').map(|c| c.to_ascii_lowercase()).collect();
    if digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(digits)
    } else {
        Err(text.to_owned())
    }
}

/// How many single changes turn one word into the other, given up past a few; for 'did you mean'.
pub(super) fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(40).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().take(40).enumerate() {
        let mut before = i;
        let mut left = i.saturating_add(1);
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let change = before.saturating_add(usize::from(from != *to));
            before = *cell;
            left = change.min(before.saturating_add(1)).min(left.saturating_add(1));
            *cell = left;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

/// The nearest of some words, if it is near enough to have been meant.
pub(super) fn nearest<'w>(word: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let length = word.chars().count();
    words
        .map(|candidate| (distance(word, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| {
            let longest = length.max(candidate.chars().count());
            *distance > 0 && distance.saturating_mul(3) <= longest
        })
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn dates_are_iso_and_nothing_else() {
        let day: Date = "2026-11-22".parse().unwrap();
        for text in [
            "2026-11-22",
            "20261122",
            "2026-11-22 00:00:00",
            "2026-11-22T23:59:59",
            "2026-11-21T16:00:00Z",
            "2026-11-22T01:00:00+08:00",
        ] {
            assert_eq!(date(text), Ok(day), "{text}");
        }
        for (text, meant) in [
            ("2026/11/22", Some(day)),
            ("2026年11月22日", Some(day)),
            ("22.11.2026", Some(day)),
            ("2026-02-30", None),
            ("2026-13-01", None),
            ("明年", None),
            ("2026-11-22x", Some(day)),
            ("46348", None),
        ] {
            assert_eq!(date(text), Err(FaultKind::BadDate { meant }), "{text}");
        }
    }

    #[test]
    fn subjects_of_every_kind() {
        let read = |text: &str| {
            let mut faults = Vec::new();
            let subjects = subjects(text, |value, kind| faults.push((value.to_owned(), kind)));
            (subjects, faults)
        };
        let ip: IpAddr = "10.20.1.7".parse().unwrap();
        assert_eq!(
            read("10.20.1.7 tcp/8080；10.20.1.7\n00-1B-21-AA-BB-CC; 10.20.2.0/24; 核心 交换机"),
            (
                vec![
                    SubjectRef::Service(ip, Port::tcp(8080)),
                    SubjectRef::Ip(ip),
                    SubjectRef::Mac("001b21aabbcc".parse().unwrap()),
                    SubjectRef::Prefix("10.20.2.0/24".parse().unwrap()),
                    SubjectRef::Device("核心 交换机".into()),
                ],
                vec![]
            )
        );
        assert_eq!(read("10.20.1.300").1, [("10.20.1.300".into(), FaultKind::BadSubject)]);
        assert_eq!(read("tcp/80").1, [("tcp/80".into(), FaultKind::BadSubject)]);
        assert_eq!(read("gi0/1").0, [SubjectRef::Device("gi0/1".into())]);
        assert!(matches!(read("10.20.1.7/24").1[0].1, FaultKind::HostBits { .. }));
    }

    #[test]
    fn what_a_spreadsheet_would_compute_is_refused_unless_quoted() {
        for text in ["=1+1", "=cmd|' /C calc'!A0", "@SUM(1)", "+cmd|x", "-A1!B2"] {
            assert_eq!(guarded(text), Err(FaultKind::Formula), "{text}");
        }
        assert_eq!(guarded("'=1+1"), Ok("=1+1"));
        assert_eq!(guarded("+86 (731) 8221"), Ok("+86 (731) 8221"));
        assert_eq!(guarded("a\0b"), Err(FaultKind::ControlCharacter));
        assert_eq!(guarded("\u{1b}[2J"), Err(FaultKind::ControlCharacter));
    }

    #[test]
    fn the_mend_knows_the_port_that_was_meant() {
        for text in ["443", "443/tcp", "tcp:443", "TCP-443"] {
            assert_eq!(
                port(text),
                Err(FaultKind::BadPort { meant: Some(Port::tcp(443)) }),
                "{text}"
            );
        }
        assert_eq!(port("tcp/70000"), Err(FaultKind::BadPort { meant: None }));
        assert_eq!(port(&plain("ｔｃｐ／４４３")), Ok(Port::tcp(443)));
    }

    #[test]
    fn near_words_are_suggested_and_far_ones_not() {
        let words = ["gateway", "router", "firewall"];
        assert_eq!(nearest("gatway", words.into_iter()), Some("gateway"));
        assert_eq!(nearest("网桥", words.into_iter()), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_cell_panic(text in ".{0,60}") {
            let _ = guarded(&text);
            let _ = date(&text);
            let _ = port(&text);
            let _ = vlan(&text);
            let _ = mac(&text);
            let _ = gateway(&text);
            let _ = prefix(&text);
            let _ = ssh_fingerprint(&text);
            let _ = certificate_fingerprint(&text);
            let _ = subjects(&text, |_, _| ());
            let _ = distance(&text, "gateway");
        }

        #[test]
        fn cleaning_is_done_once(text in ".{0,60}") {
            if let Ok(clean) = guarded(&text) {
                let clean = prose(clean);
                let written = crate::observe::defuse_cell(&clean);
                prop_assert_eq!(guarded(&written).map(prose), Ok(clean));
            }
        }
    }
}
