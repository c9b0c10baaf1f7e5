//! Route netlink: dumps of links, addresses, routes and neighbours. rtnetlink(7), RFC 3549.
//!
//! The kernel's messages are read like any other foreign bytes: what is too short is skipped, and
//! what is unknown is left alone, so a newer kernel is no error.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::mem::{offset_of, size_of};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use libc::{ifaddrmsg, ifinfomsg, nlmsghdr};
use thiserror::Error;

use super::interfaces::{Interface, InterfaceAddress, Neighbour, NeighbourState, Route};
use super::sys::netlink::NetlinkSocket;
use crate::net::{Family, Mac, Prefix};

/// `struct rtmsg` of linux/rtnetlink.h: here for its offsets.
#[repr(C)]
struct rtmsg {
    rtm_family: u8,
    rtm_dst_len: u8,
    rtm_src_len: u8,
    rtm_tos: u8,
    rtm_table: u8,
    rtm_protocol: u8,
    rtm_scope: u8,
    rtm_type: u8,
    rtm_flags: u32,
}

/// `struct ndmsg` of linux/neighbour.h: here for its offsets.
#[repr(C)]
struct ndmsg {
    ndm_family: u8,
    ndm_pad1: u8,
    ndm_pad2: u16,
    ndm_ifindex: i32,
    ndm_state: u16,
    ndm_flags: u8,
    ndm_type: u8,
}

#[derive(Debug, Error)]
pub enum NetlinkError {
    #[error("netlink: {what}: {source}")]
    System { what: &'static str, source: io::Error },
    #[error("netlink: the table changed during each of {readings} readings")]
    Changing { readings: u32 },
}

/// How often a table is read anew that changed while it was read (NLM_F_DUMP_INTR).
const READINGS: u32 = 8;
/// The kernel puts no more than this into one datagram of a dump.
const DATAGRAM: usize = 32 << 10;
/// The most entries taken from one table: a full internet table has a million routes.
const MAX_ENTRIES: usize = 4_000_000;

pub(super) fn interfaces() -> Result<Vec<Interface>, NetlinkError> {
    let socket = open()?;
    let links = dump(&socket, libc::RTM_GETLINK, [0; size_of::<ifinfomsg>()], link)?;
    let addresses = dump(&socket, libc::RTM_GETADDR, [0; size_of::<ifaddrmsg>()], address)?;
    let mut interfaces: BTreeMap<u32, Interface> =
        links.into_iter().map(|interface| (interface.index, interface)).collect();
    for (index, address) in addresses {
        if let Some(interface) = interfaces.get_mut(&index) {
            interface.addresses.push(address);
        }
    }
    Ok(interfaces.into_values().collect())
}

pub(super) fn routes() -> Result<Vec<Route>, NetlinkError> {
    dump(&open()?, libc::RTM_GETROUTE, [0; size_of::<rtmsg>()], route)
        .map(|routes| routes.into_iter().flatten().collect())
}

pub(super) fn neighbours() -> Result<Vec<Neighbour>, NetlinkError> {
    dump(&open()?, libc::RTM_GETNEIGH, [0; size_of::<ndmsg>()], neighbour)
}

fn open() -> Result<NetlinkSocket, NetlinkError> {
    NetlinkSocket::open().map_err(|source| NetlinkError::System { what: "open", source })
}

/// Asks for a whole table and reads each of its entries; `body` is the all-zero request header,
/// which asks for both families and every interface.
fn dump<T, const N: usize>(
    socket: &NetlinkSocket,
    kind: u16,
    body: [u8; N],
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<Vec<T>, NetlinkError> {
    for sequence in 1..=READINGS {
        let request = request(kind, sequence, &body);
        socket.send(&request).map_err(|source| NetlinkError::System { what: "send", source })?;
        if let Some(entries) = answer(socket, sequence, &read)? {
            return Ok(entries);
        }
    }
    Err(NetlinkError::Changing { readings: READINGS })
}

fn request(kind: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = (size_of::<nlmsghdr>() + body.len()) as u32;
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut message = Vec::with_capacity(length as usize);
    message.extend_from_slice(&length.to_ne_bytes());
    message.extend_from_slice(&kind.to_ne_bytes());
    message.extend_from_slice(&flags.to_ne_bytes());
    message.extend_from_slice(&sequence.to_ne_bytes());
    message.extend_from_slice(&0u32.to_ne_bytes());
    message.extend_from_slice(body);
    message
}

/// Reads datagrams until the dump is done. `None` where the table changed meanwhile.
fn answer<T>(
    socket: &NetlinkSocket,
    sequence: u32,
    read: impl Fn(&[u8]) -> Option<T>,
) -> Result<Option<Vec<T>>, NetlinkError> {
    let fail = |source| NetlinkError::System { what: "receive", source };
    let mut buffer = vec![0; DATAGRAM];
    let mut entries = Vec::new();
    let mut changed = false;
    loop {
        let length = match socket.receive(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            received => received.map_err(fail)?,
        };
        for message in messages(buffer.get(..length).unwrap_or(&buffer)) {
            if message.sequence != sequence {
                continue;
            }
            changed |= message.flags & libc::NLM_F_DUMP_INTR as u16 != 0;
            match libc::c_int::from(message.kind) {
                libc::NLMSG_DONE => return Ok((!changed).then_some(entries)),
                libc::NLMSG_ERROR => {
                    let code = field::<4>(message.body, 0).map_or(0, i32::from_ne_bytes);
                    return Err(fail(io::Error::from_raw_os_error(code.saturating_neg())));
                }
                _ if entries.len() < MAX_ENTRIES => entries.extend(read(message.body)),
                _ => {}
            }
        }
    }
}

struct Message<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    body: &'a [u8],
}

/// The messages of a datagram; ends at the first whose length cannot be.
fn messages(datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = field(rest, offset_of!(nlmsghdr, nlmsg_len)).map(u32::from_ne_bytes)? as usize;
        let message = Message {
            kind: u16::from_ne_bytes(field(rest, offset_of!(nlmsghdr, nlmsg_type))?),
            flags: u16::from_ne_bytes(field(rest, offset_of!(nlmsghdr, nlmsg_flags))?),
            sequence: u32::from_ne_bytes(field(rest, offset_of!(nlmsghdr, nlmsg_seq))?),
            body: rest.get(size_of::<nlmsghdr>()..length)?,
        };
        rest = rest.get(length.checked_next_multiple_of(4)?..).unwrap_or_default();
        Some(message)
    })
}

