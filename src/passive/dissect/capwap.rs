//! CAPWAP (RFC 5415, control by port 5246) and its forerunner LWAPP (RFC 5412, port 12223): access points and controllers.
//!
//! Taken: who is which; of discovery and join messages names, model, serial number, MAC, versions, the controllers'
//! addresses. Left: what is encrypted or data; LWAPP's elements; loads and radios.

use super::{Dissector, Facts, Packet, Wake, hex, said, text_or_hex};
use crate::observe::heard_names::Detail;
use crate::observe::{Foreign, Source};
use crate::wire::{Cursor, WireError};

pub(super) struct Capwap;

const CONTROL: u16 = 5246;
const LWAPP: u16 = 12223;
/// Elements looked at: a discovery has some ten.
const MOST_ELEMENTS: usize = 128;
const MOST_DETAILS: usize = 48;

impl Dissector for Capwap {
    fn name(&self) -> &'static str {
        "capwap"
    }

    fn source(&self) -> Source {
        Source::Heard
    }

    fn wakes(&self) -> &'static [Wake] {
        &[Wake::Udp(CONTROL), Wake::Udp(LWAPP)]
    }

    fn read(&self, packet: &Packet<'_>, facts: &mut Facts<'_>) -> Result<(), WireError> {
        let (Some(ip), Some(ports)) = (packet.ip, packet.ports) else { return Ok(()) };
        let of = |port| (if ports.1 == port { "access-point" } else { "controller" }).to_owned();
        // RFC 5415 §5.1, RFC 5412 §3: the controller has the port.
        if ports.0 == LWAPP || ports.1 == LWAPP {
            let details = vec![Detail::new("form", Foreign::new("lwapp"))];
            let peer =
                (ports.1 == LWAPP && !ip.destination.is_multicast()).then_some(ip.destination);
            facts.say(said(packet, self.name(), &of(LWAPP), peer, details));
            return Ok(());
        }
        let mut cursor = Cursor::new("capwap", packet.payload);
        let preamble = cursor.u8()?;
        // Version 0; type 1 is DTLS. RFC 5415 §4.1.
        if preamble >> 4 != 0 || preamble & 0xf > 1 {
            return Ok(());
        }
        let mut details = Vec::new();
        let ended = match preamble & 0xf {
            0 => read_control(cursor, &mut details),
            _ => Ok(()),
        };
        let peer = (ports.1 == CONTROL && !packet.destination.is_group()).then_some(ip.destination);
        facts.say(said(packet, self.name(), &of(CONTROL), peer, details));
        ended
    }
}

fn read_control(mut cursor: Cursor<'_>, details: &mut Vec<Detail>) -> Result<(), WireError> {
    let [length, _, flags] = cursor.array()?;
    // A fragment (RFC 5415 §4.3) is not put together.
    if flags & 0x80 != 0 {
        return Ok(());
    }
    // In words of four octets, of which one is read.
    let header = usize::from(length >> 3).saturating_mul(4);
    let Some(rest) = header.checked_sub(4) else {
        return Err(cursor.wrong("header shorter than itself"));
    };
    cursor.skip(rest)?;
    let kind = cursor.u32()?;
    let Some(word) = message(kind) else { return Ok(()) };
    details.push(Detail::new("message", Foreign::new(word)));
    // Sequence number; the length counts from behind itself; flags.
    cursor.skip(1)?;
    let length = usize::from(cursor.u16()?).saturating_sub(3);
    cursor.skip(1)?;
    let mut elements = Cursor::new("capwap", cursor.take_up_to(length));
    for _ in 0..MOST_ELEMENTS {
        if elements.is_empty() {
            return Ok(());
        }
        let kind = elements.u16()?;
        let length = elements.u16()?;
        let value = elements.part(usize::from(length))?;
        read_element(kind, value, details)?;
    }
    Err(elements.wrong("too many elements"))
}

fn message(kind: u32) -> Option<&'static str> {
    Some(match kind {
        1 => "discovery-request",
        2 => "discovery-response",
        3 => "join-request",
        4 => "join-response",
        _ => return None,
    })
}

/// RFC 5415 §4.6.
fn read_element(
    kind: u16,
    mut value: Cursor<'_>,
    details: &mut Vec<Detail>,
) -> Result<(), WireError> {
    let mut put = |name: &str, value: Foreign| {
        let detail = Detail::new(name, value);
        if details.len() < MOST_DETAILS && !details.contains(&detail) {
            details.push(detail);
        }
    };
    match kind {
        // The controller's descriptor: stations, access points and flags, then versions.
        1 => {
            value.skip(12)?;
            while !value.is_empty() {
                value.skip(4)?;
                let kind = value.u16()?;
                let length = value.u16()?;
                let text = value.take(usize::from(length))?;
                match kind {
                    4 => put("hardware-version", text_or_hex(text)),
                    5 => put("software-version", text_or_hex(text)),
                    _ => {}
                }
            }
        }
        4 => put("controller-name", text_or_hex(value.rest())),
        10 => put("controller-address", Foreign::new(&value.ipv4()?.to_string())),
        11 => put("controller-address", Foreign::new(&value.ipv6()?.to_string())),
        28 => put("location", text_or_hex(value.rest())),
        // The access point's board: its vendor, then what it is.
        38 => {
            put("vendor", Foreign::new(&value.u32()?.to_string()));
            while !value.is_empty() {
                let kind = value.u16()?;
                let length = value.u16()?;
                let octets = value.take(usize::from(length))?;
                match kind {
                    0 => put("model", text_or_hex(octets)),
                    1 => put("serial", text_or_hex(octets)),
                    4 => put("mac", Foreign::new(&hex(octets))),
                    _ => {}
                }
            }
        }
        // Its descriptor: radios, what they can encrypt, then versions.
        39 => {
            value.skip(2)?;
            let encryptions = usize::from(value.u8()?);
            value.skip(encryptions.saturating_mul(3))?;
            while !value.is_empty() {
                value.skip(4)?;
                let kind = value.u16()?;
                let length = value.u16()?;
                let text = value.take(usize::from(length))?;
                match kind {
                    0 => put("hardware-version", text_or_hex(text)),
                    1 => put("software-version", text_or_hex(text)),
                    _ => {}
                }
            }
        }
        45 => put("name", text_or_hex(value.rest())),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::check::{datagram, facts, oddities};
    use crate::observe::Fact;

    fn element(kind: u16, value: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
    }

    #[test]
    fn an_access_point_looks_for_its_controller() {
        let board = [&[0, 0, 0x07, 0xdb][..], &element(0, b"AP1"), &element(1, b"S7")].concat();
        let elements = [element(38, &board), element(45, b"hall")].concat();
        let mut message = vec![0, 0x10, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 7];
        message.extend_from_slice(&(elements.len() as u16 + 3).to_be_bytes());
        message.push(0);
        message.extend_from_slice(&elements);
        let frame = datagram(("10.20.1.9", 40000), ("10.20.1.7", 5246), &message);
        let [Fact::Said(said)] = &facts(&frame)[..] else { panic!() };
        assert_eq!(said.role, "access-point");
        let told: Vec<_> = said.details.iter().map(|d| d.value.raw()).collect();
        assert_eq!(told, ["discovery-request", "2011", "AP1", "S7", "hall"]);
        let cut =
            datagram(("10.20.1.9", 40000), ("10.20.1.7", 5246), &message[..message.len() - 1]);
        assert_eq!(oddities(&cut), ["ends early"]);
    }
}
