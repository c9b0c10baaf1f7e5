//! Dahua's discovery (UDP 37810: a header that begins with `DHIP`, then JSON; no public standard, the form as public scanners have it):
//! cameras and recorders that say what they are.
//!
//! Taken: of announcements the class, type, serial number, MAC, address, maker, version, name of the machine. Left: ports, states of
//! passwords, the older binary form.

use serde_json::Value;

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Dahua;

/// Octets before the JSON.
const HEADER: usize = 32;
const TAKEN: &[(&str, &str)] = &[
    ("/params/deviceInfo/DeviceClass", "class"),
    ("/params/deviceInfo/DeviceType", "type"),
    ("/params/deviceInfo/SerialNo", "serial"),
    ("/params/deviceInfo/MachineName", "name"),
    ("/params/deviceInfo/Vendor", "maker"),
    ("/params/deviceInfo/Version", "version"),
    ("/params/deviceInfo/IPv4Address/IPAddress", "address"),
    ("/params/deviceInfo/IPv4Address/DefaultGateway", "gateway"),
    ("/mac", "mac"),
];

impl Dissector for Dahua {
    fn name(&self) -> &'static str {
        "dahua-discovery"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(37810)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        if packet.payload.get(4..8) != Some(b"DHIP") {
            return Ok(());
        }
        let mut cursor = Cursor::new("dahua-discovery", packet.payload);
        cursor.skip(HEADER)?;
        let json = cursor.rest().trim_ascii_end();
        let json = json.strip_suffix(b"\0").unwrap_or(json);
        // It refuses what is nested deeper than 128.
        let Ok(document) = serde_json::from_slice::<Value>(json.trim_ascii_end()) else {
            return Err(cursor.wrong("no readable JSON"));
        };
        let text = |path: &str| document.pointer(path)?.as_str().filter(|text| !text.is_empty());
        let role = match text("/method") {
            Some("client.notifyDevInfo") => "device",
            Some("DHDiscover.search") => "searcher",
            _ => return Ok(()),
        };
        let details = TAKEN
            .iter()
            .filter_map(|(path, word)| Some(Detail::new(word, Foreign::new(text(path)?))))
            .collect();
        facts.say(said(packet, self.name(), role, None, details));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts, oddities};
    use super::*;
    use crate::observe::Fact;

    #[test]
    fn a_recorder_says_what_it_is() {
        let mut message = b"\x20\0\0\0DHIP".to_vec();
        message.resize(HEADER, 0);
        let bad = datagram(("10.20.1.9", 37810), ("10.20.1.7", 37810), &message);
        message.extend_from_slice(
            br#"{"mac":"02:00:00:00:00:09","method":"client.notifyDevInfo","params":{"deviceInfo":{"DeviceType":"NVR-1"}}}"#,
        );
        message.push(b'\n');
        let frame = datagram(("10.20.1.9", 37810), ("10.20.1.7", 37810), &message);
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        let told: Vec<_> = said.details.iter().map(|d| d.value.raw()).collect();
        assert_eq!(told, ["NVR-1", "02:00:00:00:00:09"]);
        assert_eq!(oddities(&bad), ["no readable JSON"]);
    }
}
