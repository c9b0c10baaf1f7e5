//! Signatures over chain values: they show to whoever has the public key, and not the egress key, that a log
//! is as the collector wrote it.
//!
//! `ed25519:HEX` (RFC 8032) and, built with the feature `gm`, `sm2:HEX` (GB/T 32918.2 with SM3, GB/T 32905).

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use thiserror::Error;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadSigningKey {
    #[error(
        "not a signing key: hexadecimal digits, as `jiebei collector keygen --signing` prints them"
    )]
    NotAKey,
    #[error("no randomness")]
    NoRandomness,
    #[error("SM2 keys need a build with the feature gm")]
    NotBuilt,
}

const SM2: &str = "sm2:";
const ED25519_PREFIX: &str = "ed25519:";
/// The distinguishing identifier that GM/T 0009 gives to users without one.
#[cfg(feature = "gm")]
const DISTINGUISHED: &str = "1234567812345678";

/// A private key; it prints as `…`.
pub enum Signer {
    Ed25519(Ed25519KeyPair),
    #[cfg(feature = "gm")]
    Sm2(Box<sm2::dsa::SigningKey>),
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// A public key.
pub enum Verifier {
    Ed25519(Vec<u8>),
    #[cfg(feature = "gm")]
    Sm2(Box<sm2::dsa::VerifyingKey>),
}

impl Signer {
    /// PKCS #8 of an Ed25519 key, hex; or `sm2:` and the 32 octets of an SM2 key, hex.
    pub fn read(text: &str) -> Result<Signer, BadSigningKey> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix(SM2) {
            return Signer::read_sm2(&octets(digits)?);
        }
        let octets = octets(text.strip_prefix(ED25519_PREFIX).unwrap_or(text))?;
        let pair = Ed25519KeyPair::from_pkcs8(&octets).map_err(|_| BadSigningKey::NotAKey)?;
        Ok(Signer::Ed25519(pair))
    }

    #[cfg(feature = "gm")]
    fn read_sm2(octets: &[u8]) -> Result<Signer, BadSigningKey> {
        let key = sm2::SecretKey::from_slice(octets).map_err(|_| BadSigningKey::NotAKey)?;
        let key =
            sm2::dsa::SigningKey::new(DISTINGUISHED, &key).map_err(|_| BadSigningKey::NotAKey)?;
        Ok(Signer::Sm2(Box::new(key)))
    }

    #[cfg(not(feature = "gm"))]
    fn read_sm2(_octets: &[u8]) -> Result<Signer, BadSigningKey> {
        Err(BadSigningKey::NotBuilt)
    }

    /// The signature as it stands in an entry.
    pub fn sign(&self, chain: &[u8; 32]) -> Option<String> {
        match self {
            Signer::Ed25519(pair) => {
                let signature = pair.sign(chain);
                Some(format!(
                    "{ED25519_PREFIX}{}",
                    data_encoding::HEXLOWER.encode(signature.as_ref())
                ))
            }
            #[cfg(feature = "gm")]
            Signer::Sm2(key) => {
                use sm2::dsa::signature::Signer as _;
                let signature: sm2::dsa::Signature = key.try_sign(chain).ok()?;
                Some(format!("{SM2}{}", data_encoding::HEXLOWER.encode(&signature.to_bytes())))
            }
        }
    }

    /// The public key, as [`Verifier::read`] takes it.
    pub fn public(&self) -> String {
        match self {
            Signer::Ed25519(pair) => data_encoding::HEXLOWER.encode(pair.public_key().as_ref()),
            #[cfg(feature = "gm")]
            Signer::Sm2(key) => {
                let point = key.verifying_key().to_sec1_bytes();
                format!("{SM2}{}", data_encoding::HEXLOWER.encode(&point))
            }
        }
    }
}

