//! Conversations by the kernel's own sockets: proxies, resolvers and gateways are asked in their own words.
//!
//! Leave comes from the guard and from the pace that frames go by. A conversation takes [`Wanted::frames`]
//! standing places (see [`super::ceilings`]) from its leave to its end. What the kernel sent is read back from it
//! before every turn: with a target the conversation ends when its places are used up, so a device gets no more frames
//! than were taken for it, whatever it says; with the collector, whose receipts may be many, it is silent for a
//! second and goes on. What is sent between two turns are acknowledgements; the receive window is so small that there are
//! few, and [`SPARE`] places are kept for them.
//!
//! What one costs: up to one resolution a second (ARP or neighbour solicitation), SYN, acknowledgement, one segment a turn, an
//! acknowledgement for what came, and one reset at the end, which saves the four of a polite close. Measured with daemons
//! on Linux, before the reset: five segments for a question to squid, by CONNECT with a question inside too; six for SOCKS5
//! to dante; nine for a question by TLS to unbound.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};

use super::ceilings::{Pace, Room};
use super::connector::Leave;
use super::guard::{Class, Guard, Refusal};
use crate::link;
use crate::net::Mac;
use crate::observe::VantageId;

/// Places that suit a few questions of some hundred octets, and what is lost and sent again.
pub const FRAMES: u32 = 20;
/// Places left when nothing more is said: resolution, which no connection counts, acknowledgements while the
/// receive buffer fills, and the reset. Measured with segments of one octet and of 1,448: five at most.
const SPARE: u32 = 8;
/// With fewer places nothing can be said.
const LEAST: u32 = SPARE + 4;
/// Octets of receive buffer: a few full segments at a time are under way to us, or some twelve of one octet.
const RECEIVE_BUFFER: usize = 4096;
/// How long sent octets wait for their acknowledgement; the kernel repeats them twice in that time.
const UNACKNOWLEDGED: Duration = Duration::from_secs(1);
/// How long it is silent: a second, and what a clock may be off.
const SILENCE: Duration = Duration::from_millis(1050);
/// One datagram: larger than any answer that is asked for.
const MOST_DATAGRAM: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Tcp,
    Udp,
}

/// Whom a conversation is with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// A target in the scope.
    Target,
    /// The collector's address for receipts: [`super::Rules::collector`].
    Collector,
}

/// A conversation that somebody wants to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    pub to: SocketAddr,
    pub whom: To,
    pub transport: Transport,
    pub vantage: VantageId,
    /// The MAC that the kernel will send to, as far as it is known: an excluded or fragile station is
    /// not talked to under any address. [`Mac::ZERO`] where it is not known.
    pub mac: Mac,
    /// The most frames: [`FRAMES`] for a few questions. With the collector, in any second.
    pub frames: u32,
}

/// How long a conversation may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    pub connect: Duration,
    /// For one read or write.
    pub turn: Duration,
    /// From connecting to the last octet, so that one octet a second does not go on for ever.
    pub whole: Duration,
}

/// A guess: a proxy resolves a name and connects within some seconds, or its client gives up.
impl Default for Patience {
    fn default() -> Self {
        Patience {
            connect: Duration::from_secs(3),
            turn: Duration::from_secs(5),
            whole: Duration::from_secs(12),
        }
    }
}

/// Conversations that ended, until the pace has taken note. Shared with those that go on, in other threads.
#[derive(Debug, Clone, Default)]
pub(super) struct Ended(Arc<Endings>);

#[derive(Debug, Default)]
struct Endings {
    any: AtomicBool,
    of: Mutex<Vec<(IpAddr, u32)>>,
}

impl Ended {
    /// Gives the places of ended conversations to the pace, as sent now.
    pub(super) fn settle(&self, pace: &mut Pace, now: Duration) {
        // A look costs nothing; only an exchange would, at every frame.
        if !self.0.any.load(Ordering::Relaxed) || !self.0.any.swap(false, Ordering::Acquire) {
            return;
        }
        for (address, places) in self.0.of.lock().unwrap_or_else(PoisonError::into_inner).drain(..)
        {
            pace.end(now, address, places);
        }
    }
}

/// Standing places: given back when this is dropped.
#[derive(Debug)]
struct Places {
    ended: Ended,
    address: IpAddr,
    frames: u32,
}

impl Drop for Places {
    fn drop(&mut self) {
        let ended = &self.ended.0;
        ended.of.lock().unwrap_or_else(PoisonError::into_inner).push((self.address, self.frames));
        ended.any.store(true, Ordering::Release);
    }
}

/// Leave for one conversation, its places taken. It is given back by dropping it.
#[derive(Debug)]
pub struct ConversationPermit {
    to: SocketAddr,
    source: IpAddr,
    whom: To,
    transport: Transport,
    places: Places,
}

pub(super) fn leave(
    guard: &Guard,
    pace: &mut Pace,
    ended: &Ended,
    wanted: &Wanted,
    now: Duration,
) -> Leave<ConversationPermit> {
    ended.settle(pace, now);
    let source = match admit(guard, wanted, now) {
        Ok(source) => source,
        Err(refusal) => return Leave::Refused(refusal),
    };
    let (address, frames) = (wanted.to.ip(), wanted.frames.max(LEAST));
    match pace.room_to_talk(now, address, frames) {
        Room::Now => {}
        Room::Later(wait, _) => return Leave::Later(wait),
        Room::Never(_) => return Leave::Refused(Refusal::Ceiling),
    }
    pace.begin(address, frames);
    let places = Places { ended: ended.clone(), address, frames };
    let Wanted { to, whom, transport, .. } = *wanted;
    Leave::Now(ConversationPermit { to, source, whom, transport, places })
}

