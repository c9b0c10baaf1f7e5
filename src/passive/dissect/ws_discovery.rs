//! WS-Discovery (OASIS, 2009 and the draft of 2005 that cameras and printers speak): what devices say they are.
//!
//! Taken: of Hello, Bye, Probe, Resolve and their matches the endpoint, types, scopes (of ONVIF devices: name, hardware,
//! place) and transport addresses. Left: message ids, sequence numbers, versions of metadata.

use super::{Dissector, Facts, Packet, Wake};
use crate::observe::heard_names::{Detail, Said};
use crate::observe::{Fact, Foreign, Source};
use crate::wire::WireError;
use crate::wire::leaves::leaves;

pub(super) struct WsDiscovery;

/// Texts taken of one message: a proxy answers for some devices.
const MOST: usize = 64;

impl Dissector for WsDiscovery {
    fn name(&self) -> &'static str {
        "ws-discovery"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(3702)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let Some(ip) = packet.ip else { return Ok(()) };
        let mut role = None;
        let mut details = Vec::new();
        let is_whole = leaves(packet.payload, |parent, name, text| {
            let word = match (parent, name) {
                (_, "Action") => {
                    role = text.rsplit('/').next().and_then(word);
                    return;
                }
                ("EndpointReference", "Address") => "endpoint",
                (_, "Types") => "types",
                (_, "Scopes") => "scopes",
                (_, "XAddrs") => "xaddrs",
                _ => return,
            };
            // Scopes of ONVIF are longer than a name, and each means something by itself.
            for part in text.split_ascii_whitespace() {
                let detail = Detail::new(word, Foreign::new(part));
                if details.len() < MOST && !details.contains(&detail) {
                    details.push(detail);
                }
            }
        });
        match role {
            Some(role) => facts.put(
                Source::Heard,
                Fact::Said(Said {
                    protocol: self.name().to_owned(),
                    role: role.to_owned(),
                    ip: ip.source,
                    mac: packet.source,
                    peer: None,
                    details,
                }),
            ),
            None if is_whole => {}
            None => return Err(WireError::Wrong { what: self.name(), why: "no readable XML" }),
        }
        Ok(())
    }
}

fn word(action: &str) -> Option<&'static str> {
    Some(match action {
        "Hello" => "hello",
        "Bye" => "bye",
        "Probe" => "probe",
        "ProbeMatches" => "probe-matches",
        "Resolve" => "resolve",
        "ResolveMatches" => "resolve-matches",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use super::*;

    const MATCH: &str = "<?xml version='1.0'?><s:Envelope><s:Header><a:MessageID>uuid:7</a:MessageID>\
        <a:ReplyTo><a:Address>http://x/anonymous</a:Address></a:ReplyTo>\
        <a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action></s:Header><s:Body>\
        <d:ProbeMatches><d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:1</a:Address></a:EndpointReference>\
        <d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>onvif://www.onvif.org/name/CAM onvif://www.onvif.org/hardware/X1\
        </d:Scopes><d:XAddrs>http://10.20.1.9/onvif</d:XAddrs></d:ProbeMatch></d:ProbeMatches></s:Body></s:Envelope>";

    #[test]
    fn a_camera_says_what_it_is() {
        let frame = datagram(("10.20.1.9", 3702), ("10.20.1.7", 50000), MATCH.as_bytes());
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        assert_eq!(said.role, "probe-matches");
        let told: Vec<_> = said.details.iter().map(|d| (d.name.as_str(), d.value.raw())).collect();
        assert_eq!(
            told,
            [
                ("endpoint", "urn:uuid:1"),
                ("types", "dn:NetworkVideoTransmitter"),
                ("scopes", "onvif://www.onvif.org/name/CAM"),
                ("scopes", "onvif://www.onvif.org/hardware/X1"),
                ("xaddrs", "http://10.20.1.9/onvif"),
            ]
        );
    }
}
