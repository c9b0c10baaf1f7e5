//! poll(2) over several descriptors.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::time::Duration;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Readiness {
    pub readable: bool,
    /// POLLERR, POLLHUP or POLLNVAL: ask the socket for its error.
    pub failed: bool,
}

/// Waits for input or an error. None is ready when patience ran out or a signal came.
pub fn wait(fds: &[BorrowedFd<'_>], patience: Duration) -> io::Result<Vec<Readiness>> {
    let mut polled: Vec<libc::pollfd> = fds
        .iter()
        .map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let timeout = libc::timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        // Less than 10^9: fits c_long on every target.
        tv_nsec: patience.subsec_nanos() as libc::c_long,
    };
    // SAFETY: `polled` is an array of as many entries as are said, and `timeout` a valid time; both
    // outlive the call. A null mask leaves the signal mask as it is.
    let ready = unsafe {
        libc::ppoll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, &timeout, ptr::null())
    };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return match error.kind() {
            io::ErrorKind::Interrupted => Ok(vec![Readiness::default(); fds.len()]),
            _ => Err(error),
        };
    }
    Ok(polled
        .iter()
        .map(|polled| Readiness {
            readable: polled.revents & libc::POLLIN != 0,
            failed: polled.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0,
        })
        .collect())
}
