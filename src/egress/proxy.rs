//! The method `proxy`: what relays is asked to relay a token to the collector's web server.
//!
//! Sent: `GET http://CANARY/TOKEN` (RFC 9112 §3.2.2), `CONNECT CANARY:443` (RFC 9110 §9.3.6) with `GET /TOKEN` in clear
//! inside, for the collector's 443 takes that too, and SOCKS 4, 4a and 5 without credentials (RFC 1928) with the same
//! inside. Where an address is refused, SOCKS is asked for the canary zone's own name, which the proxy looks up at its own end.
//!
//! Proves: an open way out at the application layer; the collector's text says as which public address. Misleads: an
//! approved proxy upstream (its public address is the filed one then). Misses: what wants credentials, which is told and not tried.
//!
//! One port costs one conversation where nothing relays there, or two ([`next`]). In each, at most three turns.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use super::http1::{Incoming, NoAnswer};
use super::outcome::Outcome;
use super::token::Token;
use crate::observe::Carrier;

/// The most octets of a page that are read: the collector's text is a line.
const MOST_PAGE: usize = 16 << 10;
const HTTPS: u16 = 443;
const HTTP: u16 = 80;

/// What is likely behind a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Http,
    Socks,
    /// Either, or both on one port.
    Mixed,
}

/// Ports that proxies listen on, as their default configurations and public lists of open proxies have them.
const PORTS: &[(u16, Manner)] = &[
    (80, Manner::Http),
    (808, Manner::Mixed),
    (1080, Manner::Socks),
    (1081, Manner::Mixed),
    (1087, Manner::Http),
    (3128, Manner::Http),
    (3129, Manner::Http),
    (3888, Manner::Mixed),
    (7890, Manner::Mixed),
    (7891, Manner::Socks),
    (7897, Manner::Mixed),
    (8000, Manner::Http),
    (8008, Manner::Http),
    (8080, Manner::Http),
    (8081, Manner::Http),
    (8088, Manner::Http),
    (8118, Manner::Http),
    (8123, Manner::Http),
    (8580, Manner::Http),
    (8888, Manner::Http),
    (8889, Manner::Http),
    (9050, Manner::Socks),
    (9080, Manner::Http),
    (9150, Manner::Socks),
    (10080, Manner::Mixed),
    (10800, Manner::Socks),
    (10808, Manner::Mixed),
    (10809, Manner::Http),
    (20170, Manner::Socks),
    (20171, Manner::Http),
];

/// The TCP ports that are asked where they are open, in order.
pub fn ports() -> impl Iterator<Item = u16> {
    PORTS.iter().map(|(port, _)| *port)
}

/// What the proxy is asked to reach: the canary by its address, or the collector by the zone's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Destination {
    Address,
    Name,
}

/// One way to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Step {
    /// [`Carrier::HttpGet`], [`Carrier::HttpConnect`] or one of the SOCKS.
    pub carrier: Carrier,
    pub destination: Destination,
    /// The collector's port: 443 or 80.
    pub port: u16,
}

impl Step {
    const fn new(carrier: Carrier, destination: Destination, port: u16) -> Step {
        Step { carrier, destination, port }
    }
}

const GET: Step = Step::new(Carrier::HttpGet, Destination::Address, HTTP);
const CONNECT: Step = Step::new(Carrier::HttpConnect, Destination::Address, HTTPS);
const CONNECT_80: Step = Step::new(Carrier::HttpConnect, Destination::Address, HTTP);
const SOCKS5: Step = Step::new(Carrier::Socks5, Destination::Address, HTTPS);
const SOCKS5_NAME: Step = Step::new(Carrier::Socks5, Destination::Name, HTTPS);
const SOCKS4: Step = Step::new(Carrier::Socks4, Destination::Address, HTTPS);
const SOCKS4A: Step = Step::new(Carrier::Socks4a, Destination::Name, HTTPS);

/// How to ask next at this port, after what was tried there; `None` when all was said.
///
/// The first question tells the protocol: what answers in another is not asked in this one again, what wants credentials, is
/// silent, or has answered is left alone. A status that web servers give to a proxy's request saves the rest.
pub fn next(
    port: u16,
    canary: IpAddr,
    zone: Option<&str>,
    tried: &[(Step, Outcome)],
) -> Option<Step> {
    let manner = PORTS.iter().find(|(known, _)| *known == port)?.1;
    let Some((last, outcome)) = tried.last() else {
        return Some(if manner == Manner::Socks { SOCKS5 } else { GET });
    };
    let step = match outcome {
        Outcome::Answered(_) | Outcome::WantsCredentials | Outcome::Silent => return None,
        Outcome::Other => match (last.carrier, manner) {
            (Carrier::HttpGet, Manner::Mixed) => SOCKS5,
            (Carrier::Socks5, Manner::Socks | Manner::Mixed) => SOCKS4,
            _ => return None,
        },
        Outcome::Refused(status) => match (*last, status) {
            // An address that is no name, and a web server that knows no absolute form, answer 400 too.
            (GET, _) => CONNECT,
            (CONNECT, 403 | 405 | 500..=599) => CONNECT_80,
            (SOCKS5, _) => SOCKS5_NAME,
            (SOCKS4, _) => SOCKS4A,
            _ => return None,
        },
    };
    let possible = match step.destination {
        Destination::Name => zone.is_some(),
        Destination::Address => step.carrier != Carrier::Socks4 || canary.is_ipv4(),
    };
    (possible && tried.iter().all(|(known, _)| *known != step)).then_some(step)
}

