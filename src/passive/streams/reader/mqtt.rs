//! MQTT (OASIS, versions 3.1 to 5): a client's CONNECT. Taken: the client id. Left: user name, password, will.

use super::{Head, Reader, Verdict};
use crate::observe::{Fact, Role};
use crate::wire::{Cursor, WireError};

pub(super) struct Mqtt;

/// A client id of 64 KiB may be; none is.
const MOST: usize = 4096;

impl Reader for Mqtt {
    fn name(&self) -> &'static str {
        "mqtt"
    }

    fn read(&self, head: &Head<'_>, _: &mut u32, tell: &mut dyn FnMut(Fact)) -> Verdict {
        if head.bytes.first() != Some(&0x10) {
            return Verdict::No;
        }
        let mut cursor = Cursor::new("mqtt", head.bytes);
        let _ = cursor.skip(1);
        let Ok(length) = varint(&mut cursor) else {
            return if head.bytes.len() < 5 { Verdict::More(5) } else { Verdict::No };
        };
        let needed = head.bytes.len().saturating_sub(cursor.left()).saturating_add(length);
        if !(10..=MOST).contains(&length) {
            return Verdict::No;
        }
        // The name of the protocol is there before all of the packet is.
        if !matches!(cursor.rest(), [] | [0, ..]) {
            return Verdict::No;
        }
        match cursor.part(length) {
            Err(_) => Verdict::More(needed),
            Ok(packet) => match connect(packet) {
                Ok(id) => {
                    tell(head.spoken(Role::Client, "mqtt", (!id.is_empty()).then_some(id)));
                    Verdict::Done
                }
                Err(_) => Verdict::No,
            },
        }
    }
}

fn varint(cursor: &mut Cursor<'_>) -> Result<usize, WireError> {
    let mut value = 0usize;
    for shift in [0u32, 7, 14, 21] {
        let octet = cursor.u8()?;
        value |= usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(cursor.wrong("number that does not end"))
}

fn connect(mut cursor: Cursor<'_>) -> Result<&[u8], WireError> {
    let name = usize::from(cursor.u16()?);
    if !matches!(cursor.take(name)?, b"MQTT" | b"MQIsdp") {
        return Err(cursor.wrong("another protocol"));
    }
    let level = cursor.u8()?;
    cursor.skip(3)?;
    if level == 5 {
        let properties = varint(&mut cursor)?;
        cursor.skip(properties)?;
    }
    let id = usize::from(cursor.u16()?);
    cursor.take(id)
}

#[cfg(test)]
mod tests {
    use super::super::check::is_spoken;
    use super::*;

    #[test]
    fn a_client_says_its_id() {
        let connect = b"\x10\x10\0\x04MQTT\x04\x02\0\x3c\0\x04cam7";
        is_spoken(1883, Role::Client, connect, "mqtt", Some("cam7"));
        let connect = b"\x10\x11\0\x04MQTT\x05\x02\0\x3c\0\0\x04cam7";
        is_spoken(1883, Role::Client, connect, "mqtt", Some("cam7"));
    }
}
