//! The other end of the interface: how a sweep fetches its receipts.
//!
//! The connection is made by whoever may make connections (the fence, for a sweep), and handed in. What
//! comes back is only text: the [`crate::egress::ledger`] tells what it is worth.

use std::fmt::Debug;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, HOST};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError as Refusal, ClientConfig, DigitallySignedStruct, Error as TlsError,
    RootCertStore, SignatureScheme,
};
use thiserror::Error;
use tokio_rustls::TlsConnector;

use super::certificate::{self, CertificateError, Identity};
use super::interface::Status;
use crate::egress::ledger;

/// How a collector's interface is reached, and by what it is known.
pub struct Access {
    /// `Authorization: Bearer`.
    pub token: Option<String>,
    /// The SHA-256 of its certificate.
    pub pin: Option<[u8; 32]>,
    /// The certificate to show, with its key.
    pub identity: Option<Identity>,
    /// Who signs the collector's certificate, where there is no pin.
    pub authorities: Vec<CertificateDer<'static>>,
    /// The address or name that the certificate is for.
    pub server: String,
}

/// Reads a pin: 64 hexadecimal digits, with colons or without.
pub fn read_pin(text: &str) -> Option<[u8; 32]> {
    let digits: String = text.trim().chars().filter(|c| *c != ':').collect();
    let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    octets.try_into().ok()
}

/// Why receipts could not be fetched.
#[derive(Debug, Error)]
pub enum FetchError {
    #[error("the collector did not answer in time")]
    Timeout,
    #[error("the connection was refused or broke off: {0}")]
    Broken(io::Error),
    #[error("another certificate than the pinned one was shown: {shown}")]
    OtherCertificate {
        /// Hex.
        shown: String,
    },
    #[error("the collector's certificate has expired")]
    Expired,
    #[error("the collector's certificate is not yet valid")]
    NotYetValid,
    #[error("the collector's certificate is not trusted: {0}")]
    Untrusted(String),
    #[error("neither a pin nor an authority says by what the collector is known")]
    NothingToTrust,
    #[error("TLS: {0}")]
    Tls(String),
    #[error("the collector does not let us in ({0})")]
    Denied(u16),
    #[error("the collector answered {0}")]
    Status(u16),
    #[error("the answer is longer than {0} octets")]
    TooLarge(usize),
    #[error("the answer was cut off: {0}")]
    CutOff(String),
    #[error("the answer is not what a collector says")]
    NotACollector,
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// Fetches the receipts of a sweep, as lines. Waits at most until the deadline.
pub fn fetch(
    stream: TcpStream,
    access: &Access,
    sweep: &str,
    deadline: Instant,
) -> Result<String, FetchError> {
    let text = ask(stream, access, &format!("/v1/receipts?sweep={sweep}"), deadline)?;
    String::from_utf8(text).map_err(|_| FetchError::NotACollector)
}

/// Asks how the collector is.
pub fn status(stream: TcpStream, access: &Access, deadline: Instant) -> Result<Status, FetchError> {
    let text = ask(stream, access, "/v1/status", deadline)?;
    serde_json::from_slice(&text).map_err(|_| FetchError::NotACollector)
}

fn ask(
    stream: TcpStream,
    access: &Access,
    path: &str,
    deadline: Instant,
) -> Result<Vec<u8>, FetchError> {
    let shown = Arc::default();
    let connector = TlsConnector::from(Arc::new(client(access, &shown)?));
    let server = ServerName::try_from(access.server.clone())
        .map_err(|fault| FetchError::Untrusted(fault.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(FetchError::Broken)?;
    let asked = converse(stream, &connector, server, access, path, &shown);
    runtime.block_on(async {
        match tokio::time::timeout_at(deadline.into(), asked).await {
            Ok(answer) => answer,
            Err(_) => Err(FetchError::Timeout),
        }
    })
}

async fn converse(
    stream: TcpStream,
    connector: &TlsConnector,
    server: ServerName<'static>,
    access: &Access,
    path: &str,
    shown: &Shown,
) -> Result<Vec<u8>, FetchError> {
    stream.set_nonblocking(true).map_err(FetchError::Broken)?;
    let stream = tokio::net::TcpStream::from_std(stream).map_err(FetchError::Broken)?;
    let stream =
        connector.connect(server, stream).await.map_err(|fault| of_handshake(fault, shown))?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(of_exchange)?;
    let mut request = Request::get(path).header(HOST, &access.server);
    if let Some(token) = &access.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(|fault| FetchError::Broken(io::Error::other(fault)))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(of_exchange)?;
        match response.status() {
            StatusCode::OK => {}
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                return Err(FetchError::Denied(status.as_u16()));
            }
            status => return Err(FetchError::Status(status.as_u16())),
        }
        let mut body = response.into_body();
        let mut text = Vec::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|fault| FetchError::CutOff(fault.to_string()))?;
            let Ok(octets) = frame.into_data() else { continue };
            if text.len() + octets.len() > ledger::MOST_OCTETS {
                return Err(FetchError::TooLarge(ledger::MOST_OCTETS));
            }
            text.extend_from_slice(&octets);
        }
        Ok(text)
    };
    // The connection is driven beside the exchange, and ends with it: a fault of it is the exchange's.
    tokio::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => match exchange.await {
            Err(FetchError::Broken(fault)) => Err(ended.err().map_or(FetchError::Broken(fault), of_exchange)),
            answer => answer,
        },
    }
}