/// One question to a proxy.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub step: Step,
    pub canary: IpAddr,
    /// The canary zone's name; without one nothing is asked by name.
    pub zone: Option<&'a str>,
    pub token: Token,
}

/// Asks over a connection to the proxy. Bounded by the connection's own patience.
pub fn ask<S: Read + Write>(stream: S, request: &Request<'_>) -> Outcome {
    match converse(stream, request) {
        Ok(outcome) => outcome,
        Err(NoAnswer::Silent) => Outcome::Silent,
        Err(NoAnswer::Other) => Outcome::Other,
    }
}

fn converse<S: Read + Write>(mut stream: S, request: &Request<'_>) -> Result<Outcome, NoAnswer> {
    let path = request.token.label();
    match request.step.carrier {
        Carrier::HttpGet => {
            let host = literal(request.canary);
            let target = format!("http://{host}/{path}");
            stream.write_all(&get(&target, &host))?;
            page(Incoming::new(stream))
        }
        Carrier::HttpConnect => {
            let authority = format!("{}:{}", literal(request.canary), request.step.port);
            let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
            stream.write_all(head.as_bytes())?;
            let mut incoming = Incoming::new(stream);
            let head = incoming.head()?;
            match head.status {
                200..=299 => inside(incoming, request, &path),
                407 => Ok(Outcome::WantsCredentials),
                status => Ok(Outcome::Refused(status)),
            }
        }
        Carrier::Socks4 | Carrier::Socks4a => {
            let Some(asked) = socks4(request) else { return Ok(Outcome::Other) };
            stream.write_all(&asked)?;
            let mut reply = [0; 8];
            stream.read_exact(&mut reply)?;
            match reply {
                [0, 90, ..] => inside(Incoming::new(stream), request, &path),
                [0, 92 | 93, ..] => Ok(Outcome::WantsCredentials),
                [0, code @ 91..=99, ..] => Ok(Outcome::Refused(u16::from(code))),
                _ => Ok(Outcome::Other),
            }
        }
        _ => {
            let Some(asked) = socks5(request) else { return Ok(Outcome::Other) };
            // One method: no credentials.
            stream.write_all(&[5, 1, 0])?;
            let mut choice = [0; 2];
            stream.read_exact(&mut choice)?;
            match choice {
                [5, 0] => {}
                [5, _] => return Ok(Outcome::WantsCredentials),
                _ => return Ok(Outcome::Other),
            }
            stream.write_all(&asked)?;
            match socks5_reply(&mut stream)? {
                Some(0) => inside(Incoming::new(stream), request, &path),
                Some(code) => Ok(Outcome::Refused(u16::from(code))),
                None => Ok(Outcome::Other),
            }
        }
    }
}

/// Asks the collector through what the proxy has opened.
fn inside<S: Read + Write>(
    mut incoming: Incoming<S>,
    request: &Request<'_>,
    path: &str,
) -> Result<Outcome, NoAnswer> {
    let host = match (request.step.destination, request.zone) {
        (Destination::Name, Some(zone)) => bare(zone).to_owned(),
        _ => literal(request.canary),
    };
    incoming.stream().write_all(&get(&format!("/{path}"), &host))?;
    match page(incoming) {
        // It opened something, and nothing came through it.
        Err(_) => Ok(Outcome::Refused(0)),
        outcome => outcome,
    }
}

fn page<S: Read>(mut incoming: Incoming<S>) -> Result<Outcome, NoAnswer> {
    let head = incoming.head()?;
    if head.status == 407 {
        return Ok(Outcome::WantsCredentials);
    }
    let body = incoming.body(&head, MOST_PAGE);
    Ok(Outcome::of(&body, head.status))
}

