//! The method `dns`: a resolver is asked for a one-time name under the canary zone.
//!
//! Sent: a query for TXT of `TOKEN.ZONE` with recursion desired and without EDNS (RFC 1035), by UDP, by TCP, and
//! by TLS on port 853 (RFC 7858). Any certificate is taken there: the proof is in the answer.
//!
//! Proves: whoever asked the collector's server last left by the public address that its text names; and that this
//! resolver has a path to it. Misleads: a forwarder has no way out of its own, its upstream has, so the finding is about the way out that the
//! address shows. Misses: split views and filters that never recurse.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error as TlsError, SignatureScheme,
    StreamOwned,
};
use thiserror::Error;

use super::outcome::{self, Outcome};
use super::token::Token;
use crate::scope::Datagrams;

/// Where resolvers answer.
pub const PORT: u16 = 53;
pub const TLS_PORT: u16 = 853;
/// By UDP it is asked so often, for a datagram may be lost. The second is the same: the receipt is one.
const TIMES: usize = 2;
/// Datagrams that are looked at after each: a resolver sends one.
const MOST_DATAGRAMS: usize = 16;
/// The longest answer that is read by TCP. The collector's has under 200 octets.
const MOST_ANSWER: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a zone under which a name with a token fits")]
pub struct BadZone;

/// One question, ready to be sent by any way.
#[derive(Debug, Clone)]
pub struct Question {
    name: Name,
    id: u16,
    octets: Vec<u8>,
}

impl Question {
    /// For the name of a token under the zone.
    ///
    /// # Errors
    ///
    /// When the zone is no name, or the name would be longer than 255 octets.
    pub fn new(token: Token, zone: &str) -> Result<Question, BadZone> {
        let text = format!("{}.{}.", token.label(), zone.trim_end_matches('.'));
        let name = Name::from_ascii(text).map_err(|_| BadZone)?;
        // As hard to guess as the token.
        let id = (token.bits >> 64) as u16;
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name.clone(), RecordType::TXT));
        let octets = message.to_vec().map_err(|_| BadZone)?;
        Ok(Question { name, id, octets })
    }

    /// Reads an answer; `None` for what answers something else.
    fn read(&self, octets: &[u8]) -> Option<Outcome> {
        let message = Message::from_vec(octets).ok()?;
        let head = &message.metadata;
        let ours = head.id == self.id && head.message_type == MessageType::Response;
        // Some leave the question out of a refusal; none answers another one.
        let asked = message.queries.iter().all(|query| *query.name() == self.name);
        if !ours || !asked {
            return None;
        }
        let mut said = Vec::new();
        for record in &message.answers {
            if let RData::TXT(text) = &record.data {
                said.extend(text.txt_data.iter().flat_map(|part| part.iter().copied()));
                said.push(b' ');
            }
        }
        let code = u16::from(head.response_code);
        let texts = outcome::texts(&said);
        Some(if texts.is_empty() { Outcome::Refused(code) } else { Outcome::Answered(texts) })
    }
}

/// Asks by UDP. What comes from another port, or answers something else, is passed over.
pub fn ask_by_udp(datagrams: &mut Datagrams, question: &Question) -> Outcome {
    for _ in 0..TIMES {
        if datagrams.send(&question.octets).is_err() {
            return Outcome::Silent;
        }
        // Silence ends the turn, and so does noise.
        for _ in 0..MOST_DATAGRAMS {
            let Ok((port, octets)) = datagrams.receive() else { break };
            if port != datagrams.to().port() {
                continue;
            }
            if let Some(outcome) = question.read(&octets) {
                return outcome;
            }
        }
    }
    Outcome::Silent
}

/// Asks over a connection. RFC 7766.
pub fn ask_by_tcp<S: Read + Write>(mut stream: S, question: &Question) -> Outcome {
    match converse(&mut stream, question) {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Outcome::Other,
        Err(error) => match error.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Outcome::Silent,
            _ => Outcome::Other,
        },
    }
}

/// Asks by TLS over a connection to `resolver`.
pub fn ask_by_tls<S: Read + Write>(stream: S, resolver: IpAddr, question: &Question) -> Outcome {
    let Some(config) = tls() else { return Outcome::Other };
    match ClientConnection::new(config, ServerName::from(resolver)) {
        Ok(connection) => ask_by_tcp(StreamOwned::new(connection, stream), question),
        Err(_) => Outcome::Other,
    }
}

