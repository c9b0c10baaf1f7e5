//! Lines, and heads made of lines: what text protocols have in common. Not a protocol.

/// Longer than any line that is wanted: a Kerberos ticket in an HTTP header may have as much.
pub(super) const MOST_LINE: usize = 6144;

/// The first line without its end, and how many octets it takes with it.
pub(super) fn line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let end = bytes.iter().take(MOST_LINE).position(|octet| *octet == b'\n')?;
    let line = bytes.get(..end)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), end.saturating_add(1)))
}

/// Letters, digits and what stands between them; UTF-8 too.
pub(super) fn is_text(line: &[u8]) -> bool {
    line.iter().all(|octet| *octet >= 0x20 && *octet != 0x7f || *octet == b'\t')
}

/// A first line and the headers behind it, as far as they are there.
pub(super) struct TextHead<'a> {
    pub first: &'a [u8],
    headers: &'a [u8],
    /// How many octets all takes with the empty line; `None` while that is missing.
    pub length: Option<usize>,
}

impl<'a> TextHead<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Option<TextHead<'a>> {
        let (first, mut at) = line(bytes)?;
        let headers = bytes.get(at..)?;
        let mut length = None;
        while let Some((next, octets)) = bytes.get(at..).and_then(line) {
            at = at.saturating_add(octets);
            if next.is_empty() {
                length = Some(at);
                break;
            }
        }
        Some(TextHead { first, headers, length })
    }

    /// The value of the first header of this name.
    pub(super) fn header(&self, name: &[u8]) -> Option<&'a [u8]> {
        let mut rest = self.headers;
        while let Some((line, octets)) = line(rest) {
            if line.is_empty() {
                return None;
            }
            if let Some((found, value)) = line.split_at_checked(name.len())
                && found.eq_ignore_ascii_case(name)
                && let Some(value) = value.trim_ascii_start().strip_prefix(b":")
            {
                return Some(value.trim_ascii());
            }
            rest = rest.get(octets..).unwrap_or_default();
        }
        None
    }

    /// The octets that a Content-Length announces.
    pub(super) fn content_length(&self) -> usize {
        self.header(b"content-length")
            .and_then(|value| std::str::from_utf8(value).ok())
            .and_then(|value| value.parse::<u32>().ok())
            .and_then(|length| usize::try_from(length).ok())
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_by_name() {
        let head =
            TextHead::of(b"GET / HTTP/1.1\r\nHost: a\r\nUSER-AGENT :b c \r\n\r\nHost: d").unwrap();
        assert_eq!((head.first, head.length), (&b"GET / HTTP/1.1"[..], Some(45)));
        assert_eq!(head.header(b"user-agent"), Some(&b"b c"[..]));
        assert_eq!(head.header(b"server"), None);
        assert_eq!(TextHead::of(b"GET / HTTP/1.1\nHost: a").unwrap().length, None);
    }
}
