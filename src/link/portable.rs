//! Frames by libpnet's datalink channel: the fallback where the ring cannot be laid.
//!
//! The socket is made here and lent to libpnet, so that the kernel's filter stands before the first
//! frame and drops are counted here too. What libpnet does not pass on is lost: the arrival time
//! (we take our own), the direction (we compare with our MAC), and the VLAN tag that the kernel
//! takes off every frame, so tagged frames look untagged.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, IntoRawFd};
use std::time::Duration;

use jiff::Timestamp;
use pnet::datalink::{self, Channel, DataLinkReceiver, DataLinkSender, NetworkInterface};
use pnet::util::MacAddr;

use super::attachment::Attachment;
use super::batch::Batch;
use super::capture::MAX_FRAME;
use super::sys::packet::PacketSocket;
use super::sys::poll;
use super::{Captured, Halves, LinkError, Options, Outgoing, Receive, SEND_PATIENCE, Transmit};

/// The most frames handed out by one call, so that a flood does not hold us.
const ROUND: usize = 4096;

pub(super) fn open(interface: &str, options: &Options) -> Result<Halves, LinkError> {
    let (sender, receive) = channel(interface, options)?;
    let fail = |error| LinkError::of(interface, "double the socket", error);
    let transmit = PnetTransmit {
        socket: receive.socket.another().map_err(fail)?,
        batch: Batch::for_frames_up_to(receive.attachment.most()),
        attachment: receive.attachment.clone(),
        sender,
    };
    Ok((Box::new(transmit), Box::new(receive)))
}

pub(super) fn open_receive(
    interface: &str,
    options: &Options,
) -> Result<Box<dyn Receive>, LinkError> {
    let (_, receive) = channel(interface, options)?;
    Ok(Box::new(receive))
}

fn channel(
    interface: &str,
    options: &Options,
) -> Result<(Box<dyn DataLinkSender>, PnetReceive), LinkError> {
    let attachment = Attachment::find(interface)?;
    let fail = |what| move |error| LinkError::of(interface, what, error);
    let socket = PacketSocket::open().map_err(fail("open a packet socket"))?;
    // Frames come whole and are cut here: else their length on the wire would be lost.
    socket.attach(&options.filter.program(MAX_FRAME)).map_err(fail("attach the filter"))?;
    let silent = options.outgoing == Outgoing::Ignored;
    if silent {
        let _ = socket.ignore_outgoing();
    }
    let buffer = options.ring.try_into().unwrap_or(u32::MAX);
    socket.set_receive_buffer(buffer).map_err(fail("size the receive buffer"))?;
    let lent = socket.another().map_err(fail("double the socket"))?.into_fd();
    let mac = attachment.interface.mac;
    let described = NetworkInterface {
        name: interface.to_owned(),
        description: String::new(),
        index: attachment.index(),
        mac: mac.map(|mac| MacAddr::from(mac.0)),
        ips: Vec::new(),
        flags: 0,
    };
    let config = datalink::Config {
        read_buffer_size: MAX_FRAME as usize,
        read_timeout: Some(Duration::ZERO),
        write_timeout: Some(SEND_PATIENCE),
        promiscuous: options.promiscuous,
        // The channel owns it from here on, and closes it where it cannot be made.
        socket_fd: Some(lent.into_raw_fd()),
        ..datalink::Config::default()
    };
    let (sender, receiver) = match datalink::channel(&described, config) {
        Ok(Channel::Ethernet(sender, receiver)) => (sender, receiver),
        Ok(_) => return Err(fail("open a channel")(io::ErrorKind::Unsupported.into())),
        Err(error) => return Err(fail("open a channel")(error)),
    };
    if let Some(error) = socket.take_error().map_err(fail("ask for errors"))? {
        return Err(attachment.explain(&socket, "bind", error));
    }
    let receive = PnetReceive {
        attachment,
        socket,
        receiver,
        snap: options.snap,
        silent,
        dropped: 0,
        ended: None,
        gone: false,
    };
    Ok((sender, receive))
}

struct PnetTransmit {
    attachment: Attachment,
    socket: PacketSocket,
    sender: Box<dyn DataLinkSender>,
    batch: Batch,
}

