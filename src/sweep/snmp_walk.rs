//! Reading a router's tables by SNMP: neighbour caches, addresses, routes. RFC 4293 and RFC 4292, and the older tables
//! (RFC 2465, RFC 1213, RFC 2096) where the newer are empty.
//!
//! A walk is a state that asks and reads; whoever holds the socket carries the datagrams. One column of each table is
//! enough, for the rest is in the index. It ends at the table's end, when names stop growing, at the bound of rows, or when
//! nothing answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::{Mac, Prefix, special};
use crate::observe::Fact;
use crate::wire::snmp::{self, Oid, Value};

pub const PORT: u16 = 161;
/// Rows of one table: more stations than a router of a county has behind it. A guess.
const MOST_ROWS: usize = 4096;
/// Rows in a response: some 1,300 octets, one packet. Halved where an agent says that it is too big.
const REPETITIONS: u8 = 20;

/// A table by the column that is read.
struct Table {
    column: &'static [u32],
    row: fn(&[u32], &Value, IpAddr) -> Option<Fact>,
    /// Read only where this table of the list had no rows.
    instead_of: Option<usize>,
}

const TABLES: &[Table] = &[
    // ipNetToPhysicalPhysAddress
    Table { column: &[1, 3, 6, 1, 2, 1, 4, 35, 1, 4], row: neighbour, instead_of: None },
    // ipAddressPrefix
    Table { column: &[1, 3, 6, 1, 2, 1, 4, 34, 1, 5], row: address, instead_of: None },
    // inetCidrRouteType
    Table { column: &[1, 3, 6, 1, 2, 1, 4, 24, 7, 1, 8], row: route, instead_of: None },
    // ipv6NetToMediaPhysAddress, ipNetToMediaPhysAddress
    Table {
        column: &[1, 3, 6, 1, 2, 1, 55, 1, 12, 1, 2],
        row: neighbour_ipv6,
        instead_of: Some(0),
    },
    Table { column: &[1, 3, 6, 1, 2, 1, 4, 22, 1, 2], row: neighbour_ipv4, instead_of: Some(0) },
    // ipv6AddrPfxLength, ipAdEntNetMask
    Table { column: &[1, 3, 6, 1, 2, 1, 55, 1, 8, 1, 2], row: address_ipv6, instead_of: Some(1) },
    Table { column: &[1, 3, 6, 1, 2, 1, 4, 20, 1, 3], row: address_ipv4, instead_of: Some(1) },
    // ipCidrRouteType
    Table { column: &[1, 3, 6, 1, 2, 1, 4, 24, 4, 1, 6], row: route_ipv4, instead_of: Some(2) },
];

/// The walk of one router.
#[derive(Debug, Clone)]
pub struct Walk {
    router: IpAddr,
    table: usize,
    /// The last name that was read.
    at: Oid,
    rows: [usize; TABLES.len()],
    repetitions: u8,
    request: i32,
}

/// What a datagram meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// No answer to the question that is out.
    NotOurs,
    /// Facts, and on with the next question, if there is one.
    Read(Vec<Fact>),
}

impl Walk {
    /// `seed` makes the numbers of requests hard to guess.
    pub fn new(router: IpAddr, seed: u64) -> Walk {
        let mut walk = Walk {
            router,
            table: 0,
            at: Oid(Vec::new()),
            rows: [0; TABLES.len()],
            repetitions: REPETITIONS,
            request: (seed >> 33) as i32,
        };
        walk.begin(0);
        walk
    }

    pub fn is_over(&self) -> bool {
        self.table >= TABLES.len()
    }

    /// The next question; `None` where it is over.
    pub fn question(&self, community: &[u8]) -> Option<Vec<u8>> {
        let names = [self.at.clone()];
        (!self.is_over()).then(|| snmp::get_bulk(community, self.request, self.repetitions, &names))
    }

    pub fn read(&mut self, octets: &[u8]) -> Step {
        let Some(table) = TABLES.get(self.table) else { return Step::NotOurs };
        let Ok(response) = snmp::read(octets) else { return Step::NotOurs };
        if response.request != self.request {
            return Step::NotOurs;
        }
        self.request = self.request.wrapping_add(1) & i32::MAX;
        let mut facts = Vec::new();
        // tooBig: RFC 3416 §4.2.3.
        if response.error == 1 && self.repetitions > 1 {
            self.repetitions /= 2;
            return Step::Read(facts);
        }
        let mut more = response.error == 0 && !response.values.is_empty();
        for (name, value) in response.values {
            let index = name.within(table.column);
            let Some(index) = index.filter(|_| name > self.at && value != Value::Absent) else {
                more = false;
                break;
            };
            facts.extend((table.row)(index, &value, self.router));
            let rows = self.rows.get_mut(self.table);
            let full = rows.is_none_or(|rows| {
                *rows += 1;
                *rows >= MOST_ROWS
            });
            self.at = name;
            if full {
                more = false;
                break;
            }
        }
        if !more {
            self.begin(self.table + 1);
        }
        Step::Read(facts)
    }

