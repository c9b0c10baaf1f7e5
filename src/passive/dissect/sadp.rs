//! Hikvision's SADP (UDP 37020, XML to 239.255.255.250; no public standard, the form as public scanners have it): cameras and recorders
//! that say what they are.
//!
//! Taken: of probe matches and announcements the type, description, serial number, MAC, addresses, gateway, software, whether it
//! is activated. Left: ids of questions, ports, everything about passwords.

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::WireError;
use crate::wire::leaves::leaves;

pub(super) struct Sadp;

const TAKEN: &[(&str, &str)] = &[
    ("DeviceType", "type"),
    ("DeviceDescription", "description"),
    ("DeviceSN", "serial"),
    ("MAC", "mac"),
    ("IPv4Address", "address"),
    ("IPv6Address", "address"),
    ("IPv4Gateway", "gateway"),
    ("IPv6Gateway", "gateway"),
    ("SoftwareVersion", "software"),
    ("DSPVersion", "firmware"),
    ("OEMInfo", "maker"),
    ("Activated", "activated"),
];

impl Dissector for Sadp {
    fn name(&self) -> &'static str {
        "sadp"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(37020)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let mut details = Vec::new();
        let mut role = None;
        leaves(packet.payload, |parent, name, text| {
            match (parent, name) {
                ("", "ProbeMatch" | "Hello") => role = Some("device"),
                ("", "Probe") => role = Some("searcher"),
                _ => {}
            }
            if let Some((_, word)) = TAKEN.iter().find(|(taken, _)| *taken == name)
                && !text.is_empty()
                && details.len() < TAKEN.len()
            {
                details.push(Detail::new(word, Foreign::new(text)));
            }
        });
        if let Some(role) = role {
            facts.say(said(packet, self.name(), role, None, details));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn a_camera_says_what_it_is() {
        let text = "<?xml version=\"1.0\"?><ProbeMatch><Uuid>7</Uuid><DeviceDescription>DS-1</DeviceDescription>\
            <MAC>02-00-00-00-00-09</MAC><IPv4Address>10.20.1.9</IPv4Address></ProbeMatch>";
        let frame = datagram(("10.20.1.9", 37020), ("239.255.255.250", 37020), text.as_bytes());
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        let told: Vec<_> = said.details.iter().map(|d| (d.name.as_str(), d.value.raw())).collect();
        let expected =
            [("description", "DS-1"), ("mac", "02-00-00-00-00-09"), ("address", "10.20.1.9")];
        assert_eq!(told, expected);
    }
}
