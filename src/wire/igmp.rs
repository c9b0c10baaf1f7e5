//! IGMP, versions 1 to 3 (RFC 1112, 2236, 9776).

use std::net::Ipv4Addr;

use super::cursor::{Cursor, Kept, WireError};
use super::mld::listens;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The unspecified group makes it a general query.
    Query {
        version: u8,
        group: Ipv4Addr,
    },
    /// The groups that the sender says it listens to, and those to which it says it does not.
    Report {
        joined: Vec<Ipv4Addr>,
        left: Vec<Ipv4Addr>,
    },
    Leave(Ipv4Addr),
    /// DVMRP, old PIM, router discovery and others that share the number.
    Other(u8),
}

/// Reads a message. Records before a fault are kept: the second value is the fault.
pub fn read(bytes: &[u8]) -> Result<Kept<Message>, WireError> {
    let mut cursor = Cursor::new("igmp", bytes);
    let [kind, response_time] = cursor.array()?;
    cursor.skip(2)?;
    if kind == 0x22 {
        cursor.skip(2)?;
        let count = cursor.u16()?;
        let (mut joined, mut left) = (Vec::new(), Vec::new());
        let ended = read_records(count, &mut cursor, &mut joined, &mut left);
        return Ok((Message::Report { joined, left }, ended));
    }
    let message = match kind {
        // RFC 9776 §7.1: by length and by the response time, which version 1 has not.
        0x11 => {
            let group = cursor.ipv4()?;
            let version = match (cursor.left(), response_time) {
                (4.., _) => 3,
                (_, 0) => 1,
                _ => 2,
            };
            Message::Query { version, group }
        }
        0x12 | 0x16 => Message::Report { joined: vec![cursor.ipv4()?], left: Vec::new() },
        0x17 => Message::Leave(cursor.ipv4()?),
        other => Message::Other(other),
    };
    Ok((message, Ok(())))
}

fn read_records(
    count: u16,
    cursor: &mut Cursor<'_>,
    joined: &mut Vec<Ipv4Addr>,
    left: &mut Vec<Ipv4Addr>,
) -> Result<(), WireError> {
    for _ in 0..count {
        let [kind, auxiliary] = cursor.array()?;
        let sources = cursor.u16()?;
        let group = cursor.ipv4()?;
        let behind = usize::from(sources).saturating_add(usize::from(auxiliary));
        cursor.skip(behind.saturating_mul(4))?;
        if listens(kind, sources) {
            joined.push(group);
        } else {
            left.push(group);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Message) {
        assert_eq!(read(bytes).unwrap(), (expected, Ok(())));
        for length in 0..8 {
            assert!(read(&bytes[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn every_version() {
        let any = Ipv4Addr::UNSPECIFIED;
        let group = Ipv4Addr::new(224, 0, 0, 251);
        check(&[0x11, 0, 0, 0, 0, 0, 0, 0], Message::Query { version: 1, group: any });
        check(&[0x11, 100, 0, 0, 0, 0, 0, 0], Message::Query { version: 2, group: any });
        let query = [0x11, 100, 0, 0, 0, 0, 0, 0, 2, 125, 0, 0];
        check(&query, Message::Query { version: 3, group: any });
        check(
            &[0x16, 0, 0, 0, 224, 0, 0, 251],
            Message::Report { joined: vec![group], left: Vec::new() },
        );
        check(&[0x17, 0, 0, 0, 224, 0, 0, 251], Message::Leave(group));
        let report = [0x22, 0, 0, 0, 0, 0, 0, 1, 4, 0, 0, 0, 224, 0, 0, 251];
        check(&report, Message::Report { joined: vec![group], left: Vec::new() });
        let (_, ended) = read(&report[..14]).unwrap();
        assert!(ended.is_err());
    }
}
