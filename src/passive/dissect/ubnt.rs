//! Ubiquiti's discovery (UDP 10001; no public standard, the form as scanners and Wireshark's dissector have it): radios, access points and
//! cameras that say what they are.
//!
//! Taken: of answers and announcements MACs, addresses, host name, model, firmware, network name. Left: times, questions
//! without an answer in them, types that are not known.

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Ubnt;

const MOST: usize = 64;

impl Dissector for Ubnt {
    fn name(&self) -> &'static str {
        "ubnt-discovery"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(10001)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let mut cursor = Cursor::new("ubnt-discovery", packet.payload);
        let [version, _] = cursor.array()?;
        let length = cursor.u16()?;
        // Other programs use the port. The length of the rest is as good as a magic number.
        if !matches!(version, 1 | 2) || usize::from(length) != cursor.left() || length == 0 {
            return Ok(());
        }
        let mut details = Vec::new();
        let ended = read_fields(&mut cursor, &mut details);
        if !details.is_empty() {
            facts.say(said(packet, self.name(), "device", None, details));
        }
        ended
    }
}

fn read_fields(cursor: &mut Cursor<'_>, details: &mut Vec<Detail>) -> Result<(), WireError> {
    while !cursor.is_empty() && details.len() < MOST {
        let kind = cursor.u8()?;
        let length = cursor.u16()?;
        let mut value = cursor.part(usize::from(length))?;
        let text = Foreign::from_bytes(value.rest());
        let word = match kind {
            1 => {
                let mac = Foreign::new(&value.mac()?.to_string());
                details.push(Detail::new("mac", mac));
                continue;
            }
            2 => {
                let mac = value.mac()?;
                details.push(Detail::new("mac", Foreign::new(&mac.to_string())));
                details.push(Detail::new("address", Foreign::new(&value.ipv4()?.to_string())));
                continue;
            }
            3 => "firmware",
            0x0b => "hostname",
            0x0c => "platform",
            0x0d => "essid",
            0x14 => "model",
            0x15 => "model",
            0x16 => "version",
            _ => continue,
        };
        details.push(Detail::new(word, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn a_radio_says_what_it_is() {
        let fields = b"\x02\0\x0a\x02\0\0\0\0\x09\x0a\x14\x01\x09\x0b\0\x04roof\x0c\0\x02N5";
        let message = [&[1, 0, 0, fields.len() as u8][..], fields].concat();
        let frame = datagram(("10.20.1.9", 10001), ("10.20.1.7", 4000), &message);
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        let told: Vec<_> = said.details.iter().map(|d| d.value.raw()).collect();
        assert_eq!(told, ["02:00:00:00:00:09", "10.20.1.9", "roof", "N5"]);
        assert_eq!(facts(&datagram(("10.20.1.7", 4000), ("10.20.1.9", 10001), &[1, 0, 0, 0])), []);
    }
}