    /// Goes to a table, or to the first after it that is wanted.
    fn begin(&mut self, table: usize) {
        self.table = table;
        while let Some(table) = TABLES.get(self.table) {
            let unwanted = table.instead_of.is_some_and(|newer| self.rows[newer] > 0);
            if !unwanted {
                self.at = Oid(table.column.to_vec());
                return;
            }
            self.table += 1;
        }
    }
}

/// An InetAddressType and InetAddress of an index (RFC 4001), and what stands behind them.
fn inet(index: &[u32]) -> Option<(IpAddr, &[u32])> {
    let (kind, rest) = index.split_first()?;
    let (length, rest) = rest.split_first()?;
    let length = usize::try_from(*length).ok()?;
    let (octets, rest) = rest.split_at_checked(length)?;
    // Zoned addresses (3, 4) have four octets of zone behind.
    let address = match (kind, length) {
        (1, 4) | (3, 8) => ipv4(octets.get(..4)?)?.into(),
        (2, 16) | (4, 20) => ipv6(octets.get(..16)?)?.into(),
        _ => return None,
    };
    Some((address, rest))
}

fn octets<const N: usize>(numbers: &[u32]) -> Option<[u8; N]> {
    let octets: Option<Vec<u8>> = numbers.iter().map(|number| u8::try_from(*number).ok()).collect();
    octets?.try_into().ok()
}

fn ipv4(numbers: &[u32]) -> Option<Ipv4Addr> {
    octets::<4>(numbers).map(Ipv4Addr::from)
}

fn ipv6(numbers: &[u32]) -> Option<Ipv6Addr> {
    octets::<16>(numbers).map(Ipv6Addr::from)
}

fn prefix_of(ip: IpAddr, length: u32) -> Option<Prefix> {
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let length = u8::try_from(length).ok().filter(|length| *length <= most)?;
    Some(Prefix::of(ip, length))
}

fn told_neighbour(ip: IpAddr, value: &Value, by: IpAddr) -> Option<Fact> {
    let Value::Octets(octets) = value else { return None };
    let mac = Mac(octets.as_slice().try_into().ok()?);
    let fits = mac.is_station() && special::is_host(ip) && !special::is_link_local(ip);
    fits.then_some(Fact::ToldNeighbour { by, ip, mac })
}

/// ifIndex, address.
fn neighbour(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    told_neighbour(inet(index.get(1..)?)?.0, value, by)
}

fn neighbour_ipv6(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    // The address has a fixed length, so some agents leave its length out.
    let index = index.get(1..)?;
    let index = if index.len() == 17 { index.get(1..)? } else { index };
    told_neighbour(ipv6(index)?.into(), value, by)
}

fn neighbour_ipv4(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    told_neighbour(ipv4(index.get(1..)?)?.into(), value, by)
}

fn told_address(ip: IpAddr, prefix: Option<Prefix>, by: IpAddr) -> Option<Fact> {
    let fits = special::is_host(ip) && !special::is_link_local(ip);
    fits.then_some(Fact::ToldAddress { by, ip, prefix })
}

/// Address; the value names a row of ipAddressPrefixTable, whose last number is the length.
fn address(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    let (ip, _) = inet(index)?;
    let prefix = match value {
        Value::Oid(row) if row.0.len() > 2 => {
            row.0.last().and_then(|length| prefix_of(ip, *length))
        }
        _ => None,
    };
    told_address(ip, prefix, by)
}

fn address_ipv6(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    let index = index.get(1..)?;
    let index = if index.len() == 17 { index.get(1..)? } else { index };
    let ip = ipv6(index)?.into();
    let Value::Integer(length) = value else { return None };
    told_address(ip, prefix_of(ip, u32::try_from(*length).ok()?), by)
}

fn address_ipv4(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    let ip = ipv4(index)?.into();
    let Value::Address(mask) = value else { return None };
    told_address(
        ip,
        length_of(u32::from_be_bytes(*mask)).and_then(|length| prefix_of(ip, length)),
        by,
    )
}

/// `None` for a mask with gaps.
fn length_of(mask: u32) -> Option<u32> {
    (mask.leading_ones() + mask.trailing_zeros() >= 32).then_some(mask.leading_ones())
}

