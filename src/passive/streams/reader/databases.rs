//! MySQL and PostgreSQL (their protocol documentation): the greeting of the one, the beginnings of the other.
//!
//! Taken: MySQL's server version; that PostgreSQL is spoken; TLS behind PostgreSQL's request for it. Left: users, passwords,
//! queries; TLS in MySQL, whose beginning the server does not show.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Role};
use crate::wire::Cursor;

pub(super) struct Databases;

/// Longer than any greeting.
const MOST_GREETING: usize = 512;
/// PostgreSQL's requests for TLS and for GSSAPI, and version 3.
const SSL: u32 = 80_877_103;
const GSS: u32 = 80_877_104;
const VERSION_3: u32 = 3 << 16;

impl Reader for Databases {
    fn name(&self) -> &'static str {
        "databases"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        match head.bytes {
            // The answer to a request for TLS is one octet.
            [b'S'] if head.from.1 == 5432 => Verdict::More(2),
            [b'S', 22, ..] => {
                tell(head.spoken(Role::Server, "postgresql", None));
                Verdict::Anew(1)
            }
            [b'R', 0, 0, 0, 8..=64, 0, 0, 0, 0 | 3 | 5 | 7 | 10, ..] => {
                tell(head.spoken(Role::Server, "postgresql", None));
                Verdict::Done
            }
            [b'R', rest @ ..] if rest.len() < 8 && rest.iter().take(3).all(|octet| *octet == 0) => {
                Verdict::More(9)
            }
            [0, 0, _, _, _, _, _, _, ..] => startup(head, said, tell),
            [0, rest @ ..] if rest.len() < 7 && rest.first().is_none_or(|octet| *octet == 0) => {
                Verdict::More(8)
            }
            _ => mysql(head, tell),
        }
    }
}

fn startup(head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
    let mut cursor = Cursor::new("postgresql", head.bytes);
    let (Ok(length), Ok(code)) = (cursor.u32(), cursor.u32()) else { return Verdict::No };
    match (length, code) {
        (8, SSL) => {
            tell(head.spoken(Role::Client, "postgresql", None));
            Verdict::Anew(8)
        }
        (8, GSS) if *said == 0 => {
            *said = 1;
            Verdict::Took(8)
        }
        (9..=4096, VERSION_3) => match cursor.rest().first_chunk::<5>() {
            None => Verdict::More(13),
            Some(b"user\0") => {
                tell(head.spoken(Role::Client, "postgresql", None));
                Verdict::Done
            }
            Some(_) => Verdict::No,
        },
        _ => Verdict::No,
    }
}

fn mysql(head: &Head<'_>, tell: &mut dyn FnMut(Fact)) -> Verdict {
    let [low, high, 0, 0, rest @ ..] = head.bytes else {
        return match head.bytes {
            [_] | [_, 0 | 1] | [_, 0 | 1, 0] => Verdict::More(5),
            _ => Verdict::No,
        };
    };
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    if !(20..=MOST_GREETING).contains(&length) || rest.first().is_some_and(|version| *version != 10)
    {
        return Verdict::No;
    }
    let Some([_, body @ ..]) = rest.get(..length) else {
        return Verdict::More(length.saturating_add(4));
    };
    let version = body.split(|octet| *octet == 0).next().unwrap_or_default();
    if version.is_empty() || !version.iter().all(u8::is_ascii_graphic) {
        return Verdict::No;
    }
    tell(head.spoken(Role::Server, "mysql", Some(version)));
    Verdict::Done
}

#[cfg(test)]
mod tests {
    use super::super::check::{is_spoken, said};
    use super::*;
    use crate::wire::tls::check::client_hello;

    #[test]
    fn databases_say_what_they_are() {
        let mut greeting = b"\x4a\0\0\0\x0a8.0.36-GreatDB\0".to_vec();
        greeting.resize(0x4a + 4, 1);
        is_spoken(3306, Role::Server, &greeting, "mysql", Some("8.0.36-GreatDB"));
        is_spoken(5432, Role::Server, b"R\0\0\0\x0c\0\0\0\x05abcd", "postgresql", None);
        let startup = b"\0\0\0\x10\0\x03\0\0user\0x\0\0";
        is_spoken(5432, Role::Client, startup, "postgresql", None);
        let bytes = [b"\0\0\0\x08\x04\xd2\x16\x2f", &client_hello("db.example")[..]].concat();
        assert!(matches!(
            &said(5432, Role::Client, &bytes)[..],
            [Fact::Spoken(_), Fact::TlsClient(_)]
        ));
    }
}
