//! Holds back what the kernel would answer on the canaries by itself.
//!
//! By an nftables table that goes with us ([`OwnedTable`]).
//!
//! Answers are held back, input is not: another service of the host, an operator's SSH on the same address, goes on
//! working. Held back are ICMP answers and errors; resets for what no socket wanted, which are those without ACK or with
//! sequence number zero (RFC 9293 §3.10.7.1), not those with which a service ends its own connection; and for our own
//! ports every SYN-ACK of a flow after the first within some seconds, so that a SYN with a made-up source is
//! answered by one packet and no second. The list of flows is bounded: beyond it SYN-ACKs are held back altogether.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::link::owned_table::OwnedTable;
pub use crate::link::owned_table::TableError as ShieldError;
use crate::link::privilege::Owner;

/// With [`crate::link::listener::answer_sparingly`] the kernel sends a second SYN-ACK after one second and gives up after three.
const FLOW_LIFE: u32 = 5;
/// Flows remembered in each family: 13,000 connections a second.
const MOST_FLOWS: u32 = 65_535;

/// The table, as long as it lives.
pub struct Shield(OwnedTable);

impl Shield {
    /// Raises the table, and returns when the kernel has it. The child becomes `user`, where we may give it away.
    pub fn raise(
        canaries: &[IpAddr],
        ports: &[u16],
        user: Option<Owner>,
    ) -> Result<Shield, ShieldError> {
        let name = OwnedTable::name_of_this_process();
        let text = rules(&name, canaries, ports);
        OwnedTable::raise(&name, &text, "held", user).map(Shield)
    }

    /// Whether the table still stands.
    pub fn stands(&mut self) -> bool {
        self.0.stands()
    }
}

/// The table, one statement a line, as `nft -i` takes it.
fn rules(table: &str, canaries: &[IpAddr], ports: &[u16]) -> String {
    let list = |wanted: fn(&&IpAddr) -> bool| {
        let list: Vec<String> = canaries.iter().filter(wanted).map(IpAddr::to_string).collect();
        list.join(", ")
    };
    let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
    let ports = ports.join(", ");
    let mut text = format!(
        "add table inet {table} {{ flags owner; }}\n\
         add chain inet {table} answers {{ type filter hook output priority -300; policy accept; }}\n\
         add chain inet {table} held\n\
         add rule inet {table} held oifname \"lo\" accept\n\
         add rule inet {table} held icmp type {{ echo-reply, destination-unreachable, source-quench, redirect, \
         time-exceeded, parameter-problem, timestamp-reply, info-reply, address-mask-reply }} drop\n\
         add rule inet {table} held icmpv6 type {{ echo-reply, destination-unreachable, time-exceeded, parameter-problem }} drop\n\
         add rule inet {table} held tcp flags & (rst | ack) == rst drop\n\
         add rule inet {table} held tcp flags & (rst | ack) == (rst | ack) tcp sequence 0 drop\n"
    );
    for (family, protocol, kind, list) in [
        ("ip", "ipv4", "ipv4_addr", list(|address| address.is_ipv4())),
        ("ip6", "ipv6", "ipv6_addr", list(|address| address.is_ipv6())),
    ] {
        if list.is_empty() {
            continue;
        }
        if !ports.is_empty() {
            let answer = format!(
                "meta nfproto {protocol} tcp flags & (syn | ack) == (syn | ack) tcp sport {{ {ports} }}"
            );
            let flow = format!("{family} daddr . tcp dport . tcp sport");
            // Writing to a text cannot fail.
            let _ = write!(
                text,
                "add set inet {table} flows_{family} {{ type {kind} . inet_service . inet_service; size {MOST_FLOWS}; \
                 flags dynamic,timeout; timeout {FLOW_LIFE}s; }}\n\
                 add rule inet {table} held {answer} {flow} @flows_{family} drop\n\
                 add rule inet {table} held {answer} add @flows_{family} {{ {flow} }} accept\n\
                 add rule inet {table} held {answer} drop\n"
            );
        }
        let _ =
            writeln!(text, "add rule inet {table} answers {family} saddr {{ {list} }} jump held");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_without_a_canary_has_no_rule() {
        let text = rules("t", &[[198, 51, 100, 10].into()], &[80, 443]);
        assert!(text.contains("answers ip saddr { 198.51.100.10 } jump held"));
        assert!(text.contains("tcp sport { 80, 443 }"));
        assert!(!text.contains("ip6 saddr"));
        assert!(text.lines().all(|line| line.starts_with("add ")));
    }
}
