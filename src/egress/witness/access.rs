//! The other end of the interface: how a sweep fetches its receipts.
//!
//! The connection is made by whoever may make connections (the fence, for a sweep), and handed in. What
//! comes back is only text: the [`crate::egress::ledger`] tells what it is worth.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::sync::Arc;

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

use super::certificate::{self, CertificateError, Identity};
use super::interface::Status;
use crate::egress::http1::{Incoming, NoAnswer};
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

/// Fetches the receipts of a sweep, as lines. The stream has its own patience.
pub fn fetch<S: Read + Write>(
    stream: S,
    access: &Access,
    sweep: &str,
) -> Result<String, FetchError> {
    let text = ask(stream, access, &format!("/v1/receipts?sweep={sweep}"))?;
    String::from_utf8(text).map_err(|_| FetchError::NotACollector)
}

/// Asks how the collector is.
pub fn status<S: Read + Write>(stream: S, access: &Access) -> Result<Status, FetchError> {
    let text = ask(stream, access, "/v1/status")?;
    serde_json::from_slice(&text).map_err(|_| FetchError::NotACollector)
}

fn ask<S: Read + Write>(mut stream: S, access: &Access, path: &str) -> Result<Vec<u8>, FetchError> {
    let shown = Arc::default();
    let configuration = Arc::new(client(access, &shown)?);
    let server = ServerName::try_from(access.server.clone())
        .map_err(|fault| FetchError::Untrusted(fault.to_string()))?;
    let mut session = rustls::ClientConnection::new(configuration, server)
        .map_err(|fault| FetchError::Tls(fault.to_string()))?;
    while session.is_handshaking() {
        session.complete_io(&mut stream).map_err(|fault| of_stream(fault, &shown))?;
    }
    let mut request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n", access.server);
    if let Some(token) = &access.token {
        // What comes of a line's end in a secret would be another header.
        let token: String = token.chars().filter(|c| c.is_ascii_graphic()).collect();
        request.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    request.push_str("Connection: close\r\n\r\n");
    let mut tls = rustls::Stream::new(&mut session, &mut stream);
    tls.write_all(request.as_bytes()).map_err(|fault| of_stream(fault, &shown))?;
    let mut incoming = Incoming::new(Told { tls, shown: &shown, fault: None });
    let head = incoming.head().map_err(|fault| {
        let told = incoming.stream().fault.take();
        told.unwrap_or(match fault {
            NoAnswer::Silent => FetchError::Timeout,
            NoAnswer::Other => FetchError::NotACollector,
        })
    })?;
    match head.status {
        200 => {}
        401 | 403 => return Err(FetchError::Denied(head.status)),
        status => return Err(FetchError::Status(status)),
    }
    let length = head.field("content-length").and_then(|length| length.parse::<usize>().ok());
    if length.is_some_and(|length| length > ledger::MOST_OCTETS) {
        return Err(FetchError::TooLarge(ledger::MOST_OCTETS));
    }
    let body = incoming.body(&head, ledger::MOST_OCTETS);
    match (length, incoming.stream().fault.take()) {
        (Some(length), None) if body.len() < length => {
            Err(FetchError::CutOff(format!("{} < {length}", body.len())))
        }
        (Some(length), Some(fault)) if body.len() < length => {
            Err(FetchError::CutOff(fault.to_string()))
        }
        _ => Ok(body),
    }
}

/// A TLS stream that remembers why it failed.
struct Told<'a, S: Read + Write> {
    tls: rustls::Stream<'a, rustls::ClientConnection, S>,
    shown: &'a Shown,
    fault: Option<FetchError>,
}

impl<S: Read + Write> Read for Told<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tls.read(buffer).map_err(|fault| {
            let kind = fault.kind();
            self.fault = Some(of_stream(fault, self.shown));
            kind.into()
        })
    }
}

fn of_stream(fault: io::Error, shown: &Shown) -> FetchError {
    if matches!(fault.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock) {
        return FetchError::Timeout;
    }
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