fn converse(stream: &mut (impl Read + Write), question: &Question) -> io::Result<Option<Outcome>> {
    let length = u16::try_from(question.octets.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // One write, or some resolvers see a message of two octets.
    let framed = [&length.to_be_bytes()[..], &question.octets].concat();
    stream.write_all(&framed)?;
    stream.flush()?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let length = usize::from(u16::from_be_bytes(length));
    if length > MOST_ANSWER {
        return Ok(None);
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    Ok(question.read(&answer))
}

/// Made once; `None` never, unless the provider lost TLS 1.2 and 1.3.
fn tls() -> Option<Arc<ClientConfig>> {
    static CONFIG: OnceLock<Option<Arc<ClientConfig>>> = OnceLock::new();
    let make = || {
        let provider = Arc::new(ring::default_provider());
        let verifier = Arc::new(AnyCertificate(Arc::clone(&provider)));
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().ok()?;
        let mut config =
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"dot".to_vec()];
        Some(Arc::new(config))
    };
    CONFIG.get_or_init(make).clone()
}

/// Takes every certificate, for nothing secret is said and the answer proves itself. The handshake's signature
/// must still be the certificate's.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::Record;
    use hickory_proto::rr::rdata::TXT;
    use proptest::prelude::*;

    use super::*;
    use crate::observe::Carrier;

    fn question() -> Question {
        let token = Token { field: Carrier::DnsUdp, bits: 0x1234 << 64 | 7 };
        Question::new(token, "W.example.net.").unwrap()
    }

    fn answer(change: impl FnOnce(&mut Message)) -> Vec<u8> {
        let question = question();
        let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
        message.add_query(Query::query(question.name.clone(), RecordType::TXT));
        change(&mut message);
        message.to_vec().unwrap()
    }

    fn with_text(message: &mut Message, text: &str) {
        let data = RData::TXT(TXT::new(vec![text.to_owned()]));
        message.add_answer(Record::from_rdata(question().name, 0, data));
    }

    #[test]
    fn an_answer_to_another_question_is_none() {
        let text = "abcdefghijklmnopqrst";
        let check = |octets: Vec<u8>, expected: Option<Outcome>| {
            assert_eq!(question().read(&octets), expected);
        };
        let answered = Some(Outcome::Answered(vec![text.to_owned()]));
        check(answer(|message| with_text(message, text)), answered.clone());
        // Mixed case comes back from resolvers that mix it.
        let mixed = |message: &mut Message| {
            let name = Name::from_ascii(question().name.to_ascii().to_ascii_uppercase()).unwrap();
            message.queries[0].set_name(name);
            with_text(message, text);
        };
        check(answer(mixed), answered);
        check(answer(|message| with_text(message, "v=spf1 -all")), Some(Outcome::Refused(0)));
        check(
            answer(|message| message.metadata.response_code = 5.into()),
            Some(Outcome::Refused(5)),
        );
        check(answer(|message| message.metadata.id ^= 1), None);
        check(answer(|message| message.metadata.message_type = MessageType::Query), None);
        let other = |message: &mut Message| {
            message.queries[0].set_name(Name::from_ascii("x.example.net.").unwrap());
        };
        check(answer(other), None);
    }

    #[test]
    fn the_question_is_a_plain_one() {
        let question = question();
        let message = Message::from_vec(&question.octets).unwrap();
        assert!(message.metadata.recursion_desired && message.edns.is_none());
        assert_eq!(message.metadata.id, 0x1234);
        assert_eq!(message.queries[0].query_type(), RecordType::TXT);
        let token = Token { field: Carrier::DnsUdp, bits: 1 };
        assert!(Question::new(token, &"long.".repeat(60)).is_err());
        assert!(Question::new(token, "a..b").is_err());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..120), at in 0usize..80, bit in 0u8..8) {
            let _ = question().read(&octets);
            let mut answer = answer(|message| with_text(message, "abcdefghijklmnopqrst"));
            if let Some(octet) = answer.get_mut(at) {
                *octet ^= 1 << bit;
            }
            let _ = question().read(&answer);
        }
    }
}
