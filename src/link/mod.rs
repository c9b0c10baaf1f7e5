//! Frames in and out: packet rings, capture files, interfaces and routes by netlink.
//!
//! Several means of sending stand side by side under [`Io`]: AF_XDP in copy mode, `sendmmsg`, a transmit ring,
//! libpnet's datalink channel. Frames come in by a TPACKET_V3 ring, or by libpnet. All hand frames over the
//! same two traits, so nothing above this room knows which one runs. What only listens holds a
//! [`Receive`] from [`open_receive`]: for it no sending half exists.
//!
//! AF_XDP is the fastest because least stands between a frame and the driver; what a frame costs is then the
//! kernel's own work, and a thread of the link does that beside the engine's. No BPF program is loaded, no queue of a card is
//! taken from the kernel: see [`Io::Xdp`].
//!
//! Frames that leave by a [`Transmit`] are not heard by the [`Receive`] of the same link (nor, by
//! the ring, by any local tap): who keeps a record copies them on the sending path. Frames of our
//! own kernel (its resets, its ARP answers) are heard, marked [`Captured::outgoing`].

mod attachment;
mod batch;
pub mod capture;
mod error;
mod filter;
pub mod interfaces;
pub mod listener;
mod netlink;
pub mod owned_table;
#[cfg(feature = "pnet-io")]
mod portable;
pub mod privilege;
mod ring;
mod sharing;
mod slots;
pub mod standing;
pub mod sys;
mod xdp;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use thiserror::Error;

pub use error::LinkError;
pub use filter::{Answers, Filter};
pub use sharing::{SETTLING, Sharing};

/// Segments that a TCP connection of the kernel's sent so far: its SYN, data, acknowledgements and
/// retransmissions.
pub fn segments_sent(connection: impl AsFd) -> io::Result<u32> {
    sys::tcp::segments_sent(connection)
}

/// The time on the clock by which service managers reckon: CLOCK_MONOTONIC.
pub fn monotonic() -> Duration {
    sys::process::monotonic()
}

/// Lets whoever reads frames go first; for threads that work on what was read.
pub fn give_way() {
    // It only costs time where it fails.
    let _ = sys::process::give_way();
}

/// By which means frames go in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Io {
    /// AF_XDP in copy mode out, a TPACKET_V3 ring in.
    ///
    /// Copy mode and sending alone: a zero-copy bind needs a BPF program on the card for what comes in and takes
    /// a queue of it from everybody else on the machine; a sweep is never that fast.
    Xdp,
    /// A TPACKET_V2 ring out with PACKET_QDISC_BYPASS, a TPACKET_V3 ring in.
    Ring,
    /// `sendmmsg` with PACKET_QDISC_BYPASS out, a TPACKET_V3 ring in.
    Batch,
    /// libpnet's datalink channel: one system call a frame and no VLAN tags, but less asked of the
    /// kernel.
    Pnet,
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a way to send and receive frames: {0:?}; there are xdp, ring, batch and pnet")]
pub struct BadIo(pub String);

impl Io {
    pub const ALL: [Io; 4] = [Io::Xdp, Io::Ring, Io::Batch, Io::Pnet];

    /// From the fastest on, as measured: `docs/decisions/060-afxdp-copy.md`.
    const BY_SPEED: [Io; 4] = [Io::Xdp, Io::Batch, Io::Ring, Io::Pnet];

    pub const fn word(self) -> &'static str {
        match self {
            Io::Xdp => "xdp",
            Io::Ring => "ring",
            Io::Batch => "batch",
            Io::Pnet => "pnet",
        }
    }

    /// Whether 802.1Q tags are seen. Where not, frames behind a trunk look untagged, and a sweep or
    /// a watch by it has to say so.
    pub const fn keeps_vlan_tags(self) -> bool {
        !matches!(self, Io::Pnet)
    }
}

impl fmt::Display for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Io {
    type Err = BadIo;

    fn from_str(text: &str) -> Result<Io, BadIo> {
        Io::ALL
            .into_iter()
            .find(|io| io.word() == text)
            .ok_or_else(|| BadIo(text.chars().take(64).collect()))
    }
}

