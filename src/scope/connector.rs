//! The fenced connector: conversations by the kernel's own sockets, for who has no right to raw ones.
//!
//! A connection is not one frame. The kernel resolves the neighbour (three ARP requests or
//! solicitations at most), sends a SYN, an acknowledgement and a reset or FIN. All of them are reserved
//! beforehand, and none is given back: the ceilings hold whatever the answer is.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use super::ceilings::{Ceilings, Cost, Pace, Room};
use super::conversation::{self, ConversationPermit, Ended, Wanted};
use super::guard::{Class, Guard, Refusal};
use crate::observe::VantageId;

/// Resolution, SYN, acknowledgement, end.
const FRAMES: u32 = 6;

/// Shorter than the kernel's first retransmission (RFC 6298 §2: one second), so that a silent address gets one
/// SYN.
const PATIENCE: Duration = Duration::from_millis(900);

/// Admits and paces; the permits it makes are the only way to connect.
pub struct Connector {
    guard: Guard,
    pace: Pace,
    ended: Ended,
    made: u64,
}

/// Leave for one connection, its frames reserved.
#[derive(Debug)]
pub struct ConnectPermit {
    address: SocketAddr,
}

/// Whether a connection or a conversation may be had now.
#[derive(Debug)]
pub enum Leave<P = ConnectPermit> {
    Now(P),
    Later(Duration),
    Refused(Refusal),
}

/// What a connection showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connected {
    Open,
    Closed,
    Silent,
}

impl Connector {
    pub fn new(guard: Guard, ceilings: Ceilings) -> Connector {
        Connector { guard, pace: Pace::new(ceilings), ended: Ended::default(), made: 0 }
    }

    /// `now` is the time since the sweep's start.
    pub fn leave(&mut self, ip: IpAddr, port: u16, vantage: VantageId, now: Duration) -> Leave {
        if let Err(refusal) = self.guard.open_at(now) {
            return Leave::Refused(refusal);
        }
        // A connection is no gentle question: a fragile address gets none.
        if let Err(refusal) = self.guard.admit(ip, vantage, Class::Ordinary) {
            return Leave::Refused(refusal);
        }
        self.ended.settle(&mut self.pace, now);
        let beyond = self.guard.vantage(vantage).is_some_and(|own| own.on_link(ip).is_none());
        let unheard = beyond.then_some(&ip);
        let to = [ip];
        let cost = |held, unheard| Cost { to: &to, held, unheard };
        match self.pace.room(now, &cost(FRAMES - 1, unheard)) {
            Room::Now => {}
            Room::Later(wait, _) => return Leave::Later(wait),
            Room::Never(_) => return Leave::Refused(Refusal::Ceiling),
        }
        // One address is asked, by however many frames.
        self.pace.sent(now, &cost(0, unheard));
        for _ in 1..FRAMES {
            self.pace.sent(now, &cost(0, None));
        }
        self.made += 1;
        Leave::Now(ConnectPermit { address: SocketAddr::new(ip, port) })
    }

    /// Leave for a conversation, as [`super::Fence::converse`] gives it.
    pub fn converse(&mut self, wanted: &Wanted, now: Duration) -> Leave<ConversationPermit> {
        conversation::leave(&self.guard, &mut self.pace, &self.ended, wanted, now)
    }

    /// Connections that had leave so far: each sent one SYN at least and [`FRAMES`] frames at most.
    pub fn made(&self) -> u64 {
        self.made
    }
}

impl ConnectPermit {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connects and hangs up at once; nothing is said.
    pub fn connect(self) -> Connected {
        match TcpStream::connect_timeout(&self.address, PATIENCE) {
            Ok(_) => Connected::Open,
            Err(fault) if fault.kind() == io::ErrorKind::ConnectionRefused => Connected::Closed,
            Err(_) => Connected::Silent,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::net::{AddressSet, Mac, Prefix};
    use crate::scope::{Risk, Rules, Vantage};

    fn connector(packets_per_second: u32) -> Connector {
        let scope: AddressSet = ["10.20.1.0/24".parse::<Prefix>().unwrap()].into_iter().collect();
        let rules = Rules {
            scope,
            exclude: ["10.20.1.9/32".parse::<Prefix>().unwrap()].into_iter().collect(),
            observe_only: ["10.20.1.8/32".parse::<Prefix>().unwrap()].into_iter().collect(),
            risk: Risk::UNICAST,
            window: None,
            canaries: Vec::new(),
            collector: None,
            vantages: vec![Vantage {
                id: VantageId(0),
                mac: Mac([2, 0, 0, 0, 0, 1]),
                addresses: vec![("10.20.1.5".parse().unwrap(), "10.20.1.0/24".parse().unwrap())],
            }],
        };
        let ceilings = Ceilings { packets_per_second, ..Ceilings::default() };
        Connector::new(Guard::new(rules, Timestamp::UNIX_EPOCH), ceilings)
    }

    fn leave(connector: &mut Connector, last: u8, millis: u64) -> Leave {
        let ip = [10, 20, 1, last].into();
        connector.leave(ip, 80, VantageId(0), Duration::from_millis(millis))
    }

    #[test]
    fn what_the_guard_forbids_is_not_connected_to() {
        let mut connector = connector(1000);
        assert!(matches!(leave(&mut connector, 7, 0), Leave::Now(_)));
        assert!(matches!(leave(&mut connector, 9, 0), Leave::Refused(Refusal::Excluded)));
        assert!(matches!(leave(&mut connector, 8, 0), Leave::Refused(Refusal::ObserveOnly)));
        let outside = connector.leave([192, 0, 2, 1].into(), 80, VantageId(0), Duration::ZERO);
        assert!(matches!(outside, Leave::Refused(Refusal::OutsideScope)));
        assert_eq!(connector.made(), 1);
    }

    #[test]
    fn reserved_frames_hold_the_ceiling() {
        let mut connector = connector(60);
        let mut made = 0;
        for millis in 0..1000 {
            if matches!(leave(&mut connector, 1 + (millis % 4) as u8, millis), Leave::Now(_)) {
                made += 1;
            }
        }
        assert!((1..=10).contains(&made), "{made} connections of {FRAMES} frames in a second");
    }
}
