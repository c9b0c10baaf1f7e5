//! Receipts: what the collector writes down of each token that reached it, one JSON line an entry.
//!
//! ```json
//! {"receipt":{"n":17,"at":"…","canary":"198.51.100.10","observed":"203.0.113.7", …},
//!  "previous":"…","chain":"…","signature":"ed25519:…"}
//! ```
//!
//! `chain = HMAC-SHA-256(K, previous ‖ the octets of "receipt" as they stand)`: an entry that was changed, put in or taken
//! out shows, to whoever has the egress key. `signature`, where the collector has a signing key, is over the chain value:
//! it shows the same to whoever has not.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::token::{EgressKey, Token};
use crate::observe::Carrier;

/// What a collector's log and its interface hand out.
pub const SCHEMA: &str = "jiebei.receipt/1";
/// The longest line: raw octets are the most of it.
pub const MOST_LINE: usize = 4096;
/// Octets kept of a captured packet, from its IP header on.
pub const MOST_RAW: usize = 256;
/// Where a chain begins.
pub const GENESIS: [u8; 32] = [0; 32];

/// One token that reached the collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub schema: String,
    /// Its number in the collector's log, from 1.
    pub n: u64,
    /// When it came, by the collector's clock.
    pub at: Timestamp,
    /// The canary that it came to.
    pub canary: IpAddr,
    /// The source address it came from: where the way out ends.
    pub observed: IpAddr,
    pub observed_port: u16,
    /// The port it came to; zero for ICMP.
    pub port: u16,
    /// `icmp`, `icmpv6`, `tcp`, `udp`.
    pub protocol: String,
    /// As it arrived; zero where the kernel took the packet (DNS, HTTP).
    pub hop_limit: u8,
    /// In which field the token was ([`Carrier::field`]).
    pub field: Carrier,
    /// Hex.
    pub token: String,
    /// The packet from its IP header on, hex, cut; empty where the kernel took it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub raw: String,
    /// What relays said of themselves in an HTTP request: `Via`, `X-Forwarded-For`; cut, printable ASCII.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub relayed: String,
}

impl Receipt {
    pub fn token(&self) -> Option<Token> {
        Token::from_hex(self.field, &self.token)
    }
}

/// One line of the log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The receipt's octets as they stand: the chain is over them.
    pub receipt: Box<RawValue>,
    pub previous: String,
    pub chain: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// Why a line is no entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadEntry {
    #[error("longer than an entry can be")]
    TooLong,
    #[error("no entry: {0}")]
    NotAnEntry(String),
    #[error("its chain value is not that of this egress key")]
    Chain,
}

/// An entry whose chain value is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub receipt: Receipt,
    pub previous: [u8; 32],
    pub chain: [u8; 32],
    pub signature: Option<String>,
}

/// The next line of a log, without its line end, and its chain value.
pub fn write(
    key: &EgressKey,
    previous: &[u8; 32],
    receipt: &Receipt,
    sign: &mut dyn FnMut(&[u8; 32]) -> Option<String>,
) -> Result<(String, [u8; 32]), serde_json::Error> {
    let text = serde_json::to_string(receipt)?;
    let chain = key.chain(previous, text.as_bytes());
    let entry = Entry {
        receipt: RawValue::from_string(text)?,
        previous: data_encoding::HEXLOWER.encode(previous),
        chain: data_encoding::HEXLOWER.encode(&chain),
        signature: sign(&chain),
    };
    Ok((serde_json::to_string(&entry)?, chain))
}

/// Reads one line and checks its chain value.
pub fn read(key: &EgressKey, line: &str) -> Result<Checked, BadEntry> {
    if line.len() > MOST_LINE {
        return Err(BadEntry::TooLong);
    }
    let told = |fault: serde_json::Error| {
        BadEntry::NotAnEntry(fault.to_string().chars().take(120).collect())
    };
    let entry: Entry = serde_json::from_str(line).map_err(told)?;
    let receipt: Receipt = serde_json::from_str(entry.receipt.get()).map_err(told)?;
    let value = |text: &str, name: &str| -> Result<[u8; 32], BadEntry> {
        let octets = data_encoding::HEXLOWER.decode(text.as_bytes()).ok();
        octets
            .and_then(|octets| octets.try_into().ok())
            .ok_or_else(|| BadEntry::NotAnEntry(format!("{name} is not 64 hexadecimal digits")))
    };
    let previous = value(&entry.previous, "previous")?;
    let chain = value(&entry.chain, "chain")?;
    if key.chain(&previous, entry.receipt.get().as_bytes()) != chain {
        return Err(BadEntry::Chain);
    }
    Ok(Checked { receipt, previous, chain, signature: entry.signature })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn receipt(n: u64, token: Token) -> Receipt {
        Receipt {
            schema: SCHEMA.to_owned(),
            n,
            at: "2026-11-25T01:00:01Z".parse().unwrap(),
            canary: [198, 51, 100, 10].into(),
            observed: [203, 0, 113, 7].into(),
            observed_port: 40_000,
            port: 443,
            protocol: "tcp".to_owned(),
            hop_limit: 61,
            field: token.field,
            token: token.to_hex(),
            raw: String::new(),
            relayed: String::new(),
        }
    }

    #[test]
    fn an_entry_is_read_as_written_and_by_its_key_alone() {
        let key = EgressKey::from_bytes([1; 32]);
        let written = receipt(1, Token { field: Carrier::TcpSyn, bits: 7 });
        let (line, chain) = write(&key, &GENESIS, &written, &mut |_| None).unwrap();
        let read_back = read(&key, &line).unwrap();
        assert_eq!((read_back.receipt, read_back.chain), (written, chain));
        assert_eq!(read(&EgressKey::from_bytes([2; 32]), &line), Err(BadEntry::Chain));
        let changed = line.replace("203.0.113.7", "203.0.113.8");
        assert_eq!(read(&key, &changed), Err(BadEntry::Chain));
        for cut in 0..line.len() {
            assert!(read(&key, &line[..cut]).is_err(), "{cut}");
        }
    }
}
