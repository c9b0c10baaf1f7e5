//! DHCPv4 (RFC 2131, 2132): messages of clients and servers, with option overload and options in
//! several parts (RFC 3396).

use std::net::Ipv4Addr;

use super::cursor::{Cursor, Kept, WireError};
use crate::net::{Mac, Prefix};

pub const DISCOVER: u8 = 1;
pub const OFFER: u8 = 2;
pub const REQUEST: u8 = 3;
pub const DECLINE: u8 = 4;
pub const ACK: u8 = 5;
pub const NAK: u8 = 6;
pub const RELEASE: u8 = 7;
pub const INFORM: u8 = 8;

const MAGIC: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
const OPTION_OVERLOAD: u8 = 52;
/// Options read of one message. A datagram can hold thousands of empty ones; none that means well does.
const MOST_OPTIONS: usize = 256;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// From a client: BOOTREQUEST, 1. From a server: BOOTREPLY, 2.
    pub is_request: bool,
    pub transaction: u32,
    /// The client's own address where it has one.
    pub client: Ipv4Addr,
    /// The address that the server gives: yiaddr.
    pub yours: Ipv4Addr,
    /// giaddr; unspecified where no relay was in the way.
    pub relay: Ipv4Addr,
    /// As it stands, a group too; `None` where the hardware is not Ethernet.
    pub client_mac: Option<Mac>,
    pub options: Options,
}

/// Options by code, and their codes in the order in which they stood.
///
/// Parts of one option are joined in that order. Pad and end are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    pub order: Vec<u8>,
    values: Vec<(u8, Vec<u8>)>,
}

impl Message {
    /// Options before a fault are kept: the second value is the fault.
    pub fn read(bytes: &[u8]) -> Result<Kept<Message>, WireError> {
        let mut cursor = Cursor::new("dhcp", bytes);
        let [operation, hardware, length, _] = cursor.array()?;
        if !matches!(operation, 1 | 2) {
            return Err(cursor.wrong("neither request nor reply"));
        }
        let transaction = cursor.u32()?;
        cursor.skip(4)?;
        let client = cursor.ipv4()?;
        let yours = cursor.ipv4()?;
        cursor.skip(4)?;
        let relay = cursor.ipv4()?;
        let client_mac = cursor.mac()?;
        cursor.skip(10)?;
        let server_name = cursor.part(64)?;
        let file = cursor.part(128)?;
        if cursor.array()? != MAGIC {
            return Err(cursor.wrong("BOOTP without DHCP options"));
        }
        let mut options = Options::default();
        let ended = options.read_fields(cursor, file, server_name);
        // Some clients leave the length of the address zero.
        let has_mac = matches!((hardware, length), (1 | 6, 6 | 0)) && client_mac != Mac::ZERO;
        let message = Message {
            is_request: operation == 1,
            transaction,
            client,
            yours,
            relay,
            client_mac: has_mac.then_some(client_mac),
            options,
        };
        Ok((message, ended))
    }

    /// Option 53.
    pub fn message_type(&self) -> Option<u8> {
        self.options.get(53)?.first().copied()
    }
}

impl Options {
    /// The options field, then what option 52 says holds options too: first `file`, then `sname`.
    fn read_fields(
        &mut self,
        options: Cursor<'_>,
        file: Cursor<'_>,
        server_name: Cursor<'_>,
    ) -> Result<(), WireError> {
        self.read(options)?;
        let overload = self.get(OPTION_OVERLOAD).and_then(|value| value.first().copied());
        let overload = overload.unwrap_or_default();
        if overload & 1 != 0 {
            self.read(file)?;
        }
        if overload & 2 != 0 {
            self.read(server_name)?;
        }
        Ok(())
    }

    fn read(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let code = match cursor.u8()? {
                0 => continue,
                255 => break,
                code => code,
            };
            if self.order.len() >= MOST_OPTIONS {
                return Err(cursor.wrong("too many options"));
            }
            let length = cursor.u8()?;
            let value = cursor.take(usize::from(length))?;
            self.order.push(code);
            match self.values.iter_mut().find(|(known, _)| *known == code) {
                Some((_, known)) => known.extend_from_slice(value),
                None => self.values.push((code, value.to_vec())),
            }
        }
        Ok(())
    }

    pub fn get(&self, code: u8) -> Option<&[u8]> {
        let (_, value) = self.values.iter().find(|(known, _)| *known == code)?;
        Some(value)
    }

    pub fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.get(code)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets))
    }

    /// A list of addresses; a rest shorter than one is left.
    pub fn addresses(&self, code: u8) -> Vec<Ipv4Addr> {
        let octets = self.get(code).unwrap_or_default();
        octets.as_chunks::<4>().0.iter().map(|octets| Ipv4Addr::from(*octets)).collect()
    }

    /// Text without the zeros that some put at its end.
    pub fn text(&self, code: u8) -> Option<&[u8]> {
        let mut text = self.get(code)?;
        while let [before @ .., 0] = text {
            text = before;
        }
        (!text.is_empty()).then_some(text)
    }

    /// The name in a client FQDN option, in either of its encodings. RFC 4702 §2.
    pub fn fqdn(&self) -> Option<Vec<u8>> {
        let [flags, _, _, name @ ..] = self.get(81)? else { return None };
        let name = if flags & 4 == 0 {
            name.to_vec()
        } else {
            super::dns::partial_name("dhcp", name).ok()?.into_bytes()
        };
        (!name.is_empty()).then_some(name)
    }

    /// Classless static routes: destination and next hop. RFC 3442; option 249 has the same form.
    pub fn routes(&self, code: u8) -> Vec<(Prefix, Ipv4Addr)> {
        let mut routes = Vec::new();
        let mut cursor = Cursor::new("dhcp", self.get(code).unwrap_or_default());
        while let Ok(route) = read_route(&mut cursor) {
            routes.push(route);
        }
        routes
    }
}