fn of_exchange(fault: hyper::Error) -> FetchError {
    let is_alert = std::error::Error::source(&fault)
        .and_then(|cause| cause.downcast_ref::<io::Error>())
        .and_then(io::Error::get_ref)
        .and_then(|cause| cause.downcast_ref::<TlsError>())
        .map(|cause| FetchError::Tls(cause.to_string()));
    is_alert.unwrap_or_else(|| FetchError::Broken(io::Error::other(fault)))
}

fn of_handshake(fault: io::Error, shown: &Shown) -> FetchError {
    let Some(cause) = fault.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>()) else {
        return FetchError::Broken(fault);
    };
    match cause {
        TlsError::InvalidCertificate(Refusal::Expired | Refusal::ExpiredContext { .. }) => {
            FetchError::Expired
        }
        TlsError::InvalidCertificate(Refusal::NotValidYet | Refusal::NotValidYetContext { .. }) => {
            FetchError::NotYetValid
        }
        TlsError::InvalidCertificate(Refusal::ApplicationVerificationFailure) => {
            let shown = shown.get().map(|pin| data_encoding::HEXLOWER.encode(pin));
            FetchError::OtherCertificate { shown: shown.unwrap_or_default() }
        }
        TlsError::InvalidCertificate(other) => FetchError::Untrusted(other.to_string()),
        other => FetchError::Tls(other.to_string()),
    }
}

fn client(access: &Access, shown: &Shown) -> Result<ClientConfig, FetchError> {
    let tls = |fault: TlsError| FetchError::Tls(fault.to_string());
    let builder = ClientConfig::builder_with_provider(certificate::provider())
        .with_safe_default_protocol_versions()
        .map_err(tls)?;
    let builder = if let Some(pin) = access.pin {
        let verifier = Pinned { pin, shown: Arc::clone(shown) };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else if access.authorities.is_empty() {
        return Err(FetchError::NothingToTrust);
    } else {
        let mut roots = RootCertStore::empty();
        for authority in &access.authorities {
            roots.add(authority.clone()).map_err(tls)?;
        }
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), certificate::provider())
                .build()
                .map_err(|fault| FetchError::Untrusted(fault.to_string()))?;
        builder.with_webpki_verifier(verifier)
    };
    match &access.identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let Identity { chain, key } = identity.clone_key();
            builder.with_client_auth_cert(chain, key).map_err(tls)
        }
    }
}

/// The pin of the certificate that was shown.
type Shown = Arc<std::sync::OnceLock<[u8; 32]>>;

/// Takes one certificate and no other, as long as it is valid, whoever signed it.
#[derive(Debug)]
struct Pinned {
    pin: [u8; 32],
    shown: Shown,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        let shown = certificate::pin(certificate);
        let _ = self.shown.set(shown);
        if shown != self.pin {
            return Err(Refusal::ApplicationVerificationFailure.into());
        }
        let (from, to) = certificate::validity(certificate).ok_or(Refusal::BadEncoding)?;
        let now = i64::try_from(now.as_secs())
            .ok()
            .and_then(|now| Timestamp::from_second(now).ok())
            .ok_or(TlsError::FailedToGetCurrentTime)?;
        if now < from {
            return Err(Refusal::NotValidYet.into());
        }
        if now > to {
            return Err(Refusal::Expired.into());
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = certificate::provider().signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, &algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = certificate::provider().signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, &algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        certificate::provider().signature_verification_algorithms.supported_schemes()
    }
}
