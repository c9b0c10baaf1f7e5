//! Egress tokens: what makes a receipt worth something.
//!
//! A token has three parts, from the highest bit on:
//!
//! ```text
//! sweep tag | hash | seal
//! ```
//!
//! *Sweep tag* and *hash* are cut from `HMAC-SHA-256(K, sweep ‖ everything the probe is bound to)`: method, carrier,
//! target, its MAC, vantage, canary, port, round, hop limit, time of sending. Whoever holds the key and the probe
//! makes the token again and compares all of it. The *seal* is `SipHash-2-4(K', carrier ‖ sweep tag ‖ hash)`: it is what
//! the collector checks, who knows nothing of sweeps. It is a pseudo-random function that takes 15 ns, so that
//! a flood of junk costs the collector little.
//!
//! | carrier | bits | sweep tag | hash | seal |
//! |---|---|---|---|---|
//! | ICMP and UDP payload, DNS label, HTTP path, QUIC connection id, SIP Call-ID, WS-Discovery MessageID | 128 | 32 | 32 | 64 |
//! | TCP SYN (sequence number, timestamp), NTP originate timestamp, IKE SPI, CoAP token | 64 | 8 | 24 | 32 |
//! | RST (acknowledgement, port) | 47 | 6 | 18 | 23 |
//! | SNMPv3 (message id, port) | 46 | 6 | 18 | 22 |
//!
//! **What it stops.** Who did not see a probe must guess all the bits of one of the sweep's outstanding
//! tokens: for the shortest, 2^46 divided by the number of probes. Such a packet with a right seal alone reaches the
//! collector's log (one in 2^22), never a finding.
//!
//! **What it does not stop.** Whoever sees the probe can send its token from elsewhere: the target
//! itself, and whoever listens between. So tokens go by unicast only; each counts once, the first time it is seen,
//! and for [`LIFE`] only; and a finding is *proved* by two rounds with fresh tokens, not by one.

use std::fmt;
use std::net::IpAddr;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use siphasher::sip::SipHasher24;
use thiserror::Error;

use crate::observe::{Carrier, EgressProbe, VantageId};

/// How long after its probe a receipt counts. A name is looked up again within seconds, a resolver gives up within
/// half a minute (RFC 1035 §7.2); the rest is for clocks.
pub const LIFE: std::time::Duration = std::time::Duration::from_secs(300);
/// How far the collector's clock may be behind ours.
pub const SKEW: std::time::Duration = std::time::Duration::from_secs(120);
/// How often a token is drawn again because the sweep has the same one already.
pub const MOST_REDRAWN: u8 = 64;

/// The key that sweep and collector share: 32 octets. It prints as `…`.
#[derive(Clone)]
pub struct EgressKey {
    octets: [u8; 32],
    bind: hmac::Key,
    chain: hmac::Key,
    proof: hmac::Key,
    seal: SipHasher24,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an egress key is 64 hexadecimal digits, as `jiebei collector keygen` prints them")]
pub struct BadKey;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gave no randomness")]
pub struct NoRandomness;

/// A token of one carrier: its bits, in the low end of the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// What its field is: [`Carrier::field`].
    pub field: Carrier,
    pub bits: u128,
}

/// How many bits each part has.
#[derive(Debug, Clone, Copy)]
struct Layout {
    sweep: u32,
    hash: u32,
    seal: u32,
}

const fn layout(field: Carrier) -> Layout {
    match field.bits() {
        128 => Layout { sweep: 32, hash: 32, seal: 64 },
        64 => Layout { sweep: 8, hash: 24, seal: 32 },
        47 => Layout { sweep: 6, hash: 18, seal: 23 },
        _ => Layout { sweep: 6, hash: 18, seal: 22 },
    }
}

impl fmt::Debug for EgressKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl PartialEq for EgressKey {
    fn eq(&self, other: &EgressKey) -> bool {
        self.octets == other.octets
    }
}