fn read_route(cursor: &mut Cursor<'_>) -> Result<(Prefix, Ipv4Addr), WireError> {
    let length = cursor.u8()?;
    if length > 32 {
        return Err(cursor.wrong("prefix length over 32"));
    }
    let significant = cursor.take(usize::from(length.div_ceil(8)))?;
    let mut destination = [0; 4];
    for (to, from) in destination.iter_mut().zip(significant) {
        *to = *from;
    }
    Ok((Prefix::of(Ipv4Addr::from(destination).into(), length), cursor.ipv4()?))
}

/// The prefix length of a mask. `None` for a mask with holes.
pub fn mask_length(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    let length = bits.leading_ones();
    (bits.checked_shl(length).unwrap_or(0) == 0).then_some(length as u8)
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::super::view::{Headers, Transport};
    use super::*;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);

    fn message(operation: u8, options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![operation, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0, 0];
        bytes.extend_from_slice(&[0, 0, 0, 0, 10, 20, 1, 9, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend_from_slice(&OURS.0);
        bytes.resize(236, 0);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(options);
        bytes
    }

    #[test]
    fn our_discover_reads_back_and_no_shorter() {
        let frame = build::dhcp_discover(OURS, 0x0102_0304);
        let headers = Headers::read(&frame).unwrap();
        let Some(Transport::Udp(udp)) = headers.transport() else { panic!("no UDP") };
        let (read, ended) = Message::read(udp.payload).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((read.message_type(), read.client_mac), (Some(DISCOVER), Some(OURS)));
        assert_eq!((read.transaction, read.is_request), (0x0102_0304, true));
        assert_eq!(read.options.order, [53, 61, 57, 55]);
        assert_eq!(udp.payload.len(), 300);
        for length in 0..240 {
            assert!(Message::read(&udp.payload[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn overloaded_fields_hold_options_and_parts_are_joined() {
        let mut bytes = message(2, &[53, 1, 5, 52, 1, 3, 12, 2, b'd', b'e', 255]);
        bytes[108..116].copy_from_slice(&[12, 2, b's', b'k', 3, 4, 10, 20]);
        bytes[116..119].copy_from_slice(&[1, 1, 255]);
        bytes[44..50].copy_from_slice(&[6, 4, 10, 20, 1, 2]);
        let (read, ended) = Message::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!(read.options.text(12), Some(&b"desk"[..]));
        assert_eq!(read.options.addresses(3), [Ipv4Addr::new(10, 20, 1, 1)]);
        assert_eq!(read.options.addresses(6), [Ipv4Addr::new(10, 20, 1, 2)]);
        assert_eq!(read.options.order, [53, 52, 12, 12, 3, 6]);
    }

    #[test]
    fn options_before_a_fault_are_kept() {
        let (read, ended) = Message::read(&message(2, &[53, 1, 2, 12, 200, b'x'])).unwrap();
        assert_eq!(read.message_type(), Some(OFFER));
        assert!(ended.is_err());
        let flood = message(1, &[12, 0].repeat(5000));
        let (read, ended) = Message::read(&flood).unwrap();
        assert_eq!(read.options.order.len(), MOST_OPTIONS);
        assert_eq!(ended.unwrap_err().why(), "too many options");
    }

    #[test]
    fn names_routes_and_masks() {
        let options = [
            &[81, 10, 4, 0, 0, 4, b'd', b'e', b's', b'k', 1, b'x'][..],
            &[121, 14, 0, 10, 20, 1, 1, 24, 10, 30, 1, 10, 20, 1, 2, 33],
            &[255],
        ]
        .concat();
        let (read, _) = Message::read(&message(2, &options)).unwrap();
        assert_eq!(read.options.fqdn().unwrap(), b"desk.x");
        let routes = read.options.routes(121);
        assert_eq!(routes[0].0.to_string(), "0.0.0.0/0");
        assert_eq!(routes[1], ("10.30.1.0/24".parse().unwrap(), Ipv4Addr::new(10, 20, 1, 2)));
        assert_eq!(routes.len(), 2);
        assert_eq!(mask_length([255, 255, 255, 0].into()), Some(24));
        assert_eq!(mask_length([255, 247, 255, 0].into()), None);
        assert_eq!(mask_length([0, 0, 0, 0].into()), Some(0));
        assert_eq!(mask_length([255; 4].into()), Some(32));
    }
}
