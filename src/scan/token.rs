//! The token: a keyed hash of what was asked of whom.
//!
//! `token = SipHash-2-4(key, probe ‖ vantage ‖ target ‖ question ‖ extra)`, 64 bits, under a key that is
//! drawn anew for each sweep. A probe writes as many of its bits as its protocol echoes; what comes
//! back is recomputed from the answer's own addresses and ports, and compared. What that stops:
//!
//! - **forged answers**: who did not see the question must guess the bits (counted below);
//! - **old answers**: of another sweep, by its key; of another address or port, by what is hashed;
//! - **answers by somebody else**: a token is bound to its target, so it is worth nothing in another's
//!   name; whoever sees the question can of course answer it, and so can the target itself.
//!
//! | probe | echoed fields | bits |
//! |---|---|---|
//! | ICMP echo | identifier, sequence, 64 bits of data | 64 |
//! | an ICMP error that quotes an echo | the same; where data is cut, identifier, sequence, IP identification or flow label | 40 at least |
//! | TCP SYN | sequence number (as acknowledgement less one), source port among `n` | 32 + log₂ n |
//! | UDP | source port among `n`; a field of the protocol where it has one (DNS 16, NTP 64, IKE 64 …) | log₂ n + field |
//! | an ICMP error that quotes a datagram | source port, IP identification or flow label | log₂ n + 16 |
//! | ARP, neighbour solicitation | nothing but the target: an answer counts only for what was asked | 0 |
//!
//! A UDP protocol that echoes nothing (TFTP, SSDP) has the eight bits of the port alone; such an answer
//! counts only from an address and port that were asked.
//!
//! SipHash is a pseudo-random function under its key, at 70 million tokens a second and more. Keys are
//! drawn from the system's randomness and split by HMAC-SHA-256, so the order gives nothing of the
//! token away.

use std::fmt;
use std::net::IpAddr;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip::SipHasher24;
use thiserror::Error;

use crate::observe::VantageId;

/// The secret of one sweep: 32 octets. It prints as `…`.
#[derive(Clone, PartialEq, Eq)]
pub struct SweepKey([u8; 32]);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyError {
    #[error("the system gave no randomness")]
    NoRandomness,
    #[error("a sweep's key is 64 hexadecimal digits")]
    NotHex,
}

impl SweepKey {
    pub fn random() -> Result<SweepKey, KeyError> {
        let mut octets = [0; 32];
        SystemRandom::new().fill(&mut octets).map_err(|_| KeyError::NoRandomness)?;
        Ok(SweepKey(octets))
    }

    pub const fn from_bytes(octets: [u8; 32]) -> SweepKey {
        SweepKey(octets)
    }

    pub fn from_hex(text: &str) -> Result<SweepKey, KeyError> {
        let mut octets = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(KeyError::NotHex);
        }
        for (octet, pair) in octets.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| KeyError::NotHex)?;
            *octet = u8::from_str_radix(pair, 16).map_err(|_| KeyError::NotHex)?;
        }
        Ok(SweepKey(octets))
    }

    /// From a text that several machines agree on: good for an order, and no secret.
    pub fn of_text(text: &str) -> SweepKey {
        let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
        let mut octets = [0; 32];
        octets.iter_mut().zip(hash.as_ref()).for_each(|(octet, hashed)| *octet = *hashed);
        SweepKey(octets)
    }

    /// For the checkpoint and the record, which need it to recognise answers again.
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

impl fmt::Debug for SweepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What a token is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Which probe: the number that its file gives.
    pub probe: u8,
    pub vantage: VantageId,
    pub target: IpAddr,
    /// A port, a hop limit, or round and hop limit: what the probe asks more than one of.
    pub question: u16,
    /// What else tells two askings apart: the neighbour steered through.
    pub extra: u16,
}

/// The keys derived for tokens and for order.
#[derive(Clone)]
pub struct Keys {
    token: SipHasher24,
    order: SipHasher24,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Keys {
    pub fn of(key: &SweepKey) -> Keys {
        Keys { token: derive(key, b"jiebei token"), order: derive(key, b"jiebei order") }
    }

    /// The same tokens, in the order of a seed: shards on several machines walk one order, and each has
    /// tokens of its own.
    pub fn ordered_by(self, seed: &SweepKey) -> Keys {
        Keys { order: derive(seed, b"jiebei order"), ..self }
    }

    pub fn token(&self, identity: &Identity) -> u64 {
        let target = match identity.target {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let mut input = [0; 24];
        let (address, rest) = input.split_at_mut(16);
        address.copy_from_slice(&target.octets());
        let [v0, v1] = identity.vantage.0.to_be_bytes();
        let [q0, q1] = identity.question.to_be_bytes();
        let [e0, e1] = identity.extra.to_be_bytes();
        let family = u8::from(identity.target.is_ipv4());
        rest.copy_from_slice(&[identity.probe, family, v0, v1, q0, q1, e0, e1]);
        self.token.hash(&input)
    }

    /// The key of one round of one pass's order.
    pub(super) fn order(&self, pass: u64, round: u64) -> u64 {
        let mut input = [0; 16];
        let (first, second) = input.split_at_mut(8);
        first.copy_from_slice(&pass.to_be_bytes());
        second.copy_from_slice(&round.to_be_bytes());
        self.order.hash(&input)
    }
}

fn derive(key: &SweepKey, label: &[u8]) -> SipHasher24 {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), label);
    let half = |range: std::ops::Range<usize>| {
        let octets = tag.as_ref().get(range).and_then(|half| half.first_chunk::<8>());
        octets.map_or(0, |octets| u64::from_be_bytes(*octets))
    };
    SipHasher24::new_with_keys(half(0..8), half(8..16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_identity_changes_the_token() {
        let keys = Keys::of(&SweepKey::from_bytes([9; 32]));
        let base = Identity {
            probe: 1,
            vantage: VantageId(0),
            target: [10, 0, 0, 1].into(),
            question: 80,
            extra: 0,
        };
        let mapped = IpAddr::V6("::ffff:10.0.0.1".parse().unwrap());
        let others = [
            Identity { probe: 2, ..base },
            Identity { vantage: VantageId(1), ..base },
            Identity { target: [10, 0, 0, 2].into(), ..base },
            Identity { target: mapped, ..base },
            Identity { question: 81, ..base },
            Identity { extra: 1, ..base },
        ];
        for other in others {
            assert_ne!(keys.token(&base), keys.token(&other), "{other:?}");
        }
        assert_eq!(keys.token(&base), Keys::of(&SweepKey::from_bytes([9; 32])).token(&base));
    }

    #[test]
    fn a_key_goes_through_hex_and_prints_as_dots() {
        let key = SweepKey::random().unwrap();
        assert_eq!(SweepKey::from_hex(&key.to_hex()), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "…");
        assert_eq!(SweepKey::from_hex("00"), Err(KeyError::NotHex));
    }
}