impl EgressKey {
    pub fn from_bytes(octets: [u8; 32]) -> EgressKey {
        let master = hmac::Key::new(hmac::HMAC_SHA256, &octets);
        let derive = |label: &str| hmac::sign(&master, label.as_bytes());
        let key = |label| hmac::Key::new(hmac::HMAC_SHA256, derive(label).as_ref());
        let seal = derive("jiebei egress seal");
        EgressKey {
            octets,
            bind: key("jiebei egress binding"),
            chain: key("jiebei egress chain"),
            proof: key("jiebei egress proof"),
            seal: SipHasher24::new_with_keys(number(seal.as_ref(), 0), number(seal.as_ref(), 8)),
        }
    }

    /// From the system's randomness.
    pub fn random() -> Result<EgressKey, NoRandomness> {
        let mut octets = [0; 32];
        SystemRandom::new().fill(&mut octets).map_err(|_| NoRandomness)?;
        Ok(EgressKey::from_bytes(octets))
    }

    /// 64 hexadecimal digits; white space around them does not matter.
    pub fn from_hex(text: &str) -> Result<EgressKey, BadKey> {
        let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes());
        let octets: [u8; 32] =
            octets.map_err(|_| BadKey)?.as_slice().try_into().map_err(|_| BadKey)?;
        Ok(EgressKey::from_bytes(octets))
    }

    pub fn to_hex(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.octets)
    }

    /// The token of a probe of this sweep.
    pub fn token(&self, sweep: &str, vantage: VantageId, probe: &EgressProbe) -> Token {
        let field = probe.carrier.field();
        let layout = layout(field);
        let digest = hmac::sign(&self.bind, &binding(sweep, vantage, probe));
        let hash = number(digest.as_ref(), 0) >> (64 - layout.hash);
        let open = self.sweep_tag(sweep, field) << layout.hash | hash;
        let seal = self.seal_of(field, open);
        Token { field, bits: u128::from(open) << layout.seal | u128::from(seal) }
    }

    /// Whether the collector takes it: its seal is right, whatever sweep it is of.
    pub fn recognises(&self, token: Token) -> bool {
        let layout = layout(token.field);
        let all = layout.sweep + layout.hash + layout.seal;
        if all < 128 && token.bits >> all != 0 {
            return false;
        }
        let open = (token.bits >> layout.seal) as u64;
        let seal = (token.bits & ((1 << layout.seal) - 1)) as u64;
        self.seal_of(token.field, open) == seal
    }

    /// Whether a token can be of this sweep, as far as its few bits tell.
    pub fn is_of_sweep(&self, token: Token, sweep: &str) -> bool {
        let layout = layout(token.field);
        (token.bits >> (layout.seal + layout.hash)) as u64 == self.sweep_tag(sweep, token.field)
    }

    /// [`Self::is_of_sweep`] for many tokens: the tags are computed once.
    pub fn of_sweep(&self, sweep: &str) -> impl Fn(Token) -> bool + use<> {
        let tags = Carrier::ALL.map(|carrier| self.sweep_tag(sweep, carrier.field()));
        move |token| {
            let layout = layout(token.field);
            let tag = tags.get(usize::from(code(token.field)));
            tag == Some(&((token.bits >> (layout.seal + layout.hash)) as u64))
        }
    }

    /// What the collector puts into its answer to a token, so that who asked knows that it was the
    /// collector who saw it, and from where.
    pub fn proof(&self, token: Token, observed: IpAddr) -> u64 {
        let mut input = vec![code(token.field)];
        input.extend_from_slice(&token.bits.to_be_bytes());
        input.extend_from_slice(&octets(observed));
        number(hmac::sign(&self.proof, &input).as_ref(), 0)
    }

    /// The text with which the collector answers a token, by DNS (TXT) or HTTP (body): base 32 over proof and
    /// observed source address, 20 or 39 characters.
    pub fn answer(&self, token: Token, observed: IpAddr) -> String {
        let mut told = self.proof(token, observed).to_be_bytes().to_vec();
        match observed {
            IpAddr::V4(address) => told.extend_from_slice(&address.octets()),
            IpAddr::V6(address) => told.extend_from_slice(&address.octets()),
        }
        data_encoding::BASE32_NOPAD.encode(&told).to_ascii_lowercase()
    }

    /// The source address in such a text, if the collector wrote it for this token.
    pub fn read_answer(&self, token: Token, text: &[u8]) -> Option<IpAddr> {
        if text.len() > 64 {
            return None;
        }
        let told = data_encoding::BASE32_NOPAD.decode(&text.to_ascii_uppercase()).ok()?;
        let (proof, address) = told.split_first_chunk::<8>()?;
        let observed = match address.len() {
            4 => IpAddr::from(<[u8; 4]>::try_from(address).ok()?),
            _ => IpAddr::from(<[u8; 16]>::try_from(address).ok()?),
        };
        (self.proof(token, observed).to_be_bytes() == *proof).then_some(observed)
    }

    /// The chain value behind an entry of the collector's log.
    pub fn chain(&self, previous: &[u8; 32], entry: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.chain);
        context.update(previous);
        context.update(entry);
        let mut value = [0; 32];
        value.copy_from_slice(context.sign().as_ref());
        value
    }

    fn sweep_tag(&self, sweep: &str, field: Carrier) -> u64 {
        let mut context = hmac::Context::with_key(&self.bind);
        context.update(b"sweep\0");
        context.update(sweep.as_bytes());
        number(context.sign().as_ref(), 0) >> (64 - layout(field).sweep)
    }

    fn seal_of(&self, field: Carrier, open: u64) -> u64 {
        let mut input = [0; 9];
        let (first, rest) = input.split_at_mut(1);
        first.copy_from_slice(&[code(field)]);
        rest.copy_from_slice(&open.to_be_bytes());
        self.seal.hash(&input) >> (64 - layout(field).seal)
    }
}

