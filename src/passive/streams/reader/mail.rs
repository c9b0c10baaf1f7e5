//! SMTP, POP3, IMAP and FTP (RFC 5321, 1939, 9051, 959): the server's greeting, and TLS behind STARTTLS.
//!
//! Taken: the first line of the greeting. Left: everything that is said after it, which holds names and passwords; lines are
//! passed only to see whether TLS begins.

use super::lines::{is_text, line};
use super::{Head, Reader, Verdict, starts};
use crate::observe::{Fact, Role};
use crate::wire::tls;

pub(super) struct Mail;

/// RFC 5321 §4.5.3.1.5 has 512, capabilities of IMAP are longer.
const MOST_LINE: usize = 2048;
/// Commands with which clients begin.
const COMMANDS: &[&[u8]] =
    &[b"EHLO ", b"HELO ", b"USER ", b"CAPA", b"STLS", b"AUTH ", b"FEAT", b"STARTTLS", b"QUIT"];
/// Commands of IMAP, behind a tag.
const TAGGED: &[&[u8]] =
    &[b"CAPABILITY", b"LOGIN", b"STARTTLS", b"ID", b"NOOP", b"AUTHENTICATE", b"LOGOUT"];

impl Reader for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        if *said > 0 {
            return follow(head);
        }
        let is_greeting =
            [&b"220"[..], b"* OK", b"* PREAUTH", b"+OK"].map(|word| starts(head.bytes, word));
        let may_be_command = || {
            let start = head.bytes.iter().take(16).take_while(|octet| **octet != b'\n');
            start.into_iter().all(|octet| octet.is_ascii_graphic() || matches!(octet, b' ' | b'\r'))
        };
        let is_none = is_greeting.iter().all(|fits| *fits == Some(false));
        if is_none && (!may_be_command() || !is_mail_port(head)) {
            return Verdict::No;
        }
        let Some((first, length)) = line(head.bytes) else {
            return match head.bytes.len() {
                ..MOST_LINE => Verdict::More(head.bytes.len().saturating_add(1)),
                _ => Verdict::No,
            };
        };
        if !is_text(first) {
            return Verdict::No;
        }
        let protocol = match is_greeting.iter().position(|fits| *fits == Some(true)) {
            Some(0) => by_words(head, first),
            Some(1 | 2) => Some("imap"),
            Some(_) => Some("pop3"),
            None if is_command(first) => {
                *said = 1;
                return Verdict::Took(length);
            }
            None => None,
        };
        let Some(protocol) = protocol else { return Verdict::No };
        *said = 1;
        tell(head.spoken(Role::Server, protocol, Some(first)));
        Verdict::Took(length)
    }
}

fn is_mail_port(head: &Head<'_>) -> bool {
    [21, 25, 110, 143, 587, 2525].into_iter().any(|port| head.has_port(port))
}

/// Both protocols greet with 220.
fn by_words(head: &Head<'_>, greeting: &[u8]) -> Option<&'static str> {
    let has =
        |word: &[u8]| greeting.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    match head.from.1 {
        21 => Some("ftp"),
        25 | 587 | 2525 => Some("smtp"),
        _ if has(b"SMTP") => Some("smtp"),
        _ if has(b"FTP") => Some("ftp"),
        _ => None,
    }
}

fn is_command(line: &[u8]) -> bool {
    let begins = |line: &[u8], words: &[&[u8]]| {
        words.iter().any(|word| {
            line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
        })
    };
    let behind_tag = line.splitn(2, |octet| *octet == b' ').nth(1).unwrap_or_default();
    begins(line, COMMANDS) || begins(behind_tag, TAGGED)
}

/// Passes a line of the conversation; where TLS begins instead it is another reader's.
fn follow(head: &Head<'_>) -> Verdict {
    if tls::starts_record(head.bytes) {
        return if head.bytes.len() < 3 { Verdict::More(3) } else { Verdict::Anew(0) };
    }
    match line(head.bytes) {
        Some((line, length)) if is_text(line) => Verdict::Took(length),
        None if head.bytes.len() < MOST_LINE => Verdict::More(head.bytes.len().saturating_add(1)),
        _ => Verdict::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{is_spoken, said};
    use super::*;
    use crate::wire::tls::check::client_hello;

    #[test]
    fn greetings_are_told_apart() {
        let check = |port, bytes: &[u8], protocol, says| {
            is_spoken(port, Role::Server, bytes, protocol, Some(says));
        };
        check(25, b"220 mx.example ready\r\n250 x\r\n", "smtp", "220 mx.example ready");
        check(2121, b"220 ProFTPD Server\r\n", "ftp", "220 ProFTPD Server");
        check(143, b"* OK IMAP4 ready\r\n", "imap", "* OK IMAP4 ready");
        check(110, b"+OK Dovecot\r\n", "pop3", "+OK Dovecot");
        assert!(said(9, Role::Server, b"220 x\r\n").is_empty());
    }

    #[test]
    fn tls_behind_starttls_is_read() {
        let bytes = [b"a1 STARTTLS\r\n", &client_hello("imap.example")[..]].concat();
        assert!(matches!(&said(143, Role::Client, &bytes)[..], [Fact::TlsClient(_)]));
    }
}
