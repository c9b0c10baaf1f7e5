//! OSPF versions 2 (RFC 2328) and 3 (RFC 5340): who speaks, its neighbours, and the prefixes in
//! link-state updates.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::cursor::{Cursor, Kept, WireError};
use super::dhcp4::mask_length;
use crate::net::Prefix;

/// Prefixes and neighbours kept of one packet.
const MOST: usize = 1024;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ospf {
    pub version: u8,
    /// 1 hello, 2 database description, 3 request, 4 update, 5 acknowledgement.
    pub packet_type: u8,
    pub router_id: Ipv4Addr,
    pub area: u32,
    pub hello: Option<Hello>,
    /// Prefixes of the link-state advertisements in an update.
    pub prefixes: Vec<Prefix>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The sender's prefix length; version 2 only, and not on point-to-point links.
    pub prefix_length: Option<u8>,
    pub priority: u8,
    /// Interface addresses in version 2, router ids in version 3; unspecified where there is none.
    pub designated: Ipv4Addr,
    pub backup: Ipv4Addr,
    /// Router ids.
    pub neighbours: Vec<Ipv4Addr>,
}

impl Ospf {
    /// What stands before a fault is kept: the second value is the fault.
    pub fn read(bytes: &[u8]) -> Result<Kept<Ospf>, WireError> {
        let mut cursor = Cursor::new("ospf", bytes);
        let [version, packet_type] = cursor.array()?;
        if !matches!(version, 2 | 3) {
            return Err(cursor.wrong("unknown version"));
        }
        let length = usize::from(cursor.u16()?);
        let router_id = cursor.ipv4()?;
        let area = cursor.u32()?;
        // Checksum, then authentication or instance.
        let behind_area = if version == 2 { 12 } else { 4 };
        cursor.skip(behind_area)?;
        let mut ospf =
            Ospf { version, packet_type, router_id, area, hello: None, prefixes: Vec::new() };
        let ended = match length.checked_sub(bytes.len().saturating_sub(cursor.left())) {
            Some(body) => {
                let whole = body <= cursor.left();
                let wrong = cursor.wrong("ends early");
                let body = Cursor::new("ospf", cursor.take_up_to(body));
                ospf.read_body(body).and(if whole { Ok(()) } else { Err(wrong) })
            }
            None => Err(cursor.wrong("length shorter than the header")),
        };
        Ok((ospf, ended))
    }

    fn read_body(&mut self, cursor: Cursor<'_>) -> Result<(), WireError> {
        match (self.version, self.packet_type) {
            (2, 1) => {
                let (hello, ended) = hello_v2(cursor)?;
                self.hello = Some(hello);
                ended
            }
            (3, 1) => {
                let (hello, ended) = hello_v3(cursor)?;
                self.hello = Some(hello);
                ended
            }
            (version, 4) => self.read_update(version, cursor),
            (_, 2 | 3 | 5) => Ok(()),
            _ => Err(cursor.wrong("unknown type")),
        }
    }

    fn read_update(&mut self, version: u8, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        let count = cursor.u32()?;
        let mut fault = Ok(());
        for _ in 0..count {
            if self.prefixes.len() >= MOST {
                break;
            }
            // Age, and in version 2 options, before the type.
            cursor.skip(2)?;
            let kind = cursor.u16()?;
            let state = cursor.ipv4()?;
            cursor.skip(10)?;
            let length = usize::from(cursor.u16()?);
            let Some(length) = length.checked_sub(20) else {
                return Err(cursor.wrong("advertisement shorter than its header"));
            };
            let body = cursor.part(length)?;
            let read = match version {
                2 => lsa_v2(kind as u8, state, body, &mut self.prefixes),
                _ => lsa_v3(kind, body, &mut self.prefixes),
            };
            fault = read.and(fault);
        }
        fault
    }
}

fn hello_v2(mut cursor: Cursor<'_>) -> Result<Kept<Hello>, WireError> {
    let mask = cursor.ipv4()?;
    let [_, _, _, priority] = cursor.array()?;
    cursor.skip(4)?;
    let (designated, backup) = (cursor.ipv4()?, cursor.ipv4()?);
    let prefix_length = mask_length(mask).filter(|length| *length > 0);
    let (neighbours, ended) = neighbours(cursor);
    Ok((Hello { prefix_length, priority, designated, backup, neighbours }, ended))
}

fn hello_v3(mut cursor: Cursor<'_>) -> Result<Kept<Hello>, WireError> {
    cursor.skip(4)?;
    let priority = cursor.u8()?;
    cursor.skip(7)?;
    let (designated, backup) = (cursor.ipv4()?, cursor.ipv4()?);
    let (neighbours, ended) = neighbours(cursor);
    Ok((Hello { prefix_length: None, priority, designated, backup, neighbours }, ended))
}

fn neighbours(mut cursor: Cursor<'_>) -> Kept<Vec<Ipv4Addr>> {
    let mut neighbours = Vec::new();
    while !cursor.is_empty() && neighbours.len() < MOST {
        match cursor.ipv4() {
            Ok(neighbour) => neighbours.push(neighbour),
            Err(fault) => return (neighbours, Err(fault)),
        }
    }
    (neighbours, Ok(()))
}

/// Router (stub links), network, summary, external and NSSA advertisements.
fn lsa_v2(
    kind: u8,
    state: Ipv4Addr,
    mut body: Cursor<'_>,
    prefixes: &mut Vec<Prefix>,
) -> Result<(), WireError> {
    let mut push = |address: Ipv4Addr, mask: Ipv4Addr| {
        if let Some(length) = mask_length(mask) {
            keep(prefixes, Prefix::of(address.into(), length));
        }
    };
    match kind {
        1 => {
            body.skip(2)?;
            let links = body.u16()?;
            for _ in 0..links {
                let (id, data) = (body.ipv4()?, body.ipv4()?);
                let [link_type, metrics] = body.array()?;
                body.skip(2)?;
                body.skip(usize::from(metrics).saturating_mul(4))?;
                if link_type == 3 {
                    push(id, data);
                }
            }
        }
        2 | 3 | 5 | 7 => push(state, body.ipv4()?),
        _ => {}
    }
    Ok(())
}

