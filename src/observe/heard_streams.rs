//! What the heads of streams say: who listens, who talks to whom by which name, and with what software.
//!
//! Ports of clients are left out: they differ between two sightings of the same thing. `port` is the server's;
//! `None` says that the speaker is the client.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::Foreign;

/// Which end of a conversation somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Client,
    Server,
}

impl Role {
    pub const fn word(self) -> &'static str {
        match self {
            Role::Client => "client",
            Role::Server => "server",
        }
    }
}

/// How a host opens TCP connections (SYN), or takes them (SYN-ACK).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TcpSyn {
    pub ip: IpAddr,
    /// The client opens, the server takes.
    pub role: Role,
    /// As it arrived.
    pub hop_limit: u8,
    /// `None` in IPv6, which has no such flag.
    pub dont_fragment: Option<bool>,
    pub window: u16,
    /// The options in their order with what they say, then what is unusual: `mss=1460,sok,ts,nop,ws=7 id+`.
    pub signature: String,
    /// The family of systems that opens connections like this: `windows`, `linux`, `apple`, `bsd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// A TLS ClientHello, over TCP or in QUIC.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TlsClient {
    pub client: IpAddr,
    pub server: IpAddr,
    pub port: u16,
    /// `tcp` or `quic`.
    pub transport: String,
    pub server_name: Option<Foreign>,
    pub alpn: Vec<Foreign>,
    /// Without GREASE, the best first.
    pub versions: Vec<u16>,
    pub ja4: String,
}

/// A TLS ServerHello: what the server chose for this client.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TlsServer {
    pub ip: IpAddr,
    pub port: u16,
    pub transport: String,
    /// The field of the header.
    pub version: u16,
    /// What the extension says instead, from TLS 1.3 on.
    pub selected_version: Option<u16>,
    pub cipher: u16,
}

/// The certificates that somebody showed, its own first. Only TLS up to 1.2 shows them on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TlsCertificates {
    pub ip: IpAddr,
    pub port: Option<u16>,
    pub role: Role,
    pub chain: Vec<SeenCertificate>,
}

/// X.509, as far as an inventory wants it. Nothing is checked: no signature, no date.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeenCertificate {
    /// Of the whole certificate, hex.
    pub sha256: String,
    /// As RFC 4514 writes names, the last part first.
    pub subject: Foreign,
    pub issuer: Foreign,
    /// Hex, upper case.
    pub serial: String,
    /// `2026-01-31T00:00:00Z`; what cannot be read is empty.
    pub not_before: String,
    pub not_after: String,
    /// The names it is for: at most 32 DNS names and addresses.
    pub names: Vec<Foreign>,
}

/// Whom an HTTP client asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HttpHost {
    pub client: IpAddr,
    pub server: IpAddr,
    pub port: u16,
    pub host: Foreign,
}

/// What a client says of its software.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UserAgent {
    pub client: IpAddr,
    /// `http`, `rtsp`, `sip`.
    pub protocol: String,
    pub user_agent: Foreign,
    /// `windows`, `linux`, `android`, `ios`, `macos`, `harmonyos`: claimed, and easily changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
}

/// A protocol that somebody speaks over TCP, and what its first words say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpokenService {
    pub ip: IpAddr,
    pub port: Option<u16>,
    pub role: Role,
    /// `ssh`, `http`, `ftp`, `mysql` …
    pub protocol: String,
    /// A banner, a Server header, a version, a client id; `None` where the protocol alone is told.
    pub says: Option<Foreign>,
}

/// What somebody says of itself by SMB.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SmbSpeaker {
    pub ip: IpAddr,
    pub port: Option<u16>,
    /// `0x0311` and the like; `NT LM 0.12` for SMB 1.
    pub dialect: Option<String>,
    pub server_guid: Option<String>,
    pub native_os: Option<Foreign>,
    pub native_lanman: Option<Foreign>,
}

/// The names in an NTLM challenge. The challenge itself is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NtlmServer {
    pub ip: IpAddr,
    pub port: u16,
    pub target: Foreign,
    pub netbios_computer: Foreign,
    pub netbios_domain: Foreign,
    pub dns_computer: Foreign,
    pub dns_domain: Foreign,
}

/// The names in an NTLM authenticate message. Responses are not kept.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NtlmClient {
    pub ip: IpAddr,
    pub host: Foreign,
    pub user: Foreign,
    pub domain: Foreign,
}
