//! The interface that a link is attached to, and what became of it when a call fails.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::LinkError;
use super::interfaces::{self, Interface, NetlinkError};
use super::sys::packet::PacketSocket;

/// An interface as it was when the link was opened.
#[derive(Debug, Clone)]
pub struct Attachment {
    pub interface: Interface,
}

/// Whether a frame has a VLAN tag, which does not count against the MTU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tag {
    Present,
    Absent,
}

/// A destination, a source and a type.
const ETHERNET_HEADER: usize = 14;
const VLAN_TAG: usize = 4;
pub const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];

/// The kernel tells of carriers once a second at most (net/core/link_watch.c).
const SETTLING: Duration = Duration::from_millis(1200);

impl Attachment {
    /// The interface of this name, if it carries Ethernet frames and is up.
    ///
    /// One that was set up just now runs only a moment later, and the kernel throws away what is
    /// sent before, by libpnet without a word. So it gets that moment; where it has no
    /// carrier at all it is taken as it is: a cable may be plugged in later.
    pub fn find(name: &str) -> Result<Attachment, LinkError> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let interface = look_up(name)?;
            if interface.running || Instant::now() >= deadline {
                return Ok(Attachment { interface });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn name(&self) -> &str {
        &self.interface.name
    }

    pub fn index(&self) -> u32 {
        self.interface.index
    }

    /// The longest frame that fits: a VLAN tag does not count against the MTU.
    pub fn most(&self) -> usize {
        (self.interface.mtu as usize).saturating_add(ETHERNET_HEADER + VLAN_TAG)
    }

    /// The longest frame at this MTU, now.
    pub fn most_at(mtu: u32, tag: Tag) -> usize {
        let tag = if tag == Tag::Present { VLAN_TAG } else { 0 };
        (mtu as usize).saturating_add(ETHERNET_HEADER + tag)
    }

    /// Refuses a frame that the kernel would refuse.
    pub fn admit(&self, frame: &[u8]) -> Result<(), LinkError> {
        let tagged = frame.get(12..14) == Some(&ETHERTYPE_VLAN);
        let most = if tagged { self.most() } else { self.most() - VLAN_TAG };
        if (ETHERNET_HEADER..=most).contains(&frame.len()) {
            return Ok(());
        }
        Err(LinkError::Length {
            interface: self.name().to_owned(),
            length: frame.len(),
            least: ETHERNET_HEADER,
            most,
        })
    }

    /// What a failed call means. An interface goes down before it goes away, and the socket hears
    /// of the first: so a look whether it is still there is worth a moment.
    pub fn explain(
        &self,
        socket: &PacketSocket,
        what: &'static str,
        error: io::Error,
    ) -> LinkError {
        let explained = LinkError::of(self.name(), what, error);
        if !matches!(explained, LinkError::Down { .. }) {
            return explained;
        }
        // Between its going down and its leaving the table the kernel waits for other processors:
        // milliseconds. A guess with a wide margin.
        for _ in 0..20 {
            if !socket.has_interface(self.index()).unwrap_or(true) {
                return LinkError::Gone { interface: self.name().to_owned() };
            }
            thread::sleep(Duration::from_millis(10));
        }
        explained
    }
}

fn look_up(name: &str) -> Result<Interface, LinkError> {
    let all = interfaces::interfaces().map_err(|error| match error {
        NetlinkError::System { what, source } => LinkError::of(name, what, source),
        NetlinkError::Changing { .. } => {
            LinkError::of(name, "reading the interfaces", io::ErrorKind::ResourceBusy.into())
        }
    })?;
    let interface = all
        .into_iter()
        .find(|interface| interface.name == name)
        .ok_or_else(|| LinkError::NoInterface { interface: name.to_owned() })?;
    if !interface.is_ethernet() && !interface.loopback {
        let hardware = interface.hardware;
        return Err(LinkError::NotEthernet { interface: name.to_owned(), hardware });
    }
    if !interface.up {
        return Err(LinkError::Down { interface: name.to_owned() });
    }
    Ok(interface)
}
