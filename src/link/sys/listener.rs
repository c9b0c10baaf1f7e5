//! Options of TCP listeners.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// How often a SYN or SYN-ACK of this socket is repeated, from 1 (TCP_SYNCNT, tcp(7)).
pub fn limit_answers(socket: BorrowedFd<'_>, times: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a number that lives through the call, and the length is its own; the
    // descriptor is open for as long as it is borrowed.
    super::check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_SYNCNT,
            std::ptr::from_ref(&times).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
}