/// One frame as it was taken from the wire.
#[derive(Debug, Clone, Copy)]
pub struct Captured<'a> {
    /// The kernel's time of arrival, in nanoseconds; with [`Io::Pnet`] the time of reading it.
    pub at: Timestamp,
    /// From the Ethernet header on, with its 802.1Q tag, cut at [`Options::snap`].
    pub bytes: &'a [u8],
    /// The length on the wire, in octets, without the frame check sequence.
    pub length: u32,
    /// Sent by our own kernel: its resets, its ARP answers. Such frames count against ceilings.
    pub outgoing: bool,
}

/// The receiving half of a link.
pub trait Receive: Send {
    /// Hands every waiting frame to `take`; waits at most `patience` for the first.
    ///
    /// Says how many there were: zero when patience ran out or a signal came. Frames that were
    /// caught before a link went down come before its error.
    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(Captured<'_>),
    ) -> Result<usize, LinkError>;

    /// Frames that the kernel threw away since the link was opened because we were too slow.
    fn dropped(&mut self) -> Result<u64, LinkError>;

    /// How full the kernel's buffer is, from 0 to 1: blocks that wait to be read. Costs no system
    /// call. Where it cannot be told, as with [`Io::Pnet`], it is 0.
    fn fill(&self) -> f64 {
        0.0
    }

    /// What to poll to wait for several links together; see [`wait_any`].
    fn fd(&self) -> BorrowedFd<'_>;

    /// Whether the next `receive` has an error to tell, of which the descriptor shows nothing more.
    fn has_ended(&self) -> bool {
        false
    }

    fn interface(&self) -> &str;
}

/// The sending half of a link.
pub trait Transmit: Send {
    /// Copies a whole frame, from the Ethernet header on, into the batch; a full batch is sent.
    ///
    /// On [`LinkError::Congested`] the frame was not taken and may be queued again.
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError>;

    /// Sends what is queued. Says how many frames the kernel took since the last `flush`.
    ///
    /// By [`Io::Xdp`] many frames go out beside what the caller does next: they are counted, and an
    /// error of theirs is told, by a later call.
    ///
    /// On [`LinkError::Congested`] the rest stays queued for the next `flush`.
    fn flush(&mut self) -> Result<usize, LinkError>;

    /// As `flush`, and waits until the kernel took everything, or patience runs out, which is congestion.
    fn settle(&mut self, patience: Duration) -> Result<usize, LinkError> {
        let _ = patience;
        self.flush()
    }

    fn interface(&self) -> &str;
}

/// Whether a link hears what our own kernel sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outgoing {
    /// It does, marked by [`Captured::outgoing`].
    Heard,
    /// The kernel is told not to hand such frames to us at all.
    Ignored,
}

/// How a link is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the kernel lets through to us.
    pub filter: Filter,
    pub outgoing: Outgoing,
    /// Hear frames for other stations too: the port may be a mirror.
    pub promiscuous: bool,
    /// The most octets kept of a frame.
    pub snap: u32,
    /// Memory of the receive ring in octets, rounded up to whole blocks. With [`Io::Pnet`] the
    /// socket's receive buffer.
    pub ring: usize,
    /// How long the kernel may hold back a block of the ring that is not full: what an answer waits at most
    /// before we see it. In whole milliseconds, one at least. With [`Io::Pnet`] nothing is held back.
    pub hold: Duration,
}

/// Everything, promiscuously, as long as an IP packet can be (what the kernel merges from several
/// is no longer). 16 MiB are 128 blocks: they hold 100,000 smallest frames, a tenth of a second at a
/// million a second; and a second of few frames, when each block goes over by its timer.
impl Default for Options {
    fn default() -> Options {
        Options {
            filter: Filter::Everything,
            outgoing: Outgoing::Heard,
            promiscuous: true,
            snap: WHOLE_PACKET,
            ring: 16 << 20,
            // Shorter than any round trip that is worth pacing by.
            hold: Duration::from_millis(8),
        }
    }
}

/// An Ethernet header with a tag, and the longest IP packet.
const WHOLE_PACKET: u32 = 18 + 65_535;

/// How long one call may wait for room on the way out; then it counts as congestion.
const SEND_PATIENCE: Duration = Duration::from_millis(100);

/// Both halves of a link.
pub type Halves = (Box<dyn Transmit>, Box<dyn Receive>);

