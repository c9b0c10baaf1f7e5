//! Frames that wait to be sent, and the patience with a device whose queue is full.

use std::io;
use std::thread;
use std::time::Duration;

use super::LinkError;
use super::attachment::Attachment;
use super::sys::packet::{BATCH, PacketSocket};

/// How often a full device is asked again, each time after twice as long: 20 µs to 40 ms, 82 ms in
/// all. At a gigabit a full queue of a thousand frames empties in 12 ms.
const ATTEMPTS: u32 = 12;
const FIRST_PAUSE: Duration = Duration::from_micros(20);

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
    /// of the first it took.
    ///
    /// What the interface itself refuses, now and for good, empties the batch: no frame goes out
    /// later that nobody expects any more.
    pub fn send(
        &mut self,
        attachment: &Attachment,
        socket: &PacketSocket,
        mut send: impl FnMut(&Batch) -> io::Result<usize>,
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
                            interface: attachment.name().to_owned(),
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
                        interface: attachment.name().to_owned(),
                        length,
                        least: 0,
                        most: length.saturating_sub(1),
                    });
                }
                Err(error) => {
                    self.clear();
                    return Err(attachment.explain(socket, "send", error));
                }
            }
        }
        self.clear();
        Ok(())
    }
}

/// The device's queue or the socket's buffer is full, which passes.
fn is_congestion(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOBUFS)
        || matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
