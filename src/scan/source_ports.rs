//! Which source ports probes leave from.
//!
//! A probe's source address is the kernel's own, so its answers reach the kernel too: a SYN-ACK for
//! which it has no socket is reset by it, which is what we want (nothing stays half-open, and nobody
//! has to forge a RST). For the same reason the port must never be one with a socket, nor one the
//! kernel may give to a program while the sweep runs: a connection of somebody's would hear our
//! answers. So the ports lie outside the ephemeral range and apart from every local socket.
//!
//! A datagram without a socket would be answered by the kernel with port unreachable, a frame the
//! target need not get: [`SourcePorts::hold`] binds the UDP ports, and nobody reads them.

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use serde::{Deserialize, Serialize};

/// Ports from `first` on, `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRange {
    pub first: u16,
    pub count: u16,
}

impl PortRange {
    /// The port that a token chooses: its upper half, spread evenly.
    pub fn port(self, token: u64) -> u16 {
        let chosen = ((token >> 32) * u64::from(self.count)) >> 32;
        self.first.wrapping_add(chosen as u16)
    }

    pub fn contains(self, port: u16) -> bool {
        port >= self.first && port - self.first < self.count
    }
}

/// The source ports of a sweep. Kept in its record: a replay recognises answers by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePorts {
    pub tcp: PortRange,
    pub udp: PortRange,
}

/// A thousand and more ports are ten bits of token beside the 32 of the sequence number.
const TCP_COUNT: u16 = 1024;
/// Each is a socket that is held: well below the usual limit of 1,024 open files.
const UDP_COUNT: u16 = 256;

/// Linux's default, `net.ipv4.ip_local_port_range`.
const USUAL_EPHEMERAL: (u16, u16) = (32768, 60999);

impl SourcePorts {
    /// The highest free ranges outside the ephemeral ports: below them, else above. `taken` are the
    /// ports that local sockets have, of any transport. Ranges shrink where the room is narrow.
    pub fn choose(ephemeral: (u16, u16), taken: &[u16]) -> SourcePorts {
        let mut ports = SourcePorts {
            tcp: PortRange { first: 0, count: 0 },
            udp: PortRange { first: 0, count: 0 },
        };
        let mut used = taken.to_vec();
        let mut find = |most: u16| {
            let mut count = most;
            while count > 1 {
                if let Some(first) = free_run(ephemeral, &used, count) {
                    used.extend(first..=first + (count - 1));
                    return PortRange { first, count };
                }
                count /= 2;
            }
            // Every port but one is taken: it costs bits of the token, not the sweep.
            PortRange { first: free_run(ephemeral, &used, 1).unwrap_or(1024), count: 1 }
        };
        ports.tcp = find(TCP_COUNT);
        ports.udp = find(UDP_COUNT);
        ports
    }

    /// By this machine's ephemeral range and open sockets, as `/proc` tells them.
    pub fn of_this_machine() -> SourcePorts {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
        let ephemeral = range.ok().and_then(|text| read_range(&text)).unwrap_or(USUAL_EPHEMERAL);
        let mut taken = Vec::new();
        for table in ["tcp", "tcp6", "udp", "udp6"] {
            if let Ok(text) = std::fs::read_to_string(format!("/proc/net/{table}")) {
                taken.extend(local_ports(&text));
            }
        }
        SourcePorts::choose(ephemeral, &taken)
    }

    /// Binds the UDP ports on every address, so that the kernel does not answer answers. Keep the
    /// sockets as long as the sweep; a port that cannot be bound is left out.
    pub fn hold(self) -> Vec<UdpSocket> {
        let ports = (0..self.udp.count).map(|place| self.udp.first.wrapping_add(place));
        ports
            .flat_map(|port| {
                // A wildcard IPv6 socket hears IPv4 as well, unless the machine says otherwise.
                let ipv6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, port)).ok();
                let ipv4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).ok();
                [ipv6, ipv4]
            })
            .flatten()
            .collect()
    }
}

/// The highest `count` ports in a row from 1024 on that are neither ephemeral nor taken; below the
/// ephemeral range if there is room.
fn free_run(ephemeral: (u16, u16), taken: &[u16], count: u16) -> Option<u16> {
    let free = |port: u16| !(ephemeral.0..=ephemeral.1).contains(&port) && !taken.contains(&port);
    let run_in = |ports: &mut dyn Iterator<Item = u16>| {
        let mut run = 0;
        for port in ports {
            run = if free(port) { run + 1 } else { 0 };
            if run == count {
                return Some(port);
            }
        }
        None
    };
    let below = &mut (1024..ephemeral.0.max(1024)).rev();
    let above = &mut (ephemeral.1.saturating_add(1)..=u16::MAX).rev();
    run_in(below).or_else(|| run_in(above))
}

fn read_range(text: &str) -> Option<(u16, u16)> {
    let mut ends = text.split_ascii_whitespace().map(str::parse::<u16>);
    Some((ends.next()?.ok()?, ends.next()?.ok()?))
}

/// The local ports of a table like `/proc/net/tcp`.
fn local_ports(table: &str) -> impl Iterator<Item = u16> + '_ {
    table.lines().skip(1).filter_map(|line| {
        let local = line.split_ascii_whitespace().nth(1)?;
        let (_, port) = local.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_avoid_ephemeral_and_taken_ones() {
        let taken: Vec<u16> = (31_000..32_768).step_by(3).collect();
        let ports = SourcePorts::choose((32_768, 60_999), &taken);
        for range in [ports.tcp, ports.udp] {
            assert!(range.count >= 256);
            for place in 0..range.count {
                let port = range.first + place;
                assert!(!(32_768..=60_999).contains(&port) && !taken.contains(&port));
            }
        }
        assert!(!ports.tcp.contains(ports.udp.first));
    }

    #[test]
    fn with_all_ports_ephemeral_there_is_still_an_answer() {
        let ports = SourcePorts::choose((1024, 65_535), &[]);
        assert_eq!((ports.tcp.count, ports.udp.count), (1, 1));
        let above = SourcePorts::choose((1024, 60_000), &[]);
        assert!(above.tcp.first > 60_000);
    }

    #[test]
    fn a_token_chooses_evenly_and_inside() {
        let range = PortRange { first: 1000, count: 3 };
        assert_eq!(range.port(0), 1000);
        assert_eq!(range.port(u64::MAX), 1002);
        assert!(!range.contains(999) && range.contains(1002) && !range.contains(1003));
    }

    #[test]
    fn the_kernels_tables_are_read() {
        let table = "  sl  local_address rem_address\n   0: 0100007F:0277 00000000:0000 0A\n";
        assert_eq!(local_ports(table).collect::<Vec<_>>(), [631]);
        assert_eq!(read_range("32768\t60999\n"), Some((32768, 60999)));
    }
}