/// Opens both halves on an interface that is up.
pub fn open(interface: &str, io: Io, options: &Options) -> Result<Halves, LinkError> {
    let with_ring = |transmit: fn(&str) -> Result<Box<dyn Transmit>, LinkError>| {
        let receive = ring::open_receive(interface, options)?;
        Ok((transmit(interface)?, receive))
    };
    match io {
        Io::Xdp => with_ring(xdp::open),
        Io::Ring => with_ring(slots::open),
        Io::Batch => with_ring(batch::open),
        #[cfg(feature = "pnet-io")]
        Io::Pnet => portable::open(interface, options),
        #[cfg(not(feature = "pnet-io"))]
        Io::Pnet => Err(LinkError::NotBuilt { io }),
    }
}

/// Opens the receiving half alone. What holds it cannot send.
pub fn open_receive(
    interface: &str,
    io: Io,
    options: &Options,
) -> Result<Box<dyn Receive>, LinkError> {
    match io {
        Io::Xdp | Io::Ring | Io::Batch => ring::open_receive(interface, options),
        #[cfg(feature = "pnet-io")]
        Io::Pnet => portable::open_receive(interface, options),
        #[cfg(not(feature = "pnet-io"))]
        Io::Pnet => Err(LinkError::NotBuilt { io }),
    }
}

/// A means that was not to be had, and why: it belongs in the sweep's notices.
#[derive(Debug)]
pub struct NotTaken {
    pub io: Io,
    pub why: LinkError,
}

/// Opens by the fastest means that the kernel grants. The third part says why it is none of the faster ones.
///
/// An interface that is absent, down or denied is so for all, and is an error at once; only AF_XDP
/// may be denied alone, by a security module.
pub fn open_or_fall_back(
    interface: &str,
    options: &Options,
) -> Result<(Halves, Io, Vec<NotTaken>), LinkError> {
    let mut passed = Vec::new();
    for io in Io::BY_SPEED {
        match open(interface, io, options) {
            Ok(halves) => return Ok((halves, io, passed)),
            Err(why @ LinkError::System { .. }) => passed.push(NotTaken { io, why }),
            Err(why @ LinkError::Denied { .. }) if io == Io::Xdp => {
                passed.push(NotTaken { io, why });
            }
            // Left out of the build: the last of those that were tried tells more.
            Err(why @ LinkError::NotBuilt { .. }) => {
                return Err(passed.pop().map_or(why, |last| last.why));
            }
            Err(error) => return Err(error),
        }
    }
    let last = passed.pop().map(|last| last.why);
    Err(last.unwrap_or_else(|| LinkError::NoInterface { interface: interface.to_owned() }))
}

/// The fastest means out that the kernel grants now. Opens it and closes it again; nothing is sent or heard.
pub fn fastest(interface: &str) -> Result<Io, LinkError> {
    let opened = |io| match io {
        Io::Xdp => xdp::open(interface).map(|_| ()),
        Io::Ring => slots::open(interface).map(|_| ()),
        Io::Batch => batch::open(interface).map(|_| ()),
        Io::Pnet => open(interface, io, &Options::default()).map(|_| ()),
    };
    let mut last = None;
    for io in Io::BY_SPEED {
        match opened(io) {
            Ok(()) => return Ok(io),
            Err(why) => last = Some(why),
        }
    }
    Err(last.unwrap_or_else(|| LinkError::NoInterface { interface: interface.to_owned() }))
}

/// Waits until one of the links has frames or an error, or patience runs out, or a signal comes.
/// Says which are ready, in the order given. A link that is gone is always ready: leave it out.
pub fn wait_any(receivers: &[&dyn Receive], patience: Duration) -> Result<Vec<bool>, LinkError> {
    let fds: Vec<BorrowedFd<'_>> = receivers.iter().map(|receiver| receiver.fd()).collect();
    let ended = receivers.iter().any(|receiver| receiver.has_ended());
    let patience = if ended { Duration::ZERO } else { patience };
    let ready = sys::poll::wait(&fds, patience).map_err(|source| LinkError::System {
        interface: String::new(),
        what: "poll",
        source,
    })?;
    Ok(ready
        .iter()
        .zip(receivers)
        .map(|(ready, receiver)| ready.readable || ready.failed || receiver.has_ended())
        .collect())
}