impl PnetTransmit {
    fn send(&mut self) -> Result<(), LinkError> {
        let (sender, socket, attachment) = (&mut self.sender, &self.socket, &self.attachment);
        let send = |batch: &Batch| {
            let mut taken = 0;
            for frame in batch.waiting() {
                match sender.send_to(frame, None) {
                    Some(Ok(())) => taken += 1,
                    // The error comes again at the next call, which begins with this frame.
                    _ if taken > 0 => break,
                    Some(Err(error)) => return Err(cause(socket, error)),
                    None => return Err(io::ErrorKind::WriteZero.into()),
                }
            }
            Ok(taken)
        };
        self.batch.send(attachment.name(), send, |error| attachment.explain(socket, "send", error))
    }
}

impl Transmit for PnetTransmit {
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        self.attachment.admit(frame)?;
        if self.batch.is_full() {
            self.send()?;
        }
        self.batch.push(frame);
        Ok(())
    }

    fn flush(&mut self) -> Result<usize, LinkError> {
        self.send()?;
        Ok(self.batch.take_sent())
    }

    fn interface(&self) -> &str {
        self.attachment.name()
    }
}

struct PnetReceive {
    attachment: Attachment,
    /// The channel's own socket, by a second descriptor.
    socket: PacketSocket,
    receiver: Box<dyn DataLinkReceiver>,
    snap: u32,
    /// What our own kernel sends is left out.
    silent: bool,
    dropped: u64,
    /// The end of the link, kept back until the frames before it are handed out.
    ended: Option<LinkError>,
    gone: bool,
}

impl Receive for PnetReceive {
    fn receive(
        &mut self,
        patience: Duration,
        take: &mut dyn FnMut(Captured<'_>),
    ) -> Result<usize, LinkError> {
        if let Some(error) = self.ended.take() {
            return Err(error);
        }
        if self.gone {
            return Err(LinkError::Gone { interface: self.attachment.name().to_owned() });
        }
        let fail = |error| LinkError::of(self.attachment.name(), "poll", error);
        let ready = poll::wait(&[self.socket.as_fd()], patience).map_err(fail)?;
        if !ready.iter().any(|ready| ready.readable || ready.failed) {
            return Ok(0);
        }
        let own = self.attachment.interface.mac.map(|mac| mac.0);
        for count in 0..ROUND {
            match self.receiver.next() {
                Ok(frame) => {
                    let outgoing = own.is_some_and(|own| frame.get(6..12) == Some(&own));
                    if self.silent && outgoing {
                        continue;
                    }
                    let kept = frame.get(..self.snap as usize).unwrap_or(frame);
                    take(Captured {
                        at: Timestamp::now(),
                        bytes: kept,
                        length: frame.len() as u32,
                        outgoing,
                    });
                }
                Err(error) => {
                    if matches!(
                        error.kind(),
                        io::ErrorKind::TimedOut
                            | io::ErrorKind::WouldBlock
                            | io::ErrorKind::Interrupted
                    ) {
                        return Ok(count);
                    }
                    let error = cause(&self.socket, error);
                    let error = self.attachment.explain(&self.socket, "receive", error);
                    self.gone = matches!(error, LinkError::Gone { .. });
                    if count == 0 {
                        return Err(error);
                    }
                    self.ended = Some(error);
                    return Ok(count);
                }
            }
        }
        Ok(ROUND)
    }

    fn dropped(&mut self) -> Result<u64, LinkError> {
        let statistics = self
            .socket
            .statistics()
            .map_err(|error| LinkError::of(self.attachment.name(), "ask for drops", error))?;
        self.dropped = self.dropped.saturating_add(statistics.drops.into());
        Ok(self.dropped)
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn has_ended(&self) -> bool {
        self.gone || self.ended.is_some()
    }

    fn interface(&self) -> &str {
        self.attachment.name()
    }
}

/// libpnet says "unexpected poll event" where an error waits at the socket: the socket knows which.
fn cause(socket: &PacketSocket, error: io::Error) -> io::Error {
    if error.raw_os_error().is_some() {
        return error;
    }
    socket.take_error().ok().flatten().unwrap_or(error)
}