impl Token {
    /// The 16 octets of a 128-bit token.
    pub fn octets(self) -> [u8; 16] {
        self.bits.to_be_bytes()
    }

    /// A token from the octets of its field, first octet highest: 16 or 8 of them.
    pub fn of_octets(field: Carrier, octets: &[u8]) -> Option<Token> {
        if octets.len() * 8 != field.bits() as usize {
            return None;
        }
        let bits = octets.iter().fold(0, |bits, octet| bits << 8 | u128::from(*octet));
        Some(Token { field: field.field(), bits })
    }

    /// Sequence number and timestamp of a SYN.
    pub fn sequence_and_timestamp(self) -> (u32, u32) {
        ((self.bits >> 32) as u32, self.bits as u32)
    }

    pub fn of_syn(sequence: u32, timestamp: u32) -> Token {
        let bits = u128::from(sequence) << 32 | u128::from(timestamp);
        Token { field: Carrier::TcpSyn, bits }
    }

    /// What a reset or an SNMP report echoes: 32 or 31 bits of a number, and the port we ask from, whose highest
    /// bit is set.
    pub fn number_and_port(self) -> (u32, u16) {
        ((self.bits >> 15) as u32, 0x8000 | (self.bits & 0x7fff) as u16)
    }

    /// `None` where the port is none of ours.
    pub fn of_number_and_port(field: Carrier, number: u32, port: u16) -> Option<Token> {
        let bits = u128::from(number) << 15 | u128::from(port & 0x7fff);
        (port & 0x8000 != 0).then_some(Token { field, bits })
    }

    /// One DNS label or path element: 26 letters and digits of base 32, lower case. RFC 4648 §6.
    pub fn label(self) -> String {
        data_encoding::BASE32_NOPAD.encode(&self.octets()).to_ascii_lowercase()
    }

