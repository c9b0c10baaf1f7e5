//! Multicast listener discovery, versions 1 (RFC 2710) and 2 (RFC 3810).

use std::net::Ipv6Addr;

use super::cursor::{Cursor, Kept, WireError};

pub const QUERY: u8 = 130;
pub const REPORT_V1: u8 = 131;
pub const DONE_V1: u8 = 132;
pub const REPORT_V2: u8 = 143;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The unspecified group makes it a general query.
    Query {
        version: u8,
        group: Ipv6Addr,
    },
    /// The groups that the sender says it listens to, and those to which it says it does not.
    Report {
        joined: Vec<Ipv6Addr>,
        left: Vec<Ipv6Addr>,
    },
    Done(Ipv6Addr),
}

/// Reads an ICMPv6 body. Records before a fault are kept: the second value is the fault.
pub fn read(icmp_type: u8, body: &[u8]) -> Result<Kept<Message>, WireError> {
    let mut cursor = Cursor::new("mld", body);
    // Maximum response delay and reserved; in version 2 reports, reserved and a count.
    let [_, _, count @ ..] = cursor.array::<4>()?;
    if icmp_type == REPORT_V2 {
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        let ended = read_records(u16::from_be_bytes(count), &mut cursor, &mut joined, &mut left);
        return Ok((Message::Report { joined, left }, ended));
    }
    let group = cursor.ipv6()?;
    let message = match icmp_type {
        // RFC 3810 §8.1: 24 octets with the ICMPv6 header are version 1, from 28 on version 2.
        QUERY => Message::Query { version: if cursor.left() < 4 { 1 } else { 2 }, group },
        REPORT_V1 => Message::Report { joined: vec![group], left: Vec::new() },
        DONE_V1 => Message::Done(group),
        _ => return Err(cursor.wrong("not listener discovery")),
    };
    Ok((message, Ok(())))
}

fn read_records(
    count: u16,
    cursor: &mut Cursor<'_>,
    joined: &mut Vec<Ipv6Addr>,
    left: &mut Vec<Ipv6Addr>,
) -> Result<(), WireError> {
    for _ in 0..count {
        let [kind, auxiliary] = cursor.array()?;
        let sources = cursor.u16()?;
        let group = cursor.ipv6()?;
        cursor.skip(usize::from(sources).saturating_mul(16))?;
        cursor.skip(usize::from(auxiliary).saturating_mul(4))?;
        if listens(kind, sources) {
            joined.push(group);
        } else {
            left.push(group);
        }
    }
    Ok(())
}

/// Whether a group record says that the sender listens: the same in MLDv2 and IGMPv3.
///
/// Excluding any sources (2, 4) or including some (1, 3, 5) is listening; including none is leaving.
pub(super) const fn listens(kind: u8, sources: u16) -> bool {
    matches!((kind, sources), (2 | 4, _) | (1 | 3 | 5, 1..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_told_apart_by_their_length() {
        let mut body = vec![0x27, 0x10, 0, 0];
        body.extend_from_slice(&[0; 16]);
        let query = |version| Message::Query { version, group: Ipv6Addr::UNSPECIFIED };
        assert_eq!(read(QUERY, &body).unwrap().0, query(1));
        body.extend_from_slice(&[2, 125, 0, 0]);
        assert_eq!(read(QUERY, &body).unwrap().0, query(2));
        for length in 0..20 {
            assert!(read(QUERY, &body[..length]).is_err());
        }
    }

    #[test]
    fn a_report_keeps_the_records_before_a_fault() {
        let group: Ipv6Addr = "ff02::fb".parse().unwrap();
        let record = [&[4, 0, 0, 0][..], &group.octets()].concat();
        let leaving = [&[3, 0, 0, 0][..], &group.octets()].concat();
        let body = [&[0, 0, 0, 2][..], &record, &leaving].concat();
        let (message, ended) = read(REPORT_V2, &body).unwrap();
        assert_eq!(
            (message, ended),
            (Message::Report { joined: vec![group], left: vec![group] }, Ok(()))
        );
        for length in 4..body.len() {
            let (message, ended) = read(REPORT_V2, &body[..length]).unwrap();
            assert!(ended.is_err());
            let kept = if length < 24 { vec![] } else { vec![group] };
            assert_eq!(message, Message::Report { joined: kept, left: Vec::new() });
        }
    }
}
