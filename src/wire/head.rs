//! The head of a message in the form that HTTP, SSDP and SIP share: a first line, then fields (RFC 9112 §2.1, RFC 3261 §7).
//!
//! Lenient about line ends, for many devices write bare line feeds. A line that is no field is passed over.

/// Fields looked at. A SIP request through many proxies has some forty.
const MOST_FIELDS: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// Without the line end.
    pub first: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Head<'a> {
    /// What stands before the first empty line, or all there is.
    pub fn read(bytes: &'a [u8]) -> Head<'a> {
        let (first, rest) = line(bytes);
        Head { first, rest }
    }

    /// Names and values, in order; values without white space around.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let mut rest = self.rest;
        std::iter::from_fn(move || {
            let (next, behind) = line(rest);
            rest = behind;
            (!next.is_empty()).then_some(next)
        })
        .take(MOST_FIELDS)
        .filter_map(|line| {
            let colon = line.iter().position(|octet| *octet == b':')?;
            let (name, value) = line.split_at_checked(colon)?;
            Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
        })
    }

    /// The first field of that name that is not empty.
    pub fn field(&self, wanted: &str) -> Option<&'a [u8]> {
        self.fields()
            .find(|(name, value)| name.eq_ignore_ascii_case(wanted.as_bytes()) && !value.is_empty())
            .map(|(_, value)| value)
    }
}

fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|octet| *octet == b'\n') {
        Some(end) => {
            let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            (line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..).unwrap_or_default())
        }
        None => (bytes.strip_suffix(b"\r").unwrap_or(bytes), &[]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_found_whatever_their_case_and_line_ends() {
        let head = Head::read(
            b"NOTIFY * HTTP/1.1\r\nhost:1.2.3.4:5\nno field\r\nST: \r\nSt:  x \r\n\r\nUSN: body",
        );
        assert_eq!(head.first, b"NOTIFY * HTTP/1.1");
        assert_eq!(head.field("HOST"), Some(&b"1.2.3.4:5"[..]));
        assert_eq!(head.field("ST"), Some(&b"x"[..]));
        assert_eq!(head.field("USN"), None);
        assert_eq!(head.fields().count(), 3);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Head::read(&octets).fields().count() <= MOST_FIELDS);
        }
    }
}