    /// Upper and lower case alike: resolvers may mix them (0x20 encoding).
    pub fn of_label(field: Carrier, label: &[u8]) -> Option<Token> {
        if label.len() != 26 {
            return None;
        }
        let octets = data_encoding::BASE32_NOPAD.decode(&label.to_ascii_uppercase()).ok()?;
        Token::of_octets(field, &octets)
    }

    /// As it stands in a receipt.
    pub fn to_hex(self) -> String {
        let digits = self.field.bits().div_ceil(4) as usize;
        format!("{:0digits$x}", self.bits)
    }

    pub fn from_hex(field: Carrier, text: &str) -> Option<Token> {
        let digits = field.bits().div_ceil(4) as usize;
        if text.len() != digits || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
            return None;
        }
        let bits = u128::from_str_radix(text, 16).ok()?;
        (field.bits() >= 128 || bits >> field.bits() == 0)
            .then_some(Token { field: field.field(), bits })
    }
}

/// Everything that a token is bound to, in a form of fixed width behind the sweep's length and name.
fn binding(sweep: &str, vantage: VantageId, probe: &EgressProbe) -> Vec<u8> {
    let mut input = Vec::with_capacity(160);
    input.extend_from_slice(&(sweep.len() as u64).to_be_bytes());
    input.extend_from_slice(sweep.as_bytes());
    input.extend_from_slice(&probe.number.to_be_bytes());
    input.extend_from_slice(&[probe.method as u8, code(probe.carrier)]);
    for address in [probe.target, probe.asked_from, probe.canary] {
        input.extend_from_slice(&octets(address));
    }
    input.extend_from_slice(&probe.mac.0);
    input.extend_from_slice(&vantage.0.to_be_bytes());
    input.extend_from_slice(&probe.port.to_be_bytes());
    input.extend_from_slice(&[probe.hop_limit, probe.round, probe.redrawn]);
    input.extend_from_slice(&probe.sent_at.as_second().to_be_bytes());
    input
}

/// The family and sixteen octets.
fn octets(address: IpAddr) -> [u8; 17] {
    let mut all = [0; 17];
    let (family, rest) = all.split_at_mut(1);
    let (kind, bits) = match address {
        IpAddr::V4(address) => (4, address.to_ipv6_mapped().octets()),
        IpAddr::V6(address) => (6, address.octets()),
    };
    family.copy_from_slice(&[kind]);
    rest.copy_from_slice(&bits);
    all
}

/// A carrier's number in what is hashed: its place in the list, which only grows.
fn code(carrier: Carrier) -> u8 {
    Carrier::ALL.iter().position(|other| *other == carrier).unwrap_or_default() as u8
}

