//! GLBP, as Cisco's devices send it and Wireshark reads it: a group whose members share an address and forward in turn.

use std::net::IpAddr;

use super::cursor::{Cursor, Kept, WireError};
use crate::net::Mac;

/// The UDP port at both ends.
pub const PORT: u16 = 3222;
const MOST: usize = 16;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glbp {
    pub version: u8,
    pub group: u16,
    /// The sender's own MAC.
    pub owner: Mac,
    pub state: Option<u8>,
    pub priority: Option<u8>,
    pub addresses: Vec<IpAddr>,
    /// The MACs that forward for the group.
    pub forwarders: Vec<Mac>,
}

impl Glbp {
    /// What stands before a fault is kept: the second value is the fault.
    pub fn read(bytes: &[u8]) -> Result<Kept<Glbp>, WireError> {
        let mut cursor = Cursor::new("glbp", bytes);
        let [version, _] = cursor.array()?;
        if version != 1 {
            return Err(cursor.wrong("unknown version"));
        }
        let group = cursor.u16()?;
        cursor.skip(2)?;
        let mut glbp = Glbp {
            version,
            group,
            owner: cursor.mac()?,
            state: None,
            priority: None,
            addresses: Vec::new(),
            forwarders: Vec::new(),
        };
        let ended = glbp.read_tlvs(cursor);
        Ok((glbp, ended))
    }

    fn read_tlvs(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let [kind, length] = cursor.array()?;
            let Some(length) = usize::from(length).checked_sub(2) else {
                return Err(cursor.wrong("TLV shorter than its header"));
            };
            let mut value = cursor.part(length)?;
            match kind {
                1 => {
                    let [_, state, _, priority] = value.array()?;
                    (self.state, self.priority) = (Some(state), Some(priority));
                    // Unknown, then hello and hold times, redirect and timeout, unknown.
                    value.skip(2 + 4 + 4 + 2 + 2 + 2)?;
                    let [family, length] = value.array()?;
                    let mut address = value.part(usize::from(length))?;
                    let address = match family {
                        1 => IpAddr::V4(address.ipv4()?),
                        2 => IpAddr::V6(address.ipv6()?),
                        _ => return Err(value.wrong("unknown address family")),
                    };
                    if !address.is_unspecified() && self.addresses.len() < MOST {
                        self.addresses.push(address);
                    }
                }
                2 => {
                    value.skip(12)?;
                    let mac = value.mac()?;
                    if self.forwarders.len() < MOST {
                        self.forwarders.push(mac);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_hello_names_the_address() {
        let mut bytes = vec![1, 0, 0, 7, 0, 0, 2, 0, 0, 0, 0, 9, 1, 28, 0, 32, 0, 110];
        bytes.extend([0; 16]);
        bytes.extend([1, 4, 10, 0, 0, 254]);
        let (glbp, ended) = Glbp::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((glbp.group, glbp.state, glbp.priority), (7, Some(32), Some(110)));
        assert_eq!(glbp.addresses, [IpAddr::from([10, 0, 0, 254])]);
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = Glbp::read(&octets);
            let _ = Glbp::read(&[&[1, 0, 0, 7, 0, 0, 2, 0, 0, 0, 0, 9, 1, 60], &octets[..]].concat());
        }
    }
}