fn get(target: &str, host: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {host}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

/// As it stands in a URL.
fn literal(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

/// Without the root's dot, which few proxies know.
fn bare(zone: &str) -> &str {
    zone.trim_end_matches('.')
}

/// SOCKS4's request, and 4a's with a name behind an impossible address. `None` for an IPv6 address.
fn socks4(request: &Request<'_>) -> Option<Vec<u8>> {
    let mut asked = vec![4, 1];
    asked.extend_from_slice(&request.step.port.to_be_bytes());
    match (request.step.destination, request.canary) {
        (Destination::Name, _) => {
            asked.extend_from_slice(&[0, 0, 0, 1, 0]);
            asked.extend_from_slice(bare(request.zone?).as_bytes());
            asked.push(0);
        }
        (Destination::Address, IpAddr::V4(canary)) => {
            asked.extend_from_slice(&canary.octets());
            asked.push(0);
        }
        (Destination::Address, IpAddr::V6(_)) => return None,
    }
    Some(asked)
}

/// SOCKS5's request to connect. RFC 1928 §4.
fn socks5(request: &Request<'_>) -> Option<Vec<u8>> {
    let mut asked = vec![5, 1, 0];
    match (request.step.destination, request.canary) {
        (Destination::Name, _) => {
            let name = bare(request.zone?);
            asked.extend_from_slice(&[3, u8::try_from(name.len()).ok()?]);
            asked.extend_from_slice(name.as_bytes());
        }
        (Destination::Address, IpAddr::V4(canary)) => {
            asked.push(1);
            asked.extend_from_slice(&canary.octets());
        }
        (Destination::Address, IpAddr::V6(canary)) => {
            asked.push(4);
            asked.extend_from_slice(&canary.octets());
        }
    }
    asked.extend_from_slice(&request.step.port.to_be_bytes());
    Some(asked)
}

/// The reply code; `None` for what is no reply. RFC 1928 §6.
fn socks5_reply(stream: &mut impl Read) -> io::Result<Option<u8>> {
    let mut start = [0; 5];
    stream.read_exact(&mut start)?;
    let [5, code, _, kind, first] = start else { return Ok(None) };
    let rest = match kind {
        1 => 5,
        4 => 17,
        3 => usize::from(first) + 2,
        // A refusal need not say where it is bound.
        _ => return Ok((code != 0).then_some(code)),
    };
    let mut bound = vec![0; rest];
    match stream.read_exact(&mut bound) {
        Err(_) if code != 0 => {}
        other => other?,
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the other side says, and what it was told.
    struct Script<'a> {
        says: &'a [u8],
        told: Vec<u8>,
    }

    impl Read for &mut Script<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.says.read(buffer)
        }
    }

    impl Write for &mut Script<'_> {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.told.write(octets)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const TEXT: &str = "abcdefghijklmnopqrst";

    fn asked(step: Step, canary: &str, says: &[u8]) -> (Outcome, Vec<u8>) {
        let token = Token { field: Carrier::HttpGet, bits: 7 };
        let canary = canary.parse().unwrap();
        let request = Request { step, canary, zone: Some("w.example.net."), token };
        let mut script = Script { says, told: Vec::new() };
        let outcome = ask(&mut script, &request);
        (outcome, script.told)
    }

    fn page_of(text: &str) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()).into_bytes()
    }

    #[test]
    fn each_way_says_its_own_words_and_reads_what_comes_through() {
        let v4 = "198.51.100.10";
        let answered = Outcome::Answered(vec![TEXT.to_owned()]);
        let through = |before: &[u8]| [before, &page_of(TEXT)].concat();
        let (outcome, told) = asked(GET, v4, &page_of(TEXT));
        assert_eq!(outcome, answered);
        let told = String::from_utf8(told).unwrap();
        let label = Token { field: Carrier::HttpGet, bits: 7 }.label();
        let line = format!("GET http://{v4}/{label} HTTP/1.1\r\nHost: {v4}\r\n");
        assert!(told.starts_with(&line), "{told}");

        let (outcome, told) = asked(
            CONNECT,
            "2001:db8::10",
            &through(b"HTTP/1.0 200 Connection established\r\n\r\n"),
        );
        assert_eq!(outcome, answered);
        let told = String::from_utf8(told).unwrap();
        assert!(told.starts_with("CONNECT [2001:db8::10]:443 HTTP/1.1\r\n"), "{told}");
        assert!(told.contains("\r\n\r\nGET /aaaa"), "{told}");

        let (outcome, told) = asked(SOCKS4, v4, &through(&[0, 90, 0, 0, 0, 0, 0, 0]));
        assert_eq!(outcome, answered);
        assert!(told.starts_with(&[4, 1, 1, 187, 198, 51, 100, 10, 0, b'G']));
        let (outcome, told) = asked(SOCKS4A, v4, &through(&[0, 90, 0, 0, 0, 0, 0, 0]));
        assert_eq!(outcome, answered);
        assert!(told.starts_with(b"\x04\x01\x01\xbb\0\0\0\x01\0w.example.net\0GET"));

        let granted = through(&[5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        let (outcome, told) = asked(SOCKS5, v4, &granted);
        assert_eq!(outcome, answered);
        assert!(told.starts_with(&[5, 1, 0, 5, 1, 0, 1, 198, 51, 100, 10, 1, 187, b'G']));
        let (outcome, told) = asked(SOCKS5, "2001:db8::10", &granted);
        assert_eq!((outcome, told[6]), (answered.clone(), 4));
        let (outcome, told) = asked(SOCKS5_NAME, v4, &granted);
        assert_eq!(outcome, answered);
        assert!(told[3..].starts_with(b"\x05\x01\0\x03\x0dw.example.net\x01\xbbGET"));
    }

    #[test]
    fn refusals_are_told_apart() {
        let check = |step, says: &[u8], expected| {
            assert_eq!(asked(step, "198.51.100.10", says).0, expected, "{step:?} {says:?}");
        };
        check(GET, b"HTTP/1.1 407 no\r\n\r\n", Outcome::WantsCredentials);
        check(GET, b"HTTP/1.1 404 no\r\nContent-Length: 2\r\n\r\nno", Outcome::Refused(404));
        check(GET, b"SSH-2.0-OpenSSH\r\n", Outcome::Other);
        check(GET, b"", Outcome::Other);
        check(CONNECT, b"HTTP/1.1 403 no\r\n\r\n", Outcome::Refused(403));
        check(CONNECT, b"HTTP/1.1 200 yes\r\n\r\n\x15\x03\x01\0\x02\x02\x46", Outcome::Refused(0));
        check(SOCKS4, &[0, 91, 0, 0, 0, 0, 0, 0], Outcome::Refused(91));
        check(SOCKS4, &[0, 93, 0, 0, 0, 0, 0, 0], Outcome::WantsCredentials);
        check(SOCKS5, &[5, 255], Outcome::WantsCredentials);
        check(SOCKS5, &[5, 2], Outcome::WantsCredentials);
        check(SOCKS5, &[5, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 0], Outcome::Refused(2));
        check(SOCKS5, b"HTTP/1.1 400 Bad Request\r\n\r\n", Outcome::Other);
    }

    #[test]
    fn a_port_costs_few_questions() {
        let course = |port, canary: &str, zone, answers: &[Outcome]| {
            let mut tried = Vec::new();
            for outcome in answers {
                match next(port, canary.parse().unwrap(), zone, &tried) {
                    Some(step) => tried.push((step, outcome.clone())),
                    None => break,
                }
            }
            let last = next(port, canary.parse().unwrap(), zone, &tried);
            (tried.into_iter().map(|(step, _)| step).collect::<Vec<_>>(), last)
        };
        let (v4, v6) = ("198.51.100.10", "2001:db8::10");
        let no = |status| Outcome::Refused(status);
        // A web server: two.
        assert_eq!(course(80, v4, None, &[no(404), no(400)]), (vec![GET, CONNECT], None));
        let squid = [no(403), no(403), no(403)];
        assert_eq!(course(3128, v4, None, &squid), (vec![GET, CONNECT, CONNECT_80], None));
        assert_eq!(course(3128, v4, None, &[Outcome::Other]), (vec![GET], None));
        assert_eq!(course(3128, v4, None, &[Outcome::WantsCredentials]), (vec![GET], None));
        assert_eq!(course(7890, v4, None, &[Outcome::Other]), (vec![GET], Some(SOCKS5)));
        let old = [Outcome::Other, no(91), no(91)];
        assert_eq!(course(1080, v4, Some("w"), &old), (vec![SOCKS5, SOCKS4, SOCKS4A], None));
        assert_eq!(course(1080, v4, None, &[no(2)]), (vec![SOCKS5], None));
        assert_eq!(course(1080, v4, Some("w"), &[no(8), no(4)]), (vec![SOCKS5, SOCKS5_NAME], None));
        assert_eq!(course(1080, v6, Some("w"), &[Outcome::Other]), (vec![SOCKS5], None));
        assert_eq!(course(22, v4, None, &[]), (vec![], None));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(says in proptest::collection::vec(any::<u8>(), 0..60), start in 0usize..5) {
            let starts: [&[u8]; 5] =
                [b"", b"HTTP/1.1 200 ", &[5, 0, 5, 0, 0, 3], &[0, 90], &[5, 0, 5, 0, 0, 4]];
            let says = [starts[start], &says].concat();
            for step in [GET, CONNECT, SOCKS4, SOCKS4A, SOCKS5, SOCKS5_NAME] {
                let _ = asked(step, "198.51.100.10", &says);
            }
        }
    }
}