/// Link, inter-area-prefix, external, NSSA and intra-area-prefix advertisements. RFC 5340 §4.4.3.
fn lsa_v3(kind: u16, mut body: Cursor<'_>, prefixes: &mut Vec<Prefix>) -> Result<(), WireError> {
    // The three high bits say how far it is flooded.
    let count = match kind & 0x1fff {
        3 => {
            body.skip(4)?;
            1
        }
        5 | 7 => {
            body.skip(4)?;
            1
        }
        8 => {
            body.skip(20)?;
            body.u32()?
        }
        9 => {
            let count = body.u16()?;
            body.skip(10)?;
            u32::from(count)
        }
        _ => 0,
    };
    for _ in 0..count {
        let length = body.u8()?;
        body.skip(3)?;
        if length > 128 {
            return Err(body.wrong("prefix length over 128"));
        }
        let octets = body.take(usize::from(length).div_ceil(32).saturating_mul(4))?;
        let mut address = [0; 16];
        for (to, from) in address.iter_mut().zip(octets) {
            *to = *from;
        }
        keep(prefixes, Prefix::of(IpAddr::V6(Ipv6Addr::from(address)), length));
    }
    Ok(())
}

fn keep(prefixes: &mut Vec<Prefix>, prefix: Prefix) {
    if prefixes.len() < MOST {
        prefixes.push(prefix);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(version: u8, kind: u8, body: &[u8]) -> Vec<u8> {
        let header: &[u8] = if version == 2 { &[0; 12] } else { &[0; 4] };
        let length = (12 + header.len() + body.len()) as u16;
        let head = [&[version, kind][..], &length.to_be_bytes(), &[10, 0, 0, 1, 0, 0, 0, 7]];
        [&head.concat(), header, body].concat()
    }

    #[test]
    fn a_hello_of_version_two() {
        let mut body = vec![255, 255, 255, 248, 0, 10, 2, 1, 0, 0, 0, 40];
        body.extend_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2, 10, 9, 9, 9]);
        let bytes = packet(2, 1, &body);
        let (ospf, ended) = Ospf::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((ospf.area, ospf.router_id), (7, Ipv4Addr::new(10, 0, 0, 1)));
        let hello = ospf.hello.unwrap();
        assert_eq!((hello.prefix_length, hello.priority), (Some(29), 1));
        assert_eq!(hello.backup, Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(hello.neighbours, [Ipv4Addr::new(10, 9, 9, 9)]);
        for length in 0..bytes.len() {
            assert!(Ospf::read(&bytes[..length]).map_or(true, |(_, ended)| ended.is_err()));
        }
    }

    #[test]
    fn an_update_of_version_two_gives_prefixes() {
        let stub = [10, 1, 0, 0, 255, 255, 0, 0, 3, 0, 0, 10];
        let transit = [10, 0, 0, 1, 10, 0, 0, 2, 2, 0, 0, 10];
        let links = [&[0, 0, 0, 2][..], &stub, &transit].concat();
        let lsa = |kind: u8, state: [u8; 4], body: &[u8]| {
            let length = (20 + body.len()) as u16;
            [&[0, 1, 0, kind][..], &state, &[0; 10], &length.to_be_bytes(), body].concat()
        };
        let body = [
            vec![0, 0, 0, 2],
            lsa(1, [10, 0, 0, 1], &links),
            lsa(5, [10, 30, 0, 0], &[255, 255, 255, 0, 0, 0, 0, 1]),
        ]
        .concat();
        let bytes = packet(2, 4, &body);
        let (ospf, ended) = Ospf::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        let prefixes: Vec<_> = ospf.prefixes.iter().map(|prefix| prefix.to_string()).collect();
        assert_eq!(prefixes, ["10.1.0.0/16", "10.30.0.0/24"]);
        for length in 0..bytes.len() {
            assert!(Ospf::read(&bytes[..length]).map_or(true, |(_, ended)| ended.is_err()));
        }
    }

    #[test]
    fn version_three_has_prefixes_in_words() {
        let mut hello = vec![0, 0, 0, 1, 5, 0, 0, 0x13, 0, 10, 0, 40];
        hello.extend_from_slice(&[1, 1, 1, 1, 0, 0, 0, 0, 2, 2, 2, 2]);
        let bytes = packet(3, 1, &hello);
        let (ospf, ended) = Ospf::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        let hello = ospf.hello.unwrap();
        assert_eq!((hello.priority, hello.designated), (5, Ipv4Addr::new(1, 1, 1, 1)));
        let prefixes = [&[0, 1, 0x20, 1][..], &[0; 8], &[48, 0, 0, 10, 0xfd, 0, 0, 7, 0, 9, 0, 0]];
        let prefixes = prefixes.concat();
        let length = (20 + prefixes.len()) as u16;
        let lsa = [&[0, 0, 0, 1, 0, 1, 0x20, 9][..], &[0; 14], &length.to_be_bytes(), &prefixes];
        let bytes = packet(3, 4, &lsa.concat());
        let (ospf, ended) = Ospf::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!(ospf.prefixes, ["fd00:7:9::/48".parse().unwrap()]);
        for length in 0..bytes.len() {
            assert!(Ospf::read(&bytes[..length]).map_or(true, |(_, ended)| ended.is_err()));
        }
    }
}
