//! As much of HTTP/1.1 (RFC 9112) as a proxy or a gateway is asked with: one answer, bounded, over any stream.

use std::io::{self, Read};

use thiserror::Error;

/// Status line and fields together.
const MOST_HEAD: usize = 8 << 10;
const MOST_FIELDS: usize = 64;
const READ: usize = 2048;

/// What stands for an answer and is none.
#[derive(Debug, Error)]
pub enum NoAnswer {
    /// Nothing came in time.
    #[error("silence")]
    Silent,
    /// Something else came, or the connection was closed.
    #[error("not HTTP")]
    Other,
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> NoAnswer {
        match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => NoAnswer::Silent,
            _ => NoAnswer::Other,
        }
    }
}

/// Status and fields of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    /// Names in lower case.
    fields: Vec<(String, String)>,
}

impl Head {
    /// The first field of this name, which is given in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Reads the head without the empty line behind it.
    pub fn read(octets: &[u8]) -> Option<Head> {
        let text = String::from_utf8_lossy(octets);
        let mut lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
        let mut status_line = lines.next()?.split(' ');
        if !status_line.next()?.starts_with("HTTP/1.") {
            return None;
        }
        let status = status_line.next().filter(|digits| digits.len() == 3)?.parse().ok()?;
        let fields = lines.filter_map(|line| line.split_once(':')).take(MOST_FIELDS);
        let fields = fields
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Head { status, fields })
    }
}

/// A stream and what came of it already.
pub struct Incoming<S> {
    stream: S,
    kept: Vec<u8>,
}

impl<S: Read> Incoming<S> {
    pub fn new(stream: S) -> Incoming<S> {
        Incoming { stream, kept: Vec::new() }
    }

    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads once more. False at the end of the stream.
    fn more(&mut self) -> io::Result<bool> {
        let mut buffer = [0; READ];
        let length = self.stream.read(&mut buffer)?;
        self.kept.extend_from_slice(buffer.get(..length).unwrap_or_default());
        Ok(length > 0)
    }

    /// The head of an answer; what is behind it is kept.
    pub fn head(&mut self) -> Result<Head, NoAnswer> {
        loop {
            if !b"HTTP/1.".starts_with(self.kept.get(..7).unwrap_or(&self.kept)) {
                return Err(NoAnswer::Other);
            }
            if let Some((end, next)) = end_of_head(&self.kept) {
                let rest = self.kept.split_off(next);
                self.kept.truncate(end);
                let head = std::mem::replace(&mut self.kept, rest);
                return Head::read(&head).ok_or(NoAnswer::Other);
            }
            if self.kept.len() > MOST_HEAD || !self.more()? {
                return Err(NoAnswer::Other);
            }
        }
    }

    /// The body of the answer whose head was read, as far as it came and up to `most` octets.
    pub fn body(&mut self, head: &Head, most: usize) -> Vec<u8> {
        let chunked = head
            .field("transfer-encoding")
            .is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked"));
        // Chunks bring their own lengths: four times the octets is more than any server needs.
        let wanted = match head.field("content-length").and_then(|length| length.parse().ok()) {
            _ if chunked => most.saturating_mul(4),
            Some(length) => most.min(length),
            None => most,
        };
        while self.kept.len() < wanted {
            if chunked && unchunk(&self.kept, most).1 == Chunks::Ended {
                break;
            }
            // What came before a fault is there all the same.
            if !matches!(self.more(), Ok(true)) {
                break;
            }
        }
        let mut body = std::mem::take(&mut self.kept);
        if chunked {
            body = unchunk(&body, most).0;
        }
        body.truncate(wanted);
        body
    }
}

/// Where the head ends, and where the body begins.
fn end_of_head(octets: &[u8]) -> Option<(usize, usize)> {
    let crlf = octets.windows(4).position(|four| four == b"\r\n\r\n").map(|at| (at, at + 4));
    let lf = octets.windows(2).position(|two| two == b"\n\n").map(|at| (at, at + 2));
    match (crlf, lf) {
        (Some(crlf), Some(lf)) => Some(crlf.min(lf)),
        (one, other) => one.or(other),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunks {
    Ended,
    GoOn,
}

/// What the chunks hold, RFC 9112 §7.1, and whether the last one is there. A broken chunk ends them.
fn unchunk(mut octets: &[u8], most: usize) -> (Vec<u8>, Chunks) {
    let mut body = Vec::new();
    while body.len() < most {
        let Some(end) = octets.iter().position(|octet| *octet == b'\n') else { break };
        let (line, behind) = octets.split_at_checked(end + 1).unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let digits = line.trim().split(';').next().unwrap_or_default().trim();
        let Ok(length) = usize::from_str_radix(digits, 16) else { return (body, Chunks::Ended) };
        if length == 0 {
            return (body, Chunks::Ended);
        }
        let there = behind.len().min(length);
        body.extend_from_slice(behind.get(..there.min(most - body.len())).unwrap_or_default());
        // The chunk and the line end behind it.
        octets = behind.get(there..).unwrap_or_default();
        octets = octets.strip_prefix(b"\r").unwrap_or(octets);
        octets = octets.strip_prefix(b"\n").unwrap_or(octets);
    }
    let ended = if body.len() >= most { Chunks::Ended } else { Chunks::GoOn };
    (body, ended)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream that gives one octet at a time.
    struct Dribble<'a>(&'a [u8]);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match (self.0.split_first(), buffer.first_mut()) {
                (Some((octet, rest)), Some(place)) => {
                    *place = *octet;
                    self.0 = rest;
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
    }

    fn answer(octets: &[u8]) -> Option<(u16, Vec<u8>)> {
        let mut incoming = Incoming::new(Dribble(octets));
        let head = incoming.head().ok()?;
        let body = incoming.body(&head, 100);
        Some((head.status, body))
    }

    #[test]
    fn an_answer_is_read_by_length_by_chunks_or_to_its_end() {
        let check = |octets: &[u8], expected: Option<(u16, &[u8])>| {
            let expected = expected.map(|(status, body)| (status, body.to_vec()));
            assert_eq!(answer(octets), expected, "{}", String::from_utf8_lossy(octets));
        };
        check(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef", Some((200, b"abc")));
        check(b"HTTP/1.0 404\n\nabc", Some((404, b"abc")));
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;x\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        check(chunked, Some((200, b"abc")));
        check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab", Some((200, b"")));
        check(b"SSH-2.0-x\r\n", None);
        check(b"HTTP/1.1 2 OK\r\n\r\n", None);
        check(b"HTTP/1.1 200", None);
        let endless = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &[b'a'; 500]].concat();
        check(&endless, Some((200, &[b'a'; 100])));
        let headless = [&b"HTTP/1.1 200 OK\r\nx: "[..], &[b'a'; MOST_HEAD + 9]].concat();
        check(&headless, None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let chunked = [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &octets].concat();
            let _ = (answer(&octets), answer(&chunked), unchunk(&octets, 50));
        }
    }
}
