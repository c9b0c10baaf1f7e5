//! The interface by which a sweep fetches its receipts, over TLS.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/receipts?sweep=ID[&after=N]` | the acknowledged lines of the log behind number N whose token can be of the sweep |
//! | `GET /v1/status` | [`Status`] as JSON |
//!
//! Who asks has the token (`Authorization: Bearer`) or a certificate of the client authority. Without: 401; with a wrong
//! token: 403. A few lines of other sweeps are among the answers, since short tokens name their sweep with few bits.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use jiff::Timestamp;
use ring::hmac;
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

use super::journal::{Place, Shelf};
use super::record::{Counters, Counts};
use crate::egress::token::EgressKey;

/// Connections at once: sweeps ask now and then.
const MOST_CONNECTIONS: usize = 32;
const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(10);
/// How long a connection lives: a year's receipts over a slow line.
const LIFE: Duration = Duration::from_secs(600);
const LONGEST_HEAD: usize = 8192;
/// Lines read at once.
const LINES: usize = 256;
/// The longest sweep id that is looked for.
const LONGEST_ID: usize = 128;

/// What `/v1/status` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The collector's clock.
    pub now: Timestamp,
    /// When it was started.
    pub since: Timestamp,
    pub canaries: Vec<IpAddr>,
    pub zone: Option<String>,
    #[serde(flatten)]
    pub counts: Counts,
}

/// What every connection needs.
pub struct Interface {
    pub key: EgressKey,
    pub shelf: Arc<Shelf>,
    pub counters: Arc<Counters>,
    pub since: Timestamp,
    pub canaries: Arc<[IpAddr]>,
    pub zone: Option<String>,
    pub entry: Entry,
}

/// Who may ask.
pub struct Entry {
    /// The token's hash under a key of this run: two of these are compared, never two texts.
    token: Option<(hmac::Key, hmac::Tag)>,
}

impl Entry {
    pub fn new(token: Option<&str>) -> Result<Entry, ring::error::Unspecified> {
        let random = ring::rand::SystemRandom::new();
        let token = token
            .map(|token| {
                let key = hmac::Key::generate(hmac::HMAC_SHA256, &random)?;
                let tag = hmac::sign(&key, token.as_bytes());
                Ok::<_, ring::error::Unspecified>((key, tag))
            })
            .transpose()?;
        Ok(Entry { token })
    }

    /// `Err` says how it is refused.
    fn admit(&self, shown: Option<&HeaderValue>, by: Proof) -> Result<(), StatusCode> {
        if by == Proof::Certificate {
            return Ok(());
        }
        let Some(shown) = shown else { return Err(StatusCode::UNAUTHORIZED) };
        let Some((key, tag)) = &self.token else { return Err(StatusCode::UNAUTHORIZED) };
        let shown = shown.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default();
        // In constant time.
        hmac::verify(key, shown, tag.as_ref()).map_err(|_| StatusCode::FORBIDDEN)
    }
}

/// What a connection proved when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Nothing,
    Certificate,
}

/// Serves for ever.
pub async fn serve(interface: Arc<Interface>, listener: TcpListener, tls: TlsAcceptor) {
    let connections = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
        let (interface, tls) = (Arc::clone(&interface), tls.clone());
        tokio::spawn(async move {
            let _ = tokio::time::timeout(LIFE, talk(interface, stream, from, tls)).await;
            drop(permit);
        });
    }
}

