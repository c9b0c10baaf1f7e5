//! Frames out by a transmit ring of a packet socket (PACKET_TX_RING), past the queueing discipline.

use std::io;
use std::thread;
use std::time::Instant;

use super::attachment::Attachment;
use super::batch::{ATTEMPTS, FIRST_PAUSE, is_congestion};
use super::sys::packet::{BATCH, Hear, PacketSocket};
use super::sys::slots::{Slots, Status};
use super::{LinkError, SEND_PATIENCE, Transmit};

pub(super) fn open(interface: &str) -> Result<Box<dyn Transmit>, LinkError> {
    let attachment = Attachment::find(interface)?;
    let fail = |what| move |error| LinkError::of(interface, what, error);
    let socket = PacketSocket::open().map_err(fail("open a packet socket"))?;
    socket.bypass_queueing().map_err(fail("set PACKET_QDISC_BYPASS"))?;
    socket.set_send_buffer(super::batch::SEND_BUFFER).map_err(fail("size the send buffer"))?;
    let slots = Slots::lay(socket, attachment.most()).map_err(fail("lay out a transmit ring"))?;
    slots.socket().bind(attachment.index(), Hear::Nothing).map_err(fail("bind"))?;
    Ok(Box::new(SlotTransmit { attachment, slots, first: 0, waiting: 0, sent: 0 }))
}

struct SlotTransmit {
    attachment: Attachment,
    slots: Slots,
    /// The first slot that the kernel has not taken.
    first: usize,
    /// How many from there on are written.
    waiting: usize,
    /// Sent since the last report.
    sent: usize,
}

impl SlotTransmit {
    fn slot(&self, after: usize) -> usize {
        (self.first + after) % self.slots.count()
    }

    /// Counts what the kernel took. Says whether it took any.
    fn pass(&mut self) -> bool {
        let before = self.waiting;
        while self.waiting > 0
            && !matches!(self.slots.status(self.first), Status::Waiting | Status::Wrong)
        {
            self.first = self.slot(1);
            self.waiting -= 1;
        }
        self.sent += before - self.waiting;
        self.waiting < before
    }

    fn send(&mut self) -> Result<(), LinkError> {
        let mut attempts = 0;
        while self.waiting > 0 {
            let result = self.slots.socket().send_ring();
            if self.pass() {
                attempts = 0;
            }
            match result {
                Ok(_) if self.waiting == 0 => {}
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    return Err(self.leave_out());
                }
                Err(error)
                    if !is_congestion(&error) && error.kind() != io::ErrorKind::Interrupted =>
                {
                    return Err(self.throw_away(error));
                }
                _ => {
                    if attempts == ATTEMPTS {
                        return Err(self.congested());
                    }
                    thread::sleep(FIRST_PAUSE * 2u32.pow(attempts));
                    attempts += 1;
                }
            }
        }
        Ok(())
    }

    fn congested(&self) -> LinkError {
        let interface = self.attachment.name().to_owned();
        LinkError::Congested { interface, waiting: self.waiting }
    }

    /// Leaves out the frame that the kernel waits at: those behind it move up.
    fn leave_out(&mut self) -> LinkError {
        let length = self.slots.length(self.first) as usize;
        for after in 1..self.waiting {
            self.slots.copy(self.slot(after), self.slot(after - 1));
        }
        if let Some(last) = self.waiting.checked_sub(1) {
            self.slots.free(self.slot(last));
            self.waiting = last;
        }
        LinkError::Length {
            interface: self.attachment.name().to_owned(),
            length,
            least: 0,
            most: length.saturating_sub(1),
        }
    }

    /// The interface refuses: no frame goes out later that nobody expects any more.
    fn throw_away(&mut self, error: io::Error) -> LinkError {
        for after in 0..self.waiting {
            self.slots.free(self.slot(after));
        }
        self.waiting = 0;
        self.attachment.explain(self.slots.socket(), "send", error)
    }

    fn wait_for_room(&mut self) -> Result<(), LinkError> {
        let began = Instant::now();
        while self.slots.status(self.slot(self.waiting)) != Status::Free {
            self.send()?;
            if began.elapsed() > SEND_PATIENCE {
                return Err(self.congested());
            }
            thread::sleep(FIRST_PAUSE);
        }
        Ok(())
    }
}

impl Transmit for SlotTransmit {
    fn queue(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        self.attachment.admit(frame)?;
        if self.waiting >= BATCH {
            self.send()?;
        }
        if self.slots.status(self.slot(self.waiting)) != Status::Free {
            self.wait_for_room()?;
        }
        self.slots.write(self.slot(self.waiting), frame);
        self.waiting += 1;
        Ok(())
    }

    fn flush(&mut self) -> Result<usize, LinkError> {
        self.send()?;
        Ok(std::mem::take(&mut self.sent))
    }

    fn interface(&self) -> &str {
        self.attachment.name()
    }
}