/// The address to speak from, if there may be a conversation at all. It is no gentle question: a fragile address gets
/// none.
fn admit(guard: &Guard, wanted: &Wanted, now: Duration) -> Result<IpAddr, Refusal> {
    guard.open_at(now)?;
    match wanted.whom {
        To::Target => {
            guard.admit(wanted.to.ip(), wanted.vantage, Class::Ordinary)?;
        }
        To::Collector => guard.admit_collector(wanted.to, wanted.vantage)?,
    }
    guard.mac_may_be_used(wanted.mac)?;
    if guard.is_fragile_mac(wanted.mac) {
        return Err(Refusal::FragileMac);
    }
    let vantage = guard.vantage(wanted.vantage).ok_or(Refusal::UnknownVantage)?;
    vantage.source_for(wanted.to.ip()).ok_or(Refusal::UnknownVantage)
}

impl ConversationPermit {
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// The vantage's own address that it speaks from.
    pub fn source(&self) -> IpAddr {
        self.source
    }

    /// Connects from the vantage's address, and by its interface where the kernel lets us say so.
    ///
    /// # Errors
    ///
    /// Those of the kernel; [`io::ErrorKind::TimedOut`] when nobody answered in time.
    pub fn connect(self, interface: &str, patience: Patience) -> io::Result<Conversation> {
        let until = Instant::now() + patience.whole;
        if self.transport != Transport::Tcp {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let socket = self.socket(interface, Type::STREAM, Protocol::TCP)?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))?;
        socket.set_tcp_nodelay(true)?;
        // A reset ends it.
        socket.set_linger(Some(Duration::ZERO))?;
        socket.connect_timeout(&self.to.into(), patience.connect)?;
        Ok(Conversation {
            stream: TcpStream::from(socket),
            until,
            turn: patience.turn,
            whom: self.whom,
            counted: 0,
            places: self.places,
        })
    }

    /// A socket for some datagrams to the same address.
    pub fn datagrams(self, interface: &str, patience: Patience) -> io::Result<Datagrams> {
        let until = Instant::now() + patience.whole;
        if self.transport != Transport::Udp {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let socket = self.socket(interface, Type::DGRAM, Protocol::UDP)?;
        Ok(Datagrams {
            socket: UdpSocket::from(socket),
            to: self.to,
            until,
            turn: patience.turn,
            left: self.places.frames.saturating_sub(SPARE),
            _places: self.places,
        })
    }

    fn socket(&self, interface: &str, kind: Type, protocol: Protocol) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(self.to), kind, Some(protocol))?;
        // The collector is no part of the swept link: the machine's own route leads there.
        if self.whom == To::Target {
            // Where it may not be said, the source address chooses alone.
            let _ = socket.bind_device(Some(interface.as_bytes()));
            socket.bind(&SocketAddr::new(self.source, 0).into())?;
        }
        Ok(socket)
    }
}

/// A connection whose frames are counted and whose end is near. It ends with a reset.
///
/// Reading and writing fail with [`io::ErrorKind::TimedOut`] when the turn or the whole is over, and with
/// [`io::ErrorKind::QuotaExceeded`] when the places are used up.
#[derive(Debug)]
pub struct Conversation {
    stream: TcpStream,
    until: Instant,
    turn: Duration,
    whom: To,
    /// Segments that had been sent when it last fell silent.
    counted: u32,
    places: Places,
}

impl Conversation {
    /// Segments that the kernel sent for it so far.
    pub fn segments_sent(&self) -> io::Result<u32> {
        link::segments_sent(&self.stream)
    }

    /// How long the next turn may take, if there may be one.
    fn turn(&mut self) -> io::Result<Duration> {
        let sent = self.segments_sent()?;
        if sent.saturating_sub(self.counted) >= self.places.frames.saturating_sub(SPARE) {
            if self.whom == To::Target {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            std::thread::sleep(SILENCE.min(self.left()?));
            self.counted = self.segments_sent()?;
        }
        Ok(self.turn.min(self.left()?))
    }

    fn left(&self) -> io::Result<Duration> {
        left_until(self.until)
    }
}

fn left_until(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// A socket whose time is up says `WouldBlock`.
fn timed(result: io::Result<usize>) -> io::Result<usize> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })
}

impl Read for Conversation {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let turn = self.turn()?;
        self.stream.set_read_timeout(Some(turn))?;
        timed(self.stream.read(buffer))
    }
}

impl Write for Conversation {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let turn = self.turn()?;
        self.stream.set_write_timeout(Some(turn))?;
        timed(self.stream.write(octets))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Datagrams to one address, a few of them, and what it answers.
#[derive(Debug)]
pub struct Datagrams {
    socket: UdpSocket,
    to: SocketAddr,
    until: Instant,
    turn: Duration,
    left: u32,
    _places: Places,
}

impl Datagrams {
    pub fn to(&self) -> SocketAddr {
        self.to
    }

    /// The address that it is sent from.
    pub fn source(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// # Errors
    ///
    /// [`io::ErrorKind::QuotaExceeded`] when the permit has no places left.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::QuotaExceeded)?;
        self.socket.send_to(octets, self.to).map(|_| ())
    }

    /// The next datagram from that address, whatever port of it, with the port.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] when the turn or the whole is over.
    pub fn receive(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let until = self.until.min(Instant::now() + self.turn);
        let mut buffer = [0; MOST_DATAGRAM];
        loop {
            self.socket.set_read_timeout(Some(left_until(until)?))?;
            let (length, from) = match self.socket.recv_from(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                other => other?,
            };
            if from.ip() == self.to.ip() {
                let octets = buffer.get(..length).unwrap_or_default();
                return Ok((from.port(), octets.to_vec()));
            }
        }
    }
}
