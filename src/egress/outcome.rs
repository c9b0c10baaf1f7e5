//! What became of a question that was to reach the collector by way of somebody.

/// How a proxy or a resolver took a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Something came back that may be the collector's text: who holds the key tells
    /// ([`super::token::EgressKey::read_answer`]). Never empty.
    Answered(Vec<String>),
    /// It speaks the protocol and did not do it, or what came back is not from the collector: HTTP status, SOCKS
    /// reply or DNS response code.
    Refused(u16),
    /// It would, for those who have credentials.
    WantsCredentials,
    /// It took the connection or the datagram and did not answer.
    Silent,
    /// It speaks something else, or hung up.
    Other,
}

/// The most texts that are handed on.
const MOST_TEXTS: usize = 8;

/// The runs of letters and digits of base 32 that are as long as the collector's text for an IPv4 or an IPv6
/// address, wherever they stand: proxies put frames around pages.
pub(super) fn texts(octets: &[u8]) -> Vec<String> {
    let runs = octets.split(|octet| !matches!(octet, b'a'..=b'z' | b'A'..=b'Z' | b'2'..=b'7'));
    runs.filter(|run| matches!(run.len(), 20 | 39))
        .take(MOST_TEXTS)
        .map(|run| String::from_utf8_lossy(run).into_owned())
        .collect()
}

impl Outcome {
    /// From what came back with a status.
    pub(super) fn of(octets: &[u8], status: u16) -> Outcome {
        let texts = texts(octets);
        if texts.is_empty() { Outcome::Refused(status) } else { Outcome::Answered(texts) }
    }
}