/// Kinds of routes: local 3, remote 4. Others lead nowhere. RFC 4292.
fn told_route(prefix: Prefix, next_hop: IpAddr, kind: &Value, by: IpAddr) -> Option<Fact> {
    let remote = match kind {
        Value::Integer(3) => false,
        Value::Integer(4) => true,
        _ => return None,
    };
    // Hosts, groups and the links themselves are no destinations of others.
    let shared = prefix.length() < prefix.family().bits()
        && special::is_host(prefix.last())
        && !special::is_link_local(prefix.first());
    if !shared && prefix.length() > 0 {
        return None;
    }
    let next_hop = Some(next_hop).filter(|hop| remote && !hop.is_unspecified());
    Some(Fact::ToldRoute { by, prefix, next_hop })
}

/// Destination, its length, a policy's name, next hop.
fn route(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    let (destination, rest) = inet(index)?;
    let (length, rest) = rest.split_first()?;
    let (policy, rest) = rest.split_first()?;
    let rest = rest.get(usize::try_from(*policy).ok()?..)?;
    // Type 0 with no octets: no next hop.
    let next_hop = match inet(rest) {
        Some((next_hop, _)) => next_hop,
        None => Ipv4Addr::UNSPECIFIED.into(),
    };
    told_route(prefix_of(destination, *length)?, next_hop, value, by)
}

/// Destination, mask, type of service, next hop.
fn route_ipv4(index: &[u32], value: &Value, by: IpAddr) -> Option<Fact> {
    let destination = ipv4(index.get(..4)?)?;
    let mask = ipv4(index.get(4..8)?)?.to_bits();
    let next_hop = ipv4(index.get(9..13)?)?;
    told_route(prefix_of(destination.into(), length_of(mask)?)?, next_hop.into(), value, by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> IpAddr {
        "10.0.0.1".parse().unwrap()
    }

    fn numbers(ip: &str) -> Vec<u32> {
        let ip: Ipv6Addr = ip.parse().unwrap();
        ip.octets().into_iter().map(u32::from).collect()
    }

    #[test]
    fn rows_are_read_by_their_index() {
        let mac = Value::Octets(vec![0, 0x1b, 0x54, 1, 2, 3]);
        let of_mac = Mac([0, 0x1b, 0x54, 1, 2, 3]);
        let host: IpAddr = "fd00:2::7".parse().unwrap();
        let index = [vec![3, 2, 16], numbers("fd00:2::7")].concat();
        let told = Fact::ToldNeighbour { by: router(), ip: host, mac: of_mac };
        assert_eq!(neighbour(&index, &mac, router()), Some(told.clone()));
        let old = [vec![3], numbers("fd00:2::7")].concat();
        assert_eq!(neighbour_ipv6(&old, &mac, router()), Some(told));
        let local = [vec![3, 4, 20], numbers("fe80::7"), vec![0, 0, 0, 3]].concat();
        assert_eq!(neighbour(&local, &mac, router()), None);
        assert_eq!(neighbour(&index, &Value::Octets(Vec::new()), router()), None);
        assert_eq!(neighbour(&[3, 2, 16, 1], &mac, router()), None);

        let row =
            Oid([vec![1, 3, 6, 1, 2, 1, 4, 32, 1, 5, 3, 2, 16], numbers("fd00:2::"), vec![64]]
                .concat());
        let address = address(&index[1..], &Value::Oid(row), router());
        let prefix = Some("fd00:2::/64".parse().unwrap());
        assert_eq!(address, Some(Fact::ToldAddress { by: router(), ip: host, prefix }));

        let remote =
            [vec![2, 16], numbers("fd00:9::"), vec![48, 2, 0, 0, 2, 16], numbers("fd00:2::9")]
                .concat();
        let next_hop = Some("fd00:2::9".parse().unwrap());
        let prefix = "fd00:9::/48".parse().unwrap();
        let told = Fact::ToldRoute { by: router(), prefix, next_hop };
        assert_eq!(route(&remote, &Value::Integer(4), router()), Some(told));
        assert_eq!(route(&remote, &Value::Integer(5), router()), None, "a black hole");
        let old = [10, 9, 0, 0, 255, 255, 0, 0, 0, 10, 0, 0, 2];
        let told = Fact::ToldRoute {
            by: router(),
            prefix: "10.9.0.0/16".parse().unwrap(),
            next_hop: Some("10.0.0.2".parse().unwrap()),
        };
        assert_eq!(route_ipv4(&old, &Value::Integer(4), router()), Some(told));
    }

    #[test]
    fn older_tables_are_read_where_the_newer_are_empty() {
        let mut walk = Walk::new(router(), 7);
        walk.rows = [1, 0, 0, 0, 0, 0, 0, 0];
        walk.begin(3);
        assert_eq!(walk.at.0, TABLES[5].column, "the addresses; neighbours were told");
        walk.begin(TABLES.len());
        assert!(walk.is_over() && walk.question(b"c").is_none());
    }
}