/// The attributes behind a message's own header of `size` octets, as type and value.
fn attributes(body: &[u8], size: usize) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = body.get(size.next_multiple_of(4)..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = usize::from(u16::from_ne_bytes(field(rest, 0)?));
        // The two high bits say that it is nested and in network order.
        let kind = u16::from_ne_bytes(field(rest, 2)?) & 0x3fff;
        let value = rest.get(4..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    })
}

fn field<const N: usize>(from: &[u8], at: usize) -> Option<[u8; N]> {
    from.get(at..)?.first_chunk().copied()
}

fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().copied().map(u32::from_ne_bytes)
}

fn link(body: &[u8]) -> Option<Interface> {
    let index = field(body, offset_of!(ifinfomsg, ifi_index)).map(u32::from_ne_bytes)?;
    let flags = field(body, offset_of!(ifinfomsg, ifi_flags)).map(u32::from_ne_bytes)?;
    let has = |flag: libc::c_int| flags & flag as u32 != 0;
    let mut interface = Interface {
        index,
        name: String::new(),
        hardware: u16::from_ne_bytes(field(body, offset_of!(ifinfomsg, ifi_type))?),
        mac: None,
        mtu: 0,
        up: has(libc::IFF_UP),
        running: has(libc::IFF_RUNNING),
        loopback: has(libc::IFF_LOOPBACK),
        addresses: Vec::new(),
    };
    for (kind, value) in attributes(body, size_of::<ifinfomsg>()) {
        match kind {
            libc::IFLA_IFNAME => {
                let name = CStr::from_bytes_until_nul(value).map_or(value, CStr::to_bytes);
                interface.name = String::from_utf8_lossy(name).into_owned();
            }
            libc::IFLA_ADDRESS => interface.mac = value.try_into().ok().map(Mac),
            libc::IFLA_MTU => interface.mtu = number(value).unwrap_or(0),
            _ => {}
        }
    }
    Some(interface)
}

