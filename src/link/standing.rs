//! Whether an interface is still what a sweep began with.
//!
//! No socket tells that an address was taken away, or a cable pulled: frames would go on leaving, from an
//! address that may be somebody else's by now, or into nothing. So the kernel's table is read about once a
//! second, which costs some tens of microseconds.

use std::net::IpAddr;
use std::time::Duration;

use super::LinkError;
use super::interfaces::{self, Interface};
use crate::net::Mac;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// A carrier may be gone for so long: a switch that restarts its port, a cable put into another socket.
const PATIENCE: Duration = Duration::from_secs(3);

/// What an interface had when the sweep began.
#[derive(Debug, Clone)]
pub struct Standing {
    name: String,
    index: u32,
    mac: Mac,
    /// What frames go out from.
    addresses: Vec<IpAddr>,
    looked: Option<Duration>,
    without_carrier: Option<Duration>,
    had_carrier: bool,
}

impl Standing {
    pub fn new(name: &str, index: u32, mac: Mac, addresses: Vec<IpAddr>) -> Standing {
        Standing {
            name: name.to_owned(),
            index,
            mac,
            addresses,
            looked: None,
            without_carrier: None,
            had_carrier: false,
        }
    }

    /// Looks, if it is time. `now` is on any clock that runs forward.
    pub fn verify(&mut self, now: Duration) -> Result<(), LinkError> {
        if self.looked.is_some_and(|looked| now.saturating_sub(looked) < INTERVAL) {
            return Ok(());
        }
        self.looked = Some(now);
        // A table that cannot be read just now says nothing against the interface.
        let Ok(all) = interfaces::interfaces() else { return Ok(()) };
        self.judge(now, all.iter().find(|interface| interface.index == self.index))
    }

    fn judge(&mut self, now: Duration, found: Option<&Interface>) -> Result<(), LinkError> {
        let interface = self.name.clone();
        let Some(found) = found else { return Err(LinkError::Gone { interface }) };
        if !found.up {
            return Err(LinkError::Down { interface });
        }
        if found.mac != Some(self.mac) {
            return Err(LinkError::Changed { interface, what: self.mac.to_string() });
        }
        let has = |address: &&IpAddr| found.addresses.iter().any(|own| own.address == **address);
        if let Some(lost) = self.addresses.iter().find(|address| !has(address)) {
            return Err(LinkError::Changed { interface, what: lost.to_string() });
        }
        if found.running {
            (self.had_carrier, self.without_carrier) = (true, None);
            return Ok(());
        }
        // An interface that never had one was taken as it was.
        let since = *self.without_carrier.get_or_insert(now);
        if self.had_carrier && now.saturating_sub(since) >= PATIENCE {
            return Err(LinkError::NoCarrier { interface });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::interfaces::InterfaceAddress;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 5]);

    fn interface(change: impl FnOnce(&mut Interface)) -> Interface {
        let address = IpAddr::from([10, 20, 1, 5]);
        let mut interface = Interface {
            index: 7,
            name: "eth1".to_owned(),
            hardware: 1,
            mac: Some(MAC),
            mtu: 1500,
            up: true,
            running: true,
            loopback: false,
            addresses: vec![InterfaceAddress {
                address,
                length: 24,
                unusable: false,
                secondary: false,
            }],
        };
        change(&mut interface);
        interface
    }

    fn judge(standing: &mut Standing, second: u64, found: Option<&Interface>) -> String {
        match standing.judge(Duration::from_secs(second), found) {
            Ok(()) => "well".to_owned(),
            Err(fault) => fault.to_string(),
        }
    }

    #[test]
    fn what_is_not_there_any_more_is_named() {
        let standing = || Standing::new("eth1", 7, MAC, vec![[10, 20, 1, 5].into()]);
        for (found, expected) in [
            (Some(interface(|_| {})), "well"),
            (Some(interface(|i| i.mtu = 576)), "well"),
            (None, "the interface eth1 is gone"),
            (Some(interface(|i| i.up = false)), "the interface eth1 is down"),
            (
                Some(interface(|i| i.addresses.clear())),
                "eth1 changed: 10.20.1.5 is not there any more",
            ),
            (
                Some(interface(|i| i.mac = Some(Mac([2, 0, 0, 0, 0, 6])))),
                "eth1 changed: 02:00:00:00:00:05 is not there any more",
            ),
        ] {
            assert_eq!(judge(&mut standing(), 0, found.as_ref()), expected);
        }
    }

    #[test]
    fn a_carrier_may_be_gone_for_a_moment() {
        let mut standing = Standing::new("eth1", 7, MAC, Vec::new());
        let (with, without) = (interface(|_| {}), interface(|i| i.running = false));
        let told: Vec<String> = [
            (0, &with),
            (1, &without),
            (3, &without),
            (4, &with),
            (5, &without),
            (7, &without),
            (8, &without),
        ]
        .into_iter()
        .map(|(second, found)| judge(&mut standing, second, Some(found)))
        .collect();
        let mut expected = vec!["well".to_owned(); 7];
        expected[6] = "eth1 has no carrier".to_owned();
        assert_eq!(told, expected);
        let mut never = Standing::new("eth1", 7, MAC, Vec::new());
        assert_eq!(judge(&mut never, 0, Some(&without)), "well");
        assert_eq!(judge(&mut never, 9, Some(&without)), "well");
    }
}
