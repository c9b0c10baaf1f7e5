//! The slow protocols of IEEE 802.3 annex 57A that belong to link aggregation (IEEE 802.1AX): LACP and its marker.

use super::cursor::{Cursor, WireError};
use crate::net::Mac;

/// One end as it is described by itself or by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub system: Mac,
    pub priority: u16,
    pub key: u16,
    pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message {
    Lacp {
        actor: End,
        partner: Option<End>,
    },
    Marker {
        system: Mac,
        port: u16,
    },
    /// Operations and maintenance, and organisations' own.
    Other(u8),
}

/// Reads what follows EtherType 0x8809.
pub fn read(bytes: &[u8]) -> Result<Message, WireError> {
    let mut cursor = Cursor::new("lacp", bytes);
    let subtype = cursor.u8()?;
    match subtype {
        1 => {
            cursor.skip(1)?;
            let mut actor = None;
            let mut partner = None;
            // Actor, partner and collector stand in this order; a terminator ends them.
            for _ in 0..3 {
                let [kind, length] = cursor.array()?;
                let Some(length) = usize::from(length).checked_sub(2) else { break };
                let value = cursor.part(length)?;
                match kind {
                    1 => actor = Some(end(value)?),
                    2 => partner = Some(end(value)?),
                    _ => {}
                }
            }
            let partner = partner.filter(|partner| partner.system != Mac::ZERO);
            match actor {
                Some(actor) => Ok(Message::Lacp { actor, partner }),
                None => Err(cursor.wrong("no actor")),
            }
        }
        2 => {
            cursor.skip(3)?;
            Ok(Message::Marker { port: cursor.u16()?, system: cursor.mac()? })
        }
        other => Ok(Message::Other(other)),
    }
}

fn end(mut value: Cursor<'_>) -> Result<End, WireError> {
    let priority = value.u16()?;
    let system = value.mac()?;
    let key = value.u16()?;
    value.skip(2)?;
    Ok(End { system, priority, key, port: value.u16()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ends_are_named() {
        let end = [0x80, 0, 2, 0, 0, 0, 0, 7, 0, 13, 0x80, 0, 0, 22, 0x3d, 0, 0, 0];
        let mut bytes = [&[1, 1, 1, 20][..], &end, &[2, 20], &end, &[3, 16], &[0; 14]].concat();
        let Message::Lacp { actor, partner } = read(&bytes).unwrap() else { panic!() };
        assert_eq!((actor.system, actor.key, actor.port), (Mac([2, 0, 0, 0, 0, 7]), 13, 22));
        assert_eq!(partner, Some(actor));
        bytes[26..32].fill(0);
        assert!(matches!(read(&bytes), Ok(Message::Lacp { partner: None, .. })));
        assert!(read(&bytes[..20]).is_err());
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..120), kind in 0u8..4) {
            let _ = read(&octets);
            let _ = read(&[&[kind, 1], &octets[..]].concat());
        }
    }
}
