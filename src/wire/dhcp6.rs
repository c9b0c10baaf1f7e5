//! DHCPv6 (RFC 9915): messages of clients and servers, also inside relays' envelopes.

use std::net::Ipv6Addr;

use super::cursor::{Cursor, Kept, WireError};
use super::dns;
use crate::net::{Mac, Prefix};

pub const SOLICIT: u8 = 1;
pub const ADVERTISE: u8 = 2;
pub const REPLY: u8 = 7;
pub const RECONFIGURE: u8 = 10;
pub const RELAY_FORWARD: u8 = 12;
pub const RELAY_REPLY: u8 = 13;

/// Relays on the way: RFC 9915 §7.6 says 8.
const MOST_RELAYS: u8 = 8;
const MOST_OPTIONS: usize = 256;

/// A client's or server's message, taken out of the envelopes that relays put around it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub message_type: u8,
    pub transaction: u32,
    /// The outermost relay's link address, where there was a relay.
    pub relay: Option<Ipv6Addr>,
    /// The client's link-layer address as the relay next to it saw it. RFC 6939.
    pub relayed_mac: Option<Mac>,
    /// The address the relay next to the client had the message from.
    pub peer: Option<Ipv6Addr>,
    /// Option codes in their order.
    pub order: Vec<u16>,
    pub client_duid: Option<Vec<u8>>,
    pub server_duid: Option<Vec<u8>>,
    /// Options asked for.
    pub requested: Vec<u16>,
    pub fqdn: Option<String>,
    /// The first text of the vendor class option, and the enterprise it is of.
    pub vendor_class: Option<(u32, Vec<u8>)>,
    pub addresses: Vec<Ipv6Addr>,
    pub delegated: Vec<Prefix>,
    pub dns: Vec<Ipv6Addr>,
    pub domains: Vec<String>,
    /// The relays' envelopes, the outermost first.
    pub relays: Vec<Envelope>,
    /// Options that are not read here, by their codes.
    pub others: Vec<(u16, Vec<u8>)>,
}

/// What a relay puts around a message: RFC 8415 §9, and the options of RFC 4649 and 4580.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub link: Ipv6Addr,
    pub peer: Ipv6Addr,
    pub interface: Option<Vec<u8>>,
    /// Behind the enterprise's number.
    pub remote: Option<Vec<u8>>,
    pub subscriber: Option<Vec<u8>>,
}

impl Message {
    /// Options before a fault are kept: the second value is the fault.
    pub fn read(bytes: &[u8]) -> Result<Kept<Message>, WireError> {
        let mut message = Message::default();
        let mut cursor = Cursor::new("dhcpv6", bytes);
        for _ in 0..=MOST_RELAYS {
            message.message_type = cursor.u8()?;
            if !matches!(message.message_type, RELAY_FORWARD | RELAY_REPLY) {
                let [a, b, c] = cursor.array()?;
                message.transaction = u32::from_be_bytes([0, a, b, c]);
                let ended = message.read_options(cursor);
                return Ok((message, ended));
            }
            cursor = message.read_envelope(cursor)?;
        }
        Err(cursor.wrong("too many relays"))
    }

