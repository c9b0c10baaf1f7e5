//! Frames out by `sendmmsg`, past the queueing discipline; and what its batch has in common with libpnet's:
//! frames that wait to be sent, and the patience with a device whose queue is full.

use std::io;
use std::thread;
use std::time::Duration;

use super::attachment::Attachment;
use super::sys::packet::{BATCH, Hear, PacketSocket};
use super::{LinkError, SEND_PATIENCE, Transmit};

pub const SEND_BUFFER: u32 = 4 << 20;

/// How often a full device is asked again, each time after twice as long: 20 µs to 40 ms, 82 ms in
/// all. At a gigabit a full queue of a thousand frames empties in 12 ms.
pub const ATTEMPTS: u32 = 12;
pub const FIRST_PAUSE: Duration = Duration::from_micros(20);

pub fn open(interface: &str) -> Result<Box<dyn Transmit>, LinkError> {
    let attachment = Attachment::find(interface)?;
    let fail = |what| move |error| LinkError::of(interface, what, error);
    let socket = PacketSocket::open().map_err(fail("open a packet socket"))?;
    socket.bypass_queueing().map_err(fail("set PACKET_QDISC_BYPASS"))?;
    socket.set_send_buffer(SEND_BUFFER).map_err(fail("size the send buffer"))?;
    socket.set_send_patience(SEND_PATIENCE).map_err(fail("set the send timeout"))?;
    socket.bind(attachment.index(), Hear::Nothing).map_err(fail("bind"))?;
    let batch = Batch::for_frames_up_to(attachment.most());
    Ok(Box::new(BatchTransmit { attachment, socket, batch }))
}

struct BatchTransmit {
    attachment: Attachment,
    socket: PacketSocket,
    batch: Batch,
}

impl BatchTransmit {
    fn send(&mut self) -> Result<(), LinkError> {
        let (socket, attachment) = (&self.socket, &self.attachment);
        self.batch.send(
            attachment.name(),
            |batch| socket.send(batch.waiting()),
            |error| attachment.explain(socket, "send", error),
        )
    }
}

impl Transmit for BatchTransmit {
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

/// As many frames as go to the kernel in one call, in one piece of memory.
pub struct Batch {
    octets: Vec<u8>,
    stride: usize,
    lengths: Vec<usize>,
    /// How many at the front are sent already.
    done: usize,
    /// Sent since the last report.
    sent: usize,
}

impl Batch {
    pub fn for_frames_up_to(most: usize) -> Batch {
        let stride = most.next_multiple_of(64);
        Batch {
            octets: vec![0; stride.saturating_mul(BATCH)],
            stride,
            lengths: Vec::with_capacity(BATCH),
            done: 0,
            sent: 0,
        }
    }

    pub fn is_full(&self) -> bool {
        self.lengths.len() == BATCH
    }

    /// Copies a frame to the end. The caller has seen that there is room and that it fits.
    pub fn push(&mut self, frame: &[u8]) {
        let start = self.lengths.len() * self.stride;
        if let Some(slot) = self.octets.get_mut(start..start + frame.len()) {
            slot.copy_from_slice(frame);
            self.lengths.push(frame.len());
        }
    }

    /// The frames that are still to go.
    pub fn waiting(&self) -> impl Iterator<Item = &[u8]> {
        self.octets
            .chunks_exact(self.stride)
            .zip(&self.lengths)
            .skip(self.done)
            .map(|(slot, &length)| slot.get(..length).unwrap_or(slot))
    }

    /// Frames sent since it was asked last.
    pub fn take_sent(&mut self) -> usize {
        std::mem::take(&mut self.sent)
    }

    fn clear(&mut self) {
        self.lengths.clear();
        self.done = 0;
    }

