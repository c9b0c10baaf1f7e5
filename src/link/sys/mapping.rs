//! Memory that is shared with the kernel, read and written word by word.
//!
//! Every access is an atomic one, so that no use of it is a data race, whoever else writes: what a word
//! means, and who may write it when, is the business of who holds the mapping. A word is always
//! accessed with the width that it was first given; the two widths never meet at one place.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

pub struct Mapping {
    memory: NonNull<u8>,
    length: usize,
}

// SAFETY: the memory belongs to this value alone and is not tied to a thread.
unsafe impl Send for Mapping {}
// SAFETY: through a shared reference it is accessed by atomic operations only.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// What a socket offers at this offset.
    pub fn of(fd: BorrowedFd<'_>, offset: i64, length: usize) -> io::Result<Mapping> {
        Mapping::new(libc::MAP_SHARED | libc::MAP_POPULATE, fd.as_raw_fd(), offset, length)
    }

    /// Zeroed memory of our own, from a page's beginning on.
    pub fn own(length: usize) -> io::Result<Mapping> {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        Mapping::new(flags, -1, 0, length)
    }

    fn new(flags: libc::c_int, fd: libc::c_int, offset: i64, length: usize) -> io::Result<Mapping> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let memory = unsafe {
            libc::mmap64(ptr::null_mut(), length, protection, flags, fd, offset as libc::off64_t)
        };
        if memory == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let memory = NonNull::new(memory.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Mapping { memory, length })
    }

    pub fn address(&self) -> u64 {
        self.memory.as_ptr() as u64
    }

    /// The memory as words of 64 bits.
    pub fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping begins on a page, lives as long as `self`, is initialised (the kernel
        // maps zeroed pages), and no reference to it is ever of another kind than these atomics.
        unsafe { slice::from_raw_parts(self.memory.as_ptr().cast(), self.length / 8) }
    }

    /// The memory as words of 32 bits.
    pub fn halves(&self) -> &[AtomicU32] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts(self.memory.as_ptr().cast(), self.length / 4) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: address and length are those of the mapping made in `new`; every reference into it
        // borrows `self`.
        let _ = unsafe { libc::munmap(self.memory.as_ptr().cast(), self.length) };
    }
}

/// Copies octets into words. What does not fit is left out; a last word that is not full ends with zeros.
pub fn copy(octets: &[u8], into: &[AtomicU64]) {
    let (whole, rest) = octets.as_chunks::<8>();
    for (octets, word) in whole.iter().zip(into) {
        word.store(u64::from_ne_bytes(*octets), Ordering::Relaxed);
    }
    if let Some(word) = into.get(whole.len())
        && !rest.is_empty()
    {
        let mut last = [0; 8];
        for (octet, place) in rest.iter().zip(&mut last) {
            *place = *octet;
        }
        word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
}
