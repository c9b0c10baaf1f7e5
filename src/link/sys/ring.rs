//! A TPACKET_V3 receive ring: blocks of memory that the kernel fills and we give back.
//!
//! A block belongs to the kernel while its status word is 0, and to us from when the kernel sets
//! TP_STATUS_USER until we write 0 again. [`Ring::next`] lends a block that is ours, and dropping
//! it gives it back: no slice can outlive the right to read it.
//! Linux Documentation/networking/packet_mmap.rst.

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use super::packet::PacketSocket;

/// Where a block's status word stands.
const STATUS: usize = mem::offset_of!(libc::tpacket_block_desc, hdr)
    + mem::offset_of!(libc::tpacket_hdr_v1, block_status);

pub struct Ring {
    socket: PacketSocket,
    memory: NonNull<u8>,
    block_size: usize,
    blocks: usize,
    /// The block that the kernel fills next.
    next: usize,
}

// SAFETY: the memory is a shared mapping that belongs to this value alone; nothing in it is tied to
// the thread that made it.
unsafe impl Send for Ring {}

/// The shape of a ring.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Octets; a multiple of the page size.
    pub block_size: u32,
    pub blocks: u32,
    /// After how many milliseconds a block that is not full is handed over.
    pub retire: u32,
}

impl Ring {
    /// Lays a ring over a socket that is not bound yet.
    pub fn lay(socket: PacketSocket, shape: Shape) -> io::Result<Ring> {
        /// No frame is smaller; V3 packs frames of any size, and only divides by this number.
        const FRAME: u32 = 2048;
        let version = libc::tpacket_versions::TPACKET_V3 as libc::c_int;
        socket.set(libc::SOL_PACKET, libc::PACKET_VERSION, &version)?;
        let frames = (shape.block_size / FRAME).checked_mul(shape.blocks);
        let request = libc::tpacket_req3 {
            tp_block_size: shape.block_size,
            tp_block_nr: shape.blocks,
            tp_frame_size: FRAME,
            tp_frame_nr: frames.ok_or(io::ErrorKind::InvalidInput)?,
            tp_retire_blk_tov: shape.retire,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        socket.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &request)?;
        let (block_size, blocks) = (shape.block_size as usize, shape.blocks as usize);
        let length = block_size.checked_mul(blocks).ok_or(io::ErrorKind::InvalidInput)?;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours. The
        // ring that the socket has just been given is `length` octets long.
        let memory = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_fd().as_raw_fd(),
                0,
            )
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Ring { socket, memory, block_size, blocks, next: 0 })
    }

    pub fn socket(&self) -> &PacketSocket {
        &self.socket
    }

    /// The next block that the kernel has handed over, if there is one.
    pub fn next(&mut self) -> Option<Block<'_>> {
        if self.status().load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return None;
        }
        // Made only here: to drop a block is to give it back.
        Some(Block { ring: self })
    }

    /// How many blocks are ours and not given back. They stand one behind the other, so a few looks
    /// tell.
    pub fn filled(&self) -> u32 {
        let (mut least, mut most) = (0, self.blocks);
        while least < most {
            let middle = least + (most - least) / 2;
            let status = self.status_of((self.next + middle) % self.blocks);
            if status.load(Ordering::Relaxed) & libc::TP_STATUS_USER == 0 {
                most = middle;
            } else {
                least = middle + 1;
            }
        }
        least as u32
    }

    fn block_at(&self, number: usize) -> NonNull<u8> {
        // SAFETY: modulo `blocks`, the sum stays inside the mapping.
        unsafe { self.memory.add(number % self.blocks * self.block_size) }
    }

    fn block(&self) -> NonNull<u8> {
        self.block_at(self.next)
    }

    fn status(&self) -> &AtomicU32 {
        self.status_of(self.next)
    }

    fn status_of(&self, number: usize) -> &AtomicU32 {
        // SAFETY: STATUS lies within the block's descriptor, which is shorter than a page.
        let status = unsafe { self.block_at(number).add(STATUS) };
        // SAFETY: the word is mapped as long as `self` lives, aligned to 4 (blocks start on pages,
        // STATUS is a multiple of 4), and both sides read and write it whole.
        unsafe { AtomicU32::from_ptr(status.cast().as_ptr()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: address and length are those of the mapping made in `lay`; blocks borrow the ring,
        // so none is left.
        let _ = unsafe { libc::munmap(self.memory.as_ptr().cast(), self.block_size * self.blocks) };
    }
}

/// A block that is ours until it is dropped.
pub struct Block<'a> {
    ring: &'a mut Ring,
}

impl Block<'_> {
    /// The whole block, its descriptor first.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: `block_size` octets are mapped from here on and initialised (the kernel hands out
        // zeroed pages), and while the block is ours the kernel does not write to it.
        unsafe { slice::from_raw_parts(self.ring.block().as_ptr(), self.ring.block_size) }
    }
}

impl Drop for Block<'_> {
    fn drop(&mut self) {
        self.ring.status().store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.ring.next = (self.ring.next + 1) % self.ring.blocks;
    }
}
