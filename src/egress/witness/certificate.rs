//! Certificates: given or made, their pin, and how long they hold.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use thiserror::Error;

use crate::link::privilege::Owner;

#[derive(Debug, Error)]
pub enum CertificateError {
    #[error("{path}: {cause}")]
    File { path: String, cause: io::Error },
    #[error("no certificate and key in PEM: {0}")]
    NotPem(String),
    #[error("the certificate and its key cannot be used: {0}")]
    Unusable(String),
    #[error("a certificate cannot be made: {0}")]
    NotMade(String),
}

/// A certificate with those above it, and its private key.
#[derive(Debug)]
pub struct Identity {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// From one text in PEM, or from two: what is no certificate in it is passed over.
    pub fn read(certificates: &str, key: &str) -> Result<Identity, CertificateError> {
        let told =
            |fault: rustls::pki_types::pem::Error| CertificateError::NotPem(fault.to_string());
        let chain = authorities(certificates)?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(told)?;
        Ok(Identity { chain, key })
    }

    /// The SHA-256 of the certificate.
    pub fn pin(&self) -> Option<[u8; 32]> {
        self.chain.first().map(|certificate| pin(certificate))
    }

    pub fn clone_key(&self) -> Identity {
        Identity { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

/// Every certificate of a text in PEM; at least one.
pub fn authorities(text: &str) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let told = |fault: rustls::pki_types::pem::Error| CertificateError::NotPem(fault.to_string());
    let all: Vec<_> =
        CertificateDer::pem_slice_iter(text.as_bytes()).collect::<Result<_, _>>().map_err(told)?;
    if all.is_empty() {
        return Err(CertificateError::NotPem("there is no certificate".to_owned()));
    }
    Ok(all)
}

pub fn pin(certificate: &CertificateDer<'_>) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, certificate);
    let mut pin = [0; 32];
    pin.copy_from_slice(digest.as_ref());
    pin
}

/// A new self-signed certificate for these names and addresses, without an end, with its key, as one text.
pub fn make(names: Vec<String>) -> Result<String, CertificateError> {
    let told = |fault: rcgen::Error| CertificateError::NotMade(fault.to_string());
    let made = rcgen::generate_simple_self_signed(names).map_err(told)?;
    Ok(format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem()))
}

/// The certificate kept beside a log, so that its pin stays; made the first time. The pin is written beside it.
pub fn kept(
    log: &Path,
    names: Vec<String>,
    owner: Option<Owner>,
) -> Result<Identity, CertificateError> {
    let path = beside(log, ".tls.pem");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            let text = make(names)?;
            write(&path, &text, 0o600, owner)?;
            text
        }
        Err(cause) => return Err(of_file(&path, cause)),
    };
    Identity::read(&text, &text)
}

/// Writes the pin beside the log, for whoever makes the profile.
pub fn write_pin(log: &Path, pin: &str, owner: Option<Owner>) -> Result<(), CertificateError> {
    write(&beside(log, ".pin"), &format!("{pin}\n"), 0o644, owner)
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn of_file(path: &Path, cause: io::Error) -> CertificateError {
    CertificateError::File { path: path.display().to_string(), cause }
}

/// Replaces a file whole.
fn write(path: &Path, text: &str, mode: u32, owner: Option<Owner>) -> Result<(), CertificateError> {
    let fault = |cause| of_file(path, cause);
    let unfinished = beside(path, ".new");
    // One that was left unfinished may have another mode.
    let _ = std::fs::remove_file(&unfinished);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&unfinished)
        .map_err(fault)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(fault)?;
    if let Some(Owner { uid, gid }) = owner {
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid)).map_err(fault)?;
    }
    std::fs::rename(&unfinished, path).map_err(fault)
}

