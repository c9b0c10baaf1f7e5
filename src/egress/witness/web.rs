//! The web server: what an open proxy is made to ask for.
//!
//! `GET /TOKEN`, plain or within TLS, on ports 80 and 443 alike, is answered with the proof and the address that asked. The
//! request line is read before anything else, and a connection whose first line is another one is closed without a word:
//! the HTTP library would answer even what it cannot read.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderMap, VIA};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::record::{Recorder, Seen};
use crate::egress::token::{EgressKey, Token};
use crate::observe::Carrier;

/// Connections at once, in all and from one source (an address, or a /64).
const MOST_CONNECTIONS: usize = 512;
const MOST_OF_A_SOURCE: usize = 16;
/// How long a connection lives, whatever it does.
const LIFE: Duration = Duration::from_secs(10);
/// The longest request line: a path of 27, and a host before it where a proxy leaves it there.
const LONGEST_LINE: usize = 512;
/// The longest head.
const LONGEST_HEAD: usize = 8192;
/// Characters kept of what relays say of themselves.
const MOST_RELAYED: usize = 128;
/// The first octet of a TLS record that opens a connection (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 0x16;

/// What every connection needs.
pub struct Web {
    key: EgressKey,
    tls: TlsAcceptor,
    recorder: Recorder,
    connections: Arc<Semaphore>,
    sources: Mutex<HashMap<IpAddr, usize>>,
}

/// One of the connections of a source, until it is dropped.
struct Seat<'a> {
    web: &'a Web,
    source: IpAddr,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut sources = self.web.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

impl Web {
    pub fn new(key: EgressKey, tls: TlsAcceptor, recorder: Recorder) -> Web {
        let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        Web { key, tls, recorder, connections, sources: Mutex::default() }
    }

    fn seat(&self, from: IpAddr) -> Option<Seat<'_>> {
        let source = match from {
            IpAddr::V4(_) => from,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from(u128::from(address) >> 64 << 64)),
        };
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let count = sources.entry(source).or_default();
        if *count >= MOST_OF_A_SOURCE {
            return None;
        }
        *count += 1;
        Some(Seat { web: self, source })
    }
}

/// Serves one listener of one canary, for ever.
pub async fn serve(web: Arc<Web>, listener: TcpListener, canary: IpAddr, port: u16) {
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&web.connections).try_acquire_owned() else { continue };
        let web = Arc::clone(&web);
        tokio::spawn(async move {
            if let Some(_seat) = web.seat(from.ip()) {
                let place = Place { from, canary, port };
                let _ = tokio::time::timeout(LIFE, welcome(&web, stream, place)).await;
            }
            drop(permit);
        });
    }
}

/// Where a connection came from and to.
#[derive(Debug, Clone, Copy)]
struct Place {
    from: SocketAddr,
    canary: IpAddr,
    port: u16,
}

async fn welcome(web: &Web, stream: TcpStream, place: Place) -> io::Result<()> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(());
    }
    if first == [TLS_HANDSHAKE] {
        talk(web, web.tls.accept(stream).await?, place).await
    } else {
        talk(web, stream, place).await
    }
}

async fn talk<S>(web: &Web, mut stream: S, place: Place) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut head = Vec::with_capacity(LONGEST_LINE);
    while !head.contains(&b'\n') {
        if head.len() >= LONGEST_LINE || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    if requested(&head).filter(|token| web.key.recognises(*token)).is_none() {
        return Ok(());
    }
    let (reader, writer) = tokio::io::split(stream);
    let stream = tokio::io::join(io::Cursor::new(head).chain(reader), writer);
    let service = service_fn(|request| async move { answer(web, &request, place) });
    let served = hyper::server::conn::http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    served.map_err(io::Error::other)
}

/// The token in the first line of a request.
fn requested(head: &[u8]) -> Option<Token> {
    let line = head.split(|octet| *octet == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.trim_end();
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    (method == "GET" && version.starts_with("HTTP/1.") && words.next().is_none())
        .then(|| token_of_target(target))
        .flatten()
}

/// `/TOKEN`, or `http://HOST/TOKEN` (RFC 9112 §3.2.2).
fn token_of_target(target: &str) -> Option<Token> {
    let path = match target.split_once("://") {
        Some((_, behind)) => behind.split_once('/')?.1,
        None => target.strip_prefix('/')?,
    };
    Token::of_label(Carrier::HttpGet, path.as_bytes())
}

/// An error closes the connection without an answer.
fn answer(
    web: &Web,
    request: &Request<Incoming>,
    place: Place,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let token = token_of_target(&request.uri().to_string())
        .filter(|token| web.key.recognises(*token))
        .ok_or(io::ErrorKind::NotFound)?;
    let observed = place.from.ip();
    web.recorder.record(Seen {
        at: Timestamp::now(),
        token,
        canary: place.canary,
        observed,
        observed_port: place.from.port(),
        port: place.port,
        protocol: "tcp",
        hop_limit: 0,
        raw: Box::default(),
        relayed: relayed(request.headers()),
    });
    Response::builder()
        .header(CACHE_CONTROL, "no-store")
        .header(CONTENT_TYPE, "text/plain")
        .body(Full::new(Bytes::from(web.key.answer(token, observed))))
        .map_err(io::Error::other)
}

/// `Via` and `X-Forwarded-For`, cut, printable ASCII.
fn relayed(headers: &HeaderMap) -> String {
    let mut said = String::new();
    for name in [VIA.as_str(), "x-forwarded-for"] {
        for value in headers.get_all(name) {
            let separator = if said.is_empty() { "" } else { "; " };
            let value = String::from_utf8_lossy(value.as_bytes());
            said.push_str(&format!("{separator}{name}: {value}"));
            if said.len() >= MOST_RELAYED {
                break;
            }
        }
    }
    said.chars().filter(|c| matches!(c, ' '..='~')).take(MOST_RELAYED).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::egress::witness::tests::token;

    #[test]
    fn both_forms_of_a_target_are_read_and_nothing_else() {
        let token = token(Carrier::HttpGet);
        let label = token.label();
        let read = |line: String| requested(line.as_bytes());
        assert_eq!(read(format!("GET /{label} HTTP/1.1\r\nHost: x\r\n")), Some(token));
        assert_eq!(read(format!("GET http://198.51.100.10:80/{label} HTTP/1.0\r\n")), Some(token));
        for line in [
            format!("POST /{label} HTTP/1.1\r\n"),
            format!("GET /{label}x HTTP/1.1\r\n"),
            format!("GET /{label}"),
            format!("GET {label} HTTP/1.1\r\n"),
            format!("GET /{label} HTTP/2.0\r\n"),
            "GET / HTTP/1.1\r\n".to_owned(),
        ] {
            assert_eq!(read(line.clone()), None, "{line}");
        }
    }

    #[test]
    fn what_relays_say_is_cut_and_printable() {
        let mut headers = HeaderMap::new();
        headers.append("via", "1.1 squid".parse().unwrap());
        headers.append("x-forwarded-for", "10.20.1.7".parse().unwrap());
        assert_eq!(relayed(&headers), "via: 1.1 squid; x-forwarded-for: 10.20.1.7");
        let long = hyper::header::HeaderValue::from_bytes(&[0xe9; 5000]).unwrap();
        headers.insert("via", long);
        assert!(relayed(&headers).len() <= MOST_RELAYED && relayed(&headers).is_ascii());
    }

    proptest! {
        #[test]
        fn no_first_line_makes_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = requested(&octets);
        }
    }
}