impl Verifier {
    /// 32 octets of an Ed25519 key, hex; or `sm2:` and the point of an SM2 key (SEC 1), hex.
    pub fn read(text: &str) -> Result<Verifier, BadSigningKey> {
        let text = text.trim();
        if let Some(digits) = text.strip_prefix(SM2) {
            return Verifier::read_sm2(&octets(digits)?);
        }
        let octets = octets(text.strip_prefix(ED25519_PREFIX).unwrap_or(text))?;
        if octets.len() != 32 {
            return Err(BadSigningKey::NotAKey);
        }
        Ok(Verifier::Ed25519(octets))
    }

    #[cfg(feature = "gm")]
    fn read_sm2(octets: &[u8]) -> Result<Verifier, BadSigningKey> {
        let key = sm2::dsa::VerifyingKey::from_sec1_bytes(DISTINGUISHED, octets)
            .map_err(|_| BadSigningKey::NotAKey)?;
        Ok(Verifier::Sm2(Box::new(key)))
    }

    #[cfg(not(feature = "gm"))]
    fn read_sm2(_octets: &[u8]) -> Result<Verifier, BadSigningKey> {
        Err(BadSigningKey::NotBuilt)
    }

    /// Whether an entry's signature is by this key over its chain value.
    pub fn verifies(&self, chain: &[u8; 32], signature: &str) -> bool {
        match self {
            Verifier::Ed25519(key) => {
                let digits = signature.strip_prefix(ED25519_PREFIX).unwrap_or_default();
                let Ok(octets) = octets(digits) else { return false };
                UnparsedPublicKey::new(&ED25519, key).verify(chain, &octets).is_ok()
            }
            #[cfg(feature = "gm")]
            Verifier::Sm2(key) => {
                use sm2::dsa::signature::Verifier as _;
                let digits = signature.strip_prefix(SM2).unwrap_or_default();
                let octets = octets(digits).unwrap_or_default();
                sm2::dsa::Signature::from_slice(&octets)
                    .is_ok_and(|signature| key.verify(chain, &signature).is_ok())
            }
        }
    }
}

/// A new Ed25519 key: (private, as [`Signer::read`] takes it; public, as [`Verifier::read`] does).
pub fn keygen() -> Result<(String, String), BadSigningKey> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| BadSigningKey::NoRandomness)?;
    let private = data_encoding::HEXLOWER.encode(pkcs8.as_ref());
    let public = Signer::read(&private)?.public();
    Ok((private, public))
}

fn octets(digits: &str) -> Result<Vec<u8>, BadSigningKey> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| BadSigningKey::NotAKey)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_chain_value_and_key() {
        let (private, public) = keygen().unwrap();
        let signature = Signer::read(&private).unwrap().sign(&[1; 32]).unwrap();
        let verifier = Verifier::read(&public).unwrap();
        assert!(verifier.verifies(&[1; 32], &signature));
        assert!(!verifier.verifies(&[2; 32], &signature));
        assert!(!verifier.verifies(&[1; 32], "ed25519:00"));
        assert!(!verifier.verifies(&[1; 32], ""));
        let (_, other) = keygen().unwrap();
        assert!(!Verifier::read(&other).unwrap().verifies(&[1; 32], &signature));
        assert_eq!(Signer::read("zz").unwrap_err(), BadSigningKey::NotAKey);
    }

    #[cfg(feature = "gm")]
    #[test]
    fn an_sm2_signature_holds_for_its_chain_value_and_key() {
        let signer = Signer::read(&format!("sm2:{}", "17".repeat(32))).unwrap();
        let signature = signer.sign(&[1; 32]).unwrap();
        let verifier = Verifier::read(&signer.public()).unwrap();
        assert!(signature.starts_with("sm2:"));
        assert!(verifier.verifies(&[1; 32], &signature));
        assert!(!verifier.verifies(&[2; 32], &signature));
    }

    #[cfg(not(feature = "gm"))]
    #[test]
    fn an_sm2_key_is_refused_by_a_build_without_it() {
        assert_eq!(Signer::read("sm2:17").unwrap_err(), BadSigningKey::NotBuilt);
    }
}
