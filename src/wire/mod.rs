//! Packet formats: read and write, one file a protocol. Total functions over bytes: no I/O, no
//! clock, no panic.
//!
//! Every reader takes what a [`Cursor`] gives it and stops where the cursor cannot go on. Lengths
//! that a header states are believed only as far as there are bytes. What a reader did not
//! understand it leaves as bytes or as a number; it never guesses.
//!
//! Writers take values that cannot be wrong and give whole frames; [`build`] has the frames that
//! a sweep sends.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::todo,
        clippy::arithmetic_side_effects
    )
)]

pub mod arp;
pub mod bgp;
pub mod build;
pub mod carp;
pub mod cdp;
pub mod checksum;
pub mod cursor;
pub mod dhcp4;
pub mod dhcp6;
pub mod dns;
pub mod edp;
pub mod eigrp;
pub mod ethernet;
pub mod glbp;
pub mod head;
pub mod hsrp;
pub mod icmp;
pub mod igmp;
pub mod ip;
pub mod ipv4;
pub mod ipv6;
pub mod isis;
pub mod leaves;
pub mod link_header;
pub mod link_type;
pub mod lldp;
pub mod marks;
pub mod mld;
pub mod ndp;
pub mod netbios;
pub mod ntlm;
pub mod ospf;
pub mod pim;
pub mod pppoe;
pub mod quic;
pub mod rip;
pub mod slow;
pub mod snmp;
pub mod stp;
pub mod tcp;
pub mod tls;
pub mod tunnel;
pub mod udp;
pub mod view;
pub mod vrrp;
pub mod x509;

pub use cursor::{Cursor, Kept, WireError};
pub use ethernet::{EtherType, Ethernet};
pub use ip::{Ip, Protocol};
pub use link_type::LinkType;
pub use view::{Headers, Network, Transport};