fn address(body: &[u8]) -> Option<(u32, InterfaceAddress)> {
    let index = field(body, offset_of!(ifaddrmsg, ifa_index)).map(u32::from_ne_bytes)?;
    let [length] = field(body, offset_of!(ifaddrmsg, ifa_prefixlen))?;
    let [low_flags] = field(body, offset_of!(ifaddrmsg, ifa_flags))?;
    let mut flags = u32::from(low_flags);
    let (mut local, mut remote) = (None, None);
    for (kind, value) in attributes(body, size_of::<ifaddrmsg>()) {
        match kind {
            libc::IFA_LOCAL => local = ip(value),
            libc::IFA_ADDRESS => remote = ip(value),
            libc::IFA_FLAGS => flags = number(value).unwrap_or(flags),
            _ => {}
        }
    }
    // On a link of two ends IFA_ADDRESS is the other end's; IPv6 has IFA_LOCAL only there.
    let address = InterfaceAddress {
        address: local.or(remote)?,
        length,
        unusable: flags & (libc::IFA_F_TENTATIVE | libc::IFA_F_DADFAILED) != 0,
        // IFA_F_SECONDARY and IFA_F_TEMPORARY are one bit.
        secondary: flags & libc::IFA_F_SECONDARY != 0,
    };
    Some((index, address))
}

/// The unicast routes of one message: several where it has several next hops.
fn route(body: &[u8]) -> Option<Vec<Route>> {
    let [family] = field(body, offset_of!(rtmsg, rtm_family))?;
    let [length] = field(body, offset_of!(rtmsg, rtm_dst_len))?;
    let [kind] = field(body, offset_of!(rtmsg, rtm_type))?;
    let [table] = field(body, offset_of!(rtmsg, rtm_table))?;
    let family = match libc::c_int::from(family) {
        libc::AF_INET => Family::Ipv4,
        libc::AF_INET6 => Family::Ipv6,
        _ => return None,
    };
    let flags = field(body, offset_of!(rtmsg, rtm_flags)).map(u32::from_ne_bytes)?;
    if kind != libc::RTN_UNICAST || flags & libc::RTM_F_CLONED != 0 {
        return None;
    }
    let mut table = u32::from(table);
    let mut destination = family.address(0);
    let (mut gateway, mut source, mut interface) = (None, None, None);
    let (mut metric, mut hops) = (0, Vec::new());
    for (kind, value) in attributes(body, size_of::<rtmsg>()) {
        match kind {
            libc::RTA_DST => destination = ip(value)?,
            libc::RTA_GATEWAY => gateway = ip(value),
            libc::RTA_VIA => gateway = via(value),
            libc::RTA_PREFSRC => source = ip(value),
            libc::RTA_OIF => interface = number(value),
            libc::RTA_PRIORITY => metric = number(value).unwrap_or(0),
            libc::RTA_TABLE => table = number(value).unwrap_or(table),
            libc::RTA_MULTIPATH => hops = next_hops(value),
            _ => {}
        }
    }
    if table != u32::from(libc::RT_TABLE_MAIN) {
        return None;
    }
    hops.extend(interface.map(|interface| (interface, gateway)));
    let destination = Prefix::of(destination, length);
    Some(
        hops.into_iter()
            .map(|(interface, gateway)| Route { destination, gateway, interface, source, metric })
            .collect(),
    )
}