    /// The relay's header and options; gives back what it carries.
    fn read_envelope<'a>(&mut self, mut cursor: Cursor<'a>) -> Result<Cursor<'a>, WireError> {
        cursor.skip(1)?;
        let link = cursor.ipv6()?;
        self.relay.get_or_insert(link);
        let peer = cursor.ipv6()?;
        self.peer = Some(peer);
        let mut envelope = Envelope { link, peer, interface: None, remote: None, subscriber: None };
        let mut carried = None;
        while !cursor.is_empty() {
            let (code, mut value) = option(&mut cursor)?;
            match code {
                9 => carried = Some(value),
                79 if value.u16()? == 1 => self.relayed_mac = Some(value.mac()?),
                18 => envelope.interface = Some(value.rest().to_vec()),
                37 => {
                    value.skip(4)?;
                    envelope.remote = Some(value.rest().to_vec());
                }
                38 => envelope.subscriber = Some(value.rest().to_vec()),
                _ => {}
            }
        }
        self.relays.push(envelope);
        carried.ok_or(cursor.wrong("relay without a message"))
    }

    fn read_options(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        let mut fault = Ok(());
        while !cursor.is_empty() {
            if self.order.len() >= MOST_OPTIONS {
                return Err(cursor.wrong("too many options"));
            }
            let (code, value) = option(&mut cursor)?;
            self.order.push(code);
            // An option that is wrong inside does not spoil the next one.
            fault = self.take(code, value).and(fault);
        }
        fault
    }

    fn take(&mut self, code: u16, mut value: Cursor<'_>) -> Result<(), WireError> {
        match code {
            1 => self.client_duid = Some(duid(value)?),
            2 => self.server_duid = Some(duid(value)?),
            3 => {
                value.skip(12)?;
                self.read_association(value)?;
            }
            4 => {
                value.skip(4)?;
                self.read_association(value)?;
            }
            25 => {
                value.skip(12)?;
                self.read_association(value)?;
            }
            6 => {
                let codes = value.rest().as_chunks::<2>().0;
                let left = MOST_OPTIONS.saturating_sub(self.requested.len());
                self.requested
                    .extend(codes.iter().take(left).map(|code| u16::from_be_bytes(*code)));
            }
            16 => {
                let enterprise = value.u32()?;
                let length = value.u16()?;
                let class = value.take_up_to(usize::from(length));
                self.vendor_class = Some((enterprise, class.to_vec()));
            }
            23 => {
                let servers = value.rest().as_chunks::<16>().0;
                self.dns.extend(servers.iter().map(|octets| Ipv6Addr::from(*octets)));
            }
            24 => self.domains = dns::names("dhcpv6", value.rest())?,
            39 => {
                value.skip(1)?;
                let name = dns::partial_name("dhcpv6", value.rest())?;
                self.fqdn = (!name.is_empty()).then_some(name);
            }
            _ => self.others.push((code, value.rest().to_vec())),
        }
        Ok(())
    }

    /// The addresses and prefixes in an identity association.
    fn read_association(&mut self, mut cursor: Cursor<'_>) -> Result<(), WireError> {
        while !cursor.is_empty() {
            let (code, mut value) = option(&mut cursor)?;
            match code {
                5 => self.addresses.push(value.ipv6()?),
                26 => {
                    value.skip(8)?;
                    let length = value.u8()?;
                    if length > 128 {
                        return Err(value.wrong("prefix length over 128"));
                    }
                    self.delegated.push(Prefix::of(value.ipv6()?.into(), length));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The client's MAC, as far as its DUID says it: link-layer types 1 and 3 of RFC 9915 §11.
    pub fn duid_mac(&self) -> Option<Mac> {
        match self.client_duid.as_deref()? {
            [0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..] => {
                Some(Mac(mac.try_into().ok()?))
            }
            _ => None,
        }
    }
}

fn option<'a>(cursor: &mut Cursor<'a>) -> Result<(u16, Cursor<'a>), WireError> {
    let code = cursor.u16()?;
    let length = cursor.u16()?;
    Ok((code, cursor.part(usize::from(length))?))
}

/// RFC 9915 §11.1: at most 130 octets with the type.
fn duid(value: Cursor<'_>) -> Result<Vec<u8>, WireError> {
    match value.left() {
        1..=130 => Ok(value.rest().to_vec()),
        _ => Err(value.wrong("DUID of an impossible length")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::build;
    use super::super::view::{Headers, Transport};
    use super::*;

    const OURS: Mac = Mac([2, 0, 0, 0, 0, 5]);

    fn option(code: u16, value: &[u8]) -> Vec<u8> {
        [&code.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
    }

    fn reply() -> Vec<u8> {
        let address = [&[0xfd; 16][..], &[0; 8]].concat();
        let prefix = [&[0; 8][..], &[56, 0xfd], &[0; 15]].concat();
        [
            vec![REPLY, 1, 2, 3],
            option(1, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 5]),
            option(2, &[0, 2, 0, 0, 0, 9, 7]),
            option(3, &[&[0; 12][..], &option(5, &address)].concat()),
            option(25, &[&[0; 12][..], &option(26, &prefix)].concat()),
            option(23, &[0xfd; 16]),
            option(24, b"\x04unit\x07example\0"),
        ]
        .concat()
    }

    #[test]
    fn our_solicit_reads_back() {
        let frame = build::dhcpv6_solicit(OURS, "fe80::5".parse().unwrap(), 0x0001_0203);
        let headers = Headers::read(&frame).unwrap();
        let Some(Transport::Udp(udp)) = headers.transport() else { panic!("no UDP") };
        let (read, ended) = Message::read(udp.payload).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!((read.message_type, read.transaction), (SOLICIT, 0x0001_0203));
        assert_eq!((read.duid_mac(), &read.requested[..]), (Some(OURS), &[23, 24][..]));
        // No rapid commit (14): a server must not lease at once.
        assert_eq!(read.order, [1, 3, 25, 6, 8]);
    }

    #[test]
    fn a_reply_inside_two_envelopes() {
        let envelope = |kind: u8, hop: u8, inside: &[u8]| {
            let interface = option(79, &[0, 1, 2, 0, 0, 0, 0, 9]);
            [&[kind, hop][..], &[0xfd; 16], &[0xfe; 16], &interface, &option(9, inside)].concat()
        };
        let bytes = envelope(RELAY_REPLY, 1, &envelope(RELAY_REPLY, 0, &reply()));
        let (read, ended) = Message::read(&bytes).unwrap();
        assert_eq!(ended, Ok(()));
        assert_eq!(read.message_type, REPLY);
        assert_eq!(read.relay, Some(Ipv6Addr::from([0xfd; 16])));
        assert_eq!(read.relayed_mac, Some(Mac([2, 0, 0, 0, 0, 9])));
        assert_eq!(read.addresses, [Ipv6Addr::from([0xfd; 16])]);
        assert_eq!(read.delegated, ["fd00::/56".parse().unwrap()]);
        assert_eq!(read.domains, ["unit.example"]);
        assert_eq!(read.server_duid.as_deref(), Some(&[0, 2, 0, 0, 0, 9, 7][..]));
        for length in 0..bytes.len() {
            assert!(Message::read(&bytes[..length]).map_or(true, |(_, ended)| ended.is_err()));
        }
    }

    #[test]
    fn envelopes_without_end_end() {
        let mut bytes = reply();
        for _ in 0..20 {
            bytes = [&[RELAY_FORWARD, 0][..], &[0; 32], &option(9, &bytes)].concat();
        }
        assert_eq!(Message::read(&bytes).unwrap_err().why(), "too many relays");
        let empty = [&[RELAY_FORWARD, 0][..], &[0; 32]].concat();
        assert_eq!(Message::read(&empty).unwrap_err().why(), "relay without a message");
    }

    #[test]
    fn options_before_and_behind_a_fault_are_kept() {
        let bytes = [
            vec![SOLICIT, 0, 0, 1],
            option(1, &[]),
            option(39, &[0, 4, b'd', b'e', b's', b'k']),
            vec![0, 1, 0, 9],
        ]
        .concat();
        let (read, ended) = Message::read(&bytes).unwrap();
        assert_eq!((read.fqdn.as_deref(), read.client_duid), (Some("desk"), None));
        assert!(ended.is_err());
    }
}
