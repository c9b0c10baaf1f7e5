//! SSDP (UPnP device architecture 1.1 §1): devices that announce themselves, what is searched for, and the answers.
//!
//! Taken: NOTIFY, M-SEARCH and answers (which come from and go to any port, and are told by their first words): server,
//! location, target, unique service name, user agent. Left: ages, boot and configuration numbers, farewells (`ssdp:byebye`
//! says that something goes).

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::heard_names::Ssdp as Message;
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::head::Head;

pub(super) struct Ssdp;

const PORT: u16 = 1900;

impl Dissector for Ssdp {
    fn name(&self) -> &'static str {
        "ssdp"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[
            Wake::Udp(PORT),
            Wake::Datagram(0, b"NOTIFY * HTTP/1."),
            Wake::Datagram(0, b"M-SEARCH * HTTP/1."),
            Wake::Datagram(0, b"HTTP/1.1 200 OK"),
        ]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let head = Head::read(packet.payload);
        let method = match head.first.split(|octet| *octet == b' ').next() {
            Some(b"NOTIFY") => "NOTIFY",
            Some(b"M-SEARCH") => "M-SEARCH",
            Some(b"HTTP/1.1" | b"HTTP/1.0") => "response",
            // Other programs use the port; SSDP has no form in which it could be odd.
            _ => return Ok(()),
        };
        let field = |name| head.field(name).map(Foreign::from_bytes);
        let target = field("ST").or_else(|| field("NT"));
        let is_notify = method == "NOTIFY";
        if is_notify
            && head.field("NTS").is_some_and(|nts| nts.eq_ignore_ascii_case(b"ssdp:byebye"))
        {
            return Ok(());
        }
        // HTTP over UDP that is none of SSDP.
        if method == "response" && target.is_none() && head.field("USN").is_none() {
            return Ok(());
        }
        facts.put(
            Source::Heard,
            Fact::Ssdp(Message {
                ip: ip.source,
                mac: packet.source,
                method: method.to_owned(),
                server: field("SERVER"),
                location: field("LOCATION"),
                target,
                usn: field("USN"),
                user_agent: field("USER-AGENT"),
            }),
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use super::*;

    fn message(ports: (u16, u16), text: &str) -> Option<Message> {
        let frame = datagram(("10.20.1.9", ports.0), ("10.20.1.7", ports.1), text.as_bytes());
        facts(&frame).into_iter().find_map(|fact| match fact {
            Fact::Ssdp(message) => Some(message),
            _ => None,
        })
    }

    #[test]
    fn announcements_searches_and_answers_from_any_port() {
        let notify = "NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: upnp:rootdevice\r\nNTS: ssdp:alive\r\n\
            SERVER: Linux/4 UPnP/1.1 x/1\r\nUSN: uuid:1::upnp:rootdevice\r\nLOCATION: http://10.20.1.9/d.xml\r\n\r\n";
        let found = message((40000, 1900), notify).unwrap();
        assert_eq!(
            (found.method.as_str(), found.server.unwrap().raw()),
            ("NOTIFY", "Linux/4 UPnP/1.1 x/1")
        );
        assert_eq!(found.target.unwrap().raw(), "upnp:rootdevice");
        assert_eq!(message((1, 1900), &notify.replace("alive", "byebye")), None);
        let answer = "HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\nUSN: uuid:1\r\n\r\n";
        assert_eq!(message((40000, 50000), answer).unwrap().method, "response");
        assert_eq!(message((40000, 50000), "HTTP/1.1 200 OK\r\n\r\n"), None);
        assert_eq!(message((40000, 1900), "\x01\x02"), None);
    }
}