/// The next hops of a route that has several: each a `struct rtnexthop` with attributes of its own.
fn next_hops(value: &[u8]) -> Vec<(u32, Option<IpAddr>)> {
    const HEADER: usize = 8;
    let mut hops = Vec::new();
    let mut rest = value;
    while let Some(length) = field(rest, 0).map(u16::from_ne_bytes)
        && let Some(interface) = field(rest, 4).map(u32::from_ne_bytes)
        && let Some(hop) = rest.get(..usize::from(length)).filter(|hop| hop.len() >= HEADER)
    {
        let gateway = attributes(hop, HEADER).find_map(|(kind, value)| match kind {
            libc::RTA_GATEWAY => ip(value),
            libc::RTA_VIA => via(value),
            _ => None,
        });
        hops.push((interface, gateway));
        rest = rest.get(hop.len().next_multiple_of(4)..).unwrap_or_default();
    }
    hops
}

/// A gateway of another family than the route's: two octets of family, then the address.
fn via(value: &[u8]) -> Option<IpAddr> {
    ip(value.get(2..)?)
}

fn neighbour(body: &[u8]) -> Option<Neighbour> {
    let interface = field(body, offset_of!(ndmsg, ndm_ifindex)).map(u32::from_ne_bytes)?;
    let state = u16::from_ne_bytes(field(body, offset_of!(ndmsg, ndm_state))?);
    let [flags] = field(body, offset_of!(ndmsg, ndm_flags))?;
    let (mut address, mut mac) = (None, None);
    for (kind, value) in attributes(body, size_of::<ndmsg>()) {
        match kind {
            libc::NDA_DST => address = ip(value),
            libc::NDA_LLADDR => mac = value.try_into().ok().map(Mac),
            _ => {}
        }
    }
    let state = match state {
        libc::NUD_INCOMPLETE => NeighbourState::Incomplete,
        libc::NUD_REACHABLE => NeighbourState::Reachable,
        libc::NUD_STALE => NeighbourState::Stale,
        libc::NUD_DELAY => NeighbourState::Delay,
        libc::NUD_PROBE => NeighbourState::Probe,
        libc::NUD_FAILED => NeighbourState::Failed,
        libc::NUD_NOARP => NeighbourState::Noarp,
        libc::NUD_PERMANENT => NeighbourState::Permanent,
        other => NeighbourState::Unknown(other),
    };
    // Entries of a bridge's own table have no address.
    Some(Neighbour { ip: address?, mac, interface, state, router: flags & libc::NTF_ROUTER != 0 })
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    match value.len() {
        4 => Some(Ipv4Addr::from(field::<4>(value, 0)?).into()),
        16 => Some(Ipv6Addr::from(field::<16>(value, 0)?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_bytes_make_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / 16 + 1);
            let _ = (link(&bytes), address(&bytes), route(&bytes), neighbour(&bytes));
            prop_assert!(next_hops(&bytes).len() <= bytes.len() / 8 + 1);
        }
    }

    #[test]
    fn a_message_of_no_length_ends_the_walk() {
        assert_eq!(messages(&[0; 64]).count(), 0);
        assert_eq!(attributes(&[0; 64], 16).count(), 0);
    }

    /// As `ip route` prints it: default proto static, nexthop via 10.0.0.1 dev 2, nexthop via
    /// 10.0.0.2 dev 3.
    #[test]
    fn each_next_hop_of_a_route_is_a_route() {
        let mut body = vec![2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
        let hop = |interface: u8, last: u8| {
            let mut hop = vec![16, 0, 0, 0, interface, 0, 0, 0, 8, 0, 5, 0];
            hop.extend([10, 0, 0, last]);
            hop
        };
        body.extend([36, 0, 9, 0]);
        body.extend(hop(2, 1));
        body.extend(hop(3, 2));
        if cfg!(target_endian = "big") {
            return;
        }
        let routes = route(&body).unwrap();
        let seen: Vec<_> = routes.iter().map(|r| (r.interface, r.gateway.unwrap())).collect();
        assert_eq!(seen, [(2, [10, 0, 0, 1].into()), (3, [10, 0, 0, 2].into())]);
        assert_eq!(routes[0].destination.to_string(), "0.0.0.0/0");
    }
}
