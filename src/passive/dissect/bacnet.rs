//! BACnet/IP (ASHRAE 135 annex J): that building automation is there.
//!
//! Taken: that a station speaks it; of I-Am the device's number and the maker's. Left: all objects and values.

use super::{Dissector, Facts, Packet, Wake, said};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Bacnet;

impl Dissector for Bacnet {
    fn name(&self) -> &'static str {
        "bacnet"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(47808)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let mut cursor = Cursor::new("bacnet", packet.payload);
        let [kind, function] = cursor.array()?;
        let length = cursor.u16()?;
        if kind != 0x81 || usize::from(length) != packet.payload.len() {
            return Ok(());
        }
        let details = match function {
            // What is forwarded (4) is of another sender.
            9..=11 => i_am(cursor).unwrap_or_default(),
            _ => Vec::new(),
        };
        facts.say(said(packet, self.name(), "station", None, details));
        Ok(())
    }
}

/// An unconfirmed I-Am behind a network header: ASHRAE 135 §6.2, §16.10.
fn i_am(mut cursor: Cursor<'_>) -> Option<Vec<Detail>> {
    let [1, control] = cursor.array().ok()? else { return None };
    // Network layer messages have no application.
    if control & 0x80 != 0 {
        return None;
    }
    // Destination, source, hop count. A source beyond a router is not the sender.
    if control & 8 != 0 {
        return None;
    }
    if control & 0x20 != 0 {
        cursor.skip(2).ok()?;
        let length = usize::from(cursor.u8().ok()?);
        cursor.skip(length.saturating_add(1)).ok()?;
    }
    let [0x10, 0, 0xc4] = cursor.array().ok()? else { return None };
    let object = cursor.u32().ok()?;
    let _largest = number(&mut cursor)?;
    let _segmentation = number(&mut cursor)?;
    let maker = number(&mut cursor)?;
    // Ten bits of type: 8 is a device.
    (object >> 22 == 8).then(|| {
        let instance = object & 0x3f_ffff;
        vec![
            Detail::new("device", Foreign::new(&instance.to_string())),
            Detail::new("maker", Foreign::new(&maker.to_string())),
        ]
    })
}

/// An application tag of one to four octets.
fn number(cursor: &mut Cursor<'_>) -> Option<u32> {
    let length = usize::from(cursor.u8().ok()? & 7);
    let octets = cursor.take(length).ok().filter(|octets| octets.len() <= 4)?;
    Some(octets.iter().fold(0, |value, octet| value << 8 | u32::from(*octet)))
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts};
    use crate::observe::Fact;

    #[test]
    fn a_device_says_its_number() {
        let message = [
            0x81, 0x0b, 0, 24, 1, 0x20, 0xff, 0xff, 0, 0xff, 0x10, 0, 0xc4, 2, 0, 4, 0xd2, 0x22, 5,
            0xc4, 0x91, 0, 0x21, 7,
        ];
        let frame = datagram(("10.20.1.9", 47808), ("10.20.1.255", 47808), &message);
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        let told: Vec<_> = said.details.iter().map(|d| d.value.raw()).collect();
        assert_eq!(told, ["1234", "7"]);
        assert_eq!(facts(&datagram(("10.20.1.9", 47808), ("10.20.1.7", 9), &message[..20])), []);
    }
}