fn number(digest: &[u8], at: usize) -> u64 {
    let eight = digest.get(at..).and_then(|rest| rest.first_chunk::<8>());
    eight.map_or(0, |octets| u64::from_be_bytes(*octets))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::Mac;
    use crate::observe::EgressMethod;

    fn probe(carrier: Carrier) -> EgressProbe {
        EgressProbe::sample(7, carrier)
    }

    fn key(octet: u8) -> EgressKey {
        EgressKey::from_bytes([octet; 32])
    }

    #[test]
    fn every_carrier_keeps_its_token_through_its_fields() {
        for carrier in Carrier::ALL {
            let token = key(1).token("s", VantageId(0), &probe(carrier));
            assert!(key(1).recognises(token), "{carrier}");
            assert!(key(1).is_of_sweep(token, "s"), "{carrier}");
            assert_eq!(token.bits.checked_shr(carrier.bits()).unwrap_or(0), 0, "{carrier}");
            assert_eq!(Token::from_hex(carrier, &token.to_hex()), Some(token), "{carrier}");
            match carrier.bits() {
                128 => {
                    assert_eq!(Token::of_octets(carrier, &token.octets()), Some(token));
                    let mixed = token.label().to_ascii_uppercase();
                    assert_eq!(Token::of_label(carrier, mixed.as_bytes()), Some(token));
                }
                64 => {
                    let octets = (token.bits as u64).to_be_bytes();
                    assert_eq!(Token::of_octets(carrier, &octets), Some(token));
                    let (sequence, timestamp) = token.sequence_and_timestamp();
                    assert_eq!(Token::of_syn(sequence, timestamp).bits, token.bits);
                }
                _ => {
                    let (number, port) = token.number_and_port();
                    let back = Token::of_number_and_port(token.field, number, port);
                    assert_eq!(back, Some(token));
                }
            }
        }
    }

    #[test]
    fn whatever_a_probe_is_bound_to_changes_its_token() {
        for carrier in Carrier::ALL {
            let base = probe(carrier);
            let token = |probe: &EgressProbe| key(1).token("s", VantageId(0), probe);
            let others = [
                EgressProbe { number: 8, ..base.clone() },
                EgressProbe { method: EgressMethod::Ipv6, ..base.clone() },
                EgressProbe { target: [10, 20, 1, 8].into(), ..base.clone() },
                EgressProbe { mac: Mac([2, 0, 0, 0, 0, 8]), ..base.clone() },
                EgressProbe { asked_from: [10, 20, 1, 6].into(), ..base.clone() },
                EgressProbe { canary: [198, 51, 100, 11].into(), ..base.clone() },
                EgressProbe { port: 80, ..base.clone() },
                EgressProbe { hop_limit: 63, ..base.clone() },
                EgressProbe { round: 2, ..base.clone() },
                EgressProbe { redrawn: 1, ..base.clone() },
                EgressProbe { sent_at: "2026-11-25T01:00:01Z".parse().unwrap(), ..base.clone() },
            ];
            for other in others {
                assert_ne!(token(&base), token(&other), "{other:?}");
            }
            assert_ne!(token(&base), key(1).token("t", VantageId(0), &base), "{carrier}");
            for sweep in ["s", "t", "u"] {
                let of_sweep = key(1).of_sweep(sweep);
                assert_eq!(of_sweep(token(&base)), key(1).is_of_sweep(token(&base), sweep));
            }
            assert_ne!(token(&base), key(1).token("s", VantageId(1), &base), "{carrier}");
            assert_ne!(token(&base), key(2).token("s", VantageId(0), &base), "{carrier}");
        }
    }

    proptest! {
        #[test]
        fn a_changed_bit_breaks_the_seal(bit in 0u32..128, which in 0usize..Carrier::ALL.len()) {
            let carrier = Carrier::ALL[which];
            let token = key(1).token("s", VantageId(0), &probe(carrier));
            let bit = bit % carrier.bits();
            let changed = Token { bits: token.bits ^ 1 << bit, ..token };
            prop_assert!(!key(1).recognises(changed));
        }

        #[test]
        fn no_label_and_no_digits_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = Token::of_label(Carrier::DnsUdp, &octets);
            let text = String::from_utf8_lossy(&octets);
            let _ = (Token::from_hex(Carrier::TcpReset, &text), EgressKey::from_hex(&text));
        }
    }

    #[test]
    fn a_proof_is_for_one_token_and_one_address() {
        let token = key(1).token("s", VantageId(0), &probe(Carrier::DnsUdp));
        let proof = key(1).proof(token, [203, 0, 113, 7].into());
        assert_eq!(proof, key(1).proof(token, [203, 0, 113, 7].into()));
        assert_ne!(proof, key(1).proof(token, [203, 0, 113, 8].into()));
        assert_ne!(proof, key(2).proof(token, [203, 0, 113, 7].into()));
        for observed in [IpAddr::from([203, 0, 113, 7]), "2001:db8::7".parse().unwrap()] {
            let text = key(1).answer(token, observed);
            assert_eq!(key(1).read_answer(token, text.as_bytes()), Some(observed));
            assert_eq!(key(2).read_answer(token, text.as_bytes()), None);
        }
        assert_eq!(format!("{:?}", key(1)), "…");
    }
}
