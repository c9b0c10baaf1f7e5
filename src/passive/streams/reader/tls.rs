//! TLS (RFC 8446, 5246): hellos, and the certificates of versions up to 1.2.
//!
//! Taken: of a ClientHello the server's name, ALPN, versions and the fingerprint JA4; of a ServerHello the version and the cipher
//! suite; the certificates of the server, and of a client that shows one. Left: everything encrypted, sessions and tickets, and
//! JA4's relatives, which are not under a free licence. A chain that is longer than a head is told as far as it goes.

use super::{End, Head, Reader, Verdict};
use crate::observe::{Fact, Foreign, SeenCertificate, TlsCertificates, TlsClient, TlsServer};
use crate::wire::tls::{self, ClientHello, Message, ServerHello};
use crate::wire::x509::Certificate;

pub(super) struct Tls;

/// Certificates of one chain, names of one hello.
const MOST_CHAIN: usize = 10;
/// The octets of a message's header.
const MESSAGE: usize = 4;
const MOST_ALPN: usize = 32;
const MOST_VERSIONS: usize = 16;

impl Reader for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn read(&self, head: &Head<'_>, said: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        // A server may warn that it does not know the name, and go on. RFC 6066 §3.
        if let [21, 3, _, 0, 2, 1, _, ..] = head.bytes {
            return Verdict::Took(7);
        }
        if !tls::starts_record(head.bytes) {
            return if *said > 0 { Verdict::Done } else { Verdict::No };
        }
        let taken = tls::handshake(head.bytes);
        // Messages said, and how many of them are not in these bytes any more.
        let dropped = *said >> 8;
        for (place, message) in (dropped..).zip(tls::messages(&taken.bytes)) {
            if place == 0 && !matches!(message.kind, tls::CLIENT_HELLO | tls::SERVER_HELLO) {
                return Verdict::No;
            }
            if place > 0 && message.kind != tls::CERTIFICATE {
                return Verdict::Done;
            }
            if !message.complete && !head.is_last {
                break;
            }
            if place < *said & 0xff {
                continue;
            }
            *said = dropped << 8 | place.saturating_add(1);
            if !self.message(head, message, tell) {
                return Verdict::Done;
            }
            // A hello that fills its records need not be held while a certificate is waited for.
            if message.body.len().saturating_add(MESSAGE) == taken.bytes.len() && taken.is_whole() {
                *said |= 1 << 8;
                return Verdict::Took(taken.octets);
            }
        }
        if taken.ended { Verdict::Done } else { Verdict::More(taken.needed) }
    }
}

impl Tls {
    /// Whether a message follows that is wanted.
    fn message(&self, head: &Head<'_>, message: Message<'_>, tell: &mut dyn FnMut(Fact)) -> bool {
        match message.kind {
            tls::CLIENT_HELLO => {
                let Ok(hello) = ClientHello::read(message.body) else { return false };
                tell(client_fact(&hello, "tcp", head.from, head.to));
                true
            }
            tls::SERVER_HELLO => {
                let Ok(hello) = ServerHello::read(message.body) else { return false };
                tell(server_fact(hello, "tcp", head.from));
                hello.selected_version.is_none()
            }
            _ => {
                let chain: Vec<SeenCertificate> =
                    tls::certificates(message.body).take(MOST_CHAIN).filter_map(seen).collect();
                if !chain.is_empty() {
                    let role = head.role();
                    tell(Fact::TlsCertificates(TlsCertificates {
                        ip: head.speaker(),
                        port: head.port(role),
                        role,
                        chain,
                    }));
                }
                false
            }
        }
    }
}

fn seen(bytes: &[u8]) -> Option<SeenCertificate> {
    let certificate = Certificate::read(bytes).ok()?;
    Some(SeenCertificate {
        sha256: tls::sha256(bytes),
        subject: Foreign::new(&certificate.subject),
        issuer: Foreign::new(&certificate.issuer),
        serial: certificate.serial,
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        names: certificate.names.iter().map(|name| Foreign::new(name)).collect(),
    })
}

/// What a ClientHello says, over TCP or in QUIC.
pub(in super::super) fn client_fact(
    hello: &ClientHello<'_>,
    transport: &'static str,
    client: End,
    server: End,
) -> Fact {
    let mut versions: Vec<u16> =
        hello.versions.iter().copied().filter(|version| !tls::is_grease(*version)).collect();
    if versions.is_empty() {
        versions.push(hello.version);
    }
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions.truncate(MOST_VERSIONS);
    // A name of GREASE is another one each time. RFC 8701 §3.1.
    let is_grease = |protocol: &[u8]| match protocol {
        [a, b] => tls::is_grease(u16::from_be_bytes([*a, *b])),
        _ => false,
    };
    let alpn = hello.alpn.iter().filter(|protocol| !is_grease(protocol));
    Fact::TlsClient(TlsClient {
        client: client.0,
        server: server.0,
        port: server.1,
        transport: transport.to_owned(),
        server_name: hello.server_name.map(Foreign::from_bytes),
        alpn: alpn.take(MOST_ALPN).map(|protocol| Foreign::from_bytes(protocol)).collect(),
        versions,
        ja4: hello.ja4(if transport == "quic" { 'q' } else { 't' }),
    })
}

pub(in super::super) fn server_fact(hello: ServerHello, transport: &str, server: End) -> Fact {
    let ServerHello { version, cipher, selected_version } = hello;
    Fact::TlsServer(TlsServer {
        ip: server.0,
        port: server.1,
        transport: transport.to_owned(),
        version,
        selected_version,
        cipher,
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::said;
    use super::*;
    use crate::observe::Role;
    use crate::wire::tls::check::client_hello;

    #[test]
    fn a_client_hello_says_whom_it_wants() {
        let hello = client_hello("portal.example");
        let told = said(8443, Role::Client, &hello);
        let [Fact::TlsClient(client)] = &told[..] else { panic!("{told:?}") };
        assert_eq!(client.server_name.as_ref().map(Foreign::raw), Some("portal.example"));
        assert_eq!((client.port, &client.versions[..]), (8443, &[0x0304, 0x0303][..]));
    }

    /// ServerHello and Certificate in two records whose border is in the middle of the second message.
    #[test]
    fn a_server_shows_its_certificates() {
        let key = rcgen::generate_simple_self_signed(vec!["a.example".to_owned()]).unwrap();
        let der = key.cert.der().to_vec();
        let long = |n: usize| [0, (n >> 8) as u8, n as u8];
        let hello = [&[3, 3][..], &[7; 32], &[0, 0xc0, 0x2f, 0]].concat();
        let body = [&long(der.len() + 3)[..], &long(der.len()), &der].concat();
        let messages =
            [&[2][..], &long(hello.len()), &hello, &[11], &long(body.len()), &body, &[14, 0, 0, 0]]
                .concat();
        let records: Vec<u8> = messages
            .chunks(100)
            .flat_map(|part| [&[22, 3, 3, 0, part.len() as u8][..], part].concat())
            .collect();
        let told = said(443, Role::Server, &records);
        let [Fact::TlsServer(server), Fact::TlsCertificates(shown)] = &told[..] else {
            panic!("{told:?}")
        };
        assert_eq!(
            (server.version, server.cipher, server.selected_version),
            (0x0303, 0xc02f, None)
        );
        assert_eq!((shown.role, shown.port), (Role::Server, Some(443)));
        assert_eq!(shown.chain[0].names[0].raw(), "a.example");
    }
}