/// The one provider of this program.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a server needs: who proves by a certificate of `client_authority` that it may ask is known by it; who does not
/// may still come.
pub fn server(
    identity: Identity,
    client_authority: Option<Vec<CertificateDer<'static>>>,
) -> Result<Arc<ServerConfig>, CertificateError> {
    let unusable = |fault: String| CertificateError::Unusable(fault);
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|fault| unusable(fault.to_string()))?;
    let builder = match client_authority {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let mut roots = RootCertStore::empty();
            for authority in authorities {
                roots.add(authority).map_err(|fault| unusable(fault.to_string()))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .allow_unauthenticated()
                .build()
                .map_err(|fault| unusable(fault.to_string()))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    builder
        .with_single_cert(identity.chain, identity.key)
        .map(Arc::new)
        .map_err(|fault| unusable(fault.to_string()))
}

/// From when to when a certificate holds. RFC 5280 §4.1.2.5. `None` where it cannot be read.
pub fn validity(certificate: &[u8]) -> Option<(Timestamp, Timestamp)> {
    const SEQUENCE: u8 = 0x30;
    const VERSION: u8 = 0xa0;
    let (whole, _) = element(certificate, SEQUENCE)?;
    let (fields, _) = element(whole, SEQUENCE)?;
    let mut fields = element(fields, VERSION).map_or(fields, |(_, rest)| rest);
    // Serial number, algorithm, issuer.
    for tag in [0x02, SEQUENCE, SEQUENCE] {
        (_, fields) = element(fields, tag)?;
    }
    let (validity, _) = element(fields, SEQUENCE)?;
    let (from, rest) = time(validity)?;
    let (to, _) = time(rest)?;
    Some((from, to))
}

fn time(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let (digits, rest, is_short) = match element(bytes, UTC_TIME) {
        Some((digits, rest)) => (digits, rest, true),
        None => element(bytes, GENERALIZED_TIME).map(|(digits, rest)| (digits, rest, false))?,
    };
    let digits = std::str::from_utf8(digits.strip_suffix(b"Z")?).ok()?;
    let (year, rest_of_digits) = digits.split_at_checked(if is_short { 2 } else { 4 })?;
    let year: i16 = year.parse().ok()?;
    let year = match (is_short, year) {
        (true, 0..50) => year + 2000,
        (true, _) => year + 1900,
        (false, _) => year,
    };
    let number = |at: usize| rest_of_digits.get(at..at + 2)?.parse::<i8>().ok();
    let date = Date::new(year, number(0)?, number(2)?).ok()?;
    let time = Time::new(number(4)?, number(6)?, number(8)?, 0).ok()?;
    let instant = DateTime::from_parts(date, time).to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some((instant.timestamp(), rest))
}

/// The contents of a DER element of this tag, and what stands behind it. X.690 §8.1.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (first, mut rest) = rest.split_first()?;
    if *found != tag {
        return None;
    }
    let mut length = usize::from(*first);
    if length > 0x80 {
        let (octets, behind) = rest.split_at_checked(length - 0x80)?;
        if octets.len() > 4 {
            return None;
        }
        length = octets.iter().fold(0, |length, octet| length << 8 | usize::from(*octet));
        rest = behind;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn validity_is_read_as_it_was_made() {
        let mut parameters = rcgen::CertificateParams::new(vec!["192.0.2.1".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2026, 1, 2);
        parameters.not_after = rcgen::date_time_ymd(2055, 3, 4);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = parameters.self_signed(&key).unwrap();
        let (from, to) = validity(certificate.der()).unwrap();
        assert_eq!(from.to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(to.to_string(), "2055-03-04T00:00:00Z");
        for cut in 0..certificate.der().len().min(200) {
            let _ = validity(&certificate.der()[..cut]);
        }
    }

    #[test]
    fn what_is_made_is_read() {
        let text = make(vec!["192.0.2.1".to_owned()]).unwrap();
        let identity = Identity::read(&text, &text).unwrap();
        assert_eq!(identity.chain.len(), 1);
        assert!(server(identity, None).is_ok());
        assert!(Identity::read("x", "y").is_err());
    }

    proptest! {
        #[test]
        fn no_certificate_makes_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = validity(&octets);
        }
    }
}
