//! Spanning tree messages: IEEE 802.1D (STP), 802.1w (RSTP), 802.1s (MSTP), and Cisco's per-VLAN form, which adds
//! the VLAN in a TLV behind them.

use super::cursor::{Cursor, Kept, WireError};
use crate::net::Mac;

/// A bridge's place: four bits of priority, twelve of system id, and its MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bridge {
    pub priority: u16,
    pub extension: u16,
    pub mac: Mac,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Configuration<'a> {
    pub version: u8,
    pub root: Bridge,
    pub cost: u32,
    pub bridge: Bridge,
    pub port: u16,
    pub vlan: Option<u16>,
    /// MSTP: the region's name as it stands in 32 octets, and its regional root.
    pub region: Option<&'a [u8]>,
    pub regional_root: Option<Bridge>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Message<'a> {
    Configuration(Configuration<'a>),
    TopologyChange,
}

/// Reads what follows the LLC header. What stands before a fault is kept: the second value is the fault.
pub fn read(bytes: &[u8]) -> Result<Kept<Message<'_>>, WireError> {
    let mut cursor = Cursor::new("stp", bytes);
    if cursor.u16()? != 0 {
        return Err(cursor.wrong("unknown protocol"));
    }
    let [version, kind] = cursor.array()?;
    match kind {
        0x80 => return Ok((Message::TopologyChange, Ok(()))),
        0 | 2 => {}
        _ => return Err(cursor.wrong("unknown type")),
    }
    cursor.skip(1)?;
    let root = bridge(&mut cursor)?;
    let cost = cursor.u32()?;
    let bridge_id = bridge(&mut cursor)?;
    let port = cursor.u16()?;
    // Age, maximum age, hello time, delay.
    cursor.skip(8)?;
    let mut configuration = Configuration {
        version,
        root,
        cost,
        bridge: bridge_id,
        port,
        vlan: None,
        region: None,
        regional_root: None,
    };
    let ended = read_rest(&mut configuration, cursor);
    Ok((Message::Configuration(configuration), ended))
}

fn bridge(cursor: &mut Cursor<'_>) -> Result<Bridge, WireError> {
    let both = cursor.u16()?;
    Ok(Bridge { priority: both & 0xf000, extension: both & 0x0fff, mac: cursor.mac()? })
}

fn read_rest<'a>(
    configuration: &mut Configuration<'a>,
    mut cursor: Cursor<'a>,
) -> Result<(), WireError> {
    if configuration.version >= 2 && !cursor.is_empty() {
        cursor.skip(1)?;
    }
    if configuration.version < 3 || cursor.left() < 66 {
        return Ok(());
    }
    // The length of version 3, then the configuration's format, name, revision and digest.
    cursor.skip(3)?;
    configuration.region = Some(cursor.take(32)?);
    cursor.skip(2 + 16 + 4)?;
    // In MSTP the bridge's field above holds the regional root, and the sender stands here.
    let sender = bridge(&mut cursor)?;
    configuration.regional_root = Some(configuration.bridge);
    configuration.bridge = sender;
    Ok(())
}

/// The VLAN in the TLV behind a per-VLAN message.
pub fn per_vlan(bytes: &[u8]) -> Option<u16> {
    // STP ends behind 35 octets, RSTP behind 36; a pad may stand between.
    let behind = bytes.get(35..)?;
    behind.windows(6).take(4).find_map(|window| match window {
        [0, 0, 0, 2, high, low] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RSTP: [u8; 36] = [
        0, 0, 2, 2, 0x3c, 0x80, 1, 0, 0x1c, 0x57, 0x54, 0xdd, 0x80, 0, 0, 0, 4, 0x80, 1, 0, 0x1c,
        0xb1, 0xc7, 0xf6, 0, 0x80, 0x15, 1, 0, 0x14, 0, 2, 0, 0x0f, 0, 0,
    ];

    #[test]
    fn root_and_bridge_by_priority_and_mac() {
        let (Message::Configuration(read), Ok(())) = read(&RSTP).unwrap() else { panic!() };
        assert_eq!((read.version, read.cost, read.port), (2, 4, 0x8015));
        assert_eq!((read.root.priority, read.root.extension), (0x8000, 1));
        assert_eq!(read.root.mac, Mac([0, 0x1c, 0x57, 0x54, 0xdd, 0x80]));
        for length in 0..35 {
            assert!(super::read(&RSTP[..length]).is_err(), "{length}");
        }
        assert_eq!(super::read(&[0, 0, 0, 0x80]).unwrap().0, Message::TopologyChange);
    }

    #[test]
    fn the_vlan_of_a_tree_stands_behind() {
        let bytes = [&RSTP[..], &[0, 0, 0, 2, 0, 7]].concat();
        assert_eq!(per_vlan(&bytes), Some(7));
        assert_eq!(per_vlan(&RSTP), None);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..160)) {
            let mut octets = octets;
            let _ = read(&octets);
            for (to, from) in octets.iter_mut().zip([0, 0, 3, 2]) { *to = from; }
            let _ = (read(&octets), per_vlan(&octets));
        }
    }
}
