//! SIP (RFC 3261) over UDP, and over TCP where a segment begins with a message: telephones, their servers, and who registers.
//!
//! Taken: User-Agent and Server, the method, and of REGISTER the address of record without a password in it. Left: calls
//! (who rings whom is nobody's business here), credentials, tags, routes.

use super::dns::tcp_ports;
use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::head::Head;
use crate::wire::tcp::TcpSegment;
use crate::wire::{Protocol, WireError};

pub(super) struct Sip;

const PORT: u16 = 5060;
const VERSION: &[u8] = b"SIP/2.0";
const METHODS: &[&str] = &[
    "REGISTER",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "MESSAGE",
    "REFER",
    "UPDATE",
    "PRACK",
];

impl Dissector for Sip {
    fn name(&self) -> &'static str {
        "sip"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[
            Wake::Udp(PORT),
            Wake::Datagram(0, b"SIP/2.0 "),
            Wake::Datagram(0, b"REGISTER sip:"),
            Wake::Protocol(Protocol::TCP),
        ]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let payload = match packet.ports {
            Some(_) => packet.payload,
            None => match tcp_ports(packet.payload) {
                Some((PORT, _) | (_, PORT)) => TcpSegment::read(packet.payload)?.payload,
                _ => return Ok(()),
            },
        };
        // Blank lines keep a binding alive (RFC 5626 §3.5.1), or stand before a message.
        let payload = payload.trim_ascii_start();
        let head = Head::read(payload);
        let field = |name: &str, short: &str| head.field(name).or_else(|| head.field(short));
        let put = |details: &mut Vec<Detail>, name: &str, value: Option<&[u8]>| {
            if let Some(value) = value {
                details.push(Detail::new(name, Foreign::from_bytes(value)));
            }
        };
        let mut details = Vec::new();
        let (role, peer) = if head.first.starts_with(VERSION) {
            // An answer: who was asked speaks.
            put(&mut details, "server", head.field("Server"));
            put(&mut details, "user-agent", head.field("User-Agent"));
            ("server", None)
        } else {
            let method = head.first.split(|octet| *octet == b' ').next().unwrap_or_default();
            let Some(method) = METHODS.iter().find(|known| known.as_bytes() == method) else {
                // Junk is no message, and may stand before one.
                return Ok(());
            };
            if !head.first.ends_with(VERSION) {
                return Ok(());
            }
            details.push(Detail::new("method", Foreign::new(method)));
            put(&mut details, "user-agent", head.field("User-Agent"));
            if *method == "REGISTER" {
                let record = field("To", "t").and_then(address_of_record);
                put(&mut details, "address-of-record", record.as_deref());
            }
            ("client", Some(ip.destination))
        };
        facts.say(said(packet, self.name(), role, peer, details));
        Ok(())
    }
}

/// The address in a field like `"Desk" <sip:100:secret@pbx.example;x=y>;tag=1`, without what is secret or passing.
fn address_of_record(field: &[u8]) -> Option<Vec<u8>> {
    let start = field.iter().position(|octet| *octet == b'<').map_or(0, |at| at.saturating_add(1));
    let address = field.get(start..)?;
    let end = address.iter().position(|octet| matches!(octet, b'>' | b';' | b'?' | b' '));
    let address = address.get(..end.unwrap_or(address.len()))?;
    let scheme = address.iter().position(|octet| *octet == b':')?.saturating_add(1);
    let (scheme, rest) = address.split_at_checked(scheme)?;
    let Some(at) = rest.iter().rposition(|octet| *octet == b'@') else {
        return Some(address.to_vec());
    };
    let (user, host) = rest.split_at_checked(at)?;
    // RFC 3261 §19.1.1: a password may stand behind the user.
    let user = user.split(|octet| *octet == b':').next()?;
    Some([scheme, user, host].concat())
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn a_telephone_registers_without_its_password() {
        let text = "\r\nREGISTER sip:pbx.example SIP/2.0\r\nt: \"Desk\" <sip:100:secret@pbx.example;x=1>;tag=7\r\n\
            User-Agent: Phone 1.2\r\nAuthorization: Digest response=\"abc\"\r\n\r\n";
        let found = facts(&datagram(("10.20.1.9", 5060), ("10.20.1.7", 5060), text.as_bytes()));
        let [Fact::Said(said)] = &found[..] else { panic!("{found:?}") };
        let told: Vec<_> = said.details.iter().map(|d| (d.name.as_str(), d.value.raw())).collect();
        let expected = [
            ("method", "REGISTER"),
            ("user-agent", "Phone 1.2"),
            ("address-of-record", "sip:100@pbx.example"),
        ];
        assert_eq!(told, expected);
        let answer = b"SIP/2.0 200 OK\r\nServer: PBX\r\n\r\n";
        let found = facts(&datagram(("10.20.1.7", 6000), ("10.20.1.9", 7000), answer));
        assert!(matches!(&found[..], [Fact::Said(said)] if said.role == "server"));
        assert_eq!(facts(&datagram(("10.20.1.7", 5060), ("10.20.1.9", 7000), b"\0\0\0\0")), []);
    }
}
