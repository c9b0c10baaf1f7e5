//! HSRP versions 0 (RFC 2281, called 1) and 2 (as Cisco's devices send it, also for IPv6).

use std::net::IpAddr;

use super::cursor::{Cursor, WireError};

/// The UDP port over IPv4, and over IPv6.
pub const PORT: u16 = 1985;
pub const PORT_V6: u16 = 2029;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hsrp {
    /// As it is called: 1 or 2.
    pub version: u8,
    pub group: u16,
    /// Above 255 in version 2 it is kept as 255.
    pub priority: u8,
    pub whole_priority: u32,
    /// Version 1: 0 initial to 16 active; version 2: 0 disabled to 6 active.
    pub state: u8,
    /// `None` where the sender has not learnt it yet.
    pub virtual_address: Option<IpAddr>,
}

impl Hsrp {
    /// `None` for the messages that carry no group (the advertisements of version 1).
    pub fn read(bytes: &[u8]) -> Result<Option<Hsrp>, WireError> {
        let mut cursor = Cursor::new("hsrp", bytes);
        // Version 1 starts with its version, which is zero; version 2 with a TLV.
        match cursor.array()? {
            [0, 0..=2] => read_v1(cursor).map(Some),
            [0, _] => Ok(None),
            [kind, length] => read_v2(kind, length, cursor),
        }
    }
}

fn read_v1(mut cursor: Cursor<'_>) -> Result<Hsrp, WireError> {
    let [state, _, _] = cursor.array()?;
    let [priority, group] = cursor.array()?;
    // The eight octets of authentication data are a password in clear: left where they are.
    cursor.skip(9)?;
    let address = cursor.ipv4()?;
    Ok(Hsrp {
        version: 1,
        group: u16::from(group),
        priority,
        whole_priority: u32::from(priority),
        state,
        virtual_address: (!address.is_unspecified()).then_some(address.into()),
    })
}

fn read_v2(kind: u8, length: u8, mut cursor: Cursor<'_>) -> Result<Option<Hsrp>, WireError> {
    if kind != 1 {
        // Interface state and authentication; a group state does not come behind them.
        return if kind <= 4 { Ok(None) } else { Err(cursor.wrong("unknown type")) };
    }
    let mut state = cursor.part(usize::from(length))?;
    let [version, _, stands, family] = state.array()?;
    if version != 2 {
        return Err(state.wrong("unknown version"));
    }
    let group = state.u16()?;
    state.skip(6)?;
    let whole_priority = state.u32()?;
    let priority = u8::try_from(whole_priority).unwrap_or(u8::MAX);
    state.skip(8)?;
    let address = match family {
        4 => IpAddr::from(state.ipv4()?),
        6 => IpAddr::from(state.ipv6()?),
        _ => return Err(state.wrong("unknown address family")),
    };
    let virtual_address = (!address.is_unspecified()).then_some(address);
    Ok(Some(Hsrp { version: 2, group, priority, whole_priority, state: stands, virtual_address }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions() {
        let mut v1 = vec![0, 0, 16, 3, 10, 90, 12, 0];
        v1.extend_from_slice(b"cisco\0\0\0");
        v1.extend_from_slice(&[10, 28, 170, 254]);
        let expected = Hsrp {
            version: 1,
            group: 12,
            priority: 90,
            whole_priority: 90,
            state: 16,
            virtual_address: Some([10, 28, 170, 254].into()),
        };
        assert_eq!(Hsrp::read(&v1), Ok(Some(expected)));
        let mut v2 = vec![1, 40, 2, 0, 6, 4, 3, 0x98, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0x90];
        v2.extend_from_slice(&[0, 0, 11, 0xb8, 0, 0, 0x27, 0x10, 10, 52, 220, 126]);
        v2.extend_from_slice(&[0; 12]);
        let read = Hsrp::read(&v2).unwrap().unwrap();
        assert_eq!((read.group, read.priority, read.version), (920, 255, 2));
        assert_eq!(read.virtual_address, Some([10, 52, 220, 126].into()));
        for bytes in [v1, v2] {
            for length in 0..bytes.len() {
                assert!(Hsrp::read(&bytes[..length]).is_err(), "{length}");
            }
        }
        assert_eq!(Hsrp::read(&[0, 3, 0, 1]), Ok(None));
    }
}