    /// Sends until the batch is empty. `send` gets the frames that wait, in order, and says how many
    /// of the first it took; `explain` says what an error means for the link.
    ///
    /// What the interface itself refuses, now and for good, empties the batch: no frame goes out
    /// later that nobody expects any more.
    pub fn send(
        &mut self,
        interface: &str,
        mut send: impl FnMut(&Batch) -> io::Result<usize>,
        explain: impl FnOnce(io::Error) -> LinkError,
    ) -> Result<(), LinkError> {
        let mut attempts = 0;
        while self.done < self.lengths.len() {
            match send(self) {
                Ok(taken) => {
                    self.done += taken;
                    self.sent += taken;
                    attempts = 0;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_congestion(&error) => {
                    if attempts == ATTEMPTS {
                        return Err(LinkError::Congested {
                            interface: interface.to_owned(),
                            waiting: self.lengths.len() - self.done,
                        });
                    }
                    thread::sleep(FIRST_PAUSE * 2u32.pow(attempts));
                    attempts += 1;
                }
                Err(error) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                    // The MTU has shrunk since the link was opened: this frame never goes.
                    let length = self.lengths.get(self.done).copied().unwrap_or(0);
                    self.done += 1;
                    return Err(LinkError::Length {
                        interface: interface.to_owned(),
                        length,
                        least: 0,
                        most: length.saturating_sub(1),
                    });
                }
                Err(error) => {
                    self.clear();
                    return Err(explain(error));
                }
            }
        }
        self.clear();
        Ok(())
    }
}

/// The device's queue or the socket's buffer is full, which passes.
pub fn is_congestion(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
        || matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends three frames to a device that answers by this list, then takes all. Gives the result,
    /// what went out, and what is still waiting.
    fn check(answers: &[Result<usize, i32>]) -> (Result<(), LinkError>, Vec<u8>, usize) {
        let mut batch = Batch::for_frames_up_to(100);
        for number in 1..=3 {
            batch.push(&[number; 60]);
        }
        let (mut answers, mut out) = (answers.iter(), Vec::new());
        let sent = batch.send(
            "eth0",
            |batch| {
                let waiting = batch.waiting().count();
                let taken = match answers.next() {
                    Some(Ok(taken)) => *taken,
                    Some(Err(code)) => return Err(io::Error::from_raw_os_error(*code)),
                    None => waiting,
                };
                out.extend(batch.waiting().take(taken).map(|frame| frame[0]));
                Ok(taken)
            },
            |error| LinkError::of("eth0", "send", error),
        );
        assert_eq!(batch.take_sent(), out.len());
        let waiting = batch.waiting().count();
        (sent, out, waiting)
    }

    #[test]
    fn a_full_device_is_asked_again_and_nothing_goes_twice() {
        use libc::{EAGAIN, EINTR, ENOBUFS};
        let answers = [Err(ENOBUFS), Ok(1), Err(EAGAIN), Err(EINTR), Ok(1), Err(ENOBUFS)];
        let (sent, out, waiting) = check(&answers);
        assert!(sent.is_ok());
        assert_eq!((out.as_slice(), waiting), (&[1, 2, 3][..], 0));
    }

    #[test]
    fn a_device_that_stays_full_leaves_the_rest_waiting() {
        let mut answers = vec![Ok(1)];
        answers.extend([Err(libc::ENOBUFS); ATTEMPTS as usize + 1]);
        let (sent, out, waiting) = check(&answers);
        assert!(matches!(sent, Err(LinkError::Congested { waiting: 2, .. })), "{sent:?}");
        assert_eq!((out.as_slice(), waiting), (&[1][..], 2));
    }

    #[test]
    fn a_frame_too_long_is_left_out_and_a_lost_interface_empties_the_batch() {
        let (sent, out, waiting) = check(&[Ok(1), Err(libc::EMSGSIZE)]);
        assert!(matches!(sent, Err(LinkError::Length { length: 60, .. })), "{sent:?}");
        assert_eq!((out.as_slice(), waiting), (&[1][..], 1));
        let (sent, out, waiting) = check(&[Ok(1), Err(libc::ENETDOWN)]);
        assert!(matches!(sent, Err(LinkError::Down { .. })), "{sent:?}");
        assert_eq!((out.as_slice(), waiting), (&[1][..], 0));
    }
}