async fn talk(
    interface: Arc<Interface>,
    stream: TcpStream,
    from: SocketAddr,
    tls: TlsAcceptor,
) -> std::io::Result<()> {
    let stream = tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await??;
    let proof = match stream.get_ref().1.peer_certificates() {
        Some(_) => Proof::Certificate,
        None => Proof::Nothing,
    };
    tracing::debug!(%from, ?proof, "asked for receipts");
    let service = service_fn(|request| {
        let interface = Arc::clone(&interface);
        async move { Ok::<_, Infallible>(answer(&interface, &request, proof)) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LONGEST_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    served.map_err(std::io::Error::other)
}

type Answer = http_body_util::combinators::BoxBody<Bytes, std::io::Error>;

fn answer(interface: &Interface, request: &Request<Incoming>, proof: Proof) -> Response<Answer> {
    if let Err(refusal) = interface.entry.admit(request.headers().get(AUTHORIZATION), proof) {
        return refuse(refusal);
    }
    if request.method() != Method::GET {
        return refuse(StatusCode::METHOD_NOT_ALLOWED);
    }
    match request.uri().path() {
        "/v1/status" => status(interface),
        "/v1/receipts" => match wanted(request.uri().query().unwrap_or_default()) {
            Some((sweep, after)) => receipts(interface, &sweep, after),
            None => refuse(StatusCode::BAD_REQUEST),
        },
        _ => refuse(StatusCode::NOT_FOUND),
    }
}

fn refuse(status: StatusCode) -> Response<Answer> {
    with(status, "text/plain", Full::new(Bytes::new()).map_err(|never| match never {}).boxed())
}

fn with(status: StatusCode, kind: &'static str, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn status(interface: &Interface) -> Response<Answer> {
    let status = Status {
        now: Timestamp::now(),
        since: interface.since,
        canaries: interface.canaries.to_vec(),
        zone: interface.zone.clone(),
        counts: interface.counters.now(),
    };
    match serde_json::to_vec(&status) {
        Ok(octets) => {
            let body = Full::new(Bytes::from(octets)).map_err(|never| match never {}).boxed();
            with(StatusCode::OK, "application/json", body)
        }
        Err(_) => refuse(StatusCode::INTERNAL_SERVER_ERROR),
    }
}

/// The sweep and the number behind which receipts are wanted.
fn wanted(query: &str) -> Option<(String, u64)> {
    let (mut sweep, mut after) = (None, 0);
    for pair in query.split('&') {
        match pair.split_once('=')? {
            ("sweep", id) => sweep = Some(id.to_owned()),
            ("after", number) => after = number.parse().ok()?,
            _ => {}
        }
    }
    let sweep = sweep?;
    let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!sweep.is_empty() && sweep.len() <= LONGEST_ID && sweep.chars().all(is_id))
        .then_some((sweep, after))
}

fn receipts(interface: &Interface, sweep: &str, after: u64) -> Response<Answer> {
    let places = interface.shelf.find(after, &interface.key.of_sweep(sweep));
    let lines = Lines { shelf: Arc::clone(&interface.shelf), places, at: 0 };
    with(StatusCode::OK, "application/jsonl", lines.boxed())
}

/// Lines as they are read from the log, some at a time: the answer may be larger than memory should be.
struct Lines {
    shelf: Arc<Shelf>,
    places: Vec<Place>,
    at: usize,
}

impl Body for Lines {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let end = (self.at + LINES).min(self.places.len());
        let chosen = self.places.get(self.at..end).unwrap_or_default();
        if chosen.is_empty() {
            return Poll::Ready(None);
        }
        let lines = self.shelf.read(chosen);
        self.at = end;
        Poll::Ready(Some(lines.map(|lines| Frame::data(Bytes::from(lines)))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_or_a_certificate_opens_and_each_refusal_is_its_own() {
        let entry = Entry::new(Some("hush")).unwrap();
        let shown = |text: &'static str| HeaderValue::from_static(text);
        assert_eq!(entry.admit(Some(&shown("Bearer hush")), Proof::Nothing), Ok(()));
        assert_eq!(entry.admit(None, Proof::Certificate), Ok(()));
        let missing = entry.admit(None, Proof::Nothing);
        assert_eq!(missing, Err(StatusCode::UNAUTHORIZED));
        for wrong in ["Bearer hus", "Bearer hush ", "hush", "Basic hush", ""] {
            let refused = entry.admit(Some(&shown(wrong)), Proof::Nothing);
            assert_eq!(refused, Err(StatusCode::FORBIDDEN), "{wrong}");
        }
    }

    #[test]
    fn a_question_names_a_sweep() {
        assert_eq!(wanted("sweep=01-a&after=7"), Some(("01-a".to_owned(), 7)));
        for wrong in ["", "sweep=", "sweep=a/b", "sweep=a&after=x", "after=1"] {
            assert_eq!(wanted(wrong), None, "{wrong}");
        }
    }
}
