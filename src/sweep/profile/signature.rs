//! The signed authorisation block, and the file of keys that a machine trusts.
//!
//! What is signed is not the file's text but what it says: the block's keys in order, each value in
//! one form, without the signature itself ([`canonical`]). So comments and layout may change and a
//! value may not.

use std::path::Path;

use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::Deserialize;
use thiserror::Error;

use super::Authorisation;
use crate::net::Prefix;

/// The first line of what is signed: another kind of document can never pass for this one.
const CONTEXT: &str = "jiebei.authorisation/1";

/// What the signature of a block is worth on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureState {
    Absent,
    /// Good, by this key of the trust file.
    Valid {
        key: String,
    },
    /// There is a signature, and no trust file to hold it against.
    Unchecked,
    /// No key of the trust file made it.
    Invalid,
}

/// The keys that may authorise sweeps on this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    keys: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Error)]
pub enum TrustFault {
    #[error("{path}: {cause}")]
    Unreadable { path: String, cause: std::io::Error },
    #[error("{path}: {fault}")]
    Malformed { path: String, fault: String },
    #[error("not a key: {0}")]
    BadKey(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustFile {
    #[serde(default)]
    key: Vec<TrustedKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TrustedKey {
    name: String,
    /// 32 octets, hex.
    ed25519: String,
}

impl Trust {
    /// `[[key]] name = "…" ed25519 = "hex"`, as many as there are.
    pub fn read(text: &str, path: &str) -> Result<Trust, TrustFault> {
        let malformed = |fault: String| TrustFault::Malformed { path: path.to_owned(), fault };
        let file: TrustFile =
            toml::from_str(text).map_err(|fault| malformed(fault.message().to_owned()))?;
        let mut keys = Vec::new();
        for key in file.key {
            match hex(&key.ed25519) {
                Some(octets) if octets.len() == 32 => keys.push((key.name, octets)),
                _ => return Err(malformed(format!("ed25519 of {:?}: 64 hex digits", key.name))),
            }
        }
        Ok(Trust { keys })
    }

    /// `None` where there is no such file: such a machine demands no signatures.
    pub fn load(path: &Path) -> Result<Option<Trust>, TrustFault> {
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => Trust::read(&text, &shown).map(Some),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(TrustFault::Unreadable { path: shown, cause }),
        }
    }

    pub fn check(&self, authorisation: &Authorisation) -> SignatureState {
        let Some(signature) = &authorisation.signature else {
            return SignatureState::Absent;
        };
        let message = canonical(authorisation);
        let octets = hex(signature).unwrap_or_default();
        for (name, key) in &self.keys {
            let key = UnparsedPublicKey::new(&ED25519, key);
            if key.verify(message.as_bytes(), &octets).is_ok() {
                return SignatureState::Valid { key: name.clone() };
            }
        }
        SignatureState::Invalid
    }
}

/// What is signed: one line a key, in the order of the contract, prefixes sorted.
pub fn canonical(authorisation: &Authorisation) -> String {
    let list = |prefixes: &[Prefix]| {
        let mut sorted = prefixes.to_vec();
        sorted.sort();
        sorted.dedup();
        sorted.iter().map(Prefix::to_string).collect::<Vec<_>>().join(" ")
    };
    // A line break in a text would let one key's value pass for another key.
    let text = |value: &Option<String>| value.as_deref().unwrap_or("").escape_default().to_string();
    let instant = |value: Option<jiff::Timestamp>| value.map(|t| t.to_string()).unwrap_or_default();
    format!(
        "{CONTEXT}\nreference={}\nauthorised_by={}\nscope={}\nexclude={}\nobserve_only={}\nrisk={}\n\
         not_before={}\nnot_after={}\n",
        text(&authorisation.reference),
        text(&authorisation.authorised_by),
        list(&authorisation.scope),
        list(&authorisation.exclude),
        list(&authorisation.observe_only),
        authorisation.risk,
        instant(authorisation.not_before),
        instant(authorisation.not_after),
    )
}

/// A new key: (PKCS #8, hex: kept by who authorises; public key, hex: for trust files).
pub fn keygen() -> Result<(String, String), TrustFault> {
    let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map_err(|_| TrustFault::BadKey("no randomness".into()))?;
    let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref())
        .map_err(|fault| TrustFault::BadKey(fault.to_string()))?;
    Ok((to_hex(pkcs8.as_ref()), to_hex(pair.public_key().as_ref())))
}

/// The signature of a block under a key of [`keygen`], hex.
pub fn sign(authorisation: &Authorisation, pkcs8_hex: &str) -> Result<String, TrustFault> {
    let octets =
        hex(pkcs8_hex.trim()).ok_or_else(|| TrustFault::BadKey("not hexadecimal".into()))?;
    let pair = Ed25519KeyPair::from_pkcs8(&octets)
        .map_err(|fault| TrustFault::BadKey(fault.to_string()))?;
    Ok(to_hex(pair.sign(canonical(authorisation).as_bytes()).as_ref()))
}

pub fn to_hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

pub fn hex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> =
        text.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block() -> Authorisation {
        Authorisation {
            reference: Some("湘数函〔2026〕12号".into()),
            authorised_by: Some("a\nrisk=3".into()),
            scope: vec!["10.20.0.0/16".parse().unwrap()],
            exclude: vec![],
            observe_only: vec![],
            risk: 3,
            not_before: None,
            not_after: None,
            signature: None,
        }
    }

    #[test]
    fn a_signature_holds_for_what_was_signed_and_nothing_else() {
        let (private, public) = keygen().unwrap();
        let trust =
            Trust::read(&format!("[[key]]\nname = \"大数据局\"\ned25519 = \"{public}\""), "trust")
                .unwrap();
        let mut signed = block();
        assert_eq!(trust.check(&signed), SignatureState::Absent);
        signed.signature = Some(sign(&signed, &private).unwrap());
        assert_eq!(trust.check(&signed), SignatureState::Valid { key: "大数据局".into() });
        let mut wider = signed.clone();
        wider.scope.push("10.21.0.0/16".parse().unwrap());
        assert_eq!(trust.check(&wider), SignatureState::Invalid);
        let (_, other) = keygen().unwrap();
        let strangers =
            Trust::read(&format!("[[key]]\nname = \"x\"\ned25519 = \"{other}\""), "t").unwrap();
        assert_eq!(strangers.check(&signed), SignatureState::Invalid);
        assert!(Trust::read("[[key]]\nname = \"x\"\ned25519 = \"zz\"", "t").is_err());
    }

    #[test]
    fn a_line_break_cannot_smuggle_a_key_in() {
        assert_eq!(canonical(&block()).lines().filter(|line| line.starts_with("risk=")).count(), 1);
    }
}
