//! The kernel's objects, one a type, safe to call from outside: the only unsafe code there is.
//!
//! Nothing is read here but what the kernel writes at fixed places. Whatever came over a wire
//! leaves this module as a slice, and is parsed by safe code.
#![allow(
    unsafe_code,
    reason = "system calls and the memory that a packet ring shares with the kernel"
)]
#![deny(clippy::undocumented_unsafe_blocks, clippy::multiple_unsafe_ops_per_block)]

pub(in crate::link) mod listener;
mod mapping;
pub(in crate::link) mod netlink;
#[doc(hidden)]
pub mod netns;
pub(in crate::link) mod packet;
pub(in crate::link) mod poll;
pub(in crate::link) mod process;
pub(in crate::link) mod ring;
pub(in crate::link) mod slots;
pub(in crate::link) mod tcp;
#[doc(hidden)]
pub mod xdp;

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// The owner of a descriptor that a system call has just returned.
fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the caller passes what socket(2) or its like has just returned: an open descriptor
    // that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Zero for success, else the error of the system call that was just made.
fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A count for success, else the error of the system call that was just made.
fn counted(result: isize) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
