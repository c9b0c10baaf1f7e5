//! A TPACKET_V2 transmit ring: slots of one size, each with its own status word.
//!
//! A slot is ours while its status is TP_STATUS_AVAILABLE; we write a frame and TP_STATUS_SEND_REQUEST, and
//! the kernel gives the slot back when the device is done with it.
//! Linux Documentation/networking/packet_mmap.rst.

use std::io;
use std::mem::offset_of;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use libc::{tpacket_req, tpacket2_hdr};

use super::mapping::{self, Mapping};
use super::packet::{BATCH, PacketSocket};

/// Where the kernel expects the frame: where a received one has its link address.
const DATA: usize = size_of::<tpacket2_hdr>().next_multiple_of(libc::TPACKET_ALIGNMENT);
/// No block is smaller: less to ask of the kernel in pieces.
const LEAST_BLOCK: usize = 64 << 10;
/// What a usual ring takes: 512 slots for an MTU of 1500.
const MEMORY: usize = 1 << 20;

pub struct Slots {
    socket: PacketSocket,
    memory: Mapping,
    size: usize,
    count: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Ours.
    Free,
    /// Written, not taken yet.
    Waiting,
    /// Taken, with the device.
    Sending,
    /// Refused, and the kernel waits at it.
    Wrong,
}

impl Slots {
    /// Lays a ring over a socket that is not bound yet.
    pub fn lay(socket: PacketSocket, longest: usize) -> io::Result<Slots> {
        let version = libc::tpacket_versions::TPACKET_V2 as libc::c_int;
        socket.set(libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let size = (longest + DATA + libc::TPACKET_ALIGNMENT).next_power_of_two();
        let block = size.max(LEAST_BLOCK);
        let count = (MEMORY / size).max(2 * BATCH).next_multiple_of(block / size);
        let length = size.checked_mul(count).ok_or(io::ErrorKind::InvalidInput)?;
        let number = |value: usize| u32::try_from(value).map_err(|_| io::ErrorKind::InvalidInput);
        let request = tpacket_req {
            tp_block_size: number(block)?,
            tp_block_nr: number(length / block)?,
            tp_frame_size: number(size)?,
            tp_frame_nr: number(count)?,
        };
        socket.set(libc::SOL_PACKET, libc::PACKET_TX_RING, &request)?;
        let memory = Mapping::of(socket.as_fd(), 0, length)?;
        Ok(Slots { socket, memory, size, count })
    }

    pub fn socket(&self) -> &PacketSocket {
        &self.socket
    }

    pub fn count(&self) -> usize {
        self.count
    }

    pub fn status(&self, slot: usize) -> Status {
        let status = self.field(slot, offset_of!(tpacket2_hdr, tp_status)).load(Ordering::Acquire);
        if status & libc::TP_STATUS_WRONG_FORMAT != 0 {
            Status::Wrong
        } else if status & libc::TP_STATUS_SEND_REQUEST != 0 {
            Status::Waiting
        } else if status & libc::TP_STATUS_SENDING != 0 {
            Status::Sending
        } else {
            Status::Free
        }
    }

    /// Writes a frame into a free slot, and lets the kernel take it.
    pub fn write(&self, slot: usize, frame: &[u8]) {
        mapping::copy(frame, self.data(slot));
        self.hand_over(slot, frame.len() as u32);
    }

    /// Takes a slot back that the kernel has not taken.
    pub fn free(&self, slot: usize) {
        let status = self.field(slot, offset_of!(tpacket2_hdr, tp_status));
        status.store(libc::TP_STATUS_AVAILABLE, Ordering::Release);
    }

    /// The length of the frame in a slot.
    pub fn length(&self, slot: usize) -> u32 {
        self.field(slot, offset_of!(tpacket2_hdr, tp_len)).load(Ordering::Relaxed)
    }

    /// Moves a waiting frame into another slot that is ours or refused.
    pub fn copy(&self, from: usize, to: usize) {
        for (from, to) in self.data(from).iter().zip(self.data(to)) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.hand_over(to, self.length(from));
    }

    fn hand_over(&self, slot: usize, length: u32) {
        self.field(slot, offset_of!(tpacket2_hdr, tp_len)).store(length, Ordering::Relaxed);
        let status = self.field(slot, offset_of!(tpacket2_hdr, tp_status));
        status.store(libc::TP_STATUS_SEND_REQUEST, Ordering::Release);
    }

    fn field(&self, slot: usize, offset: usize) -> &AtomicU32 {
        static NONE: AtomicU32 = AtomicU32::new(0);
        let place = (slot % self.count) * self.size + offset;
        self.memory.halves().get(place / 4).unwrap_or(&NONE)
    }

    fn data(&self, slot: usize) -> &[AtomicU64] {
        let start = (slot % self.count) * self.size + DATA;
        let end = start + self.size - DATA;
        self.memory.words().get(start / 8..end / 8).unwrap_or(&[])
    }
}
